"""Calls that only others of their model explain: charged nothing, a margin on all, or other rates throughout."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from typing import Final, NamedTuple

from tidegate.accounts.audit.basis import Basis, basis_of, meets, right_charge, usages, whole
from tidegate.accounts.audit.call import LoggedCall
from tidegate.accounts.audit.explain import mistake
from tidegate.accounts.audit.finding import Certainty, Finding, weaker
from tidegate.accounts.audit.prices import OWN_MACHINES, Held
from tidegate.accounts.audit.wrong import exact
from tidegate.core.money import UNITS_PER_RATE, format_rate, format_usd
from tidegate.core.price import Price, Rates
from tidegate.core.usage import Usage

ALIKE_MIN: Final = 3
"""Calls that must stand in one ratio, or follow the same rates, before that is more than chance."""
PAIRS_MAX: Final = 40
RATES_TRIED_MAX: Final = 400
"""Bounds of the search for rates that explain the calls of one model."""

ModelKey = tuple[str, str]


class Waiting(NamedTuple):
    """A call that `judge` could not decide, and what it is held against."""

    call: LoggedCall
    held: Held


def model_key(call: LoggedCall) -> ModelKey:
    return call.provider or call.provider_said, call.model


def settle_zero(waiting: Iterable[Waiting], charged: Counter[ModelKey]) -> Iterator[Finding | None]:
    """Calls with tokens and a price that were charged nothing; None: rightly so. charged: how many of a model were."""
    for call, held in waiting:
        usage = call.usage
        assert usage is not None
        if call.provider_said.lower() in OWN_MACHINES or call.variant == "free":
            yield None
            continue
        basis = basis_of(call, held.right[0])
        should = basis.nano_usd(usage)
        sure: Certainty = "likely" if held.is_named else "possible"
        guess = f" ({held.guess})" if held.guess else ""
        at = f"{usage.total_tokens:,} tokens are logged, ${format_usd(should)} at {basis.price.price_id}{guess}"
        if call.is_cancelled or call.is_failed:
            cause, why = (
                "disconnect_unbilled",
                f"the caller left or the stream broke; {at}, perhaps more was produced",
            )
        elif call.is_price_missing:
            cause, sure, why = "free_by_mistake", "certain", f"the log says that the gateway knew no price; {at}"
        elif not charged[model_key(call)]:
            cause, why = "free_by_mistake", f"no call of this model is charged in these files; {at}"
        else:
            cause, why = "unbilled", f"other calls of this model are charged; {at}"
        yield Finding(
            call=call,
            causes=(cause,),
            certainty=sure,
            why=why,
            should_nano_usd=should,
            is_at_least=cause == "disconnect_unbilled",
            price_id=basis.price.price_id,
        )


def settle_open(waiting: Iterable[Waiting]) -> Iterator[Finding | None]:
    """Calls whose charge no mistake gave, model by model; None: right after all."""
    groups: dict[ModelKey, list[Waiting]] = defaultdict(list)
    for item in waiting:
        groups[model_key(item.call)].append(item)
    for group in groups.values():
        yield from _settle_model(group)


def _settle_model(group: Sequence[Waiting]) -> Iterator[Finding | None]:
    margins = _margins(group)
    left = []
    for item in group:
        found = next((found for margin in margins if (found := _with_margin(item, margin))), None)
        if found is None:
            left.append(item)
        else:
            yield found
    fitted = _fitted_rates(left)
    for item in left:
        yield (_at_other_rates(item, fitted) if fitted else None) or _unexplained(item)


def _is_plain(call: LoggedCall) -> bool:
    """No cached, reasoning or media tokens: only input and output rates can be at work."""
    usage = call.usage
    if usage is None or usage.kinds is not None or usage.web_searches or call.calls > 1:
        return False
    return not (usage.cache_read_input_tokens or usage.cache_creation_input_tokens or usage.reasoning_output_tokens)


def _ratio(item: Waiting) -> Fraction | None:
    """What was charged over what is right."""
    call, basis = item.call, basis_of(item.call, item.held.right[0])
    assert call.usage is not None
    right = exact(call.usage, basis.price.rates_for(call.usage.input_tokens)) * basis.factor
    return Fraction(call.charged_nano_usd) * UNITS_PER_RATE / right if right else None


def _margins(group: Sequence[Waiting]) -> list[Fraction]:
    """Ratios to the list price in which at least ALIKE_MIN calls of different mixes stand, the commonest first.

    Of each ratio the simplest number is taken that the largest of its calls allows.
    """
    plain = [item for item in group if _is_plain(item.call) and item.call.charged_nano_usd > 0]
    plain.sort(key=lambda item: -item.call.charged_nano_usd / item.call.quantum_nano_usd)  # the finest first
    found: list[tuple[int, Fraction]] = []
    rest = plain
    while len(rest) >= ALIKE_MIN and len(found) < ALIKE_MIN:
        ratio = _ratio(rest[0])
        if ratio is None:
            break
        ratio = _simplest(rest[0].call, ratio)
        alike = [item for item in rest if _stands_at(item, ratio)]
        mixes = {(item.call.usage.input_tokens, item.call.usage.output_tokens) for item in alike if item.call.usage}
        if len(mixes) >= ALIKE_MIN and _mixed(mixes):
            found.append((len(alike), ratio))
        kept = set(map(id, alike)) or {id(rest[0])}
        rest = [item for item in rest if id(item) not in kept]
    return [ratio for _, ratio in sorted(found, reverse=True)]


def _mixed(mixes: set[tuple[int, int]]) -> bool:
    """Whether the shares of output differ: else one wrong rate looks like a margin."""
    shares = [Fraction(out, entered + out) for entered, out in mixes if entered + out]
    return bool(shares) and max(shares) - min(shares) > Fraction(1, 20)


def _simplest(call: LoggedCall, ratio: Fraction) -> Fraction:
    """The ratio with the smallest denominator that the call's step of charge cannot tell from this one."""
    for denominator in (1, 10, 100, 1000, 10_000, 100_000):
        simple = Fraction(round(ratio * denominator), denominator)
        if simple and abs(simple / ratio - 1) * call.charged_nano_usd <= call.tolerance_nano_usd:
            return simple
    return ratio


