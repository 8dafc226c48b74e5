"""Of those who began to use a model in one month, how many use it one, two, ... months later (State of AI, Fig 30)."""

from tidegate.study.cohorts import ANY_MODEL, WORDS, Activity, cohorts, monthly
from tidegate.study.facts import Facts, Source
from tidegate.study.params import Params
from tidegate.study.periods import period_end
from tidegate.study.result import Cell, Result

NAME = "retention"
QUESTION = "Of those who began with a model, how many still use it months later?"
MODELS_MAX = 8  # panels of the original


def retention(facts: Facts, source: Source, params: Params) -> Result:
    """Activity retention by model and monthly cohort, from first use to the last complete month."""
    activity = monthly(NAME, facts, source, params, params.unit)
    rows: list[Cell] = []
    sizes = []
    for model in activity.largest(MODELS_MAX):
        for cohort in cohorts(activity, model):
            sizes.append(cohort.size)
            for k, count in enumerate(cohort.counts):
                groups = {"model": model, "cohort": cohort.begin.isoformat()[:7], "months_later": str(k)}
                cell = Cell(period=cohort.begin.isoformat(), groups=groups, value=count, share=count / cohort.size)
                rows.append(cell)
    return Result(
        figure=NAME,
        definition=(
            f"{WORDS[params.unit].capitalize()} by the calendar month (UTC) of their first answered call to a model, "
            "and how many of them had one in each month after it, idle months between or not (activity retention); "
            f"share: of the cohort. {ANY_MODEL.capitalize()}: first use of the gateway."
        ),
        source_id=source.source_id,
        window=window_of(activity),
        rows=tuple(rows),
        n=activity.units,
        missing_share=0.0,
        notes=(source.describe(), *activity_notes(activity, params), *_size_notes(sizes)),
        unit=WORDS[params.unit],
        grain="month",
        down=("model", "cohort"),
    )


def window_of(activity: Activity) -> str:
    """The months that count, as whole days."""
    return f"{activity.periods[0]}:{period_end(activity.periods[-1], 'month')}"


def activity_notes(activity: Activity, params: Params) -> list[str]:
    """What every figure made of activity says."""
    shown = len(activity.models) - 1
    return [
        f"n counts {WORDS[params.unit]} that got an answer; free and cloaked models and BYOK included. A month after "
        f"the last complete one, {activity.periods[-1].isoformat()[:7]}, is left out.",
        f"The cohort of {activity.periods[0].isoformat()[:7]}, the ledger's first month, holds everyone who came "
        "before it too: read it apart.",
        f"The {min(MODELS_MAX, shown)} models with most {WORDS[params.unit]} of {shown}.",
    ]


def _size_notes(sizes: list[int]) -> list[str]:
    if not sizes:
        return []
    return [
        f"Cohorts have {min(sizes)} to {max(sizes)} members (month 0). A rate of n members is uncertain by about "
        "1 / sqrt(n) at most: of 25 by 20 points."
    ]
