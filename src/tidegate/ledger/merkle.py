"""Merkle trees as in RFC 6962, section 2.1: one hash stands for a list of rows, and a short proof for one of them.

leaf = SHA-256(0x00 || canonical bytes of the row), node = SHA-256(0x01 || left || right); the left subtree holds the
largest power of two of leaves that is smaller than their number; the root of nothing is SHA-256 of nothing.
"""

from collections.abc import Iterable, Sequence
from hashlib import sha256


def leaf_hash(canonical: bytes) -> bytes:
    """The leaf of one row."""
    return sha256(b"\x00" + canonical).digest()


def _node(left: bytes, right: bytes) -> bytes:
    return sha256(b"\x01" + left + right).digest()


def root(leaves: Iterable[bytes]) -> bytes:
    """The root over leaf hashes, in their order. Streams: holds one hash for each level."""
    stack: list[bytes] = []  # roots of full subtrees, larger ones first
    for count, leaf in enumerate(leaves):
        carry, bits = leaf, count
        while bits & 1:
            carry = sha256(b"\x01" + stack.pop() + carry).digest()  # _node, without the call: once a row
            bits >>= 1
        stack.append(carry)
    if not stack:
        return sha256(b"").digest()
    result = stack.pop()
    while stack:
        result = _node(stack.pop(), result)
    return result


def proof(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """The audit path of leaf `index`, from the leaf upwards (RFC 6962, section 2.1.1)."""
    if not 0 <= index < len(leaves):
        raise IndexError(f"leaf {index} of {len(leaves)}")
    if len(leaves) == 1:
        return []
    split = 1 << (len(leaves) - 1).bit_length() - 1
    if index < split:
        return [*proof(leaves[:split], index), root(leaves[split:])]
    return [*proof(leaves[split:], index - split), root(leaves[:split])]


def is_included(leaf: bytes, index: int, size: int, path: Sequence[bytes], expected_root: bytes) -> bool:
    """Whether an audit path leads from the leaf at `index` of `size` leaves to the root (RFC 9162, section 2.1.3.2)."""
    if not 0 <= index < size:
        return False
    position, last, result = index, size - 1, leaf
    for sibling in path:
        if last == 0:
            return False
        if position & 1 or position == last:
            result = _node(sibling, result)
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        else:
            result = _node(result, sibling)
        position, last = position >> 1, last >> 1
    return last == 0 and result == expected_root
