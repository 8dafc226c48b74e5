"""Published values of the study as facts: `data/published.yml` read into values, each with what it means.

How an amount is written: `47.17`, `~50` (about), `> 50`, `< 2000`, `15 .. 20` (a range), `~15 .. ~20`. A claim of unit
`date` holds ISO dates, one of unit `word` holds words.
"""

import datetime as dt
import importlib.resources
import re
from collections.abc import Collection, Mapping
from typing import Any, Literal

import msgspec

from tidegate.core.errors import CatalogError

NAME = "published.yml"
ABOUT_SHARE = 0.10  # of the value: how far off a measured value may be and still be "about" it
DIGITISED_POINTS = 1.0  # error of values read off a picture of a chart, in the chart's unit

Kind = Literal["stated", "digitised", "worked_out"]
Take = Literal["value", "share", "name"]
Pick = Literal["sum", "largest"]
Over = Literal["pooled", "mean", "last", "first", "max", "min", "each", "first_above"]
UnitName = Literal[
    "percent",
    "percentage points",
    "tokens",
    "trillion tokens",
    "USD per million tokens",
    "log10 million tokens",
    "elasticity",
    "models",
    "ratio",
    "weeks",
    "billion calls",
    "million USD",
    "count",
    "date",
    "word",
]
WORDS: frozenset[str] = frozenset({"date", "word"})


