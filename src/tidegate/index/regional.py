"""The Regional LLM Demand Proxy: nine regions, four groups of evidence, two that are absent, and what is uncertain.

The index is a proxy for where the demand for language models is, 100 for the leader. It is not a share of traffic, and
agreement with any published table is no evidence that it measures demand.
"""

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Final

import msgspec

from tidegate import __version__
from tidegate.index.evidence import FACTS, Evidence, Fact, RegionMap, map_names, read_evidence, read_map
from tidegate.index.framework import Framework, Indicator, Vintage, read_framework
from tidegate.index.partial import Partial, partial_index
from tidegate.index.regional_columns import NATIONAL_PERIOD, USERS, China, columns_of, coverage, region_table
from tidegate.index.regional_scores import (
    absent_weights,
    combined,
    group_scores,
    group_weights,
    leader_100,
    normalised,
    present_groups,
)
from tidegate.index.regional_vary import Runs, Space, every_choice, vary
from tidegate.index.release import Release, release
from tidegate.index.scale import ranks
from tidegate.index.table import Matrix, Table, Vector

FRAMEWORK: Final = "regional-llm-demand-2026"
DEFAULT_MAP: Final = "north-africa-in-africa-2026"
INTERVAL: Final = 0.9
TRAFFIC: Final = "T"
LEDGER_TOKENS: Final = "ledger_tokens"
LEDGER_PERIOD: Final = "the ledger's"
READINGS: Final[dict[China, str]] = {
    "telemetry": "China's users by Microsoft's telemetry",
    "national": f"China's users by the national survey (CNNIC, {NATIONAL_PERIOD})",
}


class Spec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The choices behind one index. weights: by group with data; None for the framework's."""

    china: China = "telemetry"
    region_map: str = DEFAULT_MAP
    normalisation: str = "ratio"
    mean: str = "arithmetic"
    weights: dict[str, float] | None = None
    runs: int = 10_000
    seed: int = 20260525


class Index(msgspec.Struct, frozen=True, kw_only=True, eq=False, dict=True):
    """One index with everything that was used to make it; the parts are computed when they are asked for."""

    spec: Spec
    framework: Framework
    evidence: Evidence

    @cached_property
    def regions(self) -> tuple[str, ...]:
        return self.framework.units

    @cached_property
    def groups(self) -> tuple[str, ...]:
        """Groups with data."""
        return present_groups(self.framework)

    @cached_property
    def map(self) -> RegionMap:
        return read_map(self.spec.region_map)

    @cached_property
    def figures(self) -> Table:
        """(regions, indicators) raw figures with bounds and marks."""
        return region_table(columns_of(self.evidence, self.framework, self.map, self.spec.china), self.regions)

    @cached_property
    def coverage(self) -> Table:
        """(regions, indicators) part of the people whose country has a figure; NaN where nobody can say."""
        columns = columns_of(self.evidence, self.framework, self.map, self.spec.china)
        return coverage(self.evidence, columns, self.regions, self.map)

    @cached_property
    def z(self) -> Matrix:
        """(regions, groups) each group with its leader at 1."""
        figures = {code: self.figures.column(code) for code in self.figures.indicators}
        return normalised(group_scores(self.framework, figures), self.spec.normalisation)

    @cached_property
    def weights(self) -> Vector:
        """(groups,) of those with data, summing to 1."""
        return group_weights(self.framework, self.spec.weights)

    @cached_property
    def scores(self) -> Vector:
        """(regions,) unrounded, the leader at 100."""
        return leader_100(combined(self.z, self.weights, self.spec.mean))

    @cached_property
    def ranks(self) -> Vector:
        """(regions,) 1 is highest, from unrounded scores."""
        return ranks(self.scores)

    @cached_property
    def absent(self) -> dict[str, float]:
        """Groups without data and their part of the whole weight."""
        return absent_weights(self.framework)

    @cached_property
    def partial(self) -> Partial:
        """The arithmetic index over all groups of the framework, 0 to 100 and not put on the leader's scale.

        Its bounds are what it could be if the absent groups stood anywhere from 0 to 100.
        """
        import numpy as np

        gone = tuple(self.absent)
        empty = np.full((len(self.regions), len(gone)), np.nan)
        parts = (1.0 - sum(self.absent.values())) * self.weights
        weights = np.array([*parts, *self.absent.values()])
        return partial_index((*self.groups, *gone), np.column_stack([100.0 * self.z, empty]), weights)

    @cached_property
    def other(self) -> "Index":
        """The same index by the other reading of China."""
        china: China = "national" if self.spec.china == "telemetry" else "telemetry"
        return msgspec.structs.replace(self, spec=msgspec.structs.replace(self.spec, china=china))

    @cached_property
    def runs(self) -> Runs:
        """The index under every choice (`every_choice`), around this one's weights."""
        return self.varied(every_choice())

    def varied(self, space: Space) -> Runs:
        """The index under the choices of a space."""
        spec = self.spec
        return vary(self.evidence, self.framework, space, spec.runs, spec.seed, weights=spec.weights)

    @cached_property
    def vintages(self) -> dict[str, str]:
        """Period of each indicator; with the national reading, users are of two periods."""
        found = {i.code: i.vintage.period for i in self.framework.indicators}
        if self.spec.china == "national":
            found[USERS] += f" (China {NATIONAL_PERIOD})"
        return found

    @cached_property
    def release(self) -> Release:
        """Hash of everything that the numbers rest on; the same hash has the same numbers."""
        spec = self.spec
        parts = {
            "snapshot": self.evidence.facts,
            "framework": self.framework,
            "region_map": self.map.regions,
            "spec": {"china": spec.china, "normalisation": spec.normalisation, "mean": spec.mean, "runs": spec.runs},
            "weights": {group: float(weight) for group, weight in zip(self.groups, self.weights, strict=True)},
            "code_version": __version__,
            "seed": spec.seed,
        }
        return release(parts)

    def notes(self) -> list[str]:
        """What must stand beside every output: vintage, reading, map, absent groups, interval, and what this is not."""
        spec, absent = self.spec, self.absent
        vintages = ", ".join(f"{code} {period}" for code, period in self.vintages.items())
        gone = ", ".join(f"{self.framework.group(g).name} ({g}) {weight:.0%}" for g, weight in absent.items())
        weights = ", ".join(f"{g} {w:.2f}" for g, w in zip(self.groups, self.weights, strict=True))
        return [
            f"{self.framework.name} version {self.framework.version}, release {self.release.release_id[:12]}; "
            f"vintages: {vintages}.",
            f"{READINGS[spec.china]}; the other reading stands beside it. Map {spec.region_map} "
            f"(there are {', '.join(map_names())}).",
            f"Between groups {spec.normalisation}, {spec.mean} mean; weights {weights}.",
            f"Partial: absent are {gone} of the weight. Low and high hold whatever they are, on a scale of 0 to 100 "
            "that is not the leader's.",
            f"{INTERVAL:.0%} intervals from {spec.runs:,} runs over maps, readings, methods, weights and errors of the "
            f"figures, seed {spec.seed}.",
            "A proxy of demand, not a share of it. Supply (S) rests on countries that sources name, else on floors.",
        ]


