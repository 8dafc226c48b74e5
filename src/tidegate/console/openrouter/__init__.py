"""OpenRouter's account pages, in its words, under `/api/v1` and `/v1`: key, credits, activity, keys.

Its management key is our service key, its workspace our project, and a key's `hash` our key's id. Money is an exact
decimal of USD; no float stands in between.
"""
