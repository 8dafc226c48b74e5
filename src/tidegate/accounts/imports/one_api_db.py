"""The SQLite database of one-api or new-api as a plan: users, tokens and their quotas, channels.

A user becomes a tenant with a prepaid wallet of what is left of its quota, a token a key with the same text (its
clients go on unchanged), a token's own remaining quota a lifetime limit of that key, a channel a provider and its
endpoints.
Source: model/{user,token,channel,option}.go of both; the channel types in data/one_api_channels.yml; 2026-11-22.
"""

import ipaddress
import json
import re
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from fractions import Fraction
from importlib import resources
from pathlib import Path
from typing import Any, Final

import msgspec

from tidegate.accounts.imports.address import Providers, azure_base, with_version
from tidegate.accounts.imports.plan import EndpointPart, KeyPart, Plan, PriceTexts, QuotaPart, Secret, TenantPart
from tidegate.accounts.imports.prices import priced
from tidegate.catalog import Catalog
from tidegate.core.errors import AccountsError
from tidegate.core.money import NANO_PER_USD, format_usd

Record = dict[str, Any]
QUOTA_PER_USD: Final = 500_000
TABLES: Final = ("users", "tokens", "channels")
ENABLED, DELETED = 1, 3
NEVER: Final = -1
_UNSAFE = re.compile(r"[^a-z0-9_-]+")


