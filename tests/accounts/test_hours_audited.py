"""Prices by the hour in logs and exports of others: a call is held against the rates of its own hour."""

import datetime as dt
import json
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from tidegate.accounts.audit import Options, audit
from tidegate.accounts.reconcile.day import DayUse, at_hours_of
from tidegate.catalog import load_catalog
from tidegate.cli import cli
from tidegate.core.hours import parse_window
from tidegate.core.price import Price, Rates, cost, with_hours
from tidegate.core.usage import Usage

DAY_USD, NIGHT_USD = 10_000 * 0.27e-6 + 500 * 1.10e-6, 10_000 * 0.135e-6 + 500 * 0.55e-6


def spend_log(when: str, spend: float) -> dict[str, object]:
    """10,000 tokens in, none of them cached, and 500 out, of deepseek-chat."""
    start = dt.datetime.fromisoformat(when.replace("Z", "+00:00"))
    usage = {
        "prompt_tokens": 10_000,
        "completion_tokens": 500,
        "total_tokens": 10_500,
        "prompt_tokens_details": {"cached_tokens": 0},
    }
    return {
        "request_id": f"call-{when}-{spend}",
        "call_type": "acompletion",
        "spend": round(spend, 9),
        "prompt_tokens": 10_000,
        "completion_tokens": 500,
        "total_tokens": 10_500,
        "startTime": start.isoformat(),
        "endTime": (start + dt.timedelta(seconds=9)).isoformat(),
        "model": "deepseek-chat",
        "custom_llm_provider": "deepseek",
        "status": "success",
        "cache_hit": "False",
        "metadata": {"status": "success", "usage_object": usage},
    }


@pytest.mark.parametrize(
    ("when", "usd", "cause"),
    [
        ("2025-03-01T20:00:00Z", NIGHT_USD, None),
        ("2025-03-01T20:00:00Z", DAY_USD, "price_of_other_hour"),
        ("2025-03-02T00:10:00Z", NIGHT_USD, None),
        ("2025-03-01T12:00:00Z", DAY_USD, None),
        ("2025-03-01T12:00:00Z", NIGHT_USD, "price_of_other_hour"),
        ("2025-03-01T16:20:00Z", NIGHT_USD, None),  # it may have ended after 16:30
        ("2025-03-01T16:20:00Z", DAY_USD, None),
        ("2025-10-01T20:00:00Z", NIGHT_USD, "price_out_of_date"),
    ],
)
def test_an_old_log_is_held_against_the_hours_of_its_time(
    tmp_path: Path, when: str, usd: float, cause: str | None
) -> None:
    """DeepSeek's nights of 2025 cost half; near their begin either price is right, and after September neither."""
    file = tmp_path / "log.jsonl"
    file.write_text(json.dumps(spend_log(when, usd)) + "\n")
    found = audit([file], Options())
    assert [finding.causes for finding in found.findings] == ([(cause,)] if cause else [])
    if cause == "price_of_other_hour":
        right = NIGHT_USD if usd == DAY_USD else DAY_USD
        assert found.findings[0].should_nano_usd == round(right * 1e9)


def test_a_days_sum_is_held_against_the_mix_of_hours_that_our_rows_have() -> None:
    """A third of our tokens at night: their count of the same tokens costs what our rows do, to the nano-USD."""
    day, night = Rates(input=270_000_000, output=1_100_000_000), Rates(input=135_000_000, output=550_000_000)
    price = with_hours(Price(price_id="m@p#", rates=day), [(parse_window("16:30-00:30")[0], night, ())], "completed")
    by_day = Usage(input_tokens=600_000, output_tokens=2_000)
    at_night = Usage(input_tokens=300_000, output_tokens=1_000)
    spent = cost(by_day, price.faces[0].price) + cost(at_night, price.faces[1].price)
    ours = DayUse(requests=9, input_tokens=900_000, output_tokens=3_000, cost_nano_usd=spent)
    assert at_hours_of(price, ours).rates.input == 225_000_000
    assert ours.list_cost(at_hours_of(price, ours)) == spent
    assert at_hours_of(price, msgspec.structs.replace(ours, cost_nano_usd=10**12)) is price, "no mix costs that"
    assert at_hours_of(price, DayUse()) is price
    plain = Price(price_id="m@p#", rates=day)
    assert at_hours_of(plain, ours) is plain


def test_a_usage_body_costs_what_its_minute_does() -> None:
    """`--day` takes a minute; a day means its noon."""
    usage = {"prompt_tokens": 1000, "completion_tokens": 10, "total_tokens": 1010}
    body = {"model": "deepseek-v4-pro", "usage": usage}

    def printed(*arguments: str) -> str:
        said = ("usage", "-", "--provider", "deepseek", "--flavour", "chat", *arguments)
        ended = CliRunner().invoke(cli, said, input=json.dumps({"body": body}))
        return ended.output or str(ended.exception)

    assert "deepseek-v4-pro@deepseek#~01:00-04:00" in printed("--day", "2026-11-23T02:00Z")
    assert "deepseek-v4-pro@deepseek#2026-08-17" in printed("--day", "2026-11-23")
    assert "deepseek-v4-pro@deepseek#2026-08-17" in printed("--day", "2026-11-23T04:00Z")
    assert "2026-08-16T16:00Z" in printed("--day", "tomorrow")


def test_the_catalog_prints_a_line_for_each_hour() -> None:
    """With both rates, and the window in the name."""
    printed = CliRunner().invoke(cli, ["catalog", "prices", "deepseek-flash", "--format", "csv"]).output
    lines = [line for line in printed.splitlines() if "deepseek/deepseek-flash@deepseek#" in line]
    assert len(lines) == 2 and any("~mon-fri_09:00-12:00_14:00-18:00_Asia/Shanghai" in line for line in lines)
    assert load_catalog().price_on("deepseek", "deepseek-flash", "2026-11-22") is not None
