"""Ladders on a real worker before fake providers: who is asked, what is delivered, and what it comes to."""

import json
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest

from rig.borders import MOODS
from rig.gateway import Gateway, start_gateway
from rig.ladder import NANO, Models, breaks_in_the_middle, fails, says, scores
from rig.provider import Call
from tidegate.accounts.keys import KeyWish, open_accounts
from tidegate.accounts.quotas.table import held_of, set_quota
from tidegate.config import load_config
from tidegate.core.errors import ConfigError
from tidegate.core.quota import Quota
from tidegate.gateway.serving import build_serving

ASK = [{"role": "user", "content": "2+2?"}]
EVERY = '["refusal", "length", "schema", "logprob", "judge"]'
PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string"}},
    "required": ["name"],
    "additionalProperties": False,
}
LADDERS = f"""
[gateway]
comment_s = 0.2
[ladders.cheap-first]
rungs = [
  {{ model = "acme/small", escalate_on = ["refusal", "length", "schema", "logprob"] }},
  {{ model = "acme/mid", escalate_on = ["refusal"] }},
  {{ model = "acme/large" }},
]
[ladders.judged]
rungs = [{{ model = "acme/small", escalate_on = {EVERY} }}, {{ model = "acme/large" }}]
judge = {{ model = "acme/judge", min_score = 7 }}
[ladders.thrifty]
rungs = [{{ model = "acme/small", escalate_on = ["refusal", "judge"] }}, {{ model = "acme/large" }}]
judge = {{ model = "acme/judge" }}
budget_usd = "0.000100"
[ladders.claude]
rungs = [{{ model = "acme/native", escalate_on = ["refusal", "length"] }}, {{ model = "acme/large" }}]
[ladders.sure]
rungs = [{{ model = "acme/shy", escalate_on = ["logprob"] }}, {{ model = "acme/large" }}]
[ladders.twins]
rungs = [{{ model = "acme/twin", escalate_on = ["refusal"] }}, {{ model = "acme/large" }}]
[ladders.guarded]
rungs = [{{ model = "acme/small", escalate_on = ["judge"] }}, {{ model = "acme/large" }}]
judge = {{ model = "acme/native" }}
"""
CLIENTS: list[httpx.Client] = []


@pytest.fixture(scope="module")
def models() -> Iterator[Models]:
    found = Models()
    with found.provider, httpx.Client(timeout=20) as client:
        CLIENTS.append(client)
        yield found
        CLIENTS.clear()


