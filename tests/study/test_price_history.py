"""Dated list prices: what a list of snapshots and a list of changes say of the days between."""

import datetime as dt
import itertools
from pathlib import Path

import pytest

from tidegate.catalog import load_catalog
from tidegate.study.price_history import PriceHistory, catalog_prices, read_prices
from tidegate.study.price_panel import PriceCut
from tidegate.study.result import StudyError

DAY = dt.date(2026, 1, 1)
ONE_USD = 10**9


def day(number: int) -> dt.date:
    return DAY + dt.timedelta(days=number)


def prices(tmp_path: Path, text: str) -> PriceHistory:
    (tmp_path / "prices.csv").write_text(text, "utf-8")
    return read_prices(tmp_path / "prices.csv", load_catalog())


def test_snapshots_that_agree_hold_between_and_those_that_differ_do_not(tmp_path: Path) -> None:
    """The day of the change is not known, so no day between is priced; nor is any day after the last list."""
    history = prices(
        tmp_path,
        "snapshot_date,model,input_usd_per_mtok,output_usd_per_mtok\n"
        "2026-01-01,acme/m,2,4\n2026-01-11,acme/m,2,4\n2026-01-21,acme/m,1,4\n2026-01-31,acme/other,1,1\n",
    )
    found = {number: history.during("acme/m", "", day(number), day(number)) for number in (-1, 0, 5, 10, 15, 20, 21)}

    rates = {number: step and (step.input // ONE_USD, step.output // ONE_USD) for number, step in found.items()}
    assert rates == {-1: None, 0: (2, 4), 5: (2, 4), 10: (2, 4), 15: None, 20: (1, 4), 21: None}
    (change,) = history.changes(day(0), day(40))
    assert (change.before.last, change.after.first) == (day(10), day(20))


def test_a_list_of_changes_holds_until_the_next_one(tmp_path: Path) -> None:
    """The old price to the day before, the new one from its day on; removed is not priced."""
    history = prices(
        tmp_path,
        "model,effective_at,event,input_usd_per_mtok,output_usd_per_mtok\n"
        "acme/m,2026-01-01T10:00:00Z,add,2,4\nacme/m,2026-01-11,change,1,4\nacme/m,2026-01-21,remove,,\n",
    )
    rates = [
        step and step.input // ONE_USD
        for step in (history.during("acme/m", "", day(number), day(number)) for number in (-1, 0, 9, 10, 19, 20))
    ]
    assert rates == [None, 2, 2, 1, 1, None]
    assert history.during("acme/m", "", day(8), day(12)) is None, "two prices in these days"


@pytest.mark.parametrize(("column", "amount"), [("prompt_usd_per_token", "0.0000025"), ("input_usd_per_mtok", "2.5")])
def test_the_unit_is_read_from_the_column(tmp_path: Path, column: str, amount: str) -> None:
    """Per token and per million tokens come to the same integer."""
    output = column.replace("prompt", "completion").replace("input", "output")
    history = prices(tmp_path, f"id,capture_date,{column},{output}\nacme/m,2026-01-01,{amount},{amount}\n")

    (step,) = history.steps["acme/m", ""]
    assert step.input == 2_500_000_000


def test_lines_without_a_price_are_counted(tmp_path: Path) -> None:
    """A router's price of -1 is no price, nor is an empty one."""
    history = prices(
        tmp_path,
        "model,valid_from,input_usd_per_mtok,output_usd_per_mtok\n"
        "acme/m,2026-01-01,1,1\nacme/auto,2026-01-01,-1,-1\nacme/x,,1,1\nacme/y,2026-01-01,,\n",
    )
    assert list(history.steps) == [("acme/m", "")]
    assert "3 of its lines" in history.basis


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("model,price\nacme/m,1\n", "no column snapshot_date or valid_from"),
        ("snapshot_date,input_usd_per_mtok,output_usd_per_mtok\n", "no column model or id"),
        ("snapshot_date,model,input\n2026-01-01,acme/m,1\n", "no column input_usd_per_mtok or prompt_usd_per_token"),
        ("snapshot_date,model,input_usd_per_mtok,output_usd_per_mtok\n", "no line with a model, a date and both rates"),
        ("", "its header is empty"),
    ],
)
def test_a_file_that_is_no_price_list_says_what_it_lacks(tmp_path: Path, text: str, says: str) -> None:
    """The error names the column and what is accepted."""
    with pytest.raises(StudyError, match=says):
        prices(tmp_path, text)


def test_a_file_that_is_not_there_or_not_text_is_named(tmp_path: Path) -> None:
    """No traceback."""
    (tmp_path / "bytes.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(StudyError, match="cannot be read"):
        read_prices(tmp_path / "nowhere.csv", load_catalog())
    with pytest.raises(StudyError, match="not UTF-8"):
        read_prices(tmp_path / "bytes.csv", load_catalog())


def test_the_catalog_prices_models_where_no_file_does() -> None:
    """Its steps never overlap and ascend."""
    history = catalog_prices(load_catalog())

    assert len(history.steps) > 300
    for steps in history.steps.values():
        for before, after in itertools.pairwise(steps):
            assert before.first <= before.last < after.first


def cut(last_old: int, first_new: int) -> PriceCut:
    return PriceCut(
        key=("acme/m", ""),
        before=2.0,
        after=1.0,
        since=day(-100),
        last_old=day(last_old),
        first_new=day(first_new),
        until=day(100),
    )


@pytest.mark.parametrize(
    ("last_old", "first_new", "expected"),
    [
        # weeks begin on days 0, 7, 14, 21, 28; the change is known to the day, on a Monday
        (13, 14, [-2, -1, 0, 1, 2]),
        # on a Thursday: its week has seen both prices
        (16, 17, [-2, -1, None, 0, 1]),
        # between two lists: weeks in which neither was seen count on no side
        (9, 24, [-2, -1, None, 0, 1]),
    ],
)
def test_weeks_are_counted_from_the_first_that_saw_the_new_price(
    last_old: int, first_new: int, expected: list[int | None]
) -> None:
    """0 is the first week in which the new price alone was seen, -1 the last of the old one."""
    assert [cut(last_old, first_new).week_of(day(7 * number)) for number in range(5)] == expected
