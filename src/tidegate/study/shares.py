"""Shares over time: sums of a measure by period and group, over the period's total. What most figures are made of."""

import datetime as dt
from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec

from tidegate.study.facts import Facts, Source
from tidegate.study.params import UNITS, Params
from tidegate.study.periods import Coverage
from tidegate.study.quantity import percent
from tidegate.study.result import Cell, NotComputable, Result
from tidegate.study.select import MODELS, Ask, sample_sql, select

Sums = dict[dt.date, dict[str, int]]
REST = "other"  # the groups that a chart of the largest does not name
NO_NOTES: Sequence[str] = ()


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """Sums by period and group over the kept periods, and what adds nothing to them.

    unmeasured: records without the measure. unmetered: calls without usage, of a source that counts calls.
    """

    sums: Sums
    coverage: Coverage
    n: int
    n_of: str
    unmeasured: int
    unmetered: int

    def total(self, group: str | None = None) -> int:
        """Over all kept periods, of one group or of all."""
        return sum(value for groups in self.sums.values() for name, value in groups.items() if group in (None, name))

    def share(self, group: str) -> float:
        """Of a group in the whole, 0 where there is nothing."""
        total = self.total()
        return self.total(group) / total if total else 0.0

    def totals(self) -> dict[str, int]:
        """Of each group over all kept periods, largest first; equals by name."""
        found: dict[str, int] = {}
        for groups in self.sums.values():
            for name, value in groups.items():
                found[name] = found.get(name, 0) + value
        return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))

    def regrouped(self, name_of: Callable[[str], str | None]) -> "Table":
        """The same table with groups renamed, those of one new name added up; None leaves a group out."""
        sums: Sums = {period: {} for period in self.sums}
        for period, groups in self.sums.items():
            for name, value in groups.items():
                if (new := name_of(name)) is not None:
                    sums[period][new] = sums[period].get(new, 0) + value
        return msgspec.structs.replace(self, sums=sums)

    def top(self, number: int, *, rest: bool, never: Sequence[str] = ()) -> tuple["Table", list[str]]:
        """The groups that are largest over the whole window, in order; all others are added up (`other`) or left out.

        never: groups that are nobody's name, such as what a source sums up itself.
        """
        names = [name for name, value in self.totals().items() if value and name not in never][:number]
        kept = self.regrouped(lambda name: name if name in names else REST if rest else None)
        return kept, names + ([REST] if rest and kept.total(REST) else [])


def tabulate(figure: str, facts: Facts, source: Source, params: Params, ask: Ask | str) -> Table:
    """Sum the measure by period and group. ask: what is summed, or a group expression over the models' relation."""
    wanted = Ask(group=ask) if isinstance(ask, str) else ask
    selected, values = select(figure, facts, source, params, wanted)
    coverage = facts.coverage(source, params)
    rows = facts.query(
        f"SELECT period, grouped, sum(value), count(*), count(value), sum(unmetered) FROM ({selected}) GROUP BY ALL",
        values,
    )
    kept = set(coverage.kept)
    sums: Sums = {period: {} for period in coverage.kept}
    records = unmeasured = unmetered = 0
    for period, group, value, count, measured, without_usage in rows:
        if period not in kept:
            continue
        sums[period][group] = int(value or 0)
        records += count
        unmeasured += count - measured
        unmetered += int(without_usage or 0)
    n, n_of = _sample(facts, source, params, wanted, coverage, records)
    return Table(sums=sums, coverage=coverage, n=n, n_of=n_of, unmeasured=unmeasured, unmetered=unmetered)


def _sample(
    facts: Facts, source: Source, params: Params, ask: Ask, coverage: Coverage, records: int
) -> tuple[int, str]:
    """The sample: calls where the source counts them, else the records the figure was summed from."""
    if not coverage.kept:
        return 0, "records"
    if "calls" in source.measures:
        counted, values = sample_sql(facts, source, params, ask)
        kept = ", ".join(f"DATE '{period}'" for period in coverage.kept)
        calls = facts.query(f"SELECT sum(value) FROM ({counted}) WHERE period IN ({kept})", values)[0][0]
        return int(calls or 0), "labelled calls" if ask.relation in ("tags", "languages") else "calls"
    if not source.names_models and not source.names_authors:
        return records, f"the source's records, each a sum of a {params.grain}"
    what = {True: "model", False: "author"}[source.names_models]
    return records, f"{what}-{params.grain}s: the source publishes sums, not calls"


