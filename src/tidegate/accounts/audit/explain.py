"""The mistake that gives exactly the logged charge of one call, and how sure that is."""

from collections.abc import Sequence
from typing import Final

from tidegate.accounts.audit.basis import Basis, follows_own_rates, meets, right_charge, usages, whole
from tidegate.accounts.audit.call import LoggedCall
from tidegate.accounts.audit.finding import CAUSES, Certainty, Finding, weaker
from tidegate.accounts.audit.prices import Held
from tidegate.accounts.audit.wrong import exact, ways_wrong
from tidegate.core.money import format_rate
from tidegate.core.price import Price, Rates

MISTAKES_AT_MAX: Final = 3
"""Prices of one call at which mistakes are looked for: at many prices some mistake always fits."""
EVIDENCE_STEPS: Final = 4
"""A difference of fewer of the log's steps than this is explained by too many mistakes to name one."""


def explained(call: LoggedCall, held: Held, bases: Sequence[Basis]) -> Finding | None:
    """The mistake that gives exactly the logged charge; None where none does."""
    follows = follows_own_rates(call)
    for basis in bases[:MISTAKES_AT_MAX]:
        found = mistake(call, basis, held)
        if found is not None and (not follows or found.certainty == "certain"):
            return found  # a charge that follows the log's own rates is explained by those
    if call.own_rates is not None and not follows:
        found = arithmetic(call, Basis(Price(price_id="the log's own rates", rates=call.own_rates), call.factor))
        if found is not None:
            return found
    if call.is_half_price:
        full = bases[0]._replace(factor=bases[0].factor * 2)
        if right_charge(call, full) is not None:
            return _full_price(call, held, bases[0])
    for cause, price in held.others:
        for usage in usages(call):
            if meets(call, exact(usage, price.rates_for(usage.input_tokens)), call.factor):
                return _dated(call, held, bases[0], cause, price)
    return _own_price(call, held, bases[0])


def mistake(call: LoggedCall, basis: Basis, held: Held, base: Certainty = "likely") -> Finding | None:
    """A way of getting it wrong that gives the charge. base: how sure a single one is, at a named provider's price."""
    for usage in usages(call):
        fitting = [wrong.causes for wrong in ways_wrong(usage, basis.price) if meets(call, wrong.amount, basis.factor)]
        single: list[tuple[str, ...]] = [causes for causes in dict.fromkeys(fitting) if len(causes) == 1]
        chosen = single or list(dict.fromkeys(fitting))
        if not chosen:
            continue
        should = basis.nano_usd(usage)
        steps = (len(chosen) > 1) + (not single) + (not held.is_named)
        steps += (
            abs(call.charged_nano_usd - should) < EVIDENCE_STEPS * call.quantum_nano_usd and call.quantum_nano_usd > 1
        )
        sure = weaker(base, steps)
        if _log_says_so(call, chosen[0]):
            sure = "certain"
        why = f"exactly this gives the logged amount at {basis.price.price_id}"
        others = [", ".join(CAUSES[cause].title for cause in causes) for causes in chosen[1:3]]
        why += f"; so would: {' or '.join(others)}" if others else ""
        notes = "; ".join(filter(None, (held.guess, basis.note)))
        return Finding(
            call=call,
            causes=chosen[0],
            certainty=sure,
            why=f"{why} ({notes})" if notes else why,
            should_nano_usd=should,
            price_id=basis.price.price_id,
        )
    return None


def _log_says_so(call: LoggedCall, causes: tuple[str, ...]) -> bool:
    """Whether the rates that the log records show the mistake, and its charge follows them."""
    own, usage = call.own_rates, call.usage
    if own is None or usage is None or len(causes) != 1 or not follows_own_rates(call):
        return False
    read = own.input if own.cache_read is None else own.cache_read
    written = own.input if own.cache_creation is None else own.cache_creation
    return {
        "cached_full_rate": read == own.input,
        "cache_write_full_rate": written == own.input,
        "cache_full_rate": read == own.input == written,
        "cached_free": read == 0,
        "cache_write_free": written == 0,
        "cache_write_as_read": written == read,
        "cache_write_1h_as_5m": own.cache_creation_1h in (None, written),
        "reasoning_full_rate": own.reasoning in (None, own.output),
    }.get(causes[0], False)