def _stands_at(item: Waiting, ratio: Fraction) -> bool:
    basis = basis_of(item.call, item.held.right[0])
    return right_charge(item.call, Basis(basis.price, basis.factor * ratio)) is not None


def _with_margin(item: Waiting, margin: Fraction) -> Finding | None:
    """The call as charged with this margin: right by it, or one mistake on top of it."""
    basis = basis_of(item.call, item.held.right[0])
    scaled = Basis(basis.price, basis.factor * margin, f"with the factor {float(margin):.6g} of this model's calls")
    if right_charge(item.call, scaled) is None:
        return mistake(item.call, scaled, item.held)
    assert item.call.usage is not None
    return Finding(
        call=item.call,
        causes=("margin",),
        certainty=weaker("likely", int(not item.held.is_named)),
        why=f"calls of this model, of different mixes, all stand at {float(margin):.6g} times {basis.price.price_id}",
        should_nano_usd=basis.nano_usd(item.call.usage),
        price_id=basis.price.price_id,
    )


class Fitted(NamedTuple):
    """Rates that explain calls of a model, and how many of them."""

    rates: Rates
    calls: int


def _fitted_rates(left: Sequence[Waiting]) -> Fitted | None:
    """The rates of input and output that most of these calls follow exactly, at least ALIKE_MIN of them."""
    plain = [item.call for item in left if _is_plain(item.call) and item.call.charged_nano_usd > 0]
    plain = sorted(plain, key=lambda call: -call.charged_nano_usd)[:RATES_TRIED_MAX]
    best: Fitted | None = None
    for one, other in _pairs(plain):
        rates = _solved(one, other)
        if rates is None:
            continue
        follow = sum(meets(call, exact(call.usage, rates), call.factor) for call in plain if call.usage)
        if follow > max(ALIKE_MIN - 1, best.calls if best else 0):
            best = Fitted(rates, follow)
    return best if best and best.calls * 2 > len(plain) else None


