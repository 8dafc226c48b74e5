"""The accounts database: SQLite in the home, or PostgreSQL by URL. Opened, brought up to date, read and written.

Every part of the accounts works through one `Database`: `reading()` and `writing()` give a connection in one
transaction. Writers of SQLite take its write lock at once (`BEGIN IMMEDIATE`), so that two of them wait for each
other and neither fails half way. What workers must see ends with `touch(connection)`: they look at the version each
second.
"""

import os
import sqlite3
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from tidegate.accounts.schema import state
from tidegate.core.errors import AccountsError, ConfigError

HEAD = "0005"
"""The revision that this release reads and writes; the last of `migrations/versions`."""

BUSY_S = 15.0  # how long a writer of SQLite waits for the one before it
CONNECT_S = 5
ANSWER_MS = 10_000  # without a word from PostgreSQL's machine for so long, a connection is given up
MIGRATION_LOCK = 0x7469_6465  # an advisory lock of PostgreSQL: one process takes the steps, the others wait


class Database:
    """One accounts database, open. Its methods may be called from any thread."""

    def __init__(self, url: str) -> None:
        """As `open_database`, but leaves the tables as they are."""
        self._engine = _engine(url)
        self.is_sqlite = self._engine.dialect.name == "sqlite"
        self._writer = self._engine.execution_options(is_writing=True)

    @property
    def engine(self) -> sa.Engine:
        return self._engine

    @property
    def place(self) -> str:
        """The URL, without its password."""
        return self._engine.url.render_as_string(hide_password=True)

    def reading(self) -> AbstractContextManager[sa.Connection]:
        """A connection that sees one state of the database throughout."""
        return self._engine.begin()

    def writing(self) -> AbstractContextManager[sa.Connection]:
        """A connection whose changes come into force together at its end, or not at all after an exception."""
        return self._writer.begin()

    def version(self) -> int:
        """Changes whenever something was written that workers must see. Cheap: read every second."""
        with self._engine.connect() as connection:
            return int(connection.execute(sa.select(state.c.version)).scalar_one())

    def revision(self) -> str | None:
        """Which step the tables are at; None where no step was ever taken."""
        with self._engine.connect() as connection:
            return _revision(connection)

    def migrate(self, revision: str = HEAD) -> None:
        """Bring the tables up to `revision` (or back down to it); nothing to do is one read.

        Raises AccountsError where the database is of a later release than this one.
        """
        with self._engine.connect() as connection:
            if _revision(connection) == revision:
                return
        from tidegate.accounts.migrations import run

        with self.writing() as connection:
            if not self.is_sqlite:
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(MIGRATION_LOCK)))
            seen, chain = _revision(connection), run.chain()
            if seen is not None and seen not in chain:
                raise AccountsError(
                    f"the accounts database is at revision {seen}, which this release does not know (its newest is "
                    f"{chain[-1]}): install the release that wrote it, or a later one"
                )
            if seen is None or seen < revision:
                run.upgrade(connection, revision)
            elif seen > revision:
                run.downgrade(connection, revision)

    def close(self) -> None:
        self._engine.dispose()


def open_database(url: str) -> Database:
    """Open a database and bring it up to date; several processes may do so at one moment.

    Raises ConfigError where the URL cannot be used, AccountsError where the database is of a later release.
    """
    database = Database(url)
    try:
        database.migrate()
    except BaseException:  # passed on: only the connections are given back
        database.close()
        raise
    return database


def url_in(home: Path) -> str:
    """The database of an installation that was not told another."""
    return f"sqlite:///{home / 'accounts.sqlite'}"


def touch(connection: sa.Connection) -> int:
    """Say to all workers that something changed; the new version. In the transaction of the change, before it.

    Versions come into force in their order: who touches next waits until this transaction has ended.
    """
    bumped = sa.update(state).values(version=state.c.version + 1).returning(state.c.version)
    return int(connection.execute(bumped).scalar_one())


def _revision(connection: sa.Connection) -> str | None:
    """None where no step was ever taken."""
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    found = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
    return None if found is None else str(found)


def _engine(url: str) -> sa.Engine:
    """hide_parameters: hashes and sealed secrets never show in an error."""
    try:
        parsed = sa.engine.make_url(url)
    except sa.exc.ArgumentError:
        parsed = None
    backend = parsed.get_backend_name() if parsed is not None else ""
    if parsed is None or backend not in {"sqlite", "postgresql", "postgres"}:
        raise ConfigError(
            "accounts.database_url is no database that can be used: write "
            "postgresql://user:password@host/name, or sqlite:////path/of/a/file"
        )
    if backend == "sqlite":
        _make_private(parsed.database)
        engine = sa.create_engine(parsed, hide_parameters=True, connect_args={"timeout": BUSY_S})
        sa.event.listen(engine, "connect", _prepare_sqlite)
        sa.event.listen(engine, "begin", _begin_sqlite)
        return engine
    try:
        return sa.create_engine(
            parsed.set(drivername="postgresql+psycopg"),
            hide_parameters=True,
            pool_pre_ping=True,
            connect_args={"connect_timeout": CONNECT_S, "tcp_user_timeout": ANSWER_MS},
        )
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"accounts.database_url names PostgreSQL, and {error.name} is not installed: "
            "pip install 'tidegate[postgres]'"
        ) from error


def _make_private(file: str | None) -> None:
    """A new database is its owner's alone to read. What else is wrong with its place, SQLite says.

    O_EXCL: a file that is there must not be opened, for POSIX lets go of all locks that a process has on a file when
    it closes any descriptor of it. SQLite's would be gone, the next process to leave would take itself for the last
    one and delete the write-ahead log, and what this one then commits would be lost.
    """
    with suppress(OSError):
        if file and file != ":memory:" and not file.startswith("file:"):
            os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))


def _prepare_sqlite(connection: sqlite3.Connection, _: Any) -> None:
    """Readers beside a writer (WAL), and every commit on the disk before it counts: these are people's balances."""
    connection.isolation_level = None  # transactions begin where `_begin_sqlite` says, also those with DDL
    connection.execute("PRAGMA foreign_keys=ON")
    try:
        connection.execute("PRAGMA journal_mode=WAL")
    except sqlite3.OperationalError as error:
        if "locked" not in str(error):  # another process is switching it over this moment; it holds for all
            raise
    connection.execute("PRAGMA synchronous=FULL")


def _begin_sqlite(connection: sa.Connection) -> None:
    is_writing = connection.get_execution_options().get("is_writing")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if is_writing else "BEGIN")