def cells(
    table: Table, column: str, groups: Sequence[str], totals: Mapping[dt.date, int] | None = None
) -> tuple[Cell, ...]:
    """One cell per period and group in this order. A period in which nothing was observed has no values.

    totals: what a share is of, by period; without it, of the period's sum.
    """
    unobserved = {period for period, present, _ in table.coverage.gaps if not present}
    found = []
    for period, values in sorted(table.sums.items()):
        total = sum(values.values()) if totals is None else totals.get(period, 0)
        for group in groups:
            value = None if period in unobserved else values.get(group, 0)
            share = value / total if value is not None and total else None
            found.append(Cell(period=period.isoformat(), groups={column: group}, value=value, share=share))
    return tuple(found)


def window_cells(table: Table, column: str, groups: Sequence[str], *, total: int | None = None) -> tuple[Cell, ...]:
    """One cell per group over the whole window, under the first period; shares of `total`, else of the sum."""
    whole = table.total() if total is None else total
    period = table.coverage.kept[0].isoformat() if table.coverage.kept else ""
    totals = table.totals()
    return tuple(
        Cell(
            period=period,
            groups={column: group},
            value=totals.get(group, 0),
            share=totals.get(group, 0) / whole if whole else None,
        )
        for group in groups
    )


class Missing(msgspec.Struct, frozen=True):
    """The part of the measure that lacks the attribute a figure needs, and what it lacks, in words."""

    share: float = 0.0
    what: str = ""


class Drawn(msgspec.Struct, frozen=True, kw_only=True):
    """What is a figure's own; `finish` adds what every figure carries.

    of: whose measure it is, where that may be nobody's in a source: then the figure is refused, not drawn empty.
    """

    figure: str
    definition: str
    rows: tuple[Cell, ...]
    missing: Missing = Missing()
    notes: Sequence[str] = NO_NOTES
    unit: str = ""
    down: tuple[str, ...] = ()
    of: str = ""


def finish(source: Source, params: Params, table: Table, drawn: Drawn) -> Result:
    """The result with its window, sample, switches and caveats. Raises NotComputable where there is nothing to show."""
    if (not drawn.rows and table.coverage.kept) or (drawn.of and not table.total()):
        nothing = f"it has no {params.measure} of {drawn.of or 'what this figure counts'} in the window"
        raise NotComputable(drawn.figure, source.source_id, nothing)
    return Result(
        figure=drawn.figure,
        definition=drawn.definition,
        source_id=source.source_id,
        window=table.coverage.window,
        rows=drawn.rows,
        n=table.n,
        missing_share=drawn.missing.share,
        notes=(
            *drawn.notes,
            *common_notes(source, params, table),
            *missing_note(drawn.missing.share, drawn.missing.what),
        ),
        unit=drawn.unit or UNITS[params.measure],
        grain=params.grain,
        down=drawn.down,
    )


def common_notes(source: Source, params: Params, table: Table) -> list[str]:
    """What every figure of this kind says beside its numbers."""
    told = [source.describe(), *params.switches(), f"n counts {table.n_of}."]
    if params.top:
        told.append(
            f"Only the {params.top} largest models of each {params.grain} are counted, variants ranked apart, cloaked "
            "models among them, without the source's row for all others: a leaderboard's view, not the market's."
        )
    if params.measure == "tokens" and table.unmetered:
        told.append(f"{table.unmetered:,} calls have no usage (refused, failed or cut off) and add no tokens.")
    elif table.unmeasured:
        told.append(f"{table.unmeasured} records have no {params.measure} and add nothing.")
    return told + table.coverage.notes()


def missing_note(share: float, what: str) -> Iterable[str]:
    """A sentence on the part that lacks an attribute, where there is one."""
    if share > 0:
        yield f"{percent(share)} of the measure has {what}."


__all__ = [
    "MODELS",
    "REST",
    "Ask",
    "Drawn",
    "Missing",
    "Table",
    "cells",
    "common_notes",
    "finish",
    "missing_note",
    "tabulate",
    "window_cells",
]
