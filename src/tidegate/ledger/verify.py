"""Verifies a ledger offline: every sealed byte, the chain that vouches for it, and what waits in the journal.

Each finding names a file, what was expected and what was seen. The chain is checked first (`chain.py`), then every
file against its entry: size and SHA-256, and, by reading its rows, their number, order and Merkle root. A file that
is not what it was is then told apart: moved, swapped with another, the same rows written anew, or other rows.
"""

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from tidegate.core.row import Attempt, Row
from tidegate.ledger import merkle
from tidegate.ledger.chain import Chain, Finding, check_chain
from tidegate.ledger.journal import OPEN_SUFFIX, Damaged, journal_files, read_journal, segment_of
from tidegate.ledger.manifest import Entry, SealedFile
from tidegate.ledger.parquet import open_engine, read_records, sha256_of, unknown_columns
from tidegate.ledger.schema import STRUCTS, Table, canonical_bytes
from tidegate.ledger.store import Ledger

if TYPE_CHECKING:
    import duckdb

NAMED_MAX = 5
"""Rows that a finding lists before it says "and N more"."""


class Verification(msgspec.Struct, frozen=True, kw_only=True):
    """The result. `damaged_lines`: journal lines that were lost when they were sealed; on record, so no finding."""

    findings: list[Finding]
    entries: int
    files: int
    rows: int
    head: str
    damaged_lines: int


def verify(ledger: Ledger, *, quick: bool = False, progress: Callable[[int, int], None] | None = None) -> Verification:
    """Check everything, change nothing. `quick`: bytes only, rows are not read. Memory: one file's hashes at most.

    progress: called with files done and files to do. Raises LedgerError where the folder itself cannot be read.
    """
    writable = os.access(ledger.path, os.W_OK)
    with ledger.locked() if writable else contextlib.nullcontext():  # not between an entry and its HEAD
        chain = check_chain(ledger.manifest)
        present = _parquet_files(ledger.path)
        findings = [*chain.findings, *_journal_findings(ledger)]
    sealed = {file.path: file for entry in chain.entries for file in entry.files}
    with contextlib.closing(open_engine()) as connection:
        checker = _FileChecker(ledger, connection, quick=quick)
        for done, entry_file in enumerate(_entry_files(chain)):
            if progress:
                progress(done, len(sealed))
            checker.check(*entry_file)
        owners = {file.sha256: file.path for file in sealed.values()}
        findings += checker.conclude(sorted(present - set(sealed)), owners)
    return Verification(
        findings=findings,
        entries=len(chain.entries),
        files=len(sealed),
        rows=sum(file.rows for file in sealed.values() if file.table == "rows"),
        head=chain.head,
        damaged_lines=sum(entry.damaged_lines for entry in chain.entries),
    )


def _entry_files(chain: Chain) -> Iterator[tuple[Entry, SealedFile]]:
    for entry in chain.entries:
        for file in entry.files:
            yield entry, file


def _parquet_files(root: Path) -> set[str]:
    """Everything under the sealed folders but hidden files, by path below the ledger."""
    return {
        path.relative_to(root).as_posix()
        for folder in (*STRUCTS, "rollups")
        for path in (root / folder).rglob("*")
        if not path.name.startswith(".") and not path.is_dir()
    }


def _journal_findings(ledger: Ledger) -> list[Finding]:
    found: list[Finding] = []
    for path in journal_files(ledger.journal_path):
        is_open = path.name.endswith(OPEN_SUFFIX)
        with contextlib.suppress(FileNotFoundError):  # closed in this moment: it is whole
            for item in read_journal(path):
                if isinstance(item, Damaged) and not (item.torn and is_open):
                    found.append(
                        Finding(
                            path=f"journal/{path.name}",
                            problem="damaged",
                            expected=f"a record in line {item.line_no} (byte {item.byte_offset})",
                            seen=item.reason,
                        )
                    )
    return found


def _hash_of(path: Path) -> tuple[str, str]:
    """(SHA-256, what is wrong): an empty hash where there is no file, or none that can be read."""
    try:
        if path.exists() and not path.is_file():
            return "", "a folder, a pipe or a device, not a file"
        return sha256_of(path), ""
    except FileNotFoundError:
        return "", ""
    except OSError as error:
        return "", str(error.strerror)


