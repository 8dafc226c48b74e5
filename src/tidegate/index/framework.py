"""What an index is made of: a tree of groups over indicators, each indicator with unit, direction, kind and source.

A framework is data (YAML), read and checked here; nothing in the steps knows a framework by name.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import msgspec

from tidegate.index.table import IndexRefusal

Direction = Literal[1, -1]
Kind = Literal["extensive", "intensive", "share"]


class Vintage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Which edition of the source: the period measured, when it was published, where and when it was read."""

    period: str = ""
    published_at: str = ""
    retrieved_from: str = ""
    retrieved_at: str = ""


class Goalposts(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Fixed ends of a scale, in the indicator's unit, whichever way is better: `low` below `high`."""

    low: float
    high: float


class Indicator(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """One column of the table.

    parent: the group it belongs to. direction: 1 where more is better, -1 where less is. unit: a known unit's name.
    kind: `extensive` adds up over countries (users, GW, dollars), `intensive` is a score or rate and is averaged,
    `share` is a part of a named whole. denominator: the column a share is a share of, or a size to divide by.
    base: the column that weighs an intensive indicator when countries become regions.
    weight: in its parent, before normalisation. target, goalposts: in the indicator's unit.
    error_cv: standard error over value of a measured cell, for the uncertainty runs; None where nobody states one.
    treatment: outlier treatment by decision, `none` to leave the column alone; empty for the spec's.
    """

    code: str
    parent: str
    unit: str
    name: str = ""
    direction: Direction = 1
    kind: Kind = "intensive"
    weight: float = 1.0
    denominator: str = ""
    base: str = ""
    target: float | None = None
    goalposts: Goalposts | None = None
    error_cv: float | None = None
    treatment: str = ""
    source: str = ""
    licence: str = ""
    coverage: str = ""
    vintage: Vintage = Vintage()


class Group(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """A node above indicators. parent: empty for the index itself, of which there is one.

    absent: no data yet; it stays in every report with its weight, which nothing else takes over. single: it says
    itself that one indicator stands for it.
    """

    code: str
    parent: str = ""
    name: str = ""
    weight: float = 1.0
    absent: bool = False
    single: bool = False
    note: str = ""


class Size(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """A column that is no indicator: a denominator or a weighing base (population, GDP)."""

    code: str
    unit: str
    name: str = ""
    source: str = ""


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """A group with what it is made of. level: 2 above indicators, 3 above those. weights: of the children, sum 1."""

    code: str
    level: int
    children: tuple[str, ...]
    weights: tuple[float, ...]


class Framework(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """The tree, and the columns beside it. Checked by `check`; order is that of the file, everywhere."""

    name: str
    version: str = ""
    groups: tuple[Group, ...]
    indicators: tuple[Indicator, ...]
    sizes: tuple[Size, ...] = ()
    units: tuple[str, ...] = ()

    @property
    def root(self) -> str:
        """Code of the index itself: the one group without a parent."""
        return next(group.code for group in self.groups if not group.parent)

    @property
    def codes(self) -> tuple[str, ...]:
        """Codes of the indicators, in order: the columns of the table."""
        return tuple(indicator.code for indicator in self.indicators)

    def indicator(self, code: str) -> Indicator:
        for indicator in self.indicators:
            if indicator.code == code:
                return indicator
        raise IndexRefusal(f"no indicator {code!r} in framework {self.name}; there are {', '.join(self.codes)}")

    def group(self, code: str) -> Group:
        for group in self.groups:
            if group.code == code:
                return group
        known = ", ".join(group.code for group in self.groups)
        raise IndexRefusal(f"no group {code!r} in framework {self.name}; there are {known}")

    def children(self, code: str) -> tuple[str, ...]:
        """Codes right below a group: indicators in the table's order, then groups in theirs."""
        members: Iterable[Indicator | Group] = (*self.indicators, *self.groups)
        return tuple(member.code for member in members if member.parent == code)

    def weight(self, code: str) -> float:
        """As written, before normalisation in the parent."""
        members: Iterable[Indicator | Group] = (*self.indicators, *self.groups)
        return next(member.weight for member in members if member.code == code)

    def leaves(self, code: str) -> tuple[str, ...]:
        """Indicators anywhere below a group, or the indicator itself."""
        if code in self.codes:
            return (code,)
        return tuple(leaf for child in self.children(code) for leaf in self.leaves(child))

    def level(self, code: str) -> int:
        """1 for an indicator; a group is one above its highest child; an absent group counts as 2."""
        if code in self.codes:
            return 1
        return 1 + max((self.level(child) for child in self.children(code)), default=1)

    def nodes(self) -> tuple[Node, ...]:
        """Groups from the bottom up, so that children come before their parent; absent groups have no children.

        Weights are normalised in the parent over all children, absent ones too: what an absent group would have
        weighed stays visible.
        """
        found = []
        for group in self.groups:
            children = self.children(group.code)
            raw = [self.weight(child) for child in children]
            total = sum(raw)
            weights = tuple(weight / total for weight in raw)
            found.append(Node(code=group.code, level=self.level(group.code), children=children, weights=weights))
        return tuple(sorted(found, key=lambda node: node.level))

    def effective_weights(self) -> dict[str, float]:
        """Of every indicator and group in the index: the product of normalised weights down the tree; root is 1."""
        found = {self.root: 1.0}
        for node in reversed(self.nodes()):
            for child, weight in zip(node.children, node.weights, strict=True):
                found[child] = found[node.code] * weight
        return found


def read_framework(file: Path) -> Framework:
    """A framework from YAML, checked. Raises IndexRefusal with file, entry and mend."""
    try:
        return msgspec.yaml.decode(file.read_bytes(), type=Framework)
    except OSError as error:
        raise IndexRefusal(f"{file} cannot be read: {error.strerror}") from error
    except msgspec.MsgspecError as error:
        raise IndexRefusal(f"{file} is no framework: {error}") from error
