"""Rows of another Tidegate ledger: exported there, studied here, each call once."""

from pathlib import Path
from typing import Literal

import pytest
from import_samples import rows_of, told, write_lines

from tidegate.core.errors import LedgerError
from tidegate.core.ids import gateway_tag, generation_id
from tidegate.core.row import Row, TaskTag
from tidegate.ledger.export import export
from tidegate.ledger.imports import run_import
from tidegate.ledger.store import Ledger

TS = 1_774_260_000_000_000


def call(number: int) -> Row:
    return Row(
        generation_id=generation_id(TS // 1000, number, gateway_tag("there"), 0, number),
        ts=TS + number,
        source_id="own",
        tenant_id="acme, inc.",
        response_model="openai/gpt-4o",
        is_byok=False,
        usage_input_tokens=100 + number,
        usage_output_tokens=5,
        cost_nano_usd=7,
        cost_basis="metered",
        language="zh-Hans",
        task_tags=[TaskTag(path="/Computers & Electronics/Programming", confidence_ppm=900_000)],
        tag_sample_weight=10,
    )


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
def test_an_exported_ledger_comes_in_as_it_was(form: Literal["csv", "jsonl", "parquet"], tmp_path: Path) -> None:
    """But for the source: `own` over there is another gateway here."""
    there, here = (Ledger.create(tmp_path / name) for name in ("there", "here"))
    there.add_rows([call(1), call(2)], [], unit="calls", origin="test")
    file = tmp_path / f"rows.{form}"
    export(there, file, file_format=form, table="rows", from_day=None, to_day=None)
    report = run_import("tidegate", [file], here, source_id="berlin")
    assert report.added == 2, told(report)
    columns = "* EXCLUDE (source_id, request_id)"
    assert rows_of(here, columns, "ts") == rows_of(there, columns, "ts")
    assert rows_of(here, "DISTINCT source_id", "1") == [("berlin",)]


def test_a_ledger_is_not_added_to_itself(tmp_path: Path) -> None:
    ledger = Ledger.create(tmp_path / "ledger")
    ledger.add_rows([call(1)], [], unit="calls", origin="test")
    file = tmp_path / "rows.jsonl"
    export(ledger, file, file_format="jsonl", table="rows", from_day=None, to_day=None)
    with pytest.raises(LedgerError, match="1 of its calls are in the ledger already"):
        run_import("tidegate", [file], ledger)


def test_rows_of_wrong_types_are_rejected(tmp_path: Path) -> None:
    ledger = Ledger.create(tmp_path / "ledger")
    good = {"generation_id": call(1).generation_id, "ts": TS, "usage_input_tokens": 5}
    bad = [
        {**good, "generation_id": "call-1"},
        {**good, "usage_input_tokens": "many"},
        {**good, "cost_nano_usd": 1.5},
        {**good, "task_tags": "programming"},
        {**good, "cost_basis": "guessed"},
    ]
    report = run_import("tidegate", [write_lines(tmp_path, [good, *bad])], ledger)
    assert (report.added, sum(item.count for item in report.rejected)) == (1, 5)