@pytest.fixture(scope="module")
def gateway(models: Models, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    found = start_gateway(tmp_path_factory.mktemp("ladders"), models.configuration(LADDERS))
    yield found
    found.process.kill()
    found.process.wait(10)


@pytest.fixture(autouse=True)
def all_well(models: Models) -> None:
    models.be()


def call(gateway: Gateway, model: str = "cheap-first", *, path: str = "/v1/chat/completions",
         headers: dict[str, str] | None = None, **members: Any) -> httpx.Response:  # fmt: skip
    body = {"model": model, "messages": ASK} | members
    return CLIENTS[0].post(gateway.url + path, json=body, headers=gateway.headers | (headers or {}))


def outcome_of(gateway: Gateway, reply: httpx.Response) -> Any:
    """The row of a call and its attempts; what holds of every ladder's call is checked on the way."""
    deadline = time.monotonic() + 5
    while True:
        found = [o for o in gateway.outcomes() if o.row.generation_id == reply.headers["x-generation-id"]]
        if found or time.monotonic() > deadline:
            break
        time.sleep(0.02)
    (outcome,) = found
    row, attempts = outcome.row, outcome.attempts
    assert [a.attempt_no for a in attempts] == list(range(1, len(attempts) + 1))
    assert row.attempt_count == len(attempts)
    assert (row.upstream_cost_nano_usd or 0) == sum(a.upstream_cost_nano_usd or 0 for a in attempts)
    climbed = [a.rung for a in attempts if a.rung > 0]
    assert climbed == sorted(climbed), "rungs in order"
    return outcome


def text_of(reply: httpx.Response) -> str:
    """What the caller of a chat reads, whole or streamed."""
    if reply.headers["content-type"].startswith("application/json"):
        return str(reply.json()["choices"][0]["message"]["content"])
    events = [json.loads(line[6:]) for line in reply.text.splitlines() if line.startswith("data: {")]
    return "".join(choice["delta"].get("content") or "" for event in events for choice in event["choices"]).strip()


# -- up the ladder -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_stream", [False, True])
def test_an_answer_that_is_good_enough_is_delivered_once_and_as_it_came(
    gateway: Gateway, models: Models, is_stream: bool
) -> None:
    direct = call(gateway, "acme/small", stream=is_stream)
    models.be(small=says("This is small.", logprobs=(-0.1,)))
    reply = call(gateway, stream=is_stream)
    assert reply.status_code == 200
    assert without_nulls(reply.text) == direct.text, "byte for byte, but for what the gateway itself asked for"
    assert models.asked == ["small"] and reply.headers["x-tidegate-ladder"] == "cheap-first 1/3"
    row = outcome_of(gateway, reply).row
    assert row.route_reason == "ladder cheap-first 1/3; only 1/1"
    assert (row.request_model, row.response_model, row.cost_nano_usd) == ("cheap-first", "acme/small", NANO["small"])


def without_nulls(text: str) -> str:
    """Where log-probabilities were taken out, null stands, and the event is written anew."""
    lines = []
    for line in text.splitlines():
        if '"logprobs":null' in line:
            head, _, data = line.rpartition("data: ")
            found = json.loads(data)
            for choice in found["choices"]:
                assert choice.pop("logprobs") is None
            line = ("data: " if text.startswith("data") else head) + json.dumps(found)
        lines.append(line)
    return "\n".join(lines) + ("\n" if text.endswith("\n") else "")


REJECTED = [
    (says("", refusal="No."), "refusal", {}),
    (says("Fo", "content_filter"), "refusal", {}),
    (says("I'm sorry, but I can't help with that."), "refusal", {}),
    (says("Fo", "length"), "length", {}),
    (says("Not JSON."), "schema", {"type": "json_object"}),
    (says('{"name": 5}'), "schema", {"type": "json_schema", "json_schema": {"name": "p", "schema": PERSON}}),
    (says("Perhaps five.", logprobs=(-0.2, -1.4)), "logprob", {}),
]


@pytest.mark.parametrize("is_stream", [False, True])
@pytest.mark.parametrize(("mood", "reason", "form"), REJECTED)
def test_an_answer_that_is_not_good_enough_sends_the_call_on(
    gateway: Gateway, models: Models, mood: Any, reason: str, form: dict[str, Any], is_stream: bool
) -> None:
    models.be(small=mood)
    more = {"response_format": form} if form else {}
    reply = call(gateway, stream=is_stream, **more)
    assert text_of(reply) == "This is mid."
    assert models.asked == ["small", "mid"] and reply.headers["x-tidegate-ladder"] == f"cheap-first 2/3 {reason}"
    row, attempts = (outcome := outcome_of(gateway, reply)).row, outcome.attempts
    assert row.route_reason == f"ladder cheap-first 2/3 {reason}; only 1/1"
    assert [(a.endpoint_id, a.rung) for a in attempts] == [("acme/small@mock", 1), ("acme/mid@mock", 2)]
    assert row.cost_nano_usd == NANO["small"] + NANO["mid"] and row.price_id == "acme/mid@mock#config"
    assert row.usage_output_tokens == 5, "the delivered answer's"


def test_the_last_rung_is_delivered_whatever_it_says(gateway: Gateway, models: Models) -> None:
    models.be(small=says("", refusal="No."), mid=says("", refusal="No."), large=says("Fo", "length"))
    for is_stream in (False, True):
        reply = call(gateway, stream=is_stream)
        assert text_of(reply) == "Fo" and outcome_of(gateway, reply).row.finish_reason == "length"
        assert reply.headers["x-tidegate-ladder"] == "cheap-first 3/3 refusal > refusal"


def test_a_schema_that_holds_and_calls_of_tools_that_fit_stay(gateway: Gateway, models: Models) -> None:
    form = {"type": "json_schema", "json_schema": {"name": "p", "schema": PERSON}}
    models.be(small=says('{"name": "Ada"}'))
    assert call(gateway, response_format=form).headers["x-tidegate-ladder"] == "cheap-first 1/3"
    tools = [{"type": "function", "function": {"name": "find", "parameters": PERSON}}]
    for arguments, told in (('{"name": "Ada"}', "1/3"), ('{"nom": "Ada"}', "2/3 schema"), ("{", "2/3 schema")):
        for is_stream in (False, True):
            models.be(small=says("", "tool_calls", tool=("find", arguments)))
            reply = call(gateway, tools=tools, stream=is_stream)
            assert reply.headers["x-tidegate-ladder"] == f"cheap-first {told}", arguments


@pytest.mark.parametrize("dialect", ["anthropic", "responses", "gemini"])
@pytest.mark.parametrize("is_stream", [False, True])
def test_callers_of_any_dialect_climb(gateway: Gateway, models: Models, dialect: str, is_stream: bool) -> None:
    models.be(small=says("", refusal="No."))
    body: dict[str, Any] = {"model": "cheap-first", "stream": is_stream}
    if dialect == "gemini":
        verb = "streamGenerateContent?alt=sse" if is_stream else "generateContent"
        path, body = f"/v1beta/models/cheap-first:{verb}", {"contents": [{"role": "user", "parts": [{"text": "2+2?"}]}]}
    elif dialect == "anthropic":
        path, body = "/v1/messages", body | {"messages": ASK, "max_tokens": 50}
    else:
        path, body = "/v1/responses", body | {"input": "2+2?"}
    reply = CLIENTS[0].post(gateway.url + path, json=body, headers=gateway.headers)
    assert reply.status_code == 200, reply.text
    assert "mid." in reply.text and "small" not in reply.text and models.asked == ["small", "mid"]
    assert outcome_of(gateway, reply).row.cost_nano_usd == NANO["small"] + NANO["mid"]


@pytest.mark.parametrize("is_stream", [False, True])
def test_a_provider_of_another_dialect_stands_on_a_rung(gateway: Gateway, models: Models, is_stream: bool) -> None:
    """Anthropic's refusal, asked for in Anthropic's dialect, and in OpenAI's."""
    models.be(native=_declines)
    for path in ("/v1/messages", "/v1/chat/completions"):
        reply = call(gateway, "claude", path=path, max_tokens=50, stream=is_stream)
        assert reply.headers["x-tidegate-ladder"] == "claude 2/2 refusal", reply.text
        assert "large." in reply.text


async def _declines(call: Call) -> None:
    usage = {"input_tokens": 12, "output_tokens": 5}
    start = {"id": "msg_1", "type": "message", "role": "assistant", "model": "native", "content": [], "usage": usage}
    if not call.body.get("stream"):
        await call.reply(200, start | {"stop_reason": "refusal"})
        return
    await call.begin_stream()
    for event in (
        {"type": "message_start", "message": start | {"stop_reason": None}},
        {"type": "message_delta", "delta": {"stop_reason": "refusal"}, "usage": usage},
        {"type": "message_stop"},
    ):
        await call.chunk(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode())
    await call.end_stream(done=False)


# -- log-probabilities -------------------------------------------------------------------------------------------------


def test_log_probabilities_are_asked_for_and_only_those_who_asked_get_them(gateway: Gateway, models: Models) -> None:
    models.be(small=says("Four.", logprobs=(-0.1,)))
    for is_stream in (False, True):
        reply = call(gateway, stream=is_stream)
        assert models.provider.calls[-1].body["logprobs"] is True and '"logprob"' not in reply.text
        asked = call(gateway, stream=is_stream, logprobs=True)
        assert '"logprob"' in asked.text and asked.headers["x-tidegate-ladder"] == "cheap-first 1/3"
    models.be(small=says("No.", refusal="No."))
    call(gateway)
    assert "logprobs" not in models.provider.calls[-1].body, "a rung that does not look at them does not ask"


def test_an_endpoint_that_tells_none_is_believed_and_one_that_refuses_is_not_asked_again(
    gateway: Gateway, models: Models
) -> None:
    assert call(gateway, "sure").headers["x-tidegate-ladder"] == "sure 1/2"
    models.be(shy=_refuses_logprobs)
    assert text_of(call(gateway, "sure")) == "This is large."
    assert text_of(call(gateway, "sure")) == "Four.", "without the question"


async def _refuses_logprobs(call: Call) -> None:
    if call.body.get("logprobs"):
        await fails(400, "logprobs are not supported by this model")(call)
    else:
        await says("Four.")(call)


# -- judges ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_stream", [False, True])
def test_a_judge_sends_on_what_it_scores_too_low(gateway: Gateway, models: Models, is_stream: bool) -> None:
    models.be(small=says("Five."), judge=scores(3))
    reply = call(gateway, "judged", stream=is_stream)
    assert text_of(reply) == "This is large." and models.asked == ["small", "judge", "large"]
    outcome = outcome_of(gateway, reply)
    assert outcome.row.route_reason == "ladder judged 2/2 judge; only 1/1"
    assert [a.rung for a in outcome.attempts] == [1, -1, 2]
    assert outcome.row.cost_nano_usd == NANO["small"] + NANO["judge"] + NANO["large"]
    seen = json.loads(models.provider.calls[1].body["messages"][1]["content"])
    assert seen["answer"].strip() == "Five." and "2+2?" in seen["request"]


@pytest.mark.parametrize(
    ("judge", "told", "cost"),
    [
        (scores(7), "judged 1/2", NANO["small"] + NANO["judge"]),
        (says("Quite good!"), "judged 1/2 judge_failed", NANO["small"] + NANO["judge"]),
        (scores(70), "judged 1/2 judge_failed", NANO["small"] + NANO["judge"]),
        (fails(500), "judged 1/2 judge_failed", NANO["small"]),
        (fails(400), "judged 1/2 judge_failed", NANO["small"]),
        (breaks_in_the_middle, "judged 1/2 judge_failed", NANO["small"]),
    ],
)
def test_a_judge_that_is_content_or_fails_sends_nothing_on(
    gateway: Gateway, models: Models, judge: Any, told: str, cost: int
) -> None:
    models.be(judge=judge)
    for is_stream in (False, True):
        reply = call(gateway, "judged", stream=is_stream)
        assert text_of(reply) == "This is small." and reply.headers["x-tidegate-ladder"] == told
        assert outcome_of(gateway, reply).row.cost_nano_usd == cost


def test_what_is_plain_to_see_needs_no_judge(gateway: Gateway, models: Models) -> None:
    models.be(small=says("", refusal="No."))
    call(gateway, "judged")
    assert models.asked == ["small", "large"]


def test_a_judge_is_bound_by_what_the_caller_says_of_routing(gateway: Gateway, models: Models) -> None:
    """A call that must stay with one provider does not show its text to a judge at another."""
    reply = call(gateway, "guarded", provider={"only": ["mock"]})
    assert reply.headers["x-tidegate-ladder"] == "guarded 1/2 judge_failed" and models.asked == ["small"]


# -- budgets -----------------------------------------------------------------------------------------------------------


def test_no_rung_begins_that_the_budget_may_not_pay(gateway: Gateway, models: Models) -> None:
    """Of $0.0001 the first rung takes 17,000 nano-USD; 4,096 tokens of the large one may come to more."""
    models.be(small=says("", refusal="No, thank you."))
    for is_stream in (False, True):
        reply = call(gateway, "thrifty", stream=is_stream)
        assert reply.status_code == 200 and "No, thank you." in reply.text and models.asked[-1] == "small"
        assert reply.headers["x-tidegate-ladder"] == "thrifty 1/2 refusal > budget"
        row = outcome_of(gateway, reply).row
        assert row.cost_nano_usd == NANO["small"] and row.route_reason.startswith("ladder thrifty 1/2 refusal > budget")
    models.be(judge=scores(1))
    reply = call(gateway, "thrifty")
    assert reply.headers["x-tidegate-ladder"] == "thrifty 1/2 judge_over_budget" and models.asked == ["small"]


# -- faults ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_stream", [False, True])
@pytest.mark.parametrize("mood", [fails(500), fails(401), fails(429), breaks_in_the_middle])
def test_a_rung_that_fails_is_followed_by_the_next_and_costs_nothing(
    gateway: Gateway, models: Models, mood: Any, is_stream: bool
) -> None:
    models.be(small=mood)
    reply = call(gateway, stream=is_stream)
    assert text_of(reply) == "This is mid." and "Half" not in reply.text
    outcome = outcome_of(gateway, reply)
    assert outcome.row.cost_nano_usd == NANO["mid"] and outcome.row.error_type is None
    assert outcome.attempts[0].error_type and outcome.row.route_reason.startswith("ladder cheap-first 2/3 ")


def test_within_a_rung_another_endpoint_answers_first(gateway: Gateway, models: Models) -> None:
    """Also after words of an answer have come: of a rung that is buffered nobody has seen them."""
    models.be(twin=breaks_in_the_middle)
    for is_stream in (False, True):
        reply = call(gateway, "twins", stream=is_stream, provider={"order": ["mock", "spare"]})
        assert text_of(reply) == "This is mid.", reply.text
        attempts = outcome_of(gateway, reply).attempts
        assert [(a.endpoint_id, a.rung) for a in attempts] == [("acme/twin@mock", 1), ("acme/twin@spare", 1)]


@pytest.mark.parametrize("is_stream", [False, True])
@pytest.mark.parametrize("mood", [fails(500), fails(400)])
def test_when_the_last_rung_fails_the_best_answer_so_far_is_delivered(
    gateway: Gateway, models: Models, mood: Any, is_stream: bool
) -> None:
    """An answer that was cut off rather than a refusal, and either rather than an error."""
    models.be(small=says("Half of it", "length"), mid=says("", refusal="No."), large=mood)
    reply = call(gateway, stream=is_stream)
    assert reply.status_code == 200 and text_of(reply) == "Half of it"
    row = outcome_of(gateway, reply).row
    assert row.route_reason.startswith("ladder cheap-first 1/3 length > refusal > ")
    assert row.response_model == "acme/small" and row.cost_nano_usd == NANO["small"] + NANO["mid"]


def test_once_the_last_rung_has_begun_its_end_is_the_calls_end(gateway: Gateway, models: Models) -> None:
    """The caller has words of it: no other answer may follow them."""
    models.be(small=says("Half of it", "length"), mid=says("", refusal="No."), large=breaks_in_the_middle)
    reply = call(gateway, stream=True)
    assert text_of(reply) == "Half" and '"error"' in reply.text and "Half of it" not in reply.text
    assert outcome_of(gateway, reply).row.error_type == "upstream_error"
    models.be(small=says("Half of it", "length"), mid=says("", refusal="No."), large=MOODS["dies_after_role"])
    assert text_of(call(gateway, stream=True)) == "Half of it", "of a role alone, another may"


@pytest.mark.parametrize("is_stream", [False, True])
def test_a_conversation_that_the_small_model_cannot_hold_goes_to_the_next(
    gateway: Gateway, models: Models, is_stream: bool
) -> None:
    models.be(small=fails(400, "This model's maximum context length is 8192 tokens."))
    reply = call(gateway, stream=is_stream)
    assert text_of(reply) == "This is mid." and reply.headers["x-tidegate-ladder"] == "cheap-first 2/3 length"


def test_the_callers_own_mistake_is_told_by_the_first_rung(gateway: Gateway, models: Models) -> None:
    models.be(small=fails(400, "messages: too odd"))
    for path in ("/v1/chat/completions", "/api/v1/chat/completions"):
        reply = call(gateway, path=path)
        assert reply.status_code == 400 and "too odd" in reply.text and models.asked[-1] == "small"
        assert outcome_of(gateway, reply).row.cost_nano_usd == 0


def test_when_all_rungs_fail_the_last_error_is_told_and_nothing_is_charged(gateway: Gateway, models: Models) -> None:
    models.be(small=fails(500), mid=fails(500), large=fails(503))
    for is_stream in (False, True):
        reply = call(gateway, stream=is_stream)
        assert reply.status_code == 502 and "503" in reply.text
        outcome = outcome_of(gateway, reply)
        assert outcome.row.cost_nano_usd == 0 and [a.rung for a in outcome.attempts] == [1, 2, 3]


# -- waiting, and leaving ----------------------------------------------------------------------------------------------


def test_a_stream_shows_signs_of_life_while_rungs_are_buffered(gateway: Gateway, models: Models) -> None:
    models.be(small=says("", refusal="No.", after_s=0.9), mid=says("", refusal="No."))
    reply = call(gateway, stream=True)
    assert reply.text.startswith(": the provider is at work\n\n") and text_of(reply) == "This is large."
    models.be(small=fails(500), mid=fails(500), large=_fails_late)
    reply = call(gateway, stream=True)
    assert reply.status_code == 200 and '"error"' in reply.text, "the head has gone out: the error is an event"


async def _fails_late(call: Call) -> None:
    import asyncio

    await asyncio.sleep(0.7)
    await fails(500)(call)


@pytest.mark.parametrize("policy", ["drain", "cancel"])
def test_a_caller_who_leaves_ends_it_all(
    gateway: Gateway, run_gateway: Callable[..., Gateway], models: Models, policy: str
) -> None:
    """The rung that runs is drained or cancelled, as policy says, and no further one begins."""
    if policy == "cancel":
        gateway = run_gateway(
            models.configuration(LADDERS.replace("[gateway]\n", '[gateway]\non_disconnect = "cancel"\n'))
        )
    for is_stream in (False, True):
        models.be(small=says("", refusal="No.", after_s=0.4))
        before = len(gateway.outcomes())
        leave(gateway, models, {"model": "cheap-first", "messages": ASK, "stream": is_stream})
        deadline = time.monotonic() + 5
        while len(gateway.outcomes()) == before and time.monotonic() < deadline:
            time.sleep(0.02)
        row = gateway.outcomes()[-1].row
        assert row.is_cancelled and row.attempt_count == 1 and models.asked == ["small"]
        if policy == "drain":
            assert row.cost_nano_usd == NANO["small"]
        assert text_of(call(gateway, "acme/large")) == "This is large.", "the worker goes on"
        assert len(gateway.outcomes()) == before + 2, "one row each"


def leave(gateway: Gateway, models: Models, request: dict[str, Any]) -> None:
    """Call, and hang up when the provider has been asked."""
    body = json.dumps(request).encode()
    with gateway.connect() as connection:
        connection.sendall(f"{gateway.call_head}content-length: {len(body)}\r\n\r\n".encode() + body)
        deadline = time.monotonic() + 5
        while not models.asked and time.monotonic() < deadline:
            time.sleep(0.01)


# -- who may, and where ------------------------------------------------------------------------------------------------


def quota(tenant: str, unit: str, limit: int, **more: Any) -> Quota:
    fields = {"quota_id": tenant, "tenant_id": tenant, "scope": "tenant", "subject": tenant, "window": "lifetime"}
    return Quota(**{**fields, "unit": unit, "limit": limit, **more})  # type: ignore[arg-type]


WALLET = quota("purse", "nano_usd", 2_500_000, is_wallet=True)


@pytest.fixture(scope="module")
def limited(models: Models, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Gateway, dict[str, str]]]:
    """A gateway with keys that may not call everything, and tenants that may not call for ever."""
    home = tmp_path_factory.mktemp("limited")
    accounts = open_accounts(home)
    wishes = {
        "by_name": KeyWish(name="k", tenant_id="acme", models=("cheap-*",)),
        "by_rung": KeyWish(name="k", tenant_id="acme", models=("acme/*",)),
        "purse": KeyWish(name="k", tenant_id="purse"),
        "rate": KeyWish(name="k", tenant_id="rate"),
        "cached": KeyWish(name="k", tenant_id="cached"),
    }
    keys = {name: accounts.add_key(wish).secret for name, wish in wishes.items()}
    with accounts.database.writing() as connection:
        for one in (WALLET, quota("rate", "requests", 2)):
            set_quota(connection, one)
    accounts.close()
    found = start_gateway(home, models.configuration(f'{LADDERS}[tenants.cached]\ncache = "key"\n'), key=keys["purse"])
    yield found, keys
    if found.process.poll() is None:
        found.process.kill()
    found.process.wait(10)


