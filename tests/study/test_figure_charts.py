"""Every figure has a chart that compiles, on a ledger written by hand: one window, many forms."""

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import hand_ledger
import pytest

from tidegate.catalog import load_catalog
from tidegate.report.charts import export, vega_lite
from tidegate.report.palette import PALE, colours_of
from tidegate.report.points import log_ticks
from tidegate.study.facts import Facts, open_facts
from tidegate.study.figures import FIGURES
from tidegate.study.params import Params
from tidegate.study.periods import Window
from tidegate.study.result import NotComputable


@pytest.fixture(scope="module")
def facts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Facts]:
    ledger = hand_ledger.write(Path(tmp_path_factory.mktemp("charts")) / "ledger")
    yield open_facts(ledger, load_catalog())


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_that_can_be_drawn_has_a_picture(name: str, facts: Facts) -> None:
    """Whole window, and a single week, in which areas have nothing to join."""
    one_week = Params(window=Window(hand_ledger.WEEKS[1], hand_ledger.WEEKS[2]))
    for params in (Params(), one_week):
        try:
            result = FIGURES[name].draw(facts, facts.sources[0], params)
        except NotComputable:
            continue
        spec = vega_lite(result)
        assert spec["width"] == "container"
        assert result.definition in spec["description"]
        if params is not one_week:  # drawing takes half a second
            svg = export(result, "svg")
            assert svg.startswith(b"<svg")
            assert b"NaN" not in svg


ASKED = (
    Params(grain="month"),
    Params(anchor="sunday", measure="calls"),
    Params(measure="spend", top=2),
    Params(include_free=False, include_cloaked=False, include_byok=False),
    Params(without_accounts=("acme",)),
    Params(label_rule="any", size_by="price"),
    Params(window=Window(hand_ledger.WEEKS[0], hand_ledger.WEEKS[0])),
    Params(window=Window(dt.date(1999, 1, 1), dt.date(1999, 2, 1))),
)


@pytest.mark.parametrize("params", ASKED, ids=range(len(ASKED)))
def test_whatever_is_asked_a_figure_is_drawn_or_refused_by_name(params: Params, facts: Facts) -> None:
    """Switches of every kind, a window of one day and one before all calls: never an error of the engine."""
    for name, figure in FIGURES.items():
        try:
            result = figure.draw(facts, facts.sources[0], params)
        except NotComputable as error:
            assert error.missing, name
            continue
        assert result.figure == name
        assert all(cell.share is None or 0 <= cell.share < 1 + 1e-9 for cell in result.rows)
        assert 0 <= result.missing_share <= 1
        assert any(source_told.startswith("Source own") for source_told in result.notes)


def test_the_same_group_has_the_same_colour_and_the_rest_is_pale() -> None:
    first, second = colours_of(["anthropic", "someone", "other"]), colours_of(["other", "anthropic"])
    assert first[0] == second[1]
    assert first[2] == second[0] == PALE
    assert len(set(first)) == 3


def test_an_axis_of_logarithms_names_round_numbers_around_its_values() -> None:
    assert log_ticks([3, 40]) == [1, 2, 5, 10, 20, 50, 100, 200, 500]
    assert log_ticks([1, 1_000_000]) == [10.0**power for power in range(7)]
    assert log_ticks([]) == [1.0]
