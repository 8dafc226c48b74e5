"""Usage as providers write it, into counts that agree with each other: one reading per flavour of the API.

Totals include what was cached, and a part never exceeds its total: a provider that contradicts itself is cut to its
totals, since a call must not fail for it. What no flavour names stays unread. `wire/usage_write.py` is the way back;
`wire/usage_fields.py` reads a body by the table of one provider's own fields, for audits.
"""

from collections.abc import Callable, Mapping
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any, Final, Literal

import msgspec
from msgspec import Raw

from tidegate.core.usage import TokenKinds, Usage
from tidegate.wire.events import UsageSeen
from tidegate.wire.unreadable import UNREADABLE
from tidegate.wire.usage_write import encode_usage

__all__ = ["FLAVOURS", "TOKENS_MAX", "Flavour", "decode_usage", "encode_usage", "merge_usage"]

Flavour = Literal[
    "openai-chat", "openai-completions", "openai-embeddings", "openai-responses", "anthropic", "gemini", "bedrock"
]
Members = Mapping[str, Any]

TOKENS_MAX: Final = 1_000_000_000  # of one call; a report above it is nonsense, and its cost would not fit a column
TICKS_PER_NANO_USD: Final = 10  # xAI counts in ticks of 1e-10 USD
COST_NANO_USD_MAX: Final = 10**15  # a million USD for one call

_members_decoder = msgspec.json.Decoder(dict[str, Raw])
_encoder = msgspec.json.Encoder()


def decode_usage(raw: bytes, flavour: str) -> UsageSeen | None:
    """What a provider's usage object says. raw: its JSON (the value of `usage`, or of Gemini's `usageMetadata`).

    None where it is no such object, or where a total is missing, negative or above TOKENS_MAX.
    Raises KeyError for a flavour that is not one of FLAVOURS.
    """
    read = FLAVOURS[flavour]
    try:
        members = msgspec.json.decode(raw)
    except UNREADABLE:
        return None
    if not isinstance(members, dict):
        return None
    usage = read(members)
    return None if usage is None else UsageSeen(usage, reported_cost(members))


def merge_usage(raw_first: bytes, raw_later: bytes) -> bytes:
    """One usage object of two that came in one stream: the later one's members win where they are not null.

    Anthropic sends the input's counts with `message_start` and the output's with `message_delta`. An object that
    cannot be read counts as empty.
    """
    merged = _members(raw_first)
    merged.update((name, value) for name, value in _members(raw_later).items() if bytes(value) != b"null")
    return _encoder.encode(merged)


def _members(raw: bytes) -> dict[str, Raw]:
    try:
        return _members_decoder.decode(raw)
    except UNREADABLE:
        return {}


def reported_cost(members: Members) -> int | None:
    """What the provider says that it charges, in nano-USD; None where it does not say.

    OpenRouter and others: `cost`, and beside it what the caller's own key paid upstream; Perplexity: an object of
    costs; xAI: ticks; DeepInfra: `estimated_cost`. All are USD.
    """
    ticks = members.get("cost_in_usd_ticks")
    if isinstance(ticks, int) and not isinstance(ticks, bool) and 0 <= ticks <= COST_NANO_USD_MAX * TICKS_PER_NANO_USD:
        return _nano(Decimal(ticks).scaleb(-10))
    cost = members.get("cost")
    if isinstance(cost, dict):
        cost = cost.get("total_cost")
    amount = _usd(cost)
    if amount is None:
        amount = _usd(members.get("estimated_cost"))
    elif members.get("is_byok") is True:
        amount += _usd(_inside(members, "cost_details").get("upstream_inference_cost")) or Decimal(0)
    return None if amount is None else _nano(amount)


