"""One chat call through the gateway, as any client makes it, and the row that it left in the ledger."""

import asyncio
import importlib.util
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from tidegate.core.errors import TidegateError
from tidegate.core.row import Row

if TYPE_CHECKING:
    import aiohttp

CALL_S = 300.0  # a small model on a small machine may take its time
ROW_S = 10.0
KEY_KNOWN_S = 3.0  # running workers learn of a new key within two seconds
GENERATION_HEADER = "x-generation-id"
FIRST_QUESTION = "What makes the tides rise and fall?"
OUTPUT_TOKENS_MAX = 200


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """What to ask, of whom. `url`: origin of the gateway. `ca_file`: PEM to trust, where the listener speaks TLS."""

    url: str
    key: str
    model: str
    text: str
    stream: bool = False
    max_tokens: int | None = None
    ca_file: str = ""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What came back. `client`: the library that made the call."""

    text: str
    generation_id: str
    client: str


class CallFailed(TidegateError):
    """The gateway refused the call or could not be reached; the text is its reason."""


async def call_model(call: Call, on_text: Callable[[str], None]) -> Answer:
    """Make the call with the unchanged `openai` SDK, or without it where it is not installed.

    on_text: gets the answer's text as it comes, or at once where it is not streamed. A key made a moment ago is tried
    again until running workers know it. Raises CallFailed.
    """
    has_sdk = importlib.util.find_spec("openai") is not None
    deadline = time.monotonic() + KEY_KNOWN_S
    while True:
        try:
            return await (_with_sdk(call, on_text) if has_sdk else _without_sdk(call, on_text))
        except _UnknownKey as error:
            if time.monotonic() > deadline:
                raise CallFailed(str(error)) from error
            await asyncio.sleep(0.2)


class _UnknownKey(Exception):
    """Status 401."""


async def _with_sdk(call: Call, on_text: Callable[[str], None]) -> Answer:
    import openai

    # Proxies of the environment are for the world outside: this call stays on the machine.
    http = openai.DefaultAsyncHttpxClient(trust_env=False, verify=call.ca_file or True)
    async with openai.AsyncOpenAI(
        base_url=f"{call.url}/v1", api_key=call.key, timeout=CALL_S, max_retries=0, http_client=http
    ) as client:
        parts: list[str] = []

        def take(text: str | None) -> None:
            if text:
                parts.append(text)
                on_text(text)

        limit = openai.omit if call.max_tokens is None else call.max_tokens
        ask = client.chat.completions.with_raw_response
        try:
            if call.stream:
                raw = await ask.create(
                    model=call.model, messages=[{"role": "user", "content": call.text}], max_tokens=limit, stream=True
                )
                async for chunk in raw.parse():
                    for choice in chunk.choices:
                        take(choice.delta.content)
                headers = raw.headers
            else:
                reply = await ask.create(
                    model=call.model, messages=[{"role": "user", "content": call.text}], max_tokens=limit
                )
                take(reply.parse().choices[0].message.content)
                headers = reply.headers
        except openai.AuthenticationError as error:
            raise _UnknownKey(error.message) from error
        except openai.OpenAIError as error:
            raise CallFailed(f"the call failed: {error}") from error
    client_name = f"openai SDK {openai.__version__}"
    return Answer(text="".join(parts), generation_id=headers.get(GENERATION_HEADER, ""), client=client_name)


class _Message(msgspec.Struct):
    content: str | None = None


class _Choice(msgspec.Struct):
    message: _Message | None = None
    delta: _Message | None = None  # in a chunk of a stream


class _Completion(msgspec.Struct):
    choices: list[_Choice]


async def _without_sdk(call: Call, on_text: Callable[[str], None]) -> Answer:
    import aiohttp

    body: dict[str, object] = {"model": call.model, "messages": [{"role": "user", "content": call.text}]}
    if call.max_tokens is not None:
        body["max_tokens"] = call.max_tokens
    if call.stream:
        body["stream"] = True
    parts: list[str] = []

    def take(completion: bytes) -> None:
        for choice in msgspec.json.decode(completion, type=_Completion).choices:
            said = choice.message or choice.delta
            if said is not None and said.content:
                parts.append(said.content)
                on_text(said.content)

    try:
        async with (
            _session(call, CALL_S) as session,
            session.post(f"{call.url}/v1/chat/completions", data=msgspec.json.encode(body)) as reply,
        ):
            if reply.status == 401:
                raise _UnknownKey((await reply.text())[:500])
            if reply.status != 200:
                raise CallFailed(f"the call failed: {reply.status} {(await reply.text())[:500]}")
            if call.stream:
                async for line in reply.content:
                    data = line.removeprefix(b"data:").strip()
                    if line.startswith(b"data:") and data != b"[DONE]":
                        take(data)
            else:
                take(await reply.read())
            generation_id = reply.headers.get(GENERATION_HEADER, "")
    except (aiohttp.ClientError, TimeoutError, msgspec.DecodeError) as error:
        raise CallFailed(f"the call failed: {error}") from error
    client = "aiohttp: the openai SDK is not installed"
    return Answer(text="".join(parts), generation_id=generation_id, client=client)


def _session(call: Call, total_s: float) -> "aiohttp.ClientSession":
    import ssl

    import aiohttp

    context = ssl.create_default_context(cafile=call.ca_file) if call.ca_file else None
    return aiohttp.ClientSession(
        headers={"authorization": f"Bearer {call.key}", "content-type": "application/json"},
        timeout=aiohttp.ClientTimeout(total=total_s),
        connector=aiohttp.TCPConnector(ssl=context if context is not None else True),
    )


class _Generation(msgspec.Struct):
    tidegate_row: Row


class _GenerationReply(msgspec.Struct):
    data: _Generation


async def fetch_row(call: Call, generation_id: str) -> Row:
    """The row of a call, from `/api/v1/generation`. Raises CallFailed."""
    import aiohttp

    address = f"{call.url}/api/v1/generation"
    try:
        async with (
            _session(call, ROW_S) as session,
            session.get(address, params={"id": generation_id}) as reply,
        ):
            content = await reply.read()
            if reply.status != 200:
                raise CallFailed(
                    f"no row at {address}?id={generation_id}: {reply.status} {content.decode('utf-8', 'replace')[:500]}"
                )
            return msgspec.json.decode(content, type=_GenerationReply).data.tidegate_row
    except (aiohttp.ClientError, TimeoutError, msgspec.DecodeError) as error:
        raise CallFailed(f"no row at {address}?id={generation_id}: {error}") from error
