"""The regional index in words and rows: what every output says of itself, and why a region stands where it does."""

from collections.abc import Iterator
from typing import Final

import numpy as np

from tidegate.index.regional import Index
from tidegate.index.regional_ceiling import ABSENT, ceilings
from tidegate.index.regional_sensitivity import dropped, sensitivity
from tidegate.index.regional_vary import every_choice
from tidegate.index.table import ASSUMED, BOUNDED, ESTIMATED, IndexRefusal

Cell = str | int | float | None

SHORT: Final = {"ai_users": "users", "claude_conversations": "Claude", "ai_preparedness": "readiness"}
DESIGN: Final = 256  # rows of the design behind "what moves it most": enough to name it


def about(index: Index) -> dict[str, object]:
    """What must stand beside every number, for programs."""
    spec = index.spec
    return {
        "framework": index.framework.name,
        "version": index.framework.version,
        "release": index.release.release_id,
        "vintages": index.vintages,
        "china": spec.china,
        "region_map": spec.region_map,
        "normalisation": spec.normalisation,
        "mean": spec.mean,
        "weights": {group: float(weight) for group, weight in zip(index.groups, index.weights, strict=True)},
        "absent": index.absent,
        "interval": 0.9,
        "runs": spec.runs,
        "seed": spec.seed,
    }


def coverage_text(index: Index, region: int) -> str:
    """Part of the people whose country has a figure: "users 98 %, Claude 11 %, readiness 98 %"."""
    row = index.coverage.values[region]
    codes = index.coverage.indicators
    return ", ".join(f"{SHORT[code]} {x:.0%}" for code, x in zip(codes, row, strict=True) if code in SHORT)


def index_rows(index: Index) -> tuple[list[str], list[list[Cell]]]:
    """One row a region: point, interval, ranks, the other reading, bounds for what is absent, coverage, P(rank)."""
    n = len(index.regions)
    low, high = index.runs.quantiles((0.05, 0.95))
    first, last = index.runs.rank_quantiles((0.05, 0.95))
    columns = ["region", "rank", "index", "low", "high", "rank_low", "rank_high"]
    other = "national" if index.spec.china == "telemetry" else "telemetry"
    columns += [f"index_{other}", "partial_low", "partial_high", "coverage", *(f"p_rank_{k + 1}" for k in range(n))]
    rows: list[list[Cell]] = []
    for at, region in enumerate(index.regions):
        row: list[Cell] = [region, int(index.ranks[at]), float(index.scores[at]), float(low[at]), float(high[at])]
        row += [int(first[at]), int(last[at]), float(index.other.scores[at])]
        row += [float(index.partial.low[at]), float(index.partial.high[at]), coverage_text(index, at)]
        row += [float(p) for p in index.runs.rank_probabilities[at]]
        rows.append(row)
    return columns, rows


def region_of(index: Index, name: str) -> int:
    """Number of a region, in any case. Raises IndexRefusal with those that there are."""
    known = {region.lower(): number for number, region in enumerate(index.regions)}
    if name.lower() not in known:
        raise IndexRefusal(f"no region {name!r}; there are {', '.join(index.regions)}")
    return known[name.lower()]


def explain(index: Index, name: str) -> list[str]:
    """Ten lines on why a region stands where it does."""
    return list(_explained(index, region_of(index, name)))


def _explained(index: Index, at: int) -> Iterator[str]:
    region, regions = index.regions[at], index.regions
    low, high = index.runs.quantiles((0.05, 0.95))[:, at]
    first, last = index.runs.rank_quantiles((0.05, 0.95))[:, at]
    leader = regions[int(index.scores.argmax())]
    yield (
        f"{region} is number {index.ranks[at]:.0f} of {len(regions)} with {index.scores[at]:.1f} ({leader} = 100); "
        f"90% interval {low:.0f} to {high:.0f}, rank {first:.0f} to {last:.0f}."
    )
    other = index.other
    score, rank = other.scores[at], other.ranks[at]
    yield f"By the other reading of China ({other.spec.china}) it has {score:.1f}, number {rank:.0f}."
    yield _groups(index, at)
    yield _neighbours(index, at)
    yield _moves(index, at)
    shifts = {group: float(shift[at]) for group, (_, shift) in dropped(index).items()}
    said = ", ".join(f"without {group} number {index.ranks[at] + shift:.0f}" for group, shift in shifts.items())
    yield f"One group left out at a time: {said}."
    yield f"People whose country has a figure: {coverage_text(index, at)}."
    yield _marks(index, at)
    ceiling = ceilings(index)[at]
    if ceiling.used is None:
        yield f"Ceiling: not computable, no country of {region} has all figures. {ABSENT}"
    else:
        yield (
            f"Ceiling by readiness and income: {(ceiling.users or 0) / 1e6:.0f} of {(ceiling.ceiling or 0) / 1e6:.0f} "
            f"million users ({ceiling.used:.0%}), over {ceiling.covered:.0%} of its people. Connectivity is absent."
        )
    gone = ", ".join(f"{group} {weight:.0%}" for group, weight in index.absent.items())
    yield (
        f"Absent for every region: {gone} of the weight; whatever they are, it is between {index.partial.low[at]:.0f} "
        f"and {index.partial.high[at]:.0f} on the scale before the leader is put at 100."
    )


def _groups(index: Index, at: int) -> str:
    parts = [
        f"{index.framework.group(group).name} ({group}) {100 * z:.0f} x {weight:.2f} = {100 * z * weight:.1f}"
        for group, z, weight in zip(index.groups, index.z[at], index.weights, strict=True)
    ]
    return f"Its groups, each with its own leader at 100, times their weight: {', '.join(parts)}."


def _neighbours(index: Index, at: int) -> str:
    order = list(np.argsort(-index.scores, kind="stable"))
    place = order.index(at)
    said = []
    for step, word in ((-1, "above"), (1, "below")):
        if 0 <= place + step < len(order):
            near = order[place + step]
            gap, part = abs(index.scores[near] - index.scores[at]), index.runs.above[at, near]
            said.append(
                f"{index.regions[near]} is {gap:.1f} points {word} (it stands above that in {part:.0%} of runs)"
            )
    return f"Next to it, {'; '.join(said)}."


def _moves(index: Index, at: int) -> str:
    found = sensitivity(index, every_choice(), base=DESIGN, draws=0)
    total = found.scores.total[:, at]
    if np.isnan(total).all():
        return "No choice moves its score."
    order = np.argsort(-np.nan_to_num(total))[:3]
    said = ", ".join(f"{found.scores.factors[k]} {total[k]:.2f}" for k in order)
    return f"What moves its score most (total-order share of the variance): {said}."


def _marks(index: Index, at: int) -> str:
    said = []
    words = ((ASSUMED, "stand on a floor of ours"), (BOUNDED, "are bounds"), (ESTIMATED, "hold shared estimates"))
    for mark, word in words:
        codes = [c for c, m in zip(index.figures.indicators, index.figures.marks[at], strict=True) if m & mark]
        if codes:
            said.append(f"{', '.join(codes)} {word}")
    return f"Figures that are not as measured: {'; '.join(said) or 'none'}."
