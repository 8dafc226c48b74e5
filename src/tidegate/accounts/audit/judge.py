"""One call against its published price: right, wrong in a known way, or open until others of its model are seen."""

from enum import Enum
from typing import Final, NamedTuple

from tidegate.accounts.audit.basis import Basis, agrees_if_searched, basis_of, right_charge, whole
from tidegate.accounts.audit.call import LoggedCall
from tidegate.accounts.audit.explain import arithmetic, explained
from tidegate.accounts.audit.finding import Finding
from tidegate.accounts.audit.prices import OWN_MACHINES, Held
from tidegate.core.money import UNITS_PER_RATE
from tidegate.core.price import Price

PLACEHOLDER_TOKENS: Final = 1
"""Output of a call whose caller left, as some gateways log it."""
LEFT_AFTER_US: Final = 5_000_000
"""An answer of no more than a placeholder that took longer than this was not seen to its end."""
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
    found = explained(call, held, bases)
    if found is None and agrees_if_searched(call, bases[0]):
        return Right(call.charged_nano_usd, "the log does not count web searches, which its charges hold")
    return found or State.OPEN


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
