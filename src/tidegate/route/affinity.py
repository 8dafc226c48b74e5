"""Affinity: a conversation stays where its prompt is cached, while that is cheaper, and goes there by name at first.

A conversation is known by keys, shallow to deep: hashes of ever longer prefixes of its prompt, or the one key that the
caller named. The deepest key that is known says where the longest part of the prompt is cached. A prefix that all calls
share (a common system prompt) is soon cached everywhere, and then sends nobody anywhere.

Where nothing is known, weighted rendezvous hashing picks the endpoint, so that workers which share nothing agree; the
load of each is bounded, and who finds his endpoint full goes to the next.
"""

import math
import zlib
from collections import OrderedDict
from collections.abc import Sequence
from typing import Final, NamedTuple

import msgspec

KEYS_MAX: Final = 65_536  # remembered in a worker; the longest unused ones are forgotten
STICKY_S: Final = 600.0  # providers drop what nobody read for five to ten minutes
SHARED_BY: Final = 3  # endpoints that hold a prefix: it is more than one conversation's
HOLDERS_MAX: Final = 8  # endpoints remembered for one prefix
LOAD_FACTOR: Final = 1.25  # of the mean, or of an endpoint's share
LOAD_FREE: Final = 50_000  # tokens of work within the last minute or so
OUTPUT_WEIGHT: Final = 4
BLOCK_BYTES: Final = 2048  # of a prompt: about as many tokens as a provider caches at a time
BLOCKS_MAX: Final = 64
_MIX: Final = 0x9E3779B97F4A7C15  # 2^64 / golden ratio: Knuth's multiplicative hashing
_MASK: Final = (1 << 64) - 1
_UNIT: Final = 2.0**-53
_LEAST_SHARE: Final = 1e-9  # of what is never drawn: it wins where nothing else is left
SLOTS: Final = 1024  # conversations that go together: enough for shares to be even to a few percent
NEXT_MAX: Final = 8  # endpoints that a new conversation asks in turn for room


class Known(msgspec.Struct):
    """Where a prefix is cached. `endpoints`: who served it, the last one last. `tokens`: its length, as guessed."""

    endpoints: list[str]
    tokens: int
    used_s: float


class Found(NamedTuple):
    """An endpoint that has a prefix of a prompt cached, and its length in tokens, as far as we know."""

    endpoint_id: str
    tokens: int


