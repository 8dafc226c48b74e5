"""Why two editions of the index differ: what the data, the method, the weights and the map have to do with it.

The change of each region is divided by Shapley's rule: the mean, over all orders in which the four can be exchanged,
of what exchanging one does. The four parts add up to the change.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from tidegate.index.evidence import FACTS
from tidegate.index.regional import Spec, build
from tidegate.index.release import diff
from tidegate.index.table import IndexRefusal, Vector

CAUSES: Final = ("data", "method", "weights", "map")
KEYS: Final = {
    "facts": "a folder with facts.csv and sources.csv",
    "china": "telemetry or national",
    "normalisation": "ratio, minmax, root, log or rank",
    "mean": "arithmetic or geometric",
    "weights": "such as A:30;C:15;S:15;G:10",
    "map": "a region map",
}
CAUSE_OF: Final = {
    "facts": "data",
    "china": "data",
    "normalisation": "method",
    "mean": "method",
    "weights": "weights",
    "map": "map",
}


class Edition(msgspec.Struct, frozen=True, kw_only=True):
    """One edition of the index: what it says of itself where that departs from the shipped one."""

    said: dict[str, str]

    def scores(self) -> Vector:
        """(regions,) the leader at 100."""
        said = self.said
        named = {"china": said.get("china"), "region_map": said.get("map")}
        named |= {key: said.get(key) for key in ("normalisation", "mean")}
        given: dict[str, object] = {key: value for key, value in named.items() if value is not None}
        if "weights" in said:
            given["weights"] = parse_weights(said["weights"])
        try:
            spec = msgspec.convert(given, Spec)
        except msgspec.ValidationError as error:
            raise IndexRefusal(f"an edition cannot be read: {error}") from error
        return build(spec, Path(said["facts"]) if "facts" in said else FACTS).scores


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One region: before, after (leader at 100), and each cause's part of the difference, in points."""

    region: str
    before: float
    after: float
    parts: dict[str, float]


def parse_edition(text: str) -> Edition:
    """`china=national,map=north-africa-in-mena-2026`; empty is the shipped one. Raises IndexRefusal with the keys."""
    said = {}
    for part in filter(None, text.split(",")):
        key, equals, value = part.partition("=")
        if key not in KEYS or not equals or not value:
            known = "; ".join(f"{name}= {what}" for name, what in KEYS.items())
            raise IndexRefusal(f"{part!r} says nothing of an edition; write KEY=VALUE with {known}")
        said[key] = value
    return Edition(said=said)


def parse_weights(text: str) -> dict[str, float]:
    """`A:30;C:15;S:15;G:10` as weights by group. Raises IndexRefusal for what is no number."""
    found = {}
    for part in text.replace(",", ";").split(";"):
        group, _, number = part.partition(":")
        try:
            found[group.strip()] = float(number)
        except ValueError:
            raise IndexRefusal(f"weight {part!r}: write GROUP:NUMBER, such as A:30;C:15;S:15;G:10") from None
    return found


def compare(before: Edition, after: Edition) -> list[Change]:
    """One entry a region, in the framework's order."""

    def parts(edition: Edition) -> dict[str, dict[str, str]]:
        return {cause: {k: v for k, v in edition.said.items() if CAUSE_OF[k] == cause} for cause in CAUSES}

    def scores(mixed: Mapping[str, dict[str, str]]) -> Vector:
        return Edition(said={k: v for said in mixed.values() for k, v in said.items()}).scores()

    found = diff(parts(before), parts(after), scores)
    return [
        Change(
            region=region,
            before=float(found.before[at]),
            after=float(found.after[at]),
            parts={cause: float(points[at]) for cause, points in found.by_cause.items()},
        )
        for at, region in enumerate(build().regions)
    ]
