"""What no ledger sees, on the report's page: the regional index and the longest series of the market book."""

import datetime as dt
from collections.abc import Iterator
from typing import Final

import msgspec

from tidegate.index.regional import Index, Spec, build
from tidegate.index.regional_tell import index_rows
from tidegate.index.regional_weights import weighed
from tidegate.market.book import shipped_claims
from tidegate.market.forecast import POINTS_MIN, forecast
from tidegate.market.series import Series, series_of
from tidegate.report import claims_timeline, index_intervals, index_ranks, index_weights
from tidegate.report.index_charts import subtitle_of
from tidegate.report.spec import Spec as Chart
from tidegate.report.spec import filling

SERIES_SHOWN: Final = 2


class Card(msgspec.Struct, frozen=True, kw_only=True):
    """One chart with what it must not stand without, and its numbers. `command` draws it again."""

    anchor: str
    question: str
    meta: str
    chart: Chart
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    caveats: tuple[str, ...]
    command: str


class Unseen(msgspec.Struct, frozen=True, kw_only=True):
    """The two parts of the page."""

    index: tuple[Card, ...]
    market: tuple[Card, ...]

    @property
    def cards(self) -> tuple[Card, ...]:
        return (*self.index, *self.market)


def unseen(today: dt.date) -> Unseen:
    """Both, from the figures and claims that come with Tidegate; 10,000 runs take a third of a second."""
    return Unseen(index=tuple(_index_cards(build(Spec()))), market=tuple(_market_cards(today)))


def _index_cards(index: Index) -> Iterator[Card]:
    first, second = subtitle_of(index, f"{index.spec.runs:,} runs, seed {index.spec.seed}")
    meta = f"{first}. {second}"
    columns, rows = index_rows(index)
    at = {name: columns.index(name) for name in ("region", "rank", "index", "low", "high", "coverage")}
    shown = tuple(tuple(_cell(row[place]) for place in at.values()) for row in rows)
    vintages = ", ".join(f"{name} {vintage}" for name, vintage in sorted(index.vintages.items()))
    caveats = (
        "A proxy of demand from public indicators, not a share of tokens. Bars: 90 % of runs over maps, readings of "
        "China, methods, weights and errors of the figures.",
        f"Vintages: {vintages}.",
    )
    yield Card(
        anchor="index-intervals", question=index_intervals.TITLE, meta=meta,
        chart=filling(index_intervals.chart(index), index_intervals.TITLE), columns=tuple(at), rows=shown,
        caveats=caveats, command="tidegate index build",
    )  # fmt: skip
    chances = [name for name in columns if name.startswith("p_rank_")]
    likely = tuple(
        (str(row[0]), *(f"{100 * float(row[columns.index(name)] or 0):.0f}" for name in chances)) for row in rows
    )
    yield Card(
        anchor="index-ranks", question=index_ranks.TITLE, meta=meta,
        chart=filling(index_ranks.chart(index.runs), index_ranks.TITLE),
        columns=("region", *(name.removeprefix("p_") .replace("_", " ") for name in chances)), rows=likely,
        caveats=("Where two regions share a rank in most runs, their order is not known.",),
        command="tidegate index vary",
    )  # fmt: skip
    found = weighed(index)
    bounds = tuple((f"{b.tolerance:g}", b.group, _cell(b.low), _cell(b.high), _cell(b.stated)) for b in found.bounds)
    yield Card(
        anchor="index-weights", question=index_weights.TITLE, meta=meta,
        chart=filling(index_weights.chart(index, found), index_weights.TITLE),
        columns=("within points", "group", "low", "high", "stated"), rows=bounds,
        caveats=("Bounds, never estimates: the table was judged before weights were written down.",),
        command="tidegate index weights",
    )  # fmt: skip


def _market_cards(today: dt.date) -> Iterator[Card]:
    known = sorted(series_of(shipped_claims(documents=False)), key=lambda one: (-len(one.points), one.key))
    for number, series in enumerate(known[:SERIES_SHOWN], start=1):
        yield _market_card(series, number, today)


def _market_card(series: Series, number: int, today: dt.date) -> Card:
    made = forecast(series, made_at=today) if len(series.points) >= POINTS_MIN else None
    rows = tuple((str(p.day), _cell(p.value), p.stated, ", ".join(p.claims)) for p in series.points)
    caveats = [
        f"{len(series.points)} published claims of comparable scope; what a publisher says, not what we measured."
    ]
    if made:
        caveats.append(
            f"Band: {made.level:.0%} interval for {made.day}, {made.low:.3g} to {made.high:.3g} ({made.method})."
        )
    question = f"{series.entity}: {series.scope}"
    return Card(
        anchor=f"market-{number}", question=question, meta=f"{series.basis}, {series.unit.replace('_', ' ')}",
        chart=filling(claims_timeline.chart(series, made), question), columns=("day", "value", "as stated", "claims"),
        rows=rows, caveats=tuple(caveats), command=f'tidegate market series --key "{series.entity}"',
    )  # fmt: skip


def _cell(value: object) -> str:
    if value is None:
        return ""
    return f"{value:,.4g}" if isinstance(value, float) else str(value)