class ChannelType(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One number of `data/one_api_channels.yml`. path: None where its address cannot be taken over as it is."""

    name: str
    provider: str
    dialect: str = "openai-chat"
    path: str | None = None


def read_database(file: Path, catalog: Catalog, day: str, quota_per_usd: int = 0) -> Plan:
    """Read a database; it is not changed. quota_per_usd: 0: as its options say, else 500,000.

    Raises AccountsError where it is none of theirs.
    """
    try:
        with closing(sqlite3.connect(f"{file.resolve().as_uri()}?mode=ro", uri=True)) as database:
            database.row_factory = sqlite3.Row
            names = {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            if missing := sorted(set(TABLES) - names):
                raise AccountsError(f"{file} is no database of one-api or new-api: it has no table {missing[0]}")
            tables = {name: [dict(row) for row in database.execute(f'SELECT * FROM "{name}"')] for name in TABLES}
            options = _options(database) if "options" in names else {}
            left = {name: _count(database, name) for name in ("redemptions", "abilities", "top_ups") if name in names}
    except sqlite3.DatabaseError as error:
        raise AccountsError(f"{file} cannot be read as a SQLite database: {error}") from error
    return _Reader(tables, options, catalog, day, quota_per_usd).plan(file.name, left)


def _options(database: sqlite3.Connection) -> dict[str, str]:
    return {str(row["key"]): str(row["value"]) for row in database.execute("SELECT * FROM options")}


def _count(database: sqlite3.Connection, table: str) -> int:
    return int(database.execute(f'SELECT count(*) FROM "{table}"').fetchone()[0])


class _Reader:
    """One database on its way to a plan."""

    def __init__(
        self, tables: Mapping[str, list[Record]], options: Mapping[str, str], catalog: Catalog, day: str, per_usd: int
    ) -> None:
        self._tables = tables
        self._options = options
        self._catalog = catalog
        self._day = day
        self._per_usd = per_usd or _number(options.get("QuotaPerUnit")) or QUOTA_PER_USD
        self._providers = Providers(catalog)
        self._endpoints: dict[tuple[str, str], EndpointPart] = {}
        self._tenant_of: dict[int, str] = {}
        self._unmapped: list[str] = []
        self._is_new_api = any("model_limits" in token for token in tables["tokens"][:1]) or any(
            "setting" in channel or "tag" in channel for channel in tables["channels"][:1]
        )
        self._types = _types(self._is_new_api)

    def plan(self, name: str, left: Mapping[str, int]) -> Plan:
        tenants = tuple(self._users())
        keys = tuple(self._keys())
        for channel in self._tables["channels"]:
            self._channel(channel)
        if left.get("redemptions"):
            self._unmapped.append(
                f"{left['redemptions']} redemption codes: `tidegate accounts vouchers make --codes-from FILE` takes "
                "those that are open, one amount at a time"
            )
        self._groups()
        system = "new-api" if self._is_new_api else "one-api"
        return Plan(
            origin=f"{system}'s {name}",
            providers=self._providers.parts(),
            endpoints=tuple(self._endpoints.values()),
            tenants=tenants,
            keys=keys,
            unmapped=tuple(self._unmapped),
            notes=(f"taken for a database of {system}; {self._per_usd:,} quota are one USD",),
        )

    def _nano(self, quota: Any) -> int:
        return round(Fraction(_number(quota), self._per_usd) * NANO_PER_USD)

    def _users(self) -> Iterator[TenantPart]:
        for user in self._tables["users"]:
            if _number(user.get("status")) == DELETED or user.get("deleted_at"):
                continue
            number = _number(user.get("id"))
            tenant_id = self._tenant_id(str(user.get("username") or ""), number)
            self._tenant_of[number] = tenant_id
            yield TenantPart(
                tenant_id=tenant_id,
                name=_name(user.get("display_name") or user.get("username")),
                is_enabled=_number(user.get("status")) == ENABLED,
                credit_nano_usd=self._nano(user.get("quota")),
                reference=f"one-api:user:{number}",
            )
        if self._tenant_of:
            self._unmapped.append(f"passwords and addresses of {len(self._tenant_of)} users: invite them anew")

    def _tenant_id(self, username: str, number: int) -> str:
        wanted = _UNSAFE.sub("-", username.lower()).strip("-")[:50] or f"user-{number}"
        return f"{wanted}-{number}" if wanted in self._tenant_of.values() else wanted

    def _keys(self) -> Iterator[KeyPart]:
        for token in self._tables["tokens"]:
            if token.get("deleted_at"):
                continue
            tenant_id = self._tenant_of.get(_number(token.get("user_id")))
            text = str(token.get("key") or "").strip()
            where = f"token {token.get('id')} ({token.get('name') or 'no name'})"
            if tenant_id is None or not text:
                why = "it has no key" if tenant_id else "its user is not there any more"
                self._unmapped.append(f"{where}: {why}")
                continue
            networks = self._networks_of(token, where)
            if networks is None:
                continue
            expires = _number(token.get("expired_time"))
            unlimited = str(token.get("unlimited_quota")) in ("1", "True", "true")
            if token.get("group"):
                self._unmapped.append(f"{where}: its group {token['group']}")
            yield KeyPart(
                name=_name(token.get("name")) or f"token-{token.get('id')}",
                secret=Secret(text if text.startswith("sk-") else f"sk-{text}"),
                tenant_id=tenant_id,
                expires_us=None if expires in (NEVER, 0) else expires * 1_000_000,
                is_enabled=_number(token.get("status")) in (ENABLED, 3, 4),  # expired and exhausted end by themselves
                models=tuple(self._models_of(token)),
                networks=networks,
                quotas=() if unlimited else (self._limit(token, tenant_id),),
            )

    def _limit(self, token: Record, tenant_id: str) -> QuotaPart:
        return QuotaPart(
            unit="nano_usd",
            window="lifetime",
            limit=max(0, self._nano(token.get("remain_quota"))),
            scope="key",
            tenant_id=tenant_id,
            name=f"quota of {_name(token.get('name'))}".strip(),
        )

    def _models_of(self, token: Record) -> list[str]:
        limited = token.get("model_limits_enabled")
        listed = token.get("model_limits") if limited in (1, True, "1", "true") else token.get("models")
        return [word for part in str(listed or "").split(",") if (word := part.strip())]

    def _networks_of(self, token: Record, where: str) -> tuple[str, ...] | None:
        """Where a token may be used from; none: anywhere. None: it was bound, and to nothing that can be read."""
        networks: list[str] = []
        words = [
            word for word in re.split(r"[\s,;]+", str(token.get("allow_ips") or token.get("subnet") or "")) if word
        ]
        for word in words:
            try:
                networks.append(str(ipaddress.ip_network(word, strict=False)))
            except ValueError:
                self._unmapped.append(f"{where}: {word[:60]!r} among its networks is none")
        if words and not networks:
            self._unmapped.append(f"{where}: no key was made of it, since it would be good from anywhere")
            return None
        return tuple(networks)

    def _channel(self, channel: Record) -> None:
        number, kind = _number(channel.get("type")), self._types.get(_number(channel.get("type")))
        where = f"channel {channel.get('id')} ({channel.get('name') or 'no name'})"
        address = str(channel.get("base_url") or "").strip()
        if _number(channel.get("status")) != ENABLED:
            self._unmapped.append(f"{where}: it is disabled")
            return
        if kind is None or kind.path is None or not (kind.provider or address):
            name = kind.name if kind else f"type {number}"
            self._unmapped.append(f"{where}: {name} has no counterpart here; add its provider by hand")
            return
        keys = [Secret(line.strip()) for line in str(channel.get("key") or "").splitlines() if line.strip()]
        if address:
            address = azure_base(address) if kind.provider == "azure" else with_version(address, kind.path)
        part = self._providers.at(kind.provider, address, dialect=kind.dialect)
        for key in keys:
            part = self._providers.at(kind.provider, address, dialect=kind.dialect, key=str(key))
        if kind.provider == "azure" and channel.get("other"):
            part = self._providers.versioned(part, str(channel["other"]))
        mapping = _mapping(channel.get("model_mapping"))
        if not mapping and str(channel.get("model_mapping") or "{}").strip() not in ("{}", ""):
            self._unmapped.append(f"{where}: its model_mapping is no JSON object; models are asked for by their names")
        for listed in str(channel.get("models") or "").split(","):
            if model := listed.strip():
                self._endpoint(part.name, kind.provider, model, str(mapping.get(model) or model), where)

    def _endpoint(self, provider: str, maker: str, model: str, upstream: str, where: str) -> None:
        wanted = EndpointPart(provider=provider, model=model, upstream_model=upstream)
        made = priced(self._catalog, wanted, maker or self._maker(upstream), self._day)
        if made is None:
            ratio = self._ratio(model)
            made = (
                None if ratio is None else msgspec.structs.replace(wanted, price=ratio, price_source="their ModelRatio")
            )
        if made is None:
            self._unmapped.append(f"{where}: no price known of {model}; add the endpoint with a price of yours")
        else:
            self._endpoints.setdefault((model, provider), made)

    def _maker(self, model: str) -> str:
        author = self._catalog.model_of(model).author
        return next((name for name in self._catalog.providers if name == author), "")

    def _ratio(self, model: str) -> PriceTexts | None:
        """What their ratios come to: one of ModelRatio is one quota a token."""
        models, completions = _mapping(self._options.get("ModelRatio")), _mapping(self._options.get("CompletionRatio"))
        try:
            entered = Fraction(str(models[model])) * NANO_PER_USD * 1_000_000 / self._per_usd
            left = entered * Fraction(str(completions.get(model, 1)))
        except (KeyError, ValueError):
            return None
        return PriceTexts(input=format_usd(round(entered), places_min=0), output=format_usd(round(left), places_min=0))

    def _groups(self) -> None:
        for group, ratio in _mapping(self._options.get("GroupRatio")).items():
            if str(ratio) in ("1", "1.0"):
                continue
            users = sum(str(user.get("group")) == group for user in self._tables["users"])
            where = f"group {group} of {users} users, {str(ratio)[:20]} times the price"
            try:
                margin = f"{(float(ratio) - 1) * 100:.4g}%"
                told = f"`tidegate accounts prices add {group} --margin {margin}`, and `prices join` for each tenant"
            except (TypeError, ValueError):
                told = "that is no number"
            self._unmapped.append(f"{where}: {told}")


def _types(is_new_api: bool) -> dict[int, ChannelType]:
    import yaml

    table = yaml.safe_load(resources.files("tidegate.data").joinpath("one_api_channels.yml").read_text("utf-8"))
    merged = {**table["both"], **table["new-api" if is_new_api else "one-api"]}
    return {int(number): msgspec.convert(entry, ChannelType) for number, entry in merged.items()}


def _mapping(text: Any) -> dict[str, Any]:
    """A JSON object in a text column; empty where it is none."""
    try:
        found = json.loads(str(text or "{}"))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _number(value: Any) -> int:
    try:
        return int(float(value or 0))
    except (TypeError, ValueError, OverflowError):
        return 0


def _name(value: Any) -> str:
    return "".join(letter for letter in str(value or "") if letter.isprintable())[:128]
