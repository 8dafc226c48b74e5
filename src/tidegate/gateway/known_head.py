"""The short way of a request: a head like the last one on its connection, but for its length, need not be parsed again.

A client library sends the same header block with every call. The same bytes mean the same request line, the same
headers and the same judgement on them, so only the length and the key's validity are looked at anew. Anything else goes
to the parser, which means the same (`tests/gateway/test_known_head.py`).
"""

import re
import time
from typing import TYPE_CHECKING, Final

from tidegate.gateway.http import Request

if TYPE_CHECKING:
    from tidegate.accounts.keys import Key

_LENGTH: Final = re.compile(rb"\r\ncontent-length:[ \t]*([1-9][0-9]{0,8})\r\n", re.IGNORECASE)
DECIDING: Final = frozenset((b"expect", b"content-encoding", b"upgrade", b"transfer-encoding"))
"""Headers that ask for more than a body of a known length."""


LESSONS_MAX: Final = 3  # heads learnt on one connection: a caller whose heads all differ gains nothing


class KnownHead:
    """What one connection's last head was, and what was made of it. `key`: the one it brought."""

    __slots__ = (
        "_after",
        "_before",
        "_body_bytes_max",
        "_headers",
        "_is_begun",
        "_keys_version",
        "_lessons",
        "_request",
        "key",
        "piece",
    )

    def __init__(self, body_bytes_max: int) -> None:
        self._body_bytes_max = body_bytes_max
        self._before = self._after = b""
        self._headers: dict[bytes, bytes] = {}
        self._request: Request | None = None
        self._keys_version = -1
        self._lessons = LESSONS_MAX
        self.key: Key | None = None
        self.piece = b""  # what was read since a head began; kept until the read in which the head ends is parsed
        self._is_begun = False  # a request began with the first byte of `piece`

    def take(self, data: bytes, *, begins: bool, in_head: bool) -> None:
        """Keep what was read and is about to be parsed. begins: a request, with the first byte of it."""
        if in_head and not begins:
            self.piece += data
        else:
            self.piece, self._is_begun = data, begins

    def read(self, data: bytes, keys_version: int) -> Request | None:
        """The request that `data` is, if it is one whole request with this head, of a key that is still valid."""
        before, after, known = self._before, self._after, self._request
        if known is None or keys_version != self._keys_version or not data.startswith(before):
            return None
        at = len(before)
        end = data.find(b"\r", at, at + 10)
        start = end + len(after)
        if end < 0 or not data.startswith(after, end) or data[at:end] != b"%d" % (len(data) - start):
            return None
        if len(data) - start > self._body_bytes_max:
            return None
        headers = {**self._headers, b"content-length": data[at:end]}
        request = Request(known.method, known.path, known.query, headers)
        request.keep_alive = known.keep_alive
        request.arrived = request.complete = time.monotonic()
        request.arrived_us = time.time_ns() // 1000
        request.body = data[start:]
        return request

    def learn(self, request: Request, key: "Key | None", keys_version: int) -> None:
        """Remember the head of `request`, if it came whole in `piece` and its headers ask for nothing unusual.

        A key that expires is looked at each time, so its requests are not learnt; nor is one that ends its connection.
        """
        data = self.piece
        if (
            not self._is_begun
            or not self._lessons
            or key is None
            or key.expires_us is not None
            or not request.is_http_11
            or not request.keep_alive
        ):
            return
        end = data.find(b"\r\n\r\n")
        found = _LENGTH.search(data, 0, end + 2) if end >= 0 else None
        if found is None or len(data) != end + 4 + int(found[1]) or not DECIDING.isdisjoint(request.headers):
            return
        self._lessons -= 1
        self._before, self._after = data[: found.start(1)], data[found.end(1) : end + 4]
        self._request = Request(request.method, request.path, request.query, {})  # without its body
        self._request.keep_alive = request.keep_alive
        self._headers, self._keys_version, self.key = dict(request.headers), keys_version, key