def build(spec: Spec | None = None, facts: Path = FACTS, traffic: Mapping[str, float] | None = None) -> Index:
    """The index of the shipped framework. Raises IndexRefusal for a choice that there is not.

    facts: a folder with `facts.csv` and `sources.csv`, the shipped one or a later edition of yours.
    traffic: a gateway's tokens by ISO 3166-1 alpha-3 country, which then stand for the absent group of traffic.
    """
    found = Index(
        spec=spec or Spec(),
        framework=read_framework(FACTS / f"{FRAMEWORK}.yml"),
        evidence=read_evidence(facts),
    )
    return found if traffic is None else with_traffic(found, traffic)


def with_traffic(index: Index, tokens: Mapping[str, float]) -> Index:
    """The index with a gateway's own tokens as the group T. A region without a call has 0, which the ledger knows."""
    seen = {index.map.region_of(country) for country in tokens}
    none = {f"region:{region}": 0.0 for region in index.regions if region not in seen}
    facts = tuple(
        Fact(
            indicator=LEDGER_TOKENS,
            place=place,
            period=LEDGER_PERIOD,
            value=float(value),
            low=None,
            high=None,
            basis="measured",
            source="ledger",
            licence="own",
            checked="",
        )
        for place, value in {**tokens, **none}.items()
    )
    column = Indicator(
        code=LEDGER_TOKENS,
        parent=TRAFFIC,
        unit="tokens",
        kind="extensive",
        name="tokens of a gateway's ledger: its customers, not the world",
        source="ledger",
        error_cv=0.0,
        vintage=Vintage(period=LEDGER_PERIOD),
    )
    groups = tuple(
        msgspec.structs.replace(group, absent=False, single=True, note="") if group.code == TRAFFIC else group
        for group in index.framework.groups
    )
    framework = msgspec.structs.replace(
        index.framework, groups=groups, indicators=(*index.framework.indicators, column)
    )
    evidence = msgspec.structs.replace(index.evidence, facts=(*index.evidence.facts, *facts))
    return Index(spec=index.spec, framework=framework, evidence=evidence)
