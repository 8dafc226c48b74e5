"""One endpoint alone may serve, and stumbles: it is asked again after a pause, as long as that can help its caller."""

import json
import random
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest

from rig.borders import dies, dies_after_role, dies_after_words, errs_in_stream, is_full, refuses
from rig.gateway import Gateway, configuration
from rig.provider import Call, FakeProvider, Script, answer
from tidegate.accounts.keys import KeyWish, open_accounts
from tidegate.accounts.quotas.table import set_quota
from tidegate.core.quota import Quota

ASK = [{"role": "user", "content": "2+2?"}]
SEED = 20261122
Start = Callable[..., Gateway]


class Moody:
    """A script whose next calls are of the moods that a test has put down; then it answers."""

    def __init__(self) -> None:
        self.moods: list[Script] = []
        self.times: list[float] = []

    async def __call__(self, call: Call) -> None:
        self.times.append(time.monotonic())
        await (self.moods.pop(0) if self.moods else answer)(call)


async def rate_limits(call: Call) -> None:
    await call.reply(429, {"error": {"message": "slow down"}})


def rests(seconds: int) -> Script:
    async def script(call: Call) -> None:
        await call.reply(429, {"error": {"message": "slow down"}}, f"retry-after: {seconds}\r\n")

    return script


@pytest.fixture
def moody() -> Moody:
    return Moody()


@pytest.fixture
def provider(moody: Moody) -> Iterator[FakeProvider]:
    with FakeProvider({"m": moody}) as running:
        yield running


@pytest.fixture
def start(run_gateway: Start, provider: FakeProvider) -> Start:
    def begin(settings: str = "", **more: Any) -> Gateway:
        return run_gateway(configuration(provider, ["m"], f"[routing]\n{settings or 'pauses_s = 5'}\n"), **more)

    return begin


def call(gateway: Gateway, **members: Any) -> httpx.Response:
    body = {"model": "acme/m", "messages": ASK} | members
    return httpx.post(f"{gateway.url}/v1/chat/completions", json=body, headers=gateway.headers, timeout=20)


def is_whole(reply: httpx.Response) -> bool:
    return reply.status_code == 200 and "four." in reply.text.lower() and '"error"' not in reply.text


def test_of_a_provider_that_fails_one_call_in_five_999_callers_in_1000_see_nothing(start: Start, moody: Moody) -> None:
    """500, 429 and broken connections at random, 2,000 calls, half of them streams; each is charged once."""
    rng, gateway = random.Random(SEED), start()
    moody.moods = [rng.choice((refuses, rate_limits, dies)) if rng.random() < 0.2 else answer for _ in range(6000)]
    with httpx.Client(headers=gateway.headers, timeout=20) as client, ThreadPoolExecutor(16) as pool:

        def one(number: int) -> bool:
            body = {"model": "acme/m", "messages": ASK, "stream": number % 2 == 0}
            return is_whole(client.post(f"{gateway.url}/v1/chat/completions", json=body))

        answered = Counter(pool.map(one, range(2000)))
    assert answered[True] >= 1998, answered
    outcomes = gateway.outcomes()
    # a warm connection that turns out to be dead is no answer of the endpoint's: one more, on a fresh one
    assert len(outcomes) == 2000 and max(len(outcome.attempts) for outcome in outcomes) <= 6 + 1
    assert sum(len(outcome.attempts) for outcome in outcomes) == len(moody.times)
    cost = 8 * 2000 + 4 * 500 + 5 * 10_000
    assert {o.row.cost_nano_usd for o in outcomes if o.row.status_code == 200} == {cost}


def test_a_dead_provider_is_asked_a_few_times_and_soon_but_once(run_gateway: Start) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    config = f"""[routing]
pauses_s = 5
[providers.gone]
base_url = "http://127.0.0.1:{port}/v1"
[[endpoints]]
provider = "gone"
model = "acme/m"
upstream_model = "m"
price = {{ input = "1", output = "1" }}
"""
    gateway = run_gateway(config)
    took = []
    for _ in range(12):
        began = time.monotonic()
        assert call(gateway).status_code == 502
        took.append(time.monotonic() - began)
    attempts = [outcome.row.attempt_count or 0 for outcome in gateway.outcomes()]
    assert attempts[0] == max(attempts) == 6 and attempts[-5:] == [1] * 5
    assert max(took) < 6 and sum(took[-5:]) < 2


