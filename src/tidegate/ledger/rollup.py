"""Rollups: the ledger summarised by mergeable aggregates, each defined once as portable SQL in `rollups/*.sql`.

The header comment of a `.sql` file is its contract and is read by code and docs:

    -- rollup: NAME        -- text: one sentence        -- from: the relation it reads
    -- key: columns of the key                          -- sum: measures, each merged by addition

Everything measured is an integer, so merging is exact: rollup(a) merged with rollup(b) is rollup(a and b), and two
rollups are equal when their sorted canonical CSVs are. A measure that no row has is null; null and n add to n.
A unit is one sealed file (computed here, cached, rebuilt at will) or one imported aggregate series (part of the
record, named in the manifest); new data costs only its own units.
"""

import functools
import hashlib
import importlib.resources
import itertools
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from tidegate.core.errors import LedgerError
from tidegate.ledger.schema import files_select, sql_text

if TYPE_CHECKING:
    import duckdb

    from tidegate.ledger.store import Ledger

ListRates = Mapping[str, tuple[int, int]]
"""price_id -> (input, output) list rates, nano-USD per million tokens."""

NULL = "\\N"  # a missing value in canonical CSV; an empty text is an empty field
_MONEY = "DECIMAL(38,0)"
_KEY_TYPES = {"day": "DATE", "week": "DATE", "bucket": "BIGINT", "is_byok": "BOOLEAN", "is_cancelled": "BOOLEAN"}


class Rollup(msgspec.Struct, frozen=True, kw_only=True):
    """The contract of one rollup, as its `.sql` file states it."""

    name: str
    text: str
    relation: str
    key: tuple[str, ...]
    measures: tuple[str, ...]
    sql: str

    @property
    def columns(self) -> tuple[str, ...]:
        return self.key + self.measures

    def type_of(self, column: str) -> str:
        """The SQL type of a column of this rollup."""
        if column in self.key:
            return _KEY_TYPES.get(column, "VARCHAR")
        return _MONEY if column.endswith("_nano_usd") else "BIGINT"


def rollup_names() -> tuple[str, ...]:
    """The rollups that exist, by name."""
    folder = importlib.resources.files("tidegate.ledger") / "rollups"
    return tuple(sorted(entry.name[:-4] for entry in folder.iterdir() if entry.name.endswith(".sql")))


@functools.cache
def load_rollup(name: str) -> Rollup:
    """Read `rollups/NAME.sql` and its contract. Raises LedgerError where there is no such rollup."""
    if name not in rollup_names():
        raise LedgerError(f"there is no rollup {name!r}; there are {', '.join(rollup_names())}")
    sql = (importlib.resources.files("tidegate.ledger") / "rollups" / f"{name}.sql").read_text("utf-8")
    return parse_rollup(sql)


def parse_rollup(sql: str) -> Rollup:
    """The contract in the header of `sql`. Raises LedgerError naming the first header line that is missing."""
    header: dict[str, str] = {}
    for line in sql.splitlines():
        if not line.startswith("--"):
            break
        word, colon, rest = line[2:].strip().partition(": ")
        if colon and word in {"rollup", "text", "from", "key", "sum"}:
            header[word] = f"{header[word].rstrip(',')}, {rest}" if word in header else rest
    for word in ("rollup", "text", "from", "key", "sum"):
        if word not in header:
            raise LedgerError(f"a rollup's SQL must begin with a header that has the line `-- {word}: ...`")

    def names(text: str) -> tuple[str, ...]:
        return tuple(part.strip() for part in text.split(",") if part.strip())

    return Rollup(
        name=header["rollup"],
        text=header["text"],
        relation=header["from"],
        key=names(header["key"]),
        measures=names(header["sum"]),
        sql=sql,
    )


def merge_sql(rollup: Rollup, relation: str) -> str:
    """SQL that merges the units in `relation` (all columns of the rollup, any number of rows per key)."""
    key = ", ".join(rollup.key)
    sums = ", ".join(f"CAST(SUM({name}) AS {rollup.type_of(name)}) AS {name}" for name in rollup.measures)
    return f"SELECT {key}, {sums} FROM {relation} GROUP BY {key}"


def canonical_csv(connection: "duckdb.DuckDBPyConnection", rollup: Rollup, relation: str) -> str:
    """The rows of `relation` as sorted CSV text: the form in which two engines must agree."""
    fields = ", ".join(f"CAST({name} AS VARCHAR)" for name in rollup.columns)
    rows = connection.execute(f"SELECT {fields} FROM {relation}").fetchall()
    lines = sorted(",".join(NULL if value is None else _quoted(value) for value in row) for row in rows)
    return "\n".join([",".join(rollup.columns), *lines]) + "\n"


