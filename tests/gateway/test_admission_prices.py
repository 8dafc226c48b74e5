"""What a tenant is charged: terms of its own, told in the reply as they stand in the row; calls that cost nothing."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest

from conformance.mock_provider import MockProvider
from rig.gateway import Gateway, configuration
from rig.media import config as media_config
from rig.media import post
from rig.provider import Call, FakeProvider, completion
from rig.workers import acme_quota, held, make_tenant
from tidegate.accounts.keys import open_accounts
from tidegate.accounts.money.terms import add_term, join_group
from tidegate.core.facts import Quirks
from tidegate.core.price import Price, Rates
from tidegate.core.terms import Term
from tidegate.gateway.bounds import Ceiling, asked_of
from tidegate.gateway.clamping import with_output_limit
from tidegate.wire.dialects import DIALECTS

COST = 8 * 2000 + 4 * 500 + 5 * 10_000  # rig.provider.USAGE at rig.gateway.PRICE, in nano-USD
MARGIN = Term(term_id="", margin_ppm=200_000)
OWN = Term(term_id="", price=Price(price_id="", rates=Rates(input=10**9, output=10**9)))


def with_terms(home: Path, *terms: Term) -> None:
    """Put the tenant `acme` into a price group."""
    accounts = open_accounts(home)
    now_us = time.time_ns() // 1000
    for term in terms:
        add_term(accounts.database, "resale", term, now_us)
    join_group(accounts.database, "acme", "resale", now_us)
    accounts.close()


@pytest.mark.parametrize("is_stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize(("term", "charged"), [(MARGIN, COST * 6 // 5), (OWN, 17 * 1000)], ids=["margin", "own"])
def test_the_cost_that_a_reply_tells_is_what_the_row_charges(
    run_gateway: Callable[..., Gateway], tmp_path: Path, term: Term, charged: int, *, is_stream: bool
) -> None:
    """20 % on the provider's price, or rates of the tenant's own; the provider's charge stands beside it."""
    key = make_tenant(tmp_path / "home", [acme_quota("nano_usd", 10**9, is_wallet=True)])
    with_terms(tmp_path / "home", term)
    with FakeProvider({}) as provider:
        gateway = run_gateway(configuration(provider, ["plain"]), home=tmp_path / "home", key=key)
        body = {"model": "acme/plain", "messages": [{"role": "user", "content": "2+2?"}], "stream": is_stream}
        reply = httpx.post(gateway.url + "/api/v1/chat/completions", headers=gateway.headers, json=body)
        said = reply.text.split("data: ")[-2] if is_stream else reply.text
        row = gateway.row()
        assert round(json.loads(said)["usage"]["cost"] * 1e9) == row.cost_nano_usd == charged
        assert row.upstream_cost_nano_usd == COST
        assert row.price_id is not None and row.price_id.startswith("*@resale#" if term.price else "acme/plain@mock")
        gateway.stop()
    assert held(tmp_path / "home") == charged


def test_counting_tokens_costs_nothing_and_needs_no_money(run_gateway: Callable[..., Gateway], tmp_path: Path) -> None:
    """A spent wallet does not stop it; a limit on requests counts it."""
    quotas = [acme_quota("nano_usd", 0, is_wallet=True), acme_quota("requests", 2, "day", quota_id="q2")]
    key = make_tenant(tmp_path / "home", quotas)
    with FakeProvider({}) as provider:
        gateway = run_gateway(configuration(provider, ["plain"]), home=tmp_path / "home", key=key)
        body = {"model": "acme/plain", "max_tokens": 5, "messages": [{"role": "user", "content": "2+2?"}]}
        url = gateway.url + "/v1/messages"
        assert httpx.post(url, headers=gateway.headers, json=body).status_code == 402
        counted = [httpx.post(url + "/count_tokens", headers=gateway.headers, json=body) for _ in range(3)]
        assert [reply.status_code for reply in counted] == [200, 200, 429]


def test_media_reserve_by_the_piece_and_settle(run_gateway: Callable[..., Gateway], tmp_path: Path) -> None:
    """An image at 0.04 USD: with ten cents two are made; the third is refused before it is asked for."""
    key = make_tenant(tmp_path / "home", [acme_quota("nano_usd", 100_000_000, is_wallet=True)])
    with MockProvider() as mock:
        gateway = run_gateway(media_config(mock), {"MOCK_KEY": "k"}, home=tmp_path / "home", key=key)
        ask = {"model": "acme/pieces", "prompt": "a cat"}
        replies = [post(gateway, "/v1/images/generations", json=ask) for _ in range(3)]
        assert [reply.status_code for reply in replies] == [200, 200, 402]
        charged = sum(outcome.row.cost_nano_usd or 0 for outcome in gateway.outcomes())
        gateway.stop()
    assert held(tmp_path / "home") == charged == 80_000_000


