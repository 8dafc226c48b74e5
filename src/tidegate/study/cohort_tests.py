"""Which cohorts are foundational ("Cinderella's glass slipper") and which come back ("boomerang"), by stated tests.

The report gives no numeric test. Foundational: at the last month k at which two later cohorts can be compared, the
cohort's retention is at least 1.5 times the median of theirs, differs from their pooled one by more than two standard
errors, and was above their median in every month before. Boomerang: retention rises from one month to the next by
more than one point and more than two standard errors of that paired difference.
"""

import math
import statistics
from collections.abc import Iterator, Sequence

import msgspec

from tidegate.study.cohorts import WORDS, Cohort, cohorts, monthly
from tidegate.study.facts import Facts, Source
from tidegate.study.params import Params
from tidegate.study.result import Cell, Result, Value
from tidegate.study.retention import MODELS_MAX, activity_notes, window_of

NAME = "cohort_tests"
QUESTION = "Which cohorts stay far longer than later ones, and which come back?"
COHORT_MIN = 30  # members; below, a cohort is neither tested nor compared with
LATER_MIN = 2  # later cohorts to compare with
MONTHS_MIN = 2  # after the first: who merely tried again is no foundation
RATIO_MIN = 1.5
ERRORS_MIN = 2.0  # standard errors
RISE_MIN = 0.01


class Foundation(msgspec.Struct, frozen=True, kw_only=True):
    """One cohort against all later ones, k months on. error: of the rate; z: difference from the pooled later ones."""

    cohort: Cohort
    k: int
    rate: float
    error: float
    later_median: float
    later_cohorts: int
    z: float
    holds: bool


class Rise(msgspec.Struct, frozen=True, kw_only=True):
    """Retention from month k - 1 to k of one cohort. returned: active in k, idle in k - 1 (and active before)."""

    cohort: Cohort
    k: int
    returned: int
    rise: float
    error: float
    holds: bool


def foundation(cohort: Cohort, later: Sequence[Cohort]) -> Foundation | None:
    """The test of one cohort; None where it or what follows is too small or too young to be compared."""
    later = [other for other in later if other.size >= COHORT_MIN]
    reach = sorted((len(other.counts) - 1 for other in later), reverse=True)
    if cohort.size < COHORT_MIN or len(reach) < LATER_MIN or reach[LATER_MIN - 1] < MONTHS_MIN:
        return None
    k = min(reach[LATER_MIN - 1], len(cohort.counts) - 1)
    peers = [other for other in later if len(other.counts) > k]
    median = statistics.median(other.rate(k) for other in peers)
    pooled_size = sum(other.size for other in peers)
    pooled = sum(other.counts[k] for other in peers) / pooled_size
    whole = (cohort.counts[k] + pooled * pooled_size) / (cohort.size + pooled_size)
    error = math.sqrt(whole * (1 - whole) * (1 / cohort.size + 1 / pooled_size))
    z = (cohort.rate(k) - pooled) / error if error else 0.0
    stays = all(
        cohort.rate(j) > statistics.median(other.rate(j) for other in later if len(other.counts) > j)
        for j in range(1, k)
    )
    return Foundation(
        cohort=cohort,
        k=k,
        rate=cohort.rate(k),
        error=cohort.error(k),
        later_median=median,
        later_cohorts=len(peers),
        z=z,
        holds=stays and cohort.rate(k) >= RATIO_MIN * median and z > ERRORS_MIN,
    )


def rises(cohort: Cohort) -> list[Rise]:
    """Every month-to-month change from month 1 on. The error is of a paired difference: the same members twice."""
    found = []
    if cohort.size < COHORT_MIN:
        return []
    for k in range(2, len(cohort.counts)):
        before, now = cohort.active[:, k - 1], cohort.active[:, k]
        returned, left, n = int((now & ~before).sum()), int((before & ~now).sum()), cohort.size
        rise = (returned - left) / n
        error = math.sqrt(max(returned + left - (returned - left) ** 2 / n, 0.0)) / n
        holds = rise > RISE_MIN and rise > ERRORS_MIN * error
        found.append(Rise(cohort=cohort, k=k, returned=returned, rise=rise, error=error, holds=holds))
    return found


