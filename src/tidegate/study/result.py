"""What a figure returns: a table that says what it is, on how much it rests, and what it cannot say."""

import hashlib
import re
from typing import Any

import msgspec

from tidegate.core.errors import TidegateError

Value = int | float


class NotComputable(TidegateError):
    """This source cannot carry this figure: the text names the missing column, which is never guessed."""

    def __init__(self, figure: str, source_id: str, missing: str) -> None:
        super().__init__(f"{figure} is not computable from source {source_id!r}: {missing}")
        self.figure, self.source_id, self.missing = figure, source_id, missing


class StudyError(TidegateError):
    """A study was asked for that cannot be run; the text says what to ask instead."""


class Cell(msgspec.Struct, frozen=True, kw_only=True):
    """One row of a figure.

    period: ISO date on which the period begins. groups: the grouping columns by name, in order. value: in the
    figure's measure; None where nothing was observed. share: of the period's total, a fraction of 1; None where the
    figure has no shares.
    """

    period: str
    groups: dict[str, str]
    value: Value | None
    share: float | None = None


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """A figure drawn from one source.

    window: `A:B`, the first and last UTC day that the rows cover, both included. n: the sample; the notes say of what.
    missing_share: the part of the measure that lacks the attribute the figure needs, a fraction of 1. unit: of value.
    down: the groups that go down when the result is read as a table; empty: its periods do.
    """

    figure: str
    definition: str
    source_id: str
    window: str
    rows: tuple[Cell, ...]
    n: int
    missing_share: float
    notes: tuple[str, ...] = ()
    unit: str = "tokens"
    grain: str = "week"
    down: tuple[str, ...] = ()

    @property
    def file_stem(self) -> str:
        """A name for files and page anchors, different for each figure and source, whatever the source is called."""
        safe = re.sub(r"[^a-zA-Z0-9._-]", "-", self.source_id)[:60]
        if safe != self.source_id:
            safe += "-" + hashlib.sha256(self.source_id.encode()).hexdigest()[:6]
        return f"{self.figure}-{safe}"

    def as_json(self) -> dict[str, Any]:  # the one shape that leaves the program
        """Figure, definition, window, rows (period, groups, value, share), n, missing_share, notes."""
        return {
            "figure": self.figure,
            "definition": self.definition,
            "window": self.window,
            "rows": [
                {"period": cell.period, **cell.groups, "value": cell.value, "share": cell.share} for cell in self.rows
            ],
            "n": self.n,
            "missing_share": self.missing_share,
            "notes": list(self.notes),
        }
