"""A plan's providers and endpoints as a `tidegate.toml`, without any secret."""

import json
from collections.abc import Iterator

from tidegate.accounts.imports.plan import EndpointPart, Plan, PriceTexts, ProviderPart


def render(plan: Plan) -> str:
    """The file's text. Keys are stored encrypted, or stand in variables of the environment, which it names."""
    lines = [
        f"# Made by `tidegate accounts import` from {_comment(plan.origin)}. Look it over before you serve with it.",
        "",
    ]
    for provider in plan.providers:
        lines += [*_provider(provider), ""]
    for endpoint in plan.endpoints:
        lines += [*_endpoint(endpoint), ""]
    if plan.unmapped:
        lines += ["# Not mapped:", *(f"# - {_comment(text)}" for text in plan.unmapped), ""]
    return "\n".join(lines)


def _comment(text: str) -> str:
    """On one line, whatever names of the other system hold: a line break would begin a setting."""
    return "".join(letter if letter.isprintable() else " " for letter in text)


def _text(value: str) -> str:
    """A basic string of TOML; JSON writes it alike."""
    return json.dumps(value, ensure_ascii=False)


def _provider(part: ProviderPart) -> Iterator[str]:
    yield f"[providers.{_text(part.name)}]"
    for name in ("base_url", "dialect", "auth", "api_key_env", "api_version", "region"):
        if value := getattr(part, name):
            yield f"{name} = {_text(value)}"
    yield 'models = "listed"'


def _endpoint(part: EndpointPart) -> Iterator[str]:
    yield "[[endpoints]]"
    yield f"provider = {_text(part.provider)}"
    yield f"model = {_text(part.model)}"
    if part.upstream_model and part.upstream_model != part.model:
        yield f"upstream_model = {_text(part.upstream_model)}"
    if part.price is not None:
        yield f"price = {_price(part.price)}  # {_comment(part.price_source)}"


def _price(price: PriceTexts) -> str:
    stated = [(name, getattr(price, name)) for name in ("input", "output", "cache_read", "cache_creation")]
    return "{ " + ", ".join(f"{name} = {_text(value)}" for name, value in stated if value is not None) + " }"
