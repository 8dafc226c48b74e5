"""An index as a function of everything that could have been decided otherwise, evaluated for many runs at once.

A run is a row of option numbers, one for each factor: which input table, which treatment and normalisation, which
aggregation, which set of weights, which draw of the data errors. Runs that share all but weights and errors share
their arrays, which is why ten thousand of them take seconds.
"""

from collections.abc import Mapping
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from tidegate.index.aggregate import Combine, aggregate
from tidegate.index.scale import leader_scales
from tidegate.index.stack import Step
from tidegate.index.table import IndexRefusal
from tidegate.index.tree import Floats, Tree, check_weights

Draws = NDArray[np.int64]

RUNS_AT_ONCE: Final = 128
"""Runs held in memory together: 128 of a 51 x 49 table are 2.5 MB an array, which most machines keep in cache."""


class Choice(msgspec.Struct, frozen=True):
    """One factor and the names of what it may be."""

    factor: str
    options: tuple[str, ...]


class Input(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """One table that the index may start from. values: (units, indicators).

    cv: standard error over value, lognormal, same shape; 0 where exact, None where all are. low, high: a cell whose
    bounds differ is drawn evenly between them. source: (indicators,) number of each column's provider; dependence: the
    correlation of the errors of one unit's columns by the same provider, who measures them with one instrument.
    """

    values: Floats
    cv: Floats | None = None
    low: Floats | None = None
    high: Floats | None = None
    source: Draws | None = None
    dependence: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.dependence <= 1:
            raise IndexRefusal(f"Errors of one provider correlate by 0 to 1, not {self.dependence:g}.")
        if self.dependence > 0 and self.source is None:
            raise IndexRefusal("Errors depend on providers, and no provider is given; number them by column.")


class Model(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """The index and its alternatives.

    starts: the factors that choose the input table; inputs: that table, by one option of each. stages: steps on
    (runs, units, indicators) in order, by factor and option. aggregations: methods from the bottom level up, by name.
    weight_sets: (sets, columns), the first being the nominal one. error_draws: how many sets of data errors there are;
    0 for none. leader: whether each run is put on the scale of its own leader (100).
    """

    tree: Tree
    starts: tuple[Choice, ...]
    inputs: Mapping[tuple[str, ...], Input]
    stages: tuple[tuple[str, Mapping[str, Step]], ...]
    aggregations: Mapping[str, tuple[Combine, ...]]
    weight_sets: Floats
    error_draws: int = 0
    leader: bool = False
    threshold: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        for weights in self.weight_sets[:1]:
            check_weights(self.tree, weights)
        if (self.weight_sets < 0).any():
            run, column = np.argwhere(self.weight_sets < 0)[0]
            raise IndexRefusal(f"Weight set {run} has a weight below 0 for {self.tree.codes[column]!r}.")
        sizes = {table.values.shape for table in self.inputs.values()}
        if len(sizes) != 1:
            raise IndexRefusal(f"The input tables differ in shape: {sorted(sizes)}; give all the same units.")

    @property
    def factors(self) -> tuple[Choice, ...]:
        """In the order of a run's columns. The weight sets and the error draws are numbered."""
        stages = [Choice(factor, tuple(steps)) for factor, steps in self.stages]
        choices = [*self.starts, *stages, Choice("aggregation", tuple(self.aggregations))]
        choices.append(Choice("weights", tuple(str(number) for number in range(len(self.weight_sets)))))
        if self.error_draws:
            choices.append(Choice("data error", tuple(str(number) for number in range(self.error_draws))))
        return tuple(choices)


def random_draws(model: Model, runs: int, seed: int) -> Draws:
    """(runs, factors) each option equally likely."""
    random = np.random.default_rng(seed)
    return np.stack([random.integers(0, len(choice.options), runs) for choice in model.factors], axis=1)


def scores(model: Model, draws: Draws) -> Floats:
    """(runs, units) the index of each run, unrounded."""
    fixed = len(model.starts) + len(model.stages) + 1
    kinds, kind_of = np.unique(draws[:, :fixed], axis=0, return_inverse=True)
    units = next(iter(model.inputs.values())).values.shape[0]
    found = np.empty((len(draws), units))
    for number, kind in enumerate(kinds):
        runs = np.flatnonzero(kind_of.ravel() == number)
        options = [choice.options[option] for choice, option in zip(model.factors, kind, strict=False)]
        start = model.inputs[tuple(options[: len(model.starts)])]
        exact = model.error_draws == 0 or is_exact(start)
        shared = prepared(model, options, start.values[None]) if exact else None
        for first in range(0, len(runs), RUNS_AT_ONCE):
            part = runs[first : first + RUNS_AT_ONCE]
            stack = shared
            if stack is None:
                stack = prepared(model, options, with_errors(start, draws[part, -1], model.seed))
            weights = model.weight_sets[draws[part, fixed]]
            table = aggregate(stack, model.tree, weights, model.aggregations[options[-1]], model.threshold)
            found[part] = table[..., model.tree.root.column]
    return leader_scales(found) if model.leader else found


def nominal(model: Model) -> Floats:
    """(units,) the index with the first option of every factor and no data errors."""
    exact = msgspec.structs.replace(model, error_draws=0)
    return np.asarray(scores(exact, np.zeros((1, len(exact.factors)), dtype=np.int64))[0])


def prepared(model: Model, options: list[str], stack: Floats) -> Floats:
    """The stack after its stages."""
    for (_, steps), option in zip(model.stages, options[len(model.starts) :], strict=False):
        stack = steps[option](stack)
    return stack


def is_exact(start: Input) -> bool:
    return start.cv is None and start.low is None


def with_errors(start: Input, numbers: Draws, seed: int) -> Floats:
    """(runs, units, indicators) the table with errors drawn; the same number always draws the same errors.

    Lognormal with mean 1, so that errors do not lift the table; zero stays zero and a sign stays.
    """
    stack = np.repeat(start.values[None], len(numbers), axis=0)
    sigma = None if start.cv is None else np.sqrt(np.log1p(np.square(start.cv)))
    bounded = None if start.low is None or start.high is None else start.low < start.high
    for place, number in enumerate(numbers):
        random = np.random.Generator(np.random.SFC64(np.random.SeedSequence((seed, int(number)))))
        if sigma is not None:
            stack[place] *= np.exp(sigma * standard_errors(start, sigma.shape, random) - sigma**2 / 2)
        if bounded is not None and start.low is not None and start.high is not None:
            even = start.low + (start.high - start.low) * random.random(bounded.shape)
            stack[place] = np.where(bounded, even, stack[place])
    return stack


def standard_errors(start: Input, shape: tuple[int, ...], random: np.random.Generator) -> Floats:
    """(units, indicators) standard normal, correlated by `dependence` in each unit's columns of one provider."""
    own = random.standard_normal(shape)
    if start.source is None or start.dependence == 0:
        return own
    common = random.standard_normal((shape[0], int(start.source.max()) + 1))[:, start.source]
    return np.asarray(np.sqrt(start.dependence) * common + np.sqrt(1.0 - start.dependence) * own)


def perturbed_weights(tree: Tree, weights: Floats, sets: int, seed: int, part: float = 0.25) -> Floats:
    """(sets, columns) every weight times 1 plus or minus up to `part`, evenly; the first set is the nominal one."""
    if not 0 <= part < 1:
        raise IndexRefusal(f"Weights vary by a part from 0 to below 1, not {part:g}; 0.25 is a quarter up or down.")
    random = np.random.default_rng(seed)
    found = weights * (1.0 + part * random.uniform(-1.0, 1.0, (sets, len(tree.codes))))
    found[0] = weights
    return np.asarray(found)


def dirichlet_weights(tree: Tree, weights: Floats, sets: int, seed: int, concentration: float | None = None) -> Floats:
    """(sets, columns) a Dirichlet draw under each parent; the first set is the nominal one.

    concentration: the draws' total count around the nominal shares (large is close); None draws evenly from all
    weight sets there are, whatever the nominal ones say. A weight of 0 stays 0 under a concentration.
    """
    random = np.random.default_rng(seed)
    found = np.repeat(weights[None].astype(np.float64), sets, axis=0)
    for node in tree.nodes:
        children = np.array(node.children)
        share = weights[children] / weights[children].sum()
        counts = np.ones(len(children)) if concentration is None else share * concentration
        live = counts > 0
        if live.sum() > 1:
            found[:, children] = 0.0
            found[:, children[live]] = random.dirichlet(counts[live], sets)
    found[0] = weights
    return found
