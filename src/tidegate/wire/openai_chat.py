"""OpenAI chat completions: `CHAT`, and the functions of the hot path.

`openai_chat_head` reads and edits requests, `openai_chat_reply` reads what the meter needs, `openai_chat_ask_*` and
`openai_chat_answer_*` go between this dialect and the hub.
"""

from tidegate.wire.openai_chat_head import (
    SPLICE_BYTES_MIN,
    UNREADABLE,
    RequestHead,
    StreamOptions,
    decode_request,
    edit_request,
    rebuild_request,
    splice_request,
    without_body,
)
from tidegate.wire.openai_chat_reply import (
    DONE,
    NOT_SENT,
    TOKENS_MAX,
    Chunk,
    Reply,
    WireUsage,
    decode_chunk,
    decode_reply,
    stream_error,
    usage_from_wire,
)

__all__ = [
    "DONE",
    "NOT_SENT",
    "SPLICE_BYTES_MIN",
    "TOKENS_MAX",
    "UNREADABLE",
    "Chunk",
    "Reply",
    "RequestHead",
    "StreamOptions",
    "WireUsage",
    "decode_chunk",
    "decode_reply",
    "decode_request",
    "edit_request",
    "rebuild_request",
    "splice_request",
    "stream_error",
    "usage_from_wire",
    "without_body",
]