def with_key(
    limited: tuple[Gateway, dict[str, str]], key: str, model: str = "cheap-first", **more: Any
) -> httpx.Response:
    gateway, keys = limited
    return call(gateway, model, headers={"authorization": f"Bearer {keys[key]}"}, **more)


@pytest.mark.parametrize(
    ("key", "model", "asked"),
    [
        ("by_name", "cheap-first", ["small", "mid"]),
        ("by_name", "acme/small", []),
        ("by_rung", "cheap-first", []),
        ("by_rung", "acme/small", ["small"]),
    ],
)
def test_a_keys_allow_list_is_about_the_ladders_name(
    limited: tuple[Gateway, dict[str, str]], models: Models, key: str, model: str, asked: list[str]
) -> None:
    models.be(small=says("", refusal="No."))
    assert with_key(limited, key, model).status_code == (200 if asked else 403)
    assert models.asked == asked


def test_a_rung_that_may_not_serve_is_passed_over_and_none_at_all_is_404(gateway: Gateway, models: Models) -> None:
    reply = call(gateway, "claude", provider={"only": ["mock"]})
    assert text_of(reply) == "This is large." and reply.headers["x-tidegate-ladder"] == "claude 2/2 excluded"
    assert models.asked == ["large"]
    reply = call(gateway, provider={"only": ["native"]})
    assert reply.status_code == 404 and reply.json()["error"]["code"] == "no_endpoints", reply.text
    assert all(name in reply.text for name in ("acme/small@mock", "acme/mid@mock", "acme/large@mock"))
    routed = call(gateway, path="/api/v1/chat/completions", headers={"x-tidegate-policy": "china-only"})
    assert routed.status_code == 404 and "data_region" in routed.text
    assert models.asked == ["large"] and outcome_of(gateway, reply).row.cost_nano_usd == 0


