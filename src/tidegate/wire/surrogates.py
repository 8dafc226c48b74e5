"""Halves of surrogate pairs in JSON, which our decoders refuse: servers that cut text by UTF-16 cut emoji in two."""

import re
from typing import Final

_HALF_BYTES: Final = 6  # of one escape; two make a pair
_ESCAPE: Final = re.compile(
    rb"\\\\|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u[dD][89a-fA-F][0-9a-fA-F]{2}"
)


def without_halves(data: bytes) -> bytes:
    """The same JSON with U+FFFD in place of each half; the same bytes where there is none."""
    if b"\\ud" not in data and b"\\uD" not in data:
        return data
    return _ESCAPE.sub(lambda found: b"\\ufffd" if len(found[0]) == _HALF_BYTES else found[0], data)
