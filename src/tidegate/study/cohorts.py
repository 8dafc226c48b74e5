"""Who used a model in which period: activity of units (accounts, users, apps) as a table of booleans, and cohorts.

A cohort is the units whose first use of the model lies in one period. Activity retention: a unit counts in a period
in which it is active, idle ones before it or not, so a curve may rise (State of AI, section 7).
"""

import datetime as dt
import math
from collections.abc import Callable, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from tidegate.study.facts import Facts, Source
from tidegate.study.params import Params, UnitOf
from tidegate.study.result import NotComputable

FIRST_YEAR = 2020  # of the masks' block 0
BLOCK_MONTHS = 48
ANY_MODEL = "any model"
WORDS: dict[UnitOf, str] = {"tenant": "accounts", "user": "end users"}


class Activity(msgspec.Struct, frozen=True, kw_only=True):
    """active: (pairs, periods) booleans, a pair being a unit and a model it used. model: (pairs,) codes of `models`.

    periods: first days, ascending, without gaps. first: (pairs,) place of a pair's first active period.
    """

    active: NDArray[np.bool_]
    model: NDArray[np.intp]
    models: tuple[str, ...]
    periods: tuple[dt.date, ...]
    units: int

    @property
    def first(self) -> NDArray[np.intp]:
        return np.asarray(self.active.argmax(axis=1), dtype=np.intp)

    def of(self, model: str) -> NDArray[np.bool_]:
        """The rows of one model."""
        return np.asarray(self.active[self.model == self.models.index(model)])

    def largest(self, number: int) -> list[str]:
        """ANY_MODEL, then the models with most units, equals by name."""
        counts = np.bincount(self.model, minlength=len(self.models))
        ranked = sorted(range(len(self.models)), key=lambda place: (-counts[place], self.models[place]))
        named = [self.models[place] for place in ranked if self.models[place] != ANY_MODEL and counts[place]]
        return [ANY_MODEL, *named[:number]]


class Cohort(msgspec.Struct, frozen=True, kw_only=True):
    """Units of one model that began in one period. active: (size, k + 1), from that period to the last complete one."""

    model: str
    begin: dt.date
    active: NDArray[np.bool_]

    @property
    def size(self) -> int:
        return len(self.active)

    @property
    def counts(self) -> list[int]:
        """Active units 0, 1, 2, ... periods after the first."""
        return [int(count) for count in self.active.sum(axis=0)]

    def rate(self, k: int) -> float:
        return self.counts[k] / self.size

    def error(self, k: int) -> float:
        """Standard error of the rate, of independent units."""
        rate = self.rate(k)
        return math.sqrt(rate * (1 - rate) / self.size)


def cohorts(activity: Activity, model: str) -> list[Cohort]:
    """The cohorts of a model that has any units, by begin."""
    rows = activity.of(model)
    first = rows.argmax(axis=1) if len(rows) else np.zeros(0, dtype=int)
    return [
        Cohort(model=model, begin=begin, active=rows[first == place][:, place:])
        for place, begin in enumerate(activity.periods)
        if (first == place).any()
    ]


def monthly(figure: str, facts: Facts, source: Source, params: Params, unit_of: UnitOf = "tenant") -> Activity:
    """Months of activity up to the last complete one, of the source and of ANY_MODEL.

    Raises NotComputable where the source has no accounts (or users), or not two complete months.
    """
    refuse_switches(figure, source, params)
    if source.kind != "calls":
        raise NotComputable(figure, source.source_id, "it has sums by day, not accounts (active_months)")
    coverage = facts.coverage(source, msgspec.structs.replace(params, grain="month"))
    if coverage.partial or len(coverage.kept) < 2:
        raise NotComputable(figure, source.source_id, "it has less than two complete months, so nobody could return")
    names = facts.query(
        "SELECT DISTINCT response_model FROM active_months WHERE source_id = ? AND unit_of = ? ORDER BY 1",
        [source.source_id, unit_of],
    )
    if not names:
        column = "tenant_id" if unit_of == "tenant" else "user_hash"
        raise NotComputable(figure, source.source_id, f"no call names its {WORDS[unit_of][:-1]} ({column})")
    found = facts.connection.execute(
        "SELECT dense_rank() OVER (ORDER BY unit) - 1 AS unit, dense_rank() OVER (ORDER BY response_model) - 1 AS "
        "model, month_block, months_mask FROM active_months WHERE source_id = ? AND unit_of = ?",
        [source.source_id, unit_of],
    ).fetchnumpy()
    places, months = _months_set(np.asarray(found["month_block"]), np.asarray(found["months_mask"]))
    units, models = np.asarray(found["unit"])[places], np.asarray(found["model"])[places]
    until = month_number(coverage.kept[-1])
    seen = months <= until
    return gathered(units[seen], models[seen], months[seen], [name for (name,) in names], until, month_begin)


def refuse_switches(figure: str, source: Source, params: Params) -> None:
    """Masks of activity know the model and nothing else of a call."""
    for missing, column in (
        (not params.include_free, "model_variant in active_months, so free variants cannot be left out"),
        (not params.include_cloaked, "author in active_months, so cloaked models cannot be left out"),
        (not params.include_byok, "is_byok in active_months, so BYOK cannot be left out"),
        (bool(params.without_accounts), "way to leave accounts out of active_months here"),
        (params.top is not None, "rank of models in active_months, so no view but `all`"),
    ):
        if missing:
            raise NotComputable(figure, source.source_id, f"there is no {column}")


def _months_set(blocks: NDArray[np.int64], masks: NDArray[np.int64]) -> tuple[NDArray[np.intp], NDArray[np.int64]]:
    """(line, month number) of every bit that is set."""
    lines, months = [], []
    for bit in range(BLOCK_MONTHS):
        where = np.flatnonzero((masks >> np.int64(bit)) & np.int64(1))
        lines.append(where)
        months.append(blocks[where].astype(np.int64) * BLOCK_MONTHS + bit)
    return np.concatenate(lines), np.concatenate(months)


def gathered(
    units: NDArray[np.int64],
    models: NDArray[np.int64],
    times: NDArray[np.int64],
    names: Sequence[str],
    until: int,
    begin_of: Callable[[int], dt.date],
) -> Activity:
    """The table of activity from parallel arrays of unit code, model code and period number (at most `until`)."""
    start = int(times.min()) if len(times) else until
    both = np.concatenate([models, np.full(len(models), len(names))])  # each use is one of ANY_MODEL too
    codes, pairs = np.unique(np.concatenate([units, units]) * (len(names) + 1) + both, return_inverse=True)
    active = np.zeros((len(codes), until - start + 1), dtype=bool)
    active[pairs, np.concatenate([times, times]) - start] = True
    return Activity(
        active=active,
        model=np.asarray(codes % (len(names) + 1), dtype=np.intp),
        models=(*names, ANY_MODEL),
        periods=tuple(begin_of(number) for number in range(start, until + 1)),
        units=len(np.unique(units)),
    )


def month_begin(number: int) -> dt.date:
    """The first day of the month with this number since January of FIRST_YEAR; negative before it."""
    return dt.date(FIRST_YEAR + number // 12, number % 12 + 1, 1)


def month_number(month: dt.date) -> int:
    """Months since January of FIRST_YEAR."""
    return (month.year - FIRST_YEAR) * 12 + month.month - 1
