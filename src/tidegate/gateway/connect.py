"""Reaching a provider: directly, through an outbound proxy, over TLS, or over a Unix socket."""

import asyncio
import base64
import contextlib
import functools
import socket
import ssl
from pathlib import Path
from urllib.parse import unquote, urlsplit

from tidegate import __version__
from tidegate.config import ProviderConfig, Upstream
from tidegate.core.errors import ConfigError

PROXY_REPLY_BYTES_MAX = 16 * 1024
PORTS = {"http": 80, "https": 443}


class ProxyRefused(Exception):
    """The proxy answered CONNECT with something other than success; the text is its status line."""


class Target:
    """Where calls to one provider go, ready to use: address, TLS, proxy, time-outs, the fixed part of a request."""

    __slots__ = (
        "connect_s", "first_byte_s", "header_lines", "host", "idle_s", "path_prefix", "port", "provider", "proxy",
        "proxy_authorization", "ssl_context", "total_s", "unix_path",
    )  # fmt: skip

    def __init__(self, provider: str, base_url: str, settings: ProviderConfig, limits: Upstream) -> None:
        url = urlsplit(base_url)
        if url.scheme not in PORTS or not url.hostname:
            raise ConfigError(f"providers.{provider}.base_url {base_url!r} is not an http or https URL")
        self.provider = provider
        self.host = url.hostname
        self.port = url.port or PORTS[url.scheme]
        self.ssl_context = _ssl_context(provider, settings) if url.scheme == "https" else None
        self.proxy, self.proxy_authorization = _proxy(settings.proxy_url)
        self.unix_path = ""
        self.connect_s = settings.connect_s or limits.connect_s
        self.first_byte_s = settings.first_byte_s or limits.first_byte_s
        self.idle_s = settings.idle_s or limits.idle_s
        self.total_s = settings.total_s or limits.total_s
        host = url.netloc.rpartition("@")[2]
        through_plain_proxy = self.proxy is not None and self.ssl_context is None
        origin = f"http://{host}" if through_plain_proxy else ""
        self.path_prefix = f"{origin}{url.path.rstrip('/')}"
        lines = [f"host: {host}", f"user-agent: tidegate/{__version__}", "accept: application/json, text/event-stream"]
        lines += ["accept-encoding: identity", "content-type: application/json"]
        if through_plain_proxy and self.proxy_authorization:
            lines.append(f"proxy-authorization: {self.proxy_authorization}")
        self.header_lines = tuple(lines)


def unix_target(path: Path, provider: str, limits: Upstream) -> Target:
    """A target behind a Unix socket: our own console."""
    target = Target(provider, "http://localhost", ProviderConfig(), limits)
    target.unix_path = str(path)
    return target


async def dial(loop: asyncio.AbstractEventLoop, target: Target, protocol: asyncio.Protocol) -> None:
    """Connect `protocol` to a target. Raises OSError, ssl.SSLError or ProxyRefused; time-outs are the caller's."""
    if target.unix_path:
        await loop.create_unix_connection(lambda: protocol, target.unix_path)
    elif target.proxy is None or target.ssl_context is None:
        host, port = target.proxy or (target.host, target.port)
        name = target.host if target.ssl_context else None
        await loop.create_connection(lambda: protocol, host, port, ssl=target.ssl_context, server_hostname=name)
    else:
        await _dial_through_tunnel(loop, target, protocol)


async def _dial_through_tunnel(loop: asyncio.AbstractEventLoop, target: Target, protocol: asyncio.Protocol) -> None:
    assert target.proxy is not None and target.ssl_context is not None
    transport, tunnel = await loop.create_connection(lambda: _Tunnel(loop), *target.proxy)
    try:
        authority = f"[{target.host}]:{target.port}" if ":" in target.host else f"{target.host}:{target.port}"
        authorization = f"proxy-authorization: {target.proxy_authorization}\r\n" if target.proxy_authorization else ""
        transport.write(f"CONNECT {authority} HTTP/1.1\r\nhost: {authority}\r\n{authorization}\r\n".encode())
        await tunnel.established
        secured = await loop.start_tls(transport, protocol, target.ssl_context, server_hostname=target.host)
        if secured is None:
            raise ConnectionResetError("the proxy closed the connection during the TLS handshake")
        protocol.connection_made(secured)
    except BaseException:  # raised again: also a cancelled dial leaves no connection that nobody holds
        transport.abort()
        raise


class _Tunnel(asyncio.Protocol):
    """Reads a proxy's answer to CONNECT; `established` is done when the tunnel stands."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.established: asyncio.Future[None] = loop.create_future()
        self._answer = b""

    def data_received(self, data: bytes) -> None:
        self._answer += data
        if self.established.done():
            return
        if b"\r\n\r\n" in self._answer:
            status = self._answer.split(b"\r\n", 1)[0].decode("latin-1")
            if status.split(" ")[1:2] == ["200"]:
                self.established.set_result(None)
            else:
                self.established.set_exception(ProxyRefused(status[:100]))
        elif len(self._answer) > PROXY_REPLY_BYTES_MAX:
            self.established.set_exception(ProxyRefused("its answer is too long"))

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.established.done():
            self.established.set_exception(exc or ConnectionResetError("the proxy closed the connection"))


def _ssl_context(provider: str, settings: ProviderConfig) -> ssl.SSLContext:
    try:
        return _shared_context(settings.ca_file, settings.tls_verify)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"providers.{provider}.ca_file {settings.ca_file!r} cannot be used: {error}") from error


@functools.cache
def _shared_context(ca_file: str, verify: bool) -> ssl.SSLContext:
    """One context for all providers with the same trust: the system's authorities are read once."""
    context = ssl.create_default_context(cafile=ca_file or None)
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _proxy(url: str) -> tuple[tuple[str, int] | None, str]:
    if not url:
        return None, ""
    parts = urlsplit(url)
    if not parts.hostname:
        raise ConfigError("proxy_url names no host; write http://host:port")
    authorization = ""
    if parts.username:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        authorization = "Basic " + base64.b64encode(pair.encode()).decode()
    return (parts.hostname, parts.port or 80), authorization


def acknowledge_seldom(transport: asyncio.BaseTransport) -> None:
    """Let the kernel gather the acknowledgements of a long reply: one packet less for nearly each event of a stream.

    Linux goes back to prompt ones by itself as soon as it has waited once in vain (40 ms), so a provider that holds
    small writes back until they are acknowledged (no TCP_NODELAY) waits once a stream.
    """
    connected = transport.get_extra_info("socket")
    if (
        connected is not None
        and connected.family in (socket.AF_INET, socket.AF_INET6)
        and hasattr(socket, "TCP_QUICKACK")
    ):
        with contextlib.suppress(OSError):
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 0)
