"""Length histograms by task category: means, medians and 90th percentiles of weighted counts."""

import datetime as dt
from collections.abc import Callable

import msgspec

from tidegate.study.facts import Facts, Source
from tidegate.study.params import Params
from tidegate.study.periods import Coverage
from tidegate.study.prompt_length import Bucket, quantile, refuse_what_is_not_kept
from tidegate.study.result import Cell

ALL = ""  # the label path of every call, labelled or not
STATISTICS = ("mean", "median", "p90")


class Lengths(msgspec.Struct, frozen=True, kw_only=True):
    """Histograms by week and group. calls: weighted; n: those of all kept weeks."""

    bars: dict[tuple[dt.date, str], list[Bucket]]
    coverage: Coverage
    n: int

    def statistic(self, week: dt.date, group: str, statistic: str) -> int | float | None:
        """None where the week has no call of the group."""
        bars = self.bars.get((week, group))
        if not bars:
            return None
        if statistic == "mean":
            return round(sum(bar.tokens for bar in bars) / sum(bar.calls for bar in bars), 2)
        return quantile(bars, {"median": 0.5, "p90": 0.9}[statistic])

    def cells(self, column: str, group: str) -> list[Cell]:
        """Every statistic of every kept week."""
        return [
            Cell(
                period=week.isoformat(),
                groups={column: group, "statistic": statistic},
                value=self.statistic(week, group, statistic),
            )
            for week in self.coverage.kept
            for statistic in STATISTICS
        ]


def lengths_by(
    figure: str,
    facts: Facts,
    source: Source,
    params: Params,
    length_of: str,
    group_of: Callable[[str], str | None],
) -> Lengths:
    """Histograms of `length_of` by what `group_of` makes of a label path; None leaves the path out."""
    refuse_what_is_not_kept(figure, facts, source, params)
    coverage = facts.coverage(source, params)
    rows = facts.query(
        "SELECT week, tag_path, bucket, sum(calls), sum(tokens) FROM length_histogram "
        "WHERE source_id = ? AND length_of = ? GROUP BY ALL ORDER BY ALL",
        [source.source_id, length_of],
    )
    kept = set(coverage.kept)
    sums: dict[tuple[dt.date, str], dict[int, tuple[int, int]]] = {}
    n = 0
    for week, path, low, calls, tokens in rows:
        group = group_of(path)
        if week not in kept or group is None:
            continue
        bars = sums.setdefault((week, group), {})
        before = bars.get(low, (0, 0))
        bars[low] = (before[0] + int(calls), before[1] + int(tokens))
        n += int(calls)
    found = {key: [Bucket(low, *counted) for low, counted in sorted(bars.items())] for key, bars in sums.items()}
    return Lengths(bars=found, coverage=coverage, n=n)
