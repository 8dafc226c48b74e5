"""The rollups on ClickHouse and Spark give what they give on DuckDB, to the last integer.

Not among the locked dependencies: `pip install chdb` or `pip install pyspark` (with a Java runtime) in an environment
that also has the test requirements, then `pytest tests/oracles/test_rollup_engines.py`. Skipped without them.
"""

import importlib.util
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest
import sqlglot

from tidegate.core.ids import generation_id
from tidegate.core.row import Row, TaskTag
from tidegate.ledger.parquet import open_engine
from tidegate.ledger.rollup import NULL, Rollup, attach, canonical_csv, load_rollup, merge_sql, rollup_names
from tidegate.ledger.rollup_rows import rows_sql, tags_sql
from tidegate.ledger.store import Ledger

SEED, CALLS = 3, 600
START_US = 1_577_000_000_000_000  # 2019-12-22: before and after the first month of active_months
DAY_US = 86_400_000_000
RATES = {"p1": (3_000_000_000, 15_000_000_000)}

pytestmark = [  # the engines leave sockets and files to the collector
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


class Engine(Protocol):
    """Another engine: relations from Parquet files by name, and the rows of a query as text, null as None."""

    dialect: str
    as_text: str

    def table(self, name: str, file: Path) -> None: ...

    def rows(self, sql: str) -> list[tuple[str | None, ...]]: ...


class ClickHouse:
    dialect, as_text = "clickhouse", "toString({0}) AS {0}"

    def __init__(self) -> None:
        from chdb.session import Session

        self._session: Any = Session()
        self._session.query("CREATE DATABASE IF NOT EXISTS study")
        self._session.query("USE study")

    def table(self, name: str, file: Path) -> None:
        self._session.query(f"CREATE OR REPLACE VIEW {name} AS SELECT * FROM file('{file}', Parquet)")

    def rows(self, sql: str) -> list[tuple[str | None, ...]]:
        lines = str(self._session.query(sql, "JSONCompactEachRow")).splitlines()
        return [tuple(json.loads(line)) for line in lines]


class Spark:
    dialect, as_text = "spark", "CAST({0} AS STRING) AS {0}"

    def __init__(self) -> None:
        from pyspark.sql import SparkSession

        builder: Any = SparkSession.builder.master("local[2]").config("spark.sql.session.timeZone", "UTC")
        for name, value in (("ui.enabled", "false"), ("driver.host", "127.0.0.1"), ("sql.shuffle.partitions", "2")):
            builder = builder.config(f"spark.{name}", value)
        self._session = builder.getOrCreate()

    def table(self, name: str, file: Path) -> None:
        self._session.read.parquet(str(file)).createOrReplaceTempView(name)

    def rows(self, sql: str) -> list[tuple[str | None, ...]]:
        return [tuple(row) for row in self._session.sql(sql).collect()]


def call(number: int, chance: random.Random) -> Row:
    def tokens(digits: int) -> int | None:
        return None if chance.random() < 0.1 else chance.randrange(10 ** chance.randint(1, digits))

    ts = START_US + chance.randrange(6 * 365) * DAY_US + chance.randrange(DAY_US)
    labels = [TaskTag(path=f"/{path}", confidence_ppm=chance.randrange(450_000, 600_000)) for path in "abcd"]
    return Row(
        generation_id=generation_id(ts // 1000, number % 4096, 1, 0, number),
        ts=ts,
        source_id=chance.choice(["own", 'a "quoted", name']),
        tenant_id=chance.choice([None, "t1", "t2"]),
        user_hash=chance.choice([None, "u1"]),
        app=chance.choice([None, "editor"]),
        billing_country=chance.choice([None, "US", "CN"]),
        response_model=chance.choice([None, "a/x", "b/y"]),
        model_variant=chance.choice([None, "", "free"]),
        is_byok=chance.choice([None, True, False]),
        status_code=chance.choice([None, 200, 429]),
        finish_reason=chance.choice([None, "stop", "eos", "tool_calls"]),
        error_type=chance.choice([None, None, "upstream_error"]),
        tool_calls=tokens(1),
        usage_input_tokens=tokens(7),
        usage_output_tokens=tokens(5),
        cost_nano_usd=tokens(9),
        price_id=chance.choice([None, "p1"]),
        duration_us=chance.choice([None, -3, tokens(9)]),
        time_to_first_chunk_us=tokens(7),
        language=chance.choice([None, "en", "zh-Hans"]),
        task_tags=chance.choice([None, [], labels[:1], labels]),
        tag_sample_weight=chance.choice([None, 1, 3, 400]),
    )


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Ledger:
    made = Ledger.create(tmp_path_factory.mktemp("engines") / "ledger")
    chance = random.Random(SEED)
    made.add_rows([call(number, chance) for number in range(CALLS)], [], unit="u", origin="test")
    return made


def installed(engine: type[Engine], package: str) -> Any:
    """A parameter that is skipped where the package is missing."""
    missing = importlib.util.find_spec(package) is None
    return pytest.param(engine, marks=pytest.mark.skipif(missing, reason=f"{package} is not installed"))


@pytest.fixture(scope="module", params=[installed(ClickHouse, "chdb"), installed(Spark, "pyspark")])
def engine(request: pytest.FixtureRequest, ledger: Ledger) -> Iterator[Engine]:
    """An engine with the prepared relations `rows` and `tags`."""
    made: Engine = request.param()
    connection = open_engine()
    rates = ", ".join(f"('{price}', {pair[0]}, {pair[1]})" for price, pair in RATES.items())
    connection.execute(
        f"CREATE TABLE list_rates AS SELECT * FROM (VALUES {rates}) AS r(list_price_id, input_rate, output_rate)"
    )
    rows = rows_sql(ledger.row_files())
    for name, relation in (("rows", rows), ("tags", tags_sql(rows))):
        file = ledger.path / f"{name}-{made.dialect}.parquet"
        connection.execute(f"COPY (SELECT * EXCLUDE (task_tags) FROM {relation}) TO '{file}' (FORMAT parquet)")
        made.table(name, file)
    yield made


def other_csv(engine: Engine, rollup: Rollup, sql: str) -> str:
    """`canonical_csv` of a query in our SQL on the other engine."""
    (translated,) = sqlglot.transpile(sql, read="duckdb", write=engine.dialect, comments=False)
    columns = ", ".join(engine.as_text.format(column) for column in rollup.columns)
    lines = [
        ",".join(NULL if value is None else quoted(value) for value in row)
        for row in engine.rows(f"SELECT {columns} FROM ({translated})")
    ]
    return "\n".join([",".join(rollup.columns), *sorted(lines)]) + "\n"


def quoted(value: str) -> str:
    return '"' + value.replace('"', '""') + '"' if any(mark in value for mark in ',"\n\r\\') else value


@pytest.mark.parametrize("name", rollup_names())
def test_another_engine_sums_alike(name: str, engine: Engine, ledger: Ledger) -> None:
    rollup = load_rollup(name)
    connection = open_engine()
    attach(ledger, connection, name, list_rates=RATES)
    expected = canonical_csv(connection, rollup, name)
    assert expected.count("\n") > 10
    assert other_csv(engine, rollup, rollup.sql) == expected
    twice = "(SELECT * FROM halves UNION ALL SELECT * FROM halves)"
    file = ledger.path / f"{name}-{engine.dialect}-unit.parquet"
    connection.execute(f"COPY (SELECT * FROM {name}) TO '{file}' (FORMAT parquet)")
    engine.table("halves", file)
    connection.execute(f"CREATE TABLE doubled AS {merge_sql(rollup, f'(SELECT * FROM {name} UNION ALL FROM {name})')}")
    assert other_csv(engine, rollup, merge_sql(rollup, f"{twice} AS units")) == canonical_csv(
        connection, rollup, "doubled"
    )
