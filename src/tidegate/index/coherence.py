"""Do the parts of an index belong together: correlations in each group and with the parent, Cronbach's alpha, PCA.

Run it on countries: with nine regions a correlation says nothing, which is why every finding carries n. The cut-offs
are customary, not derived; none is a reason by itself to take an indicator out.
"""

from typing import Final, Literal

import msgspec
import numpy as np

from tidegate.index.correlate import correlation, pairs
from tidegate.index.table import IndexRefusal
from tidegate.index.tree import Floats, Tree

Kind = Literal["negative in group", "near duplicate", "weak with parent", "low alpha", "with denominator"]

IN_GROUP_MIN: Final = 0.0
IN_GROUP_MAX: Final = 0.9
PARENT_MIN: Final = 0.3
ALPHA_MIN: Final = 0.7
DENOMINATOR_MAX: Final = 0.9


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """group: the composite concerned; first, second: the columns; value: the statistic; n: units it rests on."""

    kind: Kind
    group: str
    first: str
    second: str
    value: float
    n: int


class Pair(msgspec.Struct, frozen=True, kw_only=True):
    """A correlation of two columns over n units; NaN where there is none."""

    group: str
    first: str
    second: str
    value: float
    n: int


def pairs_in_groups(table: Floats, tree: Tree, kind: str = "pearson") -> tuple[Pair, ...]:
    """Every two children of one parent. table: (units, columns), as `aggregate` returns it."""
    return tuple(
        pair(table, tree, node.code, first, second, kind)
        for node in tree.nodes
        for place, first in enumerate(node.children)
        for second in node.children[place + 1 :]
    )


def pairs_with_parent(table: Floats, tree: Tree, kind: str = "pearson") -> tuple[Pair, ...]:
    """Every element with the composite right above it."""
    return tuple(
        pair(table, tree, node.code, child, node.column, kind) for node in tree.nodes for child in node.children
    )


def pair(table: Floats, tree: Tree, group: str, first: int, second: int, kind: str) -> Pair:
    """One correlation with its n."""
    x, y = table[:, first], table[:, second]
    codes = tree.codes
    value = correlation(kind)(x, y)
    return Pair(group=group, first=codes[first], second=codes[second], value=value, n=len(pairs(x, y)[0]))


def cronbach_alpha(values: Floats) -> float:
    """k^2 mean(covariances) / sum(all of the covariance matrix); covariances over the units that have both columns.

    values: (units, columns). Raises IndexRefusal for one column: alpha compares several.
    """
    count = values.shape[1]
    if count < 2:
        raise IndexRefusal(f"Cronbach's alpha needs two columns or more, not {count}.")
    matrix = np.empty((count, count))
    for i in range(count):
        for j in range(i + 1):
            x, y = pairs(values[:, i], values[:, j])
            cov = float((x - x.mean()) @ (y - y.mean())) / (len(x) - 1) if len(x) > 1 else float("nan")
            matrix[i, j] = matrix[j, i] = cov
    total = float(np.nansum(matrix))
    apart = total - float(np.nansum(np.diag(matrix)))
    return float(count**2 * apart / (count * (count - 1)) / total)


def coherence(table: Floats, tree: Tree, kind: str = "pearson") -> tuple[Finding, ...]:
    """What to look at: negative or doubled correlations in a group, weak ones with the parent, low alpha."""
    found: list[Finding] = []
    for held in pairs_in_groups(table, tree, kind):
        if held.value < IN_GROUP_MIN:
            found.append(finding("negative in group", held))
        elif held.value > IN_GROUP_MAX:
            found.append(finding("near duplicate", held))
    found += [finding("weak with parent", h) for h in pairs_with_parent(table, tree, kind) if h.value < PARENT_MIN]
    for node in tree.nodes:
        if len(node.children) < 2:
            continue
        alpha = cronbach_alpha(table[:, list(node.children)])
        if alpha < ALPHA_MIN:
            n = int((~np.isnan(table[:, list(node.children)])).any(axis=1).sum())
            found.append(Finding(kind="low alpha", group=node.code, first="", second="", value=alpha, n=n))
    return tuple(found)


def with_denominators(
    table: Floats, tree: Tree, sizes: Floats, names: tuple[str, ...], kind: str = "pearson"
) -> tuple[Finding, ...]:
    """Indicators that mostly measure size. sizes: (units, names) the denominators, such as population and GDP."""
    found = []
    for place, code in enumerate(tree.indicators):
        for column, name in enumerate(names):
            value = correlation(kind)(table[:, place], sizes[:, column])
            if abs(value) > DENOMINATOR_MAX:
                n = len(pairs(table[:, place], sizes[:, column])[0])
                parent = tree.parent(place)
                group = parent.code if parent else ""
                held = Pair(group=group, first=code, second=name, value=value, n=n)
                found.append(finding("with denominator", held))
    return tuple(found)


def finding(kind: Kind, held: Pair) -> Finding:
    return Finding(kind=kind, group=held.group, first=held.first, second=held.second, value=held.value, n=held.n)
