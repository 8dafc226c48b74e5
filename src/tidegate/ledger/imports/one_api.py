"""Logs of one-api and its kin (new-api) as rows: type 2 (consumed) and 5 (error) are calls, the others are not.

`quota` is the operator's unit: 500,000 are one USD unless `QuotaPerUnit` was changed (--quota-per-usd says so).
`created_at` is when the log was written, in seconds, after the call: its duration is taken off where it is known.
`other` is JSON of new-api: `cache_tokens`, `cache_creation_tokens`, `frt` (ms to the first answer), `claude` (then
`prompt_tokens` leaves out cached tokens). `id` is cut to 1024 in users' exports, so it is no identity: a record is
known by all it says. A task that settles later (`quota_delta`) is a correction of money, not a call.
Source: model/log.go of songquanpeng/one-api and of QuantumNous/new-api, checked 2026-11-22.
"""

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tidegate.ledger.imports.calls import CallFormat, Draft, blank, import_calls, spelled_model
from tidegate.ledger.imports.records import Fields
from tidegate.ledger.imports.report import ImportReport, Progress
from tidegate.ledger.imports.tally import Tally
from tidegate.ledger.imports.values import NANO_PER_USD, Unusable

if TYPE_CHECKING:
    from tidegate.ledger.imports import Options
    from tidegate.ledger.store import Ledger

_TYPES: Final = {"0": "unknown", "1": "top-up", "3": "management", "4": "system", "6": "refund", "7": "login"}
_CONSUMED, _ERROR = "2", "5"


def run(
    format: str, files: Sequence[Path], ledger: "Ledger", options: "Options", progress: Progress | None
) -> ImportReport:
    """See `ledger.imports.run_import`."""
    form = CallFormat(
        name=format,
        draft=functools.partial(draft, quota_per_usd=options.quota_per_usd),
        members=("data", "items", "logs", "list"),
        caveats=(f"quota was turned into USD at {options.quota_per_usd} a USD (--quota-per-usd)",),
    )
    return import_calls(form, files, ledger, options.source_id, progress)


def draft(fields: Fields, tally: Tally, *, quota_per_usd: int) -> Draft | None:
    """One log."""
    kind = fields.text("type") or _CONSUMED
    if kind not in (_CONSUMED, _ERROR):
        tally.skipped[f"a log of type {kind} ({_TYPES.get(kind, 'not known')})"] += 1
        for _ in fields.items():
            pass
        return None
    other = fields.inner("other")
    if other.value("quota_delta") is not None:
        tally.skipped["a later correction of a task's quota"] += 1
        return None
    written = fields.time("created_at")
    took = _took(fields)
    tokens_in, tokens_out = fields.count("prompt_tokens"), fields.count("completion_tokens")
    read = other.count("cache_tokens")
    created = _cache_written(other)
    if other.truth("claude") and tokens_in is not None and (read or created):
        tokens_in += (read or 0) + (created or 0)
        tally.flags["prompt_tokens of Claude leaves out cached tokens; they were added, being part of input"] += 1
    quota = fields.count("quota")
    model, variant = spelled_model(fields.text("model_name", "model"))
    served, _ = spelled_model(other.text("upstream_model_name"))
    channel = fields.text("channel_id", "channel")
    row = blank(
        None if written is None else written - (took or 0),
        tenant_id=fields.text("username", "user_id"),
        project_id=fields.text("group"),
        key_id=_token(fields),
        operation_name="chat",
        request_model=model,
        response_model=served or model,
        model_variant=variant,
        endpoint_id=f"channel:{channel}" if channel and channel != "0" else None,
        is_stream=fields.truth("is_stream"),
        status_code=_status(other.text("status_code")) if kind == _ERROR else None,
        error_type=(other.text("error_code", "error_type") or "error") if kind == _ERROR else None,
        usage_input_tokens=None if kind == _ERROR else tokens_in,
        usage_output_tokens=None if kind == _ERROR else tokens_out,
        usage_cache_read_input_tokens=read,
        usage_cache_creation_input_tokens=created,
        cost_nano_usd=None if quota is None else _nano(quota, quota_per_usd),
        cost_basis=None if quota is None else "metered",
        duration_us=took,
        time_to_first_chunk_us=_first(other),
    )
    for name in ("id", "user_id", "token_id", "channel_name", "channel", "username", "ip"):
        fields.value(name)
    fields.private("content")
    return Draft(fields.text("request_id") or "", row)


def _took(fields: Fields) -> int | None:
    """`use_time` is seconds (new-api), `elapsed_time` and `request_time` milliseconds (one-api); 0 is unknown."""
    found = fields.duration("use_time", unit="s")
    return found or fields.duration("elapsed_time", "request_time", unit="ms") or None


def _cache_written(other: Fields) -> int | None:
    one = other.count("cache_write_tokens", "cache_creation_tokens")
    short, long = other.count("cache_creation_tokens_5m"), other.count("cache_creation_tokens_1h")
    if short is None and long is None:
        return one
    return max(one or 0, (short or 0) + (long or 0))


def _first(other: Fields) -> int | None:
    """`frt` is -1000 where there was no stream."""
    try:
        return other.duration("frt", unit="ms") or None
    except Unusable:
        return None


def _token(fields: Fields) -> str | None:
    """The API key by its name, which is all a log says of it."""
    name, number = fields.text("token_name"), fields.text("token_id")
    return name or (f"token:{number}" if number and number != "0" else None)


def _nano(quota: int, quota_per_usd: int) -> int:
    """Rounded half up: a quota is a whole number of units of, by default, 2,000 nano-USD."""
    return (quota * NANO_PER_USD * 2 + quota_per_usd) // (2 * quota_per_usd)


def _status(text: str | None) -> int | None:
    return int(text) if text and text.isdecimal() and 100 <= int(text) <= 599 else None
