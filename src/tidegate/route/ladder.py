"""A ladder: several models behind one name, the cheapest first; and whether an answer is good enough to be delivered.

Pure: what an answer was is told by whoever read it, and what comes of the verdict is the gateway's.
"""

from collections.abc import Sequence
from typing import Final, Literal, get_args

import msgspec

Reason = Literal["refusal", "length", "schema", "logprob", "judge"]
"""Why an answer is not delivered while a rung is left."""

REASONS: Final[tuple[Reason, ...]] = get_args(Reason)
"""In the order in which they are looked for: what costs nothing first."""

SEVERITY: Final[dict[str, int]] = {"": 0, "judge": 1, "logprob": 2, "length": 3, "schema": 4, "refusal": 5}
"""Of two answers that were both not good enough, the one with the lesser fault is delivered."""

PLAIN_REFUSAL_CHARS_MAX: Final = 600  # a longer text that begins so goes on to say something


class Rung(msgspec.Struct, frozen=True):
    """One model, and what of its answers sends the call on. `logprob_min`: the mean that counts as sure enough."""

    model: str
    escalate_on: frozenset[Reason] = frozenset()
    logprob_min: float = -0.5


class Judge(msgspec.Struct, frozen=True):
    """Who scores answers from 0 to 10, by which instructions, and which score is good enough."""

    model: str
    prompt: str
    min_score: int


class Ladder(msgspec.Struct, frozen=True):
    """`budget_nano_usd`: of one call; None: it has none."""

    name: str
    rungs: tuple[Rung, ...]
    judge: Judge | None = None
    budget_nano_usd: int | None = None


class Answer(msgspec.Struct, frozen=True):
    """What the verdict rests on.

    `stop`: why the answer ended, in the words of `wire.events.StopReason`; "" where it did not say. `is_refused`: the
    provider marked it as a refusal. `logprob`: the mean log-probability of its tokens; None: nobody told.
    `fits_schema`: whether it is as the caller's schema has it; None: there is none, or nobody can tell.
    """

    text: str = ""
    tool_calls: int = 0
    stop: str = ""
    is_refused: bool = False
    logprob: float | None = None
    fits_schema: bool | None = None


def verdict(rung: Rung, answer: Answer, refusals: Sequence[str] = ()) -> Reason | None:
    """Why an answer of a rung is not good enough; None: it is, as far as can be told without a judge.

    What is unknown speaks for the answer. refusals: how plain refusals begin, as `is_plain_refusal` has them.
    """
    found: dict[Reason, bool] = {
        "refusal": answer.is_refused
        or answer.stop in ("refusal", "content_filter")
        or (not answer.tool_calls and is_plain_refusal(answer.text, refusals)),
        "length": answer.stop in ("length", "context"),
        "schema": answer.fits_schema is False,
        "logprob": answer.logprob is not None and answer.logprob < rung.logprob_min,
    }
    return next((reason for reason in REASONS if reason in rung.escalate_on and found.get(reason)), None)


def is_plain_refusal(text: str, begins: Sequence[str]) -> bool:
    """Whether a short text begins as models begin a refusal. begins: in lower case, with straight apostrophes."""
    if len(text) > PLAIN_REFUSAL_CHARS_MAX:
        return False
    plain = text.strip(" \t\r\n*_>\"'").lower().replace("’", "'")
    return plain.startswith(tuple(begins)) if begins else False


class Purse:
    """What one call may spend on its rungs, and has spent. Nano-USD."""

    def __init__(self, budget_nano_usd: int | None) -> None:
        self._budget = budget_nano_usd
        self.spent = 0

    def spend(self, amount: int) -> None:
        """An attempt was charged. Raises ValueError for less than nothing."""
        if amount < 0:
            raise ValueError(f"an attempt cannot cost {amount} nano-USD")
        self.spent += amount

    def allows(self, bound: int) -> bool:
        """Whether an attempt that may cost so much may begin."""
        return self._budget is None or self.spent + bound <= self._budget


def is_better(reason: str, than: str) -> bool:
    """Whether an answer with this fault is to be delivered rather than an earlier one with that; equal: the later."""
    return SEVERITY.get(reason, len(SEVERITY)) <= SEVERITY.get(than, len(SEVERITY))


def told(ladder: Ladder, place: int, steps: Sequence[str]) -> str:
    """What a row keeps: `ladder cheap-first 2/3 refusal`, the rung that answered (from 1), and why not those before."""
    return f"ladder {ladder.name} {place}/{len(ladder.rungs)}" + (f" {' > '.join(steps)}" if steps else "")
