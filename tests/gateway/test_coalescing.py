"""Identical calls in flight: one asks the provider, the others wait with it; and none suffers for another."""

import asyncio
import contextlib
import json
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import httpx2 as httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rig.gateway import Gateway, start_gateway
from rig.provider import Call, FakeProvider, answer, completion, delta, usage_event
from tidegate.accounts.keys import KeyWish, open_accounts
from tidegate.core.cache_settings import Cache
from tidegate.core.row import Row
from tidegate.gateway.flight import Flight
from tidegate.gateway.meter import Totals
from tidegate.gateway.response_cache import Kept, ResponseCache

CHAT = "/v1/chat/completions"
COST = 68_000  # 12 tokens in, 4 of them cached, and 5 out, at $2, $0.5 and $10 a million
ENTRY_BYTES_MAX = 200_000
FLOOD, FLOOD_BYTES = 900, 10_000
WAIT_S = 10.0


class Held:
    """A provider's script that waits where the test says so. `step` lets one more wait end."""

    def __init__(self) -> None:
        self._steps, self.waits = 0, 0
        self.fails: list[int] = []  # statuses of the next calls, before any succeeds

    def step(self, count: int = 1) -> None:
        self._steps += count

    async def wait(self) -> None:
        self.waits += 1
        due = self.waits
        while self._steps < due:  # noqa: ASYNC110 - steps come from the test's thread
            await asyncio.sleep(0.003)

    def reset(self) -> None:
        """Let go who still waits; the next begins anew."""
        self._steps, self.waits = 1 << 30, 0
        time.sleep(0.01)
        self._steps, self.fails = 0, []

    async def whole(self, call: Call) -> None:
        await self.wait()
        status = self.fails.pop(0) if self.fails else 200
        if status == 200:
            await answer(call)
        else:
            await call.reply(status, {"error": {"message": "no"}})

    async def stream(self, call: Call) -> None:
        await call.begin_stream()
        for word in ("Two ", "and ", "two ", "are "):
            await call.event(delta(word))
        await self.wait()
        await call.event(delta("four."))
        await call.event(delta(None, "stop"))
        await call.event(usage_event())
        await call.end_stream()

    async def breaks(self, call: Call) -> None:
        await call.begin_stream()
        await call.event(delta("Two "))
        await self.wait()
        call.writer.transport.abort()

    async def floods(self, call: Call) -> None:
        await call.begin_stream()
        await call.event(delta("Begin "))
        await self.wait()
        for number in range(FLOOD):
            await call.event(delta(f"{number:05d}" + "x" * FLOOD_BYTES))
        await call.event(delta(None, "stop"))
        await call.event(usage_event())
        await call.end_stream()


class World:
    def __init__(self, provider: FakeProvider, held: Held, gateway: Gateway, keys: dict[str, str]) -> None:
        self.provider, self.held, self.gateway, self.keys = provider, held, gateway, keys
        self._texts = 0
        self._before = 0

    def body(self, model: str, **more: Any) -> dict[str, Any]:
        """A call that nobody has made before; rows are counted from here."""
        self._texts += 1
        self._before = len(self.gateway.outcomes())
        self.provider.calls.clear()
        self.held.reset()
        message = {"role": "user", "content": f"question {self._texts}"}
        return {"model": f"acme/{model}", "temperature": 0, "messages": [message], **more}

    def rows(self, count: int) -> list[Row]:
        """Of the calls since, once there are so many."""
        until(lambda: len(self.gateway.outcomes()) - self._before >= count)
        return [outcome.row for outcome in self.gateway.outcomes()[self._before :]]

    def open_calls(self, count: int) -> None:
        """Wait until so many calls are open at the gateway."""
        with httpx.Client() as client:
            name = "tidegate_open_calls "
            until(
                lambda: any(
                    line == f"{name}{count:.1f}" for line in client.get(f"{self.gateway.url}/metrics").text.split("\n")
                )
            )

    def raw(self, body: dict[str, Any], key: str = "one", buffer: int = 0) -> socket.socket:
        """A caller that reads when the test says so. buffer: bytes that its kernel takes, 0: as ever."""
        caller = socket.socket()
        if buffer:
            caller.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        caller.settimeout(WAIT_S)
        caller.connect(("127.0.0.1", self.gateway.port))
        content = json.dumps(body).encode()
        head = f"POST {CHAT} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {self.keys[key]}\r\n"
        caller.sendall(f"{head}content-length: {len(content)}\r\n\r\n".encode() + content)
        return caller

    def post(self, body: dict[str, Any], key: str = "one", path: str = CHAT) -> httpx.Response:
        headers = {"authorization": f"Bearer {self.keys[key]}"}
        return httpx.post(self.gateway.url + path, content=json.dumps(body), headers=headers, timeout=WAIT_S)