def test_a_stream_longer_than_a_lease_keeps_its_reservation(
    run_gateway: Callable[..., Gateway], tmp_path: Path
) -> None:
    """The worker goes on telling the store that it lives; the call settles as any other."""

    async def slow(call: Call) -> None:
        import asyncio

        await asyncio.sleep(3.5)
        await call.reply(200, completion("slow"))

    key = make_tenant(tmp_path / "home", [acme_quota("nano_usd", 10**9, is_wallet=True),
                                          acme_quota("calls_open", 1, quota_id="q2")])  # fmt: skip
    with FakeProvider({"slow": slow}) as provider:
        extra = "[accounts]\nlease_s = 2\nquota_wait_s = 0.5"
        gateway = run_gateway(configuration(provider, ["slow"], extra), home=tmp_path / "home", key=key)
        body = {"model": "acme/slow", "max_tokens": 5, "messages": [{"role": "user", "content": "2+2?"}]}
        assert httpx.post(gateway.url + "/v1/chat/completions", headers=gateway.headers, json=body).status_code == 200
        assert (held(tmp_path / "home") >= COST, held(tmp_path / "home", "q2") <= 1) == (True, True)
        gateway.stop()
    assert (held(tmp_path / "home"), held(tmp_path / "home", "q2")) == (COST, 0)


@pytest.mark.parametrize(
    ("dialect", "body", "quirks", "expected"),
    [
        ("openai-chat", {"model": "m"}, Quirks(), {"max_tokens": 9}),
        ("openai-chat", {"max_tokens": None}, Quirks(output_tokens_field="max_completion_tokens"),
         {"max_completion_tokens": 9}),
        ("openai-responses", {"model": "m"}, Quirks(), {"max_output_tokens": 9}),
        ("anthropic", {"model": "m"}, Quirks(), {"max_tokens": 9}),
        ("gemini", {"generationConfig": {"topP": 1}}, Quirks(),
         {"generationConfig": {"topP": 1, "maxOutputTokens": 9}}),
        ("gemini", {"generation_config": None}, Quirks(), {"generation_config": {"maxOutputTokens": 9}}),
    ],
)  # fmt: skip
def test_a_limit_is_written_as_each_dialect_has_it(
    dialect: str, body: dict[str, Any], quirks: Quirks, expected: dict[str, Any]
) -> None:
    """What else the request says stays."""
    found = json.loads(with_output_limit(dialect, json.dumps(body).encode(), 9, quirks))
    assert {name: found[name] for name in expected} == expected
    assert "max_tokens" not in found or dialect != "gemini"


@pytest.mark.parametrize(
    ("dialect", "body", "expected"),
    [
        ("openai-chat", {"max_tokens": 7}, (7, 1)),
        ("openai-chat", {"max_tokens": 7, "max_completion_tokens": 9, "n": 3}, (9, 3)),
        ("openai-chat", {"max_tokens": -1}, (None, 1)),
        ("openai-chat", {"max_tokens": "many"}, (None, 1)),
        ("openai-completions", {"max_tokens": 4, "best_of": 2}, (4, 2)),
        ("openai-responses", {"max_output_tokens": 5.0}, (5, 1)),
        ("anthropic", {"max_tokens": 6}, (6, 1)),
        ("gemini", {"generationConfig": {"maxOutputTokens": 8, "candidateCount": 2}}, (8, 2)),
        ("openai-embeddings", {"input": "x"}, (0, 1)),
    ],
)
def test_the_length_of_an_answer_is_read_in_each_dialect(
    dialect: str, body: dict[str, Any], expected: tuple[int | None, int]
) -> None:
    """What is no limit to a provider is none here; each choice may be as long."""
    raw = json.dumps({"model": "m", "messages": [], **body}).encode()
    assert tuple(asked_of(dialect, DIALECTS[dialect].decode_head(raw), raw)) == expected


def test_a_ceiling_knows_the_dearest_rate_of_each_tier() -> None:
    """Writing to the cache costs more than reading anew, thoughts may cost more than text."""
    from tidegate.core.price import Tier

    rates = Rates(input=3, output=15, cache_creation=6, reasoning=20, request=7)
    tier = Tier(input_tokens_above=200_000, rates=Rates(input=10, output=12))
    ceiling = Ceiling(Price(price_id="p", rates=rates, tiers=(tier,)))
    assert (ceiling.rates(200_000), ceiling.rates(200_001), ceiling.request) == ((6, 20), (10, 20), 7)
