"""The most that a call for media may come to: by the image, by the second, by tokens, whichever costs more."""

from typing import TYPE_CHECKING, Final

from tidegate.core.money import UNITS_PER_RATE
from tidegate.core.price import cost
from tidegate.core.terms import Charge
from tidegate.core.usage import TokenKinds, Usage
from tidegate.gateway.bounds import BYTES_PER_TOKEN, Bound, Ceiling
from tidegate.gateway.media_meter import TOKENS_PER_S_HEARD, TOKENS_PER_S_SPOKEN, sound_s
from tidegate.wire.media import SECONDS_MAX, Media

if TYPE_CHECKING:
    from tidegate.gateway.exchange import Exchange
    from tidegate.gateway.upload import Upload

IMAGE_TOKENS_MOST: Final = 6500  # of one made: OpenAI's largest at its highest quality has 6,240
IMAGES_SEEN_TOKENS_MOST: Final = 20_000  # of those that an edit begins with
FAINTEST_BYTES_PER_S: Final = 2_000  # 16 kbit/s: sound that is packed more is not understood
SLOWEST_BYTES_PER_S: Final = 7  # of text, spoken at half the usual pace
WORDS_TOKENS_PER_S: Final = 8  # written down of a voice, at twice the usual pace


def media_bound(call: "Exchange", ceiling: Ceiling, charge: Charge) -> Bound:
    """The bound of a call whose request is whole."""
    media, upload = call.operation.dialect, call.request.upload
    assert isinstance(media, Media)
    most = _most(media, call.request.body, upload)
    amount = max(max(cost(_units(most), price), cost(_tokens(most), price)) for price in ceiling.prices)
    base = amount * UNITS_PER_RATE + ceiling.request
    bound = Bound(base, 0, 0, 1, BYTES_PER_TOKEN * most.total_tokens)
    if charge.price is None and charge.margin_ppm:
        bound.add_margin(charge.margin_ppm)
    return bound


def _units(most: Usage) -> Usage:
    return Usage(images=most.images, audio_input_s=most.audio_input_s, audio_output_s=most.audio_output_s)


def _tokens(most: Usage) -> Usage:
    return Usage(input_tokens=most.input_tokens, output_tokens=most.output_tokens, kinds=most.kinds)


def _most(media: Media, body: bytes, upload: "Upload | None") -> Usage:
    form = upload.form if upload is not None else None
    if media.kind.hears:
        seconds = sound_s(form.file_head, form.file_bytes, b"") if form is not None else None
        if seconds is None:
            seconds = min(_up(form.file_bytes if form is not None else len(body), FAINTEST_BYTES_PER_S), SECONDS_MAX)
        heard = seconds * TOKENS_PER_S_HEARD
        return Usage(
            input_tokens=heard, output_tokens=seconds * WORDS_TOKENS_PER_S, audio_input_s=seconds,
            kinds=TokenKinds(audio_input=heard),
        )  # fmt: skip
    if media.kind.speaks:
        seconds = min(_up(len(body), SLOWEST_BYTES_PER_S), SECONDS_MAX)
        spoken = seconds * TOKENS_PER_S_SPOKEN
        return Usage(
            input_tokens=len(body), output_tokens=spoken, audio_output_s=seconds, kinds=TokenKinds(audio_output=spoken)
        )
    images = media.images_asked(body, form)
    made = images * IMAGE_TOKENS_MOST
    seen = min(form.file_bytes, IMAGES_SEEN_TOKENS_MOST) if form is not None else 0
    kinds = TokenKinds(image_input=seen, image_output=made)
    return Usage(input_tokens=seen + len(body), output_tokens=made, images=images, kinds=kinds)


def _up(count: int, per: int) -> int:
    return -(-count // per)
