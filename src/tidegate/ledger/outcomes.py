"""Outcomes: what became of the work that a call did, as whoever used it says; the ledger's table `outcomes`.

    outcomes/2026-11.jsonl   {"crc":"1c291ca3","generation_id":...}\\n    by month of the judgement, UTC

Append-only, each line with its own checksum (CRC-32, as in the journal) and on the disk before it is acknowledged. A
later judgement of a call stands beside the earlier one; the newest counts. A line that a crash has cut is left as it
is, said, and never joined with the next one. The rows themselves are never touched.
"""

import bisect
import datetime as dt
import fcntl
import os
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, NamedTuple

import msgspec

from tidegate.core.errors import LedgerError
from tidegate.ledger.durable import sync_directory
from tidegate.ledger.rollup import insert_columns
from tidegate.ledger.rollup_rows import rows_sql
from tidegate.ledger.store import Ledger

if TYPE_CHECKING:
    import duckdb

FOLDER: Final = "outcomes"
PPM: Final = 1_000_000
TEXT_MAX: Final = 2000  # characters of a reason
NAME_MAX: Final = 200  # characters of who judged
_PREFIX_BYTES: Final = len(b'{"crc":"00000000",')
_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


class Judgement(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What somebody says of one call. At least one of `accepted` and `score_ppm` is there.

    ts: when it was said, microseconds since 1970 UTC. accepted: the work was taken (True) or not (False). score_ppm:
    how good it was, parts per million of perfect. reason, who: as the caller wrote them; key_id: whose key said it.
    """

    generation_id: str
    ts: int
    tenant_id: str
    key_id: str | None = None
    accepted: bool | None = None
    score_ppm: Annotated[int, msgspec.Meta(ge=0, le=PPM)] | None = None
    reason: Annotated[str, msgspec.Meta(max_length=TEXT_MAX)] | None = None
    who: Annotated[str, msgspec.Meta(max_length=NAME_MAX)] | None = None

    def __post_init__(self) -> None:
        if self.accepted is None and self.score_ppm is None:
            raise ValueError("neither `accepted` nor `score` is given")


class BadLine(NamedTuple):
    """A line that cannot be read, counted from 1. torn: the file ends inside it."""

    path: Path
    line_no: int
    torn: bool


_encode = msgspec.json.Encoder().encode
_decoder: Final = msgspec.json.Decoder(Judgement)


def append(ledger: Ledger, judgement: Judgement) -> None:
    """Add one judgement; when this returns it survives a kill and a power cut. Raises LedgerError."""
    folder = ledger.path / FOLDER
    month = (_EPOCH + dt.timedelta(microseconds=judgement.ts)).strftime("%Y-%m")
    path = folder / f"{month}.jsonl"
    rest = _encode(judgement)[1:]
    line = b'{"crc":"%08x",%b\n' % (zlib.crc32(rest), rest)
    try:
        is_new = not path.exists()
        folder.mkdir(mode=0o750, exist_ok=True)
        fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)  # other writers of this file: consoles of one host
            size = os.fstat(fd).st_size
            if size and os.pread(fd, 1, size - 1) != b"\n":
                line = b"\n" + line  # a writer died inside its line: it stays a line of its own
            if os.write(fd, line) != len(line):
                raise OSError(28, "the disk is full")
            os.fsync(fd)
        finally:
            os.close(fd)
        if is_new:
            sync_directory(folder)
    except OSError as error:
        raise LedgerError(f"{path} cannot be written: {error.strerror}") from error


def read(ledger: Ledger) -> Iterator[Judgement | BadLine]:
    """All judgements, oldest file first, in the order in which they were written. Raises LedgerError."""
    folder = ledger.path / FOLDER
    for path in sorted(folder.glob("*.jsonl")):
        try:
            content = path.read_bytes()
        except OSError as error:
            raise LedgerError(f"{path} cannot be read: {error.strerror}") from error
        lines = content.split(b"\n")
        for line_no, line in enumerate(lines, 1):
            if line:
                yield _parse(line) or BadLine(path, line_no, torn=line_no == len(lines))


def _parse(line: bytes) -> Judgement | None:
    rest = line[_PREFIX_BYTES:]
    if line[:_PREFIX_BYTES] != b'{"crc":"%08x",' % zlib.crc32(rest):
        return None
    try:
        return _decoder.decode(b"{" + rest)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None


def newest(found: Iterable[Judgement | BadLine]) -> dict[str, Judgement]:
    """The judgement that counts of each call: the one with the latest time, of equal ones the last written."""
    latest: dict[str, Judgement] = {}
    for item in found:
        if isinstance(item, Judgement):
            known = latest.get(item.generation_id)
            if known is None or item.ts >= known.ts:
                latest[item.generation_id] = item
    return latest


class Attached(NamedTuple):
    """What `attach_judged` found: judgements of sealed calls, of calls that are not sealed (yet), and bad lines."""

    judged: int
    elsewhere: int
    bad_lines: int


def attach_judged(ledger: Ledger | None, connection: "duckdb.DuckDBPyConnection") -> Attached:
    """Make the temporary tables `outcomes` (the newest of each call) and `judged` (the same beside its row).

    judged: source_id, day, response_model, model_variant, is_byok, tag_path (the best label; null if none), accepted,
    score_ppm, cost_nano_usd, total_tokens. Reads only sealed files whose calls were judged.
    """
    found = list(read(ledger)) if ledger else []
    latest = newest(found)
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE outcomes (generation_id VARCHAR, ts BIGINT, tenant_id VARCHAR, accepted BOOLEAN, "
        "score_ppm BIGINT, reason VARCHAR, who VARCHAR)"
    )
    fields = ("generation_id", "ts", "tenant_id", "accepted", "score_ppm", "reason", "who")
    insert_columns(connection, "outcomes", [[getattr(item, name) for item in latest.values()] for name in fields])
    rows, labels = _files(ledger, latest) if ledger else ([], [])
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE judged AS SELECT source_id, day, response_model, model_variant, is_byok, "
        "top_tag_path AS tag_path, accepted, score_ppm, cost_nano_usd, "
        "CAST(usage_input_tokens AS HUGEINT) + usage_output_tokens AS total_tokens "
        f"FROM {rows_sql(rows, labels, priced=False)} JOIN outcomes USING (generation_id)"
    )
    count = connection.execute("SELECT count(*) FROM judged").fetchone()
    judged = int(count[0]) if count else 0
    bad = sum(isinstance(item, BadLine) for item in found)
    return Attached(judged=judged, elsewhere=len(latest) - judged, bad_lines=bad)


def _files(ledger: Ledger, latest: dict[str, Judgement]) -> tuple[list[Path], list[Path]]:
    """Sealed files of rows that may hold a judged call, and of labels on the same days."""
    ids = sorted(latest)

    def holds(first: str, last: str) -> bool:
        place = bisect.bisect_left(ids, first)
        return place < len(ids) and ids[place] <= last

    rows = [file for file in ledger.sealed_files("rows") if holds(file.first_id, file.last_id)]
    days = {file.day for file in rows}
    labels = [file for file in ledger.sealed_files("labels") if file.day in days]
    return [ledger.path / file.path for file in rows], [ledger.path / file.path for file in labels]
