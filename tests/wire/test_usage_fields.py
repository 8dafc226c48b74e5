"""Bodies read by the table of one provider's own fields, and checked against an expectation. Prices by hand."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.cli.usage import load_fields
from tidegate.core.errors import TidegateError
from tidegate.core.price import Price, Rates
from tidegate.wire.usage import TOKENS_MAX, decode_usage
from tidegate.wire.usage_audit import Finding, audit, decode_line
from tidegate.wire.usage_fields import KINDS_OF, USAGE_OF, Reading, UsageFields, member, read_counts, usage_of

FIELDS = load_fields()
TODAY = Price(price_id="now", rates=Rates(input=10**9, output=2 * 10**9))
BEFORE = Price(price_id="then", rates=Rates(input=3 * 10**9, output=2 * 10**9))


def bodies(shared_data: Path) -> list[bytes]:
    return (shared_data / "usage_payloads" / "provider_usage_bodies.jsonl").read_bytes().splitlines()


def prices(provider: str, model: str) -> Sequence[Price]:
    return (TODAY, BEFORE) if model == "m" else ()


def findings(line: dict[str, Any], provider: str = "", flavour: str = "") -> list[Finding]:
    return audit(decode_line(msgspec.json.encode(line)), FIELDS, prices, provider, flavour)


def chat(prompt: int, completion: int, **more: Any) -> dict[str, Any]:
    return {"model": "m", "usage": {"prompt_tokens": prompt, "completion_tokens": completion, **more}}


def expecting(body: dict[str, Any], usage: dict[str, int], **extractor: str) -> dict[str, Any]:
    given_ = {"provider_id": "openai", "api_flavor": "chat", **extractor}
    return {"body": body, "extracted": [{"usage": usage, "extractors": [given_]}]}


def test_each_real_body_is_read_as_expected_by_every_provider_and_flavour(shared_data: Path) -> None:
    """795 bodies as 10,199 readings: counts exact, the parts included."""
    lines = readings = 0
    for text in bodies(shared_data):
        line = decode_line(text)
        for extracted in line.extracted:
            for extractor in extracted.extractors:
                known = FIELDS.of(extractor.provider_id, extractor.api_flavor)
                assert extracted.usage in [read_counts(line.body, reading) for reading in known], extractor
                readings += 1
        lines += 1
    assert (lines, readings) == (795, 10_199)


@pytest.mark.parametrize(
    ("provider", "api_flavour", "flavour", "root"),
    [
        ("openai", "chat", "openai-chat", "usage"),
        ("openai", "responses", "openai-responses", "usage"),
        ("openai", "embeddings", "openai-embeddings", "usage"),
        ("anthropic", "default", "anthropic", "usage"),
        ("google", "default", "gemini", "usageMetadata"),
        ("aws", "default", "bedrock", "usage"),
    ],
)
def test_the_gateway_meters_each_real_body_as_expected(
    shared_data: Path, provider: str, api_flavour: str, flavour: str, root: str
) -> None:
    """What the meter reads of a dialect is what its first provider's bodies are expected to say."""
    seen_any = 0
    for text in bodies(shared_data):
        line = decode_line(text)
        for extracted in line.extracted:
            if any((one.provider_id, one.api_flavor) == (provider, api_flavour) for one in extracted.extractors):
                seen = decode_usage(msgspec.json.encode(line.body[root]), flavour)
                assert seen is not None
                expected = usage_of(extracted.usage)
                kinds = seen.usage.kinds if expected.kinds else None  # the meter may know more kinds than this provider
                assert msgspec.structs.replace(seen.usage, kinds=kinds) == expected, line.body
                seen_any += 1
    assert seen_any > 100


def test_a_body_shows_by_itself_how_it_is_read(shared_data: Path) -> None:
    """Where nobody names the provider, the total of its tokens is still right."""
    for text in bodies(shared_data):
        line = decode_line(text)
        told = FIELDS.told_from(line.body)
        assert told is not None
        counts = read_counts(line.body, told)
        assert counts is not None
        totals = [extracted.usage.get("input_tokens", 0) for extracted in line.extracted]
        assert counts.get("input_tokens", 0) in totals


def test_an_expectation_that_is_met_says_nothing() -> None:
    """And its price is compared in nano-USD."""
    line = expecting(
        chat(10, 5), {"input_tokens": 10, "output_tokens": 5}, input_price="0.00001", total_price="0.00002"
    )
    (found,) = findings(line)
    assert found.differences == () and found.charge is not None
    assert (found.charge.input_nano_usd, found.charge.output_nano_usd, found.charge.cost_nano_usd) == (
        *(10_000, 10_000, 20_000),
    )


