"""Shares over time: sums of a measure by period and group, over the period's total. What most figures are made of."""

import datetime as dt
from collections.abc import Iterable, Sequence

import msgspec

from tidegate.study.facts import Facts, Source, selected_sql
from tidegate.study.params import Params
from tidegate.study.periods import Coverage
from tidegate.study.quantity import percent
from tidegate.study.result import Cell

Sums = dict[dt.date, dict[str, int]]


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


def tabulate(figure: str, facts: Facts, source: Source, params: Params, group_sql: str) -> Table:
    """Sum the measure by period and by `group_sql`, an expression over the columns of `facts`."""
    selected, values = selected_sql(figure, source, params)
    coverage = facts.coverage(source, params)
    rows = facts.query(
        f"SELECT period, {group_sql} AS grouped, sum(value), count(*), count(value), sum(unmetered) "
        f"FROM ({selected}) GROUP BY ALL",
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
    n, n_of = _sample(facts, source, params, coverage, records)
    return Table(sums=sums, coverage=coverage, n=n, n_of=n_of, unmeasured=unmeasured, unmetered=unmetered)


def _sample(facts: Facts, source: Source, params: Params, coverage: Coverage, records: int) -> tuple[int, str]:
    """The sample: calls where the source counts them, else the records the figure was summed from."""
    if not coverage.kept:
        return 0, "records"
    if "calls" in source.measures:
        selected, values = selected_sql("sample", source, msgspec.structs.replace(params, measure="calls"))
        kept = ", ".join(f"DATE '{period}'" for period in coverage.kept)
        calls = facts.query(f"SELECT sum(value) FROM ({selected}) WHERE period IN ({kept})", values)[0][0]
        return int(calls or 0), "calls"
    return (
        records,
        f"{'model' if source.names_models else 'author'}-{params.grain}s: the source publishes sums, not calls",
    )


def cells(table: Table, column: str, groups: Sequence[str]) -> tuple[Cell, ...]:
    """One cell per period and group in this order. A period in which nothing was observed has no values."""
    unobserved = {period for period, present, _ in table.coverage.gaps if not present}
    found = []
    for period, values in sorted(table.sums.items()):
        total = sum(values.values())
        for group in groups:
            value = None if period in unobserved else values.get(group, 0)
            share = value / total if value is not None and total else None
            found.append(Cell(period=period.isoformat(), groups={column: group}, value=value, share=share))
    return tuple(found)


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
