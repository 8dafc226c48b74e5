"""Images, speech, transcriptions, moderations and rankings through a real gateway: passed as they are, and metered."""

import asyncio
import json
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2 as httpx
import openai
import pytest

from conformance.mock.media import SOUND
from conformance.mock.turn import TEXT
from conformance.mock_provider import MockProvider, form_fields
from rig.gateway import Gateway, configuration, start_gateway
from rig.provider import Call, FakeProvider
from rig.server import ThreadedServer

TOKENS_COST = 12 * 2000 + 5 * 10_000  # 12 tokens in at 2 USD per million, 5 out at 10, in nano-USD
MODELS = ("img", "voice", "ear", "judge", "rank", "busy+e429", "bad+e400")
WAV = b"RIFF\x00\x00\x00\x00WAVEfmt " + (16).to_bytes(4, "little") + b"\x01\x00\x01\x00" + (16000).to_bytes(4, "little")
WAV += (32000).to_bytes(4, "little") + b"\x02\x00\x10\x00data\x00\x00\x00\x00"


@pytest.fixture(scope="module")
def mock() -> Iterator[MockProvider]:
    with MockProvider() as server:
        yield server


def config(mock: MockProvider, extra: str = "") -> str:
    price = 'price = { input = "2", output = "10" }'
    lines = ["[gateway]", "providers_from_environment = false", extra]
    for name, dialect in (("mock", "openai-chat"), ("claude", "anthropic")):
        lines.append(f'[providers.{name}]\nbase_url = "{mock.url}/v1"\ndialect = "{dialect}"\napi_key_env = "MOCK_KEY"')
    for model in MODELS:
        lines.append(
            f'[[endpoints]]\nprovider = "mock"\nmodel = "acme/{model}"\nupstream_model = "their-{model}"\n{price}'
        )
    for model, more in (("seconds", "audio_input_s"), ("pieces", "image"), ("spoken", "audio_output_s")):
        price_of = f'price = {{ input = "0", output = "0", more = {{ {more} = "40000" }} }}'
        lines.append(f'[[endpoints]]\nprovider = "mock"\nmodel = "acme/{model}"\n{price_of}')
    for model in ("gpt-image-1.5", "omni-moderation-latest"):
        lines.append(f'[[endpoints]]\nprovider = "mock"\nmodel = "{model}"\nprice = {{ input = "0", output = "0" }}')
    lines.append(f'[[endpoints]]\nprovider = "claude"\nmodel = "acme/claude"\n{price}')
    lines.append('[[endpoints]]\nprovider = "mock"\nmodel = "acme/unpriced"')
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="module")
def gateway(mock: MockProvider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    running = start_gateway(tmp_path_factory.mktemp("home"), config(mock), {"MOCK_KEY": "mock"})
    yield running
    running.stop()


def post(gateway: Gateway, path: str, **more: Any) -> httpx.Response:
    return httpx.post(gateway.url + path, headers=gateway.headers | more.pop("headers", {}), timeout=20, **more)


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


def form(fields: list[tuple[str, bytes, str]], boundary: str = "b-0") -> tuple[dict[str, str], bytes]:
    """Headers and body of a form: (name, content, file name)."""
    parts = []
    for name, content, filename in fields:
        more = f'; filename="{filename}"\r\nContent-Type: application/octet-stream' if filename else ""
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n'
        parts.append(head.encode() + content + b"\r\n")
    kind = {"content-type": f"multipart/form-data; boundary={boundary}"}
    return kind, b"".join(parts) + f"--{boundary}--\r\n".encode()


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


def memory_kb(gateway: Gateway, word: str = "VmHWM") -> int:
    lines = Path(f"/proc/{gateway.process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(word))


def files_without_a_name(gateway: Gateway) -> list[str]:
    found = [path.readlink() for path in Path(f"/proc/{gateway.process.pid}/fd").iterdir() if path.is_symlink()]
    return [str(path) for path in found if str(path).startswith(str(gateway.home)) and "(deleted)" in str(path)]


def test_an_upload_is_never_wholly_in_memory_and_leaves_nothing_behind(gateway: Gateway, mock: MockProvider) -> None:
    headers, body = form([("file", bytes(28_000_000), "a.mp3"), ("model", b"acme/ear", "")])
    small_headers, small = form(ORDERS["a large file first"])
    post(gateway, "/v1/audio/transcriptions", headers=small_headers, content=small)
    before = memory_kb(gateway)
    assert post(gateway, "/v1/audio/transcriptions", headers=headers, content=body).status_code == 200
    assert len(mock.calls[-1].raw) == len(body) + 1
    assert memory_kb(gateway) - before < 6_000
    assert files_without_a_name(gateway) == []
    assert [path.name for path in (gateway.home / "run").iterdir() if path.name.startswith("tmp")] == []


def test_a_caller_who_leaves_in_the_middle_of_an_upload_leaves_no_file(gateway: Gateway) -> None:
    headers, body = form([("file", bytes(4_000_000), "a.mp3"), ("model", b"acme/ear", "")])
    rows = len(gateway.outcomes())
    with gateway.connect() as caller:
        head = f"POST /v1/audio/transcriptions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {gateway.key}\r\n"
        head += f"content-type: {headers['content-type']}\r\ncontent-length: {len(body)}\r\n\r\n"
        caller.sendall(head.encode() + body[:3_000_000])
        wait_for(lambda: files_without_a_name(gateway) != [])
    wait_for(lambda: files_without_a_name(gateway) == [])
    assert len(gateway.outcomes()) == rows  # no call was made of it


def wait_for(condition: Callable[[], bool], within_s: float = 5.0) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


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


async def speak(call: Call) -> None:
    await call.write(b"HTTP/1.1 200 OK\r\ncontent-type: audio/pcm\r\ntransfer-encoding: chunked\r\n\r\n")
    for _ in range(3):
        await call.chunk(bytes(24_000))
        await asyncio.sleep(0.15)
    await call.write(b"0\r\n\r\n")


async def break_off(call: Call) -> None:
    await call.write(b"HTTP/1.1 200 OK\r\ncontent-type: audio/mpeg\r\ncontent-length: 100000\r\n\r\n" + bytes(5000))
    call.writer.transport.abort()


async def speak_long(call: Call) -> None:
    await call.write(b"HTTP/1.1 200 OK\r\ncontent-type: audio/mpeg\r\ncontent-length: 64000000\r\n\r\n")
    for _ in range(64):
        await call.write(bytes(1_000_000))


@pytest.fixture(scope="module")
def speaker() -> Iterator[FakeProvider]:
    with FakeProvider({"speaks": speak, "breaks": break_off, "long": speak_long}) as provider:
        yield provider


@pytest.fixture(scope="module")
def stage(speaker: FakeProvider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    running = start_gateway(tmp_path_factory.mktemp("home"), configuration(speaker, ["speaks", "breaks", "long"]))
    yield running
    running.stop()


def say(model: str) -> dict[str, Any]:
    return {"json": {"model": f"acme/{model}", "input": "Two and two are four.", "voice": "alloy"}}


def test_sound_is_heard_as_it_comes(stage: Gateway) -> None:
    """The first bytes are there long before the last; 72,000 bytes of `pcm` are a second and a half."""
    came = []
    with httpx.stream("POST", f"{stage.url}/v1/audio/speech", headers=stage.headers, **say("speaks")) as reply:
        for data in reply.iter_raw():
            came.append((time.monotonic(), len(data)))
    assert sum(length for _, length in came) == 72_000
    assert came[-1][0] - came[0][0] > 0.2
    row = stage.row("acme/speaks")
    assert (row.audio_output_s, row.status_code, row.error_type) == (2, 200, None)
    assert row.time_to_first_chunk_us is not None
    assert row.duration_us is not None
    assert row.time_to_first_chunk_us < row.duration_us - 200_000


def test_sound_that_breaks_off_is_never_taken_for_whole(stage: Gateway) -> None:
    with (
        pytest.raises(httpx.HTTPError),
        httpx.stream("POST", f"{stage.url}/v1/audio/speech", headers=stage.headers, **say("breaks")) as reply,
    ):
        assert reply.status_code == 200
        reply.read()
    row = stage.row("acme/breaks")
    assert (row.status_code, row.error_type, row.cost_basis) == (200, "upstream_error", "estimated_partial")
    assert row.cost_nano_usd is not None
    assert row.cost_nano_usd > 0


def test_a_slow_listener_holds_the_provider_back(stage: Gateway) -> None:
    """Sixty-four megabytes for a caller who does not read stay where they come from."""
    body = json.dumps(say("long")["json"]).encode()
    before = memory_kb(stage)
    with socket.create_connection(("127.0.0.1", stage.port), timeout=20) as caller:
        head = f"POST /v1/audio/speech HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {stage.key}\r\n"
        caller.sendall(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
        time.sleep(0.7)
        assert memory_kb(stage) - before < 8_000
        length = 0
        while not (data := caller.recv(1 << 20)).endswith(b"0\r\n\r\n"):
            length += len(data)
    assert length + len(data) > 64_000_000
    assert memory_kb(stage) - before < 8_000
    assert stage.row("acme/long").error_type is None


def test_a_listener_who_leaves_pays_for_what_was_spoken(stage: Gateway) -> None:
    rows = len(stage.outcomes())
    with httpx.stream("POST", f"{stage.url}/v1/audio/speech", headers=stage.headers, **say("speaks")) as reply:
        next(reply.iter_raw())
    wait_for(lambda: len(stage.outcomes()) > rows)
    row = stage.row("acme/speaks")
    assert row.is_cancelled
    assert row.cost_nano_usd is not None
    assert row.cost_nano_usd > 0


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


# -- an upload's way to the provider ----------------------------------------------------------------------------------


class Odd(ThreadedServer):
    """A provider of forms that behaves as `model` says."""

    def __init__(self) -> None:
        super().__init__()
        self.bodies: list[bytes] = []
        self.connections = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            for number in range(100):
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
                if length % 2 and number == 0:  # an odd one: refused by its head alone
                    writer.write(b"HTTP/1.1 413 No\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}")
                    await asyncio.sleep(0.5)
                    break
                if number == 1:  # the second on one connection finds it closed
                    break
                await asyncio.sleep(0.2)
                body = await reader.readexactly(length)
                self.bodies.append(body)
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 13\r\n\r\n"
                             b'{"text":"ab"}')  # fmt: skip
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()


@pytest.fixture(scope="module")
def odd() -> Iterator[Odd]:
    with Odd() as provider:
        yield provider


@pytest.fixture(scope="module")
def odd_gateway(odd: Odd, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    text = f'[providers.mock]\nbase_url = "http://127.0.0.1:{odd.port}/v1"\n[[endpoints]]\nprovider = "mock"\n'
    text += 'model = "ear"\nprice = { input = "2", output = "10" }\n'
    running = start_gateway(tmp_path_factory.mktemp("home"), text)
    yield running
    running.stop()


def upload(gateway: Gateway, *, odd: bool) -> httpx.Response:
    sound = bytes(range(256)) * 20_000
    headers, body = form([("model", b"ear", ""), ("file", sound, "a.mp3")])
    if len(body) % 2 != odd:
        headers, body = form([("model", b"ear", ""), ("file", sound + b"x", "a.mp3")])
    reply = post(gateway, "/v1/audio/transcriptions", headers=headers, content=body)
    assert len(body) % 2 == odd
    return reply


def test_a_warm_connection_that_was_closed_gets_the_whole_form_again(odd: Odd, odd_gateway: Gateway) -> None:
    """Five megabytes, twice: what the first connection took is not missing on the second."""
    assert upload(odd_gateway, odd=False).status_code == 200
    assert upload(odd_gateway, odd=False).status_code == 200
    assert (odd.bodies[0], len(odd.bodies)) == (odd.bodies[1], 2)
    assert len(odd.bodies[0]) > 5_000_000
    assert form_fields("multipart/form-data; boundary=b-0", odd.bodies[0])["file"][:4] == b"\x00\x01\x02\x03"
    outcome = odd_gateway.outcome("ear")
    assert [attempt.status_code for attempt in outcome.attempts] == [None, 200]


def test_a_provider_that_answers_before_it_has_read_is_heard(odd: Odd, odd_gateway: Gateway) -> None:
    """Its connection is not used again: half a form is still on its way there."""
    known = odd.connections
    assert upload(odd_gateway, odd=True).status_code == 413
    assert upload(odd_gateway, odd=False).status_code == 200
    assert odd.connections >= known + 1
    assert files_without_a_name(odd_gateway) == []
