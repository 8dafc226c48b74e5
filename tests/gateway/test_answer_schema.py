"""Answers are held to the caller's own schema in bounded time, and to nothing that it could hurt us with."""

import time
from typing import Any

import msgspec
import pytest

from tidegate.gateway.answer_schema import STEPS_MAX, fits
from tidegate.wire.openai_chat_logprobs import asks_for_logprobs, mean_logprob, with_logprobs, without_logprobs

PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer", "minimum": 0}},
    "required": ["name", "age"],
    "additionalProperties": False,
}


def held(schema: Any, text: str) -> bool | None:
    return fits(msgspec.json.encode(schema), text)


@pytest.mark.parametrize(
    ("text", "is_held"),
    [
        ('{"name": "Ada", "age": 36}', True),
        (' {"age": 0, "name": ""} ', True),
        ('{"name": "Ada"}', False),
        ('{"name": "Ada", "age": "36"}', False),
        ('{"name": "Ada", "age": 36, "x": 1}', False),
        ('{"name": "Ada", "age": -1}', False),
        ('Here you are: {"name": "Ada", "age": 36}', False),
        ('{"name": "Ada", "age": 36', False),
        ("", False),
    ],
)
def test_an_answer_is_json_as_the_schema_has_it(text: str, is_held: bool) -> None:
    assert held(PERSON, text) is is_held


def test_without_a_schema_any_json_will_do() -> None:
    assert fits(b"", "[1]") is True and fits(b"", "one") is False


def test_references_within_the_schema_hold_and_none_is_fetched() -> None:
    """A schema that names an address must not make the gateway call it."""
    inner = {"$defs": {"n": {"type": "integer"}}, "type": "array", "items": {"$ref": "#/$defs/n"}}
    assert held(inner, "[1, 2]") is True and held(inner, '["a"]') is False
    assert held({"$ref": "http://127.0.0.1:1/schema.json"}, "{}") is None


@pytest.mark.parametrize("schema", [{"type": 5}, {"$ref": "#"}, {"properties": [1]}, 7, {"minimum": "x"}])
def test_a_schema_that_is_nonsense_is_held_against_nobody(schema: Any) -> None:
    assert held(schema, '{"a": 1}') is not False or schema == 7


def test_no_schema_takes_longer_than_an_answer_is_worth() -> None:
    """A pattern that backtracks for ever, and references that double at each step."""
    began = time.perf_counter()
    assert held({"type": "string", "pattern": "^(a+)+$"}, '"' + "a" * 40 + 'b"') is True
    assert held({"patternProperties": {"^(a+)+$": {}}, "additionalProperties": False}, '{"' + "a" * 40 + '!": 1}')
    doubling = {f"d{n}": {"allOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 2} for n in range(60)} | {"d60": {}}
    assert held({"$defs": doubling, "$ref": "#/$defs/d0"}, "1") is None
    long = msgspec.json.encode([{"n": 1}] * STEPS_MAX).decode()
    assert held({"items": {"properties": {"n": {"type": "integer"}}}}, long) is None
    assert time.perf_counter() - began < 5


# -- log-probabilities -------------------------------------------------------------------------------------------------


def reply(*logprobs: float | None) -> dict[str, Any]:
    content = [{"token": "t", "logprob": value, "bytes": None, "top_logprobs": []} for value in logprobs]
    return {"choices": [{"index": 0, "message": {"content": "x"}, "logprobs": {"content": content}}], "usage": {}}


def test_the_mean_is_over_all_tokens_of_the_first_choice() -> None:
    body = reply(-0.5, -1.5)
    body["choices"].append({"index": 1, "logprobs": {"content": [{"logprob": -9.0}]}})
    assert mean_logprob(msgspec.json.encode(body), is_stream=False) == -1.0
    events = b"".join(
        b"data: " + msgspec.json.encode(one) + b"\n\n" for one in (reply(-0.1), reply(-0.2, -0.3), reply())
    )
    assert mean_logprob(events + b"data: [DONE]\n\n", is_stream=True) == pytest.approx(-0.2)


@pytest.mark.parametrize("body", [b"", b"{", b'{"choices": null}', b'{"choices": [{"logprobs": null}]}'])
def test_where_none_are_told_there_is_no_mean(body: bytes) -> None:
    assert mean_logprob(body, is_stream=False) is None


def test_they_are_asked_for_once_and_every_other_value_keeps_its_bytes() -> None:
    asked = with_logprobs(b'{"model":"m","x":1.50,"logprobs":null}')
    assert b"1.50" in asked and asks_for_logprobs(asked)
    assert not asks_for_logprobs(b'{"logprobs": false}') and with_logprobs(b"{") == b"{"


def test_who_did_not_ask_does_not_get_them() -> None:
    whole = msgspec.json.decode(without_logprobs(msgspec.json.encode(reply(-0.5)), is_stream=False))
    assert whole["choices"][0]["logprobs"] is None and whole["choices"][0]["message"] == {"content": "x"}
    event = b"data: " + msgspec.json.encode(reply(-0.5)) + b"\n\n"
    told = without_logprobs(b": life\n\n" + event + b"data: [DONE]\n\n", is_stream=True)
    assert b'"logprobs":null' in told and told.startswith(b": life\n\n") and told.endswith(b"data: [DONE]\n\n")
