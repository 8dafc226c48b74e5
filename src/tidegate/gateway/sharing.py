"""Calls of tenants that opted in to the response cache: each may have another's answer, or give others its own.

Where a whole answer is kept under the call's name, it is told at once. Where an identical call is under way, this one
follows it: of a stream it gets the events as they come, from the first on. Otherwise it leads: it goes to a provider as
any call does, and whoever asks the same meanwhile follows. An answer is only given to a call whose own plan permits the
endpoint that made it, and whose key may make a request; who gets it pays nothing, and has a row of its own.
"""

import time
from typing import TYPE_CHECKING, Final

from tidegate.core.errors import ClientGone, GatewayError, NotCached, Unavailable, UpstreamError, UpstreamTimeout
from tidegate.gateway.answer import begin_stream
from tidegate.gateway.cache_asks import cache_ask
from tidegate.gateway.exchange import Exchange
from tidegate.gateway.flight import Flight
from tidegate.gateway.meter import NOTHING_SPENT, Settlement
from tidegate.gateway.patience import Patience
from tidegate.gateway.response_cache import Kept, ResponseCache
from tidegate.gateway.rows import identity_row
from tidegate.gateway.share import COALESCED, HIT, MISS, REASONS, Overheard, Share, gratis, kept_of, narrow, own_lines
from tidegate.wire.dialect import Seen

if TYPE_CHECKING:
    from tidegate.accounts.keys import Key
    from tidegate.gateway.http import Request
    from tidegate.gateway.listener import ClientConnection
    from tidegate.gateway.operation import Operation
    from tidegate.gateway.server import Server
    from tidegate.route.ladder import Ladder

KEPT_FINISHES: Final = frozenset(("stop", "length", "tool_calls"))
"""How an answer ends that is kept; what a filter held back is shared by calls in flight, and not kept."""


