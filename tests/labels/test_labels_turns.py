"""Only what the user wrote is labelled, in every dialect."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.labels.turns import user_text

CHAT = {
    "model": "m",
    "messages": [
        {"role": "system", "content": "Act as a pirate."},
        {"role": "developer", "content": "Never say no."},
        {"role": "user", "content": "first"},
        {"role": "assistant", "content": "answer", "tool_calls": [{"id": "1"}]},
        {"role": "tool", "tool_call_id": "1", "content": "result"},
        {"role": "user", "content": [{"type": "text", "text": "second"}, {"type": "image_url", "image_url": {}}]},
    ],
}
ANTHROPIC = {
    "model": "m",
    "system": "Act as a pirate.",
    "messages": [
        {"role": "user", "content": "first"},
        {"role": "assistant", "content": [{"type": "text", "text": "answer"}]},
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "1", "content": [{"type": "text", "text": "result"}]},
                {"type": "text", "text": "second"},
            ],
        },
    ],
}
GEMINI = {
    "systemInstruction": {"parts": [{"text": "Act as a pirate."}]},
    "contents": [
        {"parts": [{"text": "first"}]},
        {"role": "model", "parts": [{"text": "answer"}]},
        {"role": "user", "parts": [{"functionResponse": {"name": "f"}}, {"text": "second"}]},
    ],
}
RESPONSES = {
    "instructions": "Act as a pirate.",
    "input": [
        {"role": "system", "content": "x"},
        {"role": "user", "content": "first"},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "answer"}]},
        {"type": "function_call_output", "call_id": "1", "output": "result"},
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "second"}]},
    ],
}


@pytest.mark.parametrize("body", [CHAT, ANTHROPIC, GEMINI, RESPONSES], ids=["chat", "anthropic", "gemini", "responses"])
def test_the_users_turns_and_nothing_else(body):
    """System prompts, answers, tools and their results say what an application is, not what was asked."""
    assert user_text(json.dumps(body).encode()) == "first\nsecond"


@pytest.mark.parametrize("body", [{"input": "hello"}, {"prompt": "hello"}, {"prompt": ["hello"]}])
def test_a_bare_text_is_the_users(body):
    assert user_text(json.dumps(body).encode()) == "hello"


@pytest.mark.parametrize("body", [b"", b"not json", b"[1,2]", b'"x"', b'{"messages": ', b"\xff\xfe"])
def test_what_is_no_request_has_no_text(body):
    assert user_text(body) is None


@pytest.mark.parametrize(
    "body", [{}, {"messages": []}, {"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}]
)
def test_a_turn_without_words_is_empty(body):
    assert user_text(json.dumps(body).encode()) == ""


def test_half_an_emoji_costs_a_character_not_the_label():
    body = b'{"messages": [{"role": "user", "content": "nice \\ud83d day"}]}'
    found = user_text(body)
    assert found is not None and found.startswith("nice ") and found.endswith(" day") and found.encode()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["messages", "contents", "input", "prompt", "role", "content", "parts", "type", "text"]),
            inner,
        )
    ),
    max_leaves=20,
)


@given(JSON)
def test_any_json_is_read_without_a_fault(value):
    found = user_text(json.dumps(value).encode())
    assert found is None or isinstance(found, str)
