"""HTTP/1.1 as the gateway speaks it: a parsed request, and the bytes of replies."""

import functools
from collections.abc import Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

import msgspec

from tidegate.core.errors import GatewayError, error_body

if TYPE_CHECKING:
    from tidegate.accounts.keys import Key
    from tidegate.gateway.upload import Upload

Headers = Mapping[bytes, bytes]  # names in lower case; repeated ones joined with ", "

REASONS: Final = {status.value: status.phrase.encode() for status in HTTPStatus} | {499: b"Client Closed Request"}
JSON: Final = b"application/json"
EVENT_STREAM: Final = b"text/event-stream"
HOP_BY_HOP: Final = frozenset(
    b"connection keep-alive proxy-authenticate proxy-authorization proxy-connection te trailer transfer-encoding "
    b"upgrade".split()
)

_encoder = msgspec.json.Encoder()


class Request:
    """One request, read to its end. `arrived` is monotonic seconds, `arrived_us` UTC microseconds."""

    __slots__ = (
        "arrived",
        "arrived_us",
        "body",
        "complete",
        "headers",
        "is_http_11",
        "keep_alive",
        "key",
        "method",
        "path",
        "query",
        "upload",
    )

    def __init__(self, method: bytes, path: str, query: bytes, headers: dict[bytes, bytes]) -> None:
        self.method = method
        self.path = path
        self.query = query
        self.headers = headers
        self.body = b""
        self.upload: Upload | None = None  # a form with files, in place of the body
        self.key: Key | None = None  # set on requests sent ahead
        self.keep_alive = self.is_http_11 = True
        self.arrived = 0.0
        self.arrived_us = 0
        self.complete = 0.0


def reply_head(
    status: int,
    content_type: bytes,
    length: int | None,
    *,
    extra: bytes = b"",
    keep_alive: bool = True,
    date: bytes = b"",
) -> bytes:
    """Status line and headers. length: bytes of the body; None for a chunked one. extra: whole lines, CR LF each."""
    begin = _reply_begin(status, content_type, date)
    end = b"\r\n" if keep_alive else b"connection: close\r\n\r\n"
    if status in (204, 304):  # RFC 9110, section 8.6: they have no body, and say no length
        return begin + extra + end
    if length is None:
        return b"%btransfer-encoding: chunked\r\n%b%b" % (begin, extra, end)
    return b"%bcontent-length: %d\r\n%b%b" % (begin, length, extra, end)


@functools.lru_cache(maxsize=256)
def _reply_begin(status: int, content_type: bytes, date: bytes) -> bytes:
    """What all replies of one kind begin with, for as long as the date's second lasts."""
    reason = REASONS.get(status, b"Unknown")
    dated = b"date: %b\r\n" % date if date else b""
    return b"HTTP/1.1 %d %b\r\ncontent-type: %b\r\n%b" % (status, reason, content_type, dated)


def error_reply(
    error: GatewayError, body: bytes | None = None, *, extra: bytes = b"", keep_alive: bool, date: bytes
) -> bytes:
    """The whole reply for an error. body: in the caller's dialect; without one, in OpenAI's."""
    if body is None:
        body = _encoder.encode(error_body(error))
    if error.retry_after_s is not None:
        extra += b"retry-after: %d\r\n" % error.retry_after_s
    if error.status == 401:
        extra += b"www-authenticate: Bearer\r\n"
    return reply_head(error.status, JSON, len(body), extra=extra, keep_alive=keep_alive, date=date) + body


def chunk(data: bytes) -> bytes:
    """One chunk of a chunked body."""
    return b"%x\r\n%b\r\n" % (len(data), data)


LAST_CHUNK: Final = b"0\r\n\r\n"


def bearer_token(headers: Headers) -> bytes | None:
    """The caller's key: `Authorization: Bearer`, `x-api-key` or `x-goog-api-key`; None without one."""
    value = headers.get(b"authorization")
    if value is not None:
        scheme, _, token = value.partition(b" ")
        return token.strip() if scheme.lower() == b"bearer" and token.strip() else None
    return headers.get(b"x-api-key") or headers.get(b"x-goog-api-key")
