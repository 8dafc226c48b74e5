"""A sampled call on its way from a gateway worker to the labeller: a Unix socket's frames, in memory on both ends.

A frame is its length in FRAME_HEAD_BYTES (big-endian), then a MessagePack message. What is drawn depends on the call's
id and the seed alone: the same calls would be drawn again, and no worker needs to know of another.
"""

import hashlib
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

SOCKET_NAME: Final = "labels.sock"
FRAME_HEAD_BYTES: Final = 4
BODY_BYTES_MAX: Final = 4 * 1024 * 1024
"""Of a sampled request; larger ones are mostly pictures, and are counted instead of labelled."""
FRAME_BYTES_MAX: Final = BODY_BYTES_MAX + 4096
LABELLER_APP: Final = "tidegate-labels"
"""`X-Title` of the labeller's own calls, where a model labels: they are never sampled themselves."""


class Sample(Struct, frozen=True, array_like=True, tag="sample", gc=False):
    """One call that was drawn. `one_in`: of how many of its tenant's calls one is drawn. `body`: the request."""

    generation_id: str
    ts: int
    one_in: Annotated[int, Meta(ge=1)]
    body: bytes


class ReportAsk(Struct, frozen=True, array_like=True, tag="report"):
    """Asks the labeller how it fares, and for at most `texts` of the prompts that it keeps for an audit."""

    texts: int = 0


class KeptText(Struct, frozen=True):
    """A labelled prompt that is kept in memory, because the operator set `labels.audit_texts`."""

    generation_id: str
    text: str
    language: str | None
    tags: tuple[tuple[str, int], ...]  # path, confidence in parts per million


class Report(Struct, frozen=True, kw_only=True):
    """Calls since the labeller started: `labelled`, `unreadable` (no request in JSON), `failed` (see its log).

    `silent` are among the labelled: the user wrote no word. `waiting`: taken, and not labelled yet.
    """

    labeller: str
    labelled: int
    silent: int
    unreadable: int
    failed: int
    waiting: int
    texts: tuple[KeptText, ...] = ()


Message = Sample | ReportAsk
_encode = msgspec.msgpack.Encoder().encode
decode_message = msgspec.msgpack.Decoder(Message).decode
decode_report = msgspec.msgpack.Decoder(Report).decode


def frame(message: Message | Report) -> bytes:
    """The bytes of a message on the socket."""
    body = _encode(message)
    return len(body).to_bytes(FRAME_HEAD_BYTES, "big") + body


def is_drawn(generation_id: str, one_in: int, seed: bytes) -> bool:
    """Whether a call is one of the one in `one_in` that are labelled. seed: at most 64 bytes."""
    drawn = hashlib.blake2b(generation_id.encode(), digest_size=8, key=seed).digest()
    return int.from_bytes(drawn, "big") % one_in == 0
