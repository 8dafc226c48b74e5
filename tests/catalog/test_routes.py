"""Configuration, environment and catalog, joined into what is served."""

import pytest

from tidegate.catalog import Catalog
from tidegate.catalog.routes import names_of, providers_with_key, served_endpoints, unpriced
from tidegate.config import EndpointConfig, PriceConfig, ProviderConfig
from tidegate.core.errors import CatalogError
from tidegate.core.facts import Endpoint
from tidegate.core.price import KindRates, cost
from tidegate.core.usage import Usage

DAY = "2026-11-21"


def serve(
    catalog: Catalog,
    providers: dict[str, ProviderConfig] | None = None,
    endpoints: tuple[EndpointConfig, ...] = (),
    environ: dict[str, str] | None = None,
    from_environment: bool = True,
) -> list[Endpoint]:
    return served_endpoints(providers or {}, endpoints, catalog, environ or {}, DAY, from_environment)


def test_nothing_configured_and_no_key_serves_nothing(catalog: Catalog) -> None:
    """An installation reaches out to nobody on its own."""
    assert serve(catalog) == []


def test_a_key_in_the_environment_serves_that_providers_priced_models(catalog: Catalog) -> None:
    """`export DEEPSEEK_API_KEY` is all a newcomer does; an empty variable is no key."""
    served = serve(catalog, environ={"DEEPSEEK_API_KEY": "sk-x", "OPENAI_API_KEY": ""})
    assert {endpoint.provider for endpoint in served} == {"deepseek"}
    assert not unpriced(served)
    assert "deepseek/deepseek-v4-flash" in {endpoint.model for endpoint in served}
    assert serve(catalog, environ={"DEEPSEEK_API_KEY": "sk-x"}, from_environment=False) == []


def test_a_configured_provider_is_served_as_configured_not_as_found(catalog: Catalog) -> None:
    """`models = "listed"` narrows what its key would open; a proxy or a region alone narrows nothing."""
    key = {"OPENAI_API_KEY": "sk-x"}
    assert serve(catalog, {"openai": ProviderConfig(models="listed")}, environ=key) == []
    assert serve(catalog, {"openai": ProviderConfig(proxy_url="http://p:1")}, environ=key) == serve(
        catalog, environ=key
    )
    assert serve(catalog, {"openai": ProviderConfig(base_url="http://p:1")}, environ=key) == [], (
        "who knows what is there"
    )
    one = EndpointConfig(provider="openai", model="openai/gpt-4o-mini")
    assert len(serve(catalog, {"openai": ProviderConfig(region="eu")}, (one,), environ=key)) == 1, "listed one by one"
    whole = serve(catalog, {"openai": ProviderConfig(models="catalog", region="eu")}, environ=key)
    assert whole and all(endpoint.endpoint_id.endswith("@openai/eu") and endpoint.region == "eu" for endpoint in whole)


def test_an_endpoint_with_its_own_price_is_charged_at_it(catalog: Catalog) -> None:
    """USD per million in the file, nano-USD per million inside, and an id that says where it came from."""
    price = PriceConfig(input="0.15", output="0.6", cache_read="0")
    (endpoint,) = serve(
        catalog,
        {"mine": ProviderConfig(base_url="http://127.0.0.1:9/v1")},
        (EndpointConfig(provider="mine", model="tide-1", upstream_model="org/tide-1", price=price),),
    )
    assert endpoint.price is not None
    assert endpoint.price.price_id == "tide-1@mine#config"
    assert (endpoint.price.rates.input, endpoint.price.rates.output) == (150_000_000, 600_000_000)
    assert (endpoint.price.rates.cache_read, endpoint.price.rates.reasoning) == (0, None)
    assert names_of(endpoint) == ("tide-1", "org/tide-1")


def priced_at(catalog: Catalog, **rates: str) -> Endpoint:
    entry = EndpointConfig(provider="mine", model="tide-1", price=PriceConfig(input="1", output="2", more=rates))
    (endpoint,) = serve(catalog, {"mine": ProviderConfig(base_url="http://127.0.0.1:9/v1")}, (entry,))
    return endpoint


