"""What the meter learns of a whole chat completion: the fast reading means what the obvious one means."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tidegate.wire.openai_chat_peek import see_any_completion, see_completion

NULLS = st.none()
COUNTS = st.integers(0, 5000)
DETAILS = st.fixed_dictionaries(
    {}, optional={"cached_tokens": COUNTS, "audio_tokens": st.integers(0, 3), "cache_write_tokens": COUNTS}
)
SPENT = st.fixed_dictionaries({}, optional={"reasoning_tokens": COUNTS, "audio_tokens": st.integers(0, 3)})
USAGES = st.fixed_dictionaries(
    {"prompt_tokens": COUNTS, "completion_tokens": COUNTS},
    optional={
        "total_tokens": COUNTS,
        "prompt_tokens_details": DETAILS | NULLS,
        "completion_tokens_details": SPENT | NULLS,
        "cost": st.sampled_from([0.00123, None]),
        "cost_in_usd_ticks": st.just(12345),
        "prompt_cache_hit_tokens": COUNTS,
    },
)
MESSAGES = st.fixed_dictionaries(
    {"role": st.just("assistant")},
    optional={
        "content": st.just("a"),
        "tool_calls": st.just([{"id": "1"}]) | NULLS,
        "function_call": st.just({"name": "f"}) | NULLS,
    },
)
REPLIES = st.fixed_dictionaries(
    {
        "choices": st.lists(
            st.fixed_dictionaries(
                {"message": MESSAGES},
                optional={
                    "finish_reason": st.sampled_from(["stop", "length", "end_turn", "tool_calls", "", None]),
                    "usage": USAGES,
                },
            ),
            max_size=2,
        )
    },
    optional={
        "usage": USAGES | NULLS,
        "error": st.just({"message": "x"}) | NULLS,
        "model": st.just("m") | NULLS,
        "x_groq": st.fixed_dictionaries({"usage": USAGES}),
    },
)


@given(REPLIES)
def test_a_simple_reply_is_read_fast_and_means_the_same(reply: dict[str, Any]) -> None:
    """But for the bytes of its text, which a whole reply is not asked for."""
    body = json.dumps(reply).encode()
    fast, slow = see_completion(body), see_any_completion(body)
    if slow is not None:
        slow.output_text_bytes = fast.output_text_bytes = 0
    assert fast == slow