def test_a_policy_keeps_every_rung_inside_its_border(gateway: Gateway, models: Models) -> None:
    reply = call(gateway, "claude", headers={"x-tidegate-policy": "eu-processing"})
    assert reply.headers["x-tidegate-ladder"] == "claude 2/2 excluded" and models.asked == ["large"]
    assert "eu-processing" in outcome_of(gateway, reply).row.route_reason


def test_a_ladder_stands_alone_and_holds_conversations(gateway: Gateway, models: Models) -> None:
    reply = call(gateway, models=["cheap-first", "acme/large"])
    assert reply.status_code == 400 and reply.json()["error"]["param"] == "models"
    assert call(gateway, models=["cheap-first"]).status_code == 200
    named = CLIENTS[0].post(
        f"{gateway.url}/v1/embeddings", json={"model": "cheap-first", "input": "x"}, headers=gateway.headers
    )
    assert named.status_code == 400 and "conversations" in named.text
    assert call(gateway, "Cheap-First:floor").status_code == 200
    assert call(gateway, "cheap-last").status_code == 404


def test_counting_tokens_counts_for_the_first_rung(gateway: Gateway, models: Models) -> None:
    reply = call(gateway, path="/v1/messages/count_tokens")
    assert reply.status_code == 200 and reply.json()["input_tokens"] > 0 and not models.asked


