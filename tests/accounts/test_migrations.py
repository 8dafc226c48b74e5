"""Every step of the accounts database, up and back, on both engines, from a database of the first release."""

import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from rig.stores import Postgres
from tidegate.accounts.database import HEAD, Database, open_database, touch
from tidegate.accounts.keys import Accounts, KeyChange, open_accounts
from tidegate.accounts.migrations.run import chain
from tidegate.accounts.schema import metadata
from tidegate.accounts.tenancy import TenantChange, list_projects, list_tenants, update_tenant
from tidegate.core.errors import AccountsError, ConfigError

PEPPER = b"p" * 32
FIRST_RELEASE = """
CREATE TABLE keys (
    key_id VARCHAR(40) NOT NULL PRIMARY KEY, tenant_id VARCHAR(64) NOT NULL, project_id VARCHAR(64) NOT NULL,
    name VARCHAR(128) NOT NULL, secret_hash {bytes} NOT NULL UNIQUE, hint VARCHAR(24) NOT NULL,
    created_us BIGINT NOT NULL, expires_us BIGINT, revoked_us BIGINT, billing_country VARCHAR(2)
)"""
FIRST_KEY = sa.text(
    "INSERT INTO keys VALUES ('key_1', 'Acme Inc', 'web', 'laptop', :hash, 'tg...', 7, NULL, NULL, 'DE')"
)


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of each engine."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'a.sqlite'}"
    server: Postgres = request.getfixturevalue("postgres")
    return server.create()


def first_release(url: str) -> None:
    """The tables as the first release made them, with one key, whose secret is `old`."""
    database = Database(url)
    with database.writing() as connection:
        connection.exec_driver_sql(FIRST_RELEASE.format(bytes="BLOB" if database.is_sqlite else "BYTEA"))
        connection.execute(FIRST_KEY, {"hash": hash_of("old")})
    database.close()


def hash_of(secret: str) -> bytes:
    import hashlib

    return hashlib.blake2b(secret.encode(), key=PEPPER, digest_size=32).digest()


def tables(database: Database) -> set[str]:
    with database.reading() as connection:
        return set(sa.inspect(connection).get_table_names()) - {"alembic_version"}


def test_the_newest_step_is_the_one_that_this_release_reads() -> None:
    """`HEAD` saves a worker from loading alembic; it must not fall behind."""
    assert chain() == [f"{number:04}" for number in range(1, len(chain()) + 1)]
    assert chain()[-1] == HEAD


def test_the_steps_make_the_tables_that_the_code_reads(url: str) -> None:
    """Column by column, index by index: the second statement of each table agrees with the first."""
    database = open_database(url)
    with database.reading() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    database.close()


