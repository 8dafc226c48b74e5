"""Accounts on each engine, for whatever must hold on both."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from rig.stores import Postgres
from tidegate.accounts.database import open_database
from tidegate.accounts.keys import Accounts

PEPPER = b"p" * 32


@pytest.fixture(scope="session")
def made_accounts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty accounts database on SQLite, its tables made, to be copied."""
    path = tmp_path_factory.mktemp("accounts") / "accounts.sqlite"
    open_database(f"sqlite:///{path}").close()
    return path


@pytest.fixture
def empty_accounts(made_accounts: Path, tmp_path: Path) -> str:
    """The URL of a new accounts database on SQLite."""
    return f"sqlite:///{shutil.copy(made_accounts, tmp_path / 'accounts.sqlite')}"


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
