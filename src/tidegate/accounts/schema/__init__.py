"""Tables of the accounts database, on SQLite or PostgreSQL: one file a subject, gathered here in one `metadata`.

A table that changes is changed twice: here, and by a step in `accounts/migrations`; a test compares the two.
"""

from tidegate.accounts.schema import books, money_in, quotas
from tidegate.accounts.schema.base import metadata
from tidegate.accounts.schema.tenancy import keys, state

__all__ = ["books", "keys", "metadata", "money_in", "quotas", "state"]
