"""Configuration: one TOML, then the environment, read once at start into one frozen value.

Order: built-in defaults, then each file of `TIDEGATE_CONFIG` (several may be joined with `:`; later ones win), then
`TIDEGATE_<SECTION>_<SETTING>` variables. Without `TIDEGATE_CONFIG`, `tidegate.toml` in the home and then the one in the
working directory are read if they exist. Each setting carries its unit in its name and its help beside it;
`docs/reference/config.md` is generated from this file.
"""

import ipaddress
import os
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

import msgspec
from msgspec import Meta

from tidegate.core.cache_settings import Cache, Sharing
from tidegate.core.console_settings import Console
from tidegate.core.errors import ConfigError
from tidegate.core.facts import Auth, Dialect
from tidegate.core.ladder_settings import LadderConfig
from tidegate.core.price_settings import PriceConfig as PriceConfig
from tidegate.core.price_settings import WindowConfig as WindowConfig
from tidegate.core.routing_settings import FactsConfig, PolicyConfig, Routing
from tidegate.core.tenant_settings import Labels, TenantConfig
from tidegate.core.topup_settings import TopupConfig

DEFAULT_HOME = ".tidegate"
RUN_PATH_BYTES_MAX = 85  # a Unix socket's path may have 104 bytes (Linux: 108), its own name included
Positive = Annotated[float, Meta(gt=0)]


def _help(text: str) -> Meta:
    return Meta(description=text)


