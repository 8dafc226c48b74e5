"""Text files as they come: byte order marks, CRLF, blank lines and columns in any order."""

import contextlib
import csv
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from decimal import ROUND_HALF_EVEN, Decimal
from pathlib import Path
from typing import Any, NoReturn

from tidegate.core.errors import LedgerError

COUNT_MAX = 2**63 - 1  # a count of tokens fits a 64-bit integer
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,4})?", re.ASCII)
_NOT_TEXT = {  # how files begin that are often taken for text
    b"\x1f\x8b": "it is compressed; unpack it first (gzip -d)",
    b"\xff\xfe": "it is UTF-16; save it as UTF-8",
    b"\xfe\xff": "it is UTF-16; save it as UTF-8",
    b"PK": "it is a ZIP file or a workbook; unpack it, or save the sheet as CSV",
}


def refuse(file: Path, line: int, problem: str) -> NoReturn:
    """Raise the one error of an import: file, line, what was seen. Nothing has been written."""
    raise LedgerError(f"{file}, line {line}: {problem}. Nothing of this import was kept.")


def read_text(file: Path) -> str:
    """The whole file as UTF-8, without a byte order mark. Raises LedgerError naming the line that is not UTF-8."""
    try:
        raw = file.read_bytes()
    except OSError as error:
        raise LedgerError(f"{file} cannot be read: {error.strerror}") from error
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        why = next((why for mark, why in _NOT_TEXT.items() if raw.startswith(mark)), "save it as UTF-8")
        refuse(file, raw.count(b"\n", 0, error.start) + 1, f"byte {error.start} is not UTF-8 text: {why}")


def read_table(
    file: Path, text: str, names: Mapping[str, Sequence[str]], required: Sequence[str]
) -> tuple[list[str], Iterator[tuple[int, dict[str, str]]]]:
    """A CSV with a header: (columns that nobody maps, then per record its line and its cells by our name).

    names: our name -> the spellings that mean it, lower case. required: names without which the file is refused.
    Blank lines are skipped, other records must have as many cells as the header.
    """
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = next((cells for cells in reader if any(cell.strip() for cell in cells)), None)
    except csv.Error as error:
        refuse(file, reader.line_num, f"not CSV: {error}")
    if header is None:
        refuse(file, 1, "the file is empty")
    seen = [cell.strip() for cell in header]
    where = column_places(file, reader.line_num, seen, names, required)
    unmapped = [name for place, name in enumerate(seen) if place not in where.values()]
    return unmapped, _records(file, reader, where, len(header))


def column_places(
    file: Path, line: int, seen: Sequence[str], names: Mapping[str, Sequence[str]], required: Sequence[str]
) -> dict[str, int]:
    """Where each of our columns stands in a header. Refuses a header that lacks one or names one twice."""
    where: dict[str, int] = {}
    for place, name in enumerate(seen):
        ours = next((our for our, spellings in names.items() if name.lower() in spellings), None)
        if ours is None:
            continue
        if ours in where:
            refuse(file, line, f"the columns {seen[where[ours]]!r} and {name!r} both hold the {ours}")
        where[ours] = place
    for ours in required:
        if ours not in where:
            refuse(file, line, f"no column for the {ours} (one of {', '.join(names[ours])}) among {', '.join(seen)}")
    return where


def _records(
    file: Path, reader: Any, where: Mapping[str, int], width: int
) -> Iterator[tuple[int, dict[str, str]]]:  # reader: csv.reader has no public type
    try:
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) != width:
                refuse(file, reader.line_num, f"{len(cells)} cells where the header has {width}")
            yield reader.line_num, {ours: cells[place].strip() for ours, place in where.items()}
    except csv.Error as error:
        refuse(file, reader.line_num, f"not CSV: {error}")


def exact_count(file: Path, line: int, name: str, text: str, unit: int = 1) -> tuple[int, bool]:
    """`text` times `unit` as a count, without a float in between: (count, whether it had to be rounded).

    Refuses what is no number, is negative, or is too large for 64 bits.
    """
    if not NUMBER.fullmatch(text):
        refuse(file, line, f"{name} is {text[:60]!r}, not a number such as 1234, 0.5 or 1.2e3")
    number = Decimal(text)
    scaled = number * unit
    if number < 0 or scaled > COUNT_MAX:
        refuse(file, line, f"{name} is {text[:60]}, outside 0 to {COUNT_MAX // unit}")
    whole = scaled.to_integral_value(ROUND_HALF_EVEN)
    return int(whole), whole != scaled


def parse_json(file: Path, text: str, line: int = 1) -> Any:
    """One JSON value. Refuses with the line of the file; `line`: where `text` begins in it."""
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        refuse(file, line + error.lineno - 1, f"not JSON: {error.msg}")
    except ValueError as error:  # a number of thousands of digits
        refuse(file, line, f"not JSON that can be read: {error}")
    except RecursionError:
        refuse(file, line, "not JSON that can be read: nested too deeply")


def read_array(file: Path, text: str, member: str) -> tuple[dict[str, Any], list[tuple[int, Any]]]:
    """A JSON document that is a list, or an object with the list `member`: (the object, records with their lines)."""
    document = parse_json(file, text)
    outer = document if isinstance(document, dict) else {}
    items = outer.get(member) if outer else document
    if not isinstance(items, list):
        refuse(file, 1, f'neither a list of records nor an object with the list "{member}"')
    return outer, list(zip(lines_of_items(text, member if outer else "", len(items)), items, strict=True))


def lines_of_items(text: str, member: str, count: int) -> Iterator[int]:
    """The line on which each item of the array begins: walked a second time, since json gives values no place."""
    decoder = json.JSONDecoder()
    found = re.search(rf'"{member}"\s*:\s*\[' if member else r"\[", text)
    at = found.end() if found else len(text)
    line, counted = 1, 0
    for _ in range(count):
        while text[at : at + 1] in (" ", "\t", "\r", "\n", ","):
            at += 1
        line += text.count("\n", counted, at)
        counted = at
        yield line
        with contextlib.suppress(json.JSONDecodeError):  # a member of that name inside another: the line stays behind
            _, at = decoder.raw_decode(text, at)
