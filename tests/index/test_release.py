"""A release is a hash of everything that made it; a difference between two is divided among its causes."""

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.index.framework import Framework, Group, Indicator, Vintage
from tidegate.index.release import PARTS, changed_parts, diff, digest, provenance, release
from tidegate.index.table import IMPUTED, IndexRefusal, Table


def parts(**changes: Any) -> dict[str, Any]:
    given_ = {
        "snapshot": np.array([[1.0, math.nan], [0.1, 3.0]]),
        "framework": Group(code="index"),
        "region_map": {"FRA": "Europe", "USA": "North America"},
        "spec": {"normalisation": "leader"},
        "weights": (0.3, 0.7),
        "code_version": "1.0.0",
        "seed": 7,
    }
    return {**given_, **changes}


def test_the_same_inputs_give_the_same_release_whatever_the_order_of_the_map():
    again = parts(region_map={"USA": "North America", "FRA": "Europe"})
    assert release(parts()) == release(again)


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("snapshot", np.array([[1.0, 0.0], [0.1, 3.0]])),
        ("snapshot", np.array([1.0, math.nan, 0.1, 3.0])),
        ("snapshot", np.array([[1.0, math.nan], [np.nextafter(0.1, 1), 3.0]])),
        ("framework", Group(code="index", weight=2.0)),
        ("seed", 8),
    ],
)
def test_any_change_gives_another_release_and_says_which_part(part, value):
    """Missing is not zero, a shape is not another, and the last bit counts."""
    before, after = release(parts()), release(parts(**{part: value}))
    assert before.release_id != after.release_id
    assert changed_parts(before, after) == (part,)


def test_a_release_without_all_of_its_parts_is_refused():
    some = parts()
    del some["seed"]
    with pytest.raises(IndexRefusal, match="check seed"):
        release(some)
    with pytest.raises(IndexRefusal, match="object has no canonical form"):
        digest(object())


def score(inputs) -> np.ndarray:
    """An index in which the causes interact."""
    return inputs["data"] * inputs["weights"] ** inputs["method"] + inputs["map"]


BEFORE = {"data": np.array([1.0, 4.0]), "method": 1.0, "weights": 2.0, "map": 0.0}
AFTER = {"data": np.array([3.0, 5.0]), "method": 2.0, "weights": 3.0, "map": 10.0}


def test_a_stated_order_changes_one_cause_after_the_other():
    found = diff(BEFORE, AFTER, score, ["data", "method", "weights", "map"])
    assert {cause: values.tolist() for cause, values in found.by_cause.items()} == {
        "data": [6.0 - 2.0, 10.0 - 8.0],
        "method": [12.0 - 6.0, 20.0 - 10.0],
        "weights": [27.0 - 12.0, 45.0 - 20.0],
        "map": [10.0, 10.0],
    }
    assert found.how == "data, method, weights, map"


def test_shapley_is_the_mean_over_all_orders():
    import itertools

    orders = list(itertools.permutations(BEFORE))
    found = diff(BEFORE, AFTER, score)
    for cause in BEFORE:
        mean = sum(diff(BEFORE, AFTER, score, order).by_cause[cause] for order in orders) / len(orders)
        assert found.by_cause[cause] == pytest.approx(mean)


@given(st.lists(st.floats(-5, 5), min_size=8, max_size=8))
def test_the_causes_add_up_to_the_change(numbers):
    names = ("data", "method", "weights", "map")
    before, after = dict(zip(names, numbers[:4], strict=True)), dict(zip(names, numbers[4:], strict=True))

    def index(x):
        return np.array([x["data"] * x["weights"] + math.sin(x["method"]) * x["map"]])

    found = diff(before, after, index)
    assert sum(found.by_cause.values()) == pytest.approx(found.total, abs=1e-9)


def test_causes_must_be_the_same_on_both_sides():
    with pytest.raises(IndexRefusal, match="the same causes"):
        diff(BEFORE, {"data": 1.0}, score)


def test_every_number_leads_to_its_source_and_a_gap_to_none():
    framework = Framework(
        name="t",
        groups=(Group(code="i"),),
        indicators=(
            Indicator(
                code="a", parent="i", unit="score", source="ITU", licence="CC-BY", vintage=Vintage(period="2025")
            ),
            Indicator(code="b", parent="i", unit="score", source="IMF"),
        ),
    )
    table = Table.of(["FRA", "USA"], ["a", "b"], [[1.0, math.nan], [2.0, 3.0]])
    table = table.with_values(np.array([[1.5, math.nan], [2.0, 3.0]]), mark=IMPUTED)
    document = provenance(framework, table, np.array([50.0, math.nan]), release(parts()))
    json.dumps(document, allow_nan=False)
    entities = document["entity"]
    used = {
        (link["prov:generatedEntity"].rsplit("/", 1)[1], *link["prov:usedEntity"].split("/")[-2:])
        for link in document["wasDerivedFrom"].values()
    }
    assert used == {("FRA", "a", "FRA"), ("USA", "a", "USA"), ("USA", "b", "USA")}
    cell = next(entities[name] for name in entities if name.endswith("/a/FRA"))
    assert cell == {"tg:value": 1.5, "tg:marks": ["imputed"], "tg:vintage": "2025", "tg:licence": "CC-BY"}
    assert set(document["agent"]) == {"tg:source/ITU", "tg:source/IMF"}
    for link in [*document["wasDerivedFrom"].values(), *document["wasGeneratedBy"].values()]:
        for kind, name in link.items():
            assert name in document["activity" if kind == "prov:activity" else "entity"]
    assert len([name for name in entities if name.startswith("tg:")]) >= len(PARTS)
