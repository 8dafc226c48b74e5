"""Steps of the accounts database from one release to the next; `run.py` takes them."""
