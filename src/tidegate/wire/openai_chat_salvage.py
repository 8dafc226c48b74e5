"""What can be read of JSON whose members do not all have the types they should: a wrong one does not cost the rest."""

import typing
from typing import TypeVar

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from tidegate.wire.unreadable import UNREADABLE

S = TypeVar("S", bound=Struct)

_members_decoder = msgspec.json.Decoder(dict[str, Raw])
_items_decoder = msgspec.json.Decoder(list[Raw])


def salvage(data: bytes | Raw, kind: type[S]) -> S | None:
    """A `kind` of those members of a JSON object that fit it, the others at their defaults; None for no object.

    Counts may be written as 12.0 or "12". Every field of `kind` must have a default.
    """
    try:
        members = _members_decoder.decode(data)
    except UNREADABLE:
        return None
    found = {
        field.name: value
        for field in msgspec.structs.fields(kind)
        if field.encode_name in members and (value := _value(members[field.encode_name], field.type)) is not UNSET
    }
    return kind(**found)


def _value(raw: Raw, kind: type) -> object | UnsetType:
    try:
        return msgspec.json.decode(raw, type=kind, strict=False)
    except UNREADABLE:
        pass
    for one in typing.get_args(kind) or (kind,):
        if isinstance(one, type) and issubclass(one, Struct) and (found := salvage(raw, one)) is not None:
            return found
        inner = typing.get_args(one)
        if typing.get_origin(one) is list and isinstance(inner[0], type) and issubclass(inner[0], Struct):
            try:
                items = _items_decoder.decode(raw)
            except UNREADABLE:
                continue
            return [found for item in items if (found := salvage(item, inner[0])) is not None]
    return UNSET
