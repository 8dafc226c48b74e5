"""The short way of an event from provider to caller: past the parser, the decoder and the transport's queue.

Nearly every read of a stream is one whole HTTP chunk that holds one event like the last, but for its text. Such a read
goes to the caller's socket as it is, framing and all; anything else goes the long way, which means the same.
"""

import asyncio
import os
import re
from collections.abc import Callable
from typing import Any, Final, Protocol

from tidegate.gateway.relay import StreamRelay

LINES: Final = 4096
_ODD = re.compile(rb'["\\\r\n]')  # what makes a second look at a text necessary
_STRING = re.compile(rb'[^"\\\r\n]*(?:\\[^\r\n][^"\\\r\n]*)*')  # what may stand between two quotes of JSON


def _size_line(length: int) -> bytes:
    """The size, in lower-case hexadecimal digits, of a chunk that is `length` bytes long with all its framing."""
    for digits in range(1, 9):
        line = b"%x" % max(length - 4 - digits, 0)
        if len(line) == digits and length > 4 + digits:
            return line
    return b"\n"  # no chunk is as long as this; no line begins so


_SIZE_LINES = [_size_line(length) for length in range(LINES)]


def descriptor_of(transport: asyncio.BaseTransport) -> int:
    """Of the socket that `transport` writes to as it is; -1 where TLS stands between, or where there is none.

    It is the transport's until it has called `connection_lost`; then the kernel may give the number to another.
    """
    socket = transport.get_extra_info("socket")
    return -1 if socket is None or transport.get_extra_info("sslcontext") is not None else int(socket.fileno())


class Caller(Protocol):
    """Where the bytes go. `descriptor` is its socket where bytes may be written beside `transport`, else -1."""

    transport: Any
    descriptor: int


class Clock(Protocol):
    now: float


class Call(Protocol):
    heard: float  # when the short way was last taken, by the clock


def short_way(relay: StreamRelay, caller: Caller, call: Call, clock: Clock) -> Callable[[bytes], bool]:
    """A function that takes a read, if it may go the short way, and says whether it did.

    It may be asked only between two events and two chunks, while the caller is there and the call is not settled.
    """
    queued, write, descriptor = caller.transport.get_write_buffer_size, caller.transport.write, caller.descriptor
    has_odd, is_string, send, decode = _ODD.search, _STRING.fullmatch, os.write, relay.pass_chunk
    before, after = relay.plain
    seen = relay.seen

    def take(data: bytes) -> bool:
        nonlocal before, after
        length = len(data)
        line = _SIZE_LINES[length] if length < LINES else _size_line(length)
        at, end = len(line) + len(before), length - len(after)
        is_alike = data.startswith(line) and data.startswith(before, len(line)) and data.endswith(after) and at <= end
        if not is_alike or (has_odd(data, at, end) and not is_string(data, at, end)):
            passes = decode(data)
            if passes is None:
                return False
            before, after = relay.plain
            if not passes:
                call.heard = clock.now
                return True
        else:
            seen.output_text_bytes += end - at
        call.heard = clock.now
        sent = 0
        if descriptor >= 0 and not queued():
            try:
                sent = send(descriptor, data)
            except OSError:  # full, or broken: the transport knows what to do
                sent = 0
        if sent != length:
            write(data[sent:])
        return True

    return take
