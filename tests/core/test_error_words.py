"""What end users read when a call is refused: in their language, with every name and number kept."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.core import errors
from tidegate.core.error_words import ZH, language_of, speak, text_of
from tidegate.core.errors import GatewayError, ModelNotFound, PaymentRequired


def codes(kind: type[GatewayError] = GatewayError) -> Iterator[str]:
    for one in kind.__subclasses__():
        if one.__module__ == errors.__name__:
            yield one.code
        yield from codes(one)


@pytest.mark.parametrize("code", sorted(set(codes())))
def test_every_refusal_of_the_gateway_has_a_sentence_in_chinese(code: str) -> None:
    assert ZH[code].endswith("。")


@pytest.mark.parametrize(
    ("header", "tenant", "language"),
    [
        ("", "", "en"),
        ("", "zh", "zh"),
        ("zh-CN,zh;q=0.9,en;q=0.8", "", "zh"),
        ("zh-TW", "en", "zh"),
        ("en-US,en;q=0.9,zh;q=0.8", "zh", "en"),
        ("en;q=0.3, zh;q=0.7", "", "zh"),
        ("*", "zh", "zh"),  # what fetch sends where nobody chose
        ("de-DE,de;q=0.9", "zh", "zh"),
        ("de-DE,de;q=0.9,en;q=0.1", "zh", "en"),
        ("zh;q=0", "", "en"),
        ("zh;q=2,zh;q=x", "", "en"),
        ("ZH-hans", "", "zh"),
    ],
)
def test_the_caller_chooses_then_the_tenant_then_english(header: str, tenant: str, language: str) -> None:
    assert language_of(header, tenant) == language


@given(st.text(max_size=300), st.sampled_from(["", "en", "zh"]))
def test_no_header_can_break_the_choice(header: str, tenant: str) -> None:
    assert language_of(header, tenant) in ("en", "zh")


def test_a_general_sentence_keeps_what_the_english_text_names() -> None:
    """A budget's name and the dollars that are left are not translated away."""
    error = PaymentRequired("$0.02 are left of the budget 'team-7'.")
    told = text_of(error, "zh")
    assert told.startswith("额度不足") and "team-7" in told and "$0.02" in told
    assert text_of(error, "en") == "$0.02 are left of the budget 'team-7'."


def test_words_of_its_own_come_before_the_general_sentence() -> None:
    error = ModelNotFound("gpt-4o-mni", ["openai/gpt-4o-mini", "gpt-4o-mini"])
    told = text_of(error, "zh")
    assert "gpt-4o-mni" in told and "gpt-4o-mini" in told and "你是不是想用" in told and "No route" not in told


def test_an_error_that_speaks_twice_says_the_same() -> None:
    error = speak(PaymentRequired("Nothing is left."), "en")
    assert error.message == "Nothing is left."
    once = speak(error, "zh").message
    assert "Nothing is left." in once and speak(error, "zh").message == once
