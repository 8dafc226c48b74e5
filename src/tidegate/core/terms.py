"""Terms: what a tenant is charged for what the provider charges us. Dated margins and dated rates of one's own.

A provider's charge is first made a cost in nano-USD, rounded once (`core/price.py`); a margin is then taken on that
integer, so that whoever holds a row can work its charge out again from `upstream` alone. The second rounding moves a
charge by half a nano-USD at most.
"""

from bisect import bisect_right
from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from tidegate.core.price import Price, cost, round_half_even
from tidegate.core.usage import Usage

PPM: Final = 1_000_000
MARGIN_MIN_PPM: Final = -PPM
MARGIN_MAX_PPM: Final = 1000 * PPM
KNOWN_MAX: Final = 65_536
NEVER_US: Final = 1 << 63

MarginPpm = Annotated[int, Meta(ge=MARGIN_MIN_PPM, le=MARGIN_MAX_PPM, description="parts per million of the cost")]


class Charge(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """How one call is charged: settled once at admission, so that a change of terms never splits a call.

    `price`: rates of the tenant's own, which take the place of the provider's; None: the provider's cost and
    `margin_ppm` on it. `terms_id`: which terms said so; empty where none did.
    """

    price: Price | None = None
    margin_ppm: MarginPpm = 0
    terms_id: str = ""

    def amount(self, usage: Usage | None, upstream_nano_usd: int) -> int:
        """What the tenant is charged, in nano-USD. upstream_nano_usd: what the provider charges for the same usage.

        usage: None where it is unknown: rates of one's own then charge 0, and a margin is taken on what the provider
        says that it charges. Grows with `upstream_nano_usd`, so that the amount of an upper bound bounds the amount.
        """
        if self.price is not None:
            return 0 if usage is None else cost(usage, self.price)
        if not self.margin_ppm:
            return upstream_nano_usd
        return round_half_even(upstream_nano_usd * (PPM + self.margin_ppm), PPM)


AT_COST: Final = Charge()
"""No terms: the tenant pays what the provider charges."""


class Term(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One dated entry: a margin, or rates of one's own, for the models that `models` matches.

    `models`: a slug or a glob (`openai/*`, `*`), case-sensitive. `valid_from_us`, `valid_until_us`: UTC microseconds,
    the end exclusive; 0 and None: open on that side. `price`: None: `margin_ppm` counts.
    """

    term_id: str
    models: str = "*"
    margin_ppm: MarginPpm = 0
    price: Price | None = None
    valid_from_us: int = 0
    valid_until_us: int | None = None

    def is_in_force(self, ts_us: int) -> bool:
        return self.valid_from_us <= ts_us and (self.valid_until_us is None or ts_us < self.valid_until_us)


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """All entries of one price group.

    Of the entries in force that match a model the most particular one counts: a slug before a glob, a glob with more
    letters before one with fewer; of two alike the one that began later, then the greater `term_id`.
    """

    group: str
    entries: tuple[Term, ...] = ()

    def charge(self, model: str, ts_us: int) -> Charge:
        """How a call of `model` (its catalog slug, variant included) that begins at `ts_us` is charged."""
        best: tuple[bool, int, int, str] | None = None
        chosen: Term | None = None
        for entry in self.entries:
            if not entry.is_in_force(ts_us) or not fnmatchcase(model, entry.models):
                continue
            rank = _rank(entry)
            if best is None or rank > best:
                best, chosen = rank, entry
        if chosen is None:
            return AT_COST
        return Charge(price=chosen.price, margin_ppm=chosen.margin_ppm, terms_id=f"{self.group}/{chosen.term_id}")

    def changes_us(self) -> tuple[int, ...]:
        """The moments at which any charge may change, ascending."""
        ends = {entry.valid_until_us for entry in self.entries if entry.valid_until_us is not None}
        return tuple(sorted({entry.valid_from_us for entry in self.entries} | ends))


def _rank(entry: Term) -> tuple[bool, int, int, str]:
    letters = sum(character not in "*?[]" for character in entry.models)
    return letters == len(entry.models), letters, entry.valid_from_us, entry.term_id


NO_TERMS: Final = Terms(group="")
"""Whoever is in no price group pays what the provider charges."""

EVERYBODY: Final = "default"
"""The price group of tenants that nobody has put into one, or out of all, if somebody has made it."""


class Membership(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A tenant joins a price group at a moment (UTC microseconds), and leaves whichever it was in. '': none."""

    tenant_id: str
    group: str
    since_us: int = 0


class _Known(msgspec.Struct, frozen=True, gc=False):
    """An answer of `TermsBook.charge`, and the time within which nothing can change it."""

    since_us: int
    until_us: int
    charge: Charge


class TermsBook:
    """Whose terms are whose: what a gateway worker keeps in memory, made anew when the accounts change."""

    def __init__(self, groups: Iterable[Terms] = (), memberships: Iterable[Membership] = ()) -> None:
        self._groups = {terms.group: terms for terms in groups}
        self.has_groups = bool(self._groups)
        """Whether anybody's charge may differ from the provider's."""
        self._joined: dict[str, list[Membership]] = {}
        changes = {us for terms in self._groups.values() for us in terms.changes_us()}
        for one in sorted(memberships, key=lambda one: one.since_us):
            self._joined.setdefault(one.tenant_id, []).append(one)
            changes.add(one.since_us)
        self._changes_us = sorted(changes)
        self._known: dict[tuple[str, str, str], _Known] = {}

    def terms_for(self, tenant_id: str, ts_us: int, key_group: str = "") -> Terms:
        """The terms of a call that begins at `ts_us`: its key's group where somebody has made it, else its tenant's.

        A tenant that never joined one is in EVERYBODY's; one in a group that nobody has made has NO_TERMS.
        """
        if key_group in self._groups:
            return self._groups[key_group]
        group = EVERYBODY
        for one in self._joined.get(tenant_id, ()):
            if one.since_us <= ts_us:
                group = one.group
        return self._groups.get(group, NO_TERMS)

    def charge(self, tenant_id: str, model: str, ts_us: int, key_group: str = "") -> Charge:
        """How one call is charged; `model`: its catalog slug. One dictionary look-up where it was asked before."""
        if not self._groups:
            return AT_COST
        asked = (tenant_id, model, key_group)
        known = self._known.get(asked)
        if known is None or not known.since_us <= ts_us < known.until_us:
            known = self._work_out(asked, ts_us)
        return known.charge

    def _work_out(self, asked: tuple[str, str, str], ts_us: int) -> _Known:
        tenant_id, model, key_group = asked
        place = bisect_right(self._changes_us, ts_us)
        known = _Known(
            self._changes_us[place - 1] if place else 0,
            self._changes_us[place] if place < len(self._changes_us) else NEVER_US,
            self.terms_for(tenant_id, ts_us, key_group).charge(model, ts_us),
        )
        if len(self._known) >= KNOWN_MAX:
            self._known.clear()
        self._known[asked] = known
        return known
