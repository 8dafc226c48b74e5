"""What all connections of one worker share, and the sweep that keeps the time for them."""

import asyncio
import email.utils
import logging
import os
import random
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tidegate.accounts.quotas.book import QuotaBook
from tidegate.accounts.quotas.store import Lessee
from tidegate.config import Config
from tidegate.core.errors import PathNotFound, Unauthenticated, Unavailable
from tidegate.core.ids import gateway_tag, generation_id
from tidegate.gateway.admission import Gate
from tidegate.gateway.answer import show_life
from tidegate.gateway.callers import Forwarders
from tidegate.gateway.climb import Climb
from tidegate.gateway.connect import Target
from tidegate.gateway.counting import CountExchange
from tidegate.gateway.endpoint_pages import is_endpoint_page
from tidegate.gateway.exchange import Exchange
from tidegate.gateway.http import Headers, Request, bearer_token
from tidegate.gateway.keyring import KeyRing
from tidegate.gateway.local import LocalReply
from tidegate.gateway.media import MediaExchange
from tidegate.gateway.meter import Totals
from tidegate.gateway.models import Listings, is_models_path
from tidegate.gateway.operation import Operation, operation_of
from tidegate.gateway.passage import Passage, is_managing
from tidegate.gateway.patience import SWEEP_S
from tidegate.gateway.pauses import Pauses
from tidegate.gateway.quota_stores import store_maker
from tidegate.gateway.recorder import Recorder
from tidegate.gateway.response_cache import ResponseCache
from tidegate.gateway.routing import Router
from tidegate.gateway.rows import Kinds
from tidegate.gateway.sampling import Sampler
from tidegate.gateway.sharing import SharingExchange
from tidegate.gateway.table import Table
from tidegate.gateway.upload import Upload
from tidegate.gateway.upstream import Pool
from tidegate.route.planner import Planner
from tidegate.route.policy import Bindings, PolicyBook
from tidegate.wire.multipart import is_form

if TYPE_CHECKING:
    from tidegate.accounts.keys import Key
    from tidegate.gateway.listener import ClientConnection

log = logging.getLogger(__name__)

KEYED_PREFIXES = ("/v1", "/api/v1")  # /v1beta, /v1alpha and /v1beta1 too: Google's


