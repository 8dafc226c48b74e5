"""Facts of the index: every row can be traced, and a bad one is named with its mend."""

import shutil
from pathlib import Path

import pytest

from tidegate.catalog import load_catalog
from tidegate.index.evidence import FACTS, RegionMap, map_names, read_evidence, read_map
from tidegate.index.table import IndexRefusal

HEADER = "indicator,place,period,value,low,high,basis,source,licence,checked,note\n"
GOOD = "users,CHN,2025,5,,,reported,src,MIT,2026-11-22,\n"


def folder_with(tmp_path: Path, rows: str) -> Path:
    (tmp_path / "sources.csv").write_text("source,publisher,title,address,licence,published,note\nsrc,P,T,,MIT,2025,\n")
    (tmp_path / "facts.csv").write_text(HEADER + rows)
    return tmp_path


def test_every_shipped_fact_has_a_source_a_period_and_a_licence() -> None:
    """A number that nobody can look up is worth nothing in an index."""
    evidence = read_evidence()
    assert len(evidence.facts) > 1000
    assert {fact.source for fact in evidence.facts} == set(evidence.sources), "a source without facts, or the reverse"
    for source in evidence.sources.values():
        assert source.address and source.publisher and source.published, source


def test_every_country_is_in_every_shipped_map() -> None:
    """A country that a map forgets would vanish from its region's sum."""
    for name in map_names():
        mapped = read_map(name)
        for country in load_catalog().countries.values():
            assert mapped.region_of(country.alpha3), f"{country.alpha3} in {name}"


def test_the_two_maps_differ_in_north_africa_and_nowhere_else() -> None:
    one, other = (read_map(name).regions for name in map_names())
    assert {place for place in one if one[place] != other[place]} == {"DZA", "EGY", "ESH", "LBY", "MAR", "TUN"}


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ("users,CHN,,5,,,reported,src,MIT,2026-11-22,\n", "line 2: period is empty"),
        ("users,CHN,2025,five,,,reported,src,MIT,2026-11-22,\n", "line 2: value 'five' is no number"),
        ("users,CHN,2025,5,7,4,bound,src,MIT,2026-11-22,\n", "low 7 is above high 4; swap"),
        ("users,CHN,2025,5,7,,bound,src,MIT,2026-11-22,\n", "needs both low and high"),
        ("users,CHN,2025,,,,reported,src,MIT,2026-11-22,\n", "neither value nor bounds"),
        ("users,CHN,2025,5,,,guess,src,MIT,2026-11-22,\n", "basis 'guess' is none of"),
        ("users,CHN,2025,5,,,reported,nobody,MIT,2026-11-22,\n", "source 'nobody' is not in sources.csv"),
        (GOOD + GOOD, "line 3: users CHN 2025 stands on line 2 too"),
        ("users,CHN,2025,5\n", "line 2: not 11 fields"),
    ],
)
def test_a_bad_row_is_named_with_its_mend(tmp_path: Path, rows: str, said: str) -> None:
    with pytest.raises(IndexRefusal, match=said.replace("(", r"\(")):
        read_evidence(folder_with(tmp_path, rows))


def test_a_place_that_a_map_leaves_out_is_an_error() -> None:
    """It must not count as zero, nor disappear."""
    small = RegionMap(name="small", regions={"JPN": "East Asia", "IND": "South Asia"})
    with pytest.raises(IndexRefusal, match="map small leaves out CHN; add a row CHN,REGION"):
        small.region_of("CHN")
    with pytest.raises(IndexRefusal, match="two regions of map small"):
        small.region_of("JPN+IND")
    assert small.region_of("itu:Africa") is None
    assert small.region_of("region:Oceania") == "Oceania"


def test_a_map_or_period_that_is_not_there_is_answered_with_those_that_are(tmp_path: Path) -> None:
    with pytest.raises(IndexRefusal, match="north-africa-in-africa-2026, north-africa-in-mena-2026"):
        read_map("europe")
    with pytest.raises(IndexRefusal, match="there are 2025-H1, 2025-H2"):
        read_evidence().of("ai_user_share", "2031")
    shutil.copy(FACTS / "sources.csv", tmp_path)
    (tmp_path / "regions-two.csv").write_text("place,region,name\nCHN,East Asia,China\nCHN,East Asia,China\n")
    with pytest.raises(IndexRefusal, match="line 3: CHN is there twice"):
        read_map("two", tmp_path)
