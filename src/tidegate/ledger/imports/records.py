"""Records of any file: CSV, JSON, JSON lines or Parquet, as members by name, each with its line.

A record that cannot be read (a torn last line, a line with other cells than the header) is counted and left out; a
file that is none of these, or is damaged as a whole, is refused. Numbers of JSON stay exact: a price is no float.
"""

import csv
import functools
import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from tidegate.core.errors import LedgerError
from tidegate.ledger.imports.tally import Tally
from tidegate.ledger.imports.text import lines_of_items, read_text, refuse
from tidegate.ledger.imports.values import (
    TimeUnit,
    Unusable,
    as_count,
    as_duration_us,
    as_nano_usd,
    as_time_us,
    as_truth,
)

PARQUET_MAGIC: Final = b"PAR1"
_JSON = json.JSONDecoder(parse_float=Decimal)
_EMPTY: Final = (None, "", "null", "NULL", "\\N")


@functools.lru_cache(maxsize=4096)
def plain_name(name: str) -> str:
    """`startTime`, `start_time` and `Start Time` are one name."""
    return re.sub(r"[\s_-]", "", name).lower()


class Fields:
    """The members of one record, by name whatever its spelling; those never asked for are reported by `leave`.

    A member that is empty, null or absent is None. The readers raise Unusable for a value of another kind.
    """

    def __init__(self, members: Mapping[str, Any], tally: Tally, path: str = "") -> None:
        self._tally = tally
        self._path = path
        self._members = {plain_name(name): (name, value) for name, value in members.items()}
        self._asked: set[str] = set()
        self._inner: dict[tuple[str, ...], Fields] = {}

    def value(self, *names: str) -> Any:  # whatever the file held
        """The first of these members that is there and not empty."""
        found = None
        for name in names:
            plain = plain_name(name)
            if plain in self._members:
                self._asked.add(plain)
                value = self._members[plain][1]
                if found is None and not (isinstance(value, (str, type(None))) and value in _EMPTY):
                    found = value
        return found

    def text(self, *names: str) -> str | None:
        value = self.value(*names)
        if isinstance(value, (dict, list)):
            raise Unusable(f"{self._path}{names[0]} is a {type(value).__name__}, not a text")
        return None if value is None else str(value).strip() or None

    def count(self, *names: str) -> int | None:
        value = self.value(*names)
        return None if value is None else as_count(self._path + names[0], value)

    def usd(self, *names: str) -> int | None:
        """USD as nano-USD."""
        value = self.value(*names)
        if value is None:
            return None
        amount, rounded = as_nano_usd(self._path + names[0], value)
        self._tally.flags["an amount finer than one nano-USD was rounded"] += rounded
        return amount

    def time(self, *names: str, unit: TimeUnit = "auto") -> int | None:
        """Microseconds since 1970, UTC."""
        value = self.value(*names)
        if value is None:
            return None
        micros, zone = as_time_us(self._path + names[0], value, unit)
        self._tally.zones[zone] += 1
        return micros

    def duration(self, *names: str, unit: TimeUnit) -> int | None:
        value = self.value(*names)
        return None if value is None else as_duration_us(self._path + names[0], value, unit)

    def truth(self, *names: str) -> bool | None:
        value = self.value(*names)
        return None if value is None else as_truth(self._path + names[0], value)

    def inner(self, *names: str) -> "Fields":
        """A member that is an object, or the text of one; without members where there is none. Decoded once."""
        known = self._inner.get(names)
        if known is not None:
            return known
        value = self.value(*names)
        if isinstance(value, str):
            try:
                value = _JSON.decode(value.strip())
            except ValueError:
                value = None
        found = Fields(value if isinstance(value, dict) else {}, self._tally, f"{self._path}{names[0]}.")
        self._inner[names] = found
        return found

    def items(self) -> Iterator[tuple[str, Any]]:
        """(name, value) of all members; all count as asked for."""
        for plain, (name, value) in self._members.items():
            self._asked.add(plain)
            yield name, value

    def private(self, *names: str) -> None:
        """Members that hold what people wrote and models answered: they are not read, and the report says so."""
        for name in names:
            plain = plain_name(name)
            if plain in self._members and plain not in self._asked:
                self._asked.add(plain)
                if self._members[plain][1] not in _EMPTY:
                    self._tally.private[self._path + self._members[plain][0]] += 1

    def leave(self) -> None:
        """Done with the record: count the members that were there and that nobody asked for."""
        for plain, (name, value) in self._members.items():
            if plain not in self._asked and not _is_empty(value):
                self._tally.unmapped[self._path + name] += 1


def _is_empty(value: Any) -> bool:
    return value in _EMPTY if isinstance(value, (str, type(None))) else value in ([], {})


def read_records(file: Path, tally: Tally, *, members: Sequence[str] = ()) -> Iterator[tuple[int, dict[str, Any]]]:
    """(line, members by name) of each record. For Parquet the line is the number of the row.

    members: names under which a JSON document may hold its list of records (`data`, `items`); may nest in that order.
    """
    with file.open("rb") as opened:
        start = opened.read(4)
    if start == PARQUET_MAGIC:
        yield from _parquet(file)
        return
    text = read_text(file)
    first = text.lstrip()[:1]
    if first == "<":
        refuse(file, 1, "it is HTML or XML, perhaps a page saved in the place of an export")
    if first == "[" or (first == "{" and not _is_lines(text)):
        yield from _document(file, text, members, tally)
    elif first == "{":
        yield from _lines(file, text, tally)
    else:
        yield from _csv(file, text, tally)


