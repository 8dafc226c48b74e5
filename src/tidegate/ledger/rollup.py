"""Rollups: the ledger summarised by mergeable aggregates, each defined once as portable SQL in `rollups/*.sql`.

The header comment of a `.sql` file is its contract and is read by code and docs:

    -- rollup: NAME        -- text: one sentence        -- from: the relation it reads
    -- key: columns of the key                          -- sum: measures, each merged by addition
    -- bit_or: measures, each merged by bitwise OR

Everything measured is an integer, so merging is exact: rollup(a) merged with rollup(b) is rollup(a and b), and two
rollups are equal when their sorted canonical CSVs are. A measure that no row has is null; null and n add to n.
A unit is a run of sealed files (`rollup_runs.py`: computed, cached, rebuilt at will) or one imported
aggregate series (part of the record, named in the manifest); a new sealed file costs only itself.
"""

import functools
import hashlib
import importlib.resources
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from tidegate.core.errors import LedgerError
from tidegate.ledger.rollup_rows import bind
from tidegate.ledger.rollup_runs import Run, Runs, merge_runs, read_units, store

if TYPE_CHECKING:
    import duckdb

    from tidegate.ledger.store import Ledger

ListRates = Mapping[str, tuple[int, int]]
"""price_id -> (input, output) list rates, nano-USD per million tokens."""

NULL = "\\N"  # a missing value in canonical CSV; an empty text is an empty field
_SUM = "DECIMAL(38,0)"  # of money, and of counts: what providers report is added up, however absurd
_COUNTS = {"calls", "unmetered_calls", "sampled_calls"}
_KEY_TYPES = {
    "day": "DATE",
    "week": "DATE",
    "bucket": "BIGINT",
    "month_block": "BIGINT",
    "is_byok": "BOOLEAN",
    "is_cancelled": "BOOLEAN",
}


class Rollup(msgspec.Struct, frozen=True, kw_only=True):
    """The contract of one rollup, as its `.sql` file states it. `masks`: the measures merged by bitwise OR."""

    name: str
    text: str
    relation: str
    key: tuple[str, ...]
    measures: tuple[str, ...]
    masks: frozenset[str] = frozenset()
    sql: str

    @property
    def columns(self) -> tuple[str, ...]:
        return self.key + self.measures

    @property
    def reads_labels(self) -> bool:
        """Whether a label that comes later than its row changes it."""
        return self.relation == "tags" or "sample_weight" in self.sql

    @property
    def reads_prices(self) -> bool:
        return "list_cost_nano_usd" in self.measures

    def type_of(self, column: str) -> str:
        """The SQL type of a column of this rollup."""
        if column in self.key:
            return _KEY_TYPES.get(column, "VARCHAR")
        return "BIGINT" if column in _COUNTS or column in self.masks else _SUM


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
        if colon and word in {"rollup", "text", "from", "key", "sum", "bit_or"}:
            header[word] = f"{header[word].rstrip(',')}, {rest}" if word in header else rest
    for word in ("rollup", "text", "from", "key"):
        if word not in header:
            raise LedgerError(f"a rollup's SQL must begin with a header that has the line `-- {word}: ...`")
    if not {"sum", "bit_or"} & header.keys():
        raise LedgerError("a rollup's SQL must name its measures in the header, in a line `-- sum:` or `-- bit_or:`")

    def names(text: str) -> tuple[str, ...]:
        return tuple(part.strip() for part in text.split(",") if part.strip())

    return Rollup(
        name=header["rollup"],
        text=header["text"],
        relation=header["from"],
        key=names(header["key"]),
        measures=names(header.get("sum", "")) + names(header.get("bit_or", "")),
        masks=frozenset(names(header.get("bit_or", ""))),
        sql=sql,
    )


def merge_sql(rollup: Rollup, relation: str) -> str:
    """SQL that merges the units in `relation` (all columns of the rollup, any number of rows per key)."""
    key = ", ".join(rollup.key)
    merged = ", ".join(
        f"CAST({'BIT_OR' if name in rollup.masks else 'SUM'}({name}) AS {rollup.type_of(name)}) AS {name}"
        for name in rollup.measures
    )
    return f"SELECT {key}, {merged} FROM {relation} GROUP BY {key}"


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
    """Make the whole ledger's rollup `name` a table of that name on `connection`. Without a ledger it is empty.

    list_rates: what `list_cost_nano_usd` is computed from; a row whose price is not in it has none.
    progress: called with (units done, units to do).
    """
    import duckdb

    rollup = load_rollup(name)
    columns = ", ".join(f"{column} {rollup.type_of(column)}" for column in rollup.columns)
    connection.execute(f"CREATE OR REPLACE TEMP TABLE {name}_units ({columns})")
    if ledger:
        rates = (list_rates or {}) if rollup.reads_prices else {}
        _load_rates(connection, rates)
        try:
            _fill(ledger, connection, rollup, rates, progress)
        except (duckdb.Error, OSError) as error:
            raise LedgerError(
                f"ledger {ledger.path}: its files cannot be summed: {str(error).splitlines()[0]} "
                "(`tidegate ledger verify` names what is wrong)"
            ) from error
    connection.execute(f"CREATE OR REPLACE TEMP TABLE {name} AS {merge_sql(rollup, name + '_units')}")
    connection.execute(f"DROP TABLE {name}_units")


