"""Records of large text files one by one, so that a log of gigabytes needs no memory: JSON lines and CSV.

Bad records are counted and left out, as the importers do. Whole JSON documents are read by the importers' reader.
"""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec

from tidegate.core.errors import LedgerError
from tidegate.ledger.imports.records import csv_records as csv_cells
from tidegate.ledger.imports.tally import Tally

Records = Iterator[tuple[int, dict[str, Any]]]
LINE_BYTES_MAX: Final = 64 * 1024 * 1024
_DELIMITERS: Final = (",", ";", "\t")
_UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def is_json_lines(file: Path) -> bool:
    """Whether the first line is a whole object and another line follows it."""
    with file.open("rb") as opened:
        first = opened.readline(LINE_BYTES_MAX).removeprefix(b"\xef\xbb\xbf").strip()
        if not first.startswith(b"{") or not opened.readline(1):
            return False
    try:
        return isinstance(msgspec.json.decode(first), dict)
    except _UNREADABLE:
        return False


def json_lines(file: Path, tally: Tally) -> Records:
    """One object a line."""
    with file.open("rb") as opened:
        for number, line in enumerate(opened, 1):
            text = (line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line).strip()
            if not text:
                continue
            try:
                found = msgspec.json.decode(text)
            except _UNREADABLE as error:
                tally.read += 1
                torn = not line.endswith(b"\n")
                reason = "the last line is torn: the file was half-written" if torn else "a line is not JSON"
                tally.reject(reason, file, number, str(error)[:80])
                continue
            if isinstance(found, dict):
                yield number, found
            else:
                tally.read += 1
                tally.reject("a line is not a JSON object", file, number)


def csv_records(file: Path, tally: Tally) -> Records:
    """Members by the header. Raises LedgerError for a file that is no CSV, or an empty one."""
    csv.field_size_limit(LINE_BYTES_MAX)
    try:
        with file.open(encoding="utf-8-sig", newline="") as opened:
            head = opened.readline()
            opened.seek(0)
            delimiter = next((mark for mark in _DELIMITERS if mark in head), ",")
            yield from csv_cells(file, csv.reader(opened, delimiter=delimiter, strict=True), tally)
    except UnicodeDecodeError as error:
        raise LedgerError(f"{file}: byte {error.start} is not UTF-8 text; save it as UTF-8") from error
