"""A caller's own bytes for a provider that would refuse them: the least edit that makes them fit."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.core.facts import Quirks
from tidegate.wire.openai_chat import CHAT, edit_request
from tidegate.wire.openai_chat_head import SPLICE_BYTES_MIN, decode_request
from tidegate.wire.openai_chat_quirks import ANSWERED, UNSERVED, fit_request

PLAIN = {"model": "m", "messages": [{"role": "user", "content": "hello"}]}
ALL = Quirks(
    output_tokens_field="max_tokens",
    no_stream_usage=True,
    no_developer_role=True,
    no_parallel_tools=True,
    no_json_schema=True,
)
SCHEMA = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object"}}}


def sent(quirks: Quirks, **members: Any) -> tuple[dict[str, Any], tuple[str, ...]]:
    """What the provider gets of a request with these members besides the plain ones, and what was dropped."""
    body = json.dumps(PLAIN | members).encode()
    pieces, dropped = fit_request(body, CHAT.decode_head(body), "up", quirks)
    return json.loads(b"".join(pieces)), dropped


@pytest.mark.parametrize(
    ("quirks", "members", "expected", "dropped"),
    [
        (Quirks(output_tokens_field="max_tokens"), {"max_completion_tokens": 9}, {"max_tokens": 9}, ()),
        (Quirks(output_tokens_field="max_completion_tokens"), {"max_tokens": 9}, {"max_completion_tokens": 9}, ()),
        (
            Quirks(output_tokens_field="max_tokens"),
            {"max_tokens": 5, "max_completion_tokens": 9},
            {"max_tokens": 5},
            (),
        ),
        (
            Quirks(output_tokens_field="max_tokens"),
            {"max_tokens": None, "max_completion_tokens": 9},
            {"max_tokens": 9},
            (),
        ),
        (Quirks(output_tokens_field="max_tokens"), {"max_tokens": 5}, {"max_tokens": 5}, ()),
        (Quirks(no_parallel_tools=True), {"parallel_tool_calls": True}, {}, ("parallel_tool_calls",)),
        (Quirks(no_parallel_tools=True), {"parallel_tool_calls": None}, {}, ()),
        (
            Quirks(no_json_schema=True),
            {"response_format": SCHEMA},
            {"response_format": {"type": "json_object"}},
            ("response_format.json_schema",),
        ),
        (
            Quirks(no_json_schema=True),
            {"response_format": {"type": "json_object"}},
            {"response_format": {"type": "json_object"}},
            (),
        ),
        (Quirks(no_stream_usage=True), {"stream": True}, {"stream": True}, ()),
        (
            Quirks(no_stream_usage=True),
            {"stream": True, "stream_options": {"include_usage": True}},
            {"stream": True},
            (),
        ),
        (
            Quirks(no_stream_usage=True),
            {"stream": True, "stream_options": {"include_obfuscation": False}},
            {"stream": True},
            ("stream_options",),
        ),
    ],
)
def test_what_a_provider_refuses_is_renamed_or_left_out(
    quirks: Quirks, members: dict[str, Any], expected: dict[str, Any], dropped: tuple[str, ...]
) -> None:
    """Only that member changes; what is lost is named."""
    assert sent(quirks, temperature=0.5, **members) == (
        PLAIN | {"model": "up", "temperature": 0.5} | expected,
        dropped,
    )


def test_a_developers_words_become_the_systems() -> None:
    """The older role means the same; the word elsewhere, and every other message, stay as they are."""
    said = [
        {"role": "developer", "content": [{"type": "text", "text": "Be brief."}], "name": "x"},
        {"role": "user", "content": 'the role "developer"'},
        {"role": "developer", "content": "And kind."},
    ]
    found, dropped = sent(Quirks(no_developer_role=True), messages=said)
    assert [message["role"] for message in found["messages"]] == ["system", "user", "system"]
    assert [message["content"] for message in found["messages"]] == [message["content"] for message in said]
    assert found["messages"][0]["name"] == "x" and dropped == ()
    assert sent(Quirks(), messages=said)[0]["messages"] == said


def test_an_edited_stream_still_asks_for_its_usage() -> None:
    """Other edits do not cost the meter its figures, and other options stay."""
    found, _ = sent(
        Quirks(no_parallel_tools=True),
        stream=True,
        parallel_tool_calls=False,
        stream_options={"include_obfuscation": False},
    )
    assert found["stream_options"] == {"include_usage": True, "include_obfuscation": False}


def test_fields_for_the_gateway_do_not_reach_a_provider_that_refuses_them() -> None:
    """OpenAI answers `provider` or `models` with a 400. What nothing serves is named, what the gateway serves not."""
    members = {name: {"x": 1} for name in (*ANSWERED, *UNSERVED)} | {"session_id": "s"}
    assert sent(Quirks(), **members) == (PLAIN | {"model": "up"}, UNSERVED)
    assert sent(Quirks(), models=[], route=None, debug={}) == (PLAIN | {"model": "up"}, ())


def test_a_provider_of_openrouters_kind_gets_them() -> None:
    """It serves them, or says itself that it does not."""
    members = {name: {"x": 1} for name in (*ANSWERED, *UNSERVED)} | {"session_id": "s"}
    assert sent(Quirks(takes_reasoning_details=True), **members) == (PLAIN | {"model": "up"} | members, ())


def test_fields_for_the_gateway_go_even_where_another_field_is_odd() -> None:
    """A field that only the row would have told (`user`) may be of any type; the rest is read all the same."""
    assert sent(Quirks(), user=5, models=["a"]) == (PLAIN | {"model": "up", "user": 5}, ("models",))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
NAMES = st.sampled_from(
    [
        *("stream_options", "max_tokens", "max_completion_tokens", "parallel_tool_calls", "response_format"),
        *("temperature", "tools", "seed", "x", "metadata"),
    ]
)


@given(st.dictionaries(NAMES, JSON, max_size=6), st.booleans(), st.sampled_from([0, SPLICE_BYTES_MIN]))
def test_a_provider_without_quirks_gets_what_it_always_got(members: dict[str, Any], stream: bool, size: int) -> None:
    """Byte for byte what the plain edit makes, wherever the head could be read whole."""
    options = members.pop("stream_options", None)
    members.pop("tools", None)
    said = PLAIN | {"messages": [{"role": "developer", "content": "x" * size}]}
    body = json.dumps(said | members | {"stream": stream} | ({"stream_options": {}} if options else {})).encode()
    expected = edit_request(body, decode_request(body), "up")
    pieces, dropped = fit_request(body, CHAT.decode_head(body), "up", Quirks())
    assert b"".join(pieces) == b"".join(expected) and dropped == ()


@given(st.dictionaries(NAMES, JSON, max_size=6), st.lists(JSON, max_size=3), st.booleans())
def test_no_request_breaks_the_edits(members: dict[str, Any], messages: list[Any], stream: bool) -> None:
    """Nonsense is the provider's to judge; members that no quirk names keep their values."""
    members.pop("stream_options", None)
    messages = [*messages, {"role": "developer", "content": "x"}]
    found, _ = sent(ALL, **members, messages=messages, stream=stream)
    untouched = set(members) - {"max_tokens", "max_completion_tokens", "parallel_tool_calls", "response_format"}
    assert {name: found[name] for name in untouched} == {name: members[name] for name in untouched}
    assert "stream_options" not in found and "parallel_tool_calls" not in found
    assert len(found["messages"]) == len(messages)


def test_the_last_of_two_equal_keys_counts() -> None:
    """As for the reader of the head: what is judged is what is sent."""
    body = b'{"model":"m","messages":[],"max_tokens":1,"max_completion_tokens":2,"max_completion_tokens":3}'
    pieces, _ = fit_request(body, CHAT.decode_head(body), "up", Quirks(output_tokens_field="max_completion_tokens"))
    assert b"".join(pieces) == b'{"model":"up","messages":[],"max_completion_tokens":3}'