class Server:
    """State of one worker. Hot-path members are plain attributes."""

    def __init__(self, loop: asyncio.AbstractEventLoop, config: Config, worker: int, keys: KeyRing, recorder: Recorder,
                 console: Target) -> None:  # fmt: skip
        self.loop, self.config, self.worker = loop, config, worker
        self.keys, self.recorder = keys, recorder
        self.limits = config.limits
        self.gateway_id = config.gateway.gateway_id
        self.tag = gateway_tag(self.gateway_id)
        self.pepper = keys.pepper
        self.comment_s = config.gateway.comment_s
        self.on_disconnect, self.drain_s = config.gateway.on_disconnect, config.gateway.drain_s
        self.pool = Pool(
            loop,
            connections_idle_max=config.upstream.connections_idle_max,
            keep_alive_s=config.upstream.keep_alive_s,
        )
        self.pauses = Pauses(loop)
        self.console = console
        self.table = Table((), lambda _: {})
        self.router = Router(Planner({}, PolicyBook({}, Bindings())), {}, config.routing, frozenset())
        self.listings = Listings({}, 0, {})
        self.totals = Totals()
        self.kinds = Kinds()
        self.metrics: Callable[[], bytes] = bytes
        lessee, book = Lessee(worker_id=recorder.position[0], gateway_id=self.gateway_id), QuotaBook()
        accounts = config.accounts
        self.gate = Gate(
            loop, lessee, book, store_maker(config, book), lease_s=accounts.lease_s, wait_s=accounts.quota_wait_s
        )
        keys.watch.add(self.gate.read)
        self.sampler: Sampler | None = None  # of calls that are labelled; None where no tenant opted in
        self.cache: ResponseCache | None = None  # None where no tenant opted in
        self.connections: set[ClientConnection] = set()
        self.exchanges: set[Any] = set()  # everything with a deadline of its own: Exchange, Passage
        self.is_draining = False
        self.date = b""
        self.started_s = int(time.time())
        self._sequence = 0
        self._keys_version = keys.version
        self._random = random.Random(os.urandom(16))  # makes ids unique, keeps no secret
        self.forwarders = Forwarders(config.gateway.trusted_forwarders)
        self.climb = Climb  # of a call that asks for a ladder; here, since a climb is made of exchanges
        self._swept = 0.0
        self.now = time.monotonic()  # the sweep's clock: up to SWEEP_S behind, and free to read

    def new_generation_id(self, unix_ms: int) -> str:
        self._sequence += 1
        return generation_id(unix_ms, self._sequence, self.tag, self.worker, self._random.getrandbits(36))

    # -- routing of paths -------------------------------------------------------------------------------------------

    def needs_key(self, path: str, headers: Headers) -> bool:
        """Whether the caller must bring an API key. A service key opens no model; the console asks it for its role."""
        return path.startswith(KEYED_PREFIXES) and not is_managing(path, headers)

    @staticmethod
    def call_of(method: bytes, path: str, query: bytes) -> Operation | None:
        """The model call that a request is: it will be a row. None for any other request."""
        return operation_of(path, query) if method == b"POST" else None

    def check_open(self) -> None:
        """Raises Unavailable where this worker takes no more calls."""
        if self.is_draining:
            raise Unavailable("The gateway is shutting down; call again in a moment.", retry_after_s=1)

    @property
    def open_calls(self) -> int:
        """Calls that have no outcome yet; the rungs of a ladder are parts of one."""
        open_ones = (user for user in self.exchanges if isinstance(user, Exchange) and not user.ladder_name)
        return sum(call.settlement is None for call in open_ones)

    def exchange_for(self, client: "ClientConnection", request: Request, key: "Key | None") -> Any:
        """Who serves this request: a call, one of the gateway's own pages, or the console behind its socket."""
        operation = self.call_of(request.method, request.path, request.query)
        if operation is not None:
            assert key is not None  # needs_key holds for every call path
            kind = self._kind_of(operation)
            if self.cache is not None and self.cache.serves(key, operation):
                kind = SharingExchange
            call = kind(self, client, request, key, operation)
            if self.sampler is not None:
                self.sampler.offer(call)
            return call
        is_own = request.path in LocalReply.PATHS or is_models_path(request.path) or is_endpoint_page(request.path)
        if is_own or operation_of(request.path, b""):
            return LocalReply(self, client, request)
        if not self.console.unix_path:
            raise PathNotFound(f"Nothing is served at {request.path[:200]!r}, and this gateway runs without a console.")
        return Passage(self, client, request, key)

    @staticmethod
    def _kind_of(operation: Operation) -> type[Exchange]:
        if operation.is_media:
            return MediaExchange
        return CountExchange if operation.counts_only else Exchange

    def upload_for(self, path: str, headers: Headers) -> Upload | None:
        """Where the body of a request is kept, if it is a form for a model. Raises as `Upload` does."""
        if not is_form(headers.get(b"content-type", b"")):
            return None
        operation = operation_of(path, b"")
        return Upload(headers, self.config.run_path) if operation is not None and operation.is_media else None

    # -- time -------------------------------------------------------------------------------------------------------

    def sweep(self) -> None:
        """Every SWEEP_S: time-outs of connections and exchanges; once a second the pool, the segment, the keys."""
        now = self.now = time.monotonic()
        self.gate.tick(now)
        if self.keys.version != self._keys_version:
            self._cut_off_revoked()
        for connection in [c for c in self.connections if c.deadline < now]:
            connection.on_deadline()
        for exchange in [e for e in self.exchanges if e.deadline < now]:
            exchange.on_deadline()
        for call in [e for e in self.exchanges if isinstance(e, Exchange) and e.patience.quiet_at < now]:
            if call.patience.is_quiet(now, self.comment_s) and call.settlement is None:
                show_life(call)
        if now - self._swept >= 1.0:
            self._swept = now
            self.date = email.utils.formatdate(usegmt=True).encode()
            self.pool.sweep()
            self.recorder.sweep(time.time_ns() // 1000)
            self.keys.refresh()
            if self.cache is not None:
                self.cache.sweep()
        self.loop.call_later(SWEEP_S, self.sweep)

    def _cut_off_revoked(self) -> None:
        """Some keys have changed: calls of those that are no longer valid end."""
        self._keys_version = self.keys.version
        if self.cache is not None:
            self.cache.forget_all_but(self.keys.is_known)
        for call in [call for call in self.exchanges if isinstance(call, Exchange)]:
            token = bearer_token(call.request.headers)
            if token is None or self.keys.find(token) is None:
                call.cut_off(Unauthenticated("This API key was revoked, or has expired, while its call was running."))

    def drain(self) -> None:
        """Take no more calls; finish those that run."""
        self.is_draining = True
        for connection in list(self.connections):
            connection.drain()
