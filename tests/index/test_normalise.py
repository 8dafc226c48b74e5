"""Normalisations against the reference set, against plain loops, and against what each must never do."""

import math
import re

import numpy as np
import pytest
from asem_files import FOLDER, needs_asem, rows
from asem_tables import framework as asem_framework
from asem_tables import table as asem_table
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tidegate.index import normalise as n
from tidegate.index.framework import Framework, Goalposts, Group, Indicator
from tidegate.index.normalise import Normalisation, normalise, normalise_together
from tidegate.index.table import IndexRefusal, Table

NAN = math.nan


def cases(prefix: str) -> list[dict[str, str]]:
    return [row for row in rows("function_cases") if row["fn"].startswith(prefix)] if FOLDER.is_dir() else []


def numbers(text: str) -> NDArray[np.float64]:
    return np.array(
        [{"NA": NAN, "Inf": math.inf, "-Inf": -math.inf}.get(part) or float(part) for part in text.split(";")]
    )


def by_name(fn: str, text: str, x: NDArray[np.float64]) -> NDArray[np.float64]:
    """The function of ours that the reference calls `fn`."""
    p = dict(re.findall(r"(\w+)=([^;=]+?)(?=,\w+=|;|$)", text))
    pair = [float(part) for part in (p.get("l_u") or p.get("m_sd") or p.get("npara") or "0,0").split(",")]
    cap = p.get("cap_max") == "TRUE"
    direction = int(p.get("direction", "1"))
    posts = [float(part) for part in p.get("gposts", "0,1,1").split(",")]
    found = {
        "n_minmax": lambda: n.min_max(x, *pair),
        "n_zscore": lambda: n.z_score(x, *pair),
        "n_dist2max": lambda: n.distance_to_leader(x),
        "n_dist2ref": lambda: n.distance_to_reference(x, int(p["iref"]) - 1, cap=cap),
        "n_dist2targ": lambda: n.distance_to_target(x, float(p["targ"]), direction, cap=cap),
        "n_fracmax": lambda: n.ratio(x),
        "n_rank": lambda: n.rank(x),
        "n_prank": lambda: n.percentile(x),
        "n_borda": lambda: n.borda(x),
        "n_goalposts": lambda: n.goalposts(x, (posts[0], posts[1]), posts[2], direction),
        "n_scaled": lambda: n.scaled(x, pair[0], pair[1], float(p.get("scale", 100))),
    }[fn]()
    return np.asarray(found)


@needs_asem
@pytest.mark.parametrize("case", cases("n_"), ids=lambda row: f"{row['fn']} {row['params']} {row['x'][:8]}")
def test_each_function_gives_the_reference_value(case: dict[str, str]) -> None:
    found = by_name(case["fn"], case["params"], numbers(case["x"]))
    np.testing.assert_allclose(found, numbers(case["expected"]), rtol=1e-9, atol=1e-9)


@needs_asem
@pytest.mark.parametrize(
    ("file", "spec"),
    [
        ("step5_normalised_minmax_0_100", Normalisation(name="min_max", low=0, high=100)),
        ("variant_normalised_zscore_10_2", Normalisation(name="z_score", mean=10, sd=2)),
    ],
)
def test_the_reference_set_is_normalised_to_the_last_digit(file: str, spec: Normalisation) -> None:
    found = normalise(asem_table("step4_treated"), asem_framework(), spec)
    expected = asem_table(file)
    assert found.indicators == expected.indicators
    np.testing.assert_allclose(found.values, expected.values, rtol=1e-9, atol=1e-9)


def one(direction: int = 1, *, target: float | None = None, posts: tuple[float, float] | None = None) -> Framework:
    """A framework of one indicator `x`."""
    return Framework(
        name="one",
        groups=(Group(code="index"),),
        indicators=(
            Indicator(
                code="x",
                parent="index",
                unit="ratio",
                direction=1 if direction == 1 else -1,
                target=target,
                goalposts=Goalposts(low=posts[0], high=posts[1]) if posts else None,
            ),
        ),
    )


def column(*values: float) -> Table:
    return Table.of([f"u{number}" for number in range(len(values))], ["x"], list(values))


values_of_units = st.lists(st.integers(1, 1000), min_size=3, max_size=20).filter(lambda xs: len(set(xs)) > 1)
EVERY_DIRECTION = ("min_max", "z_score", "rank", "borda", "percentile", "distance_to_leader", "scaled", "none")


@pytest.mark.parametrize("name", [*EVERY_DIRECTION, "goalposts", "distance_to_target", "distance_to_reference"])
@pytest.mark.parametrize("direction", [1, -1])
@given(xs=values_of_units)
def test_a_better_unit_never_scores_lower(name: str, direction: int, xs: list[int]) -> None:
    """What is better is the direction's to say, whatever the formula."""
    better = [direction * x for x in xs]
    spec = Normalisation(
        name=name,  # type: ignore[arg-type]
        low=1 if name == "scaled" else 0,
        reference=f"u{better.index(max(better))}",
        target=max(xs) if direction == 1 else min(xs),
        posts_low=5,
        posts_high=500,
    )
    z = normalise(column(*xs), one(direction), spec).values[:, 0]
    for i in range(len(xs)):
        for j in range(len(xs)):
            if better[i] > better[j]:
                assert z[i] > z[j] or (name == "goalposts" and z[i] == z[j])


