"""What verification finds: one thing that is not as it was booked."""

from typing import Final, Literal

import msgspec

What = Literal[
    "row changed",
    "row and attempts differ",
    "not settled",
    "rows and entries differ",
    "entry without rows",
    "entry changed",
    "entry missing",
    "balance changed",
    "usage sum changed",
    "wallet changed",
    "limit changed",
    "held differs",
]
FOUND_MAX: Final = 1000
"""Differences that one run lists; the first say where to look."""


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """One difference. Empty: does not apply. `number`: of the tenant's transaction; 0 where it is about none.

    `expected`: what the other side of the comparison says (rows, or the entries); `seen`: what stands there.
    """

    what: What
    tenant_id: str = ""
    day: str = ""
    segment_id: str = ""
    number: int = 0
    expected: str = ""
    seen: str = ""


class Findings:
    """Collects differences, so many."""

    def __init__(self) -> None:
        self.found: list[Difference] = []
        self.count = 0

    def add(self, difference: Difference) -> None:
        self.count += 1
        if len(self.found) < FOUND_MAX:
            self.found.append(difference)

    def ordered(self) -> list[Difference]:
        """By day, then tenant, then number: the first is where it began."""
        return sorted(self.found, key=lambda one: (one.day or "~", one.tenant_id, one.number, one.segment_id, one.what))
