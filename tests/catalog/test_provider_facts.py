"""Providers as facts: each can be reached in every dialect it names, from its key and its words alone."""

import csv
import io
import os
import re
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.catalog import Catalog
from tidegate.catalog.addresses import (
    auth_of,
    base_url_of,
    dialects_of,
    is_addressable,
    provider_in_use,
    words_in,
)
from tidegate.catalog.canonical import Canonical
from tidegate.catalog.catalog import DATA
from tidegate.catalog.overlay import Overlay, ProviderFact, read_overlay
from tidegate.catalog.routes import providers_with_key, served_endpoints
from tidegate.catalog.source_fact import SourceFact
from tidegate.config import ProviderConfig
from tidegate.core.errors import CatalogError, ConfigError
from tidegate.core.facts import Provider

DAY = "2026-11-22"
ASKED_FOR = """openai anthropic google azure bedrock google-vertex dashscope volcengine tencent baidu zhipu moonshot
minimax deepseek siliconflow stepfun mistral scaleway ovhcloud sarvam krutrim upstage naver plamo sakana openrouter
huggingface vercel vllm sglang ollama local lmstudio"""
ALL_WORDS = {
    "AZURE_RESOURCE_NAME": "acme",
    "GOOGLE_CLOUD_PROJECT": "p-1",
    "CLOUDFLARE_ACCOUNT_ID": "a1",
    "DATABRICKS_HOST": "x.cloud.databricks.com",
}


def addresses(provider: Provider) -> list[str]:
    return [url for dialect in dialects_of(provider) if (url := base_url_of(provider, dialect))]


def in_use(catalog: Catalog, name: str, settings: ProviderConfig | None = None, /, **environ: str) -> Provider:
    return provider_in_use(name, settings, catalog.providers.get(name), environ)


# -- the facts themselves ---------------------------------------------------------


def test_every_platform_that_people_ask_for_is_known(catalog: Catalog) -> None:
    """Chinese, European, American, Indian, Korean and Japanese ones, aggregators, and servers of one's own."""
    assert not set(ASKED_FOR.split()) - set(catalog.providers)
    assert len(catalog.providers) >= 75
    seats = {provider.headquarters for provider in catalog.providers.values()}
    assert {"US", "CN", "FR", "DE", "GB", "IN", "KR", "JP", "SG", "CA"} <= seats


def test_every_address_is_one_that_can_be_called(catalog: Catalog) -> None:
    """HTTPS, except on this machine; no slash at the end, because paths follow; no path of a call in it."""
    for name in catalog.providers:
        for url in addresses(in_use(catalog, name, **ALL_WORDS)):
            assert re.fullmatch(r"https://[\w.-]+(/[\w./-]*\w)?|http://127\.0\.0\.1:\d+/[\w/]+", url), (name, url)
            assert not url.endswith(("/chat/completions", "/messages", "/responses")), (name, url)


def test_a_key_variable_belongs_to_one_provider(catalog: Catalog) -> None:
    """Two platforms of one maker refuse each other's keys; one key must not open both. A cloud's login may."""
    seen: dict[str, str] = {}
    for provider in catalog.providers.values():
        if provider.api_key_env and provider.auth not in {"google-oauth", "aws-sigv4"}:
            assert re.fullmatch(r"[A-Z][A-Z0-9_]+", provider.api_key_env)
            assert provider.api_key_env not in seen, (provider.provider, seen.get(provider.api_key_env))
            seen[provider.api_key_env] = provider.provider
    assert len(seen) >= 75


def test_a_provider_needs_a_key_or_says_that_it_needs_none(catalog: Catalog) -> None:
    """`auth: none` and an empty variable say the same, and only of this machine."""
    for provider in catalog.providers.values():
        is_here = provider.base_url.startswith("http://127.0.0.1")
        assert is_here == (not provider.api_key_env) == (provider.auth == "none"), provider.provider


def test_what_is_said_of_data_can_be_checked(catalog: Catalog) -> None:
    """A claim about training or retention without a page and a day behind it is a rumour."""
    stated = [
        provider for provider in catalog.providers.values() if provider.data_policy != type(provider.data_policy)()
    ]
    assert len(stated) >= 15
    for provider in stated:
        policy = provider.data_policy
        assert policy.trains is not None or policy.retention_days is not None, provider.provider
        assert policy.source.startswith("https://") and re.fullmatch(r"\d{4}-\d\d-\d\d", policy.checked)


# -- dialects, addresses and keys ---------------------------------------------------


def test_makers_speak_their_own_dialect_and_openais(catalog: Catalog) -> None:
    """What is native loses nothing; the compatible address stays for those who speak nothing else."""
    anthropic, google = in_use(catalog, "anthropic"), in_use(catalog, "google")
    assert (anthropic.dialect, google.dialect) == ("anthropic", "gemini")
    assert base_url_of(anthropic, "openai-chat") == "https://api.anthropic.com/v1"
    assert base_url_of(google, "openai-chat") == "https://generativelanguage.googleapis.com/v1beta/openai"
    assert base_url_of(google, "gemini") == "https://generativelanguage.googleapis.com/v1beta"
    assert base_url_of(google, "anthropic") is None