class Affinity:
    """What a worker remembers of where prefixes are cached."""

    def __init__(self, keys_max: int = KEYS_MAX, sticky_s: float = STICKY_S) -> None:
        self._keys_max, self.sticky_s = keys_max, sticky_s
        self.known: OrderedDict[int, Known] = OrderedDict()

    def __len__(self) -> int:
        return len(self.known)

    def find(self, keys: Sequence[int], now_s: float) -> list[Found]:
        """Who has how much of a prompt, the longest first; each endpoint once, HOLDERS_MAX at most."""
        known, found, seen = self.known, list[Found](), set[str]()
        for key in reversed(keys):
            entry = known.get(key)
            if entry is None or now_s - entry.used_s > self.sticky_s:
                continue
            for endpoint_id in reversed(entry.endpoints):
                if endpoint_id not in seen:
                    seen.add(endpoint_id)
                    found.append(Found(endpoint_id, entry.tokens))
            if len(seen) >= HOLDERS_MAX:
                break
        return found

    def own(self, keys: Sequence[int]) -> int:
        """The key that is a conversation's own: that of its shortest prefix which other conversations do not share, as
        far as known: they were served at several endpoints."""
        for key in keys:
            entry = self.known.get(key)
            if entry is None or len(entry.endpoints) < SHARED_BY:
                return key
        return keys[-1]

    def note(self, keys: Sequence[int], endpoint_id: str, tokens: int, now_s: float) -> None:
        """A call with these prefixes was served there. tokens: of its whole prompt; a shorter prefix has its part."""
        known = self.known
        for depth, key in enumerate(keys, start=1):
            entry = known.get(key)
            if entry is None or now_s - entry.used_s > self.sticky_s:
                known[key] = Known([endpoint_id], tokens * depth // len(keys), now_s)
            else:
                entry.used_s = now_s
                if entry.endpoints[-1] != endpoint_id:
                    if endpoint_id in entry.endpoints:
                        entry.endpoints.remove(endpoint_id)
                    elif len(entry.endpoints) >= HOLDERS_MAX:
                        del entry.endpoints[0]
                    entry.endpoints.append(endpoint_id)
            known.move_to_end(key)
        while len(known) > self._keys_max:
            known.popitem(last=False)


def key_of(name: str) -> int:
    """The key of a conversation that the caller names; never 0."""
    return zlib.crc32(name.encode("utf-8", "surrogatepass"), 0x7E1D) << 32 | (
        zlib.crc32(name.encode("utf-8", "surrogatepass")) | 1
    )


def prefix_keys(prompt: bytes | memoryview, salt: int = 0) -> tuple[int, ...]:
    """The keys of a prompt, shallow to deep: one for each whole block, a hash of all bytes up to its end.

    A prompt that goes on where this one ends has all of these keys. salt: what keeps tenants apart.
    """
    blocks = min(len(prompt) // BLOCK_BYTES, BLOCKS_MAX)
    if not blocks:
        return ()
    view, low, high, found = memoryview(prompt), salt & 0xFFFFFFFF, salt >> 32, []
    for at in range(0, blocks * BLOCK_BYTES, BLOCK_BYTES):
        block = view[at : at + BLOCK_BYTES]
        low = zlib.crc32(block, low)
        high = zlib.adler32(block, high & 0xFFFFFFFF)
        found.append(high << 32 | low)
    return tuple(found)


def rendezvous(key: int, names: Sequence[int], shares: Sequence[int]) -> list[int]:
    """The places of names in the order in which they win a key: each comes first for its share of all keys, and keeps
    those when others come or go.

    names: a fixed hash of each endpoint, 64 bits. shares: weights, none below zero. Weighted rendezvous hashing
    (Schindelhauer and Schomaker, 2005): ascending by -ln(u) / share, with u in (0, 1] of each pair of key and name.
    """
    log, scores = math.log, []
    for name, share in zip(names, shares, strict=True):
        mixed = (key ^ name) * _MIX & _MASK
        mixed = ((mixed ^ mixed >> 32) * _MIX & _MASK) >> 11
        scores.append(-log((mixed + 1) * _UNIT) / (share or _LEAST_SHARE))
    return sorted(range(len(scores)), key=scores.__getitem__)


class Homes:
    """Where new conversations go: the draw of a ranking, made by name in place of by chance, and remembered by slot.

    Two workers with the same endpoints agree, whatever calls each of them has seen.
    """

    def __init__(self, endpoints: Sequence[str], shares: Sequence[int]) -> None:
        """endpoints: ids. shares: of each, in 2^32."""
        self.endpoints, self.shares = tuple(endpoints), tuple(shares)
        self._names = [zlib.crc32(name.encode()) * _MIX & _MASK for name in endpoints]
        self._slots: dict[int, tuple[int, ...]] = {}

    def of(self, key: int) -> tuple[int, ...]:
        """The places of the endpoints in the order in which they win a key: the first few."""
        slot = (key ^ key >> 29 ^ key >> 47) % SLOTS
        found = self._slots.get(slot)
        if found is None:
            found = self._slots[slot] = tuple(rendezvous(slot * _MIX & _MASK, self._names, self.shares)[:NEXT_MAX])
        return found


def is_full(load: float, share: int, load_of_all: float, unit: float) -> bool:
    """Whether an endpoint has had more than LOAD_FACTOR times its share of all work of late (consistent hashing with
    bounded loads: Mirrokni, Thorup and Zadimoghaddam, 2016).

    share: in 2^32. unit: what a token weighs now. Below LOAD_FREE nobody is full: few calls need not balance.
    """
    return load > LOAD_FREE * unit and load > load_of_all * share * LOAD_FACTOR / (1 << 32)


def work_of(input_tokens: int, output_tokens: int) -> int:
    """What a call is to whoever serves it, in input tokens: an output token takes as long as several of them."""
    return input_tokens + OUTPUT_WEIGHT * output_tokens + 1
