"""Every stop reason has a word in every dialect, and comes back as far as the dialect can tell it apart."""

from typing import get_args

import pytest

from tidegate.wire.events import StopReason
from tidegate.wire.stop_reasons import finish_word, reason_of, with_calls, word_for

REASONS = get_args(StopReason)
DIALECTS = ["openai-chat", "openai-completions", "openai-responses", "anthropic", "gemini"]
FAITHFUL = {
    "openai-chat": {"stop", "length", "tool_calls", "content_filter", "error"},
    "openai-completions": {"stop", "length", "content_filter", "error"},
    "openai-responses": {"stop", "length", "content_filter", "error"},
    "anthropic": {"stop", "stop_sequence", "length", "context", "tool_calls", "refusal", "pause"},
    "gemini": {"stop", "length", "content_filter", "error"},
}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_reason_has_a_word_and_the_faithful_ones_come_back(dialect) -> None:
    """A dialect has fewer words than we; what it has a word of its own for survives both ways."""
    assert {reason for reason in REASONS if reason_of(dialect, word_for(dialect, reason)) == reason} == FAITHFUL[
        dialect
    ]


@pytest.mark.parametrize("reason", REASONS)
def test_rows_use_five_words_only(reason) -> None:
    assert finish_word(reason) in {"stop", "length", "tool_calls", "content_filter", "error"}


@pytest.mark.parametrize(
    ("dialect", "word", "reason"),
    [
        ("anthropic", "pause_turn", "pause"),
        ("anthropic", "model_context_window_exceeded", "context"),
        ("anthropic", "refusal", "refusal"),
        ("openai-responses", "max_output_tokens", "length"),
        ("gemini", "MALFORMED_FUNCTION_CALL", "error"),
        ("gemini", "safety", "content_filter"),
        ("openai-chat", "function_call", "tool_calls"),
        ("openai-chat", "MAX_TOKENS", "length"),
        ("openai-chat", "a word of next year", "stop"),
        ("openai-chat", "", "stop"),
    ],
)
def test_a_providers_word_is_understood(dialect, word, reason) -> None:
    assert reason_of(dialect, word) == reason


def test_an_answer_with_calls_that_says_stop_ended_for_them() -> None:
    """OpenAI says `stop` for a forced tool; an agent waits for `tool_calls`."""
    assert with_calls("stop") == "tool_calls"
    assert with_calls("length") == "length"
