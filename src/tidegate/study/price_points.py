"""What each model costs and how much it is used: the dots of the cost figures (State of AI, section 8).

Effective cost = USD charged / (prompt + completion tokens), BYOK calls left out. A source that charges nothing, such as
a public series of tokens, gets the list price of its own mix of prompt and completion instead, and says so.
"""

import datetime as dt
from collections import defaultdict
from typing import Literal

import msgspec
import numpy as np

from tidegate.core.facts import Weights
from tidegate.study.authors import REST_OF_LIST
from tidegate.study.facts import Facts, Source
from tidegate.study.params import Params
from tidegate.study.periods import period_sql
from tidegate.study.quantity import percent
from tidegate.study.result import NotComputable

Basis = Literal["charged", "list"]
NANO = 10**9
MILLION = 10**6


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """One key. cost: USD per million tokens; tokens: of the calls that the cost is of."""

    key: str
    cost: float
    tokens: int
    author: str = ""
    weights: Weights = "unknown"


class Points(msgspec.Struct, frozen=True, kw_only=True):
    """The keys with a positive cost, most used first, and what has none.

    total: all tokens looked at. free_keys, free_tokens: of keys that cost nothing, which have no logarithm.
    unpriced_keys, unpriced_tokens: of keys whose cost is not known. first, last: days of use.
    """

    points: tuple[Point, ...]
    basis: Basis
    first: dt.date
    last: dt.date
    total: int
    free_keys: int
    free_tokens: int
    unpriced_keys: int
    unpriced_tokens: int
    prices_basis: str = ""

    @property
    def window(self) -> str:
        return f"{self.first}:{self.last}"

    @property
    def missing_share(self) -> float:
        return self.unpriced_tokens / self.total if self.total else 0.0

    @property
    def cost_words(self) -> str:
        if self.basis == "charged":
            return "USD charged / (prompt + completion tokens) x 10^6, BYOK calls left out"
        return (
            "list price (the last known by each week, else the first known later) of the key's own mix of prompt and "
            "completion tokens, USD per million; no caching, no discount"
        )

    def notes(self, source: Source, what: str) -> list[str]:
        """What was counted and what was not."""
        told = [source.describe(), f"Cost: {self.cost_words}."]
        if self.prices_basis:
            told.append(self.prices_basis)
        told.append(
            f"n counts {what}. {self.free_keys} cost nothing (no logarithm; "
            f"{percent(self.free_tokens / max(self.total, 1))} of tokens) and {self.unpriced_keys} have no known cost "
            f"({percent(self.missing_share)} of tokens): left out."
        )
        return told


def model_points(figure: str, facts: Facts, source: Source, params: Params) -> Points:
    """One point a model and variant over the window. Raises NotComputable where nothing can be priced."""
    used = model_use(figure, facts, source, params)
    charged = any(use.cost for use in used)
    found = _charged(used) if charged else _listed(facts, used)
    if params.top:
        found = dict(sorted(found.items(), key=lambda item: -item[1][1])[: params.top])
    points, free, unpriced = [], [], []
    for (model, variant), (cost, tokens, all_tokens) in found.items():
        name = model + (f":{variant}" if variant else "")
        maker = facts.makers.of_model(model)
        if tokens == 0 or cost is None:
            unpriced.append(all_tokens)
            continue
        unpriced_part = all_tokens - tokens
        if cost == 0:
            free.append(tokens)
        else:
            price = cost / tokens * MILLION / NANO
            points.append(Point(key=name, cost=price, tokens=tokens, author=maker.author, weights=maker.weights))
        if unpriced_part:
            unpriced.append(unpriced_part)
    if not points:
        raise NotComputable(
            figure,
            source.source_id,
            "it has no cost (cost_nano_usd), and no list price is known for its models; bring one: --prices FILE",
        )
    return Points(
        points=tuple(sorted(points, key=lambda point: (-point.tokens, point.key))),
        basis="charged" if charged else "list",
        first=min(use.first for use in used),
        last=max(use.last for use in used),
        total=sum(all_tokens for _, _, all_tokens in found.values()),
        free_keys=len(free),
        free_tokens=sum(free),
        unpriced_keys=len(unpriced),
        unpriced_tokens=sum(unpriced),
        prices_basis="" if charged else facts.prices.basis,
    )


class Use(msgspec.Struct, frozen=True, kw_only=True):
    """Tokens of one model and variant in one week, BYOK left out.

    input, output: None where the source has totals only. cost: nano-USD charged; costed: tokens of what has a cost.
    first, last: days with use.
    """

    model: str
    variant: str
    week: dt.date
    first: dt.date
    last: dt.date
    input: int | None
    output: int | None
    tokens: int
    cost: int | None
    costed: int

    @property
    def input_share(self) -> float | None:
        if self.input is None or self.output is None or not self.input + self.output:
            return None
        return self.input / (self.input + self.output)


