"""LiteLLM spend logs as calls: the importer's row, and what the metadata say of prices, tools and margins.

`spend` is what LiteLLM charged, tools included (`cost_breakdown.tool_usage_cost`). `model_map_information` holds the
price map's entry that was used; null where the model was not in the map. `usage_object` is LiteLLM's own normal form,
whose `prompt_tokens` include cached ones; calls in Anthropic's dialect were logged without them by some versions.
The same mapper reads the records that LiteLLM's S3 and file loggers write (`response_cost` in the place of `spend`).
Source: litellm/proxy/spend_tracking/spend_tracking_utils.py, litellm/types/utils.py; checked 2026-11-22.
"""

from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final

import msgspec

from tidegate.accounts.audit.call import LoggedCall
from tidegate.accounts.audit.from_row import call_of, day_of, factor_of, is_cancelled, usage_of
from tidegate.core.price import Rates
from tidegate.core.row import Row
from tidegate.core.usage import TokenKinds, Usage
from tidegate.ledger.imports import litellm
from tidegate.ledger.imports.records import Fields
from tidegate.ledger.imports.tally import Tally
from tidegate.ledger.imports.values import NANO_PER_USD, Unusable, as_number

ANTHROPIC_CALLS: Final = frozenset({"anthropic_messages", "pass_through_endpoint"})
"""Calls whose `prompt_tokens` may leave out cached ones."""
HALF_PRICE: Final = frozenset({"flex", "batch"})
RATE_FIELDS: Final = {
    "input": "input_cost_per_token",
    "output": "output_cost_per_token",
    "cache_read": "cache_read_input_token_cost",
    "cache_creation": "cache_creation_input_token_cost",
    "cache_creation_1h": "cache_creation_input_token_cost_above_1hr",
    "reasoning": "output_cost_per_reasoning_token",
}
_NANO_PER_MILLION: Final = 10**15  # USD a token -> nano-USD a million tokens


def call(members: Mapping[str, Any], tally: Tally, place: str) -> LoggedCall | None:
    """One record; None where it is no call. Raises Unusable."""
    members = _as_spend_log(members)
    spend = as_number("spend", members.get("spend") if members.get("spend") not in (None, "") else 0)
    fields = Fields({**members, "spend": str(max(spend, Decimal(0)))}, tally)
    draft = litellm.draft(fields, tally)
    if draft is None:
        return None
    metadata = fields.inner("metadata")
    usage, extra = metadata.inner("usage_object"), metadata.inner("additional_usage_values")
    row = _with_reasoning(_with_responses(draft.row, usage, extra), fields)
    breakdown = metadata.inner("cost_breakdown")
    tools = _nano(breakdown, "tool_usage_cost") + _nano(breakdown, "margin_fixed_amount")
    counts = usage_of(row, **_more_counts(usage, extra))
    map_entry = metadata.inner("model_map_information")
    return call_of(
        row,
        place,
        int(spend * NANO_PER_USD) - tools if spend < 0 else (row.cost_nano_usd or 0) - tools,
        call_id=draft.identity,
        usage=counts,
        other_usage=_with_cached(row, counts, fields.text("call_type")),
        extra_nano_usd=tools,
        factor=_factor(breakdown),
        own_rates=_rates(map_entry.inner("model_map_value")),
        other_models=_other_models(fields, map_entry),
        is_cancelled=_cancelled(row, metadata),
        is_half_price=(usage.text("service_tier") or extra.text("service_tier")) in HALF_PRICE,
        is_stream=_is_stream(row, fields),
        is_price_missing=map_entry.value("model_map_key") is not None and map_entry.value("model_map_value") is None,
    )


def _with_responses(row: Row, usage: Fields, extra: Fields) -> Row:
    """The row with details as the Responses API names them."""
    found: dict[str, int] = {}
    for column, group, name in (
        ("usage_cache_read_input_tokens", "input_tokens_details", "cached_tokens"),
        ("usage_reasoning_output_tokens", "output_tokens_details", "reasoning_tokens"),
    ):
        if getattr(row, column) is None:
            value = next((one for part in (usage, extra) if (one := part.inner(group).count(name)) is not None), None)
            if value is not None:
                found[column] = value
    return msgspec.structs.replace(row, **found) if found else row


def _with_reasoning(row: Row, fields: Fields) -> Row:
    """The row with reasoning in its output, where the total says that it was counted beside it (xAI)."""
    entered, left, thought = row.usage_input_tokens, row.usage_output_tokens, row.usage_reasoning_output_tokens
    if not thought or left is None or entered is None or fields.count("total_tokens") != entered + left + thought:
        return row
    return msgspec.structs.replace(row, usage_output_tokens=left + thought)


