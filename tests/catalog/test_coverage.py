"""The catalog against public usage data: what share of tokens has an author, a country, weights."""

import csv
from collections import Counter
from pathlib import Path

import pytest

from tidegate.catalog import Catalog

SHARE_MIN = 0.99


@pytest.fixture(scope="module")
def tokens(shared_data: Path) -> Counter[str]:
    """Tokens (in billions) by model name as OpenRouter's public pages spelled them."""
    found: Counter[str] = Counter()
    with (shared_data / "openrouter" / "model_daily_usage.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            found[row["Model"]] += float(row["Total_Tokens"])
    return found


def test_models_behind_99_percent_of_tokens_are_known(catalog: Catalog, tokens: Counter[str]) -> None:
    """An unknown model would fall out of every figure."""
    known = sum(count for name, count in tokens.items() if catalog.resolve(name).known)
    assert known / tokens.total() >= SHARE_MIN


def test_99_percent_of_tokens_have_a_country_or_are_cloaked(catalog: Catalog, tokens: Counter[str]) -> None:
    """`country_lead` stands or falls with this; what remains are individuals who publish no seat."""
    placed = sum(count for name, count in tokens.items() if (a := catalog.author_of(name)).country or a.cloaked)
    assert placed / tokens.total() >= SHARE_MIN


def test_99_percent_of_tokens_have_weights_and_reasoning_known(catalog: Catalog, tokens: Counter[str]) -> None:
    """`oss_split` needs weights, the reasoning figure the flag; cloaked models have neither."""
    open_to_all = {name: count for name, count in tokens.items() if not catalog.author_of(name).cloaked}
    for missing in (
        {name for name in open_to_all if catalog.model_of(name).weights == "unknown"},
        {name for name in open_to_all if catalog.model_of(name).is_reasoning is None},
    ):
        assert sum(open_to_all[name] for name in missing) / sum(open_to_all.values()) <= 1 - SHARE_MIN, missing


def test_our_countries_agree_with_the_curated_list(catalog: Catalog, shared_data: Path) -> None:
    """Where that list is sure, ours says the same."""
    alpha2 = {country.alpha3: country.country for country in catalog.countries.values()}
    with (shared_data / "openrouter" / "author_country.csv").open(newline="") as file:
        sure = {row["author"]: alpha2[row["iso3"]] for row in csv.DictReader(file) if row["confidence"] == "high"}
    assert {author: catalog.author_of(f"{author}/any").country for author in sure} == sure
