"""Settings of ladders: names that callers may ask for, behind which several models stand, the cheapest first.

They stand in `tidegate.toml` and are part of `tidegate.config`; `route/ladder_book.py` reads and checks them.
"""

from typing import Annotated

import msgspec
from msgspec import Meta

Names = tuple[str, ...]


def _help(text: str) -> Meta:
    return Meta(description=text)


class RungConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One model of a ladder, and what of its answers sends the call on to the next one."""

    model: Annotated[str, _help("as callers name it; any endpoint of it may serve that their policies permit")]
    escalate_on: Annotated[
        Names,
        _help(
            "answers that are not delivered while a rung is left: `refusal`, `length` (cut off), `schema` (not as the "
            "caller's JSON schema has it), `logprob` (the model was unsure), `judge` (scored too low); none on the last"
        ),
    ] = ()
    logprob_min: Annotated[
        Annotated[float, Meta(le=0)],
        _help("the mean log-probability of its tokens (natural logarithm) below which an answer counts as unsure"),
    ] = -0.5


class JudgeConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The model that scores answers from 0 to 10. It is asked as one more attempt of the call, and charged with it."""

    model: Annotated[str, _help("as callers name it; their policies bind its endpoints, too")]
    min_score: Annotated[Annotated[int, Meta(ge=1, le=10)], _help("the score from which an answer is delivered")] = 7
    prompt: Annotated[
        str, _help('its instructions, in place of ours; it must be told to answer with JSON: `{"score": 7}`')
    ] = ""


class LadderConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A name that callers ask for as for a model. Its rungs are asked in order until one answers well enough."""

    rungs: Annotated[tuple[RungConfig, ...], _help("at least two, the cheapest first")]
    judge: Annotated[JudgeConfig | None, _help("with `judge` in escalate_on")] = None
    budget_usd: Annotated[
        str,
        _help(
            "of one call: no further rung, and no judge, is asked when what was spent and the most that it may cost "
            'come to more; as text ("0.05"), empty: no budget'
        ),
    ] = ""