@pytest.mark.parametrize("settings", ["pauses_s = 5", "pauses_s = 100\nattempts_s = 20"])
def test_a_rest_longer_than_a_call_may_wait_is_told_at_once(start: Start, moody: Moody, settings: str) -> None:
    gateway, moody.moods = start(settings), [rests(30)]
    began = time.monotonic()
    reply = call(gateway)
    assert time.monotonic() - began < 2
    assert (reply.status_code, reply.headers["retry-after"]) == (429, "30") and "slow down" in reply.text
    assert gateway.row().attempt_count == 1


def test_a_short_rest_is_waited_for_and_the_callers_stream_shows_life(start: Start, moody: Moody) -> None:
    gateway, moody.moods = start("pauses_s = 5\n[gateway]\ncomment_s = 0.3"), [is_full]
    reply = call(gateway, stream=True)
    assert is_whole(reply) and "retry-after" not in reply.headers and reply.text.startswith(": ")
    first, second = moody.times
    assert 1.0 <= second - first < 2.5
    row = gateway.row()
    assert (row.attempt_count, row.status_code, row.error_type) == (2, 200, None)
    assert row.route_reason == "only 1/1; rate_limited"


@pytest.mark.parametrize("mood", [errs_in_stream, dies])
def test_a_stream_that_has_said_nothing_begins_anew(start: Start, moody: Moody, mood: Script) -> None:
    gateway, moody.moods = start(), [mood]
    reply = call(gateway, stream=True)
    assert is_whole(reply) and reply.text.count("Two ") == 1, reply.text
    assert gateway.row().attempt_count == 2


def test_who_failed_lately_is_not_believed_before_the_first_word(start: Start, moody: Moody) -> None:
    """A role alone is passed on at once, where its endpoint is well; else only with the first word."""
    gateway, moody.moods = start(), [dies_after_role]
    assert not is_whole(call(gateway, stream=True))
    moody.moods = [dies_after_role, dies_after_role]
    assert is_whole(call(gateway, stream=True))
    assert gateway.row().attempt_count == 3


def test_after_the_first_words_nothing_is_asked_again(start: Start, moody: Moody) -> None:
    gateway, moody.moods = start(), [dies_after_words]
    reply = call(gateway, stream=True)
    assert "Half an" in reply.text and '"error"' in reply.text and len(moody.times) == 1


def test_a_caller_who_leaves_in_the_pause_ends_the_call(start: Start, moody: Moody) -> None:
    gateway, moody.moods = start(), [rests(2)]
    body = json.dumps({"model": "acme/m", "messages": ASK}).encode()
    with gateway.connect() as caller:
        caller.sendall(gateway.call_head.encode() + b"content-length: %d\r\n\r\n%b" % (len(body), body))
        deadline = time.monotonic() + 5
        while not moody.times and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(0.1)
    row = gateway.row()
    assert (row.status_code, row.attempt_count, row.is_cancelled, row.cost_nano_usd) == (499, 1, True, 0)
    time.sleep(2.3)
    assert len(moody.times) == 1 and len(gateway.outcomes()) == 1


def test_a_call_that_pauses_holds_nothing_of_its_quota(start: Start, moody: Moody, tmp_path: Path) -> None:
    """One call at a time is allowed: while the first pauses, another is made."""
    home = tmp_path / "limited"
    accounts = open_accounts(home)
    secret = accounts.add_key(KeyWish(name="k", tenant_id="acme")).secret
    with accounts.database.writing() as connection:
        set_quota(connection, Quota(quota_id="q1", tenant_id="acme", scope="tenant", subject="acme", unit="calls_open",
                                    limit=1, window="lifetime"))  # fmt: skip
    accounts.close()
    gateway, moody.moods = start("pauses_s = 5\n[accounts]\nquota_wait_s = 0.2", home=home, key=secret), [rests(2)]
    replies: list[httpx.Response] = []
    first = threading.Thread(target=lambda: replies.append(call(gateway)))
    first.start()
    deadline = time.monotonic() + 5
    while not moody.times and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.1)
    assert is_whole(call(gateway)) and not replies, "while the first waits"
    first.join(10)
    assert is_whole(replies[0]) and len(moody.times) == 3


def test_a_worker_that_is_told_to_stop_finishes_calls_that_pause(start: Start, moody: Moody) -> None:
    gateway, moody.moods = start(), [rests(1)]
    with ThreadPoolExecutor(1) as pool:
        reply = pool.submit(call, gateway)
        deadline = time.monotonic() + 5
        while not moody.times and time.monotonic() < deadline:
            time.sleep(0.01)
        gateway.stop()
        assert is_whole(reply.result(10))
