"""Targets of HTTP: what callers and providers send, with h11 as the second opinion."""

import re

from fuzz.choices import Choices
from hardness.corpus import corpus
from rig import answered, noted

LONG_CHUNK_SIZE = re.compile(rb"\r\n0{8,}[0-9a-fA-F]+")  # h11 takes 20 digits; zeros in front mean nothing
LENIENT_LINE = re.compile(rb"[A-Z]  |  HTTP/|(?:RTSP|ICE)/")  # `check_line` is certain of a read's first request only
ONE_BY_ONE = re.compile(rb"(?<=.)(?=POST )", re.DOTALL)  # a read for each request of a client that waits
SKIPPED = re.compile(
    rb"HTTP/1\.[01] [0-9]{3} [^\r\n]*[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|(?:^|\n\r?\n)[\r\n]+HTTP/1"
    rb"|\n0+[^\r\n]*\r\n[^\r\n]"
)  # odd bytes in a reason, empty lines before a status, trailers: we drop them, h11 looks into them


def pieces_of(data: bytes, size: int) -> list[bytes]:
    return [data[i : i + size] for i in range(0, len(data), size)]


def listener(data: bytes) -> None:
    """Any bytes of a caller: the same requests and the same refusal at any cut; what is read, h11 reads the same."""
    take = Choices(data)
    size, sent = take.below(60) + 1, take.rest
    verdict = noted.listen([sent])
    if len(verdict.requests) > 1 and LENIENT_LINE.search(sent):
        return
    for pieces, waits in ((pieces_of(sent, size), False), (ONE_BY_ONE.split(sent), True)):
        requests, status = noted.listen(pieces, waits=waits)
        assert requests == verdict.requests
        # Beyond a limit and malformed a few bytes later, a request may be refused for either; and who waits hears no
        # refusal of what stands behind the last request, for by then the connection is closed.
        either = 431 in (status, verdict.status) and status and verdict.status
        assert status == verdict.status or either or (waits and status is None)
    if not LONG_CHUNK_SIZE.search(sent):
        noted.assert_read_alike(sent, verdict.requests)


def upstream(data: bytes) -> None:
    """Any bytes of a provider: the same reply at any cut, one end, and nothing kept whose end h11 sees elsewhere."""
    take = Choices(data)
    size, sent = take.below(60) + 1, take.rest
    whole, cut = answered.receive([sent] if sent else []), answered.receive(pieces_of(sent, size))
    assert (whole.status, whole.headers, whole.ended, whole.is_kept) == (
        cut.status,
        cut.headers,
        cut.ended,
        cut.is_kept,
    )
    assert whole.body == (cut.body[: len(whole.body)] if whole.ended != "end" else cut.body)
    is_packed = b"content-encoding" in sent.lower()
    if whole.ended != "end" or is_packed or LONG_CHUNK_SIZE.search(sent) or SKIPPED.search(sent):
        return
    theirs = answered.read_by_h11(sent)
    assert theirs is not None, "h11 refuses a reply that we took for whole"
    assert theirs[:2] == (whole.status, whole.body)
    assert not whole.is_kept or not theirs[2].strip(b"\r\n"), (
        "a connection with bytes on it would give them to the next call"
    )


KEYED = b"POST /v1/x HTTP/1.1\r\nhost: x\r\nx-api-key: %b\r\ncontent-length: %d\r\n\r\n%b"


def listener_seeds() -> list[bytes]:
    again = b"".join(KEYED % (b"k", len(body), body) for body in (b"abc", b"0123456789", b"a", b"\r\n\r\n"))
    return [b"\x07" + again] + [b"\x07" + entry["sent"][:2000] for entry in corpus("requests").values()]


def upstream_seeds() -> list[bytes]:
    return [b"\x07" + entry["sent"][:2000] for entry in corpus("replies").values()]