class Reading(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """How to read a value off a figure of ours.

    figure: its name. params: parameters other than asked for, by name. groups: the cells that count, by grouping
    column; several names are added up, `NAME*` stands for all that begin so. pick: their sum, or the largest one.
    of: the cells that make the whole, of the same figure or of `of_figure`; empty for all. key: the grouping
    column, or `period`, that the claim's keys name. names: what a key is called in the figure, where it is not the
    key. rest: the key that stands for all cells that neither keys nor `names` name. take: share of the whole, the
    value itself, or the name that the cell has in `column`. over: how periods become one number; `each` reads the
    claim's period alone; `first_above` gives the first period in which `groups` exceed `of`. shift_days: our period
    begins so many days after the published one. differs: what this reading measures otherwise than what was
    published.
    """

    figure: str
    params: Mapping[str, str] = {}
    groups: Mapping[str, tuple[str, ...]] = {}
    pick: Pick = "sum"
    of: Mapping[str, tuple[str, ...]] = {}
    of_figure: str = ""
    key: str = ""
    names: Mapping[str, tuple[str, ...]] = {}
    rest: str = ""
    take: Take = "share"
    column: str = ""
    over: Over = "pooled"
    shift_days: int = 0
    differs: str = ""
    without_spend: str = ""

    def differences(self, measures: Collection[str]) -> tuple[str, ...]:
        """What a source with these measures gives otherwise than what was published."""
        uncharged = self.without_spend if "spend" not in measures else ""
        return tuple(text for text in (self.differs, uncharged) if text)


class Origin(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where published values were read, and how far that place can be trusted."""

    what: str
    where: str
    trust: str


class Claim(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """One published table, series or sentence: values of one unit under one definition.

    place: where it stands (`Fig 1`, `Tab 3`, `§1.9`). period: `A:B` in UTC days, or `week` and `month` where the
    keys are its periods. values: key -> amount as printed; where the keys are periods, a name may follow
    (`2025-01 gpt-4o-mini`). tolerance: in the claim's unit, where the default does not fit. readings: tried in
    order, the first that the source can carry counts. cannot: why no ledger gives this value. unpublished: our
    figures that answer the same question, where no published number was found.
    """

    id: str
    place: str
    title: str
    unit: UnitName
    period: str
    kind: Kind
    source: tuple[str, ...]
    definition: str
    values: Mapping[str, str] = {}
    checked: str = ""
    tolerance: float | None = None
    differs: tuple[str, ...] = ()
    contradicts: tuple[str, ...] = ()
    readings: tuple[Reading, ...] = ()
    cannot: str = ""
    unpublished: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.values and not self.unpublished:
            raise ValueError(f"claim {self.id}: neither values nor `unpublished` figures")
        if self.values and bool(self.readings) == bool(self.cannot):
            raise ValueError(f"claim {self.id}: give either readings, or `cannot` with the reason")
        for key, text in self.values.items():
            read_amount(text, self.unit, f"claim {self.id}, {key}")
            self.period_of(key)

    def name_of(self, key: str) -> str:
        """The key without its period."""
        return key.partition(" ")[2] if self.period in ("week", "month") else key

    def period_of(self, key: str) -> tuple[dt.date, dt.date]:
        """First and last day of what the value under this key speaks of."""
        from tidegate.study.periods import period_end  # here: periods imports nothing of ours but results

        try:
            if self.period == "week" or self.period == "month":
                day = key.split(" ")[0]
                first = dt.date.fromisoformat(day if len(day) > len("2025-01") else f"{day}-01")
                return first, period_end(first, "week" if self.period == "week" else "month")
            first_day, _, last_day = self.period.partition(":")
            return dt.date.fromisoformat(first_day), dt.date.fromisoformat(last_day or first_day)
        except ValueError as error:
            raise ValueError(f"claim {self.id}, {key}: period {self.period!r}: {error}") from None


class Side(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """One of the readings that contradict each other.

    published: `CLAIM/KEY` of the values that it rests on, `CLAIM/*` for all of a claim. arithmetic: what is made of
    them. readings, cannot: as of a claim, but of this way of counting.
    """

    says: str
    unit: UnitName
    published: tuple[str, ...] = ()
    arithmetic: Literal["sum", "mean", "max", "min", "difference", "count"] = "sum"
    readings: tuple[Reading, ...] = ()
    cannot: str = ""

    def __post_init__(self) -> None:
        if bool(self.readings) == bool(self.cannot):
            raise ValueError(f"side {self.says!r}: give either readings, or `cannot` with the reason")


class Contradiction(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Published values that cannot all hold under one definition; `because` says what tells them apart."""

    id: str
    title: str
    because: str
    sides: tuple[Side, ...]


class Published(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The file. checked: the day on which entries without one of their own were last gone over."""

    checked: str
    about: str
    sources: Mapping[str, Origin]
    claims: tuple[Claim, ...]
    contradictions: tuple[Contradiction, ...]

    def __post_init__(self) -> None:
        ids = [claim.id for claim in self.claims]
        if twice := {name for name in ids if ids.count(name) > 1}:
            raise ValueError(f"claims {sorted(twice)} stand in it twice")
        known = {f"{claim.id}/{key}" for claim in self.claims for key in claim.values}
        numbers = {contradiction.id for contradiction in self.contradictions}
        for claim in self.claims:
            if strange := set(claim.source) - set(self.sources):
                raise ValueError(f"claim {claim.id}: no source {sorted(strange)} is described")
            if strange := set(claim.contradicts) - numbers:
                raise ValueError(f"claim {claim.id}: no contradiction {sorted(strange)}")
        for contradiction in self.contradictions:
            for side in contradiction.sides:
                if strange := set(side.published) - known - {f"{name}/*" for name in ids}:
                    raise ValueError(f"{contradiction.id}: no published value {sorted(strange)}")

    def amounts(self, name: str) -> list["Amount"]:
        """Of `CLAIM/KEY`, or of `CLAIM/*`."""
        number, _, key = name.partition("/")
        claim = next(claim for claim in self.claims if claim.id == number)
        keys = list(claim.values) if key == "*" else [key]
        return [read_amount(claim.values[one], claim.unit, name) for one in keys]


class Amount(msgspec.Struct, frozen=True, kw_only=True):
    """A published value. low and high: the bounds that it states, None where it states none; equal for one number.

    step: the unit of its last printed digit. word: of claims whose values are dates or words.
    """

    text: str
    low: float | None = None
    high: float | None = None
    about: bool = False
    step: float = 0.0
    word: str = ""

    @property
    def number(self) -> float | None:
        """The one number it states, or the middle of its range; None for a bound or a word."""
        if self.low is None or self.high is None:
            return None
        return (self.low + self.high) / 2

    def holds(self, measured: float | str, tolerance: float | None) -> bool:
        """Whether a measured value is what was published, to the rounding of the print or the tolerance stated."""
        if isinstance(measured, str):
            return measured == self.word
        if tolerance is None:
            tolerance = self.step / 2
            if self.about:
                tolerance = max(tolerance, ABOUT_SHARE * max(abs(self.low or 0), abs(self.high or 0)))
            elif self.low is None or self.high is None:
                tolerance = 0.0
        slack = tolerance * (1 + 1e-9)  # 2.25 is as near to 2.2 as to 2.3, whatever floats make of it
        above = self.low is None or measured >= self.low - slack
        return above and (self.high is None or measured <= self.high + slack)


_NUMBER = r"([-+−]?\d+(?:\.\d+)?)"
_RANGE = re.compile(rf"(~?)\s*{_NUMBER}\s*\.\.\s*(~?)\s*{_NUMBER}")
_ONE = re.compile(rf"([~<>]?)\s*{_NUMBER}")


def read_amount(text: str, unit: str, where: str = "") -> Amount:
    """An amount as printed. Raises ValueError naming `where` and the forms that are accepted."""
    text = text.strip()
    if unit == "date":
        return Amount(text=text, word=dt.date.fromisoformat(text).isoformat())
    if unit == "word":
        return Amount(text=text, word=text)
    if found := _RANGE.fullmatch(text):
        low, high = _float(found[2]), _float(found[4])
        if low > high:
            raise ValueError(f"{where}: the range {text!r} ends below its start")
        return Amount(text=text, low=low, high=high, about=bool(found[1] or found[3]), step=_step(found[2]))
    if found := _ONE.fullmatch(text):
        value, sign = _float(found[2]), found[1]
        return Amount(
            text=text,
            low=None if sign == "<" else value,
            high=None if sign == ">" else value,
            about=sign == "~",
            step=_step(found[2]),
        )
    raise ValueError(f"{where}: {text!r} is no amount; write `47.17`, `~50`, `> 50`, `< 2` or `15 .. 20`")


def _float(text: str) -> float:
    return float(text.replace("−", "-"))


def _step(text: str) -> float:
    return float(10 ** -len(text.partition(".")[2]))


def tolerance_of(claim: Claim) -> float | None:
    """In the claim's unit; None for the rounding of the print."""
    if claim.tolerance is None and claim.kind == "digitised":
        return DIGITISED_POINTS
    return claim.tolerance


def read_published() -> Published:
    """The values that come with the product."""
    return parse_published((importlib.resources.files("tidegate") / "data" / NAME).read_text("utf-8"), NAME)


def parse_published(text: str, name: str) -> Published:
    """Raises CatalogError naming the entry that is not as it should be."""
    import yaml

    loader = getattr(yaml, "CBaseLoader", yaml.BaseLoader)  # every scalar stays text: 1.90 keeps its last digit
    try:
        return msgspec.convert(_listed(yaml.load(text, loader)), Published, strict=False)  # noqa: S506
    except (yaml.YAMLError, msgspec.ValidationError, ValueError) as error:
        raise CatalogError(f"{name}: {' '.join(str(error).split())}") from error


def _listed(node: Any) -> Any:  # a YAML document: nested dicts, lists and texts
    """The document with one name under `groups` and `of` written as a list of one: `{country: US}` is short for it."""
    if isinstance(node, list):
        return [_listed(item) for item in node]
    if isinstance(node, dict):
        return {
            key: {column: [names] if isinstance(names, str) else names for column, names in value.items()}
            if key in ("groups", "of", "names") and isinstance(value, dict)
            else _listed(value)
            for key, value in node.items()
        }
    return node
