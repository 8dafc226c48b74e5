"""The shape of an index as integers: which column is the parent of which.

Columns stand in one order everywhere: the indicators first, then the composites from the bottom up, the index last.
A weight belongs to a column and is relative among the children of one parent, so a weight set is one vector.
"""

from collections.abc import Collection, Mapping, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from tidegate.index.framework import Framework
from tidegate.index.table import IndexRefusal

Floats = NDArray[np.float64]


class Node(msgspec.Struct, frozen=True):
    """A composite. column: its own place; level: 1 above indicators only, else one more than its highest child."""

    code: str
    column: int
    level: int
    children: tuple[int, ...]


class Tree(msgspec.Struct, frozen=True):
    """indicators: the codes of the value columns, in order. nodes: the composites, each after all of its children."""

    indicators: tuple[str, ...]
    nodes: tuple[Node, ...]

    @property
    def codes(self) -> tuple[str, ...]:
        """Every column's code, in column order."""
        return (*self.indicators, *(node.code for node in self.nodes))

    @property
    def root(self) -> Node:
        return self.nodes[-1]

    @property
    def levels(self) -> int:
        """How many levels of aggregation lie between the indicators and the index."""
        return self.root.level

    def column(self, code: str) -> int:
        """The column of a code. Raises IndexRefusal with the codes that exist."""
        if code not in self.codes:
            raise IndexRefusal(f"The framework has no element {code!r}; it has {', '.join(self.codes)}.")
        return self.codes.index(code)

    def parent(self, column: int) -> Node | None:
        """The composite above a column; None above the index."""
        return next((node for node in self.nodes if column in node.children), None)


def tree_from_parents(indicators: Sequence[str], parents: Mapping[str, str | None]) -> Tree:
    """Build the tree from each code's parent; the index is the code whose parent is None or not listed.

    indicators: in the order of the value columns. Raises IndexRefusal on a cycle, two roots, an indicator without
    parent or a composite without children.
    """
    above = {code: parent for code, parent in parents.items() if parent}
    composites = list(dict.fromkeys(above.values()))
    for code in [*indicators, *(code for code in parents if code not in indicators)]:
        if code not in above and code not in composites:
            raise IndexRefusal(f"{code!r} has no parent and no children; name its parent or take it out.")
        if code not in indicators and code not in composites:
            raise IndexRefusal(f"Composite {code!r} has no children; give it an indicator or take it out.")
    columns = {code: place for place, code in enumerate(indicators)}
    level = dict.fromkeys(indicators, 0)
    nodes: list[Node] = []
    waiting = composites
    while waiting:
        ready = [code for code in waiting if all(c in columns for c, p in above.items() if p == code)]
        if not ready:
            raise IndexRefusal(f"The framework runs in a circle through {', '.join(waiting)}; cut one parent.")
        for code in ready:
            children = [child for child, parent in above.items() if parent == code]
            level[code] = 1 + max(level[child] for child in children)
            columns[code] = len(indicators) + len(nodes)
            places = tuple(sorted(columns[child] for child in children))
            nodes.append(Node(code, columns[code], level[code], places))
        waiting = [code for code in waiting if code not in columns]
    tops = [node.code for node in nodes if node.code not in above]
    if len(tops) != 1:
        raise IndexRefusal(f"An index has one top; this framework has {', '.join(tops)}.")
    return Tree(tuple(indicators), tuple(nodes))


def tree_of(framework: Framework, absent: Collection[str] = ()) -> tuple[Tree, Floats]:
    """A checked framework's tree and its (columns,) weights, without the groups that have no data.

    absent: groups to leave out besides those that the framework calls absent; see `partial` for what that means.
    """
    gone = {group.code for group in framework.groups if group.absent} | set(absent)
    groups = {group.code: group.parent or None for group in framework.groups if group.code not in gone}
    kept = tuple(entry.code for entry in framework.indicators if entry.parent not in gone)
    parents = {code: framework.indicator(code).parent for code in kept}
    tree = tree_from_parents(kept, {**parents, **groups})
    return tree, weight_vector(tree, {code: framework.weight(code) for code in tree.codes})


def weight_vector(tree: Tree, weights: Mapping[str, float]) -> Floats:
    """(columns,) relative weights in column order; the index itself weighs 1. Raises IndexRefusal by code."""
    vector = np.ones(len(tree.codes))
    for place, code in enumerate(tree.codes[:-1]):
        if code not in weights:
            raise IndexRefusal(f"{code!r} has no weight; give every element but the index one.")
        vector[place] = weights[code]
    check_weights(tree, vector)
    return vector


def check_weights(tree: Tree, weights: Floats) -> None:
    """Raises IndexRefusal for a weight that is below zero or not a number, and for a parent whose weights sum to 0."""
    for place, weight in enumerate(weights):
        if not (np.isfinite(weight) and weight >= 0):
            raise IndexRefusal(f"Weight of {tree.codes[place]!r} is {weight:g}; a weight is a number of 0 or more.")
    for node in tree.nodes:
        if weights[list(node.children)].sum() <= 0:
            raise IndexRefusal(f"The weights under {node.code!r} sum to 0; at least one must be above 0.")


def share_weights(tree: Tree, weights: Floats) -> Floats:
    """(..., columns) weights that sum to 1 inside each parent; the index weighs 1."""
    shares = np.array(weights, dtype=np.float64)
    for node in tree.nodes:
        children = list(node.children)
        shares[..., children] /= shares[..., children].sum(axis=-1, keepdims=True)
    shares[..., tree.root.column] = 1.0
    return shares


def effective_weights(tree: Tree, weights: Floats) -> Floats:
    """(..., columns) what each element weighs in the index: its share times its parents' shares (INDEX method 1.7)."""
    effective = share_weights(tree, weights)
    for node in reversed(tree.nodes):
        effective[..., list(node.children)] *= effective[..., [node.column]]
    return effective
