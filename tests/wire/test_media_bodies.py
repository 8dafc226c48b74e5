"""What the meter reads of images, speech, transcriptions, moderations and rankings; and what is edited on the way."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.core.errors import InvalidRequest
from tidegate.core.usage import TokenKinds, Usage
from tidegate.wire.dialect import Seen
from tidegate.wire.media import MEDIA, Media
from tidegate.wire.multipart import FormReader

BY_PATH = {media.kind.path: media for media in MEDIA}
IMAGES, SPEECH, HEARD = (BY_PATH[p] for p in ("images/generations", "audio/speech", "audio/transcriptions"))
RERANK = BY_PATH["rerank"]


def seen(media: Media, reply: Any) -> Seen:
    found = media.see_reply(reply if isinstance(reply, bytes) else json.dumps(reply).encode())
    assert found is not None
    return found


TOKENS = {"input_tokens": 50, "output_tokens": 4160, "total_tokens": 4210}
SAID: dict[str, tuple[Media, Any, Usage | None]] = {
    "images by the piece": (IMAGES, {"data": [{"url": "u"}, {"url": "v"}]}, Usage(images=2)),
    "images by tokens": (
        IMAGES,
        {"data": [{"b64_json": "aGk="}], "usage": TOKENS | {
            "input_tokens_details": {"image_tokens": 40, "text_tokens": 10},
            "output_tokens_details": {"image_tokens": 4160, "text_tokens": 0}}},
        Usage(input_tokens=50, output_tokens=4160, images=1, kinds=TokenKinds(image_input=40, image_output=4160)),
    ),
    "sound by tokens": (
        HEARD,
        {"text": "four", "usage": {"type": "tokens", "input_tokens": 14, "output_tokens": 5, "total_tokens": 19,
                                   "input_token_details": {"audio_tokens": 14, "text_tokens": 0}}},
        Usage(input_tokens=14, output_tokens=5, kinds=TokenKinds(audio_input=14)),
    ),
    "sound by seconds": (HEARD, {"text": "a", "usage": {"type": "duration", "seconds": 9.2}}, Usage(audio_input_s=10)),
    "sound by its duration": (HEARD, {"text": "a", "duration": 3.5}, Usage(audio_input_s=4)),
    "a duration as text": (HEARD, {"text": "a", "duration": "8.470000267028809"}, Usage(audio_input_s=9)),
    "both, as OpenRouter has it": (
        HEARD,
        {"text": "a", "usage": {"seconds": 9.2, "input_tokens": 83, "output_tokens": 30, "total_tokens": 113}},
        Usage(input_tokens=83, output_tokens=30, audio_input_s=10),
    ),
    "subtitles": (HEARD, b"1\n00:00:00,000 --> 00:00:03,500\nTwo\n\n2\n00:00:03,500 --> 00:01:02,100\nfour\n",
                  Usage(audio_input_s=63)),
    "web subtitles": (HEARD, b"WEBVTT\n\n00:00.000 --> 00:04.000\nTwo and two\n", Usage(audio_input_s=4)),
    "text alone": (HEARD, b"Two and two are four.\n", None),
    "a ranking by tokens": (RERANK, {"results": [], "usage": {"total_tokens": 120}}, Usage(input_tokens=120)),
    "a ranking by searches": (RERANK, {"results": [], "meta": {"billed_units": {"search_units": 3}}},
                              Usage(requests=3)),
    "a ranking with its tokens in meta": (
        RERANK, {"results": [], "meta": {"tokens": {"input_tokens": 7, "output_tokens": 1}}},
        Usage(input_tokens=7, output_tokens=1),
    ),
    "a judgement": (BY_PATH["moderations"], {"results": [{"flagged": False}]}, None),
}  # fmt: skip


@pytest.mark.parametrize("case", SAID)
def test_usage_is_read_in_every_unit_that_a_reply_names(case: str) -> None:
    media, reply, usage = SAID[case]
    assert seen(media, reply).usage == usage


def test_a_number_that_no_count_is_breaks_nothing() -> None:
    assert (
        seen(RERANK, b'{"results":[],"meta":{"tokens":{"input_tokens":1%b,"output_tokens":1}}}' % (b"0" * 30)).usage
        is None
    )


def test_what_the_provider_charges_is_read_too() -> None:
    assert seen(HEARD, {"text": "a", "usage": {"seconds": 9.2, "cost": 0.000508}}).reported_nano_usd == 508_000


def test_an_error_with_a_good_status_is_one() -> None:
    assert seen(IMAGES, {"error": {"message": "no"}}).has_error


def test_html_is_no_transcript() -> None:
    """A proxy's page of error is not charged as text that was heard."""
    assert HEARD.see_reply(b"<html>Bad gateway</html>") is None
    assert IMAGES.see_reply(b"\x89PNG") is None


