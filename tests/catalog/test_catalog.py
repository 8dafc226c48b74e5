"""The shipped facts, looked up by any name."""

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.catalog import Catalog, Resolved, load_catalog
from tidegate.catalog.catalog import DATA
from tidegate.catalog.overlay import BAKED, bake, read_overlay
from tidegate.catalog.tables import (
    MODEL_COLUMNS,
    MORE_RATES,
    PRICE_COLUMNS,
    PRICE_COLUMNS_BEFORE,
    PriceLine,
    line_of_model,
    line_of_price,
    model_of_line,
    more_rates,
    price_line_of,
    prices_of_lines,
    read_lines,
)
from tidegate.core.errors import CatalogError
from tidegate.core.price import KindRates

LOAD_MS_MAX = 60
LOAD_KB_MAX = 15 * 1024


def line(model: str, provider: str, rate: int, *, start: str = "", above: int = 0) -> PriceLine:
    return PriceLine(
        provider=provider,
        model=model,
        valid_from=start,
        input_tokens_above=above,
        upstream_model=model,
        basis="documented" if start else "open",
        input=rate,
        output=2 * rate,
        cache_read=None,
        cache_creation=None,
        reasoning=None,
        request=None,
        source="test 1",
        checked="2026-11-21",
    )


@pytest.mark.parametrize(
    ("name", "model", "variant", "dated"),
    [
        ("openai/gpt-4o-mini", "openai/gpt-4o-mini", "", ""),
        ("gpt-4o-mini", "openai/gpt-4o-mini", "", ""),
        ("GPT-4o-mini", "openai/gpt-4o-mini", "", ""),
        ("openai/gpt-4o-2024-11-20", "openai/gpt-4o", "", "openai/gpt-4o-2024-11-20"),
        ("claude-sonnet-4-20250514", "anthropic/claude-sonnet-4", "", "anthropic/claude-sonnet-4-20250514"),
        ("claude-3-5-sonnet-20241022", "anthropic/claude-3.5-sonnet", "", "anthropic/claude-3.5-sonnet-20241022"),
        ("anthropic/claude-4.5-sonnet", "anthropic/claude-sonnet-4.5", "", ""),
        ("claude-4.5-sonnet-20250929", "anthropic/claude-sonnet-4.5", "", "anthropic/claude-sonnet-4.5-20250929"),
        ("deepseek/deepseek-r1:free", "deepseek/deepseek-r1", "free", ""),
        ("anthropic/claude-3.7-sonnet:thinking", "anthropic/claude-3.7-sonnet", "thinking", ""),
        ("zai-org/GLM-4.6", "z-ai/glm-4.6", "", ""),
        ("together_ai/Qwen/Qwen3-235B-A22B-Instruct-2507", "qwen/qwen3-235b-a22b-2507", "", ""),
        ("models/gemini-2.5-pro", "google/gemini-2.5-pro", "", ""),
        ("google/gemini-2.5-pro-preview-05-06", "google/gemini-2.5-pro", "", ""),
        ("qwen/qwen3-14b-04-28", "qwen/qwen3-14b", "", "qwen/qwen3-14b-04-28"),
        ("qwen/qwen3.5-flash-20260223", "qwen/qwen3.5-flash-02-23", "", "qwen/qwen3.5-flash-20260223"),
    ],
)
def test_every_spelling_leads_to_the_slug(catalog: Catalog, name: str, model: str, variant: str, dated: str) -> None:
    """Usage data, price lists and callers each spell a model in their own way; figures must not split it."""
    assert catalog.resolve(name) == Resolved(model=model, variant=variant, dated=dated)


def test_every_slug_and_alias_resolves_to_its_model(catalog: Catalog) -> None:
    """A table whose names shadow one another would file calls under the wrong model."""
    for slug, model in catalog.models.items():
        assert catalog.resolve(slug).model == slug
        for alias in model.aliases:
            assert catalog.resolve(alias).model == slug, alias


@given(st.text(max_size=40))
def test_resolving_never_raises(catalog: Catalog, name: str) -> None:
    """A caller's typing error becomes `known=False`, and a second look gives the same."""
    found = catalog.resolve(name)
    assert found.known == (found.model in catalog.models)
    assert catalog.resolve(found.model).model == found.model or not found.known


