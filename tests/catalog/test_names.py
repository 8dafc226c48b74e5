"""Names are taken apart without knowing any model."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.catalog.names import VARIANTS, dated_spellings, parameters_in_name, spelling_key, take_apart


@pytest.mark.parametrize(
    ("name", "author", "stem", "date", "variant"),
    [
        ("openai/gpt-4o-2024-11-20", "openai", "gpt-4o", "2024-11-20", ""),
        ("Anthropic/Claude-Sonnet-4-20250514", "anthropic", "claude-sonnet-4", "20250514", ""),
        ("deepseek/deepseek-r1-0528:free", "deepseek", "deepseek-r1-0528", "", "free"),
        ("openai/gpt-4o:standard", "openai", "gpt-4o", "", ""),
        ("llama3.2:3b", "", "llama3.2:3b", "", ""),
        ("accounts/fireworks/models/glm-5", "models", "glm-5", "", ""),
        ("gpt-4-20241399", "", "gpt-4-20241399", "", ""),
    ],
)
def test_a_name_is_taken_apart(name: str, author: str, stem: str, date: str, variant: str) -> None:
    """Only a real date is a date and only a known suffix a variant: `3b` is a size, `0528` a version."""
    assert take_apart(name) == (author, stem, date, variant)


@given(st.text(max_size=60))
def test_any_text_can_be_taken_apart(name: str) -> None:
    """Names come from callers: nothing they write may raise."""
    parts = take_apart(name)
    assert parts.variant in VARIANTS | {""}


@given(st.permutations(["gpt", "4.1", "mini", "2025", "high"]))
def test_words_of_a_stem_may_change_places(turned: list[str]) -> None:
    """`claude-4.5-sonnet` and `claude-sonnet-4.5` are one model."""
    assert spelling_key("-".join(turned)) == spelling_key("gpt-4.1-mini-2025-high")


def test_a_version_keeps_its_digits_in_order() -> None:
    """Words may move, digits may not: 4.5 and 5.4 are a year apart."""
    assert spelling_key("gpt-4.5") != spelling_key("gpt-5.4")
    assert spelling_key("claude-sonnet-4-5") == spelling_key("Claude_Sonnet-4.5")


def test_a_snapshot_has_shorter_spellings() -> None:
    """OpenRouter lists `deepseek-v4-flash-20260731` as `deepseek-v4-flash-0731`."""
    assert "deepseek-v4-flash-0731" in dated_spellings("deepseek-v4-flash", "20260731")
    assert "qwen3.5-flash-02-23" in dated_spellings("qwen3.5-flash", "2026-02-23")


@pytest.mark.parametrize(
    ("stem", "total", "active"),
    [
        ("qwen3-235b-a22b-2507", 235_000_000_000, 22_000_000_000),
        ("gemma-3-27b-it", 27_000_000_000, 27_000_000_000),
        ("lfm-2.5-1.2b-instruct:free", 1_200_000_000, 1_200_000_000),
        ("mixtral-8x7b-instruct", 0, 0),
        ("gpt-4o", 0, 0),
    ],
)
def test_sizes_are_read_from_names(stem: str, total: int, active: int) -> None:
    """A product of experts (8x7b) states neither count, so none is invented."""
    assert parameters_in_name(stem) == (total, active)
