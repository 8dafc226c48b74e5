"""Chart of `workload_fingerprint`: input for one output token against tokens a call, a dot a model."""

import altair as alt

from tidegate.report.points import Drawing, Record, inline, log_ticks
from tidegate.report.theme import BLUE, HEIGHT_PX
from tidegate.study.params import UNITS
from tidegate.study.result import Result

NAMED_MAX = 12
LOG = "format(datum.value, '~s')"


def chart(result: Result) -> Drawing:
    """Dots on logarithmic axes, larger for more use; a ranking of the ratio where calls are not counted."""
    models: dict[str, Record] = {}
    for cell in result.rows:
        record = models.setdefault(cell.groups["model"], {"model": cell.groups["model"]})
        statistic = cell.groups["statistic"]
        record["amount" if statistic in UNITS else statistic.replace(" ", "_")] = cell.value
    data = [record for record in models.values() if record.get("input_per_output")]
    for place, record in enumerate(data):
        record["name"] = str(record["model"]).rpartition("/")[2] if place < NAMED_MAX else ""
    counted = all(record.get("tokens_a_call") for record in data)
    ratio = alt.X(
        "input_per_output:Q",
        scale=alt.Scale(type="log"),
        axis=alt.Axis(
            title="input tokens for one output token (log)",
            labelExpr=LOG,
            grid=False,
            values=log_ticks(float(r["input_per_output"] or 0) for r in data),
        ),
    )
    tooltip = [alt.Tooltip("model:N"), alt.Tooltip("input_per_output:Q"), alt.Tooltip("amount:Q", format=",")]
    if not counted:
        order = [str(r["model"]) for r in sorted(data, key=lambda r: -float(r["input_per_output"] or 0))]
        y = alt.Y("model:N", sort=order, axis=alt.Axis(title=None, labelLimit=240, domain=False, ticks=False))
        dots = alt.Chart(inline(data)).mark_point(filled=True, size=70, opacity=1, color=BLUE)
        return dots.encode(x=ratio, y=y, tooltip=tooltip).properties(height=18 * max(1, len(order)))
    base = alt.Chart(inline(data)).encode(
        x=ratio,
        y=alt.Y(
            "tokens_a_call:Q",
            scale=alt.Scale(type="log"),
            axis=alt.Axis(
                title="tokens a call (log)",
                labelExpr=LOG,
                values=log_ticks(float(r["tokens_a_call"] or 0) for r in data),
            ),
        ),
        tooltip=[*tooltip, alt.Tooltip("tokens_a_call:Q", format=",")],
    )
    size = alt.Size("amount:Q", scale=alt.Scale(range=[30, 900]), legend=None)
    dots = base.mark_point(filled=True, opacity=0.65, color=BLUE).encode(size=size)
    names = base.mark_text(align="left", dx=9, dy=-7, fontSize=11).encode(text="name:N")
    return alt.layer(dots, names).properties(height=HEIGHT_PX + 60)
