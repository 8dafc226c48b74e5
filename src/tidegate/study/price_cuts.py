"""What happens to a model's tokens in the weeks around a price cut: an event study."""

import math

from tidegate.study.event_study import BASE, EventStudy, event_study
from tidegate.study.facts import Facts, Source
from tidegate.study.params import Params
from tidegate.study.price_panel import CUT_MIN, WEEKS_MIN, read_weeks
from tidegate.study.regression import Estimate, NotIdentified
from tidegate.study.result import Cell, NotComputable, Result

NAME = "price_cuts"
QUESTION = "Does a model's use grow after its price is cut?"
NAMED_MAX = 12  # cuts named in the notes


def price_cuts(facts: Facts, source: Source, params: Params) -> Result:
    """Effect on ln tokens by week from the cut, with its interval, against models of steady price."""
    weeks = read_weeks(NAME, facts, source, params)
    try:
        found = event_study(weeks, facts.prices)
    except NotIdentified as error:
        raise NotComputable(NAME, source.source_id, f"{error}; dated prices: --prices FILE") from None
    rows: list[Cell] = []
    for k in sorted({*found.effects, BASE}):
        effect = found.effects.get(k)
        low, high = effect.interval if effect else (0.0, 0.0)
        values = {"effect": effect.value if effect else 0.0, "low": low, "high": high, "models": found.models.get(k, 0)}
        for name, value in values.items():
            groups = {"weeks_from_cut": str(k), "statistic": name}
            rows.append(Cell(period=weeks.weeks[0].isoformat(), groups=groups, value=value))
    return Result(
        figure=NAME,
        definition=(
            "Change of ln(tokens) of models whose list price fell, by week from the cut, against the last whole week "
            "at the old price (week -1, zero by construction) and against models of steady price: two-way fixed "
            "effects of model and week, errors clustered by model, 95 % intervals."
        ),
        source_id=source.source_id,
        window=weeks.window,
        rows=tuple(rows),
        n=found.fit.n,
        missing_share=0.0,
        notes=(*_notes(found), source.describe(), facts.prices.basis, *_caveats(found)),
        unit="ln tokens",
        down=("weeks_from_cut",),
    )


def _notes(found: EventStudy) -> list[str]:
    average = found.average
    told = [
        f"After a cut of {1 - math.exp(found.mean_log_change):.0%} on average, tokens are "
        f"{math.exp(average.value) - 1:+.0%} ({_growth(average)}) against week -1, over all weeks from 0 on.",
        f"- implied elasticity {found.elasticity.value:.2f} "
        f"(95 % {found.elasticity.interval[0]:.2f} to {found.elasticity.interval[1]:.2f})",
    ]
    if found.before is not None:
        told.append(
            f"- weeks before -1 together: {found.before.value:+.2f} (p = {found.before.p_value:.2f}); far from zero "
            "would mean that these models were on another path before their price fell"
        )
    return told


def _growth(estimate: Estimate) -> str:
    low, high = estimate.interval
    return f"95 % {math.exp(low) - 1:+.0%} to {math.exp(high) - 1:+.0%}"


def _caveats(found: EventStudy) -> list[str]:
    named = "; ".join(
        f"{cut.name} {cut.first_new} ({1 - cut.after / cut.before:.0%})"
        for cut in sorted(found.cuts, key=lambda cut: cut.log_change)[:NAMED_MAX]
    )
    return [
        f"n counts weeks of models: {len(found.cuts)} with a cut of at least {CUT_MIN:.0%} (the first of each, "
        f"with tokens in at least {WEEKS_MIN} week on each side), {found.controls} of steady price. Deepest: {named}.",
        "A week counts at a price that was seen on one of its days, and no other; weeks between two lists that differ, "
        "and after the last list, have no known price and are left out.",
        "What identifies it: the timing of cuts. A cut that answers falling use, or comes with a rival's launch, "
        "biases it; with cuts at different times and unequal effects, two-way fixed effects weigh them unevenly.",
    ]
