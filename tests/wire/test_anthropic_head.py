"""A Messages request that passes through: what is read of it, and the few bytes that change."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.core.errors import InvalidRequest
from tidegate.wire.anthropic_head import count_request, decode_head, decode_token_count, edit_request, token_count_body
from tidegate.wire.carrier import pack
from tidegate.wire.dialect import Head

REQUEST = {
    "model": "anthropic/claude-sonnet-4.5",
    "max_tokens": 100,
    "messages": [{"role": "user", "content": "hi"}],
    "stream": True,
    "tools": [{"name": "a", "input_schema": {"properties": {"model": {"type": "string"}}}}, {"name": "b"}],
    "metadata": {"user_id": "u1"},
}


def edited(body: bytes, upstream_model: str) -> bytes:
    return b"".join(edit_request(body, decode_head(body), upstream_model))


def test_the_head_holds_what_the_gateway_decides_by():
    head = decode_head(json.dumps(REQUEST).encode())
    assert head == Head("anthropic/claude-sonnet-4.5", is_stream=True, tools_offered=2, user="u1")


def test_a_count_tokens_request_has_a_head_without_max_tokens():
    assert decode_head(b'{"model":"m","messages":[]}') == Head("m")


def test_fields_that_only_the_row_wants_may_be_of_any_type():
    """The provider judges them, with its own words."""
    assert decode_head(b'{"model":"m","metadata":7,"tools":"x","stream":true}') == Head("m", is_stream=True)


@pytest.mark.parametrize(
    ("body", "param", "word"),
    [
        (b"{", None, "not valid JSON"),
        (b'{"messages":[]}', "model", "is missing"),
        (b'{"model":7}', "model", "Expected `str`"),
        (b'{"model":"m","stream":"yes"}', "stream", "Expected `bool"),
        (b"[" * 100_000, None, "JSON|nested|Messages"),
        (b'{"model":"\xff"}', None, "not valid JSON"),
    ],
)
def test_a_body_that_cannot_be_read_is_refused_with_its_place(body, param, word):
    with pytest.raises(InvalidRequest, match=word) as caught:
        decode_head(body)
    assert caught.value.param == param


def test_only_the_models_name_changes():
    """A tool whose schema has a property `model` (Claude Code's has) leaves no doubt about the place."""
    body = json.dumps(REQUEST, indent=1).encode()
    assert edited(body, "claude-x") == body.replace(b'"anthropic/claude-sonnet-4.5"', b'"claude-x"')


def test_a_request_that_needs_no_edit_passes_as_it_is():
    body = json.dumps(REQUEST).encode()
    assert edit_request(body, decode_head(body), REQUEST["model"]) == (body,)


@pytest.mark.parametrize(
    "body",
    [
        b'{"model":"a","model":"b","max_tokens":1}',
        b'{"max_tokens":1,"\\u006dodel":"b"}',
        b'{"model":"a","\\u006dodel":"b"}',
        b'{"model":"\\u0062"}',
        b'{"x":{"model":"b"},"model":"b"}',
        b'{"x":["model"],"model" : "b"}',
        b'{"x":"\\"model\\":\\"b\\"","model":"b"}',
    ],
)
def test_what_is_sent_is_what_was_read_however_the_key_is_written(body):
    """A key that comes twice must not be charged as one model and served as another."""
    sent = edited(body, "upstream")
    assert json.loads(sent)["model"] == "upstream"
    assert sent.count(b'"upstream"') == 1
    assert b'"model":"a"' not in sent
    for key, value in json.loads(body).items():
        assert key == "model" or json.loads(sent)[key] == value


values = st.recursive(
    st.none() | st.text(max_size=5) | st.sampled_from(["model", '"model":"b"', "b"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["model", "m", "ö"]), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(["x", "messages", "stream_options"]), values), st.integers(0, 3), st.booleans())
def test_an_edit_changes_the_model_and_nothing_else(members, place, ascii_only):
    items = list(members.items())
    items.insert(place, ("model", "b"))
    body = json.dumps(dict(items), ensure_ascii=ascii_only).encode()
    assert json.loads(edited(body, "upstream")) == dict(items) | {"model": "upstream"}


def conversation(*assistant: dict[str, object]) -> dict[str, object]:
    messages = [{"role": "user", "content": "q"}, {"role": "assistant", "content": list(assistant)}]
    return {"model": "claude-opus-4-8", "max_tokens": 9, "messages": messages}


SIGNED = {"type": "thinking", "thinking": "a", "signature": "EqQBCgIYAhIM"}
FOREIGN = {"type": "thinking", "thinking": "b", "signature": pack("openai", "gAAAA")}
UNSIGNED = {"type": "thinking", "thinking": "c", "signature": ""}
SEALED_CALL = {"type": "redacted_thinking", "data": pack("gemini", "Cs", "t1")}
ANSWER = {"type": "text", "text": "d"}


def test_thoughts_sealed_by_other_makers_do_not_reach_anthropic():
    """It answers a block that it has not signed with a 400, and the conversation would be dead."""
    body = json.dumps(conversation(SIGNED, FOREIGN, UNSIGNED, SEALED_CALL, ANSWER)).encode()
    assert json.loads(edited(body, "claude-opus-4-8")) == conversation(SIGNED, ANSWER)


def test_a_message_of_foreign_thoughts_alone_is_left_out():
    body = json.dumps(conversation(FOREIGN)).encode()
    assert json.loads(edited(body, "claude-x"))["messages"] == [{"role": "user", "content": "q"}]


def test_a_maker_who_does_not_sign_gets_its_thoughts_back():
    """Kimi and others refuse a tool's result without the thought before the call."""
    body = json.dumps(conversation(UNSIGNED, FOREIGN, ANSWER) | {"model": "kimi-k3"}).encode()
    assert json.loads(edited(body, "kimi-k3")) == conversation(UNSIGNED, ANSWER) | {"model": "kimi-k3"}


def test_a_text_that_speaks_of_carriers_is_left_alone():
    said = json.dumps({"type": "thinking", "signature": ""})
    body = json.dumps(conversation({"type": "text", "text": "tg1.abc " + said})).encode()
    body = body.replace(b'"q"', b'"tg1.x"')
    assert edit_request(body, decode_head(body), "claude-opus-4-8") == (body,)


def test_a_count_is_written_as_it_is_read():
    assert token_count_body(12) == b'{"input_tokens":12}'
    assert decode_token_count(b'{"input_tokens":12,"x":1}') == 12
    assert decode_token_count(b'{"type":"error"}') is None
    assert decode_token_count(b"[]") is None


def test_a_count_is_asked_without_what_only_an_answer_needs():
    """`messages/count_tokens` refuses max_tokens and stream."""
    asked = json.loads(count_request(json.dumps(REQUEST | {"system": "s"}).encode()))
    assert list(asked) == ["model", "messages", "tools", "system"]
