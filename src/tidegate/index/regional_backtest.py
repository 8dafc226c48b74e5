"""Did the index of one day say where the use of a later day was? Shares against shares, beside plain baselines.

No truth here is the truth: Claude is not sold everywhere, Microsoft's users are a model's, and a gateway's own ledger
knows its own customers. Each is named with its bias.
"""

from collections.abc import Mapping
from typing import Final

import msgspec
import numpy as np

from tidegate.index.backtest import total_variation
from tidegate.index.correlate import kendall, spearman
from tidegate.index.evidence import Evidence
from tidegate.index.regional import Index
from tidegate.index.regional_columns import SIZE_PERIOD
from tidegate.index.table import IndexRefusal, Vector

BIAS: Final = {
    "claude": "share of Claude.ai use, April 2026: Claude is not offered in China and some other countries; small "
    "cells are withheld",
    "ledger": "tokens of a gateway's own ledger by the caller's country: its customers, not the world",
}
TRUTH: Final = ("claude_usage_share", "2026-04")
BEFORE: Final = ("claude_conversations", "2025-08")


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One predictor against the truth. distance: total variation, 0.5 sum |p - q|; None where a rank is not defined.

    skill: 1 - distance / distance of the last known share; above 0 is better than assuming that nothing changes.
    """

    predictor: str
    spearman: float
    kendall: float
    distance: float
    skill: float | None


class Backtest(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """lines: the index first. shares: predictor or `truth` -> share by region, summing to 1."""

    truth: str
    bias: str
    lines: tuple[Line, ...]
    shares: dict[str, dict[str, float]]


def backtest(index: Index, ledger: Mapping[str, float] | None = None) -> Backtest:
    """The index as built against later shares of use.

    ledger: tokens by ISO 3166-1 alpha-3 country; None: Claude's use in April 2026, for which the last known share is
    that of August 2025.
    """
    known = _shares(index, index.evidence.by_place(*BEFORE))
    if ledger is None:
        name, truth = "claude", _shares(index, index.evidence.by_place(*TRUTH))
    else:
        name, truth = "ledger", _shares(index, ledger)
    predictors = {
        "index": index.scores / index.scores.sum(),
        "index, other reading of China": index.other.scores / index.other.scores.sum(),
        "last share (Claude, August 2025)": known,
        "working-age population": _shares(index, index.evidence.by_place("working_age_population", SIZE_PERIOD)),
        "square root of GDP": _roots(index, index.evidence),
    }
    last = total_variation(known, truth)
    lines = tuple(
        Line(
            predictor=predictor,
            spearman=spearman(share, truth),
            kendall=kendall(share, truth),
            distance=total_variation(share, truth),
            skill=1 - total_variation(share, truth) / last if last > 0 else None,
        )
        for predictor, share in predictors.items()
    )
    shares = {
        title: {region: float(x) for region, x in zip(index.regions, share, strict=True)}
        for title, share in {"truth": truth, **predictors}.items()
    }
    return Backtest(truth=name, bias=BIAS[name], lines=lines, shares=shares)


def _sums(index: Index, by_country: Mapping[str, float]) -> Vector:
    found = np.zeros(len(index.regions))
    for country, value in by_country.items():
        region = index.map.region_of(country)
        if region in index.regions:
            found[index.regions.index(str(region))] += value
    return found


def _shares(index: Index, by_country: Mapping[str, float]) -> Vector:
    sums = _sums(index, by_country)
    if sums.sum() <= 0:
        raise IndexRefusal("none of the regions has any use to test against; give a ledger with callers' countries")
    return np.asarray(sums / sums.sum())


def _roots(index: Index, evidence: Evidence) -> Vector:
    roots = np.sqrt(_sums(index, evidence.by_place("gdp_usd", SIZE_PERIOD)))
    return np.asarray(roots / roots.sum())
