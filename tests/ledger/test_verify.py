"""verify names whatever is not as it was sealed: each test does to a ledger what an owner or a disk could do."""

import os
import shutil
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ledger_calls import DAY_US, NOW_US, make_intent, make_row, open_writer, write_calls

from tidegate.core.errors import LedgerError
from tidegate.ledger.chain import check_chain
from tidegate.ledger.manifest import Entry, Head, digest, encode_entry, encode_head
from tidegate.ledger.parquet import open_engine, sha256_of
from tidegate.ledger.seal import seal
from tidegate.ledger.store import Ledger
from tidegate.ledger.verify import verify

SEGMENTS = 4


@pytest.fixture(scope="module")
def sealed(tmp_path_factory):
    """Four sealed segments (the last over two days), an import and a rollup: six entries."""
    ledger = Ledger.create(tmp_path_factory.mktemp("sealed") / "ledger")
    for segment in range(SEGMENTS):
        writer = open_writer(ledger.journal_path, now_us=NOW_US + segment)
        write_calls(writer, range(segment * 20, segment * 20 + 20))
        if segment == SEGMENTS - 1:
            write_calls(writer, range(100, 105), ts=NOW_US + DAY_US)
        writer.close()
        seal(ledger)
    ledger.add_rows([make_row(n, ts=NOW_US - DAY_US) for n in range(10)], (), unit="trace", origin="test")
    connection = ledger.connect()
    ledger.add_rollup("daily_usage", "SELECT DATE '2026-03-23' AS day, 5 AS calls", connection, unit="u", origin="test")
    connection.close()
    return ledger.path


@pytest.fixture
def ledger(sealed, tmp_path):
    shutil.copytree(sealed, tmp_path / "ledger")
    return Ledger.open(tmp_path / "ledger")


def found(ledger, **options):
    """(path, problem) of each finding."""
    return [(finding.path, finding.problem) for finding in verify(Ledger.open(ledger.path), **options).findings]


def row_paths(ledger):
    return [path.relative_to(ledger.path).as_posix() for path in ledger.row_files()]


def swap(one: Path, other: Path) -> None:
    first, second = one.read_bytes(), other.read_bytes()
    one.write_bytes(second)
    other.write_bytes(first)


def rewrite_entry(ledger, number, **changes):
    """What a forger does who knows the format but not how to change every later entry and HEAD."""
    path = ledger.manifest.entry_path(number)
    entry = msgspec.json.decode(path.read_bytes(), type=Entry)
    path.write_bytes(encode_entry(msgspec.structs.replace(entry, **changes)))


def rewrite_rows(path: Path, query: str) -> None:
    """Replace a Parquet file by a query over it ({file})."""
    engine = open_engine()
    new = path.with_suffix(".new")
    chosen = query.replace("{file}", f"read_parquet(['{path}'], hive_partitioning=false)")
    engine.execute(f"COPY ({chosen}) TO '{new}' (FORMAT parquet, COMPRESSION snappy)")
    engine.close()
    new.rename(path)


def test_an_untouched_ledger_is_in_order(ledger):
    result = verify(ledger)
    assert result.findings == []
    assert (result.entries, result.rows) == (6, SEGMENTS * 20 + 5 + 10)
    assert result.head == sha256_of(ledger.manifest.entry_path(6))


def test_an_empty_ledger_is_in_order(tmp_path):
    result = verify(Ledger.create(tmp_path / "new"))
    assert (result.findings, result.files, result.rows) == ([], 0, 0)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_flipped_byte_is_named(sealed, data):
    """One byte, anywhere in a sealed file, a manifest entry or HEAD."""
    files = sorted(p for p in sealed.rglob("*") if p.is_file() and p.name != "seal.lock" and "journal" not in p.parts)
    path = data.draw(st.sampled_from(files))
    content = path.read_bytes()
    offset = data.draw(st.integers(0, len(content) - 1))
    mask = data.draw(st.integers(1, 255))
    name = path.relative_to(sealed).as_posix()
    path.write_bytes(content[:offset] + bytes([content[offset] ^ mask]) + content[offset + 1 :])
    try:
        findings = [finding.path for finding in verify(Ledger.open(sealed), quick=data.draw(st.booleans())).findings]
    except LedgerError as error:
        assert name == "ledger.json" and "ledger.json" in str(error)
    else:
        assert name in findings
        if name.endswith(".parquet"):
            assert findings == [name]  # an entry's flipped byte may also turn its files into strangers
    finally:
        path.write_bytes(content)


def test_every_byte_of_the_chain_is_watched(ledger):
    """HEAD, the newest entry and one in the middle, byte by byte."""
    for path in (ledger.manifest.head_path, ledger.manifest.entry_path(6), ledger.manifest.entry_path(2)):
        content = path.read_bytes()
        for offset in range(len(content)):
            path.write_bytes(content[:offset] + bytes([content[offset] ^ 1]) + content[offset + 1 :])
            named = {finding.path for finding in check_chain(ledger.manifest).findings}
            assert named == {path.relative_to(ledger.path).as_posix()}, offset
        path.write_bytes(content)


