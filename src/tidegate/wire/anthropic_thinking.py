"""How much a model shall think, as a Messages request says it: a budget of tokens, or adaptive with an effort.

Sources, read 2026-11-22: Anthropic's "Extended thinking", "Adaptive thinking" and "Effort".
"""

from typing import Any, Final

from msgspec import Struct

from tidegate.wire.anthropic_models import Abilities
from tidegate.wire.conversation import Ask, Effort, Reasoning

OUTPUT_TOKENS_DEFAULT: Final = 32_000
"""`max_tokens` where the caller did not say any; the dialect must have it. The most that every model in service takes:
Claude Opus 4 and 4.1 end there, all later ones go further (Anthropic's "Models overview", read 2026-11-22)."""

BUDGET_TOKENS_MIN: Final = 1024
_BUDGETS: Final[dict[Effort, int]] = {
    "minimal": 1024, "low": 4096, "medium": 10_000, "high": 20_000, "xhigh": 28_000, "max": 32_000,
}  # fmt: skip


class Thought(Struct):
    """Members of the request. `is_on`: the model thinks in this call, which forbids other settings."""

    max_tokens: int
    thinking: dict[str, Any] | None = None
    effort: str = ""
    is_on: bool = False


def encode_thinking(ask: Ask, able: Abilities, *, is_calling: bool, dropped: list[str]) -> Thought:
    """`is_calling`: the conversation ends with a tool's result whose call follows no thought. What the model cannot
    do is named in `dropped`; nothing is said where the caller says nothing, so that the model's own way holds."""
    limit = OUTPUT_TOKENS_DEFAULT if ask.output_tokens_max is None else ask.output_tokens_max
    asked = ask.reasoning
    if asked is None or not (asked.effort or asked.budget_tokens is not None or asked.is_adaptive):
        return Thought(limit)
    if (asked.effort == "none" and not asked.budget_tokens) or (asked.budget_tokens == 0 and not asked.is_adaptive):
        if able.takes_off:
            return Thought(limit, {"type": "disabled"})
        dropped.append("reasoning")
        return Thought(limit)
    effort = _effort(asked.effort, able)
    if ask.tool_choice is not None and ask.tool_choice.mode in ("required", "tool"):
        dropped.append("reasoning")  # Claude does not think where it must call a tool
        return Thought(limit, effort=effort)
    if able.takes_adaptive and (asked.is_adaptive or asked.budget_tokens is None or not able.takes_budget):
        if asked.budget_tokens is not None:
            dropped.append("reasoning.max_tokens")
        return Thought(limit, {"type": "adaptive"} | _display(asked), effort, is_on=True)
    budget = _budget(ask, asked, limit)
    if budget < BUDGET_TOKENS_MIN or (is_calling and able.needs_signatures):
        dropped.append("reasoning")
        return Thought(limit, effort=effort)
    if ask.output_tokens_max is None:
        limit = max(limit, budget + BUDGET_TOKENS_MIN)  # the limit counts thoughts as well
    thinking: dict[str, Any] = {"type": "enabled", "budget_tokens": budget}
    if asked.shown is not None and able.needs_signatures:
        thinking |= _display(asked)
    return Thought(limit, thinking, effort, is_on=True)


def _effort(effort: Effort | None, able: Abilities) -> str:
    """`output_config.effort`; empty where none was said or the model knows none."""
    if effort in (None, "none") or not able.takes_adaptive:
        return ""
    if effort == "minimal":
        return "low"
    return "high" if effort == "xhigh" and not able.takes_xhigh else str(effort)


def _display(asked: Reasoning) -> dict[str, str]:
    """A caller of this dialect who does not say gets what the model does by default; from others an effort means that
    they wait for thoughts, which models from 4.7 on keep to themselves."""
    if asked.shown is None and asked.is_adaptive:
        return {}
    return {"display": "omitted" if asked.shown is False else "summarized"}


def _budget(ask: Ask, asked: Reasoning, limit: int) -> int:
    """A budget that was asked for, below the limit; one for an effort leaves a fifth of the limit to the answer."""
    if asked.budget_tokens is not None:
        budget = max(asked.budget_tokens, BUDGET_TOKENS_MIN)
        return budget if ask.output_tokens_max is None else min(budget, limit - 1)
    effort: Effort = asked.effort if asked.effort is not None and asked.effort != "none" else "medium"
    return min(_BUDGETS[effort], limit * 4 // 5)
