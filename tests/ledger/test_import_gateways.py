"""Logs of other gateways: LiteLLM, one-api and new-api, Helicone. Samples are written by hand after their documents."""

import datetime as dt
import json
from pathlib import Path
from typing import Any

import pytest
from import_samples import rows_of, told, write_lines, write_text

from tidegate.ledger.imports import Options, run_import
from tidegate.ledger.store import Ledger


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger.create(tmp_path / "ledger")


def micros(*moment: int) -> int:
    return int(dt.datetime(*moment, tzinfo=dt.UTC).timestamp() * 1_000_000)


def spend_log(**changes: Any) -> dict[str, Any]:
    return {
        "request_id": "chatcmpl-1",
        "call_type": "acompletion",
        "api_key": "88dc28d0f030c55ed4ab77ed8faf098196cb1c05df778539800c9f1243fe6b4b",
        "spend": 0.0012345,
        "total_tokens": 1500,
        "prompt_tokens": 1200,
        "completion_tokens": 300,
        "startTime": "2026-03-23T10:00:00.250000Z",
        "endTime": "2026-03-23T10:00:02.250000Z",
        "completionStartTime": "2026-03-23T10:00:00.750000Z",
        "model": "azure/gpt-4o",
        "model_group": "gpt-4o",
        "custom_llm_provider": "azure",
        "user": "u-1",
        "team_id": "team-9",
        "end_user": "somebody@example.com",
        "cache_hit": "False",
        "messages": [{"role": "user", "content": "never read"}],
        "metadata": {
            "status": "success",
            "usage_object": {
                "prompt_tokens_details": {"cached_tokens": 1000},
                "completion_tokens_details": {"reasoning_tokens": 250},
            },
        },
        **changes,
    }


def test_a_litellm_spend_log_becomes_a_row(ledger: Ledger, tmp_path: Path) -> None:
    """Money exactly, times in UTC, the provider off the model's name, the end user only as a hash."""
    report = run_import("litellm", [write_lines(tmp_path, [spend_log()])], ledger)
    columns = (
        "ts, request_id, tenant_id, request_model, response_model, provider_name, is_cached, status_code, "
        "usage_input_tokens, usage_output_tokens, usage_cache_read_input_tokens, usage_reasoning_output_tokens, "
        "cost_nano_usd, cost_basis, duration_us, time_to_first_chunk_us, operation_name"
    )
    assert rows_of(ledger, columns) == [
        (
            *(micros(2026, 3, 23, 10, 0, 0, 250_000), "chatcmpl-1", "team-9", "gpt-4o", "gpt-4o", "azure", False, 200),
            *(1200, 300, 1000, 250, 1_234_500, "metered", 2_000_000, 500_000, "chat"),
        )
    ]
    (user,) = rows_of(ledger, "user_hash")[0]
    assert user and "somebody" not in user
    assert "texts of prompts and answers were not read: messages" in told(report)
    everything = b"".join(path.read_bytes() for path in ledger.path.rglob("*") if path.is_file())
    assert b"never read" not in everything and b"somebody@example.com" not in everything


def test_a_failed_call_says_so(ledger: Ledger, tmp_path: Path) -> None:
    error = {"status": "failure", "error_information": {"error_code": "429", "error_class": "RateLimitError"}}
    failed = spend_log(metadata=error, spend=0, prompt_tokens=0, completion_tokens=0, total_tokens=0)
    run_import("litellm", [write_lines(tmp_path, [failed])], ledger)
    assert rows_of(ledger, "status_code, error_type") == [(429, "RateLimitError")]


def test_a_key_that_stands_in_the_clear_is_not_kept(ledger: Ledger, tmp_path: Path) -> None:
    run_import("litellm", [write_lines(tmp_path, [spend_log(api_key="sk-secret-123")])], ledger)
    ((key,),) = rows_of(ledger, "key_id")
    assert key.startswith("hash:") and "secret" not in key


def test_the_spend_logs_of_a_csv_are_those_of_json(tmp_path: Path) -> None:
    """The export of the table has its JSON columns as texts; the rows are the same."""
    record = spend_log()
    cells = {name: json.dumps(v) if isinstance(v, (dict, list)) else str(v) for name, v in record.items()}
    quoted = ",".join('"' + cell.replace('"', '""') + '"' for cell in cells.values())
    one, other = (Ledger.create(tmp_path / name) for name in ("one", "other"))
    run_import("litellm", [write_lines(tmp_path, [record])], one)
    run_import("litellm", [write_text(tmp_path, ",".join(cells) + "\n" + quoted + "\n")], other)
    columns = "generation_id, ts, response_model, usage_input_tokens, usage_cache_read_input_tokens, cost_nano_usd"
    assert rows_of(one, columns) == rows_of(other, columns)


def one_api_log(**changes: Any) -> dict[str, Any]:
    other = {"cache_tokens": 500, "frt": 320.0, "model_ratio": 1.25}
    return {
        "id": 7,
        "user_id": 3,
        "created_at": 1_774_260_010,
        "type": 2,
        "username": "ming",
        "token_name": "default",
        "model_name": "gpt-4o",
        "quota": 1500,
        "prompt_tokens": 800,
        "completion_tokens": 90,
        "use_time": 4,
        "is_stream": True,
        "channel": 12,
        "content": "billing text",
        "other": json.dumps(other),
        **changes,
    }