class Crowd:
    """Callers who ask at once, in the background; `replies` once all have theirs."""

    def __init__(self, world: World, body: dict[str, Any], count: int, path: str = CHAT, key: str = "one") -> None:
        self.replies: list[httpx.Response] = []
        self._world, self._body, self._count, self._path, self._key = world, body, count, path, key
        self._thread = threading.Thread(target=lambda: asyncio.run(self._ask()))
        self._thread.start()

    async def _ask(self) -> None:
        headers = {"authorization": f"Bearer {self._world.keys[self._key]}"}
        limits = httpx.Limits(max_connections=None)
        async with httpx.AsyncClient(timeout=20, limits=limits) as client:
            url = self._world.gateway.url + self._path
            posts = [client.post(url, content=json.dumps(self._body), headers=headers) for _ in range(self._count)]
            self.replies = [
                r for r in await asyncio.gather(*posts, return_exceptions=True) if isinstance(r, httpx.Response)
            ]

    def end(self) -> list[httpx.Response]:
        self._thread.join(30)
        assert not self._thread.is_alive()
        return self.replies


def until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not is_so():
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.01)


def read_until(caller: socket.socket, mark: bytes) -> bytes:
    found = b""
    while mark not in found:
        got = caller.recv(65536)
        assert got, found[-300:]
        found += got
    return found


def said(replies: list[httpx.Response]) -> Counter[str]:
    return Counter(reply.headers.get("x-tidegate-cache", "-") for reply in replies)


def configuration(provider: FakeProvider, extra: str) -> str:
    lines = [extra, '[tenants.default]\ncache = "tenant"', f"[cache]\nentry_bytes_max = {ENTRY_BYTES_MAX}"]
    lines += [f'[providers.mock]\nbase_url = "{provider.url}"']
    for model in provider.scripts:
        lines += [f'[[endpoints]]\nprovider = "mock"\nmodel = "acme/{model}"\nupstream_model = "{model}"']
        lines += ['price = { input = "2", output = "10", cache_read = "0.5" }']
    return "\n".join(lines) + "\n"


@contextmanager
def worlds(home: Any, extra: str = "") -> Iterator[World]:
    held = Held()
    scripts = {name: getattr(held, name) for name in ("whole", "stream", "breaks", "floods")}
    accounts = open_accounts(home)
    keys = {name: accounts.add_key(KeyWish(name=name)).secret for name in ("one", "two", "leaver")}
    accounts.close()
    with FakeProvider(scripts) as provider:
        gateway = start_gateway(home, configuration(provider, extra), key=keys["one"])
        try:
            yield World(provider, held, gateway, keys)
            held.reset()
            assert gateway.stop() == 0
        finally:
            gateway.process.kill()
            gateway.process.wait(5)
        assert "Traceback" not in (home / "log").read_text()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with worlds(tmp_path_factory.mktemp("drains")) as made:
        yield made


