"""Which system wrote a log: told from the file itself, and its records, whatever the file is.

A file may be CSV, JSON, JSON lines, Parquet, a SQLite database or an SQL dump.
"""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Final, NamedTuple

from tidegate.accounts.audit.sql_dump import looks_like_dump, read_dump
from tidegate.accounts.audit.stream import csv_records, is_json_lines, json_lines
from tidegate.core.errors import LedgerError
from tidegate.ledger.imports.records import plain_name, read_records
from tidegate.ledger.imports.tally import Tally

SQLITE_MAGIC: Final = b"SQLite format 3\0"
HEAD_BYTES: Final = 64 * 1024
_PACKED: Final = (b"\x1f\x8b", b"PK", b"\xff\xfe", b"\xfe\xff")  # gzip, ZIP and UTF-16: refused with their mend
TABLES: Final = {"logs": "one-api", "litellm_spendlogs": "litellm", "litellm_dailyuserspend": "litellm-days"}
"""Tables of databases and dumps that hold calls, in lower case, and whose they are."""
MEMBERS: Final = ("data", "items", "records", "logs", "response", "list")


class Form(NamedTuple):
    """One kind of log. title: as people call it. needs: columns that it has, each by any of its spellings.

    module: of `accounts.audit`, that reads it; empty: the importer of that name does.
    """

    name: str
    title: str
    needs: tuple[tuple[str, ...], ...]
    module: str = ""


FORMS: Final = (
    Form("litellm", "LiteLLM spend logs", (("spend", "response_cost"), ("start_time",), ("model",)), "litellm_log"),
    Form(
        "litellm-days",
        "LiteLLM spend by day",
        (("date",), ("spend",), ("api_requests",), ("prompt_tokens",), ("model",)),
        "litellm_log",
    ),
    Form("one-api", "one-api or new-api logs", (("quota",), ("model_name",), ("prompt_tokens",)), "one_api_log"),
    Form("openrouter-activity", "OpenRouter activity", (("generation_id",), ("cost_total",)), "openrouter_log"),
    Form(
        "openrouter-days",
        "OpenRouter activity by day",
        (("date",), ("requests",), ("usage",), ("model", "model_permaslug", "slug")),
        "openrouter_log",
    ),
    Form("openrouter-generations", "OpenRouter generations", (("total_cost",), ("native_tokens_prompt",))),
    Form("tidegate", "Tidegate rows", (("generation_id",), ("cost_nano_usd",))),
    Form(
        "langfuse", "Langfuse observations", (("start_time",), ("calculated_total_cost", "total_cost", "cost_details"))
    ),
    Form("helicone", "Helicone requests", (("request_created_at", "response_created_at"), ("cost", "cost_usd"))),
)
"""In the order in which they are tried."""
BY_NAME: Final[Mapping[str, Form]] = {form.name: form for form in FORMS} | {
    "new-api": next(form for form in FORMS if form.name == "one-api")
}


class Log(NamedTuple):
    """A file whose form is known. container: `csv`, `json`, `sqlite`, `sql dump`. table: of a database or dump."""

    file: Path
    form: Form
    container: str
    table: str = ""
    was_said: bool = False

    def told(self) -> str:
        """How the form was found, for the reader to contradict."""
        where = f"table {self.table} of the {self.container}" if self.table else self.container
        how = "as said" if self.was_said else "guessed from its columns" if not self.table else "guessed from its table"
        return f"{self.file.name}: {self.form.title} ({where}; {how})"

    def records(self, tally: Tally) -> Iterator[tuple[int, dict[str, Any]]]:
        """(line, or number of the row in a database; members by name)."""
        if self.container == "SQLite database":
            yield from _sqlite_rows(self.file, self.table)
        elif self.container == "SQL dump":
            wanted = self.table
            yield from ((line, row) for line, _, row in read_dump(self.file, lambda table: table == wanted))
        else:
            yield from _texts(self.file, self.container, tally)


