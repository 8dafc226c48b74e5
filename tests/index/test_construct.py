"""One call from raw figures to the index: the reference chain end to end, and variants of it."""

import math

import numpy as np
import pytest
from asem_files import frame, needs_asem, rows

from tidegate.index.construct import Construction, Imputation, construct, parse_construction
from tidegate.index.framework import Framework, Group, Indicator, Size
from tidegate.index.table import IndexRefusal, Table

REFERENCE = """
imputation: {how: group}
treatment: {winsorise_max: 5, then: log_ct}
normalisation: {name: min_max, low: 0, high: 100}
"""


def reference(text: str = REFERENCE):
    from asem_tables import framework, labels, sizes, table

    raw = table("step0_raw_indicators")
    return construct(framework(), raw, parse_construction(text), sizes=sizes(), labels=labels("EurAsia_group"))


@needs_asem
def test_the_reference_chain_from_raw_figures_to_ranks():
    built = reference()
    for step, file in {
        "denominated": "step1_denominated",
        "imputed": "step2_imputed_groupmean",
        "treated": "step4_treated",
        "normalised": "step5_normalised_minmax_0_100",
    }.items():
        units, codes, values = frame(file)
        assert built.units == tuple(units)
        found = built.steps[step].pick(indicators=codes).values
        np.testing.assert_allclose(found, values, rtol=1e-9, atol=1e-9)
    _, codes, scores = frame("step6_aggregated_amean")
    for place, code in enumerate(codes):
        assert built.column(code) == pytest.approx(scores[:, place], rel=1e-9, abs=1e-9)
    told = {row["uCode"]: int(row["Rank"]) for row in rows("step7_results_scores")}
    assert dict(zip(built.units, built.ranks.astype(int).tolist(), strict=True)) == told


@needs_asem
@pytest.mark.parametrize(
    ("change", "file"),
    [
        ("normalisation: {name: z_score, mean: 10, sd: 2}", "variant_zscore_amean_aggregated"),
        ("normalisation: {name: min_max, low: 1, high: 100}\naggregation: [geometric]", None),
    ],
)
def test_variants_are_one_line_of_the_specification(change, file):
    file = file or "variant_minmax1_100_gmean_aggregated"
    kept = [line for line in REFERENCE.splitlines() if not line.startswith("normalisation")]
    built = reference("\n".join([*kept, change]))
    _, codes, scores = frame(file)
    assert built.index == pytest.approx(scores[:, codes.index("Index")], rel=1e-9)


@needs_asem
def test_a_dropped_pillar_is_one_word():
    _, columns, scores = frame("drop_pillar_scores")
    for pillar in ("Physical", "Social"):
        built = reference(f"{REFERENCE}drop: [{pillar}]")
        assert built.index == pytest.approx(scores[:, columns.index(pillar)], rel=1e-9)


def small() -> tuple[Framework, Table]:
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
    return framework, Table.of(["A", "B", "C"], ["users", "visits", "score"], values)


def test_a_small_index_by_hand():
    framework, table = small()
    sizes = Table.of(["A", "B", "C"], ["people"], [[10.0], [10.0], [40.0]])
    built = construct(framework, table, sizes=sizes)
    # users per person 1, 3, 0.5 -> 20, 100, 0; visits 4, -, 8 -> 0, -, 100; score -> 0, 100, 50
    use, means = [10.0, 100.0, 50.0], [0.0, 100.0, 50.0]
    expected = [(3 * a + b) / 4 for a, b in zip(use, means, strict=True)]
    assert built.index.tolist() == pytest.approx(expected)
    assert built.ranks.tolist() == [3, 1, 2]
    strict = construct(framework, table, Construction(threshold=1.0), sizes=sizes)
    assert np.isnan(strict.index).tolist() == [False, True, False]


def test_equal_weights_and_single_changes():
    framework, table = small()
    spec = Construction(
        denominated=False, imputation=Imputation(how="column"), weighing="equal", changes={"means": 2.0}
    )
    built = construct(framework, table, spec)
    use = built.column("use")
    assert built.index == pytest.approx((use + 2 * built.column("means")) / 3)


def test_a_unit_with_too_little_is_left_out_before_gaps_are_filled():
    """After filling, every unit would pass."""
    framework, table = small()
    spec = parse_construction("denominated: false\nscreening: {data: 0.9}\nimputation: {how: column}")
    built = construct(framework, table, spec)
    assert built.units == ("A", "C")
    assert [held.unit for held in built.screened] == ["A", "B", "C"]


def test_refusals_name_what_is_missing():
    framework, table = small()
    with pytest.raises(IndexRefusal, match="users has a denominator, and no sizes are given"):
        construct(framework, table)
    with pytest.raises(IndexRefusal, match="by group needs the units' labels"):
        construct(framework, table, Construction(denominated=False, imputation=Imputation(how="group")))
    with pytest.raises(IndexRefusal, match=r"cannot be used.*normalization"):
        parse_construction("normalization: {name: rank}")
