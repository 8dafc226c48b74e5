"""Chart of `launch_study`: each launched model's share by periods since its first."""

import altair as alt

from tidegate.report.palette import CYCLE
from tidegate.report.points import Drawing, inline, legend_of, records
from tidegate.report.theme import HEIGHT_PX
from tidegate.study.result import Result


def chart(result: Result) -> Drawing:
    """One line a model, all beginning at zero."""
    data = records(result, lambda cell: cell.share is not None)
    for record in data:
        record["since"] = int(str(record["since_launch"]))
    order = list(dict.fromkeys(str(record["model"]) for record in data))
    last = max((int(str(record["since"])) for record in data), default=0)
    axis = alt.Axis(title=f"{result.grain}s since the first", values=list(range(last + 1)), format="d")
    base = alt.Chart(inline(data)).encode(
        x=alt.X("since:Q", axis=axis),
        y=alt.Y("share:Q", axis=alt.Axis(format="%", title="share of all use")),
        color=alt.Color(
            "model:N",
            scale=alt.Scale(domain=order, range=list(CYCLE[: len(order)])),
            sort=order,
            legend=legend_of(order, stroke=True),
        ),
        tooltip=[alt.Tooltip("model:N"), alt.Tooltip("period:N"), alt.Tooltip("text:N", title="amount")],
    )
    return alt.layer(base.mark_line(strokeWidth=2.5), base.mark_point(filled=True, size=30, opacity=1)).properties(
        height=HEIGHT_PX
    )
