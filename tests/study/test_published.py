"""The fact table of published values: complete, readable, and every figure of ours has its line."""

import re

import pytest

from tidegate.core.errors import CatalogError
from tidegate.study.figures import FIGURES
from tidegate.study.params import Params
from tidegate.study.published import parse_published, read_amount, read_published, tolerance_of

PUBLISHED = read_published()

SMALL = """\
checked: "2026-01-01"
about: a test
sources: {A: {what: a page, where: here, trust: high}}
claims:
- id: one
  place: Fig 1
  title: One
  unit: percent
  period: 2026-01-05:2026-01-11
  kind: stated
  source: [A]
  definition: Share.
  values: {open: "25.0"}
  readings:
  - {figure: oss_split, groups: {source_type: open_cn}}
contradictions: []
"""


@pytest.mark.parametrize(
    ("text", "low", "high", "about", "step"),
    [
        ("47.17", 47.17, 47.17, False, 0.01),
        ("~50", 50, 50, True, 1),
        ("> 50", 50, None, False, 1),
        ("< 2000", None, 2000, False, 1),
        ("15 .. 20", 15, 20, False, 1),
        ("-0.07 .. -0.05", -0.07, -0.05, False, 0.01),
        ("−0.27", -0.27, -0.27, False, 0.01),
    ],
)
def test_an_amount_is_read_as_printed(
    text: str, low: float | None, high: float | None, about: bool, step: float
) -> None:
    """A bound stays a bound, a range a range, and the last printed digit is remembered."""
    amount = read_amount(text, "percent")
    assert (amount.low, amount.high, amount.about) == (low, high, about)
    assert amount.step == pytest.approx(step)


@pytest.mark.parametrize("text", ["", "about 50", "50 %", "20 .. 15", "1,000"])
def test_an_amount_that_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="claim x"):
        read_amount(text, "percent", "claim x")


@pytest.mark.parametrize(
    ("text", "measured", "tolerance", "holds"),
    [
        ("47.17", 47.174, None, True),  # the rounding of the print
        ("47.17", 47.176, None, False),
        ("~50", 54.9, None, True),  # about: a tenth of the value
        ("~50", 55.1, None, False),
        ("> 50", 50.0, None, True),
        ("> 50", 49.99, None, False),
        ("< 2", 2.01, None, False),
        ("15 .. 20", 15, None, True),
        ("15 .. 20", 21, None, False),
        ("16.7", 17.7, 1.0, True),
        ("16.7", 17.71, 1.0, False),
    ],
)
def test_a_measured_value_is_the_published_one_within_the_print(
    text: str, measured: float, tolerance: float | None, holds: bool
) -> None:
    assert read_amount(text, "percent").holds(measured, tolerance) is holds


def test_dates_and_words_are_compared_as_such() -> None:
    assert read_amount("2026-03-23", "date").holds("2026-03-23", None)
    assert not read_amount("long tail", "word").holds("premium leaders", None)


def test_every_section_two_figure_and_table_has_a_claim() -> None:
    """Figures 1 to 33 and tables 1 to 5 of the report; 21/22 is one composition over two pictures."""
    places = {claim.place.partition(",")[0] for claim in PUBLISHED.claims}
    wanted = {f"Fig {number}" for number in range(1, 34)} - {"Fig 21", "Fig 22"} | {"Fig 21/22"}
    wanted |= {f"Tab {number}" for number in range(1, 6)}
    assert wanted <= places, sorted(wanted - places)


def test_all_sixteen_contradictions_have_two_sides_and_a_reason() -> None:
    assert [entry.id for entry in PUBLISHED.contradictions] == [f"C{number}" for number in range(1, 17)]
    for entry in PUBLISHED.contradictions:
        assert len(entry.sides) >= 2 and len(entry.because) > 80, entry.id
        assert any(side.readings for side in entry.sides), f"{entry.id}: nothing of it would ever be computed"


