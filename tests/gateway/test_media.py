"""Images, speech, transcriptions, moderations and rankings through a real gateway: passed as they are, and metered."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2 as httpx
import openai
import pytest

from conformance.mock.media import SOUND
from conformance.mock.turn import TEXT
from conformance.mock_provider import MockProvider
from rig.gateway import Gateway, start_gateway
from rig.media import TOKENS_COST, WAV, config, form, post


@pytest.fixture(scope="module")
def mock() -> Iterator[MockProvider]:
    with MockProvider() as server:
        yield server


@pytest.fixture(scope="module")
def gateway(mock: MockProvider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    running = start_gateway(tmp_path_factory.mktemp("home"), config(mock), {"MOCK_KEY": "mock"})
    yield running
    running.stop()


JSON_CALLS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "image": ("images/generations", "img", {"prompt": "a tide", "n": 2}),
    "judgement": ("moderations", "judge", {"input": "What is two and two?"}),
    "ranking": ("rerank", "rank", {"query": "four", "documents": ["two", "four"]}),
    "edit": ("images/edits", "img", {"prompt": "higher", "images": [{"image_url": "https://x.example/a.png"}]}),
}


@pytest.mark.parametrize("root", ["/v1", "/api/v1"])
@pytest.mark.parametrize("case", JSON_CALLS)
def test_a_call_in_json_passes_through_as_it_is(gateway: Gateway, mock: MockProvider, case: str, root: str) -> None:
    """The caller reads what the provider wrote; the provider reads its own name of the model and nothing else new."""
    path, model, body = JSON_CALLS[case]
    reply = post(gateway, f"{root}/{path}", json=body | {"model": f"acme/{model}"})
    call = mock.calls[-1]
    direct = httpx.post(f"{mock.url}/v1/{path}", json=call.body, headers={"authorization": "Bearer x"})
    told, given = reply.json(), direct.json()
    if root == "/api/v1" and "usage" in given:
        cost = {"cost": METERED[case][5] / 1e9, "is_byok": False}
        assert told["usage"] == given["usage"] | cost
        given["usage"] = told["usage"]
    assert (reply.status_code, told) == (200, given)
    assert (call.path, call.body) == (f"/v1/{path}", body | {"model": f"their-{model}"})
    assert call.headers["authorization"] == "Bearer mock"
    row = gateway.row(f"acme/{model}")
    assert (row.status_code, row.response_model, row.provider_name) == (200, f"acme/{model}", "mock")
    assert row.generation_id == reply.headers["x-generation-id"]
    assert row.price_id is not None


METERED = {
    "image": ("image_generation", "openai-images", 12, 5, "metered", TOKENS_COST),
    "edit": ("image_edit", "openai-images", 12, 5, "metered", TOKENS_COST),
    "ranking": ("rerank", "rerank", 12, 0, "metered", 24_000),
    "judgement": ("moderation", "openai-moderations", 12, 0, "estimated_partial", 24_000),
}


@pytest.mark.parametrize("case", METERED)
def test_a_call_is_metered_by_what_its_reply_says_or_counted_here(gateway: Gateway, case: str) -> None:
    """A moderation reports no usage: its text is counted, and the row says so."""
    path, model, body = JSON_CALLS[case]
    post(gateway, f"/v1/{path}", json=body | {"model": f"acme/{model}"})
    outcome = gateway.outcome(f"acme/{model}")
    row = outcome.row
    told = (row.operation_name, row.dialect, row.usage_input_tokens, row.usage_output_tokens, row.cost_basis,
            row.cost_nano_usd)  # fmt: skip
    assert told == METERED[case]
    assert row.images == {"image": 2, "edit": 1}.get(case)
    assert [attempt.upstream_cost_nano_usd for attempt in outcome.attempts] == [row.cost_nano_usd]


# -- forms ----------------------------------------------------------------------------------------------------------


FILE = ("file", b"sound\r\n--b-1\r\n" * 100, "a.mp3")
ORDERS = {
    "model first": [("model", b"acme/ear", ""), FILE],
    "model last": [FILE, ("language", b"en", ""), ("model", b"acme/ear", "")],
    "a large file first": [("file", bytes(3_000_000), "a.mp3"), ("model", b"acme/ear", "")],
    "a large file last": [("model", b"acme/ear", ""), ("file", bytes(range(256)) * 12_000, "a.mp3")],
}


@pytest.mark.parametrize("path", ["audio/transcriptions", "audio/translations"])
@pytest.mark.parametrize("order", ORDERS)
def test_a_form_reaches_the_provider_byte_for_byte_but_for_the_model(
    gateway: Gateway, mock: MockProvider, order: str, path: str
) -> None:
    headers, body = form(ORDERS[order])
    reply = post(gateway, f"/v1/{path}", headers=headers, content=body)
    assert (reply.status_code, reply.json()["text"]) == (200, TEXT)
    assert mock.calls[-1].raw == body.replace(b"acme/ear", b"their-ear")
    assert mock.calls[-1].headers["content-type"] == headers["content-type"]
    row = gateway.row("acme/ear")
    assert (row.status_code, row.request_model, row.is_stream) == (200, "acme/ear", False)
    if path == "audio/transcriptions":
        assert (row.cost_basis, row.cost_nano_usd, row.operation_name) == ("metered", TOKENS_COST, "transcription")


def test_a_form_in_chunks_of_any_size_is_the_same_form(gateway: Gateway, mock: MockProvider) -> None:
    headers, body = form(ORDERS["model last"])
    for size in (1, 7, 1000):
        chunks = (body[at : at + size] for at in range(0, len(body), size))
        assert post(gateway, "/v1/audio/transcriptions", headers=headers, content=chunks).status_code == 200
        assert mock.calls[-1].raw == body.replace(b"acme/ear", b"their-ear")


def test_a_model_left_out_is_the_documented_one(gateway: Gateway, mock: MockProvider) -> None:
    headers, body = form([("image", b"png", "a.png"), ("prompt", b"higher", "")])
    assert post(gateway, "/v1/images/edits", headers=headers, content=body).status_code == 200
    assert mock.calls[-1].body["model"] == "gpt-image-1.5"
    assert post(gateway, "/v1/moderations", json={"input": "a"}).status_code == 200
    row = gateway.row("omni-moderation-latest")
    assert (row.cost_nano_usd, row.cost_basis) == (0, "metered")


@pytest.mark.parametrize(
    "form_of",
    ["verbose_json", "srt", "text"],
)
def test_a_transcription_in_any_form_costs_something(gateway: Gateway, form_of: str) -> None:
    """Text alone says nothing of use; a price per token is then charged by what the file's length tells."""
    sound = WAV + bytes(32_000 * 7)  # seven seconds, as its own header says
    headers, body = form(
        [("model", b"acme/ear", ""), ("response_format", form_of.encode(), ""), ("file", sound, "a.wav")]
    )
    assert post(gateway, "/v1/audio/transcriptions", headers=headers, content=body).status_code == 200
    row = gateway.row("acme/ear")
    assert row.cost_basis == "estimated_partial"
    assert row.audio_input_s == 7
    assert row.cost_nano_usd == 70 * 2000 + row.usage_output_tokens * 10_000


