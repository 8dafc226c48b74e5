"""Cost against use on log axes with the lines at the medians: how `model_cost`, `market_map`, `category_cost` look."""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence

import altair as alt

from tidegate.report.points import Drawing, Record, inline, log_ticks
from tidegate.report.theme import GREY
from tidegate.study.quantity import quantity
from tidegate.study.result import Result

HEIGHT_PX = 420
LABELS_MAX = 16
LETTER_PART, LINE_PART = 0.009, 0.042  # about what a letter and a line of a label take of the axes
SPAN_MIN = 0.3  # decades
COST_LABEL = "'$' + format(datum.value, '~g')"
USAGE_LABEL = "replace(format(datum.value, '~s'), 'G', 'B')"


def dots(result: Result, key: Sequence[str]) -> list[Record]:
    """The two cells of each key as one record with `cost` and `usage`; `text` reads both."""
    found: dict[tuple[str, ...], Record] = defaultdict(dict)
    for cell in result.rows:
        if "statistic" in cell.groups or cell.value is None:
            continue
        record = found[tuple(cell.groups.get(name, "") for name in key)]
        record.update({name: value for name, value in cell.groups.items() if name != "axis"})
        record[cell.groups["axis"]] = cell.value
    for record in found.values():
        cost, usage = float(record["cost"] or 0), int(record["usage"] or 0)
        record["text"] = f"{cost:,.3g} USD per million, {quantity(usage)} tokens"
    return list(found.values())


def ends(result: Result, statistic: str) -> dict[str, float]:
    """One statistic's cost and usage; empty where the figure has none."""
    cells = [cell for cell in result.rows if cell.groups.get("statistic") == statistic]
    return {cell.groups["axis"]: float(cell.value) for cell in cells if cell.value is not None}


class Axes:
    """The two log axes of a drawing, with ticks around what stands in it. data: with `cost` and `usage`, both > 0."""

    def __init__(self, data: Sequence[Record]) -> None:
        self.costs = [float(record["cost"] or 0) for record in data]
        self.uses = [float(record["usage"] or 0) for record in data]

    @property
    def x(self) -> alt.X:
        title = "USD per million tokens, log scale"
        axis = alt.Axis(title=title, labelExpr=COST_LABEL, values=log_ticks(self.costs))
        return alt.X("cost:Q", scale=alt.Scale(type="log", nice=False, padding=30), axis=axis)

    @property
    def y(self) -> alt.Y:
        axis = alt.Axis(title="tokens, log scale", labelExpr=USAGE_LABEL, values=log_ticks(self.uses))
        return alt.Y("usage:Q", scale=alt.Scale(type="log", nice=False, padding=20), axis=axis)

    def labelled(self, data: Sequence[Record], field: str) -> list[Record]:
        """Which dots are named: the most used and the dearest first, each only where no other name stands."""
        by_use = sorted(data, key=lambda record: -float(record["usage"] or 0))
        dearest = sorted(data, key=lambda record: -float(record["cost"] or 0))[:2]
        letter, line = LETTER_PART * _decades(self.costs), LINE_PART * _decades(self.uses)
        boxes: list[tuple[float, float, float]] = []  # left, right, height, in decades
        named: list[Record] = []
        for record in [*by_use[:3], *dearest, *by_use[3:]]:
            words = str(record[field]).rpartition("/")[2]
            left, height = math.log10(float(record["cost"] or 1)), math.log10(float(record["usage"] or 1))
            right = left + letter * len(words)
            free = all(right < start or left > end or abs(height - h) > line for start, end, h in boxes)
            if free and len(named) < LABELS_MAX:
                boxes.append((left, right, height))
                named.append({**record, "label": words})
        return named


def _decades(values: Sequence[float]) -> float:
    return max(SPAN_MIN, math.log10(max(values) / min(values)))


def frame(result: Result, axes: Axes) -> list[Drawing]:
    """The median lines, and the fitted line where there is one."""
    cut = ends(result, "median")
    layers: list[Drawing] = []
    if cut:
        rule = alt.Chart(inline([dict(cut)])).mark_rule(strokeDash=[5, 4], opacity=0.8)
        layers += [rule.encode(x=axes.x), rule.encode(y=axes.y)]
    start, end = ends(result, "line start"), ends(result, "line end")
    if start and end:
        line = alt.Chart(inline([dict(start), dict(end)])).mark_line(color=GREY, strokeWidth=2, clip=True)
        layers.append(line.encode(x=axes.x, y=axes.y))
    return layers


def scatter(
    result: Result, data: list[Record], colour: alt.Color, tooltip: Mapping[str, str], label: str = ""
) -> Drawing:
    """Dots over the frame; `label`: the field that is written beside dots that have room, the most used first."""
    axes = Axes(data)
    shown = [alt.Tooltip(f"{field}:N", title=title) for field, title in tooltip.items()]
    points = (
        alt.Chart(inline(data))
        .mark_point(filled=True, size=60, opacity=0.75)
        .encode(x=axes.x, y=axes.y, color=colour, tooltip=[*shown, alt.Tooltip("text:N", title="at")])
    )
    layers = [*frame(result, axes), points]
    if label:
        words = alt.Chart(inline(axes.labelled(data, label))).mark_text(align="left", dx=7, dy=-5, fontSize=11)
        layers.append(words.encode(x=axes.x, y=axes.y, text="label:N"))
    return alt.layer(*layers).properties(height=HEIGHT_PX)
