"""Framing of AWS's binary event stream (`application/vnd.amazon.eventstream`): bytes in, whole messages out.

A message is: its length and the length of its headers (4 bytes each, big endian), a CRC-32 of those eight bytes, the
headers, the payload, and a CRC-32 of all before it. A header is a name, a type and a value; all that AWS uses to say
what a message is are strings.
"""

import zlib
from struct import Struct as Packed
from typing import Final

from msgspec import Struct

from tidegate.core.errors import UpstreamError

_PRELUDE: Final = Packed(">III")
_CRC: Final = Packed(">I")
_OVERHEAD_BYTES: Final = _PRELUDE.size + _CRC.size
_WIDTH: Final = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}  # of values with a fixed length, by type
_BYTES, _STRING = 6, 7  # a length of two bytes in front


class Message(Struct, frozen=True, gc=False):
    """`headers`: those whose value is a string."""

    headers: dict[str, str]
    payload: bytes


class MessageFramer:
    """Cuts a stream into messages. One per stream; `feed` may be called with any cut of the bytes."""

    __slots__ = ("_buffer", "_event_bytes_max", "_need")

    def __init__(self, event_bytes_max: int) -> None:
        self._event_bytes_max = event_bytes_max
        self._buffer = bytearray()
        self._need = _PRELUDE.size  # bytes the buffer must hold before there is something new to know

    @property
    def is_empty(self) -> bool:
        """Every message that was begun has ended."""
        return not self._buffer

    def feed(self, data: bytes) -> list[Message]:
        """The messages that `data` completes.

        Raises UpstreamError for a message above `event_bytes_max`, a wrong checksum, or headers that make no sense.
        """
        buffer = self._buffer
        buffer += data
        if len(buffer) < self._need:
            return []
        messages, start = [], 0
        while len(buffer) - start >= _PRELUDE.size:
            length, header_bytes, prelude_crc = _PRELUDE.unpack_from(buffer, start)
            self._check_prelude(buffer, start, prelude_crc, length, header_bytes)
            if len(buffer) - start < length:
                self._need = length
                break
            messages.append(_message(bytes(buffer[start : start + length]), header_bytes))
            start += length
            self._need = _PRELUDE.size
        del buffer[:start]
        return messages

    def _check_prelude(self, buffer: bytearray, start: int, crc: int, length: int, header_bytes: int) -> None:
        if zlib.crc32(buffer[start : start + 8]) != crc:
            raise UpstreamError(
                "the provider's event stream is damaged (checksum of a message's length); "
                "is it speaking AWS's event stream?"
            )
        if length > self._event_bytes_max:
            raise UpstreamError(
                f"the provider's event stream holds a message of {length} bytes, "
                f"more than {self._event_bytes_max} (limits.event_bytes_max)"
            )
        if length < _OVERHEAD_BYTES + header_bytes:
            raise UpstreamError(
                f"the provider's event stream has lengths that contradict each other: {length} bytes, "
                f"of which {header_bytes} are headers"
            )


def _message(whole: bytes, header_bytes: int) -> Message:
    if zlib.crc32(memoryview(whole)[:-4]) != _CRC.unpack_from(whole, len(whole) - 4)[0]:
        raise UpstreamError("the provider's event stream is damaged (checksum of a message)")
    headers_end = _PRELUDE.size + header_bytes
    return Message(_headers(whole[_PRELUDE.size : headers_end]), whole[headers_end:-4])


def _headers(packed: bytes) -> dict[str, str]:
    headers = {}
    place = 0
    try:
        while place < len(packed):
            name_end = place + 1 + packed[place]
            name, kind = packed[place + 1 : name_end], packed[name_end]
            place = name_end + 1
            if kind in _WIDTH:
                place += _WIDTH[kind]
            elif kind in (_BYTES, _STRING):
                value_start = place + 2
                place = value_start + (packed[place] << 8 | packed[place + 1])
                if kind == _STRING and place <= len(packed):
                    headers[str(name, "utf-8")] = str(packed[value_start:place], "utf-8")
            else:
                raise UpstreamError(f"the provider's event stream has a header of type {kind}, which nobody knows")
    except IndexError:
        place = len(packed) + 1
    except UnicodeDecodeError:
        raise UpstreamError("the provider's event stream has a header that is not UTF-8") from None
    if place > len(packed):
        raise UpstreamError("the provider's event stream ends inside a header")
    return headers
