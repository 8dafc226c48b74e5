"""Series from comparable claims only, their growth, bends, forecasts and reconciled parts."""

import datetime as dt
import math
import random
from pathlib import Path

import pytest
from claim_rows import claims_of
from hypothesis import given
from hypothesis import strategies as st

from tidegate.market.book import shipped_claims
from tidegate.market.change_points import change_points, shipped_events
from tidegate.market.claim import MarketError
from tidegate.market.forecast import forecast, keep, kept, score, walk_forward
from tidegate.market.reconcile import Stated, reconcile
from tidegate.market.series import Point, Series, find_series, series_of, value_at

START = dt.date(2024, 1, 1)
TODAY = dt.date(2026, 11, 22)


def series(logs: list[float], days: list[int]) -> Series:
    points = tuple(
        Point(day=START + dt.timedelta(days=d), value=math.exp(v), low=math.exp(v), high=math.exp(v), claims=(f"c{d}",))
        for d, v in zip(days, logs, strict=True)
    )
    return Series(key="x / tokens per day", entity="x", unit="tokens_per_day", basis="", scope="s", points=points)


def test_only_one_scope_makes_a_series_unless_a_bridge_is_declared() -> None:
    claims = claims_of("""
        a|one|Doubao|tokens_per_day|all products|2025-05-31|2025-05-31|16000000000000|tokens_per_day||q=eq
        b|one|Doubao|tokens_per_day|all products|2025-09-30|2025-09-30|30000000000000|tokens_per_day||q=eq
        c|two|Doubao|tokens_per_day|external|2025-12-31|2025-12-31|5000000000000|tokens_per_day||q=eq
    """)
    (alone,) = series_of(claims)
    assert [point.claims for point in alone.points] == [("a",), ("b",)]
    (bridged,) = series_of(claims, bridges={"external": "all products"})
    assert [point.claims for point in bridged.points] == [("a",), ("b",), ("c",)]


def test_totals_and_monthly_rates_become_rates_per_day_of_their_own_days() -> None:
    """42e12 over the 28 days of February is 1.5e12 a day; 62e12 per month in March, 2e12."""
    claims = claims_of("""
        a|one|Kimi|tokens_called|API|2026-02|2026-02|42000000000000|tokens|42万亿|q=eq
        b|one|Kimi|tokens_called|API|2026-03|2026-03|62000000000000|tokens_per_month|62万亿|q=eq
    """)
    (one,) = series_of(claims)
    assert [point.value for point in one.points] == pytest.approx([1.5e12, 2e12])
    (step,) = one.steps
    days = (dt.date(2026, 3, 16) - dt.date(2026, 2, 14)).days
    assert step.doubling_days == pytest.approx(math.log(2) / (math.log(2 / 1.5) / days))


def test_the_shipped_multiples_of_doubao_hold() -> None:
    """INDEX 5.4: 50e12 over 0.12e12 is 417."""
    one = find_series(series_of(shipped_claims(documents=False)), "doubao models, own")
    by_claim = {name: point.value for point in one.points for name in point.claims}
    assert by_claim["doubao-2025-12"] / by_claim["doubao-2024-05"] == pytest.approx(416.67, abs=0.01)


def test_between_two_points_the_log_is_straight_and_outside_nothing_is_said() -> None:
    one = series([0.0, 2.0], [0, 10])
    value, *_ = value_at(one, START + dt.timedelta(days=5))
    assert value == pytest.approx(math.e)
    with pytest.raises(MarketError, match="ask for a forecast"):
        value_at(one, START + dt.timedelta(days=11))


