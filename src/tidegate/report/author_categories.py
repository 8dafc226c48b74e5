"""Chart of `author_categories`: a band an author, its categories stacked to the whole."""

import altair as alt

from tidegate.report.palette import colours_of
from tidegate.report.points import Drawing, Record, inline, legend_of, period_axis
from tidegate.study.result import Result

BAND_PX, BAND_HEIGHT = 92, 0.78  # height of a band, and the part of it that is drawn on
FEW = 3  # periods: fewer are bars


def chart(result: Result) -> Drawing:
    """Bands under each other in one plot, so that it may be as wide as its place; each from zero to the whole."""
    authors = list(dict.fromkeys(cell.groups["author"] for cell in result.rows))
    present = {cell.groups["category"] for cell in result.rows if cell.value}
    categories = [name for name in dict.fromkeys(cell.groups["category"] for cell in result.rows) if name in present]
    data: list[Record] = []
    floor: dict[tuple[str, str], float] = {}
    for cell in result.rows:
        author, category = cell.groups["author"], cell.groups["category"]
        if cell.share is None or category not in present:
            continue
        base = len(authors) - 1 - authors.index(author)
        start = floor.get((author, cell.period), 0.0)
        floor[author, cell.period] = start + cell.share
        data.append(
            {
                "period": cell.period,
                "author": author,
                "category": category,
                "band": f"{author}|{category}",
                "y0": base + BAND_HEIGHT * start,
                "y1": base + BAND_HEIGHT * (start + cell.share),
                "share": cell.share,
            }
        )
    marks = alt.Chart(inline(data))
    few = len({cell.period for cell in result.rows}) < FEW
    drawn = marks.mark_bar(size=48) if few else marks.mark_area(interpolate="linear", line=False)
    bands = drawn.encode(
        x=period_axis(result, 28 if few else 0),
        y=alt.Y("y0:Q", scale=alt.Scale(domain=[0, len(authors)]), axis=None),
        y2="y1:Q",
        detail="band:N",
        color=alt.Color(
            "category:N",
            scale=alt.Scale(domain=categories, range=colours_of(categories)),
            sort=categories,
            legend=legend_of(categories),
        ),
        tooltip=[
            alt.Tooltip("author:N"),
            alt.Tooltip("period:N", title=f"{result.grain} of"),
            alt.Tooltip("category:N"),
            alt.Tooltip("share:Q", format=".1%"),
        ],
    )
    heads: list[Record] = [
        {"author": author, "top": len(authors) - 1 - place + BAND_HEIGHT + 0.04} for place, author in enumerate(authors)
    ]
    names = (
        alt.Chart(inline(heads))
        .mark_text(align="left", baseline="bottom", fontWeight="bold")
        .encode(x=alt.value(0), y="top:Q", text="author:N")
    )
    return alt.layer(bands, names).properties(height=BAND_PX * max(1, len(authors)))
