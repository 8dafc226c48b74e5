"""Published values beside values from a source at hand, with what sets their definitions apart.

A published number and a measured one are the same quantity only where definition and period agree. Only then is there a
verdict; elsewhere both stand side by side, with what differs.
"""

import datetime as dt
from collections.abc import Callable, Collection, Sequence
from typing import Literal

import msgspec

from tidegate.study.contradictions import Resolved, resolve
from tidegate.study.drawings import Drawings, reason_of
from tidegate.study.facts import Facts, Source
from tidegate.study.params import Params
from tidegate.study.periods import Window
from tidegate.study.published import Amount, Claim, Published, Reading, UnitName, read_amount, tolerance_of
from tidegate.study.reading import Measured, Unread, Wanted
from tidegate.study.result import NotComputable, Result, StudyError

MISSING_VERDICT_MAX = 0.1  # of the measure without the attribute: above, no verdict is given
AMOUNTS: frozenset[UnitName] = frozenset(
    {"trillion tokens", "log10 million tokens", "billion calls", "million USD", "count"}
)  # grow with the days counted, so that their difference over other days says nothing
ENDS_DAYS = 14  # hold a whole week, on whatever day weeks begin

Verdict = Literal["agrees", "differs", "other period", "other definition", "not computable", "not published"]


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One published value and the measured one.

    measured, difference: in `unit`; difference is measured minus published, where both are single numbers. figure:
    of ours, drawn from `source_id`, with its sample `n` and `missing_share`. differences: what sets the two
    definitions apart. why_not: why there is no measured value; drawn: the figure was, so the reason is in it.
    """

    claim: str
    place: str
    title: str
    key: str
    published: str
    unit: UnitName
    period: str
    kind: str
    source: tuple[str, ...]
    definition: str
    verdict: Verdict
    measured: float | str | None = None
    measured_window: str = ""
    difference: float | None = None
    figure: str = ""
    source_id: str = ""
    n: int | None = None
    missing_share: float | None = None
    differences: tuple[str, ...] = ()
    contradicts: tuple[str, ...] = ()
    why_not: str = ""
    same_period: bool = False
    drawn: bool = False


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """Everything published against the sources at hand. sources: what each is, since none is the study's own."""

    about: str
    checked: str
    sources: tuple[str, ...]
    lines: tuple[Line, ...]
    contradictions: tuple[Resolved, ...]

    def count(self, verdict: Verdict) -> int:
        return sum(line.verdict == verdict for line in self.lines)


def compare(
    facts: Facts,
    sources: Sequence[Source],
    published: Published,
    wanted: Collection[str] = (),
    progress: Callable[[int, int], None] | None = None,
) -> Comparison:
    """Every published value beside the one of the source that comes nearest to its definition and period.

    wanted: ids of claims and contradictions; empty for all. How near the two numbers are plays no part in the choice
    of a source; among equals the first counts. progress: told claims done and all.
    """
    drawings = [Drawings(facts, source) for source in sources]
    claims = [claim for claim in published.claims if not wanted or claim.id in wanted]
    lines: list[Line] = []
    for done, claim in enumerate(claims, 1):
        lines += _lines(drawings, claim)
        if progress:
            progress(done, len(claims))
    return Comparison(
        about=published.about,
        checked=published.checked,
        sources=tuple(source.describe() for source in sources),
        lines=tuple(lines),
        contradictions=tuple(
            resolve(drawings, published, contradiction)
            for contradiction in published.contradictions
            if not wanted or contradiction.id in wanted
        ),
    )


def _lines(drawings: Sequence[Drawings], claim: Claim) -> list[Line]:
    if not claim.values:
        return [
            _nearest([_unpublished(drawing, claim, figure) for drawing in drawings]) for figure in claim.unpublished
        ]
    return [_nearest([_line(drawing, claim, key) for drawing in drawings]) for key in claim.values]


def _nearest(lines: Sequence[Line]) -> Line:
    """The line nearest to the published definition and period; without a number, the nearest reasons."""
    best = min(lines, key=_distance)
    if best.measured is not None or not best.why_not:
        return best
    told = dict.fromkeys(line.why_not for line in lines if line.drawn or not best.drawn)
    return msgspec.structs.replace(best, why_not="; ".join(told))


def _distance(line: Line) -> tuple[bool, bool, bool, bool, bool, float]:
    """How far a line is from the published definition: computed at all, attribute there, period, definition."""
    missing = line.missing_share or 0.0
    return (
        bool(line.why_not),
        not line.drawn,
        missing > MISSING_VERDICT_MAX,
        not line.same_period,
        line.verdict == "other definition",
        missing,
    )


