"""Settings of what tenants agree to, one by one: labels of their calls, policies, the response cache.

They stand in `tidegate.toml` as `[tenants.NAME]`, with `[labels]` for all, and are part of `tidegate.config`.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from tidegate.core.cache_settings import Sharing


def _help(text: str) -> Meta:
    return Meta(description=text)


class Labels(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who labels sampled calls by language and task: calls of tenants that opted in ([tenants.NAME]), and no others."""

    labeller: Annotated[
        Literal["local", "model"], _help("`local`: on this machine; `model`: a model that is asked with a fixed prompt")
    ] = "local"
    model: Annotated[str, _help("the model that is asked, as callers name it")] = ""
    base_url: Annotated[
        str, _help("where it is asked, an OpenAI-compatible address ending in `/v1`; default: this gateway")
    ] = ""
    api_key_env: Annotated[
        str, _help("environment variable with the key for it; with this gateway, one of its own")
    ] = "TIDEGATE_LABELS_KEY"
    seed: Annotated[str, Meta(max_length=32), _help("which calls are drawn; another seed draws others")] = "tidegate"
    audit_texts: Annotated[
        int,
        Meta(ge=0, le=1000),
        _help("newest labelled prompts kept in the labeller's memory, for `tidegate labels status --texts`; 0: none"),
    ] = 0


class TenantConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one tenant has agreed to."""

    label_one_in: Annotated[
        int,
        Meta(ge=0),
        _help("label one in this many of the tenant's calls (400 is 0.25 %), by reading them in memory; 0: none"),
    ] = 0
    policies: Annotated[tuple[str, ...], _help("policies that bind its calls, beside those of [routing]")] = ()
    cache: Annotated[
        Sharing,
        _help("keep its answers in memory and give them to identical calls of the same key, project or tenant"),
    ] = "off"
