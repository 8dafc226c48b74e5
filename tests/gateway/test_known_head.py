"""A head like the last one on its connection is not parsed again, and means what the parser says it means."""

import itertools
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tidegate.config import Limits
from tidegate.gateway.http import Request
from tidegate.gateway.listener import ClientConnection

HEADS = [
    b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %b\r\nContent-Length: %d\r\n\r\n",
    b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer %b\r\ncontent-length:%d\r\nx-a: 1\r\n\r\n",
    b"POST /api/v1/messages?a=b HTTP/1.1\r\nhost: x\r\nx-api-key: %b\r\nCONTENT-LENGTH: 0%d\r\n\r\n",
    b"POST /v1/x HTTP/1.1\r\nhost: x\r\nx-api-key: %b\r\nconnection: close\r\ncontent-length: %d\r\n\r\n",
    b"POST /v1/x HTTP/1.0\r\nx-api-key: %b\r\ncontent-length: %d\r\n\r\n",
    b"POST /v1/x HTTP/1.1\r\nhost: x\r\nx-api-key: %b\r\nexpect: 100-continue\r\ncontent-length: %d\r\n\r\n",
    b"POST /v1/x HTTP/1.1\r\nhost: x\r\nx-api-key: %b\r\ncontent-length: %d\r\ntransfer-encoding: identity\r\n\r\n",
    b"POST /v1/x HTTP/1.1\r\nhost: x\r\nx-api-key: %b\r\ncontent-length: %d\r\ncontent-length: 3\r\n\r\n",
    b"GET /v1/models HTTP/1.1\r\nhost: x\r\nx-api-key: %b\r\n\r\n",
]
BODIES = [b"", b"a", b"abc", b"0123456789", b"x" * 150, b"\r\n\r\n", b"y" * 300]


class Key:
    tenant_id, expires_us = "t", None


class Ring:
    version = 1

    def find(self, token: bytes) -> Key | None:
        return Key() if token == b"good" else None


class Server:
    """As much of a server as listening needs. The body limit is 200 bytes."""

    def __init__(self) -> None:
        self.limits, self.connections, self.date, self.keys = Limits(body_bytes_max=200), set(), b"", Ring()
        self.totals, self.forwarders, self.is_draining = self, self, False
        self.unparsable = self.unauthenticated = 0

    def trusts(self, _: str) -> bool:
        return False

    def needs_key(self, path: str, _: object) -> bool:
        return path.startswith("/v1")

    def call_of(self, *_: object) -> None:
        return None

    def upload_for(self, *_: object) -> None:
        return None


class Wire:
    def __init__(self) -> None:
        self.out: list[bytes] = []

    def write(self, data: bytes) -> None:
        self.out.append(data)

    def get_extra_info(self, name: str) -> Any: ...
    def set_write_buffer_limits(self, high: int) -> None: ...
    def is_closing(self) -> bool:
        return False

    def can_write_eof(self) -> bool:
        return False

    def close(self) -> None: ...
    def abort(self) -> None: ...


class Listener(ClientConnection):
    """Notes what would be served."""

    def __init__(self, *, learns: bool) -> None:
        super().__init__(Server())  # type: ignore[arg-type]
        self.served: list[tuple[object, ...]] = []
        self.parsed = 0
        if not learns:
            self._known._lessons = 0
        self.connection_made(Wire())  # type: ignore[arg-type]

    def _feed(self, data: bytes) -> None:
        self.parsed += 1
        super()._feed(data)

    def _serve(self, request: Request, key: Any) -> None:
        assert request.complete >= request.arrived > 0
        assert request.arrived_us > 0
        facts = request.method, request.path, request.query, dict(request.headers), request.body
        self.served.append((*facts, request.keep_alive, request.is_http_11, key is not None))


def listen(pieces: list[bytes], *, learns: bool) -> Listener:
    listener = Listener(learns=learns)
    for piece in pieces:
        listener.data_received(piece)
    return listener


def request(head: bytes, token: bytes, body: bytes) -> bytes:
    return (head % (token, len(body)) if b"%d" in head else head % token) + body


REQUESTS = st.builds(request, st.sampled_from(HEADS), st.sampled_from([b"good", b"bad"]), st.sampled_from(BODIES))


@given(st.lists(REQUESTS | st.sampled_from([b"nonsense\r\n\r\n", b"\r\n"]), max_size=6), st.lists(st.integers(0, 900)))
def test_a_known_head_means_what_the_parser_says(requests: list[bytes], cuts: list[int]) -> None:
    """Whole requests, halves, several at once, refused ones: the same is served and the same is answered."""
    data = b"".join(requests)
    ends = itertools.accumulate(map(len, requests), initial=0)
    edges = sorted({0, len(data), *ends} if not cuts else {0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    pieces = [data[start:end] for start, end in itertools.pairwise(edges)]
    quick, slow = listen(pieces, learns=True), listen(pieces, learns=False)
    assert quick.served == slow.served
    assert quick.transport.out == slow.transport.out


def test_a_client_that_repeats_itself_is_parsed_once() -> None:
    """Otherwise the short way would be short for nobody."""
    pieces = [request(HEADS[0], b"good", b"x" * size) for size in (5, 7, 120, 9)]
    assert listen(pieces, learns=True).parsed == 1
    assert len(listen(pieces, learns=True).served) == 4


def test_a_key_is_looked_at_again_when_keys_have_changed() -> None:
    """A revoked key ends with the next look at the keys, on a kept connection too."""
    listener = listen([request(HEADS[0], b"good", b"a")], learns=True)
    ring = listener.server.keys
    ring.version, ring.find = 2, lambda token: None  # type: ignore[assignment, method-assign, misc]
    listener.data_received(request(HEADS[0], b"good", b"b"))
    assert len(listener.served) == 1
    assert listener.transport.out[-1].startswith(b"HTTP/1.1 401 ")
