"""Facts of the catalog that other rooms pass around: who makes a model, who serves it, where, at what price."""

from typing import Literal

import msgspec

from tidegate.core.price import Price

Weights = Literal["open", "closed", "unknown"]
Dialect = Literal[
    "openai-chat", "openai-completions", "openai-responses", "openai-embeddings", "anthropic", "gemini", "bedrock"
]
Auth = Literal["bearer", "x-api-key", "x-goog-api-key", "api-key", "google-oauth", "aws-sigv4", "none"]


class Quirks(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """How a provider departs from its dialect: data of `providers.yml`, never an `if` on its name.

    `output_tokens_field`: its name for the limit of an answer. `reasoning_field`: its name for thoughts in a message.
    """

    output_tokens_field: Literal["", "max_tokens", "max_completion_tokens"] = ""
    reasoning_field: Literal["", "reasoning_content", "reasoning"] = ""
    no_stream_usage: bool = False  # refuses stream_options
    no_developer_role: bool = False
    no_parallel_tools: bool = False
    no_json_schema: bool = False
    takes_cache_control: bool = False  # OpenAI dialect with Anthropic's cache_control in content parts
    thinking_switch: Literal["", "enable_thinking", "thinking", "chat_template_kwargs"] = ""
    takes_reasoning_details: bool = False  # OpenAI dialect with OpenRouter's sealed thoughts in messages
    takes_sampling_extras: bool = False  # OpenAI dialect with top_k, min_p, top_a and repetition_penalty


class DataPolicy(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """What a provider publishes about the content of API calls. None: it does not say, or nobody has looked.

    `trains`: it may train on API content by default. `retention_days`: how long content is kept; 0: not at all.
    `except_models`: globs on its names of models (lower case) of which this does not hold, and nothing is known.
    """

    trains: bool | None = None
    retention_days: int | None = None
    except_models: tuple[str, ...] = ()
    source: str = ""
    checked: str = ""


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

    `base_url` ends where the path of `dialect` begins (`/chat/completions`, `/messages`, `/models/...` follow); it may
    hold words in braces: `{region}` is the operator's region (else the first of `regions`), any other is a setting.
    `also`: base URLs of the other dialects that this provider speaks. `hosts`: by region, the host that serves it,
    where that is not the one in the base URL. `words`: the variables of the environment that hold the words.
    `api_key_env` names the variable that holds the key; empty means that none is needed.
    `auth`: how the key is sent; `also_auth`: in a dialect of `also`, where not in that dialect's own way.
    `api_version`: the operator's word for a provider that wants one in the path (Azure's `api-version`).
    `headquarters`: ISO 3166 alpha-2. `regions`: where it serves from, in its own words.
    `first_model`: a cheap chat model of this provider, for a first call.
    """

    provider: str
    name: str
    base_url: str = ""
    dialect: Dialect = "openai-chat"
    also: dict[Dialect, str] = {}
    hosts: dict[str, str] = {}
    words: dict[str, str] = {}
    api_key_env: str = ""
    auth: Auth = "bearer"
    also_auth: dict[Dialect, Auth] = {}
    api_version: str = ""
    headquarters: str = ""
    regions: tuple[str, ...] = ()
    data_policy: DataPolicy = DataPolicy()
    quirks: Quirks = Quirks()
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
