"""One call against its published price: right, wrong in a known way, or open until others of its model are seen."""

from collections.abc import Iterator, Sequence
from enum import Enum
from fractions import Fraction
from typing import Final, NamedTuple

from tidegate.accounts.audit.call import LoggedCall
from tidegate.accounts.audit.finding import CAUSES, Certainty, Finding, weaker
from tidegate.accounts.audit.prices import OWN_MACHINES, Held
from tidegate.accounts.audit.wrong import exact, ways_wrong
from tidegate.core.money import UNITS_PER_RATE, format_rate
from tidegate.core.price import Price, Rates, round_half_even
from tidegate.core.usage import Usage

PLACEHOLDER_TOKENS: Final = 1
"""Output of a call whose caller left, as some gateways log it."""
LEFT_AFTER_US: Final = 5_000_000
"""An answer of no more than a placeholder that took longer than this was not seen to its end."""
MISTAKES_AT_MAX: Final = 3
"""Prices of one call at which mistakes are looked for: at many prices some mistake always fits."""
EVIDENCE_STEPS: Final = 4
"""A difference of fewer of the log's steps than this is explained by too many mistakes to name one."""


BY_TOKENS: Final = frozenset({"chat", "text_completion", "embeddings"})
"""Operations that are charged by the token; the others are not checked."""


class State(Enum):
    """What one call alone cannot tell. ZERO and OPEN need the other calls of their model (`settle.py`)."""

    UNCHECKED = "unchecked"  # nobody knows a price, or the call is charged by something else than tokens
    ZERO = "zero"  # tokens, a price, and no charge
    OPEN = "open"  # not right, and no mistake fits


class Right(NamedTuple):
    """The charge is right, as far as the log can tell. should_nano_usd: before the log rounded it.

    note: what had to be assumed of the margin; empty where nothing.
    """

    should_nano_usd: int
    note: str = ""


class Basis(NamedTuple):
    """What a call is held against. factor: the log's margin, times what the log's own rates stand above the list."""

    price: Price
    factor: Fraction
    note: str = ""

    def nano_usd(self, usage: Usage) -> int:
        """The right charge."""
        return whole(exact(usage, self.price.rates_for(usage.input_tokens)), self.factor)


def whole(amount: int, factor: Fraction) -> int:
    """An exact amount (nano-USD times UNITS_PER_RATE) and a factor, as nano-USD."""
    if factor == 1:
        return round_half_even(amount, UNITS_PER_RATE)
    return round_half_even(amount * factor.numerator, UNITS_PER_RATE * factor.denominator)


def meets(call: LoggedCall, amount: int, factor: Fraction) -> bool:
    """Whether the log's charge is this amount, as finely as the log can tell."""
    return abs(call.charged_nano_usd - whole(amount, factor)) <= call.tolerance_nano_usd


def usages(call: LoggedCall) -> Iterator[Usage]:
    """The ways to read its counts, the usual one first."""
    if call.usage is not None:
        yield call.usage
    if call.other_usage is not None:
        yield call.other_usage


def judge(call: LoggedCall, held: Held) -> Finding | Right | State:
    """What can be said of a call by itself."""
    if call.is_own_key or call.operation not in BY_TOKENS:
        return State.UNCHECKED
    plain = _without_price(call)
    if plain is not None:
        return plain
    assert call.usage is not None
    if not held.right:
        return _unpriced(call)
    bases = [basis_of(call, price) for price in held.right]
    if call.is_half_price:
        bases = [basis._replace(factor=basis.factor / 2, note="a flex or batch call: half price") for basis in bases]
    for basis in bases:
        right = right_charge(call, basis)
        if right is not None:
            return _perhaps_left(call) or Right(right, basis.note)
    for price in held.also:
        right = right_charge(call, basis_of(call, price))
        if right is not None:
            return _perhaps_left(call) or Right(right)
    if call.charged_nano_usd == 0:
        return State.ZERO
    return explained(call, held, bases) or State.OPEN


def _without_price(call: LoggedCall) -> Finding | Right | State | None:
    """What needs no price: None where the price decides."""
    charged = call.charged_nano_usd
    if charged < 0:
        return Finding(call=call, causes=("negative",), certainty="certain", why="the log's charge is below zero")
    if call.is_own_cache:
        if charged == 0:
            return Right(0)
        why = "the log marks the answer as one of the gateway's own cache"
        return Finding(call=call, causes=("own_cache_charged",), certainty="certain", why=why, should_nano_usd=0)
    if call.is_failed and not (call.usage and call.usage.output_tokens):
        if charged == 0:
            return _left_before_answer(call) or Right(0)
        why = f"the log marks the call as failed ({call.error or 'no reason given'}) and holds no output"
        return Finding(call=call, causes=("failure_charged",), certainty="likely", why=why, should_nano_usd=0)
    if call.is_counted_locally and charged:
        why = "the log says that the gateway counted the tokens; what the provider counted is not recorded"
        return Finding(call=call, causes=("counted_locally",), certainty="unknowable", why=why)
    if call.fixed_nano_usd is not None:
        right = whole(call.fixed_nano_usd * UNITS_PER_RATE, call.factor)
        return Right(right) if abs(charged - right) <= call.tolerance_nano_usd else State.UNCHECKED
    if not call.has_tokens:
        return _without_counts(call)
    return None


