"""Images, sound, moderations and reranking by the unchanged SDK: through the gateway as directly.

The SDK's own speech tests answer themselves, so these are the calls that they would make.
"""

from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import openai
import pytest

from conformance.home import start_before
from conformance.mock.media import SOUND
from conformance.mock.turn import TEXT
from conformance.mock_provider import MockProvider
from rig.gateway import Gateway

MODEL = "acme-media"
FILE = ("speech.wav", b"RIFF" + bytes(range(256)) * 64, "audio/wav")
SPEECH: dict[str, Any] = {"model": MODEL, "input": "Two and two.", "voice": "ash"}
IMAGE: dict[str, Any] = {"model": MODEL, "prompt": "A tide gate."}

CALLS: dict[str, Callable[[openai.OpenAI], Any]] = {
    "speech": lambda c: c.audio.speech.create(**SPEECH).content,
    "speech, every parameter": lambda c: (
        c.audio.speech.create(**SPEECH, instructions="Slow.", response_format="mp3", speed=0.25).content
    ),
    "speech, raw": lambda c: c.audio.speech.with_raw_response.create(**SPEECH).parse().content,
    "speech as events": lambda c: c.audio.speech.create(**SPEECH, stream_format="sse").content,
    "transcription": lambda c: c.audio.transcriptions.create(model=MODEL, file=FILE),
    "transcription as text": lambda c: c.audio.transcriptions.create(model=MODEL, file=FILE, response_format="text"),
    "transcription streamed": lambda c: list(c.audio.transcriptions.create(model=MODEL, file=FILE, stream=True)),
    "translation": lambda c: c.audio.translations.create(model=MODEL, file=FILE),
    "image": lambda c: c.images.generate(**IMAGE),
    "image streamed": lambda c: list(c.images.generate(**IMAGE, stream=True)),
    "image edited": lambda c: c.images.edit(**IMAGE, image=FILE),
    "moderation": lambda c: c.moderations.create(model=MODEL, input=["one", "two"]),
}


@pytest.fixture(scope="module")
def mock() -> Iterator[MockProvider]:
    with MockProvider() as server:
        yield server


@pytest.fixture(scope="module")
def gateway(mock: MockProvider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    running = start_before(mock, tmp_path_factory.mktemp("home"), {"mock-openai": [MODEL]})
    yield running
    running.stop()


@pytest.fixture
def through(gateway: Gateway) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=gateway.key, max_retries=0) as client:
        yield client


@pytest.fixture
def direct(mock: MockProvider) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{mock.url}/v1", api_key="any", max_retries=0) as client:
        yield client


@pytest.mark.filterwarnings("ignore:deprecated:DeprecationWarning")  # the SDK, of translations
@pytest.mark.parametrize("name", CALLS)
def test_a_reply_equals_the_direct_one(through: openai.OpenAI, direct: openai.OpenAI, name: str) -> None:
    """Whole and streamed, JSON, text and sound."""
    assert CALLS[name](through) == CALLS[name](direct)


def test_the_provider_gets_the_very_file(through: openai.OpenAI, mock: MockProvider) -> None:
    """An upload is not changed on its way, nor are the fields beside it."""
    through.audio.transcriptions.create(model=MODEL, file=FILE, language="en", timestamp_granularities=["word"])
    seen = mock.calls[-1].body
    assert (seen["file"], seen["model"], seen["language"]) == (FILE[1], MODEL, "en")


def test_sound_comes_as_sound(through: openai.OpenAI) -> None:
    """Bytes and content type as the provider sent them."""
    reply = through.audio.speech.create(**SPEECH)
    assert reply.content == SOUND
    assert reply.response.headers["content-type"] == "audio/mpeg"
    assert through.audio.transcriptions.create(model=MODEL, file=FILE).text == TEXT


@pytest.mark.parametrize("root", ["/v1", "/api/v1"])
def test_rerank_is_served(gateway: Gateway, root: str) -> None:
    """No SDK of OpenAI's has it; Cohere's form."""
    body = {"model": MODEL, "query": "tide", "documents": ["gate", "moon"], "top_n": 1}
    reply = httpx2.post(f"{gateway.url}{root}/rerank", json=body, headers=gateway.headers)
    assert reply.status_code == 200, reply.text
    assert [one["index"] for one in reply.json()["results"]] == [0]
