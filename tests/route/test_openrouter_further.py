"""More of OpenRouter's documented examples and fields, each as its page or its OpenAPI file has it.

Sources: openrouter.ai/docs/guides/routing/provider-selection and .../model-fallbacks, and `ProviderPreferences` of the
OpenAPI file, as of 2026.
"""

import json
from typing import Any

import msgspec
import pytest

from rig.endpoints import USD, endpoint, planner
from tidegate.core.endpoint_facts import EndpointFacts
from tidegate.core.errors import InvalidRequest
from tidegate.core.facts import Endpoint
from tidegate.core.price import Price, Rates
from tidegate.route.planner import Call, Planner
from tidegate.route.wishes import NO_WISHES, read_wishes, split_suffix


def wish(provider: dict[str, Any] | None = None, **more: Any) -> Any:
    return read_wishes(json.dumps(provider).encode() if provider else b"", **more)


def order(made: Planner, call: Call) -> list[str]:
    return [one.facts.tag for one in made.plan(call, 10.0).order]


def seen(made: Planner, facts: EndpointFacts, latencies_s: list[float], throughputs: list[int]) -> None:
    for latency_s, throughput in zip(latencies_s, throughputs, strict=True):
        made.health.succeed(facts.endpoint.endpoint_id, 1.0, latency_us=round(latency_s * 1e6), tokens_per_s=throughput)


def priced(tag: str, **rates: float) -> EndpointFacts:
    """An endpoint with rates per million of anything."""
    found = msgspec.convert(
        {"input": USD, "output": USD} | {name: round(usd * USD) for name, usd in rates.items()}, Rates
    )
    own = Endpoint(endpoint_id=f"m@{tag}", provider=tag, model="m", upstream_model="m",
                   price=Price(price_id=f"m@{tag}#", rates=found))  # fmt: skip
    return EndpointFacts(endpoint=own, tag=tag)


def test_an_order_skips_who_does_not_host_the_model() -> None:
    """`order: [openai, together]` for Mixtral: OpenAI does not have it, Together is tried, then the usual list."""
    together, cheap, dear = endpoint("together", 2), endpoint("cheap", 1), endpoint("dear", 3)
    made = planner(dear, cheap, together)
    assert order(made, Call(("m",), wishes=wish({"order": ["openai", "together"]}))) == ["together", "cheap", "dear"]
    alone = wish({"order": ["openai", "together"], "allow_fallbacks": False})
    assert order(made, Call(("m",), wishes=alone)) == ["together"]


@pytest.mark.parametrize(
    ("named", "first"),
    [(["deepinfra/turbo"], ["deepinfra/turbo"]), (["deepinfra"], ["deepinfra", "deepinfra/turbo"])],
)
def test_an_exact_slug_is_one_endpoint_and_a_base_slug_all_of_its_provider(named: list[str], first: list[str]) -> None:
    plain, turbo, other = endpoint("deepinfra", 1), endpoint("deepinfra", 2, tag="deepinfra/turbo"), endpoint("x", 0.5)
    made = planner(other, plain, turbo)
    found = order(made, Call(("m",), wishes=wish({"order": named})))
    assert sorted(found[: len(first)]) == sorted(first) and found[-1] in ("x", "deepinfra")
    assert sorted(order(made, Call(("m",), wishes=wish({"ignore": named})))) == sorted(
        {"x", "deepinfra", "deepinfra/turbo"} - set(first)
    )


def test_several_percentiles_must_all_be_met() -> None:
    """`{p50: 1, p90: 3, p99: 5}` of latency and `{p50: 100, p90: 50}` of throughput: who misses one comes later."""
    good, tail, slow = endpoint("good", 3), endpoint("tail", 1), endpoint("slow", 2)
    made = planner(good, tail, slow)
    seen(made, good, [0.5] * 100, [150] * 100)
    seen(made, tail, [0.5] * 85 + [4.0] * 15, [150] * 100)  # p90 is 4 s
    seen(made, slow, [0.5] * 100, [150] * 80 + [20] * 20)  # one in ten gets less than 50 tokens/s
    wishes = wish({"preferred_max_latency": {"p50": 1, "p90": 3, "p99": 5},
                   "preferred_min_throughput": {"p50": 100, "p90": 50}})  # fmt: skip
    assert order(made, Call(("m",), wishes=wishes, draw=7)) == ["good", "tail", "slow"]


def test_the_cheapest_model_that_answers_soon_enough() -> None:
    """`preferred_max_latency: {p90: 3}` with partition none and sort by price."""
    claude, gpt = endpoint("anthropic", 3, model="claude"), endpoint("openai", 1, model="gpt")
    made = planner(claude, gpt)
    seen(made, claude, [1.0] * 20, [50] * 20)
    seen(made, gpt, [5.0] * 20, [50] * 20)
    wishes = wish({"sort": {"by": "price", "partition": "none"}, "preferred_max_latency": {"p90": 3}})
    assert order(made, Call(("claude", "gpt"), wishes=wishes)) == ["anthropic", "openai"]


