"""What a study is asked for: window, grain, measure, view and switches."""

from typing import Literal

import msgspec

from tidegate.study.periods import Anchor, Grain, Window
from tidegate.study.result import StudyError

Measure = Literal["tokens", "calls", "spend"]
UNITS: dict[Measure, str] = {"tokens": "tokens", "calls": "calls", "spend": "nano-USD"}
LabelRule = Literal["top", "split", "any"]
UnitOf = Literal["tenant", "user"]
SizeBy = Literal["total", "active", "price"]
Taxonomy = Literal["ranking", "study"]


class Params(msgspec.Struct, frozen=True, kw_only=True):
    """The parameters of every figure; a figure that cannot honour one says so.

    top: None for all models, else only the N largest of each period, variants ranked apart (a leaderboard's view).
    include_free: models under the variant `free`. include_byok: calls on the caller's own provider key.
    label_rule: a call of several labels counts under the surest one (`top`), in equal parts under each (`split`) or
    fully under each (`any`, so that shares add up to more than one). taxonomy: the twelve categories of the public
    ranking, or the buckets that the text of the study defines. size_by: what sizes a model: its total
    parameters, those active for one token, or its list price. unit: whose return is counted, accounts' (tenant_id) or
    their end users' (user_hash).
    without_accounts: tenant ids whose calls are left out, as if they had never been made.
    """

    window: Window = Window()
    grain: Grain = "week"
    anchor: Anchor = "monday"
    measure: Measure = "tokens"
    top: int | None = None
    include_free: bool = True
    include_cloaked: bool = True
    include_byok: bool = True
    label_rule: LabelRule = "top"
    taxonomy: Taxonomy = "ranking"
    size_by: SizeBy = "total"
    unit: UnitOf = "tenant"
    without_accounts: tuple[str, ...] = ()

    def switches(self) -> list[str]:
        """Which switches were used: every output carries them."""
        weeks = f"weeks begin on {self.anchor.capitalize()}" if self.grain == "week" else "calendar months"
        kept = {"free variants": self.include_free, "cloaked models": self.include_cloaked, "BYOK": self.include_byok}
        used = "; ".join(f"{name} {'in' if value else 'out'}" for name, value in kept.items())
        told = [f"Measure {self.measure}; {weeks}, UTC; {used}."]
        if self.without_accounts:
            told.append(f"Without the accounts {', '.join(self.without_accounts)}.")
        return told


def parse_view(text: str) -> int | None:
    """`all` -> None, `top:9` -> 9."""
    if text == "all":
        return None
    word, _, number = text.partition(":")
    if word != "top" or not number.isdecimal() or int(number) < 1:
        raise StudyError(f"view {text!r}: write `all`, or `top:9` for the nine largest models of each period")
    return int(number)
