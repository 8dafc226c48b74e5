"""What an audit finds: causes in words, findings call by call, and how sure each is."""

from typing import Final, Literal, NamedTuple

import msgspec

from tidegate.accounts.audit.call import LoggedCall

Certainty = Literal["certain", "likely", "possible", "unknowable"]
"""How sure a finding is.

certain: it follows from what the log itself records. likely: the logged amount is what exactly this mistake gives at
the published price. possible: it fits, but so would something else, or the provider or its price is a guess.
unknowable: the log shows that something is amiss, and lacks what would tell the amount.
"""
CERTAINTIES: Final[tuple[Certainty, ...]] = ("certain", "likely", "possible", "unknowable")


class Cause(NamedTuple):
    """One cause. title: in a table. text: what happened, for one who has not heard of it."""

    title: str
    text: str


CAUSES: Final[dict[str, Cause]] = {
    "cached_full_rate": Cause(
        "cached tokens at the full rate",
        "Tokens read from the provider's cache were charged like fresh input; providers charge a fraction.",
    ),
    "cached_twice": Cause(
        "cached tokens charged twice",
        "Tokens read from the cache were charged in the input at the full rate, and again at the rate of cached ones.",
    ),
    "cached_free": Cause(
        "cached tokens not charged", "Tokens read from the cache were left out of the charge; providers charge them."
    ),
    "cache_full_rate": Cause(
        "cache reads and writes at the plain rate",
        "Neither the discount for cache reads nor the surcharge for cache writes was applied.",
    ),
    "cache_twice": Cause(
        "cache reads and writes charged twice",
        "Tokens read from and written to the cache were charged as input, and again at their own rates.",
    ),
    "cache_free": Cause("cache reads and writes not charged", "All cached tokens were left out of the charge."),
    "cache_write_full_rate": Cause(
        "cache writes at the plain rate", "Writing to the cache costs more than plain input there; it was not charged."
    ),
    "cache_write_free": Cause("cache writes not charged", "Tokens written to the cache were left out of the charge."),
    "cache_write_twice": Cause(
        "cache writes charged twice", "Tokens written to the cache were charged as input, and again as writes."
    ),
    "cache_write_as_read": Cause(
        "cache writes at the rate of reads", "Tokens written to the cache were charged as if read from it."
    ),
    "cache_write_1h_as_5m": Cause(
        "one-hour cache writes at the five-minute rate", "What is kept for an hour costs more to write; it was missed."
    ),
    "cache_write_5m_as_1h": Cause(
        "five-minute cache writes at the one-hour rate", "The dearer rate of one-hour writes was charged for all."
    ),
    "media_as_text": Cause(
        "audio or images at the text rate", "Tokens that are not text have rates of their own; they were not applied."
    ),
    "searches_free": Cause(
        "web searches not charged", "The provider charges by the search; the log's amount does not."
    ),
    "input_free": Cause("input not charged", "Only the output was charged."),
    "reasoning_dropped": Cause("reasoning not charged", "Reasoning tokens were left out; providers charge them."),
    "reasoning_twice": Cause(
        "reasoning charged twice", "Reasoning tokens are part of the output; they were charged once more beside it."
    ),
    "only_reasoning": Cause("only reasoning charged", "Of the output only the reasoning tokens were charged."),
    "reasoning_full_rate": Cause(
        "reasoning at the rate of plain output", "The model has a rate of its own for reasoning; it was not applied."
    ),
    "output_free": Cause("output not charged", "Only the input was charged."),
    "long_rate_missed": Cause(
        "long-context price missed", "Above a number of input tokens all tokens of a call cost more; it was missed."
    ),
    "long_rate_early": Cause(
        "long-context price too early", "The dearer price of long inputs was charged for an input below its bound."
    ),
    "half_price_missed": Cause(
        "flex or batch at the full price", "Such calls cost half of the list price; the full one was charged."
    ),
    "price_of_other_hour": Cause("price of another hour", "Charged at rates that held at other hours than the call's."),
    "price_out_of_date": Cause("price out of date", "Charged at a price that held on another day than the call's."),
    "other_provider": Cause(
        "price of another provider",
        "Charged at what another provider takes for the same model, not the one that served.",
    ),
    "other_price": Cause(
        "not the list price",
        "Every call of this model follows other rates than the published ones: an outdated or mistyped price, or one "
        "that was agreed.",
    ),
    "other_cache_rate": Cause(
        "cached tokens at a rate of their own",
        "Input and output stand at one factor to the list price, cached tokens at another.",
    ),
    "margin": Cause(
        "a margin on the list price",
        "All calls of this model stand in one ratio to the list price. No mistake: a margin or discount, told apart.",
    ),
    "free_by_mistake": Cause(
        "charged nothing: model unknown to the gateway",
        "The gateway knew no price for the model and charged zero, so that no budget could stop it.",
    ),
    "unbilled": Cause("charged nothing", "Tokens are logged, other calls of the model are charged, this one is not."),
    "disconnect_unbilled": Cause(
        "caller left: not charged", "The caller left before the end; the provider charges what it produced until then."
    ),
    "disconnect_partial": Cause(
        "caller left: a placeholder charged",
        "The caller left before the end, and next to no output was logged; the provider charges what it produced.",
    ),
    "no_usage": Cause("no counts in the log", "The call went well and neither tokens nor a charge were logged."),
    "charged_without_usage": Cause(
        "charged without counts", "An amount was charged, and no tokens were logged for it."
    ),
    "failure_charged": Cause(
        "a failed call charged", "The call failed before any answer; providers charge nothing then."
    ),
    "own_cache_charged": Cause(
        "the gateway's own cache charged", "The answer came from the gateway's cache: no provider was paid for it."
    ),
    "counted_locally": Cause(
        "counted by the gateway itself",
        "The provider sent no counts, so the gateway guessed them with a tokenizer of its own.",
    ),
    "charged_twice": Cause(
        "one call charged twice", "The same call stands in the log more than once, charged each time."
    ),
    "negative": Cause("a negative charge", "The log gives money back for a call that used tokens."),
    "sum_above": Cause(
        "a day above the list price", "The day's tokens cost less than that at the published price, cached or not."
    ),
    "sum_below": Cause(
        "a day below the list price", "The day's tokens cost more than that at the published price, even if all cached."
    ),
    "unexplained": Cause(
        "no known mistake explains it", "The amount is neither right at the published price nor any mistake known here."
    ),
}
INFORMING: Final = frozenset({"margin"})
"""Causes that are no mistake: told, and in no sum of what was misbilled."""


class Finding(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One call that was misbilled. causes: the first is the main one. price_id: the price that it is held against.

    should_nano_usd: None where nobody can know it. is_at_least: the true amount may be higher.
    why: the evidence, in one sentence.
    """

    call: LoggedCall
    causes: tuple[str, ...]
    certainty: Certainty
    why: str
    should_nano_usd: int | None = None
    is_at_least: bool = False
    price_id: str = ""

    @property
    def over_nano_usd(self) -> int:
        """Charged too much; below zero: too little. 0 where nobody can know."""
        return 0 if self.should_nano_usd is None else self.call.charged_nano_usd - self.should_nano_usd


def weaker(certainty: Certainty, steps: int = 1) -> Certainty:
    """One step less sure, never unknowable: there is an amount."""
    return CERTAINTIES[min(CERTAINTIES.index(certainty) + steps, CERTAINTIES.index("possible"))]
