"""The schema: columns, canonical bytes, and what happens when a column is added."""

import contextlib
import json
import tempfile
from pathlib import Path

import msgspec
from hypothesis import given, settings
from ledger_calls import make_attempt, make_row, rows

from tidegate.core.row import Attempt, Row, TaskTag
from tidegate.ledger.parquet import Held, copy_records, open_engine, read_records
from tidegate.ledger.schema import canonical_bytes, columns, files_select, render_reference


def slow_canonical(row: Row) -> bytes:
    """The definition read literally, without msgspec's encoder."""
    members = {}
    for column in columns("rows"):
        value = getattr(row, column.name)
        if isinstance(value, list):
            value = [{"path": tag.path, "confidence_ppm": tag.confidence_ppm} for tag in value]
        if value is not None:
            members[column.name] = value
    return json.dumps(members, ensure_ascii=False, separators=(",", ":")).encode()


@given(rows)
def test_canonical_bytes_follow_their_definition(row):
    """Another implementation, in another language, must be able to reproduce them."""
    assert canonical_bytes(row) == slow_canonical(row)


@settings(max_examples=40, deadline=None)
@given(rows)
def test_parquet_gives_the_same_canonical_bytes_back(row):
    """Evidence is about rows, not files: it must survive the way through an engine."""
    with tempfile.TemporaryDirectory() as folder, contextlib.closing(open_engine()) as engine:
        path = Path(folder) / "x.parquet"
        copy_records(engine, "rows", [Held(row.generation_id, 0, canonical_bytes(row))], path)
        assert [canonical_bytes(back) for back in read_records(engine, "rows", path)] == [canonical_bytes(row)]


def test_attempts_come_back_from_parquet_as_they_were(tmp_path):
    """`rung` is the one column with a default other than null."""
    attempts = [make_attempt(1), msgspec.structs.replace(make_attempt(1, 2), rung=3)]
    held = [Held(attempt.generation_id, attempt.attempt_no, canonical_bytes(attempt)) for attempt in attempts]
    with contextlib.closing(open_engine()) as engine:
        copy_records(engine, "attempts", held, tmp_path / "x.parquet")
        assert list(read_records(engine, "attempts", tmp_path / "x.parquet")) == attempts


def test_a_new_column_changes_no_old_canonical_bytes():
    """Else every Merkle root in every ledger would break with the next release."""
    newer = msgspec.defstruct("NewerRow", [("shoe_size", int | None, None)], bases=(Row,), frozen=True, kw_only=True,
                              omit_defaults=True)  # fmt: skip
    row = make_row(1, task_tags=[TaskTag(path="code/debug", confidence_ppm=900_000)])
    old = canonical_bytes(row)
    assert msgspec.json.encode(msgspec.json.decode(old, type=newer)) == old


def test_a_file_without_a_later_column_reads_as_null_with_its_type(tmp_path):
    """Files sealed years ago are read beside new ones."""
    row = make_row(1)
    with contextlib.closing(open_engine()) as engine:
        new, old = tmp_path / "new.parquet", tmp_path / "old.parquet"
        copy_records(engine, "rows", [Held(row.generation_id, 0, canonical_bytes(row))], new)
        engine.execute(f"COPY (SELECT * EXCLUDE (language, task_tags) FROM read_parquet(['{new}'])) TO '{old}'")
        for paths in ([old], [old, new]):
            query = files_select("rows", [str(path) for path in paths])
            described = {name: kind for name, kind, *_ in engine.execute(f"DESCRIBE {query}").fetchall()}
            assert described == {column.name: column.sql_type for column in columns("rows")}
            assert engine.execute(f"SELECT count(*), count(language) FROM ({query})").fetchone() == (len(paths), 0)
        assert [canonical_bytes(back) for back in read_records(engine, "rows", old)] == [canonical_bytes(row)]


def test_every_column_has_a_type_and_a_sentence():
    """The reference is rendered from the schema; a column without text would be a hole in it."""
    page = render_reference()
    for table, struct in (("rows", Row), ("attempts", Attempt)):
        assert [column.name for column in columns(table)] == list(struct.__struct_fields__)
        for column in columns(table):
            assert column.text and f"| `{column.name}` | `{column.sql_type}` |" in page
    kinds = {column.name: column.sql_type for column in columns("rows")}
    assert kinds["cost_nano_usd"] == kinds["ts"] == kinds["images"] == "BIGINT"
    assert kinds["is_byok"] == "BOOLEAN"
    assert kinds["cost_basis"] == "VARCHAR"
    assert kinds["task_tags"] == "STRUCT(path VARCHAR, confidence_ppm BIGINT)[]"


def test_a_row_of_before_accounts_keeps_its_leaf():
    """`operator_loss_nano_usd` came between other columns: where it is null, no byte of a row tells of it."""
    old = (
        b'{"generation_id":"g1","ts":1750000000000000,"source_id":"own","cost_nano_usd":17,"cost_basis":"metered",'
        b'"price_id":"m@p#2025-01-01","duration_us":5}'
    )
    row = msgspec.json.decode(old, type=Row)
    assert canonical_bytes(row) == old
    lossy = canonical_bytes(msgspec.structs.replace(row, operator_loss_nano_usd=3))
    assert lossy.replace(b'"operator_loss_nano_usd":3,', b"") == old
