"""A release of an index: what it was made from, in one hash, and why it differs from the one before.

The hash is over canonical JSON of every input, so the same hash means the same bytes out. A change of a score is
divided among its causes (data, method, weights, map) by replacing them in a stated order or by the mean over all
orders (Shapley), which needs no order and adds up exactly.
"""

import hashlib
import itertools
import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec
import numpy as np

from tidegate.index.framework import Framework
from tidegate.index.table import MARK_NAMES, IndexRefusal, Table
from tidegate.index.tree import Floats

PARTS: Final = ("snapshot", "framework", "region_map", "spec", "weights", "code_version", "seed")
CAUSES: Final = ("data", "method", "weights", "map")
CAUSES_MAX: Final = 8
"""2^8 evaluations of the index; more causes should be grouped."""


class Release(msgspec.Struct, frozen=True, kw_only=True):
    """release_id: sha256 over all parts; parts: each part's own hash, which says what differs between two releases."""

    release_id: str
    parts: dict[str, str]


class Change(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """By cause, (units,) points of the change; they sum to total = after less before. how: the order, or `shapley`."""

    how: str
    before: Floats
    after: Floats
    by_cause: dict[str, Floats]

    @property
    def total(self) -> Floats:
        return np.asarray(self.after - self.before)


def release(parts: Mapping[str, Any]) -> Release:
    """Hash the inputs. parts: every name of PARTS; arrays, tuples, structs and numbers as they are.

    Raises IndexRefusal for a part that is missing or unknown: a hash that leaves one out promises too much.
    """
    if set(parts) != set(PARTS):
        wrong = sorted(set(parts) ^ set(PARTS))
        raise IndexRefusal(f"A release needs exactly {', '.join(PARTS)}; check {', '.join(wrong)}.")
    hashes = {name: digest(parts[name]) for name in PARTS}
    return Release(release_id=digest(hashes), parts=hashes)


def changed_parts(before: Release, after: Release) -> tuple[str, ...]:
    """Names of the parts that differ."""
    return tuple(name for name in PARTS if before.parts[name] != after.parts[name])


def digest(value: Any) -> str:
    """sha256 of the canonical JSON of a value."""
    text = json.dumps(plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def plain(value: Any) -> Any:
    """A value as JSON can hold it, without losing a digit: floats as hexadecimal, NaN as null."""
    if isinstance(value, np.ndarray):
        return {"shape": list(value.shape), "values": [plain(item) for item in value.ravel().tolist()]}
    if isinstance(value, bool | str | int) or value is None:
        return value
    if isinstance(value, float | np.floating):
        return None if math.isnan(value) else float(value).hex()
    if isinstance(value, np.integer):
        return int(value)
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, msgspec.Struct):
        return {field: plain(getattr(value, field)) for field in value.__struct_fields__}
    raise IndexRefusal(f"A {type(value).__name__} has no canonical form; give numbers, text, arrays or structs.")


def diff(
    before: Mapping[str, Any],
    after: Mapping[str, Any],
    index: Callable[[Mapping[str, Any]], Floats],
    order: Sequence[str] | None = None,
) -> Change:
    """Divide the change of every unit's score among the causes.

    before, after: the same causes, each with whatever `index` takes for it (say CAUSES); index: causes -> (units,)
    scores. order: replace the causes one after the other; None is the Shapley value, 2^n evaluations.
    """
    causes = tuple(before)
    if set(causes) != set(after) or (order is not None and sorted(order) != sorted(causes)):
        raise IndexRefusal(f"Both releases and the order need the same causes: {', '.join(causes)}.")
    if len(causes) > CAUSES_MAX:
        raise IndexRefusal(f"{len(causes)} causes need {2 ** len(causes)} evaluations; group them to {CAUSES_MAX}.")
    held: dict[frozenset[str], Floats] = {}

    def at(new: frozenset[str]) -> Floats:
        if new not in held:
            held[new] = index({cause: (after if cause in new else before)[cause] for cause in causes})
        return held[new]

    start, end = at(frozenset()), at(frozenset(causes))
    orders = [tuple(order)] if order is not None else None
    parts = stepwise(at, orders[0]) if orders else shapley(at, causes)
    how = ", ".join(orders[0]) if orders else "shapley"
    return Change(how=how, before=start, after=end, by_cause=parts)


def stepwise(at: Callable[[frozenset[str]], Floats], order: tuple[str, ...]) -> dict[str, Floats]:
    """What each cause adds when those before it have changed already."""
    steps = [frozenset(order[:place]) for place in range(len(order) + 1)]
    return {cause: at(steps[place + 1]) - at(steps[place]) for place, cause in enumerate(order)}


def shapley(at: Callable[[frozenset[str]], Floats], causes: tuple[str, ...]) -> dict[str, Floats]:
    """The mean over all orders of what each cause adds."""
    count, found = len(causes), {}
    for cause in causes:
        others = [other for other in causes if other != cause]
        total = np.zeros_like(at(frozenset()))
        for size in range(count):
            weight = math.factorial(size) * math.factorial(count - size - 1) / math.factorial(count)
            for chosen in itertools.combinations(others, size):
                total = total + weight * (at(frozenset((*chosen, cause))) - at(frozenset(chosen)))
        found[cause] = total
    return found


def provenance(framework: Framework, table: Table, scores: Floats, made: Release) -> dict[str, Any]:
    """PROV-JSON that links every score to the cells it was derived from, and every cell to its source.

    scores: (units,) of the index; a cell without a value is no entity: nothing was derived from it.
    """
    index, run = f"tg:index/{made.release_id[:16]}", f"tg:build/{made.release_id[:16]}"
    entities: dict[str, Any] = {f"tg:{name}/{part[:16]}": {"tg:sha256": part} for name, part in made.parts.items()}
    derived: dict[str, Any] = {}
    attributed: dict[str, Any] = {}
    generated: dict[str, Any] = {}
    for row, unit in enumerate(table.units):
        score = f"{index}/{unit}"
        entities[score] = {"tg:value": None if np.isnan(scores[row]) else float(scores[row])}
        generated[f"_:g{row}"] = {"prov:entity": score, "prov:activity": run}
        for column, code in enumerate(table.indicators):
            if np.isnan(table.values[row, column]):
                continue
            cell = f"tg:cell/{made.parts['snapshot'][:16]}/{code}/{unit}"
            marks = [name for bit, name in MARK_NAMES.items() if table.marks[row, column] & bit]
            source = framework.indicator(code)
            entities[cell] = {
                "tg:value": float(table.values[row, column]),
                "tg:marks": marks,
                "tg:vintage": source.vintage.period,
                "tg:licence": source.licence,
            }
            derived[f"_:d{row}.{column}"] = {"prov:generatedEntity": score, "prov:usedEntity": cell}
            attributed[f"_:a{row}.{column}"] = {"prov:entity": cell, "prov:agent": f"tg:source/{source.source or code}"}
    agents: dict[str, Any] = {link["prov:agent"]: {} for link in attributed.values()}
    return {
        "prefix": {"tg": "urn:tidegate:"},
        "entity": entities,
        "activity": {run: {"tg:release": made.release_id}},
        "agent": agents,
        "wasDerivedFrom": derived,
        "wasGeneratedBy": generated,
        "wasAttributedTo": attributed,
    }
