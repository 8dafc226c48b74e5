"""Langfuse observations of type GENERATION (or EMBEDDING) as rows; every other observation is no call.

`usageDetails` counts disjoint kinds of tokens: `input` leaves out `input_cached_tokens` and `input_cache_creation`, so
the input of a row is the sum of all kinds with "input" in their name, as Langfuse itself adds them; where the published
`total` shows that the kinds are parts of `input`, `input` is taken alone. Costs are what Langfuse worked out from its
own price table, in USD; they are marked `metered`.
Source: https://langfuse.com/docs/api-and-data-platform/features/blob-storage-export-fields, checked 2026-11-22.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tidegate.ledger.imports.calls import CallFormat, Draft, blank, import_calls, spelled_model
from tidegate.ledger.imports.records import Fields
from tidegate.ledger.imports.report import ImportReport, Progress
from tidegate.ledger.imports.tally import Tally
from tidegate.ledger.imports.values import as_count

if TYPE_CHECKING:
    from tidegate.ledger.imports import Options
    from tidegate.ledger.store import Ledger

_OPERATIONS = {"GENERATION": "chat", "EMBEDDING": "embeddings"}


class Usage(NamedTuple):
    """Tokens of one generation; None where they are not said."""

    input: int | None
    output: int | None
    cache_read: int | None
    cache_creation: int | None
    reasoning: int | None


def run(
    format: str, files: Sequence[Path], ledger: "Ledger", options: "Options", progress: Progress | None
) -> ImportReport:
    """See `ledger.imports.run_import`."""
    return import_calls(CallFormat(name=format, draft=draft), files, ledger, options.source_id, progress)


def draft(fields: Fields, tally: Tally) -> Draft | None:
    """One observation."""
    kind = (fields.text("type") or "GENERATION").upper()
    if kind not in _OPERATIONS:
        tally.skipped[f"an observation of type {kind}"] += 1
        return None
    usage = read_usage(fields, tally)
    costs = fields.inner("costDetails", "cost_details", "providedCostDetails")
    total = fields.usd("totalCost", "calculatedTotalCost")
    charged = total if total is not None else costs.usd("total")
    start, end, first = fields.time("startTime"), fields.time("endTime"), fields.time("completionStartTime")
    latency, to_first = fields.duration("latency", unit="s"), fields.duration("timeToFirstToken", unit="s")
    model, variant = spelled_model(fields.text("providedModelName", "model"))
    failed = (fields.text("level") or "").upper() == "ERROR"
    row = blank(
        start,
        session_id=fields.text("sessionId"),
        project_id=fields.text("projectId"),
        operation_name=_OPERATIONS[kind],
        request_model=model,
        response_model=model,
        model_variant=variant,
        error_type="error" if failed else None,
        usage_input_tokens=usage.input,
        usage_output_tokens=usage.output,
        usage_cache_read_input_tokens=usage.cache_read,
        usage_cache_creation_input_tokens=usage.cache_creation,
        usage_reasoning_output_tokens=usage.reasoning,
        cost_nano_usd=charged,
        cost_basis="metered" if charged is not None else None,
        duration_us=latency if start is None or end is None or end < start else end - start,
        time_to_first_chunk_us=to_first if start is None or first is None or first < start else first - start,
    )
    for name in ("model", "modelId", "traceId", "parentObservationId", "createdAt", "updatedAt", "costDetails"):
        fields.value(name)
    fields.private("input", "output", "metadata", "statusMessage", "modelParameters", "comments")
    return Draft(fields.text("id") or "", row, fields.text("userId"))


def read_usage(fields: Fields, tally: Tally) -> Usage:
    """The tokens of one observation, from `usageDetails` or from the older members."""
    kinds = {
        name.lower(): as_count(f"usageDetails.{name}", value)
        for name, value in fields.inner("usageDetails", "usage_details", "providedUsageDetails").items()
        if value is not None
    }
    if not any("input" in name or "output" in name for name in kinds):
        older = fields.inner("usage")
        return Usage(
            _either(older.count("input", "promptTokens"), fields.count("promptTokens", "inputTokens", "inputUsage")),
            _either(
                older.count("output", "completionTokens"),
                fields.count("completionTokens", "outputTokens", "outputUsage"),
            ),
            None,
            None,
            None,
        )
    for name in ("usage", "promptTokens", "completionTokens", "totalTokens", "inputUsage", "outputUsage", "totalUsage"):
        fields.value(name)
    plain = kinds.get("input", 0) + kinds.get("output", 0)
    parts_inside = kinds.get("total") == plain and len(kinds) > 3
    if parts_inside:
        tally.flags["usageDetails counts its kinds inside input and output, by its total; taken so"] += 1

    def whole(word: str) -> int | None:
        found = [count for name, count in kinds.items() if word in name]
        return None if not found else kinds.get(word, 0) if parts_inside else sum(found)

    def part(*words: str) -> int | None:
        found = [count for name, count in kinds.items() if all(word in name for word in words)]
        return sum(found) if found else None

    return Usage(
        whole("input"),
        whole("output"),
        _either(part("cached"), part("cache", "read")),
        _either(part("cache", "creation"), part("cache", "write")),
        part("reasoning"),
    )


def _either(one: int | None, other: int | None) -> int | None:
    return other if one is None else one
