"""A claim: what somebody published, with its period, scope and the words it was stated in. Never edited."""

import calendar
import datetime as dt
import math
import re
from decimal import Decimal
from functools import lru_cache

import msgspec

from tidegate.core.errors import TidegateError

NAMES_KEPT = 65_536  # entries of a cache: every check compares the same few names again and again
QUALIFIERS = ("eq", "approx", "gt", "lt", "range", "range_low", "range_high")
APPROX = 0.1  # "about" is read as up to this part of the value
UNIT_WORDS = frozenset(
    [
        "tokens",
        "token",
        "calls",
        "requests",
        "queries",
        "persons",
        "people",
        "users",
        "visits",
        "count",
        "rank",
        "ratio",
        "percent",
        "fraction",
        "points",
        "point",
        "index_points",
        "parameters",
        "yyyymm",
        "yyyy",
        "day",
        "days",
        "minute",
        "minutes",
        "second",
        "hour",
        "week",
        "month",
        "quarter",
        "year",
        "request",
        "call",
        "user",
        "prompt",
        "gw",
        "mw",
        "kwh",
        "gpus",
        "chips",
        "patents",
        "models",
        "flops",
        "bytes",
        "seconds",
        "hours",
        "documents",
        "thousand",
        "1k",
        "1m",
        "1k_tokens",
        "mtok",
        "percentage_points",
        "households",
        "companies",
        "countries",
        "units",
        "shipments",
        "score",
        "text",
    ]
)
CURRENCIES = frozenset(
    [
        "usd",
        "cny",
        "rmb",
        "eur",
        "jpy",
        "gbp",
        "inr",
        "krw",
        "hkd",
        "twd",
    ]
)
DAYS_OF = {
    "second": 1 / 86400,
    "minute": 1 / 1440,
    "hour": 1 / 24,
    "day": 1.0,
    "week": 7.0,
    "month": 30.4375,
    "quarter": 91.3125,
    "year": 365.25,
}
FORMS = {"daily": "day", "monthly": "month", "weekly": "week", "annual": "year", "yearly": "year", "hourly": "hour"}


class MarketError(TidegateError):
    """A claim, a file of claims or a question to the book that cannot be used; the text names row and mend."""


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """One published figure. value is exact, in `unit`; period_end None: open, as in "since February"."""

    claim_id: str
    entity: str
    metric: str
    period_start: dt.date
    value: Decimal
    unit: str
    scope: str = ""
    basis: str = ""
    period_end: dt.date | None = None
    period_kind: str = "span"  # instant | span | rate
    value_hi: Decimal | None = None
    qualifier: str = "eq"
    as_stated: str = ""
    source_id: str = ""
    publisher: str = ""
    published_at: str = ""
    retrieved_from: str = ""
    retrieved_at: str = ""
    locator: str = ""
    derived_from: tuple[str, ...] = ()
    restates: str = ""
    part_of: str = ""  # the entity of which this one is a part, in the same metric and scope
    extracted_by: str = ""
    confidence: str = ""  # A primary .. D repost
    status: str = ""
    locale: str = ""
    note: str = ""
    line: int = 0

    @property
    def end(self) -> dt.date:
        """The last day; an open period reaches to the end of its first year at least."""
        return self.period_end or dt.date.max

    @property
    def days(self) -> int:
        return (self.end - self.period_start).days + 1

    @property
    def platform(self) -> str:
        """The scope without what narrows it: `OpenRouter platform, best weeks` -> `openrouter platform`."""
        return self.scope.split(",")[0].strip().lower()

    def alike_scope(self, other: "Claim") -> bool:
        """One platform, two spellings of one, or a scope that nobody told."""
        if "not said" in self.scope + other.scope or not self.scope or not other.scope:
            return True
        a, b = words(self.platform), words(other.platform)
        return a <= b or b <= a

    @property
    def is_share(self) -> bool:
        return self.unit in ("percent", "fraction") and bool(re.search(r"(^|_)share(_|$)", self.metric))

    def overlaps(self, other: "Claim") -> bool:
        return self.period_start <= other.end and other.period_start <= self.end

    def same_period(self, other: "Claim") -> bool:
        return self.period_start == other.period_start and self.period_end == other.period_end


