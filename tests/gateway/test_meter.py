"""What a finished call is charged, and on what basis."""

import msgspec
import pytest

from tidegate.core.price import Price, Rates
from tidegate.core.usage import NO_USAGE, Usage
from tidegate.gateway.estimate import TEXT_CHARS_MAX, count_tokens, estimate_of, estimate_usage, prompt_texts
from tidegate.gateway.meter import NOTHING_SPENT, UNKNOWN_SPENT, Totals, cost_split, settle
from tidegate.wire.dialect import Seen

PRICE = Price(price_id="p", rates=Rates(input=10**9, output=2 * 10**9, cache_read=10**8))
USAGE = Usage(input_tokens=100, output_tokens=10)
PROMPT = msgspec.json.encode(
    {"model": "gpt-4o", "messages": [{"role": "user", "content": "What is the capital of France?"}]}
)


def test_reported_usage_is_charged_at_our_price() -> None:
    """100 tokens at 1 USD per million and 10 at 2."""
    found = settle(USAGE, PRICE)
    assert (found.cost_nano_usd, found.upstream_cost_nano_usd, found.basis) == (120_000, 120_000, "metered")


@pytest.mark.parametrize("reported", [0, 77])
def test_the_providers_own_charge_wins(reported: int) -> None:
    """Even where it is nothing: it knows its discounts, and the row says whose figure it is."""
    found = settle(USAGE, PRICE, reported_nano_usd=reported, estimate=USAGE)
    assert (found.cost_nano_usd, found.upstream_cost_nano_usd, found.basis) == (reported, reported, "provider_reported")
    assert found.usage is USAGE


def test_no_usage_is_counted_here_and_marked() -> None:
    """Charged, and called an estimate."""
    found = settle(None, PRICE, estimate=USAGE)
    assert (found.cost_nano_usd, found.basis, found.usage) == (120_000, "estimated_partial", USAGE)


def test_nothing_known_is_unknown_and_not_free() -> None:
    """Complaint 13, the meter's side: zero is charged, but the row does not say that it was zero."""
    assert settle(None, PRICE) is UNKNOWN_SPENT
    assert UNKNOWN_SPENT.upstream_cost_nano_usd is None
    totals = Totals()
    totals.count_call(200, UNKNOWN_SPENT, 10, None)
    totals.count_call(200, settle(None, PRICE, reported_nano_usd=5), 10, None)
    totals.count_call(200, settle(USAGE, PRICE), 10, None)
    assert (totals.unknown_cost, totals.cost_nano_usd, totals.input_tokens) == (1, 120_005, 100)


def test_the_cost_splits_into_input_and_output() -> None:
    """In the proportion of our prices, whoever named the sum."""
    assert cost_split(settle(USAGE, PRICE), PRICE) == (100_000, 20_000)
    assert cost_split(settle(USAGE, PRICE, reported_nano_usd=12_000), PRICE) == (10_000, 2_000)
    assert cost_split(NOTHING_SPENT, PRICE) == (0, 0)
    assert cost_split(UNKNOWN_SPENT, PRICE) is None
    assert NOTHING_SPENT.usage is NO_USAGE


def test_complaint_8_the_text_of_an_error_is_no_output() -> None:
    """QuantumNous/new-api#5288: a local count of error text was charged at three to four times the rate."""
    failed = Seen(has_error=True, is_done=True)
    assert estimate_of(failed, PROMPT, "", "gpt-4o") is None
    assert settle(None, PRICE, estimate=estimate_of(failed, PROMPT, "", "gpt-4o")) is UNKNOWN_SPENT
    spoke_first = estimate_of(failed, PROMPT, "Paris is", "gpt-4o")
    assert spoke_first is not None and spoke_first.output_tokens <= 3  # what came through, and not a token more


def test_complaint_9_usage_of_an_incomplete_answer_counts() -> None:
    """QuantumNous/new-api#7241: `response.incomplete` was billed as nothing."""
    seen = Seen(usage=USAGE, finish_reason="length", is_done=True)
    assert estimate_of(seen, PROMPT, "text", "gpt-4o") is None  # reported usage needs no estimate
    assert settle(seen.usage, PRICE).cost_nano_usd == 120_000


@pytest.mark.parametrize("seen", [None, Seen(), Seen(usage=USAGE)])
def test_where_nothing_was_answered_nothing_is_estimated(seen: Seen | None) -> None:
    """A provider that never spoke may have done nothing."""
    assert estimate_of(seen, PROMPT, 0, "gpt-4o") is None


def test_an_answer_that_broke_off_is_estimated_by_what_came() -> None:
    """Complaint 6: the provider charges for what it said before the caller left."""
    assert estimate_of(Seen(), len(PROMPT), 400, "m") == Usage(input_tokens=-(-len(PROMPT) // 4), output_tokens=100)


def test_tokens_are_counted_by_the_real_tokenizer() -> None:
    """A fixed vector of OpenAI's o200k vocabulary: 7 words and a mark, 3 tokens for the message and 3 for the whole."""
    pytest.importorskip("toktok")
    assert count_tokens("The capital of France is Paris.") == 7
    assert estimate_usage(PROMPT, "The capital of France is Paris.", "gpt-4o") == Usage(
        input_tokens=13, output_tokens=7
    )
    assert count_tokens("<|endoftext|>") > 1  # a caller's text is text


def test_only_words_are_counted() -> None:
    """An image's base64 is no prompt of a million tokens; a tool's schema is read by the model."""
    request = {
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": [
                {"type": "text", "text": "See"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
                {"type": "image", "source": {"type": "base64", "data": "BBBB"}},
            ]},
        ],
        "tools": [{"function": {"name": "f", "description": "does", "parameters": {"type": "object"}}}],
    }  # fmt: skip
    texts, messages = prompt_texts(msgspec.json.encode(request))
    assert texts == ["Be brief.", "See", "f", "does", '{"type":"object"}']
    assert messages == 2


def test_a_huge_text_is_estimated_from_its_beginning() -> None:
    """The loop is never held up for long."""
    part, whole = "tide " * (TEXT_CHARS_MAX // 5), "tide " * (TEXT_CHARS_MAX // 5 * 8)
    assert abs(count_tokens(whole) - 8 * count_tokens(part)) <= count_tokens(part) // 100


@pytest.mark.parametrize("body", [b"", b"\xff", b"[1]", b'"x"', b"[" * 5000])
def test_a_body_that_is_none_does_not_stop_the_estimate(body: bytes) -> None:
    """Whatever was sent, the call gets its row."""
    assert estimate_usage(body, "", "m").output_tokens == 0