@pytest.fixture(scope="module")
def hasty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A gateway that hangs up on providers whose caller leaves."""
    with worlds(tmp_path_factory.mktemp("cancels"), '[gateway]\non_disconnect = "cancel"') as made:
        yield made


@pytest.mark.parametrize("path", [CHAT, "/api" + CHAT])
@pytest.mark.parametrize("model", ["whole", "stream"])
def test_a_hundred_identical_calls_at_once_are_one_call_of_the_provider(world: World, model: str, path: str) -> None:
    """The same bytes for all (but what the call costs, where the reply says it); one pays, and the books balance."""
    crowd = Crowd(world, world.body(model, stream=model == "stream"), 100, path)
    world.open_calls(100)
    world.held.step()
    replies = crowd.end()
    assert len(replies) == 100 and all(reply.status_code == 200 for reply in replies)
    assert said(replies) == {"miss": 1, "coalesced": 99} and len(world.provider.calls) == 1
    assert len({reply.content for reply in replies if said([reply])["coalesced"]}) == 1
    assert len({reply.content for reply in replies}) == (1 if path == CHAT else 2)
    assert len({reply.headers["x-generation-id"] for reply in replies}) == 100
    rows = world.rows(100)
    assert Counter(row.is_cached for row in rows) == {True: 99, False: 1}
    assert sum(row.cost_nano_usd or 0 for row in rows) == sum(row.upstream_cost_nano_usd or 0 for row in rows) == COST
    assert (sum(row.usage_input_tokens or 0 for row in rows), sum(row.requests or 0 for row in rows)) == (12, 1)
    shared = next(row for row in rows if row.is_cached)
    assert (shared.provider_name, shared.finish_reason, shared.attempt_count) == ("mock", "stop", 0)
    assert shared.route_reason == "shared 1/1" and shared.is_stream is (model == "stream")


def test_who_joins_a_stream_late_gets_it_from_its_begin_and_then_as_it_comes(world: World) -> None:
    """Before the provider has ended, all have what it said so far; who comes after the end has it from the cache."""
    body = world.body("stream", stream=True)
    with world.raw(body) as first:
        begin = read_until(first, b"are ")
        with world.raw(body) as late, world.raw(body, key="two") as later:
            said_late = [read_until(caller, b"are ") for caller in (late, later)]
            world.held.step()
            whole = begin + read_until(first, b"0\r\n\r\n")
            others = [
                found + read_until(caller, b"0\r\n\r\n") for found, caller in zip(said_late, (late, later), strict=True)
            ]
    stream = _content(whole)
    assert [_content(found) for found in others] == [stream, stream] and stream.endswith(b"data: [DONE]\n\n")
    assert len(world.provider.calls) == 1
    again = world.post(body)
    assert said([again]) == {"hit": 1} and again.content == stream


def _content(reply: bytes) -> bytes:
    """The body of a chunked reply."""
    rest, found = reply.partition(b"\r\n\r\n")[2], b""
    while rest:
        size, _, rest = rest.partition(b"\r\n")
        found, rest = found + rest[: int(size, 16)], rest[int(size, 16) + 2 :]
    return found


def test_where_the_first_fails_one_other_asks_and_the_rest_wait_with_it(world: World) -> None:
    """No herd: twenty calls, a failure, two calls of the provider. Each failure is its own call's alone."""
    body = world.body("whole")
    world.held.fails = [500]
    crowd = Crowd(world, body, 20)
    world.open_calls(20)
    world.held.step(2)
    replies = crowd.end()
    assert Counter(reply.status_code for reply in replies) == {200: 19, 502: 1}
    assert len(world.provider.calls) == 2
    rows = world.rows(20)
    assert Counter((row.is_cached, row.error_type) for row in rows) == {
        (False, "upstream_error"): 1, (False, None): 1, (True, None): 18,
    }  # fmt: skip
    assert sum(row.cost_nano_usd or 0 for row in rows) == COST


def test_nobody_waits_in_line_behind_a_provider_that_is_down(world: World) -> None:
    """After three failures in a row those who are left ask for themselves, all at once."""
    body = world.body("whole")
    world.held.fails = [500] * 8
    crowd = Crowd(world, body, 8)
    world.open_calls(8)
    world.held.step(3)
    until(lambda: len(world.provider.calls) == 8)
    world.held.step(5)
    assert {reply.status_code for reply in crowd.end()} == {502}
    assert len(world.rows(8)) == 8 and len(world.provider.calls) == 8


def test_a_stream_that_breaks_off_ends_with_an_error_for_all_who_heard_its_begin(world: World) -> None:
    """Nobody is told another's begin and another end. What the leader owes is its own; nothing is kept."""
    body = world.body("breaks", stream=True)
    crowd = Crowd(world, body, 5)
    world.open_calls(5)
    until(lambda: len(world.provider.calls) == 1)
    world.held.step()
    replies = crowd.end()
    assert len(replies) == 5
    for reply in replies:
        assert reply.status_code == 200 and b"Two " in reply.content and b'"error"' in reply.content
    rows = world.rows(5)
    assert {row.error_type for row in rows} == {"upstream_error"}
    assert [row.cost_nano_usd for row in rows if row.is_cached] == [0] * 4
    world.held.step()
    assert said([world.post(body)]) != {"hit": 1}