def arithmetic(call: LoggedCall, own: Basis) -> Finding | None:
    """A charge that does not follow from the counts and rates which the log itself records."""
    found = mistake(call, own, Held((), is_named=True))
    if found is None:
        return None
    return Finding(
        call=call,
        causes=found.causes,
        certainty=weaker("certain", len(found.causes) - 1),
        why="the log's own counts at the log's own rates come to another amount; exactly this gives the logged one",
        should_nano_usd=found.should_nano_usd,
        price_id=own.price.price_id,
    )


def _dated(call: LoggedCall, held: Held, basis: Basis, cause: str, price: Price) -> Finding:
    usage = call.usage
    assert usage is not None
    day = f" (in force from {price.valid_from})" if price.valid_from else ""
    return Finding(
        call=call,
        causes=(cause,),
        certainty=weaker("likely", int(not held.is_named)),
        why=f"exactly {price.price_id}{day} gives the logged amount; {basis.price.price_id} was in force on {call.day}",
        should_nano_usd=whole(exact(usage, basis.price.rates_for(usage.input_tokens)), call.factor),
        price_id=basis.price.price_id,
    )


def _full_price(call: LoggedCall, held: Held, basis: Basis) -> Finding:
    assert call.usage is not None
    return Finding(
        call=call,
        causes=("half_price_missed",),
        certainty=weaker("likely", int(not held.is_named)),
        why=f"the log marks a flex or batch call, and the charge is the full price of {basis.price.price_id}",
        should_nano_usd=basis.nano_usd(call.usage),
        price_id=basis.price.price_id,
    )


def _own_price(call: LoggedCall, held: Held, basis: Basis) -> Finding | None:
    """The log records the rates it charged at, and they are not the list's."""
    own, usage = call.own_rates, call.usage
    if own is None or usage is None or not follows_own_rates(call):
        return None
    rates = basis.price.rates_for(usage.input_tokens)
    if basis.factor != call.factor and not call.is_half_price:
        return _own_cache_rate(call, held, basis, rates)
    why = (
        f"the log records ${format_rate(own.input)} and ${format_rate(own.output)} a million tokens in and out; "
        f"{basis.price.price_id} is ${format_rate(rates.input)} and ${format_rate(rates.output)}"
    )
    return Finding(
        call=call,
        causes=("other_price",),
        certainty=weaker("likely", int(not held.is_named)),
        why=f"{why} ({held.guess})" if held.guess else why,
        should_nano_usd=whole(exact(usage, rates), call.factor),
        price_id=basis.price.price_id,
    )


def _own_cache_rate(call: LoggedCall, held: Held, basis: Basis, rates: Rates) -> Finding:
    """Input and output stand at one factor above the list, cached tokens at another."""
    own, usage = call.own_rates, call.usage
    assert own is not None and usage is not None
    told = [
        f"{name.replace('_', ' ')} ${format_rate(mine)} a million, where that factor gives ${format_rate(round(want))}"
        for name in ("cache_read", "cache_creation", "cache_creation_1h")
        if (mine := getattr(own, name)) is not None
        and (theirs := getattr(rates, name)) is not None
        and abs(mine - (want := theirs * basis.factor / call.factor)) > 1
    ]
    return Finding(
        call=call,
        causes=("other_cache_rate",),
        certainty=weaker("likely", int(not held.is_named)),
        why="; ".join(
            filter(None, (f"the log records {', '.join(told) or 'other cache rates'}", basis.note, held.guess))
        ),
        should_nano_usd=basis.nano_usd(usage),
        price_id=basis.price.price_id,
    )
