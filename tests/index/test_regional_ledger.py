"""A gateway's own ledger in the index: as the group of traffic, and as what an index is tested against."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from tidegate.catalog import load_catalog
from tidegate.cli.index import index as command
from tidegate.core.ids import generation_id
from tidegate.core.row import Row
from tidegate.index.regional import Spec, build
from tidegate.index.regional_ledger import tokens_by_country
from tidegate.index.table import IndexRefusal
from tidegate.ledger.store import Ledger

MONDAY_US = 1_774_224_000_000_000  # 2026-03-23


def row(number: int, country: str | None, tokens: int) -> Row:
    ts = MONDAY_US + number * 3_600_000_000
    return Row(
        generation_id=generation_id(ts // 1000, number, 0, 0, number),
        ts=ts,
        source_id="own",
        response_model="openai/gpt-4o-mini",
        model_variant="",
        provider_name="openai",
        ip_country=country,
        usage_input_tokens=tokens,
        usage_output_tokens=0,
    )


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    made = Ledger.create(tmp_path / "ledger")
    calls = [row(1, "IN", 300), row(2, "US", 100), row(3, "IN", 100), row(4, None, 999)]
    made.add_rows(calls, [], unit="import-1", origin="test")
    return made


def test_tokens_are_counted_by_country_and_those_without_one_are_left_out(ledger: Ledger) -> None:
    assert tokens_by_country(ledger, load_catalog()) == {"IND": 400.0, "USA": 100.0}


def test_a_ledger_without_countries_is_refused(tmp_path: Path) -> None:
    made = Ledger.create(tmp_path / "ledger")
    made.add_rows([row(1, None, 5)], [], unit="import-1", origin="test")
    with pytest.raises(IndexRefusal, match="no call of this ledger has both tokens and a country"):
        tokens_by_country(made, load_catalog())


def test_a_ledger_can_stand_for_traffic() -> None:
    """The published weight of T, 0.25, goes to it; only the correction stays absent. By hand from the other groups."""
    plain, made = build(), build(traffic={"IND": 400.0, "USA": 100.0})
    assert made.absent == pytest.approx({"Q": 0.05})
    ledger = {"South Asia": 1.0, "North America": 0.25}
    raw = []
    for region, (a, c, s, g) in zip(plain.regions, plain.z, strict=True):
        raw.append(0.30 * a + 0.25 * ledger.get(region, 0.0) + 0.15 * c + 0.15 * s + 0.10 * g)
    assert made.scores == pytest.approx([100 * value / max(raw) for value in raw])
    assert made.release.release_id != plain.release.release_id
    assert "ledger_tokens the ledger's" in " ".join(made.notes())


def test_regions_without_a_call_have_zero_and_no_run_breaks_on_it() -> None:
    """The ledger knows that nobody called from there: that is a zero, not a gap."""
    made = build(Spec(runs=400), traffic={"IND": 400.0, "USA": 100.0})
    assert (made.runs.scores >= 0).all() and made.runs.scores.max(axis=1) == pytest.approx(100)


def test_the_command_line_reads_a_ledger_both_ways(ledger: Ledger) -> None:
    for arguments, word in (
        (["build", "--traffic-from", str(ledger.path)], "absent are expert correction (Q) 5%"),
        (["backtest", "--ledger", str(ledger.path)], "a gateway's own ledger by the caller's country"),
    ):
        done = CliRunner().invoke(command, [*arguments, "--runs", "200"])
        assert done.exit_code == 0, done.output
        assert word in " ".join(done.output.split())