@pytest.mark.parametrize(
    ("usage", "price", "difference"),
    [
        ({"input_tokens": 11, "output_tokens": 5}, {}, "input_tokens: 10, expected 11"),
        ({"input_tokens": 10}, {}, "output_tokens: 5, expected 0"),
        ({"input_tokens": 10, "output_tokens": 5, "cache_read_tokens": 3}, {}, "cache_read_tokens: 0, expected 3"),
        ({"input_tokens": 10, "output_tokens": 5}, {"output_price": "0.000010001"},
         "output price: 10000 nano-USD, expected 10001"),
    ],
)  # fmt: skip
def test_a_difference_names_both_sides(usage: dict[str, int], price: dict[str, str], difference: str) -> None:
    """One token, or one nano-USD."""
    (found,) = findings(expecting(chat(10, 5), usage, **price))
    assert difference in found.differences


def test_a_price_of_before_meets_an_expectation_and_is_named() -> None:
    """An expectation bears no date; prices do."""
    (found,) = findings(expecting(chat(10, 5), {"input_tokens": 10, "output_tokens": 5}, input_price="0.00003"))
    assert found.differences == () and found.note == "at the price then, not today's"


def test_an_expected_price_that_nobody_knows_is_a_difference() -> None:
    """Complaint 13: a model without a price is not a model for nothing."""
    body = chat(10, 5) | {"model": "unheard-of"}
    (found,) = findings(expecting(body, {"input_tokens": 10, "output_tokens": 5}, input_price="0"))
    assert found.charge is None
    assert found.differences == ("input price: no price known, expected 0",)


def test_a_provider_of_another_field_is_read_by_its_own() -> None:
    """Thoughts stand beside the completion at one provider, inside it at another."""
    body = chat(10, 5, completion_tokens_details={"reasoning_tokens": 3})
    counts = {name: findings({"body": body}, name, "chat")[0].counts for name in ("x-ai", "openai")}
    assert counts["x-ai"] == {"input_tokens": 10, "output_tokens": 8, "output_reasoning_tokens": 3}
    assert counts["openai"] == {"input_tokens": 10, "output_tokens": 5, "output_reasoning_tokens": 3}


def test_a_provider_that_is_not_listed_is_read_by_its_flavour() -> None:
    """A new provider speaks a dialect that is known."""
    (found,) = findings({"body": chat(10, 5)}, "a-new-one", "chat")
    assert found.counts == {"input_tokens": 10, "output_tokens": 5}


def test_a_body_of_another_flavour_is_none_of_this_one() -> None:
    """Not a body of zero tokens."""
    assert findings({"body": chat(10, 5)}, "openai", "responses")[0].counts is None


@pytest.mark.parametrize(("provider", "flavour"), [("openai", "nonsense"), ("nobody", "")])
def test_what_nobody_knows_is_named_with_what_is_known(provider: str, flavour: str) -> None:
    """A misspelt word must not read as "no difference"."""
    with pytest.raises(TidegateError, match=r"responses|mistral"):
        findings({"body": chat(1, 1)}, provider, flavour)


def test_a_table_that_names_a_missing_reading_does_not_load() -> None:
    """Found when it is written, not when a body comes."""
    with pytest.raises(ValueError, match="no reading is called nowhere"):
        UsageFields(source="", checked="", readings={}, providers={}, flavours={"chat": "nowhere"}, told_by=[])


def test_a_path_reaches_into_lists_by_a_key() -> None:
    """The form in which Gemini and Bedrock list their parts."""
    body = {"a": [{"kind": "x", "n": 1}, {"kind": "y", "n": 2}], "b": {"c": 3}}
    assert [member(body, path) for path in ("a[kind=y].n", "a[kind=z].n", "b.c", "b.c.d")] == [2, None, 3, None]


@given(st.dictionaries(st.sampled_from([*USAGE_OF, *KINDS_OF]), st.integers(0, TOKENS_MAX)))
def test_any_counts_make_usage_that_agrees_with_itself(counts: dict[str, int]) -> None:
    """`Usage` refuses what contradicts itself, so none may be built."""
    usage = usage_of(counts)
    assert usage.input_tokens == counts.get("input_tokens", 0)


@pytest.mark.parametrize("reading", FIELDS.readings.values(), ids=FIELDS.readings)
def test_every_reading_counts_something(reading: Reading) -> None:
    """A body built from the reading's own paths gives back each count that it names."""
    body: dict[str, Any] = {}
    paths = [*reading.needs.values(), *(path for paths in reading.adds.values() for path in paths)]
    for path in set(paths):
        _write(body, f"{reading.root}.{path}", 7)
    counts = read_counts(body, reading)
    assert counts is not None
    assert set(counts) == {*reading.needs, *reading.adds}


def _write(body: dict[str, Any], path: str, value: int) -> None:
    *steps, last = path.split(".")
    for step in steps:
        name, _, picked = step.partition("[")
        if picked:
            key, _, wanted = picked.rstrip("]").partition("=")
            rows = body.setdefault(name, [])
            row = next((one for one in rows if one[key] == wanted), None)
            if row is None:
                row = {key: wanted}
                rows.append(row)
            body = row
        else:
            body = body.setdefault(name, {})
    body[last] = value
