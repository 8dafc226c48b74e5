"""Chart of the weights that could give the published table: bounds of each group by tolerance, never a point."""

from pathlib import Path

from tidegate.index.regional import Index
from tidegate.index.regional_weights import Weighed
from tidegate.index.table import IndexRefusal
from tidegate.report.index_charts import subtitle_of
from tidegate.report.points import Drawing, Record, inline
from tidegate.report.spec import save, standing
from tidegate.report.theme import BLUE, VERMILION

ROW_PX = 64
THICKNESS = (26, 16, 8)  # px, from the widest tolerance to the narrowest
TITLE = "Weights that would give the published table, within so many points"


def chart(index: Index, found: Weighed) -> Drawing:
    """A bar a group and tolerance, narrower for less; a tick where the stated weight stands."""
    import altair as alt

    names = {group: f"{index.framework.group(group).name} ({group})" for group in index.groups}
    order = [names[group] for group in index.groups]
    y = alt.Y("group:N", sort=order, axis=alt.Axis(title=None, labelLimit=180))
    scale = alt.Scale(domain=[0, max(b.high or 0 for b in found.bounds) + 0.05], nice=False)
    axis = alt.Axis(title="weight among the groups with data", grid=True, tickCount=8)
    layers = []
    for tolerance, thickness in zip(sorted({b.tolerance for b in found.bounds}, reverse=True), THICKNESS, strict=False):
        bars: list[Record] = [
            {"group": names[b.group], "low": b.low, "high": b.high, "points": f"{tolerance:g} points"}
            for b in found.bounds
            if b.tolerance == tolerance and b.low is not None
        ]
        tooltip = [alt.Tooltip(name) for name in ("group:N", "points:N", "low:Q", "high:Q")]
        base = alt.Chart(inline(bars)).mark_bar(height=thickness, color=BLUE, opacity=0.35)
        layers.append(base.encode(y=y, x=alt.X("low:Q", scale=scale, axis=axis), x2="high:Q", tooltip=tooltip))
    stated: list[Record] = [
        {"group": names[g], "stated": float(w)} for g, w in zip(index.groups, index.weights, strict=True)
    ]
    tick = alt.Chart(inline(stated)).mark_tick(color=VERMILION, thickness=3, size=34)
    layers.append(tick.encode(y=y, x=alt.X("stated:Q", scale=scale, axis=axis), tooltip=["group:N", "stated:Q"]))
    return alt.layer(*layers).properties(height=ROW_PX * len(order))


def save_weights(index: Index, found: Weighed, path: Path) -> None:
    """Write the chart by the ending of its name."""
    parts = {b.tolerance: b.part for b in found.bounds}
    said = ", ".join(f"{tolerance:g} points {part:.1%}" for tolerance, part in sorted(parts.items()))
    more = f"Part of all weight sets that fit: {said}. Tick: as stated. Bounds, not estimates"
    subtitle = subtitle_of(index, more)
    save(standing(chart(index, found), TITLE, subtitle, " ".join((TITLE, *subtitle))), path, IndexRefusal)