def test_a_deleted_file_is_named(ledger):
    for path in row_paths(ledger):
        (ledger.path / path).rename(ledger.path / "aside")
        assert found(ledger) == [(path, "missing")]
        (ledger.path / "aside").rename(ledger.path / path)


def test_two_swapped_files_are_both_named(ledger):
    one, other = row_paths(ledger)[1:3]
    swap(ledger.path / one, ledger.path / other)
    result = verify(ledger).findings
    assert [(finding.path, finding.problem, finding.seen) for finding in result] == [
        (one, "swapped", f"the bytes of {other}"),
        (other, "swapped", f"the bytes of {one}"),
    ]


def test_a_file_under_another_name_is_named_with_its_new_name(ledger):
    path = row_paths(ledger)[1]
    (ledger.path / path).rename(ledger.path / "rows" / "elsewhere.parquet")
    (missing, orphan) = verify(ledger).findings
    assert (missing.path, missing.seen) == (path, "moved to rows/elsewhere.parquet")
    assert (orphan.path, orphan.problem) == ("rows/elsewhere.parquet", "orphan")


def test_a_file_that_no_entry_names_is_named(ledger):
    """Rows slipped in beside the sealed ones."""
    first = row_paths(ledger)[1]
    shutil.copy(ledger.path / first, ledger.path / "rows/dt=2026-03-23/gw-0009-1.parquet")
    assert found(ledger) == [("rows/dt=2026-03-23/gw-0009-1.parquet", "orphan")]


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("SELECT * FROM {file} ORDER BY generation_id DESC", "the same rows in another order"),
        ("SELECT * FROM {file}", "its rows are the same: the file was written anew"),
        ("SELECT * FROM {file} WHERE segment_seq <> 7", "19 rows instead of 20; missing segment_seq 7"),
        ("SELECT * FROM {file} UNION ALL SELECT * FROM {file} WHERE segment_seq = 3", "inserted segment_seq 3"),
        (
            "SELECT * FROM {file} UNION ALL SELECT * REPLACE (20 AS segment_seq, 'ffff' AS generation_id) FROM {file} "
            "WHERE segment_seq = 3",
            "inserted segment_seq 20; not sealed here: ffff",
        ),
        ("SELECT * REPLACE (0 AS cost_nano_usd) FROM {file}", "as many rows, but not the same"),
        ("SELECT *, 1 AS extra FROM {file}", "columns that this version does not know (extra)"),
    ],
)
def test_changed_rows_are_told_apart(ledger, query, told):
    """Deleted, inserted, reordered, edited: what can be told from the rows themselves is told."""
    path = row_paths(ledger)[1]
    rewrite_rows(ledger.path / path, query)
    (finding,) = verify(ledger).findings
    assert (finding.path, finding.problem) == (path, "changed")
    assert told in finding.seen


def test_a_forged_entry_for_changed_rows_is_caught_by_the_chain(ledger):
    """The forger deletes a row and writes the new hash, size and count into the entry."""
    path = row_paths(ledger)[1]
    rewrite_rows(ledger.path / path, "SELECT * FROM {file} WHERE segment_seq <> 7")
    changed = ledger.path / path
    entry = ledger.entries()[0]
    files = tuple(
        msgspec.structs.replace(file, sha256=sha256_of(changed), bytes=changed.stat().st_size, rows=19)
        if file.path == path
        else file
        for file in entry.files
    )
    rewrite_entry(ledger, 1, files=files)
    assert found(ledger) == [("manifest/00000001.json", "changed"), (path, "rows")]
    assert found(ledger, quick=True) == [("manifest/00000001.json", "changed")]


def test_swapped_entries_are_both_named(ledger):
    swap(ledger.manifest.entry_path(2), ledger.manifest.entry_path(3))
    assert sorted(found(ledger)) == [("manifest/00000002.json", "swapped"), ("manifest/00000003.json", "swapped")]


def test_a_deleted_entry_is_named_and_its_files_are_orphans(ledger):
    entry = ledger.entries()[1]
    ledger.manifest.entry_path(2).unlink()
    expected = [("manifest/00000002.json", "missing"), *sorted((file.path, "orphan") for file in entry.files)]
    assert found(ledger) == expected


def test_the_deleted_newest_entry_is_named(ledger):
    """Nothing follows it; HEAD remembers."""
    ledger.manifest.entry_path(6).unlink()
    assert found(ledger) == [("manifest/00000006.json", "missing"), ("rollups/daily_usage/u.parquet", "orphan")]


def test_the_newest_segment_deleted_with_its_entry_is_named(ledger):
    for number in (6, 5, 4):
        for file in ledger.entries()[number - 1].files:
            (ledger.path / file.path).unlink()
        ledger.manifest.entry_path(number).unlink()
    assert [path for path, problem in found(ledger) if problem == "missing"] == [
        f"manifest/0000000{number}.json" for number in (6, 5, 4)
    ]