def day(members: Mapping[str, Any], tally: Tally, place: str) -> LoggedCall | None:
    """One record of LiteLLM's sums by day (LiteLLM_DailyUserSpend). Raises Unusable."""
    fields = Fields(members, tally)
    when, model = fields.time("date"), fields.text("model")
    if when is None or not model:
        raise Unusable("the date or the model is missing")
    said = fields.text("custom_llm_provider") or ""
    entered = fields.count("prompt_tokens") or 0
    read, written = fields.count("cache_read_input_tokens"), fields.count("cache_creation_input_tokens")
    if (read or 0) + (written or 0) > entered:
        entered += (read or 0) + (written or 0)
    return LoggedCall(
        place=place,
        ts=when,
        day=day_of(when),
        model=model.lower().removeprefix(f"{said}/"),
        provider_said=said,
        charged_nano_usd=fields.usd("spend") or 0,
        usage=Usage(
            input_tokens=entered,
            output_tokens=fields.count("completion_tokens") or 0,
            cache_read_input_tokens=read or 0,
            cache_creation_input_tokens=written or 0,
        ),
        has_cache_counts=read is not None,
        calls=max(2, fields.count("api_requests") or 2),
    )


def _other_models(fields: Fields, map_entry: Fields) -> tuple[str, ...]:
    """The price map's key and the group's name: a deployment may have a name of its own."""
    names = (map_entry.text("model_map_key"), fields.text("model_group"))
    return tuple(name.lower().rpartition("/")[2] for name in names if name)


def _cancelled(row: Row, metadata: Fields) -> bool | None:
    error = metadata.inner("error_information")
    said = f"{row.error_type or ''} {error.text('error_message') or ''}" if row.error_type else ""
    return is_cancelled(row.is_cancelled, row.status_code, said)


def _as_spend_log(members: Mapping[str, Any]) -> Mapping[str, Any]:
    """A record of LiteLLM's loggers in the shape of a spend log."""
    if "response_cost" not in members or "spend" in members:
        return members
    found = dict(members)
    metadata = found.get("metadata")
    found["metadata"] = {
        **(metadata if isinstance(metadata, dict) else {}),
        "model_map_information": found.get("model_map_information"),
        "cost_breakdown": found.get("cost_breakdown"),
        "error_information": found.get("error_information"),
    }
    return {**found, "spend": found["response_cost"], "request_id": found.get("id")}


def _more_counts(usage: Fields, extra: Fields) -> dict[str, Any]:
    """Counts that rows have no column for."""
    entered, left = usage.inner("prompt_tokens_details"), usage.inner("completion_tokens_details")
    hour = _count(entered.inner("cache_creation_token_details"), "ephemeral_1h_input_tokens")
    hour = hour or _count(extra.inner("cache_creation"), "ephemeral_1h_input_tokens")
    searches = _count(usage.inner("server_tool_use"), "web_search_requests")
    kinds = {
        "audio_input": _count(entered, "audio_tokens"),
        "image_input": _count(entered, "image_tokens"),
        "audio_output": _count(left, "audio_tokens"),
    }
    return {
        "cache_creation_1h": hour,
        "web_searches": searches or _count(extra.inner("server_tool_use"), "web_search_requests"),
        "kinds": TokenKinds(**kinds) if any(kinds.values()) else None,
    }


def _count(fields: Fields, name: str) -> int:
    try:
        return fields.count(name) or 0
    except Unusable:
        return 0


def _nano(fields: Fields, name: str) -> int:
    value = fields.value(name)
    try:
        return 0 if value is None else int(as_number(name, value) * NANO_PER_USD)
    except Unusable:
        return 0


def _with_cached(row: Row, usage: Usage | None, call_type: str | None) -> Usage | None:
    """The other reading of the same counts: input that leaves out cached tokens."""
    if usage is None or (call_type or "").removeprefix("a") not in ANTHROPIC_CALLS | {"nthropic_messages"}:
        return None
    cached = usage.cache_read_input_tokens + usage.cache_creation_input_tokens
    if not cached or usage.input_tokens != row.usage_input_tokens:
        return None
    return msgspec.structs.replace(usage, input_tokens=usage.input_tokens + cached)


def _factor(breakdown: Fields) -> Fraction:
    """The margin and discount that LiteLLM applied, as it states them in percent (0.05 is 5 %)."""
    discount, margin = breakdown.value("discount_percent"), breakdown.value("margin_percent")
    factor = Fraction(1)
    if discount is not None:
        factor *= factor_of(1 - Decimal(str(discount)))
    if margin is not None:
        factor *= factor_of(1 + Decimal(str(margin)))
    return factor


def _rates(entry: Fields) -> Rates | None:
    """The price map's entry, where it prices by the token."""
    found: dict[str, Any] = {}
    for ours, theirs in RATE_FIELDS.items():
        value = entry.value(theirs)
        if value is None:
            continue
        try:
            rate = as_number(theirs, value) * _NANO_PER_MILLION
        except Unusable:
            return None
        if rate < 0:
            return None
        found[ours] = round(rate)
    if not {"input", "output"} <= found.keys() or any(_above(name) for name, _ in entry.items()):
        return None
    return Rates(**found)


def _above(name: str) -> bool:
    """Whether a member is a price of long inputs: one rate for all calls then tells nothing."""
    return name.startswith("input_cost_per_token_above_")


def _is_stream(row: Row, fields: Fields) -> bool | None:
    if row.time_to_first_chunk_us is not None:
        return True
    return False if fields.value("completionStartTime", "completion_start_time") is not None else None
