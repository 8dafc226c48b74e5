"""OpenTelemetry GenAI spans, as OTLP JSON, as rows: one inference span, one call.

A file is one export (`{"resourceSpans": [...]}`), a list of them, or one a line, as the collector's file exporter
writes. Spans of agents and tools (`invoke_agent`, `execute_tool`, `create_agent`) contain the inferences or are none:
counting both would count tokens twice, so only inferences are taken. Older names of attributes are read as well.
Source: https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans/ and OTLP 1.x JSON encoding (64-bit integers
are strings, times are nanoseconds), checked 2026-11-22.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tidegate.ledger.imports.calls import CallFormat, Draft, blank, finish_word, import_calls, spelled_model
from tidegate.ledger.imports.records import Fields, read_records
from tidegate.ledger.imports.report import ImportReport, Progress
from tidegate.ledger.imports.tally import Tally

if TYPE_CHECKING:
    from tidegate.ledger.imports import Options
    from tidegate.ledger.store import Ledger

INFERENCES: Final = frozenset({"chat", "text_completion", "generate_content", "embeddings", "completion"})
_TEXTS: Final = (
    "gen_ai.input.messages",
    "gen_ai.output.messages",
    "gen_ai.system_instructions",
    "gen_ai.tool.definitions",
    "gen_ai.prompt",
    "gen_ai.completion",
)
_STATUS_ERROR: Final = ("2", "STATUS_CODE_ERROR")


def run(
    format: str, files: Sequence[Path], ledger: "Ledger", options: "Options", progress: Progress | None
) -> ImportReport:
    """See `ledger.imports.run_import`."""
    form = CallFormat(name=format, draft=draft, records=read_spans)
    return import_calls(form, files, ledger, options.source_id, progress)


def read_spans(file: Path, tally: Tally) -> Iterator[tuple[int, dict[str, Any]]]:
    """(line of its export, members) of each span; its attributes and those of its resource under their own names."""
    for line, export in read_records(file, tally):
        resources = export.get("resourceSpans", export.get("resource_spans"))
        if not isinstance(resources, list):
            tally.read += 1
            tally.reject("an object without resourceSpans is no OTLP export of traces", file, line)
            continue
        for resource in filter(_is_object, resources):
            shared = _attributes(resource.get("resource"))
            scopes = resource.get("scopeSpans") or resource.get("instrumentationLibrarySpans") or []
            for scope in filter(_is_object, scopes):
                for span in filter(_is_object, scope.get("spans") or []):
                    plain = {name: value for name, value in span.items() if name in _SPAN}
                    yield line, {**shared, **plain, **_attributes(span)}


_SPAN: Final = ("traceId", "spanId", "startTimeUnixNano", "endTimeUnixNano", "status")


def _is_object(value: Any) -> bool:
    return isinstance(value, dict)


def _attributes(owner: Any) -> dict[str, Any]:
    listed = owner.get("attributes") if isinstance(owner, dict) else None
    if not isinstance(listed, list):
        return {}
    return {str(item.get("key")): _value(item.get("value")) for item in listed if isinstance(item, dict)}


def _value(value: Any) -> Any:
    """The value in an AnyValue: `{"intValue": "12"}` is "12"."""
    if not isinstance(value, dict):
        return value
    for kind, inner in value.items():
        if kind == "arrayValue":
            return [_value(item) for item in (inner or {}).get("values", [])]
        if kind == "kvlistValue":
            return json.dumps(_attributes({"attributes": (inner or {}).get("values", [])}), default=str)
        return inner
    return None


def draft(fields: Fields, tally: Tally) -> Draft | None:
    """One span."""
    operation = fields.text("gen_ai.operation.name", "llm.request.type")
    asked = fields.text("gen_ai.request.model", "llm.request.model")
    if operation not in INFERENCES and not (operation is None and asked):
        tally.skipped["a span without an inference" if operation is None else f"a span of {operation}"] += 1
        _leave_alone(fields)
        return None
    start, end = fields.time("startTimeUnixNano", unit="ns"), fields.time("endTimeUnixNano", unit="ns")
    served, variant = spelled_model(fields.text("gen_ai.response.model") or asked)
    reasons = fields.value("gen_ai.response.finish_reasons")
    reason = reasons[0] if isinstance(reasons, list) and reasons else reasons
    error = fields.text("error.type")
    failed = fields.inner("status").text("code") in _STATUS_ERROR
    charged = fields.usd("gen_ai.usage.cost", "gen_ai.usage.total_cost", "llm.usage.cost")
    row = blank(
        start,
        session_id=fields.text("gen_ai.conversation.id", "session.id"),
        app=fields.text("service.name"),
        operation_name="text_completion" if operation == "completion" else operation or "chat",
        request_model=spelled_model(asked)[0],
        response_model=served,
        model_variant=variant,
        provider_name=fields.text("gen_ai.provider.name", "gen_ai.system"),
        endpoint_region=fields.text("cloud.region"),
        is_stream=fields.truth("gen_ai.request.stream", "llm.is_streaming"),
        status_code=fields.count("http.response.status_code"),
        finish_reason=finish_word(str(reason) if reason else None),
        error_type=error or ("error" if failed else None),
        usage_input_tokens=fields.count("gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens"),
        usage_output_tokens=fields.count("gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens"),
        usage_cache_read_input_tokens=fields.count(
            "gen_ai.usage.cache_read.input_tokens",
            "gen_ai.usage.cache_read_input_tokens",
            "gen_ai.usage.input_tokens.cached",
        ),
        usage_cache_creation_input_tokens=fields.count(
            "gen_ai.usage.cache_creation.input_tokens",
            "gen_ai.usage.cache_creation_input_tokens",
            "gen_ai.usage.input_tokens.cache_write",
        ),
        usage_reasoning_output_tokens=fields.count(
            "gen_ai.usage.reasoning.output_tokens", "gen_ai.usage.reasoning_tokens"
        ),
        cost_nano_usd=charged,
        cost_basis="metered" if charged is not None else None,
        duration_us=None if start is None or end is None or end < start else end - start,
        time_to_first_chunk_us=fields.duration("gen_ai.response.time_to_first_chunk", unit="s"),
    )
    fields.private(*_TEXTS)
    _ = fields.text("gen_ai.response.id")  # of the provider; the span's own id is the call's
    span = (fields.text("traceId") or "", fields.text("spanId") or "")
    return Draft(":".join(span) if all(span) else "", row, fields.text("enduser.id", "user.id"))


def _leave_alone(fields: Fields) -> None:
    """A span that is no call: nothing of it is unmapped."""
    for _ in fields.items():
        pass