def test_an_unknown_model_of_a_known_author_still_has_its_country_and_weights(catalog: Catalog) -> None:
    """New releases appear in usage data before any price list has them."""
    assert catalog.resolve("anthropic/claude-tide-9").known is False
    assert catalog.author_of("anthropic/claude-tide-9").country == "US"
    assert catalog.model_of("anthropic/claude-tide-9").weights == "closed"
    assert catalog.author_of("nobody/nothing").country == ""


def test_cloaked_models_are_their_own_group(catalog: Catalog) -> None:
    """Code names on OpenRouter have a maker nobody knew at the time; its own router has one."""
    for name in (
        "openrouter/hunter-alpha",
        "openrouter/sherlock-think-alpha",
        "openrouter/some-new-alpha",
        "stealth/x",
    ):
        author = catalog.author_of(name)
        assert author.cloaked and not author.country, name
    assert not catalog.author_of("openrouter/auto").cloaked


@pytest.mark.parametrize(
    ("name", "weights"),
    [
        ("google/gemma-3-27b-it", "open"),
        ("google/gemini-2.5-flash", "closed"),
        ("openai/gpt-oss-120b", "open"),
        ("openai/gpt-5-mini", "closed"),
        ("mistralai/mistral-large-2512", "open"),
        ("mistralai/mistral-medium-3.1", "closed"),
        ("qwen/qwen3-max", "closed"),
        ("qwen/qwen3-32b", "open"),
        ("x-ai/grok-4", "closed"),
        ("z-ai/glm-5", "open"),
        ("z-ai/glm-5-turbo", "closed"),
        ("xiaomi/mimo-v2-flash:free", "open"),
        ("xiaomi/mimo-v2-pro", "closed"),
        ("minimax/minimax-m2-her", "closed"),
        ("stepfun/step-3.5-flash:free", "open"),
    ],
)
def test_weights_belong_to_models_not_to_authors(catalog: Catalog, name: str, weights: str) -> None:
    """Most labs release some models and sell others."""
    assert catalog.model_of(name).weights == weights


def test_every_fact_has_a_source_and_a_day(catalog: Catalog) -> None:
    """A number that nobody can check is worth nothing."""
    facts = [*catalog.models.values(), *catalog.authors.values(), *catalog.providers.values()]
    facts += [price for key in catalog.priced() for price in catalog.prices_of(*key)]
    facts += [*catalog.countries.values(), *read_overlay(DATA).rules, *read_overlay(DATA).models]
    assert not [fact for fact in facts if not fact.source or len(fact.checked) != len("2026-11-21")]


def test_the_catalog_is_large_enough_to_be_of_use(catalog: Catalog) -> None:
    """At least 600 models, at least 75 providers that a key opens, all countries."""
    assert len(catalog.models) >= 600
    assert len([p for p in catalog.providers.values() if p.base_url.startswith("http") and p.api_key_env]) >= 75
    assert len(catalog.countries) == 249
    assert {author.country for author in catalog.authors.values()} - {""} <= set(catalog.countries)
    assert {provider.headquarters for provider in catalog.providers.values()} - {""} <= set(catalog.countries)


def test_a_first_model_has_a_price_at_its_provider(catalog: Catalog) -> None:
    """`make up` calls it, and an unpriced call is never made."""
    for provider in catalog.providers.values():
        if provider.first_model:
            assert catalog.price_on(provider.provider, provider.first_model, "2026-11-21"), provider.provider


def test_the_baked_overlay_is_the_one_that_people_edit() -> None:
    """Workers read overlay.json; after an edit of a .yml, `tidegate catalog sync --out src/tidegate/data` bakes it."""
    assert (DATA / BAKED).read_bytes() == bake(read_overlay(DATA))


def test_every_line_of_the_tables_survives_a_round_trip() -> None:
    """Reading and writing are inverse, so a sync changes only what changed."""
    for text in read_lines(DATA / "models.csv", MODEL_COLUMNS):
        assert line_of_model(model_of_line(text)) == text
    for text in read_lines(DATA / "prices.csv", PRICE_COLUMNS):
        assert line_of_price(price_line_of(text)) == text


