"""Small panels in one drawing that is as wide as its place: Vega-Lite's own facets cannot be.

Each panel is a square of the drawing's own plane, one unit high; what stands in it is moved there, and its frame, title
and labels are drawn as marks.
"""

from collections.abc import Sequence
from typing import Literal

import altair as alt

from tidegate.report.points import Drawing, Record, inline

COLUMNS = 3
GAP_X, GAP_Y = 0.16, 0.34  # between panels, in panels
PANEL_PX = 190


class Grid:
    """Where panels lie. x runs from 0 to x_max in each, y from 0 to y_max."""

    def __init__(self, names: Sequence[str], x_max: float, y_max: float) -> None:
        self.names = list(names)
        self.columns = min(COLUMNS, max(1, len(self.names)))
        self.rows = -(-len(self.names) // self.columns)
        self.x_max, self.y_max = x_max or 1.0, y_max or 1.0

    def place(self, name: str, x: float, y: float) -> tuple[float, float]:
        """A point of a panel on the plane."""
        column, row = self.names.index(name) % self.columns, self.names.index(name) // self.columns
        return column * (1 + GAP_X) + x / self.x_max, -row * (1 + GAP_Y) + y / self.y_max

    @property
    def x(self) -> alt.X:
        span = self.columns * (1 + GAP_X) - GAP_X
        return alt.X("px:Q", scale=alt.Scale(domain=[-0.09, span + 0.02], nice=False), axis=None)

    @property
    def y(self) -> alt.Y:
        return self.y_of("py")

    def y_of(self, field: str) -> alt.Y:
        """The same scale for another field."""
        low = -(self.rows - 1) * (1 + GAP_Y) - 0.2
        return alt.Y(f"{field}:Q", scale=alt.Scale(domain=[low, 1.18], nice=False), axis=None)

    @property
    def height(self) -> int:
        return round(PANEL_PX * (self.rows * (1 + GAP_Y) + 0.1))

    def frames(self, x_ticks: Sequence[tuple[float, str]], y_ticks: Sequence[tuple[float, str]]) -> list[Drawing]:
        """Titles, grid lines and labels of all panels."""
        titles: list[Record] = []
        lines: list[Record] = []
        below: list[Record] = []
        beside: list[Record] = []
        for name in self.names:
            left, bottom = self.place(name, 0, 0)
            titles.append({"px": left, "py": bottom + 1.09, "text": name.rpartition("/")[2] or name})
            for value, text in y_ticks:
                height = self.place(name, 0, value)[1]
                lines.append({"px": left, "px2": left + 1, "py": height})
                beside.append({"px": left - 0.015, "py": height, "text": text})
            for value, text in x_ticks:
                below.append({"px": self.place(name, value, 0)[0], "py": bottom - 0.09, "text": text})
        rule = alt.Chart(inline(lines)).mark_rule(opacity=0.35).encode(x=self.x, x2="px2:Q", y=self.y)
        return [
            rule,
            _words(self, titles, align="left", size=13),
            _words(self, below, align="center", size=11),
            _words(self, beside, align="right", size=11),
        ]


def _words(grid: Grid, data: list[Record], *, align: Literal["left", "center", "right"], size: int) -> Drawing:
    mark = alt.Chart(inline(data)).mark_text(align=align, baseline="middle", fontSize=size)
    return mark.encode(x=grid.x, y=grid.y, text="text:N")
