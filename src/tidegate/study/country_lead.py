"""Chinese against US models: who leads, when first, and how much the answer depends on how one counts."""

import datetime as dt
from collections.abc import Iterator, Sequence
from typing import Literal, get_args

import msgspec

from tidegate.study.authors import ORIGINS
from tidegate.study.facts import Facts, Source
from tidegate.study.params import UNITS, Measure, Params
from tidegate.study.periods import Anchor
from tidegate.study.quantity import percent, quantity
from tidegate.study.result import Result
from tidegate.study.shares import Table, cells, common_notes, missing_note, tabulate

NAME = "country_lead"
QUESTION = "Do Chinese models carry more than US models, and when did they first?"
ANSWER_ANCHORS: tuple[Anchor, ...] = ("monday", "sunday", "tuesday")
Cloaked = Literal["apart", "counted Chinese", "counted US"]


class Race(msgspec.Struct, frozen=True):
    """One period: the two sides, and what cannot be given to either."""

    period: dt.date
    china: int
    us: int
    cloaked: int

    def counted(self, cloaked: Cloaked) -> "Race":
        """The same period with the cloaked models on one side."""
        if cloaked == "counted Chinese":
            return Race(self.period, self.china + self.cloaked, self.us, 0)
        if cloaked == "counted US":
            return Race(self.period, self.china, self.us + self.cloaked, 0)
        return self

    @property
    def leads(self) -> bool:
        """Strictly more; a tie leads nobody."""
        return self.china > self.us

    def scores(self, measure: Measure) -> str:
        return f"{quantity(self.china, measure)} against {quantity(self.us, measure)}"


class Answer(msgspec.Struct, frozen=True):
    """The first Chinese lead under one way of counting; `first` is None where there is none.

    from_start: the very first period leads already, so the first lead may lie before the data. lost: later periods
    without a lead.
    """

    cloaked: Cloaked
    anchor: Anchor
    first: Race | None
    from_start: bool
    lost: tuple[Race, ...]


def country_lead(facts: Facts, source: Source, params: Params) -> Result:
    """The measure by country group of the author, and the first Chinese lead as a set over ways of counting."""
    table = tabulate(NAME, facts, source, params, "origin")
    groups = [name for name in ORIGINS if name in ("CN", "US") or table.total(name)]
    missing = table.share("unknown")
    scope = f"the {params.top} largest models of each {params.grain}" if params.top else "all models"
    return Result(
        figure=NAME,
        definition=(
            f"{params.measure.capitalize()} of {scope} by country of the model's author: CN (mainland China, Taiwan, "
            "Hong Kong) against US; rest: any other country; cloaked: models under a code name, of no country; "
            "unknown: no country is known. A lead is strictly more."
        ),
        source_id=source.source_id,
        window=table.coverage.window,
        rows=cells(table, "country", groups),
        n=table.n,
        missing_share=missing,
        notes=(
            *_answer_notes(facts, source, params, table),
            *common_notes(source, params, table),
            *missing_note(missing, "an author of no known country (`unknown`)"),
        ),
        unit=UNITS[params.measure],
        grain=params.grain,
    )


def answers(facts: Facts, source: Source, params: Params) -> list[Answer]:
    """The first lead under every way of counting that the source allows: cloaked models x week anchors.

    Months have no anchor, and a source of whole Monday weeks only that one.
    """
    anchors: Sequence[Anchor] = ANSWER_ANCHORS
    if params.grain == "month" or source.kind == "weekly":
        anchors = (params.anchor,)
    elif params.anchor not in anchors:
        anchors = (params.anchor, *anchors)
    found: list[Answer] = []
    for anchor in anchors:
        table = tabulate(NAME, facts, source, msgspec.structs.replace(params, anchor=anchor), "origin")
        races = [] if table.coverage.partial else _races(table)
        found.extend(_answer(races, cloaked, anchor) for cloaked in get_args(Cloaked))
    return found


def _races(table: Table) -> list[Race]:
    return [
        Race(period, groups.get("CN", 0), groups.get("US", 0), groups.get("cloaked", 0))
        for period, groups in sorted(table.sums.items())
        if groups
    ]


def _answer(races: Sequence[Race], cloaked: Cloaked, anchor: Anchor) -> Answer:
    counted = [race.counted(cloaked) for race in races]
    place = next((number for number, race in enumerate(counted) if race.leads), None)
    if place is None:
        return Answer(cloaked, anchor, None, False, ())
    return Answer(cloaked, anchor, counted[place], place == 0, tuple(r for r in counted[place + 1 :] if not r.leads))


def _answer_notes(facts: Facts, source: Source, params: Params, table: Table) -> Iterator[str]:
    if table.coverage.partial or not table.coverage.kept:
        yield f"No complete {params.grain} in the window, so no lead is stated."
        return
    found = answers(facts, source, params)
    yield _verdict(found, params)
    for answer in found:
        yield f"- {_counting(answer, params)}: {_sentence(answer, params)}"
    here = [answer for answer in found if answer.anchor == params.anchor and answer.cloaked == "apart"]
    if here and here[0].first:
        yield from _before(here[0].first, _races(table), params)
    for race in _races(table):
        if race.china == race.us and race.china:
            yield f"A tie in {race.period} ({race.scores(params.measure)}): a lead of nobody."
    for side, name in (("CN", "Chinese"), ("US", "US")):
        if not table.total(side):
            yield f"The source has nothing from {name} models in the window: the other side leads over nobody."
    if not table.total("cloaked"):
        yield "No cloaked models in the window: the three ways of counting them agree."


def _verdict(found: Sequence[Answer], params: Params) -> str:
    periods = sorted({answer.first.period for answer in found if answer.first})
    nowhere = sum(answer.first is None for answer in found)
    ways = f"({len(found)} ways)"
    if not periods:
        return f"However one counts {ways}, there is no Chinese lead in the window."
    never = f"; in {nowhere} of them there is none" if nowhere else ""
    if len(periods) == 1:
        return f"However one counts {ways}, the first Chinese lead is the {params.grain} of {periods[0]}{never}."
    days = f"{', '.join(map(str, periods[:-1]))} or {periods[-1]}"
    return f"Depending on how one counts {ways}, the first Chinese lead is the {params.grain} of {days}{never}."


def _counting(answer: Answer, params: Params) -> str:
    period = f"{answer.anchor.capitalize()} weeks" if params.grain == "week" else "months"
    if not params.include_cloaked:
        return f"cloaked left out, {period}"
    return f"cloaked {answer.cloaked}, {period}"


def _sentence(answer: Answer, params: Params) -> str:
    if answer.first is None:
        return "no Chinese lead"
    text = f"first lead {answer.first.period} ({answer.first.scores(params.measure)})"
    if answer.from_start:
        text += f", already in the first complete {params.grain}: the true first may lie before the data"
    if answer.lost:
        lost = "; ".join(f"{race.period} ({race.scores(params.measure)})" for race in answer.lost)
        text += f"; lost again in {lost}"
    return text


def _before(first: Race, races: Sequence[Race], params: Params) -> Iterator[str]:
    """The period before the first lead, where the answer hangs on the cloaked models."""
    before = [race for race in races if race.period < first.period]
    if before and before[-1].cloaked:
        last = before[-1]
        part = percent(last.cloaked / (last.china + last.us + last.cloaked))
        yield (
            f"The {params.grain} before, {last.period}: {last.scores(params.measure)}, and cloaked models "
            f"{quantity(last.cloaked, params.measure)} ({part} of the three)."
        )
