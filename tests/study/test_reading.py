"""Numbers read off a figure: which cells, over which whole, and how periods are joined."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.study.published import Reading, UnitName
from tidegate.study.reading import Unread, Wanted, read_off
from tidegate.study.result import Cell, Result, Value

WEEKS = ("2026-01-05", "2026-01-12", "2026-01-19")
A, B, C = (10, 30, 80), (90, 10, 20), (0, 60, 100)  # tokens by week of three groups


def result(cells: list[Cell], unit: str = "tokens", grain: str = "week") -> Result:
    return Result(
        figure="fig",
        definition="A test.",
        source_id="s",
        window="2026-01-05:2026-01-25",
        rows=tuple(cells),
        n=1,
        missing_share=0.0,
        unit=unit,
        grain=grain,
    )


def cell(period: str, value: Value | None, share: float | None = None, **groups: str) -> Cell:
    return Cell(period=period, groups=groups, value=value, share=share)


THREE = result(
    [
        cell(week, amounts[place], amounts[place] / (A[place] + B[place] + C[place]), kind=name)
        for place, week in enumerate(WEEKS)
        for name, amounts in (("a", A), ("b", B), ("c", C))
    ]
)


def read(reading: Reading, unit: UnitName = "percent", of: Result = THREE, **asked: object) -> float | str:
    return read_off(of, Wanted(reading=reading, unit=unit, **asked)).value  # type: ignore[arg-type]


def test_a_pooled_share_is_a_ratio_of_sums_and_a_mean_one_is_not() -> None:
    """C3 in small: 120 of 400 is 30 %, and the mean of 10, 30 and 40 % is 26.7 %."""
    kind = {"kind": ("a",)}
    assert read(Reading(figure="fig", groups=kind)) == pytest.approx(100 * 120 / 400)
    assert read(Reading(figure="fig", groups=kind, over="mean")) == pytest.approx((10 + 30 + 40) / 3)


def test_first_last_highest_and_lowest_week() -> None:
    kind = {"kind": ("b",)}
    shares = [90.0, 10.0, 10.0]
    assert read(Reading(figure="fig", groups=kind, over="first")) == pytest.approx(shares[0])
    assert read(Reading(figure="fig", groups=kind, over="last")) == pytest.approx(shares[2])
    assert read(Reading(figure="fig", groups=kind, over="max")) == pytest.approx(90)
    assert read(Reading(figure="fig", groups=kind, over="min")) == pytest.approx(10)


def test_several_groups_are_added_and_the_whole_may_be_a_part() -> None:
    """`of` makes a smaller whole: a and b without c."""
    both = Reading(figure="fig", groups={"kind": ("a", "b")})
    assert read(both) == pytest.approx(100 * 240 / 400)
    part = Reading(figure="fig", groups={"kind": ("a",)}, of={"kind": ("a", "b")})
    assert read(part) == pytest.approx(100 * 120 / 240)


def test_the_whole_may_be_of_another_figure() -> None:
    """C10 in small: 100 of the largest three is more than 100 of all open tokens."""
    other = result([cell(week, 400, kind="all") for week in WEEKS])
    reading = Reading(figure="fig", groups={"kind": ("c",)}, over="last", of={"kind": ("all",)}, of_figure="other")
    assert read_off(THREE, Wanted(reading=reading, unit="percent"), other).value == pytest.approx(25)
    assert read(Reading(figure="fig", groups={"kind": ("c",)}, over="last")) == pytest.approx(50)


def test_the_largest_group_is_picked_by_week_or_over_all_weeks() -> None:
    assert read(Reading(figure="fig", pick="largest", over="last")) == pytest.approx(50)
    pooled = Reading(figure="fig", pick="largest", of={"kind": ("a", "b", "c")})
    assert read(pooled) == pytest.approx(100 * 160 / 400)  # c: 0 + 60 + 100


def test_a_key_names_a_group_and_the_rest_is_what_no_key_names() -> None:
    reading = Reading(figure="fig", key="kind", rest="others")
    assert read(reading, keys=("a", "others"), key="a") == pytest.approx(30)
    assert read(reading, keys=("a", "others"), key="others") == pytest.approx(70)


def test_a_key_may_have_other_names_and_a_star_stands_for_all_that_begin_so() -> None:
    tags = result([cell(WEEKS[0], 6, tag="/x/y"), cell(WEEKS[0], 3, tag="/x"), cell(WEEKS[0], 1, tag="/z")])
    reading = Reading(figure="fig", key="tag", names={"ex": ("/x*",)}, of={})
    assert read(reading, of=tags, keys=("ex",), key="ex") == pytest.approx(90)


def test_one_period_is_looked_up_and_its_absence_is_told() -> None:
    reading = Reading(figure="fig", key="period", groups={"kind": ("a",)}, over="each")
    assert read(reading, first="2026-01-12") == pytest.approx(30)
    later = Reading(figure="fig", key="period", groups={"kind": ("a",)}, over="each", shift_days=1)
    assert read(later, first="2026-01-11") == pytest.approx(30)
    with pytest.raises(Unread, match="2026-01-05 to 2026-01-19"):
        read(reading, first="2026-02-02")


def test_the_first_period_of_a_lead_is_strict() -> None:
    """A tie leads nobody: c first exceeds b in the second week."""
    lead = Reading(figure="fig", groups={"kind": ("c",)}, of={"kind": ("b",)}, over="first_above", take="value")
    assert read(lead, "date") == "2026-01-12"
    tie = result([cell(WEEKS[0], 5, kind="c"), cell(WEEKS[0], 5, kind="b")])
    with pytest.raises(Unread, match="in no week"):
        read(lead, "date", of=tie)


@pytest.mark.parametrize(
    ("unit", "expected"), [("trillion tokens", 2.5), ("log10 million tokens", math.log10(2.5e6)), ("tokens", 2.5e12)]
)
def test_values_are_given_in_the_unit_of_the_claim(unit: UnitName, expected: float) -> None:
    made = result([cell(WEEKS[0], 2_500_000_000_000, kind="a")])
    assert read(Reading(figure="fig", take="value"), unit, of=made) == pytest.approx(expected)


def test_a_name_is_read_where_it_is_the_only_one() -> None:
    made = result(
        [cell(WEEKS[0], 1.5, model="m", segment="long tail"), cell(WEEKS[0], 2, model="n", segment="premium leaders")]
    )
    reading = Reading(figure="fig", key="model", take="name", column="segment")
    assert read(reading, "word", of=made, keys=("m", "n"), key="n") == "premium leaders"
    with pytest.raises(Unread, match="2 names"):
        read(Reading(figure="fig", take="name", column="segment"), "word", of=made)


def test_what_is_absent_is_not_zero() -> None:
    """A country that the figure does not name is unknown, and a cell without value is no observation."""
    with pytest.raises(Unread, match="kind has a, b, c"):
        read(Reading(figure="fig", groups={"kind": ("d",)}))
    with pytest.raises(Unread, match="no column 'country'"):
        read(Reading(figure="fig", groups={"country": ("US",)}))
    gap = result([cell(WEEKS[0], None, kind="a"), cell(WEEKS[0], 5, kind="b")])
    with pytest.raises(Unread, match="no value"):
        read(Reading(figure="fig", groups={"kind": ("a",)}), of=gap)
    with pytest.raises(Unread, match="nothing in these days"):
        read(Reading(figure="fig", groups={"kind": ("a",)}), of=result([]))


def test_a_figure_drawn_in_another_measure_than_asked_for_is_not_read() -> None:
    """A figure that knows only spend must not answer a question about calls."""
    spent = result([cell(WEEKS[0], 5, 1.0, author="x")], unit="nano-USD")
    with pytest.raises(Unread, match="drawn in nano-USD"):
        read(Reading(figure="fig", params={"measure": "calls"}), of=spent)
    assert read(Reading(figure="fig", params={"measure": "spend"}), of=spent) == 100


AMOUNTS = st.lists(st.tuples(st.integers(0, 10**15), st.integers(0, 10**15)), min_size=1, max_size=12)


@given(AMOUNTS)
def test_a_pooled_share_lies_between_the_lowest_and_the_highest_week(amounts: list[tuple[int, int]]) -> None:
    """Simpson or not: a ratio of sums is a weighted mean of the weeks' ratios."""
    weeks = [(f"2026-{place + 1:02}-01", a, b) for place, (a, b) in enumerate(amounts) if a + b]
    if not weeks:
        return
    made = result(
        [cell(week, value, value / (a + b), kind=name) for week, a, b in weeks for name, value in (("a", a), ("b", b))]
    )
    low, pooled, high = (
        float(read(Reading(figure="fig", groups={"kind": ("a",)}, over=over), of=made))  # type: ignore[arg-type]
        for over in ("min", "pooled", "max")
    )
    assert low - 1e-9 <= pooled <= high + 1e-9
    rest = float(read(Reading(figure="fig", groups={"kind": ("b",)}), of=made))
    assert pooled + rest == pytest.approx(100)
