"""The model table: what the packages say of each model, under what the overlay says."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec

from tidegate.catalog.canonical import AGGREGATOR, model_of_slug
from tidegate.catalog.catalog import Catalog, is_stated
from tidegate.catalog.names import parameters_in_name, take_apart
from tidegate.catalog.overlay import Overlay
from tidegate.catalog.source_fact import SourceFact
from tidegate.core.facts import Model

FIELDS: Final = ("weights", "is_reasoning", "released", "context_tokens")
NAME_SOURCE: Final = "the model's name"


def merged_models(
    slugs: Sequence[tuple[SourceFact, str]], priced: set[str], overlay: Overlay, day: str, before: Iterable[Model]
) -> tuple[tuple[Model, ...], list[dict[str, Any]]]:
    """Every model that is priced, listed by the aggregator, or in the overlay, by slug; and where weights disagree.

    Models of the table before that are listed no more are kept as they were.
    """
    wanted = {model_of_slug(slug) for slug in priced} | {fact.model for fact in overlay.models}
    facts: dict[str, list[SourceFact]] = {}
    for fact, slug in slugs:
        if slug:
            facts.setdefault(model_of_slug(slug), []).append(fact)
            if fact.provider == AGGREGATOR:
                wanted.add(model_of_slug(slug))
    taken = {alias for fact in overlay.models for alias in fact.aliases}
    rules = Catalog((), {}, msgspec.structs.replace(overlay, models=()))
    rows: dict[str, Model] = {}
    disagreements: list[dict[str, Any]] = []
    for slug in wanted - taken:
        packaged = _of_packages(slug, facts.get(slug, []), day)
        rows[slug] = _ruled(packaged, rules, day)
        if rows[slug].weights != packaged.weights and "unknown" not in (rows[slug].weights, packaged.weights):
            said = next(fact.source for fact in facts[slug] if fact.weights == packaged.weights)
            values = ((said, packaged.weights), (rows[slug].source.rpartition("; ")[2], rows[slug].weights))
            kept = rows[slug].weights
            disagreements.append({"model": slug, "provider": "", "field": "weights", "values": values, "kept": kept})
    by_hand = {fact.model: fact for fact in overlay.models}
    amended = Catalog(rows.values(), {}, overlay).models
    for slug, entry in by_hand.items():
        source = "; ".join(part for part in (rows[slug].source if slug in rows else "", entry.source) if part)
        rows[slug] = msgspec.structs.replace(amended[slug], source=source, checked=day)
    for model in before:
        if model.model not in taken:
            rows.setdefault(model.model, model)
    return tuple(rows[slug] for slug in sorted(rows)), disagreements


def _of_packages(slug: str, facts: Sequence[SourceFact], day: str) -> Model:
    """What the packages say: of each field the aggregator's word first, then the maker's, then the most frequent."""
    author, _, stem = slug.partition("/")
    ranked = sorted(facts, key=lambda fact: _nearness(fact, author))
    values: dict[str, Any] = {"name": next((_title(fact.title) for fact in ranked if fact.title), "")}
    used: list[str] = []
    for field in FIELDS:
        stated = [fact for fact in ranked if is_stated(getattr(fact, field))]
        if stated:
            best = _nearness(stated[0], author)
            near = [fact for fact in stated if _nearness(fact, author) == best]
            count = Counter(getattr(fact, field) for fact in near)
            values[field] = max(count, key=lambda value: (count[value], str(value)))
            used.extend({fact.source for fact in near if getattr(fact, field) == values[field]})
    total, active = parameters_in_name(stem)
    if total:
        values |= {"parameters_total": total, "parameters_active": active}
        used.append(NAME_SOURCE)
    listed = sorted({fact.source for fact in facts if fact.provider})
    source = "; ".join(sorted(set(used))) or "; ".join(listed)
    return Model(model=slug, author=author, source=source, checked=day, **values)


def _nearness(fact: SourceFact, author: str) -> int:
    """0 for the aggregator's plain entry, 1 for one that names the author, 2 for the rest."""
    parts = take_apart(fact.name)
    if fact.provider == AGGREGATOR and not parts.variant and not parts.date:
        return 0
    return 1 if parts.author == author else 2


def _title(title: str) -> str:
    """A display name without what belongs to the provider: `DeepSeek: R1 (free)` is `R1`."""
    return title.rpartition(": ")[2].removesuffix("(free)").removesuffix("(latest)").strip()


def _ruled(model: Model, rules: Catalog, day: str) -> Model:
    rule = rules.rule_for(model.model)
    if rule is None:
        return model
    weights = model.weights if rule.weights == "unknown" else rule.weights
    source = model.source if rule.weights == "unknown" and model.source else f"{model.source}; {rule.source}"
    return msgspec.structs.replace(
        model, author=rule.author or model.author, weights=weights, source=source.removeprefix("; "), checked=day
    )
