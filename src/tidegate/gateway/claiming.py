"""What a call asks of its quotas, worked out before it is made."""

from typing import TYPE_CHECKING, Final

from tidegate.core.money import UNITS_PER_RATE
from tidegate.core.terms import AT_COST, Charge
from tidegate.gateway.bounds import (
    BYTES_PER_TOKEN,
    CONTEXT_TOKENS_ELSE,
    OUTPUT_TOKENS_ASSUMED,
    OUTPUT_TOKENS_EXPECTED,
    OUTPUT_TOKENS_LEAST,
    OUTPUT_TOKENS_MOST,
    SEARCHES_ASSUMED,
    Bound,
    Ceiling,
    limits_of,
)
from tidegate.gateway.claim import Claim
from tidegate.gateway.hourly import latest_end_us
from tidegate.gateway.lease import MONEY, TOKENS, Amounts, Lease
from tidegate.gateway.rows import user_hash

if TYPE_CHECKING:
    from tidegate.core.price import Price
    from tidegate.core.quota import Scope
    from tidegate.gateway.admission import Gate
    from tidegate.gateway.choosing import Choosing
    from tidegate.gateway.plan import Plan

SHARE: Final = 4  # of a slice: an answer without a limit may take at most this part of what is free
COUNTED: Final[Amounts] = (1, 1, 0, 0)  # a call that generates nothing


def claim_of(gate: "Gate", plan: "Plan", call: "Choosing") -> Claim | None:
    """The claim of a call whose endpoint and price are known; None where nothing is asked. Raises Forbidden."""
    endpoint, price = call.endpoint, call.price
    assert endpoint is not None and price is not None
    now_us = call.request.arrived_us
    if plan.has_rules:
        plan.check(endpoint, call.client.caller.address(call.request.headers), call.ladder_name)
    terms, charge = gate.terms, AT_COST
    if terms.has_groups:
        charge = terms.charge(plan.key.tenant_id, endpoint.model, now_us, plan.key.price_group)
    if now_us >= plan.ends_us:
        plan.turn(now_us)
    leases = plan.leases if not plan.scopes else plan.leases + _more(plan, call, now_us)
    if call.operation.counts_only:
        claim = Claim(plan, _without_money(leases), charge)
        claim.amounts = claim.least = COUNTED
        return claim
    claim = Claim(plan, leases, charge)
    if call.operation.is_media:
        claim.is_media = True
    if plan.has_money or plan.has_tokens:
        _reckon(claim, call.bound(ceiling_of(gate, call, charge.price or price), charge))
    else:
        claim.amounts = claim.least = COUNTED
    return claim


def ceiling_of(gate: "Gate", call: "Choosing", price: "Price") -> Ceiling:
    """The highest that a call may be charged at: of a price by the hour, in the dearest that it may still meet."""
    if not price.faces:
        return gate.ceilings.of(price)
    return gate.ceilings.within(price, call.request.arrived_us, latest_end_us(call))


def _reckon(claim: Claim, bound: Bound) -> None:
    """What of tokens and money the claim asks."""
    plan, leases = claim.plan, claim.leases
    if plan.scopes:
        token_leases = tuple([lease for lease in leases if lease.kind == TOKENS])
        money_leases = tuple([lease for lease in leases if lease.kind == MONEY])
    else:
        token_leases, money_leases = plan.tokens, plan.money
    amount = least = tokens = tokens_least = 0
    if token_leases:
        tokens, tokens_least = _tokens(bound, token_leases)
    if money_leases:
        claim.is_limited, claim.bound = True, bound
        limit = bound.output_tokens
        if limit is not None:
            amount = least = -(-(bound.base + limit * bound.per_token) // UNITS_PER_RATE)  # `bound.nano_usd`
        elif bound.base or bound.per_token:
            amount, least = _without_limit(bound, money_leases)
        if not amount:
            claim.leases = _without_money(leases)  # a call at price 0 never meets a quota of money
    claim.amounts, claim.least = (1, 1, tokens, amount), (1, 1, tokens_least, least)


def _without_limit(bound: Bound, leases: tuple[Lease, ...]) -> tuple[int, int]:
    """The money of a call whose answer may be of any length, and the least that it can do with."""
    amount = bound.nano_usd(OUTPUT_TOKENS_ASSUMED)
    for lease in leases:
        if lease.free < SHARE * amount:
            break
    else:
        share = min([lease.free for lease in leases]) // SHARE
        amount = min(share, bound.nano_usd(OUTPUT_TOKENS_MOST))
    return amount, bound.nano_usd(OUTPUT_TOKENS_LEAST)


def _tokens(bound: Bound, leases: tuple[Lease, ...]) -> tuple[int, int]:
    """An estimate, never more than a window has: who asks for more gets the whole of it."""
    limit, least = bound.output_tokens, 1 + bound.body_bytes // BYTES_PER_TOKEN
    amount = least + (OUTPUT_TOKENS_EXPECTED if limit is None else limit) * bound.choices
    for lease in leases:
        if amount > lease.limit:
            amount = max(1, lease.limit)
            least = min(least, amount)
    return amount, least


def text_bound(call: "Choosing", ceiling: Ceiling, charge: Charge) -> Bound:
    """Of a call whose use is counted in tokens: a token is at least a byte of its body."""
    head, endpoint, body = call.head, call.endpoint, call.request.body
    assert head is not None and endpoint is not None
    context = call.server.table.context_tokens.get(endpoint.model) or CONTEXT_TOKENS_ELSE
    limit, choices = limits_of(call.operation.dialect.name, head, body)
    if limit is not None and limit > context:
        limit = context
    length = len(body)
    tokens = length if length < context else context
    entered, left = ceiling.first if ceiling.is_plain else ceiling.rates(tokens)
    base = tokens * entered + ceiling.request
    if ceiling.search and b"search" in body:
        base += SEARCHES_ASSUMED * ceiling.search
    bound = Bound(base, left * choices, limit, choices, length)
    if charge is not AT_COST and charge.margin_ppm and charge.price is None:
        bound.add_margin(charge.margin_ppm)
    return bound


def _more(plan: "Plan", call: "Choosing", now_us: int) -> tuple[Lease, ...]:
    """The windows of the call's own user, model, endpoint and network."""
    found: tuple[Lease, ...] = ()
    for scope in plan.scopes:
        subject = _subject(scope, plan, call)
        if subject:
            found += plan.more(scope, subject, now_us).leases
    return found


def _subject(scope: "Scope", plan: "Plan", call: "Choosing") -> str:
    """Whom a call concerns in a scope; '' where it names nobody."""
    endpoint, head = call.endpoint, call.head
    assert endpoint is not None and head is not None
    if scope == "model":
        return endpoint.model
    if scope == "endpoint":
        return endpoint.endpoint_id
    if scope == "network":
        return call.client.caller.address(call.request.headers).partition("%")[0]
    return user_hash(call.server.pepper, plan.key.tenant_id, head.user) if head.user else ""


def _without_money(leases: tuple[Lease, ...]) -> tuple[Lease, ...]:
    return tuple([lease for lease in leases if lease.kind != MONEY])
