"""The facts that figures read: rollups and public series of one ledger, one row per day, model and source.

A source is what a `source_id` names: this installation's own calls, one import, or a public series shipped with the
product. A figure reads one source at a time; sources are never added to each other.
"""

import datetime as dt
import itertools
import re
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import msgspec

from tidegate.catalog import Catalog
from tidegate.ledger.parquet import open_engine
from tidegate.ledger.rollup import ListRates, attach, insert_columns, rollup_names
from tidegate.ledger.store import Ledger
from tidegate.study.authors import Makers, Overrides
from tidegate.study.params import Measure, Params
from tidegate.study.periods import ONE_DAY, Anchor, Coverage, cover, period_end
from tidegate.study.price_history import PriceHistory, price_history
from tidegate.study.result import NotComputable
from tidegate.study.series import read_shipped
from tidegate.study.series_facts import PublishedSeries, add_authors, load_series

if TYPE_CHECKING:
    import duckdb

Kind = Literal["calls", "daily", "weekly", "monthly", "window"]
_KINDS: dict[Kind, str] = {
    "calls": "rows of single calls",
    "daily": "an aggregate by day",
    "weekly": "an aggregate by week",
    "monthly": "an aggregate by month",
    "window": "an aggregate over a span that it does not state",
}
_KIND_OF_GRAIN: dict[str, Kind] = {
    "hour": "daily",
    "day": "daily",
    "week": "weekly",
    "month": "monthly",
    "window": "window",
}
_ROLLUP = re.compile(rf"\b({'|'.join(rollup_names())})\b")
RELATIVE_BEFORE_YEAR = 1973  # no model was called then: so traces with relative times are placed (import `trace`)


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """One source and what it holds.

    kind: `calls` (every call is a row), else an aggregate published by somebody else, by day, week and so on.
    names_models, names_authors: whether it says which model, or at least whose model, was used.
    series: what its lists name where it is a published series of the table `series` (`author`, `category_author`, ...
    as in `ledger/series.py`), else empty. anchor: first day of its weeks.
    """

    source_id: str
    kind: Kind
    first: dt.date
    last: dt.date
    names_models: bool
    names_authors: bool
    measures: tuple[Measure, ...]
    citation: str = ""
    series: str = ""
    anchor: Anchor = "monday"

    def describe(self) -> str:
        text = f"Source {self.source_id}: {_KINDS[self.kind]}, {self.first} to {self.last}."
        if self.citation:
            text += f" {self.citation}"
        if self.last.year < RELATIVE_BEFORE_YEAR:
            text += " Its times count from a start that it does not name: the dates stand for nothing else."
        return text


