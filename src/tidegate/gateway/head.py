"""What the head of a request must be, beyond what llhttp demands; pure."""

import zlib
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from tidegate.config import Limits
from tidegate.core.errors import (
    HeadersTooLarge,
    InvalidRequest,
    PayloadTooLarge,
    RequestTimeout,
    TooEarly,
    Unauthenticated,
    UnsupportedEncoding,
)
from tidegate.gateway.http import Headers, Request

if TYPE_CHECKING:
    from tidegate.gateway.upload import Upload

SINGLE: Final = frozenset(
    b"host authorization x-api-key x-goog-api-key content-length content-type content-encoding".split()
)
"""Headers that may stand once: two of them are two readings of one request."""

UPGRADE_HEADERS: Final = frozenset((b"upgrade", b"http2-settings", b"connection"))

LENGTH_DIGITS_MAX: Final = 20  # as many as 2^64 has

ACCEPTED_ENCODINGS: Final = frozenset((b"identity", b"gzip", b"x-gzip", b"deflate"))


def split_target(target: bytes, headers: Headers) -> tuple[str, bytes]:
    """Path and query of a request target, origin-form or absolute-form. Raises InvalidRequest."""
    if b"#" in target:
        raise InvalidRequest("The request target holds a fragment (#), which no request may.")
    if target[:1] != b"/":
        target = _origin_form(target, headers)
    path, _, query = target.partition(b"?")
    return path.decode("latin-1"), query


def _origin_form(target: bytes, headers: Headers) -> bytes:
    """The path of an absolute-form target, whose host must be the one in the Host header."""
    try:
        url = urlsplit(target.decode("latin-1"))
    except ValueError:
        raise InvalidRequest("The request target is not a URL.") from None
    host = headers.get(b"host", b"").decode("latin-1")
    if url.scheme not in ("http", "https") or url.netloc.lower() != host.lower():
        raise InvalidRequest("The request target must be a path, or a URL whose host is the Host header's.")
    return (url.path or "/").encode("latin-1") + (b"?" + url.query.encode("latin-1") if url.query else b"")


def is_ignored_upgrade(headers: Headers) -> bool:
    """The caller offers to go on in HTTP/2 (curl --http2, Java's HttpClient) and takes HTTP/1.1 just as well."""
    return headers.get(b"upgrade", b"").strip().lower() == b"h2c"


def without_upgrade(method: bytes, target: bytes, headers: Headers, is_http_11: bool) -> bytes:
    """The head of a request without its offer to change protocols."""
    lines = [b"%b %b HTTP/1.%d" % (method, target, is_http_11)]
    lines += [b"%b: %b" % item for item in headers.items() if item[0] not in UPGRADE_HEADERS]
    if b"close" in headers.get(b"connection", b"").lower():
        lines.append(b"connection: close")
    return b"\r\n".join(lines) + b"\r\n\r\n"


def check_line(read: bytes, method: bytes, target: bytes, version: str) -> None:
    """Raises InvalidRequest for a request line that is not written as RFC 9112, section 3, has it.

    read: the bytes it came in. llhttp takes several spaces before the target, and RTSP's name for HTTP's, and does not
    tell; a proxy before us may have read such a line otherwise. Behind another request in one read the line may stand
    anywhere in it, for where a request begins llhttp does not tell either.
    """
    line = b"%b %b HTTP/%b\r\n" % (method, target, version.encode())
    if not read.startswith(line) and line not in read:
        raise InvalidRequest("The request line must be a method, a target and HTTP/1.1, with one space between them.")


def check_protocol(version: str, *, upgrade: bool) -> None:
    """Raises InvalidRequest for anything but plain HTTP/1.0 and 1.1."""
    if version not in ("1.0", "1.1"):
        raise InvalidRequest(f"HTTP version {version} is not served; send HTTP/1.1.")
    if upgrade:
        raise InvalidRequest("This server does not change protocols; send the request without `Upgrade`.")


