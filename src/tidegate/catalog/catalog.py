"""The catalog: every fact that is known, looked up by any of its names.

Loading is cheap, because each gateway worker does it: models are parsed at once, prices when they are asked for.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Final

import msgspec

from tidegate.catalog.currencies import exchange, price_in_usd, rate_on
from tidegate.catalog.days_off import read_calendars
from tidegate.catalog.names import dated_spellings, spelling_key, take_apart
from tidegate.catalog.overlay import BAKED, AuthorFact, ModelFact, Overlay, Rule, joined, read_baked, read_overlay
from tidegate.catalog.tables import (
    OWN_PRICES,
    price_line_of,
    prices_of_lines,
    read_lines,
    read_models,
    read_price_lines,
)
from tidegate.core.errors import CatalogError
from tidegate.core.facts import Author, Endpoint, Model, Provider
from tidegate.core.fx import FxTable, Quote
from tidegate.core.hours import moment_us
from tidegate.core.price import Price

DATA: Final = Path(__file__).resolve().parent.parent / "data"
DAY_CHARS: Final = len("2026-11-22")
NEWEST: Final = "9999-12-31"
MONTH_DAY: Final = re.compile(r"-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])$")  # a snapshot that leaves its year out
NAMES_CACHED_MAX: Final = 8192  # names come from callers: what is remembered of them is bounded
COUNTRY_COLUMNS: Final = ("country", "alpha3", "name", "continent", "region", "source", "checked")


class Resolved(msgspec.Struct, frozen=True, kw_only=True):
    """What a name means.

    `model`: the slug, without variant and date; of an unknown model its normalised name. `variant`: `free`, `thinking`
    and so on, empty for the plain model. `dated`: the dated permaslug that was asked for, empty where the name carried
    no date. `known`: the catalog has this model.
    """

    model: str
    variant: str = ""
    dated: str = ""
    known: bool = True

    @property
    def suffix(self) -> str:
        """The variant as it stands at the end of a name: `:free`, or empty."""
        return f":{self.variant}" if self.variant else ""

    @property
    def slug(self) -> str:
        """What was asked for, in one spelling: the dated permaslug if there is one, else the model, with suffix."""
        return (self.dated or self.model) + self.suffix


class Country(msgspec.Struct, frozen=True, kw_only=True):
    """A country or territory of ISO 3166-1, with its continent and its sub-region of UN M49."""

    country: str
    alpha3: str
    name: str
    continent: str
    region: str
    source: str
    checked: str


class Catalog:
    """All facts. `models`, `authors` and `providers` are by slug and stay as loaded; lookups accept any spelling."""

    def __init__(self, models: Iterable[Model], prices: Mapping[tuple[str, str], list[str]], overlay: Overlay) -> None:
        """models: later entries win. prices: unparsed lines of `prices.csv` by (provider, model)."""
        self.models: dict[str, Model] = {model.model: model for model in models}
        self.authors: dict[str, Author] = {entry.author: entry.fact() for entry in overlay.authors}
        self.providers: dict[str, Provider] = {entry.provider: entry.fact() for entry in overlay.providers}
        self._author_aliases = _author_aliases(overlay.authors)
        self._rules = {rule.prefix: rule for rule in overlay.rules}
        self._rule_lengths = sorted({len(prefix) for prefix in self._rules}, reverse=True)
        for fact in overlay.models:
            self.models[fact.model] = self._amended(fact)
        self._price_lines = prices
        self._names: dict[str, str] = {}
        for slug, known in self.models.items():
            for alias in known.aliases:
                self._names.setdefault(alias, slug)
        self.resolve = lru_cache(NAMES_CACHED_MAX)(self._resolve)
        self.prices_of = lru_cache(None)(self._prices_of)
        self._stated = lru_cache(None)(self._stated_prices)
        self.folders: Sequence[Path] = ()
        self.own_quotes: Iterable[Quote] = ()

    def _resolve(self, name: str) -> Resolved:
        """What `name` means: slug, alias, bare vendor name, variant, dated permaslug, other spelling. Never raises."""
        parts = take_apart(name)
        author = self._author_aliases.get(parts.author, parts.author)
        for stem in dated_spellings(parts.stem, parts.date) if parts.date else ():
            if slug := self._lookup(author, stem):
                dated = f"{slug.partition('/')[0]}/{parts.stem}-{parts.date}"
                return Resolved(model=slug, variant=parts.variant, dated=dated)
        slug = self._lookup(author, parts.stem)
        month_day = None if slug else MONTH_DAY.search(parts.stem)
        if month_day and (slug := self._lookup(author, parts.stem[: month_day.start()])):
            return Resolved(model=slug, variant=parts.variant, dated=f"{slug}{month_day[0]}")
        model = slug or (f"{author}/{parts.stem}" if author else parts.stem)
        dated = f"{model}-{parts.date}" if parts.date else ""
        return Resolved(model=model, variant=parts.variant, dated=dated, known=bool(slug))

    def _lookup(self, author: str, stem: str) -> str:
        """The slug of a model by author (may be empty) and stem; empty if there is none, or more than one."""
        if author:
            full = f"{author}/{stem}"
            if full in self.models:
                return full
            if full in self._names:
                return self._names[full]
            if found := self._spellings.get((author, spelling_key(stem)), ""):
                return found
            if author in self.authors:
                return ""
        return self._names.get(stem) or self._bare.get(stem) or self._spellings.get(("", spelling_key(stem)), "")

    @cached_property
    def _bare(self) -> dict[str, str]:
        """Bare vendor names, `gpt-4o-mini` for `openai/gpt-4o-mini`; empty where two authors share one."""
        found: dict[str, str] = {}
        for slug in self.models:
            stem = slug.rpartition("/")[2]
            found[stem] = "" if stem in found else slug
        return found

    @cached_property
    def _spellings(self) -> dict[tuple[str, str], str]:
        """Slugs by (author, spelling key), and by ("", key) alone; empty where two models share one."""
        found: dict[tuple[str, str], str] = {}
        for slug in self.models:
            author, _, stem = slug.partition("/")
            key = spelling_key(stem)
            for entry in ((author, key), ("", key)):
                found[entry] = "" if entry in found else slug
        for alias, slug in self._names.items():
            author, _, stem = alias.rpartition("/")
            found.setdefault((author, spelling_key(stem)), slug)
        return found

    def model_of(self, name: str) -> Model:
        """The model behind any spelling; an unknown one carries what the rules say of its author and weights."""
        resolved = self.resolve(name)
        return self.models.get(resolved.model) or self._by_rule(resolved.model)

    def author_of(self, model: str) -> Author:
        """Who made it; an unknown author has country "" (its slug and name are what stands before the `/`)."""
        author = self.model_of(model).author
        return self.authors.get(author) or Author(author=author, name=author)

    def rule_for(self, model: str) -> Rule | None:
        """The rule with the longest prefix of this slug, if any."""
        for length in self._rule_lengths:
            if rule := self._rules.get(model[:length]):
                return rule
        return None

    def _by_rule(self, model: str) -> Model:
        rule = self.rule_for(model)
        author = model.partition("/")[0] if "/" in model else ""
        if rule is None:
            return Model(model=model, author=author)
        return Model(
            model=model,
            author=rule.author or author,
            weights=rule.weights,
            source=rule.source,
            checked=rule.checked,
        )

    def _amended(self, fact: ModelFact) -> Model:
        """The model as known so far with the fields that an overlay states."""
        known = self.models.get(fact.model) or self._by_rule(fact.model)
        stated = {name: value for name, value in msgspec.structs.asdict(fact).items() if is_stated(value)}
        stated["aliases"] = tuple(dict.fromkeys((*known.aliases, *fact.aliases)))
        return msgspec.structs.replace(known, **stated)

    def _prices_of(self, provider: str, model: str) -> tuple[Price, ...]:
        """All prices of exactly this slug at this provider, by start; empty where none is known.

        Those of another currency at the newest exchange rate that is known.
        """
        return tuple(self._in_usd(price, NEWEST) for price in self._stated(provider, model))

    def _in_usd(self, price: Price, day: str) -> Price:
        if not price.currency:
            return price
        return price_in_usd(price, rate_on(self.fx, price.currency, day[:DAY_CHARS], f"price {price.price_id}"))

    @cached_property
    def fx(self) -> FxTable:
        """Rates of exchange: the shipped ones, under those of the installation's folders, and `own_quotes`."""
        return exchange(DATA, self.folders, self.own_quotes)

    def _stated_prices(self, provider: str, model: str) -> tuple[Price, ...]:
        """As they are published, each in its currency."""
        lines = self._price_lines.get((provider, model), ())
        try:
            return prices_of_lines([price_line_of(line) for line in lines], self.calendars)
        except ValueError as error:
            raise CatalogError(f"prices.csv: {model} at {provider}: {error}. Run `tidegate catalog sync`.") from error

    @cached_property
    def calendars(self) -> dict[str, tuple[str, ...]]:
        """Days off by calendar, which hours of prices may leave out."""
        return read_calendars(DATA)

    def priced(self) -> list[tuple[str, str]]:
        """Every (provider, model) with a price on some day."""
        return list(self._price_lines)

    def price_on(self, provider: str, model: str, day: str) -> Price | None:
        """The price in force at the begin of an ISO day (UTC), or at a minute of it (`2026-08-17T08:30Z`); or None.

        A price by the hour shows the rates of that minute; asked for a day, those that hold outside its windows. A
        snapshot without a price of its own has its model's; a variant without one has none: `:free` is not the paid
        model. Before the first known start there is no price.
        """
        price = self._exact_price_on(provider, model.strip().lower(), day)
        if price is None:
            resolved = self.resolve(model)
            tried = (f"{resolved.dated}{resolved.suffix}", f"{resolved.model}{resolved.suffix}")
            price = next((found for name in tried if (found := self._exact_price_on(provider, name, day))), None)
        if price is None and "/" not in model:
            price = self._exact_price_on(provider, self._priced_bare.get((provider, model.strip().lower()), ""), day)
        return price

    @cached_property
    def _priced_bare(self) -> dict[tuple[str, str], str]:
        """Priced slugs by provider and bare name: what does not chat has a price, and no entry among the models."""
        return {(provider, slug.rpartition("/")[2]): slug for provider, slug in self._price_lines}

    def _exact_price_on(self, provider: str, slug: str, day: str) -> Price | None:
        if (provider, slug) not in self._price_lines:
            return None
        for price in reversed(self._stated(provider, slug)):
            if price.valid_from <= day:
                priced = self._in_usd(price, day)
                return priced.shown_at(moment_us(day)) if priced.faces and len(day) > DAY_CHARS else priced
        return None

    def upstream_model_of(self, provider: str, model: str) -> str:
        """The name that a provider knows a priced slug by; empty where the catalog has no price for it there."""
        lines = self._price_lines.get((provider, model), ())
        return price_line_of(lines[-1]).upstream_model if lines else ""

    def endpoints_of(self, provider: str, day: str) -> list[Endpoint]:
        """Every model with a price in force at a provider on an ISO day, by slug."""
        found = []
        for name, model in sorted(self._price_lines):
            if name == provider and (price := self._exact_price_on(provider, model, day)):
                found.append(
                    Endpoint(
                        endpoint_id=f"{model}@{provider}",
                        provider=provider,
                        model=model,
                        upstream_model=self.upstream_model_of(provider, model),
                        price=price,
                    )
                )
        return found

    @cached_property
    def countries(self) -> dict[str, Country]:
        """By ISO 3166-1 alpha-2."""
        rows = (line.split(",") for line in read_lines(DATA / "countries.csv", COUNTRY_COLUMNS))
        return {row[0]: Country(**dict(zip(COUNTRY_COLUMNS, row, strict=True))) for row in rows}


