"""Calls that are no conversation: images, speech, transcriptions, moderations, reranking. They pass through, metered.

Key, route, journal, attempts and errors are those of any call. What differs is what goes through: forms with files,
which are kept as `gateway/upload.py` says and written as fast as the provider takes them; and sound, which goes to the
caller as it comes, as fast as the caller takes it. Sound that breaks off breaks the caller's connection: nothing in it
could tell of the failure.
"""

import re
from typing import TYPE_CHECKING, Final

import msgspec

from tidegate.core.errors import GatewayError, InvalidRequest
from tidegate.core.terms import Charge
from tidegate.gateway.answer import extra_headers
from tidegate.gateway.bounds import Bound, Ceiling
from tidegate.gateway.dispatch import Dispatch, prepare
from tidegate.gateway.exchange import Exchange
from tidegate.gateway.http import Request
from tidegate.gateway.media_bounds import media_bound
from tidegate.gateway.media_cost import PricedMediaRelay, with_cost
from tidegate.gateway.relay import PeekRelay, Relay, StreamRelay
from tidegate.gateway.replies import PASSED_THROUGH, error_of
from tidegate.gateway.tariff import Tariff
from tidegate.gateway.upload import FilePiece, Reader
from tidegate.wire.dialect import Head, Pieces, Seen
from tidegate.wire.media import Media

if TYPE_CHECKING:
    from tidegate.gateway.table import Route, Serving
    from tidegate.gateway.upstream import UpstreamConnection

CHAT_PATH: Final = b"/chat/completions"
HEAD_BYTES: Final = 64  # kept of a sound: what its format says of its length
NOT_SOUND: Final = (b"application/json", b"application/problem+json", b"text/")

_LINES: Final = re.compile(rb"\r\n(?:accept|content-type): [^\r]*")


def media_serving(route: "Route", media: Media, *, is_form: bool) -> "Serving":
    """How an endpoint is called for media: where its provider has OpenAI's chat, with the same key, at another path.

    Raises InvalidRequest where it has none.
    """
    chat = route.servings.get("openai-chat")
    if chat is None:
        raise InvalidRequest(
            f"Provider {route.endpoint.provider} of model {route.endpoint.model!r} does not serve {media.kind.path}.",
            param="model",
        )
    line, end, rest = chat.whole_prefix.partition(b" HTTP/1.1")
    before, _, after = line.rpartition(CHAT_PATH)
    kept = _LINES.sub(b"", rest) + b"accept: */*\r\n"
    kind = b"" if is_form else b"content-type: application/json\r\n"
    length = b"content-length: "
    kept = kept.replace(length + b"accept: */*\r\n", b"accept: */*\r\n" + kind + length)
    prefix = b"%b/%b%b%b%b" % (before, media.kind.path.encode(), after, end, kept)
    return msgspec.structs.replace(chat, dialect=media, whole_prefix=prefix, stream_prefix=prefix)


class MediaWay:
    """As `gateway.way.Way`: bytes pass, and are read in passing.

    `prompt`: a request in JSON, for an estimate. `images`: how many were asked for. `form`: of an upload.
    """

    dropped: tuple[str, ...] = ()

    def __init__(self, media: Media, head: Head, request: Request, upstream_model: str, tariff: Tariff | None) -> None:
        """tariff: where the reply tells what the call costs."""
        body, upload = request.body, request.upload
        self.head, self._media, self._tariff, self.prompt = head, media, tariff, body
        self.form = upload.form if upload is not None else None
        self.images = media.images_asked(body, self.form)
        if upload is None:
            self.pieces: Pieces = media.edit_request(body, head, upstream_model)
        else:
            self.pieces = upload.pieces(media.form_edit(upload.form, upstream_model))

    def relay(self, event_bytes_max: int) -> Relay:
        peek = self._media.peek(self.head)
        if self._tariff is None:
            return PeekRelay(peek, event_bytes_max=event_bytes_max)
        return PricedMediaRelay(peek, self._tariff, event_bytes_max=event_bytes_max)

    def reply(self, body: bytes) -> tuple[bytes, Seen | None]:
        seen = self._media.see_reply(body)
        return with_cost(body, seen, self._tariff) if self._tariff is not None else body, seen

    def as_stream(self, body: bytes) -> bytes | None:
        return None

    def failure(self, status: int, body: bytes, provider: str) -> tuple[GatewayError, bytes]:
        is_told = status in PASSED_THROUGH and self._tariff is None  # under /api/v1, errors have OpenRouter's shape
        return error_of(status, body, provider), body if is_told else b""


