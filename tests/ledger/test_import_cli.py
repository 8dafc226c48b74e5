"""`tidegate ledger import` and `imports` as an operator uses them."""

import importlib
import json
from pathlib import Path

from click.testing import CliRunner
from import_samples import write_lines, write_text

from tidegate.cli.ledger import ledger as command
from tidegate.ledger.imports import FORMATS


def test_formats_are_listed_with_what_they_bring() -> None:
    result = CliRunner().invoke(command, ["import", "formats", "--format", "json"])
    listed = json.loads(result.output)
    assert [item["format"] for item in listed] == list(FORMATS)
    assert {item["brings"] for item in listed} == {"calls", "daily", "series"}


def test_every_format_has_a_module_that_runs() -> None:
    for form in FORMATS.values():
        assert callable(importlib.import_module(f"tidegate.ledger.imports.{form.module}").run)


def test_an_import_says_what_it_left_out_and_imports_says_it_again(tmp_path: Path) -> None:
    mapping = write_text(tmp_path, "columns: {ts: t, usage_input_tokens: n}", "m.yml")
    file = write_lines(tmp_path, [{"t": "2026-03-23T10:00:00Z", "n": 1}, {"t": "2026-03-23T10:00:00Z", "n": -1}])
    into = str(tmp_path / "ledger")
    result = CliRunner().invoke(command, ["import", "table", str(file), "--mapping", str(mapping), "--into", into])
    assert result.exit_code == 0, result.output
    assert "2 records read from 1 file, 1 added, 0 already in the ledger, 1 rejected; source table:m" in result.output
    assert "rejected: n: below zero (1); first log.jsonl, line 2: n is -1, below zero" in result.output
    again = CliRunner().invoke(command, ["imports", "--ledger", into, "--format", "json"])
    ((line),) = json.loads(again.output)
    assert (line["format"], line["added"], line["rejected"]) == ("table", 1, 1)


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    file = write_lines(tmp_path, [{"t": 1}])
    into = ["--into", str(tmp_path / "ledger")]
    without = CliRunner().invoke(command, ["import", "table", str(file), *into])
    assert "needs --mapping FILE" in str(without.exception)
    assert "name a file" in CliRunner().invoke(command, ["import", "litellm", *into]).output
    bad = CliRunner().invoke(command, ["import", "litellm", str(file), "--as-of", "May", *into])
    assert bad.exit_code == 2 and "'May' is not a time" in bad.output


def test_every_vintage_of_a_restated_value_is_listed(tmp_path: Path) -> None:
    """A day restated twice, and a week's list of authors once; what was not restated is not listed."""
    into = ["--into", str(tmp_path / "ledger")]
    header = "Date,Model,Prompt,Completion,Reasoning,Total_Tokens\n"
    for day, tokens in ((1, 5), (2, 6), (3, 4)):
        text = header + f"2026-03-23,x/a,{tokens},0,0,{tokens}\n2026-03-23,x/b,1,0,0,1\n"
        file = str(write_text(tmp_path, text, f"{day}.csv"))
        CliRunner().invoke(command, ["import", "openrouter-daily", file, *into, "--as-of", f"2026-04-0{day}"])
    for day, tokens in ((1, 2), (2, 3)):
        text = f"Date,Author,Tokens\n2026-03-16,qwen,{tokens}\n2026-03-16,others,1\n"
        file = str(write_text(tmp_path, text, f"a{day}.csv"))
        CliRunner().invoke(command, ["import", "openrouter-authors", file, *into, "--as-of", f"2026-04-0{day}"])
    result = CliRunner().invoke(command, ["vintages", "--ledger", str(tmp_path / "ledger"), "--format", "json"])
    listed = [
        (i["source"], i["list"], i["name"], i["as of"][:10], i["tokens"], i["used"]) for i in json.loads(result.output)
    ]
    assert listed == [
        ("openrouter-authors", "2026-03-16", "others", "2026-04-01", 1_000_000_000, ""),
        ("openrouter-authors", "2026-03-16", "others", "2026-04-02", 1_000_000_000, "yes"),
        ("openrouter-authors", "2026-03-16", "qwen", "2026-04-01", 2_000_000_000, ""),
        ("openrouter-authors", "2026-03-16", "qwen", "2026-04-02", 3_000_000_000, "yes"),
        ("openrouter-daily", "2026-03-23", "x/a", "2026-04-01", 5_000_000_000, ""),
        ("openrouter-daily", "2026-03-23", "x/a", "2026-04-02", 6_000_000_000, ""),
        ("openrouter-daily", "2026-03-23", "x/a", "2026-04-03", 4_000_000_000, "yes"),
    ]