# -- money -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_stream", [False, True])
@pytest.mark.parametrize("mid", [says("This is mid."), says("", refusal="No.")])
def test_the_cost_that_a_reply_tells_is_the_rows(gateway: Gateway, models: Models, mid: Any, is_stream: bool) -> None:
    """From memory, and as it came."""
    models.be(small=says("Fo", "length"), mid=mid)
    reply = call(gateway, path="/api/v1/chat/completions", stream=is_stream)
    row = outcome_of(gateway, reply).row
    told = json.loads(reply.text if not is_stream else reply.text.rpartition("data: {")[2].join(("{", ""))[:-16])
    assert round(told["usage"]["cost"] * 1e9) == row.cost_nano_usd > NANO["small"] + NANO["mid"] - 1


def test_what_a_ladder_answers_is_not_kept(limited: tuple[Gateway, dict[str, str]], models: Models) -> None:
    """Which rung answers may be another one next time; a tenant that opted in to the response cache asks anew."""
    for _ in range(2):
        assert with_key(limited, "cached", temperature=0).headers["x-tidegate-ladder"] == "cheap-first 1/3"
    assert models.asked == ["small", "small"]
    gateway, keys = limited
    headers = {"authorization": f"Bearer {keys['cached']}", "cache-control": "only-if-cached"}
    assert call(gateway, headers=headers).status_code == 504 and models.asked == ["small", "small"]


