"""A plan with its alternatives as one model to vary: any framework, any table, every choice at once.

Figures are perturbed after denominators and imputation, so treatment and normalisation are redone in every run.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import numpy as np

from tidegate.index.aggregate import method
from tidegate.index.chain import Given, ImputeName, Plan, build, weighed
from tidegate.index.choices import Choice, Input, Model, perturbed_weights
from tidegate.index.framework import Framework
from tidegate.index.impute import multiple
from tidegate.index.normalise import Normalisation, normalise
from tidegate.index.outliers import Treatment, treat
from tidegate.index.stack import Step, minmax, winsorise, zscore
from tidegate.index.table import IMPUTED, IndexRefusal, Table
from tidegate.index.tree import Floats

T = TypeVar("T")


class Alternatives(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What else each step of the plan could be; empty leaves the plan's own alone.

    treatments: only where the plan treats. weights: each varies by up to this part of itself. weight_sets: how many
    sets are drawn. errors: how many sets of data errors are drawn, from each indicator's error_cv and each cell's
    bounds; 0 for none. dependence: correlation of the errors of one provider's indicators, for one unit. completions:
    how many times the gaps are filled by drawing (`multiple`), each a way of imputation beside the plan's.
    """

    imputations: tuple[ImputeName, ...] = ()
    treatments: tuple[Treatment, ...] = ()
    normalisations: tuple[Normalisation, ...] = ()
    aggregations: tuple[tuple[str, ...], ...] = ()
    weights: float = 0.25
    weight_sets: int = 1000
    errors: int = 1000
    dependence: float = 0.0
    completions: int = 0
    seed: int = 0


def model_of(
    framework: Framework, table: Table, plan: Plan, others: Alternatives, given: Given | None = None
) -> tuple[Model, tuple[str, ...]]:
    """The model whose nominal run is the plan's index, and the units it ranks.

    Raises IndexRefusal from the step that cannot be done, and where a plan treats before its figures are complete.
    """
    if "treat" in plan.steps and plan.steps[-1] != "treat":
        raise IndexRefusal(f"To vary a plan, treat last; its steps are {', '.join(plan.steps)}.")
    tree, weights = weighed(framework, plan)
    filled = unique(plan.impute, others.imputations)
    tables = {(str(way),): before_treatment(framework, table, plan, way, given) for way in filled}
    if others.completions:
        gaps = before_treatment(framework, table, plan, "none", given)
        tables |= {(f"drawn {n + 1}",): drawn for n, drawn in enumerate(completed(gaps, others))}
    ways = tuple(way for (way,) in tables)
    first = tables[ways[0],]
    if any(held.units != first.units for held in tables.values()):
        raise IndexRefusal("The alternatives keep different units; screen before imputing.")
    stages: list[tuple[str, dict[str, Step]]] = []
    if "treat" in plan.steps:
        treatments = unique(plan.treatment, others.treatments)
        stages.append(("treatment", {label(spec): treatment_step(spec, first, framework) for spec in treatments}))
    scales = unique(plan.normalisation, others.normalisations)
    steps = {label(spec): normalisation_step(spec, first, framework, plan) for spec in scales}
    stages.append(("normalisation", steps))
    means = unique(plan.aggregation, others.aggregations)
    made = Model(
        tree=tree,
        starts=(Choice("imputation", ways),),
        inputs={way: with_error_model(held, framework, others) for way, held in tables.items()},
        stages=tuple(stages),
        aggregations={" / ".join(names): tuple(method(name) for name in names) for names in means},
        weight_sets=perturbed_weights(tree, weights, others.weight_sets, others.seed, others.weights),
        error_draws=others.errors,
        leader=plan.leader,
        threshold=plan.threshold,
        seed=others.seed,
    )
    return made, first.units


