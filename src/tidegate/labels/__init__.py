"""Labels: what a sampled call was about, by language and task, written as a record and never as text.

`language.py` and `tasks.py` say what a text is; `worker.py` is the process that the gateway hands samples to. Nothing
here runs on a call's way, and nothing here writes a prompt to disk.
"""
