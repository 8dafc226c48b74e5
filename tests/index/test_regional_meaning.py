"""What the regional index means: ceilings, weights, differences and what a gateway can offer each region."""

import json
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner

from tidegate.catalog import Catalog, load_catalog
from tidegate.catalog.installed import read_policies
from tidegate.cli.index import index as command
from tidegate.cli.index_policies import permits_and_served
from tidegate.config import Config, ProviderConfig
from tidegate.core.price import Price, Rates
from tidegate.core.routing_settings import FactsConfig, PolicyConfig
from tidegate.index.implications import (
    Basket,
    Permit,
    Served,
    basket_price,
    concerns,
    implications,
    read_basket,
)
from tidegate.index.regional import Index, Spec, build
from tidegate.index.regional_ceiling import ceilings
from tidegate.index.regional_diff import compare, parse_edition, parse_weights
from tidegate.index.regional_tell import explain
from tidegate.index.regional_weights import weighed
from tidegate.index.table import IndexRefusal

DAY = "2026-11-22"


@pytest.fixture(scope="module")
def index() -> Index:
    return build(Spec(runs=1000))


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return load_catalog()


def run(*arguments: str) -> str:
    done = CliRunner().invoke(command, [*arguments, "--runs", "500"] if arguments[0] != "diff" else [*arguments])
    assert done.exit_code == 0, done.output + repr(done.exception)
    return done.output


# -- ceilings ---------------------------------------------------------------------


def test_a_ceiling_is_the_best_share_of_countries_with_no_more_means(index: Index) -> None:
    """India by hand: among countries no readier and no richer than India, the highest share of users."""
    of = index.evidence.by_place
    share, ready = of("ai_user_share", "2025-H2"), of("ai_preparedness", "2023")
    people, product = of("working_age_population", "2024"), of("gdp_usd", "2024")
    best = 0.0
    for place, value in share.items():
        if place in ready and place in people and place in product:
            poorer = product[place] / people[place] <= product["IND"] / people["IND"]
            if poorer and ready[place] <= ready["IND"]:
                best = max(best, value)
    south_asia = next(c for c in ceilings(index) if c.region == "South Asia")
    assert south_asia.ceiling is not None
    assert south_asia.ceiling >= best / 100 * people["IND"] > share["IND"] / 100 * people["IND"] * 0.999


@pytest.mark.parametrize("china", ["telemetry", "national"])
def test_no_region_is_above_its_ceiling(china: str) -> None:
    """Every country reaches at least what it has itself."""
    for ceiling in ceilings(build(msgspec.convert({"china": china, "runs": 200}, Spec))):
        assert ceiling.used is not None and 0 < ceiling.used <= 1
        assert 0.5 < ceiling.covered <= 1


# -- weights ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("china", "bounds", "part", "miss", "inside", "outside"),
    [
        ("telemetry", [(0.17, 0.56), (0.00, 0.50), (0.06, 0.46), (0.00, 0.34)], 0.07, 8.8, 5.9, 14.1),
        ("national", [(0.22, 0.48), (0.19, 0.62), (0.00, 0.19), (0.01, 0.29)], 0.02, 8.2, 5.8, 20.0),
    ],
)
def test_weights_that_could_give_the_published_table_are_those_of_the_method(
    china: str, bounds: list[tuple[float, float]], part: float, miss: float, inside: float, outside: float
) -> None:
    """Section 4.4 at 15 points, computed there by sampling and here by linear programmes."""
    found = weighed(build(msgspec.convert({"china": china}, Spec)), (15.0,))
    for one, (low, high) in zip(found.bounds, bounds, strict=True):
        assert one.low == pytest.approx(low, abs=0.011), one
        assert one.high == pytest.approx(high, abs=0.011), one
        assert one.part == pytest.approx(part, abs=0.005)
    assert found.nearest.deviation == pytest.approx(miss, abs=0.05)
    assert found.left_out.rmse_inside == pytest.approx(inside, abs=0.05)
    assert found.left_out.rmse_outside == pytest.approx(outside, abs=0.06)
    assert "not evidence that the index measures demand" in found.readings[0]


