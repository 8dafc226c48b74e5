"""OpenRouter's documented examples of provider routing, each as it is documented.

Source: openrouter.ai/docs/guides/routing/provider-selection, .../model-fallbacks and .../best-practices/prompt-caching,
as published in 2026; the `provider` object is read from the JSON that the page shows.
"""

import json
from collections import Counter
from typing import Any

import pytest

from rig.endpoints import endpoint, planner
from tidegate.core.endpoint_facts import EndpointFacts
from tidegate.core.errors import InvalidRequest
from tidegate.route.explain import reasons, refusal
from tidegate.route.filter import Needs
from tidegate.route.planner import Call, Planner
from tidegate.route.wishes import read_wishes, split_suffix

LOTS = 4000


def wish(provider: dict[str, Any] | None = None, **more: Any) -> Any:
    return read_wishes(json.dumps(provider).encode() if provider else b"", **more)


def order(made: Planner, call: Call, now_s: float = 10.0) -> list[str]:
    return [one.facts.tag for one in made.plan(call, now_s).order]


def seen(made: Planner, facts: EndpointFacts, latency_s: float, throughput: int, calls: int = 20) -> None:
    for _ in range(calls):
        made.health.succeed(facts.endpoint.endpoint_id, 1.0, latency_us=round(latency_s * 1e6), tokens_per_s=throughput)


def firsts(made: Planner, call: Call, now_s: float = 10.0) -> Counter[str]:
    """Who is first, over many draws that are spread evenly."""
    step = (1 << 32) // LOTS
    return Counter(
        order(made, Call(call.models, wishes=call.wishes, draw=number * step + number % 2), now_s)[0]
        for number in range(LOTS)
    )


A, B, C = endpoint("a", 1), endpoint("b", 2), endpoint("c", 3)


def test_the_load_balancing_example() -> None:
    """A costs $1, B $2, C $3, and B recently saw a few outages: A is nine times as likely first as C; B comes last."""
    made = planner(A, B, C)
    for _ in range(4):
        made.health.fail("m@b", 1.0, "server_error")
    counted = firsts(made, Call(("m",)))
    assert set(counted) == {"a", "c"}
    assert counted["a"] / counted["c"] == pytest.approx(9, rel=0.02)
    assert order(made, Call(("m",), draw=1)) == ["a", "c", "b"], "if A fails, C is next; if C fails too, B is last"


def test_without_outages_all_three_are_drawn_by_the_inverse_square_of_their_price() -> None:
    counted = firsts(planner(A, B, C), Call(("m",)))
    assert counted["a"] / counted["b"] == pytest.approx(4, rel=0.02)
    assert counted["a"] / counted["c"] == pytest.approx(9, rel=0.03)


@pytest.mark.parametrize("asked", [{"provider": {"sort": "throughput"}}, {"suffix": "nitro"}])
def test_sort_by_throughput_and_the_nitro_shortcut(asked: dict[str, Any]) -> None:
    """Always the highest throughput first, nothing is drawn."""
    made = planner(A, B, C)
    for facts, throughput in ((A, 20), (B, 90), (C, 50)):
        seen(made, facts, 1.0, throughput)
    wishes = wish(asked["provider"]) if "provider" in asked else wish(suffix=asked["suffix"])
    for draw in range(50):
        assert order(made, Call(("m",), wishes=wishes, draw=draw * 1_000_003)) == ["b", "c", "a"]


@pytest.mark.parametrize("asked", [{"provider": {"sort": "price"}}, {"suffix": "floor"}])
def test_sort_by_price_and_the_floor_shortcut(asked: dict[str, Any]) -> None:
    wishes = wish(asked["provider"]) if "provider" in asked else wish(suffix=asked["suffix"])
    for draw in range(50):
        assert order(planner(C, A, B), Call(("m",), wishes=wishes, draw=draw * 1_000_003)) == ["a", "b", "c"]


