"""Which endpoints an installation serves: its configuration, the environment's keys and the catalog, joined.

Pure: the caller passes configuration, environment and day. The protocols below are what `tidegate.config` offers.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from tidegate.catalog.addresses import is_addressable
from tidegate.catalog.catalog import DAY_CHARS, Catalog
from tidegate.catalog.currencies import USD, in_usd, rate_on
from tidegate.catalog.tables import MORE_RATES, members_of_more
from tidegate.core.errors import CatalogError
from tidegate.core.facts import Endpoint
from tidegate.core.fx import Rate as FxRate
from tidegate.core.hours import DAY_US, PricedAt, moment_us, parse_window
from tidegate.core.ids import KEY_PREFIX
from tidegate.core.money import InvalidMoney, parse_rate
from tidegate.core.price import Price, Rates, with_hours

CONFIG_SOURCE = "configuration"


class RateTexts(Protocol):
    """Rates per million units, as text."""

    @property
    def input(self) -> str: ...
    @property
    def output(self) -> str: ...
    @property
    def cache_read(self) -> str | None: ...
    @property
    def cache_creation(self) -> str | None: ...
    @property
    def reasoning(self) -> str | None: ...
    @property
    def request(self) -> str | None: ...
    @property
    def more(self) -> Mapping[str, str]: ...


class WindowTexts(RateTexts, Protocol):
    """Rates that hold at some hours."""

    @property
    def hours(self) -> str: ...


class PriceTexts(RateTexts, Protocol):
    """A price in a currency, and its hours."""

    @property
    def currency(self) -> str: ...
    @property
    def windows(self) -> Sequence[WindowTexts]: ...


class ConfiguredProvider(Protocol):
    """One `[providers.NAME]` of the configuration."""

    @property
    def base_url(self) -> str: ...
    @property
    def api_key_env(self) -> str: ...
    @property
    def region(self) -> str: ...
    @property
    def models(self) -> str: ...


class ConfiguredEndpoint(Protocol):
    """One `[[endpoints]]` of the configuration."""

    @property
    def provider(self) -> str: ...
    @property
    def model(self) -> str: ...
    @property
    def upstream_model(self) -> str: ...
    @property
    def region(self) -> str: ...
    @property
    def price(self) -> PriceTexts | None: ...


def served_endpoints(
    config_providers: Mapping[str, ConfiguredProvider],
    config_endpoints: Sequence[ConfiguredEndpoint],
    catalog: Catalog,
    environ: Mapping[str, str],
    day: str,
    providers_from_environment: bool,
) -> list[Endpoint]:
    """The endpoints of an installation on an ISO day, or at a minute of it (`core.hours.moment_us`), in order of
    preference; `price` is None where none is known, and shows the rates of that minute.

    First the `[[endpoints]]` as listed, then every priced model of each `[providers.X]` that serves its catalog
    (`models`); with `providers_from_environment`, those of each catalog provider whose key variable is set and which
    the configuration does not name. An `endpoint_id` appears once, at its first place.
    Raises CatalogError for an endpoint of a provider that neither configuration nor catalog knows.
    """
    found = [_configured(entry, config_providers, catalog, day) for entry in config_endpoints]
    for name, provider in config_providers.items():
        if _serves_catalog(name, provider, config_endpoints, catalog):
            found += (_in_region(endpoint, provider.region) for endpoint in catalog.endpoints_of(name, day))
    if providers_from_environment:
        for name in providers_with_key(catalog, environ):
            if name not in config_providers:
                found += catalog.endpoints_of(name, day)
    unique: dict[str, Endpoint] = {}
    for endpoint in found:
        unique.setdefault(endpoint.endpoint_id, endpoint)
    return list(unique.values())


def _serves_catalog(
    name: str, provider: ConfiguredProvider, endpoints: Sequence[ConfiguredEndpoint], catalog: Catalog
) -> bool:
    """`auto`: a provider that the catalog knows, at its own address, of which no model is listed one by one."""
    if provider.models != "auto":
        return provider.models == "catalog"
    return name in catalog.providers and not provider.base_url and all(entry.provider != name for entry in endpoints)


def providers_with_key(catalog: Catalog, environ: Mapping[str, str]) -> list[str]:
    """The catalog's providers whose key variable holds a key (not one of ours), in its order of preference.

    One whose address waits for a word that the environment does not say (Azure's resource) is left out.
    """

    def has_key(variable: str) -> bool:
        value = environ.get(variable, "") if variable else ""
        return bool(value) and not value.startswith(KEY_PREFIX)

    return [
        name for name, fact in catalog.providers.items() if has_key(fact.api_key_env) and is_addressable(fact, environ)
    ]


def prices_hold_until(endpoints: Iterable[Endpoint], now_us: int) -> int:
    """The next instant (UTC microseconds) at which some price is another: at midnight, or before it by the hour."""
    midnight = (now_us // DAY_US + 1) * DAY_US
    found = [midnight]
    for price in {endpoint.price.price_id: endpoint.price for endpoint in endpoints if endpoint.price}.values():
        found += price.changes(now_us, midnight)
        if len(price.valid_until) > DAY_CHARS:
            found.append(moment_us(price.valid_until))
    return min(us for us in found if us > now_us)


def names_of(endpoint: Endpoint) -> tuple[str, ...]:
    """Every name a caller may use for an endpoint, its own first: slug, bare name, the provider's own name for it.

    The bare name is a vendor's (`gpt-4o-mini` for `openai/gpt-4o-mini`). Two endpoints may share a name: the earlier in
    `served_endpoints` is preferred.
    """
    return tuple(dict.fromkeys((endpoint.model, endpoint.model.rpartition("/")[2], endpoint.upstream_model)))


def unpriced(endpoints: Iterable[Endpoint]) -> list[Endpoint]:
    """Those which can never be dispatched to."""
    return [endpoint for endpoint in endpoints if endpoint.price is None]


def _configured(
    entry: ConfiguredEndpoint, providers: Mapping[str, ConfiguredProvider], catalog: Catalog, day: str
) -> Endpoint:
    provider = providers.get(entry.provider)
    if provider is None and entry.provider not in catalog.providers:
        raise CatalogError(
            f"[[endpoints]] model {entry.model!r} names provider {entry.provider!r}, which is neither configured nor "
            f"in the catalog. Add [providers.{entry.provider}] with its base_url, or name one that "
            "`tidegate catalog endpoints` shows."
        )
    region = entry.region or (provider.region if provider else "")
    slug = catalog.resolve(entry.model).slug
    upstream = entry.upstream_model or catalog.upstream_model_of(entry.provider, slug) or entry.model
    return Endpoint(
        endpoint_id=endpoint_id_of(entry.model, entry.provider, region),
        provider=entry.provider,
        model=entry.model,
        upstream_model=upstream,
        region=region,
        price=_price(entry, catalog, day),
    )


def _price(entry: ConfiguredEndpoint, catalog: Catalog, day: str) -> Price | None:
    if (texts := entry.price) is None:
        return catalog.price_on(entry.provider, entry.model, day)
    where = f"[[endpoints]] {entry.model!r} at {entry.provider!r}: price"
    try:
        price_id, source, fx = f"{entry.model}@{entry.provider}#config", CONFIG_SOURCE, None
        if texts.currency != USD:
            fx = rate_on(catalog.fx, texts.currency, day[:DAY_CHARS], where)
            price_id, source = f"{price_id}-{fx.currency}-{fx.day}", f"{source}; {fx.source} of {fx.day}"
        price = Price(
            price_id=price_id,
            rates=_rates(texts, fx),
            source=source,
            currency=fx.currency if fx else "",
            fx_day=fx.day if fx else "",
        )
        price = _by_the_hour(price, texts, fx, catalog)
        return price.shown_at(moment_us(day)) if len(day) > DAY_CHARS else price
    except ValueError as error:
        raise CatalogError(f"{where}: {error}") from error


def _by_the_hour(price: Price, texts: PriceTexts, fx: FxRate | None, catalog: Catalog) -> Price:
    """Raises HoursUnclear for hours that are none, ValueError for hours that are told twice."""
    if not texts.windows:
        return price
    windows, moments = [], set[PricedAt]()
    for texts_then in texts.windows:
        window, priced_at = parse_window(texts_then.hours, catalog.calendars)
        windows.append((window, _rates(texts_then, fx), ()))
        moments.add(priced_at)
    if len(moments) > 1:
        raise ValueError("some windows say `completed`, others do not; a provider goes by one of both")
    return with_hours(price, windows, moments.pop())


def _rates(texts: RateTexts, fx: FxRate | None) -> Rates:
    """fx: what the texts are converted by; None: they are USD."""
    more = {name: _rate(text, fx) for name, text in _known_more(texts.more).items()}
    return Rates(
        input=_rate(texts.input, fx),
        output=_rate(texts.output, fx),
        cache_read=_optional(texts.cache_read, fx),
        cache_creation=_optional(texts.cache_creation, fx),
        reasoning=_optional(texts.reasoning, fx),
        request=_optional(texts.request, fx),
        **members_of_more(more),
    )


def _rate(text: str, fx: FxRate | None) -> int:
    rate = parse_rate(text)
    if rate < 0:
        raise InvalidMoney(f"{text!r} is negative; a price is zero or more")
    return rate if fx is None else in_usd(rate, fx)


def _optional(text: str | None, fx: FxRate | None) -> int | None:
    return None if text is None else _rate(text, fx)


def _known_more(texts: Mapping[str, str]) -> Mapping[str, str]:
    if unknown := sorted(set(texts) - MORE_RATES):
        raise InvalidMoney(f"no rate is called {unknown[0]!r}; `more` takes {', '.join(sorted(MORE_RATES))}")
    return texts


def _in_region(endpoint: Endpoint, region: str) -> Endpoint:
    if not region:
        return endpoint
    return Endpoint(
        endpoint_id=endpoint_id_of(endpoint.model, endpoint.provider, region),
        provider=endpoint.provider,
        model=endpoint.model,
        upstream_model=endpoint.upstream_model,
        region=region,
        price=endpoint.price,
    )


def endpoint_id_of(model: str, provider: str, region: str) -> str:
    """The id of a model at a provider in a region."""
    return f"{model}@{provider}/{region}" if region else f"{model}@{provider}"
