"""What a worker knows of keys is what the database says, however it got there; and it knows within two seconds."""

import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate.accounts import schema, snapshot
from tidegate.accounts.keys import Accounts, Key, KeyChange, KeyWish
from tidegate.accounts.packed import Pack, PackHead, open_pack, pack_in_file, pack_in_memory
from tidegate.accounts.snapshot import KeySnapshot
from tidegate.accounts.tenancy import ProjectChange, TenantChange, update_project, update_tenant
from tidegate.accounts.watch import Watch
from tidegate.gateway.keyring import KeyRing

HEAD = PackHead(database_id="d" * 32, version=7)
HASHES = st.binary(min_size=32, max_size=32)


def look(snapshot: KeySnapshot, accounts: Accounts) -> None:
    """What `Watch` does."""
    with accounts.database.reading() as connection:
        if publish := snapshot.read(connection):
            publish()


def eventually(holds: Callable[[], bool], *, within_s: float) -> None:
    deadline = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline, f"not true within {within_s} s"
        time.sleep(0.02)


# -- packs ----------------------------------------------------------------------------------------------------------


@given(st.dictionaries(HASHES, st.binary(max_size=40), max_size=60), HASHES)
def test_a_pack_finds_what_was_packed_and_nothing_else(keys: dict[bytes, bytes], other: bytes) -> None:
    """As a dict would."""
    pack = pack_in_memory(HEAD, [[(hashed, keys[hashed], 1) for hashed in sorted(keys)]] if keys else [])
    assert {hashed: pack.find(hashed) for hashed in keys} == keys
    assert pack.find(other) == keys.get(other)
    assert (pack.count, pack.head.version, pack.head.changed_sum) == (len(keys), 7, len(keys))


def test_a_pack_is_not_fooled_by_a_hash_that_lies_across_two_others() -> None:
    """They stand one after another; only every 32nd byte begins one."""
    across = bytes(32)
    first, second = b"\x00" * 31 + b"\x01", b"\x00\x00\x01" + b"\x00" * 29
    pack = pack_in_memory(HEAD, [[(first, b"first", 1), (second, b"second", 1)]])
    assert (pack.find(first), pack.find(second), pack.find(across)) == (b"first", b"second", None)