def test_a_model_priced_by_the_unit_is_charged_by_the_unit(gateway: Gateway) -> None:
    """0.04 USD an image or a second. Sound whose length nobody says is measured here, and the row says so."""
    post(gateway, "/v1/images/generations", json={"model": "acme/pieces", "prompt": "a tide", "n": 3})
    row = gateway.row("acme/pieces")
    assert (row.cost_nano_usd, row.cost_basis, row.images) == (3 * 40_000_000, "metered", 3)
    for form_of, seconds, basis in (("verbose_json", 4, "metered"), ("text", 7, "estimated_partial")):
        fields = [("model", b"acme/seconds", ""), ("response_format", form_of.encode(), "")]
        headers, body = form([*fields, ("file", WAV + bytes(32_000 * 7), "a.wav")])
        assert post(gateway, "/v1/audio/transcriptions", headers=headers, content=body).status_code == 200
        row = gateway.row("acme/seconds")
        told = (row.cost_nano_usd, row.cost_basis, row.audio_input_s)
        assert told == (seconds * 40_000_000, basis, seconds)
    post(gateway, "/v1/audio/speech", json={"model": "acme/spoken", "input": "a" * 61, "voice": "alloy"})
    row = gateway.row("acme/spoken")
    assert (row.cost_nano_usd, row.cost_basis, row.audio_output_s) == (5 * 40_000_000, "estimated_partial", 5)


