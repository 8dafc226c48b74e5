"""INSERT that minds what is there, spelled alike by SQLite and PostgreSQL."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite


def insert_missing(connection: sa.Connection, table: sa.Table, rows: Sequence[dict[str, Any]]) -> None:
    """Insert those rows whose key is not there; leave the others alone."""
    if rows:
        connection.execute(_insert(connection, table).on_conflict_do_nothing(), rows)


def take(connection: sa.Connection, table: sa.Table, row: dict[str, Any]) -> bool:
    """Insert a row: False where its key was there, or another's transaction that is now over has put it there."""
    key = next(iter(table.primary_key))
    taken = connection.execute(_insert(connection, table).values(row).on_conflict_do_nothing().returning(key))
    return taken.first() is not None


def add_up(connection: sa.Connection, table: sa.Table, rows: Sequence[dict[str, Any]]) -> None:
    """Insert rows, adding every column outside the key to what is there."""
    if not rows:
        return
    statement = _insert(connection, table)
    sums = {column.name: column + statement.excluded[column.name] for column in table.columns if not column.primary_key}
    keys = [column.name for column in table.primary_key]
    connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=sums), rows)


def _insert(connection: sa.Connection, table: sa.Table) -> Any:
    return sqlite.insert(table) if connection.dialect.name == "sqlite" else postgresql.insert(table)
