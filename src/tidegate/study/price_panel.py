"""Models week by week with their dated list prices: what the within-model estimates, event study and Jevons check use.

A model's price is blended with the model's own mix of prompt and completion over the whole window, held fixed, so that
it moves only when the list price does. Only whole weeks count, and of those the ones in which one price was seen and
no other.
"""

import datetime as dt
from collections import defaultdict
from collections.abc import Mapping, Sequence

import msgspec
import numpy as np

from tidegate.study.facts import Facts, Source
from tidegate.study.params import Params
from tidegate.study.price_history import Change, PriceHistory
from tidegate.study.price_points import Use, model_use
from tidegate.study.regression import Labels, Vector
from tidegate.study.result import NotComputable

WEEK = dt.timedelta(days=7)
WEEK_END = dt.timedelta(days=6)
CUT_MIN = 0.05  # a price lowered by at least this part of itself is a cut
WEEKS_BEFORE_MAX, WEEKS_AFTER_MAX = 6, 8  # of the event study
WEEKS_MIN = 1  # with tokens, on each side of a cut
Key = tuple[str, str]


class Weeks(msgspec.Struct, frozen=True, kw_only=True):
    """Tokens by (model, variant) and whole week; the mix of each; the days that the weeks cover."""

    tokens: Mapping[Key, Mapping[dt.date, int]]
    input_share: Mapping[Key, float]
    weeks: tuple[dt.date, ...]

    @property
    def window(self) -> str:
        return f"{self.weeks[0]}:{self.weeks[-1] + WEEK_END}"

    def market(self, week: dt.date) -> int:
        """Tokens of all models in a week."""
        return sum(found.get(week, 0) for found in self.tokens.values())


def read_weeks(figure: str, facts: Facts, source: Source, params: Params) -> Weeks:
    """The source's whole weeks. Raises NotComputable where it has none, or no split into prompt and completion."""
    used = model_use(figure, facts, source, params)
    coverage = facts.coverage(source, msgspec.structs.replace(params, grain="week"))
    kept = set() if coverage.partial else set(coverage.kept)
    if len(kept) < 2 * WEEKS_MIN:
        raise NotComputable(figure, source.source_id, f"whole weeks in the window: {len(kept)}, needed {2 * WEEKS_MIN}")
    tokens: dict[Key, dict[dt.date, int]] = defaultdict(dict)
    for use in used:
        if use.week in kept and use.tokens > 0:
            tokens[use.model, use.variant][use.week] = use.tokens
    shares = _mix(used)
    if not shares:
        raise NotComputable(
            figure, source.source_id, "it has totals only (usage_input_tokens and usage_output_tokens are null)"
        )
    return Weeks(tokens=tokens, input_share=shares, weeks=tuple(sorted(kept)))


def _mix(used: Sequence[Use]) -> dict[Key, float]:
    """Input's share of each model's tokens over the whole window."""
    entered: dict[Key, int] = defaultdict(int)
    both: dict[Key, int] = defaultdict(int)
    for use in used:
        if use.input is not None and use.output is not None:
            entered[use.model, use.variant] += use.input
            both[use.model, use.variant] += use.input + use.output
    return {key: entered[key] / both[key] for key in both if both[key]}


class Panel(msgspec.Struct, frozen=True, kw_only=True):
    """Parallel arrays (n,): codes of model and week, ln tokens, ln price. movers: models whose price moves in it."""

    units: Labels
    times: Labels
    log_tokens: Vector
    log_price: Vector
    models: int
    movers: int


def price_panel(weeks: Weeks, prices: PriceHistory) -> Panel:
    """Every model and week with tokens and one known positive price."""
    places = {week: place for place, week in enumerate(weeks.weeks)}
    units, times, tokens, costs = [], [], [], []
    keys: list[Key] = []
    seen: dict[int, set[float]] = defaultdict(set)
    for key in sorted(weeks.tokens):
        if key not in weeks.input_share:
            continue
        for week, amount in weeks.tokens[key].items():
            step = prices.during(*key, week, week + WEEK_END)
            price = step.blended(weeks.input_share[key]) if step else 0.0
            if price <= 0:
                continue
            if not keys or keys[-1] != key:
                keys.append(key)
            units.append(len(keys) - 1)
            times.append(places[week])
            tokens.append(float(amount))
            costs.append(price)
            seen[len(keys) - 1].add(price)
    return Panel(
        units=np.array(units, dtype=np.intp),
        times=np.array(times, dtype=np.intp),
        log_tokens=np.log(np.array(tokens)),
        log_price=np.log(np.array(costs)),
        models=len(keys),
        movers=sum(len(found) > 1 for found in seen.values()),
    )