def _left_before_answer(call: LoggedCall) -> Finding | None:
    if not call.is_cancelled:
        return None
    why = f"the log says that the caller left ({call.error or 'cancelled'}); what the provider produced is not recorded"
    return Finding(call=call, causes=("disconnect_unbilled",), certainty="unknowable", why=why)


def _without_counts(call: LoggedCall) -> Finding | State:
    if call.charged_nano_usd:
        why = "the log holds a charge and no tokens"
        return Finding(call=call, causes=("charged_without_usage",), certainty="unknowable", why=why)
    cause = "disconnect_unbilled" if call.is_cancelled else "no_usage"
    left = "the caller left" if call.is_cancelled else "the call is not marked as failed"
    why = f"{left}, and the log holds neither tokens nor a charge; what the provider produced is not recorded"
    return Finding(call=call, causes=(cause,), certainty="unknowable", why=why)


def _unpriced(call: LoggedCall) -> Finding | State:
    """Tokens of a model that the catalog has no price for: only the log's own arithmetic can be checked."""
    free = call.variant == "free" or call.provider_said.lower() in OWN_MACHINES
    if call.charged_nano_usd == 0:
        if free or (call.own_rates is not None and not call.own_rates.input):
            return State.UNCHECKED  # said to be free
        knew = "the log says that the gateway knew no price" if call.is_price_missing else "nothing was charged"
        why = f"{call.usage.total_tokens if call.usage else 0:,} tokens; {knew}, and the catalog knows none either"
        return Finding(call=call, causes=("free_by_mistake",), certainty="unknowable", why=why)
    if call.own_rates is None or call.usage is None:
        return State.UNCHECKED
    own = Basis(Price(price_id="the log's own rates", rates=call.own_rates), call.factor)
    if right_charge(call, own) is not None:
        return State.UNCHECKED  # the arithmetic is right; whether the rates are, nobody here knows
    return arithmetic(call, own) or State.UNCHECKED


def basis_of(call: LoggedCall, price: Price) -> Basis:
    """The list price; scaled where the log's own rates for input and output stand above it by one factor."""
    own = call.own_rates
    rates = price.rates_for(call.usage.input_tokens) if call.usage else price.rates
    if own is None or not (own.input and own.output and rates.input and rates.output):
        return Basis(price, call.factor)
    above = Fraction(own.input, rates.input)
    if above == 1 or abs(Fraction(own.output, rates.output) / above - 1) > Fraction(1, 200):
        return Basis(price, call.factor)
    return Basis(price, call.factor * above, f"the log's own rates are {float(above):.4g} times the list price")


def right_charge(call: LoggedCall, basis: Basis) -> int | None:
    """The right amount where the log's charge is it, or would be with cached tokens that the log leaves unsaid."""
    for usage in usages(call):
        rates = basis.price.rates_for(usage.input_tokens)
        amount = exact(usage, rates)
        if meets(call, amount, basis.factor):
            return whole(amount, basis.factor)
        if not call.has_cache_counts and agrees_if_cached(call, usage, rates, basis.factor):
            return call.charged_nano_usd
    return None


def agrees_if_cached(call: LoggedCall, usage: Usage, rates: Rates, factor: Fraction) -> bool:
    """Whether some number of cached tokens, which the log does not record, makes the charge right."""
    if rates.cache_read is None or rates.cache_read >= rates.input or call.calls > 1:
        return False
    saved = whole(exact(usage, rates), factor) - call.charged_nano_usd
    each = Fraction(rates.input - rates.cache_read, UNITS_PER_RATE) * factor
    cached = round(saved / each) if each else 0
    if not 0 < cached <= usage.input_tokens:
        return False
    return bool(abs(saved - cached * each) <= min(Fraction(call.tolerance_nano_usd), each / 100 + 1))


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


def follows_own_rates(call: LoggedCall) -> bool:
    """Whether the charge is what the logged counts come to at the rates that the log itself records."""
    own = call.own_rates
    return own is not None and any(meets(call, exact(usage, own), call.factor) for usage in usages(call))


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


def _perhaps_left(call: LoggedCall) -> Finding | None:
    """Next to no output, after a long time or said to be cancelled: it looks as if the caller left."""
    if call.usage is None or call.operation != "chat" or call.usage.output_tokens > PLACEHOLDER_TOKENS:
        return None
    took = call.duration_us or 0
    if call.is_cancelled is False or call.is_stream is False:
        return None
    empty = bool(call.is_stream) and not call.usage.output_tokens  # embeddings have no output, and no stream
    if not (call.is_cancelled or took > LEFT_AFTER_US or empty):
        return None
    said = "the caller left" if call.is_cancelled else f"a stream of {took / 1e6:.1f} s" if took else "it was a stream"
    why = f"{said}, and {call.usage.output_tokens} output tokens are logged; what the provider produced is not recorded"
    return Finding(call=call, causes=("disconnect_partial",), certainty="unknowable", why=why)
