"""Calls for the ledger's tests: real structs with plain values, numbered."""

from pathlib import Path

import msgspec
from hypothesis import strategies as st

from tidegate.core.ids import gateway_tag, generation_id
from tidegate.core.row import Attempt, Intent, Outcome, Row, TaskTag
from tidegate.ledger.journal import JournalWriter

NOW_US = 1_774_267_200_000_000  # 2026-03-23T12:00:00Z
DAY_US = 86_400_000_000


def call_id(number: int, ts: int = NOW_US) -> str:
    return generation_id(ts // 1000 + number // 4096, number, gateway_tag("gw"), 0, number)


def make_row(number: int, *, ts: int = NOW_US, **changes: object) -> Row:
    row = Row(
        generation_id=call_id(number, ts),
        ts=ts + number,
        source_id="own",
        gateway_id="gw",
        tenant_id="acme",
        operation_name="chat",
        dialect="openai-chat",
        request_model="openai/gpt-4o-mini",
        response_model="openai/gpt-4o-mini",
        model_variant="",
        provider_name="openai",
        endpoint_id="openai/gpt-4o-mini@openai",
        attempt_count=1,
        is_stream=number % 2 == 0,
        status_code=200,
        finish_reason="stop",
        usage_input_tokens=1000 + number,
        usage_output_tokens=300,
        requests=1,
        cost_nano_usd=330_000 + number,
        upstream_cost_nano_usd=330_000,
        cost_basis="metered",
        price_id="openai/gpt-4o-mini@openai/2025-01-01",
        duration_us=812_345,
    )
    return msgspec.structs.replace(row, **changes)


def make_attempt(number: int, attempt_no: int = 1, *, ts: int = NOW_US) -> Attempt:
    return Attempt(
        generation_id=call_id(number, ts),
        attempt_no=attempt_no,
        ts=ts + number,
        endpoint_id="openai/gpt-4o-mini@openai",
        status_code=200,
        usage_input_tokens=1000 + number,
        duration_us=800_000,
    )


def make_intent(number: int, attempt_no: int = 1, *, ts: int = NOW_US) -> Intent:
    row = make_row(number, ts=ts, status_code=None, finish_reason=None, cost_nano_usd=None, cost_basis=None)
    return Intent(
        generation_id=row.generation_id, attempt_no=attempt_no, ts=row.ts, endpoint_id=f"e{attempt_no}", row=row
    )


def make_outcome(number: int, writer: JournalWriter, *, ts: int = NOW_US, **changes: object) -> Outcome:
    row = make_row(number, ts=ts, segment_id=writer.segment_id, segment_seq=writer.next_seq, **changes)
    return Outcome(row=row, attempts=(make_attempt(number, ts=ts),))


def open_writer(directory: Path, *, now_us: int = NOW_US, worker: int = 0) -> JournalWriter:
    return JournalWriter(directory, "gw", worker, now_us=now_us)


def write_calls(writer: JournalWriter, numbers: range, *, ts: int = NOW_US) -> None:
    """Each call's intent and outcome, flushed."""
    for number in numbers:
        writer.append(make_intent(number, ts=ts))
        writer.append(make_outcome(number, writer, ts=ts))
    writer.flush()


def die(writer: JournalWriter) -> None:
    """What the kernel does for a process that was killed: its descriptor, and so its lock, goes."""
    import os

    os.close(writer._fd)


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
counts = st.integers(0, 2**63 - 1)
tags = st.lists(st.builds(TaskTag, path=texts, confidence_ppm=st.integers(0, 1_000_000)), max_size=3)
rows = st.builds(
    Row,
    generation_id=st.uuids().map(str),
    ts=st.integers(0, 4_102_444_800_000_000),
    source_id=texts,
    request_id=st.none() | texts,
    app=st.none() | texts,
    is_stream=st.none() | st.booleans(),
    status_code=st.none() | st.integers(100, 599),
    usage_input_tokens=st.none() | counts,
    cost_nano_usd=st.none() | st.integers(-(2**63), 2**63 - 1),
    cost_basis=st.none() | st.sampled_from(["provider_reported", "metered", "estimated_partial", "unknown"]),
    task_tags=st.none() | tags,
)
