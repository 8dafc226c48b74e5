"""The page's section on published values: beside measured ones, with verdicts, differences and contradictions."""

from collections import Counter

import altair as alt
import msgspec

from tidegate.report.points import Drawing, Record, inline
from tidegate.report.spec import Spec
from tidegate.report.theme import BLUE, GREEN, GREY, HEIGHT_PX, VERMILION
from tidegate.study.compare import Comparison, Line, Verdict
from tidegate.study.compare_table import (
    COLUMNS,
    SIDE_COLUMNS,
    cells_of,
    groups_of,
    number,
    reasons,
    side_cells,
    summary,
)
from tidegate.study.published import read_amount

ANCHOR = "published-values"
COLOURS: dict[Verdict, str] = {
    "agrees": GREEN,
    "differs": VERMILION,
    "other definition": BLUE,
    "other period": GREY,
}


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """One claim on the page: a heading, its verdicts in words, a table of texts, and what sets the two apart."""

    place: str
    title: str
    verdicts: str
    meta: str
    definition: str
    rows: tuple[tuple[str, ...], ...]
    caveats: tuple[str, ...]
    absent: tuple[str, ...]


class Contradicted(msgspec.Struct, frozen=True, kw_only=True):
    """One contradiction: both readings in a table, and what tells them apart."""

    id: str
    title: str
    because: str
    source_id: str
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...]


class Compared(msgspec.Struct, frozen=True, kw_only=True):
    """The section. chart: None where no share could be measured. silent: claims without a number."""

    about: str
    summary: str
    sources: tuple[str, ...]
    chart: Spec | None
    told: tuple[Told, ...]
    silent: tuple[Told, ...]
    contradictions: tuple[Contradicted, ...]
    columns: tuple[str, ...] = COLUMNS
    side_columns: tuple[str, ...] = SIDE_COLUMNS


def section(found: Comparison) -> Compared:
    """A comparison as the page shows it: what has a number first."""
    told = [_told(lines) for lines in groups_of(found.lines)]
    return Compared(
        about=f"{found.about} Checked {found.checked}.",
        summary=summary(found),
        sources=found.sources,
        chart=chart_of(found),
        told=tuple(claim for claim in told if claim.rows),
        silent=tuple(claim for claim in told if not claim.rows),
        contradictions=tuple(
            Contradicted(
                id=entry.id,
                title=entry.title,
                because=entry.because,
                source_id=entry.source_id,
                rows=tuple(side_cells(side) for side in entry.sides),
                notes=tuple(
                    f"{side.says}: {text}" for side in entry.sides for text in (side.why_not, side.differs) if text
                ),
            )
            for entry in found.contradictions
        ),
    )


def _told(lines: list[Line]) -> Told:
    first = lines[0]
    counts = Counter(line.verdict for line in lines)
    differences = dict.fromkeys(text for line in lines for text in line.differences)
    see = [f"See {', '.join(first.contradicts)}."] if first.contradicts else []
    return Told(
        place=first.place,
        title=first.title,
        verdicts=", ".join(f"{count} {verdict}" for verdict, count in counts.items()),
        meta=f"{first.unit}; {first.kind.replace('_', ' ')}; read in {', '.join(first.source)}",
        definition=first.definition,
        rows=tuple(cells_of(line) for line in lines if line.measured is not None),
        caveats=(*differences, *see),
        absent=tuple(f"{', '.join(keys)}: {why}" if keys else why for why, keys in reasons(lines).items()),
    )


def chart_of(found: Comparison) -> Spec | None:
    """Measured against published shares in percent, a dot a value; on the line they are equal."""
    data = [record for line in found.lines if (record := _dot(line)) is not None]
    if not data:
        return None
    verdicts = [verdict for verdict in COLOURS if any(record["verdict"] == verdict for record in data)]
    scale = alt.Scale(domain=[0, 100])
    dots: Drawing = (
        alt.Chart(inline(data))
        .mark_point(filled=True, size=42, opacity=0.75)
        .encode(
            x=alt.X("published:Q", scale=scale, axis=alt.Axis(title="published, percent")),
            y=alt.Y("measured:Q", scale=scale, axis=alt.Axis(title="measured, percent")),
            color=alt.Color(
                "verdict:N", sort=verdicts, scale=alt.Scale(domain=verdicts, range=[COLOURS[name] for name in verdicts])
            ),
            tooltip=[
                alt.Tooltip("what:N", title="value"),
                alt.Tooltip("published:Q"),
                alt.Tooltip("text:N", title="measured"),
                alt.Tooltip("verdict:N"),
                alt.Tooltip("over:N", title="measured over"),
            ],
        )
    )
    ends: list[Record] = [{"published": 0, "measured": 0}, {"published": 100, "measured": 100}]
    equal = alt.Chart(inline(ends)).mark_line(strokeDash=[4, 4], color=GREY).encode(x="published:Q", y="measured:Q")
    spec: Spec = alt.layer(equal, dots).properties(height=HEIGHT_PX, width="container").to_dict()
    spec.pop("config", None)
    spec["autosize"] = {"type": "fit-x", "contains": "padding"}
    spec["description"] = "Measured against published shares in percent. The tables below hold the same numbers."
    return spec


def _dot(line: Line) -> Record | None:
    if line.unit != "percent" or not isinstance(line.measured, float):
        return None
    published = read_amount(line.published, line.unit).number
    if published is None:
        return None
    return {
        "what": f"{line.place}: {line.title}, {line.key}",
        "published": published,
        "measured": line.measured,
        "text": number(line.measured),
        "verdict": line.verdict,
        "over": f"{line.measured_window}, {line.source_id}",
    }