@pytest.mark.parametrize("policy", ["drain", "cancel"])
@pytest.mark.parametrize("model", ["whole", "stream"])
def test_who_asked_first_may_leave(world: World, hasty: World, model: str, policy: str) -> None:
    """The others get the answer all the same, whatever `on_disconnect` says; who left pays, and its row says so."""
    here = world if policy == "drain" else hasty
    body = here.body(model, stream=model == "stream")
    first = here.raw(body)
    until(lambda: len(here.provider.calls) == 1)
    crowd = Crowd(here, body, 5)
    here.open_calls(6)
    first.close()
    time.sleep(0.1)
    here.held.step()
    replies = crowd.end()
    assert said(replies) == {"coalesced": 5} and len(here.provider.calls) == 1
    assert all(b"four." in reply.content or b"Four." in reply.content for reply in replies)
    rows = here.rows(6)
    paid = [row for row in rows if not row.is_cached]
    assert [(row.is_cancelled, row.cost_nano_usd, row.usage_output_tokens) for row in paid] == [(True, COST, 5)]
    assert {(row.is_cancelled, row.cost_nano_usd) for row in rows if row.is_cached} == {(False, 0)}


def test_where_all_leave_the_provider_is_left_as_policy_says(hasty: World) -> None:
    """The first leaves, and goes on for the second; when that leaves too, the gateway hangs up."""
    body = hasty.body("stream", stream=True)
    first = hasty.raw(body)
    read_until(first, b"are ")
    second = hasty.raw(body)
    read_until(second, b"are ")
    first.close()
    time.sleep(0.1)
    assert not hasty.provider.aborted
    second.close()
    rows = hasty.rows(2)
    assert sorted((row.is_cancelled, row.is_cached, row.cost_nano_usd == 0) for row in rows) == [
        (True, False, False), (True, True, True),
    ]  # fmt: skip
    hasty.held.step()


def test_who_waits_may_leave(world: World) -> None:
    """One call less, nothing else: its row says that it was left, and cost nothing."""
    body = world.body("whole")
    crowd = Crowd(world, body, 1)
    until(lambda: len(world.provider.calls) == 1)
    second = world.raw(body)
    world.open_calls(2)
    second.close()
    world.open_calls(1)
    world.held.step()
    assert [reply.status_code for reply in crowd.end()] == [200]
    rows = world.rows(2)
    assert [(row.status_code, row.is_cancelled, row.cost_nano_usd, row.is_cached) for row in rows] == [
        (499, True, 0, False), (200, False, COST, False),
    ]  # fmt: skip


@pytest.mark.parametrize("slow", ["leader", "follower"])
def test_no_slow_caller_holds_up_the_others(world: World, slow: str) -> None:
    """Nine megabytes, and one of five does not read: the four are done while it stands still. It is let go, and with it
    what was held for it."""
    body = world.body("floods", stream=True)
    callers = contextlib.ExitStack()
    if slow == "leader":
        read_until(callers.enter_context(world.raw(body, buffer=4096)), b"Begin ")
    crowd = Crowd(world, body, 4)
    until(lambda: len(world.provider.calls) == 1)
    world.open_calls(4 + (slow == "leader"))
    if slow == "follower":
        read_until(callers.enter_context(world.raw(body, buffer=4096)), b"Begin ")
    world.held.step()
    replies = crowd.end()
    assert len(replies) == 4 and len({reply.content for reply in replies}) == 1
    assert len(replies[0].content) > FLOOD * FLOOD_BYTES and replies[0].content.endswith(b"data: [DONE]\n\n")
    assert len(world.provider.calls) == 1
    with callers:
        rows = world.rows(5)
    assert Counter(row.error_type for row in rows)[None] == (5 if slow == "leader" else 4)
    assert sum(row.cost_nano_usd or 0 for row in rows) == COST
    if slow == "leader":
        assert [row.is_cancelled for row in rows if not row.is_cached] == [True]
    else:
        assert [row.error_type for row in rows if row.error_type] == ["unavailable"]
    metrics = httpx.get(f"{world.gateway.url}/metrics").text
    held = next(line for line in metrics.split("\n") if line.startswith("tidegate_response_cache_bytes"))
    assert float(held.split()[1]) < ENTRY_BYTES_MAX, "what was held of the stream is gone"


def test_an_answer_too_long_to_keep_is_shared_while_it_comes_and_not_kept(world: World) -> None:
    """Who comes when its begin is gone asks for its own."""
    body = world.body("floods", stream=True)
    crowd = Crowd(world, body, 3)
    world.open_calls(3)
    world.held.step()
    assert said(crowd.end()) == {"miss": 1, "coalesced": 2}
    world.held.step()
    assert said([world.post(body)]) == {"miss": 1}


