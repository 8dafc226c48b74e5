"""What a request says of its routing is read in every dialect, and never overlooked."""

import json
from typing import Any

import pytest

from tidegate.core.errors import InvalidRequest
from tidegate.wire.dialects import DIALECTS
from tidegate.wire.routing_ask import (
    RoutingAsk,
    models_of,
    parameters_of,
    text_of,
    with_first_model,
    without_members,
)

BODIES: dict[str, dict[str, Any]] = {
    "openai-chat": {"model": "m", "messages": [{"role": "user", "content": "x"}]},
    "openai-completions": {"model": "m", "prompt": "x"},
    "openai-embeddings": {"model": "m", "input": "x"},
    "openai-responses": {"model": "m", "input": "x"},
    "anthropic": {"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": "x"}]},
    "gemini": {"contents": [{"parts": [{"text": "x"}]}]},
}


def asked(dialect: str, **members: Any) -> RoutingAsk | None:
    return DIALECTS[dialect].decode_head(json.dumps(BODIES[dialect] | members).encode()).routing


@pytest.mark.parametrize("dialect", BODIES)
def test_wishes_are_read_in_every_dialect(dialect: str) -> None:
    assert asked(dialect) is None
    found = asked(dialect, provider={"zdr": True}, models=["a"], prompt_cache_key="k")
    assert found is not None and json.loads(bytes(found.provider)) == {"zdr": True}
    assert models_of(found, "m") == ("m", "a") and text_of(found.prompt_cache_key, "prompt_cache_key") == "k"


@pytest.mark.parametrize("dialect", BODIES)
def test_an_odd_member_elsewhere_does_not_hide_them(dialect: str) -> None:
    """A head that can read little else of a body still reads what the caller was promised."""
    for odd in ({"user": 5}, {"tools": "all"}, {"session_id": 7}, {"metadata": 3}):
        found = asked(dialect, provider={"zdr": True}, **odd)
        assert found is not None and json.loads(bytes(found.provider)) == {"zdr": True}, odd


def test_models_are_tried_in_order_and_once() -> None:
    found = asked("openai-chat", models=["m", "b", "b", "c"])
    assert found is not None and models_of(found, "m") == ("m", "b", "c")
    found = asked("anthropic", fallbacks=[{"model": "b"}, {"model": "c"}])
    assert found is not None and models_of(found, "m") == ("m", "b", "c")


def test_anthropics_default_fallbacks_name_no_model() -> None:
    found = asked("anthropic", fallbacks="default")
    assert found is not None and models_of(found, "m") == ("m",)


@pytest.mark.parametrize(("member", "value"), [("models", "a"), ("models", [1]), ("fallbacks", [{"name": "x"}])])
def test_a_list_of_models_that_is_none_is_refused_by_name(member: str, value: Any) -> None:
    found = asked("openai-chat", **{member: value})
    assert found is not None
    with pytest.raises(InvalidRequest) as told:
        models_of(found, "m")
    assert told.value.param == member


def test_a_request_may_name_its_models_in_the_list_alone() -> None:
    body = json.dumps({"models": ["a", "b"], "messages": []}).encode()
    assert json.loads(with_first_model(body) or b"") == {"model": "a", "models": ["a", "b"], "messages": []}
    assert with_first_model(b'{"model": "x", "models": ["a"]}') is None
    assert with_first_model(b'{"models": "a"}') is None and with_first_model(b"[]") is None


def test_members_are_left_out_and_the_rest_keeps_its_bytes() -> None:
    body = b'{"model":"m","models":["x"],"temperature":1.50,"route":"sort"}'
    assert without_members(body, ("models", "route")) == b'{"model":"m","temperature":1.50}'


def test_parameters_are_what_a_request_sets() -> None:
    body = {"model": "m", "messages": [], "seed": 1, "top_k": None, "provider": {}, "response_format": {"type": "x"}}
    assert parameters_of(json.dumps(body).encode()) == {"seed", "response_format"}
