"""Hard filters: which endpoints a call may not go to, each with the rule that says so and the fact it saw.

An endpoint passes when nothing speaks against it. A rule whose fact is unknown speaks against it.
"""

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from typing import Final

import msgspec

from tidegate.core.endpoint_facts import EndpointFacts, ExcludedBy, Exclusion
from tidegate.core.money import format_rate
from tidegate.core.price import Price
from tidegate.route.policy import PLACES, Globs, Place, Policy, place_rule
from tidegate.route.wishes import MaxPrice, Wishes

BY_PLACE: Final[dict[str, ExcludedBy]] = {"processing": "data_region", "storage": "data_region", "headquarters": "geo"}


class Needs(msgspec.Struct, frozen=True, cache_hash=True):
    """What a call needs of whoever serves it. `parameters`: those it uses; `modalities`: beside text.

    `input_tokens`, `output_tokens`: 0 where nothing is known of them.
    """

    parameters: frozenset[str] = frozenset()
    modalities: frozenset[str] = frozenset()
    input_tokens: int = 0
    output_tokens: int = 0


class Allowed(msgspec.Struct, frozen=True, cache_hash=True):
    """What a key may call: globs of models as `fnmatch` has them, and names of providers; empty: all."""

    models: tuple[str, ...] = ()
    providers: tuple[str, ...] = ()


NO_NEEDS: Final = Needs()
ALL_ALLOWED: Final = Allowed()


def exclusions(
    facts: EndpointFacts,
    policies: Sequence[Policy],
    wishes: Wishes,
    needs: Needs = NO_NEEDS,
    allowed: Allowed = ALL_ALLOWED,
) -> list[Exclusion]:
    """Everything that speaks against an endpoint; empty: it may serve."""
    told = _Told(facts.endpoint.endpoint_id)
    for policy in policies:
        _by_policy(told, facts, policy)
    _by_key(told, facts, allowed)
    _by_wishes(told, facts, wishes)
    _by_needs(told, facts, wishes, needs)
    return told.found


class _Told:
    """Collects what speaks against one endpoint."""

    def __init__(self, endpoint_id: str) -> None:
        self._endpoint_id = endpoint_id
        self.found: list[Exclusion] = []

    def add(self, excluded_by: ExcludedBy, rule: str, fact: str, *, is_unknown: bool = False) -> None:
        self.found.append(
            Exclusion(
                endpoint_id=self._endpoint_id, excluded_by=excluded_by, rule=rule, fact=fact, is_unknown=is_unknown
            )
        )


def _by_policy(told: _Told, facts: EndpointFacts, policy: Policy) -> None:
    whose = f"policy {policy.name}"
    for word in PLACES:
        place: Place = getattr(policy, word)
        if not place.is_open:
            _by_place(told, facts, word, place, whose)
    tag, slug = facts.tag, facts.endpoint.provider
    _by_globs(told, policy.providers, (tag, slug), f"{whose}: providers", f"served by {tag}")
    model = facts.endpoint.model
    _by_globs(told, policy.models, (model, model.partition(":")[0]), f"{whose}: models", f"model {model}")
    if policy.no_training:
        _no_training(told, facts, f"{whose}: no training")
    if policy.retention_days_max is not None:
        _retention(told, facts, policy.retention_days_max, f"{whose}: kept at most {policy.retention_days_max} days")
    if policy.local_only and not facts.is_local:
        told.add("data_region", f"{whose}: local only", "not on the operator's own machines")
    if policy.moderated is not None and facts.is_moderated is not policy.moderated:
        rule = f"{whose}: {'only' if policy.moderated else 'not'} where the provider filters content"
        if facts.is_moderated is None:
            told.add("allowed_providers", rule, "filtering of content unknown", is_unknown=True)
        else:
            told.add("allowed_providers", rule, "filters content" if facts.is_moderated else "does not filter content")


def _by_key(told: _Told, facts: EndpointFacts, allowed: Allowed) -> None:
    model, provider = facts.endpoint.model, facts.endpoint.provider
    if allowed.models and not any(fnmatchcase(model, glob) for glob in allowed.models):
        told.add("allowed_providers", f"key: models {', '.join(allowed.models)}", f"model {model}")
    if allowed.providers and provider not in allowed.providers:
        told.add("allowed_providers", f"key: providers {', '.join(allowed.providers)}", f"served by {provider}")


def _by_place(told: _Told, facts: EndpointFacts, word: str, place: Place, whose: str) -> None:
    rule = f"{whose}: {place_rule(word, place)}"
    seen = frozenset((facts.headquarters,)) if facts.headquarters else None
    if word != "headquarters":
        seen = facts.processing if word == "processing" else facts.storage
    if seen is None or (not seen and word == "processing"):
        told.add(BY_PLACE[word], rule, f"{word} unknown", is_unknown=True)
    elif (place.allowed is not None and not seen <= place.allowed) or seen & place.denied:
        told.add(BY_PLACE[word], rule, f"{word} in {', '.join(sorted(seen))}")


