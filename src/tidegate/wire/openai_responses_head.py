"""OpenAI Responses: what the gateway reads of any request, and the one edit that a relay makes.

We keep no conversations: a request that rests on what a provider stored (an earlier response, a conversation, an item
by its id) or that is answered later (`background`) is refused, also where the provider could serve it. Such ids are
of the operator's account, so one caller would read what another wrote; and an answer that comes later is not metered.
"""

import re
from typing import Final

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from tidegate.core.errors import InvalidRequest
from tidegate.wire.dialect import Head, Pieces
from tidegate.wire.openai_responses_lenient import NULL, is_said
from tidegate.wire.openai_responses_strip import CARRIER, without_foreign_thoughts
from tidegate.wire.routing_ask import ABSENT, routing_of
from tidegate.wire.unreadable import UNREADABLE, refuse_body

_INPUT: Final = re.compile(rb'"input"[ \t\r\n]*:[ \t\r\n]*')
_MODEL: Final = re.compile(rb'"model"[ \t\r\n]*:[ \t\r\n]*')
_DECIDING: Final = re.compile(rb'"(?:model|stream|input|previous_response_id|conversation|background)"')
_ESCAPED_KEY: Final = re.compile(rb"\\u00[567]")  # a letter of a key written as an escape


class ResponsesHead(Head, frozen=True, gc=False):
    """`bulk`: where the value of `input` stands in the body; (0, 0) where that is in doubt.

    `has_thoughts`: the conversation holds reasoning items.
    """

    bulk: tuple[int, int] = (0, 0)
    has_thoughts: bool = False


class Stored(Struct, frozen=True, gc=False, kw_only=True):
    """The members that lean on what a provider keeps, as they came."""

    previous_response_id: Raw = NULL
    conversation: Raw = NULL
    background: Raw = NULL
    input: Raw = NULL


class _Wire(Stored, frozen=True, gc=False, kw_only=True):
    model: str
    stream: bool | None = None
    tools: list[Raw] | None = None
    user: str | None = None
    safety_identifier: str | None = None
    session_id: str | None = None
    provider: Raw = ABSENT
    models: Raw = ABSENT
    route: Raw = ABSENT
    fallbacks: Raw = ABSENT
    prompt_cache_key: Raw = ABSENT


class _Deciding(Stored, frozen=True, gc=False, kw_only=True):
    """The members of `_Wire` without which no call can be made."""

    model: str
    stream: bool | None = None
    provider: Raw = ABSENT
    models: Raw = ABSENT
    route: Raw = ABSENT
    fallbacks: Raw = ABSENT
    prompt_cache_key: Raw = ABSENT


class _Item(Struct, frozen=True, gc=False):
    type: str | None = None
    role: str | UnsetType | None = UNSET


_wire_decoder = msgspec.json.Decoder(_Wire)
_deciding_decoder = msgspec.json.Decoder(_Deciding)
_items_decoder = msgspec.json.Decoder(list[_Item])
_members_decoder = msgspec.json.Decoder(dict[str, Raw])
_encoder = msgspec.json.Encoder()


def decode_head(body: bytes) -> Head:
    """Read the head of a request body. Raises InvalidRequest naming the place and what was expected."""
    try:
        try:
            found: _Wire = _wire_decoder.decode(body)
        except msgspec.ValidationError:
            # What only the row would have told (`user`, `tools`, ...) is the provider's to judge.
            least = _deciding_decoder.decode(body)
            found = _Wire(
                model=least.model,
                stream=least.stream,
                input=least.input,
                previous_response_id=least.previous_response_id,
                conversation=least.conversation,
                background=least.background,
                provider=least.provider,
                models=least.models,
                route=least.route,
                fallbacks=least.fallbacks,
                prompt_cache_key=least.prompt_cache_key,
            )
        has_thoughts = refuse_stored(found)
    except UNREADABLE as error:
        refuse_body(error, "Responses request")
    return ResponsesHead(
        model=found.model,
        is_stream=found.stream is True,
        tools_offered=len(found.tools or ()),
        user=found.user or found.safety_identifier or "",
        session_id=found.session_id or "",
        routing=routing_of(found),
        bulk=_bulk_of(body, found.input),
        has_thoughts=has_thoughts,
    )


