"""OpenRouter's own records of one account, and the daily series with its vintages and traps."""

import datetime as dt
import json
from pathlib import Path
from typing import Any

import pytest
from import_samples import rows_of, told, write_lines, write_text

from tidegate.core.errors import LedgerError
from tidegate.ledger.imports import Options, run_import
from tidegate.ledger.parquet import open_engine
from tidegate.ledger.rollup import attach
from tidegate.ledger.store import Ledger


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger.create(tmp_path / "ledger")


def usage_of(ledger: Ledger, columns: str) -> list[tuple[Any, ...]]:
    """The rollup daily_usage as figures read it: all vintages summed."""
    with open_engine() as connection:
        attach(ledger, connection, "daily_usage")
        return connection.execute(f"SELECT {columns} FROM daily_usage ORDER BY ALL").fetchall()


GENERATION = {
    "id": "gen-1782395748-RbpA",
    "created_at": "2026-06-25T13:55:48.000Z",
    "model": "deepseek/deepseek-v4-flash-20260423:free",
    "provider_name": "Fireworks",
    "total_cost": 0.00000602,
    "usage": 0.00000602,
    "upstream_inference_cost": 0,
    "is_byok": False,
    "tokens_prompt": 9,
    "tokens_completion": 19,
    "native_tokens_prompt": 11,
    "native_tokens_completion": 16,
    "native_tokens_reasoning": 19,
    "native_tokens_cached": 0,
    "latency": 5314,
    "generation_time": 6036,
    "streamed": True,
    "finish_reason": "stop",
    "provider_responses": [{"status": 500}, {"status": 200}],
    "data_region": "global",
}


@pytest.mark.parametrize("document", [{"data": GENERATION}, [GENERATION], {"data": [GENERATION]}])
def test_a_generation_becomes_a_row(document: object, ledger: Ledger, tmp_path: Path) -> None:
    """Native tokens are billed. Reasoning above completion, as OpenRouter reports here, is no part: null, and said."""
    report = run_import("openrouter-generations", [write_text(tmp_path, json.dumps(document), "g.json")], ledger)
    columns = (
        "request_id, response_model, model_variant, provider_name, attempt_count, usage_input_tokens, "
        "usage_output_tokens, usage_reasoning_output_tokens, cost_nano_usd, duration_us, time_to_first_chunk_us"
    )
    assert rows_of(ledger, columns) == [
        (
            *("gen-1782395748-RbpA", "deepseek/deepseek-v4-flash-20260423", "free", "Fireworks", 2),
            *(11, 16, None, 6020, 6_036_000, 5_314_000),
        )
    ]
    assert "usage_reasoning_output_tokens above usage_output_tokens: the part was set to null" in told(report)


ACTIVITY = (
    "generation_id,created_at,cost_total,cost_web_search,cost_cache,byok_usage_inference,tokens_prompt,"
    "tokens_completion,tokens_reasoning,tokens_cached,model_permaslug,provider_name,variant,cancelled,streamed,user,"
    "finish_reason_raw,finish_reason_normalized,generation_time_ms,time_to_first_token_ms,app_name,api_key_name\n"
    "gen-1,2026-03-30 02:37:51.271,0.015,0,-0.005,0,150,250,40,100,anthropic/claude-3-opus,Anthropic,standard,"
    "false,true,,end_turn,stop,1200,300,cursor,main key\n"
)


def test_the_activity_page_becomes_rows(ledger: Ledger, tmp_path: Path) -> None:
    """`cost_cache` is a part of `cost_total`: the call cost 0.015 USD, not 0.010."""
    run_import("openrouter-activity", [write_text(tmp_path, ACTIVITY)], ledger)
    columns = (
        "request_id, app, key_id, model_variant, is_byok, usage_cache_read_input_tokens, cost_nano_usd, finish_reason"
    )
    assert rows_of(ledger, columns) == [("gen-1", "cursor", "main key", "", False, 100, 15_000_000, "stop")]


def test_the_activity_api_becomes_daily_sums(ledger: Ledger, tmp_path: Path) -> None:
    """A record is a day, a model and an endpoint, not a call: two endpoints of one provider are added up."""
    one = {
        "date": "2026-07-29 00:00:00",
        "model": "qwen/qwen3.7-max",
        "model_permaslug": "qwen/qwen3.7-max-20260701",
        "provider_name": "Alibaba",
        "requests": 5,
        "prompt_tokens": 50,
        "completion_tokens": 125,
        "reasoning_tokens": 25,
        "usage": 0.015,
        "byok_usage_inference": 0.012,
    }
    document = {"data": [one, {**one, "endpoint_id": "other", "requests": 1, "usage": 0.5}]}
    run_import("openrouter-activity", [write_text(tmp_path, json.dumps(document), "a.json")], ledger)
    columns = "day, response_model, provider_name, calls, usage_input_tokens, total_tokens, cost_nano_usd"
    assert usage_of(ledger, columns) == [
        (dt.date(2026, 7, 29), "qwen/qwen3.7-max-20260701", "Alibaba", 6, 100, 350, 515_000_000)
    ]
    with pytest.raises(LedgerError, match="import them apart"):
        files = [write_text(tmp_path, json.dumps(document), "b.json"), write_text(tmp_path, ACTIVITY)]
        run_import("openrouter-activity", files, ledger)


