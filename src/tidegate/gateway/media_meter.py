"""What media cost: by the unit that the price is for, by tokens otherwise; counted here where the provider is silent.

A model may be priced by the image, by the second of sound, or by tokens, and price lists often hold the same price in
two units; a call is charged in one. Counts made here are as near as a gateway comes without listening: text by its
tokens, sound by its length in bytes. Such a call's row says `estimated_partial`.
"""

from typing import TYPE_CHECKING, Final

import msgspec

from tidegate.core.price import Price, Rates
from tidegate.core.usage import TokenKinds, Usage
from tidegate.gateway.estimate import BYTES_PER_TOKEN, estimate_usage
from tidegate.gateway.meter import UNKNOWN_SPENT, Settlement, settle
from tidegate.wire.media import SECONDS_MAX, Media

if TYPE_CHECKING:
    from tidegate.gateway.call import Call
    from tidegate.gateway.media import MediaWay, SoundRelay

PCM_BYTES_PER_S: Final = 48_000  # 24 kHz, 16 bits, one voice: what OpenAI's `pcm` is
PACKED_BYTES_PER_S: Final = 16_000  # 128 kbit/s, the usual MP3
SPOKEN_BYTES_PER_S: Final = 15  # of text in UTF-8, about 150 words a minute
TOKENS_PER_S_HEARD: Final = 10  # OpenAI: one token per 100 ms of a user's voice
TOKENS_PER_S_SPOKEN: Final = 20  # OpenAI: 0.015 USD a minute at 12 USD per million tokens


def media_settled(exchange: "Call") -> Settlement:
    """What the provider has reported so far, and what that costs; counted here where it says nothing of use."""
    from tidegate.gateway.media import MediaExchange, MediaWay  # it imports what imports this

    seen, price, way = exchange.seen, exchange.price, exchange.way
    assert price is not None
    usage = seen.usage if seen is not None else None
    if seen is not None and seen.reported_nano_usd is not None:
        return settle(usage, price, reported_nano_usd=seen.reported_nano_usd)
    told = settle_units(usage, price) if usage is not None else None
    if told is not None:
        return told
    is_left = exchange.client_gone and bool(exchange.dispatched)
    sound = exchange.sound if isinstance(exchange, MediaExchange) else None
    is_answered = seen is not None and (not seen.has_error or seen.output_text_bytes > 0)
    if not isinstance(way, MediaWay) or not (is_left or (is_answered and _is_worked(exchange, sound))):
        return UNKNOWN_SPENT
    assert exchange.serving is not None
    guess = estimated(exchange, way, sound)
    if usage is not None:
        guess = msgspec.structs.replace(guess, requests=usage.requests)
    billed = billed_part(guess, price.rates) or guess
    settlement = settle(None, price, estimate=billed)
    settlement.usage = guess
    if is_free(price):
        settlement.basis = "metered"
    return settlement


def _is_worked(exchange: "Call", sound: "SoundRelay | None") -> bool:
    seen = exchange.seen
    assert seen is not None
    return seen.is_done or seen.output_text_bytes > 0 or (sound is not None and sound.length > 0)


def settle_units(usage: Usage, price: Price) -> Settlement | None:
    """The cost of what was reported; None where the price is for something else than was."""
    billed = billed_part(usage, price.rates)
    if billed is None:
        return None
    settlement = settle(billed, price)
    settlement.usage = usage
    return settlement


def billed_part(usage: Usage, rates: Rates) -> Usage | None:
    """The part of a usage that is charged; None where no rate is for any of it."""
    by_unit = (
        (usage.images and rates.image)
        or (usage.audio_input_s and rates.audio_input_s)
        or (usage.audio_output_s and rates.audio_output_s)
    )
    if by_unit:
        return Usage(
            images=usage.images,
            audio_input_s=usage.audio_input_s,
            audio_output_s=usage.audio_output_s,
            requests=usage.requests,
        )
    wants_units = rates.image or rates.audio_input_s or rates.audio_output_s
    wants_tokens = rates.input or rates.output or rates.kinds is not None
    if usage.total_tokens and wants_tokens:
        return usage
    return None if wants_units or wants_tokens else usage


def is_free(price: Price) -> bool:
    """Nothing that was counted here could have cost anything."""
    rates = price.rates
    return not (rates.input or rates.output or rates.kinds or rates.image or rates.audio_input_s
                or rates.audio_output_s)  # fmt: skip


def estimated(exchange: "Call", way: "MediaWay", sound: "SoundRelay | None") -> Usage:
    """What a call came to, as near as can be counted here."""
    media, serving, seen = exchange.operation.dialect, exchange.serving, exchange.seen
    assert isinstance(media, Media) and serving is not None
    if media.kind.hears:
        return _heard(way, seen.output_text_bytes if seen is not None else 0)
    entered = estimate_usage(way.prompt, 0, serving.upstream_model).input_tokens if way.prompt else 0
    if media.kind.speaks:
        return _spoken(way, entered, sound)
    return Usage(input_tokens=entered, images=way.images)


def _heard(way: "MediaWay", text_bytes: int) -> Usage:
    form = way.form
    seconds = sound_s(form.file_head, form.file_bytes, b"") if form is not None else None
    if seconds is None:
        seconds = _up((form.file_bytes if form is not None else len(way.prompt)), PACKED_BYTES_PER_S)
    tokens = seconds * TOKENS_PER_S_HEARD
    return Usage(
        input_tokens=tokens,
        output_tokens=_up(text_bytes, BYTES_PER_TOKEN),
        audio_input_s=seconds,
        kinds=TokenKinds(audio_input=tokens),
    )


def _spoken(way: "MediaWay", entered: int, sound: "SoundRelay | None") -> Usage:
    seconds = sound_s(sound.begin, sound.length, sound.content_type) if sound is not None else None
    if seconds is None:
        seconds = min(_up(_input_bytes(way.prompt), SPOKEN_BYTES_PER_S), SECONDS_MAX)
    tokens = seconds * TOKENS_PER_S_SPOKEN
    return Usage(
        input_tokens=entered,
        output_tokens=tokens,
        audio_output_s=seconds,
        kinds=TokenKinds(audio_output=tokens),
    )


class _Said(msgspec.Struct):
    input: str = ""


def _input_bytes(prompt: bytes) -> int:
    try:
        return len(msgspec.json.decode(prompt, type=_Said).input.encode(errors="replace"))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return len(prompt)


def sound_s(begin: bytes, length: int, content_type: bytes) -> int | None:
    """How long a sound of `length` bytes lasts, rounded up, where its format says; None for a packed one."""
    if begin[:4] == b"RIFF" and begin[8:12] == b"WAVE" and len(begin) >= 32:
        per_s = int.from_bytes(begin[28:32], "little")  # RIFF, WAVE format chunk: average bytes per second
        return min(_up(max(length - 44, 0), per_s), SECONDS_MAX) if per_s else None
    if content_type.startswith((b"audio/pcm", b"audio/l16")):
        return min(_up(length, PCM_BYTES_PER_S), SECONDS_MAX)
    return None


def _up(count: int, per: int) -> int:
    return -(-count // per)
