"""A caller's own chat request, made fit for a provider that departs from OpenAI's dialect.

Where caller and provider both speak it, a request passes as its bytes. A provider may refuse what the dialect allows
(its `Quirks`), and most refuse the members that OpenRouter adds for the gateway itself. Only these are edited; every
other value keeps its bytes, and a request without any of them is not looked at twice.
"""

from typing import Final

import msgspec
from msgspec import Raw, Struct

from tidegate.core.errors import InvalidRequest
from tidegate.core.facts import Quirks
from tidegate.wire.dialect import Head, Pieces
from tidegate.wire.openai_chat_head import RequestHead, decode_request, edit_request
from tidegate.wire.routing_ask import ABSENT
from tidegate.wire.unreadable import UNREADABLE

ANSWERED: Final = ("provider", "session_id", "usage")
"""OpenRouter's members that the gateway itself answers to."""

UNSERVED: Final = ("models", "route", "plugins", "transforms", "preset", "fallbacks", "trace", "debug")
"""OpenRouter's members that nothing here serves: a provider of OpenRouter's kind may."""

OUTPUT_LIMITS: Final = ("max_tokens", "max_completion_tokens")
BLANK: Final = frozenset((b"null", b"[]", b"{}", b"false"))
JSON_OBJECT: Final = Raw(b'{"type":"json_object"}')
_DEVELOPER: Final = b'developer"'
_SYSTEM: Final = Raw(b'"system"')

Members = dict[str, Raw]


Fitted = tuple[Pieces, tuple[str, ...]]
"""The request as the provider gets it, and the caller's members that it cannot be told."""


class _Options(Struct, frozen=True):
    type: str = ""


class _Message(Struct, frozen=True, gc=False):
    role: str = ""


_encoder = msgspec.json.Encoder()
_members_decoder = msgspec.json.Decoder(Members)
_messages_decoder = msgspec.json.Decoder(list[Raw])
_message_decoder = msgspec.json.Decoder(_Message)
_options_decoder = msgspec.json.Decoder(_Options)


def fit_request(body: bytes, head: Head, upstream_model: str, quirks: Quirks) -> Fitted:
    """The twin of `Dialect.edit_request` for a provider with quirks. head: of this body."""
    request: RequestHead | None = getattr(head, "request", None)
    if request is None:
        request = decode_request(body)
    is_plain = not _is_odd(body, request, quirks) and (quirks.takes_reasoning_details or not _asks_the_gateway(request))
    if is_plain and request.messages:  # a head without them may be of a request whose other members were not read
        return edit_request(body, request, upstream_model), ()
    try:
        members = _members_decoder.decode(body)
    except UNREADABLE as error:
        raise InvalidRequest(f"The request body is not valid JSON: {error}.") from None
    dropped = _fit(members, quirks)
    members["model"] = Raw(_encoder.encode(upstream_model))
    if request.is_stream and not quirks.no_stream_usage and not request.wants_usage:
        _ask_for_usage(members, request)
    return (_encoder.encode(members),), tuple(dropped)


def _asks_the_gateway(request: RequestHead) -> bool:
    """Whether it has any member of ANSWERED or UNSERVED."""
    found = request
    return not (
        found.provider is found.models is found.route is found.plugins is found.transforms is found.preset
        is found.fallbacks is found.trace is found.debug is found.usage is ABSENT and found.session_id is None
    )  # fmt: skip


def _is_odd(body: bytes, request: RequestHead, quirks: Quirks) -> bool:
    """Whether the provider would refuse, or misread, a part of this request."""
    wanted = quirks.output_tokens_field
    return bool(
        (wanted == "max_tokens" and request.max_completion_tokens)
        or (wanted == "max_completion_tokens" and request.max_tokens)
        or (quirks.no_stream_usage and (request.is_stream or request.stream_options))
        or (quirks.no_parallel_tools and request.parallel_tool_calls)
        or (quirks.no_json_schema and request.response_format)
        or (quirks.no_developer_role and _DEVELOPER in body)
    )


def _fit(members: Members, quirks: Quirks) -> list[str]:
    """Edit the members in place. Returns the names of what the provider cannot be told."""
    dropped: list[str] = []
    if not quirks.takes_reasoning_details:
        for name in ANSWERED:
            members.pop(name, None)
        dropped += [name for name in UNSERVED if _says_something(members.pop(name, None))]
    if quirks.output_tokens_field:
        _spell_output_limit(members, quirks.output_tokens_field)
    if quirks.no_stream_usage and _has_more_than_usage(members.pop("stream_options", None)):
        dropped.append("stream_options")
    if quirks.no_parallel_tools and _says_something(members.pop("parallel_tool_calls", None)):
        dropped.append("parallel_tool_calls")
    if quirks.no_json_schema and _is_schema(members.get("response_format")):
        members["response_format"] = JSON_OBJECT
        dropped.append("response_format.json_schema")
    if quirks.no_developer_role and "messages" in members:
        members["messages"] = _without_developer(members["messages"])
    return dropped


def _says_something(raw: Raw | None) -> bool:
    return raw is not None and bytes(raw) not in BLANK


def _spell_output_limit(members: Members, wanted: str) -> None:
    """The limit of an answer under the provider's own name; where both are there, its own holds."""
    other = OUTPUT_LIMITS[wanted == OUTPUT_LIMITS[0]]
    value = members.pop(other, None)
    if value is not None and not _says_something(members.get(wanted)):
        members[wanted] = value


def _has_more_than_usage(options: Raw | None) -> bool:
    """The gateway answers for the usage; anything else of `stream_options` is lost."""
    try:
        return options is not None and bool(_members_decoder.decode(options).keys() - {"include_usage"})
    except msgspec.ValidationError:
        return False  # null


def _is_schema(form: Raw | None) -> bool:
    try:
        return form is not None and _options_decoder.decode(form).type == "json_schema"
    except msgspec.ValidationError:
        return False  # null, or nothing that anybody takes: the provider's to judge


def _without_developer(messages: Raw) -> Raw:
    """Instructions of the role `developer` as the older `system`, which means the same."""
    try:
        found = _messages_decoder.decode(messages)
        edited = [_as_system(raw) if _is_developer(raw) else raw for raw in found]
    except msgspec.ValidationError:
        return messages
    return Raw(_encoder.encode(edited))


def _is_developer(raw: Raw) -> bool:
    return _DEVELOPER in bytes(raw) and _message_decoder.decode(raw).role == "developer"


def _as_system(raw: Raw) -> Raw:
    return Raw(_encoder.encode(_members_decoder.decode(raw) | {"role": _SYSTEM}))


def _ask_for_usage(members: Members, request: RequestHead) -> None:
    options = _members_decoder.decode(members["stream_options"]) if request.stream_options else {}
    options["include_usage"] = Raw(b"true")
    members["stream_options"] = Raw(_encoder.encode(options))
