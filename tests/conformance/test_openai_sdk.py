"""The unchanged `openai` SDK through the gateway: what it understands must equal what it understands directly."""

from collections.abc import Iterator
from typing import Any

import openai
import pytest

from rig.gateway import Gateway, configuration, start_gateway
from rig.provider import Call, FakeProvider, delta, usage_event

MESSAGES: Any = [{"role": "user", "content": "2+2?"}]


async def tools(call: Call) -> None:
    """Two parallel tool calls whose arguments interleave, then usage."""
    await call.begin_stream()
    for index in (0, 1):
        head = {"index": index, "id": f"call_{index}", "type": "function", "function": {"name": "add", "arguments": ""}}
        await call.event(
            {**delta(None), "choices": [{"index": 0, "delta": {"tool_calls": [head]}, "finish_reason": None}]}
        )
    for piece in ('{"a":', " 2}"):
        for index in (0, 1):
            part = {"index": index, "function": {"arguments": piece}}
            await call.event(
                {**delta(None), "choices": [{"index": 0, "delta": {"tool_calls": [part]}, "finish_reason": None}]}
            )
    await call.event(delta(None, "tool_calls"))
    if (call.body.get("stream_options") or {}).get("include_usage"):
        await call.event(usage_event())
    await call.end_stream()


async def fail_mid_stream(call: Call) -> None:
    await call.begin_stream()
    await call.event(delta("half"))
    call.writer.transport.abort()


@pytest.fixture(scope="module")
def provider() -> Iterator[FakeProvider]:
    with FakeProvider({"tools": tools, "fail": fail_mid_stream}) as server:
        yield server


@pytest.fixture(scope="module")
def gateway(provider: FakeProvider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    running = start_gateway(tmp_path_factory.mktemp("home"), configuration(provider, ["plain", "tools", "fail"]))
    yield running
    running.stop()


@pytest.fixture
def through(gateway: Gateway) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=gateway.key, max_retries=0) as client:
        yield client


@pytest.fixture
def direct(provider: FakeProvider) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=provider.url, api_key="any", max_retries=0) as client:
        yield client


def test_an_unstreamed_call_equals_the_direct_one(through: openai.OpenAI, direct: openai.OpenAI) -> None:
    """Every field the SDK parses."""
    ours = through.chat.completions.create(model="acme/plain", messages=MESSAGES)
    assert ours == direct.chat.completions.create(model="plain", messages=MESSAGES)
    assert ours.usage is not None
    assert ours.usage.total_tokens == 17
    assert ours._request_id


@pytest.mark.parametrize("model", ["plain", "tools"])
@pytest.mark.parametrize("usage", [False, True])
def test_the_accumulator_over_a_stream_equals_the_direct_one(
    through: openai.OpenAI, direct: openai.OpenAI, model: str, usage: bool
) -> None:
    """The SDK's own accumulator is the oracle: events, final completion, tool arguments, usage as asked."""

    def read(client: openai.OpenAI, name: str) -> tuple[list[str], Any]:
        options: Any = {"stream_options": {"include_usage": True}} if usage else {}
        with client.chat.completions.stream(model=name, messages=MESSAGES, **options) as stream:
            events = [event.type for event in stream]
            return events, stream.get_final_completion()

    ours, theirs = read(through, f"acme/{model}"), read(direct, model)
    assert ours == theirs
    assert (ours[1].usage is not None) is usage


def test_raw_chunks_equal_the_direct_ones(through: openai.OpenAI, direct: openai.OpenAI) -> None:
    """Chunk by chunk, without the accumulator."""
    ours = list(through.chat.completions.create(model="acme/plain", messages=MESSAGES, stream=True))
    assert ours == list(direct.chat.completions.create(model="plain", messages=MESSAGES, stream=True))


async def test_the_async_client_works_streamed_and_not(gateway: Gateway) -> None:
    """The same through asyncio."""
    async with openai.AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key=gateway.key, max_retries=0) as client:
        reply = await client.chat.completions.create(model="acme/plain", messages=MESSAGES)
        assert reply.choices[0].message.content == "Four."
        stream = await client.chat.completions.create(model="acme/plain", messages=MESSAGES, stream=True)
        text = "".join([chunk.choices[0].delta.content or "" async for chunk in stream])
        assert text == "Two and two are four."


def test_models_can_be_listed(through: openai.OpenAI) -> None:
    """`client.models.list()`, as tools do at start, and one of them."""
    names = [model.id for model in through.models.list()]
    assert names == ["acme/fail", "acme/plain", "acme/tools"]
    assert through.models.retrieve("acme/plain").id == "acme/plain"


def test_errors_become_the_sdks_own_exceptions(through: openai.OpenAI) -> None:
    """Status and shape are what its exception classes look for."""
    with pytest.raises(openai.NotFoundError, match="Did you mean acme/plain") as caught:
        through.chat.completions.create(model="acme/plan", messages=MESSAGES)
    assert (caught.value.code, caught.value.param) == ("model_not_found", "model")
    with pytest.raises(openai.BadRequestError):
        through.chat.completions.create(model="acme/plain", messages=MESSAGES, extra_body={"stream": "yes"})
    stranger = through.with_options(api_key="wrong")
    with pytest.raises(openai.AuthenticationError):
        stranger.chat.completions.create(model="acme/plain", messages=MESSAGES)


def test_a_failure_mid_stream_raises_in_the_sdk(through: openai.OpenAI) -> None:
    """A cut answer must not look like a short one."""
    with pytest.raises(openai.APIError, match="closed the connection in the middle"):
        list(through.chat.completions.create(model="acme/fail", messages=MESSAGES, stream=True))
