"""A form with files (`multipart/form-data`, RFC 7578), read in passing: its short fields, and where one of them stands.

Bytes in, facts out; the files pass unread and unkept. A form that two readers could cut differently is refused, since
the model that is charged must be the model that is served: a boundary that does not begin a line, a line end without
CR, a part named twice over.
"""

import re
from typing import Final

from msgspec import Struct

from tidegate.core.errors import InvalidRequest

HEAD_BYTES_MAX: Final = 16 * 1024  # of one part
VALUE_BYTES_MAX: Final = 4 * 1024  # of a field that is kept; of a longer one, its length
PARTS_MAX: Final = 1000

_BOUNDARY: Final = re.compile(rb';[ \t]*boundary=(?:"([^"]*)"|([^\s";,]+))', re.IGNORECASE)
_ALLOWED: Final = re.compile(rb"[0-9A-Za-z'()+_,\-./:=? ]{0,69}[0-9A-Za-z'()+_,\-./:=?]")
_DISPOSITION: Final = re.compile(rb"content-disposition:[ \t]*form-data[ \t]*((?:;.*)?)", re.IGNORECASE)
_NAME: Final = re.compile(rb';[ \t]*name=(?:"((?:[^"\\]|\\.)*)"|([^\s";]+))', re.IGNORECASE)
_FILE: Final = re.compile(rb";[ \t]*filename\*?=", re.IGNORECASE)
_ODD_LINE: Final = re.compile(rb"(?<!\r)\n|\r(?!\n)")


def is_form(content_type: bytes) -> bool:
    return content_type[:19].lower() == b"multipart/form-data"


def boundary_of(content_type: bytes) -> bytes:
    """Raises InvalidRequest where a form says none, two, or one that no form may have."""
    found = _BOUNDARY.findall(content_type)
    boundary: bytes = (found[0][0] or found[0][1]) if len(found) == 1 else b""
    if not _ALLOWED.fullmatch(boundary):
        raise InvalidRequest(
            "The content-type multipart/form-data must name one boundary of 1 to 70 characters, as RFC 2046 has them."
        )
    return boundary


class Value(Struct, frozen=True):
    """A short field. `start`, `end`: where its value stands in the form."""

    text: str
    start: int
    end: int


class FormReader:
    """Reads one form.

    `fields`: short ones by name, each that is no file; what comes twice keeps its first, except `single`, which may
    not. `long_fields`: bytes of those that were too long to keep. `file_bytes`: of all files together. `file_head`:
    the first bytes of the first file. `begin`: where the first boundary stands. `is_done`: the last one was read.
    """

    def __init__(self, boundary: bytes, *, single: frozenset[str] = frozenset(("model",))) -> None:
        self.boundary = boundary
        self.fields: dict[str, Value] = {}
        self.long_fields: dict[str, int] = {}
        self.file_bytes = 0
        self.file_head = b""
        self.begin = 0
        self.is_done = False
        self._mark, self._single = b"--" + boundary, single
        self._buffer = bytearray(b"\r\n")  # the first boundary begins a line like any other
        self._at = -2  # place of the buffer in the form
        self._in_head = self._is_file = False
        self._name: str | None = None  # None: before the first part, or a part whose content nobody needs
        self._value = bytearray()
        self._length = self._start = self._parts = 0

    def feed(self, data: bytes) -> None:
        """Raises InvalidRequest for what is no form."""
        self._buffer += data
        while not self.is_done and (self._read_head() if self._in_head else self._read_content()):
            pass
        if self.is_done:
            if self._mark in self._buffer:
                raise _refusal("a boundary follows the last one")
            del self._buffer[: 1 - len(self._mark)]

    def finish(self) -> None:
        """Raises InvalidRequest where the form is cut off."""
        if not self.is_done:
            raise _refusal("it ends before its last boundary")

    def _read_content(self) -> bool:
        """Up to the next boundary; False where more bytes are needed."""
        mark, buffer = self._mark, self._buffer
        at = buffer.find(mark)
        if at < 0:
            self._pass(max(len(buffer) - len(mark) - 2, 0))
            return False
        if buffer[max(at - 2, 0) : at] != b"\r\n":
            raise _refusal("its boundary stands inside a part")
        tail = at + len(mark)
        if len(buffer) < tail + 2:
            return False
        self._pass(at - 2)
        self._end_part()
        tail -= at - 2
        if buffer[tail : tail + 2] == b"--":
            self._drop(tail)
            self.is_done = True
        elif buffer[tail : tail + 2] == b"\r\n":
            self._drop(tail)  # the line end stays: it begins the head
            self._in_head = True
        else:
            raise _refusal("its boundary does not end its line")
        return True

    def _read_head(self) -> bool:
        end = self._buffer.find(b"\r\n\r\n")
        if max(end, 0) > HEAD_BYTES_MAX or (end < 0 and len(self._buffer) > HEAD_BYTES_MAX):
            raise _refusal(f"the head of a part exceeds {HEAD_BYTES_MAX} bytes")
        if end < 0:
            return False
        head = bytes(self._buffer[: end + 2])
        self._parts += 1
        if self._parts > PARTS_MAX:
            raise _refusal(f"it has more than {PARTS_MAX} parts")
        if _ODD_LINE.search(head) or self._mark in head:
            raise _refusal("the head of a part has a line end without CR, or a boundary in it")
        self._begin_part(head)
        self._drop(end + 2 if end else 2)  # the line end before the content stays, as one before a boundary
        self._start = self._at + 2
        self._in_head = False
        return True

    def _begin_part(self, head: bytes) -> None:
        lines = [line for line in head.split(b"\r\n") if line]
        found = [match for line in lines if (match := _DISPOSITION.fullmatch(line))]
        names = _NAME.findall(found[0][1]) if len(found) == 1 else []
        if len(names) != 1:
            raise _refusal("a part must have one content-disposition, form-data, with one name")
        self._is_file = _FILE.search(found[0][1]) is not None
        self._name = (names[0][0] or names[0][1]).decode("utf-8", "replace")
        if self._name in self._single and (self._name in self.fields or self._name in self.long_fields):
            raise InvalidRequest(f"The form has the field {self._name} twice.", param=self._name)
        self._value.clear()
        self._length = -2  # the line end that belongs to the head

    def _pass(self, count: int) -> None:
        """So many bytes of content."""
        if count <= 0:
            return
        if self._name is not None:
            self._length += count
            room = VALUE_BYTES_MAX + 2 - len(self._value)
            if room > 0:
                self._value += self._buffer[: min(count, room)]
        self._drop(count)

    def _drop(self, count: int) -> None:
        del self._buffer[:count]
        self._at += count

    def _end_part(self) -> None:
        name, length = self._name, max(self._length, 0)
        if name is None:
            self.begin = self._at + 2
        elif self._is_file:
            self.file_head = self.file_head or bytes(self._value[2:])
            self.file_bytes += length
        elif length > VALUE_BYTES_MAX:
            self.long_fields.setdefault(name, length)
        elif name not in self.fields:
            text = bytes(self._value[2:]).decode("utf-8", "replace")
            self.fields[name] = Value(text, self._start, self._start + length)
        self._name = None


def field_part(boundary: bytes, name: str, value: bytes) -> bytes:
    """A part that may stand before the first boundary of a form."""
    return b'--%b\r\nContent-Disposition: form-data; name="%b"\r\n\r\n%b\r\n' % (boundary, name.encode(), value)


def _refusal(why: str) -> InvalidRequest:
    return InvalidRequest(f"The request body is not a form (multipart/form-data) that can be read: {why}.")
