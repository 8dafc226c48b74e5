"""What an import has to say: every record left out, every value changed, every member nobody maps, counted."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec

from tidegate.ledger.imports.values import Unusable

REASONS_NAMED_MAX: Final = 12
"""Different reasons, and different members, that a report lists; the rest are counted in one line."""


class Rejected(msgspec.Struct, frozen=True, kw_only=True):
    """Records left out for one reason. `first`: where the first of them stands, and what was seen there."""

    reason: str
    count: int
    first: str


class Tally:
    """Counts what happened to the records of one import."""

    def __init__(self) -> None:
        self.read = 0
        self.skipped: Counter[str] = Counter()  # records that are no calls, by what they are
        self.flags: Counter[str] = Counter()  # records kept with a caveat, by caveat
        self.unmapped: Counter[str] = Counter()  # members nobody maps, by name
        self.private: Counter[str] = Counter()  # members that hold texts of prompts and answers: never read
        self.zones: Counter[str] = Counter()  # how times gave their zone
        self._rejected: dict[str, list[str]] = {}
        self._rejections: Counter[str] = Counter()

    @property
    def rejected_count(self) -> int:
        return self._rejections.total()

    def reject(self, reason: str, file: Path, line: int, seen: str = "") -> None:
        """Leave a record out: counted under `reason`, the first few named with their place."""
        self._rejections[reason] += 1
        if self._rejections[reason] == 1:
            self._rejected[reason] = [f"{file.name}, line {line}" + (f": {seen}" if seen else "")]

    def refuse(self, error: Unusable, file: Path, line: int) -> None:
        """Leave a record out because a value of it is unusable: counted by the name of the value."""
        text = str(error)
        name, _, rest = text.partition(" is ")
        problem = rest.rpartition(", ")[2] if ", " in rest else ""
        self.reject(f"{name}: {problem}" if problem else text, file, line, text)

    def rejections(self) -> tuple[Rejected, ...]:
        """By frequency, the commonest first."""
        return tuple(
            Rejected(reason=reason, count=count, first=self._rejected[reason][0])
            for reason, count in sorted(self._rejections.items(), key=lambda item: (-item[1], item[0]))
        )

    def notes(self) -> tuple[str, ...]:
        """What was not mapped, or mapped with a caveat, one sentence each."""
        found = [f"{text} ({_records(count)})" for text, count in self.flags.items() if count]
        found += [f"left out, no call: {text} ({_records(count)})" for text, count in self.skipped.items() if count]
        found += self._zone_notes()
        if self.private:
            found.append(f"texts of prompts and answers were not read: {', '.join(sorted(self.private))}")
        found += _unmapped(self.unmapped)
        return tuple(found)

    def _zone_notes(self) -> Iterable[str]:
        none = self.zones["none"]
        if none:
            yield f"a time without a zone was read as UTC ({_records(none)})"
        written = {zone: count for zone, count in self.zones.items() if count and zone != "none"}
        if len(written) + bool(none) > 1:
            each = ", ".join(f"{zone} {count}" for zone, count in sorted({**written, "none": none}.items()) if count)
            yield f"times stand in several zones, all turned into UTC: {each}"


def _records(count: int) -> str:
    return f"{count} record{'s' * (count != 1)}"


def _unmapped(counts: Counter[str]) -> list[str]:
    named = counts.most_common(REASONS_NAMED_MAX)
    found = [f"{name!r} was not mapped ({_records(count)})" for name, count in sorted(named)]
    rest = len(counts) - len(named)
    return found + ([f"{rest} more members were not mapped"] if rest > 0 else [])