def attach(
    ledger: "Ledger | None",
    connection: "duckdb.DuckDBPyConnection",
    name: str,
    *,
    list_rates: ListRates | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Make the whole ledger's rollup `name` a view of that name on `connection` . Without a ledger the view is empty.

    list_rates: what `list_cost_nano_usd` is computed from; a row whose price is not in it has none.
    progress: called with (units done, units to do).
    """
    rollup = load_rollup(name)
    columns = ", ".join(f"{column} {rollup.type_of(column)}" for column in rollup.columns)
    connection.execute(f"CREATE OR REPLACE TEMP TABLE {name}_units ({columns})")
    if ledger:
        _load_rates(connection, list_rates or {})
        files, imported = ledger.row_files(), ledger.rollup_files(name)
        units = itertools.chain(
            _computed_units(ledger, connection, rollup, files, list_rates or {}), map(_read_unit, imported)
        )
        for done, source in enumerate(units, 1):
            connection.execute(f"INSERT INTO {name}_units BY NAME {source}")
            if progress:
                progress(done, len(files) + len(imported))
    connection.execute(f"CREATE OR REPLACE TEMP VIEW {name} AS {merge_sql(rollup, name + '_units')}")


def select_rollup(rollup: Rollup, files: Sequence[Path]) -> str:
    """SQL of one unit over these sealed files, for a connection with the table `list_rates`."""
    return rollup.sql.replace("FROM rows\n", f"FROM {_prepared_rows(files)}\n")


def _computed_units(
    ledger: "Ledger",
    connection: "duckdb.DuckDBPyConnection",
    rollup: Rollup,
    files: Sequence[Path],
    list_rates: ListRates,
) -> Iterator[str]:
    """One SELECT per sealed file: from the cache where it holds the unit, computed (and cached) where it does not."""
    folder = ledger.path / "cache" / "rollups" / rollup.name
    definition = repr((rollup.sql, sorted(list_rates.items()))).encode()
    for file in files:
        seen = file.stat()
        identity = f"{file.relative_to(ledger.path)}:{seen.st_size}:{seen.st_mtime_ns}".encode()
        unit = folder / f"{hashlib.sha256(definition + identity).hexdigest()[:32]}.parquet"
        if not unit.is_file():
            query = select_rollup(rollup, [file])
            if not _cache(connection, query, unit):
                yield f"SELECT * FROM ({query})"
                continue
        yield _read_unit(unit)


def _cache(connection: "duckdb.DuckDBPyConnection", query: str, unit: Path) -> bool:
    """Write a unit by atomic rename. False where the ledger's folder is not ours to write in."""
    try:
        unit.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=unit.parent, suffix=".tmp")
    except OSError:
        return False  # a read-only ledger is studied all the same; only the next run is not faster
    part = Path(name)
    try:
        os.close(handle)
        connection.execute(f"COPY ({query}) TO {sql_text(name)} (FORMAT parquet, COMPRESSION zstd)")
        part.replace(unit)
    finally:
        with suppress(FileNotFoundError):
            part.unlink()
    return True


def _read_unit(file: Path) -> str:
    return f"SELECT * FROM read_parquet({sql_text(str(file))}, hive_partitioning = false)"


def _prepared_rows(files: Sequence[Path]) -> str:
    """The ledger's rows in these files, with the derived columns that rollups read (see the headers of the `.sql`).

    day: UTC. list_cost_nano_usd: rounded once a call, half up. top_tag_path: ties go to the first path by name.
    """
    strong = "list_filter(task_tags, lambda tag: tag.confidence_ppm >= 500000)"
    ranked = f"list_sort(list_transform({strong}, lambda tag: {{'weak': -tag.confidence_ppm, 'path': tag.path}}))"
    return f"""(
  SELECT sealed.*,
    CAST(make_timestamp(ts) AS DATE) AS day,
    CAST((CAST(usage_input_tokens AS HUGEINT) * list_rates.input_rate
      + CAST(usage_output_tokens AS HUGEINT) * list_rates.output_rate + 500000) // 1000000 AS BIGINT)
      AS list_cost_nano_usd,
    {ranked}[1].path AS top_tag_path
  FROM ({files_select("rows", [str(file) for file in files])}) AS sealed
  LEFT JOIN list_rates ON list_rates.list_price_id = sealed.price_id
) AS rows"""


def _load_rates(connection: "duckdb.DuckDBPyConnection", rates: ListRates) -> None:
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE list_rates (list_price_id VARCHAR, input_rate BIGINT, output_rate BIGINT)"
    )
    ids = sorted(rates)
    insert_columns(connection, "list_rates", [ids, [rates[i][0] for i in ids], [rates[i][1] for i in ids]])


def insert_columns(connection: "duckdb.DuckDBPyConnection", table: str, columns: Sequence[Sequence[Any]]) -> None:
    """Append columns of equal length to a table, in one statement: thousands of single inserts would take seconds."""
    if columns and columns[0]:
        places = ", ".join("unnest(?)" for _ in columns)
        connection.execute(f"INSERT INTO {table} SELECT {places}", [list(column) for column in columns])


def _quoted(value: str) -> str:
    """A CSV field; a value that could be read as another one is quoted."""
    return '"' + value.replace('"', '""') + '"' if any(c in value for c in ',"\n\r\\') else value