def test_rates_that_few_models_have_stand_in_one_column() -> None:
    """An hour in the cache, a search, a token of sound: by name, so that a new kind of rate needs no new column."""
    plain = line_of_price(line("a/b", "p", 10))
    text = plain.replace(",,test 1", ",audio_input=30;cache_creation_1h=25;web_search=7,test 1")
    rates = price_line_of(text).rates()
    assert line_of_price(price_line_of(text)) == text
    assert (rates.cache_creation_1h, rates.web_search, rates.kinds) == (25, 7, KindRates(audio_input=30))
    assert tuple(more_rates(rates)) == price_line_of(text).more
    assert price_line_of(plain).rates().kinds is None
    for wrong, said in (("audio_inptu=3", "audio_inptu"), ("audio_input=-3", "below zero"), ("audio_input", "invalid")):
        with pytest.raises(ValueError, match=said):
            price_line_of(plain.replace(",,test 1", f",{wrong},test 1"))


def test_every_rate_is_in_the_reference() -> None:
    """Who sets a price looks its name up in docs/reference/usage.md."""
    page = (DATA.parents[2] / "docs" / "reference" / "usage.md").read_text("utf-8")
    assert [name for name in sorted(MORE_RATES) if f"`{name}`" not in page] == []


def test_a_table_of_an_older_sync_is_still_read(tmp_path: Path) -> None:
    """`tidegate catalog sync` must be able to continue it."""
    old = line_of_price(line("openai/gpt-4o", "openai", 7)).replace(",,test 1", ",test 1")
    (tmp_path / "prices.csv").write_text(",".join(PRICE_COLUMNS_BEFORE) + "\n" + old + "\n")
    price = load_catalog([tmp_path]).price_on("openai", "gpt-4o", "2026-11-21")
    assert price is not None and price.rates.input == 7


def test_a_price_holds_from_its_first_day_until_the_next_begins() -> None:
    """The end is exclusive: on the day of a change the new price is in force."""
    old, new = prices_of_lines([line("a/b", "p", 20, start="2026-03-01"), line("a/b", "p", 10)])
    assert (old.valid_from, old.valid_until, new.valid_from, new.valid_until) == ("", "2026-03-01", "2026-03-01", "")
    assert old.price_id == "a/b@p#" and new.price_id == "a/b@p#2026-03-01"


@given(st.lists(st.dates().map(str), unique=True, max_size=5), st.dates().map(str))
def test_exactly_one_price_is_in_force_on_any_day(starts: list[str], day: str) -> None:
    """No gap and no overlap between dated prices, whatever their order in the table."""
    lines = [line("a/b", "p", n + 1, start=start) for n, start in enumerate(["", *starts])]
    prices = prices_of_lines(lines)
    holding = [p for p in prices if p.valid_from <= day and (not p.valid_until or day < p.valid_until)]
    assert len(holding) == 1
    assert holding[0].valid_from == max(start for start in ["", *starts] if start <= day)


def test_price_on_follows_dates_and_tiers(catalog: Catalog) -> None:
    """DeepSeek changed v4-flash twice in 2026; Gemini 2.5 Pro costs more above 200,000 input tokens."""
    rates = [
        catalog.price_on("deepseek", "deepseek/deepseek-v4-flash", day).rates.input  # type: ignore[union-attr]
        for day in ("2026-08-16", "2026-08-17", "2026-09-09", "2026-09-10")
    ]
    assert rates == [140_000_000, 220_000_000, 220_000_000, 150_000_000]
    price = catalog.price_on("google", "gemini-2.5-pro", "2026-11-21")
    assert price is not None
    assert price.rates_for(200_000).input == 1_250_000_000
    assert price.rates_for(200_001).input == 2_500_000_000


def test_a_snapshot_has_its_own_price_or_its_models(catalog: Catalog) -> None:
    """gpt-4o of May 2024 costs twice what today's does; a snapshot that nobody lists costs what its model does."""
    may = catalog.price_on("openai", "gpt-4o-2024-05-13", "2026-11-21")
    unlisted = catalog.price_on("openai", "openai/gpt-4o-2026-01-01", "2026-11-21")
    assert may is not None and may.rates.input == 5_000_000_000
    assert unlisted is not None and unlisted.price_id == "openai/gpt-4o@openai#"


def test_a_variant_never_has_the_price_of_the_plain_model(catalog: Catalog) -> None:
    """`:free` at the paid price, or `:batch` at the full one, would be an invented number."""
    assert catalog.price_on("openai", "openai/gpt-4o:free", "2026-11-21") is None
    free = catalog.price_on("openrouter", "openai/gpt-oss-20b:free", "2026-11-21")
    assert free is not None and free.rates.input == 0