class PriceCut(msgspec.Struct, frozen=True, kw_only=True):
    """A lowered list price. before, after: USD per million tokens at the model's own mix.

    last_old, first_new: days between which the price changed (neighbours where the day is known). until: last day at
    the new price, as far as known; since: first day at the old one.
    """

    key: Key
    before: float
    after: float
    since: dt.date
    last_old: dt.date
    first_new: dt.date
    until: dt.date

    @property
    def name(self) -> str:
        return self.key[0] + (f":{self.key[1]}" if self.key[1] else "")

    @property
    def log_change(self) -> float:
        return float(np.log(self.after / self.before))

    def week_of(self, week: dt.date) -> int | None:
        """Weeks from the cut: 0, 1, ... at the new price, -1, -2, ... at the old one; None between and beyond."""
        end = week + WEEK_END
        if self.since <= end < self.first_new and week <= self.last_old:
            return -1 - (self._last_week_before(week) - week) // WEEK
        if self.last_old < week <= self.until and end >= self.first_new:
            return (week - self._first_week_after(week)) // WEEK
        return None

    def _last_week_before(self, week: dt.date) -> dt.date:
        """The last week, counted on from this one, in which the old price alone was seen."""
        latest = week + (self.last_old - week) // WEEK * WEEK
        return latest if latest + WEEK_END < self.first_new else latest - WEEK

    def _first_week_after(self, week: dt.date) -> dt.date:
        """The first week, counted back from this one, in which the new price alone was seen."""
        earliest = week - (week + WEEK_END - self.first_new) // WEEK * WEEK
        return earliest if earliest > self.last_old else earliest + WEEK


def price_cuts(weeks: Weeks, prices: PriceHistory) -> list[PriceCut]:
    """The first cut of each model in the window with at least WEEKS_MIN weeks of tokens on each side."""
    first, last = weeks.weeks[0], weeks.weeks[-1] + WEEK_END
    found: dict[Key, PriceCut] = {}
    for change in prices.changes(first, last):
        key = (change.model, change.variant)
        if key in found or key not in weeks.tokens or key not in weeks.input_share:
            continue
        cut = _cut(change, weeks.input_share[key], prices)
        if cut is None:
            continue
        sides = [cut.week_of(week) for week in weeks.tokens[key]]
        before = sum(k is not None and -WEEKS_BEFORE_MAX <= k < 0 for k in sides)
        after = sum(k is not None and 0 <= k <= WEEKS_AFTER_MAX for k in sides)
        if min(before, after) >= WEEKS_MIN:
            found[key] = cut
    return [found[key] for key in sorted(found)]


def _cut(change: Change, share: float, prices: PriceHistory) -> PriceCut | None:
    before, after = change.before.blended(share), change.after.blended(share)
    if not 0 < after <= before * (1 - CUT_MIN):  # lowered to nothing is no price: its logarithm is not finite
        return None
    return PriceCut(
        key=(change.model, change.variant),
        before=before,
        after=after,
        since=change.before.first,
        last_old=change.before.last,
        first_new=change.after.first,
        until=change.after.last,
    )


def steady(weeks: Weeks, prices: PriceHistory) -> list[Key]:
    """Models with a known price that is not known to have changed in the window: what cuts are compared with."""
    moved = {(c.model, c.variant) for c in prices.changes(weeks.weeks[0], weeks.weeks[-1] + WEEK_END)}
    return [
        key
        for key in sorted(weeks.tokens)
        if key not in moved and prices.during(*key, weeks.weeks[0], weeks.weeks[-1] + WEEK_END) is not None
    ]
