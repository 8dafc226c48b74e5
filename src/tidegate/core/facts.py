"""Facts of the catalog that other rooms pass around: who makes a model, who serves it, where, at what price."""

from typing import Literal

import msgspec

from tidegate.core.price import Price

Weights = Literal["open", "closed", "unknown"]
Dialect = Literal["openai-chat"]


class Author(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Who trained a model.

    `country`: ISO 3166 alpha-2 of the developer's seat; empty where unknown.
    `cloaked`: models shown under a code name before their maker is known: a group of their own, of no country.
    """

    author: str
    name: str
    country: str = ""
    cloaked: bool = False
    source: str = ""
    checked: str = ""


class Model(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One model, by its slug `author/name` (lower case, without variant or date).

    `parameters_total`, `parameters_active`: counts of weights; 0 where not published. `context_tokens`: 0 likewise.
    `is_reasoning`: the model can think before it answers; None where unknown.
    """

    model: str
    author: str
    name: str = ""
    weights: Weights = "unknown"
    parameters_total: int = 0
    parameters_active: int = 0
    context_tokens: int = 0
    is_reasoning: bool | None = None
    released: str = ""
    aliases: tuple[str, ...] = ()
    source: str = ""
    checked: str = ""


class Provider(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Who answers API calls.

    `base_url` ends where the dialect's path begins (`/chat/completions` follows). `api_key_env` names the variable
    that holds the key; empty means that the provider needs none. `headquarters`: ISO 3166 alpha-2.
    `first_model`: a cheap chat model of this provider, for a first call.
    """

    provider: str
    name: str
    base_url: str = ""
    dialect: Dialect = "openai-chat"
    api_key_env: str = ""
    headquarters: str = ""
    first_model: str = ""
    source: str = ""
    checked: str = ""


class Endpoint(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A model at a provider in a region: what a call is sent to.

    `model` is the name that callers use, `upstream_model` the one the provider knows. `price` is None where no
    price is known: such an endpoint is never dispatched to. `region` is the provider's own word; empty if global.
    """

    endpoint_id: str
    provider: str
    model: str
    upstream_model: str
    region: str = ""
    price: Price | None = None


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """The endpoints that may serve a call, best first, and why."""

    endpoints: tuple[Endpoint, ...]
    reason: str
