"""Lengths of calls: exact means, quantiles to the width of a bucket, checked against the calls themselves."""

import csv
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from study_series import draw

from tidegate.catalog import load_catalog
from tidegate.core.ids import generation_id
from tidegate.core.row import Row
from tidegate.ledger.imports import run_import
from tidegate.ledger.store import Ledger
from tidegate.study.facts import Facts, open_facts
from tidegate.study.params import Params
from tidegate.study.prompt_length import Bucket, quantile, width
from tidegate.study.result import NotComputable

MONDAY_US = 1_774_224_000_000_000  # 2026-03-23


def facts_with(folder: Path, lengths: list[tuple[int | None, int | None]]) -> Facts:
    """A ledger of single calls, one a minute from a Monday on, and one two Mondays later, so that a week is whole."""
    starts = [MONDAY_US + number * 60_000_000 for number in range(len(lengths))]
    rows = [
        Row(
            generation_id=generation_id(ts // 1000, number, 0, 0, number),
            ts=ts,
            source_id="own",
            usage_input_tokens=tokens_in,
            usage_output_tokens=tokens_out,
        )
        for number, (ts, (tokens_in, tokens_out)) in enumerate(zip(starts, lengths, strict=True))
    ]
    rows.append(Row(generation_id=generation_id(1, 1, 0, 0, 1), ts=MONDAY_US + 14 * 86_400_000_000, source_id="own"))
    ledger = Ledger.create(folder)
    ledger.add_rows(rows, [], unit="calls", origin="test")
    return open_facts(ledger, load_catalog())


def test_mean_median_and_p90_of_a_week(tmp_path: Path) -> None:
    facts = facts_with(tmp_path / "l", [(number, 2 * number) for number in range(1, 101)])
    result = draw(facts, "prompt_length")
    found = {
        (cell.groups["length_of"], cell.groups["statistic"]): cell.value
        for cell in result.rows
        if cell.period == "2026-03-23"
    }
    assert found["input", "mean"] == 50.5
    assert found["input", "median"] == 50
    assert found["input", "p90"] == 90
    assert found["output", "p90"] == pytest.approx(180, abs=2)
    assert found["total", "mean"] == 151.5


def test_a_call_of_unknown_length_is_missing(tmp_path: Path) -> None:
    result = draw(facts_with(tmp_path / "l", [(1, 1), (1, 1), (1, 1), (None, 1)]), "prompt_length")
    assert result.n == 3
    assert result.missing_share == 0.25


@given(st.lists(st.integers(0, 2**35), min_size=1, max_size=60), st.sampled_from([0.1, 0.5, 0.9, 1.0]))
def test_a_quantile_is_off_by_less_than_its_bucket(lengths: list[int], q: float) -> None:
    """Against the definition: the value at rank ceil(q n) of the sorted lengths."""
    bars: dict[int, int] = {}
    for length in lengths:
        low = length - length % width(length)
        bars[low] = bars.get(low, 0) + 1
    exact = sorted(lengths)[max(1, math.ceil(q * len(lengths))) - 1]
    found = quantile([Bucket(low, calls, 0) for low, calls in sorted(bars.items())], q)
    assert abs(found - exact) < width(exact)


@pytest.mark.parametrize(
    ("params", "missing"),
    [(Params(grain="month"), "day"), (Params(include_free=False), "model_variant"), (Params(top=3), "rank of models")],
)
def test_what_the_histogram_does_not_hold_is_named(params: Params, missing: str, tmp_path: Path) -> None:
    with pytest.raises(NotComputable, match=missing):
        draw(facts_with(tmp_path / "l", [(1, 1)]), "prompt_length", params)


def test_the_azure_trace_against_its_own_lines(shared_data: Path, tmp_path: Path) -> None:
    """8,819 calls of one hour: the mean to the cent, the quantiles within one part in 64 of the sorted column."""
    file = shared_data / "traces" / "AzureLLMInferenceTrace_code_2023.csv"
    ledger = Ledger.create(tmp_path / "l")
    run_import("trace", [file], ledger)
    result = draw(open_facts(ledger, load_catalog()), "prompt_length")
    with file.open(encoding="utf-8", newline="") as lines:
        inputs = sorted(int(line["ContextTokens"]) for line in csv.DictReader(lines))
    found = {c.groups["statistic"]: c.value for c in result.rows if c.groups["length_of"] == "input"}
    assert result.n == len(inputs)
    assert found["mean"] == round(sum(inputs) / len(inputs), 2)
    assert found["median"] == pytest.approx(inputs[math.ceil(0.5 * len(inputs)) - 1], rel=1 / 64)
    assert found["p90"] == pytest.approx(inputs[math.ceil(0.9 * len(inputs)) - 1], rel=1 / 64)
