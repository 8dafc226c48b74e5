"""Chart of the market book: published rates per day on a log scale, with intervals, and the next figure's band."""

import datetime as dt
from pathlib import Path

from tidegate.market.change_points import POINTS_MIN as BENDS_MIN
from tidegate.market.change_points import change_points
from tidegate.market.claim import MarketError
from tidegate.market.forecast import POINTS_MIN, Forecast, forecast
from tidegate.market.series import Series
from tidegate.report.points import Drawing, Record, inline
from tidegate.report.spec import save, standing
from tidegate.report.theme import BLUE, TOKENS_AXIS, VERMILION

HEIGHT_PX = 380


def chart(series: Series, made: Forecast | None) -> Drawing:
    """Points with their intervals, straight pieces of growth between them, bends, and the forecast's interval."""
    import altair as alt

    points: list[Record] = [
        {"day": str(p.day), "value": p.value, "low": p.low, "high": p.high, "stated": p.stated, "claim": p.claims[0]}
        for p in series.points
    ]
    scale = alt.Scale(type="log", nice=False, padding=12)
    axis = alt.Axis(title=f"{series.unit.replace('_', ' ')}, log scale", labelExpr=TOKENS_AXIS, grid=True)
    x = alt.X("day:T", scale=alt.Scale(type="utc"), axis=alt.Axis(title=None, format="%b %Y", grid=False))
    y = alt.Y("value:Q", scale=scale, axis=axis)
    tooltip = [alt.Tooltip(name) for name in ("day:T", "value:Q", "stated:N", "claim:N")]
    base = alt.Chart(inline(points))
    bounded = alt.Chart(inline([record for record in points if record["high"] is not None]))
    layers = [
        base.mark_line(color=BLUE, strokeWidth=1.5, opacity=0.7).encode(x=x, y=y),
        bounded.mark_rule(color=BLUE, strokeWidth=3, opacity=0.35).encode(x=x, y=alt.Y("low:Q"), y2=alt.Y2("high:Q")),
        base.mark_point(color=BLUE, filled=True, size=70).encode(x=x, y=y, tooltip=tooltip),
    ]
    bends = change_points(series) if len(series.points) >= BENDS_MIN else ()
    if bends:
        marks: list[Record] = [{"day": str(bend.day)} for bend in bends]
        layers.append(alt.Chart(inline(marks)).mark_rule(strokeDash=[3, 3], color="#888888").encode(x=x))
    if made:
        last = series.points[-1]
        band: list[Record] = [
            {"day": str(last.day), "value": last.value, "low": last.value, "high": last.value},
            {"day": str(made.day), "value": made.value, "low": made.low, "high": made.high},
        ]
        ahead = alt.Chart(inline(band))
        layers.append(ahead.mark_area(color=VERMILION, opacity=0.2).encode(x=x, y="low:Q", y2="high:Q"))
        layers.append(ahead.mark_line(color=VERMILION, strokeDash=[5, 4]).encode(x=x, y=y))
    return alt.layer(*layers).properties(height=HEIGHT_PX)


def save_timeline(series: Series, path: Path, *, today: dt.date) -> None:
    """Write the chart as .svg, .png (2 x) or Vega-Lite .json, with the forecast where there are points enough."""
    made = forecast(series, made_at=today) if len(series.points) >= POINTS_MIN else None
    level = f"; band: {made.level:.0%} interval for {made.day} ({made.method})" if made else ""
    subtitle = f"{len(series.points)} published claims, not verified at the source{level}. Dotted: growth bends"
    title = f"{series.entity}: {series.scope}"
    save(standing(chart(series, made), title, subtitle, f"{title}. {subtitle}"), path, MarketError)