def test_a_key_is_sent_as_the_dialect_has_it_unless_the_provider_says_otherwise(catalog: Catalog) -> None:
    """Anthropic's own header in its dialect, Bearer at its compatible address; a cloud's signature everywhere."""
    assert auth_of(in_use(catalog, "anthropic"), "anthropic") == "x-api-key"
    assert auth_of(in_use(catalog, "anthropic"), "openai-chat") == "bearer"
    assert auth_of(in_use(catalog, "google"), "gemini") == "x-goog-api-key"
    assert auth_of(in_use(catalog, "google"), "openai-chat") == "bearer"
    assert auth_of(in_use(catalog, "deepseek"), "anthropic") == "x-api-key"
    assert auth_of(in_use(catalog, "openrouter"), "anthropic") == "bearer"
    assert auth_of(in_use(catalog, "azure", **ALL_WORDS), "openai-responses") == "api-key"


def test_a_region_fills_the_address_or_changes_its_host(catalog: Catalog) -> None:
    """The operator's word wins over the environment's, which wins over the provider's first."""
    bedrock = "https://bedrock-runtime.{}.amazonaws.com"
    assert in_use(catalog, "bedrock").base_url == bedrock.format("us-east-1")
    assert in_use(catalog, "bedrock", AWS_REGION="eu-west-1").base_url == bedrock.format("eu-west-1")
    settings = ProviderConfig(region="eu-central-1")
    assert in_use(catalog, "bedrock", settings, AWS_REGION="eu-west-1").base_url == bedrock.format("eu-central-1")
    eu = in_use(catalog, "openai", ProviderConfig(region="eu"))
    assert set(addresses(eu)) == {"https://eu.api.openai.com/v1"}
    vertex = in_use(catalog, "google-vertex", **ALL_WORDS)
    assert vertex.base_url == "https://aiplatform.googleapis.com/v1/projects/p-1/locations/global/publishers/google"
    here = in_use(catalog, "google-vertex", ProviderConfig(region="europe-west4"), **ALL_WORDS)
    assert here.base_url.startswith(
        "https://europe-west4-aiplatform.googleapis.com/v1/projects/p-1/locations/europe-west4/"
    )


def test_words_come_from_settings_then_from_the_environment(catalog: Catalog) -> None:
    """And where neither says one, the error names both places."""
    settings = ProviderConfig(words={"resource": "mine"})
    assert in_use(catalog, "azure", settings, **ALL_WORDS).base_url == "https://mine.openai.azure.com/openai/v1"
    assert in_use(catalog, "azure", **ALL_WORDS).base_url == "https://acme.openai.azure.com/openai/v1"
    with pytest.raises(ConfigError, match=r"azure.*\{resource\}.*AZURE_RESOURCE_NAME.*providers.azure.words.resource"):
        in_use(catalog, "azure")


def test_a_word_may_be_written_as_a_url_but_not_as_anything(catalog: Catalog) -> None:
    """`DATABRICKS_HOST` holds `https://` on most machines; a blank or a slash inside would make another request."""
    whole = in_use(catalog, "databricks", DATABRICKS_HOST="https://x.cloud.databricks.com/")
    assert whole.base_url == "https://x.cloud.databricks.com/ai-gateway/mlflow/v1"
    for odd in ("a b", "a/../b", "a\r\nhost: b", "a@b"):
        with pytest.raises(ConfigError, match=r"cannot stand for \{resource\}"):
            in_use(catalog, "azure", AZURE_RESOURCE_NAME=odd)


def test_a_configured_address_speaks_the_configured_dialect_alone(catalog: Catalog) -> None:
    """Who points a provider elsewhere says what stands there; without a word it is OpenAI's chat, as ever."""
    chat = in_use(catalog, "anthropic", ProviderConfig(base_url="http://127.0.0.1:9/v1"))
    assert (dialects_of(chat), auth_of(chat, "openai-chat"), chat.api_key_env) == (("openai-chat",), "bearer", "")
    settings = ProviderConfig(base_url="http://127.0.0.1:9/v1", dialect="anthropic", api_key_env="MINE")
    own = in_use(catalog, "mine", settings)
    assert (dialects_of(own), auth_of(own, "anthropic"), own.api_key_env) == (("anthropic",), "x-api-key", "MINE")
    assert auth_of(in_use(catalog, "mine", msgspec.structs.replace(settings, auth="bearer")), "anthropic") == "bearer"
    with pytest.raises(ConfigError, match=r"providers\.mine has no base_url"):
        in_use(catalog, "mine")


