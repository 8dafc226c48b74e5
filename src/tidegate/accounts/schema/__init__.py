"""Tables of the accounts database, on SQLite or PostgreSQL: one file a subject, gathered here in one `metadata`.

A table that changes is changed twice: here, and by a step in `accounts/migrations`; a test compares the two.
"""

from tidegate.accounts.schema import books, money_in, quotas
from tidegate.accounts.schema.base import metadata
from tidegate.accounts.schema.tenancy import (
    former_secrets,
    identities,
    keys,
    members,
    people,
    projects,
    provider_keys,
    service_keys,
    sessions,
    state,
    tenants,
)

__all__ = [
    "books",
    "former_secrets",
    "identities",
    "keys",
    "members",
    "metadata",
    "money_in",
    "people",
    "projects",
    "provider_keys",
    "quotas",
    "service_keys",
    "sessions",
    "state",
    "tenants",
]
