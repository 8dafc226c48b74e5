"""What a model's name says about the requests it takes: Anthropic's API departs from itself by model, not by provider.

Names are those of Anthropic, Bedrock, Vertex and OpenRouter ("claude-opus-4-7", "us.anthropic.claude-opus-4-7-v1:0",
"claude-sonnet-4-5@20250929", "anthropic/claude-opus-4.7"). A Claude whose version cannot be read is taken to be a new
one. Models of other makers that are served in this dialect take what the oldest Claude that thinks takes.

Sources, read 2026-11-22: Anthropic's "Adaptive thinking", "Effort", "What's new" of 4.7 and 4.8, and Bedrock's
"Adaptive thinking", which list the models by name.
"""

import re
from typing import Final

from msgspec import Struct

Version = tuple[int, int]

NEWEST: Final[Version] = (99, 0)
_FAMILIES: Final = "opus|sonnet|haiku|mythos|fable|instant"
# A date ("-20250514") is no minor version; "claude-3-7-sonnet" has its version before the family.
_AFTER: Final = re.compile(rf"claude-(?:{_FAMILIES})-(\d{{1,2}})(?:[.-](\d{{1,2}}))?(?!\d)")
_BEFORE: Final = re.compile(rf"claude-(\d{{1,2}})(?:[.-](\d{{1,2}}))?-(?:{_FAMILIES})")


class Abilities(Struct, frozen=True):
    """`takes_budget`: thinking of type "enabled"; `takes_adaptive`: of type "adaptive", with `output_config.effort`.

    `takes_off`: of type "disabled". `takes_sampling`: temperature, top_p and top_k. `one_sampler`: not temperature and
    top_p in one call; temperature at most 1. `takes_xhigh`: that effort. `takes_system_turns`: role "system" among the
    messages. `needs_signatures`: refuses a thought that it has not signed.
    """

    takes_budget: bool = True
    takes_adaptive: bool = False
    takes_off: bool = True
    takes_sampling: bool = True
    one_sampler: bool = True
    takes_xhigh: bool = False
    takes_system_turns: bool = False
    needs_signatures: bool = True


_OTHERS: Final = Abilities(one_sampler=False, needs_signatures=False)
_TO_4_5: Final = Abilities()
_4_6: Final = Abilities(takes_adaptive=True)
_4_7: Final = Abilities(
    takes_budget=False, takes_adaptive=True, takes_off=False, takes_sampling=False, takes_xhigh=True
)
_FROM_4_8: Final = Abilities(
    takes_budget=False,
    takes_adaptive=True,
    takes_off=False,
    takes_sampling=False,
    takes_xhigh=True,
    takes_system_turns=True,
)


def is_claude(model: str) -> bool:
    return "claude" in model.lower()


def abilities_of(model: str) -> Abilities:
    if not is_claude(model):
        return _OTHERS
    version = _version(model.lower())
    if version < (4, 6):
        return _TO_4_5
    if version == (4, 6):
        return _4_6
    return _4_7 if version == (4, 7) else _FROM_4_8


def _version(model: str) -> Version:
    found = _AFTER.search(model) or _BEFORE.search(model)
    if found is None:
        return NEWEST
    return int(found[1]), int(found[2] or 0)
