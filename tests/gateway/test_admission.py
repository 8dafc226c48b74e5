"""Quotas at the gateway: what a call reserves, what it is refused with, and what it settles; on a real worker."""

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest

from rig.gateway import Gateway, configuration
from rig.provider import Call, FakeProvider, completion, delta
from tidegate.accounts.keys import KeyWish, open_accounts
from tidegate.accounts.quotas.table import held_of, set_quota
from tidegate.core.quota import Quota

COST = 8 * 2000 + 4 * 500 + 5 * 10_000  # rig.provider.USAGE at rig.gateway.PRICE, in nano-USD
BODY = {"model": "acme/plain", "messages": [{"role": "user", "content": "2+2?"}]}


async def slowly(call: Call) -> None:
    await asyncio.sleep(0.3)
    await call.reply(200, completion("slow"))


async def at_length(call: Call) -> None:
    """An answer of as many tokens as it was allowed, or of 20,000."""
    limit = call.body.get("max_tokens") or call.body.get("max_completion_tokens") or 20_000
    await call.reply(200, completion("long", usage={"prompt_tokens": 10, "completion_tokens": limit}))


async def endless(call: Call) -> None:
    await call.begin_stream()
    for _ in range(200):
        await call.event(delta("word "))
        await asyncio.sleep(0.05)
    await call.end_stream()


async def broken(call: Call) -> None:
    await call.reply(500, {"error": {"message": "no"}})


@pytest.fixture(scope="module")
def provider() -> Iterator[FakeProvider]:
    with FakeProvider({"slow": slowly, "long": at_length, "endless": endless, "broken": broken}) as running:
        yield running


Start = Callable[..., Gateway]


@pytest.fixture
def start(run_gateway: Callable[..., Gateway], provider: FakeProvider, tmp_path: Path) -> Start:
    """A gateway whose tenant `acme` has these quotas, and one key of it."""

    def begin(*quotas: Quota, extra: str = "", **wish: Any) -> Gateway:
        home = tmp_path / "home"
        accounts = open_accounts(home)
        secret = accounts.add_key(KeyWish(name="k", tenant_id="acme", **wish)).secret
        with accounts.database.writing() as connection:
            for quota in quotas:
                set_quota(connection, quota)
        accounts.close()
        models = ["plain", "slow", "long", "endless", "broken"]
        return run_gateway(configuration(provider, models, extra), home=home, key=secret)

    return begin


def quota(unit: str, limit: int, window: str = "lifetime", **more: Any) -> Quota:
    fields = {"quota_id": "q1", "tenant_id": "acme", "scope": "tenant", "subject": "acme"}
    return Quota(**{**fields, "unit": unit, "limit": limit, "window": window, **more})  # type: ignore[arg-type]


def call(gateway: Gateway, model: str = "plain", path: str = "/v1/chat/completions", **more: Any) -> httpx.Response:
    body = {**BODY, "model": f"acme/{model}", **more}
    return httpx.post(gateway.url + path, headers=gateway.headers, json=body, timeout=20)


def held(gateway: Gateway) -> int:
    """What the store knows to be held, once the worker has left."""
    gateway.stop()
    accounts = open_accounts(gateway.home)
    with accounts.database.reading() as connection:
        found = held_of(connection, "q1")
    accounts.close()
    return found


def test_a_wallet_pays_for_what_its_rows_say_and_no_more(start: Start) -> None:
    """Calls go until the credit is used up; then 402 names it. What the store holds in the end is what rows charge."""
    gateway = start(quota("nano_usd", 10 * COST, is_wallet=True))
    replies = [call(gateway, max_tokens=5) for _ in range(14)]
    assert [reply.status_code for reply in replies].count(402) >= 4
    refused = next(reply for reply in replies if reply.status_code == 402)
    assert refused.json()["error"]["code"] == "insufficient_quota"
    assert "the prepaid credit of tenant acme" in refused.text and "q1" in refused.text
    charged = sum(outcome.row.cost_nano_usd or 0 for outcome in gateway.outcomes())
    assert 0 < charged <= 10 * COST
    assert held(gateway) == charged