def test_sort_by_latency() -> None:
    made = planner(A, B, C)
    for facts, latency in ((A, 3.0), (B, 1.0), (C, 2.0)):
        seen(made, facts, latency, 50)
    assert order(made, Call(("m",), wishes=wish({"sort": "latency"}))) == ["b", "c", "a"]


def test_suffixes_are_no_part_of_the_model_but_free_is() -> None:
    assert split_suffix("meta-llama/llama-3.3-70b-instruct:nitro") == ("meta-llama/llama-3.3-70b-instruct", "nitro")
    assert split_suffix("x/y:floor") == ("x/y", "floor")
    assert split_suffix("x/y:free") == ("x/y:free", ""), "another offer, with endpoints of its own"


CLAUDE = endpoint("anthropic", 3, model="claude")
GPT = endpoint("openai", 1, model="gpt")
GEMINI = endpoint("google", 0.5, model="gemini")


def test_partition_none_ranks_all_models_together() -> None:
    """The fastest endpoint of any of the models comes first, whichever model it serves."""
    made = planner(CLAUDE, GPT, GEMINI)
    for facts, throughput in ((CLAUDE, 40), (GPT, 60), (GEMINI, 110)):
        seen(made, facts, 1.0, throughput)
    together = wish({"sort": {"by": "throughput", "partition": "none"}})
    assert order(made, Call(("claude", "gpt", "gemini"), wishes=together)) == ["google", "openai", "anthropic"]
    apart = wish({"sort": {"by": "throughput", "partition": "model"}})
    assert order(made, Call(("claude", "gpt", "gemini"), wishes=apart)) == ["anthropic", "openai", "google"]
    assert (
        order(made, Call(("claude", "gpt", "gemini"), wishes=wish({"sort": "throughput"}, route="sort")))[0] == "google"
    )


def test_the_cheapest_model_that_is_fast_enough() -> None:
    """preferred_min_throughput with partition none: the cheapest of all models of those with 50 tokens/s in 90 %."""
    made = planner(CLAUDE, GPT, GEMINI)
    for facts, throughput in ((CLAUDE, 80), (GPT, 60), (GEMINI, 20)):
        seen(made, facts, 1.0, throughput)
    wishes = wish({"sort": {"by": "price", "partition": "none"}, "preferred_min_throughput": {"p90": 50}})
    assert order(made, Call(("claude", "gpt", "gemini"), wishes=wishes)) == ["openai", "anthropic", "google"]


def test_missing_a_preferred_latency_moves_an_endpoint_back_and_excludes_nobody() -> None:
    made = planner(A, B, C)
    for facts, latency in ((A, 9.0), (B, 1.0), (C, 2.0)):
        seen(made, facts, latency, 50)
    wishes = wish({"preferred_max_latency": {"p50": 3, "p90": 5}})
    assert order(made, Call(("m",), wishes=wishes, draw=1)) == ["b", "c", "a"]
    assert order(made, Call(("m",), wishes=wish({"preferred_max_latency": 0.5}), draw=1))[0] == "a", "all miss it"


OPENAI, TOGETHER, OTHER = endpoint("openai", 3), endpoint("together", 2), endpoint("other", 1)


def test_an_order_is_tried_first_and_then_the_rest() -> None:
    """`order: [openai, together]`: openai, then together, then whoever is left, by price."""
    made = planner(OTHER, TOGETHER, OPENAI)
    wishes = wish({"order": ["openai", "together"]})
    assert order(made, Call(("m",), wishes=wishes, draw=123)) == ["openai", "together", "other"]


def test_an_order_without_fallbacks_tries_no_other() -> None:
    made = planner(OTHER, TOGETHER, OPENAI)
    wishes = wish({"order": ["openai", "together"], "allow_fallbacks": False})
    assert order(made, Call(("m",), wishes=wishes)) == ["openai", "together"]


def test_without_fallbacks_only_the_first_is_tried() -> None:
    assert len(order(planner(A, B, C), Call(("m",), wishes=wish({"allow_fallbacks": False})))) == 1


