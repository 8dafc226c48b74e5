"""Rows that cannot be true are kept, counted and said; none disappears, none passes in silence."""

from pathlib import Path

import pytest
from click.testing import CliRunner
from ledger_calls import NOW_US, call_id, make_row, open_writer

from tidegate.cli import cli
from tidegate.core.row import Label, Labelled
from tidegate.ledger.oddities import KINDS, LABEL_WITHOUT_CALL, find_oddities
from tidegate.ledger.seal import seal
from tidegate.ledger.store import Ledger

ODD = {
    "negative_tokens": {"usage_output_tokens": -1},
    "cached_above_input": {"usage_cache_read_input_tokens": 900, "usage_cache_creation_input_tokens": 200},
    "reasoning_above_output": {"usage_reasoning_output_tokens": 301},
    "negative_time": {"time_to_first_chunk_us": -1},
    "negative_cost": {"cost_nano_usd": -5},
    "weight_out_of_range": {"tag_sample_weight": 0},
}


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger.create(tmp_path / "ledger")


def test_every_kind_has_a_case() -> None:
    assert ODD.keys() == KINDS.keys()


@pytest.mark.parametrize("kind", ODD)
def test_a_row_that_contradicts_itself_is_counted_with_an_example(kind: str, ledger: Ledger) -> None:
    ledger.add_rows([make_row(1), make_row(2, **ODD[kind]), make_row(3, **ODD[kind])], [], unit="u", origin="test")
    (odd,) = find_oddities(ledger)
    assert (odd.kind, odd.calls, odd.example) == (kind, 2, call_id(2))


def test_ordinary_rows_are_not_odd(ledger: Ledger) -> None:
    """Equal parts and wholes, and values that a source does not give, contradict nothing."""
    same = {"usage_cache_read_input_tokens": 1002, "usage_reasoning_output_tokens": 300, "usage_output_tokens": 300}
    bare = {"usage_input_tokens": None, "usage_output_tokens": None, "cost_nano_usd": None}
    ledger.add_rows([make_row(1), make_row(2, **same), make_row(3, **bare)], [], unit="u", origin="test")
    assert find_oddities(ledger) == []


def test_a_label_without_its_call_is_said(ledger: Ledger) -> None:
    ledger.add_rows([make_row(1)], [], unit="u", origin="test")
    writer = open_writer(ledger.journal_path)
    for number in (1, 2):
        writer.append(Labelled(label=Label(generation_id=call_id(number), ts=NOW_US + number, language="en")))
    writer.close()
    seal(ledger)
    (odd,) = find_oddities(ledger)
    assert (odd.kind, odd.calls, odd.example) == (LABEL_WITHOUT_CALL, 1, call_id(2))


def test_the_command_says_what_is_odd(ledger: Ledger) -> None:
    ledger.add_rows([make_row(1, usage_input_tokens=-7)], [], unit="u", origin="test")
    shown = CliRunner().invoke(cli, ["ledger", "stat", "--ledger", str(ledger.path)])
    assert shown.exit_code == 0
    note = "note: 1 of negative tokens: a negative count of tokens; counts as unknown, so such a call adds no tokens"
    assert f"{note} (e.g. {call_id(1)})" in " ".join(shown.output.split())
