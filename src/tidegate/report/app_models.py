"""Chart of `app_models`: each model's use by application."""

import altair as alt

from tidegate.report.palette import colours_of
from tidegate.report.points import Drawing, inline, legend_of, records
from tidegate.report.ranking import ROW_PX
from tidegate.study.result import Result


def chart(result: Result) -> Drawing:
    """One bar a model, stacked to its whole."""
    data = records(result, lambda cell: bool(cell.value))
    models = list(dict.fromkeys(str(record["model"]) for record in data))
    apps = list(dict.fromkeys(cell.groups["app"] for cell in result.rows))
    for record in data:
        record["order"] = apps.index(str(record["app"]))
    return (
        alt.Chart(inline(data))
        .mark_bar()
        .encode(
            x=alt.X("share:Q", stack="zero", scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(format="%", title="share")),
            y=alt.Y("model:N", sort=models, axis=alt.Axis(title=None, domain=False, ticks=False, labelLimit=240)),
            color=alt.Color(
                "app:N",
                scale=alt.Scale(domain=apps, range=colours_of(apps)),
                sort=apps,
                legend=legend_of(apps),
            ),
            order=alt.Order("order:Q"),
            tooltip=[alt.Tooltip("model:N"), alt.Tooltip("app:N"), alt.Tooltip("text:N", title="amount")],
        )
        .properties(height=ROW_PX * max(1, len(models)))
    )
