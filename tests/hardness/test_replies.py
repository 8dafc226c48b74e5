"""Replies of providers on the edge of HTTP (`data/replies.yml`): one meaning each, at any cut; h11 agrees."""

import gzip

import pytest

from hardness.corpus import corpus, cuts
from rig.answered import read_by_h11, receive

REPLIES = corpus("replies")


@pytest.mark.parametrize("name", REPLIES)
def test_a_reply_has_one_meaning_however_it_is_cut(name: str) -> None:
    """What was cut off or cannot be trusted is never whole, and its connection never serves another call."""
    entry = REPLIES[name]
    for pieces in cuts(entry["sent"]):
        reply = receive(pieces)
        body = reply.body.decode("latin-1") if reply.ended == "end" else None
        meaning = (reply.status, body, reply.is_kept)
        assert meaning == (entry.get("status", 0), entry.get("body"), entry.get("kept", False)), entry["why"]
        assert reply.ended == "end" or "provider p" in reply.ended, "the error names the provider"


@pytest.mark.parametrize("name", [name for name, entry in REPLIES.items() if "body" in entry])
def test_a_whole_reply_ends_where_h11_sees_its_end(name: str) -> None:
    """Else the rest of one answer would begin the next."""
    entry = REPLIES[name]
    theirs = read_by_h11(entry["sent"])
    assert theirs is not None
    status, body, behind = theirs
    assert (status, body.decode("latin-1")) == (entry["status"], entry["body"])
    assert not (entry.get("kept") and behind.strip(b"\r\n"))


@pytest.mark.parametrize("slow", [True, False])
def test_a_packed_read_is_not_unpacked_for_a_reader_who_does_not_keep_up(slow: bool) -> None:
    """100 MB in 100 kB: who reads them gets them, who does not costs 16 MB and loses his call."""
    packed = gzip.compress(b" " * 100_000_000)
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(packed)
    reply = receive([head, packed], slow=slow)
    assert (reply.ended == "end") is (not slow)
    assert len(reply.body) < 18_000_000 if slow else len(reply.body) == 100_000_000
