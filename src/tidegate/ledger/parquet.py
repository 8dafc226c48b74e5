"""Records into Parquet files and back. Each file holds one table's records of one UTC day, by generation id."""

import datetime
import functools
import hashlib
import itertools
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from tidegate.core.errors import LedgerError
from tidegate.core.row import Attempt, Label, Row
from tidegate.ledger import merkle
from tidegate.ledger.durable import publish, sync_directory
from tidegate.ledger.manifest import SealedFile
from tidegate.ledger.schema import (
    BIGINT_MAX,
    MICROSECONDS_PER_DAY,
    STRUCTS,
    Table,
    TableRecord,
    canonical_bytes,
    column_list,
    columns,
    json_columns,
    sql_text,
)

if TYPE_CHECKING:
    import duckdb

RECORDS_HELD_MAX: Final = 200_000
"""Records in memory while sealing; a larger unit becomes several files a day."""
FETCH_ROWS: Final = 4096
_EPOCH: Final = datetime.date(1970, 1, 1)


class Held(NamedTuple):
    """A record on its way to a file, in the order of its table."""

    generation_id: str
    attempt_no: int  # 0 for a row or a label
    canonical: bytes


class Part(NamedTuple):
    """A finished file that has no name yet, and how the manifest will name it."""

    hidden: Path
    file: SealedFile


