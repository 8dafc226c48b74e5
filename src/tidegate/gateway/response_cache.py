"""The response cache of one worker: answers by the names of their requests, in memory alone, bounded in bytes and time.

Whether a call may have an answer is not decided here: its name keeps tenants and keys apart (`cache_asks`), and its
plan must permit the endpoint that answered (`gateway/sharing.py`). Answers being written are `gateway/flight.py`'s;
their bytes count here, so that one number bounds both.
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final

import msgspec

from tidegate.core.cache_settings import Cache, Sharing
from tidegate.gateway.cache_asks import Names, is_keepable
from tidegate.gateway.operation import Operation

if TYPE_CHECKING:
    from tidegate.accounts.keys import Key
    from tidegate.config import Config
    from tidegate.gateway.flight import Flight
    from tidegate.gateway.http import Request
    from tidegate.gateway.meter import Totals

ENTRY_BYTES: Final = 512  # of an answer beside its body: name, headers, places in three tables


class Kept(msgspec.Struct, frozen=True):
    """A whole answer, as callers get it. `lines`: header lines that say what became of the request.

    `owner`: the hash of the secret that paid for it; what is revoked takes its answers along. `stored_s`: of the
    cache's clock.
    """

    endpoint_id: str
    content_type: bytes
    body: bytes
    finish_reason: str | None
    tool_calls: int
    lines: bytes
    owner: bytes
    stored_s: float = 0.0

    @property
    def size(self) -> int:
        """In bytes, as it is counted."""
        return len(self.body) + len(self.lines) + ENTRY_BYTES


class ResponseCache:
    """One per worker that has one. `flights`: calls under way whose answers others may have, by name."""

    def __init__(
        self,
        settings: Cache,
        tenants: Mapping[str, Sharing],
        totals: "Totals",
        secret: bytes,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """tenants: those that opted in. secret: 32 random bytes. clock: seconds, monotonic."""
        self.settings, self.tenants, self.totals = settings, tenants, totals
        self.flights: dict[bytes, Flight] = {}
        self._names, self._clock = Names(secret), clock
        self._models_known: dict[str, bool] = {}
        self._kept: OrderedDict[bytes, Kept] = OrderedDict()  # the least recently used first
        self._until: dict[bytes, float] = {}  # the oldest first: all are kept equally long

    # -- whose calls --------------------------------------------------------------------------------------------------

    def serves(self, key: "Key", operation: Operation) -> bool:
        """Whether calls of a key may be kept or shared at all."""
        is_text = not (operation.is_media or operation.counts_only or operation.explains)
        return is_text and key.tenant_id in self.tenants

    def name_of(self, key: "Key", dialect: str, model: str, request: "Request", body: bytes) -> bytes:
        """The name of a request that came with this body; empty where its answer is neither kept nor shared."""
        if not self._is_of(model) or not is_keepable(dialect, body, any_temperature=self.settings.calls == "any"):
            return b""
        return self._names.name(key, self.tenants[key.tenant_id], request, body)

    def _is_of(self, model: str) -> bool:
        if not self.settings.models:
            return True
        known = self._models_known.get(model)
        if known is None:
            if len(self._models_known) >= 10_000:  # callers make the names
                self._models_known.clear()
            known = any(fnmatchcase(model, glob) for glob in self.settings.models)
            self._models_known[model] = known
        return known

    # -- kept answers -------------------------------------------------------------------------------------------------

    def find(self, name: bytes, age_max_s: float = float("inf")) -> Kept | None:
        """The answer that is kept under a name and not too old."""
        kept = self._kept.get(name)
        if kept is None:
            return None
        age_s = self._clock() - kept.stored_s
        if age_s >= self.settings.ttl_s:
            self._drop(name)
            return None
        if age_s > age_max_s:
            return None
        self._kept.move_to_end(name)
        return kept

    def age_s(self, kept: Kept) -> int:
        """Whole seconds since it was stored, for the header `age`."""
        return max(0, int(self._clock() - kept.stored_s))

    def keep(self, name: bytes, kept: Kept) -> bool:
        """Keep an answer, in place of the one before. False: it is too large, or nothing is kept at all."""
        settings = self.settings
        if not settings.ttl_s or len(kept.body) > settings.entry_bytes_max or kept.size > settings.bytes_max:
            return False
        if name in self._kept:
            self._drop(name)
        if not self.take(kept.size):
            return False
        now = self._clock()
        self._kept[name] = msgspec.structs.replace(kept, stored_s=now)
        self._until[name] = now + settings.ttl_s
        self.totals.cache_answers += 1
        return True

    def take(self, size: int) -> bool:
        """Room for so many bytes; what was not used for longest makes it. False: answers being written fill it."""
        totals, limit = self.totals, self.settings.bytes_max
        while totals.cache_bytes + size > limit and self._kept:
            self._drop(next(iter(self._kept)))
        if totals.cache_bytes + size > limit:
            return False
        totals.cache_bytes += size
        return True

    def count(self, size: int) -> None:
        """Bytes of an answer being written that are there whatever `take` says; negative: that are gone again."""
        self.totals.cache_bytes += size

    def _drop(self, name: bytes) -> None:
        self.totals.cache_bytes -= self._kept.pop(name).size
        self.totals.cache_answers -= 1
        del self._until[name]

    def sweep(self) -> None:
        """About once a second: what is too old leaves the memory, asked for or not."""
        now = self._clock()
        while self._until:
            name = next(iter(self._until))
            if self._until[name] > now:
                return
            self._drop(name)

    def forget_all_but(self, is_known: Callable[[bytes], bool]) -> None:
        """Some keys have changed: the answers of those that open nothing any more are dropped."""
        known: dict[bytes, bool] = {}
        for name, kept in list(self._kept.items()):
            if kept.owner not in known:
                known[kept.owner] = is_known(kept.owner)
            if not known[kept.owner]:
                self._drop(name)


def response_cache_of(config: "Config", totals: "Totals", secret: bytes) -> ResponseCache | None:
    """None where no tenant opted in."""
    tenants = config.cached_tenants
    return ResponseCache(config.cache, tenants, totals, secret) if tenants else None