def _line(drawing: Drawings, claim: Claim, key: str) -> Line:
    first, last = claim.period_of(key)
    plain = Line(
        claim=claim.id,
        place=claim.place,
        title=claim.title,
        key=key,
        published=claim.values[key].strip(),
        unit=claim.unit,
        period=f"{first}:{last}",
        kind=claim.kind,
        source=claim.source,
        definition=claim.definition,
        verdict="not computable",
        differences=claim.differs,
        contradicts=claim.contradicts,
        why_not=claim.cannot,
    )
    reasons: list[str] = []
    drawn = False
    for reading in claim.readings:
        wanted = Wanted(
            reading=reading, unit=claim.unit, keys=claim.values, key=claim.name_of(key), first=first.isoformat()
        )
        window, same = asked_window(drawing.source, reading, first, last)
        try:
            result, measured = drawing.read(wanted, window)
        except (NotComputable, StudyError, Unread) as error:
            reasons.append(reason_of(error))
            drawn = drawn or isinstance(error, Unread)
            continue
        differs = reading.differences(drawing.source.measures)
        return _measured(plain, claim, differs, (result, measured, same))
    return msgspec.structs.replace(plain, why_not="; ".join(dict.fromkeys(reasons)) or plain.why_not, drawn=drawn)


def _measured(plain: Line, claim: Claim, differs: Sequence[str], found: tuple[Result, Measured, bool]) -> Line:
    """The line with its number. differs: what the reading measures otherwise."""
    result, measured, same = found
    amount = read_amount(plain.published, claim.unit)
    differences = [*claim.differs, *differs]
    missing = result.missing_share
    verdict: Verdict
    if differs or missing > MISSING_VERDICT_MAX:
        verdict = "other definition"
    elif not same:
        verdict = "other period"
    else:
        verdict = "agrees" if amount.holds(measured.value, tolerance_of(claim)) else "differs"
    if not same:
        differences.append(f"The source does not cover {plain.period}: measured over {measured.window}.")
    if missing > 0:
        no_verdict = ", so there is no verdict" if missing > MISSING_VERDICT_MAX else ""
        differences.append(f"{100 * missing:.1f} % of the source lacks what the figure needs{no_verdict}.")
    return msgspec.structs.replace(
        plain,
        verdict=verdict,
        measured=measured.value,
        measured_window=measured.window,
        difference=_difference(measured.value, amount) if same or claim.unit not in AMOUNTS else None,
        figure=result.figure,
        source_id=result.source_id,
        n=result.n,
        missing_share=result.missing_share,
        differences=tuple(differences),
        same_period=same,
        drawn=True,
    )


def _difference(measured: float | str, amount: Amount) -> float | None:
    """Measured minus published; to the nearer bound of a range, 0 inside it; None for words and open bounds."""
    if isinstance(measured, str) or amount.low is None or amount.high is None:
        return None
    return min(0.0, measured - amount.low) + max(0.0, measured - amount.high)


def _unpublished(drawing: Drawings, claim: Claim, figure: str) -> Line:
    """A figure of ours for which no published number was found: whether the source carries it, and how far."""
    plain = Line(
        claim=claim.id,
        place=claim.place,
        title=claim.title,
        key="",
        published="",
        unit=claim.unit,
        period=claim.period,
        kind=claim.kind,
        source=claim.source,
        definition=claim.definition,
        verdict="not published",
        figure=figure,
        differences=claim.differs,
        contradicts=claim.contradicts,
    )
    try:
        result = drawing.draw(figure, Params())
    except (NotComputable, StudyError) as error:
        return msgspec.structs.replace(plain, why_not=reason_of(error))
    return msgspec.structs.replace(
        plain,
        measured_window=result.window,
        source_id=result.source_id,
        n=result.n,
        missing_share=result.missing_share,
        drawn=True,
    )


def asked_window(source: Source, reading: Reading, first: dt.date, last: dt.date) -> tuple[Window, bool]:
    """The days to draw for a value of `first` to `last`, and whether they are the published ones.

    Of a period that the source holds in part, the part; of one that it does not hold, all that it has. The last or
    first week of a period needs only that end of it; a single period is looked up in all there is.
    """
    if reading.over == "each":
        return Window(), True
    ends = dt.timedelta(days=ENDS_DAYS - 1)
    if reading.over == "last":
        first = max(first, last - ends)
    elif reading.over == "first":
        last = min(last, first + ends)
    if source.first <= first and last <= source.last:
        return Window(first, last), True
    part = max(first, source.first), min(last, source.last)
    return (Window(*part) if part[1] - part[0] >= ends else Window()), False
