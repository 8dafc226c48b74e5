"""One gateway process: build the state, listen, serve until SIGTERM, drain, close the journal segment.

    python -m tidegate.gateway --worker 0 --ready-fd 3

Several workers share the port (SO_REUSEPORT); none knows of the others. Configuration comes from the environment,
as `tidegate.config` says.
"""

import asyncio
import logging
import os
import signal
import socket
import ssl
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import uvloop

from tidegate.accounts.keys import open_accounts
from tidegate.accounts.provider_keys import read_operator_key
from tidegate.config import Config
from tidegate.core.errors import ConfigError, TidegateError
from tidegate.core.hours import MINUTE_US, moment_text
from tidegate.gateway.connect import unix_target
from tidegate.gateway.keyring import KeyRing
from tidegate.gateway.listener import ClientConnection
from tidegate.gateway.memory import settle_memory
from tidegate.gateway.metrics import MetricsBoard
from tidegate.gateway.models import Listings
from tidegate.gateway.own_rates import OwnRates
from tidegate.gateway.recorder import Recorder
from tidegate.gateway.response_cache import response_cache_of
from tidegate.gateway.sampling import sampler_of
from tidegate.gateway.server import Server
from tidegate.gateway.serving import build_serving
from tidegate.gateway.shelf import Vault
from tidegate.ledger.journal import JournalWriter

log = logging.getLogger(__name__)

LISTEN_BACKLOG = 2048
DRAIN_POLL_S = 0.02


def run(config: Config, worker: int, ready_fd: int | None) -> None:
    """Serve until SIGTERM or SIGINT. Raises ConfigError before the first connection is accepted."""
    logging.basicConfig(level=config.gateway.log_level.upper(), format=f"%(levelname)s worker {worker}: %(message)s")
    uvloop.run(_serve(config, worker, ready_fd))


async def _serve(config: Config, worker: int, ready_fd: int | None) -> None:
    loop = asyncio.get_running_loop()
    vault = Vault(lambda: read_operator_key(config.home_path, config.accounts.operator_key_file))
    rates = OwnRates()
    server = _build(loop, config, worker, vault, rates)
    board = MetricsBoard(config.run_path, worker, server.totals)

    def metrics() -> bytes:
        _count_open(server)
        return board.render()

    server.metrics = metrics
    server.sampler = sampler_of(loop, config, server.totals)
    server.cache = response_cache_of(config, server.totals, os.urandom(32))
    listener = await loop.create_server(
        lambda: ClientConnection(server), sock=_socket(config), ssl=_listener_tls(config), backlog=LISTEN_BACKLOG
    )
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    server.sweep()
    renew = partial(_renew_table, server, config, vault, rates)
    vault.start(renew)
    rates.start(renew)
    server.keys.watch.start(loop.call_soon_threadsafe)
    chores = loop.create_task(_chores(server, board, renew))
    settle_memory()
    if ready_fd is not None:
        os.write(ready_fd, b"ready\n")
        os.close(ready_fd)
    log.info("listening on %s:%d, %d models", config.gateway.host, config.gateway.port, len(server.table.models))
    await stop.wait()
    listener.close()
    await _drain(server, config.gateway.drain_s)
    chores.cancel()
    board.withdraw()
    server.pool.close()
    if server.sampler is not None:
        await server.sampler.close()
    server.keys.watch.close()
    await server.gate.close()
    server.recorder.close()


def _build(loop: asyncio.AbstractEventLoop, config: Config, worker: int, vault: Vault, rates: OwnRates) -> Server:
    config.run_path.mkdir(parents=True, exist_ok=True, mode=0o700)
    accounts = open_accounts(config.home_path, config.accounts.database_url, config.accounts.secret_file)
    gateway_id, started_us = config.gateway.gateway_id, time.time_ns() // 1000
    writer = JournalWriter(config.ledger_path / "journal", gateway_id, worker, now_us=started_us)
    recorder = Recorder(loop, writer, config.ledger)
    console = unix_target(config.run_path / "console.sock", "console", config.upstream)
    server = Server(loop, config, worker, KeyRing(accounts), recorder, console)
    server.keys.watch.add(vault.read)
    server.keys.watch.add(rates.read)
    _set_table(server, config, vault, rates)
    return server


def _set_table(server: Server, config: Config, vault: Vault, rates: OwnRates) -> None:
    """Build the routing table of this minute."""
    now = moment_text(time.time_ns() // 1000)
    server.table, server.router = build_serving(config, os.environ, now, vault.shelves, server.router, rates.quotes)
    server.listings = Listings(server.table.models, server.started_s, server.table.context_tokens)


def _renew_table(server: Server, config: Config, vault: Vault, rates: OwnRates) -> None:
    """As `_set_table`; where that fails, the table that is in force stays, and is tried again a minute later."""
    try:
        _set_table(server, config, vault, rates)
    except TidegateError as error:
        log.error("the routing table cannot be built, the one before it stays in force: %s", error)
        server.table.holds_until_us = time.time_ns() // 1000 + MINUTE_US


async def _chores(server: Server, board: MetricsBoard, renew: Callable[[], None]) -> None:
    """Once a second: publish the totals; and take new prices at midnight UTC, and when the hour of one turns."""
    while True:
        _count_open(server)
        board.publish()
        await asyncio.sleep(1.0)
        if time.time_ns() // 1000 >= server.table.holds_until_us:
            renew()


def _count_open(server: Server) -> None:
    server.totals.connections, server.totals.open_calls = len(server.connections), server.open_calls


async def _drain(server: Server, drain_s: float) -> None:
    """Finish the calls that run; after `drain_s` hang up on those that are left, which settles them too."""
    server.drain()
    deadline = time.monotonic() + drain_s
    while (server.exchanges or server.connections) and time.monotonic() < deadline:  # noqa: ASYNC110 - it ends once
        await asyncio.sleep(DRAIN_POLL_S)
    server.on_disconnect = "cancel"
    for connection in list(server.connections):
        connection.abort()
    give_up = time.monotonic() + 2.0
    while (server.exchanges or server.connections) and time.monotonic() < give_up:
        for exchange in list(server.exchanges):
            exchange.on_client_gone()
        await asyncio.sleep(DRAIN_POLL_S)


def _socket(config: Config) -> socket.socket:
    host, port = config.gateway.host, config.gateway.port
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except socket.gaierror as error:
        raise ConfigError(f"gateway.host {host!r} is no address of this machine: {error.strerror}") from error
    listener = socket.socket(family, kind, protocol)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        listener.bind(address)
    except OSError as error:
        listener.close()
        raise ConfigError(
            f"port {port} on {host} cannot be used: {error.strerror}. Choose another: PORT=8081 make up, "
            "or gateway.port in the configuration"
        ) from error
    listener.setblocking(False)
    return listener


def _listener_tls(config: Config) -> ssl.SSLContext | None:
    if not config.gateway.tls_cert_file:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(Path(config.gateway.tls_cert_file), Path(config.gateway.tls_key_file))
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"gateway.tls_cert_file and tls_key_file cannot be used: {error}") from error
    return context