def test_requests_a_minute_are_refused_at_once_with_the_time_to_call_again(start: Start) -> None:
    """429, `retry-after` to the end of the calendar minute, and the headers that OpenAI's clients read."""
    gateway = start(quota("requests", 3, "minute", name="slow lane"))
    while time.time() % 60 > 50:
        time.sleep(0.5)
    replies = [call(gateway) for _ in range(5)]
    assert [reply.status_code for reply in replies] == [200, 200, 200, 429, 429]
    assert [reply.headers["x-ratelimit-remaining-requests"] for reply in replies[:3]] == ["2", "1", "0"]
    assert replies[0].headers["x-ratelimit-limit-requests"] == "3"
    assert replies[0].headers["x-ratelimit-reset-requests"].endswith("s")
    refused = replies[3]
    assert 0 < int(refused.headers["retry-after"]) <= 60
    assert refused.json()["error"]["code"] == "rate_limit_exceeded" and "slow lane" in refused.text
    assert refused.elapsed.total_seconds() < 4, "it did not wait for `quota_wait_s`"


def test_a_call_waits_for_what_another_has_reserved(start: Start) -> None:
    """The second call fits as soon as the first has settled below its reservation."""
    gateway = start(quota("nano_usd", 40 * COST, is_wallet=True))

    async def both() -> list[int]:
        async with httpx.AsyncClient(headers=gateway.headers, timeout=20) as client:
            body = {**BODY, "model": "acme/slow", "max_tokens": 150}
            url = gateway.url + "/v1/chat/completions"
            replies = await asyncio.gather(*(client.post(url, json=body) for _ in range(2)))
        return [reply.status_code for reply in replies]

    assert asyncio.run(both()) == [200, 200]
    assert held(gateway) == 2 * COST


def test_a_call_without_a_limit_is_clamped_near_the_end_of_a_budget(start: Start) -> None:
    """Its answer may be as long as the rest pays for, and a header says so; the tenant never goes below zero."""
    gateway = start(quota("nano_usd", 30_000_000, is_wallet=True))  # 3,000 tokens of output
    reply = call(gateway, "long")
    assert reply.status_code == 200
    limit = int(reply.headers["x-tidegate-max-tokens-clamped"])
    assert 2500 < limit < 3000
    row = gateway.row()
    assert row.cost_nano_usd == 10 * 2000 + limit * 10_000 and row.operator_loss_nano_usd is None
    assert held(gateway) == row.cost_nano_usd


def test_what_a_call_costs_above_its_reservation_is_the_operators(start: Start, provider: FakeProvider) -> None:
    """A provider that ignores the limit: the tenant pays what was reserved, and the rest of the slice; no more."""

    async def ignores(call: Call) -> None:
        await call.reply(200, completion("slow", usage={"prompt_tokens": 10, "completion_tokens": 50_000}))

    provider.scripts["slow"], before = ignores, provider.scripts["slow"]
    try:
        gateway = start(quota("nano_usd", 1_000_000, is_wallet=True))
        reply = call(gateway, "slow", "/api/v1/chat/completions", max_tokens=50)
    finally:
        provider.scripts["slow"] = before
    row = gateway.row()
    assert row.upstream_cost_nano_usd == 10 * 2000 + 50_000 * 10_000
    assert row.cost_nano_usd is not None and row.cost_nano_usd <= 1_000_000
    assert row.operator_loss_nano_usd == row.upstream_cost_nano_usd - row.cost_nano_usd
    assert round(reply.json()["usage"]["cost"] * 1e9) == row.cost_nano_usd, "what the reply says is what is charged"
    assert held(gateway) == row.cost_nano_usd


def test_failed_and_refused_calls_release_what_they_reserved(start: Start) -> None:
    """A provider's error, a model nobody serves, a body that cannot be read, a caller who leaves."""
    gateway = start(quota("nano_usd", 10**9, is_wallet=True))
    assert call(gateway, "broken", max_tokens=10).status_code == 502
    assert call(gateway, "nobody").status_code == 404
    assert httpx.post(gateway.url + "/v1/chat/completions", headers=gateway.headers, content=b"{").status_code == 400
    with httpx.stream("POST", gateway.url + "/v1/chat/completions", headers=gateway.headers,
                      json={**BODY, "model": "acme/slow"}) as reply:  # fmt: skip
        reply.close()
    deadline = time.monotonic() + 5
    while len(gateway.outcomes()) < 4 and time.monotonic() < deadline:
        time.sleep(0.02)
    charged = sum(outcome.row.cost_nano_usd or 0 for outcome in gateway.outcomes())
    assert held(gateway) == charged


