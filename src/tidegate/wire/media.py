"""Images, speech, transcriptions, moderations and reranking, as OpenAI and those who follow it serve them.

They pass through: of a request only the model's name is edited, of a reply only what the meter needs is read. Adding
one is an entry of KINDS. `wire/multipart.py` reads those requests that are forms.
"""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NoReturn

import msgspec
from msgspec import Raw, Struct

from tidegate.core.errors import GatewayError, InvalidRequest, error_body
from tidegate.core.facts import Quirks
from tidegate.core.usage import Usage
from tidegate.wire.conversation import Ask, Encoded
from tidegate.wire.dialect import Head, Pieces, Seen, StreamDecoder, StreamEncoder
from tidegate.wire.events import Event
from tidegate.wire.multipart import FormReader, field_part
from tidegate.wire.openai_chat_reply import DONE, stream_error
from tidegate.wire.routing_ask import ABSENT, routing_of
from tidegate.wire.sse import event_data
from tidegate.wire.unreadable import UNREADABLE, refuse_body
from tidegate.wire.usage import TOKENS_MAX, decode_usage, reported_cost

SECONDS_MAX: Final = 10**6
FLAVOURS: Final = ("openai-responses", "openai-chat", "openai-embeddings")

_CUE: Final = re.compile(rb"-->[ \t]*(?:(\d{1,4}):)?(\d\d):(\d\d)[.,](\d{3})")  # the end of a subtitle (SRT, WebVTT)
_members = msgspec.json.Decoder(dict[str, Raw])
_encoder = msgspec.json.Encoder()
_NULL: Final = Raw(b"null")


class Kind(Struct, frozen=True):
    """One way to make or judge media. `path`: below the base URL, and below `/v1`. `dialect`, `operation`: as rows
    name them. `default_model`: the documented one, where a request may leave the model out. `n_images`: of a request
    that does not say; 0 where none are made. `hears`: a file of sound goes in. `speaks`: sound comes out."""

    path: str
    dialect: str
    operation: str
    default_model: str = ""
    n_images: int = 0
    hears: bool = False
    speaks: bool = False


KINDS: Final = (
    Kind("images/generations", "openai-images", "image_generation", "dall-e-2", n_images=1),
    Kind("images/edits", "openai-images", "image_edit", "gpt-image-1.5", n_images=1),
    Kind("images/variations", "openai-images", "image_variation", "dall-e-2", n_images=1),
    Kind("audio/speech", "openai-audio", "speech", speaks=True),
    Kind("audio/transcriptions", "openai-audio", "transcription", hears=True),
    Kind("audio/translations", "openai-audio", "translation", hears=True),
    Kind("moderations", "openai-moderations", "moderation", "omni-moderation-latest"),
    Kind("rerank", "rerank", "rerank"),
)
"""Default models are those of OpenAI's published schemas."""


class _Asked(Struct, frozen=True, gc=False):
    model: str | None = None
    stream: bool | None = None
    stream_format: str | None = None
    user: str | None = None
    session_id: str | None = None
    provider: Raw = ABSENT
    models: Raw = ABSENT
    route: Raw = ABSENT
    fallbacks: Raw = ABSENT
    prompt_cache_key: Raw = ABSENT


class _Deciding(Struct, frozen=True, gc=False):
    model: str | None = None
    provider: Raw = ABSENT
    models: Raw = ABSENT
    route: Raw = ABSENT
    fallbacks: Raw = ABSENT
    prompt_cache_key: Raw = ABSENT


class _Reply(Struct, frozen=True, gc=False):
    """Pictures and scores are left as bytes: they are most of a reply, and nobody here reads them."""

    data: Raw = _NULL
    usage: Raw = _NULL
    meta: Raw = _NULL
    duration: Raw = _NULL
    error: Raw = _NULL
    text: Raw = _NULL
    type: str = ""
    model: Raw = _NULL


_asked_decoder = msgspec.json.Decoder(_Asked)
_deciding_decoder = msgspec.json.Decoder(_Deciding)
_reply_decoder = msgspec.json.Decoder(_Reply)
_list_decoder = msgspec.json.Decoder(list[Raw])


