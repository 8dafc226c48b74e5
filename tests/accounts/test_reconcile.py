"""A provider's export against our rows: every planted difference comes back under its cause, to the nano-USD."""

import datetime as dt
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner

from tidegate.accounts.reconcile import Options, Reconciled, reconcile
from tidegate.cli import cli
from tidegate.core.errors import LedgerError
from tidegate.core.ids import gateway_tag, generation_id
from tidegate.core.row import Attempt, Row
from tidegate.ledger.store import Ledger

DAY = "2026-10-05"
GPT_5 = "openai/gpt-5"  # 1.25 USD in, 0.125 cached, 10 out, a million tokens


def noon_us(day: str) -> int:
    return int(dt.datetime.fromisoformat(f"{day}T12:00:00+00:00").timestamp() * 1_000_000)


def row(number: int, *, day: str = DAY, model: str = GPT_5, **changes: Any) -> Row:
    """A call of 10,000 tokens in (4,000 cached) and 500 out: 13,000,000 nano-USD at gpt-5's price."""
    ts = noon_us(day) + number
    made = Row(
        generation_id=generation_id(ts // 1000, number, gateway_tag("gw"), 0, number),
        ts=ts,
        source_id="own",
        response_model=model,
        provider_name="openai",
        endpoint_id=f"{model}@openai",
        attempt_count=1,
        status_code=200,
        usage_input_tokens=10_000,
        usage_output_tokens=500,
        usage_cache_read_input_tokens=4_000,
        usage_reasoning_output_tokens=300,
        requests=1,
        cost_nano_usd=13_000_000,
        upstream_cost_nano_usd=13_000_000,
        cost_basis="metered",
    )
    return msgspec.structs.replace(made, **changes)


def usage(day: str = DAY, model: str = "gpt-5-2025-08-07", **changes: Any) -> dict[str, Any]:
    """OpenAI's bucket of that day: 100 calls as `row` makes them."""
    result = {
        "object": "organization.usage.completions.result",
        "input_tokens": 1_000_000,
        "output_tokens": 50_000,
        "input_cached_tokens": 400_000,
        "num_model_requests": 100,
        "model": model,
        "batch": False,
        **changes,
    }
    return {"object": "bucket", "start_time": noon_us(day) // 1_000_000, "results": [result]}


def costs(usd: float, day: str = DAY, item: str = "gpt-5-2025-08-07, input") -> dict[str, Any]:
    result = {"object": "organization.costs.result", "amount": {"value": usd, "currency": "usd"}, "line_item": item}
    return {"object": "bucket", "start_time": noon_us(day) // 1_000_000, "results": [result]}


def compared(tmp_path: Path, rows: list[Row], buckets: list[dict[str, Any]], attempts: Any = ()) -> Reconciled:
    ledger = Ledger.create(tmp_path / "ledger")
    if rows:
        ledger.add_rows(rows, attempts, unit="rows", origin="test")
    file = tmp_path / "usage.json"
    file.write_text(json.dumps({"object": "page", "data": buckets, "has_more": False}))
    return reconcile([file], ledger)


def causes(found: Reconciled) -> dict[str, int]:
    return {cause: amount for cause, amount, _ in found.causes}


UNKNOWN: dict[str, Any] = {"cost_basis": "unknown", "upstream_cost_nano_usd": None}
HUNDRED = [row(number) for number in range(100)]


def test_what_agrees_has_no_difference_and_no_cause(tmp_path: Path) -> None:
    """Names with and without a date are one model."""
    found = compared(tmp_path, HUNDRED, [usage(), costs(1.3)])
    assert (found.ours_nano_usd, found.theirs_nano_usd, found.causes) == (1_300_000_000, 1_300_000_000, ())
    assert found.days[0].is_alike


CASES: dict[str, tuple[list[Row], list[dict[str, Any]], dict[str, int]]] = {
    "calls past the gateway": (HUNDRED[:90], [usage(), costs(1.3)], {"calls_missing": 130_000_000}),
    "calls of unknown usage": (
        [
            *HUNDRED[:95],
            *(
                row(n, usage_input_tokens=None, usage_output_tokens=None, usage_cache_read_input_tokens=None, **UNKNOWN)
                for n in range(95, 100)
            ),
        ],
        [usage(), costs(1.3)],
        {"unmetered": 65_000_000},
    ),
    "cached tokens misread": (
        [row(n, usage_cache_read_input_tokens=0, upstream_cost_nano_usd=17_500_000) for n in range(100)],
        [usage(), costs(1.3)],
        {"cache_counts": -450_000_000},
    ),
    "reasoning left out": (
        [row(n, usage_output_tokens=200, upstream_cost_nano_usd=10_000_000) for n in range(100)],
        [usage(), costs(1.3)],
        {"reasoning_counts": 300_000_000},
    ),
    "batch": (HUNDRED, [usage(batch=True), costs(0.65)], {"batch": -650_000_000}),
    "their price": (HUNDRED, [usage(), costs(1.43)], {"their_price": 130_000_000}),
    "our price": (
        [row(n, upstream_cost_nano_usd=10_000_000) for n in range(100)],
        [usage(), costs(1.3)],
        {"our_price": 300_000_000},
    ),
    "not ours": (
        HUNDRED,
        [
            usage(),
            costs(1.3),
            usage(model="gpt-4o", input_cached_tokens=0),
            costs(3.0, item="gpt-4o-2024-08-06"),
        ],
        {"not_in_our_rows": 3_000_000_000},
    ),
    "not theirs": (
        [*HUNDRED, row(200, model="openai/gpt-4o", upstream_cost_nano_usd=20_000_000)],
        [usage(), costs(1.3)],
        {"not_in_their_export": -20_000_000},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_planted_difference_is_found_under_its_cause(tmp_path: Path, case: str) -> None:
    rows, buckets, expected = CASES[case]
    found = compared(tmp_path, rows, buckets)
    assert causes(found) == expected
    assert found.difference_nano_usd == sum(expected.values())


def test_calls_near_midnight_are_told_from_lost_ones(tmp_path: Path) -> None:
    """Ten calls that began before midnight and ended after it."""
    rows = [*HUNDRED, *(row(number, day="2026-10-06") for number in range(100))]
    counts = {"num_model_requests": 1, "input_tokens": 10_000, "output_tokens": 500, "input_cached_tokens": 4_000}
    less, more = ({name: count * calls for name, count in counts.items()} for calls in (90, 110))
    bill = [usage(**less), usage("2026-10-06", **more), costs(1.17), costs(1.43, "2026-10-06")]
    found = compared(tmp_path, rows, bill)
    assert found.difference_nano_usd == 0
    assert {item.parts[0].cause for item in found.days} == {"over_midnight"}


def test_failed_attempts_count_where_they_were_sent(tmp_path: Path) -> None:
    """A fallback: openai produced tokens and broke off, another provider served. Only the former is openai's."""
    made = row(1, provider_name="azure", attempt_count=2, upstream_cost_nano_usd=33_000_000)
    tried = Attempt(
        generation_id=made.generation_id,
        attempt_no=1,
        ts=made.ts,
        endpoint_id=f"{GPT_5}@openai",
        error_type="upstream_error",
        usage_input_tokens=10_000,
        usage_output_tokens=750,
        upstream_cost_nano_usd=20_000_000,
    )
    served = msgspec.structs.replace(
        tried, attempt_no=2, endpoint_id=f"{GPT_5}@azure", error_type=None, upstream_cost_nano_usd=13_000_000
    )
    bucket = usage(num_model_requests=1, input_tokens=10_000, output_tokens=750, input_cached_tokens=0)
    found = compared(tmp_path, [made], [bucket, costs(0.02)], [tried, served])
    assert (found.ours_nano_usd, found.difference_nano_usd) == (20_000_000, 0)


def test_unsealed_calls_are_compared_too(tmp_path: Path) -> None:
    """A bill of today must not wait for the seal."""
    from tidegate.core.row import Outcome
    from tidegate.ledger.journal import JournalWriter

    ledger = Ledger.create(tmp_path / "ledger")
    writer = JournalWriter(ledger.journal_path, "gw", 1, now_us=1)
    for number in range(100):
        writer.append(Outcome(row=row(number, segment_id=writer.segment_id, segment_seq=number)))
    writer.flush()
    file = tmp_path / "usage.json"
    file.write_text(json.dumps({"data": [usage(), costs(1.3)]}))
    assert reconcile([file], ledger).difference_nano_usd == 0


ANTHROPIC_CSV = (
    "usage_date_utc,model_version,api_key,workspace,usage_type,context_window,usage_input_tokens_no_cache,"
    "usage_input_tokens_cache_write_5m,usage_input_tokens_cache_write_1h,usage_input_tokens_cache_read,"
    "usage_output_tokens,web_search_count,inference_geo,speed\n"
    f"{DAY},claude-sonnet-4-5-20250929,key,Default,standard,≤ 200k,100000,20000,10000,70000,5000,0,global,\n"
)
SONNET_USD = (100_000 * 3 + 20_000 * 3.75 + 10_000 * 6 + 70_000 * 0.3 + 5_000 * 15) / 1e6


@pytest.mark.parametrize("form", ["csv", "api"])
def test_anthropics_parts_of_the_input_are_added_and_its_cents_are_cents(tmp_path: Path, form: str) -> None:
    """The API's cost report states cents; 53.1 of them here."""
    sonnet = row(
        1,
        model="anthropic/claude-sonnet-4.5",
        provider_name="anthropic",
        usage_input_tokens=200_000,
        usage_output_tokens=5_000,
        usage_cache_read_input_tokens=70_000,
        usage_cache_creation_input_tokens=30_000,
        usage_reasoning_output_tokens=None,
        upstream_cost_nano_usd=round(SONNET_USD * 1e9),
    )
    ledger = Ledger.create(tmp_path / "ledger")
    ledger.add_rows([sonnet], [], unit="rows", origin="test")
    files = [tmp_path / "usage", tmp_path / "costs"]
    if form == "csv":
        files[0].write_text(ANTHROPIC_CSV)
        files[1].write_text(f"usage_date_utc,model,token_type,cost_usd\n{DAY},Claude Sonnet 4.5,all,{SONNET_USD}\n")
    else:
        day = {"starting_at": f"{DAY}T00:00:00Z", "ending_at": "2026-10-06T00:00:00Z"}
        counts = {
            "uncached_input_tokens": 100_000,
            "cache_creation": {"ephemeral_1h_input_tokens": 10_000, "ephemeral_5m_input_tokens": 20_000},
            "cache_read_input_tokens": 70_000,
            "output_tokens": 5_000,
            "model": "claude-sonnet-4-5-20250929",
        }
        cost = {"currency": "USD", "amount": str(SONNET_USD * 100), "cost_type": "tokens", "model": "claude-sonnet-4-5"}
        files[0].write_text(json.dumps({"data": [{**day, "results": [counts]}], "has_more": False}))
        files[1].write_text(json.dumps({"data": [{**day, "results": [cost]}], "has_more": False}))
    found = reconcile(files, ledger)
    assert (found.provider, found.difference_nano_usd) == ("anthropic", 0)
    assert found.days[0].theirs.input_tokens == 200_000
    assert not found.causes


def test_any_table_is_read_by_a_mapping(tmp_path: Path) -> None:
    ledger = Ledger.create(tmp_path / "ledger")
    ledger.add_rows(HUNDRED, [], unit="rows", origin="test")
    (tmp_path / "bill.csv").write_text(f"Date;Model;In;Cached;Out;Cents\n{DAY};gpt-5;600000;400000;50000;130\n")
    (tmp_path / "bill.yml").write_text(
        "columns:\n  day: Date\n  model: Model\n  input_tokens: In\n  cache_read_tokens: Cached\n"
        "  output_tokens: Out\n  cost: {from: Cents, unit: cent}\ninput_excludes: [cache_read_tokens]\n"
    )
    options = Options(mapping=tmp_path / "bill.yml", provider="openai")
    assert reconcile([tmp_path / "bill.csv"], ledger, options).difference_nano_usd == 0
    with pytest.raises(LedgerError, match="--provider"):
        reconcile([tmp_path / "bill.csv"], ledger, Options(mapping=tmp_path / "bill.yml"))


def test_the_command_names_the_main_cause(tmp_path: Path) -> None:
    ledger = Ledger.create(tmp_path / "ledger")
    ledger.add_rows(HUNDRED[:90], [], unit="rows", origin="test")
    (tmp_path / "u.json").write_text(json.dumps({"data": [usage(), costs(1.3)]}))
    arguments = ["accounts", "reconcile", str(tmp_path / "u.json"), "--ledger", str(ledger.path)]
    table, listed = (CliRunner().invoke(cli, [*arguments, "--format", form]) for form in ("table", "csv"))
    assert "calls_missing" in table.output and "$0.1300" in table.output, table.output
    assert "calls_missing 130000000" in listed.output
