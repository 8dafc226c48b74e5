"""The chain end to end: the reference set from raw values to ranks, and what each stage says it did."""

import math
from pathlib import Path

import numpy as np
import pytest
from asem_files import needs_asem
from asem_tables import framework as asem_framework
from asem_tables import labels, sizes
from asem_tables import table as asem_table

from tidegate.index.chain import Given, Plan, build, interval, read_plan
from tidegate.index.evidence import RegionMap
from tidegate.index.framework import parse_framework
from tidegate.index.normalise import Normalisation
from tidegate.index.screen import Screening
from tidegate.index.table import IndexRefusal, Table

NAN = math.nan
REFERENCE = Plan(steps=("denominate", "impute", "screen", "treat"), impute="group_mean", screening=Screening(data=0.9))


@needs_asem
def test_the_reference_chain_comes_out_of_raw_values() -> None:
    given = Given(sizes=sizes(), labels=labels("EurAsia_group"))
    built = build(asem_framework(), asem_table("step0_raw_indicators"), REFERENCE, given)
    files = ["step0_raw_indicators", "step1_denominated", "step2_imputed_groupmean", "", "step4_treated"]
    for stage, file in zip(built.stages, [*files, "step5_normalised_minmax_0_100"], strict=True):
        if file:
            np.testing.assert_allclose(stage.table.values, asem_table(file).values, rtol=1e-9, atol=1e-9)
    expected = asem_table("step6_aggregated_amean")
    for code in expected.indicators:
        np.testing.assert_allclose(built.of(code), expected.column(code), rtol=1e-9, atol=1e-9)
    placed = asem_table("step7_results_ranks").pick(units=built.units)
    assert built.ranks.tolist() == placed.column("Index").tolist()
    assert built.units[int(built.ranks.argmin())] == "CHE"


FRAMEWORK = parse_framework(
    """
name: small
groups: [{code: top}, {code: a, parent: top, weight: 3}, {code: b, parent: top}, {code: c, parent: top, absent: true}]
indicators:
  - {code: x, parent: a, unit: persons, kind: extensive}
  - {code: y, parent: a, unit: persons, kind: extensive, weight: 3}
  - {code: z, parent: b, unit: score, base: people}
sizes: [{code: people, unit: persons}]
"""
)
ROWS = Table.of(["p", "q", "r", "s"], ["x", "y", "z"], [[1, 10, 0.2], [3, 30, 0.4], [8, NAN, 0.3], [NAN, 20, NAN]])
PEOPLE = Table.of(["p", "q", "r", "s"], ["people"], [1, 3, 5, 7])
MAP = RegionMap(name="two", regions={"p": "N", "q": "N", "r": "S", "s": "S"})


def test_countries_become_regions_before_they_are_normalised() -> None:
    plan = Plan(steps=("regions",), normalisation=Normalisation(name="ratio"), leader=True)
    built = build(FRAMEWORK, ROWS, plan, Given(sizes=PEOPLE, region_map=MAP))
    assert built.units == ("N", "S")
    # x 4 and 8, y 40 and 20, z (0.2 + 3 * 0.4) / 4 = 0.35 and 0.3
    north = 3 / 4 * (1 / 4 * 4 / 8 + 3 / 4 * 1) + 1 / 4 * 1
    south = 3 / 4 * (1 / 4 * 1 + 3 / 4 * 20 / 40) + 1 / 4 * 0.3 / 0.35
    assert built.of("top").tolist() == pytest.approx([north, south])
    assert built.ranks.tolist() == [1, 2]
    assert built.leader is not None
    assert built.leader.tolist() == pytest.approx([100, 100 * south / north])
    assert built.stages[1].said == ("map two",)