class SharingExchange(Exchange):
    """One call."""

    share: Share

    def __init__(self, server: "Server", client: "ClientConnection", request: "Request", key: "Key",
                 operation: "Operation") -> None:  # fmt: skip
        super().__init__(server, client, request, key, operation)
        self.share = Share()

    @property
    def _cache(self) -> ResponseCache:
        assert self.server.cache is not None
        return self.server.cache

    # -- before a provider is asked -----------------------------------------------------------------------------------

    def _read(self) -> None:
        share, request, was_read = self.share, self.request, self.head is not None
        body = request.body  # as it came: routing takes out what it has answered to
        super()._read()
        if was_read:
            return
        share.ask = cache_ask(request.headers)
        if share.ask.stores and (head := self.head) is not None:
            share.name = self._cache.name_of(self.key, self.operation.dialect.name, head.model, request, body)

    def _decide(self) -> None:
        share = self.share
        if not self._is_undecided:
            super()._decide()
            return
        source = self._source()
        share.is_small = source is not None
        if source is not None:
            self._ask_for_request(source.endpoint_id)
        else:
            self._ask_a_provider()
            super()._decide()

    def _ask_a_provider(self) -> None:
        """Raises NotCached where the caller does not want that."""
        if self.share.ask.is_only:
            self.share.lines = b"x-should-retry: false\r\n"
            raise NotCached("No answer to this call is kept, and it asked for nothing else (only-if-cached).")

    def _climb(self, found: "tuple[Ladder, str]") -> bool:
        """What comes of a ladder is neither kept nor shared."""
        self._ask_a_provider()
        return super()._climb(found)

    @property
    def _is_undecided(self) -> bool:
        """It neither leads nor has gone its own way."""
        return bool(self.share.name or self.share.ask.is_only) and self.share.leads is None and not self.attempts

    def _source(self) -> Kept | Flight | None:
        """Whose answer this call may have, if anybody's."""
        share, cache, course = self.share, self._cache, self.course
        if not share.ask.looks or not share.name or course is None or course.plan.is_probe:
            return None
        kept = cache.find(share.name, share.ask.age_max_s)
        if kept is not None and self._may_have(kept.endpoint_id):
            return kept
        flight = cache.flights.get(share.name) if share.tries and not share.ask.is_only else None
        return flight if flight is not None and self._may_have(flight.endpoint_id) else None

    def _may_have(self, endpoint_id: str) -> bool:
        """Policies, key and wishes of this call permit the endpoint, so it could have answered this call, too."""
        assert self.course is not None
        return endpoint_id in self.course.plan.shelf.ids and endpoint_id in self.server.table.routes

    def _ask_for_request(self, endpoint_id: str) -> None:
        """The claim of a call that a provider will not be asked for. Raises Forbidden."""
        self._credit(endpoint_id)
        claim = self.server.gate.claim(self)
        self.claim = narrow(claim) if claim is not None else None

    def _credit(self, endpoint_id: str) -> None:
        route = self.server.table.routes.get(endpoint_id)
        if route is not None:
            self.endpoint, self.price = route.endpoint, route.price

    def _go(self) -> None:
        share = self.share
        if not self._is_undecided:
            self._go_on()
            return
        source = self._source()
        if (source is not None) is not share.is_small:  # it has come, or gone, while this call waited for its quota
            self._enter_again()
        elif source is None:
            self._lead()
            super()._go()
        elif isinstance(source, Flight):
            self._follow(source)
        else:
            self._credit(source.endpoint_id)
            self._tell_kept(source, HIT)

    def _go_on(self) -> None:
        """To the next endpoint."""
        flight = self.share.leads
        if flight is not None:
            self._aim(flight)
        super()._go()

    def _lead(self) -> None:
        """Others of this name may follow; what comes is kept, where it may be."""
        share, cache = self.share, self._cache
        self._cache.totals.cache_misses += 1
        is_first = cache.settings.coalesce and share.name not in cache.flights
        if not is_first and not cache.settings.ttl_s:
            return
        share.leads = flight = Flight(cache, share.name, self, self.server.loop)
        if is_first:
            cache.flights[share.name] = flight
        share.tell(MISS)
        self._aim(flight)

    def _aim(self, flight: Flight) -> None:
        """Who is asked now. An answer that is cut short by the caller's budget is no other caller's."""
        assert self.endpoint is not None and self.serving is not None
        flight.endpoint_id, flight.total_s = self.endpoint.endpoint_id, self.serving.target.total_s
        if self.claim is not None and self.claim.clamp:
            self.share.leads = None
            flight.lose()

    def _enter_again(self) -> None:
        """As at first: what this call asked of its quotas is given back before it asks anew."""
        self.server.gate.settle(self, NOTHING_SPENT, is_request=False)
        self._decide()
        if self.claim is None or self.server.gate.admit(self, self.claim):
            self._go()

    # -- another call's answer ----------------------------------------------------------------------------------------

    def _tell_kept(self, kept: Kept, how: str) -> None:
        """Answer with another call's whole answer."""
        self.share.tell(how, kept.lines, self._cache.age_s(kept) if how == HIT else None)
        self.content_type, self.body = kept.content_type, [kept.body]
        if not self.reply_started:
            self.status = 200
        self._end_shared(kept, how)

    def _end_shared(self, kept: Kept, how: str) -> None:
        """Nothing was spent, and the row says whose answer it was."""
        assert self.course is not None
        totals, now = self._cache.totals, time.monotonic()
        if how == HIT:
            totals.cache_hits += 1
        else:
            totals.cache_coalesced += 1
            self.upstream_ended = now
        self.first_chunk = self.first_chunk or now
        self.share.is_taken = True
        self.seen = Seen(finish_reason=kept.finish_reason, tool_calls=kept.tool_calls)
        row = identity_row(self)
        row.route_reason = f"{REASONS[how]} {self.course.plan.shelf.told}"
        self.identity = row
        self._settle(NOTHING_SPENT)

    def _follow(self, flight: Flight) -> None:
        share, now = self.share, time.monotonic()
        share.follows, self.dispatched = flight, now
        share.tries -= 1
        self.patience.limit(flight.total_s)
        self.patience.hear()
        if self.head is not None and self.head.is_stream and self.operation.takes_comments:
            self.patience.quiet_at = now + self.server.comment_s
        share.tell(COALESCED)
        flight.join(self)
        self.on_piece()

    def on_piece(self) -> None:
        flight = self.share.follows
        if flight is None or not flight.is_in_pieces or self.settlement is not None:
            return
        if not self.is_begun and not self._may_have(flight.endpoint_id):
            self._go_alone()
        elif self.operation.as_array:
            if flight.lag_bytes(self) > flight.lag_bytes_max:
                self.on_left_behind()
        elif not self.client.is_clogged:
            self._begin_shared(flight)
            self.client.write_stream(flight.read(self))

    def _begin_shared(self, flight: Flight) -> None:
        if not self.is_begun:
            self.share.tell(COALESCED, flight.lines)
            self.share.is_taken = self.is_begun = True
            self.first_chunk = time.monotonic()
            self._credit(flight.endpoint_id)
            begin_stream(self)
        self.patience.hear()

    def on_landed(self, kept: Kept, last: bytes | None) -> None:
        flight = self.share.follows
        if flight is None or self.settlement is not None:
            return
        if not self.is_begun and not self._may_have(kept.endpoint_id):
            self._go_alone()
        elif last is not None and not self.operation.as_array:
            self._begin_shared(flight)
            self.body = [flight.read(self) + last]
            self._end_shared(kept, COALESCED)
        elif kept.body:
            self._credit(kept.endpoint_id)
            self._tell_kept(kept, COALESCED)
        else:
            self._go_alone()

    def on_lost(self) -> None:
        if self.settlement is not None:
            return
        if not self.is_begun:
            self._go_alone()
        else:
            self.fail(UpstreamError("the call whose answer this one shares broke off"), NOTHING_SPENT)

    def on_left_behind(self) -> None:
        if self.share.follows is None:
            self.client.abort()  # the others read on
        elif not self.is_begun:
            self.share.tries = 0
            self._go_alone()
        else:
            self.fail(Unavailable("This caller was too far behind in a stream that others share."), NOTHING_SPENT)

    def _go_alone(self) -> None:
        """Ask after all; the caller has seen nothing of an answer. The first to do so may be followed by the others."""
        self._leave()
        self.share.lines, self.dispatched, self.patience = b"", 0.0, Patience()
        self._dare(self._enter_again)

    def _leave(self) -> None:
        flight, self.share.follows = self.share.follows, None
        if flight is not None:
            flight.leave(self)

    # -- an answer for others -----------------------------------------------------------------------------------------

    def _start_stream(self) -> None:
        super()._start_stream()
        flight = self.share.leads
        if flight is not None and self.relay is not None:
            self.relay = Overheard(self.relay, self, flight)

    def _pass(self, out: bytes) -> None:
        flight, is_first = self.share.leads, not self.is_begun
        super()._pass(out)
        if flight is not None and is_first and isinstance(self.relay, Overheard):
            flight.lines = own_lines(self)
            flight.add(gratis(self, out))

    def on_alone(self) -> None:
        if self.settlement is None and self.client_gone:
            super().on_client_gone()

    def _land(self) -> None:
        """The call is over and recorded: what came of it goes to those who waited, and is kept."""
        flight, self.share.leads = self.share.leads, None
        if flight is None:
            return
        last = self.relay.told_last() if isinstance(self.relay, Overheard) and self.error is None else None
        kept = kept_of(self, flight, last)
        if kept is None:
            flight.lose()
            return
        flight.land(kept, last)
        if kept.body and (kept.finish_reason in KEPT_FINISHES or self.operation.is_alone):
            self._cache.keep(self.share.name, kept)

    # -- ends ---------------------------------------------------------------------------------------------------------

    def _settle(self, settlement: Settlement) -> None:
        self._leave()
        super()._settle(settlement)

    def _finish(self) -> None:
        super()._finish()
        self._land()

    def _unrecorded(self, error: Unavailable) -> None:
        flight, self.share.leads = self.share.leads, None
        super()._unrecorded(error)
        if flight is not None:
            flight.lose()

    def on_client_gone(self) -> None:
        """Who follows leaves alone; who leads pays, and the provider is read on for those who follow."""
        flight = self.share.leads
        is_followed = flight is not None and flight.has_followers
        if self.settlement is not None or (self.share.follows is None and not is_followed):
            super().on_client_gone()
            return
        self.client_gone = True
        if not self.reply_started:
            self.status = 499
        if flight is None:
            self.refuse(ClientGone("the caller left while it waited for an answer that it shares"))
        else:
            flight.pace()

    def on_deadline(self) -> None:
        flight = self.share.follows
        if flight is None:
            super().on_deadline()
        else:
            self.fail(UpstreamTimeout(f"the call whose answer this one shares did not finish within "
                                      f"{flight.total_s:g} s (total_s)"), NOTHING_SPENT)  # fmt: skip

    def cut_off(self, error: GatewayError) -> None:
        if self.share.follows is None:
            super().cut_off(error)
        else:
            self.is_cut_off = True
            self.refuse(error)

    # -- flow ---------------------------------------------------------------------------------------------------------

    @property
    def is_slow(self) -> bool:
        if self.share.follows is not None:  # an array comes whole to those who wait: they set no pace
            return self.client.is_clogged or self.operation.as_array
        if self.client_gone:
            return self.share.leads is not None and self.share.leads.has_followers
        return self.client.is_clogged

    @property
    def unsent_bytes(self) -> int:
        is_behind = self.client.is_clogged and not self.client_gone
        return self.client.transport.get_write_buffer_size() if is_behind else 0

    def on_paced(self, *, is_stalled: bool) -> None:
        if not is_stalled:
            super().resume()
        elif self._upstream is not None:
            self._upstream.pause_reading()
            self.patience.pause()

    def pause(self) -> None:
        """A slow caller holds up the provider only while nobody else reads."""
        flight = self.share.follows or self.share.leads
        if flight is None:
            super().pause()
        else:
            flight.pace()

    def resume(self) -> None:
        flight = self.share.follows or self.share.leads
        if flight is None:
            super().resume()
        else:
            self.on_piece()
            flight.pace()
