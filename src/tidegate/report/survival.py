"""Chart of `survival`: one panel a model, the curve of those still using it, with its band."""

import altair as alt

from tidegate.report.intervals import estimates
from tidegate.report.panels import Grid
from tidegate.report.points import Drawing, Record, inline
from tidegate.report.theme import BLUE
from tidegate.study.result import Result

PANELS_MAX = 6
TICKS_MAX = 6


def chart(result: Result) -> Drawing:
    """Steps from 100 %; the band is the 95 % interval."""
    data = estimates(result, ("model", "months"), "still used")
    models = list(dict.fromkeys(str(record["model"]) for record in data))[:PANELS_MAX]
    longest = max((int(str(record["months"])) for record in data), default=1)
    grid = Grid(models, longest, 1.0)
    placed: list[Record] = []
    for name in models:
        start: Record = {"model": name, "months": "0", "still used": 1.0, "low": 1.0, "high": 1.0, "text": "100 %"}
        for record in [start, *(record for record in data if record["model"] == name)]:
            month = float(str(record["months"]))
            px, py = grid.place(name, month, float(record["still used"] or 0))
            low, high = (grid.place(name, month, float(record[side] or 0))[1] for side in ("low", "high"))
            text = f"{100 * float(record['still used'] or 0):.1f} %"
            if "at risk" in record:
                band = f"{100 * float(record['low'] or 0):.1f} to {100 * float(record['high'] or 0):.1f} %"
                text += f" (95 % {band}; {record['at risk']} at risk)"
            placed.append({**record, "px": px, "py": py, "bottom": low, "top": high, "text": text})
    tooltip = [
        alt.Tooltip("model:N"),
        alt.Tooltip("months:N", title="beyond months"),
        alt.Tooltip("text:N", title="still used"),
    ]
    base = alt.Chart(inline(placed))
    band = base.mark_area(interpolate="step-after", opacity=0.22, color=BLUE).encode(
        x=grid.x, y=grid.y_of("bottom"), y2="top:Q", detail="model:N"
    )
    line = base.mark_line(interpolate="step-after", strokeWidth=2.5, color=BLUE).encode(
        x=grid.x, y=grid.y, detail="model:N"
    )
    dots = base.mark_point(filled=True, size=30, opacity=1, color=BLUE).encode(x=grid.x, y=grid.y, tooltip=tooltip)
    step = -(-longest // TICKS_MAX)
    x_ticks = [(float(month), str(month)) for month in range(0, longest + 1, step)]
    y_ticks = [(0.0, "0 %"), (0.5, "50 %"), (1.0, "100 %")]
    return alt.layer(*grid.frames(x_ticks, y_ticks), band, line, dots).properties(height=grid.height)