def test_an_inserted_entry_is_named(ledger):
    """The later ones renumbered to make room."""
    entries = ledger.entries()
    for number in (6, 5, 4, 3):
        ledger.manifest.entry_path(number + 1).write_bytes(encode_entry(entries[number - 1]))
    rewrite_entry(ledger, 3, unit="slipped-in", files=())
    paths = {path for path, _ in found(ledger)}
    assert "manifest/00000003.json" in paths or "manifest/00000007.json" in paths
    assert "manifest/HEAD" in paths


def test_a_deleted_head_is_named(ledger):
    ledger.manifest.head_path.unlink()
    assert found(ledger) == [("manifest/HEAD", "missing")]


def test_an_older_head_is_named(ledger):
    """Either a crash came between entry and HEAD, or somebody put an old HEAD back."""
    entry = ledger.entries()[5]
    head = Head(ledger_id=ledger.ledger_id, number=5, sha256=entry.previous)
    ledger.manifest.head_path.write_bytes(encode_head(head))
    assert found(ledger) == [("manifest/HEAD", "behind")]
    seal(Ledger.open(ledger.path))
    assert found(ledger) == []


def test_the_head_of_another_ledger_is_named(ledger, tmp_path):
    other = Ledger.create(tmp_path / "other")
    shutil.copy(other.manifest.head_path, ledger.manifest.head_path)
    assert ("manifest/HEAD", "changed") in found(ledger)


def test_another_beginning_is_named(ledger):
    """ledger.json is where the chain begins."""
    path = ledger.path / "ledger.json"
    path.write_bytes(path.read_bytes() + b"\n")
    assert found(ledger) == [("ledger.json", "changed")]


def test_two_changed_entries_in_a_row_are_both_named(ledger):
    for number in (3, 4):
        rewrite_entry(ledger, number, created="2020-01-01T00:00:00Z")
    assert {path for path, _ in found(ledger)} == {"manifest/00000003.json", "manifest/00000004.json"}


def test_a_stranger_in_the_manifest_is_named(ledger):
    (ledger.path / "manifest" / "notes.txt").write_text("hello")
    assert found(ledger) == [("manifest/notes.txt", "orphan")]


def test_damaged_journal_lines_are_named(ledger):
    """What is not sealed yet counts too; a line that a living writer is in the middle of does not."""
    writer = open_writer(ledger.journal_path, now_us=NOW_US + 99)
    write_calls(writer, range(200, 203))
    closed = writer.close()
    content = closed.read_bytes()
    closed.write_bytes(content.replace(b"1201", b"9201", 1))
    living = open_writer(ledger.journal_path, now_us=NOW_US + 100)
    living.append(make_intent(300))
    living.flush()
    with living.path.open("ab") as file:
        file.write(b'{"crc":"12')
    (finding,) = verify(ledger).findings
    assert (finding.path, finding.problem) == (f"journal/{closed.name}", "damaged")
    assert "line 3 " in finding.expected and "checksum" in finding.seen
    living._waiting.clear()
    living.close()


def test_nothing_is_added_to_a_ledger_in_doubt(ledger):
    """Sealing on top of a damaged chain would bury the damage. The journal keeps the rows meanwhile."""
    ledger.manifest.entry_path(6).unlink()
    writer = open_writer(ledger.journal_path, now_us=NOW_US + 99)
    write_calls(writer, range(200, 203))
    closed = writer.close()
    with pytest.raises(LedgerError, match="in doubt"):
        seal(Ledger.open(ledger.path))
    assert closed.exists()


def test_verify_changes_nothing(ledger):
    def snapshot():
        return {path: path.read_bytes() for path in ledger.path.rglob("*") if path.is_file()}

    verify(ledger)  # makes the lock file
    before = snapshot()
    verify(ledger)
    assert snapshot() == before


def test_hashes_are_what_sha256sum_says(ledger):
    """The evidence can be checked without this program."""
    import hashlib

    for file in (file for entry in ledger.entries() for file in entry.files):
        assert hashlib.sha256((ledger.path / file.path).read_bytes()).hexdigest() == file.sha256
    previous = digest((ledger.path / "ledger.json").read_bytes())
    for entry in ledger.entries():
        assert entry.previous == previous
        previous = hashlib.sha256(ledger.manifest.entry_path(entry.number).read_bytes()).hexdigest()


@pytest.mark.parametrize("place", ["a sealed file", "a manifest entry", "beside the sealed files"])
@pytest.mark.parametrize("what", ["pipe", "folder", "dangling link"])
def test_what_is_no_file_is_named(ledger, what, place):
    """A pipe must not make verification wait for ever, nor a broken link end it."""
    file = ledger.row_files()[0]
    beside = file.with_name("stranger.parquet")
    path = {"a sealed file": file, "a manifest entry": ledger.manifest.entry_path(1)}.get(place, beside)
    path.unlink(missing_ok=True)
    if what == "pipe":
        os.mkfifo(path)
    elif what == "folder":
        path.mkdir()
    else:
        path.symlink_to("/nonexistent")
    named = {name for name, _ in found(ledger)}
    is_harmless = what == "folder" and path == beside  # it holds nothing
    assert (path.relative_to(ledger.path).as_posix() in named) != is_harmless
