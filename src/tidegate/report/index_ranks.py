"""Heat map of the regional index: how likely each rank is for each region."""

from pathlib import Path

from tidegate.index.regional import Index
from tidegate.index.regional_vary import Runs
from tidegate.index.table import IndexRefusal
from tidegate.report.index_charts import subtitle_of
from tidegate.report.points import Drawing, Record, inline
from tidegate.report.spec import save, standing
from tidegate.report.theme import BLUE

CELL_PX = 38
DARK = 0.55  # a cell this likely is dark: its number is written in white
TITLE = "How likely each rank is, in percent of the runs"


def chart(runs: Runs) -> Drawing:
    """Regions in rows, from the best mean rank down; ranks in columns; below half a percent no number."""
    import altair as alt

    order = [runs.units[at] for at in runs.ranks.mean(axis=0).argsort(kind="stable")]
    data: list[Record] = []
    for at, region in enumerate(runs.units):
        for rank, part in enumerate(runs.rank_probabilities[at], start=1):
            text = f"{100 * part:.0f}" if part >= 0.005 else ""
            data.append({"region": region, "rank": rank, "part": round(float(part), 4), "text": text})
    base = alt.Chart(inline(data)).encode(
        x=alt.X("rank:O", axis=alt.Axis(title="rank", labelAngle=0, orient="top")),
        y=alt.Y("region:N", sort=order, axis=alt.Axis(title=None, labelLimit=180)),
    )
    colour = alt.Color(
        "part:Q", scale=alt.Scale(domain=[0, 1], range=["#ffffff", BLUE], interpolate="rgb"), legend=None
    )
    ink = alt.condition(f"datum.part >= {DARK}", alt.value("white"), alt.value("#1d2733"))
    tooltip = [alt.Tooltip("region:N"), alt.Tooltip("rank:O"), alt.Tooltip("part:Q", format=".1%")]
    return alt.layer(
        base.mark_rect(stroke="#dfe5eb").encode(color=colour, tooltip=tooltip),
        base.mark_text().encode(text="text:N", color=ink),
    ).properties(height=CELL_PX * len(order))


def save_ranks(index: Index, runs: Runs, path: Path) -> None:
    """Write the chart by the ending of its name."""
    subtitle = subtitle_of(index, f"{len(runs.scores):,} runs, seed {runs.seed}")
    save(standing(chart(runs), TITLE, subtitle, " ".join((TITLE, *subtitle))), path, IndexRefusal)