def test_a_fallback_model_that_is_fast_enough_comes_before_a_first_one_that_is_not() -> None:
    """ "When using fallback models, this may cause a fallback model to be used instead of the primary model"."""
    claude, gpt = endpoint("anthropic", 3, model="claude"), endpoint("openai", 1, model="gpt")
    made = planner(claude, gpt)
    seen(made, claude, [1.0] * 20, [20] * 20)
    seen(made, gpt, [1.0] * 20, [90] * 20)
    call = Call(("claude", "gpt"), wishes=wish({"preferred_min_throughput": 50}))
    assert order(made, call) == ["openai", "anthropic"], "and the slow one is still there, at the end"
    assert order(made, Call(("claude", "gpt"))) == ["anthropic", "openai"]


def test_max_price_of_a_request_an_image_and_a_second_of_audio() -> None:
    """USD per piece, whatever tokens cost; numbers or text."""
    free, fee = priced("free"), priced("fee", request=10_000)  # a cent a request
    assert order(planner(free, fee), Call(("m",), wishes=wish({"max_price": {"request": 0.005}}))) == ["free"]
    assert len(order(planner(free, fee), Call(("m",), wishes=wish({"max_price": {"request": "0.01"}})))) == 2
    plain, image = priced("plain"), priced("image", image=40_000)
    assert order(planner(plain, image), Call(("m",), wishes=wish({"max_price": {"image": "0.03"}}))) == ["plain"]
    sound = priced("sound", audio_input_s=100)
    assert order(planner(plain, sound), Call(("m",), wishes=wish({"max_price": {"audio": 0.00005}}))) == ["plain"]


def test_the_fastest_that_costs_no_more() -> None:
    """ "Use the provider with the highest throughput, as long as it doesn't cost more than $x/m tokens"."""
    cheap, fast, dear = endpoint("cheap", 1), endpoint("fast", 2), endpoint("dear", 9)
    made = planner(cheap, fast, dear)
    for facts, throughput in ((cheap, 20), (fast, 80), (dear, 300)):
        seen(made, facts, [1.0] * 20, [throughput] * 20)
    assert order(made, Call(("m",), wishes=wish({"sort": "throughput", "max_price": {"prompt": 2}}))) == [
        "fast",
        "cheap",
    ]


@pytest.mark.parametrize("field", ["zdr", "enforce_distillable_text", "require_parameters"])
def test_false_has_no_effect(field: str) -> None:
    silent = endpoint("silent")
    assert order(planner(silent), Call(("m",), wishes=wish({field: False}))) == ["silent"]


def test_every_field_may_be_null_and_is_then_as_if_it_were_not_there() -> None:
    fields = ("order", "only", "ignore", "allow_fallbacks", "require_parameters", "data_collection", "zdr", "sort",
              "enforce_distillable_text", "quantizations", "max_price", "preferred_max_latency",
              "preferred_min_throughput")  # fmt: skip
    assert wish(dict.fromkeys(fields)) == NO_WISHES
    assert wish({"sort": {"by": "latency", "partition": None}}) == wish({"sort": "latency"})
    assert read_wishes(b"null") == NO_WISHES


@pytest.mark.parametrize("name", ["fp4", "mxfp4", "nvfp4", "fp6", "fp8", "mxfp8", "int4", "int8", "fp16", "bf16",
                                  "fp32", "unknown"])  # fmt: skip
def test_every_quantization_of_the_schema_is_known(name: str) -> None:
    made = planner(
        endpoint("has", quantization=name), endpoint("not", quantization="fp32" if name != "fp32" else "fp8")
    )
    assert order(made, Call(("m",), wishes=wish({"quantizations": [name]}))) == ["has"]


def test_exacto_prefers_who_fails_least() -> None:
    """As a sort and as a suffix; OpenRouter's own benchmark of tool calls is not public, failures are what is seen."""
    shaky, firm = endpoint("shaky", 1), endpoint("firm", 3)
    made = planner(shaky, firm)
    for number in range(20):
        for facts in (shaky, firm):
            made.health.succeed(facts.endpoint.endpoint_id, 1.0)
        if number < 3:
            made.health.fail("m@shaky", 1.0, "server_error", began_s=0.0)
    assert order(made, Call(("m",), wishes=wish({"sort": "exacto"}))) == ["firm", "shaky"]
    assert wish(suffix="exacto") == wish({"sort": "exacto"}) and split_suffix("a/b:exacto") == ("a/b", "exacto")


@pytest.mark.parametrize("suffix", ["free", "thinking", "extended", "online"])
def test_other_suffixes_are_part_of_the_models_name(suffix: str) -> None:
    """They name another offer, or one that is not made here: nobody is sent to a model he did not ask for."""
    assert split_suffix(f"a/b:{suffix}") == (f"a/b:{suffix}", "")
    assert split_suffix(f"a/b:{suffix}:nitro") == (f"a/b:{suffix}", "nitro")


def test_a_sort_of_ones_own_wins_over_a_suffix() -> None:
    assert wish({"sort": "price"}, suffix="nitro") == wish({"sort": "price"})


def test_no_preference_is_taken_that_would_not_be_heeded() -> None:
    """The schema has `additionalProperties: false`."""
    with pytest.raises(InvalidRequest) as told:
        wish({"experimental": {}})
    assert told.value.status == 400 and "provider.experimental" in told.value.message
