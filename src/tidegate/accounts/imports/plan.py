"""What an import would make here. Secrets never show in a plan's text."""

from typing import Literal

import msgspec

from tidegate.core.quota import Unit, Window


class Secret(str):
    """A text that its `repr` hides."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'***'"


class PriceTexts(msgspec.Struct, frozen=True, kw_only=True):
    """USD per million tokens, as `[[endpoints]]` write them."""

    input: str
    output: str
    cache_read: str | None = None
    cache_creation: str | None = None


class ProviderPart(msgspec.Struct, frozen=True, kw_only=True):
    """A `[providers.NAME]` section. keys: of that provider, to be stored; empty where they stand in the variable."""

    name: str
    base_url: str = ""
    dialect: str = ""
    auth: str = ""
    api_key_env: str = ""
    api_version: str = ""
    region: str = ""
    keys: tuple[Secret, ...] = ()


class EndpointPart(msgspec.Struct, frozen=True, kw_only=True):
    """An `[[endpoints]]` entry. price: None where the catalog has one under that name; price_source: whence, else."""

    provider: str
    model: str
    upstream_model: str = ""
    price: PriceTexts | None = None
    price_source: str = ""


class QuotaPart(msgspec.Struct, frozen=True, kw_only=True):
    """A limit. scope `key`: of the key that carries it; `each`: of every one in the scope."""

    unit: Unit
    window: Window
    limit: int
    scope: Literal["tenant", "key", "user"] = "tenant"
    tenant_id: str = "default"
    name: str = ""


class TenantPart(msgspec.Struct, frozen=True, kw_only=True):
    """A tenant. credit_nano_usd: its wallet's opening balance; None: it has no wallet, and pays later."""

    tenant_id: str
    name: str = ""
    is_enabled: bool = True
    credit_nano_usd: int | None = None
    reference: str = ""


class KeyPart(msgspec.Struct, frozen=True, kw_only=True):
    """A key with the secret that its clients already have."""

    name: str
    secret: Secret
    tenant_id: str = "default"
    expires_us: int | None = None
    is_enabled: bool = True
    models: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()
    price_group: str = ""
    quotas: tuple[QuotaPart, ...] = ()


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """All of it. unmapped: what has no counterpart here, or could not be told, each in one sentence."""

    origin: str
    providers: tuple[ProviderPart, ...] = ()
    endpoints: tuple[EndpointPart, ...] = ()
    tenants: tuple[TenantPart, ...] = ()
    keys: tuple[KeyPart, ...] = ()
    quotas: tuple[QuotaPart, ...] = ()
    unmapped: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
