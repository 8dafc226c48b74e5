"""How often somebody may try a password: few times an account and network, more an account, some a network.

A failure fills a bucket that empties with time. Three buckets see each try, so that nobody can guess one account's
password from one place or from many, nor many accounts' from one place, and nobody can lock somebody else out from
elsewhere with a handful of tries. In memory of one console: each host of several counts on its own.
"""

import collections
import hashlib
import ipaddress
from typing import Final, NamedTuple

PLACES_MAX: Final = 20_000
"""Buckets kept; the one that was filled longest ago goes first."""


class _Bucket(NamedTuple):
    """`level` failures at `at_s`; one drains each DRAIN_S of its kind."""

    level: float
    at_s: float


class _Kind(NamedTuple):
    failures_max: int
    drain_s: float


HERE: Final = _Kind(failures_max=5, drain_s=60)
ACCOUNT: Final = _Kind(failures_max=50, drain_s=60)
NETWORK: Final = _Kind(failures_max=25, drain_s=30)


class Throttle:
    """Counts failures. Times are seconds of any clock that only goes forward."""

    def __init__(self) -> None:
        self._buckets: collections.OrderedDict[tuple[_Kind, bytes], _Bucket] = collections.OrderedDict()

    def wait_s(self, account: str, address: str, now_s: float) -> int:
        """Seconds until the next try is looked at; 0: now."""
        longest = 0.0
        for place in _places(account, address):
            kind = place[0]
            longest = max(longest, (self._level(place, now_s) - kind.failures_max + 1) * kind.drain_s)
        return 0 if longest <= 0 else int(longest) + 1

    def failed(self, account: str, address: str, now_s: float) -> None:
        """A try was wrong."""
        for place in _places(account, address):
            level = min(self._level(place, now_s) + 1, place[0].failures_max)
            self._buckets[place] = _Bucket(level, now_s)
            self._buckets.move_to_end(place)
        while len(self._buckets) > PLACES_MAX:
            self._buckets.popitem(last=False)

    def succeeded(self, account: str, address: str) -> None:
        """The person is who they say, here: their slips from this place are forgiven, other people's tries are not.

        The try itself, which `failed` has counted before it was looked at, counts nowhere.
        """
        self.forgotten(account, address)
        self._buckets.pop(_places(account, address)[0], None)

    def forgotten(self, account: str, address: str) -> None:
        """A try that `failed` has counted was not looked at after all."""
        for place in _places(account, address):
            bucket = self._buckets.get(place)
            if bucket is not None:
                self._buckets[place] = bucket._replace(level=max(0.0, bucket.level - 1))

    def _level(self, place: tuple[_Kind, bytes], now_s: float) -> float:
        bucket = self._buckets.get(place)
        return 0.0 if bucket is None else max(0.0, bucket.level - (now_s - bucket.at_s) / place[0].drain_s)


def _places(account: str, address: str) -> tuple[tuple[_Kind, bytes], ...]:
    """The buckets of one try. Hashed: however long what was typed is, and nobody reads it out of a memory dump."""
    network = _network(address)
    found = [(HERE, f"{account}\n{network}"), (ACCOUNT, account), (NETWORK, network)]
    return tuple(
        (kind, hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=16).digest()) for kind, text in found
    )


def _network(address: str) -> str:
    """An IPv4 address, the /64 of an IPv6 one; all unknown ones are one."""
    try:
        known = ipaddress.ip_address(address)
    except ValueError:
        return ""
    return str(ipaddress.ip_network((known, 64), strict=False)) if known.version == 6 else str(known)
