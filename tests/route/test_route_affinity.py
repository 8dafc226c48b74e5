"""A conversation stays where its prompt is cached, while that is cheaper; load stays even."""

import json
import random
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rig.endpoints import endpoint, planner
from rig.replicas import simulate
from tidegate.core.endpoint_facts import EndpointFacts
from tidegate.core.facts import Endpoint
from tidegate.core.price import Price, Rates
from tidegate.route.affinity import BLOCK_BYTES, KEYS_MAX, Affinity, Homes, key_of, prefix_keys
from tidegate.route.planner import Call

TRACE = Path(__file__).parents[3] / "shared" / "data" / "traces" / "mooncake_conversation_trace.jsonl"


def cached(provider: str, usd: float, cache_usd: float) -> EndpointFacts:
    rates = Rates(input=round(usd * 10**9), output=round(usd * 10**9), cache_read=round(cache_usd * 10**9))
    price = Price(price_id="p", rates=rates)
    own = Endpoint(endpoint_id=f"m@{provider}", provider=provider, model="m", upstream_model="m", price=price)
    return EndpointFacts(endpoint=own, tag=provider)


@given(st.binary(max_size=3 * BLOCK_BYTES), st.binary(max_size=2 * BLOCK_BYTES), st.integers(0, 2**64 - 1))
def test_a_prompt_that_goes_on_has_all_keys_of_its_beginning(first: bytes, more: bytes, salt: int) -> None:
    keys, longer = prefix_keys(first, salt), prefix_keys(first + more, salt)
    assert longer[: len(keys)] == keys
    assert len(keys) == len(first) // BLOCK_BYTES


def test_tenants_share_no_keys() -> None:
    prompt = b"x" * 5 * BLOCK_BYTES
    assert not set(prefix_keys(prompt, key_of("acme"))) & set(prefix_keys(prompt, key_of("umbrella")))


def test_a_call_goes_where_its_prompt_is_cached_while_that_is_cheaper() -> None:
    """At $1 with a tenth for cached tokens, 20,000 cached tokens beat a fresh prompt at $0.50; 500 do not."""
    made = planner(cached("dear", 1, 0.1), cached("cheap", 0.5, 0.5), affinity=True)
    assert made.affinity is not None
    call = Call(("m",), keys=(5,), input_tokens=21_000, output_tokens=100, draw=7)
    made.affinity.note((5,), "m@dear", 20_000, 1.0)
    assert made.plan(call, 2.0).reason == "cached" and made.plan(call, 2.0).order[0].facts.tag == "dear"
    made.affinity.note((6,), "m@dear", 500, 1.0)
    fresh = Call(("m",), keys=(6,), input_tokens=21_000, output_tokens=100, draw=7)
    assert made.plan(fresh, 2.0).reason == "conversation"
    assert made.plan(call, 2000.0).reason == "conversation", "providers forget what nobody reads for ten minutes"


def test_an_endpoint_that_is_down_or_forbidden_holds_nobody() -> None:
    made = planner(cached("a", 1, 0.1), cached("b", 1, 0.1), affinity=True)
    assert made.affinity is not None
    made.affinity.note((5,), "m@a", 20_000, 1.0)
    call = Call(("m",), keys=(5,), input_tokens=20_000)
    assert made.plan(call, 2.0).order[0].facts.tag == "a"
    for _ in range(5):
        made.health.fail("m@a", 2.0, "connect")
    assert made.plan(call, 2.0).order[0].facts.tag == "b"


def test_workers_that_share_nothing_send_a_new_conversation_to_the_same_endpoint() -> None:
    facts = [endpoint(f"p{number}", 1) for number in range(8)]
    one, other = planner(*facts, affinity=True), planner(*facts, affinity=True)
    for number in range(200):
        first = Call(("m",), keys=(key_of(f"chat-{number}"),), draw=number * 77_003, input_tokens=100)
        later = Call(("m",), keys=first.keys, draw=number * 5_000_011, input_tokens=9_000)
        assert one.plan(first, 1.0).order[0] == other.plan(later, 1.0).order[0]


def test_homes_are_shared_out_by_weight_and_few_move_when_one_goes() -> None:
    """Rendezvous hashing: who had another endpoint keeps it."""
    shares = [1 << 30, 1 << 29, 1 << 29, 1 << 28]
    homes, fewer = Homes(("a", "b", "c", "d"), shares), Homes(("a", "b", "c"), shares[:3])
    keys = [random.Random(3).getrandbits(64) for _ in range(1)] + [key_of(str(number)) for number in range(20_000)]
    counted = Counter(homes.of(key)[0] for key in keys)
    assert counted[0] / counted[1] == pytest.approx(2, rel=0.1) and counted[0] / counted[3] == pytest.approx(
        4, rel=0.15
    )
    assert all(fewer.of(key)[0] == homes.of(key)[0] for key in keys if homes.of(key)[0] != 3)


def test_what_is_remembered_is_bounded() -> None:
    affinity = Affinity(keys_max=100)
    for number in range(1000):
        affinity.note((number,), "m@a", 10, float(number) / 100)
    assert len(affinity) == 100 and affinity.find((999,), 10.0) and not affinity.find((1,), 10.0)
    assert KEYS_MAX * 500 < 64 * 1024 * 1024, "a worker's whole memory of prefixes stays within some tens of megabytes"


def test_few_calls_need_not_balance() -> None:
    """A lone conversation stays, though its endpoint then has all the work there is."""
    made = planner(*(cached(f"p{number}", 1, 0.1) for number in range(8)), affinity=True)
    assert made.affinity is not None
    homes = set()
    for turn in range(10):
        call = Call(("m",), keys=(9,), input_tokens=1000 * turn, draw=turn * 12_345_677)
        chosen = made.plan(call, float(turn)).order[0].endpoint_id
        homes.add(chosen)
        made.affinity.note((9,), chosen, call.input_tokens, float(turn))
        made.health.load(chosen, 1500, float(turn))
    assert len(homes) == 1


@pytest.mark.skipif(not TRACE.is_file(), reason="../shared/data/traces is not beside this checkout")
def test_a_real_hour_of_conversations_keeps_its_cache_and_its_balance() -> None:
    """Mooncake's trace on 8 replicas: nine tenths of one endless cache, load within a quarter of the mean."""
    rows = [json.loads(line) for line in TRACE.read_text().splitlines()]
    kept, plain = simulate(rows, replicas=8, affinity=True), simulate(rows, replicas=8, affinity=False)
    assert kept.hit_tokens >= 0.9 * kept.hit_tokens_possible
    assert max(kept.work_imbalance, kept.call_imbalance, kept.token_imbalance) <= 1.25
    assert plain.hit_tokens < 0.5 * kept.hit_tokens