def test_calls_that_differ_or_will_not_share_ask_for_themselves(world: World) -> None:
    """Another byte; `no-store`; `no-cache`, which wants a fresh answer."""
    body = world.body("whole")
    crowds = [Crowd(world, body, 2), Crowd(world, body | {"user": "ann"}, 1)]
    world.open_calls(3)
    headers = {"authorization": f"Bearer {world.keys['one']}"}
    for number, word in enumerate(("no-store", "no-cache")):
        sent = headers | {"x-tidegate-cache": word}
        thread = threading.Thread(
            target=lambda sent=sent: httpx.post(
                world.gateway.url + CHAT, content=json.dumps(body), headers=sent, timeout=20
            )
        )
        thread.start()
        world.open_calls(4 + number)
    until(lambda: len(world.provider.calls) == 4)
    world.held.step(4)
    for crowd in crowds:
        crowd.end()
    assert sum(row.cost_nano_usd or 0 for row in world.rows(5)) == 4 * COST


def test_a_key_that_is_revoked_waits_no_longer(world: World) -> None:
    """Its call ends with 401; whom it waited for is not concerned."""
    body = world.body("whole")
    crowd = Crowd(world, body, 1)
    until(lambda: len(world.provider.calls) == 1)
    revoked = Crowd(world, body, 1, key="leaver")
    world.open_calls(2)
    accounts = open_accounts(world.gateway.home)
    accounts.revoke_key("leaver")
    accounts.close()
    assert [reply.status_code for reply in revoked.end()] == [401]
    world.held.step()
    assert [reply.status_code for reply in crowd.end()] == [200]


def test_streams_across_dialects_are_shared_as_they_are_told(world: World) -> None:
    """Messages and Gemini over a provider of chat completions; Google's array, which comes whole to those who wait."""
    for path, more in (
        ("/v1/messages", {"max_tokens": 9, "stream": True}),
        ("/v1beta/models/acme/stream:streamGenerateContent?alt=sse", {}),
        ("/v1beta/models/acme/stream:streamGenerateContent", {}),
    ):
        body = world.body("stream", **more)
        if "v1beta" in path:
            body = {
                "contents": [{"parts": [{"text": body["messages"][0]["content"]}]}],
                "generationConfig": {"seed": 1},
            }
        crowd = Crowd(world, body, 5, path)
        world.open_calls(5)
        world.held.step()
        replies = crowd.end()
        assert said(replies) == {"miss": 1, "coalesced": 4}, path
        assert len({reply.content for reply in replies}) == 1 and b"four." in replies[0].content
        assert len(world.provider.calls) == 1
        if path.endswith("Content"):
            assert isinstance(replies[0].json(), list)


def test_a_gateway_that_stops_finishes_those_who_wait(run_gateway: Callable[..., Gateway]) -> None:
    """SIGTERM: no more calls, but all that wait get their answer."""
    held = Held()
    with FakeProvider({"whole": held.whole}) as provider:
        gateway = run_gateway(configuration(provider, ""))
        here = World(provider, held, gateway, {"one": gateway.key})
        crowd = Crowd(here, here.body("whole"), 6)
        here.open_calls(6)
        gateway.process.terminate()
        time.sleep(0.2)
        held.step()
        assert [reply.status_code for reply in crowd.end()] == [200] * 6
        assert gateway.process.wait(timeout=10) == 0
    assert completion("m")


# -- the fan-out alone ------------------------------------------------------------------------------------------------


class Listener:
    """A follower, or the leader, whose caller reads when the test says so."""

    def __init__(self, flight: Flight | None = None) -> None:
        self.flight, self.is_slow, self.heard, self.ended, self.unsent_bytes = flight, False, b"", "", 0
        self.joined_at = 0

    def on_piece(self) -> None:
        if not self.is_slow and self.flight is not None:
            self.heard += self.flight.read(self)

    def on_landed(self, kept: Kept, last: bytes | None) -> None:
        assert self.flight is not None
        self.heard += self.flight.read(self) + (last or b"")
        self._leave("landed")

    def on_lost(self) -> None:
        self._leave("lost")

    def on_left_behind(self) -> None:
        self._leave("left behind")

    def on_alone(self) -> None:
        self.ended = "alone"

    def on_paced(self, *, is_stalled: bool) -> None:
        self.ended = "stalled" if is_stalled else ""

    def _leave(self, how: str) -> None:
        self.ended = how
        if self.flight is not None:
            self.flight.leave(self)