def _usd(value: object) -> Decimal | None:
    """A JSON number as it was written: the shortest decimal of a float is the one that was sent."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= COST_NANO_USD_MAX / 1e9:
        return None
    return Decimal(repr(value))


def _nano(amount: Decimal) -> int:
    return int(amount.scaleb(9).to_integral_value(ROUND_HALF_EVEN))


def count(members: Members, *names: str) -> int | None:
    """The first of these members that is a count; 12.0 and "12" are counts too. None: none is there."""
    for name in names:
        value = members.get(name)
        if type(value) is int:
            return value
        if isinstance(value, str):
            try:
                value = float(value) if value.strip() == value else None
            except ValueError:
                value = None
        if isinstance(value, float) and value.is_integer():
            return int(value)
    return None


def _inside(members: Members, name: str) -> Members:
    value = members.get(name)
    return value if isinstance(value, dict) else {}


def _part(members: Members, *names: str) -> int:
    found = members.get(names[0])
    if type(found) is int:
        return found if found > 0 else 0
    return max(count(members, *names) or 0, 0)


def _is_total(value: int | None) -> bool:
    return value is not None and 0 <= value <= TOKENS_MAX


def agreeing(counts: Mapping[str, int], kinds: Mapping[str, int] | None = None) -> Usage:
    """Usage with every part cut to what its total leaves for it. counts: members of `Usage`; kinds: of `TokenKinds`.

    Where cached tokens and tokens of a kind may overlap and nobody says how much, the cached ones are taken to be
    text as far as text goes.
    """
    entered, left = counts["input_tokens"], counts["output_tokens"]
    read = min(counts.get("cache_read_input_tokens", 0), entered)
    written = min(counts.get("cache_creation_input_tokens", 0), entered - read)
    return Usage(
        input_tokens=entered,
        output_tokens=left,
        cache_read_input_tokens=read,
        cache_creation_input_tokens=written,
        reasoning_output_tokens=min(counts.get("reasoning_output_tokens", 0), left),
        cache_creation_1h_input_tokens=min(counts.get("cache_creation_1h_input_tokens", 0), written),
        web_searches=min(counts.get("web_searches", 0), TOKENS_MAX),
        kinds=_agreeing_kinds(kinds, entered, read, left) if kinds and any(kinds.values()) else None,
    )


def _agreeing_kinds(kinds: Mapping[str, int], entered: int, read: int, left: int) -> TokenKinds:
    found: dict[str, int] = {}
    for kind in ("audio", "image", "video"):
        found[f"{kind}_input"] = min(kinds.get(f"{kind}_input", 0), entered)
        entered -= found[f"{kind}_input"]
    text = entered
    said = any(f"{kind}_cache_read" in kinds for kind in ("audio", "image", "video"))
    unknown = 0 if said else max(read - text, 0)  # cached tokens that cannot be text
    for kind in ("audio", "image", "video"):
        cached = kinds.get(f"{kind}_cache_read", 0) if said else unknown
        cached = min(cached, found[f"{kind}_input"], read)
        found[f"{kind}_cache_read"] = cached
        read -= cached
        unknown -= cached
    for name in ("audio_output", "image_output", "video_output", "citation_output"):
        found[name] = min(kinds.get(name, 0), left)
        left -= found[name]
    return TokenKinds(**found)


def _openai_chat(members: Members) -> Usage | None:
    """Chat and text completions of OpenAI and all who speak its dialect; the twin of `openai_chat.usage_from_wire`.

    A completion that is not sent is what `total_tokens` leaves for it. Reasoning that `total_tokens` counts beside
    the completion (xAI) is added to it.
    """
    prompt, completion = count(members, "prompt_tokens"), count(members, "completion_tokens")
    total = count(members, "total_tokens")
    if completion is None and prompt is not None and total is not None:
        completion = total - prompt
    if not (_is_total(prompt) and _is_total(completion)):
        return None
    assert prompt is not None and completion is not None
    details, spent = _inside(members, "prompt_tokens_details"), _inside(members, "completion_tokens_details")
    reasoning = _part(spent, "reasoning_tokens")
    if reasoning and total == prompt + completion + reasoning:
        completion += reasoning
    return agreeing(
        {
            "input_tokens": prompt,
            "output_tokens": completion,
            "cache_read_input_tokens": max(
                count(details, "cached_tokens")
                or count(members, "prompt_cache_hit_tokens")  # DeepSeek
                or count(members, "cached_tokens")  # Moonshot
                or 0,
                0,
            ),
            "cache_creation_input_tokens": _part(details, "cache_write_tokens"),
            "reasoning_output_tokens": reasoning,
        },
        _openai_kinds(details, spent),
    )


_KIND_MEMBERS: Final = (("audio", "audio_tokens"), ("image", "image_tokens"), ("video", "video_tokens"))


def _openai_kinds(details: Members, spent: Members) -> dict[str, int] | None:
    """None where every token is text."""
    entered = [(f"{kind}_input", _part(details, name)) for kind, name in _KIND_MEMBERS if details.get(name)]
    left = [(f"{kind}_output", _part(spent, name)) for kind, name in _KIND_MEMBERS if spent.get(name)]
    if not entered and not left:
        return None
    cached = _inside(details, "cached_tokens_details")  # realtime says which kinds were cached
    read = [(f"{kind}_cache_read", _part(cached, name)) for kind, name in _KIND_MEMBERS] if cached else []
    return dict(entered + left + read)


def _openai_embeddings(members: Members) -> Usage | None:
    """Nothing comes out of an embedding."""
    prompt = count(members, "prompt_tokens", "total_tokens")
    return agreeing({"input_tokens": prompt, "output_tokens": 0}) if prompt is not None and _is_total(prompt) else None


def _openai_responses(members: Members) -> Usage | None:
    entered, left = count(members, "input_tokens"), count(members, "output_tokens")
    if not (_is_total(entered) and _is_total(left)):
        return None
    assert entered is not None and left is not None
    details = _inside(members, "input_tokens_details") or _inside(members, "input_token_details")
    spent = _inside(members, "output_tokens_details") or _inside(members, "output_token_details")
    return agreeing(
        {
            "input_tokens": entered,
            "output_tokens": left,
            "cache_read_input_tokens": _part(details, "cached_tokens"),
            "cache_creation_input_tokens": _part(details, "cache_write_tokens"),
            "reasoning_output_tokens": _part(spent, "reasoning_tokens"),
        },
        _openai_kinds(details, spent),
    )


def _anthropic(members: Members) -> Usage | None:
    """Anthropic leaves cached tokens out of its input: they are added.

    With server tools the total of `cache_creation_input_tokens` grows after `message_start`, whose split by lifetime
    does not: what the split does not cover has the lifetime of the rest where that is one, else five minutes.
    """
    fresh, left = count(members, "input_tokens"), count(members, "output_tokens")
    read, split = _part(members, "cache_read_input_tokens"), _inside(members, "cache_creation")
    short, long = _part(split, "ephemeral_5m_input_tokens"), _part(split, "ephemeral_1h_input_tokens")
    written = max(_part(members, "cache_creation_input_tokens"), short + long)
    entered = None if fresh is None or fresh < 0 else fresh + read + written
    if not (_is_total(entered) and _is_total(left)):
        return None
    assert entered is not None and left is not None
    return agreeing(
        {
            "input_tokens": entered,
            "output_tokens": left,
            "cache_read_input_tokens": read,
            "cache_creation_input_tokens": written,
            "cache_creation_1h_input_tokens": written if long and not short else long,
            "reasoning_output_tokens": _part(_inside(members, "output_tokens_details"), "thinking_tokens"),
            "web_searches": _part(_inside(members, "server_tool_use"), "web_search_requests"),
        }
    )


def _gemini(members: Members) -> Usage | None:
    """Gemini counts thoughts beside its candidates, and results of its tools beside the prompt: both are added."""
    names = ("promptTokenCount", "toolUsePromptTokenCount", "candidatesTokenCount", "thoughtsTokenCount")
    prompt, tools, candidates, thoughts = (count(members, name) for name in names)
    if prompt is None and candidates is None and thoughts is None:
        return None
    entered, left = (prompt or 0) + max(tools or 0, 0), (candidates or 0) + max(thoughts or 0, 0)
    if not (_is_total(entered) and _is_total(left)):
        return None
    kinds: dict[str, int] = {}
    for member, suffix in (
        ("promptTokensDetails", "input"),
        ("toolUsePromptTokensDetails", "input"),
        ("cacheTokensDetails", "cache_read"),
        ("candidatesTokensDetails", "output"),
    ):
        for kind, tokens in _modalities(members.get(member)):
            kinds[f"{kind}_{suffix}"] = kinds.get(f"{kind}_{suffix}", 0) + tokens
    return agreeing(
        {
            "input_tokens": entered,
            "output_tokens": left,
            "cache_read_input_tokens": _part(members, "cachedContentTokenCount"),
            "reasoning_output_tokens": max(thoughts or 0, 0),
        },
        kinds,
    )


_KIND_OF: Final = {"AUDIO": "audio", "IMAGE": "image", "DOCUMENT": "image", "VIDEO": "video"}


def _modalities(details: object) -> list[tuple[str, int]]:
    """Tokens of the kinds that are not text, as Gemini lists them; a page of a document is billed as an image."""
    if not isinstance(details, list):
        return []
    found = [(_KIND_OF.get(str(one.get("modality"))), _part(one, "tokenCount")) for one in details if type(one) is dict]
    return [(kind, tokens) for kind, tokens in found if kind]


def _bedrock(members: Members) -> Usage | None:
    """Bedrock's Converse leaves cached tokens out of its input, as Anthropic does: they are added."""
    fresh, left = count(members, "inputTokens"), count(members, "outputTokens")
    read = _part(members, "cacheReadInputTokens", "cacheReadInputTokenCount")
    written = _part(members, "cacheWriteInputTokens", "cacheWriteInputTokenCount")
    entered = None if fresh is None or fresh < 0 else fresh + read + written
    if not (_is_total(entered) and _is_total(left)):
        return None
    assert entered is not None and left is not None
    details = members.get("cacheDetails")
    split = [one for one in details if isinstance(one, dict)] if isinstance(details, list) else []
    return agreeing(
        {
            "input_tokens": entered,
            "output_tokens": left,
            "cache_read_input_tokens": read,
            "cache_creation_input_tokens": written,
            "cache_creation_1h_input_tokens": sum(_part(one, "inputTokens") for one in split if one.get("ttl") == "1h"),
        }
    )


FLAVOURS: Final[Mapping[str, Callable[[Members], Usage | None]]] = {
    "openai-chat": _openai_chat,
    "openai-completions": _openai_chat,
    "openai-embeddings": _openai_embeddings,
    "openai-responses": _openai_responses,
    "anthropic": _anthropic,
    "gemini": _gemini,
    "bedrock": _bedrock,
}