class Media:
    """One `Kind` as `Dialect`; what would go through the hub raises InvalidRequest."""

    def __init__(self, kind: Kind) -> None:
        self.kind = kind
        self.name = kind.dialect

    def decode_head(self, body: bytes) -> Head:
        """Of a request in JSON."""
        try:
            try:
                asked = _asked_decoder.decode(body)
            except msgspec.ValidationError:  # what only the row would have told is the provider's to judge
                least = _deciding_decoder.decode(body)
                asked = _Asked(
                    least.model, provider=least.provider, models=least.models, route=least.route,
                    fallbacks=least.fallbacks, prompt_cache_key=least.prompt_cache_key,
                )  # fmt: skip
        except UNREADABLE as error:
            refuse_body(error, self._request)
        is_stream = asked.stream is True or asked.stream_format == "sse"
        head = self._head(asked.model or "", is_stream, asked.user or "", asked.session_id or "")
        routing = routing_of(asked)
        return head if routing is None else msgspec.structs.replace(head, routing=routing)

    def form_head(self, form: FormReader) -> Head:
        """Of a request that is a form."""
        said = {name: value.text for name, value in form.fields.items()}
        is_stream = said.get("stream", "").lower() == "true" or said.get("stream_format") == "sse"
        return self._head(said.get("model", ""), is_stream, said.get("user", ""), said.get("session_id", ""))

    @property
    def _request(self) -> str:
        return f"request of {self.kind.path}"

    def _head(self, model: str, is_stream: bool, user: str, session_id: str) -> Head:
        model = model or self.kind.default_model
        if not model:
            raise InvalidRequest(
                "The field `model` is missing: name a model, for example one of GET /v1/models.", param="model"
            )
        return Head(model, is_stream, user=user, session_id=session_id)

    def edit_request(self, body: bytes, head: Head, upstream_model: str) -> Pieces:
        """The object anew, each value as its raw bytes, each key once: no second `model` is left for the provider."""
        try:
            members = _members.decode(body)
        except UNREADABLE as error:
            refuse_body(error, self._request)
        members["model"] = Raw(_encoder.encode(upstream_model))
        return (_encoder.encode(members),)

    def form_edit(self, form: FormReader, upstream_model: str) -> tuple[int, int, bytes]:
        """The bytes of a form that are replaced on its way to the provider: from, to, and by what."""
        value, name = form.fields.get("model"), upstream_model.encode()
        if value is not None and value.text:
            return value.start, value.end, name
        if value is not None:
            return value.start, value.start, name
        return form.begin, form.begin, field_part(form.boundary, "model", name)

    def images_asked(self, body: bytes, form: FormReader | None) -> int:
        """How many images a request asks for; 0 for one that asks for none."""
        if not self.kind.n_images:
            return 0
        found: Any = None
        if form is not None:
            found = form.fields["n"].text if "n" in form.fields else None
        else:
            try:
                found = msgspec.json.decode(bytes(_members.decode(body).get("n", _NULL)))
            except UNREADABLE:
                found = None
        text = str(found)
        return min(int(text), 100) if text.isdecimal() and len(text) < 4 else self.kind.n_images

    def peek(self, head: Head) -> "MediaPeek":
        return MediaPeek(self.kind)

    def see_reply(self, body: bytes) -> Seen | None:
        """None where it is neither JSON nor text that was heard."""
        try:
            reply = _reply_decoder.decode(body)
        except UNREADABLE:
            return self._see_text(body)
        seen = Seen(is_done=True)
        read_reply(seen, reply, self.kind, _count(reply.data) if self.kind.n_images else 0)
        return seen

    def _see_text(self, body: bytes) -> Seen | None:
        """A transcription as plain text or subtitles; their last moment is how long the sound was."""
        if not self.kind.hears or body.lstrip()[:1] in (b"{", b"<"):
            return None
        seen, cues = Seen(is_done=True, output_text_bytes=len(body)), _CUE.findall(body)
        if cues:
            hours, minutes, seconds, thousandths = cues[-1]
            seconds = int(hours or 0) * 3600 + int(minutes) * 60 + int(seconds) + (int(thousandths) > 0)
            seen.usage = Usage(audio_input_s=min(seconds, SECONDS_MAX))
        return seen

    def decode_request(self, body: bytes) -> Ask:
        self._refuse()

    def encode_request(self, ask: Ask, upstream_model: str, quirks: Quirks) -> Encoded:
        self._refuse()

    def stream_decoder(self, *, event_bytes_max: int) -> StreamDecoder:
        self._refuse()

    def stream_encoder(self, ask: Ask, *, generation_id: str, created_s: int) -> StreamEncoder:
        self._refuse()

    def decode_reply(self, body: bytes) -> Sequence[Event] | None:
        return None

    def encode_reply(self, events: Iterable[Event], ask: Ask, *, generation_id: str, created_s: int) -> bytes:
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise InvalidRequest(f"{self.kind.path} is not translated: it is served as it is or not at all.", param="model")

    def error_body(self, error: GatewayError, *, request_id: str) -> bytes:
        return _encoder.encode(error_body(error))

    def stream_error(self, error: GatewayError) -> bytes:
        return stream_error(error.message, error.code)


