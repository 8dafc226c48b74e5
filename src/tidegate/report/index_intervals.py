"""Chart of the regional index: point and 90 % interval of each region, the other reading of China, and the median."""

from pathlib import Path

from tidegate.index.regional import Index
from tidegate.index.table import IndexRefusal
from tidegate.report.index_charts import subtitle_of
from tidegate.report.points import Drawing, Record, inline
from tidegate.report.spec import save, standing
from tidegate.report.theme import BLUE, GREY, VERMILION

ROW_PX = 36
TITLE = "Where demand for language models is, the leader at 100"
SHOWN = {"as built": BLUE, "other reading of China": VERMILION, "median of all runs": GREY}
SHAPES = ["circle", "diamond", "square"]


def chart(index: Index) -> Drawing:
    """One row a region, from the highest score down; bars are 90 % intervals."""
    import altair as alt

    low, middle, high = index.runs.quantiles()
    order = [index.regions[at] for at in (-index.scores).argsort(kind="stable")]
    bars: list[Record] = []
    points: list[Record] = []
    for at, region in enumerate(index.regions):
        bars.append({"region": region, "low": float(low[at]), "high": float(high[at])})
        values = (index.scores[at], index.other.scores[at], middle[at])
        points += [
            {"region": region, "what": what, "value": round(float(value), 1)}
            for what, value in zip(SHOWN, values, strict=True)
        ]
    y = alt.Y("region:N", sort=order, axis=alt.Axis(title=None, labelLimit=180))
    axis = alt.Axis(title="index, leader = 100; bar: 90 % of the runs", grid=True, tickCount=10)
    scale = alt.Scale(domain=[0, 100])
    legend = alt.Legend(symbolType="circle", orient="bottom")
    colour = alt.Color(
        "what:N", scale=alt.Scale(domain=list(SHOWN), range=list(SHOWN.values())), sort=list(SHOWN), legend=legend
    )
    shape = alt.Shape("what:N", scale=alt.Scale(domain=list(SHOWN), range=SHAPES), sort=list(SHOWN), legend=None)
    ends = alt.Chart(inline(bars)).mark_bar(height=10, color=BLUE, opacity=0.2)
    marks = alt.Chart(inline(points)).mark_point(filled=True, size=90, opacity=1)
    tooltip = [alt.Tooltip("region:N"), alt.Tooltip("what:N"), alt.Tooltip("value:Q")]
    drawn = alt.layer(
        ends.encode(y=y, x=alt.X("low:Q", scale=scale, axis=axis), x2="high:Q"),
        marks.encode(y=y, x=alt.X("value:Q", scale=scale, axis=axis), color=colour, shape=shape, tooltip=tooltip),
    )
    return drawn.resolve_legend(color="independent", shape="independent").properties(height=ROW_PX * len(order))


def save_intervals(index: Index, path: Path) -> None:
    """Write the chart by the ending of its name."""
    runs = f"{index.spec.runs:,} runs over maps, readings, methods, weights and errors of the figures"
    subtitle = subtitle_of(index, f"{runs}, seed {index.spec.seed}")
    save(standing(chart(index), TITLE, subtitle, " ".join((TITLE, *subtitle))), path, IndexRefusal)
