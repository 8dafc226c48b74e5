"""How much a model shall think, in the words of its maker: Converse has one for effort, and passes the rest through.

Sources, read 2026-11-22: AWS's "Adaptive thinking" and "Extended thinking" (Claude), "Using the Converse API" of Nova 2
(`reasoningConfig`), the model page of gpt-oss (`reasoning_effort`), and `OutputConfig.effort` in botocore's model.
"""

from typing import Final

from msgspec import Struct

from tidegate.wire.anthropic_models import Abilities, abilities_of
from tidegate.wire.bedrock_media import Json
from tidegate.wire.conversation import Ask, Effort, Reasoning

BUDGET_TOKENS_MIN: Final = 1024
_BUDGETS: Final[dict[Effort, int]] = {
    "minimal": 1024, "low": 4096, "medium": 10_000, "high": 20_000, "xhigh": 28_000, "max": 32_000,
}  # fmt: skip
_THREE: Final[dict[Effort, str]] = {
    "minimal": "low", "low": "low", "medium": "medium", "high": "high", "xhigh": "high", "max": "high",
}  # fmt: skip


class Thought(Struct):
    """`fields`: for `additionalModelRequestFields`. `effort`: for `outputConfig`. `is_on`: it thinks in this call."""

    fields: Json = {}
    effort: str = ""
    is_on: bool = False
    is_dropped: bool = False


def encode_thinking(ask: Ask, model: str, maker: str) -> Thought:
    """What the request says of thinking; nothing where the caller does not, so that the model's own way holds."""
    asked = ask.reasoning
    if asked is None or not (asked.effort or asked.budget_tokens is not None or asked.is_adaptive):
        return Thought()
    if maker in ("", "anthropic"):
        return _claude(ask, asked, abilities_of(model or "claude"))
    effort = asked.effort or _effort_of(asked.budget_tokens)
    if maker == "amazon":
        if effort == "none":
            return Thought(fields={"reasoningConfig": {"type": "disabled"}})
        return Thought(
            fields={"reasoningConfig": {"type": "enabled", "maxReasoningEffort": _THREE[effort]}}, is_on=True
        )
    if maker == "openai" and effort != "none":
        return Thought(fields={"reasoning_effort": _THREE[effort]}, is_on=True)
    return Thought(is_dropped=True)


def _claude(ask: Ask, asked: Reasoning, able: Abilities) -> Thought:
    if asked.effort == "none" and asked.budget_tokens is None:
        return Thought(fields={"thinking": {"type": "disabled"}}) if able.takes_off else Thought(is_dropped=True)
    if ask.tool_choice is not None and ask.tool_choice.mode in ("required", "tool"):
        return Thought(is_dropped=True)  # Claude does not think where it must call a tool
    if able.takes_adaptive and (asked.budget_tokens is None or not able.takes_budget):
        effort = asked.effort or ("" if asked.budget_tokens is None else _effort_of(asked.budget_tokens))
        if effort == "xhigh" and not able.takes_xhigh:
            effort = "high"
        thinking: Json = {"type": "adaptive"}
        if asked.shown is not None:
            thinking["display"] = "summarized" if asked.shown else "omitted"
        return Thought(fields={"thinking": thinking}, effort="low" if effort == "minimal" else effort, is_on=True)
    if not able.takes_budget:
        return Thought(is_dropped=True)
    budget = asked.budget_tokens or _BUDGETS[asked.effort or "medium"]
    if ask.output_tokens_max is not None:
        budget = min(budget, ask.output_tokens_max - 1)  # an answer's limit counts its thoughts
    if budget < BUDGET_TOKENS_MIN:
        return Thought(is_dropped=True)
    return Thought(fields={"thinking": {"type": "enabled", "budget_tokens": budget}}, is_on=True)


def _effort_of(budget_tokens: int | None) -> Effort:
    if budget_tokens is None:
        return "medium"
    if budget_tokens == 0:
        return "none"
    return "low" if budget_tokens <= _BUDGETS["low"] else "medium" if budget_tokens <= _BUDGETS["medium"] else "high"
