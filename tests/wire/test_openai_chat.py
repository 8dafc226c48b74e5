"""Requests are edited by splicing, replies are read for what they cost; both must survive what clients really send."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.core.errors import InvalidRequest
from tidegate.core.usage import Usage
from tidegate.wire.openai_chat import (
    WireUsage,
    decode_request,
    edit_request,
    edit_request_slowly,
    usage_from_wire,
)

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=12) | st.sampled_from(["model", "m/x", '"m/x"']),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["model", "a", "é", "m/x"]), inner),
    max_leaves=8,
)
OPTIONS = st.none() | st.fixed_dictionaries({}, optional={"include_usage": st.booleans() | st.none(), "other": VALUES})
REQUESTS = st.fixed_dictionaries(
    {
        "model": st.sampled_from(["m/x", "model", 'q"uote', "é", "stream_options"]),
        "messages": st.lists(VALUES, max_size=3),
    },
    optional={"stream": st.booleans() | st.none(), "stream_options": OPTIONS, "metadata": VALUES, "x_unknown": VALUES},
)


@given(
    REQUESTS,
    st.booleans(),
    st.sampled_from(["m/x", "upstream-1", 'we"ird\\']),
    st.sampled_from(["", " ", "\n"]),
    st.randoms(),
)
def test_splicing_equals_rebuilding(request, ascii_only, upstream, space, random) -> None:
    """The fast edit and its slow twin make the same object; unknown fields survive both."""
    keys = list(request)
    random.shuffle(keys)
    body = (space + json.dumps({k: request[k] for k in keys}, ensure_ascii=ascii_only) + space).encode()
    head = decode_request(body)
    fast = json.loads(b"".join(bytes(piece) for piece in edit_request(body, head, upstream)))
    assert fast == json.loads(edit_request_slowly(body, head, upstream))
    expected = request | {"model": upstream}
    if request.get("stream"):
        expected["stream_options"] = (request.get("stream_options") or {}) | {"include_usage": True}
    assert fast == expected


def test_a_request_that_needs_no_edit_is_the_same_object() -> None:
    """Same dialect, same name: the bytes pass through."""
    body = b'{"model": "m", "messages": [], "temperature": 0.10}'
    assert edit_request(body, decode_request(body), "m")[0] is body


def test_a_nested_model_of_the_same_name_is_left_alone() -> None:
    """Only the top-level field is the model; the same text elsewhere is the caller's business."""
    body = b'{"metadata":{"model":"m/x"},"model":"m/x","messages":[{"role":"user","content":"use \\"m/x\\""}]}'
    edited = json.loads(b"".join(edit_request(body, decode_request(body), "up")))
    assert edited == {
        "metadata": {"model": "m/x"},
        "model": "up",
        "messages": [{"role": "user", "content": 'use "m/x"'}],
    }


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"{", "not valid JSON"),
        (b'{"model": "a", "messages": [}', "not valid JSON"),
        (b"\xff\xfe", "not valid JSON"),
        (b"[]", "Expected `object`"),
        (b'{"messages": []}', "the field `model` is missing"),
        (b'{"model": 7}', "Expected `str`, got `int`"),
        (b'{"model": "a", "stream": "yes"}', "Expected `bool \\| null`, got `str`"),
        (b"", "not valid JSON"),
    ],
)
def test_a_malformed_request_is_one_clear_400(body: bytes, text: str) -> None:
    """What was seen and where; never the body itself, which may hold what nobody should log."""
    with pytest.raises(InvalidRequest, match=text):
        decode_request(body)


@pytest.mark.parametrize(
    ("wire", "usage"),
    [
        ({"prompt_tokens": 9, "completion_tokens": 3}, Usage(input_tokens=9, output_tokens=3)),
        (
            {"prompt_tokens": 9, "completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": 8},
             "completion_tokens_details": {"reasoning_tokens": 1}},
            Usage(input_tokens=9, output_tokens=3, cache_read_input_tokens=8, reasoning_output_tokens=1),
        ),
        ({"prompt_tokens": 9, "completion_tokens": 3, "prompt_cache_hit_tokens": 4},
         Usage(input_tokens=9, output_tokens=3, cache_read_input_tokens=4)),
        ({"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 19,
          "completion_tokens_details": {"reasoning_tokens": 7}},
         Usage(input_tokens=9, output_tokens=10, reasoning_output_tokens=7)),
        ({"prompt_tokens": 9, "completion_tokens": 3, "completion_tokens_details": {"reasoning_tokens": 7}},
         Usage(input_tokens=9, output_tokens=3, reasoning_output_tokens=3)),
        ({"prompt_tokens": 9, "prompt_tokens_details": {"cached_tokens": 12}},
         Usage(input_tokens=9, cache_read_input_tokens=9)),
        ({"prompt_tokens": 9, "completion_tokens": 0, "prompt_tokens_details": None}, Usage(input_tokens=9)),
        ({"completion_tokens": 3}, None),
        ({"prompt_tokens": -1, "completion_tokens": 3}, None),
    ],
)  # fmt: skip
def test_usage_is_read_from_every_flavour(wire: dict[str, object], usage: Usage | None) -> None:
    """Parts never exceed their totals, reasoning left out of completion is added, no total means unknown."""
    assert usage_from_wire(msgspec.convert(wire, WireUsage)) == usage
