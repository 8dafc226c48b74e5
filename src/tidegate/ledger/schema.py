"""The columns of rows, attempts and labels, once, and their canonical bytes; derived from the structs of `core/row.py`.

Canonical bytes of a record: one JSON object without white space, UTF-8, members in schema order and named, strings
with only the escapes that RFC 8259 demands (the short forms where there are any), integers in plain decimal digits;
a column at its default is left out (null everywhere, 0 for an attempt's `rung`). They do not depend on the engine
that holds the row, and a column that is added later, null in all rows before it, changes no old row's bytes: new
columns must be added with the default None, and none may be renamed, removed or moved.
"""

import functools
import types
from typing import Any, Final, Literal, Union, get_args, get_origin

import msgspec

from tidegate.core.row import Attempt, Label, Row, TaskTag, columns_of

Table = Literal["rows", "attempts", "labels"]
TableRecord = Row | Attempt | Label
STRUCTS: Final[dict[Table, type[TableRecord]]] = {"rows": Row, "attempts": Attempt, "labels": Label}
BIGINT_MAX: Final = 2**63 - 1
MICROSECONDS_PER_DAY: Final = 86_400_000_000
_TAG_TYPE: Final = "STRUCT(path VARCHAR, confidence_ppm BIGINT)[]"
_encode = msgspec.json.Encoder().encode

_GROUPS: Final = {
    "identity": "Which call, where it was written",
    "who": "Who called",
    "what": "What was called",
    "shape": "How the call went",
    "usage": "What was consumed; null where the source does not say",
    "money": "What it cost, in integers of nano-USD (10^-9 USD)",
    "time": "How long it took",
    "labels": "Content labels, sampled; never the content",
}


class Column(msgspec.Struct, frozen=True, kw_only=True):
    """One column. `required`: never null. `default`: stands for null, where there is one. `text`: its sentence."""

    name: str
    sql_type: str
    group: str
    text: str
    required: bool
    default: int | None = None


def _plain(kind: Any) -> Any:
    """The type without Annotated, None and Literal."""
    while hasattr(kind, "__metadata__"):
        kind = kind.__origin__
    if get_origin(kind) in (types.UnionType, Union):
        return _plain(next(part for part in get_args(kind) if part is not type(None)))
    if get_origin(kind) is Literal:
        return str
    return kind


def _sql_type(kind: Any) -> str:
    plain = _plain(kind)
    if plain == list[TaskTag]:
        return _TAG_TYPE
    return {int: "BIGINT", str: "VARCHAR", bool: "BOOLEAN"}[plain]


@functools.cache
def columns(table: Table) -> tuple[Column, ...]:
    """The columns of a table, in schema order."""
    struct = STRUCTS[table]
    required = {field.name for field in msgspec.structs.fields(struct) if field.required}
    defaults = {field.name: field.default for field in msgspec.structs.fields(struct) if not field.required}
    return tuple(
        Column(
            name=name,
            sql_type=_sql_type(kind),
            group=group,
            text=text,
            required=name in required or defaults[name] is not None,
            default=defaults.get(name),
        )
        for name, kind, group, text in columns_of(struct)
    )


def canonical_bytes(record: TableRecord) -> bytes:
    """The bytes that stand for a record in evidence, as the module says."""
    return _encode(record)


def column_list(table: Table) -> str:
    """`"a", "b", ...` for a SELECT; null becomes the default of columns that have one."""
    return ", ".join(
        f'"{column.name}"'
        if column.default is None
        else f'COALESCE("{column.name}", {column.default}) AS "{column.name}"'
        for column in columns(table)
    )


def json_columns(table: Table) -> str:
    """The `columns` argument of DuckDB's read_json."""
    return "{" + ", ".join(f"\"{column.name}\": '{column.sql_type}'" for column in columns(table)) + "}"


def empty_select(table: Table) -> str:
    """SQL of a typed table without rows."""
    casts = ", ".join(f'CAST(NULL AS {column.sql_type}) AS "{column.name}"' for column in columns(table))
    return f"SELECT {casts} WHERE false"


def files_select(table: Table, paths: list[str]) -> str:
    """SQL over Parquet files, all schema columns present: those a file lacks are null in its rows."""
    if not paths:
        return empty_select(table)
    listed = ", ".join(map(sql_text, paths))
    return (
        f"SELECT {column_list(table)} FROM (SELECT * FROM read_parquet([{listed}], union_by_name=true, "
        f"hive_partitioning=false) UNION ALL BY NAME {empty_select(table)})"
    )


def sql_text(text: str) -> str:
    """A string as an SQL literal."""
    return "'" + text.replace("'", "''") + "'"


def render_reference() -> str:
    """The reference page of all tables, as Markdown."""
    lines = [
        "# The row, its attempts and its label",
        "",
        "<!-- generated from tidegate/core/row.py by ledger/schema.py; do not edit -->",
        "",
        "One authenticated call is one row, refusals included. Journal, Parquet and SQL have the same columns.",
        "Null means that the source does not say; zero means zero. Times are UTC.",
        "A label is joined to its row by `generation_id`: it comes later, from a sample, and sealed rows never change.",
    ]
    for table in STRUCTS:
        lines += ["", f"## `{table}`"]
        seen = ""
        for column in columns(table):
            if column.group != seen:
                seen = column.group
                lines += [
                    "",
                    f"### {_GROUPS[seen]}",
                    "",
                    "| column | type | null | meaning |",
                    "| --- | --- | --- | --- |",
                ]
            null = "never" if column.required else "may be"
            lines.append(f"| `{column.name}` | `{column.sql_type}` | {null} | {column.text} |")
    lines += ["", "## Canonical bytes", "", *(__doc__ or "").strip().splitlines()[2:], ""]
    return "\n".join(lines)