def check_headers(headers: Headers, limits: Limits, *, is_http_11: bool) -> None:
    """Raises InvalidRequest, TooEarly, PayloadTooLarge or UnsupportedEncoding for what its headers already forbid."""
    if is_http_11 and b"host" not in headers:
        raise InvalidRequest("The header Host is missing; HTTP/1.1 requires it.")
    if not is_http_11 and b"transfer-encoding" in headers:  # RFC 9112, section 6.1: its framing cannot be trusted
        raise InvalidRequest("HTTP/1.0 has no transfer-encoding; send content-length, or HTTP/1.1.")
    if b"early-data" in headers:  # RFC 8470, section 5.1: any value, and any number of them, means 1
        raise TooEarly(
            "A proxy before this gateway took the request before the TLS handshake was over (Early-Data), where it may "
            "be a replay; a call that costs money is not made on one. Send it again after the handshake."
        )
    length = headers.get(b"content-length")
    if length is not None and len(length) > LENGTH_DIGITS_MAX:  # zeros in front: llhttp takes them, others do not
        raise InvalidRequest(f"The content-length has more than {LENGTH_DIGITS_MAX} digits.")
    if length is not None and int(length) > limits.body_bytes_max:
        raise body_too_large(limits)
    if headers.get(b"transfer-encoding", b"chunked").lower() != b"chunked":
        raise UnsupportedEncoding("The only transfer-encoding that is read is chunked; send content-encoding: gzip.")
    if headers.get(b"content-encoding", b"identity").lower() not in ACCEPTED_ENCODINGS:
        raise UnsupportedEncoding("The request's content-encoding is not supported; send identity, gzip or deflate.")


def take_body(request: Request, body: "list[bytes] | Upload", limits: Limits) -> None:
    """Give a request what came with it. Raises as `decompress` does."""
    if isinstance(body, list):
        request.body = decompress(body[0] if len(body) == 1 else b"".join(body), request.headers, limits)
    else:
        request.upload = body


def decompress(body: bytes, headers: Headers, limits: Limits) -> bytes:
    """The plain body; the limit holds for the decompressed bytes, so a bomb costs no more than a large body."""
    if headers.get(b"content-encoding", b"identity").lower() == b"identity":
        return body
    inflate = zlib.decompressobj(wbits=47)
    try:
        plain = inflate.decompress(body, limits.body_bytes_max + 1)
    except zlib.error:
        raise InvalidRequest("The request body is not what its content-encoding says.") from None
    if len(plain) > limits.body_bytes_max:
        raise body_too_large(limits)
    if not inflate.eof:
        raise InvalidRequest("The compressed request body is cut off.")
    return plain


def body_too_large(limits: Limits) -> PayloadTooLarge:
    return PayloadTooLarge(f"The request body exceeds {limits.body_bytes_max:,} bytes (limits.body_bytes_max).")


def headers_too_large(limits: Limits, count: int = 0) -> HeadersTooLarge:
    if count > limits.header_count_max:
        return HeadersTooLarge(f"More than {limits.header_count_max} headers (limits.header_count_max).")
    return HeadersTooLarge(f"The request's headers exceed {limits.header_bytes_max:,} bytes (limits.header_bytes_max).")


def too_slow(limits: Limits, *, in_headers: bool) -> RequestTimeout:
    if in_headers:
        return RequestTimeout(f"The headers were not complete after {limits.header_s:g} s (limits.header_s).")
    return RequestTimeout(f"The body was not complete after {limits.body_s:g} s (limits.body_s).")


def unauthenticated(token: bytes | None) -> Unauthenticated:
    if token is None:
        return Unauthenticated(
            "No API key was sent. Send `Authorization: Bearer KEY`; `tidegate keys create --name NAME` makes one."
        )
    return Unauthenticated(
        "This API key is not valid here: unknown, expired or revoked. `tidegate keys list` shows all."
    )
