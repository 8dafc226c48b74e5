"""Judged calls by model and by task category: what the two figures of value are made of."""

import math
from collections.abc import Mapping
from typing import Any

import msgspec

from tidegate.ledger.outcomes import attach_judged
from tidegate.study.categories import category_of
from tidegate.study.facts import Facts, Source
from tidegate.study.params import Params
from tidegate.study.quantity import percent
from tidegate.study.result import NotComputable

ALL = "all"
UNLABELLED = "(no label)"
Key = tuple[str, str]
"""(model, category), either of them ALL."""


class Pile(msgspec.Struct, frozen=True, kw_only=True):
    """Judged calls of one key, and sums over them.

    costed: calls with a verdict and a known cost, which the last five are of. cost, cost2: the sums of their nano-USD
    and of its square. cost_accepted: of the accepted ones.
    """

    calls: int = 0
    accepted: int = 0
    rejected: int = 0
    scored: int = 0
    score_ppm: int = 0
    costed: int = 0
    costed_accepted: int = 0
    cost: int = 0
    cost2: int = 0
    cost_accepted: int = 0

    @property
    def verdicts(self) -> int:
        return self.accepted + self.rejected

    def plus(self, other: "Pile") -> "Pile":
        return Pile(**{name: getattr(self, name) + getattr(other, name) for name in Pile.__struct_fields__})

    def cost_per_accepted(self) -> tuple[float, float] | None:
        """Nano-USD over accepted calls with its standard error (ratio of two sums, linearised); None without any."""
        n, taken = self.costed, self.costed_accepted
        if not taken:
            return None
        ratio = self.cost / taken
        squares = (
            self.cost2 - 2 * ratio * self.cost_accepted + ratio * ratio * taken
        )  # sum of (cost - ratio accepted)^2
        error = math.sqrt(max(squares, 0.0) * n / (n - 1)) / taken if n > 1 else math.nan
        return ratio, error


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """Piles by key; how many answered calls there are in the window, and what else readers must know."""

    piles: Mapping[Key, Pile]
    calls: int
    notes: tuple[str, ...]

    @property
    def judged(self) -> int:
        return self.piles[ALL, ALL].calls

    @property
    def missing_share(self) -> float:
        return max(0.0, 1 - self.judged / self.calls) if self.calls else 0.0


def judged(figure: str, facts: Facts, source: Source, params: Params) -> Judged:
    """Read the judged calls of a source. Raises NotComputable where it has none."""
    if source.kind != "calls":
        raise NotComputable(figure, source.source_id, "it has sums by day, not calls that were judged (outcomes)")
    if params.without_accounts:
        raise NotComputable(figure, source.source_id, "accounts cannot be left out of judged calls (tenant_id)")
    if params.top is not None:
        raise NotComputable(
            figure, source.source_id, "there is no rank of models among judged calls, so no view but all"
        )
    attached = attach_judged(facts.ledger, facts.connection)
    where, values = _switches(facts, source, params)
    rows = facts.query(
        "SELECT response_model, tag_path, count(*), count(*) FILTER (accepted), count(*) FILTER (NOT accepted), "
        "count(score_ppm), coalesce(sum(score_ppm), 0), "
        "count(*) FILTER (accepted IS NOT NULL AND cost_nano_usd IS NOT NULL), "
        "count(*) FILTER (accepted AND cost_nano_usd IS NOT NULL), "
        "coalesce(sum(cost_nano_usd) FILTER (accepted IS NOT NULL), 0), "
        "coalesce(sum(CAST(cost_nano_usd AS HUGEINT) * cost_nano_usd) FILTER (accepted IS NOT NULL), 0), "
        f"coalesce(sum(cost_nano_usd) FILTER (accepted), 0) FROM judged WHERE {where} GROUP BY ALL ORDER BY ALL",
        values,
    )
    if not rows:
        raise NotComputable(figure, source.source_id, "no sealed call has an outcome (POST /api/v1/feedback)")
    piles: dict[Key, Pile] = {}
    for model, path, *sums in rows:
        pile = Pile(**dict(zip(Pile.__struct_fields__, map(int, sums), strict=True)))
        category = category_of(path) if path else UNLABELLED
        for key in ((ALL, ALL), (model or "(unknown)", ALL), (ALL, category), (model or "(unknown)", category)):
            piles[key] = piles.get(key, Pile()).plus(pile)
    calls = facts.query(
        f"SELECT coalesce(sum(calls), 0) FROM daily_usage WHERE {where} AND coalesce(finish_class, '') <> 'error'",
        values,
    )[0][0]
    told = [f"{attached.elsewhere} judged calls are not sealed yet, or of no call here."] if attached.elsewhere else []
    if attached.bad_lines:
        told.append(f"{attached.bad_lines} damaged lines of outcomes were passed over.")
    return Judged(piles=piles, calls=int(calls), notes=tuple(told))


def _switches(facts: Facts, source: Source, params: Params) -> tuple[str, list[Any]]:
    where = ["source_id = ?"]
    values: list[Any] = [source.source_id]
    for side, day in ((">=", params.window.first), ("<=", params.window.last)):
        if day:
            where.append(f"day {side} ?")
            values.append(day)
    if not params.include_free:
        where.append("coalesce(model_variant, '') <> 'free'")
    if not params.include_byok:
        where.append("is_byok IS NOT TRUE")
    if not params.include_cloaked:
        names = facts.query("SELECT DISTINCT response_model FROM judged WHERE response_model IS NOT NULL")
        cloaked = [name for (name,) in names if facts.makers.of_model(name).origin == "cloaked"]
        where.append("(response_model IS NULL OR response_model NOT IN (SELECT unnest(?)))")
        values.append(cloaked)
    return " AND ".join(where), values


def ordered(piles: Mapping[Key, Pile]) -> list[tuple[Key, Pile]]:
    """All first, then models, categories and pairs; most verdicts first, then by name."""
    return sorted(
        piles.items(),
        key=lambda item: (sum(part != ALL for part in item[0]), item[0][0] == ALL, -item[1].verdicts, item[0]),
    )


def judged_notes(source: Source, params: Params, found: Judged) -> list[str]:
    """What both figures say beside their numbers."""
    return [
        source.describe(),
        *params.switches(),
        f"n counts judged calls; {percent(found.missing_share)} of {found.calls:,} answered calls have no outcome. "
        "What is judged is not chosen by chance: this holds for judged calls only. The newest judgement counts.",
        *found.notes,
    ]
