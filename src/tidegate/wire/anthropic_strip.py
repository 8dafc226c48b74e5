"""Thoughts that a conversation brings along from models of other makers, taken out of a request in Anthropic's dialect.

A caller who was served by another maker's model has thinking blocks with our carriers, or without any signature. The
maker of the next model cannot read them, and Anthropic answers a block that it did not sign with a 400. (A request
that is encoded from an `Ask` never holds them.)
"""

import re
from typing import Any, Final

import msgspec
from msgspec import Raw

from tidegate.wire.carrier import PREFIX, unpack

_CARRIER: Final = b'"' + PREFIX.encode()
_UNSIGNED: Final = re.compile(rb'"signature"[ \t\r\n]*:[ \t\r\n]*""')

_members_decoder = msgspec.json.Decoder(dict[str, Raw])
_list_decoder = msgspec.json.Decoder(list[Raw])
_encoder = msgspec.json.Encoder()


def may_hold_foreign_thoughts(body: bytes, *, keeps_unsigned: bool) -> bool:
    """False for nearly every request, and cheap to say."""
    if b'thinking"' not in body:  # of most requests this is all that is searched for
        return False
    if _CARRIER in body:
        return True
    return not keeps_unsigned and b'"signature"' in body and _UNSIGNED.search(body) is not None


def without_foreign_thoughts(body: bytes, *, keeps_unsigned: bool) -> bytes:
    """The request without them; the same bytes where it holds none or is not one. Other values keep their bytes.

    `keeps_unsigned`: thoughts without a signature stay, for makers who do not sign theirs. A message of nothing else
    is left out: Anthropic refuses an empty one.
    """
    try:
        request = _members_decoder.decode(body)
        messages = [_without(raw, keeps_unsigned) for raw in _list_decoder.decode(request["messages"])]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, KeyError):
        return body  # the provider's to judge
    if not any(is_changed for _, is_changed in messages):
        return body
    request["messages"] = Raw(_encoder.encode([raw for raw, _ in messages if raw is not None]))
    return _encoder.encode(request)


def _without(raw: Raw, keeps_unsigned: bool) -> tuple[Raw | None, bool]:
    """A message without foreign thoughts (None: nothing is left of it), and whether that changed it."""
    if b"thinking" not in bytes(raw):
        return raw, False
    message = _members_decoder.decode(raw)
    content = message.get("content", Raw(b'""'))
    if not bytes(content).startswith(b"["):
        return raw, False
    blocks = _list_decoder.decode(content)
    kept = [block for block in blocks if not _is_foreign(msgspec.json.decode(block), keeps_unsigned)]
    if len(kept) == len(blocks):
        return raw, False
    message["content"] = Raw(_encoder.encode(kept))
    return (Raw(_encoder.encode(message)) if kept else None), True


def _is_foreign(block: Any, keeps_unsigned: bool) -> bool:
    if not isinstance(block, dict):
        return False
    if block.get("type") == "thinking":
        signature = block.get("signature")
        if not signature:
            return not keeps_unsigned
        return isinstance(signature, str) and unpack(signature) is not None
    if block.get("type") == "redacted_thinking":
        data = block.get("data")
        return isinstance(data, str) and unpack(data) is not None
    return False
