"""OpenRouter's activity as calls: the CSV by call, and sums by day and model (the API's, or the CSV by day).

`cost_total` includes `cost_web_search`, `cost_file_processing` and `cost_cache` (negative where caching saved). What
the sums of a day do not say (how much was cached) can move their right amount: they are held against both bounds.
Source: the CSV by its header; GET /api/v1/activity of OpenRouter's OpenAPI document; checked 2026-11-22.
"""

from collections.abc import Mapping
from typing import Any

from tidegate.accounts.audit.call import LoggedCall
from tidegate.accounts.audit.from_row import call_of, day_of
from tidegate.core.usage import Usage
from tidegate.ledger.imports import openrouter_activity
from tidegate.ledger.imports.openrouter_daily import split_variant
from tidegate.ledger.imports.records import Fields
from tidegate.ledger.imports.tally import Tally
from tidegate.ledger.imports.values import Unusable


def call(members: Mapping[str, Any], tally: Tally, place: str) -> LoggedCall | None:
    """One line of the CSV. Raises Unusable."""
    fields = Fields(members, tally)
    draft = openrouter_activity.draft(fields, tally)
    if draft is None:
        return None
    extra = sum(_usd(fields, name) for name in ("cost_web_search", "cost_file_processing"))
    return call_of(
        draft.row,
        place,
        (draft.row.cost_nano_usd or 0) - extra,
        call_id=draft.identity,
        has_cache_counts=fields.value("tokens_cached") is not None,
        has_reasoning_counts=fields.value("tokens_reasoning") is not None,
        extra_nano_usd=extra,
    )


def day(members: Mapping[str, Any], tally: Tally, place: str) -> LoggedCall | None:
    """One record of the sums by day. Raises Unusable."""
    fields = Fields(members, tally)
    when = fields.time("date")
    model, variant = split_variant(fields.text("model_permaslug", "slug", "model") or "")
    if when is None or not model:
        raise Unusable("the date or the model is missing")
    left = fields.count("completion_tokens") or 0
    return LoggedCall(
        place=place,
        ts=when,
        day=day_of(when),
        model=model,
        variant=variant,
        provider_said=fields.text("provider_name") or "",
        charged_nano_usd=fields.usd("usage") or 0,
        usage=Usage(
            input_tokens=fields.count("prompt_tokens") or 0,
            output_tokens=left,
            reasoning_output_tokens=min(fields.count("reasoning_tokens") or 0, left),
            requests=fields.count("requests") or 1,
        ),
        has_reasoning_counts=True,
        calls=max(2, fields.count("requests") or 2),
    )


def _usd(fields: Fields, name: str) -> int:
    try:
        return fields.usd(name) or 0
    except Unusable:
        return 0
