"""Why an answer ended, in every dialect's word: one table each way, and the word of our rows.

A word that no table knows reads as `stop`: the answer is whole as far as anyone can tell, and `Stop.native` keeps it.
"""

from typing import Final

from tidegate.wire.events import StopReason

_FINISH: Final[dict[StopReason, str]] = {
    "stop": "stop",
    "stop_sequence": "stop",
    "length": "length",
    "context": "length",
    "tool_calls": "tool_calls",
    "content_filter": "content_filter",
    "refusal": "content_filter",
    "pause": "stop",
    "error": "error",
}

_READ: Final[dict[str, dict[str, StopReason]]] = {
    "openai-chat": {
        "stop": "stop",
        "length": "length",
        "tool_calls": "tool_calls",
        "function_call": "tool_calls",  # before tools
        "content_filter": "content_filter",
        "error": "error",  # OpenRouter
        "sensitive": "content_filter",  # Zhipu
        "network_error": "error",  # Zhipu
        "insufficient_system_resource": "error",  # DeepSeek
        "model_context_window_exceeded": "context",  # Zhipu; Anthropic's word, passed on
        "model_length": "context",  # Mistral
        "abort": "error",  # SGLang, vLLM
        # Words of other makers that compatible servers pass on.
        "end_turn": "stop",
        "stop_sequence": "stop_sequence",
        "max_tokens": "length",
        "tool_use": "tool_calls",
        "pause_turn": "pause",
        "refusal": "refusal",
        "safety": "content_filter",
        "recitation": "content_filter",
    },
    "openai-responses": {  # `incomplete_details.reason`, or `status` where the answer is not incomplete
        "completed": "stop",
        "max_output_tokens": "length",
        "content_filter": "content_filter",
        "incomplete": "length",
        "failed": "error",
        "cancelled": "error",
    },
    "anthropic": {
        "end_turn": "stop",
        "stop_sequence": "stop_sequence",
        "max_tokens": "length",
        "model_context_window_exceeded": "context",
        "tool_use": "tool_calls",
        "pause_turn": "pause",
        "compaction": "pause",
        "refusal": "refusal",
    },
    "gemini": {
        "STOP": "stop",
        "MAX_TOKENS": "length",
        "SAFETY": "content_filter",
        "RECITATION": "content_filter",
        "LANGUAGE": "content_filter",
        "BLOCKLIST": "content_filter",
        "PROHIBITED_CONTENT": "content_filter",
        "SPII": "content_filter",
        "MODEL_ARMOR": "content_filter",
        "IMAGE_SAFETY": "content_filter",
        "IMAGE_PROHIBITED_CONTENT": "content_filter",
        "IMAGE_RECITATION": "content_filter",
        "IMAGE_OTHER": "error",
        "NO_IMAGE": "error",
        "MALFORMED_FUNCTION_CALL": "error",
        "MALFORMED_RESPONSE": "error",
        "UNEXPECTED_TOOL_CALL": "error",
        "TOO_MANY_TOOL_CALLS": "error",
        "MISSING_THOUGHT_SIGNATURE": "error",
        "OTHER": "error",
    },
    "bedrock": {
        "end_turn": "stop",
        "stop_sequence": "stop_sequence",
        "max_tokens": "length",
        "model_context_window_exceeded": "context",
        "tool_use": "tool_calls",
        "content_filtered": "content_filter",
        "guardrail_intervened": "content_filter",
        "malformed_model_output": "error",
        "malformed_tool_use": "error",
        "refusal": "refusal",
        "pause_turn": "pause",
    },
}
_READ["openai-completions"] = _READ["openai-chat"]

_WRITE: Final[dict[str, dict[StopReason, str]]] = {
    "openai-chat": _FINISH,
    "openai-completions": _FINISH | {"tool_calls": "stop"},
    "openai-responses": {
        "stop": "completed",
        "stop_sequence": "completed",
        "length": "max_output_tokens",
        "context": "max_output_tokens",
        "tool_calls": "completed",
        "content_filter": "content_filter",
        "refusal": "completed",  # the answer holds a refusal; where it holds none: content_filter
        "pause": "completed",
        "error": "failed",
    },
    "anthropic": {
        "stop": "end_turn",
        "stop_sequence": "stop_sequence",
        "length": "max_tokens",
        "context": "model_context_window_exceeded",
        "tool_calls": "tool_use",
        "content_filter": "refusal",
        "refusal": "refusal",
        "pause": "pause_turn",
        "error": "end_turn",  # an encoder of Anthropic's sends an error event instead
    },
    "gemini": {
        "stop": "STOP",
        "stop_sequence": "STOP",
        "length": "MAX_TOKENS",
        "context": "MAX_TOKENS",
        "tool_calls": "STOP",
        "content_filter": "SAFETY",
        "refusal": "SAFETY",
        "pause": "STOP",
        "error": "OTHER",
    },
}


def finish_word(reason: StopReason) -> str:
    """OpenAI's word, as rows have it: stop, length, tool_calls, content_filter or error."""
    return _FINISH[reason]


def reason_of(dialect: str, word: str) -> StopReason:
    """What a provider's word means. A word in other letter case is known too; an unknown one is `stop`."""
    known = _READ[dialect]
    return known.get(word) or known.get(word.lower()) or known.get(word.upper()) or "stop"


def word_for(dialect: str, reason: StopReason) -> str:
    """The word of a caller's dialect for `reason`."""
    return _WRITE[dialect][reason]


def with_calls(reason: StopReason) -> StopReason:
    """The reason of an answer that holds tool calls: providers say `stop` there too (OpenAI for a forced tool, Gemini
    always), but a caller runs its tools only where the reason says so."""
    return "tool_calls" if reason == "stop" else reason
