"""Did the index of one day say where the use of a later day was? Shares against shares, beside plain baselines.

No truth here is the truth: Claude is not sold everywhere, Microsoft's users are a model's, and a gateway's own ledger
knows its own customers. Each is named with its bias.
"""

from collections.abc import Mapping
from typing import Final, Literal

import msgspec
import numpy as np

from tidegate.index.backtest import Score, backtest
from tidegate.index.evidence import Evidence
from tidegate.index.regional import Index
from tidegate.index.regional_columns import SIZE_PERIOD, USERS, users
from tidegate.index.table import IndexRefusal, Vector

Truth = Literal["claude", "users", "ledger"]

BIAS: Final[dict[Truth, str]] = {
    "claude": "share of Claude.ai use, April 2026: Claude is not offered in China and some other countries; small "
    "cells are withheld",
    "users": "share of Microsoft's users in 2025-H2, modelled from telemetry, against the index with users of 2025-H1: "
    "the same source on both sides, half a year apart",
    "ledger": "tokens of a gateway's own ledger by the caller's country: its customers, not the world",
}
CLAUDE: Final = ("claude_usage_share", "2026-04")
CLAUDE_BEFORE: Final = ("claude_conversations", "2025-08")
USERS_NOW, USERS_BEFORE = "2025-H2", "2025-H1"


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One predictor against the truth. distance: total variation, 0.5 sum |p - q|.

    skill: how much nearer the index comes than this predictor, 1 - distance of the index / its distance; below 0 the
    index is worse. None for the index itself, and where the predictor is exact.
    """

    predictor: str
    spearman: float
    kendall: float
    distance: float
    skill: float | None


class Tested(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """lines: the index first. shares: predictor or `truth` -> share by region, summing to 1."""

    truth: str
    bias: str
    lines: tuple[Line, ...]
    shares: dict[str, dict[str, float]]


def regional_backtest(index: Index, truth: Truth = "claude", ledger: Mapping[str, float] | None = None) -> Tested:
    """The index against later shares of use: of Claude, of Microsoft's users, or of a ledger.

    ledger: tokens by ISO 3166-1 alpha-3 country, for the truth `ledger`. For `users` the index is built with the users
    of the half-year before. Raises IndexRefusal for a ledger without any use in the regions.
    """
    if truth == "users":
        index = _of_half_year(index, USERS_BEFORE)
        last_name, last = f"last share (users, {USERS_BEFORE})", _users(index, USERS_BEFORE)
        observed = _users(index, USERS_NOW)
    else:
        last_name, last = "last share (Claude, August 2025)", _shares(index, index.evidence.by_place(*CLAUDE_BEFORE))
        observed = _shares(index, index.evidence.by_place(*CLAUDE) if truth == "claude" else ledger or {})
    baselines = {
        "index, other reading of China": index.other.scores,
        last_name: last,
        "working-age population": _shares(index, index.evidence.by_place("working_age_population", SIZE_PERIOD)),
        "square root of GDP": _roots(index, index.evidence),
    }
    found = backtest(index.scores, observed, baselines, BIAS[truth])
    lines = [_line(found.index, None), *(_line(score, found.skill[score.predictor]) for score in found.baselines)]
    shares = {
        title: {region: float(x / values.sum()) for region, x in zip(index.regions, values, strict=True)}
        for title, values in {"truth": observed, "index": index.scores, **baselines}.items()
    }
    return Tested(truth=truth, bias=BIAS[truth], lines=tuple(lines), shares=shares)


def _line(score: Score, skill: float | None) -> Line:
    return Line(
        predictor=score.predictor,
        spearman=score.spearman,
        kendall=score.kendall,
        distance=score.distance,
        skill=skill,
    )


def _of_half_year(index: Index, period: str) -> Index:
    """The index with the users of another half-year."""
    indicators = tuple(
        msgspec.structs.replace(i, vintage=msgspec.structs.replace(i.vintage, period=period)) if i.code == USERS else i
        for i in index.framework.indicators
    )
    framework = msgspec.structs.replace(index.framework, indicators=indicators)
    return msgspec.structs.replace(index, framework=framework)


def _users(index: Index, period: str) -> Vector:
    """Shares of users by telemetry, in which China is read like every country."""
    facts = users(index.evidence, period, "telemetry")
    return _shares(index, {fact.place: fact.value for fact in facts if fact.value is not None})


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
