"""How use goes with price, by several methods that answer different questions; never one number without its method.

The published slopes from -0.05 to -1.11 (State of AI; NBER w34608; the orpulse analysis) are of different estimands:
across models, or within a model over providers or time.
"""

from collections.abc import Callable, Sequence

import msgspec

from tidegate.study.event_study import event_study
from tidegate.study.facts import Facts, Source
from tidegate.study.params import Params
from tidegate.study.price_panel import Panel, Weeks, price_panel, read_weeks
from tidegate.study.price_points import Point, Points, model_points
from tidegate.study.regression import Estimate, Fit, NotIdentified, panel
from tidegate.study.result import Cell, NotComputable, Result, Value
from tidegate.study.scatter import slope

NAME = "price_elasticity"
QUESTION = "How much more is used when the price is lower?"
TEN_PERCENT = 0.9  # the price after a fall by a tenth


class Method(msgspec.Struct, frozen=True, kw_only=True):
    """One estimate. error: why there is none. r2: of the fit, None for an event study. clusters: 0 where none."""

    name: str
    sample: str
    identified_by: str
    estimate: Estimate | None = None
    r2: float | None = None
    clusters: int = 0
    error: str = ""

    @property
    def values(self) -> dict[str, Value | None]:
        """What the table shows; None where nothing was estimated."""
        found = self.estimate
        return {
            "elasticity": found.value if found else None,
            "se": found.se if found else None,
            "low": found.interval[0] if found else None,
            "high": found.interval[1] if found else None,
            "p": found.p_value if found else None,
            "n": found.n if found else None,
            "clusters": self.clusters or None,
            "r2": self.r2,
            "use at 10 % less": TEN_PERCENT**found.value - 1 if found else None,
        }


def price_elasticity(facts: Facts, source: Source, params: Params) -> Result:
    """Cross-section (unweighted, weighted, open, closed), within models over time, and around price cuts."""
    points = model_points(NAME, facts, source, params)
    methods = [*cross_sections(points), *_over_time(facts, source, params)]
    if all(method.estimate is None for method in methods):
        raise NotComputable(NAME, source.source_id, "; ".join(dict.fromkeys(method.error for method in methods)))
    rows = [
        Cell(
            period=points.first.isoformat(),
            groups={"method": method.name, "sample": method.sample, "statistic": name},
            value=value,
        )
        for method in methods
        for name, value in method.values.items()
    ]
    return Result(
        figure=NAME,
        definition=(
            "Elasticity: percent more tokens for one percent higher price, by method; low and high: 95 % interval; "
            f"use at 10 % less: 0.9^elasticity - 1. Cost across models: {points.cost_words}; over time: the list "
            "price at the model's fixed mix."
        ),
        source_id=source.source_id,
        window=points.window,
        rows=tuple(rows),
        n=len(points.points),
        missing_share=points.missing_share,
        notes=(
            *_answer(methods),
            *points.notes(source, "models with a positive cost (the sample of each method is its own n)"),
            "None of these is the effect of price on demand: prices are not set by chance, and free offers, launches "
            "and quality move both.",
        ),
        unit="elasticity",
        down=("method", "sample"),
    )


def cross_sections(points: Points) -> list[Method]:
    """OLS of ln(tokens) on ln(cost) over models, HC3 errors: unweighted, weighted by tokens, open and closed apart."""
    across = "differences between models: quality, age, maker and promotion all differ with the price"
    groups: list[tuple[str, Sequence[Point], bool, str]] = [
        ("cross-section", points.points, False, across),
        (
            "cross-section, weighted by tokens",
            points.points,
            True,
            f"{across}; large models count for most, and the weight is the outcome itself",
        ),
    ]
    for weights in ("open", "closed"):
        chosen = [point for point in points.points if point.weights == weights]
        groups.append(("cross-section", chosen, False, f"{across}, within one kind of weights"))
    samples = ("all models", "all models", "open weights", "closed weights")
    return [
        _estimated(name, sample, by, lambda chosen=chosen, weighted=weighted: _slope(chosen, weighted))  # type: ignore[misc]
        for (name, chosen, weighted, by), sample in zip(groups, samples, strict=True)
    ]


Estimated = tuple[Estimate, float | None, int]


def _slope(points: Sequence[Point], weighted: bool) -> Estimated:
    found, r2 = slope(points, weighted=weighted)
    return found, r2, 0


def _estimated(name: str, sample: str, by: str, estimate: Callable[[], Estimated]) -> Method:
    try:
        found, r2, clusters = estimate()
    except NotIdentified as error:
        return Method(name=name, sample=sample, identified_by=by, error=f"{name}, {sample}: {error}")
    return Method(name=name, sample=sample, identified_by=by, estimate=found, r2=r2, clusters=clusters)


def _over_time(facts: Facts, source: Source, params: Params) -> list[Method]:
    """Within models over weeks, and around cuts."""
    within = "a model's own price changes, against the weeks' common movement; changes are few and not by chance"
    around = "the timing of cuts, against models of steady price; a cut that answers falling use biases it"
    try:
        weeks = read_weeks(NAME, facts, source, params)
    except NotComputable as error:
        why = str(error).partition(f"{source.source_id!r}: ")[2]
        return [
            Method(name=name, sample="dated list prices", identified_by=by, error=f"{name}: {why}")
            for name, by in (("within models", within), ("around price cuts", around))
        ]
    built = price_panel(weeks, facts.prices)
    sample = f"{built.movers} of {built.models} models with a change"
    return [
        _estimated("within models", sample, within, lambda: _within(built)),
        _estimated("around price cuts", "first cuts of 5 % or more", around, lambda: _around(weeks, facts)),
    ]


def _within(built: Panel) -> Estimated:
    if built.movers == 0:
        raise NotIdentified("no model's list price is known to have changed between whole weeks (--prices FILE)")
    fit: Fit = panel(built.log_tokens, built.log_price[:, None], built.units, built.times)
    return fit.estimate(0), fit.r2, fit.clusters


def _around(weeks: Weeks, facts: Facts) -> Estimated:
    found = event_study(weeks, facts.prices)
    return found.elasticity, None, found.fit.clusters


def _answer(methods: Sequence[Method]) -> list[str]:
    told = ["The answer depends on the method:"]
    for method in methods:
        if method.estimate is None:
            told.append(f"- not estimated: {method.error}")
            continue
        low, high = method.estimate.interval
        clusters = f", {method.clusters} models as clusters" if method.clusters else ""
        told.append(
            f"- {method.name}, {method.sample}: {method.estimate.value:+.2f} (95 % {low:+.2f} to {high:+.2f}; n = "
            f"{method.estimate.n:,}{clusters}). Identified by {method.identified_by}."
        )
    return told
