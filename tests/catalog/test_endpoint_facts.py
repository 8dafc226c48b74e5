"""What is known of endpoints, and what the shipped policies make of it."""

import pytest

from tidegate.catalog import load_catalog
from tidegate.catalog.catalog import DATA
from tidegate.catalog.endpoint_facts import facts_book, read_regions
from tidegate.catalog.installed import installed, names_by_model, read_policies
from tidegate.config import Config, EndpointConfig, PriceConfig, ProviderConfig
from tidegate.core.endpoint_facts import EndpointFacts
from tidegate.core.errors import CatalogError, ConfigError
from tidegate.core.facts import Endpoint
from tidegate.core.routing_settings import FactsConfig, PolicyConfig, Routing
from tidegate.route.filter import exclusions
from tidegate.route.setup import policy_book
from tidegate.route.wishes import NO_WISHES

CATALOG = load_catalog()
BOOK = facts_book(CATALOG)
EU = {"DE", "FR", "IE", "SE", "IT", "ES", "NL", "FI", "BE", "PL"}


def facts_at(provider: str, region: str = "", upstream: str = "m", **said: object) -> EndpointFacts:
    own = Endpoint(endpoint_id=f"m@{provider}/{region}", provider=provider, model="m", upstream_model=upstream,
                   region=region)  # fmt: skip
    return BOOK.facts(own, CATALOG.providers[provider], [FactsConfig(**said)])  # type: ignore[arg-type]


def passes(facts: EndpointFacts, policy: str) -> bool:
    """Whether a shipped policy lets an endpoint serve, its price apart."""
    book = policy_book(Routing(policies=(policy,)), read_policies({}), {}, BOOK.jurisdictions.expand)
    found = exclusions(facts, book.in_force(("", "", "")), NO_WISHES)
    return all(one.excluded_by == "price" for one in found)


def test_every_line_of_the_table_names_a_provider_of_the_catalog_and_known_places() -> None:
    for fact in read_regions(DATA):
        assert fact.provider in CATALOG.providers, fact
        for text in (fact.processing, fact.storage):
            if text and not text.startswith("@"):
                BOOK.jurisdictions.expand(text.split(";"), "provider_regions.csv")


def test_the_european_union_has_27_members_and_the_gulf_council_six() -> None:
    groups = BOOK.jurisdictions.groups
    assert (len(groups["EU"]), len(groups["EEA"]), len(groups["GCC"]), len(groups["ASEAN"])) == (27, 30, 6, 11)
    assert "CH" not in groups["EEA"] and "GB" not in groups["EU"]


@pytest.mark.parametrize(
    ("provider", "region", "upstream", "processing"),
    [
        ("bedrock", "eu-central-1", "anthropic.claude-x", {"DE"}),
        ("bedrock", "us-east-1", "eu.anthropic.claude-x", {"DE", "ES", "FR", "IE", "IT", "SE"}),
        ("bedrock", "eu-central-1", "us.anthropic.claude-x", {"US"}),
        ("bedrock", "eu-central-1", "global.anthropic.claude-x", None),
        ("google-vertex", "asia-south1", "gemini", {"IN"}),
        ("google-vertex", "global", "gemini", None),
        ("deepseek", "", "deepseek-chat", {"CN"}),
        ("openai", "", "gpt", None),
        ("openai", "us", "gpt", {"US"}),
        ("azure", "swedencentral", "gpt", None),
        ("ollama", "", "gpt-oss:120b-cloud", None),
    ],
)
def test_where_a_call_is_processed_follows_region_and_profile(
    provider: str, region: str, upstream: str, processing: set[str] | None
) -> None:
    """A cross-region profile of Bedrock leaves its region; an Azure deployment's type is not in its address."""
    assert facts_at(provider, region, upstream).processing == processing


def test_shipped_policies_let_pass_what_is_known_to_be_inside_and_nothing_else() -> None:
    assert passes(facts_at("bedrock", "eu-central-1"), "eu-only")
    assert not passes(facts_at("bedrock", "eu-west-2"), "eu-only"), "London"
    assert not passes(facts_at("bedrock", "eu-central-1"), "eu-sovereign"), "its provider has its seat in the US"
    assert passes(facts_at("scaleway"), "eu-sovereign"), "stores nothing, processes in France"
    assert not passes(facts_at("mistral"), "eu-only") and passes(facts_at("mistral", "eu"), "eu-processing")
    assert passes(facts_at("deepseek"), "china-stored") and not passes(facts_at("dashscope"), "china-only")
    assert passes(facts_at("google-vertex", "asia-south1"), "india-only") is False, "where it stores is not known"
    assert passes(facts_at("bedrock", "me-central-1"), "gulf-only")
    assert not passes(facts_at("deepseek"), "outside-china") and not passes(facts_at("openai"), "outside-china")
    assert passes(facts_at("perplexity"), "zero-retention") and not passes(facts_at("deepseek"), "no-training")