class _FileChecker:
    """Checks files one by one; what is missing or has other bytes is judged at the end, when all hashes are known."""

    def __init__(self, ledger: Ledger, connection: "duckdb.DuckDBPyConnection", *, quick: bool) -> None:
        self.ledger = ledger
        self.connection = connection
        self.quick = quick
        self.findings: list[Finding] = []
        self.wrong: list[tuple[Entry, SealedFile, str]] = []  # with the hash seen; empty where the file is missing

    def _find(self, path: str, problem: str, expected: str, seen: str) -> None:
        self.findings.append(Finding(path=path, problem=problem, expected=expected, seen=seen))

    def check(self, entry: Entry, file: SealedFile) -> None:
        path = self.ledger.path / file.path
        seen, problem = _hash_of(path)
        if problem:
            self._find(file.path, "unreadable", f"sha256 {file.sha256}", problem)
            return
        if seen != file.sha256:
            self.wrong.append((entry, file, seen))
        elif not self.quick and file.rows_root and (difference := self._row_difference(entry, file, self.connection)):
            expected = f"{file.rows} rows with root {file.rows_root[:16]} (manifest entry {entry.number})"
            self._find(file.path, "rows", expected, difference)

    def conclude(self, orphans: list[str], owners: dict[str, str]) -> list[Finding]:
        """orphans: files that no entry names. owners: SHA-256 of each sealed file -> its path."""
        orphan_hashes = {_hash_of(self.ledger.path / path)[0]: path for path in orphans}
        for entry, file, seen in self.wrong:
            wanted = f"sha256 {file.sha256}, {file.bytes} bytes (manifest entry {entry.number})"
            if not seen:
                moved = orphan_hashes.get(file.sha256)
                self._find(file.path, "missing", wanted, f"moved to {moved}" if moved else "no such file")
            elif (owner := owners.get(seen)) is not None and owner != file.path:
                self._find(file.path, "swapped", wanted, f"the bytes of {owner}")
            else:
                self._find(file.path, "changed", wanted, f"sha256 {seen}; {self._explain(entry, file)}")
        waiting = {segment_of(path) for path in journal_files(self.ledger.journal_path)}
        for orphan in orphans:
            unit = Path(orphan).name.removesuffix(".parquet").partition("~")[0]
            why = (
                "left by a crash: `tidegate ledger seal` finishes it"
                if unit in waiting
                else "no entry that can be read"
            )
            self._find(orphan, "orphan", "a file that a manifest entry names", why)
        return self.findings

    def _explain(self, entry: Entry, file: SealedFile) -> str:
        if not file.rows_root:
            return "its rows are not in the evidence, only its bytes"
        with contextlib.closing(open_engine()) as connection:  # its own: damaged bytes may leave an engine unusable
            difference = self._row_difference(entry, file, connection)
        return difference or "its rows are the same: the file was written anew"

    def _row_difference(self, entry: Entry, file: SealedFile, connection: "duckdb.DuckDBPyConnection") -> str:
        """What is wrong with a file's rows, in words; empty where they are the sealed ones."""
        import duckdb

        table: Table = next((name for name in STRUCTS if name == file.table), "rows")
        path = self.ledger.path / file.path
        try:
            if strange := unknown_columns(connection, table, path):
                return f"columns that this version does not know ({', '.join(strange)}): update it to verify them"
            rows = _Rows(connection, table, path)
        except (duckdb.Error, msgspec.MsgspecError, UnicodeDecodeError) as error:
            return f"its rows cannot be read: {str(error).splitlines()[0]}"
        if rows.count == file.rows and rows.root == file.rows_root:
            return ""
        if rows.count == file.rows and rows.sorted_root() == file.rows_root:
            return "the same rows in another order"
        if rows.count != file.rows:
            return f"{rows.count} rows instead of {file.rows}{rows.strangers(entry, file)}"
        return f"as many rows, but not the same{rows.strangers(entry, file)}"


class _Rows:
    """The leaves of one file, and what its rows say about their own place."""

    def __init__(self, connection: "duckdb.DuckDBPyConnection", table: Table, path: Path) -> None:
        self.keys: list[tuple[str, int]] = []
        self.leaves: list[bytes] = []
        self.places: list[tuple[str, int | None, str | None]] = []  # generation_id, segment_seq, segment_id
        for record in read_records(connection, table, path):
            if isinstance(record, Row):
                self.keys.append((record.generation_id, 0))
                self.places.append((record.generation_id, record.segment_seq, record.segment_id))
            else:
                self.keys.append((record.generation_id, record.attempt_no if isinstance(record, Attempt) else 0))
            self.leaves.append(merkle.leaf_hash(canonical_bytes(record)))
        self.count = len(self.leaves)
        self.root = merkle.root(self.leaves).hex()

    def sorted_root(self) -> str:
        ordered = sorted(zip(self.keys, self.leaves, strict=True))
        return merkle.root(leaf for _, leaf in ordered).hex()

    def strangers(self, entry: Entry, file: SealedFile) -> str:
        """Rows that do not belong here, or that a segment's own numbering shows to be missing, where it can tell."""
        told: list[str] = []
        outside = [call for call, _ in self.keys if not file.first_id <= call <= file.last_id]
        if entry.kind == "segment":
            outside += [call for call, _, segment in self.places if segment != entry.unit]
            of_rows = [other for other in entry.files if other.table == "rows"]
            if file.table == "rows" and of_rows == [file] and not entry.damaged_lines and not entry.duplicates:
                seen = [seq for _, seq, _ in self.places if seq is not None]
                if missing := sorted(set(range(file.rows)) - set(seen)):
                    told.append(f"missing segment_seq {_some(missing)}")
                if repeated := sorted({seq for seq in seen if seq >= file.rows} | _repeated(seen)):
                    told.append(f"inserted segment_seq {_some(repeated)}")
        if outside:
            told.append(f"not sealed here: {_some(sorted(set(outside)))}")
        return "".join(f"; {text}" for text in told)


def _repeated(values: list[int]) -> set[int]:
    seen: set[int] = set()
    return {value for value in values if value in seen or seen.add(value)}  # type: ignore[func-returns-value]


def _some(values: list[int] | list[str]) -> str:
    more = f" and {len(values) - NAMED_MAX} more" if len(values) > NAMED_MAX else ""
    return ", ".join(map(str, values[:NAMED_MAX])) + more
