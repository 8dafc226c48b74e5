"""Tokens around price cuts, week by week, against models whose price did not change: estimates, no figure."""

import msgspec
import numpy as np

from tidegate.study.price_history import PriceHistory
from tidegate.study.price_panel import WEEKS_AFTER_MAX, WEEKS_BEFORE_MAX, PriceCut, Weeks, price_cuts, steady
from tidegate.study.regression import Estimate, Fit, Labels, Matrix, NotIdentified, Vector, panel, without_singletons

BASE = -1  # the last whole week at the old price: all effects are against it


class EventData(msgspec.Struct, frozen=True, kw_only=True):
    """Parallel arrays (n,): codes of model and week, ln tokens, week from the cut (0 where `treated` is False)."""

    units: Labels
    times: Labels
    log_tokens: Vector
    week: Labels
    treated: np.ndarray[tuple[int], np.dtype[np.bool_]]
    cuts: tuple[PriceCut, ...]
    controls: int


class EventStudy(msgspec.Struct, frozen=True, kw_only=True):
    """effects: by week from the cut, of ln tokens, BASE being zero by construction. average: of all weeks from 0 on.

    before: of all weeks before BASE; far from zero, the cut models were on another path already. models: with tokens in
    each week. elasticity: average over the mean ln price change, which counts as known.
    """

    effects: dict[int, Estimate]
    models: dict[int, int]
    average: Estimate
    before: Estimate | None
    elasticity: Estimate
    mean_log_change: float
    fit: Fit
    cuts: tuple[PriceCut, ...]
    controls: int


def event_data(weeks: Weeks, prices: PriceHistory) -> EventData:
    """Cut models in their weeks around the cut, and steady ones in all weeks; what is seen once is left out.

    Raises NotIdentified where there is no cut or nothing to compare with.
    """
    cuts, controls = price_cuts(weeks, prices), steady(weeks, prices)
    if not cuts:
        raise NotIdentified("no list price is known to have fallen by 5 % or more between weeks with tokens")
    places = {week: place for place, week in enumerate(weeks.weeks)}
    lines: list[tuple[int, int, float, int, bool]] = []
    for unit, cut in enumerate(cuts):
        for week, tokens in weeks.tokens[cut.key].items():
            k = cut.week_of(week)
            if k is not None and -WEEKS_BEFORE_MAX <= k <= WEEKS_AFTER_MAX:
                lines.append((unit, places[week], float(np.log(tokens)), k, True))
    for unit, key in enumerate(controls, len(cuts)):
        for week, tokens in weeks.tokens[key].items():
            lines.append((unit, places[week], float(np.log(tokens)), 0, False))
    units, times, logs, ks, treated = (np.array(column) for column in zip(*lines, strict=True))
    keep = without_singletons(units, times)
    return EventData(
        units=units[keep],
        times=times[keep],
        log_tokens=logs[keep],
        week=ks[keep],
        treated=treated[keep],
        cuts=tuple(cuts),
        controls=len(controls),
    )


def design(data: EventData) -> tuple[list[int], Matrix]:
    """The weeks from the cut that have an effect of their own, and their indicator columns."""
    ks = sorted({int(k) for k in data.week[data.treated]} - {BASE})
    columns = [(data.treated & (data.week == k)).astype(float) for k in ks]
    return ks, np.column_stack(columns) if columns else np.zeros((len(data.units), 0))


def event_study(weeks: Weeks, prices: PriceHistory) -> EventStudy:
    """Two-way fixed effects with one indicator a week from the cut, clustered by model. Raises NotIdentified."""
    data = event_data(weeks, prices)
    ks, x = design(data)
    if not ks or max(ks) < 0:
        raise NotIdentified("no week after a cut")
    fit = panel(data.log_tokens, x, data.units, data.times)
    after, before = (np.array([float(keep(k)) for k in ks]) for keep in (_is_after, _is_before))
    average = fit.estimate(after / after.sum())
    change = float(np.mean([cut.log_change for cut in data.cuts]))
    elasticity = Estimate(value=average.value / change, se=average.se / abs(change), df=average.df, n=average.n)
    return EventStudy(
        effects={k: fit.estimate(place) for place, k in enumerate(ks)},
        models={k: int((data.treated & (data.week == k)).sum()) for k in [*ks, BASE]},
        average=average,
        before=fit.estimate(before / before.sum()) if before.any() else None,
        elasticity=elasticity,
        mean_log_change=change,
        fit=fit,
        cuts=data.cuts,
        controls=data.controls,
    )


def _is_after(k: int) -> bool:
    return k >= 0


def _is_before(k: int) -> bool:
    return k < BASE
