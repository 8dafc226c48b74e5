"""Usage in the words of a caller's dialect, from counts that agree with each other."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from tidegate.core.money import NANO_PER_USD
from tidegate.core.usage import TokenKinds, Usage
from tidegate.wire.events import UsageSeen

NO_KINDS: Final = TokenKinds()


def encode_usage(
    seen: UsageSeen, flavour: str, *, openrouter: bool = False, cost_split: tuple[int, int] | None = None
) -> dict[str, Any]:
    """The usage object of a dialect, ready for JSON. openrouter: with what OpenRouter adds to OpenAI's (`cost`, ...).

    cost_split: nano-USD of the input and of the output, for `cost_details`. A cost that is not known is left out: it is
    not "free". Raises KeyError for an unknown flavour.
    """
    written = _WRITERS[flavour](seen.usage)
    if openrouter:
        _add_openrouter(written, seen, cost_split, "input_output" if flavour == "openai-responses" else "chat")
    return written


_SPLIT_NAMES: Final = {"chat": ("prompt", "completions"), "input_output": ("input", "output")}


def _add_openrouter(written: dict[str, Any], seen: UsageSeen, cost_split: tuple[int, int] | None, names: str) -> None:
    written["is_byok"] = False
    if seen.cost_nano_usd is not None:
        written["cost"] = usd_number(seen.cost_nano_usd)
        if cost_split is not None:
            written["cost_details"] = {"upstream_inference_cost": usd_number(seen.cost_nano_usd)} | {
                f"upstream_inference_{name}_cost": usd_number(part)
                for name, part in zip(_SPLIT_NAMES[names], cost_split, strict=True)
            }
    if seen.usage.web_searches:
        written["server_tool_use_details"] = {"web_search_requests": seen.usage.web_searches}


def usd_number(nano_usd: int) -> float:
    """Nano-USD as a JSON number of USD: the float nearest to it, which prints its digits up to a million USD."""
    return nano_usd / NANO_PER_USD


def _openai_chat(usage: Usage) -> dict[str, Any]:
    kinds = usage.kinds or NO_KINDS
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.total_tokens,
        "prompt_tokens_details": {
            "cached_tokens": usage.cache_read_input_tokens,
            "cache_write_tokens": usage.cache_creation_input_tokens,
            "audio_tokens": kinds.audio_input,
            "video_tokens": kinds.video_input,
        },
        "completion_tokens_details": {
            "reasoning_tokens": usage.reasoning_output_tokens,
            "audio_tokens": kinds.audio_output,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def _openai_embeddings(usage: Usage) -> dict[str, Any]:
    return {"prompt_tokens": usage.input_tokens, "total_tokens": usage.input_tokens}


def _openai_responses(usage: Usage) -> dict[str, Any]:
    return {
        "input_tokens": usage.input_tokens,
        "input_tokens_details": {
            "cached_tokens": usage.cache_read_input_tokens,
            "cache_write_tokens": usage.cache_creation_input_tokens,
        },
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_output_tokens},
        "total_tokens": usage.total_tokens,
    }


def _anthropic(usage: Usage) -> dict[str, Any]:
    written, long = usage.cache_creation_input_tokens, usage.cache_creation_1h_input_tokens
    members: dict[str, Any] = {
        "input_tokens": usage.input_tokens - usage.cache_read_input_tokens - written,
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": usage.cache_read_input_tokens,
        "cache_creation": {"ephemeral_5m_input_tokens": written - long, "ephemeral_1h_input_tokens": long},
        "output_tokens": usage.output_tokens,
    }
    if usage.reasoning_output_tokens:
        members["output_tokens_details"] = {"thinking_tokens": usage.reasoning_output_tokens}
    if usage.web_searches:
        members["server_tool_use"] = {"web_search_requests": usage.web_searches, "web_fetch_requests": 0}
    return members


def _gemini(usage: Usage) -> dict[str, Any]:
    members: dict[str, Any] = {
        "promptTokenCount": usage.input_tokens,
        "candidatesTokenCount": usage.output_tokens - usage.reasoning_output_tokens,
        "totalTokenCount": usage.total_tokens,
    }
    if usage.cache_read_input_tokens:
        members["cachedContentTokenCount"] = usage.cache_read_input_tokens
    if usage.reasoning_output_tokens:
        members["thoughtsTokenCount"] = usage.reasoning_output_tokens
    if usage.kinds is not None:
        kinds = usage.kinds
        parts = {
            "promptTokensDetails": (kinds.audio_input, kinds.image_input, kinds.video_input),
            "cacheTokensDetails": (kinds.audio_cache_read, kinds.image_cache_read, kinds.video_cache_read),
            "candidatesTokensDetails": (kinds.audio_output, kinds.image_output, kinds.video_output),
        }
        members |= {name: details for name, counts in parts.items() if (details := _modalities(counts))}
    return members


def _modalities(counts: tuple[int, int, int]) -> list[dict[str, Any]]:
    pairs = zip(("AUDIO", "IMAGE", "VIDEO"), counts, strict=True)
    return [{"modality": name, "tokenCount": tokens} for name, tokens in pairs if tokens]


def _bedrock(usage: Usage) -> dict[str, Any]:
    read, written = usage.cache_read_input_tokens, usage.cache_creation_input_tokens
    members: dict[str, Any] = {
        "inputTokens": usage.input_tokens - read - written,
        "outputTokens": usage.output_tokens,
        "totalTokens": usage.total_tokens,
        "cacheReadInputTokens": read,
        "cacheWriteInputTokens": written,
    }
    if long := usage.cache_creation_1h_input_tokens:
        split = {"5m": written - long, "1h": long}
        members["cacheDetails"] = [{"ttl": ttl, "inputTokens": tokens} for ttl, tokens in split.items() if tokens]
    return members


_WRITERS: Final[Mapping[str, Callable[[Usage], dict[str, Any]]]] = {
    "openai-chat": _openai_chat,
    "openai-completions": _openai_chat,
    "openai-embeddings": _openai_embeddings,
    "openai-responses": _openai_responses,
    "anthropic": _anthropic,
    "gemini": _gemini,
    "bedrock": _bedrock,
}
