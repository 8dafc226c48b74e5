"""`tidegate ledger`, as an operator types it."""

import csv
import io
import json

import msgspec
import pytest
from click.testing import CliRunner
from ledger_calls import DAY_US, NOW_US, call_id, die, make_intent, make_row, open_writer, write_calls

from tidegate.cli.ledger import ledger as command
from tidegate.core.errors import LedgerError
from tidegate.core.row import Row, TaskTag
from tidegate.ledger.store import Ledger


@pytest.fixture
def ledger(tmp_path):
    """Three calls closed, two on the next day and one cut off in a dead writer's segment."""
    ledger = Ledger.create(tmp_path / "ledger")
    writer = open_writer(ledger.journal_path)
    write_calls(writer, range(3))
    writer.close()
    dead = open_writer(ledger.journal_path, worker=1)
    write_calls(dead, range(3, 5), ts=NOW_US + DAY_US)
    dead.append(make_intent(5, ts=NOW_US + DAY_US))
    dead.flush()
    die(dead)
    return ledger


def run(ledger, *arguments, code=0):
    result = CliRunner().invoke(command, [*arguments, "--ledger", str(ledger.path)])
    assert result.exit_code == code, result.output
    return result


def test_seal_says_what_it_did(ledger):
    output = run(ledger, "seal").stdout
    assert "2 calls complete, 1 cut off (rows of unknown cost), 0 damaged lines" in output
    assert f"sealed gw-0000-{NOW_US:016x}: 3 rows, 3 attempts, 2 files" in output
    assert run(ledger, "seal").stdout == "nothing to seal: the journal holds no calls that have ended\n"


def test_recover_leaves_sealing_to_seal(ledger):
    assert "1 cut off" in run(ledger, "recover").stdout
    assert run(ledger, "recover").stdout.startswith("nothing to recover")
    assert ledger.entries() == []


def test_stat_counts_sealed_and_unsealed(ledger):
    before = json.loads(run(ledger, "stat", "--format", "json").stdout)
    assert (before["rows"], before["unsealed_calls"], before["segments_open"], before["segments_closed"]) == (
        0,
        5,
        1,
        1,
    )
    run(ledger, "seal")
    after = json.loads(run(ledger, "stat", "--format", "json").stdout)
    assert (after["rows"], after["attempts"], after["unsealed_calls"], after["entries"]) == (6, 6, 0, 2)
    assert [(day["day"], day["calls"], day["unknown_cost_calls"]) for day in after["days"]] == [
        ("2026-03-23", 3, 0),
        ("2026-03-24", 3, 1),
    ]
    assert after["days"][0]["cost_nano_usd"] == 3 * 330_000 + 3
    rows = list(csv.DictReader(io.StringIO(run(ledger, "stat", "--format", "csv").stdout)))
    assert rows[1]["output_tokens"] == "900"
    table = run(ledger, "stat").stdout
    assert "0.000990003" in table and ledger.ledger_id in table


def test_verify_prints_ok_or_each_finding(ledger):
    run(ledger, "seal")
    head = ledger.manifest.read_head().sha256
    assert run(ledger, "verify").stdout == f"ok: 4 files, 6 rows, head {head}\n"
    path = ledger.row_files()[0]
    path.write_bytes(path.read_bytes()[:-1])
    result = run(ledger, "verify", code=1)
    assert result.stdout.startswith(f"{path.relative_to(ledger.path)}: changed\n  expected  sha256 ")
    assert "1 finding in" in result.stderr
    (found,) = json.loads(run(ledger, "verify", "--format", "json", "--quick", code=1).stdout)
    assert found["problem"] == "changed"


@pytest.mark.parametrize("file_format", ["csv", "jsonl", "parquet"])
def test_export_writes_the_rows_of_the_days_asked_for(ledger, tmp_path, file_format):
    """Every format gives the same rows back."""
    run(ledger, "seal")
    tagged = make_row(50, task_tags=[TaskTag(path='code/"debug"', confidence_ppm=900_000)], app="a,b\nc")
    ledger.add_rows([tagged], (), unit="tagged", origin="test")
    out = tmp_path / f"out.{file_format}"
    output = run(ledger, "export", "--format", file_format, "--out", str(out), "--to", "2026-03-23").stderr
    assert output.startswith("4 rows written to")
    if file_format == "csv":
        found = list(csv.DictReader(io.StringIO(out.read_text())))
        assert list(found[0]) == list(Row.__struct_fields__)
        assert json.loads(found[-1]["task_tags"]) == [{"path": 'code/"debug"', "confidence_ppm": 900_000}]
        assert found[-1]["app"] == "a,b\nc"
    else:
        if file_format == "parquet":
            connection = ledger.connect()
            connection.execute(f"COPY (SELECT * FROM read_parquet(['{out}'])) TO '{out}.json' (FORMAT json)")
            connection.close()
            out = out.with_suffix(".parquet.json")
        found = [msgspec.json.decode(line, type=Row) for line in out.read_bytes().splitlines()]
        assert found[-1] == tagged and [row.generation_id for row in found[:3]] == [call_id(n) for n in range(3)]


def test_export_of_no_days_is_a_header(ledger, tmp_path):
    out = tmp_path / "none.csv"
    run(ledger, "export", "--format", "csv", "--out", str(out), "--from", "2030-01-01", "--table", "attempts")
    assert out.read_text().startswith("generation_id,attempt_no,ts,")
    assert out.read_text().count("\n") == 1


def test_a_wrong_day_says_how_to_write_one(ledger, tmp_path):
    arguments = ["export", "--format", "csv", "--out", str(tmp_path / "x"), "--from", "23.3.2026"]
    result = CliRunner().invoke(command, [*arguments, "--ledger", str(ledger.path)])
    assert isinstance(result.exception, LedgerError)
    assert "write it as 2026-03-23" in str(result.exception)


def test_show_prints_the_row_as_a_table(ledger):
    output = run(ledger, "show", call_id(1)).stdout
    assert "openai/gpt-4o-mini" in output and "330001  (0.000330001 USD)" in output and "attempt 1" in output
    shown = json.loads(run(ledger, "show", call_id(1), "--format", "json").stdout)
    assert msgspec.convert(shown["row"], Row).generation_id == call_id(1)


def test_show_of_an_unknown_call_says_where_ids_are_found(ledger):
    result = CliRunner().invoke(command, ["show", "nobody", "--ledger", str(ledger.path)])
    assert "X-Generation-Id" in str(result.exception)


def test_import_names_what_is_wrong_before_it_makes_a_ledger(tmp_path):
    into = tmp_path / "new"
    result = CliRunner().invoke(command, ["import", "trace", str(tmp_path / "none.csv"), "--into", str(into)])
    assert "there is no such file" in str(result.exception) and not into.exists()
    result = CliRunner().invoke(command, ["import", "excel", str(tmp_path), "--into", str(into)])
    assert result.exit_code == 2 and "one-api, tidegate, trace, azure" in result.output


@pytest.mark.parametrize("name", sorted(command.commands))
def test_every_command_has_an_example(name):
    text = CliRunner().invoke(command, [name, "--help"]).output
    assert "Example:" in text and f"tidegate ledger {name}" in text