@given(
    name=st.sampled_from([provider.provider for provider in read_overlay(DATA).providers]),
    region=st.sampled_from(["", "eu", "us-east-1", "global", "elsewhere"]),
    words=st.dictionaries(st.sampled_from(["resource", "project", "account", "host"]), st.just("w"), max_size=4),
    environ=st.dictionaries(st.sampled_from(sorted(ALL_WORDS)), st.just("e"), max_size=4),
)
def test_no_brace_ever_reaches_the_network(
    catalog: Catalog, name: str, region: str, words: dict[str, str], environ: dict[str, str]
) -> None:
    """Whatever is set or left out: a whole address, or an error before anything is called."""
    try:
        provider = in_use(catalog, name, ProviderConfig(region=region, words=words), **environ)
    except ConfigError as error:
        assert f"provider {name}" in str(error) and "{" in str(error)
    else:
        assert not [url for url in addresses(provider) if words_in(url) or "{" in url]


def test_a_key_alone_does_not_open_a_provider_whose_address_is_incomplete(catalog: Catalog) -> None:
    """An Azure key without the resource's name would fail every call, so it serves nothing and stops nothing."""
    key = {"AZURE_OPENAI_API_KEY": "k"}
    assert providers_with_key(catalog, key) == []
    assert not is_addressable(catalog.providers["azure"], key)
    assert providers_with_key(catalog, key | ALL_WORDS) == ["azure"]
    served = served_endpoints({}, (), catalog, key | ALL_WORDS, DAY, True)
    assert {endpoint.provider for endpoint in served} == {"azure"}
    assert "openai/gpt-4o-mini" in {endpoint.model for endpoint in served}


def test_a_key_opens_every_provider_that_has_prices(catalog: Catalog) -> None:
    """`export X_API_KEY` is all that it takes, for at least fifty of them."""
    priced = {name for name, _ in catalog.priced()}
    open_to_all = 0
    for provider in catalog.providers.values():
        if provider.api_key_env and provider.provider in priced:
            found = providers_with_key(catalog, {provider.api_key_env: "k", **ALL_WORDS})
            assert provider.provider in found
            open_to_all += 1
    assert open_to_all >= 50


# -- the files ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("also: {openai-chat: https://x.example/v1}", "repeats its dialect openai-chat"),
        ("also_auth: {anthropic: bearer}", "names anthropic, which `also` does not"),
        ("also: {anthropic: 'https://{place}.x.example/v1'}", "nothing fills {place}"),
        ("dialect: esperanto", "esperanto"),
        ("quirks: {shy: true}", "shy"),
        ("data_policy: {retention_days: some}", "retention_days"),
    ],
)
def test_an_entry_that_cannot_hold_is_refused_with_its_file(tmp_path: Path, line: str, told: str) -> None:
    """An installation's own providers.yml is checked as ours is."""
    (tmp_path / "providers.yml").write_text(
        f"- provider: x\n  name: X\n  base_url: https://x.example/v1\n  {line}\n  source: s\n  checked: 2026-11-22\n"
    )
    with pytest.raises(CatalogError, match=r"providers\.yml") as refused:
        read_overlay(tmp_path)
    assert told in str(refused.value)


def test_an_aggregators_own_spelling_is_not_taken_for_a_new_model() -> None:
    """`openai-gpt-52` on one price list must not split a model's figures in two; `only_known` leaves it out."""
    known = SourceFact(source="s", provider="openrouter", name="openai/gpt-5.2")
    odd = SourceFact(source="s", provider="shop", name="openai-gpt-52")
    right = SourceFact(source="s", provider="shop", name="openai/gpt-5.2")

    def slugs(only_known: bool) -> list[str]:
        shop = ProviderFact(
            provider="shop", name="S", base_url="https://s", source="s", checked=DAY, only_known=only_known
        )
        authors = tuple(author for author in read_overlay(DATA).authors if author.author == "openai")
        canonical = Canonical([known, odd, right], Overlay(authors=authors, providers=(shop,)))
        return [canonical.slug_of(odd), canonical.slug_of(right)]

    assert slugs(True) == ["", "openai/gpt-5.2"]
    assert slugs(False)[0].startswith("openai/")


def test_a_key_opens_no_model_that_is_sold_elsewhere(catalog: Catalog) -> None:
    """A price list files Vertex's Claude under Google, but no key of the Gemini API calls Claude."""
    served = served_endpoints({}, (), catalog, {"GEMINI_API_KEY": "k"}, DAY, True)
    assert {catalog.author_of(endpoint.model).author for endpoint in served} == {"google"}


def test_the_command_lists_providers_and_what_they_lack(tmp_path: Path) -> None:
    """Which key is missing is the first thing that a newcomer wants to know."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("AZURE", "OPENAI", "GROQ"))}
    done = subprocess.run(
        [sys.executable, "-m", "tidegate", "catalog", "providers", "openai", "--format", "csv"],
        env={**clean, "TIDEGATE_HOME": str(tmp_path), "AZURE_OPENAI_API_KEY": "k"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    rows = {row["provider"]: row for row in csv.DictReader(io.StringIO(done.stdout))}
    assert rows["openai"]["key"] == "OPENAI_API_KEY not set"
    assert rows["azure"]["key"] == "AZURE_RESOURCE_NAME not set"
    assert rows["ollama"]["key"] == "none needed"
    assert rows["openai"]["dialects"].split()[0] == "openai-chat"
