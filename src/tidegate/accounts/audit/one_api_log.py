"""Logs of one-api and new-api as calls: the importer's row, and the ratios that new-api writes into `other`.

quota = (input + cached x cache_ratio + ... + output x completion_ratio) x model_ratio x group_ratio; one of
model_ratio is one quota a token, so 2 USD a million tokens at 500,000 quota a USD. one-api rounds up, new-api to the
nearest; one-api writes ratios only into the text of `content`, with two decimals, and knows nothing of cached tokens.
`group_ratio` is the operator's margin. `model_price` (above 0) is a price for the call, in USD.
Source: service/text_quota.go and service/log_info_generate.go of QuantumNous/new-api; relay/controller/helper.go of
songquanpeng/one-api; checked 2026-11-22.
"""

import re
from collections.abc import Mapping
from fractions import Fraction
from functools import lru_cache
from typing import Any, Final

import msgspec

from tidegate.accounts.audit.call import LoggedCall
from tidegate.accounts.audit.from_row import call_of, factor_of, usage_of
from tidegate.core.money import UNITS_PER_RATE
from tidegate.core.price import Rates
from tidegate.core.row import Row
from tidegate.core.usage import Usage
from tidegate.ledger.imports import one_api
from tidegate.ledger.imports.records import Fields
from tidegate.ledger.imports.tally import Tally
from tidegate.ledger.imports.values import NANO_PER_USD, Unusable, as_number

CLIENT_GONE: Final = "client_gone"
_GROUP = re.compile(r"分组倍率 ?([\d.]+)|倍率：[\d.]+ × ([\d.]+)")
_FIXED = re.compile(r"(?:Fixed model price|模型价格|模型固定价格) ?\$?(\d+(?:\.\d+)?)", re.IGNORECASE)
_MEDIA_PATH = re.compile(r"/(?:images|audio|video|videos|rerank|mj|suno)\b")
_RATIO_OF: Final = {
    "cache_read": "cache_ratio",
    "cache_creation": "cache_creation_ratio",
    "cache_creation_1h": "cache_creation_ratio_1h",
}
_OTHER_MEDIA: Final = ("ws", "audio", "image", "audio_input_seperate_price")


def call(members: Mapping[str, Any], tally: Tally, place: str, *, quota_per_usd: int) -> LoggedCall | None:
    """One record; None where it is no call. Raises Unusable."""
    quota = as_number("quota", members.get("quota") if members.get("quota") not in (None, "") else 0)
    fields = Fields({**members, "quota": str(max(quota, 0))}, tally)
    draft = one_api.draft(fields, tally, quota_per_usd=quota_per_usd)
    if draft is None:
        return None
    row, other = draft.row, fields.inner("other")
    group = other.value("group_ratio")
    factor = factor_of(group) if group is not None else _group_of(members)
    extra = _extras(other, factor)
    charged = int(quota * NANO_PER_USD / quota_per_usd) if quota < 0 else row.cost_nano_usd or 0
    served = row.response_model if row.response_model != row.request_model else None
    row = msgspec.structs.replace(row, response_model=row.request_model or row.response_model)  # what was billed
    return call_of(
        row,
        place,
        charged - extra,
        call_id=draft.identity,
        other_models=(served,) if served else (),
        usage=_usage(row, other),
        operation="media" if _is_media(other) else "chat",
        has_cache_counts=other.value("cache_tokens") is not None,
        quantum_nano_usd=max(1, NANO_PER_USD // quota_per_usd),
        extra_nano_usd=extra,
        factor=factor,
        own_rates=_rates(other, quota_per_usd),
        fixed_nano_usd=_fixed(other) or _fixed_of(members),
        is_cancelled=other.inner("stream_status").text("end_reason") == CLIENT_GONE or None,
        is_counted_locally=bool(_truth(other.inner("admin_info"), "local_count_tokens")),
    )


def _usage(row: Row, other: Fields) -> Usage | None:
    total = _count(other, "input_tokens_total")
    if total:
        row = msgspec.structs.replace(row, usage_input_tokens=total)
    return usage_of(row, cache_creation_1h=_count(other, "cache_creation_tokens_1h"))


def _count(fields: Fields, name: str) -> int:
    try:
        return fields.count(name) or 0
    except Unusable:
        return 0


def _truth(fields: Fields, name: str) -> bool:
    return str(fields.value(name)).lower() in ("true", "1")


def _group_of(members: Mapping[str, Any]) -> Fraction:
    """The margin out of the text that one-api and older new-api write."""
    match = _GROUP.search(str(members.get("content") or ""))
    return factor_of(match[1] or match[2]) if match else Fraction(1)


def _is_media(other: Fields) -> bool:
    """Whether other units than plain tokens are charged."""
    return any(other.value(name) for name in _OTHER_MEDIA) or bool(_MEDIA_PATH.search(other.text("request_path") or ""))


def _fixed_of(members: Mapping[str, Any]) -> int | None:
    """The price for the call that the text states, before the margin."""
    match = _FIXED.search(str(members.get("content") or ""))
    return round(Fraction(match[1]) * NANO_PER_USD) if match else None


def _ratio(other: Fields, name: str) -> Fraction | None:
    value = other.value(name)
    return None if value is None else _fraction(str(value))


@lru_cache(maxsize=4096)
def _fraction(text: str) -> Fraction | None:
    """A ratio as it was written: an operator has few of them."""
    try:
        return Fraction(as_number("ratio", text))
    except Unusable:
        return None


def _rates(other: Fields, quota_per_usd: int) -> Rates | None:
    """What the ratios come to; None where they are not what was charged by."""
    model, completion = _ratio(other, "model_ratio"), _ratio(other, "completion_ratio")
    if not model or completion is None or other.text("billing_mode") == "tiered_expr" or _fixed(other) is not None:
        return None
    return _rates_of(model, completion, tuple(_ratio(other, theirs) for theirs in _RATIO_OF.values()), quota_per_usd)


@lru_cache(maxsize=4096)
def _rates_of(model: Fraction, completion: Fraction, more: tuple[Fraction | None, ...], quota_per_usd: int) -> Rates:
    entered = model * UNITS_PER_RATE * NANO_PER_USD / quota_per_usd
    own: dict[str, Any] = {
        ours: round(entered * ratio) for ours, ratio in zip(_RATIO_OF, more, strict=True) if ratio is not None
    }
    return Rates(input=round(entered), output=round(entered * completion), **own)


def _fixed(other: Fields) -> int | None:
    price = _ratio(other, "model_price")
    return round(price * NANO_PER_USD) if price is not None and price > 0 else None


def _extras(other: Fields, factor: Fraction) -> int:
    """Searches and other tools, which are charged beside the tokens."""
    found = Fraction(0)
    items = other.value("tool_surcharges")
    for item in items if isinstance(items, list) else ():
        if isinstance(item, dict):
            inner = Fields(item, Tally())
            found += (_ratio(inner, "price") or 0) * Fraction(_count(inner, "count"), 1000)
    for tool in ("web_search", "file_search"):
        calls = _count(other, f"{tool}_call_count")
        price = _ratio(other, f"{tool}_price")
        if calls and price:
            found += price * Fraction(calls, 1000)
    return round(found * factor * NANO_PER_USD)
