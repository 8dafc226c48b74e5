"""How the two figures of judged calls look: a line a model and a line a category, each with its interval."""

from collections import defaultdict

import altair as alt

from tidegate.report.points import Drawing, Record, inline
from tidegate.report.theme import BLUE, GREY, VERMILION
from tidegate.study.judged import ALL
from tidegate.study.result import Result

ROW_PX = 26
ROWS_MAX = 20  # of each kind
COST_FREE_AXIS = alt.Axis(format="%", title="accepted, of calls with a verdict")
COST_AXIS = alt.Axis(labelExpr="'$' + format(datum.value / 1e9, ',.3~g')", title="USD an accepted call")
KINDS = {"all": GREY, "model": BLUE, "task category": VERMILION}


def judged_chart(result: Result, value: str, axis: alt.Axis) -> Drawing:
    """value: the statistic that is the dot; `low` and `high` are its interval."""
    found: dict[tuple[str, str], Record] = defaultdict(dict)
    for cell in result.rows:
        if cell.value is not None:
            found[cell.groups["model"], cell.groups["category"]][cell.groups["statistic"]] = cell.value
    data: list[Record] = []
    counts: dict[str, int] = defaultdict(int)
    for (model, category), record in found.items():
        if value not in record or (model != ALL and category != ALL):
            continue
        kind = "model" if model != ALL else "task category" if category != ALL else "all"
        counts[kind] += 1
        if counts[kind] > ROWS_MAX:
            continue
        name = model if kind == "model" else category if kind == "task category" else "all judged calls"
        dot = float(record[value] or 0)
        text = f"{100 * dot:.1f} %" if value == "rate" else f"{dot / 1e9:.3g} USD"
        low, high = (record.get(side, record[value]) for side in ("low", "high"))
        data.append({"name": name, "kind": kind, "value": dot, "low": low, "high": high, "text": text})
    order = [str(record["name"]) for record in data]
    shown = [kind for kind in KINDS if counts[kind]]
    colour = alt.Color("kind:N", scale=alt.Scale(domain=shown, range=[KINDS[kind] for kind in shown]), sort=shown)
    y = alt.Y("name:N", sort=order, axis=alt.Axis(title=None, domain=False, ticks=False, labelLimit=240))
    tooltip = [alt.Tooltip("name:N", title="of"), alt.Tooltip("text:N", title="is")]
    base = alt.Chart(inline(data))
    bars = base.mark_rule(strokeWidth=2.5).encode(x=alt.X("low:Q"), x2="high:Q", y=y, color=colour)
    x = alt.X("value:Q", scale=alt.Scale(zero=True), axis=axis)
    dots = base.mark_point(filled=True, size=80, opacity=1).encode(x=x, y=y, color=colour, tooltip=tooltip)
    return alt.layer(bars, dots).properties(height=ROW_PX * max(1, len(order)))
