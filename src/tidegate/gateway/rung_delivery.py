"""What a rung answered, as the call's own: taken over for the row, and written to the caller."""

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tidegate.core.errors import GatewayError, NotAvailable
from tidegate.gateway.answer import begin_stream
from tidegate.gateway.http import EVENT_STREAM
from tidegate.gateway.openrouter import CostWriter, PricedRelay
from tidegate.gateway.openrouter_errors import Identity
from tidegate.gateway.rung import LadderTariff
from tidegate.wire.openai_chat_logprobs import without_logprobs

if TYPE_CHECKING:
    from tidegate.gateway.choosing import Choosing
    from tidegate.gateway.relay import Relay
    from tidegate.gateway.rung import RungExchange


def take_over(call: "Choosing", rung: "RungExchange") -> None:
    """From here on the call is what one of its rungs was: for its row, its reply, or its error."""
    call.endpoint, call.serving, call.price = rung.endpoint, rung.serving, rung.price
    call.way, call.relay, call.seen, call.course = rung.way, rung.relay, rung.seen, rung.course
    call.claim, call.identity, call.error = rung.claim, None, rung.error
    call.upstream_status, call.content_type, call.retry_after = (
        rung.upstream_status,
        rung.content_type,
        rung.retry_after,
    )
    call.is_cut_off = rung.is_cut_off
    if rung.error is not None and rung.is_held:
        call.relay = None  # what came of it stays unseen
    if not rung.is_held:
        call.first_chunk, call.is_begun = rung.first_chunk, rung.is_begun
    is_told = rung.error is None or not (rung.is_held and call.operation.is_openrouter)
    call.body = rung.body if is_told else []
    if not call.client_gone and not call.reply_started:
        call.status = rung.status


def deliver(call: "Choosing", rung: "RungExchange", before_nano_usd: int) -> None:
    """Write an answer that was kept in memory to the caller, all but its last event.

    before_nano_usd: what all other attempts of the call were charged.
    """
    take_over(call, rung)
    call.first_chunk = time.monotonic()
    costs = _costs(call, rung, before_nano_usd)
    if rung.relay is None:
        body, is_events = b"".join(rung.body), rung.content_type.lower().startswith(EVENT_STREAM)
        body = without_logprobs(body, is_stream=is_events) if _is_to_be_cleared(rung) else body
        if costs is not None and rung.seen is not None:
            body = costs.events(body, rung.seen) if is_events else costs.body(body, rung.seen)
        call.body = [body]
        if not call.client_gone and not call.reply_started:
            call.status = 200
        return
    kept: Any = rung.client
    events = b"".join(kept.events)
    events = without_logprobs(events, is_stream=True) if _is_to_be_cleared(rung) else events
    relay: Relay = rung.relay
    if costs is not None:
        relay, events = PricedRelay(relay, costs), costs.events(events, relay.seen)
    call.relay, call.is_begun = relay, True
    if not call.client_gone:
        begin_stream(call)
        if events:
            call.client.write_stream(events)


def _is_to_be_cleared(rung: "RungExchange") -> bool:
    """The caller speaks the dialect in which we asked for what it did not ask for."""
    return rung.has_logprobs and rung.operation.dialect.name == "openai-chat"


def _costs(call: "Choosing", rung: "RungExchange", before_nano_usd: int) -> CostWriter | None:
    if not call.operation.is_openrouter or rung.price is None or rung.head is None:
        return None
    tariff = LadderTariff(rung.price, rung.claim, before_nano_usd)
    identity = Identity(call.generation_id, call.request.arrived_us // 1_000_000, rung.head.model)
    return CostWriter(call.operation.dialect.name, tariff, identity, call.server.limits.response_bytes_max)


def nothing_permitted(refusals: Sequence[NotAvailable]) -> GatewayError:
    """The error of a ladder of which no rung may serve: all reasons together."""
    if len(refusals) == 1:
        return refusals[0]
    told = [one.availability for one in refusals]
    codes = list(dict.fromkeys(one["code"] for one in told))
    by = list(dict.fromkeys(word for one in told for word in one["excluded_by"]))
    text = " ".join(one.message for one in refusals)
    code = codes[0] if len(codes) == 1 else "constraint_filtered"
    return NotAvailable(text, availability={"code": code, "excluded_by": by})
