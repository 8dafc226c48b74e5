"""Many keys in one read-only block of bytes, found by hash: sorted, and decoded only when a key is used.

    head | records, one after another | fan (where each first two bytes of a hash begin) | hashes, sorted | ends

As a file it is mapped into memory, so that all workers of a machine share its pages and a key that nobody uses costs
no worker anything. Whoever may read the file learns as much as from the database: hashes open nothing.
"""

import mmap
import os
import struct
import sys
from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from io import BytesIO
from itertools import accumulate, islice
from pathlib import Path
from typing import BinaryIO

import msgspec

HASH_BYTES = 32
FAN = 1 << 16  # first two bytes of a hash
MAGIC = b"tgkeys1\n"
HEAD = struct.Struct("=8s32sQQQQ")  # in the machine's own byte order: a pack is never carried elsewhere


Rows = Sequence[tuple[bytes, bytes, int]]
"""Keys on their way into a pack: hash, record, the version that changed it last."""


class PackHead(msgspec.Struct, frozen=True, kw_only=True):
    """What a pack is of: a database, at a version. `changed_sum`: of the versions of its keys, filled in by packing."""

    database_id: str
    version: int
    changed_sum: int = 0


class Pack:
    """Finds records by hash, in memory or in a mapped file."""

    def __init__(self, block: "bytes | mmap.mmap") -> None:
        """Raises ValueError for a block that is none."""
        if len(block) < HEAD.size:
            raise ValueError("too short")
        magic, database_id, version, changed_sum, self.count, records_bytes = HEAD.unpack_from(block)
        self._fan_at = HEAD.size + records_bytes + -records_bytes % 8
        self._hashes_at = self._fan_at + 4 * (FAN + 1)
        self._ends_at = self._hashes_at + HASH_BYTES * self.count
        if magic != MAGIC or len(block) != self._ends_at + 8 * self.count:
            raise ValueError("not a whole pack")
        self._block = block
        self.head = PackHead(
            database_id=database_id.decode("ascii", "replace"), version=version, changed_sum=changed_sum
        )

    def find(self, hashed: bytes) -> bytes | None:
        """The record of the key with this hash; None for no such key."""
        first = int.from_bytes(hashed[:2])
        low, high = struct.unpack_from("=II", self._block, self._fan_at + 4 * first)
        base, end = self._hashes_at, self._hashes_at + HASH_BYTES * high
        at = self._block.find(hashed, base + HASH_BYTES * low, end)
        while at >= 0 and (at - base) % HASH_BYTES:  # the same bytes, across two hashes
            at = self._block.find(hashed, at + 1, end)
        if at < 0:
            return None
        number = (at - base) // HASH_BYTES
        start = self._end(number - 1) if number else 0
        return bytes(self._block[HEAD.size + start : HEAD.size + self._end(number)])

    def _end(self, number: int) -> int:
        end: int = struct.unpack_from("=Q", self._block, self._ends_at + 8 * number)[0]
        return end


def pack_into(file: BinaryIO, head: PackHead, parts: Iterable[Rows]) -> None:
    """Write a pack. parts: ascending by hash, a few thousand keys each; 50 bytes of memory a key while it lasts."""
    file.write(bytes(HEAD.size))
    hashes, ends = bytearray(), array("Q", (0,))
    changed_sum = 0
    for part in parts:
        keys, records, changed = zip(*part, strict=True)
        hashes += b"".join(keys)
        ends.extend(islice(accumulate(map(len, records), initial=ends[-1]), 1, None))
        file.write(b"".join(records))
        changed_sum += sum(changed)
    records_bytes = ends[-1]
    file.write(bytes(-records_bytes % 8))
    file.write(_fan(hashes))
    file.write(hashes)
    file.write(ends[1:])
    file.seek(0)
    file.write(HEAD.pack(MAGIC, head.database_id.encode(), head.version, changed_sum, len(ends) - 1, records_bytes))


def _fan(hashes: bytearray) -> "array[int]":
    """How many hashes begin with less than each two bytes, and, at the end, how many there are."""
    firsts = bytearray(len(hashes) // HASH_BYTES * 2)
    firsts[0::2], firsts[1::2] = hashes[0::HASH_BYTES], hashes[1::HASH_BYTES]
    numbers = array("H", bytes(firsts))
    if sys.byteorder == "little":
        numbers.byteswap()
    counts = Counter(numbers)
    return array("I", accumulate((counts[first] for first in range(FAN)), initial=0))


def pack_in_memory(head: PackHead, parts: Iterable[Rows]) -> Pack:
    file = BytesIO()
    pack_into(file, head, parts)
    return Pack(file.getvalue())


def pack_in_file(path: Path, head: PackHead, parts: Iterable[Rows]) -> Pack:
    """Write a pack that takes the place of the file whole, or not at all. Raises OSError."""
    new = path.with_name(path.name + ".new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600), "w+b", buffering=1 << 20) as file:
        pack_into(file, head, parts)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
    made = open_pack(path)
    assert made is not None
    return made


def open_pack(path: Path) -> Pack | None:
    """The pack in a file; None where there is none, or nothing that this release wrote whole."""
    try:
        with path.open("rb") as file:
            return Pack(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    except (FileNotFoundError, ValueError, struct.error):
        return None
