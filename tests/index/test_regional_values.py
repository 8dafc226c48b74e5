"""The regional index from its facts: the rows of the method's section 4.2, computed twice."""

import csv
from collections import defaultdict

import msgspec
import numpy as np
import pytest

from tidegate.index.evidence import FACTS, Evidence, read_evidence, read_map
from tidegate.index.framework import Framework, Indicator, Vintage, read_framework
from tidegate.index.regional import Spec, build
from tidegate.index.regional_columns import China, columns_of, coverage, region_table
from tidegate.index.regional_scores import combined, group_scores, group_weights, leader_100, normalised
from tidegate.index.table import ASSUMED, BOUNDED, IndexRefusal

SEED, ALT = "north-africa-in-africa-2026", "north-africa-in-mena-2026"
REGIONS = ["East Asia", "North America", "Europe", "South Asia", "Southeast Asia"]
REGIONS += ["Latin America", "MENA", "Africa", "Oceania"]


@pytest.fixture(scope="module")
def framework() -> Framework:
    return read_framework(FACTS / "regional-llm-demand-2026.yml")


def index_of(framework: Framework, china: China, map_name: str = SEED) -> list[float]:
    table = region_table(columns_of(read_evidence(), framework, read_map(map_name), china), framework.units)
    scores = group_scores(framework, {code: table.column(code) for code in table.indicators})
    values = leader_100(combined(normalised(scores, "ratio"), group_weights(framework), "arithmetic"))
    return [float(value) for value in values]


@pytest.mark.parametrize(
    ("china", "published"),
    [
        ("telemetry", [100, 95, 77, 77, 41, 44, 26, 38, 20]),
        ("national", [100, 80, 51, 39, 26, 28, 18, 21, 19]),
    ],
)
def test_published_weights_give_the_rows_of_the_method(
    framework: Framework, china: China, published: list[int]
) -> None:
    """Both readings of China, rounded; section 4.2 was computed by another program from other files."""
    assert list(framework.units) == REGIONS
    assert [round(value) for value in index_of(framework, china)] == published


def test_equal_weights_and_the_geometric_mean_give_their_rows_too() -> None:
    """Two more rows of section 4.2, by the survey: other weights lift North America, a zero-averse mean the leader."""
    equal = build(Spec(china="national", weights={"A": 1.0, "C": 1.0, "S": 1.0, "G": 1.0}))
    assert [round(value) for value in equal.scores] == [93, 100, 62, 42, 33, 35, 25, 24, 30]
    geometric = build(Spec(china="national", mean="geometric"))
    assert [round(value) for value in geometric.scores] == [100, 55, 42, 30, 14, 15, 10, 13, 5]


def naive(china: str) -> dict[str, float]:
    """The same index by plain loops over the rows of facts.csv: no array, no function of ours."""
    with (FACTS / f"regions-{SEED}.csv").open() as file:
        region = {row["place"]: row["region"] for row in csv.DictReader(file)}
    facts: dict[tuple[str, str], dict[str, float]] = defaultdict(dict)
    with (FACTS / "facts.csv").open() as file:
        for row in csv.DictReader(file):
            if row["value"]:
                facts[row["indicator"], row["period"]][row["place"]] = float(row["value"])

    def region_of(place: str) -> str:
        return place.partition(":")[2] or region[place.split("+")[0]]

    def total(values: dict[str, float]) -> dict[str, float]:
        sums = dict.fromkeys(REGIONS, 0.0)
        for place, value in values.items():
            if region_of(place) in sums:
                sums[region_of(place)] += value
        best = max(sums.values())
        return {name: value / best for name, value in sums.items()}

    people, ages = facts["population", "2024"], facts["working_age_population", "2024"]
    users = {c: ages[c] * s / 100 for c, s in facts["ai_user_share", "2025-H2"].items() if c in ages}
    if china == "national":
        users["CHN"] = 602e6
    supply = [
        total(facts[name, period])
        for name, period in (
            ("data_centre_gw", "2024"),
            ("genai_patent_families", "2014-2023"),
            ("private_ai_investment_usd_bn", "2024"),
            ("notable_models", "2024"),
        )
    ]
    s = {name: sum(part[name] for part in supply) / 4 for name in REGIONS}
    ready = {c: v for c, v in facts["ai_preparedness", "2023"].items() if c in people}
    g = {
        name: sum(v * people[c] for c, v in ready.items() if region[c] == name)
        / sum(people[c] for c in ready if region[c] == name)
        for name in REGIONS
    }
    a, c = total(users), total(facts["claude_conversations", "2025-08"])
    raw = {
        name: 0.30 * a[name] + 0.15 * c[name] + 0.15 * s[name] / max(s.values()) + 0.10 * g[name] / max(g.values())
        for name in REGIONS
    }
    return {name: 100 * value / max(raw.values()) for name, value in raw.items()}


@pytest.mark.parametrize("china", ["telemetry", "national"])
def test_the_arrays_agree_with_a_loop_over_the_rows(framework: Framework, china: China) -> None:
    assert index_of(framework, china) == pytest.approx(list(naive(china).values()), rel=1e-12)


def test_north_africa_lifts_mena_and_lowers_africa_and_touches_no_other(framework: Framework) -> None:
    one, other = index_of(framework, "telemetry"), index_of(framework, "telemetry", ALT)
    moved = {name: b - a for name, a, b in zip(REGIONS, one, other, strict=True) if abs(b - a) > 0.5}
    assert moved["MENA"] > 0 > moved["Africa"]
    assert set(moved) == {"MENA", "Africa"}


