"""`tidegate study` as people and programs call it."""

import csv
import io
import json
import subprocess
import sys
from pathlib import Path

import pytest
from study_series import days

from tidegate.ledger.imports import run_import
from tidegate.ledger.store import Ledger

KEYS = ["figure", "definition", "window", "rows", "n", "missing_share", "notes"]


def study(*arguments: str | Path, home: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tidegate", "study", *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, env={"TIDEGATE_HOME": str(home), "PATH": ""}, cwd=home
    )


def test_without_a_ledger_the_public_series_is_drawn(tmp_path: Path) -> None:
    """The first command of a newcomer shows real figures, with no network and no traffic."""
    done = study("oss_split", "--format", "json", home=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "OpenRouter" in " ".join(json.loads(done.stdout)["notes"])
    assert study("oss_split", "--ledger", tmp_path / "nowhere", home=tmp_path).returncode == 1, "a named one must exist"


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    """Two weeks of an import, and a trace: two sources that are never mixed."""
    lines = [
        f"{day},{model},1,0,0,1"
        for day in days("2026-03-02", 14)
        for model in ("deepseek/deepseek-r1", "openai/gpt-4o")
    ]
    (tmp_path / "daily.csv").write_text(
        "\n".join(["Date,Model,Prompt,Completion,Reasoning,Total_Tokens", *lines]), "utf-8"
    )
    (tmp_path / "calls.csv").write_text("timestamp,input,output\n2026-03-02 00:00:00,10,5\n", "utf-8")
    made = Ledger.create(tmp_path / "ledger")
    run_import("openrouter-daily", [tmp_path / "daily.csv"], made)
    run_import("trace", [tmp_path / "calls.csv"], made)
    return made.path


def test_one_result_is_one_object_with_exactly_these_members(ledger: Path, tmp_path: Path) -> None:
    done = study("oss_split", "--ledger", ledger, "--source", "openrouter-daily", "--format", "json", home=tmp_path)
    result = json.loads(done.stdout)
    assert list(result) == KEYS
    assert result["window"] == "2026-03-02:2026-03-15"
    assert result["rows"][0] == {"period": "2026-03-02", "source_type": "open_cn", "value": 7 * 10**9, "share": 0.5}


def test_a_figure_named_alone_comes_from_the_source_that_carries_it(ledger: Path, tmp_path: Path) -> None:
    """The trace names no model: said on stderr, and the answer is still one object."""
    done = study("country_lead", "--ledger", ledger, "--format", "json", home=tmp_path)
    assert json.loads(done.stdout)["figure"] == "country_lead"
    assert "not computable: country_lead is not computable from source 'trace:calls'" in done.stderr
    assert done.returncode == 0


def test_without_a_name_all_that_the_ledger_can_carry(ledger: Path, tmp_path: Path) -> None:
    done = study("--ledger", ledger, "--format", "json", home=tmp_path)
    drawn = [result["figure"] for result in json.loads(done.stdout)]
    assert {"country_lead", "oss_split", "author_totals", "prompt_length"} <= set(drawn)
    assert done.stderr.count("\n") == 1
    assert "--why lists them" in done.stderr
    why = study("--ledger", ledger, "--format", "json", "--why", home=tmp_path)
    assert why.stdout == done.stdout
    assert "country_table, billing_and_ip are not computable from source 'openrouter-daily'" in why.stderr


def test_a_figure_that_no_source_carries_is_an_error_naming_the_column(ledger: Path, tmp_path: Path) -> None:
    done = study("prompt_length", "--ledger", ledger, "--source", "openrouter-daily", home=tmp_path)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert "length_histogram" in done.stderr


def test_several_figures_go_on_without_the_one_that_cannot(ledger: Path, tmp_path: Path) -> None:
    arguments = ("country_lead", "prompt_length", "--ledger", ledger, "--source", "openrouter-daily")
    done = study(*arguments, "--format", "csv", home=tmp_path)
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert {row["figure"] for row in rows} == {"country_lead"}
    assert "prompt_length" in done.stderr
    assert done.returncode == 0


def test_out_writes_one_file_a_figure(ledger: Path, tmp_path: Path) -> None:
    done = study("--ledger", ledger, "--format", "json", "--out", tmp_path / "figures", home=tmp_path)
    names = sorted(file.name for file in (tmp_path / "figures").iterdir())
    assert {"author_totals.json", "country_lead.json", "oss_split.json", "prompt_length.json"} <= set(names)
    assert len(done.stdout.splitlines()) == len(names)
    assert list(json.loads((tmp_path / "figures" / "oss_split.json").read_text())) == KEYS


def test_the_table_prints_numbers_definition_and_caveats(ledger: Path, tmp_path: Path) -> None:
    done = study("country_lead", "--ledger", ledger, "--source", "openrouter-daily", home=tmp_path)
    assert "7.00 B (50.0 %)" in done.stdout
    assert "A tie in 2026-03-02" in done.stdout
    assert "n = 4; missing share 0.0000" in done.stdout


def test_the_analysts_countries_win_over_the_catalogs(ledger: Path, tmp_path: Path) -> None:
    (tmp_path / "own.csv").write_text("author,organisation,iso3,confidence,note\nopenai,OpenAI,HKG,high,\n", "utf-8")
    arguments = ("country_lead", "--ledger", ledger, "--author-country", tmp_path / "own.csv", "--format", "json")
    rows = json.loads(study(*arguments, home=tmp_path).stdout)["rows"]
    assert {(row["country"], row["share"]) for row in rows} == {("CN", 1.0), ("US", 0.0)}


@pytest.mark.parametrize(
    ("arguments", "seen"),
    [
        (["oss_splitt"], "Did you mean oss_split"),
        (["--view", "best:9"], "top:9"),
        (["--window", "lately"], "window 'lately'"),
        (["--source", "elsewhere"], "it has openrouter-author-weekly, openrouter-daily, trace:calls"),
        (["--author-country", "absent.csv"], "absent.csv cannot be read"),
    ],
)
def test_what_cannot_be_run_is_one_line_with_the_mend(
    arguments: list[str], seen: str, ledger: Path, tmp_path: Path
) -> None:
    done = study(*arguments, "--ledger", ledger, home=tmp_path)
    assert done.returncode == 1
    assert seen in done.stderr
    assert done.stderr.count("\n") == 1


def test_an_empty_ledger_says_what_to_do(tmp_path: Path) -> None:
    Ledger.create(tmp_path / "empty")
    done = study("--ledger", tmp_path / "empty", home=tmp_path)
    assert done.returncode == 1
    assert "tidegate ledger import" in done.stderr
