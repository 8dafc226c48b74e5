"""Rows of one table out of an SQL dump: pg_dump's COPY blocks and INSERT statements of any of the three databases.

The file is read line by line, so that a dump of gigabytes needs no memory; a statement may span lines.
"""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from tidegate.core.errors import LedgerError

STATEMENT_CHARS_MAX: Final = 256 * 1024 * 1024
"""One INSERT of mysqldump holds many rows; a statement above this is no statement."""
HEAD_CHARS: Final = 64 * 1024
_NAME = r"""(?:["`\[]?[\w$]+["`\]]?\.)?["`\[]?(?P<table>[\w$-]+)["`\]]?"""
_COPY = re.compile(rf"^COPY {_NAME} \((?P<columns>[^)]*)\) FROM stdin;", re.IGNORECASE)
_INSERT = re.compile(
    rf"^INSERT\s+(?:OR\s+\w+\s+|IGNORE\s+)?INTO\s+{_NAME}\s*(?:\((?P<columns>[^)]*)\)\s*)?VALUES\s*", re.IGNORECASE
)
_CREATE = re.compile(rf"^CREATE TABLE (?:IF NOT EXISTS )?{_NAME}\s*\(", re.IGNORECASE)
_COLUMN = re.compile(r"^\s*[\"`\[]?(?P<name>\w+)[\"`\]]?(?:\s|$)")
_NO_COLUMN: Final = frozenset({"primary", "unique", "key", "index", "constraint", "foreign", "check", "fulltext"})
_COPY_ESCAPES: Final = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_SQL_ESCAPES: Final = {"0": "\0", "n": "\n", "r": "\r", "t": "\t", "Z": "\x1a", "b": "\b"}


def looks_like_dump(head: str) -> bool:
    """Whether the first characters of a file are those of an SQL dump."""
    return bool(
        re.search(
            r"^(-- |/\*!|SET |BEGIN TRANSACTION|PRAGMA |CREATE TABLE |INSERT INTO |COPY )", head, re.MULTILINE | re.I
        )
    ) and not head.lstrip().startswith(("{", "["))


def read_dump(file: Path, wanted: Callable[[str], bool]) -> Iterator[tuple[int, str, dict[str, Any]]]:
    """(line, table, values by column) of every row of the tables whose bare name is `wanted`.

    Raises LedgerError, naming the line, for a statement that cannot be read.
    """
    texts = _Texts(_is_mysql(file))
    known: dict[str, list[str]] = {}  # columns of a table by its CREATE statement
    with file.open(encoding="utf-8-sig", errors="replace", newline="") as lines:
        numbered = enumerate(lines, 1)
        for number, line in numbered:
            if match := _COPY.match(line):
                columns = _names(match["columns"])
                for place, row in _copied(numbered):
                    if wanted(match["table"]):
                        yield place, match["table"], dict(zip(columns, row, strict=False))
            elif match := _INSERT.match(line):
                text = _statement(file, number, line, numbered, texts)
                if wanted(match["table"]):
                    columns = _names(match["columns"] or "") or known.get(match["table"], [])
                    for row in _inserted(file, number, text, match.end(), texts):
                        if columns and len(row) != len(columns):
                            raise LedgerError(
                                f"{file}, line {number}: {len(row)} values where table {match['table']} has "
                                f"{len(columns)} columns; dump it with column names (`--column-inserts`, or as CSV)"
                            )
                        yield number, match["table"], dict(zip(columns or map(str, range(len(row))), row, strict=True))
            elif match := _CREATE.match(line):
                known[match["table"]] = _created(line[match.end() :], numbered)


def _is_mysql(file: Path) -> bool:
    with file.open(encoding="utf-8-sig", errors="replace") as opened:
        head = opened.read(HEAD_CHARS)
    return "`" in head or "MySQL" in head or "MariaDB" in head


def _names(text: str) -> list[str]:
    return [name.strip().strip('"`[]') for name in text.split(",") if name.strip()]


