"""Charts of the regional index: what is drawn is what was computed, and each says what it rests on."""

import json
from pathlib import Path

import pytest

from tidegate.index.regional import Index, Spec, build
from tidegate.index.regional_weights import weighed
from tidegate.index.table import IndexRefusal
from tidegate.report import index_intervals, index_ranks, index_weights


@pytest.fixture(scope="module")
def index() -> Index:
    return build(Spec(runs=500))


def values_of(spec: dict[str, object], field: str) -> list[dict[str, object]]:
    """The records of the layer that draws `field`."""
    layers = spec["layer"]
    assert isinstance(layers, list)
    return next(layer["data"]["values"] for layer in layers if field in layer["data"]["values"][0])


def test_each_region_has_its_point_and_its_interval(index: Index) -> None:
    spec = index_intervals.chart(index).to_dict()
    bars = {row["region"]: row for row in values_of(spec, "low")}
    low, high = index.runs.quantiles((0.05, 0.95))
    assert bars["Africa"]["low"] == pytest.approx(low[7]) and bars["Africa"]["high"] == pytest.approx(high[7])
    built = {row["region"]: row["value"] for row in values_of(spec, "what") if row["what"] == "as built"}
    assert built["North America"] == 95.0 and len(built) == 9


def test_the_rank_map_has_a_cell_for_every_region_and_rank(index: Index) -> None:
    spec = index_ranks.chart(index.runs).to_dict()
    rows = spec["layer"][0]["data"]["values"] if "data" in spec["layer"][0] else spec["data"]["values"]
    assert len(rows) == 81
    assert sum(row["part"] for row in rows if row["region"] == "MENA") == pytest.approx(1, abs=0.001)


def test_bounds_of_weights_are_drawn_and_never_a_point(index: Index) -> None:
    found = weighed(index, (15.0,))
    bars = values_of(index_weights.chart(index, found).to_dict(), "low")
    assert {row["group"]: (row["low"], row["high"]) for row in bars} == {
        f"{index.framework.group(b.group).name} ({b.group})": (b.low, b.high) for b in found.bounds
    }


@pytest.mark.parametrize("ending", ["svg", "png", "json"])
def test_a_chart_alone_says_release_reading_map_and_absence(index: Index, tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"index.{ending}"
    index_intervals.save_intervals(index, path)
    if ending == "png":
        assert path.read_bytes().startswith(b"\x89PNG")
        return
    text = path.read_text() if ending == "svg" else json.dumps(json.loads(path.read_text()))
    for word in (index.release.release_id[:12], "telemetry", "north-africa-in-africa-2026", "traffic 25%"):
        assert word in text


def test_an_unknown_ending_is_answered_with_those_that_there_are(index: Index, tmp_path: Path) -> None:
    with pytest.raises(IndexRefusal, match=r"written as \.svg, \.png or \.json"):
        index_ranks.save_ranks(index, index.runs, tmp_path / "ranks.gif")
