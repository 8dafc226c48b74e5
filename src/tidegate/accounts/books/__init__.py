"""The books: double-entry, append only, one chain of transactions a tenant; usage follows from sealed rows."""
