"""A ledger of calls from a table of who used which model in which months: hand-made, synthetic."""

import calendar
import datetime as dt
from collections.abc import Iterable
from pathlib import Path

from tidegate.core.row import Row
from tidegate.ledger.store import Ledger

Uses = Iterable[tuple[str, str, str]]
"""(tenant, model, month as 2025-03)."""


def make_call(number: int, when: dt.datetime, **fields: object) -> Row:
    """An answered call with 100 tokens in and 50 out, unless said otherwise."""
    given: dict[str, object] = {
        "status_code": 200,
        "usage_input_tokens": 100,
        "usage_output_tokens": 50,
        "model_variant": "",
        "is_byok": False,
        **fields,
    }
    return Row(
        generation_id=f"00000000-0000-7000-8000-{number:012d}",
        ts=int(when.timestamp() * 1_000_000),
        source_id="own",
        **given,  # type: ignore[arg-type]
    )


def cohort_ledger(path: Path, uses: Uses, *, until: str) -> Ledger:
    """One call a use, on the tenth; and one call without tenant on the last day of `until`, which completes it."""
    rows = []
    for number, (tenant, model, month) in enumerate(uses, 1):
        when = dt.datetime.fromisoformat(f"{month}-10T12:00:00+00:00")
        rows.append(make_call(number, when, tenant_id=tenant, response_model=model))
    year, month_no = map(int, until.split("-"))
    first = min(row.ts for row in rows)
    opening = dt.datetime.fromtimestamp(first / 1e6, dt.UTC).replace(day=1)
    closing = dt.datetime(year, month_no, calendar.monthrange(year, month_no)[1], 23, tzinfo=dt.UTC)
    rows += [make_call(10**9, opening), make_call(10**9 + 1, closing)]
    ledger = Ledger.create(path)
    ledger.add_rows(rows, [], unit="hand", origin="a test")
    return ledger
