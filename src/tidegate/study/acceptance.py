"""How much of the work is taken: acceptance by model and by task, from what callers say of their calls."""

from collections.abc import Iterator

from tidegate.ledger.outcomes import PPM
from tidegate.study.facts import Facts, Source
from tidegate.study.judged import Key, Pile, judged, judged_notes, ordered
from tidegate.study.params import Params
from tidegate.study.regression import wilson
from tidegate.study.result import Cell, Result

NAME = "acceptance"
QUESTION = "How much of the work is accepted?"


def acceptance(facts: Facts, source: Source, params: Params) -> Result:
    """Accepted calls of those with a verdict, with an interval, and the mean score of those with one."""
    found = judged(NAME, facts, source, params)
    first = max(source.first, params.window.first or source.first)
    last = min(source.last, params.window.last or source.last)
    return Result(
        figure=NAME,
        definition=(
            "Accepted calls over calls with a verdict (accepted or rejected), by model and by the task category of "
            "the call's surest label; low and high: 95 % interval (Wilson); score: mean of those given, of 1."
        ),
        source_id=source.source_id,
        window=f"{first}:{last}",
        rows=tuple(cell for key, pile in ordered(found.piles) for cell in _cells(first.isoformat(), key, pile)),
        n=found.judged,
        missing_share=found.missing_share,
        notes=tuple(judged_notes(source, params, found)),
        unit="judged calls",
        down=("model", "category"),
    )


def _cells(period: str, key: Key, pile: Pile) -> Iterator[Cell]:
    groups = {"model": key[0], "category": key[1]}

    def cell(name: str, value: float | None, share: float | None = None) -> Cell:
        return Cell(period=period, groups={**groups, "statistic": name}, value=value, share=share)

    n = pile.verdicts
    low, high = wilson(pile.accepted, n) if n else (None, None)
    yield cell("accepted", pile.accepted, pile.accepted / n if n else None)
    yield cell("verdicts", n)
    yield cell("rate", pile.accepted / n if n else None)
    yield cell("low", low)
    yield cell("high", high)
    yield cell("score", pile.score_ppm / pile.scored / PPM if pile.scored else None)