def test_a_pack_that_was_not_written_whole_is_none(tmp_path: Path) -> None:
    """A full disk or a lost machine; it is packed again."""
    path = tmp_path / "pack"
    made = pack_in_file(path, HEAD, [[(bytes([n]) * 32, b"r%d" % n, 1) for n in range(50)]])
    assert made.find(b"\x07" * 32) == b"r7"
    assert path.stat().st_mode & 0o777 == 0o600
    whole = path.read_bytes()
    for damaged in (b"", whole[:20], whole[:-1], whole[: len(whole) // 2], b"x" + whole[1:], whole + b"x"):
        path.write_bytes(damaged)
        assert open_pack(path) is None
    with pytest.raises(ValueError, match="pack"):
        Pack(whole[:-8])
    assert open_pack(tmp_path / "absent") is None


# -- the snapshot ---------------------------------------------------------------------------------------------------


def test_a_snapshot_knows_all_of_a_key_that_a_call_needs(accounts: Accounts) -> None:
    """Limits, project, prices, the country that is billed."""
    wish = KeyWish(
        name='it\'s "a" key, 钥匙', tenant_id="acme", project_id="web", expires_us=2**60, billing_country="DE",
        price_group="vip", models=("acme/*", "b"), providers=("p1", "p2"), networks=("10.0.0.0/8", "2001:db8::/32"),
    )  # fmt: skip
    made = accounts.add_key(wish)
    found = KeySnapshot(accounts).find(accounts.hash_secret(made.secret))
    assert found is not None and found.key_id == made.key_id
    assert {name: getattr(found, name) for name in wish.__struct_fields__} == msgspec.structs.asdict(wish)


def test_a_change_is_known_at_the_next_look(accounts: Accounts) -> None:
    """New, disabled, enabled, limited, revoked: each without reading the other keys again."""
    snapshot = KeySnapshot(accounts)
    made = accounts.create_key("a", tenant_id="acme")
    hashed = accounts.hash_secret(made.secret)
    assert snapshot.find(hashed) is None
    look(snapshot, accounts)
    assert snapshot.find(hashed) is not None
    accounts.update_key(made.key_id, KeyChange(is_enabled=False))
    look(snapshot, accounts)
    assert snapshot.find(hashed) is None
    accounts.update_key(made.key_id, KeyChange(is_enabled=True, models=("x",)))
    look(snapshot, accounts)
    assert snapshot.find(hashed).models == ("x",)
    accounts.revoke_key(made.key_id)
    look(snapshot, accounts)
    assert snapshot.find(hashed) is None
    assert KeySnapshot(accounts).find(hashed) is None


def test_a_disabled_tenant_or_project_opens_nothing_until_it_is_enabled(accounts: Accounts) -> None:
    """All its keys, and no other's."""
    one = accounts.hash_secret(accounts.create_key("a", tenant_id="acme", project_id="web").secret)
    two = accounts.hash_secret(accounts.create_key("b", tenant_id="acme", project_id="app").secret)
    other = accounts.hash_secret(accounts.create_key("c", tenant_id="other", project_id="web").secret)
    snapshot = KeySnapshot(accounts)

    def open_ones() -> list[bool]:
        look(snapshot, accounts)
        held = [snapshot.find(hashed) is not None for hashed in (one, two, other)]
        fresh = KeySnapshot(accounts)
        assert held == [fresh.find(hashed) is not None for hashed in (one, two, other)]
        return held

    assert open_ones() == [True, True, True]
    update_project(accounts.database, "acme", "web", ProjectChange(is_enabled=False))
    assert open_ones() == [False, True, True]
    update_tenant(accounts.database, "acme", TenantChange(is_enabled=False))
    assert open_ones() == [False, False, True]
    update_tenant(accounts.database, "acme", TenantChange(is_enabled=True))
    assert open_ones() == [False, True, True]
    update_project(accounts.database, "acme", "web", ProjectChange(is_enabled=True))
    assert open_ones() == [True, True, True]


def test_a_rotated_keys_former_secret_ends_when_it_was_told_to(accounts: Accounts) -> None:
    """Callers change over one by one; after the overlap the old secret opens nothing, whenever a worker started."""
    made = accounts.create_key("a")
    early = KeySnapshot(accounts)
    second = accounts.rotate_key(made.key_id, overlap_s=3600)
    third = accounts.rotate_key(made.key_id)
    hashes = [accounts.hash_secret(secret) for secret in (made.secret, second.secret, third.secret)]
    look(early, accounts)
    for worker in (early, KeySnapshot(accounts)):
        first, middle, last = (worker.find(hashed) for hashed in hashes)
        assert first is not None and first.key_id == made.key_id and last is not None and last.expires_us is None
        assert 3590e6 < first.expires_us - time.time_ns() // 1000 <= 3600e6
        assert middle is None or not middle.is_valid(time.time_ns() // 1000)
    accounts.revoke_key(made.key_id)
    look(early, accounts)
    for worker in (early, KeySnapshot(accounts)):
        assert [worker.find(hashed) for hashed in hashes] == [None] * 3


def test_the_revision_tells_of_keys_that_were_known_and_not_of_new_ones(accounts: Accounts) -> None:
    """Connections remember their key by it: a busy reseller who makes keys all day must not slow them down."""
    made = accounts.create_key("a")
    snapshot = KeySnapshot(accounts)
    before = snapshot.revision
    accounts.create_key("b")
    look(snapshot, accounts)
    assert snapshot.revision == before
    accounts.update_key(made.key_id, KeyChange(name="c"))
    look(snapshot, accounts)
    assert snapshot.revision == before + 1


ACTS = st.lists(
    st.tuples(st.sampled_from(["new", "off", "on", "rotate", "revoke", "start", "look"]), st.integers(0, 9))
)


@settings(max_examples=12)
@given(acts=ACTS)
def test_old_and_new_workers_know_the_same_keys(acts: list[tuple[str, int]], tmp_path_factory) -> None:
    """However keys changed, and whenever a worker packed, mapped or looked: what it finds is what the database says."""
    home = tmp_path_factory.mktemp("home")
    accounts = Accounts(f"sqlite:///{home / 'a.sqlite'}", b"p" * 32, home)
    secrets, ids = [], []
    kept = (snapshot.FILE_KEYS_MIN, snapshot.CHANGES_MAX)
    snapshot.FILE_KEYS_MIN, snapshot.CHANGES_MAX = 2, 3  # small numbers meet every case
    try:
        workers = [KeySnapshot(accounts)]
        for act, number in acts:
            key_id = ids[number % len(ids)] if ids else ""
            if act == "new":
                made = accounts.create_key("k")
                ids.append(made.key_id)
                secrets.append(made.secret)
            elif act == "start":
                workers.append(KeySnapshot(accounts))
            elif act == "look":
                look(workers[number % len(workers)], accounts)
            elif key_id and accounts.key(key_id).revoked_us is None:
                if act == "revoke":
                    accounts.revoke_key(key_id)
                elif act == "rotate":
                    secrets.append(accounts.rotate_key(key_id, overlap_s=3600 * (number % 2)).secret)
                else:
                    accounts.update_key(key_id, KeyChange(is_enabled=act == "on"))
        workers.append(KeySnapshot(accounts))
        now = time.time_ns() // 1000

        def usable(key: Key | None) -> str | None:
            return key.key_id if key is not None and key.is_valid(now) else None

        expected = [usable(accounts.find_key(secret)) for secret in secrets]
        for worker in workers:
            look(worker, accounts)
            assert [usable(worker.find(accounts.hash_secret(secret))) for secret in secrets] == expected
    finally:
        snapshot.FILE_KEYS_MIN, snapshot.CHANGES_MAX = kept
        accounts.close()


def test_a_database_put_back_to_an_older_copy_is_packed_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The pack beside it knows keys, and revocations, that the older copy does not."""
    monkeypatch.setattr(snapshot, "FILE_KEYS_MIN", 1)
    accounts = Accounts(f"sqlite:///{tmp_path / 'a.sqlite'}", b"p" * 32, tmp_path)
    revoked, lost = accounts.create_key("revoked later"), None
    accounts.close()
    shutil.copy(tmp_path / "a.sqlite", tmp_path / "backup")
    accounts = Accounts(f"sqlite:///{tmp_path / 'a.sqlite'}", b"p" * 32, tmp_path)
    accounts.revoke_key(revoked.key_id)
    lost = accounts.create_key("made after the copy")
    KeySnapshot(accounts)
    accounts.close()
    shutil.copy(tmp_path / "backup", tmp_path / "a.sqlite")
    accounts = Accounts(f"sqlite:///{tmp_path / 'a.sqlite'}", b"p" * 32, tmp_path)
    for _ in range(4):  # as many changes again, or more
        made = accounts.create_key("made in the copy")
        worker = KeySnapshot(accounts)
        assert worker.find(accounts.hash_secret(revoked.secret)) is not None
        assert worker.find(accounts.hash_secret(lost.secret)) is None
        assert worker.find(accounts.hash_secret(made.secret)) is not None
    accounts.close()


def test_many_keys_are_packed_once_and_then_mapped(
    accounts: Accounts, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A million take seconds to pack; workers that start together wait for the first, and later ones read the file."""
    caplog.set_level("INFO")
    monkeypatch.setattr(snapshot, "FILE_KEYS_MIN", 1000)
    rows = [
        {
            "key_id": f"key_{number}", "tenant_id": "t", "project_id": "p", "name": "n", "hint": "", "created_us": 1,
            "secret_hash": accounts.hash_secret(f"s{number}"), "changed": 1,
        }
        for number in range(3000)
    ]  # fmt: skip
    with accounts.database.writing() as connection:
        connection.execute(sa.insert(schema.keys), rows)
    started: list[KeySnapshot] = []
    threads = [threading.Thread(target=lambda: started.append(KeySnapshot(accounts))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    started.append(KeySnapshot(accounts))
    assert [record.message[:16] for record in caplog.records].count("packed 3000 keys") == 1
    for worker in started:
        assert all(worker.find(accounts.hash_secret(f"s{number}")).key_id == f"key_{number}" for number in range(3000))


def test_a_home_that_cannot_be_written_costs_memory_and_no_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A read-only disk or a full one."""
    monkeypatch.setattr(snapshot, "FILE_KEYS_MIN", 1)
    accounts = Accounts(f"sqlite:///{tmp_path / 'a.sqlite'}", b"p" * 32, tmp_path / "absent")
    made = accounts.create_key("a")
    assert KeySnapshot(accounts).find(accounts.hash_secret(made.secret)) is not None
    assert "kept in memory" in caplog.text
    accounts.close()


# -- the watch ------------------------------------------------------------------------------------------------------


def test_a_change_is_in_force_within_two_seconds_without_anybody_asking(accounts: Accounts) -> None:
    """A thread looks; what it found is put into force by whoever runs the loop."""
    loop: list[Callable[[], None]] = []
    snapshot = KeySnapshot(accounts)
    watch = Watch(accounts.database)
    watch.add(snapshot.read)
    watch.start(loop.append)

    def run_loop_until(holds: Callable[[], bool]) -> bool:
        while loop:
            loop.pop(0)()
        return holds()

    made = accounts.create_key("a")
    hashed = accounts.hash_secret(made.secret)
    eventually(lambda: run_loop_until(lambda: snapshot.find(hashed) is not None), within_s=2)
    accounts.revoke_key(made.key_id)
    eventually(lambda: run_loop_until(lambda: snapshot.find(hashed) is None), within_s=2)
    watch.close()


def test_readers_change_together_and_one_that_fails_is_asked_again(accounts: Accounts) -> None:
    """A key and its quota come into force at one moment; a database that fails leaves both as they were."""
    watch = Watch(accounts.database)
    seen: list[str] = []
    failures = [sa.exc.OperationalError("select", {}, Exception("gone"))]
    watch.add(lambda connection: lambda: seen.append("one"))
    watch.add(lambda connection: lambda: seen.append("two"))
    watch.look()
    seen.clear()

    def failing(connection: sa.Connection) -> Callable[[], object]:
        if failures and accounts.database.version() > 1:
            raise failures.pop()
        return lambda: seen.append("three")

    watch.add(failing)
    seen.clear()
    accounts.create_key("a")
    watch.look()
    assert seen == []
    watch.look()
    assert seen == ["one", "two", "three"]
    watch.look()
    assert seen == ["one", "two", "three"]


def test_a_reader_that_breaks_does_not_end_the_watch(accounts: Accounts, caplog: pytest.LogCaptureFixture) -> None:
    """A mistake in one part must not let revoked keys go on: the others are kept up, and the log has it."""
    keys, broken = KeySnapshot(accounts), [False, False]
    watch = Watch(accounts.database)
    watch.add(keys.read)

    def reader(connection: sa.Connection) -> Callable[[], object]:
        if broken[0]:
            raise KeyError("read")

        def publish() -> None:
            if broken[1]:
                raise KeyError("publish")

        return publish

    watch.add(reader)
    made = accounts.create_key("a")
    hashed = accounts.hash_secret(made.secret)
    broken[:] = [True, False]
    watch.look()
    assert keys.find(hashed) is None and "cannot be read" in caplog.text
    broken[:] = [False, True]
    watch.look()
    assert keys.find(hashed) is not None and "cannot be put into force" in caplog.text
    broken[:] = [False, False]
    accounts.revoke_key(made.key_id)
    watch.look()
    assert keys.find(hashed) is None


def test_a_database_that_goes_away_leaves_what_is_known_and_its_return_is_noticed(
    tmp_path: Path, postgres, caplog: pytest.LogCaptureFixture
) -> None:
    """Calls go on with the last keys; one line says so, not one a look."""
    accounts = Accounts(postgres.copy(), b"p" * 32, tmp_path)
    made = accounts.create_key("a")
    snapshot = KeySnapshot(accounts)
    watch = Watch(accounts.database)
    watch.add(snapshot.read)
    with accounts.database.writing() as connection:
        connection.exec_driver_sql("ALTER TABLE accounts_state RENAME TO away")
    watch.look()
    watch.look()
    assert snapshot.find(accounts.hash_secret(made.secret)) is not None
    assert [record.message for record in caplog.records if "cannot be read" in record.message][1:] == []
    with accounts.database.writing() as connection:
        connection.exec_driver_sql("ALTER TABLE away RENAME TO accounts_state")
    accounts.revoke_key(made.key_id)
    watch.look()
    assert snapshot.find(accounts.hash_secret(made.secret)) is None
    assert "can be read again" in caplog.text
    accounts.close()


def test_a_call_that_brings_an_unknown_key_does_not_wait_for_a_million_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody imports keys while the gateway runs: the thread packs them, not the loop."""
    monkeypatch.setattr(snapshot, "CHANGES_MAX", 2)
    accounts = Accounts(f"sqlite:///{tmp_path / 'a.sqlite'}", b"p" * 32, tmp_path)
    ring, loop = KeyRing(accounts), []
    ring.watch.start(loop.append)
    made = [accounts.create_key("k").secret.encode() for _ in range(4)]
    ring.watch.look(is_hasty=True)

    def known() -> bool:
        while loop:
            loop.pop(0)()
        return all(ring.find(secret) is not None for secret in made)

    eventually(known, within_s=2)
    few = accounts.create_key("one more").secret.encode()
    assert ring.find(few) is not None, "one new key is looked for on the spot"
    ring.watch.close()
    accounts.close()
