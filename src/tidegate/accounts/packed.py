"""Many keys in one read-only block of bytes, found by hash: sorted, and decoded only when a key is used.

    head | records, one after another | fan (where each first two bytes of a hash begin) | entries, sorted by hash

An entry is a hash, and where its record stands.

As a file it is mapped into memory, so that all workers of a machine share its pages and a key that nobody uses costs
no worker anything. Whoever may read the file learns as much as from the database: hashes open nothing.
"""

import mmap
import os
import struct
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from io import BytesIO
from itertools import accumulate
from pathlib import Path
from typing import BinaryIO

import msgspec

HASH_BYTES = 32
FAN = 1 << 16  # first two bytes of a hash
PLACE = struct.Struct(">QI")  # of a record: where it begins, and its bytes
ENTRY_BYTES = HASH_BYTES + PLACE.size
WRITTEN_AT_ONCE = 10_000  # entries
MAGIC = b"tgkeys2\n"
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
        self._entries_at = self._fan_at + 4 * (FAN + 1)
        if magic != MAGIC or len(block) != self._entries_at + ENTRY_BYTES * self.count:
            raise ValueError("not a whole pack")
        self._block = block
        self.head = PackHead(
            database_id=database_id.decode("ascii", "replace"), version=version, changed_sum=changed_sum
        )

    def find(self, hashed: bytes) -> bytes | None:
        """The record of the key with this hash; None for no such key."""
        first = int.from_bytes(hashed[:2])
        low, high = struct.unpack_from("=II", self._block, self._fan_at + 4 * first)
        base, end = self._entries_at, self._entries_at + ENTRY_BYTES * high
        at = self._block.find(hashed, base + ENTRY_BYTES * low, end)
        while at >= 0 and (at - base) % ENTRY_BYTES:  # the same bytes, across two entries
            at = self._block.find(hashed, at + 1, end)
        if at < 0:
            return None
        start, record_bytes = PLACE.unpack_from(self._block, at + HASH_BYTES)
        return bytes(self._block[HEAD.size + start : HEAD.size + start + record_bytes])


def pack_into(file: BinaryIO, head: PackHead, parts: Iterable[Rows]) -> None:
    """Write a pack. parts: a few thousand keys each, in any order; 90 bytes of memory a key while it lasts."""
    file.write(bytes(HEAD.size))
    entries: list[bytes] = []
    records_bytes = changed_sum = 0
    for part in parts:
        hashes, records, changed = zip(*part, strict=True)
        sizes = list(map(len, records))
        starts = accumulate(sizes, initial=records_bytes)
        places = map(PLACE.pack, starts, sizes)
        entries += map(bytes.__add__, hashes, places)
        file.write(b"".join(records))
        records_bytes += sum(sizes)
        changed_sum += sum(changed)
    entries.sort()
    file.write(bytes(-records_bytes % 8))
    file.write(_fan(entries))
    for number in range(0, len(entries), WRITTEN_AT_ONCE):
        file.write(b"".join(entries[number : number + WRITTEN_AT_ONCE]))
    file.seek(0)
    file.write(HEAD.pack(MAGIC, head.database_id.encode(), head.version, changed_sum, len(entries), records_bytes))


def _fan(entries: Sequence[bytes]) -> "array[int]":
    """How many hashes are below each two bytes, and, at the end, how many there are. entries: sorted."""
    firsts = (bisect_left(entries, first.to_bytes(2)) for first in range(FAN))
    return array("I", (*firsts, len(entries)))


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