def cohort_tests(facts: Facts, source: Source, params: Params) -> Result:
    """Both tests for every cohort of the largest models: one line each, the rise being the cohort's steepest."""
    activity = monthly(NAME, facts, source, params, params.unit)
    rows: list[Cell] = []
    tested = changes = small = 0
    told: list[str] = []
    for model in activity.largest(MODELS_MAX):
        found = cohorts(activity, model)
        for place, cohort in enumerate(found):
            base, climbs = foundation(cohort, found[place + 1 :]), rises(cohort)
            tested += base is not None
            changes += len(climbs)
            small += cohort.size < COHORT_MIN
            steepest = max(climbs, key=lambda climb: climb.rise) if climbs else None
            rows.extend(_cells(cohort, base, steepest))
            told.extend(_verdicts(base, climbs))
    return Result(
        figure=NAME,
        definition=(
            f"{WORDS[params.unit].capitalize()} by month of first use. Foundational: retention at least {RATIO_MIN} "
            f"times the median of all later cohorts of at least {COHORT_MIN}, at the last month that {LATER_MIN} of "
            f"them have reached ({MONTHS_MIN} or later), more than {ERRORS_MIN:g} standard errors above their pooled "
            "rate, and above their median in each month before. Boomerang: retention rises by more than "
            f"{RISE_MIN:.0%} of the cohort and {ERRORS_MIN:g} standard errors from one month to the next."
        ),
        source_id=source.source_id,
        window=window_of(activity),
        rows=tuple(rows),
        n=activity.units,
        missing_share=0.0,
        notes=(
            *_answer(told),
            source.describe(),
            *activity_notes(activity, params),
            f"{tested} cohorts could be compared with later ones, {changes} month-to-month changes were tested: at two "
            "standard errors about one in forty passes by chance alone, before the other conditions.",
            f"{small} cohorts have fewer than {COHORT_MIN} members and are neither tested nor compared with.",
            "returned: of the steepest rise, members active that were idle the month before.",
        ),
        unit="as named",
        grain="month",
        down=("model", "cohort"),
    )


def _cells(cohort: Cohort, base: Foundation | None, steepest: Rise | None) -> Iterator[Cell]:
    values: dict[str, Value | None] = {
        "size": cohort.size,
        "compared at month": base.k if base else None,
        "retention": base.rate if base else None,
        "standard error": base.error if base else None,
        "later median": base.later_median if base else None,
        "later cohorts": base.later_cohorts if base else None,
        "z": base.z if base else None,
        "foundational": int(base.holds) if base else None,
        "steepest rise": steepest.rise if steepest else None,
        "rise error": steepest.error if steepest else None,
        "rise at month": steepest.k if steepest else None,
        "returned": steepest.returned if steepest else None,
        "boomerang": int(steepest.holds) if steepest else None,
    }
    for name, value in values.items():
        groups = {"model": cohort.model, "cohort": cohort.begin.isoformat()[:7], "statistic": name}
        yield Cell(period=cohort.begin.isoformat(), groups=groups, value=value)


def _verdicts(base: Foundation | None, climbs: Sequence[Rise]) -> Iterator[str]:
    if base and base.holds:
        yield (
            f"- {base.cohort.model}, cohort {base.cohort.begin.isoformat()[:7]} ({base.cohort.size} members): "
            f"foundational. {base.rate:.1%} (standard error {base.error:.1%}) at month {base.k} against "
            f"{base.later_median:.1%}, the median of {base.later_cohorts} later cohorts."
        )
    for climb in climbs:
        if climb.holds:
            yield (
                f"- {climb.cohort.model}, cohort {climb.cohort.begin.isoformat()[:7]} ({climb.cohort.size} members): "
                f"boomerang at month {climb.k}, up {100 * climb.rise:.1f} points (standard error "
                f"{100 * climb.error:.1f}); {climb.returned} returned."
            )


def _answer(told: Sequence[str]) -> list[str]:
    if not told:
        return ["No cohort passes either test."]
    return ["These cohorts pass a test:", *told]