HEADER = "Date,Model,Prompt,Completion,Reasoning,Total_Tokens\n"


def daily(ledger: Ledger, folder: Path, as_of: int, **tokens: str) -> Any:
    """One day of the series in billions of tokens, fetched on a day of April."""
    text = HEADER + "".join(f"2026-03-23,x/{name},{value},0,0,{value}\n" for name, value in tokens.items())
    options = Options(as_of=dt.datetime(2026, 4, as_of))
    return run_import("openrouter-daily", [write_text(folder, text, f"{as_of}.csv")], ledger, options=options)


def test_all_vintages_are_kept_and_the_newest_is_used(ledger: Ledger, tmp_path: Path) -> None:
    """Three downloads of one day: values rise, fall, and a model leaves the list."""
    daily(ledger, tmp_path, 1, a="5", b="2")
    daily(ledger, tmp_path, 2, a="6", b="1")
    report = daily(ledger, tmp_path, 3, a="4", c="3")
    assert usage_of(ledger, "response_model, total_tokens // 1000000000") == [("x/a", 4), ("x/b", 0), ("x/c", 3)]
    assert "1 values changed, 1 no longer listed (they count zero now)" in told(report)
    assert [entry.origin.partition(";")[0] for entry in ledger.entries()] == [
        f"as of 2026-04-0{number}T00:00:00" for number in (1, 2, 3)
    ]


def test_an_older_download_never_undoes_a_newer_one(ledger: Ledger, tmp_path: Path) -> None:
    daily(ledger, tmp_path, 5, a="6")
    report = daily(ledger, tmp_path, 2, a="5")
    assert usage_of(ledger, "total_tokens // 1000000000") == [(6,)]
    assert "1 day of these files are older than what the ledger holds" in told(report)


def test_an_old_file_again_undoes_nothing(ledger: Ledger, tmp_path: Path) -> None:
    """Without --as-of a file is as old as its first import: it must not come back as the newest vintage."""
    old, new = (write_text(tmp_path, HEADER + f"2026-03-23,x/a,{n},0,0,{n}\n", f"{n}.csv") for n in (5, 6))
    for file in (old, new, old):
        run_import("openrouter-daily", [file], ledger)
    assert usage_of(ledger, "total_tokens // 1000000000") == [(6,)]


def test_totals_alone_agree_with_their_parts_but_cannot_restate_them(ledger: Ledger, tmp_path: Path) -> None:
    """rankings-daily has no input and output: an equal total is known, another would leave parts without a whole."""
    daily(ledger, tmp_path, 1, a="5")

    def ranking(total: int) -> Path:
        item = {"date": "2026-03-23", "model_permaslug": "x/a", "total_tokens": str(total)}
        return write_text(tmp_path, json.dumps({"data": [item]}), "ranking.json")

    assert run_import("openrouter-daily", [ranking(5_000_000_000)], ledger).known == 1
    with pytest.raises(LedgerError, match="restates 2026-03-23 without usage_input_tokens"):
        run_import("openrouter-daily", [ranking(6_000_000_000)], ledger)
    assert usage_of(ledger, "total_tokens // 1000000000") == [(5,)]


FEED = (
    "capture_date,usage_date,model_permaslug,variant,count,total_prompt_tokens,total_completion_tokens,"
    "total_native_tokens_reasoning,total_native_tokens_cached,total_tool_calls,change\n"
)


def feed_line(model: str, calls: int, tokens: int, captured: str = "2026-07-31", variant: str = "standard") -> str:
    return f"{captured},2026-07-30,{model},{variant},{calls},{tokens},0,0,0,0,\n"


def test_columns_that_are_there_and_never_filled_are_null(ledger: Ledger, tmp_path: Path) -> None:
    """`total_tool_calls` is zero in all records of the feed: that is no measurement of zero tool calls."""
    text = FEED + "".join(feed_line(f"x/m{number}", 1, 2_000_000) for number in range(60))
    report = run_import("openrouter-daily", [write_text(tmp_path, text)], ledger)
    columns = "DISTINCT tool_calls, usage_reasoning_output_tokens, usage_cache_read_input_tokens, calls, total_tokens"
    assert usage_of(ledger, columns) == [(None, None, None, 1, 2_000_000)]
    assert "the column for tools is there and zero throughout: not filled by the source, so null" in told(report)
    assert "the file counts single tokens, not billions" in told(report)


