"""The ledger on disk: a folder of journal, sealed Parquet and manifest. The manifest decides what is in it.

ledger.json                                          format, id, when it was made
journal/<segment_id>.open.jsonl, .jsonl              unsealed (`journal.py`)
rows/dt=DAY/<unit>.parquet, attempts/..., labels/...  sealed (`parquet.py`)
rollups/<rollup>/<unit>.parquet                      imported aggregate series
outcomes/<month>.jsonl                               what callers said of their calls (`outcomes.py`)
manifest/                                            the chain of entries (`manifest.py`)
seal.lock                                            held by whoever adds to the manifest
"""

import contextlib
import datetime
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from tidegate.core.errors import LedgerError
from tidegate.core.row import Attempt, Outcome, Row
from tidegate.ledger.durable import exclusive, put_if_absent, replace_file
from tidegate.ledger.journal import SAFE_NAME, journal_files, read_outcomes, segment_of
from tidegate.ledger.manifest import Entry, Head, Kind, Manifest, SealedFile, digest, encode_head
from tidegate.ledger.parquet import Part, PartWriter, day_of, open_engine, publish_parts
from tidegate.ledger.rollup_unit import copy_rollup, same_rollup
from tidegate.ledger.schema import STRUCTS, Table, files_select, sql_text

if TYPE_CHECKING:
    import duckdb

FORMAT: Final = 1


class LedgerFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`ledger.json`. Its SHA-256 is where the chain begins."""

    format: int
    ledger_id: str
    created: str


class Ledger:
    """One ledger. Use `Ledger.open` or `Ledger.create`."""

    def __init__(self, path: Path, about: LedgerFile, genesis: str) -> None:
        self.path = path
        self.ledger_id = about.ledger_id
        self.created = about.created
        self.manifest = Manifest(path / "manifest", about.ledger_id, genesis)

    @classmethod
    def open(cls, path: Path) -> "Ledger":
        """Raises LedgerError where there is no ledger, or one this version cannot read."""
        path = path.absolute()
        try:
            content = (path / "ledger.json").read_bytes()
        except (FileNotFoundError, NotADirectoryError) as error:
            raise LedgerError(
                f"no ledger at {path}; `tidegate ledger import ... --into {path}` makes one from logs, "
                "`tidegate serve` from calls; or name another with --ledger"
            ) from error
        except OSError as error:
            raise LedgerError(f"ledger {path} cannot be read: {error.strerror}") from error
        try:
            about = msgspec.json.decode(content, type=LedgerFile)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise LedgerError(f"{path / 'ledger.json'} is damaged: {error}; restore it from a copy") from error
        if about.format > FORMAT:
            raise LedgerError(f"ledger {path} has format {about.format}; this version reads up to {FORMAT}: update it")
        return cls(path, about, digest(content))

    @classmethod
    def create(cls, path: Path) -> "Ledger":
        """Open a ledger, or make an empty one. Raises LedgerError where the folder cannot be written."""
        path = path.absolute()
        try:
            for folder in ("journal", "manifest"):
                (path / folder).mkdir(parents=True, exist_ok=True)
            about = LedgerFile(format=FORMAT, ledger_id=uuid.uuid4().hex, created=_now())
            with contextlib.suppress(FileExistsError):
                put_if_absent(path / "ledger.json", msgspec.json.encode(about) + b"\n")
            ledger = cls.open(path)
            if not ledger.manifest.head_path.exists() and not ledger.manifest.entry_path(1).exists():
                head = Head(ledger_id=ledger.ledger_id, number=0, sha256=ledger.manifest.genesis)
                replace_file(ledger.manifest.head_path, encode_head(head))
        except OSError as error:
            raise LedgerError(f"ledger {path} cannot be made: {error.strerror}") from error
        return ledger

    @property
    def journal_path(self) -> Path:
        return self.path / "journal"

    def locked(self, *, wait_s: float = 60.0) -> contextlib.AbstractContextManager[None]:
        """Hold the right to seal and import. Raises LedgerError when another process keeps it longer."""
        return exclusive(self.path / "seal.lock", wait_s=wait_s)

    def entries(self) -> list[Entry]:
        """The manifest, in order. Raises LedgerError where it is damaged."""
        return self.manifest.entries()

    def sealed_files(self, table: str) -> list[SealedFile]:
        """Files of a table or rollup as the manifest names them, by day and then by entry."""
        files = [file for entry in self.entries() for file in entry.files if file.table == table]
        return sorted(files, key=lambda file: file.day)

    def row_files(self) -> list[Path]:
        """All sealed files of rows."""
        return self._paths("rows")

    def attempt_files(self) -> list[Path]:
        """All sealed files of attempts."""
        return self._paths("attempts")

    def label_files(self) -> list[Path]:
        """All sealed files of labels."""
        return self._paths("labels")

    def rollup_files(self, rollup: str) -> list[Path]:
        """Imported units of a rollup."""
        return [
            self.path / file.path
            for entry in self.entries()
            if entry.kind == "rollup"
            for file in entry.files
            if file.table == rollup
        ]

    def _paths(self, table: Table) -> list[Path]:
        return [self.path / file.path for file in self.sealed_files(table)]

    def connect(self) -> "duckdb.DuckDBPyConnection":
        """An in-memory DuckDB in UTC with the views `rows`, `attempts` and `labels` over what is sealed now.

        Every schema column is there, typed; one that a file lacks is null in its rows.
        """
        import duckdb

        connection = open_engine()
        try:
            for table in STRUCTS:
                files = self._paths(table)
                connection.execute(f"CREATE VIEW {table} AS {files_select(table, [str(file) for file in files])}")
        except duckdb.Error as error:
            raise LedgerError(
                f"ledger {self.path}: its files cannot be read: {str(error).splitlines()[0]} "
                "(`tidegate ledger verify` names each)"
            ) from error
        return connection

    def add_rows(self, rows: Iterable[Row], attempts: Iterable[Attempt], *, unit: str, origin: str) -> Entry:
        """Seal imported rows: Parquet by day and one manifest entry. Streams.

        unit: a safe file name, the import's identity in this ledger: the same rows in the same order again change
        nothing (the old entry is returned). origin: where they came from, for people.
        Raises LedgerError for other rows under a known unit, calls that the ledger holds already, or a bad time.
        """
        check_name("unit", unit)
        self.manifest.settle_head()
        with contextlib.closing(open_engine()) as connection:
            writer = PartWriter(self.path, unit, connection)
            try:
                for row in rows:
                    writer.add_row(row, _import_day(unit, row))
                for attempt in attempts:
                    writer.add_attempt(attempt, _import_day(unit, attempt))
                parts = writer.finish()
                with self.locked():
                    known = self.entry_of(unit, "import", "segment")
                    if known is not None:
                        return self._same_or_raise(known, parts, unit)
                    self._refuse_known_calls(connection, parts, unit)
                    files = publish_parts(self.path, parts)
                    return self.add_entry("import", unit, origin, files, nulled_values=writer.nulled_values)
            finally:
                writer.discard()

    def entry_of(self, unit: str, *kinds: Kind) -> Entry | None:
        """The entry of a unit among entries of these kinds."""
        return next((entry for entry in self.entries() if entry.unit == unit and entry.kind in kinds), None)

    def add_entry(self, kind: Kind, unit: str, origin: str, files: tuple[SealedFile, ...], **counts: int) -> Entry:
        """Name published files in the manifest; the seal lock must be held. counts: as in Entry."""
        draft = Entry(number=0, kind=kind, unit=unit, created=_now(), origin=origin, files=files, previous="", **counts)
        return self.manifest.append(draft)

    def _same_or_raise(self, known: Entry, parts: list[Part], unit: str) -> Entry:
        new, old = (
            sorted((file.table, file.day, file.rows, file.rows_root) for file in files)
            for files in ([part.file for part in parts], known.files)
        )
        if new != old:
            raise LedgerError(
                f"unit {unit!r} is in the ledger already (manifest entry {known.number}, {known.created}) with other "
                "rows; sealed rows are never changed. Import under another unit name."
            )
        return known

    def _refuse_known_calls(self, connection: "duckdb.DuckDBPyConnection", parts: list[Part], unit: str) -> None:
        new = [part.hidden for part in parts if part.file.table == "rows"]
        if len(new) > 1:
            found = connection.execute(
                f"SELECT generation_id FROM {_scan(new)} GROUP BY generation_id HAVING count(*) > 1 LIMIT 1"
            ).fetchone()
            if found:
                raise LedgerError(f"{unit}: {found[0]} comes twice; nothing was sealed")
        if known := self.known_calls(connection, parts):
            raise LedgerError(
                f"{unit}: {len(known)} of its calls are in the ledger already, e.g. {known[0]}; nothing was sealed. "
                "A file that grew since its import, or overlaps another: import the new lines alone, or all under "
                "another source name."
            )

    def known_calls(
        self, connection: "duckdb.DuckDBPyConnection", parts: list[Part], table: Table = "rows"
    ) -> list[str]:
        """Calls in unpublished files of a table that sealed ones hold too. Reads only files whose id ranges meet."""
        new = [part for part in parts if part.file.table == table]
        old = [file for file in self.sealed_files(table) if any(overlap(file, part.file) for part in new)]
        if not old:
            return []
        import duckdb

        try:
            found = connection.execute(
                f"SELECT generation_id FROM {_scan(part.hidden for part in new)} WHERE generation_id IN "
                f"(SELECT generation_id FROM {_scan(self.path / file.path for file in old)}) ORDER BY generation_id"
            ).fetchall()
        except duckdb.Error as error:
            raise LedgerError(
                f"sealed files cannot be searched for calls that are there already: {str(error).splitlines()[0]} "
                "(`tidegate ledger verify` names what is wrong)"
            ) from error
        return [call for (call,) in found]

    def add_rollup(
        self, rollup: str, select_sql: str, connection: "duckdb.DuckDBPyConnection", *, unit: str, origin: str
    ) -> Entry:
        """Seal the rows of a query as a unit of a rollup. The same rows (as a multiset) again change nothing.

        Raises LedgerError for other rows or columns under a known unit, or a query that fails.
        """
        import duckdb

        check_name("rollup", rollup)
        check_name("unit", unit)
        part = copy_rollup(self.path, rollup, unit, select_sql, connection)
        try:
            with self.locked():
                units = (entry for entry in self.entries() if entry.kind == "rollup" and entry.unit == unit)
                known = next((entry for entry in units if entry.files[0].table == rollup), None)
                if known is None:
                    files = publish_parts(self.path, [part])
                    return self.add_entry("rollup", unit, origin, files)
                if not same_rollup(connection, part.hidden, self.path / known.files[0].path):
                    raise LedgerError(
                        f"unit {unit!r} of rollup {rollup!r} is in the ledger already (manifest entry {known.number}) "
                        "with other rows; sealed rows are never changed. Import under another unit name."
                    )
                return known
        except duckdb.Error as error:
            raise LedgerError(f"rollup {rollup}, unit {unit}: {error}") from error
        finally:
            part.hidden.unlink(missing_ok=True)

    def unsealed_outcomes(self) -> Iterator[Outcome]:
        """Outcomes in journal segments, open ones included, that no manifest entry names yet."""
        sealed = {entry.unit for entry in self.entries() if entry.kind == "segment"}
        for path in journal_files(self.journal_path):
            if segment_of(path) in sealed:
                continue
            with contextlib.suppress(FileNotFoundError):  # closed or sealed since the folder was listed
                yield from (item for item in read_outcomes(path) if isinstance(item, Outcome))


def overlap(one: SealedFile, other: SealedFile) -> bool:
    """Whether two files' ranges of generation ids meet."""
    return one.first_id <= other.last_id and other.first_id <= one.last_id


def check_name(what: str, name: str) -> None:
    """Raises LedgerError for a name that cannot be a file name."""
    if not SAFE_NAME.fullmatch(name):
        raise LedgerError(
            f"{what} {name[:130]!r} cannot be a file name; use letters, digits, `.`, `_`, `-`, at most 120, "
            "beginning with a letter or digit"
        )


def _import_day(unit: str, record: Row | Attempt) -> str:
    try:
        return day_of(record.ts)
    except ValueError as error:
        raise LedgerError(
            f"{unit}: {record.generation_id} has {error}; `ts` is microseconds since 1970-01-01 UTC"
        ) from error


def _scan(paths: Iterable[Path]) -> str:
    listed = ", ".join(sql_text(str(path)) for path in paths)
    return f"read_parquet([{listed}], hive_partitioning=false, union_by_name=true)"


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
