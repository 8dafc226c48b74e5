"""A provider of models small and large and of a judge, each with a mood that a test sets; `mock` is in Germany."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

from rig.provider import USAGE, Call, FakeProvider, completion, delta, usage_event

Mood = Callable[[Call], Awaitable[None]]
NAMES = ("small", "mid", "large", "judge", "native", "shy", "twin")
PRICES = {"small": "1", "mid": "3", "large": "10", "judge": "2", "native": "1", "shy": "1", "twin": "1"}
NANO = {name: 17_000 * int(price) for name, price in PRICES.items()}
"""Of one call, 12 tokens in and 5 out, the cached ones at the same rate."""


def tokens(*logprobs: float) -> dict[str, Any]:
    return {"content": [{"token": "t", "logprob": value, "bytes": None, "top_logprobs": []} for value in logprobs]}


def says(text: str, finish: str = "stop", *, refusal: str = "", logprobs: tuple[float, ...] = (), tool: Any = None,
         after_s: float = 0.0, usage: Any = USAGE) -> Mood:  # fmt: skip
    """An answer, whole or streamed word by word. tool: name and arguments of a call of a tool."""
    function = {"name": tool[0], "arguments": tool[1]} if tool else None

    async def act(call: Call) -> None:
        await asyncio.sleep(after_s)
        told = tokens(*logprobs) if logprobs and call.body.get("logprobs") else None
        if not call.body.get("stream"):
            body = completion(call.body["model"], text=text, usage=usage)
            choice = body["choices"][0]
            choice["finish_reason"] = finish
            if refusal:
                choice["message"] |= {"content": None, "refusal": refusal}
            if function:
                calls = [{"id": "c1", "type": "function", "function": function}]
                choice["message"] |= {"content": None, "tool_calls": calls}
            if told:
                choice["logprobs"] = told
            await call.reply(200, body)
            return
        await call.begin_stream()
        if refusal:
            event = delta(None)
            event["choices"][0]["delta"] = {"role": "assistant", "refusal": refusal}
            await call.event(event)
        if function:
            event = delta(None)
            event["choices"][0]["delta"] = {"tool_calls": [{"index": 0, "id": "c1", "function": function}]}
            await call.event(event)
        for word in () if refusal or function else text.split(" "):
            event = delta(word + " " if word else None)
            if told:
                event["choices"][0]["logprobs"] = told
            await call.event(event)
        await call.event(delta(None, finish))
        if usage and (call.body.get("stream_options") or {}).get("include_usage"):
            await call.event(usage_event() | {"usage": usage})
        await call.end_stream()

    return act


def scores(score: Any) -> Mood:
    return says(json.dumps({"score": score}))


def fails(status: int, text: str = "out of order") -> Mood:
    async def act(call: Call) -> None:
        await call.reply(status, {"error": {"message": text, "type": "invalid_request_error"}})

    return act


async def breaks_in_the_middle(call: Call) -> None:
    """After some words."""
    if call.body.get("stream"):
        await call.begin_stream()
        await call.event(delta("Half "))
        await asyncio.sleep(0.05)
    else:
        await call.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 500\r\n\r\n{")
    call.writer.transport.abort()


class Models:
    """All of them. Told nothing, each says its own name."""

    def __init__(self) -> None:
        self.moods: dict[str, Mood] = {}
        self.provider = FakeProvider({name: self._act(name) for name in NAMES})

    def _act(self, name: str) -> Mood:
        async def act(call: Call) -> None:
            default = scores(9) if name == "judge" else says(f"This is {name}.")
            await self.moods.get(name, default)(call)

        return act

    def be(self, **moods: Mood) -> None:
        """Set moods; models that are not named are well."""
        self.moods = moods
        self.provider.calls.clear()

    @property
    def asked(self) -> list[str]:
        """Whose turn it was, in order."""
        return [str(call.body["model"]) for call in self.provider.calls]

    def configuration(self, extra: str = "") -> str:
        lines = [extra, f'[providers.mock]\nbase_url = "{self.provider.url}"']
        lines += [f'[providers.native]\nbase_url = "{self.provider.url}"\ndialect = "anthropic"']
        lines += [f'[providers.spare]\nbase_url = "{self.provider.url}"']
        lines += ['[providers.mock.facts]\nprocessing = ["DE"]\n[providers.native.facts]\nprocessing = ["US"]']
        for name in NAMES:
            provider = "native" if name == "native" else "mock"
            lines.append(f'[[endpoints]]\nprovider = "{provider}"\nmodel = "acme/{name}"\nupstream_model = "{name}"')
            lines.append(f'price = {{ input = "{PRICES[name]}", output = "{PRICES[name]}" }}')
        lines.append('[[endpoints]]\nprovider = "spare"\nmodel = "acme/twin"\nupstream_model = "mid"')
        lines.append('price = { input = "1", output = "1" }')
        return "\n".join(lines) + "\n"