def read_alternatives(file: Path) -> Alternatives:
    """Alternatives from YAML. Raises IndexRefusal with file and field."""
    try:
        return msgspec.yaml.decode(file.read_bytes() or b"{}", type=Alternatives)
    except OSError as error:
        raise IndexRefusal(f"{file} cannot be read: {error.strerror}") from error
    except msgspec.MsgspecError as error:
        fields = ", ".join(Alternatives.__struct_fields__)
        raise IndexRefusal(f"{file} states no alternatives: {error}; fields are {fields}") from error


def unique(own: T, others: tuple[T, ...]) -> tuple[T, ...]:
    """The plan's own first, the nominal one, then what differs from it."""
    return (own, *(other for place, other in enumerate(others) if other != own and other not in others[:place]))


def before_treatment(framework: Framework, table: Table, plan: Plan, way: ImputeName, given: Given | None) -> Table:
    """The table as treatment finds it, filled in one way."""
    changes: dict[str, Any] = {
        "steps": tuple(step for step in plan.steps if step != "treat"),
        "impute": way,
        "normalisation": Normalisation(name="none"),
        "by_indicator": {},
        "aggregation": ("arithmetic",),
    }
    return build(framework, table, msgspec.structs.replace(plan, **changes), given).stages[-2].table


def completed(table: Table, others: Alternatives) -> tuple[Table, ...]:
    """The table with its gaps drawn, several times; bounds stay bounds."""
    drawn = multiple(table, others.completions, others.seed)
    held = [np.where(table.missing, values, table.values) for values in drawn]
    return tuple(table.with_values(values, mark=IMPUTED, keep_bounds=True) for values in held)


def with_error_model(table: Table, framework: Framework, others: Alternatives) -> Input:
    """Errors as the framework states them; an indicator without error_cv is taken as exact."""
    indicators = [framework.indicator(code) for code in table.indicators]
    cv = np.array([indicator.error_cv or 0.0 for indicator in indicators])
    names = list(dict.fromkeys(indicator.source for indicator in indicators))
    return Input(
        values=table.values,
        cv=np.broadcast_to(cv, table.values.shape) if cv.any() else None,
        low=table.low,
        high=table.high,
        source=np.array([names.index(indicator.source) for indicator in indicators]),
        dependence=others.dependence,
    )


def treatment_step(spec: Treatment, table: Table, framework: Framework) -> Step:
    """The treatment on a stack of runs: all at once where the stack has the step, else one run after another."""
    alone = {code: None for code in table.indicators if framework.indicator(code).treatment == "none"}
    plain = spec.winsorise_max is not None and not spec.combine and not spec.always
    if plain and not alone and spec.winsorise_max is not None and spec.then in ("log_ct", "log_ct_plus"):
        mirror = spec.then == "log_ct_plus"
        return winsorise(spec.winsorise_max, spec.limits.skew, spec.limits.kurtosis, mirror=mirror)
    return one_by_one(table, lambda run: treat(run, spec, alone)[0])


def normalisation_step(spec: Normalisation, table: Table, framework: Framework, plan: Plan) -> Step:
    """The normalisation on a stack of runs, as `treatment_step`."""
    direction: Floats = np.array([float(framework.indicator(code).direction) for code in table.indicators])
    if not plan.by_indicator:
        if spec.name == "min_max":
            return minmax(spec.low, spec.high, direction)
        if spec.name == "z_score":
            return zscore(spec.mean, spec.sd, direction)
    return one_by_one(table, lambda run: normalise(run, framework, spec, plan.by_indicator))


def one_by_one(table: Table, step: Callable[[Table], Table]) -> Step:
    """A step for one table, on each run of a stack."""

    def stacked(stack: Floats) -> Floats:
        return np.stack([step(Table.of(table.units, table.indicators, run)).values for run in stack])

    return stacked


def label(spec: Treatment | Normalisation) -> str:
    """An option's name: its settings that differ from the default ones."""
    default = type(spec)()
    shown = [
        f"{field} {getattr(spec, field)}"
        for field in spec.__struct_fields__
        if getattr(spec, field) != getattr(default, field)
    ]
    return ", ".join(shown) or "default"