def test_calls_at_one_time(start: Start, provider: FakeProvider) -> None:
    """Of three slow calls two run at one time; the third waits for one of them, and is made."""
    running: list[int] = [0]

    async def counted(call: Call) -> None:
        running.append(running[-1] + 1)
        await asyncio.sleep(0.3)
        running.append(running[-1] - 1)
        await call.reply(200, completion("slow"))

    provider.scripts["slow"], before = counted, provider.scripts["slow"]
    try:
        gateway = start(quota("calls_open", 2))

        async def three() -> list[int]:
            async with httpx.AsyncClient(headers=gateway.headers, timeout=20) as client:
                url, body = gateway.url + "/v1/chat/completions", {**BODY, "model": "acme/slow"}
                replies = await asyncio.gather(*(client.post(url, json=body) for _ in range(3)))
            return [reply.status_code for reply in replies]

        assert asyncio.run(three()) == [200, 200, 200]
    finally:
        provider.scripts["slow"] = before
    assert max(running) == 2
    assert held(gateway) == 0


def test_tokens_a_minute(start: Start) -> None:
    """17 tokens a call: a window of 40 takes two, and a third while something is left; the fourth is refused."""
    gateway = start(quota("tokens", 40, "minute"))
    while time.time() % 60 > 50:
        time.sleep(0.5)
    replies = [call(gateway, max_tokens=5) for _ in range(5)]
    statuses = [reply.status_code for reply in replies]
    assert statuses[:1] == [200] and statuses[-1] == 429 and statuses == sorted(statuses)
    assert replies[0].headers["x-ratelimit-limit-tokens"] == "40"


@pytest.mark.parametrize(
    ("wish", "named"),
    [({"models": ("acme/pl*",)}, "acme/pl*"), ({"providers": ("elsewhere",)}, "elsewhere"),
     ({"networks": ("10.0.0.0/8",)}, "127.0.0.1")],
)  # fmt: skip
def test_an_allow_list_is_named_by_its_403(start: Start, wish: dict[str, Any], named: str) -> None:
    """A key that is limited to models, providers or networks says which."""
    gateway = start(**wish)
    reply = call(gateway, "slow")
    assert reply.status_code == 403 and named in reply.text
    assert reply.json()["error"]["code"] == "forbidden"
    if "models" in wish:
        assert call(gateway, "plain").status_code == 200


def test_a_key_revoked_in_the_middle_of_a_stream_ends_it(start: Start) -> None:
    """Within two seconds; what came is settled."""
    gateway = start(quota("nano_usd", 10**9, is_wallet=True))
    body = {**BODY, "model": "acme/endless", "stream": True}
    with httpx.stream("POST", gateway.url + "/v1/chat/completions", headers=gateway.headers, json=body) as reply:
        lines = reply.iter_lines()
        assert "word" in next(lines)
        accounts = open_accounts(gateway.home)
        accounts.revoke_key("k")
        accounts.close()
        began = time.monotonic()
        rest = "".join(lines)
    assert time.monotonic() - began < 6, "two seconds, and some for a busy machine; the stream itself takes ten"
    assert "revoked" in rest
    row = gateway.row()
    assert (row.error_type, row.cost_basis) == ("invalid_api_key", "estimated_partial") and row.cost_nano_usd
    assert call(gateway).status_code == 401
    assert held(gateway) == row.cost_nano_usd


def test_the_error_has_the_shape_of_the_callers_dialect(start: Start) -> None:
    """402 as Anthropic's, OpenRouter's and Google's clients read it."""
    gateway = start(quota("nano_usd", 0, is_wallet=True))
    anthropic = call(gateway, path="/v1/messages", max_tokens=5)
    assert anthropic.status_code == 402 and anthropic.json()["error"]["type"] == "billing_error"
    openrouter = call(gateway, path="/api/v1/chat/completions")
    assert openrouter.json()["error"]["code"] == 402
    google = httpx.post(gateway.url + "/v1beta/models/acme/plain:generateContent", headers=gateway.headers,
                        json={"contents": [{"parts": [{"text": "hi"}]}]})  # fmt: skip
    assert google.status_code == 402 and google.json()["error"]["code"] == 402
    assert json.loads(anthropic.text)["type"] == "error"


def test_a_refusal_speaks_the_callers_language(start: Start) -> None:
    """Chinese where it is asked for, with the quota and what is left of it."""
    gateway = start(quota("nano_usd", 0, is_wallet=True))
    said = httpx.post(gateway.url + "/v1/chat/completions", json={**BODY, "model": "acme/plain"},
                      headers={**gateway.headers, "accept-language": "zh-CN,zh;q=0.9"})  # fmt: skip
    assert said.status_code == 402 and "acme 的预付余额" in said.json()["error"]["message"]
    nobody = httpx.post(gateway.url + "/v1/chat/completions", headers={"accept-language": "zh"}, json=BODY)
    assert nobody.status_code == 401 and "密钥" in nobody.text
