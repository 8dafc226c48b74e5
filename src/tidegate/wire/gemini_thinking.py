"""How much a Gemini model shall think, in the words that its generation understands.

Generation 2.5 takes a budget of tokens, later ones a level; before 2.5 no model thinks, and asking is refused. Names
without a generation (`gemini-flash-latest`, a tuned model) are taken as the newest. Budgets of an effort are those
of Google's own OpenAI endpoint (ai.google.dev/gemini-api/docs/openai, "Thinking").
"""

import re
from typing import Any, Final

from tidegate.wire.conversation import Effort, Reasoning

_GENERATION: Final = re.compile(r"(?:^|/)gem(?:ini|ma)-(\d+)(?:\.(\d+))?")
_SILENT: Final = re.compile(r"-(?:image|tts|audio|live|embedding)\b")  # kinds of model that did not think before 3
_GEMMA_THINKS_FROM: Final = 4
_THINKS_FROM: Final = (2, 5)
_LEVELS_FROM: Final = (3, 0)
_NEWEST: Final = (99, 0)
_BUDGETS: Final[dict[Effort, int]] = {
    "none": 0,
    "minimal": 1024,
    "low": 1024,
    "medium": 8192,
    "high": 24576,
    "xhigh": 24576,
    "max": 24576,
}
_LEVELS: Final[dict[Effort, str]] = {
    "none": "MINIMAL",
    "minimal": "MINIMAL",
    "low": "LOW",
    "medium": "MEDIUM",
    "high": "HIGH",
    "xhigh": "HIGH",
    "max": "HIGH",
}
PRO_BUDGET_MIN: Final = 128
"""The least that a 2.5 Pro may think: it cannot be turned off there. Level MINIMAL is unknown to Pro models too."""


def generation(model: str) -> tuple[int, int]:
    """`gemini-2.5-pro` is (2, 5); a name that does not say is newer than any."""
    found = _GENERATION.search(model)
    return (int(found[1]), int(found[2] or 0)) if found else _NEWEST


def wants_seals(model: str) -> bool:
    """The model refuses a history whose function calls have no signature (from Gemini 3 on)."""
    return generation(model) >= _LEVELS_FROM and "gemma" not in model


def thinking_config(reasoning: Reasoning, model: str) -> dict[str, Any] | None:
    """`thinkingConfig`; None where the model cannot think. A budget wins over an effort: both at once are refused."""
    age = generation(model)
    if age < _LEVELS_FROM and _SILENT.search(model):
        return None
    if age < ((_GEMMA_THINKS_FROM, 0) if "gemma" in model else _THINKS_FROM):
        return None
    config: dict[str, Any] = {}
    is_pro = "-pro" in model
    if reasoning.budget_tokens is not None:
        config["thinkingBudget"] = reasoning.budget_tokens
    elif reasoning.effort is not None and age >= _LEVELS_FROM:
        level = _LEVELS[reasoning.effort]
        config["thinkingLevel"] = "LOW" if is_pro and level == "MINIMAL" else level
    elif reasoning.effort is not None:
        config["thinkingBudget"] = max(_BUDGETS[reasoning.effort], PRO_BUDGET_MIN if is_pro else 0)
    elif reasoning.is_adaptive and age < _LEVELS_FROM:
        config["thinkingBudget"] = -1
    config["includeThoughts"] = reasoning.shown is not False and reasoning.effort != "none"
    return config
