"""Accounts: who may call. Keys are stored as keyed hashes only."""