def open_log(file: Path, said: str = "") -> Log:
    """Find out what a file is. said: the form's name, where the user knows better.

    Raises LedgerError naming the columns that were seen, where it is none of FORMS.
    """
    form = BY_NAME[said] if said else None
    head = _head(file)
    if head.startswith(SQLITE_MAGIC):
        table = _table_in(_sqlite_tables(file), file)
        return Log(file, form or BY_NAME[TABLES[table.lower()]], "SQLite database", table, bool(said))
    text = head.decode("utf-8", "replace").lstrip("\ufeff")
    if looks_like_dump(text):
        found = next((table for _, table, _ in read_dump(file, lambda name: name.lower() in TABLES)), None)
        if found is None:
            raise LedgerError(f"{file}: an SQL dump without rows of a table {' or '.join(TABLES)}; dump that table")
        return Log(file, form or BY_NAME[TABLES[found.lower()]], "SQL dump", found, bool(said))
    container = _container(file, head, text)
    if form is None:
        form = _form_of(file, container)
    return Log(file, form, container, was_said=bool(said))


def _texts(file: Path, container: str, tally: Tally) -> Iterator[tuple[int, dict[str, Any]]]:
    if container == "CSV":
        yield from csv_records(file, tally)
    elif container == "JSON lines":
        yield from json_lines(file, tally)
    else:
        yield from read_records(file, tally, members=MEMBERS)


def _container(file: Path, head: bytes, text: str) -> str:
    if head.startswith(b"PAR1"):
        return "Parquet"
    if text.lstrip()[:1] not in ("{", "["):
        return "CSV" if text.strip()[:1] not in ("<", "") and head[:2] not in _PACKED else "no CSV"
    return "JSON lines" if is_json_lines(file) else "JSON"


def _head(file: Path) -> bytes:
    try:
        with file.open("rb") as opened:
            return opened.read(HEAD_BYTES)
    except OSError as error:
        raise LedgerError(f"{file} cannot be read: {error.strerror}") from error


def _form_of(file: Path, container: str) -> Form:
    first = next(_texts(file, container, Tally()), None)
    if first is None:
        raise LedgerError(f"{file}: no record in it that can be read")
    names = {plain_name(name) for name in first[1]}
    for form in FORMS:
        if all(any(plain_name(spelling) in names for spelling in spellings) for spellings in form.needs):
            return form
    seen = ", ".join(sorted(first[1])[:12])
    raise LedgerError(
        f"{file}: none of the logs known here; its columns are {seen}. Say which it is with "
        f"`--as {'|'.join(form.name for form in FORMS)}`, or export single calls, not sums."
    )


def _table_in(tables: Sequence[str], file: Path) -> str:
    found = next((table for table in tables if table.lower() in TABLES), None)
    if found is None:
        raise LedgerError(
            f"{file}: a SQLite database without a table {' or '.join(TABLES)}; it has {', '.join(tables)}"
        )
    return found


def _connect(file: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{file.resolve().as_uri()}?mode=ro&immutable=0", uri=True)


def _sqlite_tables(file: Path) -> list[str]:
    try:
        with closing(_connect(file)) as database:
            found = database.execute("SELECT name FROM sqlite_master WHERE type IN ('table', 'view') ORDER BY name")
            return [name for (name,) in found]
    except sqlite3.DatabaseError as error:
        raise LedgerError(f"{file}: a SQLite database that cannot be read: {error}") from error


def _sqlite_rows(file: Path, table: str) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        with closing(_connect(file)) as database:
            database.text_factory = lambda raw: raw.decode("utf-8", "replace")
            cursor = database.execute(f'SELECT * FROM "{table}"')
            names = [column[0] for column in cursor.description]
            for number, row in enumerate(cursor, 1):
                yield number, dict(zip(names, row, strict=True))
    except sqlite3.DatabaseError as error:
        raise LedgerError(f"{file}: table {table} cannot be read: {error}") from error