def model_use(figure: str, facts: Facts, source: Source, params: Params) -> list[Use]:
    """`weekly_use`, or NotComputable by the name of what is missing."""
    if not source.names_models:
        raise NotComputable(figure, source.source_id, "it does not say which model was called (response_model)")
    if "tokens" not in source.measures:
        raise NotComputable(figure, source.source_id, "it has no token counts (total_tokens)")
    if params.without_accounts:
        raise NotComputable(figure, source.source_id, "there is no tenant_id in daily_usage, so no account is left out")
    used = weekly_use(facts, source, params)
    if not used:
        raise NotComputable(figure, source.source_id, "it has no tokens of a named model in the window, BYOK left out")
    return used


def weekly_use(facts: Facts, source: Source, params: Params) -> list[Use]:
    """What each model was used, by week; dated names of one model are one model. The sum row of a list is no model."""
    where, values = ["source_id = ?", "is_byok IS NOT TRUE", "response_model IS NOT NULL"], [source.source_id]
    for side, bound in ((">=", params.window.first), ("<=", params.window.last)):
        if bound:
            where.append(f"day {side} CAST(? AS DATE)")
            values.append(bound.isoformat())
    if not params.include_free:
        where.append("coalesce(model_variant, '') <> 'free'")
    rows = facts.query(
        f"SELECT response_model, coalesce(model_variant, ''), {period_sql('day', 'week', params.anchor)} AS week, "
        "min(day), max(day), CAST(sum(usage_input_tokens) AS HUGEINT), CAST(sum(usage_output_tokens) AS HUGEINT), "
        "CAST(sum(total_tokens) AS HUGEINT), CAST(sum(cost_nano_usd) AS HUGEINT), "
        "CAST(coalesce(sum(total_tokens) FILTER (cost_nano_usd IS NOT NULL), 0) AS HUGEINT) FROM daily_usage "
        f"WHERE {' AND '.join(where)} GROUP BY ALL HAVING sum(total_tokens) > 0 ORDER BY ALL",
        values,
    )
    merged: dict[tuple[str, str, dt.date], Use] = {}
    for name, variant, week, first, last, entered, left, tokens, cost, costed in rows:
        if name in REST_OF_LIST:
            continue
        if not params.include_cloaked and facts.makers.of_model(name).origin == "cloaked":
            continue
        model = facts.makers.catalog.resolve(name).model
        use = Use(
            model=model,
            variant=variant,
            week=week,
            first=first,
            last=last,
            input=entered,
            output=left,
            tokens=tokens,
            cost=cost,
            costed=costed,
        )
        known = merged.get((model, variant, week))
        merged[model, variant, week] = use if known is None else _added(known, use)
    return list(merged.values())


def _added(one: Use, other: Use) -> Use:
    return Use(
        model=one.model,
        variant=one.variant,
        week=one.week,
        first=min(one.first, other.first),
        last=max(one.last, other.last),
        input=_sum(one.input, other.input),
        output=_sum(one.output, other.output),
        tokens=one.tokens + other.tokens,
        cost=_sum(one.cost, other.cost),
        costed=one.costed + other.costed,
    )


def _sum(one: int | None, other: int | None) -> int | None:
    return other if one is None else one if other is None else one + other


Priced = dict[tuple[str, str], tuple[float | None, int, int]]
"""(model, variant) -> cost in nano-USD (None: not known), tokens that the cost is of, all tokens."""


def _charged(used: list[Use]) -> Priced:
    sums: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0, 0])
    for use in used:
        entry = sums[use.model, use.variant]
        entry[0] += use.cost or 0
        entry[1] += use.costed
        entry[2] += use.tokens
    return {key: (cost if costed else None, costed, tokens) for key, (cost, costed, tokens) in sums.items()}


def _listed(facts: Facts, used: list[Use]) -> Priced:
    """Each week's tokens at the last list price known by its end, else at the first known after it."""
    sums: dict[tuple[str, str], list[float]] = defaultdict(lambda: [0.0, 0, 0])
    for use in used:
        entry = sums[use.model, use.variant]
        entry[2] += use.tokens
        if use.variant == "free":
            entry[1] += use.tokens
            continue
        step = facts.prices.nearest(use.model, use.variant, use.last)
        if step is None or use.input_share is None:
            continue
        entry[0] += step.blended(use.input_share) * use.tokens / MILLION * NANO
        entry[1] += use.tokens
    return {key: (cost if priced else None, int(priced), int(tokens)) for key, (cost, priced, tokens) in sums.items()}


class Cut(msgspec.Struct, frozen=True):
    """Where the quadrants meet: medians over keys, of USD per million tokens and of tokens."""

    cost: float
    tokens: float

    def is_dear(self, point: Point) -> bool:
        """Above the median; a key on the line is not dear."""
        return point.cost > self.cost

    def is_used(self, point: Point) -> bool:
        """At the median or above."""
        return point.tokens >= self.tokens


def medians(points: tuple[Point, ...]) -> Cut:
    """Medians on the log scale: between two middle keys the geometric mean."""
    cost = np.median(np.log10([point.cost for point in points]))
    tokens = np.median(np.log10([float(point.tokens) for point in points]))
    return Cut(float(10**cost), float(10**tokens))
