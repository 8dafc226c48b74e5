"""Calls that need no planning go where a plan would have sent them: lanes are the fast twin of the planner."""

import json
import random
from types import SimpleNamespace
from typing import Any

from rig.endpoints import endpoint, planner
from tidegate.accounts.keys import Key
from tidegate.core.routing_settings import Routing
from tidegate.gateway.operation import operation_of
from tidegate.gateway.routing import Router, Said
from tidegate.route.planner import Planner

SEED = 20261122
CATALOGS, CALLS_EACH = 60, 60
PICTURE = [{"type": "image_url", "image_url": {"url": "https://example.com/tide.png"}}]
CHAT = operation_of("/v1/chat/completions", b"")


def key_of(name: str, *models: str) -> Key:
    return Key(
        key_id=name, tenant_id="t", project_id="p", name=name, hint="", created_us=0, expires_us=None, revoked_us=None,
        billing_country=None, models=models,
    )  # fmt: skip


def router_of(rng: random.Random) -> tuple[Planner, Router]:
    """One to three endpoints of one model, with limits and senses that may be known or not."""
    found = planner(
        *(
            endpoint(
                f"p{number}",
                rng.choice((0.5, 1.0)),
                tag=f"p{number}/{number}",
                context_tokens=rng.choice((0, 0, 400, 4000)),
                output_tokens_max=rng.choice((0, 0, 99, 1000)),
                parameters=rng.choice((None, frozenset(("tools",)), frozenset(("stop",)))),
                modalities=rng.choice((None, frozenset(("text",)), frozenset(("text", "image")))),
            )
            for number in range(rng.choice((1, 1, 2, 3)))
        )
    )
    return found, Router(found, {"m": "m"}, Routing(), frozenset(), seed=SEED)


def call_of(rng: random.Random, key: Key) -> Any:
    """What lanes look at of a call."""
    body: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "x" * rng.choice((5, 900, 9000))}]}
    for name in ("max_tokens", "max_completion_tokens"):
        if rng.random() < 0.4:
            body[name] = rng.choice((1, 64, 99, 100, 250, 999, 1000, 1e2, 4e3, 10**7, None, "many"))
    if rng.random() < 0.3:
        body["tools"] = [{"type": "function", "function": {"name": "f"}}]
    if rng.random() < 0.3:
        body["messages"].append({"role": "user", "content": PICTURE})
    if rng.random() < 0.1:
        body["provider"] = {"sort": "price"}
    headers = {b"x-tidegate-data-class": b"secret"} if rng.random() < 0.1 else {}
    text = json.dumps(body).encode()
    assert CHAT is not None
    request = SimpleNamespace(body=text, headers=headers)
    return SimpleNamespace(head=CHAT.head(text), request=request, key=key, operation=CHAT, asking=None)


def test_a_lane_leads_where_a_plan_would_have_led() -> None:
    """Any endpoints, limits and calls: no call takes a lane to an endpoint that its own plan would not have named."""
    rng = random.Random(SEED)
    taken = 0
    for _ in range(CATALOGS):
        plans, router = router_of(rng)
        keys = [key_of("a"), key_of("b", "m")]
        for _ in range(CALLS_EACH):
            call = call_of(rng, rng.choice(keys))
            lane = router.lanes.find(call)
            call.asking = router.asking(
                Said(call.head, call.request.body, call.request.headers, "openai-chat"), call.key
            )
            plan = plans.plan(call.asking, 0.0)
            if lane is not None:
                taken += 1
                assert [one.endpoint_id for one in lane.plan.order] == [one.endpoint_id for one in plan.order]
                assert (lane.plan.reason, lane.plan.shelf.told) == (plan.reason, plan.shelf.told)
            if plan.order:
                router.lanes.remember(call, call.asking, plan)
    assert taken > CATALOGS * CALLS_EACH / 10, "most calls like others take one, or nothing is shown"


def test_nobody_takes_a_lane_while_somebody_is_unwell() -> None:
    """Who fails is tried last, and its plan says so."""
    rng = random.Random(SEED)
    plans = planner(endpoint("p0"))
    router = Router(plans, {"m": "m"}, Routing(), frozenset(), seed=SEED)
    call = call_of(random.Random(1), key_of("a"))
    call.request.headers, call.head = {}, CHAT.head(b'{"model":"m","messages":[]}') if CHAT else None
    call.asking = router.asking(Said(call.head, call.request.body, {}, "openai-chat"), call.key)
    router.lanes.remember(call, call.asking, plans.plan(call.asking, 0.0))
    assert router.lanes.find(call) is not None
    for _ in range(9):
        plans.health.fail("m@p0", rng.random(), "server_error")
    assert router.lanes.find(call) is None


def test_a_key_that_changed_takes_no_lane_of_the_one_before() -> None:
    """An allow-list is part of the key."""
    plans = planner(endpoint("p0"))
    router = Router(plans, {"m": "m"}, Routing(), frozenset(), seed=SEED)
    call = call_of(random.Random(2), key_of("a"))
    call.request.headers, call.head = {}, CHAT.head(b'{"model":"m","messages":[]}') if CHAT else None
    call.asking = router.asking(Said(call.head, call.request.body, {}, "openai-chat"), call.key)
    router.lanes.remember(call, call.asking, plans.plan(call.asking, 0.0))
    call.key = key_of("a", "other/*")
    assert router.lanes.find(call) is None