class SoundRelay:
    """Sound as it comes. `begin`: its first bytes; `length`: of all that came. It is whole when the provider says so,
    by the end of its reply."""

    is_between_events = False

    def __init__(self, content_type: bytes) -> None:
        self.seen = Seen()
        self.content_type, self.begin, self.length = content_type, b"", 0

    @property
    def short(self) -> StreamRelay | None:
        return None

    def feed(self, data: bytes) -> bytes:
        if self.length < HEAD_BYTES:
            self.begin = (self.begin + data)[:HEAD_BYTES]
        self.length += len(data)
        return data

    def finish(self) -> bytes:
        self.seen.is_done = True
        return b""

    def last(self, error_event: bytes) -> bytes:
        return b""


class MediaExchange(Exchange):
    """One call. `sound`: what comes back, where it is sound."""

    sound: SoundRelay | None = None

    @property
    def _media(self) -> Media:
        assert isinstance(self.operation.dialect, Media)
        return self.operation.dialect

    def _read(self) -> None:
        upload = self.request.upload
        if upload is None:
            self.head = self._media.decode_head(self.request.body)
            return
        if self.head is None:
            upload.finish()
        self.head = self._media.form_head(upload.form)

    def serving_at(self, route: "Route") -> "Serving":
        return media_serving(route, self._media, is_form=self.request.upload is not None)

    def _find_way(self, head: Head, serving: "Serving") -> None:
        self.way = MediaWay(self._media, head, self.request, serving.upstream_model, self.tariff())

    def bound(self, ceiling: Ceiling, charge: Charge) -> Bound:
        return media_bound(self, ceiling, charge)

    def _forward(self) -> None:
        assert self.serving is not None and self.way is not None
        upload = self.request.upload
        lines = b"content-type: %b\r\n" % upload.content_type if upload is not None else b""
        prepare(Dispatch(self.serving, self.operation, self.way, lines), self._on_prepared, self.refuse)

    def on_connected(self, connection: "UpstreamConnection") -> None:
        *before, last = self._pieces
        if not isinstance(last, FilePiece):
            super().on_connected(connection)
            return
        whole, self._pieces = self._pieces, tuple(before)
        super().on_connected(connection)
        self._pieces = whole  # for another attempt
        if self._upstream is connection:
            connection.write_from(self._patient(last.reader(), connection))

    def _patient(self, read: Reader, connection: "UpstreamConnection") -> Reader:
        """The time of the provider to begin its reply counts from the last byte that it took."""

        def read_on(count: int) -> bytes:
            self.patience.connected(connection.target)
            return read(count)

        return read_on

    def on_upstream_head(self, status: int, headers: dict[bytes, bytes]) -> None:
        content_type = headers.get(b"content-type", b"").lower()
        is_sound = bool(content_type) and not content_type.startswith(NOT_SOUND)
        media = self.operation.dialect
        if not (status == 200 and is_sound and isinstance(media, Media) and media.kind.speaks):
            super().on_upstream_head(status, headers)
            return
        self.upstream_status, self.status = status, status
        self.patience.hear()
        self.relay = self.sound = SoundRelay(content_type)
        self.seen = self.sound.seen
        self._pieces = ()
        if self.course is not None:
            self.course.kept = None  # the caller has the begin of a sound: nobody else may go on with it
        if not self.client_gone:
            self.reply_started = True
            self.client.begin_stream(headers[b"content-type"], extra_headers(self))

    def _finish(self) -> None:
        if self.sound is None or self.error is None or self.client_gone:
            super()._finish()
            return
        self._is_finished = True
        self._let_go()
        self.client.abort()

    def _let_go(self) -> None:
        super()._let_go()
        if self._is_finished and self.request.upload is not None:
            self.request.upload.close()
