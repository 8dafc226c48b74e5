"""What an exchange does about its plan: reads what its request says of routing, and tells what came of an attempt."""

import time
from typing import TYPE_CHECKING, Final

import msgspec

from tidegate.core.errors import InvalidRequest
from tidegate.gateway.operation import Operation
from tidegate.gateway.routing import Said, Spent
from tidegate.route.planner import Call as Asking
from tidegate.wire.dialect import Head, Seen
from tidegate.wire.routing_ask import EXPLAIN, with_first_model, without_members

if TYPE_CHECKING:
    from tidegate.gateway.call import Call
    from tidegate.gateway.meter import Settlement

HELD_BYTES_MAX: Final = 4096
"""Of a stream that has said nothing yet (a role, an id): so much is held while another endpoint could still answer."""

STEERING: Final = ("models", "route", "fallbacks")
"""Which model answers was decided here: a provider that decided again would leave the plan."""

ANSWERED: Final = (*STEERING, "provider")
_encoder = msgspec.json.Encoder()


def read_head(operation: Operation, body: bytes) -> tuple[Head, bytes]:
    """The head of a request, and its body: where only `models` names one, with the first of them as its `model`.

    Raises InvalidRequest.
    """
    try:
        return operation.head(body), body
    except InvalidRequest:
        if b'"models"' not in body or (named := with_first_model(body)) is None:
            raise
    return operation.head(named), named


def asking_of(call: "Call") -> Asking:
    """What the plan of a call depends on. Raises GatewayError."""
    assert call.head is not None
    said = Said(call.head, call.request.body, call.request.headers, call.operation.dialect.name)
    return call.server.router.asking(said, call.key)


def unrouted(call: "Call", body: bytes) -> bytes:
    """The request without what the gateway itself has answered to; chat's own writer knows who takes `provider`."""
    ask = call.head.routing if call.head is not None else None
    if ask is None:
        return body
    names = STEERING if call.operation.dialect.name == "openai-chat" else ANSWERED
    if not any(getattr(ask, name) for name in names):
        return body
    return without_members(body, names)


def is_asked_to_explain(call: "Call") -> bool:
    """The caller wants the plan of the call, and no call."""
    return call.operation.explains or call.request.headers.get(EXPLAIN, b"").strip().lower() == b"explain"


def explanation(call: "Call", asking: Asking) -> bytes:
    """The plan in words, as JSON."""
    return _encoder.encode(call.server.router.explain(asking, time.monotonic()))


def is_worth_holding(out: bytes, seen: Seen, *, may_wait: bool) -> bool:
    """A stream has told nothing of an answer yet, or only that it failed: another attempt could still answer whole.

    may_wait: the caller gets what says nothing (a role, an id) only when the first word follows.
    """
    if seen.has_error:
        return True
    if not may_wait:
        return out.startswith(b":") and b"data:" not in out  # a provider's sign of life is no event
    has_begun = seen.output_text_bytes or seen.tool_calls or seen.finish_reason is not None
    return not has_begun and len(out) < HELD_BYTES_MAX


def served(call: "Call", settlement: "Settlement") -> None:
    """The endpoint of the last attempt has answered: its health, and where this conversation's prompt now is cached."""
    course = call.course
    if course is None or course.asking is None:
        return
    if course.faults:
        course.serve()
    asking = course.asking
    health = call.server.router.planner.health
    if not asking.keys and health.passes_over(course.current.endpoint_id):
        return
    now, started = time.monotonic(), call.attempt_started[1]
    first = call.first_chunk or now
    latency_us, usage, speed = int((first - started) * 1e6), settlement.usage, 0
    if usage is not None and call.relay is not None:
        took = (call.upstream_ended or now) - first
        if took > 0 and usage.output_tokens > 1:
            speed = int(usage.output_tokens / took)
    router = call.server.router
    if not asking.keys:
        health.succeed(course.current.endpoint_id, now, latency_us=latency_us, tokens_per_s=speed)
    elif usage is None:
        router.served(course, asking, Spent(latency_us=latency_us), now)
    else:
        tokens = usage.input_tokens, usage.cache_read_input_tokens, usage.output_tokens
        router.served(course, asking, Spent(*tokens, latency_us, speed), now)