def day_of(ts: int) -> str:
    """The UTC day of microseconds since 1970, ISO. Raises ValueError before 1970 and after 9999."""
    return _day(ts // MICROSECONDS_PER_DAY)


@functools.lru_cache(maxsize=4096)
def _day(number: int) -> str:
    if number < 0:
        raise ValueError(f"a time before 1970 (day {number})")
    try:
        return (_EPOCH + datetime.timedelta(days=number)).isoformat()
    except OverflowError as error:
        raise ValueError(f"a time after the year 9999 (day {number})") from error


def open_engine() -> "duckdb.DuckDBPyConnection":
    """An in-memory DuckDB in UTC."""
    import duckdb

    connection = duckdb.connect(":memory:")
    connection.execute("SET TimeZone = 'UTC'")
    return connection


class PartWriter:
    """Spools the records of one unit into hidden Parquet files; `publish_parts` names them.

    Memory is bounded by RECORDS_HELD_MAX, whatever the unit's size. The same records in the same order give the same
    files (but for the engine's version).
    """

    def __init__(self, root: Path, unit: str, connection: "duckdb.DuckDBPyConnection") -> None:
        self.root = root
        self.unit = unit
        self.connection = connection
        self.parts: list[Part] = []
        self.nulled_values = 0  # integers beyond 64 bits
        self._held: dict[tuple[Table, str], list[Held]] = {}
        self._count = 0

    def add_row(self, row: Row, day: str) -> None:
        """`day`: of the row."""
        self._add("rows", day, Held(row.generation_id, 0, canonical_bytes(row)))

    def add_attempt(self, attempt: Attempt, day: str) -> None:
        """`day`: of the attempt's row, where it is known, so that a day's rows and attempts lie side by side."""
        self._add("attempts", day, Held(attempt.generation_id, attempt.attempt_no, canonical_bytes(attempt)))

    def add_label(self, label: Label, day: str) -> None:
        """`day`: of the label, which is its row's."""
        self._add("labels", day, Held(label.generation_id, 0, canonical_bytes(label)))

    def _add(self, table: Table, day: str, held: Held) -> None:
        self._held.setdefault((table, day), []).append(held)
        self._count += 1
        if self._count >= RECORDS_HELD_MAX:
            self._write(*max(self._held, key=lambda key: (len(self._held[key]), key)))

    def finish(self) -> list[Part]:
        """Write what is still held. Raises LedgerError for a call that comes twice in one file, or a full disk."""
        for table, day in sorted(self._held):
            self._write(table, day)
        return self.parts

    def discard(self) -> None:
        """Delete the hidden files."""
        for part in self.parts:
            part.hidden.unlink(missing_ok=True)

    def _write(self, table: Table, day: str) -> None:
        records = sorted(self._held.pop((table, day)))
        self._count -= len(records)
        for before, after in itertools.pairwise(records):
            if table != "attempts" and before.generation_id == after.generation_id:
                raise LedgerError(f"{self.unit}: {after.generation_id} comes twice; nothing was sealed")
        earlier = sum(part.file.table == table and part.file.day == day for part in self.parts)
        name = f"{self.unit}~{earlier + 1}.parquet" if earlier else f"{self.unit}.parquet"
        folder = self.root / table / f"dt={day}"
        hidden = folder / f".{name}.{os.getpid()}.tmp"
        try:
            make_folder(folder)
            records = self._copy(table, records, hidden)
            size, sha256 = hidden.stat().st_size, sha256_of(hidden)
        except OSError as error:
            raise LedgerError(f"{folder / name} cannot be written: {error.strerror}") from error
        root = merkle.root(merkle.leaf_hash(record.canonical) for record in records)
        file = SealedFile(
            path=f"{table}/dt={day}/{name}",
            table=table,
            day=day,
            rows=len(records),
            bytes=size,
            sha256=sha256,
            rows_root=root.hex(),
            first_id=records[0].generation_id,
            last_id=records[-1].generation_id,
        )
        self.parts.append(Part(hidden, file))

    def _copy(self, table: Table, records: list[Held], target: Path) -> list[Held]:
        """Returns the records as written."""
        import duckdb

        try:
            copy_records(self.connection, table, records, target)
        except duckdb.Error as error:
            fitted = [self._fit(table, record) for record in records]
            if fitted == records:
                raise LedgerError(f"{self.unit}: DuckDB cannot write {table}: {error}") from error
            return self._copy(table, fitted, target)  # one absurd count must not stop the rest
        return records

    def _fit(self, table: Table, held: Held) -> Held:
        record = msgspec.json.decode(held.canonical, type=STRUCTS[table])
        beyond = {
            name: None
            for name in record.__struct_fields__
            if isinstance(value := getattr(record, name), int) and not -BIGINT_MAX - 1 <= value <= BIGINT_MAX
        }
        if not beyond:
            return held
        self.nulled_values += len(beyond)
        return held._replace(canonical=canonical_bytes(msgspec.structs.replace(record, **beyond)))


def copy_records(connection: "duckdb.DuckDBPyConnection", table: Table, records: Sequence[Held], target: Path) -> None:
    """Write records, in the given order, as one Parquet file (by way of a file of JSON lines beside it)."""
    lines = target.with_suffix(".ndjson")
    try:
        with lines.open("wb") as file:
            file.write(b"\n".join([record.canonical for record in records]))
        connection.execute(
            f"COPY (SELECT {column_list(table)} FROM read_json({sql_text(str(lines))}, "
            f"format='newline_delimited', columns={json_columns(table)})) "
            f"TO {sql_text(str(target))} (FORMAT parquet, COMPRESSION zstd)"
        )
    finally:
        lines.unlink(missing_ok=True)


def publish_parts(root: Path, parts: Sequence[Part]) -> tuple[SealedFile, ...]:
    """Make the files durable under their names; they count once the manifest names them too."""
    for part in parts:
        publish(part.hidden, root / part.file.path)
    return tuple(part.file for part in parts)


def make_folder(folder: Path) -> None:
    """Make a folder below the ledger, and its name durable."""
    if not folder.is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        sync_directory(folder.parent)
        sync_directory(folder.parent.parent)


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def unknown_columns(connection: "duckdb.DuckDBPyConnection", table: Table, path: Path) -> list[str]:
    """Columns of a file that this version's schema lacks."""
    known = {column.name for column in columns(table)}
    described = connection.execute(
        f"DESCRIBE SELECT * FROM read_parquet([{sql_text(str(path))}], hive_partitioning=false)"
    ).fetchall()
    return [name for name, *_ in described if name not in known]


def read_records(
    connection: "duckdb.DuckDBPyConnection", table: Table, path: Path, where: str = "true"
) -> Iterator[TableRecord]:
    """The records of one file in file order, streamed. `where`: SQL over its columns.

    Raises duckdb.Error or msgspec.MsgspecError where the file is damaged.
    """
    decoder = msgspec.json.Decoder(STRUCTS[table])
    cursor = connection.execute(
        f"SELECT CAST(to_json(record) AS VARCHAR) FROM (SELECT * FROM read_parquet([{sql_text(str(path))}], "
        f"hive_partitioning=false) WHERE {where}) AS record"
    )
    while batch := cursor.fetchmany(FETCH_ROWS):
        for (text,) in batch:
            yield decoder.decode(text)


def remove_leftovers(root: Path) -> None:
    """Delete hidden files of sealers that died. Call with the seal lock held."""
    for table in (*STRUCTS, "rollups"):
        for hidden in root.glob(f"{table}/*/.*"):
            pid = hidden.name.removesuffix(".tmp").removesuffix(".ndjson").rpartition(".")[2]
            if not (pid.isdigit() and _is_alive(int(pid))):
                hidden.unlink(missing_ok=True)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
