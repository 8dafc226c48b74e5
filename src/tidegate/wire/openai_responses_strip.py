"""Thoughts that a conversation brings along from models of other makers, taken out of a Responses request.

A caller who was served by another maker's model holds reasoning items with our carriers. OpenAI cannot decrypt them and
answers with a 400. (A request that is encoded from an `Ask` never holds them.)
"""

from typing import Final

import msgspec
from msgspec import Raw, Struct

from tidegate.wire.carrier import PREFIX
from tidegate.wire.unreadable import UNREADABLE

CARRIER: Final = b'"' + PREFIX.encode()


class _Item(Struct, frozen=True, gc=False):
    type: str | None = None
    encrypted_content: str | None = None


_members_decoder = msgspec.json.Decoder(dict[str, Raw])
_list_decoder = msgspec.json.Decoder(list[Raw])
_item_decoder = msgspec.json.Decoder(_Item)
_encoder = msgspec.json.Encoder()


def without_foreign_thoughts(body: bytes) -> bytes:
    """The request without them; the same bytes where it holds none. Other values keep their bytes."""
    try:
        request = _members_decoder.decode(body)
        items = _list_decoder.decode(request["input"])
        kept = [item for item in items if not _is_foreign(item)]
    except (*UNREADABLE, KeyError):
        return body  # the provider's to judge
    if len(kept) == len(items):
        return body
    request["input"] = Raw(_encoder.encode(kept))
    return _encoder.encode(request)


def _is_foreign(raw: Raw) -> bool:
    try:
        item = _item_decoder.decode(raw)
    except msgspec.ValidationError:
        return False
    return item.type == "reasoning" and (item.encrypted_content or "").startswith(PREFIX)
