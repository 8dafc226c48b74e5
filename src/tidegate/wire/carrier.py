"""Seals of one maker, carried through a dialect of another: the caller keeps a string that it cannot read, as it would
the maker's own, and sends it back, and the seal reaches its maker again.

A carrier is `tg1.` and base64url (unpadded) of JSON `{"o": origin, "s": signature, "c": call_id, "i": item_id}`; a
member that is empty is null. `"r": true` is added where what is carried is a redacted thought, not a seal. It is not
secret and not signed: it says only what the caller could have said itself.
"""

import base64
import binascii
from typing import Final, get_args

import msgspec
from msgspec import UNSET, Struct, UnsetType

from tidegate.wire.conversation import Origin

PREFIX: Final = "tg1."
_ORIGINS: Final = frozenset(get_args(Origin))


class Carried(Struct, frozen=True):
    """`call_id`: the tool call that the seal belongs to. `item_id`: the name of its item in Responses."""

    origin: Origin
    signature: str
    call_id: str = ""
    item_id: str = ""
    is_redacted: bool = False


class _Packed(Struct, frozen=True):
    o: str
    s: str
    c: str | None = None
    i: str | None = None
    r: bool | UnsetType = UNSET


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(_Packed)


def pack(origin: Origin, signature: str, call_id: str = "", item_id: str = "", *, is_redacted: bool = False) -> str:
    """The carrier of a seal, or of a redacted thought.

    An empty `signature` is carried too: Responses' items have names without a seal.
    """
    packed = _encoder.encode(_Packed(origin, signature, call_id or None, item_id or None, is_redacted or UNSET))
    return PREFIX + base64.urlsafe_b64encode(packed).decode().rstrip("=")


def unpack(text: str) -> Carried | None:
    """What `pack` was given; None where `text` is no carrier, or a damaged one, which nobody can read."""
    if not text.startswith(PREFIX):
        return None
    packed = text[len(PREFIX) :]
    try:
        found = _decoder.decode(base64.b64decode(packed + "=" * (-len(packed) % 4), altchars=b"-_", validate=True))
    except (binascii.Error, ValueError, RecursionError):  # msgspec's errors and UnicodeDecodeError are ValueErrors
        return None
    if found.o not in _ORIGINS:
        return None
    return Carried(found.o, found.s, found.c or "", found.i or "", found.r is True)  # type: ignore[arg-type]  # an Origin