# -- differences ------------------------------------------------------------------


def test_the_parts_of_a_difference_add_up() -> None:
    changes = compare(parse_edition("mean=geometric"), parse_edition("china=national,map=north-africa-in-mena-2026"))
    for change in changes:
        assert sum(change.parts.values()) == pytest.approx(change.after - change.before, abs=1e-9)
    by_region = {change.region: change.parts for change in changes}
    assert by_region["MENA"]["map"] > 0 > by_region["Africa"]["map"]
    assert by_region["Oceania"]["weights"] == 0


def test_one_cause_alone_takes_the_whole_difference() -> None:
    for change in compare(parse_edition(""), parse_edition("china=national")):
        assert change.parts["data"] == pytest.approx(change.after - change.before)
        assert change.parts["method"] == change.parts["weights"] == change.parts["map"] == 0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("colour=blue", "'colour=blue' says nothing of an edition"),
        ("china=", "write KEY=VALUE"),
        ("china", "china= tele"),
    ],
)
def test_an_edition_that_says_nothing_is_answered_with_the_keys(text: str, said: str) -> None:
    with pytest.raises(IndexRefusal, match=said):
        parse_edition(text)
    with pytest.raises(IndexRefusal, match="write GROUP:NUMBER"):
        parse_weights("A:much")
    with pytest.raises(IndexRefusal, match="an edition cannot be read"):
        parse_edition("china=both").scores()


# -- a gateway's view -------------------------------------------------------------


def offer(provider: str, model: str, usd: int, *places: str, **said: Any) -> Served:
    price = Price(price_id=f"{model}@{provider}", rates=Rates(input=usd * 10**9, output=0))
    return Served(provider=provider, model=model, price=price, processing=frozenset(places), **said)


def test_offers_are_counted_by_policy_and_by_place(index: Index) -> None:
    """By hand: two in India, one of them under both policies; one in two regions; one of which nobody knows."""
    served = [
        offer("a", "m", 4, "IND", permitted_by=frozenset(("in", "kept")), trains=False),
        offer("b", "m", 2, "IND", permitted_by=frozenset(("kept",)), retention_days=0),
        offer("c", "n", 8, "IND", "DEU"),
        offer("d", "o", 6),
        Served(provider="e", model="", price=None, processing=frozenset(("IND",))),
        offer("f", "free", 0, "IND"),
    ]
    permits = [Permit(policy="in", says="", countries=frozenset(("IND",))), Permit(policy="kept", says="")]
    found = {one.region: one for one in implications(index, served, permits, BASKET)}
    here = {one.policy: (one.endpoints, one.local, one.models) for one in found["South Asia"].offers}
    assert here == {"any": (4, 2, 3), "in": (1, 1, 1), "kept": (2, 2, 1)}
    assert {one.policy: (one.endpoints, one.local) for one in found["Europe"].offers}["any"] == (4, 0)
    first = found["South Asia"].offers[0]
    assert (first.cheapest_nano_usd, first.median_nano_usd) == (2 * 10**9, 6 * 10**9)
    assert found["South Asia"].local_providers == ("a", "b")
    assert found["South Asia"].local_without_price == ("e", "f")
    assert not [gap for gap in found["South Asia"].gaps if "local" in gap]
    assert concerns(permits[0], "South Asia", index.map) and not concerns(permits[0], "Europe", index.map)
    assert concerns(permits[1], "Europe", index.map)


BASKET = Basket(input_tokens=1_000_000, output_tokens=1, income_share_max=0.02, source="", checked=date(2026, 11, 22))


def test_the_basket_costs_its_tokens_at_list_price() -> None:
    """7.5 million at 1 USD and 2.5 million at 4 USD a million: 17.5 USD."""
    price = Price(price_id="p", rates=Rates(input=1_000_000_000, output=4_000_000_000), valid_from="")
    assert basket_price(price, read_basket()) == 17_500_000_000