def test_a_plain_slug_names_all_variants_and_a_full_one_its_own() -> None:
    """`google-vertex` stands for every region, `google-vertex/us-east5` and `deepinfra/turbo` for one."""
    us, eu = (
        endpoint("google-vertex", 1, tag="google-vertex/us-east5"),
        endpoint("google-vertex", 2, tag="google-vertex/eu"),
    )
    turbo, plain = endpoint("deepinfra", 2, tag="deepinfra/turbo"), endpoint("deepinfra", 1)
    made = planner(us, eu, turbo, plain)
    assert set(order(made, Call(("m",), wishes=wish({"only": ["google-vertex"]})))) == {us.tag, eu.tag}
    assert order(made, Call(("m",), wishes=wish({"only": ["google-vertex/us-east5"]}))) == [us.tag]
    assert order(made, Call(("m",), wishes=wish({"order": ["deepinfra/turbo"], "allow_fallbacks": False}))) == [
        turbo.tag
    ]


def test_require_parameters_leaves_those_that_take_all_of_them() -> None:
    """`response_format` with require_parameters: who is known not to take it is left out.

    What nobody has stated is tried: a request that its dialect cannot say there is passed over before it leaves.
    """
    takes = endpoint("takes", 2, parameters=frozenset(("response_format", "tools")))
    lacks, unknown = endpoint("lacks", 1, parameters=frozenset(("tools",))), endpoint("unknown", 1)
    made, needs = planner(takes, lacks, unknown), Needs(parameters=frozenset(("response_format",)))
    assert set(order(made, Call(("m",), wishes=wish({"require_parameters": True}), needs=needs))) == {
        "takes",
        "unknown",
    }
    assert len(order(made, Call(("m",), needs=needs))) == 3, "without it, what is not known is left out of the request"


def test_tools_go_only_to_who_is_not_known_to_lack_them() -> None:
    has, lacks = endpoint("has", 2, parameters=frozenset(("tools",))), endpoint("lacks", 1, parameters=frozenset())
    assert order(planner(has, lacks), Call(("m",), needs=Needs(frozenset(("tools",))))) == ["has"]


def test_max_tokens_goes_only_to_who_can_answer_that_long() -> None:
    short, long = endpoint("short", 1, output_tokens_max=4096), endpoint("long", 2, output_tokens_max=32_000)
    assert order(planner(short, long), Call(("m",), output_tokens=8000)) == ["long"]
    assert len(order(planner(short, long), Call(("m",), output_tokens=4096))) == 2


def test_data_collection_deny_leaves_those_that_do_not_train() -> None:
    trains, not_, silent = endpoint("trains", trains=True), endpoint("not", trains=False), endpoint("silent")
    assert order(planner(trains, not_, silent), Call(("m",), wishes=wish({"data_collection": "deny"}))) == ["not"]
    assert len(order(planner(trains, not_, silent), Call(("m",), wishes=wish({"data_collection": "allow"})))) == 3


def test_zdr_leaves_those_that_keep_nothing() -> None:
    keeps, none, silent = endpoint("keeps", retention_days=30), endpoint("none", retention_days=0), endpoint("silent")
    assert order(planner(keeps, none, silent), Call(("m",), wishes=wish({"zdr": True}))) == ["none"]


def test_enforce_distillable_text() -> None:
    may, not_, silent = endpoint("may", is_distillable=True), endpoint("not", is_distillable=False), endpoint("silent")
    assert order(planner(may, not_, silent), Call(("m",), wishes=wish({"enforce_distillable_text": True}))) == ["may"]


def test_only_and_ignore() -> None:
    """`only: [azure]`; `ignore: [deepinfra]`. Names may be slugs or names, in any case."""
    azure, deepinfra = endpoint("azure", 2, name="Azure"), endpoint("deepinfra", 1, name="DeepInfra")
    made = planner(azure, deepinfra)
    assert order(made, Call(("m",), wishes=wish({"only": ["Azure"]}))) == ["azure"]
    assert order(made, Call(("m",), wishes=wish({"ignore": ["deepinfra"]}))) == ["azure"]


