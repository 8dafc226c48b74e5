"""The reference page of published values, from `data/published.yml`."""

from tidegate.study.published import Claim, Published, Reading, read_published

ABOUT = """\
# Published values

What `tidegate compare` sets beside measured values: every number that we found published in and about "State of AI: An
Empirical 100 Trillion Token Study with OpenRouter", as facts with place, unit, period, definition and source. They live
in [`data/published.yml`](../../src/tidegate/data/published.yml), whose header says how entries are written. How to
read a comparison: [Compare with the study](../how-to/compare-with-the-study.md).
"""


def render() -> str:
    """The page without its first note."""
    published = read_published()
    parts = [ABOUT, f"Last gone over: {published.checked}.", "", "## Claims", ""]
    parts += ["An amount is given as printed; `week` and `month` are keyed by their first days.", ""]
    parts += ["| id | place | what | unit | period | values | source | read off | see |"]
    parts += ["| --- | --- | --- | --- | --- | --- | --- | --- | --- |"]
    parts += [_claim(claim) for claim in published.claims]
    parts += ["", "## Contradictions", ""]
    parts += [
        "Published values that cannot all hold under one definition; each side is computed where it can be.",
        "",
    ]
    parts += _contradictions(published)
    parts += ["## Sources", "", "| tag | what | where | trust |", "| --- | --- | --- | --- |"]
    parts += [_row(f"`{tag}`", origin.what, origin.where, origin.trust) for tag, origin in published.sources.items()]
    return "\n".join(parts) + "\n"


def _claim(claim: Claim) -> str:
    values = [f"{key} {text}" for key, text in claim.values.items()]
    shown = "; ".join(values) if len(values) <= 4 else f"{len(values)}: {values[0]} ... {values[-1]}"
    figures = dict.fromkeys([reading.figure for reading in claim.readings] + list(claim.unpublished))
    read = ", ".join(f"`{figure}`" for figure in figures) or f"not at all: {claim.cannot}"
    number = shown or "none found"
    return _row(
        f"`{claim.id}`",
        claim.place,
        f"{claim.title}. {claim.definition}",
        claim.unit,
        claim.period,
        f"{number} ({claim.kind.replace('_', ' ')})" if claim.values else number,
        ", ".join(claim.source),
        read,
        ", ".join(claim.contradicts),
    )


def _contradictions(published: Published) -> list[str]:
    lines = []
    for entry in published.contradictions:
        lines += [f"### {entry.id}: {entry.title}", "", entry.because, ""]
        lines += [f"- {side.says}: {_sides(side.readings, side.cannot)}" for side in entry.sides]
        lines.append("")
    return lines


def _sides(readings: tuple[Reading, ...], cannot: str) -> str:
    figures = dict.fromkeys(reading.figure for reading in readings)
    return ", ".join(f"`{figure}`" for figure in figures) if figures else cannot


def _row(*cells: str) -> str:
    return "| " + " | ".join(" ".join(cell.split()).replace("|", "\\|") for cell in cells) + " |"