def test_a_climb_is_one_request_to_a_quota_of_requests(limited: tuple[Gateway, dict[str, str]], models: Models) -> None:
    models.be(small=says("", refusal="No."), mid=says("Four."))
    replies = [with_key(limited, "rate") for _ in range(3)]
    assert [reply.status_code for reply in replies] == [200, 200, 429]
    assert replies[0].headers["x-tidegate-ladder"] == "cheap-first 2/3 refusal"


def test_a_wallet_pays_all_rungs_and_never_more_than_it_has(
    limited: tuple[Gateway, dict[str, str]], models: Models
) -> None:
    """The large model reserves $0.001 and takes a fifth of it; near the end the call stays with what it has."""
    gateway = limited[0]
    models.be(small=says("", refusal="No."), mid=says("", refusal="No."))
    replies = [with_key(limited, "purse", max_tokens=5) for _ in range(45)]
    told = [reply.headers.get("x-tidegate-ladder", "") for reply in replies]
    assert told[0] == "cheap-first 3/3 refusal > refusal"
    assert "cheap-first 2/3 refusal > refusal > insufficient_quota" in told, "the best so far, and told"
    assert replies[-1].status_code == 402
    rows = [outcome.row for outcome in gateway.outcomes() if outcome.row.tenant_id == "purse"]
    charged = sum(row.cost_nano_usd or 0 for row in rows)
    assert 3 * (NANO["small"] + NANO["mid"] + NANO["large"]) <= charged <= WALLET.limit
    gateway.stop()
    accounts = open_accounts(gateway.home)
    with accounts.database.reading() as connection:
        assert held_of(connection, "purse") == charged, "what the store holds is what rows charge"
    accounts.close()


