"""Chart of `cohort_tests`: each compared cohort's retention with its error, beside the median of the later ones."""

from collections import defaultdict

import altair as alt

from tidegate.report.points import Drawing, Record, inline
from tidegate.report.theme import BLUE, GREY, VERMILION
from tidegate.study.cohort_tests import ERRORS_MIN
from tidegate.study.result import Result

ROWS_MAX = 24
ROW_PX = 24
HOLDS, FAILS, LATER = "foundational", "not foundational", "median of later cohorts"


def chart(result: Result) -> Drawing:
    """The cohorts furthest from later ones first, two standard errors on each side."""
    found: dict[tuple[str, str], Record] = defaultdict(dict)
    for cell in result.rows:
        if cell.value is not None:
            found[cell.groups["model"], cell.groups["cohort"]][cell.groups["statistic"]] = cell.value
    rows: list[tuple[float, list[Record]]] = []
    for (model, cohort), record in found.items():
        if "retention" not in record:
            continue
        rate, error = float(record["retention"] or 0), ERRORS_MIN * float(record["standard error"] or 0)
        name = f"{model.rpartition('/')[2]} {cohort}, month {record['compared at month']}"
        text = f"{100 * rate:.1f} % of {record['size']}, z = {float(record['z'] or 0):.1f}"
        own: Record = {
            "name": name,
            "value": rate,
            "low": max(0.0, rate - error),
            "high": min(1.0, rate + error),
            "group": HOLDS if record["foundational"] else FAILS,
            "text": text,
        }
        rows.append((float(record["z"] or 0), [own, {"name": name, "value": record["later median"], "group": LATER}]))
    rows = sorted(rows, key=lambda row: -row[0])[:ROWS_MAX]
    data = [record for _, pair in rows for record in pair]
    order = [str(pair[0]["name"]) for _, pair in rows]
    domain, colours = [HOLDS, FAILS, LATER], [VERMILION, BLUE, GREY]
    colour = alt.Color("group:N", scale=alt.Scale(domain=domain, range=colours), sort=domain)
    x = alt.X("value:Q", scale=alt.Scale(zero=True), axis=alt.Axis(format="%", title="still active"))
    y = alt.Y("name:N", sort=order, axis=alt.Axis(title=None, domain=False, ticks=False, labelLimit=280))
    tooltip = [alt.Tooltip("name:N", title="cohort"), alt.Tooltip("text:N", title="retention")]
    base = alt.Chart(inline(data))
    bars = base.mark_rule(strokeWidth=2).encode(x="low:Q", x2="high:Q", y=y, color=colour)
    dots = base.mark_point(filled=True, size=80, opacity=1).encode(x=x, y=y, color=colour, tooltip=tooltip)
    return alt.layer(bars, dots).properties(height=ROW_PX * max(1, len(order)))