def test_a_new_api_log_becomes_a_row(ledger: Ledger, tmp_path: Path) -> None:
    """1,500 units of 500,000 a USD are 0.003 USD; the log is written after the call, which took four seconds."""
    run_import("one-api", [write_lines(tmp_path, [one_api_log()])], ledger)
    assert rows_of(
        ledger,
        "ts, tenant_id, key_id, endpoint_id, response_model, usage_input_tokens, usage_cache_read_input_tokens, "
        "cost_nano_usd, duration_us, time_to_first_chunk_us, is_stream",
    ) == [
        (
            *(1_774_260_006_000_000, "ming", "default", "channel:12", "gpt-4o", 800, 500),
            *(3_000_000, 4_000_000, 320_000, True),
        )
    ]


def test_the_operators_own_quota_is_taken(ledger: Ledger, tmp_path: Path) -> None:
    run_import("one-api", [write_lines(tmp_path, [one_api_log()])], ledger, options=Options(quota_per_usd=1000))
    assert rows_of(ledger, "cost_nano_usd") == [(1_500_000_000,)]


def test_claudes_cached_tokens_are_added_to_input(ledger: Ledger, tmp_path: Path) -> None:
    """new-api keeps Anthropic's way of counting for Claude: prompt_tokens leaves out what was cached."""
    other = json.dumps({"claude": True, "cache_tokens": 500, "cache_creation_tokens": 100})
    report = run_import("one-api", [write_lines(tmp_path, [one_api_log(other=other)])], ledger)
    columns = "usage_input_tokens, usage_cache_read_input_tokens, usage_cache_creation_input_tokens"
    assert rows_of(ledger, columns) == [(1400, 500, 100)]
    assert "prompt_tokens of Claude leaves out cached tokens" in told(report)


def test_what_is_no_call_is_counted_and_left_out(ledger: Ledger, tmp_path: Path) -> None:
    """Top-ups, management and later corrections are money without a call."""
    correction = json.dumps({"quota_delta": -20, "task_id": "t"})
    logs = [one_api_log(), one_api_log(type=1, quota=9), one_api_log(type=3), one_api_log(other=correction)]
    report = run_import("one-api", [write_lines(tmp_path, logs)], ledger)
    assert (report.read, report.added, report.skipped) == (4, 1, 3)
    assert "a log of type 1 (top-up) (1 record)" in told(report)


def test_an_error_of_new_api_is_a_row_without_usage(ledger: Ledger, tmp_path: Path) -> None:
    """Its zero tokens are no measurement: the call failed before anything was counted."""
    other = json.dumps({"status_code": 503, "error_code": "upstream_down"})
    run_import("one-api", [write_lines(tmp_path, [one_api_log(type=5, other=other, quota=0)])], ledger)
    columns = "status_code, error_type, usage_input_tokens, cost_nano_usd"
    assert rows_of(ledger, columns) == [(503, "upstream_down", None, 0)]


def test_two_calls_alike_in_one_second_are_two_calls(ledger: Ledger, tmp_path: Path) -> None:
    """Users' exports cut `id` to 1024 and name no request: equal records of one file are numbered, not merged."""
    logs = [one_api_log(), one_api_log()]
    assert run_import("one-api", [write_lines(tmp_path, logs)], ledger).added == 2
    grown = write_lines(tmp_path, [*logs, one_api_log(completion_tokens=91)], "grown.jsonl")
    report = run_import("one-api", [grown], ledger)
    assert (report.added, report.known) == (1, 2)


def helicone_request(**changes: Any) -> dict[str, Any]:
    return {
        "request_id": "r-1",
        "request_created_at": "2026-03-23T18:00:00+08:00",
        "request_body": {"messages": "never read"},
        "response_status": 200,
        "request_model": "claude-sonnet-4-20250514",
        "model": "claude-sonnet-4-20250514",
        "provider": "ANTHROPIC",
        "country_code": "SG",
        "prompt_tokens": 100,
        "completion_tokens": 20,
        "prompt_cache_read_tokens": 900,
        "total_tokens": 120,
        "delay_ms": 1500,
        "time_to_first_token": 300,
        "cost": "0.000777",
        "request_user_id": "u",
        **changes,
    }


def test_a_helicone_request_becomes_a_row(ledger: Ledger, tmp_path: Path) -> None:
    """A cached count above its prompt cannot be a part of it: it was left out, and is added."""
    report = run_import("helicone", [write_lines(tmp_path, [helicone_request()])], ledger)
    assert rows_of(
        ledger,
        "ts, provider_name, ip_country, usage_input_tokens, usage_cache_read_input_tokens, cost_nano_usd, "
        "duration_us, time_to_first_chunk_us, status_code",
    ) == [(micros(2026, 3, 23, 10), "anthropic", "SG", 1000, 900, 777_000, 1_500_000, 300_000, 200)]
    assert "prompt_tokens leaves out cached tokens here" in told(report)


def test_a_cached_count_within_its_prompt_stays_a_part(ledger: Ledger, tmp_path: Path) -> None:
    run_import("helicone", [write_lines(tmp_path, [helicone_request(prompt_cache_read_tokens=60)])], ledger)
    assert rows_of(ledger, "usage_input_tokens, usage_cache_read_input_tokens") == [(100, 60)]


def test_a_pending_helicone_request_is_no_call_yet(ledger: Ledger, tmp_path: Path) -> None:
    records = [helicone_request(), helicone_request(request_id="r-2", response_status=-2)]
    report = run_import("helicone", [write_lines(tmp_path, records)], ledger)
    assert (report.added, report.skipped) == (1, 1)
