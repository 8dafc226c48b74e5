"""Reading what providers send: one member of a wrong type does not cost the others."""

from typing import Final, Generic, TypeVar

import msgspec
from msgspec import Raw, Struct

from tidegate.wire.unreadable import UNREADABLE

T = TypeVar("T", bound=Struct)

NULL: Final = Raw(b"null")

_members_decoder = msgspec.json.Decoder(dict[str, Raw])


class Lenient(Generic[T]):
    """A decoder of objects all of whose members have defaults."""

    def __init__(self, form: type[T]) -> None:
        self._form = form
        self._decoder = msgspec.json.Decoder(form)
        # Lax ones: 12.0 and "12" are counts.
        self._fields = [
            (field.name, msgspec.json.Decoder(field.type, strict=False)) for field in msgspec.structs.fields(form)
        ]

    def decode(self, raw: bytes | Raw) -> T | None:
        """None where `raw` is no object."""
        try:
            return self._decoder.decode(raw)
        except msgspec.ValidationError:
            return self._decode_members(raw)
        except UNREADABLE:
            return None

    def _decode_members(self, raw: bytes | Raw) -> T | None:
        try:
            members = _members_decoder.decode(raw)
        except UNREADABLE:
            return None
        found = {}
        for name, decoder in self._fields:
            try:
                found[name] = decoder.decode(members[name])
            except (*UNREADABLE, KeyError):
                continue
        return self._form(**found)


def is_said(value: Raw) -> bool:
    return bytes(value) not in (b"", b"null")
