"""Merkle trees against RFC 6962's definition, written out the slow way."""

from hashlib import sha256

from hypothesis import given
from hypothesis import strategies as st

from tidegate.ledger import merkle

leaf_lists = st.lists(st.binary(max_size=8).map(merkle.leaf_hash), max_size=40)


def slow_root(leaves):
    """MTH of RFC 6962, section 2.1, by its recursion."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return sha256(b"\x01" + slow_root(leaves[:split]) + slow_root(leaves[split:])).digest()


@given(leaf_lists)
def test_the_streamed_root_is_that_of_rfc_6962(leaves):
    """Receipts are checked by programs that are not ours."""
    assert merkle.root(iter(leaves)) == slow_root(leaves)


def test_the_root_of_certificate_transparency_test_vectors():
    """Vectors of google/certificate-transparency's merkle tree tests (0, 1 and 8 leaves)."""
    inputs = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
    leaves = [merkle.leaf_hash(bytes.fromhex(text)) for text in inputs]
    assert merkle.root(leaves[:1]).hex() == "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
    assert merkle.root(leaves).hex() == "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"


@given(leaf_lists.filter(bool), st.data())
def test_a_proof_holds_for_its_leaf_and_place_only(leaves, data):
    """A receipt must not prove a row that is not there."""
    index = data.draw(st.integers(0, len(leaves) - 1))
    root, path = merkle.root(leaves), merkle.proof(leaves, index)
    assert merkle.is_included(leaves[index], index, len(leaves), path, root)
    assert not merkle.is_included(merkle.leaf_hash(b"a stranger's row"), index, len(leaves), path, root)
    assert not merkle.is_included(leaves[index], index, len(leaves), [*path, root], root)
    assert not merkle.is_included(leaves[index], len(leaves), len(leaves), path, root)
