"""`tidegate usage`: what it prints, and when it fails."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from tidegate.catalog.price_table import dated_prices
from tidegate.cli import cli
from tidegate.core.errors import TidegateError
from tidegate.core.usage import TokenKinds, Usage
from tidegate.wire.usage_audit import charge

BODY = {"model": "gpt-4o-mini", "usage": {"prompt_tokens": 1000, "completion_tokens": 10}}


def run(*arguments: str, stdin: str | None = None) -> Result:
    return CliRunner().invoke(cli, ["usage", *arguments], input=stdin)


def line(expected: dict[str, int], **more: Any) -> str:
    extractor = {"provider_id": "openai", "api_flavor": "chat", **more}
    return json.dumps({"body": BODY, "extracted": [{"usage": expected, "extractors": [extractor]}]})


def test_every_real_body_is_exact_in_counts_and_price(shared_data: Path) -> None:
    """795 of 795; counts to the token, prices to the nano-USD at a price that the package states or stated."""
    pytest.importorskip("genai_prices")
    result = run(str(shared_data / "usage_payloads" / "provider_usage_bodies.jsonl"))
    assert result.exit_code == 0, [row for row in result.stdout.splitlines() if "DIFFERS" in row]
    assert "795 bodies, 10199 readings; 10199 with an expectation, 0 differ" in result.stderr


def test_a_body_is_priced_and_the_price_named() -> None:
    """0.15 and 0.60 USD per million."""
    pytest.importorskip("genai_prices")
    result = run("-", "--provider", "openai", "--flavour", "chat", stdin=json.dumps({"body": BODY}))
    assert result.exit_code == 0
    assert (
        "1: openai/chat gpt-4o-mini: input_tokens=1000 output_tokens=10; $0.000156 (gpt-4o-mini@openai#"
        in result.stdout
    )


def test_a_difference_is_exit_code_1_and_stands_alone_if_asked() -> None:
    """The line that differs, and none of the others."""
    right, wrong = line({"input_tokens": 1000, "output_tokens": 10}), line({"input_tokens": 1001, "output_tokens": 10})
    result = run("-", "--only-differences", stdin=f"{right}\n\n{wrong}\n")
    assert result.exit_code == 1
    assert result.stdout.startswith("3: openai/chat") and result.stdout.count("\n") == 1
    assert "DIFFERS: input_tokens: 1000, expected 1001" in result.stdout


def test_json_lines_hold_counts_usage_and_charge() -> None:
    """For programs."""
    body = BODY | {"usage": {**BODY["usage"], "cost": 0.0001}}  # type: ignore[dict-item]
    result = run("-", "--format", "json", stdin=json.dumps({"body": body}))
    found = json.loads(result.stdout)
    assert found["counts"] == {"input_tokens": 1000, "output_tokens": 10}
    assert (found["line"], found["reported_nano_usd"]) == (1, 100_000)


def test_a_bare_body_is_a_line_too() -> None:
    """A reply as it came from the provider, pasted."""
    assert "input_tokens=1000" in run("-", stdin=json.dumps(BODY)).stdout


@pytest.mark.parametrize(("text", "says"), [("{", "line 1"), ("[]", "line 1"), ("", "holds no line")])
def test_what_cannot_be_read_is_named(text: str, says: str) -> None:
    """With its place."""
    result = run("-", stdin=text)
    assert isinstance(result.exception, TidegateError)
    assert says in str(result.exception)


DAY = datetime(2026, 11, 22, 12, tzinfo=UTC)
MIXED = Usage(
    input_tokens=9_000,
    output_tokens=800,
    cache_read_input_tokens=2_000,
    cache_creation_input_tokens=1_000,
    cache_creation_1h_input_tokens=400,
    reasoning_output_tokens=300,
    web_searches=2,
    kinds=TokenKinds(audio_input=900, audio_cache_read=100, image_input=700, image_cache_read=50, video_input=20,
                     audio_output=200, image_output=90, video_output=10),
)  # fmt: skip


def test_each_price_of_the_package_is_applied_as_the_package_does() -> None:
    """Its own calculator is the second opinion, on a call with every kind of token, at every model it prices."""
    types = pytest.importorskip("genai_prices.types")
    from genai_prices.data import providers

    assert MIXED.kinds is not None
    theirs = types.Usage(
        input_tokens=9_000, output_tokens=800, cache_read_tokens=2_000, cache_write_tokens=1_000,
        cache_write_1h_tokens=400, cache_write_5m_tokens=600, output_reasoning_tokens=300, web_searches=2,
        output_citation_tokens=0, input_audio_tokens=900, cache_audio_read_tokens=100, input_image_tokens=700,
        cache_image_read_tokens=50, input_video_tokens=20, cache_video_read_tokens=0, output_audio_tokens=200,
        output_image_tokens=90, output_video_tokens=10,
    )  # fmt: skip
    compared = 0
    for provider in providers:
        for model in provider.models:
            dated = dated_prices(provider.id, model.id, DAY)
            if not dated or provider.find_model(model.id, all_providers=providers) is not model:
                continue  # another entry of the package comes first for this name
            theirs_usd = model.calc_price(theirs, provider, genai_request_timestamp=DAY).total_price
            ours = charge(MIXED, dated[0]).cost_nano_usd
            assert ours == round(Decimal(theirs_usd) * 10**9), (provider.id, model.id)
            compared += 1
    assert compared > 1_000