@pytest.mark.parametrize("name", ["ratio", "share", "root", "log"])
@given(xs=values_of_units)
def test_a_larger_amount_never_scores_lower(name: str, xs: list[int]) -> None:
    z = normalise(column(*xs), one(), Normalisation(name=name, floor=0.5)).values[:, 0]  # type: ignore[arg-type]
    assert list(np.argsort(xs, kind="stable")) == list(np.argsort(z, kind="stable"))


@pytest.mark.parametrize("name", ["ratio", "share", "root", "log"])
def test_a_proportion_of_what_is_better_low_is_refused(name: str) -> None:
    """-x / max(-x) is x / min(x): the worst would score best."""
    with pytest.raises(IndexRefusal, match=f"indicator x, {name}: less of it is better.*use min_max"):
        normalise(column(1, 2, 4), one(-1), Normalisation(name=name, floor=0.5))  # type: ignore[arg-type]


def test_the_letter_of_the_formula_can_be_asked_for() -> None:
    z = normalise(column(1, 2, 4), one(-1), Normalisation(name="ratio", as_written=True)).values[:, 0]
    assert list(z) == [1, 2, 4]


@pytest.mark.parametrize("name", sorted(n.NEED_SPREAD))
def test_a_constant_column_is_named(name: str) -> None:
    """COINr warns and returns NaN, which vanishes into the mean."""
    with pytest.raises(IndexRefusal, match=r"indicator x.*every present value is 7"):
        normalise(column(7, NAN, 7), one(), Normalisation(name=name, reference="u0"))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        (Normalisation(name="log"), "needs a floor"),
        (Normalisation(name="log", floor=9), "below the largest value"),
        (Normalisation(name="goalposts"), "no goalposts"),
        (Normalisation(name="distance_to_target"), "no target"),
        (Normalisation(name="distance_to_target", target=1), "target 1 must be above the smallest value, 1"),
        (Normalisation(name="distance_to_reference"), "reference '' is no unit; there are u0, u1, u2"),
        (Normalisation(name="distance_to_reference", reference="u0"), "u0 is itself the worst"),
        (Normalisation(name="distance_to_reference", reference="u1"), "u1 has no value"),
        (Normalisation(name="scaled", low=3, high=3), "ends must differ"),
    ],
)
def test_what_a_method_lacks_is_said(spec: Normalisation, said: str) -> None:
    with pytest.raises(IndexRefusal, match=said):
        normalise(column(1, NAN, 4), one(), spec)


def test_signed_amounts_have_no_proportion() -> None:
    with pytest.raises(IndexRefusal, match="-1 is below 0"):
        normalise(column(-1, 2), one(), Normalisation(name="ratio"))


def test_formulas_worked_by_hand() -> None:
    x = np.array([1.0, 4.0, NAN, 16.0])
    np.testing.assert_allclose(n.root_ratio(x), [0.25, 0.5, NAN, 1])
    np.testing.assert_allclose(n.log_ratio(x, 0.25), [1 / 3, 2 / 3, NAN, 1])
    np.testing.assert_allclose(n.share(x), [1 / 21, 4 / 21, NAN, 16 / 21])
    np.testing.assert_allclose(n.log_ratio(x, 2.0)[0], 0)


def test_missing_stays_missing_and_an_empty_column_stays_empty() -> None:
    table = Table.of(["a", "b"], ["x"], [NAN, NAN])
    assert normalise(table, one()).missing.all()
    assert list(normalise(column(1, NAN, 3), one()).missing[:, 0]) == [False, True, False]


def test_a_framework_states_goalposts_and_target() -> None:
    found = normalise(column(10, 30, 90), one(-1, posts=(0, 50)), Normalisation(name="goalposts", high=100))
    assert list(found.values[:, 0]) == [80, 40, 0]
    found = normalise(column(10, 30, 90), one(target=50), Normalisation(name="distance_to_target", cap=True))
    assert list(found.values[:, 0]) == [0, 0.5, 1]


def test_vintages_share_one_scale() -> None:
    """The leader of last year is not a leader again when all have doubled."""
    before, after = normalise_together([column(0, 10), column(0, 20)], one(), Normalisation(name="min_max"))
    assert list(before.values[:, 0]) == [0, 50]
    assert list(after.values[:, 0]) == [0, 100]


@given(xs=values_of_units, columns=st.integers(1, 3))
def test_columns_do_not_see_each_other(xs: list[int], columns: int) -> None:
    x = np.array(xs, dtype=float)
    block = np.column_stack([x + number * 7 for number in range(columns)])
    for function in (n.min_max, n.z_score, n.ratio, n.share, n.rank, n.percentile, n.distance_to_leader, n.root_ratio):
        together = function(block)
        for number in range(columns):
            np.testing.assert_allclose(together[:, number], function(block[:, number]))