def test_a_model_on_this_machine_is_local_only_where_the_table_knows_its_server() -> None:
    """A server on this machine may be a relay to anywhere."""
    assert passes(facts_at("vllm"), "local-only")
    moved = CATALOG.providers["vllm"].__class__(provider="vllm", name="vLLM", base_url="http://10.0.0.7:8000/v1")
    own = Endpoint(endpoint_id="m@vllm", provider="vllm", model="m", upstream_model="m")
    assert not passes(BOOK.facts(own, moved), "local-only")
    assert passes(BOOK.facts(own, moved, [FactsConfig(is_local=True)]), "local-only")
    assert not passes(facts_at("ollama", upstream="qwen3-coder:480b-cloud"), "local-only")
    assert not passes(facts_at("vllm"), "eu-only"), "nobody said where this machine stands"
    at_home = facts_book(CATALOG, "DE")
    assert at_home.facts(own, CATALOG.providers["vllm"]).processing == {"DE"}


def test_the_operators_word_wins_and_that_on_an_endpoint_over_that_on_its_provider() -> None:
    price = PriceConfig(input="1", output="1")
    config = Config(
        providers={
            "acme": ProviderConfig(
                base_url="http://x.example/v1", region="north",
                facts=FactsConfig(processing=("EU",), headquarters="SE", retention_days=0),
            )
        },
        endpoints=(
            EndpointConfig(provider="acme", model="a", price=price),
            EndpointConfig(provider="acme", model="a", region="south", price=price,
                           facts=FactsConfig(processing=("IT",), quantization="fp8")),
        ),
    )  # fmt: skip
    found = installed(config, CATALOG, {}, "2026-11-22", providers_from_environment=False).endpoints
    assert [one.tag for one in found] == ["acme/north", "acme/south"]
    assert len(found[0].processing or ()) == 27 and found[1].processing == {"IT"}
    assert {one.headquarters for one in found} == {"SE"} and found[1].quantization == "fp8"
    assert found[0].storage == frozenset(), "what is not kept is stored nowhere"


def test_names_of_one_model_at_several_providers_mean_that_model() -> None:
    served = [
        Endpoint(endpoint_id="1", provider="a", model="gpt-4o-mini", upstream_model="x-mini"),
        Endpoint(endpoint_id="2", provider="b", model="openai/gpt-4o-mini", upstream_model="gpt-4o-mini"),
        Endpoint(endpoint_id="3", provider="b", model="openai/gpt-4o-mini:free", upstream_model="gpt-4o-mini"),
    ]
    names = names_by_model(served, CATALOG)
    assert names["gpt-4o-mini"] == names["openai/gpt-4o-mini"] == names["x-mini"] == "openai/gpt-4o-mini"
    assert names["openai/gpt-4o-mini:free"] == "openai/gpt-4o-mini:free"


@pytest.mark.parametrize(
    ("said", "near"),
    [
        ({"processing": ("UK",)}, "GB (United Kingdom)"),
        ({"processing": ("Germany",)}, "DE (Germany)"),
        ({"storage": ("EUU",)}, "EU"),
        ({"headquarters": "EU"}, "is a group"),
        ({"headquarters": "USA"}, "US (United States"),
        ({"quantization": "fp9"}, "fp8"),
        ({"processing": ()}, "names no country"),
    ],
)
def test_an_unknown_place_is_refused_with_names_that_are_near(said: dict[str, object], near: str) -> None:
    with pytest.raises(CatalogError) as told:
        facts_at("openai", **said)  # type: ignore[arg-type]
    assert near in str(told.value)


def book_of(policies: dict[str, PolicyConfig], routing: Routing, **tenants: tuple[str, ...]) -> None:
    policy_book(routing, read_policies(policies), tenants, BOOK.jurisdictions.expand)


@pytest.mark.parametrize(
    ("policies", "routing", "named"),
    [
        ({"p": PolicyConfig(processing=("EU",), processing_not=("EEA",))}, Routing(), ("p.processing_not",)),
        ({"p": PolicyConfig(providers=("openai",), providers_not=("open*",))}, Routing(), ("p.providers", "open*")),
        ({}, Routing(policies=("eu-only", "china-only")), ("eu-only", "china-only", "within EU", "within CN")),
        ({}, Routing(policies=("eu-only",), keys={"key_1": ("india-only",)}), ("eu-only", "india-only", "key_1")),
        ({"p": PolicyConfig(processing_not=("CN",))}, Routing(policies=("p", "china-only")), ("not in CN",)),
        ({}, Routing(policies=("eu-olny",)), ("eu-olny", "eu-only")),
    ],
)  # fmt: skip
def test_an_impossible_policy_is_refused_at_load_and_the_rules_are_named(
    policies: dict[str, PolicyConfig], routing: Routing, named: tuple[str, ...]
) -> None:
    with pytest.raises(ConfigError) as told:
        book_of(policies, routing)
    assert all(name in str(told.value) for name in named), str(told.value)


