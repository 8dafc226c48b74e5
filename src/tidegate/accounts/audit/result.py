"""What an audit comes to: sums, and the findings by cause."""

from collections.abc import Iterable
from typing import Final

import msgspec

from tidegate.accounts.audit.finding import CERTAINTIES, INFORMING, Certainty, Finding
from tidegate.accounts.audit.tongue import cause, say

SUMMED: Final[tuple[Certainty, ...]] = ("certain", "likely", "possible")


class Summed(msgspec.Struct, kw_only=True):
    """Of all calls. rounding: what right amounts gained (or lost, below zero) by the log's rounding.

    cache_unsaid: right calls of models with a discount for cached tokens, whose log does not say how many were; the
    amount is what they were charged too much if all of their input had been cached.
    """

    calls: int = 0
    charged_nano_usd: int = 0
    right: int = 0
    unchecked: int = 0
    unchecked_nano_usd: int = 0
    rounding_nano_usd: int = 0
    cache_unsaid: int = 0
    cache_unsaid_nano_usd: int = 0


class _Part(msgspec.Struct, kw_only=True):
    calls: int = 0
    wrong: int = 0
    unknowable: int = 0
    charged_nano_usd: int = 0
    should_nano_usd: int = 0
    over_nano_usd: int = 0
    under_nano_usd: int = 0

    @property
    def misbilled_nano_usd(self) -> int:
        return self.over_nano_usd + self.under_nano_usd


class ByModel(_Part, kw_only=True):
    """Calls of one model at one provider (as logged, where it is none of ours)."""

    model: str
    provider: str


class ByDay(_Part, kw_only=True):
    """Calls of one UTC day."""

    day: str


class ByCause(msgspec.Struct, kw_only=True):
    """Findings of one set of causes. calls_unknowable: those of them whose right amount nobody can know.

    certainty: the weakest of those with an amount, or `unknowable`. by_certainty: calls.
    """

    causes: tuple[str, ...]
    calls: int = 0
    calls_unknowable: int = 0
    charged_nano_usd: int = 0
    should_nano_usd: int = 0
    over_nano_usd: int = 0
    under_nano_usd: int = 0
    is_at_least: bool = False
    by_certainty: dict[str, int] = {}

    @property
    def title(self) -> str:
        return " + ".join(cause(name).title for name in self.causes)

    @property
    def text(self) -> str:
        return " ".join(cause(name).text for name in self.causes)

    @property
    def is_mistake(self) -> bool:
        return self.causes[0] not in INFORMING

    @property
    def misbilled_nano_usd(self) -> int:
        return self.over_nano_usd + self.under_nano_usd

    def sureness(self) -> str:
        """`likely`, or `certain 12, possible 3` where calls differ."""
        held = [(name, self.by_certainty[name]) for name in CERTAINTIES if self.by_certainty.get(name)]
        return say(held[0][0]) if len(held) == 1 else ", ".join(f"{say(name)} {count}" for name, count in held)


class Audit(msgspec.Struct, frozen=True, kw_only=True):
    """The whole result. findings: the dearest first. files: what each was taken for. notes: what to bear in mind."""

    files: tuple[str, ...]
    sums: Summed
    findings: tuple[Finding, ...]
    models: tuple[ByModel, ...]
    days: tuple[ByDay, ...]
    notes: tuple[str, ...]

    def by_cause(self) -> list[ByCause]:
        """The dearest first; what is no mistake last."""
        found: dict[tuple[str, ...], ByCause] = {}
        for finding in self.findings:
            part = found.setdefault(finding.causes, ByCause(causes=finding.causes, by_certainty={}))
            _add(part, finding)
        return sorted(found.values(), key=lambda part: (not part.is_mistake, -part.misbilled_nano_usd, -part.calls))

    def mistakes(self) -> Iterable[Finding]:
        return (finding for finding in self.findings if finding.causes[0] not in INFORMING)

    @property
    def over_nano_usd(self) -> int:
        return sum(max(finding.over_nano_usd, 0) for finding in self.mistakes())

    @property
    def under_nano_usd(self) -> int:
        return sum(max(-finding.over_nano_usd, 0) for finding in self.mistakes())

    @property
    def should_nano_usd(self) -> int:
        """What all calls should have come to, as far as it can be known; those that cannot count as charged."""
        return self.sums.charged_nano_usd - self.over_nano_usd + self.under_nano_usd

    @property
    def wrong(self) -> int:
        return sum(1 for _ in self.mistakes())

    @property
    def unknowable(self) -> int:
        return sum(finding.should_nano_usd is None for finding in self.mistakes())


def _add(part: ByCause, finding: Finding) -> None:
    part.calls += 1
    part.by_certainty[finding.certainty] = part.by_certainty.get(finding.certainty, 0) + 1
    part.charged_nano_usd += finding.call.charged_nano_usd
    part.is_at_least |= finding.is_at_least
    if finding.should_nano_usd is None:
        part.calls_unknowable += 1
    else:
        part.should_nano_usd += finding.should_nano_usd
    part.over_nano_usd += max(finding.over_nano_usd, 0)
    part.under_nano_usd += max(-finding.over_nano_usd, 0)
