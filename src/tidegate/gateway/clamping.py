"""A limit of the answer, written into a request that has none: what is left of a budget pays for no more."""

from typing import Final

import msgspec
from msgspec import Raw

from tidegate.core.errors import InvalidRequest
from tidegate.core.facts import Quirks
from tidegate.wire.unreadable import UNREADABLE

FIELDS: Final = {"openai-responses": "max_output_tokens", "anthropic": "max_tokens", "openai-completions": "max_tokens"}
GEMINI_CONFIGS: Final = ("generationConfig", "generation_config")
ELSE: Final = "max_tokens"
NULL: Final = Raw(b"null")

_members = msgspec.json.Decoder(dict[str, Raw])
_encoder = msgspec.json.Encoder()


def with_output_limit(dialect: str, body: bytes, output_tokens: int, quirks: Quirks) -> bytes:
    """The request with this limit, each other value as its own bytes. Raises InvalidRequest for what is no object.

    quirks: of the provider, which may know the limit of a chat by another name only.
    """
    limit = Raw(b"%d" % output_tokens)
    try:
        members = _members.decode(body)
        if dialect == "gemini":
            name = next((name for name in GEMINI_CONFIGS if name in members), GEMINI_CONFIGS[0])
            config = _members.decode(members[name]) if bytes(members.get(name, NULL)) != b"null" else {}
            config.pop("max_output_tokens", None)
            members[name] = Raw(_encoder.encode({**config, "maxOutputTokens": limit}))
        else:
            name = FIELDS.get(dialect) or quirks.output_tokens_field or ELSE
            members = {key: value for key, value in members.items() if key not in (ELSE, "max_completion_tokens")}
            members[name] = limit
    except UNREADABLE as error:
        raise InvalidRequest(f"The request body is not valid JSON: {error}.") from None
    return _encoder.encode(members)
