"""Why a day's bill differs from our rows: an identity, each part of which has a cause.

theirs - ours = (theirs - list price of their tokens) + (list price of their tokens - list price of ours)
              + (list price of our tokens - ours)

The first part is their price, the last one ours; the middle one is counts, split by what the counts themselves show.
"""

import itertools
from collections.abc import Mapping
from typing import Final

import msgspec

from tidegate.accounts.reconcile.day import DayModel, DayUse
from tidegate.core.price import Price

ALIKE_PPM: Final = 2_000
"""Counts closer than this are taken as equal: providers round, and cut days a little differently."""
TEXTS: Final[Mapping[str, str]] = {
    "not_in_our_rows": "the provider lists it, our ledger has no such call: calls past the gateway, or rows lost",
    "not_in_their_export": "our ledger has calls, the export does not: another key or project, or a filter on it",
    "other_name": "the same tokens stand on that day under another model's name",
    "over_midnight": "calls near midnight: a day's difference comes back on the next day",
    "calls_missing": "the provider counted more calls than we have: calls past the gateway, or a client's retries",
    "calls_extra": "our ledger has more calls than the provider counted: another key or project of the provider",
    "unmetered": "calls of ours without known usage (cost_basis `unknown`): the caller left, or the worker died",
    "estimated": "calls of ours whose usage is an estimate in part (cost_basis `estimated_partial`)",
    "cache_counts": "the same input, but another number of cached tokens in it",
    "reasoning_counts": "the difference in output is what reasoning came to: one side leaves it out",
    "counts_differ": "the same calls, other token counts",
    "their_price": "the provider did not charge the catalog's list price: a discount, a tier, or a price that changed",
    "batch": "batch calls at the provider's lower price",
    "our_price": "our rows were charged at another price than the catalog's of that day",
    "no_price": "the catalog has no price of this model: only counts can be compared",
}


ONE_SIDED: Final = frozenset({"not_in_our_rows", "not_in_their_export", "other_name"})
"""Causes of a whole line that the other side lacks."""


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """A part of a difference. nano_usd: above zero the provider's bill is higher by it."""

    cause: str
    nano_usd: int


def alike(one: int | None, other: int | None) -> bool:
    """Whether two counts agree; one that a side does not say agrees with any."""
    if one is None or other is None:
        return True
    return abs(one - other) * 1_000_000 <= max(one, other) * ALIKE_PPM


def parts_of(ours: DayUse, theirs: DayUse, price: Price | None, hint: str = "") -> list[Part]:
    """The difference of one day and model by cause, the largest first; what comes to nothing is left out.

    hint: what the neighbouring days or other models show (`over_midnight`, `other_name`), empty else.
    """
    billed, charged = theirs.cost_nano_usd, ours.cost_nano_usd or 0
    if hint in ONE_SIDED and billed is not None:
        return _ranked([Part(cause=hint, nano_usd=billed - charged)])
    if price is None or not theirs.has_tokens:
        if billed is None:
            return []
        return _ranked(
            [Part(cause=hint or ("no_price" if price is None else "their_price"), nano_usd=billed - charged)]
        )
    listed_theirs, listed_ours = theirs.list_cost(price, ours), ours.list_cost(price, theirs)
    above, below = 0 if billed is None else billed - listed_theirs, listed_ours - charged
    both = min(abs(above), abs(below)) if above * below < 0 else 0  # a price that both know
    above, below = (amount - both if amount > 0 else amount + both for amount in (above, below))
    cause = "batch" if theirs.batch_requests and above < 0 else "their_price"
    found = [Part(cause=cause, nano_usd=above), Part(cause="our_price", nano_usd=below)]
    found += _counts(ours, theirs, listed_theirs - listed_ours, price, hint)
    return _ranked(found)


def _ranked(parts: list[Part]) -> list[Part]:
    return sorted((part for part in parts if part.nano_usd), key=lambda part: -abs(part.nano_usd))


def _counts(ours: DayUse, theirs: DayUse, difference: int, price: Price, hint: str) -> list[Part]:
    if not difference:
        return []
    if hint:
        return [Part(cause=hint, nano_usd=difference)]
    if not (ours.requests or ours.has_tokens):
        return [Part(cause="not_in_our_rows", nano_usd=difference)]
    found = []
    if alike(ours.input_tokens, theirs.input_tokens):
        as_ours = msgspec.structs.replace(
            theirs, cache_read_tokens=ours.cache_read_tokens, cache_write_tokens=ours.cache_write_tokens
        )
        cached = theirs.list_cost(price, ours) - as_ours.list_cost(price, ours)
        found.append(Part(cause="cache_counts", nano_usd=cached))
        difference -= cached
        thought = ours.reasoning_tokens or theirs.reasoning_tokens or 0
        left = (theirs.output_tokens or 0) - (ours.output_tokens or 0)
        if thought and left and alike(abs(left), thought):
            spent = left * price.rates.output // 1_000_000
            found.append(Part(cause="reasoning_counts", nano_usd=spent))
            difference -= spent
    found.append(Part(cause=_plain_cause(ours, theirs, difference), nano_usd=difference))
    return found


def _plain_cause(ours: DayUse, theirs: DayUse, difference: int) -> str:
    """Which side has what the other lacks, by what the rows and the export say of themselves."""
    if difference > 0 and ours.unmetered:
        return "unmetered"
    if theirs.requests is not None and ours.requests is not None and not alike(theirs.requests, ours.requests):
        return "calls_missing" if theirs.requests > ours.requests else "calls_extra"
    if ours.estimated:
        return "estimated"
    return "counts_differ"


def hints(ours: Mapping[DayModel, DayUse], theirs: Mapping[DayModel, DayUse]) -> dict[DayModel, str]:
    """What only neighbours show: tokens that come back on the next day, or stand under another name."""
    found = _other_names(ours, theirs)
    days: dict[str, list[str]] = {}
    for day, model in {*ours, *theirs}:
        days.setdefault(model, []).append(day)
    for model, listed in days.items():
        ordered = sorted(listed)
        for day, after in itertools.pairwise(ordered):
            here, there = (_tokens(theirs, (one, model)) - _tokens(ours, (one, model)) for one in (day, after))
            if here * there < 0 and abs(here + there) * 10 <= max(abs(here), abs(there)):
                found.setdefault((day, model), "over_midnight")
                found.setdefault((after, model), "over_midnight")
    return found


def _tokens(side: Mapping[DayModel, DayUse], key: DayModel) -> int:
    use = side.get(key)
    return 0 if use is None else (use.input_tokens or 0) + (use.output_tokens or 0)


def _other_names(ours: Mapping[DayModel, DayUse], theirs: Mapping[DayModel, DayUse]) -> dict[DayModel, str]:
    found: dict[DayModel, str] = {}
    for key in theirs.keys() - ours.keys():
        tokens = _tokens(theirs, key)
        for other in ours.keys() - theirs.keys():
            if tokens and other[0] == key[0] and alike(tokens, _tokens(ours, other)):
                found[key] = found[other] = "other_name"
    return found