def test_every_claim_says_where_it_was_read_and_what_it_means() -> None:
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", PUBLISHED.checked)
    for claim in PUBLISHED.claims:
        assert claim.source and claim.definition.endswith("."), claim.id
        assert claim.kind != "digitised" or tolerance_of(claim), claim.id


def test_tables_of_shares_add_up_as_they_did_in_print() -> None:
    """A typing error in a table would show here: all three were printed as whole hundreds."""
    for number in ("tab-2", "tab-3", "tab-4"):
        claim = next(claim for claim in PUBLISHED.claims if claim.id == number)
        assert sum(float(text) for text in claim.values.values()) == pytest.approx(100.0, abs=0.005), number
    authors = next(claim for claim in PUBLISHED.claims if claim.id == "tab-1")
    assert sum(float(text) for text in authors.values.values()) == pytest.approx(33.80)


def test_digitised_weeks_are_mondays_in_figure_one_and_sundays_in_figure_nineteen() -> None:
    """As the charts label them."""
    for number, weekday in (("fig-1-cn", 1), ("fig-1-oss", 1), ("fig-10", 1), ("fig-20", 1), ("fig-19", 7)):
        claim = next(claim for claim in PUBLISHED.claims if claim.id == number)
        assert {claim.period_of(key)[0].isoweekday() for key in claim.values} == {weekday}, number


def test_the_mean_of_the_digitised_weeks_is_what_we_say_it_is() -> None:
    """9.0 and 12.8: of the 51 weeks that were measured, without the one that was read by eye."""
    cn, oss = (
        next(claim for claim in PUBLISHED.claims if claim.id == number).values for number in ("fig-1-cn", "fig-1-oss")
    )
    weeks = [week for week in cn if not cn[week].startswith("~")]
    assert len(weeks) == 51 and set(cn) == set(oss)
    chinese = sum(float(cn[week]) for week in weeks) / 51
    openly = sum(float(oss[week]) for week in weeks) / 51
    assert round(chinese, 1) == 9.0 and round(openly - chinese, 1) == 12.8


def every_reading() -> list[tuple[str, object]]:
    found = [(claim.id, reading) for claim in PUBLISHED.claims for reading in claim.readings]
    return found + [
        (f"{entry.id} {side.says}", reading)
        for entry in PUBLISHED.contradictions
        for side in entry.sides
        for reading in side.readings
    ]


def test_every_figure_of_ours_has_a_line_in_compare() -> None:
    """With a published value beside it, or saying that none was found."""
    named = {reading.figure for _, reading in every_reading()}  # type: ignore[attr-defined]
    named |= {figure for claim in PUBLISHED.claims for figure in claim.unpublished}
    named |= {reading.of_figure for _, reading in every_reading() if reading.of_figure}  # type: ignore[attr-defined]
    assert set(FIGURES) <= named, f"add to published.yml: {sorted(set(FIGURES) - named)}"
    assert named <= set(FIGURES), f"published.yml names figures that do not exist: {sorted(named - set(FIGURES))}"


def test_every_parameter_of_a_reading_exists() -> None:
    for where, reading in every_reading():
        for name in reading.params:  # type: ignore[attr-defined]
            assert name in Params.__struct_fields__, f"{where}: no parameter {name}"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('values: {open: "25.0"}', 'values: {open: "a quarter"}', "a quarter"),
        ("source: [A]", "source: [B]", "B"),
        ("unit: percent", "unit: per mille", "unit"),
        ("period: 2026-01-05:2026-01-11", "period: January", "January"),
        ("  readings:\n  - {figure: oss_split, groups: {source_type: open_cn}}\n", "", "readings"),
        ("contradictions: []", "contradictions: [}", "published"),
    ],
)
def test_an_entry_that_is_not_as_it_should_be_is_named(old: str, new: str, said: str) -> None:
    """Who edits the file is told which entry and why."""
    assert parse_published(SMALL, "small.yml").claims[0].id == "one"
    assert old in SMALL
    with pytest.raises(CatalogError, match=said):
        parse_published(SMALL.replace(old, new), "published.yml")