def test_the_two_inflections_of_july_2024_and_february_2025_are_found_with_their_events() -> None:
    """Synthetic: 2 % in 30 days, then 15 % from July 2024, then 40 % from February 2025, with 1 % noise."""
    noise = random.Random(5)
    days = [(dt.date(2024 + m // 12, m % 12 + 1, 1) - START).days for m in range(24)]
    logs, level = [], 0.0
    for month, day in enumerate(days):
        logs.append(level + noise.gauss(0, 0.01))
        ahead = days[month + 1] - day if month < 23 else 0
        level += math.log(1.02 if month < 6 else 1.15 if month < 13 else 1.4) * ahead / 30
    found = change_points(series(logs, days), shipped_events())
    assert [str(one.day)[:7] for one in found] == ["2024-07", "2025-02"]
    assert found[0].growth_before == pytest.approx(0.02, abs=0.01)
    assert found[1].growth_after == pytest.approx(0.4, abs=0.03)
    assert any("first inflection" in event for event in found[0].events)
    assert any("R1" in event for event in found[1].events)


def test_steady_growth_rarely_gets_a_change_point() -> None:
    """Of 40 synthetic series of 12 noisy points without a bend, at most four get one."""
    found = 0
    for seed in range(40):
        noise = random.Random(seed)
        found += bool(
            change_points(series([0.1 * i + noise.gauss(0, 0.05) for i in range(12)], list(range(0, 360, 30))))
        )
    assert found <= 4


def test_a_forecast_is_drift_and_its_band() -> None:
    """Steps 1, 2, 3 over 10 days each: mu = 0.2 a day; s2 = ((1-2)^2 + 0 + 1) / 10 / 2 = 0.1; at 10 days
    the centre is 6 + 2 and the variance 0.1 x (10 + 100 / 30) = 4/3; t(0.95, 2) = 2.919986."""
    made = forecast(series([0.0, 1.0, 3.0, 6.0], [0, 10, 20, 30]), made_at=TODAY)
    assert made.day == START + dt.timedelta(days=40)
    assert math.log(made.value) == pytest.approx(8.0)
    half = 2.919986 * math.sqrt(4 / 3)
    assert math.log(made.low) == pytest.approx(8 - half, abs=1e-5)
    assert math.log(made.high) == pytest.approx(8 + half, abs=1e-5)


@given(st.lists(st.floats(-2, 2), min_size=3, max_size=12), st.integers(1, 200), st.integers(1, 200))
def test_a_band_widens_with_time(steps: list[float], first: int, more: int) -> None:
    logs = [sum(steps[:i]) for i in range(len(steps) + 1)]
    one = series(logs, list(range(0, 10 * len(logs), 10)))
    last = one.points[-1].day
    near = forecast(one, made_at=TODAY, day=last + dt.timedelta(days=first))
    far = forecast(one, made_at=TODAY, day=last + dt.timedelta(days=first + more))
    assert near.low <= near.value <= near.high
    if far.low > 0 and far.high < math.inf and near.low > 0:
        assert math.log(far.high / far.low) >= math.log(near.high / near.low) - 1e-9


def test_the_ninety_percent_interval_holds_nine_times_of_ten() -> None:
    """400 synthetic random walks with drift, each forecast one step ahead: 90 % inside, give or take 3 errors."""
    chance = random.Random(11)
    inside = 0
    for _ in range(400):
        logs = [0.0]
        for _ in range(8):
            logs.append(logs[-1] + chance.gauss(0.3, 0.2))
        made = forecast(series(logs[:-1], list(range(0, 240, 30))), made_at=TODAY)
        inside += math.log(made.low) <= logs[-1] <= math.log(made.high)
    assert abs(inside / 400 - 0.9) < 3 * math.sqrt(0.9 * 0.1 / 400)


def test_a_kept_forecast_is_scored_when_the_figure_is_out(tmp_path: Path) -> None:
    before = series([0.0, 1.0, 3.0, 6.0], [0, 10, 20, 30])
    made = forecast(before, made_at=TODAY)
    keep(tmp_path / "f.jsonl", made)
    assert kept(tmp_path / "f.jsonl") == (made,)
    assert score([made], [before]) == ()
    (hit,) = score([made], [series([0.0, 1.0, 3.0, 6.0, 7.5], [0, 10, 20, 30, 41])])
    assert hit.inside and hit.log_error == pytest.approx(-0.5)
    assert hit.interval_score == pytest.approx(math.log(made.high / made.low))
    (miss,) = score([made], [series([0.0, 1.0, 3.0, 6.0, 20.0], [0, 10, 20, 30, 40])])
    over = 20 - math.log(made.high)
    assert not miss.inside
    assert miss.interval_score == pytest.approx(math.log(made.high / made.low) + 20 * over)


def test_too_few_points_are_refused_not_guessed() -> None:
    with pytest.raises(MarketError, match="an interval needs 3"):
        forecast(series([0.0, 1.0], [0, 10]), made_at=TODAY)


def test_walking_forward_never_sees_what_it_forecasts() -> None:
    one = series([0.0, 1.0, 3.0, 6.0, 7.0], [0, 10, 20, 30, 40])
    scores = walk_forward(one)
    assert [found.day for found in scores] == [point.day for point in one.points[3:]]
    changed = walk_forward(series([0.0, 1.0, 3.0, 6.0, 99.0], [0, 10, 20, 30, 40]))
    assert [found.value for found in scores] == [found.value for found in changed]


def test_parts_and_whole_meet_by_weight() -> None:
    """Whole 100 +/- 10, parts 60 +/- 10 and 50 +/- 10: 10 too much is shared in three, 3.33 each."""
    whole, left, right = reconcile(
        Stated(name="w", value=100, error=10),
        [Stated(name="a", value=60, error=10), Stated(name="b", value=50, error=10)],
        complete=True,
    )
    assert (whole.value, left.value, right.value) == pytest.approx((103.3333, 56.6667, 46.6667), abs=1e-4)
    assert whole.change == pytest.approx(3.3333, abs=1e-4) and left.errors == pytest.approx(-0.3333, abs=1e-4)


def test_an_incomplete_whole_keeps_a_rest_and_nothing_falls_below_zero() -> None:
    told = reconcile(Stated(name="w", value=100, error=1), [Stated(name="a", value=30, error=1)], complete=False)
    assert [round(one.value, 6) for one in told] == [100, 30, 70]
    tight = reconcile(
        Stated(name="w", value=10, error=0.1),
        [Stated(name="a", value=40, error=1), Stated(name="b", value=1, error=5)],
        complete=True,
    )
    assert all(one.value >= 0 for one in tight)
    assert tight[0].value == pytest.approx(tight[1].value + tight[2].value)