class Facts:
    """Table `facts`: source_id, day, model, variant, author, origin, weights, is_byok, tokens, calls, spend, unmetered.

    A query may also name any rollup of `ledger/rollups/`, which is summed when it is first named, and `series`: the
    newest vintages of published series that are no calls (columns in `ledger/series.py`, and `day`).
    """

    def __init__(
        self,
        connection: "duckdb.DuckDBPyConnection",
        sources: Sequence[Source],
        makers: Makers,
        prices_file: Path | None = None,
        ledger: Ledger | None = None,
    ) -> None:
        self._waiting = set(rollup_names()) - {"daily_usage"}
        self.connection = connection
        self.sources = tuple(sources)
        self.makers = makers
        self.ledger = ledger  # for what no rollup holds: outcomes by generation id
        self._prices_file = prices_file
        self.tables: dict[str, frozenset[str]] = {}  # what figures made on the connection, and the sources in each
        self._days: dict[str, dict[dt.date, int]] = {}

    @cached_property
    def prices(self) -> PriceHistory:
        """Dated list prices: the analyst's file, else the catalog's. Read when a figure asks for them."""
        return price_history(self.makers.catalog, self._prices_file)

    def query(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        for name in self._waiting.intersection(_ROLLUP.findall(sql)):
            attach(self.ledger, self.connection, name)
            self._waiting.discard(name)
        return self.connection.execute(sql, list(values)).fetchall()

    def source(self, source_id: str) -> Source | None:
        return next((source for source in self.sources if source.source_id == source_id), None)

    def coverage(self, source: Source, params: Params) -> Coverage:
        """Which periods the source covers, whatever the switches: leaving models out makes no day incomplete."""
        if source.kind == "weekly" and (params.grain != "week" or params.anchor != source.anchor):
            whole = f"it holds whole {source.anchor.capitalize()} weeks only (no column day)"
            raise NotComputable("the figure", source.source_id, whole)
        if source.kind == "window" or (source.kind == "monthly" and params.grain != "month"):
            raise NotComputable("the figure", source.source_id, f"it is {_KINDS[source.kind]} (no column day)")
        days = self._days.get(source.source_id)
        if days is None:
            days = self._days[source.source_id] = self._covered_days(source)
        return cover(days, params.window, params.grain, params.anchor, continuous=source.kind == "calls")

    def _covered_days(self, source: Source) -> dict[dt.date, int]:
        """How many names the source lists for each day that its periods cover."""
        table, names = "facts", "(model, variant)"
        if source.series and source.series != "author":
            table, names = "series", "(author, response_model, model_variant, provider_name, app, category)"
        counted = self.query(
            f"SELECT day, count(DISTINCT {names}) FROM {table} WHERE source_id = ? GROUP BY day", [source.source_id]
        )
        if source.kind == "weekly":
            return {day + number * ONE_DAY: models for day, models in counted for number in range(7)}
        if source.kind == "monthly":
            return {
                day + number * ONE_DAY: models
                for day, models in counted
                for number in range((period_end(day, "month") - day).days + 1)
            }
        return dict(counted)


def open_facts(
    ledger: Ledger | None,
    catalog: Catalog,
    *,
    overrides: Overrides | None = None,
    shipped: bool = False,
    prices_file: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Facts:
    """Read a ledger's rollups. shipped: add the public series that comes with the product as a source of its own."""
    makers = Makers(catalog, overrides or {})
    connection = open_engine()
    attach(ledger, connection, "daily_usage", list_rates=list_rates(catalog) if ledger else None, progress=progress)
    _create_facts(connection)
    _add_daily(connection, makers)
    published = load_series(ledger, connection)
    add_authors(connection, makers)
    citations = _add_shipped(connection, makers) if shipped else {}
    sources = _sources(connection, citations, {series.source_id: series for series in published})
    return Facts(connection, sources, makers, prices_file, ledger)


def list_rates(catalog: Catalog) -> ListRates:
    """List rates of every price the catalog knows, by price id; of one by the hour, of each of its hours."""
    prices = (one for pair in catalog.priced() for price in catalog.prices_of(*pair) for one in price.each())
    return {price.price_id: (price.rates.input, price.rates.output) for price in prices}


def _create_facts(connection: "duckdb.DuckDBPyConnection") -> None:
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE facts (source_id VARCHAR, kind VARCHAR, day DATE, model VARCHAR, "
        "variant VARCHAR, author VARCHAR, origin VARCHAR, weights VARCHAR, is_byok BOOLEAN, tokens DECIMAL(38,0), "
        "calls BIGINT, spend DECIMAL(38,0), unmetered BIGINT)"
    )


def _add_daily(connection: "duckdb.DuckDBPyConnection", makers: Makers) -> None:
    names = connection.execute(
        "SELECT DISTINCT response_model FROM daily_usage WHERE response_model IS NOT NULL ORDER BY 1"
    ).fetchall()
    models = [name for (name,) in names]
    found = [makers.of_model(model) for model in models]
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE makers (name VARCHAR, author VARCHAR, origin VARCHAR, weights VARCHAR)"
    )
    columns: list[list[Any]] = [
        models,
        *([getattr(maker, field) for maker in found] for field in ("author", "origin", "weights")),
    ]
    insert_columns(connection, "makers", columns)
    connection.execute(
        "INSERT INTO facts SELECT source_id, CASE WHEN unmetered_calls IS NULL THEN 'daily' ELSE 'calls' END, day, "
        "response_model, coalesce(model_variant, ''), author, coalesce(origin, 'unknown'), "
        "coalesce(weights, 'unknown'), is_byok, total_tokens, calls, cost_nano_usd, "
        "unmetered_calls "
        "FROM daily_usage LEFT JOIN makers ON name = response_model"
    )


def _add_shipped(connection: "duckdb.DuckDBPyConnection", makers: Makers) -> dict[str, str]:
    """Add the shipped series; its citation by source_id."""
    series = read_shipped()
    found = [makers.of_author(fact.author, fact.weights) for fact in series.facts]
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE shipped (week DATE, variant VARCHAR, author VARCHAR, origin VARCHAR, "
        "weights VARCHAR, tokens BIGINT)"
    )
    columns: list[list[Any]] = [
        [fact.week for fact in series.facts],
        ["free" if fact.is_free else "" for fact in series.facts],
        *([getattr(maker, field) for maker in found] for field in ("author", "origin", "weights")),
        [fact.tokens for fact in series.facts],
    ]
    insert_columns(connection, "shipped", columns)
    connection.execute(
        "INSERT INTO facts SELECT ?, 'weekly', week, NULL, variant, author, origin, weights, NULL, tokens, NULL, NULL, "
        "NULL FROM shipped",
        [series.source_id],
    )
    return {series.source_id: f"{series.source}. Checked {series.checked}."}


def _sources(
    connection: "duckdb.DuckDBPyConnection", citations: Mapping[str, str], published: Mapping[str, PublishedSeries]
) -> list[Source]:
    rows = connection.execute(
        "SELECT source_id, CASE WHEN bool_or(kind = 'weekly') THEN 'weekly' WHEN bool_or(kind = 'daily') THEN 'daily' "
        "ELSE 'calls' END, min(day), max(day), count(model) > 0, count(author) > 0, count(tokens) > 0, "
        "count(calls) > 0, count(spend) > 0 FROM facts GROUP BY source_id ORDER BY source_id"
    ).fetchall()
    found = [
        Source(
            source_id=source_id,
            kind=kind,
            first=first,
            last=last + 6 * ONE_DAY if kind == "weekly" else last,
            names_models=models,
            names_authors=authors,
            measures=tuple(itertools.compress(get_args(Measure), (tokens, calls, spend))),
            citation=citations.get(source_id, ""),
        )
        for source_id, kind, first, last, models, authors, tokens, calls, spend in rows
        if source_id not in published
    ]
    return sorted([*found, *map(_published_source, published.values())], key=lambda source: source.source_id)


def _published_source(series: PublishedSeries) -> Source:
    """A series as a source. Only one by author can stand for all use: the others name a part, or overlap."""
    return Source(
        source_id=series.source_id,
        kind=_KIND_OF_GRAIN[series.grain],
        first=series.first,
        last=series.last_day,
        names_models=False,
        names_authors=series.kind == "author",
        measures=series.measures,
        citation=series.notes(),
        series=series.kind,
        anchor=series.anchor,
    )
