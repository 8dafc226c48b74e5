"""Other plans for the same figures: elements left out, other weights, columns left alone."""

import math

import numpy as np
import pytest
from asem_files import frame, needs_asem

from tidegate.index.chain import Given, Plan, build
from tidegate.index.framework import Framework, Group, Indicator, Size
from tidegate.index.normalise import Normalisation
from tidegate.index.outliers import Treatment
from tidegate.index.table import IndexRefusal, Table


@needs_asem
def test_a_dropped_pillar_is_one_word_of_the_plan():
    from asem_tables import framework, labels, sizes, table

    _, columns, scores = frame("drop_pillar_scores")
    given_ = Given(sizes=sizes(), labels=labels("EurAsia_group"))
    for pillar in ("Physical", "Social"):
        plan = Plan(steps=("denominate", "impute", "treat"), impute="group_mean", drop=(pillar,))
        built = build(framework(), table("step0_raw_indicators"), plan, given_)
        assert built.of("Index") == pytest.approx(scores[:, columns.index(pillar)], rel=1e-9)


def small() -> tuple[Framework, Table, Given]:
    framework = Framework(
        name="small",
        groups=(Group(code="index"), Group(code="use", parent="index", weight=3), Group(code="means", parent="index")),
        indicators=(
            Indicator(code="users", parent="use", unit="users", kind="extensive", denominator="people"),
            Indicator(code="visits", parent="use", unit="users", kind="extensive"),
            Indicator(code="score", parent="means", unit="score"),
        ),
        sizes=(Size(code="people", unit="persons"),),
    )
    values = [[10.0, 4.0, 1.0], [30.0, math.nan, 3.0], [20.0, 8.0, 2.0]]
    sizes = Table.of(["A", "B", "C"], ["people"], [[10.0], [10.0], [40.0]])
    return framework, Table.of(["A", "B", "C"], ["users", "visits", "score"], values), Given(sizes=sizes)


# users per person 1, 3, 0.5 -> 20, 100, 0; visits 4, -, 8 -> 0, -, 100; score -> 0, 100, 50
USE, MEANS = np.array([10.0, 100.0, 50.0]), np.array([0.0, 100.0, 50.0])


def test_a_small_index_by_hand():
    framework, table, given_ = small()
    built = build(framework, table, Plan(steps=("denominate",)), given_)
    assert built.of("index") == pytest.approx((3 * USE + MEANS) / 4)
    assert built.ranks.tolist() == [3, 1, 2]
    strict = build(framework, table, Plan(steps=("denominate",), threshold=1.0), given_)
    assert np.isnan(strict.of("index")).tolist() == [False, True, False]


def test_weights_by_rule_and_one_by_one():
    framework, table, given_ = small()
    steps = ("denominate",)
    equal = build(framework, table, Plan(steps=steps, weighing="equal", weights={"means": 2.0}), given_)
    assert equal.of("index") == pytest.approx((USE + 2 * MEANS) / 3)
    count = build(framework, table, Plan(steps=steps, weighing="count"), given_)
    assert count.of("index") == pytest.approx((2 * USE + MEANS) / 3)


def test_an_indicator_that_says_so_is_not_treated():
    values = [[float(x), float(x)] for x in (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 1000)]
    units = [f"u{n}" for n in range(len(values))]
    framework = Framework(
        name="t",
        groups=(Group(code="i"),),
        indicators=(
            Indicator(code="a", parent="i", unit="score"),
            Indicator(code="b", parent="i", unit="score", treatment="none"),
        ),
    )
    plan = Plan(steps=("treat",), treatment=Treatment(), normalisation=Normalisation(name="none"))
    built = build(framework, Table.of(units, ["a", "b"], values), plan)
    assert built.of("a").max() == 10.0
    assert built.of("b").max() == 1000.0


def test_nothing_left_is_refused():
    framework, table, given_ = small()
    with pytest.raises(IndexRefusal, match="nothing of index is left"):
        build(framework, table, Plan(drop=("use", "means")), given_)
