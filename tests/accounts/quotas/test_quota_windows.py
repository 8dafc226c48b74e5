"""Calendar windows: every instant is in exactly one, also where clocks are put forward and back."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.accounts.quotas.windows import window_end_us, window_of, window_start_us
from tidegate.core.errors import AccountsError
from tidegate.core.quota import Quota, Window, WindowKey

ZONES = ["UTC", "Asia/Kolkata", "Europe/Berlin", "America/New_York", "America/Sao_Paulo", "America/St_Johns",
         "Australia/Lord_Howe", "Pacific/Apia", "Asia/Beirut", "Africa/Cairo", "America/Toronto"]  # fmt: skip
WINDOWS: list[Window] = ["minute", "hour", "day", "week", "month"]
YEAR_2000_US, YEAR_2037_US = 946_684_800_000_000, 2_114_380_800_000_000


def us(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1_000_000


@given(at_us=st.integers(YEAR_2000_US, YEAR_2037_US), zone=st.sampled_from(ZONES), window=st.sampled_from(WINDOWS))
def test_a_window_holds_the_instants_between_its_ends(at_us: int, zone: str, window: Window) -> None:
    """Whoever asks from inside a window names the same one; the microsecond after its end is in the next."""
    start_us = window_start_us(window, at_us, zone)
    end_us = window_end_us(window, start_us, zone)
    assert end_us is not None and start_us <= at_us < end_us
    assert window_start_us(window, start_us, zone) == start_us
    if window not in ("minute", "hour"):  # a shift of half an hour, on one island, cuts two hours short
        assert window_start_us(window, end_us - 1, zone) == start_us
        assert window_start_us(window, end_us, zone) == end_us


@pytest.mark.parametrize(
    ("zone", "window", "at", "start", "end"),
    [
        ("Asia/Kolkata", "day", "2026-11-22T18:29:59", "2026-11-21T18:30:00", "2026-11-22T18:30:00"),
        ("Asia/Kolkata", "hour", "2026-11-22T10:15:00", "2026-11-22T09:30:00", "2026-11-22T10:30:00"),
        ("Europe/Berlin", "day", "2026-03-29T12:00:00", "2026-03-28T23:00:00", "2026-03-29T22:00:00"),  # 23 hours
        ("Europe/Berlin", "day", "2026-10-25T12:00:00", "2026-10-24T22:00:00", "2026-10-25T23:00:00"),  # 25 hours
        ("America/Sao_Paulo", "day", "2018-11-04T12:00:00", "2018-11-04T03:00:00", "2018-11-05T02:00:00"),  # no 0 h
        ("Pacific/Apia", "day", "2011-12-29T12:00:00", "2011-12-29T10:00:00", "2011-12-30T10:00:00"),  # no 30th
        ("America/New_York", "month", "2026-12-15T00:00:00", "2026-12-01T05:00:00", "2027-01-01T05:00:00"),
        ("Asia/Shanghai", "week", "2026-11-22T15:59:59", "2026-11-15T16:00:00", "2026-11-22T16:00:00"),  # from Monday
    ],
)
def test_days_weeks_and_months_are_the_zones_own(zone: str, window: Window, at: str, start: str, end: str) -> None:
    """Worked out by hand from the zones' published transitions."""
    found = window_start_us(window, us(at), zone)
    assert (found, window_end_us(window, found, zone)) == (us(start), us(end))


def test_a_lifetime_and_a_rolling_window_have_one_key() -> None:
    """Nothing begins anew there: the store forgets what is too old."""
    quota = Quota(quota_id="q", tenant_id="t", scope="key", subject="*", unit="tokens", window="hour", limit=1,
                  is_rolling=True)  # fmt: skip
    assert window_of(quota, "key_1", us("2026-11-22T10:00:00")) == WindowKey("q", "key_1", 0)
    assert window_end_us("lifetime", 0) is None


def test_an_unknown_zone_is_named() -> None:
    """With what is accepted."""
    with pytest.raises(AccountsError, match=r"'Mars/Olympus' is no time zone.*Asia/Kolkata"):
        window_start_us("day", 0, "Mars/Olympus")
