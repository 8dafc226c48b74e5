"""LiteLLM's `config.yaml` as a plan: models, the master key, and budgets. Virtual keys stand in its database alone.

Source: docs.litellm.ai/docs/proxy/configs and config_settings, checked 2026-11-22.
"""

from collections.abc import Iterator, Mapping
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, Final

from tidegate.accounts.audit.prices import PriceBook
from tidegate.accounts.imports.address import Providers, azure_base, with_version
from tidegate.accounts.imports.plan import EndpointPart, KeyPart, Plan, PriceTexts, QuotaPart, Secret
from tidegate.accounts.imports.prices import priced
from tidegate.catalog import Catalog
from tidegate.core.errors import AccountsError
from tidegate.core.money import NANO_PER_USD
from tidegate.core.quota import Window

ENVIRON: Final = "os.environ/"
_DIALECTS: Final = {
    "anthropic": ("anthropic", "/v1"),
    "google": ("gemini", "/v1beta"),
    "ollama": ("openai-chat", "/v1"),  # LiteLLM speaks the API of its own, which has no version in its path
}
_SAME: Final = {"ollama_chat": "ollama"}  # two of LiteLLM's names for one provider
_PRICES: Final = {
    "input": "input_cost_per_token",
    "output": "output_cost_per_token",
    "cache_read": "cache_read_input_token_cost",
    "cache_creation": "cache_creation_input_token_cost",
}
_WINDOWS: Final[Mapping[str, Window]] = {
    "1m": "minute",
    "60s": "minute",
    "1h": "hour",
    "60m": "hour",
    "24h": "day",
    "1d": "day",
    "7d": "week",
    "1w": "week",
    "30d": "month",
    "31d": "month",
    "1mo": "month",
}
_KNOWN_PARAMS: Final = frozenset(
    {"model", "api_key", "api_base", "base_url", "api_version", "custom_llm_provider", *_PRICES.values()}
)
_SETTINGS: Final = {
    "litellm_settings": {"max_budget", "budget_duration", "max_end_user_budget"},
    "general_settings": {"master_key", "max_parallel_requests", "global_max_parallel_requests"},
    "router_settings": {"model_group_alias"},
}
"""What is read of each section; the rest of it is listed as not mapped."""
OPEN_ADDRESSES: Final = frozenset({"openai_like", "custom_openai", "hosted_vllm", "litellm_proxy", "lm_studio"})