def test_a_folder_wins_over_the_shipped_facts(tmp_path: Path) -> None:
    """An operator's own price or fact holds for his installation."""
    mine = line_of_price(line("openai/gpt-4o", "openai", 7))
    (tmp_path / "prices.csv").write_text(",".join(PRICE_COLUMNS) + "\n" + mine + "\n")
    (tmp_path / "models.yml").write_text(
        "models:\n- model: openai/gpt-4o\n  parameters_total: 5\n  source: me\n  checked: 2026-11-21\n"
        "- model: acme/one\n  weights: open\n  aliases: [uno]\n  source: me\n  checked: 2026-11-21\n"
    )
    (tmp_path / "authors.yml").write_text(
        "- author: acme\n  name: Acme\n  country: NO\n  source: me\n  checked: 2026-11-21\n"
    )
    catalog = load_catalog([tmp_path, tmp_path / "absent"])
    price = catalog.price_on("openai", "gpt-4o", "2026-11-21")
    assert price is not None and price.rates.input == 7
    assert catalog.models["openai/gpt-4o"].parameters_total == 5
    assert catalog.models["openai/gpt-4o"].weights == "closed"
    assert catalog.resolve("uno").model == "acme/one"
    assert catalog.author_of("uno").country == "NO", "YAML's NO is Norway, not false"


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("models.csv", "nonsense\n", "columns"),
        ("models.csv", ",".join(MODEL_COLUMNS) + "\na,b\n", "models.csv:2"),
        ("prices.csv", ",".join(PRICE_COLUMNS) + "\nbroken\n", "prices.csv:2"),
        ("authors.yml", "- author: x\n", "name"),
        ("models.yml", "rules: [{prefix: a/, weights: perhaps, source: s, checked: d}]\n", "perhaps"),
        ("providers.yml", "- [\n", "providers.yml"),
    ],
)
def test_a_broken_file_is_named(tmp_path: Path, name: str, text: str, said: str) -> None:
    """One line that says which file, and where."""
    (tmp_path / name).write_text(text)
    with pytest.raises(CatalogError, match=said):
        load_catalog([tmp_path])


def test_loading_is_cheap() -> None:
    """Each gateway worker loads the catalog: at most 60 ms and 15 MB, measured in a process of its own."""
    script = (
        "import resource, time, msgspec\n"
        "import tidegate.catalog\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "start = time.process_time()\n"
        "catalog = tidegate.catalog.load_catalog()\n"
        "catalog.resolve('claude-4.5-sonnet-20250929'), catalog.endpoints_of('openai', '2026-11-21')\n"
        "spent = (time.process_time() - start) * 1000\n"
        "grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before\n"
        "import sys; assert 'yaml' not in sys.modules, 'a worker should not import YAML'\n"
        "print(msgspec.json.encode([spent, grown]).decode())\n"
    )
    runs = [
        msgspec.json.decode(
            subprocess.run([sys.executable, "-c", script], check=True, capture_output=True).stdout, type=list[float]
        )
        for _ in range(3)
    ]
    assert min(run[0] for run in runs) <= LOAD_MS_MAX
    assert min(run[1] for run in runs) <= LOAD_KB_MAX


@pytest.mark.parametrize(
    "line",
    ["openai,openai/gpt-4o,,0,gpt-4o,open,-5,1,,,,,me,2026-01-01", "openai,openai/gpt-4o,,0,gpt-4o", "openai,x/y,,0"],
    ids=["a rate below zero", "too few columns", "fewer still"],
)
def test_a_price_line_that_cannot_be_one_is_never_charged(tmp_path: Path, line: str) -> None:
    """A negative rate would pay callers; a sync must not carry the line on either."""
    from tidegate.catalog.sync import read_before
    from tidegate.catalog.tables import PRICE_COLUMNS

    (tmp_path / "prices.csv").write_text(",".join(PRICE_COLUMNS) + "\n" + line + "\n", "utf-8")
    model = line.split(",")[1]
    with pytest.raises(CatalogError, match=r"prices\.csv"):
        load_catalog([tmp_path]).price_on("openai", model, "2026-03-23")
    with pytest.raises(CatalogError, match=r"prices\.csv"):
        read_before(tmp_path)


def test_weights_are_one_of_three_words(tmp_path: Path) -> None:
    from tidegate.catalog.tables import MODEL_COLUMNS

    (tmp_path / "models.csv").write_text(",".join(MODEL_COLUMNS) + "\na/b,a,n,opne,,,,,,,s,c\n", "utf-8")
    with pytest.raises(CatalogError, match="weights is 'opne'"):
        load_catalog([tmp_path])
