"""The short way of a small reply: one read that holds a whole one, plainly framed, need not go through the parser.

What is not plain (a repeated header, a coding of any kind, a length that is not exactly what came, odd bytes in the
head) is left to the parser, which means the same by the rest (`tests/gateway/test_whole_reply.py`).
"""

from typing import Final

from msgspec import Struct

HEAD_BYTES_MAX: Final = 16 * 1024
_TOKEN: Final = bytes(c for c in range(33, 127) if chr(c) not in '"(),/:;<=>?@[\\]{}')  # RFC 9110, section 5.6.2
_CONTROL: Final = bytes(c for c in (*range(32), 127) if chr(c) != "\t")
_DECIDING: Final = frozenset((b"transfer-encoding", b"content-encoding", b"upgrade", b"trailer"))
NAMES_MAX: Final = 512  # names of headers remembered: providers send the same few all the time
_names: dict[bytes, bytes] = {}
_EMPTY: Final = frozenset((204, 304))  # they have no body, whatever length they say


def _plain_name(name: bytes) -> bytes:
    """A header's name in lower case; empty where it is none, or says how the reply is to be read."""
    plain = name.lower()
    if plain in _DECIDING or plain.translate(None, _TOKEN):
        return b""
    if len(_names) < NAMES_MAX:
        _names[name] = plain
    return plain


class WholeReply(Struct, frozen=True, gc=False):
    status: int
    headers: dict[bytes, bytes]  # names in lower case
    body: bytes


def read_whole(data: bytes) -> WholeReply | None:
    """The reply that `data` is, on a connection that stays open; None where it is not one plain whole reply."""
    end = data.find(b"\r\n\r\n", 0, HEAD_BYTES_MAX)
    if end < 0 or not data.startswith(b"HTTP/1.1 ") or data[12:13] != b" ":
        return None
    head = data[:end]
    if b"hunked" in head:  # a stream, most often: the parser's
        return None
    lines = head.split(b"\r\n")
    if len(head.translate(None, _CONTROL)) != end - 2 * (len(lines) - 1):  # any control but the line ends
        return None
    headers: dict[bytes, bytes] = {}
    del lines[0]
    for line in lines:
        name, colon, value = line.partition(b":")
        name = _names.get(name) or _plain_name(name)
        if not name or name in headers or not colon:
            return None
        headers[name] = value.strip(b" \t")
    status = data[9:12]
    if headers.get(b"content-length") != b"%d" % (len(data) - end - 4) or not status.isdigit():
        return None
    if int(status) < 200 or int(status) in _EMPTY or headers.get(b"connection", b"keep-alive").lower() != b"keep-alive":
        return None
    return WholeReply(int(status), headers, data[end + 4 :])