def _is_lines(text: str) -> bool:
    """Whether the first line is a whole object and another follows it; a single object is a document."""
    first, _, rest = text.strip().partition("\n")
    try:
        _JSON.decode(first.strip())
    except (ValueError, RecursionError):
        return False
    return bool(rest)


def _lines(file: Path, text: str, tally: Tally) -> Iterator[tuple[int, dict[str, Any]]]:
    parts = text.split("\n")
    last = max((number for number, part in enumerate(parts) if part.strip()), default=0)
    for number, part in enumerate(parts):
        if not part.strip():
            continue
        try:
            item = _JSON.decode(part.strip())
        except (ValueError, RecursionError) as error:
            tally.read += 1
            torn = number == last and not text.endswith("\n")
            reason = "the last line is torn: the file was half-written" if torn else "a line is not JSON"
            tally.reject(reason, file, number + 1, str(error)[:80])
            continue
        if isinstance(item, dict):
            yield number + 1, item
        else:
            tally.read += 1
            tally.reject("a line is not a JSON object", file, number + 1)


def _document(file: Path, text: str, members: Sequence[str], tally: Tally) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        found = _JSON.decode(text.strip())
    except json.JSONDecodeError as error:
        refuse(file, error.lineno, f"not JSON: {error.msg}; a half-written file must be fetched again")
    except (ValueError, RecursionError) as error:
        refuse(file, 1, f"not JSON that can be read: {error}")
    name = ""
    while isinstance(found, dict):
        inside = next((member for member in members if isinstance(found.get(member), (list, dict))), None)
        if inside is None:
            break
        name, found = inside, found[inside]
    items: list[Any] = found if isinstance(found, list) else [found]
    places: Iterable[int] = lines_of_items(text, name, len(items)) if isinstance(found, list) else [1]
    for line, item in zip(places, items, strict=True):
        if isinstance(item, dict):
            yield line, item
        else:
            tally.read += 1
            tally.reject("a record is not a JSON object", file, line)


def _csv(file: Path, text: str, tally: Tally) -> Iterator[tuple[int, dict[str, Any]]]:
    return csv_records(file, csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text), strict=True), tally)


def csv_records(file: Path, reader: Any, tally: Tally) -> Iterator[tuple[int, dict[str, Any]]]:
    """Line number and cells by the header's names, of a `csv.reader` (which has no public type).

    Lines of another length are counted and left out. Raises LedgerError for what is no CSV, and for an empty file.
    """
    header: list[str] = []
    try:
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            if not header:
                header = _header(file, reader.line_num, cells)
            elif len(cells) != len(header):
                tally.read += 1
                tally.reject(
                    "a line has not as many cells as the header",
                    file,
                    reader.line_num,
                    f"{len(cells)} cells where the header has {len(header)}",
                )
            else:
                yield reader.line_num, dict(zip(header, cells, strict=True))
    except csv.Error as error:
        refuse(file, reader.line_num, f"not CSV: {error}")
    if not header:
        refuse(file, 1, "the file is empty")


def _delimiter(text: str) -> str:
    """A comma; a semicolon or a tab where the header has no comma but one of those."""
    head = text.lstrip().partition("\n")[0]
    return next((mark for mark in (",", ";", "\t") if mark in head), ",")


def _header(file: Path, line: int, cells: Sequence[str]) -> list[str]:
    header = [cell.strip() for cell in cells]
    twice = {name for name in header if name and header.count(name) > 1}
    if twice:
        refuse(file, line, f"the header names {', '.join(sorted(twice))} twice")
    return header


def _parquet(file: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    import duckdb

    from tidegate.ledger.parquet import FETCH_ROWS, open_engine

    with open_engine() as connection:
        try:
            scan = "read_parquet(?, hive_partitioning = false)"
            described = connection.execute(f"DESCRIBE SELECT * FROM {scan}", [[str(file)]]).fetchall()
            names = [name for name, *_ in described]
            wanted = ", ".join(_parquet_column(name, kind) for name, kind, *_ in described)
            cursor = connection.execute(f"SELECT {wanted} FROM {scan}", [[str(file)]])
            line = 0
            while batch := cursor.fetchmany(FETCH_ROWS):
                for row in batch:
                    line += 1
                    yield line, dict(zip(names, row, strict=True))
        except duckdb.Error as error:
            raise LedgerError(
                f"{file}: a Parquet file that cannot be read: {str(error).splitlines()[0][:160]}. It is damaged or "
                "half-written; fetch it again. Nothing of this import was kept."
            ) from error


def _parquet_column(name: str, kind: str) -> str:
    """A time with a zone as text in UTC: as an object it would need a package of time zones."""
    quoted = '"' + name.replace('"', '""') + '"'
    if kind == "TIMESTAMP WITH TIME ZONE":
        return f"CAST(timezone('UTC', {quoted}) AS VARCHAR) || 'Z' AS {quoted}"
    return quoted
