"""Prices by the hour: which holds at which instant, in every zone, over midnight, and in nights when clocks change."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate.core.errors import CatalogError
from tidegate.core.hours import (
    DAYS,
    HoursUnclear,
    Window,
    moment_text,
    moment_us,
    parse_window,
)
from tidegate.core.price import Price, Rates, Tier, cost, with_hours
from tidegate.core.usage import Usage

MINUTE_US = 60_000_000
WEEKS = {  # begins of weeks: an ordinary one, and those in which clocks change in Europe, America, Sydney and Lord Howe
    *("2026-06-01", "2026-03-25", "2026-10-21", "2026-03-05", "2026-10-29", "2026-10-01", "2026-04-02"),
}
ZONES = ("UTC", "Asia/Shanghai", "Europe/Berlin", "America/New_York", "Australia/Sydney", "Australia/Lord_Howe",
         "Asia/Kathmandu", "America/Sao_Paulo")  # fmt: skip


def priced(*windows: Window) -> Price:
    """A price of 1 outside, and of 2, 3, ... inside each window."""
    own = [(window, Rates(input=number, output=number), ()) for number, window in enumerate(windows, start=2)]
    return with_hours(Price(price_id="m@p#", rates=Rates(input=1, output=1)), own, "sent")


def naive_holds(window: Window, at: datetime) -> bool:
    """By the clock on the wall: each day's hours written out as minutes of that day and of the next."""
    local = at.astimezone(ZoneInfo(window.zone))
    minute = local.hour * 60 + local.minute
    for day, clock in ((local.date(), minute), (local.date() - timedelta(days=1), minute + 1440)):
        if day.weekday() not in window.days or day.isoformat() in window.days_off:
            continue
        if day.isoformat() < window.valid_from or (window.valid_until and day.isoformat() >= window.valid_until):
            continue
        for start, end in window.ranges:
            if start <= clock < (end if end > start else end + 1440):
                return True
    return False


minutes = st.integers(0, 1439)
ranges = st.tuples(minutes, st.integers(0, 1440)).filter(lambda pair: pair[0] != pair[1])
days_of_weeks = sorted({(date.fromisoformat(week) + timedelta(days=n)).isoformat() for week in WEEKS for n in range(8)})
windows = st.builds(
    Window,
    ranges=st.lists(ranges, min_size=1, max_size=3).map(tuple),
    days=st.sets(st.integers(0, 6), min_size=1).map(lambda days: tuple(sorted(days))),
    zone=st.sampled_from(ZONES),
    valid_from=st.just("") | st.sampled_from(days_of_weeks),
    valid_until=st.just("") | st.sampled_from(days_of_weeks),
    days_off=st.sets(st.sampled_from(days_of_weeks), max_size=3).map(lambda days: tuple(sorted(days))),
)