def test_a_database_of_the_first_release_is_upgraded_at_open_and_its_keys_go_on(url: str) -> None:
    """In place; a tenant's name that would not be accepted today stays."""
    first_release(url)
    accounts = Accounts(url, PEPPER)
    found = accounts.find_key("old")
    assert found is not None and (found.key_id, found.tenant_id, found.models) == ("key_1", "Acme Inc", ())
    assert found.is_valid(time.time_ns() // 1000)
    assert [tenant.tenant_id for tenant in list_tenants(accounts.database)] == ["Acme Inc"]
    assert [project.project_id for project in list_projects(accounts.database)] == ["web"]
    accounts.create_key("second", tenant_id="Acme Inc")
    accounts.close()


@pytest.mark.parametrize("step", chain()[1:])
def test_each_step_can_be_taken_back_and_taken_again(url: str, step: str) -> None:
    """A release that disappoints is rolled back, and its successor installed; the keys stay."""
    first_release(url)
    before = f"{int(step) - 1:04}"
    database = Database(url)
    database.migrate(before)
    below = tables(database)
    database.migrate(step)
    above = tables(database)
    database.migrate(before)
    assert tables(database) == below
    database.migrate(step)
    assert tables(database) == above
    database.migrate()
    with database.reading() as connection:
        assert connection.exec_driver_sql("SELECT key_id FROM keys").scalar_one() == "key_1"
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    database.close()


def test_a_database_rolled_back_to_the_first_release_is_as_that_release_knew_it(url: str) -> None:
    """A key that the first release could not keep out is revoked there; the others open as before."""
    first_release(url)
    accounts = Accounts(url, PEPPER)
    disabled = accounts.create_key("disabled", tenant_id="a")
    limited = accounts.create_key("limited", tenant_id="a")
    accounts.create_key("of a disabled tenant", tenant_id="b")
    accounts.create_key("plain", tenant_id="a")
    accounts.update_key(disabled.key_id, KeyChange(is_enabled=False))
    accounts.update_key(limited.key_id, KeyChange(models=("acme/*",)))
    update_tenant(accounts.database, "b", TenantChange(is_enabled=False))
    accounts.database.migrate("0001")
    with accounts.database.reading() as connection:
        assert tables(accounts.database) == {"keys"}
        columns = [column["name"] for column in sa.inspect(connection).get_columns("keys")]
        assert columns == [
            "key_id", "tenant_id", "project_id", "name", "secret_hash", "hint", "created_us", "expires_us",
            "revoked_us", "billing_country",
        ]  # fmt: skip
        open_ones = connection.exec_driver_sql("SELECT name FROM keys WHERE revoked_us IS NULL ORDER BY name")
        assert [row[0] for row in open_ones] == ["laptop", "plain"]
    accounts.close()


def test_a_database_of_a_later_release_is_left_alone(url: str) -> None:
    """Running an old release by mistake must not damage what it does not know."""
    database = open_database(url)
    with database.writing() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(AccountsError, match=r"9999.*install the release"):
        open_database(url)
    with database.reading() as connection:
        assert connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar_one() == "9999"
    database.close()


def test_workers_that_open_an_old_database_together_upgrade_it_once(url: str) -> None:
    """They start at one moment after an update of the package."""
    first_release(url)
    code = "import sys; from tidegate.accounts.database import open_database as o; o(sys.argv[1]).close()"
    started = [subprocess.Popen([sys.executable, "-c", code, url]) for _ in range(3)]
    assert [process.wait(60) for process in started] == [0] * 3
    database = open_database(url)
    assert [tenant.tenant_id for tenant in list_tenants(database)] == ["Acme Inc"]
    database.close()


def test_opening_a_database_that_is_up_to_date_loads_no_migrations(url: str) -> None:
    """A worker starts often; alembic takes 0.2 s to load."""
    open_database(url).close()
    code = (
        "import sys; from tidegate.accounts.database import open_database as o; o(sys.argv[1]).close();"
        "print([name for name in sys.modules if name.startswith('alembic')])"
    )
    done = subprocess.run([sys.executable, "-c", code, url], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_step_that_fails_leaves_the_database_as_it_was(url: str) -> None:
    """All tables of an upgrade come with its end, or none do."""
    first_release(url)
    database = Database(url)
    with database.writing() as connection:
        connection.exec_driver_sql("CREATE TABLE provider_keys (a INTEGER)")  # in the way of a later statement
    before = tables(database)
    with pytest.raises(sa.exc.DBAPIError):
        database.migrate()
    assert tables(database) == before == {"keys", "provider_keys"}
    database.close()


def test_every_touch_is_a_new_version_and_one_that_failed_is_none(url: str) -> None:
    """Workers look at it each second."""
    database = open_database(url)
    before = database.version()
    with database.writing() as connection:
        assert touch(connection) == before + 1
    with pytest.raises(RuntimeError), database.writing() as connection:
        touch(connection)
        raise RuntimeError
    assert database.version() == before + 1
    database.close()


def test_hosts_on_one_database_need_one_secret(postgres: Postgres, tmp_path: Path) -> None:
    """With another secret every key of the other hosts would be unknown, and nobody would know why."""
    url = postgres.create()
    first = open_accounts(tmp_path / "one", url)
    made = first.create_key("a")
    first.close()
    with pytest.raises(ConfigError, match="copy the file `secret`"):
        open_accounts(tmp_path / "two", url)
    second = open_accounts(tmp_path / "two", url, str(tmp_path / "one" / "secret"))
    found = second.find_key(made.secret)
    assert found is not None and found.key_id == made.key_id
    second.close()


@pytest.mark.parametrize("url", ["mysql://a:hidden@b/c", "nonsense", "postgresql//hidden"])
def test_a_database_of_another_kind_is_refused_without_its_password(url: str) -> None:
    """The URL may hold one."""
    with pytest.raises(ConfigError, match=r"accounts\.database_url") as caught:
        open_database(url)
    assert "hidden" not in str(caught.value)


def test_an_error_of_the_database_does_not_show_what_was_to_be_written(tmp_path: Path) -> None:
    """Hashes and sealed keys stay out of logs."""
    database = open_database(f"sqlite:///{tmp_path / 'a.sqlite'}")
    with pytest.raises(sa.exc.IntegrityError) as caught, database.writing() as connection:
        connection.execute(sa.text("INSERT INTO keys (key_id) VALUES (:secret)"), {"secret": "tg-4711"})
    assert "4711" not in str(caught.value)
    database.close()


def test_a_commit_of_sqlite_is_on_the_disk_before_it_counts(tmp_path: Path) -> None:
    """These are people's balances; and readers go on beside a writer."""
    database = open_database(f"sqlite:///{tmp_path / 'a.sqlite'}")
    with database.reading() as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar_one() == 2
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar_one() == "wal"
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar_one() == 1
    with database.writing() as connection:
        touch(connection)
        other = sqlite3.connect(tmp_path / "a.sqlite", timeout=0)
        assert other.execute("SELECT version FROM accounts_state").fetchone() == (1,)
        other.close()
    database.close()


def test_writers_wait_for_each_other_and_every_version_is_one_writers(url: str) -> None:
    """Console, command line and books write at once; what a worker reads by version has no gaps."""
    database = open_database(url)
    seen: list[int] = []

    def write() -> None:
        for _ in range(10):
            with database.writing() as connection:
                seen.append(touch(connection))

    threads = [threading.Thread(target=write) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(seen) == list(range(2, 62)) and database.version() == 61
    database.close()
