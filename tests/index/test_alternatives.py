"""A plan and what else it could be: each combination of options is the plan with those options."""

import msgspec
import numpy as np
import pytest

from tidegate.index.alternatives import Alternatives, model_of
from tidegate.index.chain import Plan, build
from tidegate.index.choices import nominal, scores
from tidegate.index.framework import Framework, Group, Indicator
from tidegate.index.normalise import Normalisation
from tidegate.index.outliers import Treatment
from tidegate.index.sensitivity import sensitivity
from tidegate.index.table import IndexRefusal, Table, bounded
from tidegate.index.uncertainty import vary

FRAMEWORK = Framework(
    name="t",
    groups=(Group(code="i"), Group(code="g", parent="i", weight=2), Group(code="h", parent="i")),
    indicators=(
        Indicator(code="a", parent="g", unit="score", error_cv=0.1, source="ITU"),
        Indicator(code="b", parent="g", unit="score", direction=-1, source="ITU"),
        Indicator(code="c", parent="h", unit="score", source="IMF"),
    ),
)
UNITS = [f"u{n}" for n in range(12)]


def table() -> Table:
    values = np.random.default_rng(6).lognormal(2, 1.2, (12, 3))
    values[3, 0] = values[7, 2] = np.nan
    return Table.of(UNITS, ["a", "b", "c"], values)


PLAN = Plan(
    steps=("impute", "treat"), impute="column_mean", normalisation=Normalisation(low=1, high=100), treatment=Treatment()
)
OTHERS = Alternatives(
    imputations=("column_median",),
    treatments=(Treatment(winsorise_max=1), Treatment(winsorise_max=0, then="log_ct"), Treatment(combine=True)),
    normalisations=(Normalisation(name="z_score", mean=100, sd=10), Normalisation(name="percentile", as_written=True)),
    aggregations=(("geometric", "arithmetic"),),
    weight_sets=1,
    errors=0,
)


def test_every_combination_of_options_is_the_plan_with_those_options():
    model, units = model_of(FRAMEWORK, table(), PLAN, OTHERS)
    assert units == tuple(UNITS)
    imputations = (PLAN.impute, *OTHERS.imputations)
    treatments = (PLAN.treatment, *OTHERS.treatments)
    normalisations = (PLAN.normalisation, OTHERS.normalisations[0])
    means = (PLAN.aggregation, *OTHERS.aggregations)
    for i, how in enumerate(imputations):
        for t, treatment in enumerate(treatments):
            for n, normalisation in enumerate(normalisations):
                for m, mean in enumerate(means):
                    plan = msgspec.structs.replace(
                        PLAN, impute=how, treatment=treatment, normalisation=normalisation, aggregation=mean
                    )
                    found = scores(model, np.array([[i, t, n, m, 0]]))[0]
                    assert found == pytest.approx(build(FRAMEWORK, table(), plan).of("i"), rel=1e-9)


def test_the_nominal_run_is_the_plans_own_index():
    model, _ = model_of(FRAMEWORK, table(), PLAN, Alternatives(errors=50, weight_sets=50))
    assert nominal(model) == pytest.approx(build(FRAMEWORK, table(), PLAN).of("i"))


def test_only_what_has_an_error_or_bounds_varies():
    bounds = {("u0", "c"): (1.0, 60.0)}
    model, _ = model_of(FRAMEWORK, bounded(table(), bounds), PLAN, Alternatives(weight_sets=1, errors=20))
    (start,) = model.inputs.values()
    assert start.cv is not None
    assert (start.cv[0] == [0.1, 0.0, 0.0]).all()
    assert (start.low[0, 2], start.high[0, 2]) == (1.0, 60.0)
    found = vary(model, 200, seed=1)
    assert found.score.high[0] - found.score.low[0] > 10  # c of u0 lies anywhere from 1 to 60
    exact = model_of(FRAMEWORK, table(), PLAN, Alternatives(weight_sets=1, errors=0))[0]
    assert vary(exact, 20, seed=1).score.high == pytest.approx(nominal(exact))


def test_sensitivity_names_the_plans_steps():
    others = msgspec.structs.replace(OTHERS, aggregations=(), normalisations=OTHERS.normalisations[:1])
    found = sensitivity(model_of(FRAMEWORK, table(), PLAN, others)[0], 32, seed=1, draws=10)
    assert found.rank_shift.factors == ("imputation", "treatment", "normalisation", "aggregation", "weights")
    assert found.score.total[3:] == pytest.approx(np.zeros((2, 12)))


def test_a_plan_that_treats_before_imputing_cannot_be_varied():
    plan = msgspec.structs.replace(PLAN, steps=("treat", "impute"))
    with pytest.raises(IndexRefusal, match="treat last; its steps are treat, impute"):
        model_of(FRAMEWORK, table(), plan, OTHERS)


def test_gaps_that_are_drawn_are_alternatives_of_the_fill():
    """One fill pretends to know; several draws show in the interval of the unit that has the gap, and in no other's."""
    made = Table.of(UNITS, ["a", "b", "c"], np.random.default_rng(8).uniform(1, 9, (12, 3)))
    made.values[5, 0] = np.nan
    others = Alternatives(completions=20, weight_sets=1, errors=0, seed=3)
    plan = msgspec.structs.replace(PLAN, steps=("impute",), normalisation=Normalisation(name="none"))
    model, _ = model_of(FRAMEWORK, made, plan, others)
    assert model.factors[0].options == ("column_mean", *(f"drawn {n + 1}" for n in range(20)))
    found = vary(model, 400, seed=1)
    spread = found.score.high - found.score.low
    assert spread[5] > 0
    assert (np.delete(spread, 5) == 0).all()
    assert nominal(model).tolist() == pytest.approx(build(FRAMEWORK, made, plan).scores[:, -1].tolist())
