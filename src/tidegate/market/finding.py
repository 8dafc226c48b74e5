"""What a check says about claims: a verdict, the arithmetic behind it and a reading; never an edit."""

import csv
from collections.abc import Iterable
from functools import cache, lru_cache

import msgspec

from tidegate.market.book import SHIPPED
from tidegate.market.claim import NAMES_KEPT, Claim, words

ALARMS = ("fail", "fail_as_stated", "fail_soft", "flag", "flag_bounds", "flag_external")


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """kind: the check. verdict: pass..., flag..., fail... or info. claims: ids, as many as the arithmetic used."""

    kind: str
    verdict: str
    claims: tuple[str, ...]
    test: str
    expected: str = ""
    found: str = ""
    reading: str = ""

    @property
    def is_alarm(self) -> bool:
        return self.verdict in ALARMS


class Corpus(msgspec.Struct, frozen=True, kw_only=True):
    """What the checks look at. evidence: claims of others, held against `claims`. slips: claim_id -> power of ten."""

    claims: tuple[Claim, ...]
    evidence: tuple[Claim, ...] = ()
    slips: dict[str, int] = {}


def ids(claims: Iterable[Claim]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(claim.claim_id for claim in claims))


def short(value: float) -> str:
    """Four significant digits, with an exponent where that is shorter: 1.64e+13, 2.67, 49.2."""
    return f"{value:.4g}".replace("e+0", "e").replace("e+", "e").replace("e-0", "e-")


@lru_cache(NAMES_KEPT)
def same_name(left: str, right: str) -> bool:
    """Whether one name's words are all in the other: `Doubao` and `Doubao models`, never two different adjectives."""
    a, b = words(left), words(right)
    return bool(a and b) and (a <= b or b <= a)


@cache
def _organisations() -> dict[str, str]:
    with (SHIPPED / "entities.csv").open(encoding="utf-8", newline="") as file:
        return {row["name"].lower(): row["organisation"] for row in csv.DictReader(file)}


@lru_cache(NAMES_KEPT)
def organisation(entity: str) -> str:
    """Whose product an entity is, by data/market/entities.csv; the name itself where nobody knows."""
    text = f" {' '.join(entity.lower().replace('(', ' ').replace(')', ' ').replace(',', ' ').split())} "
    found = [(text.index(f" {name} "), whose) for name, whose in _organisations().items() if f" {name} " in text]
    return min(found)[1] if found else entity.strip().lower()