def _copied(numbered: Iterator[tuple[int, str]]) -> Iterator[tuple[int, list[str | None]]]:
    for number, line in numbered:
        text = line.rstrip("\r\n")
        if text == "\\.":
            return
        yield number, [_uncopied(cell) for cell in text.split("\t")]


def _uncopied(cell: str) -> str | None:
    if cell == "\\N":
        return None
    return re.sub(r"\\(.)", lambda m: _COPY_ESCAPES.get(m[1], m[1]), cell) if "\\" in cell else cell


def _created(first: str, numbered: Iterator[tuple[int, str]]) -> list[str]:
    """Column names of a CREATE TABLE, written in one line or a line a column; up to the bracket that closes it."""
    depth, part, parts = 1, "", []
    text: str | None = first
    while text is not None and depth:
        for letter in text:
            depth += (letter == "(") - (letter == ")")
            if not depth:
                break
            if letter == "," and depth == 1:
                parts.append(part)
                part = ""
            else:
                part += letter
        text = next(numbered, (0, None))[1] if depth else None
    found = (_COLUMN.match(one) for one in (*parts, part))
    return [match["name"] for match in found if match and match["name"].lower() not in _NO_COLUMN]


class _Texts:
    """How a dump writes texts: MySQL escapes with a backslash, the others only double the quote."""

    def __init__(self, escapes: bool) -> None:
        inner = r"(?:[^'\\]|\\.|'')*" if escapes else r"(?:[^']|'')*"
        self._escapes = escapes
        self._value = re.compile(
            rf"\s*(?:[NXnx]?'(?P<text>{inner})'(?:::\w+)?|(?P<bare>[^,()']*))\s*(?P<end>[,)])", re.DOTALL
        )

    def is_open(self, text: str, quoted: bool) -> bool:
        """Whether a text in single quotes is still open after this line."""
        bare = re.sub(r"\\.", "", text) if self._escapes else text
        return quoted ^ bool(bare.count("'") & 1)

    def row(self, file: Path, number: int, text: str, at: int) -> tuple[list[Any], int]:
        """The values up to the closing bracket, and where that stands."""
        row: list[Any] = []
        while True:
            match = self._value.match(text, at)
            if match is None:
                raise LedgerError(f"{file}, line {number}: cannot be read as SQL values at {text[at : at + 40]!r}")
            if match["text"] is not None:
                row.append(self._unquoted(match["text"]))
            else:
                bare = match["bare"].strip()
                row.append(None if bare.upper() == "NULL" else bare)
            at = match.end()
            if match["end"] == ")":
                return row, at

    def _unquoted(self, text: str) -> str:
        text = text.replace("''", "'")
        if self._escapes and "\\" in text:
            return re.sub(r"\\(.)", lambda m: _SQL_ESCAPES.get(m[1], m[1]), text, flags=re.DOTALL)
        return text


def _statement(file: Path, number: int, line: str, numbered: Iterator[tuple[int, str]], texts: _Texts) -> str:
    """The whole INSERT that begins on this line: until a line ends it outside any text."""
    parts, size, quoted = [line], len(line), texts.is_open(line, False)
    while quoted or not parts[-1].rstrip().endswith(";"):
        more = next(numbered, None)
        if more is None:
            break
        parts.append(more[1])
        size += len(more[1])
        quoted = texts.is_open(more[1], quoted)
        if size > STATEMENT_CHARS_MAX:
            raise LedgerError(f"{file}, line {number}: an INSERT of more than {STATEMENT_CHARS_MAX} characters")
    return "".join(parts)


def _inserted(file: Path, number: int, text: str, at: int, texts: _Texts) -> Iterator[list[Any]]:
    """The rows of a VALUES list."""
    while at < len(text):
        if text[at] in " ,\r\n\t":
            at += 1
        elif text[at] == "(":
            row, at = texts.row(file, number, text, at + 1)
            yield row
        else:
            return
