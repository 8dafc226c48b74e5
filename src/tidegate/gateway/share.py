"""What one call has to do with others like it; and what others get of its answer: the same bytes, at no cost."""

from typing import TYPE_CHECKING, Final

from tidegate.gateway.cache_asks import PLAIN, CacheAsk
from tidegate.gateway.claiming import COUNTED
from tidegate.gateway.http import bearer_token
from tidegate.gateway.lease import OPEN, REQUESTS
from tidegate.gateway.openrouter import CostWriter
from tidegate.gateway.openrouter_errors import Identity
from tidegate.gateway.relay import Relay, StreamRelay
from tidegate.gateway.replies import header_list
from tidegate.gateway.response_cache import Kept
from tidegate.gateway.tariff import Gratis
from tidegate.wire.dialect import Seen

if TYPE_CHECKING:
    from tidegate.gateway.call import Call
    from tidegate.gateway.claim import Claim
    from tidegate.gateway.flight import Flight

FLIGHTS_MAX: Final = 3  # whose answer one call waits for, one after the other; then it asks for its own

HIT: Final = "hit"
COALESCED: Final = "coalesced"
MISS: Final = "miss"
REASONS: Final = {HIT: "stored", COALESCED: "shared"}
"""What `x-tidegate-cache` says of an answer that is another call's, and the row's `route_reason`."""


class Share:
    """`name`: of its request; empty where its answer is neither kept nor shared. `lines`: header lines of its reply.

    `leads`: the flight that it pays for. `follows`: the one whose answer it waits for. `tries`: flights that it may
    still follow. `is_small`: its claim is for another call's answer. `is_taken`: its answer is another call's.
    """

    __slots__ = ("ask", "follows", "is_small", "is_taken", "leads", "lines", "name", "tries")

    def __init__(self) -> None:
        self.name = self.lines = b""
        self.ask: CacheAsk = PLAIN
        self.leads: Flight | None = None
        self.follows: Flight | None = None
        self.tries = FLIGHTS_MAX
        self.is_small = self.is_taken = False

    def tell(self, how: str, lines: bytes = b"", age_s: int | None = None) -> None:
        """What the reply's head says of the cache. lines: those of the answer itself."""
        age = b"" if age_s is None else b"age: %d\r\n" % age_s
        self.lines = b"x-tidegate-cache: %b\r\n%b%b" % (how.encode(), age, lines)


def own_lines(call: "Call") -> bytes:
    """Header lines of an answer that whoever gets it later must get, too."""
    if call.way is None or not call.way.dropped:
        return b""
    return b"x-tidegate-dropped-parameters: %b\r\n" % header_list(call.way.dropped)


def narrow(claim: "Claim") -> "Claim":
    """A claim for another call's answer: a request, and a call that is open; no tokens and no money."""
    claim.leases = tuple([lease for lease in claim.leases if lease.kind in (REQUESTS, OPEN)])
    claim.amounts = claim.least = COUNTED
    claim.bound, claim.is_limited = None, False
    return claim


def gratis(call: "Call", data: bytes, *, is_body: bool = False) -> bytes:
    """Events of an answer, or its body, as those get them who pay nothing: under `/api/v1` replies tell their cost."""
    operation, seen = call.operation, call.seen
    if not operation.is_openrouter or b'"usage"' not in data or seen is None or call.price is None:
        return data
    model = call.head.model if call.head is not None else ""
    identity = Identity(call.generation_id, call.request.arrived_us // 1_000_000, model)
    writer = CostWriter(operation.dialect.name, Gratis(call.price), identity, len(data) + 1)
    return writer.body(data, seen) if is_body else writer.events(data, seen)


def kept_of(call: "Call", flight: "Flight", last: bytes | None) -> Kept | None:
    """The answer of a call that is over; None where it is none for others. last: its last piece, if it has any."""
    seen = call.seen
    if call.error is not None or call.upstream_status != 200 or call.is_cut_off:
        return None
    if seen is None or seen.has_error or call.endpoint is None:
        return None
    return Kept(
        endpoint_id=call.endpoint.endpoint_id,
        content_type=call.content_type if last is None else call.operation.stream_type,
        body=gratis(call, b"".join(call.body), is_body=True) if last is None else flight.whole(last),
        finish_reason=seen.finish_reason,
        tool_calls=seen.tool_calls,
        lines=own_lines(call),
        owner=call.server.keys.hashed(bearer_token(call.request.headers) or b""),
    )


class Overheard:
    """A relay whose events go to others, too, as soon as the call's own caller has the first of them."""

    def __init__(self, relay: Relay, call: "Call", flight: "Flight") -> None:
        self._relay, self._call, self._flight = relay, call, flight
        self._last: bytes | None = None

    @property
    def seen(self) -> Seen:
        return self._relay.seen

    @property
    def short(self) -> StreamRelay | None:
        return None  # what passes beside the relay nobody else would hear

    @property
    def is_between_events(self) -> bool:
        return self._relay.is_between_events

    def feed(self, data: bytes) -> bytes:
        return self._told(self._relay.feed(data))

    def finish(self) -> bytes:
        return self._told(self._relay.finish())

    def last(self, error_event: bytes) -> bytes:
        self._last = self._relay.last(error_event)
        return self._last

    def told_last(self) -> bytes:
        """What followers get last; the call's own caller may have left before it."""
        if self._last is None:
            self._last = self._relay.last(b"")
        return gratis(self._call, self._last)

    def _told(self, out: bytes) -> bytes:
        if out and self._call.is_begun:
            self._flight.add(gratis(self._call, out))
        return out