class Gateway(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The listener and its workers."""

    gateway_id: Annotated[str, _help("name of this gateway in rows and evidence; unique among your gateways")] = "gw"
    host: Annotated[str, _help("address to listen on; loopback unless told otherwise")] = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535), _help("port to listen on; PORT= in `make up` sets it")] = 8080
    workers: Annotated[int, Meta(ge=1, le=1023), _help("gateway processes sharing the port; one per core")] = 1
    tls_cert_file: Annotated[str, _help("PEM certificate chain; with tls_key_file, the listener speaks TLS")] = ""
    tls_key_file: Annotated[str, _help("PEM private key of tls_cert_file")] = ""
    trusted_forwarders: Annotated[
        tuple[str, ...], _help("networks (CIDR) whose X-Forwarded-For is believed; nobody by default")
    ] = ()
    providers_from_environment: Annotated[
        bool, _help("serve every catalog provider whose API key variable is set in the environment")
    ] = True
    on_disconnect: Annotated[
        Literal["drain", "cancel"],
        _help("when a caller leaves: `drain` reads the provider to its end, for exact usage; `cancel` hangs up"),
    ] = "drain"
    comment_s: Annotated[
        Positive, _help("silence after which the caller of a stream gets a comment, so that nobody hangs up meanwhile")
    ] = 15.0
    drain_s: Annotated[float, Meta(ge=0), _help("how long SIGTERM, or a drained call, may take to finish")] = 120.0
    log_level: Annotated[Literal["debug", "info", "warning", "error"], _help("what the log shows")] = "info"


class Limits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one caller or one provider may take. Above a limit: a clear error and, where a key was valid, a row."""

    header_bytes_max: Annotated[int, Meta(gt=0), _help("request line and headers")] = 32 * 1024
    header_count_max: Annotated[int, Meta(gt=0), _help("header lines in a request")] = 100
    body_bytes_max: Annotated[int, Meta(gt=0), _help("request body, after decompression")] = 32 * 1024 * 1024
    header_s: Annotated[Positive, _help("from the first byte of a request to the end of its headers")] = 10.0
    body_s: Annotated[Positive, _help("from the end of the headers to the end of the body")] = 120.0
    idle_s: Annotated[Positive, _help("a kept-alive connection without a request")] = 75.0
    connections_max: Annotated[int, Meta(gt=0), _help("open client connections in one worker")] = 10_000
    write_buffer_bytes_max: Annotated[
        int, Meta(gt=0), _help("unsent bytes to a slow caller before the provider is no longer read")
    ] = 256 * 1024
    response_bytes_max: Annotated[int, Meta(gt=0), _help("an unstreamed reply of a provider")] = 64 * 1024 * 1024
    event_bytes_max: Annotated[int, Meta(gt=0), _help("one event of a provider's stream")] = 16 * 1024 * 1024


class Ledger(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The journal and what becomes of it."""

    path: Annotated[str, _help("the ledger's folder; default: `ledger` in the home")] = ""
    durability: Annotated[
        Literal["process", "power"],
        _help("`process`: acknowledged rows survive kill -9; `power`: also a power cut (one fsync a loop tick)"),
    ] = "process"
    segment_bytes_max: Annotated[int, Meta(gt=0), _help("a journal segment is closed at this size")] = 64 * 1024 * 1024
    segment_age_s: Annotated[Positive, _help("a journal segment with records is closed at this age")] = 300.0
    seal_interval_s: Annotated[Positive, _help("how often closed segments are sealed into Parquet")] = 60.0


class Accounts(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Tenants, keys, quotas and wallets, and how workers hold slices of quotas."""

    database_url: Annotated[
        str,
        _help(
            "`postgresql://user:password@host/name`, for several hosts on one database; "
            "default: SQLite, `accounts.sqlite` in the home"
        ),
    ] = ""
    secret_file: Annotated[
        str,
        _help(
            "keys the hashes of API keys and end users; hosts on one database need the same. "
            "Default: `secret` in the home"
        ),
    ] = ""
    operator_key_file: Annotated[
        str, _help("encrypts stored provider keys; made at first use. Default: `operator.key` in the home")
    ] = ""
    quota_store: Annotated[
        Literal["database", "memory", "redis"],
        _help(
            "who hands out slices of quotas: the accounts database; `memory`: this process alone, for one worker "
            "and for tests; `redis`: Redis or Valkey in front of the database"
        ),
    ] = "database"
    redis_url: Annotated[str, _help("`redis://[user:password@]host:port/0`, with quota_store `redis`")] = ""
    lease_s: Annotated[
        float, Meta(ge=2), _help("how long a worker may spend a slice of a quota without hearing from its store")
    ] = 10.0
    quota_wait_s: Annotated[
        float, Meta(ge=0), _help("how long a call waits for money that other calls have reserved, before its 402")
    ] = 5.0


class Upstream(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How providers are reached; a provider may override each with its own value."""

    connect_s: Annotated[Positive, _help("TCP, proxy and TLS handshake")] = 10.0
    first_byte_s: Annotated[Positive, _help("request sent to first byte of the reply")] = 300.0
    idle_s: Annotated[Positive, _help("silence between two chunks of a reply")] = 120.0
    total_s: Annotated[Positive, _help("a whole attempt")] = 1800.0
    keep_alive_s: Annotated[Positive, _help("how long an unused connection to a provider is kept")] = 60.0
    connections_idle_max: Annotated[int, Meta(ge=0), _help("unused connections kept per provider and worker")] = 256


class ProviderConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One provider: a new one, or changes to one of the catalog."""

    base_url: Annotated[str, _help("where the paths of `dialect` follow, e.g. `https://api.example.com/v1`")] = ""
    dialect: Annotated[Dialect, _help("what `base_url` speaks; not read where `base_url` is empty")] = "openai-chat"
    auth: Annotated[
        Auth | None,
        _help(
            f"how the key is sent: {', '.join(f'`{word}`' for word in get_args(Auth))}; "
            "default: the catalog's, else as the dialect's maker has it"
        ),
    ] = None
    api_key_env: Annotated[str, _help("environment variable that holds the provider's key")] = ""
    proxy_url: Annotated[str, _help("outbound proxy, `http://[user:password@]host:port`")] = ""
    ca_file: Annotated[str, _help("PEM of a private certificate authority, trusted for this provider only")] = ""
    tls_verify: Annotated[bool, _help("false accepts any certificate; for tests only")] = True
    region: Annotated[
        str, _help("region of this provider's endpoints, as it shows in rows; fills `{region}` of its address")
    ] = ""
    words: Annotated[
        dict[str, str],
        _help('fills the other words of its address, e.g. `{ resource = "acme" }`; default: from the environment'),
    ] = {}
    api_version: Annotated[
        str, _help("Azure's `api-version`: with it calls go to its deployments, without it to its `/openai/v1`")
    ] = ""
    models: Annotated[
        Literal["auto", "catalog", "listed"],
        _help(
            "`catalog`: serve every priced model the catalog knows at this provider; `listed`: [[endpoints]] only; "
            "`auto`: the catalog's, unless base_url is set or an [[endpoints]] entry names the provider"
        ),
    ] = "auto"
    facts: Annotated[FactsConfig, _help("what you know of it beside the catalog")] = FactsConfig()
    connect_s: Annotated[Positive | None, _help("overrides [upstream]")] = None
    first_byte_s: Annotated[Positive | None, _help("overrides [upstream]")] = None
    idle_s: Annotated[Positive | None, _help("overrides [upstream]")] = None
    total_s: Annotated[Positive | None, _help("overrides [upstream]")] = None


class EndpointConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One model at one provider. Without a price here, the catalog's price of the day is used."""

    provider: Annotated[str, _help("name of the provider")]
    model: Annotated[str, _help("name that callers use")]
    upstream_model: Annotated[str, _help("name that the provider knows; default: the same")] = ""
    region: Annotated[str, _help("overrides the provider's region")] = ""
    price: Annotated[PriceConfig | None, _help("what a call costs; default: the catalog's price")] = None
    facts: Annotated[FactsConfig, _help("overrides its provider's")] = FactsConfig()


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole configuration."""

    home: Annotated[str, _help("folder of this installation: keys, ledger, sockets")] = DEFAULT_HOME
    gateway: Gateway = Gateway()
    limits: Limits = Limits()
    ledger: Ledger = Ledger()
    accounts: Accounts = Accounts()
    routing: Routing = Routing()
    policies: Annotated[dict[str, PolicyConfig], _help("policies by name, beside the shipped ones")] = {}
    ladders: Annotated[dict[str, LadderConfig], _help("ladders by the name that callers ask for")] = {}
    upstream: Upstream = Upstream()
    labels: Labels = Labels()
    cache: Cache = Cache()
    console: Console = Console()
    tenants: Annotated[dict[str, TenantConfig], _help("tenants by name")] = {}
    providers: Annotated[dict[str, ProviderConfig], _help("providers by name")] = {}
    topups: Annotated[dict[str, TopupConfig], _help("payment providers whose callbacks credit wallets, by name")] = {}
    endpoints: Annotated[tuple[EndpointConfig, ...], _help("models served, in order of preference")] = ()

    @property
    def home_path(self) -> Path:
        return Path(self.home).expanduser().resolve()

    @property
    def ledger_path(self) -> Path:
        return Path(self.ledger.path).expanduser().resolve() if self.ledger.path else self.home_path / "ledger"

    @property
    def labelled_one_in(self) -> dict[str, int]:
        """Tenants that opted in to labels, with the number of calls of which one is labelled."""
        return {name: tenant.label_one_in for name, tenant in self.tenants.items() if tenant.label_one_in}

    @property
    def cached_tenants(self) -> dict[str, Sharing]:
        """Tenants that opted in to the response cache, with among whom their answers are shared."""
        return {name: tenant.cache for name, tenant in self.tenants.items() if tenant.cache != "off"}

    @property
    def catalog_path(self) -> Path:
        """What `tidegate catalog sync` wrote; need not exist."""
        return self.home_path / "catalog"

    @property
    def run_path(self) -> Path:
        """Sockets, pid and metrics of the running installation.

        Relative to the working directory, which all its processes share, where a Unix socket's path would be too long.
        """
        path = self.home_path / "run"
        return path if len(os.fsencode(path)) <= RUN_PATH_BYTES_MAX else Path(os.path.relpath(path))


SECTIONS: dict[str, type[msgspec.Struct]] = {
    "gateway": Gateway,
    "limits": Limits,
    "ledger": Ledger,
    "accounts": Accounts,
    "routing": Routing,
    "upstream": Upstream,
    "labels": Labels,
    "cache": Cache,
    "console": Console,
}


def load_config(files: Sequence[Path] | None = None, environ: Mapping[str, str] | None = None) -> Config:
    """Read the configuration as the module docstring says. Raises ConfigError naming file, setting and mend.

    files: read these instead of looking for any. environ: default `os.environ`.
    """
    environ = os.environ if environ is None else environ
    raw: dict[str, Any] = {}
    for path in config_files(environ) if files is None else files:
        found = _read_toml(path)
        _convert(found, f"configuration file {path}")
        _merge(raw, found)
    _apply_environment(raw, environ)
    config = _convert(raw, "configuration, with the environment")
    _check(config)
    return config


def _convert(raw: dict[str, Any], where: str) -> Config:
    try:
        return msgspec.convert(raw, Config)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{where}: {error}. `docs/reference/config.md` lists every setting.") from error


def config_files(environ: Mapping[str, str]) -> list[Path]:
    """The files that are read when none are named, in their order; later ones win."""
    if named := environ.get("TIDEGATE_CONFIG"):
        return [Path(part) for part in named.split(os.pathsep) if part]
    home = environ.get("TIDEGATE_HOME", DEFAULT_HOME)
    return [path for path in (Path(home) / "tidegate.toml", Path("tidegate.toml")) if path.is_file()]


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigError(f"configuration file {path} cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"configuration file {path} is not valid TOML: {error}") from error


def _merge(into: dict[str, Any], extra: Mapping[str, Any]) -> None:
    """Tables merge by key, lists append, anything else is replaced."""
    for key, value in extra.items():
        old = into.get(key)
        if isinstance(old, dict) and isinstance(value, dict):
            _merge(old, value)
        elif isinstance(old, list) and isinstance(value, list):
            old.extend(value)
        else:
            into[key] = value


def _apply_environment(raw: dict[str, Any], environ: Mapping[str, str]) -> None:
    if home := environ.get("TIDEGATE_HOME"):
        raw["home"] = home
    for section, struct in SECTIONS.items():
        for field in msgspec.structs.fields(struct):
            name = f"TIDEGATE_{section}_{field.name}".upper()
            if name not in environ:
                continue
            try:
                raw.setdefault(section, {})[field.name] = _from_text(environ[name], field.type)
            except ValueError as error:
                raise ConfigError(f"environment variable {name}: {error}") from error


def _from_text(text: str, kind: Any) -> Any:
    while get_origin(kind) is Annotated:
        kind = get_args(kind)[0]
    if get_origin(kind) is tuple:
        return [part.strip() for part in text.split(",") if part.strip()]
    if kind is bool:
        if text.lower() not in {"true", "false", "1", "0"}:
            raise ValueError(f"{text!r} is neither true nor false")
        return text.lower() in {"true", "1"}
    return msgspec.convert(text, kind, strict=False)


def _check(config: Config) -> None:
    if bool(config.gateway.tls_cert_file) != bool(config.gateway.tls_key_file):
        raise ConfigError("gateway.tls_cert_file and gateway.tls_key_file go together: set both or neither")
    if config.labels.labeller == "model" and not config.labels.model:
        raise ConfigError("labels.labeller is `model`, and labels.model does not say which; name one that is served")
    if config.accounts.quota_store == "redis" and not config.accounts.redis_url:
        raise ConfigError("accounts.quota_store is `redis`, and accounts.redis_url does not say where; set both")
    if config.cache.entry_bytes_max > config.cache.bytes_max:
        raise ConfigError(
            f"cache.entry_bytes_max ({config.cache.entry_bytes_max}) exceeds cache.bytes_max "
            f"({config.cache.bytes_max}): one answer cannot be larger than all together"
        )
    for network in config.gateway.trusted_forwarders:
        try:
            ipaddress.ip_network(network)
        except ValueError as error:
            raise ConfigError(f"gateway.trusted_forwarders: {error}; write for example '10.0.0.0/8'") from error
    for name, provider in config.providers.items():
        if provider.base_url and not provider.base_url.startswith(("http://", "https://")):
            raise ConfigError(
                f"providers.{name}.base_url must begin with http:// or https://, not {provider.base_url!r}"
            )
        if provider.proxy_url and not provider.proxy_url.startswith("http://"):
            raise ConfigError(f"providers.{name}.proxy_url must begin with http://; seen another scheme")
