"""`tidegate labels`: what it prints, and one clear line where it cannot."""

import csv
import io
import json
import subprocess
import sys
from importlib import resources

import pytest

pytestmark = pytest.mark.skipif(
    not resources.files("tidegate.data").joinpath("labels/tasks.npz").is_file(),
    reason="the task weights are not made yet: make labels",
)

ROWS = """text,language,category
"Write a Python function that reverses a linked list and explain its complexity.",en,programming
"请用 Python 写一个函数，统计日志里每小时的错误数量，并解释代码。",zh,programming
"You are an elf ranger in a dark forest. Stay in character. *I draw my bow* Who goes there?",en,roleplay
"Integrate x^2 from 0 to 3.",,math
"""


def run(*arguments, stdin="", **environ):
    return subprocess.run(
        [sys.executable, "-m", "tidegate", "labels", *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        env={"PATH": "/usr/bin:/bin", "PYTHONIOENCODING": "utf-8", **environ},
        timeout=60,
    )


@pytest.fixture
def prompts(tmp_path):
    file = tmp_path / "prompts.csv"
    file.write_text(ROWS, "utf-8")
    return file


def test_say_reads_a_text_or_stdin_and_keeps_nothing(tmp_path):
    text = "用 Python 写一个快速排序，并解释每一步"
    one = run("say", text, "--format", "json", TIDEGATE_HOME=str(tmp_path))
    two = run("say", "-", "--format", "json", stdin=text, TIDEGATE_HOME=str(tmp_path))
    assert one.returncode == 0 and one.stdout == two.stdout
    language, task, *_ = json.loads(one.stdout)
    assert (language["value"], task["value"]) == ("zh-Hans", "/Computers & Electronics/Programming")
    assert list(tmp_path.iterdir()) == []


def test_audit_prints_scores_mistakes_and_what_it_left_out(prompts):
    done = run("audit", str(prompts))
    assert done.returncode == 0, done.stderr
    for part in ("programming", "roleplay", "macro-F1", "95 % bootstrap", "1 math", "expected calibration error"):
        assert part in done.stdout
    assert "no rows for: marketing" in done.stdout
    told = json.loads(run("audit", str(prompts), "--format", "json").stdout)
    assert told["rows"] == 4 and told["tasks"]["rows"] == 3 and told["languages"]["rows"] == 3
    table = list(csv.DictReader(io.StringIO(run("audit", str(prompts), "--format", "csv").stdout)))
    assert {(row["of"], row["class"]) for row in table} >= {("language", "zh"), ("task", "roleplay")}


def test_a_sheet_is_drawn_judged_and_summed(prompts, tmp_path):
    sheet = tmp_path / "judge.csv"
    assert run("audit", str(prompts), "--sample", "4", "--out", str(sheet)).returncode == 0
    assert sheet.read_text() == run("audit", str(prompts), "--sample", "4").stdout
    early = run("judged", str(sheet))
    assert early.returncode == 1 and "nobody has judged" in early.stderr
    rows = list(csv.DictReader(io.StringIO(sheet.read_text("utf-8"))))
    assert len(rows) == 4
    for row in rows:
        row["task_right"] = "yes"
    with sheet.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    (verdict,) = json.loads(run("judged", str(sheet), "--format", "json").stdout)
    assert (verdict["of"], verdict["judged"], verdict["right"], verdict["share"]) == ("task", 2, 2, 1.0)


@pytest.mark.parametrize(
    ("config", "named"),
    [("", "label_one_in"), ("[tenants.default]\nlabel_one_in = 1\n", "no labeller listens")],
)
def test_status_says_why_there_is_none(tmp_path, config, named):
    file = tmp_path / "tidegate.toml"
    file.write_text(config)
    done = run("status", TIDEGATE_HOME=str(tmp_path), TIDEGATE_CONFIG=str(file))
    assert done.returncode == 1 and named in done.stderr and done.stderr.count("\n") == 1


def test_a_configured_model_without_a_key_is_one_line(tmp_path, prompts):
    file = tmp_path / "tidegate.toml"
    file.write_text('[labels]\nlabeller = "model"\nmodel = "acme/judge"\n')
    done = run("audit", str(prompts), "--configured", TIDEGATE_HOME=str(tmp_path), TIDEGATE_CONFIG=str(file))
    assert done.returncode == 1 and "TIDEGATE_LABELS_KEY" in done.stderr and done.stderr.count("\n") == 1
