"""The whole chain of one index: denominators, screening, imputation, treatment, normalisation, weights, aggregation.

A specification is data (YAML), like the framework: whoever reads both can build the same numbers. Every step's table
stays in the result, so each score can be followed down to the cell it came from.
"""

from collections.abc import Mapping
from typing import Literal

import msgspec
import numpy as np

from tidegate.index.aggregate import aggregate, method
from tidegate.index.denominators import denominate
from tidegate.index.dropone import without
from tidegate.index.framework import Framework
from tidegate.index.impute import impute_column, impute_group, impute_regression, impute_row
from tidegate.index.normalise import Normalisation, normalise
from tidegate.index.outliers import Treated, Treatment, treat
from tidegate.index.scale import leader_scales, ranks
from tidegate.index.screen import Screening, UnitData, screen
from tidegate.index.table import IndexRefusal, Table
from tidegate.index.tree import Floats, Tree, tree_of
from tidegate.index.weights import count_weights, equal_weights, with_weights

How = Literal["none", "column", "group", "row", "regression"]
Weighing = Literal["framework", "equal", "count"]


class Imputation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """how: `group` takes the units with the same label, `row` the unit's other indicators in the group."""

    how: How = "none"
    average: Literal["mean", "median"] = "mean"


class Construction(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is done, in this order; None or empty leaves a step out.

    drop: elements left out of the index. per: of how much of the denominator, by indicator. normalisations: for single
    indicators. aggregation: a method for each level from the bottom, or one for all. threshold: part of a group's
    children that a unit must have. changes: weights of single elements instead of the weighing's. leader: put the
    index on the scale of its leader (100).
    """

    drop: tuple[str, ...] = ()
    denominated: bool = True
    per: dict[str, float] = {}
    screening: Screening | None = None
    imputation: Imputation = Imputation()
    treatment: Treatment | None = None
    normalisation: Normalisation = Normalisation()
    normalisations: dict[str, Normalisation] = {}
    weighing: Weighing = "framework"
    changes: dict[str, float] = {}
    aggregation: tuple[str, ...] = ("arithmetic",)
    threshold: float = 0.0
    leader: bool = False


class Built(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """steps: the table after each step, by name. scores: (units, columns) of the tree, the index last.

    units: those left after screening; index, ranks: (units,); weights: (columns,) as used.
    """

    units: tuple[str, ...]
    tree: Tree
    weights: Floats
    steps: dict[str, Table]
    screened: tuple[UnitData, ...]
    treated: tuple[Treated, ...]
    scores: Floats
    index: Floats
    ranks: Floats

    def column(self, code: str) -> Floats:
        """(units,) scores of one element."""
        return np.asarray(self.scores[:, self.tree.column(code)])


def parse_construction(text: bytes | str) -> Construction:
    """A specification from YAML; no text is the default one. Raises IndexRefusal naming the entry."""
    try:
        return msgspec.yaml.decode(text, type=Construction) if text.strip() else Construction()
    except msgspec.MsgspecError as error:
        raise IndexRefusal(f"The specification cannot be used: {error}") from error


def construct(
    framework: Framework,
    table: Table,
    spec: Construction | None = None,
    *,
    sizes: Table | None = None,
    labels: Mapping[str, str] | None = None,
) -> Built:
    """Build the index. sizes: the denominators, by unit; labels: the units' groups, for imputation by group."""
    spec = spec or Construction()
    tree, weights = tree_of(framework)
    if spec.drop:
        tree, weights, _ = without(tree, weights, spec.drop)
    weights = {"framework": weights, "equal": equal_weights(tree), "count": count_weights(tree)}[spec.weighing]
    weights = with_weights(tree, weights, spec.changes)
    steps = {"raw": table.pick(indicators=tree.indicators)}
    steps["denominated"] = denominated(steps["raw"], framework, spec, sizes)
    kept, screened = screen(steps["denominated"], spec.screening) if spec.screening else (steps["denominated"], ())
    steps["screened"] = kept
    steps["imputed"] = imputed(kept, framework, spec.imputation, labels)
    treated: tuple[Treated, ...] = ()
    steps["treated"] = steps["imputed"]
    if spec.treatment is not None:
        alone = {code: None for code in tree.indicators if framework.indicator(code).treatment == "none"}
        steps["treated"], treated = treat(steps["imputed"], spec.treatment, alone)
    steps["normalised"] = normalise(steps["treated"], framework, spec.normalisation, spec.normalisations)
    methods = [method(name) for name in spec.aggregation]
    scores = aggregate(steps["normalised"].values, tree, weights, methods, spec.threshold)
    index = scores[:, tree.root.column]
    return Built(
        units=kept.units,
        tree=tree,
        weights=weights,
        steps=steps,
        screened=screened,
        treated=treated,
        scores=scores,
        index=leader_scales(index) if spec.leader else index,
        ranks=ranks(index),
    )


def denominated(table: Table, framework: Framework, spec: Construction, sizes: Table | None) -> Table:
    """Each indicator over its denominator. Raises IndexRefusal where one is named and no sizes are given."""
    named = [code for code in table.indicators if framework.indicator(code).denominator]
    if not spec.denominated or not named:
        return table
    if sizes is None:
        raise IndexRefusal(f"{named[0]} has a denominator, and no sizes are given; give them or say denominated: false")
    return denominate(table, framework, sizes, spec.per)


def imputed(table: Table, framework: Framework, spec: Imputation, labels: Mapping[str, str] | None) -> Table:
    """Gaps filled and marked as the specification says."""
    if spec.how == "column":
        return impute_column(table, spec.average)
    if spec.how == "row":
        return impute_row(table, framework, spec.average)
    if spec.how == "regression":
        return impute_regression(table)
    if spec.how == "group":
        if labels is None:
            raise IndexRefusal("imputation by group needs the units' labels; give them or impute by column")
        return impute_group(table, {unit: labels[unit] for unit in table.units if unit in labels}, spec.average)
    return table
