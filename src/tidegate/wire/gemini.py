"""Google's Gemini API (`generateContent`, `streamGenerateContent`), as callers and as providers speak it; Vertex AI's
form of it is the same.

The model and whether to stream stand in the path (`gemini_path.parse_path`), so a head and an ask are completed by
`with_path` and `ask_with_path`. Counting tokens is in `gemini_count`.
"""

import re
from collections.abc import Iterable
from typing import Final

import msgspec
from msgspec import Raw, Struct

from tidegate.core.facts import Quirks
from tidegate.wire import gemini_ask_write, gemini_error
from tidegate.wire.conversation import Ask, Encoded
from tidegate.wire.dialect import Head, Pieces, Seen
from tidegate.wire.events import Event
from tidegate.wire.gemini_answer_read import GeminiDecoder, decode_reply
from tidegate.wire.gemini_answer_write import GeminiEncoder, encode_reply
from tidegate.wire.gemini_ask_read import decode_request
from tidegate.wire.gemini_body import is_sent
from tidegate.wire.gemini_peek import GeminiPeek, see_reply
from tidegate.wire.gemini_strip import holds_carriers, strip_carriers
from tidegate.wire.routing_ask import ABSENT, routing_of
from tidegate.wire.unreadable import UNREADABLE, refuse_body

_MODEL: Final = b'"model"'
_AFTER_KEY: Final = re.compile(rb"[ \t\r\n]*:")
_COUNTED: Final = ("generateContentRequest", "generate_content_request")


class _Offer(Struct, frozen=True, gc=False):
    """A tool of a request, in both spellings; one that is not of functions counts as one."""

    functionDeclarations: list[Raw] | None = None
    function_declarations: list[Raw] | None = None


class _Wishes(Struct, frozen=True, gc=False):
    provider: Raw = ABSENT
    models: Raw = ABSENT
    route: Raw = ABSENT
    fallbacks: Raw = ABSENT
    prompt_cache_key: Raw = ABSENT


class _Tools(_Wishes, frozen=True, gc=False):
    tools: list[_Offer] | None = None


_tools_decoder = msgspec.json.Decoder(_Tools)
_wishes_decoder = msgspec.json.Decoder(_Wishes)
_object_decoder = msgspec.json.Decoder(dict[str, Raw])
_encoder = msgspec.json.Encoder()


def with_path(head: Head, model: str, is_stream: bool) -> Head:
    """The head with what only the path says."""
    return msgspec.structs.replace(head, model=model, is_stream=is_stream)


def ask_with_path(ask: Ask, model: str, is_stream: bool) -> Ask:
    """The ask with what only the path says."""
    return msgspec.structs.replace(ask, model=model, is_stream=is_stream)


def _may_name_a_model(body: bytes) -> bool:
    """Somewhere in the body is a member `model`; the role of that name, which every answer has, is none."""
    at = body.find(_MODEL)
    while at >= 0:
        if _AFTER_KEY.match(body, at + len(_MODEL)):
            return True
        at = body.find(_MODEL, at + len(_MODEL))
    return False


class Gemini:
    """Implements `wire.dialect.Dialect`."""

    name = "gemini"

    def decode_head(self, body: bytes) -> Head:
        try:
            found = _tools_decoder.decode(body)
        except msgspec.ValidationError:
            self._members(body)  # odd tools are the provider's to judge, unless the body is no object at all
            wishes = _wishes_decoder.decode(body)
            found = _Tools(*msgspec.structs.astuple(wishes))
        except UNREADABLE as error:
            refuse_body(error, "generateContent request")
        declared = [offer.functionDeclarations or offer.function_declarations for offer in found.tools or ()]
        offered = sum(1 if functions is None else len(functions) for functions in declared)
        return Head("", tools_offered=offered, routing=routing_of(found))

    def edit_request(self, body: bytes, head: Head, upstream_model: str) -> Pieces:
        """The same bytes, since the path names the model; but no other model's name in the body may contradict it,
        and no seal of another maker's goes to Google."""
        if holds_carriers(body):
            body = strip_carriers(body, upstream_model)
        if not _may_name_a_model(body):
            return (body,)
        members = self._members(body)
        is_edited = members.pop("model", None) is not None
        for name in _COUNTED:
            if name in members and is_sent(members[name]):
                counted = self._members(bytes(members[name]))
                counted["model"] = Raw(_encoder.encode(f"models/{upstream_model}"))
                members[name] = Raw(_encoder.encode(counted))
                is_edited = True
        return (_encoder.encode(members) if is_edited else body,)

    def peek(self, head: Head) -> GeminiPeek:
        return GeminiPeek()

    def see_reply(self, body: bytes) -> Seen | None:
        return see_reply(body)

    def decode_request(self, body: bytes) -> Ask:
        """Without model and stream: see `ask_with_path`."""
        return decode_request(body)

    def encode_request(self, ask: Ask, upstream_model: str, quirks: Quirks) -> Encoded:
        return gemini_ask_write.encode_request(ask, upstream_model, quirks)

    def stream_decoder(self, *, event_bytes_max: int) -> GeminiDecoder:
        return GeminiDecoder(event_bytes_max=event_bytes_max)

    def stream_encoder(self, ask: Ask, *, generation_id: str, created_s: int) -> GeminiEncoder:
        """Always SSE: the array form is the same chunks as elements, which the gateway makes of them."""
        return GeminiEncoder(ask, generation_id=generation_id)

    def decode_reply(self, body: bytes) -> list[Event] | None:
        return decode_reply(body)

    def encode_reply(self, events: Iterable[Event], ask: Ask, *, generation_id: str, created_s: int) -> bytes:
        return encode_reply(events, ask, generation_id=generation_id)

    error_body = staticmethod(gemini_error.error_body)
    stream_error = staticmethod(gemini_error.stream_error)

    def _members(self, body: bytes) -> dict[str, Raw]:
        try:
            return _object_decoder.decode(body)
        except UNREADABLE as error:
            refuse_body(error, "generateContent request")


GEMINI: Final = Gemini()
