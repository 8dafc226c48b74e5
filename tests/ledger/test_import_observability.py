"""Exports of observability tools: Langfuse observations and OpenTelemetry GenAI spans, written by hand."""

import datetime as dt
import json
from pathlib import Path
from typing import Any

import pytest
from import_samples import rows_of, told, write_lines, write_text

from tidegate.ledger.imports import run_import
from tidegate.ledger.store import Ledger

START = int(dt.datetime(2026, 3, 23, 10, tzinfo=dt.UTC).timestamp() * 1_000_000)


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger.create(tmp_path / "ledger")


def observation(**changes: Any) -> dict[str, Any]:
    return {
        "id": "obs-1",
        "trace_id": "trace-1",
        "type": "GENERATION",
        "start_time": "2026-03-23 10:00:00.000000",
        "end_time": "2026-03-23 10:00:03.000000",
        "completion_start_time": "2026-03-23 10:00:01.000000",
        "provided_model_name": "claude-sonnet-4-20250514",
        "usage_details": {
            "input": 10,
            "output": 40,
            "input_cached_tokens": 300,
            "input_cache_creation": 90,
            "total": 440,
        },
        "cost_details": {"input": 0.001, "output": 0.002, "total": 0.003},
        "input": "never read",
        "user_id": "u-1",
        **changes,
    }


USAGE = (
    "usage_input_tokens, usage_output_tokens, usage_cache_read_input_tokens, usage_cache_creation_input_tokens, "
    "usage_reasoning_output_tokens"
)


def test_a_langfuse_generation_becomes_a_row(ledger: Ledger, tmp_path: Path) -> None:
    """Langfuse counts disjoint kinds: input 10, cached 300 and written 90 are 400 tokens of input."""
    report = run_import("langfuse", [write_lines(tmp_path, [observation()])], ledger)
    columns = f"ts, request_id, response_model, {USAGE}, cost_nano_usd, duration_us, time_to_first_chunk_us"
    assert rows_of(ledger, columns) == [
        (START, "obs-1", "claude-sonnet-4-20250514", 400, 40, 300, 90, None, 3_000_000, 3_000_000, 1_000_000)
    ]
    assert "a time without a zone was read as UTC (3 records)" in told(report)


def test_kinds_that_are_parts_by_their_total_are_not_added(ledger: Ledger, tmp_path: Path) -> None:
    inside = {"input": 400, "output": 40, "input_cached_tokens": 300, "output_reasoning": 25, "total": 440}
    run_import("langfuse", [write_lines(tmp_path, [observation(usage_details=inside)])], ledger)
    assert rows_of(ledger, USAGE) == [(400, 40, 300, None, 25)]


def test_spans_of_langfuse_are_no_calls(ledger: Ledger, tmp_path: Path) -> None:
    records = [observation(), observation(id="o2", type="SPAN"), observation(id="o3", type="TOOL")]
    report = run_import("langfuse", [write_lines(tmp_path, records)], ledger)
    assert (report.added, report.skipped) == (1, 2)
    assert "an observation of type SPAN (1 record)" in told(report)


def test_the_older_members_of_langfuse_are_read_too(ledger: Ledger, tmp_path: Path) -> None:
    old = {
        "id": "o",
        "startTime": "2026-03-23T10:00:00.000Z",
        "model": "gpt-4o",
        "usage": {"input": 7, "output": 5, "total": 12, "unit": "TOKENS"},
        "calculatedTotalCost": 0.5,
        "latency": 1.5,
    }
    run_import("langfuse", [write_text(tmp_path, json.dumps({"data": [old]}), "api.json")], ledger)
    assert rows_of(ledger, "usage_input_tokens, usage_output_tokens, cost_nano_usd, duration_us") == [
        (7, 5, 500_000_000, 1_500_000)
    ]


def attribute(name: str, value: Any) -> dict[str, Any]:
    kind = "stringValue"
    if isinstance(value, list):
        return {"key": name, "value": {"arrayValue": {"values": [{"stringValue": item} for item in value]}}}
    if isinstance(value, int):
        kind, value = "intValue", str(value)
    elif isinstance(value, float):
        kind = "doubleValue"
    return {"key": name, "value": {kind: value}}