def is_stated(value: object) -> bool:
    """Whether a field of a fact says anything: not empty, not a zero count, not None, not `unknown`; False does."""
    return value is False or value not in ("", 0, None, "unknown")


def _author_aliases(authors: Sequence[AuthorFact]) -> dict[str, str]:
    return {alias: entry.author for entry in authors for alias in entry.aliases}


def load_catalog(folders: Sequence[Path] = ()) -> Catalog:
    """The shipped facts, then those of each folder that exists (an installation's is `<home>/catalog`); later ones win.

    A folder may hold `models.csv` and `prices.csv` (written by `tidegate catalog sync`), `prices_own.csv` (written by
    hand), `fx.csv` (exchange rates), and `authors.yml`, `models.yml` and `providers.yml`. A (provider, model) priced in
    a folder replaces the shipped prices of that pair, one of `prices_own.csv` those of `prices.csv` too.
    Raises CatalogError naming the file and line that cannot be read.
    """
    overlay = read_baked(DATA / BAKED)
    models: list[Model] = []
    prices: dict[tuple[str, str], list[str]] = {}
    for folder in (DATA, *folders):
        models.extend(read_models(folder))
        prices.update(read_price_lines(folder))
        if folder != DATA:
            overlay = joined(overlay, read_overlay(folder))
            prices.update(read_price_lines(folder, OWN_PRICES))
    found = Catalog(models, prices, overlay)
    found.folders = folders
    return found