def test_events_under_api_v1_say_what_they_cost(gateway: Gateway) -> None:
    body = {"model": "acme/img", "prompt": "a tide", "stream": True}
    reply = post(gateway, "/api/v1/images/generations", json=body)
    events = [json.loads(line[6:]) for line in reply.text.splitlines() if line.startswith("data: ")]
    assert [event.get("usage", {}).get("cost") for event in events] == [None, TOKENS_COST / 1e9]
    assert "event: image_generation.completed" in reply.text


def test_a_file_that_opens_no_upload_is_refused_before_it_is_read(gateway: Gateway) -> None:
    """Without a key nothing is kept."""
    headers, body = form(ORDERS["a large file first"])
    assert httpx.post(gateway.url + "/v1/audio/transcriptions", headers=headers, content=body).status_code == 401


ODD: dict[str, tuple[dict[str, str], bytes, int, str]] = {
    "two models": (*form([("model", b"acme/ear", ""), ("model", b"acme/img", ""), FILE]), 400, "model"),
    "no model": (*form([FILE]), 400, "model"),
    "an unknown model": (*form([("model", b"acme/none", ""), FILE]), 404, "acme/none"),
    "no price": (*form([("model", b"acme/unpriced", ""), FILE]), 404, "price"),
    "no boundary": ({"content-type": "multipart/form-data"}, b"x", 400, "boundary"),
    "cut off": (form([])[0], form([("model", b"acme/ear", "")])[1][:-9], 400, "boundary"),
    "compressed": (form([])[0] | {"content-encoding": "gzip"}, b"x", 415, "compressed"),
    "too large": (*form([("file", bytes(33 * 1024 * 1024), "a")]), 413, "body_bytes_max"),
    "another provider's dialect": (*form([("model", b"acme/claude", ""), FILE]), 400, "claude"),
    "JSON that is none": ({"content-type": "application/json"}, b"{", 400, "JSON"),
}


@pytest.mark.parametrize("case", ODD)
def test_what_cannot_be_served_is_refused_with_the_reason(gateway: Gateway, mock: MockProvider, case: str) -> None:
    """In OpenAI's shape, with a row of the call, and without a word to the provider."""
    headers, body, status, word = ODD[case]
    asked = len(mock.calls)
    reply = post(gateway, "/v1/audio/transcriptions", headers=headers, content=body)
    assert reply.status_code == status
    assert word in reply.json()["error"]["message"]
    assert len(mock.calls) == asked
    if "x-generation-id" in reply.headers:
        row = next(o.row for o in gateway.outcomes() if o.row.generation_id == reply.headers["x-generation-id"])
        assert (row.status_code, row.cost_nano_usd, row.attempt_count) == (status, 0, 0)