def test_policies_of_different_data_classes_do_not_conflict() -> None:
    book_of(
        {"a": PolicyConfig(data_classes=("health",), processing=("DE",)),
         "b": PolicyConfig(data_classes=("public",), processing=("US",))},
        Routing(policies=("a", "b")),
    )  # fmt: skip


def test_a_tenant_with_a_policy_against_everyones_is_refused() -> None:
    with pytest.raises(ConfigError, match="tenants acme"):
        book_of({}, Routing(policies=("eu-only",)), acme=("gulf-only",))


def priced(currency: str, day: str) -> EndpointFacts:
    price = PriceConfig(currency=currency, input="2", output="8", more={"web_search": "40"})
    config = Config(
        providers={"acme": ProviderConfig(base_url="http://x.example/v1")},
        endpoints=(EndpointConfig(provider="acme", model="a", price=price),),
    )
    return installed(config, CATALOG, {}, day, providers_from_environment=False).endpoints[0]


def test_a_price_in_another_currency_is_converted_at_the_dated_rate() -> None:
    """2 yuan a million at 7.5833 CNY and 1.0389 USD a euro (31 December 2024) are 0.2740 dollars."""
    found = priced("CNY", "2025-01-01").endpoint.price
    assert found is not None
    quotes = [
        line.split(",") for line in (DATA / "fx.csv").read_text().splitlines() if line.startswith("2024-12-31,EUR,")
    ]
    of_euro = {line[2]: float(line[3]) for line in quotes}
    dollars = of_euro["USD"] / of_euro["CNY"]
    assert found.rates.input == pytest.approx(2e9 * dollars, abs=1) and found.rates.output == pytest.approx(
        8e9 * dollars, abs=1
    )
    assert found.rates.web_search == pytest.approx(40e9 * dollars, abs=1)
    assert found.price_id == "a@acme#config-CNY-2024-12-31", "a row names the rate that its price rests on"
    assert priced("USD", "2025-01-01").endpoint.price.rates.input == 2 * 10**9  # type: ignore[union-attr]


@pytest.mark.parametrize(("currency", "day", "said"), [("CNH", "2025-01-01", "CNY"), ("CNY", "2001-01-01", "USD")])
def test_a_currency_that_is_unknown_or_has_no_rate_is_refused(currency: str, day: str, said: str) -> None:
    with pytest.raises(CatalogError) as told:
        priced(currency, day)
    assert said in str(told.value) and "'a' at 'acme'" in str(told.value)


def test_what_a_provider_says_of_all_models_but_some_is_not_said_of_those() -> None:
    """DeepInfra keeps nothing and does not train, but passes what is asked of Gemini and Claude on to their makers."""
    provider = CATALOG.providers["deepinfra"]

    def found(upstream: str) -> EndpointFacts:
        endpoint = Endpoint(endpoint_id="m", provider="deepinfra", model="m", upstream_model=upstream)
        return facts_book(CATALOG).facts(endpoint, provider)

    own, passed_on = found("deepseek-ai/DeepSeek-V3.2"), found("Google/gemini-2.5-pro")
    assert (own.trains, own.retention_days, own.storage) == (False, 0, frozenset())
    assert (passed_on.trains, passed_on.retention_days, passed_on.storage) == (None, None, None)


@pytest.mark.parametrize(
    ("provider", "region", "processing", "storage"),
    [
        ("dashscope", "Singapore", None, {"SG"}),  # scheduled anywhere outside mainland China; kept in Singapore
        ("dashscope-cn", "Beijing", {"CN"}, {"CN"}),
        ("xai", "us", {"US"}, {"US"}),
        ("xai", "eu-west-1", None, None),  # no longer documented
        ("together", "ca", {"CA"}, None),
        ("ionos", "de-txl", {"DE"}, {"DE"}),
        ("stackit", "eu01", {"DE"}, set()),  # keeps nothing
        ("google-vertex", "asia-south1", {"IN"}, None),
        ("google-vertex", "me-central1", None, None),  # "there is no guarantee"
    ],
)
def test_where_providers_say_that_they_process(
    provider: str, region: str, processing: set[str] | None, storage: set[str] | None
) -> None:
    """As their pages said on the day of checking; what they leave open is unknown."""
    found = facts_at(provider, region)
    assert (found.processing, found.storage) == (processing, storage)
