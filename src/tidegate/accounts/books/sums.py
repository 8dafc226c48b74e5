"""What sealed rows add up to: by tenant, UTC day and model, straight from the Parquet files that a manifest names."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from tidegate.accounts.books.posting import RowRange
from tidegate.core.errors import LedgerError
from tidegate.ledger.manifest import Entry
from tidegate.ledger.parquet import day_of
from tidegate.ledger.schema import MICROSECONDS_PER_DAY, Table, files_select, sql_text

if TYPE_CHECKING:
    import duckdb

NO_TENANT: Final = ""
"""Whose rows without a tenant are: they are booked like any other's, so that nothing is left out."""

TOKENS_MAX: Final = 10**15
"""No segment holds so many; a provider that reports more does not overflow a column."""

_SUMS: Final = f"""
SELECT COALESCE(tenant_id, '') AS tenant_id, ts // {MICROSECONDS_PER_DAY} AS day_no,
  substring(replace(COALESCE(response_model, ''), chr(0), ''), 1, 255) AS model,
  count(*), COALESCE(min(segment_seq), 0), COALESCE(max(segment_seq), 0), min(ts),
  count(*) FILTER (cost_basis = 'unknown'),
  CAST(COALESCE(sum(cost_nano_usd), 0) AS HUGEINT), CAST(COALESCE(sum(upstream_cost_nano_usd), 0) AS HUGEINT),
  CAST(COALESCE(sum(operator_loss_nano_usd), 0) AS HUGEINT),
  CAST(LEAST(COALESCE(sum(usage_input_tokens), 0), {TOKENS_MAX}) AS HUGEINT),
  CAST(LEAST(COALESCE(sum(usage_cache_read_input_tokens), 0), {TOKENS_MAX}) AS HUGEINT),
  CAST(LEAST(COALESCE(sum(usage_output_tokens), 0), {TOKENS_MAX}) AS HUGEINT)
FROM (SOURCE) GROUP BY ALL ORDER BY ALL
"""


class Sum(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Rows of one tenant, UTC day and model in one segment. Amounts in nano-USD; null counts as 0.

    `unmetered`: rows of unknown cost. `lost`: what calls came to beyond what the tenant had. `ts_min`: the earliest.
    """

    tenant_id: str
    day: str
    model: str
    calls: int
    first_seq: int
    last_seq: int
    ts_min: int
    unmetered: int
    charged: int
    upstream: int
    lost: int
    input_tokens: int
    cached_tokens: int
    output_tokens: int


class DaySum(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Rows of one tenant and UTC day in one segment, all models: what a usage transaction is made of."""

    tenant_id: str
    day: str
    rows: RowRange
    ts_min: int
    charged: int
    upstream: int
    lost: int

    @property
    def amounts(self) -> tuple[int, int, int]:
        return self.charged, self.upstream, self.lost


def segment_sums(connection: "duckdb.DuckDBPyConnection", root: Path, entry: Entry) -> list[Sum]:
    """By tenant, day and model. Raises LedgerError where a file cannot be read."""
    source = source_of(root, entry)
    if not source:
        return []
    found = []
    for tenant_id, day_no, model, *numbers in query(connection, _SUMS.replace("SOURCE", source), entry.unit):
        named = dict(zip(Sum.__struct_fields__[3:], map(int, numbers), strict=True))
        found.append(Sum(tenant_id=tenant_id, day=day_of(day_no * MICROSECONDS_PER_DAY), model=model, **named))
    return found


def source_of(root: Path, entry: Entry, table: Table = "rows") -> str:
    """SQL of an entry's rows or attempts; empty where it has none."""
    paths = [str(root / file.path) for file in entry.files if file.table == table]
    return files_select(table, paths) if paths else ""


def forgotten_costs(
    connection: "duckdb.DuckDBPyConnection", root: Path, entry: Entry
) -> list[tuple[str, str, str, int, int]]:
    """Rows whose upstream cost is not what their attempts come to: tenant, day, call, of the row, of its attempts."""
    rows, attempts = source_of(root, entry), source_of(root, entry, "attempts")
    if not rows or not attempts:
        return []
    text = (
        f"SELECT COALESCE(tenant_id, ''), ts, generation_id, COALESCE(upstream_cost_nano_usd, 0), spent FROM ({rows}) "
        "JOIN (SELECT generation_id, CAST(COALESCE(sum(upstream_cost_nano_usd), 0) AS HUGEINT) AS spent "
        f"FROM ({attempts}) GROUP BY generation_id) USING (generation_id) "
        "WHERE COALESCE(upstream_cost_nano_usd, 0) <> spent ORDER BY generation_id LIMIT 10"
    )
    found = query(connection, text, entry.unit)
    return [(tenant_id, day_of(ts), call, int(one), int(other)) for tenant_id, ts, call, one, other in found]


def by_day(sums: Iterable[Sum], ledger_id: str, segment_id: str) -> list[DaySum]:
    """By tenant and day, in that order."""
    parts: dict[tuple[str, str], list[Sum]] = {}
    for part in sums:
        parts.setdefault((part.tenant_id, part.day), []).append(part)
    return [
        DaySum(
            tenant_id=tenant_id,
            day=day,
            rows=RowRange(
                ledger_id=ledger_id,
                segment_id=segment_id,
                first_seq=min(part.first_seq for part in found),
                last_seq=max(part.last_seq for part in found),
                count=sum(part.calls for part in found),
                unmetered=sum(part.unmetered for part in found),
            ),
            ts_min=min(part.ts_min for part in found),
            charged=sum(part.charged for part in found),
            upstream=sum(part.upstream for part in found),
            lost=sum(part.lost for part in found),
        )
        for (tenant_id, day), found in sorted(parts.items())
    ]


def charged_before(
    connection: "duckdb.DuckDBPyConnection", root: Path, entry: Entry, since_us: Mapping[str, int]
) -> dict[str, int]:
    """What an entry's rows from before a moment were charged, by tenant. since_us: the moment of each tenant."""
    source, found = source_of(root, entry), {}
    for tenant_id, moment_us in since_us.items() if source else ():
        text = (
            f"SELECT CAST(COALESCE(sum(cost_nano_usd), 0) AS HUGEINT) FROM ({source}) "
            f"WHERE COALESCE(tenant_id, '') = {sql_text(tenant_id)} AND ts < {moment_us}"
        )
        found[tenant_id] = int(query(connection, text, entry.unit)[0][0])
    return found


def query(connection: "duckdb.DuckDBPyConnection", text: str, unit: str) -> Sequence[tuple]:  # type: ignore[type-arg]
    """Raises LedgerError naming the unit where its files cannot be read."""
    import duckdb

    try:
        return connection.execute(text).fetchall()
    except duckdb.Error as error:
        raise LedgerError(
            f"{unit}: its rows cannot be read: {str(error).splitlines()[0]} "
            "(`tidegate ledger verify` names what is wrong)"
        ) from error