def low_high(claim: Claim) -> tuple[float, float]:
    """The interval that the words allow: half a unit of the last stated digit, or all above, or all below."""
    value = float(claim.value)
    half = half_step(claim)
    if claim.qualifier == "gt" or claim.qualifier == "range_low":
        return value, math.inf
    if claim.qualifier == "lt" or claim.qualifier == "range_high":
        return 0.0, value
    if claim.qualifier == "range" and claim.value_hi is not None:
        return value, float(claim.value_hi)
    if claim.qualifier == "approx":
        half = max(half, abs(value) * APPROX)
    return value - half, value + half


def half_step(claim: Claim) -> float:
    """Half a unit in the last stated digit: of the words where they hold the value, else of its own digits."""
    from tidegate.market.words import NumberWordError, amounts

    try:
        for amount in amounts(claim.as_stated, locale=claim.locale):
            if amount.value == claim.value:
                return float(amount.step) / 2
    except NumberWordError:
        pass  # an ambiguous 兆: the checks of scale report it; the digits serve here
    digits = claim.value.normalize().as_tuple()
    exponent = int(digits.exponent)
    return float(Decimal(1).scaleb(min(exponent, max(0, claim.value.adjusted() - 2)))) / 2 if claim.value else 0.5


@lru_cache(NAMES_KEPT)
def rate_days(unit: str, metric: str = "") -> float | None:
    """Days that the `per` of a unit or metric covers: tokens_per_day 1, tokens/month 30.44; None for a total."""
    found = re.search(r"(?:_per_|/)(second|minute|hour|day|week|month|quarter|year)\b", unit)
    if found:
        return DAYS_OF[found[1]]
    if unit in ("percent", "fraction", "ratio"):
        return None
    found = re.search(r"(?:^|_)per_(second|minute|hour|day|week|month|quarter|year)(?:$|_)", metric)
    return DAYS_OF[found[1]] if found else None


@lru_cache(NAMES_KEPT)
def stock(unit: str) -> str:
    """What a unit counts, without its time: tokens_per_day and tokens are both tokens."""
    return re.sub(r"(_per_|/)(second|minute|hour|day|week|month|quarter|year)$", "", unit)


def check_unit(unit: str) -> bool:
    """Whether every word of a unit is one that we know."""
    parts = [part for part in re.split(r"_per_|/|_", unit.lower()) if part]
    known = UNIT_WORDS | CURRENCIES
    return bool(parts) and (unit.lower() in known or all(part in known or part.isdigit() for part in parts))


def parse_day(text: str, *, last: bool) -> dt.date:
    """A day, or the first or last day of a month (2025-05), half (2025H1), quarter (2025Q2) or year."""
    text = text.strip()
    if found := re.fullmatch(r"(\d{4})-?([HQ])(\d)", text):
        year, months = int(found[1]), 6 if found[2] == "H" else 3
        month = months * int(found[3]) if last else months * (int(found[3]) - 1) + 1
        text = f"{year}-{month:02d}"
    if re.fullmatch(r"\d{4}", text):
        text += "-12" if last else "-01"
    if found := re.fullmatch(r"(\d{4})-(\d{1,2})", text):
        year, month = int(found[1]), int(found[2])
        return dt.date(year, month, calendar.monthrange(year, month)[1] if last else 1)
    return dt.date.fromisoformat(text)


@lru_cache(NAMES_KEPT)
def words(text: str) -> frozenset[str]:
    """The words of a name, lower case, without filler: what two spellings of one entity share."""
    filler = {"the", "of", "in", "and", "all", "s"}
    split = re.findall(r"[a-z0-9][a-z0-9\-.]*|[\u4e00-\u9fff]+", text.lower().replace("_", " "))
    return frozenset(word for word in split if word not in filler)
