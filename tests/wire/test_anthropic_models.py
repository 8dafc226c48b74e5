"""What a model takes is read from its name, wherever it is served."""

import pytest

from tidegate.wire.anthropic_models import abilities_of, is_claude


@pytest.mark.parametrize(
    "model",
    [
        "claude-3-7-sonnet-20250219",
        "claude-opus-4-20250514",
        "claude-sonnet-4-0",
        "claude-opus-4-1-20250805",
        "claude-haiku-4-5@20251001",
        "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
        "anthropic/claude-opus-4.5",
        "claude-3-haiku-20240307",
        "anthropic.claude-3-5-sonnet-20241022-v2:0",
    ],
)
def test_models_up_to_4_5_think_within_a_budget(model):
    found = abilities_of(model)
    assert (found.takes_budget, found.takes_adaptive, found.takes_sampling) == (True, False, True)


def test_4_6_takes_both_ways_of_thinking():
    for model in ("claude-opus-4-6", "anthropic.claude-opus-4-6-v1", "claude-sonnet-4.6"):
        found = abilities_of(model)
        assert (found.takes_budget, found.takes_adaptive, found.takes_xhigh) == (True, True, False)


@pytest.mark.parametrize("model", ["claude-opus-4-7", "claude-opus-4-8", "claude-opus-5", "anthropic.claude-mythos-5"])
def test_from_4_7_on_only_adaptive_thinking_and_no_sampling(model):
    found = abilities_of(model)
    assert (found.takes_budget, found.takes_adaptive, found.takes_sampling) == (False, True, False)


def test_a_claude_of_unknown_version_is_a_new_one():
    """ "claude-mythos-preview" has none; a rule for old models would break the next release."""
    assert abilities_of("claude-mythos-preview") == abilities_of("claude-fable-5")


def test_system_turns_came_with_4_8():
    assert not abilities_of("claude-opus-4-7").takes_system_turns
    assert abilities_of("claude-opus-4-8").takes_system_turns


def test_other_makers_models_keep_what_claude_refuses():
    """DeepSeek and others serve this dialect with unsigned thoughts and a temperature up to 2."""
    found = abilities_of("deepseek-chat")
    assert not is_claude("deepseek-chat")
    assert not found.needs_signatures
    assert not found.one_sampler