def test_an_operator_may_price_every_unit_that_a_call_can_use(catalog: Catalog) -> None:
    """Hour-long cache writes, sound and searches are charged at his rates too; a rate that nobody knows is named."""
    endpoint = priced_at(catalog, cache_creation_1h="6", audio_input="40", web_search="10000")
    assert endpoint.price is not None
    rates = endpoint.price.rates
    assert (rates.cache_creation_1h, rates.web_search) == (6_000_000_000, 10_000 * 10**9)
    assert rates.kinds == KindRates(audio_input=40_000_000_000)
    assert cost(Usage(web_searches=3), endpoint.price) == 30_000_000
    with pytest.raises(CatalogError, match=r"tide-1.*audio_inptu.*audio_input"):
        priced_at(catalog, audio_inptu="1")
    with pytest.raises(CatalogError, match="negative"):
        priced_at(catalog, web_search="-1")


def test_an_endpoint_without_a_price_has_the_catalogs(catalog: Catalog) -> None:
    """Any spelling of a priced model finds its price, and the name that the provider knows it by."""
    (endpoint,) = serve(catalog, endpoints=(EndpointConfig(provider="anthropic", model="claude-4.5-sonnet"),))
    assert endpoint.price is not None
    assert endpoint.price.price_id == "anthropic/claude-sonnet-4.5@anthropic#"
    assert endpoint.upstream_model == "claude-sonnet-4-5"


def test_an_endpoint_of_unknown_price_is_kept_without_one(catalog: Catalog) -> None:
    """The gateway must answer `price_unknown`, not `model_not_found`: the mend differs."""
    served = serve(
        catalog,
        {"mine": ProviderConfig(base_url="http://127.0.0.1:9/v1")},
        (EndpointConfig(provider="mine", model="gpt-4o-mini"),),
    )
    assert [endpoint.price for endpoint in served] == [None]
    assert unpriced(served) == served


def test_configured_endpoints_come_first_and_once(catalog: Catalog) -> None:
    """Order is preference: the caller's own line beats the same endpoint found by key."""
    line = EndpointConfig(provider="openai", model="openai/gpt-4o-mini", price=PriceConfig(input="1", output="1"))
    served = serve(catalog, {"openai": ProviderConfig(models="catalog")}, (line, line))
    assert served[0].price is not None and served[0].price.source == "configuration"
    ids = [endpoint.endpoint_id for endpoint in served]
    assert len(ids) == len(set(ids)) > 10


def test_an_unknown_provider_is_named_with_the_mend(catalog: Catalog) -> None:
    """A typing error in the configuration must not become a 404 at night."""
    with pytest.raises(CatalogError, match=r"'opnai'.*\[providers.opnai\]"):
        serve(catalog, endpoints=(EndpointConfig(provider="opnai", model="gpt-4o"),))


@pytest.mark.parametrize("text", ["-1", "cheap", "0.0000000001"])
def test_a_price_that_is_no_price_is_refused(catalog: Catalog, text: str) -> None:
    """Money is refused, never rounded, on its way in."""
    line = EndpointConfig(provider="openai", model="gpt-4o", price=PriceConfig(input=text, output="1"))
    with pytest.raises(CatalogError, match="'gpt-4o' at 'openai': price"):
        serve(catalog, endpoints=(line,))


def test_a_caller_may_use_slug_bare_name_or_the_providers_name(catalog: Catalog) -> None:
    """Unchanged SDK code says `gpt-4o-mini` or `claude-sonnet-4-5`."""
    served = {e.endpoint_id: e for e in serve(catalog, environ={"OPENAI_API_KEY": "x", "ANTHROPIC_API_KEY": "x"})}
    assert names_of(served["openai/gpt-4o-mini@openai"]) == ("openai/gpt-4o-mini", "gpt-4o-mini")
    assert names_of(served["anthropic/claude-sonnet-4.5@anthropic"]) == (
        "anthropic/claude-sonnet-4.5",
        "claude-sonnet-4.5",
        "claude-sonnet-4-5",
    )


def test_providers_with_key_come_makers_first(catalog: Catalog) -> None:
    """Where several keys are set, the maker of a model is preferred to an aggregator."""
    environ = {provider.api_key_env: "x" for provider in catalog.providers.values() if provider.api_key_env}
    names = providers_with_key(catalog, environ)
    assert names.index("openai") < names.index("groq") < names.index("openrouter")
    assert not {"ollama", "vllm", "local"} & set(names)
