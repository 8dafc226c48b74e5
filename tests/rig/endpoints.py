"""Endpoints, policies and calls for tests of routing: short to write, random where asked."""

import random
from collections.abc import Mapping, Sequence
from typing import Any

from tidegate.core.endpoint_facts import QUANTIZATIONS, EndpointFacts
from tidegate.core.facts import Endpoint
from tidegate.core.price import Price, Rates, Tier
from tidegate.core.routing_settings import PolicyConfig
from tidegate.route.affinity import Affinity
from tidegate.route.health import Health
from tidegate.route.planner import Planner
from tidegate.route.policy import Bindings, PolicyBook, compile_policy

COUNTRIES = ("DE", "FR", "US", "CN", "IN", "AE", "SG", "JP")
GROUPS = {"EU": frozenset(("DE", "FR")), "GCC": frozenset(("AE",)), "ASEAN": frozenset(("SG",))}
PROVIDERS = tuple(f"p{number}" for number in range(8))
USD = 10**9  # nano-USD: rates are per million tokens


def expand(names: Sequence[str], where: str) -> frozenset[str]:
    return frozenset(country for name in names for country in GROUPS.get(name, (name,)))


def endpoint(provider: str, usd: float = 1.0, *, model: str = "m", tag: str = "", usd_out: float | None = None,
             tiers: tuple[Tier, ...] = (), **facts: Any) -> EndpointFacts:  # fmt: skip
    """An endpoint of a model at a provider for so many USD per million tokens, in and, unless said, out."""
    tag = tag or provider
    rates = Rates(input=round(usd * USD), output=round((usd if usd_out is None else usd_out) * USD))
    own = Endpoint(
        endpoint_id=f"{model}@{tag}", provider=provider, model=model, upstream_model=model,
        price=Price(price_id=f"{model}@{provider}#", rates=rates, tiers=tiers),
    )  # fmt: skip
    return EndpointFacts(endpoint=own, tag=tag, **facts)


def planner(*endpoints: EndpointFacts, policies: Mapping[str, PolicyConfig] | None = None,
            everyone: tuple[str, ...] = (), affinity: bool = False, **bound: Any) -> Planner:  # fmt: skip
    models: dict[str, list[EndpointFacts]] = {}
    for facts in endpoints:
        models.setdefault(facts.endpoint.model, []).append(facts)
    compiled = {name: compile_policy(name, config, expand) for name, config in (policies or {}).items()}
    book = PolicyBook(compiled, Bindings(everyone=everyone, **bound))
    return Planner(models, book, Health(), Affinity() if affinity else None)


def random_facts(rng: random.Random, model: str, number: int) -> EndpointFacts:
    """An endpoint of which any fact may be unknown."""

    def maybe(value: Any, unknown: Any = None) -> Any:
        return unknown if rng.random() < 0.25 else value

    def places() -> frozenset[str]:
        return frozenset(rng.sample(COUNTRIES, rng.choice((1, 1, 1, 2, 3))))

    provider = rng.choice(PROVIDERS)
    return endpoint(
        provider, rng.choice((0, 0.1, 0.5, 1, 2, 3)), model=model, tag=f"{provider}/{number}",
        processing=maybe(places()), storage=maybe(rng.choice((frozenset(), places()))),
        headquarters=maybe(rng.choice(COUNTRIES), ""), trains=maybe(rng.random() < 0.3),
        retention_days=maybe(rng.choice((0, 0, 7, 30))), quantization=rng.choice(QUANTIZATIONS),
        context_tokens=rng.choice((0, 8_000, 128_000)), output_tokens_max=rng.choice((0, 0, 4_000)),
        parameters=maybe(frozenset(rng.sample(("tools", "seed", "top_k", "stop"), 3))),
        modalities=maybe(frozenset(("text", "image"))), is_local=rng.random() < 0.2,
        is_moderated=maybe(rng.random() < 0.5), is_distillable=maybe(rng.random() < 0.5),
    )  # fmt: skip


def random_policy(rng: random.Random) -> PolicyConfig:
    """Rules that never contradict themselves: what is allowed and what is denied do not overlap."""
    values: dict[str, Any] = {}
    names = (*COUNTRIES, *GROUPS)
    for word in ("processing", "storage", "headquarters"):
        if rng.random() < 0.2:
            values[word] = tuple(rng.sample(names, rng.randint(1, 4)))
        elif rng.random() < 0.15:
            values[f"{word}_not"] = tuple(rng.sample(names, rng.randint(1, 2)))
    if rng.random() < 0.1:
        values["providers"] = tuple(rng.sample((*PROVIDERS, "p*"), 3))
    if rng.random() < 0.2:
        values["providers_not"] = (rng.choice((*PROVIDERS, "p1/*")),)
    if rng.random() < 0.1:
        values["models_not"] = (rng.choice(("m1", "m*x")),)
    if rng.random() < 0.2:
        values["data_classes"] = ("personal",)
    if rng.random() < 0.2:
        values["retention_days_max"] = rng.choice((0, 7))
    if rng.random() < 0.1:
        values["moderated"] = rng.random() < 0.5
    return PolicyConfig(no_training=rng.random() < 0.1, local_only=rng.random() < 0.05, **values)
