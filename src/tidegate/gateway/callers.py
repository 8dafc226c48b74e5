"""Where a caller is: the address of its connection, or what a trusted forwarder says of it."""

import asyncio
import ipaddress
from collections.abc import Iterable

import iptocc

from tidegate.gateway.http import Headers


class Forwarders:
    """The networks whose X-Forwarded-For is believed."""

    def __init__(self, networks: Iterable[str]) -> None:
        self._networks = [ipaddress.ip_network(network) for network in networks]

    def trusts(self, address: str) -> bool:
        """The address is a forwarder's whose word on the caller's address is believed."""
        if not self._networks or not address:
            return False
        parsed = ipaddress.ip_address(address.partition("%")[0])
        return any(parsed in network for network in self._networks)

    def client_in(self, forwarded: bytes) -> str:
        """The caller in X-Forwarded-For: the last address that is not a trusted forwarder itself; '' if none."""
        for part in reversed(forwarded.decode("latin-1").split(",")):
            text = part.strip().strip("[]")
            try:
                ipaddress.ip_address(text)
            except ValueError:
                return ""
            if not self.trusts(text):
                return text
        return ""


def peer_of(transport: asyncio.BaseTransport) -> str:
    """The address of the other end; '' where there is none (a Unix socket)."""
    peer = transport.get_extra_info("peername")
    return peer[0] if isinstance(peer, tuple) else ""


class Caller:
    """The other end of one connection. `peer`: its address; '' where there is none."""

    __slots__ = ("_country", "_forwarders", "_is_forwarder", "peer")

    def __init__(self, peer: str, forwarders: Forwarders) -> None:
        self.peer = peer
        self._forwarders = forwarders
        self._is_forwarder = forwarders.trusts(peer)
        self._country: str | None = None  # of the peer; '' where it has none

    def address(self, headers: Headers) -> str:
        """The caller's address: a trusted forwarder's word is believed, another's makes it unknown ('')."""
        forwarded = headers.get(b"x-forwarded-for")
        if forwarded is None:
            return self.peer
        return self._forwarders.client_in(forwarded) if self._is_forwarder else ""

    def country(self, headers: Headers) -> str | None:
        """Where that address is registered; without a trusted forwarder, that of the connection."""
        if self._is_forwarder and b"x-forwarded-for" in headers:
            return country_of(self.address(headers) or self.peer)
        if self._country is None:
            self._country = country_of(self.peer) or ""
        return self._country or None


def country_of(address: str) -> str | None:
    """ISO 3166 alpha-2 of where an address is registered; None for private ones."""
    country: str | None = iptocc.country_code(address) if address else None
    return country
