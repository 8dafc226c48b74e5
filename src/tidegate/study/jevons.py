"""Did spend on a model rise after its price was cut? Then use grew by more than the price fell: Jevons' paradox."""

from collections.abc import Sequence

import msgspec
import numpy as np

from tidegate.study.facts import Facts, Source
from tidegate.study.params import Params
from tidegate.study.price_panel import CUT_MIN, PriceCut, Weeks, price_cuts, read_weeks
from tidegate.study.regression import NotIdentified, mean_estimate, wilson
from tidegate.study.result import Cell, NotComputable, Result

NAME = "jevons"
QUESTION = "Did total spend rise after a price cut?"
WEEKS = 4  # on each side of the cut, fewer where there are no more


class Rebound(msgspec.Struct, frozen=True, kw_only=True):
    """One cut, mean weeks before against after. Ratios: after / before. market: tokens of all other models."""

    cut: PriceCut
    weeks_before: int
    weeks_after: int
    tokens: float
    market: float

    @property
    def price(self) -> float:
        return self.cut.after / self.cut.before

    @property
    def spend(self) -> float:
        return self.tokens * self.price

    @property
    def spend_beside_market(self) -> float:
        """What is left of the change of spend when the growth of all other models is taken out."""
        return self.spend / self.market


def jevons(facts: Facts, source: Source, params: Params) -> Result:
    """Price, tokens and spend after each cut over before, as they are and beside the market's growth."""
    weeks = read_weeks(NAME, facts, source, params)
    found = [item for cut in price_cuts(weeks, facts.prices) if (item := rebound(cut, weeks))]
    if not found:
        raise NotComputable(
            NAME,
            source.source_id,
            f"no list price is known to have fallen by {CUT_MIN:.0%} or more between weeks with tokens; "
            "dated prices: --prices FILE",
        )
    rows: list[Cell] = []
    for item in found:
        for name in ("price", "tokens", "spend", "market", "spend_beside_market"):
            groups = {"model": item.cut.name, "cut": item.cut.first_new.isoformat(), "ratio": name}
            rows.append(Cell(period=item.cut.first_new.isoformat(), groups=groups, value=getattr(item, name)))
    return Result(
        figure=NAME,
        definition=(
            f"Means of up to {WEEKS} whole weeks after a price cut over those before it: list price at the model's own "
            "mix, tokens, spend (price x tokens), tokens of all other models (market), and spend over market."
        ),
        source_id=source.source_id,
        window=weeks.window,
        rows=tuple(rows),
        n=len(found),
        missing_share=0.0,
        notes=(
            *_answer(found),
            source.describe(),
            facts.prices.basis,
            "n counts cuts, the first of each model in the window. A ratio above 1 is a rise.",
            "What identifies it: before against after, beside the market's growth; a launch, a promotion or a rival in "
            "the same weeks is taken for the price's doing. Spend on the model is not spend of its users: they may "
            "have left other models for it.",
        ),
        unit="after / before",
        down=("model", "cut"),
    )


def rebound(cut: PriceCut, weeks: Weeks) -> Rebound | None:
    """Before and after one cut; None where a side has no tokens."""
    sides: dict[bool, list[int]] = {False: [], True: []}
    markets: dict[bool, list[int]] = {False: [], True: []}
    for week, tokens in weeks.tokens[cut.key].items():
        k = cut.week_of(week)
        if k is not None and -WEEKS <= k < WEEKS:
            sides[k >= 0].append(tokens)
            markets[k >= 0].append(weeks.market(week) - tokens)
    if not sides[False] or not sides[True] or not sum(markets[False]) or not sum(markets[True]):
        return None
    return Rebound(
        cut=cut,
        weeks_before=len(sides[False]),
        weeks_after=len(sides[True]),
        tokens=float(np.mean(sides[True]) / np.mean(sides[False])),
        market=float(np.mean(markets[True]) / np.mean(markets[False])),
    )


def _answer(found: Sequence[Rebound]) -> list[str]:
    told = []
    for words, rose in (
        ("as it is", sum(item.spend > 1 for item in found)),
        ("beside the growth of all other models", sum(item.spend_beside_market > 1 for item in found)),
    ):
        low, high = wilson(rose, len(found))
        told.append(f"- spend {words} rose after {rose} of {len(found)} cuts (95 % {low:.0%} to {high:.0%})")
    logs = np.log([item.spend_beside_market for item in found])
    try:
        mean = mean_estimate(logs)
        low, high = mean.interval
        told.append(
            f"- mean change of spend beside the market, of ln: {mean.value:+.2f} (95 % {low:+.2f} to {high:+.2f}); "
            "above zero is Jevons' case, where use grows by more than the price falls"
        )
    except NotIdentified as error:
        told.append(f"- no mean with an interval: {error}")
    return ["After a price cut:", *told]
