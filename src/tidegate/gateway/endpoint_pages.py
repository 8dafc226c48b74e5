"""The shelf: who serves a model and how it fares, all providers, all endpoints that keep nothing; as OpenRouter has it.

Facts are those that calls are routed by, health is what this worker's own calls have shown. What nobody knows is null.
"""

import time
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

import msgspec

from tidegate.core.endpoint_facts import EndpointFacts
from tidegate.core.errors import ModelNotFound
from tidegate.gateway.models import SAID_EVERYWHERE, pricing
from tidegate.route.health import EndpointHealth, Histogram, percentiles_of
from tidegate.route.wishes import split_suffix

if TYPE_CHECKING:
    from tidegate.gateway.server import Server

Json = dict[str, Any]
ROOTS: Final = ("/api/v1/", "/v1/")
WELL, UNWELL, OPEN = 0, -2, -5  # OpenRouter's `status`; it does not say what its numbers mean, but that 0 is well
_encoder = msgspec.json.Encoder()


def is_endpoint_page(path: str) -> bool:
    """One of the pages here."""
    below = _below(path)
    return below in ("providers", "endpoints/zdr") or (below.startswith("models/") and below.endswith("/endpoints"))


def endpoint_page(server: "Server", path: str) -> bytes:
    """The body of a page. Raises ModelNotFound."""
    below = _below(path)
    if below == "providers":
        return _encoder.encode({"data": _providers(server)})
    if below == "endpoints/zdr":
        every = (facts for group in server.router.planner.models.values() for facts in group)
        return _encoder.encode(
            {"data": [_endpoint(server, facts) for facts in every if facts.is_zdr and _is_priced(facts)]}
        )
    name = unquote(below.removeprefix("models/").removesuffix("/endpoints"))
    return _encoder.encode({"data": _model(server, name)})


def _below(path: str) -> str:
    return next((path.removeprefix(root) for root in ROOTS if path.startswith(root)), "")


def _is_priced(facts: EndpointFacts) -> bool:
    return facts.endpoint.price is not None


def _model(server: "Server", name: str) -> Json:
    router = server.router
    stem = split_suffix(name)[0]
    found = server.table.ladders.find(name)
    model = found[0].name if found is not None else router.names.get(stem) or router.names.get(stem.lower())
    if model is None:
        raise ModelNotFound(stem, router.names.keys())
    models = [model] if found is None else dict.fromkeys(router.names[rung.model] for rung in found[0].rungs)
    group = [facts for one in models for facts in router.planner.models[one] if _is_priced(facts)]
    modalities = sorted({word for facts in group for word in facts.modalities or ("text",)})
    return {
        "id": model,
        "name": model,
        "created": server.started_s,
        "description": "",
        "architecture": {
            "modality": f"{'+'.join(modalities)}->text",
            "input_modalities": modalities,
            "output_modalities": ["text"],
            "instruct_type": None,
            "tokenizer": None,
        },
        "endpoints": [_endpoint(server, facts) for facts in group],
    }


def _endpoint(server: "Server", facts: EndpointFacts) -> Json:
    endpoint, now_s = facts.endpoint, time.monotonic()
    health = server.router.planner.health.of(endpoint.endpoint_id)
    price = endpoint.price
    rates = price.rates if price is not None else None
    uptime = _uptime(health, now_s)
    return {
        "name": f"{facts.name or endpoint.provider} | {endpoint.model}",
        "endpoint_id": endpoint.endpoint_id,
        "model_id": endpoint.model,
        "model_name": endpoint.model,
        "context_length": facts.context_tokens or None,
        "pricing": pricing(price),
        "provider_name": facts.name or endpoint.provider,
        "tag": facts.tag,
        "quantization": facts.quantization,
        "max_completion_tokens": facts.output_tokens_max or None,
        "max_prompt_tokens": facts.context_tokens or None,
        "supported_parameters": sorted(facts.parameters) if facts.parameters is not None else list(SAID_EVERYWHERE),
        "supports_implicit_caching": rates is not None
        and rates.cache_read is not None
        and rates.cache_read < rates.input,
        "status": WELL if health.is_well(now_s) else OPEN if health.is_shut(now_s) else UNWELL,
        "uptime_last_5m": uptime,
        "uptime_last_30m": uptime,
        "uptime_last_1d": None,
        "latency_last_30m": _percentiles(health.latency_us, 1000),
        "throughput_last_30m": _percentiles(health.throughput, 1),
        "data_policy": {"training": facts.trains, "retention_days": facts.retention_days, "zdr": facts.is_zdr},
        "processing": _sorted(facts.processing),
        "storage": _sorted(facts.storage),
        "headquarters": facts.headquarters or None,
        "is_local": facts.is_local,
    }


def _sorted(countries: frozenset[str] | None) -> list[str] | None:
    return None if countries is None else sorted(countries)


def _uptime(health: EndpointHealth, now_s: float) -> float | None:
    """Percent of calls that did not fail, the last half minute counting most; null with too few."""
    failed = health.error_ppm(now_s)
    return None if failed is None else round(100 - failed / 10_000, 2)


def _percentiles(histogram: Histogram, divisor: int) -> Json | None:
    found = msgspec.structs.asdict(percentiles_of(histogram))
    if found["p50"] is None:
        return None
    return {name: round(value / divisor, 3) for name, value in found.items()}


def _providers(server: "Server") -> list[Json]:
    """Each provider that serves something here; its countries are those where its endpoints work."""
    found: dict[str, Json] = {}
    for group in server.router.planner.models.values():
        for facts in group:
            slug = facts.endpoint.provider
            entry = found.setdefault(
                slug,
                {
                    "name": facts.name or slug, "slug": slug, "headquarters": facts.headquarters or None,
                    "datacenters": None, "privacy_policy_url": None, "terms_of_service_url": None,
                    "status_page_url": None,
                },
            )  # fmt: skip
            if facts.processing:
                entry["datacenters"] = sorted({*(entry["datacenters"] or ()), *facts.processing})
    return [found[slug] for slug in sorted(found)]