def event(payload: Any) -> bytes:
    return b"data: " + json.dumps(payload).encode() + b"\n\n"


def test_streams_tell_usage_in_their_last_event() -> None:
    peek = HEARD.peek(HEARD.decode_head(b'{"model": "m"}'))
    peek.see(event({"type": "transcript.text.delta", "delta": "Two"}))
    assert (peek.seen.usage, peek.seen.is_done) == (None, False)
    peek.see(event({"type": "transcript.text.done", "text": "Two", "usage": TOKENS | {"type": "tokens"}}))
    assert (peek.seen.usage, peek.seen.is_done) == (Usage(input_tokens=50, output_tokens=4160), True)


def test_several_images_may_come_in_one_stream() -> None:
    """Each has a last event of its own; the stream ends where the provider ends it."""
    peek = IMAGES.peek(IMAGES.decode_head(b'{"model": "m"}'))
    for _ in range(2):
        peek.see(event({"type": "image_generation.partial_image", "b64_json": "aGk="}))
        peek.see(event({"type": "image_generation.completed", "b64_json": "aGk=", "usage": TOKENS}))
    assert peek.seen.usage == Usage(input_tokens=50, output_tokens=4160, images=2)
    assert (peek.seen.is_done, peek.seen.finish_reason) == (False, "stop")


def test_an_error_in_a_stream_is_seen() -> None:
    peek = SPEECH.peek(SPEECH.decode_head(b'{"model": "m"}'))
    assert peek.see(event({"type": "error", "error": {"message": "no"}}))
    assert peek.seen.has_error


@given(st.sampled_from(MEDIA), st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["usage", "data", "meta", "billed_units", "search_units", "seconds", "duration", "tokens",
                         "total_tokens", "input_tokens", "output_tokens", "type", "error", "text"]), inner, max_size=4),
    max_leaves=12))  # fmt: skip
def test_no_reply_breaks_the_reader(media: Media, reply: Any) -> None:
    """Whatever a provider sends, its reply goes to the caller; at worst nothing is read of it."""
    media.see_reply(json.dumps(reply).encode())
    media.peek(media.decode_head(b'{"model": "m"}')).see(event(reply))


# -- requests -------------------------------------------------------------------------------------------------------


def test_only_the_models_name_is_edited() -> None:
    body = b'{ "prompt": "caf\\u00e9", "model" : "ours", "n": 2, "odd": 1e5 }'
    edited = b"".join(IMAGES.edit_request(body, IMAGES.decode_head(body), "theirs"))
    assert json.loads(edited) == json.loads(body) | {"model": "theirs"}
    assert b"caf\\u00e9" in edited
    assert b"1e5" in edited


def test_a_second_model_does_not_reach_the_provider() -> None:
    body = b'{"model": "dear", "input": "a", "model": "cheap"}'
    assert SPEECH.decode_head(body).model == "cheap"
    assert b"dear" not in b"".join(SPEECH.edit_request(body, SPEECH.decode_head(body), "cheap"))


def test_a_model_that_may_be_left_out_is_the_documented_one() -> None:
    head = BY_PATH["moderations"].decode_head(b'{"input": "a"}')
    assert head.model == "omni-moderation-latest"
    assert IMAGES.decode_head(b'{"prompt": "a", "model": null}').model == "dall-e-2"
    with pytest.raises(InvalidRequest, match="model"):
        SPEECH.decode_head(b'{"input": "a"}')


@pytest.mark.parametrize("body", [b"", b"[]", b'"a"', b'{"model": 5}', b"{", b"[" * 100_000])
def test_a_body_that_is_no_request_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidRequest):
        SPEECH.decode_head(body)


@pytest.mark.parametrize(("said", "count"), [(b"", 1), (b',"n":3', 3), (b',"n":null', 1), (b',"n":"x"', 1)])
def test_how_many_images_are_asked_for(said: bytes, count: int) -> None:
    assert IMAGES.images_asked(b'{"prompt":"a"%b}' % said, None) == count
    assert HEARD.images_asked(b'{"n": 3}', None) == 0


@pytest.mark.parametrize("fields", [{"model": "ours"}, {"model": ""}, {}])
def test_a_forms_model_is_replaced_or_put_in(fields: dict[str, str]) -> None:
    def read(body: bytes) -> FormReader:
        reader = FormReader(b"b")
        reader.feed(body)
        reader.finish()
        return reader

    parts = [b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nsound\r\n']
    parts += [
        b'--b\r\nContent-Disposition: form-data; name="%b"\r\n\r\n%b\r\n' % (name.encode(), value.encode())
        for name, value in fields.items()
    ]
    body = b"".join(parts) + b"--b--\r\n"
    start, end, by = HEARD.form_edit(read(body), "theirs")
    edited = read(body[:start] + by + body[end:])
    assert edited.fields["model"].text == "theirs"
    assert edited.file_bytes == 5
