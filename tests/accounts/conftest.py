"""Accounts on each engine, for whatever must hold on both."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from rig.stores import Postgres
from tidegate.accounts.keys import Accounts

PEPPER = b"p" * 32


@pytest.fixture(params=["sqlite", "postgres"])
def accounts(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Accounts]:
    """Empty accounts, on SQLite and on PostgreSQL."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'accounts.sqlite'}"
    else:
        server: Postgres = request.getfixturevalue("postgres")
        url = server.copy()
    made = Accounts(url, PEPPER, tmp_path)
    yield made
    made.close()