# -- told --------------------------------------------------------------------------------------------------------------


MANY: list[Callable[[str], Any]] = [
    lambda name: says(f"This is {name}."),
    lambda name: says(f"This is {name}.", "length"),
    lambda name: says("", refusal=f"No, says {name}."),
    lambda name: says(f"This is {name}.", logprobs=(-0.1, -0.2)),
    lambda name: says(f"This is {name}.", logprobs=(-3.0,)),
    lambda _: fails(500),
    lambda _: fails(429),
    lambda _: breaks_in_the_middle,
]


def test_whatever_rungs_do_one_answer_is_told_and_the_books_balance(gateway: Gateway, models: Models) -> None:
    """Climbs of random moods: rungs in order, the words of one of them, and a row that is the sum of its attempts."""
    rng = random.Random(20261122)
    for _ in range(120):
        models.be(
            small=rng.choice(MANY)("small"), mid=rng.choice(MANY)("mid"), large=rng.choice(MANY)("large"),
            judge=rng.choice((scores(9), scores(2), says("?"), fails(500))),
        )  # fmt: skip
        name, is_stream = rng.choice(("cheap-first", "judged", "thrifty")), rng.random() < 0.5
        reply = call(gateway, name, stream=is_stream)
        row, attempts = (outcome := outcome_of(gateway, reply)).row, outcome.attempts
        speakers = [
            one for one in ("small", "mid", "large") if f"is {one}." in _plain(reply) or f"says {one}." in reply.text
        ]
        assert len(speakers) == (0 if "Half" in reply.text or row.error_type else 1), reply.text
        if speakers:
            assert row.response_model == f"acme/{speakers[0]}" and reply.status_code == 200
        answered = sum(a.upstream_cost_nano_usd or 0 for a in attempts if a.error_type is None)
        begun = attempts[-1].upstream_cost_nano_usd or 0 if row.error_type and "Half" in reply.text else 0
        assert row.cost_nano_usd == answered + begun
        if name == "thrifty":
            assert row.cost_nano_usd <= 100_000 or attempts[0].error_type, "its budget"


