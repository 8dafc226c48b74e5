"""The whole chain for any framework: from a table of countries to scores and ranks, each step with what it changed.

A plan is data (YAML): which steps, in which order, with which settings. What the plan says is all that is done.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Final, Literal

import msgspec
import numpy as np

from tidegate.index.aggregate import aggregate, method
from tidegate.index.denominators import denominate
from tidegate.index.dropone import without
from tidegate.index.evidence import RegionMap
from tidegate.index.framework import Framework
from tidegate.index.impute import impute_column, impute_group, impute_regression, impute_row
from tidegate.index.normalise import Normalisation, normalise
from tidegate.index.outliers import Treatment, treat
from tidegate.index.regions import to_regions
from tidegate.index.scale import leader_scale, leader_scales, ranks
from tidegate.index.screen import Screening, screen
from tidegate.index.table import MARK_NAMES, IndexRefusal, Matrix, Table, Vector
from tidegate.index.tree import Tree, tree_of
from tidegate.index.weights import count_weights, equal_weights, with_weights

StepName = Literal["denominate", "impute", "screen", "treat", "regions"]
ImputeName = Literal[
    "column_mean", "column_median", "group_mean", "group_median", "row_mean", "row_median", "regression", "none"
]
RUNS_AT_ONCE: Final = 128
STEPS: Final[tuple[StepName, ...]] = ("denominate", "screen", "impute", "treat")


class Plan(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """What is done to a table. steps: in this order, before normalising and aggregating.

    impute: `group_*` needs labels of units; `row_*` goes by the groups of `impute_level`. drop: indicators and groups
    left out of the index. weighing: the framework's weights, equal ones, or each group by its number of indicators;
    weights: of single codes, instead of those. aggregation: one method for each level from the bottom, or one for all.
    threshold: smallest part of a group's children that must be present. leader: the index also with its leader at 100.
    """

    steps: tuple[StepName, ...] = STEPS
    impute: ImputeName = "none"
    impute_level: int = 2
    drop: tuple[str, ...] = ()
    screening: Screening = Screening()
    treatment: Treatment = Treatment()
    scale: Mapping[str, float] = {}
    normalisation: Normalisation = Normalisation()
    by_indicator: Mapping[str, Normalisation] = {}
    weighing: Literal["framework", "equal", "count"] = "framework"
    weights: Mapping[str, float] = {}
    aggregation: tuple[str, ...] = ("arithmetic",)
    threshold: float = 0.0
    leader: bool = False


class Given(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """What a plan may need beside the table: denominators and bases, labels of units, a region map."""

    sizes: Table | None = None
    labels: Mapping[str, str] | None = None
    region_map: RegionMap | None = None


class Stage(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """The table after a step. said: what the step did, in words, one a line."""

    step: str
    table: Table
    said: tuple[str, ...]


class Built(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """An index with every stage that led to it.

    codes: indicators, groups from the bottom, the index last; scores: (n_units, n_codes), unrounded; ranks: (n_units,)
    of the index, 1 is highest, ties share the better; leader: (n_units,) the index with its leader at 100, or None.
    """

    stages: tuple[Stage, ...]
    units: tuple[str, ...]
    codes: tuple[str, ...]
    scores: Matrix
    ranks: Vector
    leader: Vector | None

    def of(self, code: str) -> Vector:
        """(n_units,) scores of an indicator, a group or the index."""
        if code not in self.codes:
            raise IndexRefusal(f"no score {code!r}; there are {', '.join(self.codes)}")
        column: Vector = self.scores[:, self.codes.index(code)]
        return column


def read_plan(file: Path) -> Plan:
    """A plan from YAML. Raises IndexRefusal with file and field."""
    try:
        return msgspec.yaml.decode(file.read_bytes(), type=Plan)
    except OSError as error:
        raise IndexRefusal(f"{file} cannot be read: {error.strerror}") from error
    except msgspec.MsgspecError as error:
        raise IndexRefusal(f"{file} is no plan: {error}; fields are {', '.join(Plan.__struct_fields__)}") from error


def build(framework: Framework, table: Table, plan: Plan | None = None, given: Given | None = None) -> Built:
    """The index of a checked framework from raw values by a plan.

    The table has the indicators of the framework, those of absent groups apart; others are not looked at. Raises
    IndexRefusal from the step that cannot be done, named.
    """
    plan, given = plan or Plan(), given or Given()
    tree, weights = weighed(framework, plan)
    now = table.pick(indicators=tree.indicators)
    stages = [Stage(step="raw", table=now, said=_marked(now))]
    for step in plan.steps:
        try:
            now, said = _do(step, now, framework, plan, given)
        except IndexRefusal as error:
            raise IndexRefusal(f"step {step}: {error}") from error
        stages.append(Stage(step=step, table=now, said=said))
    scaled = normalise(now, framework, plan.normalisation, plan.by_indicator)
    stages.append(Stage(step="normalise", table=scaled, said=(plan.normalisation.name,)))
    methods = [method(name) for name in plan.aggregation]
    scores = aggregate(scaled.values, tree, weights, methods, plan.threshold)
    index = scores[:, -1]
    return Built(
        stages=tuple(stages),
        units=scaled.units,
        codes=tree.codes,
        scores=scores,
        ranks=ranks(index),
        leader=leader_scale(index).scores if plan.leader else None,
    )


def weighed(framework: Framework, plan: Plan) -> tuple[Tree, Vector]:
    """The tree of what has data and is not dropped, and its (n_codes,) weights."""
    tree, weights = tree_of(framework)
    if plan.drop:
        tree, weights, _ = without(tree, weights, plan.drop)
    if unknown := sorted(set(plan.weights) - set(tree.codes)):
        raise IndexRefusal(f"the plan weighs {unknown[0]!r}, which has no data; there are {', '.join(tree.codes)}")
    made = {"framework": weights, "equal": equal_weights(tree), "count": count_weights(tree)}[plan.weighing]
    return tree, with_weights(tree, made, plan.weights)


def interval(
    built: Built, framework: Framework, plan: Plan, *, runs: int = 1000, seed: int = 0, spread: float = 0.25
) -> tuple[Vector, Vector]:
    """(n_units,) 5th and 95th percentile of the index, each weight drawn evenly within `spread` of its own.

    On the scale of each run's leader where the plan says so.
    Of the weights alone: what other methods and errors of the data would change is not in it (`uncertainty`).
    """
    tree, weights = weighed(framework, plan)
    values = built.scores[:, : len(tree.indicators)]
    methods = [method(name) for name in plan.aggregation]
    rng = np.random.default_rng(seed)
    index = np.empty((runs, len(built.units)))
    for start in range(0, runs, RUNS_AT_ONCE):
        drawn = weights * rng.uniform(1 - spread, 1 + spread, (min(RUNS_AT_ONCE, runs - start), len(weights)))
        index[start : start + len(drawn)] = aggregate(values, tree, drawn, methods, plan.threshold)[..., -1]
    low, high = np.quantile(leader_scales(index) if plan.leader else index, [0.05, 0.95], axis=0)
    return low, high


def _do(step: StepName, table: Table, framework: Framework, plan: Plan, given: Given) -> tuple[Table, tuple[str, ...]]:
    if step == "denominate":
        if given.sizes is None:
            if any(framework.indicator(code).denominator for code in table.indicators):
                raise IndexRefusal("indicators name denominators and no sizes are given; give a table of them")
            return table, ()
        divided = [code for code in table.indicators if framework.indicator(code).denominator]
        found = denominate(table, framework, given.sizes, plan.scale)
        return found, tuple(f"{code} by {framework.indicator(code).denominator}" for code in divided)
    if step == "screen":
        found, units = screen(table, plan.screening)
        said = [f"{u.unit} out, {u.data:.0%} of indicators present" for u in units if not u.kept]
        return found, (*said, *(f"{u.unit} in by decision" for u in units if u.kept and u.forced))
    if step == "treat":
        alone = {code: None for code in table.indicators if framework.indicator(code).treatment == "none"}
        found, columns = treat(table, plan.treatment, alone)
        done = [
            f"{c.indicator}: {' + '.join(c.done)} {' '.join((*c.high, *c.low))}".rstrip() for c in columns if c.done
        ]
        return found, (*done, *(f"{c.indicator} still leans on few units" for c in columns if c.fails))
    if step == "regions":
        if given.region_map is None:
            raise IndexRefusal("no region map is given; name one")
        made = to_regions(table, framework, given.region_map, given.sizes)
        outside = f"outside all regions: {', '.join(made.outside)}"
        return made.table, (f"map {made.region_map}", *([outside] if made.outside else []))
    found = _imputed(table, framework, plan, given)
    filled = int(table.missing.sum() - found.missing.sum())
    return found, (f"{plan.impute}: {filled} cells filled, {int(found.missing.sum())} left missing",)


def _imputed(table: Table, framework: Framework, plan: Plan, given: Given) -> Table:
    way, _, how = plan.impute.partition("_")
    middle: Literal["mean", "median"] = "median" if how == "median" else "mean"
    if way == "column":
        return impute_column(table, middle)
    if way == "group":
        if given.labels is None:
            raise IndexRefusal("a fill by group needs labels of the units; give a column of them")
        return impute_group(table, {u: v for u, v in given.labels.items() if u in table.units}, middle)
    if way == "row":
        return impute_row(table, framework, middle, plan.impute_level)
    return impute_regression(table) if way == "regression" else table


def _marked(table: Table) -> tuple[str, ...]:
    """How many cells carry each mark."""
    counts = {name: int(((table.marks & np.uint8(mark)) > 0).sum()) for mark, name in MARK_NAMES.items()}
    missing = int(table.missing.sum())
    return tuple(f"{count} cells {name}" for name, count in {"missing": missing, **counts}.items() if count)
