"""What an accepted piece of work costs: all money spent on judged calls over those that were taken."""

from collections.abc import Iterator

from tidegate.study.facts import Facts, Source
from tidegate.study.judged import Key, Pile, judged, judged_notes, ordered
from tidegate.study.params import Params
from tidegate.study.regression import Estimate
from tidegate.study.result import Cell, NotComputable, Result

NAME = "cost_per_accepted"
QUESTION = "What does an accepted task cost?"


def cost_per_accepted(facts: Facts, source: Source, params: Params) -> Result:
    """Cost of calls with a verdict over accepted ones, by model and category: rejected work is paid for too."""
    found = judged(NAME, facts, source, params)
    if not any(pile.costed for pile in found.piles.values()):
        raise NotComputable(NAME, source.source_id, "no judged call has a cost (cost_nano_usd)")
    first = max(source.first, params.window.first or source.first)
    last = min(source.last, params.window.last or source.last)
    return Result(
        figure=NAME,
        definition=(
            "USD charged for all calls with a verdict and a known cost, rejected ones included, over the accepted ones "
            "among them; a call: the same USD over all of them; low and high: 95 % interval (a ratio, linearised)."
        ),
        source_id=source.source_id,
        window=f"{first}:{last}",
        rows=tuple(cell for key, pile in ordered(found.piles) for cell in _cells(first.isoformat(), key, pile)),
        n=found.judged,
        missing_share=found.missing_share,
        notes=(*judged_notes(source, params, found), "BYOK calls cost what was charged here, often nothing."),
        unit="nano-USD",
        down=("model", "category"),
    )


def _cells(period: str, key: Key, pile: Pile) -> Iterator[Cell]:
    found = pile.cost_per_accepted()
    values: dict[str, float | None] = {"an accepted call": None, "low": None, "high": None}
    if found is not None:
        values["an accepted call"] = round(found[0])
        if pile.costed > 1:
            low, high = Estimate(value=found[0], se=found[1], df=pile.costed - 1, n=pile.costed).interval
            values["low"], values["high"] = max(0, round(low)), round(high)
    values["a call"] = round(pile.cost / pile.costed) if pile.costed else None
    for name, value in values.items():
        yield Cell(period=period, groups={"model": key[0], "category": key[1], "statistic": name}, value=value)
