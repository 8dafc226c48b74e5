"""What our ledger says: usage and upstream cost by day and model at one provider, sealed and unsealed rows together.

A row's usage is its served attempt's; where a call took several attempts, each counts at the provider it went to.
"""

import datetime as dt
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any, Final

from tidegate.accounts.reconcile.day import DayModel, DayUse
from tidegate.core.row import Attempt, Row
from tidegate.ledger.store import Ledger

OWN: Final = "own"
_SINGLE = """
    SELECT strftime(make_timestamp(ts), '%Y-%m-%d') AS day, coalesce(response_model, request_model, ''),
        sum(coalesce(requests, 1)), sum(coalesce(usage_input_tokens, 0)), sum(coalesce(usage_output_tokens, 0)),
        sum(coalesce(usage_cache_read_input_tokens, 0)), sum(coalesce(usage_cache_creation_input_tokens, 0)),
        sum(coalesce(usage_reasoning_output_tokens, 0)), sum(coalesce(upstream_cost_nano_usd, 0)),
        count(*) FILTER (WHERE usage_output_tokens IS NULL AND error_type IS NULL OR cost_basis = 'unknown'),
        count(*) FILTER (WHERE cost_basis = 'estimated_partial')
    FROM rows
    WHERE source_id = ? AND provider_name = ? AND coalesce(attempt_count, 1) = 1 AND NOT coalesce(is_cached, false)
        AND (error_type IS NULL OR usage_input_tokens > 0 OR cost_basis = 'unknown')
    GROUP BY ALL
"""
_SEVERAL = """
    SELECT strftime(make_timestamp(a.ts), '%Y-%m-%d') AS day, coalesce(r.response_model, r.request_model, ''),
        count(*), sum(coalesce(a.usage_input_tokens, 0)), sum(coalesce(a.usage_output_tokens, 0)),
        sum(coalesce(a.usage_cache_read_input_tokens, 0)), sum(coalesce(a.usage_cache_creation_input_tokens, 0)),
        sum(coalesce(a.usage_reasoning_output_tokens, 0)), sum(coalesce(a.upstream_cost_nano_usd, 0)),
        count(*) FILTER (WHERE a.usage_output_tokens IS NULL AND a.error_type IS NULL), 0
    FROM attempts a JOIN rows r USING (generation_id)
    WHERE r.source_id = ? AND r.attempt_count > 1 AND split_part(a.endpoint_id, '@', -1) = ?
        AND (a.error_type IS NULL OR a.usage_input_tokens > 0)
    GROUP BY ALL
"""


def read_ours(ledger: Ledger, provider: str, source_id: str, canonical: Callable[[str], str]) -> dict[DayModel, DayUse]:
    """Sums of everything that the ledger holds of a provider."""
    found: dict[DayModel, DayUse] = defaultdict(DayUse)
    if ledger.row_files():
        with ledger.connect() as connection:
            for query in (_SINGLE, _SEVERAL):
                for day, model, *counts in connection.execute(query, [source_id, provider]).fetchall():
                    key = (day, canonical(model))
                    found[key] = found[key].plus(_use(counts))
    if source_id == OWN:
        for key, use in _unsealed(ledger, provider, canonical):
            found[key] = found[key].plus(use)
    return dict(found)


def _use(counts: list[Any]) -> DayUse:
    requests, entered, left, read, written, thought, cost, unmetered, estimated = (int(count or 0) for count in counts)
    return DayUse(
        requests=requests,
        input_tokens=entered,
        output_tokens=left,
        cache_read_tokens=read,
        cache_write_tokens=written,
        reasoning_tokens=thought,
        cost_nano_usd=cost,
        unmetered=unmetered,
        estimated=estimated,
    )


def _unsealed(ledger: Ledger, provider: str, canonical: Callable[[str], str]) -> Iterator[tuple[DayModel, DayUse]]:
    for outcome in ledger.unsealed_outcomes():
        row = outcome.row
        model = canonical(row.response_model or row.request_model or "")
        if (row.attempt_count or 1) > 1 and outcome.attempts:
            for attempt in outcome.attempts:
                if attempt.endpoint_id.rpartition("@")[2] == provider and not _refused(attempt):
                    yield (_day(attempt.ts), model), _of(attempt, None)
        elif row.provider_name == provider and not row.is_cached and not _refused(row):
            yield (_day(row.ts), model), _of(row, row.cost_basis)


def _refused(record: Row | Attempt) -> bool:
    """A failure that consumed nothing: no provider lists it."""
    unknown = isinstance(record, Row) and record.cost_basis == "unknown"
    return record.error_type is not None and not record.usage_input_tokens and not unknown


def _of(record: Row | Attempt, basis: str | None) -> DayUse:
    unknown = basis == "unknown" or (record.usage_output_tokens is None and record.error_type is None)
    return DayUse(
        requests=1,
        input_tokens=record.usage_input_tokens or 0,
        output_tokens=record.usage_output_tokens or 0,
        cache_read_tokens=record.usage_cache_read_input_tokens or 0,
        cache_write_tokens=record.usage_cache_creation_input_tokens or 0,
        reasoning_tokens=record.usage_reasoning_output_tokens or 0,
        cost_nano_usd=record.upstream_cost_nano_usd or 0,
        unmetered=int(unknown),
        estimated=int(basis == "estimated_partial"),
    )


def _day(ts: int) -> str:
    return dt.datetime.fromtimestamp(ts / 1_000_000, dt.UTC).date().isoformat()