def _by_globs(told: _Told, globs: Globs, names: tuple[str, ...], rule: str, fact: str) -> None:
    if globs.denied is not None and any(globs.denied.fullmatch(name.lower()) for name in names):
        told.add("allowed_providers", f"{rule} not {', '.join(globs.said_not)}", fact)
    elif globs.allowed is not None and not any(globs.allowed.fullmatch(name.lower()) for name in names):
        told.add("allowed_providers", f"{rule} only {', '.join(globs.said)}", fact)


def _no_training(told: _Told, facts: EndpointFacts, rule: str) -> None:
    if facts.trains is None:
        told.add("data_policy:training", rule, "training use unknown", is_unknown=True)
    elif facts.trains:
        told.add("data_policy:training", rule, "may train on content")


def _retention(told: _Told, facts: EndpointFacts, days_max: int, rule: str) -> None:
    if facts.retention_days is None:
        told.add("data_policy:zdr", rule, "retention unknown", is_unknown=True)
    elif facts.retention_days > days_max:
        told.add("data_policy:zdr", rule, f"keeps content {facts.retention_days} days")


def names_it(names: Iterable[str], facts: EndpointFacts) -> bool:
    """Whether a list of a request names an endpoint: by its tag, its provider's slug or name, or its own id.

    A plain slug names all regions and tiers of a provider; a slug with a region only that one.
    """
    own = {facts.tag.lower(), facts.endpoint.provider.lower(), facts.endpoint.endpoint_id.lower(), facts.name.lower()}
    return any(name in own for name in names if name)


def _by_wishes(told: _Told, facts: EndpointFacts, wishes: Wishes) -> None:
    if wishes.only and not names_it(wishes.only, facts):
        told.add("allowed_providers", f"request: only {', '.join(wishes.only)}", f"served by {facts.tag}")
    if wishes.ignore and names_it(wishes.ignore, facts):
        told.add("allowed_providers", f"request: ignore {', '.join(wishes.ignore)}", f"served by {facts.tag}")
    if wishes.order and not wishes.allow_fallbacks and not names_it(wishes.order, facts):
        rule = f"request: order {', '.join(wishes.order)} without fallbacks"
        told.add("allowed_providers", rule, f"served by {facts.tag}")
    if wishes.no_training:
        _no_training(told, facts, "request: data_collection deny")
    if wishes.zdr:
        _retention(told, facts, 0, "request: zdr")
    if wishes.distillable and not facts.is_distillable:
        seen = "distillation not allowed" if facts.is_distillable is False else "distillation unknown"
        is_unknown = facts.is_distillable is None
        told.add("allowed_providers", "request: enforce_distillable_text", seen, is_unknown=is_unknown)
    if wishes.quantizations and facts.quantization not in wishes.quantizations:
        rule = f"request: quantizations {', '.join(wishes.quantizations)}"
        told.add("quantization", rule, f"quantised {facts.quantization}", is_unknown=facts.quantization == "unknown")
    if wishes.max_price is not None and facts.endpoint.price is not None:
        _by_price(told, facts.endpoint.price, wishes.max_price)


def _by_price(told: _Told, price: Price, most: MaxPrice) -> None:
    rates = price.rates
    pairs = (
        ("prompt", most.prompt, rates.input),
        ("completion", most.completion, rates.output),
        ("request", most.request, rates.request or 0),
        ("image", most.image, rates.image or 0),
        ("audio", most.audio, rates.audio_input_s or 0),
    )
    for name, bound, rate in pairs:
        if bound is not None and rate > bound:
            told.add("max_price", f"request: max_price {name} {format_rate(bound)}", f"costs {format_rate(rate)}")


def _by_needs(told: _Told, facts: EndpointFacts, wishes: Wishes, needs: Needs) -> None:
    if facts.endpoint.price is None:
        told.add("price", "no call without a known price", "price unknown", is_unknown=True)
    if needs.parameters and facts.parameters is not None:
        missing = needs.parameters - facts.parameters
        if missing and (wishes.require_parameters or "tools" in missing):
            told.add("require_parameters", "request: its parameters", f"does not take {', '.join(sorted(missing))}")
    if needs.modalities and facts.modalities is not None and (unread := needs.modalities - facts.modalities):
        told.add("require_parameters", "request: its content", f"does not read {', '.join(sorted(unread))}")
    whole = needs.input_tokens + needs.output_tokens
    if facts.context_tokens and whole > facts.context_tokens:
        told.add("context_length", f"request: about {whole} tokens", f"takes {facts.context_tokens} tokens")
    if facts.output_tokens_max and needs.output_tokens > facts.output_tokens_max:
        rule = f"request: answer of up to {needs.output_tokens} tokens"
        told.add("context_length", rule, f"writes at most {facts.output_tokens_max} tokens")