def _plain(reply: httpx.Response) -> str:
    return text_of(reply) if reply.status_code == 200 and "choices" in reply.text else ""


def test_ladders_stand_among_the_models(gateway: Gateway) -> None:
    for path in ("/v1/models", "/api/v1/models"):
        listed = CLIENTS[0].get(gateway.url + path, headers=gateway.headers).json()["data"]
        assert {"cheap-first", "judged", "acme/small"} <= {one["id"] for one in listed}
    assert next(one for one in listed if one["id"] == "judged")["pricing"] == {"prompt": "-1", "completion": "-1"}
    named = CLIENTS[0].get(f"{gateway.url}/v1/models/judged", headers=gateway.headers).json()
    assert named["owned_by"] == "tidegate"
    page = CLIENTS[0].get(f"{gateway.url}/api/v1/models/judged/endpoints", headers=gateway.headers).json()["data"]
    assert [one["endpoint_id"] for one in page["endpoints"]] == ["acme/small@mock", "acme/large@mock"]


def test_the_plan_of_each_rung_and_of_the_judge_is_explained(gateway: Gateway, models: Models) -> None:
    by_header = call(gateway, "judged", headers={"x-tidegate-route": "explain"})
    by_path = call(gateway, "judged", path="/api/v1/route/explain")
    for reply in (by_header, by_path):
        told = reply.json()
        assert [(one["role"], one["model"]) for one in told["rungs"]] == [
            ("rung", "acme/small"), ("rung", "acme/large"), ("judge", "acme/judge")
        ]  # fmt: skip
        assert told["rungs"][0]["plan"]["plan"][0]["endpoint_id"] == "acme/small@mock"
    assert not models.asked


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('rungs = [{ model = "acme/smal" }, { model = "acme/large" }]', "acme/small"),
        ('rungs = [{ model = "acme/small", escalate_on = ["refusl"] }, { model = "acme/large" }]', "refusal"),
        ('rungs = [{ model = "acme/small" }, { model = "acme/large", judge = 1 }]', "judge"),
    ],
)
def test_a_ladder_that_cannot_be_is_refused_at_load(models: Models, tmp_path: Path, line: str, said: str) -> None:
    path = tmp_path / "tidegate.toml"
    path.write_text(models.configuration(f"[ladders.odd]\n{line}\n"))
    with pytest.raises(ConfigError, match=r"ladders") as found:
        build_serving(load_config([path], {}), {}, "2026-11-22")
    assert said in str(found.value)