@pytest.fixture(scope="module")
def shipped(catalog: Catalog) -> tuple[list[Permit], list[Served]]:
    return permits_and_served(Config(), catalog, DAY)


def test_what_the_index_counts_is_what_routing_would_permit(shipped: tuple[list[Permit], list[Served]]) -> None:
    """Every shipped policy, and where each provider processes."""
    permits, served = shipped
    assert {one.policy for one in permits} == set(read_policies({}))
    places = {(one.provider, place) for one in served for place in one.processing}
    assert {("stackit", "DEU"), ("ovhcloud", "FRA"), ("deepseek", "CHN"), ("google-vertex", "IND")} <= places
    eu = {country for one in permits if one.policy == "eu-only" and one.countries for country in one.countries}
    assert "DEU" in eu and len(eu) == 27
    for one in served:
        if "eu-only" in one.permitted_by:
            assert one.processing and one.processing <= eu, one
        if "no-training" in one.permitted_by:
            assert one.trains is False, one
        assert "zero-retention" not in one.permitted_by or one.retention_days == 0, one
    outside = next(one for one in permits if one.policy == "outside-china")
    assert outside.countries is not None and "CHN" not in outside.countries and "USA" in outside.countries


def test_an_operators_own_policy_and_facts_are_counted(catalog: Catalog) -> None:
    """What he says of a provider decides here as it does for a call."""
    config = Config(
        policies={"nordic": PolicyConfig(processing=("FI", "SE"))},
        providers={"anthropic": ProviderConfig(facts=FactsConfig(processing=("FI",)))},
    )
    permits, served = permits_and_served(config, catalog, DAY)
    nordic = next(one for one in permits if one.policy == "nordic")
    assert nordic.countries == {"FIN", "SWE"} and nordic.says == "processing FI SE"
    assert {one.provider for one in served if "nordic" in one.permitted_by} >= {"anthropic"}


def test_each_region_has_its_offers_its_price_and_its_gaps(
    index: Index, shipped: tuple[list[Permit], list[Served]]
) -> None:
    permits, served = shipped
    found = {one.region: one for one in implications(index, served, permits)}
    assert list(found) == list(index.regions)
    africa, north_america = found["Africa"], found["North America"]
    assert not africa.local_providers and any(gap.startswith("no local endpoint") for gap in africa.gaps)
    assert "openai" in north_america.local_providers
    for one in found.values():
        offers = {offer.policy: offer for offer in one.offers}
        assert offers["any"].endpoints > offers["no-training"].endpoints >= offers["zero-retention"].endpoints
        assert all(offer.local <= offer.endpoints for offer in one.offers)
    assert {offer.policy: offer.local for offer in found["Europe"].offers}["eu-only"] > 0
    assert {offer.policy: offer.local for offer in africa.offers}["eu-only"] == 0
    assert africa.basket_share is not None and north_america.basket_share is not None
    assert africa.basket_share > 10 * north_america.basket_share


def test_income_counts_only_people_whose_product_is_known(index: Index) -> None:
    """MENA: Iran, Syria and Yemen have no GDP here; they must not pull income down as zeros."""
    mena = next(one for one in implications(index, [], []) if one.region == "MENA")
    of = index.evidence.by_place
    people, product = of("working_age_population", "2024"), of("gdp_usd", "2024")
    here = [c for c in people if index.map.region_of(c) == "MENA"]
    both = [c for c in here if c in product]
    by_hand = sum(product[c] for c in both) / sum(people[c] for c in both) / 12
    assert mena.income_usd_month == pytest.approx(by_hand)
    assert mena.income_coverage == pytest.approx(sum(people[c] for c in both) / sum(people[c] for c in here))
    assert mena.basket_share is None and "price against income not computable" in mena.gaps[-1], "nothing is offered"


# -- what is printed --------------------------------------------------------------


def test_a_region_is_explained_in_ten_lines(index: Index) -> None:
    lines = explain(index, "south asia")
    assert len(lines) == 10
    assert lines[0].startswith("South Asia is number 4 of 9 with 76.7 (East Asia = 100)")
    with pytest.raises(IndexRefusal, match="no region 'Atlantis'; there are East Asia"):
        explain(index, "Atlantis")