def read_config(file: Path, catalog: Catalog, day: str) -> Plan:
    """Read a config. day: ISO date, whose prices are written where the catalog has another name for a model.

    Raises AccountsError where it is no such file.
    """
    import yaml

    try:
        found = yaml.safe_load(file.read_text("utf-8"))
    except OSError as error:
        raise AccountsError(f"{file} cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise AccountsError(f"{file} is not YAML: {str(error).splitlines()[0]}") from error
    if not isinstance(found, dict) or not isinstance(found.get("model_list", []), list):
        raise AccountsError(f"{file} is no LiteLLM config: it has no `model_list`; name the proxy's config.yaml")
    return _Reader(found, catalog, day).plan(file.name)


class _Reader:
    """One config on its way to a plan."""

    def __init__(self, config: Mapping[str, Any], catalog: Catalog, day: str) -> None:
        self._config = config
        self._catalog = catalog
        self._day = day
        self._book = PriceBook(catalog)
        self._providers = Providers(catalog)
        self._endpoints: dict[tuple[str, str], EndpointPart] = {}
        self._unmapped: list[str] = []

    def plan(self, name: str) -> Plan:
        for number, entry in enumerate(self._config.get("model_list") or [], 1):
            self._model(number, entry if isinstance(entry, dict) else {})
        self._aliases()
        keys, quotas = tuple(self._keys()), tuple(self._quotas())
        self._rest()
        return Plan(
            origin=f"LiteLLM's {name}",
            providers=self._providers.parts(),
            endpoints=tuple(self._endpoints.values()),
            keys=keys,
            quotas=quotas,
            unmapped=tuple(self._unmapped),
            notes=(
                "virtual keys, teams and their spend stand in LiteLLM's database, as hashes: make new keys for them",
            ),
        )

    def _section(self, name: str) -> dict[str, Any]:
        found = self._config.get(name)
        return found if isinstance(found, dict) else {}

    def _model(self, number: int, entry: dict[str, Any]) -> None:
        params = entry.get("litellm_params")
        listed, model = str(entry.get("model_name") or ""), str((params or {}).get("model") or "")
        where = f"model_list[{number}] {listed or '(no name)'}"
        if not isinstance(params, dict) or not listed or not model:
            self._unmapped.append(f"{where}: no model_name or litellm_params.model")
            return
        if "*" in listed or "*" in model:
            self._unmapped.append(
                f"{where}: a wildcard; set the provider's key in the environment and every model that the catalog "
                "prices there is served"
            )
            return
        said, upstream = self._taken_apart(model, params)
        slug = self._book.provider_of(said)
        address = str(params.get("api_base") or params.get("base_url") or "")
        if not slug and not address:
            self._unmapped.append(f"{where}: provider {said!r} is not known here, and no api_base says where it is")
            return
        part = self._provider(slug, address, params, where)
        endpoint = EndpointPart(provider=part.name, model=listed, upstream_model=upstream)
        made = priced(self._catalog, endpoint, slug or self._maker(upstream), self._day, self._own_price(entry, params))
        if made is None:
            self._unmapped.append(f"{where}: no price known of {upstream!r}; add the endpoint with a price of yours")
        elif (listed, part.name) in self._endpoints:
            self._unmapped.append(f"{where}: a second deployment of the model at {part.name}; one is kept")
        else:
            self._endpoints[listed, part.name] = made
        for name in sorted(set(params) - _KNOWN_PARAMS):
            self._unmapped.append(f"{where}: litellm_params.{name}")

    def _taken_apart(self, model: str, params: Mapping[str, Any]) -> tuple[str, str]:
        """(provider as LiteLLM names it, model as the provider does)."""
        if params.get("custom_llm_provider"):
            said = str(params["custom_llm_provider"])
            return _SAME.get(said, said), model.removeprefix(f"{said}/")
        said, _, rest = model.partition("/")
        said = _SAME.get(said, said)
        if rest and (self._book.provider_of(said) or said in OPEN_ADDRESSES):
            return said, rest
        return self._maker(model), model

    def _maker(self, model: str) -> str:
        held = self._book.held("", model, self._day)
        return held.right[0].price_id.rpartition("#")[0].rpartition("@")[2] if held.right else "openai"

    def _provider(self, slug: str, address: str, params: Mapping[str, Any], where: str) -> Any:
        key = str(params.get("api_key") or "")
        variable = key.removeprefix(ENVIRON) if key.startswith(ENVIRON) else ""
        if address.startswith(ENVIRON):
            self._unmapped.append(f"{where}: api_base stands in the variable {address.removeprefix(ENVIRON)}")
            address = ""
        dialect, path = _DIALECTS.get(slug, ("openai-chat", ""))
        if address:
            address = azure_base(address) if slug == "azure" else with_version(address, path)
        part = self._providers.at(slug, address, dialect=dialect, key="" if variable else key, variable=variable)
        if slug == "azure" and address and params.get("api_version"):
            return self._providers.versioned(part, str(params["api_version"]))
        return part

    def _own_price(self, entry: Mapping[str, Any], params: Mapping[str, Any]) -> PriceTexts | None:
        info = entry.get("model_info")
        stated = {**(info if isinstance(info, dict) else {}), **params}
        texts = {ours: _per_million(stated.get(theirs)) for ours, theirs in _PRICES.items()}
        entered, left = texts["input"], texts["output"]
        if entered is None or left is None:
            return None
        return PriceTexts(
            input=entered, output=left, cache_read=texts["cache_read"], cache_creation=texts["cache_creation"]
        )

    def _aliases(self) -> None:
        aliases = self._section("router_settings").get("model_group_alias")
        for alias, target in (aliases if isinstance(aliases, dict) else {}).items():
            name = str(target.get("model")) if isinstance(target, dict) else str(target)
            found = [part for (model, _), part in self._endpoints.items() if model == name]
            if not found:
                self._unmapped.append(f"router_settings.model_group_alias {alias}: {name} is no model of the list")
            for part in found:
                upstream = part.upstream_model or part.model
                again = EndpointPart(
                    provider=part.provider, model=str(alias), upstream_model=upstream, price=part.price
                )
                made = again if part.price else priced(self._catalog, again, part.provider, self._day)
                if made is not None:
                    self._endpoints[str(alias), part.provider] = made

    def _keys(self) -> Iterator[KeyPart]:
        key = str(self._section("general_settings").get("master_key") or "")
        if key.startswith(ENVIRON):
            self._unmapped.append(
                f"general_settings.master_key stands in the variable {key.removeprefix(ENVIRON)}: "
                "`tidegate keys create --help` says how to make a key of a given text"
            )
        elif key:
            yield KeyPart(name="litellm master key", secret=Secret(key))

    def _quotas(self) -> Iterator[QuotaPart]:
        settings, general = self._section("litellm_settings"), self._section("general_settings")
        budget, span = settings.get("max_budget"), str(settings.get("budget_duration") or "")
        if budget is not None:
            window = _WINDOWS.get(span, "lifetime") if span else "lifetime"
            if span and span not in _WINDOWS:
                self._unmapped.append(
                    f"litellm_settings.budget_duration {span}: no window here is as long; lifetime is taken"
                )
            yield QuotaPart(unit="nano_usd", window=window, limit=_nano(budget), name="litellm max_budget")
        user = settings.get("max_end_user_budget")
        if user is not None:
            limit = _nano(user)
            yield QuotaPart(unit="nano_usd", window="lifetime", limit=limit, scope="user", name="max_end_user_budget")
        for name, scope in (("max_parallel_requests", "key"), ("global_max_parallel_requests", "tenant")):
            calls = general.get(name)
            if isinstance(calls, int) and scope == "key":
                yield QuotaPart(unit="calls_open", window="lifetime", limit=calls, scope="key", name=name)
            elif isinstance(calls, int):
                yield QuotaPart(unit="calls_open", window="lifetime", limit=calls, name=name)

    def _rest(self) -> None:
        for section, value in self._config.items():
            if section == "model_list":
                continue
            if section not in _SETTINGS or not isinstance(value, dict):
                self._unmapped.append(section)
                continue
            self._unmapped += [f"{section}.{name}" for name in value if name not in _SETTINGS[section]]


def _per_million(value: Any) -> str | None:
    """USD a token as USD a million tokens, exactly."""
    if value is None:
        return None
    try:
        rate = Decimal(str(value)) * 1_000_000
    except InvalidOperation:
        return None
    if not rate.is_finite() or rate < 0:
        return None
    text = f"{rate:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _nano(value: Any) -> int:
    try:
        return max(0, int(Decimal(str(value)) * NANO_PER_USD))
    except (InvalidOperation, ValueError, OverflowError):  # also NaN and Infinity
        raise AccountsError(f"a budget of {value!r} is no amount of USD; write a number such as 100") from None