def test_china_is_the_only_country_that_the_national_reading_changes(framework: Framework) -> None:
    """602 million by survey against 16.3 % of those of working age by telemetry: a factor of 3.8."""
    evidence, mapped = read_evidence(), read_map(SEED)
    one, other = (columns_of(evidence, framework, mapped, china)[0] for china in ("telemetry", "national"))
    users, surveyed = dict(zip(one.places, one.values, strict=True)), dict(zip(other.places, other.values, strict=True))
    assert {place for place in users if users[place] != surveyed[place]} == {"CHN"}
    assert surveyed["CHN"] == 602_000_000
    assert surveyed["CHN"] / users["CHN"] == pytest.approx(3.8, abs=0.01)


def test_floors_and_bounds_are_marked_and_keep_their_interval(framework: Framework) -> None:
    """A stand-in must not look like a measurement, nor like a zero that somebody counted."""
    table = region_table(columns_of(read_evidence(), framework, read_map(SEED), "telemetry"), framework.units)
    assert table.low is not None and table.high is not None
    gw, oceania, africa = table.at("data_centre_gw"), REGIONS.index("Oceania"), REGIONS.index("Africa")
    assert table.marks[oceania, gw] & ASSUMED and table.marks[africa, gw] & BOUNDED
    assert (table.low[africa, gw], table.high[africa, gw]) == (0, 2)
    assert not table.marks[REGIONS.index("North America"), gw]


def test_claude_reaches_a_tenth_of_east_asia_and_the_output_can_say_so(framework: Framework) -> None:
    """It is not offered in China: what the sum covers must stand beside it."""
    evidence, mapped = read_evidence(), read_map(SEED)
    found = coverage(evidence, columns_of(evidence, framework, mapped, "telemetry"), framework.units, mapped)
    assert found.column("claude_conversations")[0] == pytest.approx(0.11, abs=0.005)
    assert found.column("ai_users")[0] > 0.97
    assert np.isnan(found.column("data_centre_gw")).all()


def test_bad_choices_are_refused_with_the_choices_that_there_are(framework: Framework) -> None:
    for weights, said in (
        ({"A": 1.0, "C": 1.0, "S": 1.0}, "'G' has no weight"),
        ({"A": 1.0, "C": 1.0, "S": 1.0, "G": -1.0}, "none may be below 0"),
        ({"T": 1.0}, "no weight can be given to 'T'"),
    ):
        with pytest.raises(IndexRefusal, match=said):
            group_weights(framework, weights)
    with pytest.raises(IndexRefusal, match="no normalisation 'z'"):
        normalised(np.ones((9, 4)), "z")
    with pytest.raises(IndexRefusal, match="ai_users is the same in every region"):
        group_scores(framework, dict.fromkeys(framework.codes, np.ones(9)))
    with pytest.raises(IndexRefusal, match="telemetry and national"):
        columns_of(read_evidence(), framework, read_map(SEED), "both")  # type: ignore[arg-type]


def test_an_indicator_is_added_by_facts_and_one_entry(framework: Framework) -> None:
    """As the how-to says: readiness becomes the mean of two ratios to the leader, here by hand for each region."""
    scores = dict(zip(REGIONS, [78.0, 93.0, 90.0, 50.0, 75.0, 80.0, 70.0, 36.0, 85.0], strict=True))
    plain, added = with_net(framework, scores)
    table = region_table(columns_of(plain, added, read_map(SEED), "telemetry"), added.units)
    z = group_scores(added, {code: table.column(code) for code in table.indicators})[:, 3]
    ready = table.column("ai_preparedness")
    by_hand = [(ready[at] / max(ready) + scores[region] / 93.0) / 2 for at, region in enumerate(REGIONS)]
    assert z == pytest.approx(by_hand)


def test_a_region_without_a_figure_is_named_with_the_mend(framework: Framework) -> None:
    """It must not drag the others into nothing, nor count as zero."""
    plain, added = with_net(framework, {region: 50.0 + at for at, region in enumerate(REGIONS[:-1])})
    table = region_table(columns_of(plain, added, read_map(SEED), "telemetry"), added.units)
    with pytest.raises(IndexRefusal, match="net has no figure for Oceania; add a bound or a floor as region:Oceania"):
        group_scores(added, {code: table.column(code) for code in table.indicators})


def test_a_score_of_a_whole_region_weighs_as_much_as_its_people(framework: Framework) -> None:
    """A mean over countries and a figure for a region both end as the region's score, never as nothing."""
    plain, added = with_net(framework, {region: 50.0 + at for at, region in enumerate(REGIONS)})
    mean = msgspec.structs.replace(added.indicators[-1], kind="intensive", base="population")
    added = msgspec.structs.replace(added, indicators=(*added.indicators[:-1], mean))
    table = region_table(columns_of(plain, added, read_map(SEED), "telemetry"), added.units)
    assert table.column("net") == pytest.approx([50.0 + at for at in range(9)])


def with_net(framework: Framework, by_region: dict[str, float]) -> tuple[Evidence, Framework]:
    """An indicator of readiness whose source speaks of whole regions."""
    evidence = read_evidence()
    like = evidence.facts[0]
    facts = [
        msgspec.structs.replace(like, indicator="net", place=f"region:{region}", period="2026", value=value)
        for region, value in by_region.items()
    ]
    net = Indicator(code="net", parent="G", unit="percent", kind="extensive", vintage=Vintage(period="2026"))
    added = msgspec.structs.replace(framework, indicators=(*framework.indicators, net))
    return msgspec.structs.replace(evidence, facts=(*evidence.facts, *facts)), added