class MediaPeek:
    """Reads the events of a picture, a voice or a transcript that comes in pieces."""

    def __init__(self, kind: Kind) -> None:
        self.seen = Seen()
        self._kind = kind

    def see(self, event: bytes) -> bool:
        data = event_data(event)
        if data is None:
            return True
        if data.startswith(DONE):
            self.seen.is_done = True
            return True
        try:
            reply = _reply_decoder.decode(data)
        except UNREADABLE:
            return True
        is_last = reply.type.endswith((".completed", ".done"))
        is_image = is_last and self._kind.n_images > 0
        read_reply(self.seen, reply, self._kind, int(is_image))
        if reply.type == "error":
            self.seen.has_error = True
        if is_last:
            self.seen.finish_reason = "stop"
            self.seen.is_done = not is_image  # of several images, each has a last event
        else:
            self.seen.output_text_bytes += len(data)
        return True


def read_reply(seen: Seen, reply: _Reply, kind: Kind, images: int) -> None:
    """What a reply, or an event of one, tells the meter. Images are added to those seen before."""
    if bytes(reply.error) != b"null":
        seen.has_error = True
    seen.output_text_bytes += max(len(bytes(reply.text)) - 2, 0) if bytes(reply.text) != b"null" else 0
    said, meta = _object(reply.usage), _object(reply.meta)
    units = _dict(meta.get("billed_units"))
    known = seen.usage or Usage()
    tokens = _tokens(bytes(reply.usage)) or _tokens(_encoded(meta.get("tokens"))) or _tokens(_encoded(units))
    seconds = _seconds(said.get("seconds")) or (_seconds(_value(reply.duration)) if kind.hears else 0)
    found = msgspec.structs.replace(
        tokens or known,
        images=known.images + images,
        audio_input_s=(seconds if kind.hears else 0) or known.audio_input_s,
        requests=_whole(said.get("search_units")) or _whole(units.get("search_units")) or 1,
    )
    if found != Usage():
        seen.usage = found
    reported = reported_cost(said) if said else None
    if reported is not None:
        seen.reported_nano_usd = reported


def _tokens(raw: bytes) -> Usage | None:
    """The tokens that a usage object counts, in whatever spelling."""
    for flavour in FLAVOURS:
        found = decode_usage(raw, flavour)
        if found is not None:
            return found.usage
    return None


def _encoded(value: Any) -> bytes:
    try:
        return _encoder.encode(value)
    except OverflowError:  # a number that no count is
        return b"null"


def _object(raw: Raw) -> Mapping[str, Any]:
    return _dict(_value(raw))


def _value(raw: Raw) -> Any:
    try:
        return msgspec.json.decode(raw)
    except UNREADABLE:
        return None


def _dict(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _count(raw: Raw) -> int:
    try:
        return len(_list_decoder.decode(raw))
    except UNREADABLE:
        return 0


def _seconds(value: Any) -> int:
    """Seconds as billed, rounded up; some servers send them as text. 0 for what is none."""
    try:
        seconds = float(value) if isinstance(value, int | float | str) and not isinstance(value, bool) else 0.0
    except ValueError:
        return 0
    return math.ceil(seconds) if 0 < seconds <= SECONDS_MAX else 0


def _whole(value: Any) -> int:
    """A count; 0 for what is none."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return math.ceil(value) if is_number and 0 < value <= TOKENS_MAX else 0


MEDIA: Final = tuple(Media(kind) for kind in KINDS)