@settings(max_examples=8, deadline=None)
@given(
    chosen=st.lists(windows, min_size=1, max_size=2, unique_by=lambda one: one.name),
    week=st.sampled_from(sorted(WEEKS)),
)
def test_every_minute_of_a_week_has_the_price_that_a_plain_loop_finds(chosen: list[Window], week: str) -> None:
    """Whatever zone, days and dates; and `changes` names exactly the minutes at which the price is another."""
    price, begin = priced(*chosen), moment_us(week)
    seen, naive_changes = None, []
    for minute in range(7 * 1440 + 1):
        at_us = begin + minute * MINUTE_US
        at = datetime.fromtimestamp(at_us // 1_000_000, UTC)
        expected = next((n for n, window in enumerate(chosen, start=2) if naive_holds(window, at)), 1)
        assert price.at(at_us).rates.input == price.at(at_us + MINUTE_US - 1).rates.input == expected, (at, chosen)
        if seen not in (None, expected):
            naive_changes.append(at_us)
        seen = expected
    end = begin + 7 * 1440 * MINUTE_US
    assert price.changes(begin, end) == naive_changes
    assert {one.rates.input for one in price.within(begin, end)} == {
        price.at(begin).rates.input, *(price.at(us).rates.input for us in naive_changes)
    }  # fmt: skip


def test_deepseeks_nights_of_2025_end_half_an_hour_after_midnight() -> None:
    """16:30 to 00:30 UTC: the last minute before it, its first, its last, and the first after it."""
    window, priced_at = parse_window("16:30-00:30 completed")
    price = priced(window)
    assert priced_at == "completed"
    for text, expected in (("16:29", 1), ("16:30", 2), ("23:59", 2), ("00:00", 2), ("00:29", 2), ("00:30", 1)):
        assert price.at(moment_us(f"2025-03-01T{text}Z")).rates.input == expected, text
    assert price.at(moment_us("2025-03-01T00:30Z") - 1).rates.input == 2


def test_a_window_that_ends_on_a_day_ends_with_the_night_that_began_before_it() -> None:
    """`until` is of the day on which a window begins, so the last night is whole."""
    price = priced(parse_window("16:30-00:30 from 2025-02-26 until 2025-09-05")[0])
    assert price.at(moment_us("2025-02-26T00:10Z")).rates.input == 1
    assert price.at(moment_us("2025-02-27T00:10Z")).rates.input == 2
    assert price.at(moment_us("2025-09-05T00:10Z")).rates.input == 2
    assert price.at(moment_us("2025-09-05T17:00Z")).rates.input == 1


def test_weekdays_are_those_of_the_zone() -> None:
    """Monday at 09:00 in Shanghai is Monday 01:00 in UTC; Saturday there begins on Friday at 16:00 UTC."""
    price = priced(parse_window("mon-fri 00:00-24:00 Asia/Shanghai")[0])
    assert price.at(moment_us("2026-11-20T15:59Z")).rates.input == 2
    assert price.at(moment_us("2026-11-20T16:00Z")).rates.input == 1
    assert price.at(moment_us("2026-11-22T16:00Z")).rates.input == 2


def test_a_call_costs_the_rates_of_its_hour_to_the_nano_usd() -> None:
    """Half price at night, tiers of its own, and the row's price id names the window."""
    day = Rates(input=270_000_000, output=1_100_000_000, cache_read=70_000_000)
    night = Rates(input=135_000_000, output=550_000_000, cache_read=35_000_000)
    long_night = Tier(input_tokens_above=1000, rates=Rates(input=1_000_000_000, output=0))
    price = with_hours(
        Price(price_id="m@p#2025-02-26", rates=day), [(parse_window("16:30-00:30")[0], night, (long_night,))], "sent"
    )
    usage = Usage(input_tokens=1000, output_tokens=500, cache_read_input_tokens=400)
    noon, dusk = moment_us("2025-03-01T12:00Z"), moment_us("2025-03-01T20:00Z")
    assert cost(usage, price.at(noon)) == 600 * 270 + 400 * 70 + 500 * 1100
    assert cost(usage, price.at(dusk)) == 600 * 135 + 400 * 35 + 500 * 550
    assert cost(Usage(input_tokens=1001, output_tokens=500), price.at(dusk)) == 1001 * 1000
    assert price.at(dusk).price_id == "m@p#2025-02-26~16:30-00:30" and price.at(noon).price_id == "m@p#2025-02-26"
    shown = price.shown_at(dusk)
    assert (shown.rates, shown.price_id) == (night, price.at(dusk).price_id)
    assert shown.at(noon) is price.at(noon) and shown.shown_at(noon).rates == day
    assert msgspec.json.decode(msgspec.json.encode(price), type=Price) == price
    assert shown.each() == price.each() == (price.at(noon), price.at(dusk))
    assert price.at(noon).each() == (price.at(noon),)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "16:30-00:30"),
        ("mon-fri", "16:30-00:30"),
        ("09:00-09:00", "00:00-24:00"),
        ("24:00-09:00", "no part of a day"),
        ("9-17", "neither hours, days, a zone nor a date"),
        ("09:00-25:00", "neither hours"),
        ("09:00-17:00 Asia/Shangai", "Asia/Shanghai"),
        ("09:00-17:00 except mars", "china"),
        ("09:00-17:00 from 2025-13-01", "2026-08-16"),
        ("09:00-17:00 until", "2026-08-16"),
    ],
)
def test_hours_that_are_none_say_what_is_accepted(text: str, told: str) -> None:
    """What was seen, and the mend."""
    with pytest.raises(HoursUnclear, match=told):
        parse_window(text, {"china": ("2026-10-01",)})


@given(st.sets(st.sampled_from(DAYS), min_size=1))
def test_days_may_be_written_singly_or_as_ranges(days: set[str]) -> None:
    """`sat-mon` goes over the end of the week."""
    window, _ = parse_window(" ".join([*days, "08:00-09:00"]))
    assert {DAYS[day] for day in window.days} == days
    assert parse_window("fri-mon 08:00-09:00")[0].days == (0, 4, 5, 6)


def test_two_windows_of_one_name_are_refused() -> None:
    """A price id must tell them apart."""
    window = parse_window("08:00-09:00")[0]
    with pytest.raises(ValueError, match="same hours and days"):
        priced(window, msgspec.structs.replace(window, valid_from="2026-01-01"))


def test_moments_are_days_or_minutes() -> None:
    """And are in the order of their text."""
    assert moment_us("2026-08-16T16:00Z") - moment_us("2026-08-16") == 16 * 60 * MINUTE_US
    assert moment_text(moment_us("2026-08-16T16:00Z")) == "2026-08-16T16:00Z"
    assert "2026-08-16" < "2026-08-16T00:00Z" < "2026-08-16T16:00Z" < "2026-08-17"
    for text in ("2026-8-16", "2026-02-30", "2026-08-16T16:00", "yesterday", ""):
        with pytest.raises(CatalogError, match="2026-08-16T16:00Z"):
            moment_us(text)
