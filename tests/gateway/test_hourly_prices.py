"""Prices by the hour at work: a worker whose clock stands four seconds before a window charges each side of it."""

import asyncio
import time
from collections.abc import Iterator
from types import SimpleNamespace

import httpx2 as httpx
import pytest

from rig.gateway import Gateway, start_gateway
from rig.provider import Call, FakeProvider, answer
from tidegate.core.hours import moment_us, parse_window
from tidegate.core.price import Price, Rates, Tier, with_hours
from tidegate.gateway.bounds import Ceilings
from tidegate.gateway.hourly import price_of_hour

BEGIN = "2026-03-02T16:29Z"  # a Monday; the clock starts 56 seconds into that minute
WINDOW = "16:30-00:30"
CLOCK = """
import os, time
_shift = int(os.environ["CLOCK_US"]) - time.time_ns() // 1000
_real = time.time_ns
time.time_ns = lambda: _real() + _shift * 1000
time.time = lambda: time.time_ns() / 1e9
"""
DAY_COST, NIGHT_COST = 68_000, 34_000  # 12 tokens in, 4 of them cached, and 5 out, at $2, $0.5 and $10; at half of it
SECONDS_TO_NIGHT = 4
DAY = 'price = { input = "2", output = "10", cache_read = "0.5", '
NIGHT = 'input = "1", output = "5", cache_read = "0.25"'
CONFIG = """
[accounts]
quota_wait_s = 0.5
[providers.mock]
base_url = "{url}"
[providers.flat]
base_url = "{url}"
"""


def endpoint(model: str, provider: str, price: str) -> str:
    return f'[[endpoints]]\nprovider = "{provider}"\nmodel = "acme/{model}"\nupstream_model = "{model}"\n{price}\n'


def by_the_hour(hours: str) -> str:
    return f'{DAY} windows = [{{ hours = "{hours}", {NIGHT} }}] }}'


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A worker at 16:29:56."""
    home = tmp_path_factory.mktemp("hours")
    (home / "sitecustomize.py").write_text(CLOCK)

    async def slow(call: Call) -> None:
        await asyncio.sleep(SECONDS_TO_NIGHT + 1)
        await answer(call)

    with FakeProvider({"slow": slow, "slow-sent": slow}) as provider:
        config = CONFIG.format(url=provider.url)
        config += endpoint("ok", "mock", by_the_hour(WINDOW))
        config += endpoint("slow", "mock", by_the_hour(f"{WINDOW} completed"))
        config += endpoint("slow-sent", "mock", by_the_hour(WINDOW))
        config += endpoint("two", "flat", 'price = { input = "1.5", output = "7" }')
        config += endpoint("two", "mock", by_the_hour(WINDOW))
        clock = str(moment_us(BEGIN) + (60 - SECONDS_TO_NIGHT) * 1_000_000)
        running = start_gateway(home, config, {"PYTHONPATH": str(home), "CLOCK_US": clock})
        running.started = time.monotonic()  # type: ignore[attr-defined]
        yield running
        assert running.stop() == 0


def post(gateway: Gateway, model: str, *, root: str = "/v1") -> dict[str, object]:
    body = {"model": f"acme/{model}", "messages": [{"role": "user", "content": "2+2?"}]}
    if model == "two":
        body["provider"] = {"sort": "price"}
    reply = httpx.post(f"{gateway.url}{root}/chat/completions", json=body, headers=gateway.headers, timeout=20)
    assert reply.status_code == 200, reply.text
    return dict(reply.json())


def listed(gateway: Gateway) -> str:
    models = httpx.get(f"{gateway.url}/api/v1/models", headers=gateway.headers).json()["data"]
    return next(str(model["pricing"]["prompt"]) for model in models if model["id"] == "acme/ok")


async def both_slow(gateway: Gateway) -> None:
    await asyncio.gather(*(asyncio.to_thread(post, gateway, model) for model in ("slow", "slow-sent")))


def test_a_call_has_the_price_of_its_hour_on_both_sides_of_its_begin(gateway: Gateway) -> None:
    """Rows, what replies tell, the list of models and the ranking change with the hour, without a restart; a call over
    the begin has the price that the provider's own rule gives it."""
    post(gateway, "ok")
    row = gateway.row("acme/ok")
    assert (row.cost_nano_usd, row.price_id) == (DAY_COST, "acme/ok@mock#config")
    post(gateway, "two")
    assert gateway.row("acme/two").provider_name == "flat"
    assert listed(gateway) == "0.000002"

    asyncio.run(both_slow(gateway))
    row = gateway.row("acme/slow")
    assert (row.cost_nano_usd, row.price_id) == (NIGHT_COST, f"acme/slow@mock#config~{WINDOW}")
    row = gateway.row("acme/slow-sent")
    assert (row.cost_nano_usd, row.price_id) == (DAY_COST, "acme/slow-sent@mock#config")

    deadline = time.monotonic() + 5
    while listed(gateway) != "0.000001":
        assert time.monotonic() < deadline, "the worker has not noticed that the hour has begun"
        time.sleep(0.1)
    told = post(gateway, "ok", root="/api/v1")
    assert told["usage"]["cost"] == NIGHT_COST / 1e9  # type: ignore[index]
    assert gateway.row("acme/ok").cost_nano_usd == NIGHT_COST
    post(gateway, "two")
    assert gateway.row("acme/two").provider_name == "mock"