class Loop:
    """A loop whose time the test moves."""

    def __init__(self) -> None:
        self.now, self.due = 0.0, list[Any]()

    def time(self) -> float:
        return self.now

    def call_later(self, delay: float, then: Callable[[], None]) -> Any:
        entry = SimpleNamespace(at=self.now + delay, then=then, is_cancelled=False)
        entry.cancel = lambda: setattr(entry, "is_cancelled", True)
        self.due.append(entry)
        return entry

    def wait(self, seconds: float) -> None:
        self.now += seconds
        due, self.due = [e for e in self.due if e.at <= self.now], [e for e in self.due if e.at > self.now]
        for entry in due:
            if not entry.is_cancelled:
                entry.then()


STEPS = st.lists(
    st.tuples(st.sampled_from(["add", "add", "join", "slow", "quick", "leave", "wait"]), st.integers(0, 400)),
    max_size=60,
)


@given(STEPS, st.booleans())
@settings(max_examples=200, deadline=None)
def test_whoever_stays_hears_the_whole_stream_and_nobody_else_s_pace(steps: list[tuple[str, int]], lands: bool) -> None:
    """Any order of events, comers, leavers and slow readers: who is there at the end heard every byte once, in
    order; at any time what is held is bounded and counted; in the end nothing is."""
    totals, loop = Totals(), Loop()
    cache = ResponseCache(Cache(bytes_max=5000, entry_bytes_max=1000), {}, totals, b"s" * 32)
    leader = Listener()
    flight = Flight(cache, b"n", leader, loop)  # type: ignore[arg-type]
    cache.flights[b"n"] = flight
    told, present, gone = b"", list[Listener](), list[Listener]()
    for number, (what, amount) in enumerate(steps):
        if what == "add" and leader.ended != "stalled":
            piece = b"%d:" % number + b"x" * amount
            told += piece
            flight.add(piece)
        elif what == "join" and b"n" in cache.flights:
            present.append(Listener(flight))
            flight.join(present[-1])
            present[-1].on_piece()
        elif what in ("slow", "quick") and present:
            one = present[amount % len(present)]
            one.is_slow = what == "slow"
            one.on_piece()
            flight.pace()
        elif what == "leave" and present:
            flight.leave(present.pop(amount % len(present)))
        elif what == "wait":
            loop.wait(amount / 200)
        gone += [one for one in present if one.ended]
        present = [one for one in present if not one.ended]
        for one in present:
            assert told.startswith(one.heard) and (one.is_slow or one.heard == told)
        assert 0 <= totals.cache_bytes <= 1000 + 2 * 410  # what one may be behind, and the piece that was too much
        assert all(one.ended == "left behind" and one.is_slow for one in gone)
    if lands:
        flight.land(Kept("e", b"", b"", "stop", 0, b"", b""), b"!")
        assert all(one.heard == told + b"!" and one.ended == "landed" for one in present)
    else:
        flight.lose()
        assert all(one.ended == "lost" for one in present)
    assert totals.cache_bytes == 0 and not cache.flights


def test_a_slow_reader_is_waited_for_a_second_in_all() -> None:
    """One burst costs nobody an answer; whoever stands still costs the others a second, once."""
    totals, loop = Totals(), Loop()
    cache = ResponseCache(Cache(entry_bytes_max=100), {}, totals, b"s" * 32)
    leader = Listener()
    flight = Flight(cache, b"n", leader, loop)  # type: ignore[arg-type]
    one, other = Listener(flight), Listener(flight)
    flight.join(one)
    flight.join(other)
    one.is_slow = True
    flight.add(b"x" * 150)
    assert leader.ended == "stalled" and other.heard == b"x" * 150
    loop.wait(0.7)
    one.is_slow = False
    one.on_piece()
    flight.pace()
    assert (leader.ended, one.heard) == ("", b"x" * 150)
    one.is_slow = True
    flight.add(b"y" * 150)
    loop.wait(0.2)
    assert (leader.ended, one.ended) == ("stalled", "")
    loop.wait(0.2)
    assert (leader.ended, one.ended) == ("", "left behind")
    flight.add(b"z")
    assert other.heard.endswith(b"z") and leader.ended == ""
