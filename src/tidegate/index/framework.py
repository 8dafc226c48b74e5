"""What an index is made of: a tree of groups over indicators, each indicator with unit, direction, kind and source.

A framework is data (YAML), read and checked here; nothing in the steps knows a framework by name.
"""

import difflib
import functools
import importlib.resources
import math
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final, Literal

import msgspec

from tidegate.index.table import IndexRefusal

UNITS_FILE: Final = "index/units.yml"

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
    """The tree, and the columns beside it. Order is that of the file, everywhere.

    units: the rows, such as regions, where the framework is made for these and no others; empty for any.
    measures: units of measurement beyond the known ones. A framework made in code is checked by `check_framework`.
    """

    name: str
    version: str = ""
    groups: tuple[Group, ...]
    indicators: tuple[Indicator, ...]
    sizes: tuple[Size, ...] = ()
    units: tuple[str, ...] = ()
    measures: tuple[str, ...] = ()

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
        text = file.read_bytes()
    except OSError as error:
        raise IndexRefusal(f"{file} cannot be read: {error.strerror}") from error
    try:
        return parse_framework(text)
    except IndexRefusal as error:
        raise IndexRefusal(f"{file}: {error}") from error


def parse_framework(text: bytes | str) -> Framework:
    """A framework from the text of a YAML file, checked."""
    try:
        framework = msgspec.yaml.decode(text, type=Framework)
    except msgspec.MsgspecError as error:
        raise IndexRefusal(f"{_entry(text, str(error))}{error}{_accepted(str(error))}") from error
    check_framework(framework)
    return framework


def _entry(text: bytes | str, error: str) -> str:
    """Which entry an error of the decoder's is about, by its code: "indicator users: "; empty where it says none."""
    at = re.search(r"\$\.(indicators|groups|sizes)\[(\d+)\]", error)
    if at is None:
        return ""
    try:
        entry = msgspec.yaml.decode(text)[at[1]][int(at[2])]
    except (msgspec.MsgspecError, LookupError, TypeError):
        return ""
    code = entry.get("code") if isinstance(entry, dict) else None
    return f"{at[1].removesuffix('s')} {code or 'number ' + str(int(at[2]) + 1)}: "


def _accepted(error: str) -> str:
    """What the field would have accepted, where it is one of a few words."""
    for field, accepted in (("direction", "1 or -1"), ("kind", "extensive, intensive or share")):
        if error.endswith(f".{field}`"):
            return f"; {field} is {accepted}"
    return ""


@functools.cache
def known_units() -> frozenset[str]:
    """Units that every framework may use; it declares others itself, under `measures`."""
    text = (importlib.resources.files("tidegate") / "data" / UNITS_FILE).read_bytes()
    return frozenset(unit.unit for unit in msgspec.yaml.decode(text, type=list[UnitFact]))


class UnitFact(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One entry of `units.yml`. measures: what is counted in it."""

    unit: str
    measures: str
    source: str
    checked: str


def check_framework(framework: Framework) -> None:
    """Raise IndexRefusal for the first thing that makes the framework unusable, with its name and the mend."""
    _check_codes(framework)
    _check_tree(framework)
    weighted: tuple[Group | Indicator, ...] = (*framework.groups, *framework.indicators)
    for member in weighted:
        if not member.weight > 0 or not math.isfinite(member.weight):
            raise IndexRefusal(
                f"{member.code} has weight {member.weight:g}; a weight is above zero: leave the member out to drop it"
            )
    for indicator in framework.indicators:
        _check_indicator(framework, indicator)
    for size in framework.sizes:
        _check_unit(framework, size)


def _check_codes(framework: Framework) -> None:
    seen: set[str] = set()
    members: tuple[Group | Indicator | Size, ...] = (*framework.groups, *framework.indicators, *framework.sizes)
    for member in members:
        if not member.code:
            raise IndexRefusal(f"a member named {member.name!r} has no code; give it one")
        if member.code in seen:
            raise IndexRefusal(f"code {member.code} is there twice; a member has one parent, so rename one of them")
        seen.add(member.code)


def _check_tree(framework: Framework) -> None:
    parents = {group.code: group.parent for group in framework.groups}
    codes = ", ".join(parents) or "none"
    members: tuple[Group | Indicator, ...] = (*framework.groups, *framework.indicators)
    for member in members:
        root = isinstance(member, Group) and not member.parent
        if not root and member.parent not in parents:
            raise IndexRefusal(f"{member.code} has parent {member.parent!r}, which is no group; groups are {codes}")
    for code in parents:
        trail = [code]
        while parent := parents[trail[-1]]:
            if parent in trail:
                raise IndexRefusal(
                    f"the tree has a cycle: {' -> '.join((*trail, parent))}; give one of them another parent"
                )
            trail.append(parent)
    roots = [code for code, parent in parents.items() if not parent]
    if len(roots) != 1:
        seen = " and ".join(roots) or "none"
        raise IndexRefusal(f"one group has no parent, the index itself; here {seen}: give each other group its parent")
    for group in framework.groups:
        _check_group(framework, group)


def _check_group(framework: Framework, group: Group) -> None:
    children = framework.children(group.code)
    if group.absent and children:
        raise IndexRefusal(f"group {group.code} is marked absent but has {', '.join(children)}; take the mark away")
    if not group.absent and not children:
        raise IndexRefusal(f"group {group.code} has nothing in it; give it an indicator or say `absent: true`")


def _check_unit(framework: Framework, member: Indicator | Size) -> None:
    known = known_units() | set(framework.measures)
    if member.unit not in known:
        near = difflib.get_close_matches(member.unit, known, n=2)
        mend = f"did you mean {' or '.join(near)}?" if near else "declare it under `measures` of the framework"
        raise IndexRefusal(f"{member.code} has unknown unit {member.unit!r}; {mend}")


def _check_indicator(framework: Framework, indicator: Indicator) -> None:
    code = indicator.code
    _check_unit(framework, indicator)
    columns = {size.code for size in framework.sizes} | set(framework.codes)
    for what, column in (("denominator", indicator.denominator), ("base", indicator.base)):
        if column and column not in columns - {code}:
            known = ", ".join(sorted(columns - {code}))
            raise IndexRefusal(f"{code} has {what} {column!r}, which is no column; columns are {known}")
    if indicator.kind == "share" and not indicator.denominator:
        raise IndexRefusal(f"{code} is a share without a denominator; name the column that is its whole")
    posts = indicator.goalposts
    if posts is not None and not posts.low < posts.high:
        raise IndexRefusal(f"{code} has goalposts {posts.low:g} .. {posts.high:g}; the first must be below the second")
    if indicator.error_cv is not None and not 0 <= indicator.error_cv < math.inf:
        raise IndexRefusal(f"{code} has error_cv {indicator.error_cv:g}; it is zero or more, as a part of the value")
    if indicator.target is not None and not math.isfinite(indicator.target):
        raise IndexRefusal(f"{code} has target {indicator.target:g}; it is a number in the indicator's unit")


def singles(framework: Framework) -> tuple[str, ...]:
    """Groups that rest on one child alone, said so or not: no composite, whatever they are called."""
    return tuple(group.code for group in framework.groups if len(framework.children(group.code)) == 1)
