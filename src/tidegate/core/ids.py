"""Generation ids: UUIDv7 (RFC 9562) with gateway and worker in the random bits.

Layout of the 74 free bits: 12 of sequence, 16 of gateway, 10 of worker, 36 of randomness. Whoever holds an id can
tell which journal to look in, and ids of one worker sort by time and then by sequence.
"""

import hashlib
from typing import Final, NamedTuple

KEY_PREFIX: Final = "sk-tg-"
"""How our API keys begin. A provider's variable that holds such a key (after `export OPENAI_API_KEY=<ours>`) holds no
key of that provider's, and must not be sent there."""

WORKER_MAX = (1 << 10) - 1
_SEQUENCE_MASK = (1 << 12) - 1
_RANDOM_BITS = 36
_RANDOM_MASK = (1 << _RANDOM_BITS) - 1


class IdParts(NamedTuple):
    """What a generation id says: milliseconds since 1970 (UTC), the gateway's tag, the worker's number."""

    unix_ms: int
    gateway_tag: int
    worker: int


def gateway_tag(gateway_id: str) -> int:
    """16 bits that stand for a gateway's name inside an id."""
    return int.from_bytes(hashlib.sha256(gateway_id.encode()).digest()[:2], "big")


def generation_id(unix_ms: int, sequence: int, tag: int, worker: int, random: int) -> str:
    """A UUIDv7 as text. `sequence` and `random` are cut to their bits; 0 <= worker <= WORKER_MAX."""
    high = 0x8000 | tag >> 2  # the variant, and all of the tag but the two bits that the last group begins with
    low = (tag & 3) << 46 | worker << _RANDOM_BITS | random & _RANDOM_MASK
    return f"{unix_ms >> 16:08x}-{unix_ms & 0xFFFF:04x}-7{sequence & _SEQUENCE_MASK:03x}-{high:04x}-{low:012x}"


def parse_generation_id(text: str) -> IdParts:
    """The parts of an id. Raises ValueError for anything that is not a UUIDv7."""
    digits = text.replace("-", "")
    if len(text) != 36 or len(digits) != 32 or digits[12] != "7":
        raise ValueError(f"{text[:64]!r} is not a generation id (a UUIDv7 such as 0199f3a2-...)")
    low = int(digits[16:], 16)
    return IdParts(int(digits[:12], 16), (low >> 46) & 0xFFFF, (low >> _RANDOM_BITS) & WORKER_MAX)