def rates(each: int) -> Rates:
    return Rates(input=each, output=2 * each, request=each)


def test_a_reservation_suffices_for_the_dearest_hour_that_a_call_may_end_in() -> None:
    """And is no higher than that where no other hour begins before the call must be over."""
    dear = (parse_window("16:30-17:00")[0], rates(100), (Tier(input_tokens_above=1000, rates=rates(300)),))
    price = with_hours(Price(price_id="m@p#", rates=rates(40), tiers=(Tier(input_tokens_above=500, rates=rates(50)),)),
                       [dear], "completed")  # fmt: skip
    ceilings = Ceilings()
    at, half_hour = moment_us("2026-03-02T16:20Z"), 1800 * 1_000_000

    def most(from_us: int, span_us: int, tokens: int) -> tuple[int, int]:
        return ceilings.within(price, from_us, from_us + span_us).rates(tokens)

    assert most(at, half_hour, 400) == (100, 200)
    assert most(at, half_hour, 600) == (100, 200)
    assert most(at, half_hour, 1001) == (300, 600)
    assert most(at, 300 * 1_000_000, 400) == (40, 80)
    assert most(at, 300 * 1_000_000, 501) == (50, 100)
    assert ceilings.within(price, at, at + half_hour).request == 300
    assert ceilings.within(price, at, at + half_hour) is ceilings.within(price, at + 1, at + half_hour)


@pytest.mark.parametrize(("priced_at", "expected"), [("sent", 2), ("completed", 1)])
def test_the_hour_is_that_of_the_providers_rule(priced_at: str, expected: int) -> None:
    """An answer sent for at 16:29:59 and complete two seconds later; and again where nothing was sent at all."""
    window = parse_window(WINDOW)[0]
    price = with_hours(Price(price_id="m@p#", rates=Rates(input=2, output=2)), [(window, Rates(input=1, output=1), ())],
                       priced_at)  # type: ignore[arg-type]  # fmt: skip
    sent_us = moment_us("2026-03-02T16:30Z") - 1_000_000
    call = SimpleNamespace(attempt_started=(sent_us, 50.0), upstream_ended=52.0, price=price,
                           request=SimpleNamespace(arrived_us=sent_us))  # fmt: skip
    assert price_of_hour(call, price).rates.input == expected  # type: ignore[arg-type]
    assert call.price.rates.input == expected and not call.price.faces
    call.attempt_started = (0, 0.0)
    assert price_of_hour(call, price).rates.input == 2  # type: ignore[arg-type]
