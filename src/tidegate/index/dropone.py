"""What one element, one source or one unit does to the ranking: the index without it."""

from collections.abc import Callable, Collection, Mapping, Sequence

import msgspec
import numpy as np

from tidegate.index.aggregate import Combine, aggregate
from tidegate.index.framework import Framework
from tidegate.index.scale import ranks
from tidegate.index.table import IndexRefusal
from tidegate.index.tree import Floats, Tree, tree_from_parents


class Dropped(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """The index without `what`. scores, ranks: (units,); NaN for a unit left out. rank_shift: mean absolute, over the
    units in both rankings; score_shift: (units,) after less before.
    """

    what: str
    scores: Floats
    ranks: Floats
    rank_shift: float
    score_shift: Floats


def without(tree: Tree, weights: Floats, codes: Collection[str]) -> tuple[Tree, Floats, list[int]]:
    """The tree less some elements and all below them, its weights, and which value columns are left.

    A composite that loses its last child goes with it. Raises IndexRefusal when nothing is left.
    """
    gone = {tree.column(code) for code in codes}
    for node in reversed(tree.nodes):
        if node.column in gone:
            gone.update(node.children)
    for node in tree.nodes:
        if gone.issuperset(node.children):
            gone.add(node.column)
    if tree.root.column in gone:
        raise IndexRefusal(f"Without {', '.join(codes)} nothing of {tree.root.code} is left.")
    parents = {tree.codes[child]: node.code for node in tree.nodes for child in node.children if child not in gone}
    kept = [column for column in range(len(tree.indicators)) if column not in gone]
    smaller = tree_from_parents([tree.indicators[column] for column in kept], parents)
    return smaller, weights[[tree.column(code) for code in smaller.codes]], kept


def drop_each(
    values: Floats, tree: Tree, weights: Floats, methods: Sequence[Combine], drops: Mapping[str, Collection[str]]
) -> tuple[Dropped, ...]:
    """The index without each set of elements, by name: single indicators, groups, or all that one source provides.

    values: (units, indicators) normalised; a column's scale does not depend on the others, so it is not redone.
    """
    start = aggregate(values, tree, weights, methods)[:, tree.root.column]
    found = []
    for what, codes in drops.items():
        smaller, fewer, kept = without(tree, weights, codes)
        steps = methods if len(methods) == 1 else methods[: smaller.levels]
        scores = aggregate(values[:, kept], smaller, fewer, steps)[:, smaller.root.column]
        found.append(compare(what, start, scores))
    return tuple(found)


def sources(framework: Framework) -> dict[str, tuple[str, ...]]:
    """Each provider's indicators, for `drop_each`: what would be left if a provider stopped."""
    found: dict[str, tuple[str, ...]] = {}
    for indicator in framework.indicators:
        if indicator.source:
            found[indicator.source] = (*found.get(indicator.source, ()), indicator.code)
    return found


def drop_units(values: Floats, units: Sequence[str], index: Callable[[Floats], Floats]) -> tuple[Dropped, ...]:
    """The index without each unit. index: (units, indicators) raw -> (units,) scores, normalisation included."""
    start = index(values)
    found = []
    for place, unit in enumerate(units):
        kept = np.arange(len(units)) != place
        scores = np.full(len(units), np.nan)
        scores[kept] = index(values[kept])
        found.append(compare(unit, np.where(kept, start, np.nan), scores))
    return tuple(found)


def compare(what: str, before: Floats, after: Floats) -> Dropped:
    """Both rankings among the units that both score."""
    both = ~(np.isnan(before) | np.isnan(after))
    old, new = (ranks(np.where(both, scores, np.nan)) for scores in (before, after))
    shift = float(np.abs(new - old)[both].mean()) if both.any() else float("nan")
    return Dropped(what=what, scores=after, ranks=ranks(after), rank_shift=shift, score_shift=after - before)