def span(number: int = 1, **attributes: Any) -> dict[str, Any]:
    return {
        "traceId": "5b8efff798038103d269b633813fc60c",
        "spanId": f"eee19b7ec3c1b{number:03d}",
        "name": "chat gpt-4o",
        "startTimeUnixNano": str(START * 1000),
        "endTimeUnixNano": str((START + 2_000_000) * 1000 + 999),
        "attributes": [attribute(name.replace("__", "."), value) for name, value in attributes.items()],
    }


def export(*spans: dict[str, Any]) -> dict[str, Any]:
    resource = {"attributes": [attribute("service.name", "shop-assistant")]}
    return {"resourceSpans": [{"resource": resource, "scopeSpans": [{"scope": {}, "spans": list(spans)}]}]}


CHAT = {
    "gen_ai__operation__name": "chat",
    "gen_ai__provider__name": "openai",
    "gen_ai__request__model": "gpt-4o",
    "gen_ai__response__model": "gpt-4o-2024-08-06",
    "gen_ai__usage__input_tokens": 120,
    "gen_ai__usage__output_tokens": 30,
    "gen_ai__usage__cache_read__input_tokens": 100,
    "gen_ai__response__finish_reasons": ["stop"],
    "gen_ai__input__messages": "[never read]",
}


@pytest.mark.parametrize("lines", [True, False], ids=["an export a line", "one document"])
def test_a_span_becomes_a_row(lines: bool, ledger: Ledger, tmp_path: Path) -> None:
    """64-bit integers are strings in OTLP JSON, times are nanoseconds."""
    documents = [export(span(1, **CHAT)), export(span(2, **CHAT))]
    text = (
        "".join(json.dumps(d) + "\n" for d in documents)
        if lines
        else json.dumps(export(span(1, **CHAT), span(2, **CHAT)), indent=1)
    )
    report = run_import("otlp", [write_text(tmp_path, text, "spans.json")], ledger)
    assert (report.read, report.added) == (2, 2)
    columns = (
        "ts, app, provider_name, request_model, response_model, usage_input_tokens, usage_output_tokens, "
        "usage_cache_read_input_tokens, finish_reason, duration_us"
    )
    expected = (START, "shop-assistant", "openai", "gpt-4o", "gpt-4o-2024-08-06", 120, 30, 100, "stop", 2_000_000)
    assert rows_of(ledger, columns) == [expected, expected]
    assert "gen_ai.input.messages" in told(report)


def test_agents_and_tools_are_not_counted_beside_their_inferences(ledger: Ledger, tmp_path: Path) -> None:
    """An agent's span sums the tokens of the inferences inside it: both would count them twice."""
    agent = span(2, gen_ai__operation__name="invoke_agent", gen_ai__usage__input_tokens=120)
    tool = span(3, gen_ai__operation__name="execute_tool")
    http = span(4, http__request__method="POST")
    file = write_text(tmp_path, json.dumps(export(span(1, **CHAT), agent, tool, http)), "spans.json")
    report = run_import("otlp", [file], ledger)
    assert (report.added, report.skipped) == (1, 3)
    assert "a span of invoke_agent (1 record)" in told(report)


def test_older_names_of_attributes_are_read(ledger: Ledger, tmp_path: Path) -> None:
    old = {
        "gen_ai__system": "anthropic",
        "gen_ai__request__model": "claude-3-haiku",
        "gen_ai__usage__prompt_tokens": 9,
        "gen_ai__usage__completion_tokens": 4,
        "gen_ai__usage__cost": 0.25,
    }
    run_import("otlp", [write_text(tmp_path, json.dumps(export(span(1, **old))), "spans.json")], ledger)
    assert rows_of(ledger, "provider_name, usage_input_tokens, usage_output_tokens, cost_nano_usd") == [
        ("anthropic", 9, 4, 250_000_000)
    ]


def test_a_file_of_other_telemetry_is_rejected_and_counted(ledger: Ledger, tmp_path: Path) -> None:
    lines = [json.dumps({"resourceMetrics": []}), json.dumps(export(span(1, **CHAT)))]
    report = run_import("otlp", [write_text(tmp_path, "\n".join(lines) + "\n", "spans.json")], ledger)
    assert report.added == 1
    assert [(item.reason, item.count) for item in report.rejected] == [
        ("an object without resourceSpans is no OTLP export of traces", 1)
    ]
