"""Calls through a running gateway with three providers in three jurisdictions: who is asked, who never is, and why."""

import json
import random
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest

from rig.borders import MODEL, PLACES, TRIED_ELSEWHERE, Borders, borders
from rig.gateway import Gateway, start_gateway
from rig.provider import FakeProvider
from tidegate.accounts.keys import open_accounts

ASK = [{"role": "user", "content": "2+2?"}]
CLIENTS: list[httpx.Client] = []  # one for all tests: making one takes longer than a hundred calls
FAST = "[routing]\nfirst_byte_s = 0.4\nfailures_to_open = 1000\n"


@pytest.fixture(scope="module")
def world() -> Iterator[Borders]:
    with borders() as found, httpx.Client(timeout=20) as client:
        CLIENTS.append(client)
        yield found
        CLIENTS.clear()


@pytest.fixture(scope="module")
def gateway(world: Borders, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    found = start_gateway(tmp_path_factory.mktemp("routing"), world.configuration(FAST))
    yield found
    found.process.kill()
    found.process.wait(10)


@pytest.fixture(scope="module")
def calm(world: Borders, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway that has never seen a failure."""
    found = start_gateway(tmp_path_factory.mktemp("calm"), world.configuration())
    yield found
    found.process.kill()
    found.process.wait(10)


@pytest.fixture(autouse=True)
def all_well(world: Borders) -> None:
    for place in world.places.values():
        place.mood, place.moods = "well", []


def call(gateway: Gateway, *, path: str = "/v1/chat/completions", headers: dict[str, str] | None = None,
         **members: Any) -> httpx.Response:  # fmt: skip
    body = {"model": MODEL, "messages": ASK} | members
    return post(gateway.url + path, json=body, headers=gateway.headers | (headers or {}))


def post(url: str, **sent: Any) -> httpx.Response:
    return CLIENTS[0].post(url, **sent)


def order(*names: str, **more: Any) -> dict[str, Any]:
    return {"order": list(names)} | more


def asked(world: Borders, make: Callable[[], httpx.Response]) -> str:
    """Who was asked last by a call; its status where nobody was."""
    before = world.calls
    reply = make()
    grown = [name for name, calls in world.calls.items() if calls > before[name]]
    return grown[-1] if grown else str(reply.status_code)


def outcome_of(gateway: Gateway, reply: httpx.Response) -> Any:
    return next(o for o in gateway.outcomes() if o.row.generation_id == reply.headers["x-generation-id"])


# -- fallback ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mood", TRIED_ELSEWHERE)
def test_a_failed_endpoint_is_followed_by_the_next_of_the_plan(
    run_gateway: Callable[..., Gateway], world: Borders, mood: str
) -> None:
    """Errors, limits, refused keys, silence, broken connections, and failures inside a 200: the caller sees none."""
    found = run_gateway(world.configuration(FAST))
    for first, is_stream in (("de", False), ("us", True)):
        world[first].mood = mood
        reply = call(found, provider=order(first, "cn"), stream=is_stream)
        assert reply.status_code == 200, reply.text
        assert "four." in reply.text.lower() and "error" not in reply.text
        outcome = outcome_of(found, reply)
        assert [a.endpoint_id for a in outcome.attempts] == [f"{MODEL}@{first}", f"{MODEL}@cn"]
        assert outcome.row.provider_name == "cn" and outcome.row.error_type is None
        assert outcome.attempts[0].error_type and outcome.attempts[1].error_type is None
        assert outcome.row.route_reason.startswith("order 3/3; ")


def test_nothing_of_the_failed_provider_reaches_the_caller(gateway: Gateway, world: Borders) -> None:
    """Neither its headers nor a byte of its body: complaint 23."""
    world["us"].mood = "refuses_loudly"
    reply = call(gateway, provider=order("us", "cn"))
    assert reply.status_code == 200 and len(outcome_of(gateway, reply).attempts) == 2
    assert "retry-after" not in reply.headers and "x-secret" not in reply.headers
    assert "out of order" not in reply.text


def test_the_row_charges_the_served_attempt_and_sums_what_all_cost(gateway: Gateway, world: Borders) -> None:
    world["de"].mood = "refuses"
    reply = call(gateway, provider=order("de", "cn"))
    outcome = outcome_of(gateway, reply)
    assert outcome.row.usage_input_tokens == 12 and outcome.row.usage_output_tokens == 5
    assert outcome.row.cost_nano_usd == 17_000, "cn costs $1 a million, in and out"
    assert outcome.row.upstream_cost_nano_usd == sum(a.upstream_cost_nano_usd or 0 for a in outcome.attempts)
    assert outcome.row.attempt_count == 2 and outcome.row.price_id == f"{MODEL}@cn#config"


def test_after_the_first_words_a_call_stays_where_it_is(gateway: Gateway, world: Borders) -> None:
    world["de"].mood = "dies_after_words"
    before = world.calls
    reply = call(gateway, provider=order("de", "cn"), stream=True)
    assert reply.status_code == 200 and "Half an" in reply.text and '"error"' in reply.text
    assert world.calls["cn"] == before["cn"]
    assert len(outcome_of(gateway, reply).attempts) == 1


def test_the_callers_own_mistake_is_told_and_not_tried_elsewhere(gateway: Gateway, world: Borders) -> None:
    world["de"].mood = "blames_caller"
    before = world.calls
    reply = call(gateway, provider=order("de", "cn"))
    assert reply.status_code == 400 and "too odd" in reply.text
    assert world.calls["cn"] == before["cn"] and world.calls["us"] == before["us"]


def test_when_all_fail_the_last_error_is_told_and_nothing_is_charged(gateway: Gateway, world: Borders) -> None:
    for place in world.places.values():
        place.mood = "refuses"
    reply = call(gateway)
    assert reply.status_code == 502
    outcome = outcome_of(gateway, reply)
    assert len({a.endpoint_id for a in outcome.attempts}) == 3 and outcome.row.cost_nano_usd == 0


def test_without_fallbacks_one_endpoint_is_asked(gateway: Gateway, world: Borders) -> None:
    world["de"].mood = "is_full"
    before = world.calls
    reply = call(gateway, provider=order("de", allow_fallbacks=False))
    assert reply.status_code == 429 and reply.headers["retry-after"] == "1"
    assert world.calls["cn"] == before["cn"] and world.calls["us"] == before["us"]


# -- wishes ------------------------------------------------------------------------------------------------------------


def test_only_ignore_and_price_choose_as_asked(calm: Gateway, world: Borders) -> None:
    assert asked(world, lambda: call(calm, provider={"only": ["us"]})) == "us"
    assert asked(world, lambda: call(calm, provider={"ignore": ["cn", "us"]})) == "de"
    assert asked(world, lambda: call(calm, provider={"sort": "price"})) == "cn"
    assert asked(world, lambda: call(calm, provider={"max_price": {"prompt": 1.5}})) == "cn"


def test_floor_is_no_part_of_the_models_name(calm: Gateway, world: Borders) -> None:
    assert asked(world, lambda: call(calm, model=f"{MODEL}:floor")) == "cn"
    assert world["cn"].provider.calls[-1].body["model"] == "m"


def test_what_the_gateway_answers_to_does_not_reach_a_provider(gateway: Gateway, world: Borders) -> None:
    """A provider that read `models` would choose again, outside of the plan."""
    for path, extra in (("/v1/chat/completions", {}), ("/v1/messages", {"max_tokens": 9})):
        reply = call(gateway, path=path, provider={"only": ["us"]}, models=[MODEL], route="fallback", **extra)
        assert reply.status_code == 200, reply.text
        assert not {"provider", "models", "route", "fallbacks"} & world["us"].provider.calls[-1].body.keys()


@pytest.mark.parametrize("member", [{"models": ["acme/n"]}, {"fallbacks": [{"model": "acme/n"}]}])
def test_further_models_are_tried_when_the_first_has_nobody_left(
    run_gateway: Callable[..., Gateway], world: Borders, member: dict[str, Any]
) -> None:
    extra = f"""{FAST}[[endpoints]]
provider = "us"
model = "acme/n"
upstream_model = "other"
price = {{ input = "1", output = "1" }}
"""
    found = run_gateway(world.configuration(extra))
    for place in world.places.values():
        place.moods = ["refuses"]
    reply = call(found, **member)
    assert reply.status_code == 200
    row = outcome_of(found, reply).row
    assert (row.request_model, row.response_model, row.attempt_count) == (MODEL, "acme/n", 4)
    assert call(found, models=["acme/n"], model=None).status_code in (200, 400)
    named = post(f"{found.url}/v1/chat/completions", json={"models": ["acme/n"], "messages": ASK},
                       headers=found.headers)  # fmt: skip
    assert named.status_code == 200 and outcome_of(found, named).row.response_model == "acme/n"


def test_an_unreadable_wish_is_refused_by_name(gateway: Gateway) -> None:
    reply = call(gateway, provider={"zrd": True})
    assert reply.status_code == 400 and reply.json()["error"]["param"] == "provider.zrd"
    reply = call(gateway, models="acme/n")
    assert reply.status_code == 400 and reply.json()["error"]["param"] == "models"


def test_a_session_stays_with_one_endpoint(calm: Gateway, world: Borders) -> None:
    """Three endpoints of one weight class would be drawn anew at each turn."""
    for session in ("a", "b", "c", "d"):
        make = partial(call, calm, session_id=session)
        assert len({asked(world, make) for _ in range(6)}) == 1
    named = {asked(world, lambda: call(calm, headers={"x-session-id": "e"})) for _ in range(6)}
    cached = {asked(world, lambda: call(calm, prompt_cache_key="f")) for _ in range(6)}
    assert len(named) == len(cached) == 1
    drawn = Counter(asked(world, lambda: call(calm)) for _ in range(60))
    assert drawn["cn"] == max(drawn.values()), "without a session they are drawn by price"


# -- borders -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("policy", "home"), [("eu-only", "de"), ("china-only", "cn")])
def test_a_policys_border_holds_whatever_fails(
    run_gateway: Callable[..., Gateway], world: Borders, policy: str, home: str
) -> None:
    """Random faults, streams, orders and models of the caller's: no byte of a call leaves; complaint 25."""
    found = run_gateway(world.configuration(f'[routing]\npolicies = ["{policy}"]\nfirst_byte_s = 0.3\n'))
    before, rng = world.calls, random.Random(7)
    for _ in range(40):
        world[home].mood = rng.choice(("well", "refuses", "is_full", "dies", "errs_in_stream", "dies_after_role"))
        wish = rng.choice(
            ({}, order("us", "cn", "de"), {"sort": "price"}, {"sort": {"by": "latency", "partition": "none"}})
        )
        reply = call(found, provider=wish, stream=rng.random() < 0.5)
        assert all(a.endpoint_id.endswith(f"@{home}") for a in outcome_of(found, reply).attempts)
    gone = {name: world.calls[name] - before[name] for name in PLACES if name != home}
    assert gone == dict.fromkeys(gone, 0)
    assert policy in outcome_of(found, reply).row.route_reason


def test_a_mainland_only_policy_with_its_provider_killed_refuses_and_says_why(
    run_gateway: Callable[..., Gateway], world: Borders
) -> None:
    with FakeProvider() as dying:
        extra = f'''[routing]
policies = ["china-only"]
[providers.mainland]
base_url = "{dying.url}"
facts = {{ processing = ["CN"], headquarters = "CN" }}
[[endpoints]]
provider = "mainland"
model = "acme/local"
upstream_model = "m"
price = {{ input = "1", output = "1" }}
'''
        found = run_gateway(world.configuration(extra))
        assert call(found, model="acme/local").status_code == 200
    before = world.calls
    reply = call(found, model="acme/local")
    assert reply.status_code == 502 and "mainland" in reply.text
    row = outcome_of(found, reply).row
    assert row.cost_nano_usd == 0 and "china-only" in (row.route_reason or "") and "connect" in (row.route_reason or "")
    refused = call(found, provider={"only": ["us"]})
    told = refused.json()["error"]
    assert refused.status_code == 404
    assert told["availability"] == {
        "code": "constraint_filtered",
        "excluded_by": ["data_region", "geo", "allowed_providers"],
    }
    assert "china-only" in told["message"] and "processing in US" in told["message"]
    assert world.calls == before, "and nobody was asked"


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/api/v1/chat/completions", "/v1/messages", "/v1/responses"])
def test_a_call_that_nothing_may_serve_costs_nothing_and_says_why(gateway: Gateway, world: Borders, path: str) -> None:
    before = world.calls
    members = {"max_tokens": 9} if path.endswith("messages") else {}
    body = {"model": MODEL, "provider": {"zdr": True}, **members}
    body |= {"input": "x"} if path.endswith("responses") else {"messages": ASK}
    reply = post(gateway.url + path, json=body, headers=gateway.headers)
    assert reply.status_code == 404 and world.calls == before
    assert "retention unknown" in reply.text and "zdr" in reply.text
    row = outcome_of(gateway, reply).row
    assert (row.status_code, row.cost_nano_usd, row.attempt_count, row.error_type) == (404, 0, 0, "no_endpoints")
    if "/chat/" in path:
        assert reply.json()["error"]["availability"]["code"] == "privacy_restricted"


def test_tenants_and_keys_and_requests_narrow_what_everyone_may(
    run_gateway: Callable[..., Gateway], world: Borders, tmp_path: Path
) -> None:
    """The account is the ceiling: a request may name a policy, and none widens."""
    accounts = open_accounts(tmp_path / "home0")
    european = accounts.create_key("e", tenant_id="euro").secret
    narrow = accounts.create_key("n")
    accounts.close()
    extra = f"""[tenants.euro]
policies = ["eu-only"]
[routing.keys]
{narrow.key_id} = ["outside-china"]
"""
    found = run_gateway(world.configuration(extra))

    def who(key: str, **headers: str) -> set[str]:
        sent = {"authorization": f"Bearer {key}"} | headers
        return {asked(world, lambda: call(found, headers=sent)) for _ in range(12)}

    assert who(european) == {"de"}
    assert who(narrow.secret) == {"de", "us"}
    assert who(found.key, **{"x-tidegate-policy": "china-only"}) == {"cn"}
    assert who(european, **{"x-tidegate-policy": "china-only"}) == {"404"}
    assert who(found.key, **{"x-tidegate-policy": "chine-only"}) == {"400"}


def test_a_policy_of_a_data_class_binds_its_calls_and_those_that_state_none(
    run_gateway: Callable[..., Gateway], world: Borders
) -> None:
    extra = '[routing]\npolicies = ["health"]\n[policies.health]\ndata_classes = ["health"]\nprocessing = ["EU"]\n'
    found = run_gateway(world.configuration(extra))

    def who(**headers: str) -> set[str]:
        return {asked(world, lambda: call(found, headers=headers)) for _ in range(60)}  # the cheap one gets most

    assert who(**{"x-tidegate-data-class": "health"}) == who() == {"de"}
    assert len(who(**{"x-tidegate-data-class": "public"})) > 1


def test_an_impossible_policy_stops_the_start_and_names_the_rules(world: Borders, tmp_path: Path) -> None:
    with pytest.raises(AssertionError) as told:
        start_gateway(tmp_path / "h", world.configuration('[routing]\npolicies = ["eu-only", "gulf-only"]\n'))
    assert "eu-only" in str(told.value) and "gulf-only" in str(told.value) and "within GCC" in str(told.value)


def test_success_stays_while_a_permitted_endpoint_lives(run_gateway: Callable[..., Gateway], world: Borders) -> None:
    """Two of three fail at random in every way; 1000 calls, and each is answered."""
    found = run_gateway(world.configuration("[routing]\nfirst_byte_s = 0.3\nattempts_max = 4\nretries_per_call = 3\n"))
    rng = random.Random(3)
    faults = ("refuses", "is_full", "rejects_key", "dies", "dies_after_role", "errs_in_stream", "is_slow", "well")
    for name in ("cn", "us"):
        world[name].moods = [rng.choice(faults) for _ in range(2000)]
    with httpx.Client(headers=found.headers, timeout=20) as client, ThreadPoolExecutor(8) as pool:

        def one(number: int) -> int:
            body = {"model": MODEL, "messages": ASK, "stream": number % 2 == 0}
            reply = client.post(f"{found.url}/v1/chat/completions", json=body)
            return reply.status_code if "four." in reply.text.lower() and '"error"' not in reply.text else 0

        statuses = Counter(pool.map(one, range(1000)))
    assert statuses[200] >= 999, statuses
    rows = [o.row for o in found.outcomes()]
    usd = {"de": 3, "cn": 1, "us": 2}
    assert len(rows) == 1000
    assert all(row.cost_nano_usd == 17_000 * usd[row.provider_name or ""] for row in rows if row.status_code == 200)


# -- explain -----------------------------------------------------------------------------------------------------------


def test_explain_tells_the_plan_and_makes_no_call(calm: Gateway, world: Borders) -> None:
    before = world.calls
    body = {"model": MODEL, "messages": ASK, "provider": {"ignore": ["us"]}}
    for reply in (
        post(f"{calm.url}/api/v1/route/explain", json=body, headers=calm.headers),
        call(calm, provider={"ignore": ["us"]}, headers={"x-tidegate-route": "explain"}),
    ):
        assert reply.status_code == 200
        told = reply.json()
        assert {one["tag"] for one in told["plan"]} == {"de", "cn"}
        assert [one["endpoint_id"] for one in told["excluded"]] == [f"{MODEL}@us"]
        assert told["excluded"][0]["rule"] == "request: ignore us"
        assert told["plan"][0]["facts"]["processing"] in (["DE"], ["CN"])
        assert sum(one["weight_ppm"] for one in told["plan"]) == pytest.approx(1_000_000, abs=5)
        row = outcome_of(calm, reply).row
        assert row.cost_nano_usd == 0 and row.attempt_count == 0
    assert world.calls == before


def test_explain_of_a_call_that_nothing_may_serve_names_every_rule(gateway: Gateway) -> None:
    body = {"model": MODEL, "messages": ASK, "provider": {"zdr": True, "max_price": {"prompt": 0.1}}}
    told = post(f"{gateway.url}/api/v1/route/explain", json=body, headers=gateway.headers).json()
    assert told["plan"] == [] and told["availability"]["code"] in ("privacy_restricted", "constraint_filtered")
    assert len(told["excluded"]) == 6 and any(one["is_unknown"] for one in told["excluded"])


def test_errors_keep_their_shape_under_each_root(gateway: Gateway) -> None:
    reply = call(gateway, path="/api/v1/chat/completions", provider={"zdr": True})
    told = json.loads(reply.text)["error"]
    assert told["code"] == 404 and told["availability"]["excluded_by"] == ["data_policy:zdr"]


# -- the shelf ---------------------------------------------------------------------------------------------------------


def test_the_endpoints_of_a_model_are_listed_with_facts_and_live_health(calm: Gateway) -> None:
    call(calm)
    for root in ("/api/v1", "/v1"):
        data = CLIENTS[0].get(f"{calm.url}{root}/models/{MODEL}/endpoints", headers=calm.headers).json()["data"]
        assert {one["tag"] for one in data["endpoints"]} == {"de", "cn", "us"} and data["id"] == MODEL
    cn = next(one for one in data["endpoints"] if one["tag"] == "cn")
    assert cn["pricing"]["prompt"] == "0.000001" and cn["processing"] == ["CN"] and cn["headquarters"] == "CN"
    assert cn["latency_last_30m"] is None or cn["latency_last_30m"]["p50"] > 0
    missing = CLIENTS[0].get(f"{calm.url}/api/v1/models/acme/nothing/endpoints", headers=calm.headers)
    assert missing.status_code == 404
    assert CLIENTS[0].get(f"{calm.url}/api/v1/models/{MODEL}/endpoints").status_code == 401


def test_providers_and_endpoints_that_keep_nothing_are_listed(
    run_gateway: Callable[..., Gateway], world: Borders
) -> None:
    extra = '[[endpoints]]\nprovider = "de"\nmodel = "acme/z"\nupstream_model = "m"\nfacts = { retention_days = 0 }\n'
    found = run_gateway(world.configuration(extra + 'price = { input = "1", output = "1" }\n'))
    listed = CLIENTS[0].get(f"{found.url}/api/v1/providers", headers=found.headers).json()["data"]
    assert [(one["slug"], one["headquarters"], one["datacenters"]) for one in listed] == [
        ("cn", "CN", ["CN"]), ("de", "DE", ["DE"]), ("us", "US", ["US"]),
    ]  # fmt: skip
    kept = CLIENTS[0].get(f"{found.url}/api/v1/endpoints/zdr", headers=found.headers).json()["data"]
    assert [(one["model_id"], one["tag"]) for one in kept] == [("acme/z", "de")]


def test_pictures_and_vectors_obey_the_same_borders(run_gateway: Callable[..., Gateway], world: Borders) -> None:
    """What is no conversation is sent somewhere too."""
    found = run_gateway(world.configuration('[routing]\npolicies = ["eu-only"]\n'))
    before = world.calls
    for path, body in (
        ("images/generations", {"prompt": "x"}),
        ("embeddings", {"input": "x"}),
        ("rerank", {"query": "x"}),
    ):
        for _ in range(3):
            post(f"{found.url}/v1/{path}", json={"model": MODEL, **body}, headers=found.headers)
        refused = post(f"{found.url}/v1/{path}", json={"model": MODEL, "provider": {"only": ["us"]}, **body},
                       headers=found.headers)  # fmt: skip
        assert refused.status_code == 404 and "request: only us" in refused.text, path
    assert world.calls["de"] == before["de"] + 9
    assert (world.calls["cn"], world.calls["us"]) == (before["cn"], before["us"])
    assert not {"provider"} & world["de"].provider.calls[-1].body.keys()