def _pairs(calls: Sequence[LoggedCall]) -> Iterator[tuple[LoggedCall, LoggedCall]]:
    """Pairs of unlike mixes, few: the most input-heavy with the most output-heavy."""
    ordered = sorted(calls, key=lambda call: _share(call.usage))
    for place in range(min(len(ordered) // 2, PAIRS_MAX)):
        yield ordered[place], ordered[-1 - place]


def _share(usage: Usage | None) -> float:
    return usage.output_tokens / usage.total_tokens if usage and usage.total_tokens else 0.0


def _solved(one: LoggedCall, other: LoggedCall) -> Rates | None:
    """Rates that give both charges, rounded to a tenth of a cent a million tokens where the logs allow."""
    assert one.usage is not None and other.usage is not None
    a, b, c, d = one.usage.input_tokens, one.usage.output_tokens, other.usage.input_tokens, other.usage.output_tokens
    over = a * d - b * c
    if not over:
        return None
    first = Fraction(one.charged_nano_usd * UNITS_PER_RATE) / one.factor
    second = Fraction(other.charged_nano_usd * UNITS_PER_RATE) / other.factor
    entered, left = (first * d - second * b) / over, (a * second - c * first) / over
    if entered < 0 or left < 0:
        return None
    for step in (10_000_000, 1_000_000, 100_000, 1000):  # a cent a million tokens, a tenth, ...
        rates = Rates(input=round(entered / step) * step, output=round(left / step) * step)
        if meets(one, exact(one.usage, rates), one.factor) and meets(other, exact(other.usage, rates), other.factor):
            return rates
    return None


def _at_other_rates(item: Waiting, fitted: Fitted) -> Finding | None:
    call, basis = item.call, basis_of(item.call, item.held.right[0])
    usage = call.usage
    assert usage is not None
    listed = basis.price.rates_for(usage.input_tokens)
    told = (
        f"{fitted.calls} calls of this model follow ${format_rate(fitted.rates.input)} and "
        f"${format_rate(fitted.rates.output)} a million tokens in and out; {basis.price.price_id} is "
        f"${format_rate(listed.input)} and ${format_rate(listed.output)}"
    )
    causes: tuple[str, ...] = ("other_price",)
    if not meets(call, exact(usage, fitted.rates), call.factor):
        scaled = Basis(Price(price_id="other rates", rates=_with_cache(fitted.rates, listed)), call.factor)
        if not any(meets(call, exact(one, scaled.price.rates), call.factor) for one in usages(call)):
            found = mistake(call, scaled, item.held)
            if found is None:
                return None
            causes = (found.causes[0], "other_price")
    elif not _is_plain(call) and listed.cache_read not in (None, listed.input):
        causes = ("cached_full_rate", "other_price")
    return Finding(
        call=call,
        causes=causes,
        certainty="possible",
        why=told,
        should_nano_usd=whole(exact(usage, listed), basis.factor),
        price_id=basis.price.price_id,
    )


def _with_cache(rates: Rates, listed: Rates) -> Rates:
    """Other rates with the list's proportions of cached to plain input."""

    def scaled(rate: int | None) -> int | None:
        return None if rate is None or not listed.input else rate * rates.input // listed.input

    return Rates(
        input=rates.input,
        output=rates.output,
        cache_read=scaled(listed.cache_read),
        cache_creation=scaled(listed.cache_creation),
        cache_creation_1h=scaled(listed.cache_creation_1h),
    )


def _unexplained(item: Waiting) -> Finding:
    call, basis = item.call, basis_of(item.call, item.held.right[0])
    assert call.usage is not None
    guess = f" ({item.held.guess})" if item.held.guess else ""
    return Finding(
        call=call,
        causes=("unexplained",),
        certainty="possible",
        why=f"no mistake known here gives the logged amount at {basis.price.price_id}{guess}",
        should_nano_usd=basis.nano_usd(call.usage),
        price_id=basis.price.price_id,
    )
