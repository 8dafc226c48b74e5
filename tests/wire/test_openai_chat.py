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
    decode_chunk,
    decode_reply,
    decode_request,
    edit_request,
    rebuild_request,
    splice_request,
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
    rebuilt = json.loads(rebuild_request(body, head, upstream))
    spliced = splice_request(body, head, upstream)
    fast = rebuilt if spliced is None else json.loads(b"".join(spliced))
    assert fast == rebuilt
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
        ({"prompt_tokens": 9, "completion_tokens": 0, "prompt_tokens_details": {"cached_tokens": 12}},
         Usage(input_tokens=9, cache_read_input_tokens=9)),
        ({"prompt_tokens": 9, "total_tokens": 12}, Usage(input_tokens=9, output_tokens=3)),
        ({"prompt_tokens": 9}, None),
        ({"prompt_tokens": 9, "total_tokens": 8}, None),
        ({"prompt_tokens": 2**70, "completion_tokens": 3}, None),
        ({"prompt_tokens": 9, "completion_tokens": 0, "prompt_tokens_details": None}, Usage(input_tokens=9)),
        ({"completion_tokens": 3}, None),
        ({"prompt_tokens": -1, "completion_tokens": 3}, None),
    ],
)  # fmt: skip
def test_usage_is_read_from_every_flavour(wire: dict[str, object], usage: Usage | None) -> None:
    """Parts never exceed their totals, reasoning left out of completion is added, no total means unknown."""
    assert usage_from_wire(msgspec.convert(wire, WireUsage)) == usage


@pytest.mark.parametrize(
    ("body", "asked"),
    [
        (b'{"model":"dear","messages":[],"model":"cheap"}', "cheap"),
        (b'{"mod\\u0065l":"dear","messages":[],"model":"cheap"}', "cheap"),
        (b'{"messages":[{"x":"a/cheap"}],"model":"a\\/cheap"}', "a/cheap"),
        (b'{"metadata":{"model":"a"},"messages":["a"],"\\u006dodel":"a"}', "a"),
        (b'{"x":{"messages":["m"],"model":"a"},"messages":["m"],"model":"a"}', "a"),
        (b'{"model":"a","stream":false,"messages":["stream"],"stream":true}', "a"),
        (b'{"model":"a","stream":true,"stream_options":null,"stream_options":{"include_usage":true}}', "a"),
    ],
)
@pytest.mark.parametrize("upstream", ["up", "same"])
@pytest.mark.parametrize("padding", [0, 20_000])
def test_what_is_charged_is_what_every_parser_reads(body: bytes, asked: str, upstream: str, padding: int) -> None:
    """A key that comes twice, or is spelt with escapes, has two readings: only one of them reaches the provider."""
    body = body[:-1] + b',"pad":"' + b"x" * padding + b'"}'
    head = decode_request(body)
    assert head.model == asked
    upstream = asked if upstream == "same" else upstream
    sent = b"".join(edit_request(body, head, upstream))
    seen: list[dict[str, object]] = []
    pairs = json.loads(sent, object_pairs_hook=lambda pairs: seen.append(pairs) or pairs)
    keys = [key for key, _ in pairs]
    assert len(keys) == len(set(keys))
    assert dict(pairs)["model"] == upstream


def test_a_large_body_is_spliced_without_a_copy() -> None:
    """Agents send hundreds of kilobytes, often with `model` as a word of their tools' schemas."""
    messages = [{"role": "user", "content": 'say "model" ' * 3000}]
    body = json.dumps({"messages": messages, "model": "acme/m", "stream": True, "temperature": 0.5}).encode()
    pieces = edit_request(body, decode_request(body), "m")
    assert len(pieces) == 5
    assert json.loads(b"".join(pieces)) == {
        "messages": messages,
        "model": "m",
        "stream": True,
        "temperature": 0.5,
        "stream_options": {"include_usage": True},
    }


@pytest.mark.parametrize(
    "field", [b'"user":5', b'"session_id":{}', b'"tools":"none"', b'"functions":1', b'"tools":null']
)
def test_a_field_that_decides_nothing_is_the_providers_to_judge(field: bytes) -> None:
    """What works without a gateway works through it."""
    head = decode_request(b'{"model":"a","stream":true,' + field + b"}")
    assert (head.model, head.is_stream) == ("a", True)


@pytest.mark.parametrize("body", [b'{"model":"a","x":' + b"[" * 100_000, b'{"a":' * 100_000])
def test_a_nesting_bomb_is_a_400(body: bytes) -> None:
    """Not a crash, and not a provider's problem."""
    with pytest.raises(InvalidRequest, match="nested too deeply"):
        decode_request(body)
    assert decode_reply(body) is None
    assert decode_chunk(body) is None


@given(st.binary(max_size=200) | st.text(alphabet='{}[]",:model\\u0064 truefalsn1e9.-', max_size=120).map(str.encode))
def test_whatever_arrives_is_a_request_or_a_400(body: bytes) -> None:
    """No other exception may leave the reader of bodies, nor the readers of replies."""
    decode_reply(body)
    decode_chunk(body)
    try:
        head = decode_request(body)
        b"".join(edit_request(body, head, "up"))
    except InvalidRequest:
        pass


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        (b'{"prompt_tokens":12.0,"completion_tokens":"5"}', Usage(input_tokens=12, output_tokens=5)),
        (b'{"prompt_tokens":12,"completion_tokens":5,"prompt_tokens_details":[],"completion_tokens_details":"x"}',
         Usage(input_tokens=12, output_tokens=5)),
        (b'{"prompt_tokens":12.5,"completion_tokens":5}', None),
        (b'{"prompt_tokens":1e400,"completion_tokens":5}', None),
        (b'{"prompt_tokens":true,"completion_tokens":5}', None),
        (b'{"prompt_tokens":[],"completion_tokens":5}', None),
        (b'"none"', None),
        (b"[]", None),
    ],
)  # fmt: skip
def test_a_count_of_an_odd_type_costs_no_other_fact(usage: bytes, expected: Usage | None) -> None:
    """Readable counts count, unreadable ones are unknown, and the finish reason is kept either way."""
    body = b'{"choices":[{"index":"0","finish_reason":"stop"}],"usage":' + usage + b"}"
    for found in (decode_reply(body), decode_chunk(body)):
        assert found is not None
        assert found.choices is not None
        assert found.choices[0].finish_reason == "stop"
        assert (found.usage and usage_from_wire(found.usage)) == expected