@pytest.mark.parametrize("name", ["build", "vary", "sensitivity", "backtest", "weights", "ceiling", "implications"])
def test_every_command_says_vintage_reading_absence_and_interval(name: str) -> None:
    """In all three formats: a number copied out of them keeps what it rests on."""
    extra = ["--base", "64"] if name == "sensitivity" else []
    told = " ".join(run(name, *extra).split())
    for word in ("2025-H2", "telemetry", "traffic (T) 25%", "90% intervals", "release"):
        assert word in told, word
    found = json.loads(run(name, *extra, "--format", "json"))
    assert found["about"]["absent"] == pytest.approx({"T": 0.25, "Q": 0.05})
    assert found["about"]["china"] == "telemetry" and found["rows"]
    header, first, *_ = run(name, *extra, "--format", "csv").splitlines()
    assert "vintages" in header and "region_map" in header and "ai_users 2025-H2" in first


def test_build_prints_nine_regions_with_interval_ranks_and_coverage() -> None:
    rows = json.loads(run("build", "--format", "json"))["rows"]
    assert len(rows) == 9
    for row in rows:
        assert row["low"] <= row["high"] and row["rank_low"] <= row["rank_high"]
        assert sum(row[f"p_rank_{k}"] for k in range(1, 10)) == pytest.approx(1, abs=0.001)
        assert row["partial_low"] < row["partial_high"] and "Claude" in row["coverage"]
    assert [round(row["index"]) for row in rows] == [100, 95, 77, 77, 41, 44, 26, 38, 20]
    assert [round(row["index_national"]) for row in rows] == [100, 80, 51, 39, 26, 28, 18, 21, 19]


def test_every_score_links_to_its_figures_and_their_sources(tmp_path: Path) -> None:
    """PROV: nine scores from seven figures each, every figure attributed to a source."""
    run("build", "--provenance", str(tmp_path / "prov.json"))
    found = json.loads((tmp_path / "prov.json").read_text())
    assert len(found["wasDerivedFrom"]) == 9 * 7 == len(found["wasAttributedTo"])
    assert len(found["wasGeneratedBy"]) == 9
    assert "tg:source/aei-2025-09" in found["agent"]


def test_the_same_choices_have_the_same_release_and_others_another() -> None:
    one, again = build(), build()
    assert one.release == again.release
    assert one.release.release_id != one.other.release.release_id
    changed = {name for name in one.release.parts if one.release.parts[name] != one.other.release.parts[name]}
    assert changed == {"spec"}


def test_own_facts_take_the_place_of_the_shipped_ones(tmp_path: Path) -> None:
    """A later edition of one figure moves the index, and `diff` calls it data."""
    from tidegate.index.evidence import FACTS

    text = (FACTS / "facts.csv").read_text()
    old = next(line for line in text.splitlines() if line.startswith("claude_conversations,AUS,2025-08,"))
    new = old.replace(old.split(",")[3], "999999", 1)
    (tmp_path / "facts.csv").write_text(text.replace(old, new))
    (tmp_path / "sources.csv").write_text((FACTS / "sources.csv").read_text())
    changes = {c.region: c for c in compare(parse_edition(""), parse_edition(f"facts={tmp_path}"))}
    assert changes["Oceania"].parts["data"] > 20
    assert changes["Oceania"].parts["map"] == 0
    done = CliRunner().invoke(command, ["build", "--facts", str(tmp_path), "--format", "json", "--runs", "200"])
    assert json.loads(done.output)["rows"][8]["index"] > 40


def test_diff_takes_the_shipped_edition_as_an_empty_word() -> None:
    found = json.loads(run("diff", "", "china=national", "--format", "json"))
    south_asia = next(row for row in found["rows"] if row["region"] == "South Asia")
    assert south_asia["data"] == pytest.approx(south_asia["after"] - south_asia["before"], abs=1e-3)