@pytest.mark.parametrize(("model", "status"), [("busy+e429", 429), ("bad+e400", 400)])
def test_a_providers_refusal_reaches_the_caller(gateway: Gateway, model: str, status: int) -> None:
    headers, body = form([("model", f"acme/{model}".encode(), ""), ("file", bytes(2_000_000), "a.mp3")])
    reply = post(gateway, "/v1/audio/transcriptions", headers=headers, content=body)
    assert (reply.status_code, reply.json()["error"]["message"]) == (status, f"The mock answers {status}.")
    row = gateway.row(f"acme/{model}")
    assert (row.status_code, row.cost_nano_usd, row.error_type) == (status, 0, "upstream_refusal")


# -- streams --------------------------------------------------------------------------------------------------------


def test_sound_passes_through_as_bytes(gateway: Gateway, mock: MockProvider) -> None:
    """A voice says nothing of use: it is charged by the text it spoke, and the row says that this is an estimate."""
    body = {"model": "acme/voice", "input": "Two and two are four. " * 10, "voice": "alloy"}
    reply = post(gateway, "/v1/audio/speech", json=body)
    assert (reply.status_code, reply.headers["content-type"], reply.content) == (200, "audio/mpeg", SOUND)
    assert mock.calls[-1].headers["accept"] == "*/*"
    row = gateway.row("acme/voice")
    assert (row.operation_name, row.error_type, row.cost_basis) == ("speech", None, "estimated_partial")
    assert row.audio_output_s == 15  # 220 bytes of text, 15 a second
    assert row.cost_nano_usd == row.usage_input_tokens * 2000 + 15 * 20 * 10_000


STREAMS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "speech": ("audio/speech", "voice", {"input": "four", "voice": "alloy", "stream_format": "sse"}),
    "image": ("images/generations", "img", {"prompt": "a tide", "stream": True, "partial_images": 1}),
    "transcript": ("audio/transcriptions", "ear", {}),
}


@pytest.mark.parametrize("case", STREAMS)
def test_events_pass_through_and_their_usage_is_charged(gateway: Gateway, mock: MockProvider, case: str) -> None:
    path, model, body = STREAMS[case]
    if body:
        reply = post(gateway, f"/v1/{path}", json=body | {"model": f"acme/{model}"})
    else:
        headers, content = form([FILE, ("stream", b"true", ""), ("model", b"acme/ear", "")])
        reply = post(gateway, f"/v1/{path}", headers=headers, content=content)
    assert reply.headers["content-type"].startswith("text/event-stream")
    events = [json.loads(line[6:]) for line in reply.text.splitlines() if line.startswith("data: ")]
    assert events[-1]["type"].endswith((".done", ".completed"))
    assert events[-1]["usage"]["output_tokens"] == 5
    row = gateway.row(f"acme/{model}")
    assert (row.is_stream, row.cost_basis, row.cost_nano_usd, row.error_type) == (True, "metered", TOKENS_COST, None)


def test_openais_own_client_hears_and_is_heard(gateway: Gateway, tmp_path: Path) -> None:
    """The unchanged SDK: a voice to a file and in pieces, a file to text, whole and streamed."""
    with openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=gateway.key, max_retries=0) as client:
        client.audio.speech.create(model="acme/voice", input="four", voice="alloy").write_to_file(tmp_path / "a.mp3")
        assert (tmp_path / "a.mp3").read_bytes() == SOUND
        said = {"model": "acme/voice", "input": "four", "voice": "alloy"}
        with client.audio.speech.with_streaming_response.create(**said) as reply:
            assert b"".join(reply.iter_bytes()) == SOUND
        with (tmp_path / "a.mp3").open("rb") as file:
            heard = client.audio.transcriptions.create(model="acme/ear", file=file)
        assert (heard.text, heard.usage.type) == (TEXT, "tokens")
        events = client.audio.transcriptions.create(model="acme/ear", file=tmp_path / "a.mp3", stream=True)
        assert [event.type for event in events][-1] == "transcript.text.done"
        with pytest.raises(openai.RateLimitError):
            client.audio.transcriptions.create(model="acme/busy+e429", file=tmp_path / "a.mp3")
