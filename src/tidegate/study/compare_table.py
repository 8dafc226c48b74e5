"""A comparison arranged for reading: columns of texts, claims grouped, equal reasons told once."""

import csv
import io
from collections.abc import Sequence
from itertools import groupby

from tidegate.study.compare import Comparison, Line, Verdict
from tidegate.study.contradictions import SideLine

COLUMNS = ("", "published", "measured", "difference", "verdict", "measured over", "figure", "source")
SIDE_COLUMNS = ("", "published", "made of", "measured", "measured over", "figure")
CSV_COLUMNS = (
    "claim",
    "place",
    "title",
    "key",
    "period",
    "unit",
    "kind",
    "source",
    "published",
    "measured",
    "difference",
    "verdict",
    "measured_window",
    "figure",
    "source_id",
    "n",
    "missing_share",
    "definition",
    "differences",
    "contradicts",
    "why_not",
)
WORDS: dict[Verdict, str] = {
    "agrees": "agree",
    "differs": "differ",
    "other definition": "measured under another definition",
    "other period": "measured over another period",
    "not computable": "not computable from these sources",
    "not published": "of our own figures without a published number",
}


def summary(found: Comparison) -> str:
    """How many published values there are, by verdict."""
    counts = [f"{found.count(verdict)} {words}" for verdict, words in WORDS.items() if found.count(verdict)]
    values = sum(line.verdict != "not published" for line in found.lines)
    return f"{values} published value{'s' * (values != 1)}: {', '.join(counts)}." if counts else "Nothing is compared."


def groups_of(lines: Sequence[Line]) -> list[list[Line]]:
    """Lines by claim, in order."""
    return [list(group) for _, group in groupby(lines, key=lambda line: line.claim)]


def cells_of(line: Line) -> tuple[str, ...]:
    """One line under COLUMNS."""
    difference = "" if line.difference is None else f"{line.difference:+.{_digits(line.difference)}f}"
    return (
        line.key,
        line.published,
        number(line.measured),
        difference,
        line.verdict,
        line.measured_window,
        line.figure,
        line.source_id,
    )


def side_cells(side: SideLine) -> tuple[str, ...]:
    """One side under SIDE_COLUMNS."""
    published = (
        f"{side.published} {side.unit}" if side.published and side.unit not in ("date", "word") else side.published
    )
    return (side.says, published, side.arithmetic, number(side.measured), side.measured_window, side.figure)


def number(value: float | str | None) -> str:
    """Three digits where they say something: 17.1, 6,053, 0.052; words as they are."""
    if value is None:
        return ""
    return value if isinstance(value, str) else f"{value:,.{_digits(value)}f}"


def _digits(value: float) -> int:
    size = abs(value)
    return 0 if size >= 1000 else 1 if size >= 10 else 2 if size >= 1 else 3


def reasons(lines: Sequence[Line]) -> dict[str, list[str]]:
    """Why values of a claim have no measured one: reason -> their keys."""
    found: dict[str, list[str]] = {}
    for line in lines:
        if line.why_not:
            found.setdefault(line.why_not, []).extend([line.key] if line.key else [])
        elif line.verdict == "not published":
            drawn = f"`tidegate study {line.figure}` draws it from {line.source_id}, n = {line.n:,}"
            found.setdefault(f"no number was published; {drawn}", [])
    return found


def as_csv(found: Comparison) -> str:
    """One line per published value; lists joined by `; `."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    for line in found.lines:
        values = [getattr(line, column) for column in CSV_COLUMNS]
        writer.writerow(["; ".join(value) if isinstance(value, tuple) else value for value in values])
    return out.getvalue()