def test_a_few_zeros_are_zeros(ledger: Ledger, tmp_path: Path) -> None:
    """Ten records of a real account without a tool call are ten records without a tool call."""
    text = FEED + "".join(feed_line(f"x/m{number}", 1, 2_000_000) for number in range(10))
    run_import("openrouter-daily", [write_text(tmp_path, text)], ledger)
    assert usage_of(ledger, "DISTINCT tool_calls") == [(0,)]


def test_spellings_variants_and_nameless_records_of_the_feed(ledger: Ledger, tmp_path: Path) -> None:
    """One name in two capitalisations is one model; a variant is a row of its own; nothing named nothing is nothing."""
    text = FEED + (
        feed_line("Qwen/Q8B", 5, 3_000_000)
        + feed_line("qwen/q8b", 1, 1_000_000)
        + feed_line("qwen/q8b", 2, 7, variant="free")
        + feed_line("", 0, 0)
    )
    report = run_import("openrouter-daily", [write_text(tmp_path, text)], ledger)
    assert usage_of(ledger, "response_model, model_variant, calls, total_tokens") == [
        ("qwen/q8b", "", 6, 4_000_000),
        ("qwen/q8b", "free", 2, 7),
    ]
    assert "a name in another spelling of capitals; added to the first (1 record)" in told(report)
    assert "a record without a name and without any count; left out (1 record)" in told(report)


def test_one_file_may_hold_several_vintages_of_a_day(ledger: Ledger, tmp_path: Path) -> None:
    """A day fetched on two days stands twice: the later capture is the newer vintage, not a second half."""
    text = FEED + feed_line("x/a", 5, 3_000_000) + feed_line("x/a", 6, 4_000_000, captured="2026-08-01")
    report = run_import("openrouter-daily", [write_text(tmp_path, text)], ledger)
    assert usage_of(ledger, "calls, total_tokens") == [(6, 4_000_000)]
    assert report.restated == 1


def test_the_day_of_the_download_is_left_out(ledger: Ledger, tmp_path: Path) -> None:
    """Half a day of tokens is no day: it comes in with the next download."""
    text = HEADER + "2026-03-22,x/a,5,0,0,5\n2026-03-23,x/a,2,0,0,2\n"
    options = Options(as_of=dt.datetime(2026, 3, 23, 11))
    report = run_import("openrouter-daily", [write_text(tmp_path, text)], ledger, options=options)
    assert usage_of(ledger, "day") == [(dt.date(2026, 3, 22),)]
    assert "a day that was not over when published (2026-03-23); left out (1 record)" in report.notes


def test_a_file_that_mixes_billions_and_tokens_is_refused(ledger: Ledger, tmp_path: Path) -> None:
    text = HEADER + "2026-03-23,x/a,1.5,0,0,1.5\n2026-03-23,x/b,5000000000,0,0,5000000000\n"
    with pytest.raises(LedgerError, match="line 3: 5000000000 can only be single tokens, but line 2 has a fraction"):
        run_import("openrouter-daily", [write_text(tmp_path, text)], ledger)


def test_days_of_a_source_that_was_starting_are_said(ledger: Ledger, tmp_path: Path) -> None:
    lines = ["2026-03-01,x/a,1,0,0,1\n"]
    lines += [f"2026-03-{day:02d},x/{model},1,0,0,1\n" for day in range(2, 12) for model in "abcdefghij"]
    report = run_import("openrouter-daily", [write_text(tmp_path, HEADER + "".join(lines))], ledger)
    assert "2026-03-01: only 1 to 1 models listed, far fewer than usual" in told(report)


def test_the_feed_of_august_comes_in(ledger: Ledger, shared_data: Path) -> None:
    """6,992 lines: 6 nameless and empty, 28 second spellings; no tool call was ever counted."""
    file = shared_data / "openrouter" / "model_rankings_daily_requests_aug2026.csv"
    report = run_import("openrouter-daily", [file], ledger)
    assert (report.read, report.added) == (6992 - 6, 6992 - 6 - 28)
    assert usage_of(ledger, "DISTINCT tool_calls, usage_reasoning_output_tokens") == [(None, None)]


def test_generations_in_json_lines(ledger: Ledger, tmp_path: Path) -> None:
    records = [{"data": {**GENERATION, "id": f"gen-{number}"}} for number in range(3)]
    assert run_import("openrouter-generations", [write_lines(tmp_path, records)], ledger).added == 3