def test_weights_of_the_plan_replace_those_of_the_framework() -> None:
    plan = Plan(steps=(), normalisation=Normalisation(name="ratio"), weights={"a": 1, "b": 1})
    built = build(FRAMEWORK, ROWS, plan)
    assert built.of("top")[0] == pytest.approx((1 / 4 * 1 / 8 + 3 / 4 * 1 / 3) / 2 + 0.5 / 2)
    with pytest.raises(IndexRefusal, match="the plan weighs 'c', which has no data"):
        build(FRAMEWORK, ROWS, Plan(steps=(), weights={"c": 1}))
    with pytest.raises(IndexRefusal, match="-1"):
        build(FRAMEWORK, ROWS, Plan(steps=(), weights={"a": -1}))


def test_the_interval_is_of_the_weights_and_holds_the_index() -> None:
    """Two children at 0 and 100 with weights of 1 +/- 25 percent: their mean lies in 37.5 .. 62.5, mostly inside."""
    made = parse_framework(
        "name: t\ngroups: [{code: top}]\nindicators: [{code: x, parent: top, unit: score}, "
        "{code: y, parent: top, unit: score}]"
    )
    table = Table.of(["a", "b", "c"], ["x", "y"], [[0, 1], [1, 0], [1, 1]])
    built = build(made, table, Plan(steps=()))
    low, high = interval(built, made, Plan(), runs=4000)
    # a = 100 w2 / (w1 + w2), both even on 0.75 .. 1.25: by a fine grid
    grid = np.linspace(0.75, 1.25, 400)
    shares = np.sort((100 * grid[:, None] / (grid[:, None] + grid[None, :])).ravel())
    assert low[0] == pytest.approx(shares[int(0.05 * len(shares))], abs=0.5)
    assert high[0] == pytest.approx(shares[int(0.95 * len(shares))], abs=0.5)
    assert (low[2], high[2]) == pytest.approx((100, 100))
    again = interval(built, made, Plan(), runs=4000)
    assert (again[0] == low).all()


def test_each_stage_says_what_it_did() -> None:
    plan = Plan(steps=("screen", "impute"), impute="column_mean", screening=Screening(keep=("s",)))
    built = build(FRAMEWORK, ROWS, plan)
    said = {stage.step: stage.said for stage in built.stages}
    assert said["raw"] == ("3 cells missing",)
    assert said["screen"] == ("s in by decision",)
    assert said["impute"] == ("column_mean: 3 cells filled, 0 left missing",)
    out = build(FRAMEWORK, ROWS, Plan(steps=("screen",)))
    assert out.stages[1].said == ("s out, 33% of indicators present",)
    assert out.units == ("p", "q", "r")


@pytest.mark.parametrize(
    ("plan", "said"),
    [
        (Plan(steps=("regions",)), "step regions: no region map is given"),
        (Plan(steps=("impute",), impute="group_mean"), "step impute: a fill by group needs labels"),
        (Plan(steps=(), normalisation=Normalisation(name="log")), "indicator x, log: a log ratio needs a floor"),
    ],
)
def test_a_step_that_lacks_something_is_named(plan: Plan, said: str) -> None:
    with pytest.raises(IndexRefusal, match=said):
        build(FRAMEWORK, ROWS, plan)


def test_a_denominator_that_nobody_gives_is_no_denominator_of_one() -> None:
    by_head = parse_framework(
        "name: h\ngroups: [{code: top}]\nindicators: [{code: x, parent: top, unit: USD, denominator: n}]\n"
        "sizes: [{code: n, unit: persons}]"
    )
    with pytest.raises(IndexRefusal, match="step denominate: indicators name denominators and no sizes are given"):
        build(by_head, Table.of(["p", "q"], ["x"], [1, 2]))


def test_a_plan_is_read_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "plan.yml"
    file.write_text("steps: [screen, treat]\nnormalisation: {name: ratio}\ntreatment: {winsorise_max: 2}\n")
    plan = read_plan(file)
    assert (plan.steps, plan.normalisation.name, plan.treatment.winsorise_max) == (("screen", "treat"), "ratio", 2)
    file.write_text("normalise: ratio\n")
    with pytest.raises(IndexRefusal, match=r"plan\.yml is no plan: .*fields are steps, impute"):
        read_plan(file)
