"""Three fake providers in three jurisdictions, each with a mood that a test sets, before one gateway."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

from rig.provider import Call, FakeProvider, answer, completion, delta

MODEL = "acme/m"
PLACES = {"de": "DE", "cn": "CN", "us": "US"}
PRICES = {"de": "3", "cn": "1", "us": "2"}


async def refuses(call: Call) -> None:
    await call.reply(500, {"error": {"message": "out of order"}})


async def refuses_loudly(call: Call) -> None:
    await call.reply(503, {"error": {"message": "out of order"}}, "retry-after: 1\r\nx-secret: of-a\r\n")


async def is_full(call: Call) -> None:
    await call.reply(429, {"error": {"message": "slow down"}}, "retry-after: 1\r\n")


async def rejects_key(call: Call) -> None:
    await call.reply(401, {"error": {"message": "bad key sk-123"}})


async def blames_caller(call: Call) -> None:
    await call.reply(400, {"error": {"message": "messages: too odd", "type": "invalid_request_error"}})


async def hangs(call: Call) -> None:
    await asyncio.sleep(30)


async def dies(call: Call) -> None:
    call.writer.transport.abort()


async def dies_after_role(call: Call) -> None:
    """A stream's first event says who speaks, and then the connection breaks; a whole answer breaks off."""
    if not call.body.get("stream"):
        await call.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 500\r\n\r\n{")
        call.writer.transport.abort()
        return
    await call.begin_stream()
    role = delta(None)
    role["choices"][0]["delta"] = {"role": "assistant", "content": ""}
    await call.event(role)
    call.writer.transport.abort()


async def dies_after_words(call: Call) -> None:
    await call.begin_stream()
    await call.event(delta("Half an "))
    await asyncio.sleep(0.05)
    call.writer.transport.abort()


async def errs_in_stream(call: Call) -> None:
    """The failure comes as the first event of a 200."""
    if not call.body.get("stream"):
        await call.reply(200, {"error": {"message": "overloaded", "code": 503}})
        return
    await call.begin_stream()
    await call.chunk(b": PROCESSING\n\n")
    await call.event({"error": {"message": "overloaded", "code": 503}})
    await call.end_stream(done=False)


async def is_slow(call: Call) -> None:
    await asyncio.sleep(0.05)
    await answer(call)


async def is_late(call: Call) -> None:
    """It answers well, but after longer than anybody waits who could ask another."""
    await asyncio.sleep(0.6)
    await answer(call)


MOODS: dict[str, Callable[[Call], Awaitable[None]]] = {
    act.__name__: act
    for act in (
        *(refuses, refuses_loudly, is_full, rejects_key, blames_caller, hangs, dies, dies_after_role),
        *(dies_after_words, errs_in_stream, is_slow, is_late),
    )
} | {"well": answer}
TRIED_ELSEWHERE = ("refuses", "is_full", "rejects_key", "hangs", "dies", "dies_after_role", "errs_in_stream")


class Place:
    """A provider of one country. `moods`: those of its next calls; then `mood`."""

    def __init__(self, name: str) -> None:
        self.name, self.mood, self.moods = name, "well", list[str]()
        self.provider = FakeProvider({"m": self._act, "other": self._act})

    async def _act(self, call: Call) -> None:
        await MOODS[self.moods.pop(0) if self.moods else self.mood](call)

    @property
    def calls(self) -> int:
        return len(self.provider.calls)


class Borders:
    """All three."""

    def __init__(self) -> None:
        self.places = {name: Place(name) for name in PLACES}

    def __getitem__(self, name: str) -> Place:
        return self.places[name]

    @property
    def calls(self) -> dict[str, int]:
        return {name: place.calls for name, place in self.places.items()}

    def configuration(self, extra: str = "", *, facts: str = "", prices: dict[str, str] = PRICES) -> str:
        lines = ["[upstream]", "first_byte_s = 5", extra]
        for name, place in self.places.items():
            country = PLACES[name]
            lines += [
                f'[providers.{name}]\nbase_url = "{place.provider.url}"\n[providers.{name}.facts]',
                f'processing = ["{country}"]\nstorage = ["{country}"]\nheadquarters = "{country}"\n{facts}',
                f'[[endpoints]]\nprovider = "{name}"\nmodel = "{MODEL}"\nupstream_model = "m"',
                f'price = {{ input = "{prices[name]}", output = "{prices[name]}" }}',
            ]
        return "\n".join(lines) + "\n"


@contextmanager
def borders() -> Iterator[Borders]:
    """The three, running."""
    found = Borders()
    started = []
    try:
        for place in found.places.values():
            started.append(place.provider.__enter__())
        yield found
    finally:
        for provider in started:
            provider.__exit__(None, None, None)


__all__ = ["MODEL", "MOODS", "TRIED_ELSEWHERE", "Borders", "borders", "completion"]
