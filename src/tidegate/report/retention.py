"""Chart of `retention`: one panel a model, one line a monthly cohort, months since first use across."""

import altair as alt

from tidegate.report.panels import Grid
from tidegate.report.points import Drawing, inline, records
from tidegate.study.result import Result

PANELS_MAX = 6
SIZE_MIN = 5  # smaller cohorts are in the table, not in the drawing
TICKS_MAX = 6


def chart(result: Result) -> Drawing:
    """Lines from 100 % down; early cohorts dark, late ones light. Cohorts of one month or few members are left out."""
    data = records(result)
    sizes = {(r["model"], r["cohort"]): int(r["value"] or 0) for r in data if r["months_later"] == "0"}
    lengths = {(r["model"], r["cohort"]): 0 for r in data}
    for record in data:
        lengths[record["model"], record["cohort"]] += 1
    data = [r for r in data if sizes[r["model"], r["cohort"]] >= SIZE_MIN and lengths[r["model"], r["cohort"]] > 1]
    models = list(dict.fromkeys(str(record["model"]) for record in data))[:PANELS_MAX]
    data = [record for record in data if record["model"] in models]
    longest = max((int(str(record["months_later"])) for record in data), default=1)
    grid = Grid(models, longest, 1.0)
    for record in data:
        k = int(str(record["months_later"]))
        record["px"], record["py"] = grid.place(str(record["model"]), k, float(record["share"] or 0))
        record["size"] = sizes[record["model"], record["cohort"]]
    cohorts = sorted({str(record["cohort"]) for record in data})
    colour = alt.Color(
        "cohort:O",
        sort=cohorts,
        scale=alt.Scale(scheme=alt.SchemeParams(name="viridis", extent=[0, 0.85])),
        legend=alt.Legend(symbolType="stroke", symbolStrokeWidth=3, columns=8, title="cohort"),
    )
    tooltip = [
        alt.Tooltip("model:N"),
        alt.Tooltip("cohort:N"),
        alt.Tooltip("months_later:N", title="months later"),
        alt.Tooltip("text:N", title="still active"),
        alt.Tooltip("size:Q", title="members"),
    ]
    lines = (
        alt.Chart(inline(data))
        .mark_line(strokeWidth=2, point={"filled": True, "size": 22, "opacity": 1})
        .encode(x=grid.x, y=grid.y, color=colour, detail=["model:N", "cohort:N"], tooltip=tooltip)
    )
    step = -(-longest // TICKS_MAX)
    x_ticks = [(float(k), str(k)) for k in range(0, longest + 1, step)]
    y_ticks = [(0.0, "0 %"), (0.25, "25 %"), (0.5, "50 %"), (0.75, "75 %"), (1.0, "100 %")]
    return alt.layer(*grid.frames(x_ticks, y_ticks), lines).properties(height=grid.height)