def test_quantizations() -> None:
    fp8, int4, silent = endpoint("fp8", quantization="fp8"), endpoint("int4", quantization="int4"), endpoint("silent")
    assert order(planner(fp8, int4, silent), Call(("m",), wishes=wish({"quantizations": ["fp8"]}))) == ["fp8"]
    assert order(planner(fp8, silent), Call(("m",), wishes=wish({"quantizations": ["unknown"]}))) == ["silent"]


@pytest.mark.parametrize("most", [{"prompt": 1, "completion": 2}, {"prompt": "1", "completion": "2.00"}])
def test_max_price(most: dict[str, Any]) -> None:
    """At most $1 a million tokens of prompt and $2 of completion."""
    cheap, dear_in = endpoint("cheap", 1, usd_out=2), endpoint("dear_in", 1.01, usd_out=1)
    dear_out = endpoint("dear_out", 0.5, usd_out=2.01)
    made = planner(cheap, dear_in, dear_out)
    assert order(made, Call(("m",), wishes=wish({"max_price": most}))) == ["cheap"]


def test_models_are_tried_in_order_when_the_first_has_nobody() -> None:
    """Model fallbacks: every endpoint of the first model, then those of the next."""
    made = planner(CLAUDE, GPT)
    assert order(made, Call(("claude", "gpt"))) == ["anthropic", "openai"]
    assert order(made, Call(("nobody", "gpt"))) == ["openai"]


def test_a_conversation_stays_where_its_prompt_is_cached() -> None:
    """Sticky routing: only where reading the cache is cheaper, and not with an order of one's own."""
    made = planner(A, B, affinity=True)
    cheap_cache = made.models["m"][0]
    call = Call(("m",), keys=(77,), input_tokens=20_000, draw=1)
    made.affinity.note((77,), "m@b", 20_000, 9.0)  # type: ignore[union-attr]
    assert cheap_cache.tag == "a"
    assert made.plan(call, 10.0).reason == "conversation", (
        "B reads its cache at the full price: nothing keeps a call there"
    )


def test_what_nobody_may_serve_is_refused_with_openrouters_codes() -> None:
    made = planner(endpoint("keeps", retention_days=30), endpoint("silent"))
    call = Call(("m",), wishes=wish({"zdr": True}))
    error = refusal(made.plan(call, 1.0), call)
    assert error.status == 404
    assert error.availability == {"code": "privacy_restricted", "excluded_by": ["data_policy:zdr"]}
    assert "keeps content 30 days" in error.message and "retention unknown" in error.message
    call = Call(("m",), wishes=wish({"only": ["nobody"], "max_price": {"prompt": 0.1}}))
    told = refusal(made.plan(call, 1.0), call).availability
    assert told == {"code": "constraint_filtered", "excluded_by": ["allowed_providers", "max_price"]}
    assert len(reasons(made.plan(call, 1.0), call)) == 4, "every rule that says no is named, not only the first"


@pytest.mark.parametrize(
    ("provider", "param", "near"),
    [
        ({"zrd": True}, "provider.zrd", "zdr"),
        ({"quantizations": ["fp9"]}, "provider.quantizations", "fp8"),
        ({"max_price": {"promt": 1}}, "provider.max_price", "prompt"),
        ({"sort": "cheapest"}, "provider", "sort"),
        ({"only": "openai"}, "provider", "array"),
        ({"preferred_max_latency": {"p95": 1}}, "provider", "p90"),
    ],
)
def test_a_wish_that_cannot_be_read_is_refused_and_the_nearest_name_told(
    provider: dict[str, Any], param: str, near: str
) -> None:
    """A mistyped `zdr` must not pass for a promise."""
    with pytest.raises(InvalidRequest) as told:
        wish(provider)
    assert near in told.value.message and (told.value.param or "").startswith(param)
