"""A row of an importer as a logged call: what all formats share."""

import datetime as dt
from fractions import Fraction
from functools import lru_cache
from typing import Any, Final

from tidegate.accounts.audit.call import LoggedCall
from tidegate.core.row import Row
from tidegate.core.usage import TokenKinds, Usage

OPERATIONS: Final = {
    "": "chat",
    "completion": "chat",
    "responses": "chat",
    "anthropic_messages": "chat",
    "messages": "chat",
    "generate_content": "chat",
    "generate_content_stream": "chat",
    "pass_through_endpoint": "chat",
    "llm_passthrough_route": "chat",
    "text_completion": "text_completion",
    "embedding": "embeddings",
    "embeddings": "embeddings",
    "chat": "chat",
}
"""What gateways call the operations that are charged by the token; others keep their name."""
CANCELLED_STATUS: Final = 499
_CANCELLED_WORDS: Final = ("disconnect", "cancel", "client_gone", "clientgone")


def day_of(ts: int) -> str:
    """The UTC day of a time in microseconds."""
    return dt.datetime.fromtimestamp(ts / 1_000_000, dt.UTC).date().isoformat()


def usage_of(row: Row, **more: Any) -> Usage | None:
    """The counts of a row, and what rows have no column for; None where it holds none.

    A log whose cached tokens exceed its input leaves them out of the input: they are added. Parts above their totals
    are cut.
    """
    if row.usage_input_tokens is None and row.usage_output_tokens is None:
        return None
    entered, left = row.usage_input_tokens or 0, row.usage_output_tokens or 0
    read, written = row.usage_cache_read_input_tokens or 0, row.usage_cache_creation_input_tokens or 0
    if read + written > entered:
        entered += read + written
    kinds: TokenKinds | None = more.pop("kinds", None)
    if kinds is not None and (kinds.input_tokens > entered or kinds.output_tokens > left or kinds.cache_read > read):
        kinds = None
    return Usage(
        input_tokens=entered,
        output_tokens=left,
        cache_read_input_tokens=read,
        cache_creation_input_tokens=written,
        cache_creation_1h_input_tokens=min(more.pop("cache_creation_1h", 0), written),
        reasoning_output_tokens=min(row.usage_reasoning_output_tokens or 0, left),
        kinds=kinds,
        **more,
    )


def call_of(row: Row, place: str, charged_nano_usd: int, **known: Any) -> LoggedCall:
    """A row as a call. known: members of LoggedCall that the format knows better."""
    error = row.error_type or ""
    said = row.provider_name or ""
    values: dict[str, Any] = {
        "place": place,
        "ts": row.ts,
        "day": day_of(row.ts),
        "model": row.response_model or row.request_model or "",
        "variant": row.model_variant or "",
        "provider_said": said,
        "operation": _operation(row.operation_name or ""),
        "account": row.key_id or "",
        "usage": usage_of(row),
        "has_cache_counts": row.usage_cache_read_input_tokens is not None,
        "has_reasoning_counts": row.usage_reasoning_output_tokens is not None,
        "charged_nano_usd": charged_nano_usd,
        "error": error,
        "is_failed": bool(error),
        "is_cancelled": is_cancelled(row.is_cancelled, row.status_code, error),
        "is_stream": row.is_stream,
        "is_own_cache": bool(row.is_cached),
        "is_own_key": bool(row.is_byok),
        "duration_us": row.duration_us,
    }
    return LoggedCall(**(values | known))


def _operation(name: str) -> str:
    return OPERATIONS.get(name) or OPERATIONS.get(name.removeprefix("a")) or name  # LiteLLM's asynchronous twins


def is_cancelled(said: bool | None, status: int | None, error: str) -> bool | None:
    """Whether the caller left; None where the log does not say."""
    if said is not None:
        return said
    if status == CANCELLED_STATUS or any(word in error.lower() for word in _CANCELLED_WORDS):
        return True
    return None


def factor_of(value: object) -> Fraction:
    """A margin as a log writes it; 1 where it is none."""
    return _factor(str(value))


@lru_cache(maxsize=4096)
def _factor(text: str) -> Fraction:
    try:
        factor = Fraction(text)
    except (ValueError, ZeroDivisionError):
        return Fraction(1)
    return factor if factor > 0 else Fraction(1)