def unit_files(ledger: "Ledger", connection: "duckdb.DuckDBPyConnection", name: str) -> list[Path] | None:
    """Parquet files whose rows, merged, are the rollup, those missing computed first: for who asks for little of it.

    None where they cannot be kept: `attach` it then. Another process may put merged ones in their place at any time.
    Raises LedgerError where a sealed file cannot be summed.
    """
    import duckdb

    rollup = load_rollup(name)
    _load_rates(connection, {})
    try:
        runs = _runs(ledger, rollup, {})
        planned = runs.plan()
        for run in planned:
            if not run.path.is_file() and not store(connection, select_rollup(rollup, run.files, run.labels), run):
                return None
        merge_runs(connection, runs, planned, lambda relation: merge_sql(rollup, relation))
        computed = [run.path for run in runs.plan()]
    except (duckdb.Error, OSError) as error:
        raise LedgerError(
            f"ledger {ledger.path}: its files cannot be summed: {str(error).splitlines()[0]} "
            "(`tidegate ledger verify` names what is wrong)"
        ) from error
    return [*ledger.rollup_files(name), *computed]


def select_rollup(rollup: Rollup, files: Sequence[Path], labels: Sequence[Path] = ()) -> str:
    """SQL of one unit over these sealed files, for a connection with the table `list_rates`."""
    return bind(rollup.sql, rollup.relation, files, labels)


def _fill(
    ledger: "Ledger",
    connection: "duckdb.DuckDBPyConnection",
    rollup: Rollup,
    list_rates: ListRates,
    progress: Callable[[int, int], None] | None,
) -> None:
    """Insert every unit into the table of units: those at hand in one statement, the others as they are computed."""
    import duckdb

    insert = f"INSERT INTO {rollup.name}_units BY NAME "
    if sealed := ledger.rollup_files(rollup.name):
        connection.execute(insert + read_units(sealed))
    runs = _runs(ledger, rollup, list_rates)
    planned = runs.plan()
    done = _insert_cached(connection, insert, [run.path for run in planned if run.path.is_file()])
    for run in planned:
        if run.path not in done:
            try:
                _insert_run(connection, insert, rollup, run)
            except duckdb.Error as error:
                raise _blamed(connection, rollup, run, error) from error
            done.add(run.path)
        if progress:
            progress(len(done), len(planned))
    merge_runs(connection, runs, planned, lambda relation: merge_sql(rollup, relation))


def _runs(ledger: "Ledger", rollup: Rollup, list_rates: ListRates) -> Runs:
    return Runs(
        ledger.path,
        ledger.path / "cache" / "rollups" / rollup.name,
        hashlib.sha256(repr((rollup.sql, sorted(list_rates.items()))).encode()).digest(),
        [file for entry in ledger.entries() for file in entry.files if file.table == "rows"],
        ledger.sealed_files("labels") if rollup.reads_labels else (),
    )


def _insert_run(connection: "duckdb.DuckDBPyConnection", insert: str, rollup: Rollup, run: Run) -> None:
    """Sum a run, by way of the cache where it can be written (another process may be tidying there)."""
    import duckdb

    query = select_rollup(rollup, run.files, run.labels)
    if store(connection, query, run):
        try:
            connection.execute(insert + read_units([run.path]))
            return
        except duckdb.Error:
            pass
    connection.execute(f"{insert}({query})")


def _insert_cached(connection: "duckdb.DuckDBPyConnection", insert: str, cached: list[Path]) -> set[Path]:
    """Insert what was computed before; the units inserted. A damaged one is removed, to be computed anew."""
    import duckdb

    if not cached:
        return set()
    try:
        connection.execute(insert + read_units(cached))
    except duckdb.Error:
        found = set()
        for unit in cached:
            try:
                connection.execute(insert + read_units([unit]))
                found.add(unit)
            except duckdb.Error:
                with suppress(OSError):
                    unit.unlink()
        return found
    return set(cached)


def _blamed(connection: "duckdb.DuckDBPyConnection", rollup: Rollup, run: Run, error: "duckdb.Error") -> "duckdb.Error":
    """The error again, naming the one sealed file that causes it, where it is one."""
    import duckdb

    for rows, labels in (*(([file], []) for file in run.files), *(([], [file]) for file in run.labels)):
        try:
            connection.execute(f"SELECT count(*) FROM ({select_rollup(rollup, rows, labels)})").fetchall()
        except duckdb.Error as found:
            return duckdb.Error(f"{(rows or labels)[0]}: {str(found).splitlines()[0]}")
    return error


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