def _bulk_of(body: bytes, value: Raw) -> tuple[int, int]:
    found = _INPUT.search(body)
    if found is None or value is NULL or not body.startswith(value, found.end()):
        return (0, 0)
    return (found.end(), found.end() + len(memoryview(value)))


def refuse_stored(stored: Stored) -> bool:
    """Whether the conversation holds reasoning items.

    Raises InvalidRequest where a request leans on what a provider keeps. DecodeError: `input` is not JSON.
    """
    if is_said(stored.previous_response_id):
        raise InvalidRequest(
            "previous_response_id: this gateway keeps no responses. Send the whole conversation in `input`, "
            "with the items of the earlier output.",
            param="previous_response_id",
        )
    if is_said(stored.conversation):
        raise InvalidRequest(
            "conversation: this gateway keeps no conversations. Send the items in `input`.", param="conversation"
        )
    if bytes(stored.background) not in (b"null", b"false"):
        raise InvalidRequest(
            "background: this gateway answers a request at once; leave `background` out.", param="background"
        )
    items = bytes(stored.input)
    return items.startswith(b"[") and _refuse_references(items)


def _refuse_references(items: bytes) -> bool:
    try:
        found = _items_decoder.decode(items)
    except msgspec.ValidationError as error:
        raise InvalidRequest(f"The request body is not a Responses request: input: {error}.", param="input") from None
    for index, item in enumerate(found):
        # An item without a type is a message, which has a role, or else a reference.
        if item.type == "item_reference" or (not item.type and not item.role):
            raise InvalidRequest(
                f"input[{index}] refers to a stored item; this gateway keeps none. Send the item itself.",
                param=f"input[{index}]",
            )
    return any(item.type == "reasoning" for item in found)


def edit_request(body: bytes, head: Head, upstream_model: str) -> Pieces:
    """The request as the provider gets it: its model's name; all other bytes stay, without a copy where it is safe.

    Thoughts of other makers are left out.
    """
    if isinstance(head, ResponsesHead) and head.has_thoughts and CARRIER in body:
        body = without_foreign_thoughts(body)
        return (_rebuilt(body, upstream_model),)
    place = _model_place(body, head)
    if place is None:
        return (_rebuilt(body, upstream_model),)
    if head.model == upstream_model:
        return (body,)
    view = memoryview(body)
    return (view[: place[0]], _encoder.encode(upstream_model), view[place[1] :])


def _model_place(body: bytes, head: Head) -> tuple[int, int] | None:
    """Where the model's name stands, quotes included; None where the bytes leave a doubt.

    A key that comes twice is one thing to us and may be another to the provider: what would be served is not what
    would be charged. So outside of `input` every key that decides must be there once at most, and spelt out.
    """
    start, end = head.bulk if isinstance(head, ResponsesHead) else (0, 0)
    rest = body[:start] + body[end:]
    keys = _DECIDING.findall(rest)
    if len(keys) != len(set(keys)) or _ESCAPED_KEY.search(rest):
        return None
    key = _MODEL.search(rest)
    asked = _encoder.encode(head.model)
    if key is None or not rest.startswith(asked, key.end()):
        return None
    place = key.end() + (end - start if key.end() > start else 0)
    return place, place + len(asked)


def _rebuilt(body: bytes, upstream_model: str) -> bytes:
    """The object anew, each value as its raw bytes, each key once."""
    try:
        members = _members_decoder.decode(body)
    except UNREADABLE as error:
        refuse_body(error, "Responses request")
    members["model"] = Raw(_encoder.encode(upstream_model))
    return _encoder.encode(members)
