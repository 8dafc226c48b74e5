"""`tidegate index own` on the files of its how-to page, as somebody would type them."""

import csv
import io
import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tidegate.cli import cli

PAGE = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "build-an-index.md"


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """The three files of the page."""
    framework, plan, _ = re.findall(r"```yaml\n(.*?)```", PAGE.read_text("utf-8"), re.S)
    (table,) = re.findall(r"```text\n(.*?)```", PAGE.read_text("utf-8"), re.S)
    for name, text in (("framework.yml", framework), ("plan.yml", plan), ("table.csv", table)):
        (tmp_path / name).write_text(text, "utf-8")
    return tmp_path


def run(folder: Path, *options: str) -> Result:
    files = [str(folder / "framework.yml"), str(folder / "table.csv")]
    return CliRunner().invoke(cli, ["index", "own", *files, *options])


def test_the_page_builds_its_index(files: Path) -> None:
    """Worked by hand: users by head 0.9, 0.5, 0.2, 0.2; C's speed is D's, 15; prices 30, 25, 12, 4 are better low."""
    done = run(files, "--plan", str(files / "plan.yml"), "--labels", "area", "--format", "csv")
    assert done.exit_code == 0, done.output
    rows = {row["unit"]: row for row in csv.DictReader(io.StringIO(done.stdout))}

    def scaled(x: float, worst: float, best: float) -> float:
        return 1 + 99 * (x - worst) / (best - worst)

    reach = {
        "AAA": 100.0,
        "BBB": (scaled(0.5, 0.2, 0.9) + scaled(45, 15, 80)) / 2,
        "CCC": 1.0,
        "DDD": 1.0,
    }
    cost = {"AAA": 1.0, "BBB": scaled(25, 30, 4), "CCC": scaled(12, 30, 4), "DDD": 100.0}
    best = max((reach[unit] ** 2 * cost[unit]) ** (1 / 3) for unit in reach)
    for unit in reach:
        assert float(rows[unit]["reach"]) == pytest.approx(reach[unit], rel=1e-5)
        assert float(rows[unit]["cost"]) == pytest.approx(cost[unit], rel=1e-5)
        index = float(rows[unit]["index"])
        assert index == pytest.approx(100 * (reach[unit] ** 2 * cost[unit]) ** (1 / 3) / best, rel=1e-5)
        assert float(rows[unit]["low_90"]) <= index <= float(rows[unit]["high_90"])
    assert [row["unit"] for row in rows.values()] == ["BBB", "AAA", "DDD", "CCC"]
    assert float(rows["CCC"]["present"]) == pytest.approx(2 / 3, rel=1e-5)


def test_what_was_done_is_said_beside_the_numbers(files: Path) -> None:
    done = run(files, "--plan", str(files / "plan.yml"), "--labels", "area", "--format", "json")
    assert {row["unit"] for row in json.loads(done.stdout)} == {"AAA", "BBB", "CCC", "DDD"}
    for said in (
        "vintages: 2024, 2025",
        "absent: trust (25% of the weight)",
        "raw: 2 cells bounded",
        "denominate: users by people",
        "impute: group_median: 1 cells filled, 0 left missing",
        "each weight drawn within 25 percent",
    ):
        assert said in done.stderr


def test_countries_become_regions_by_a_map_of_ones_own(files: Path) -> None:
    """Users add up, speed and price are averaged by people; a map that leaves a unit out is refused."""
    (files / "regions-two.csv").write_text("place,region,name\nAAA,N,\nBBB,N,\nCCC,S,\nDDD,S,\n", "utf-8")
    (files / "plan.yml").write_text("steps: [regions]\nnormalisation: {name: none}\n", "utf-8")
    options = ["--plan", str(files / "plan.yml"), "--map", str(files / "regions-two.csv"), "--format", "json"]
    done = run(files, *options)
    assert done.exit_code == 0, done.output
    rows = {row["unit"]: row for row in json.loads(done.stdout)}
    assert rows["N"]["reach"] == pytest.approx((29 + (10 * 80 + 40 * 45) / 50) / 2)
    assert rows["S"]["cost"] == pytest.approx(-(25 * 12 + 5 * 4) / 30, rel=1e-5)
    assert rows["S"]["reach"] == pytest.approx((6 + 15) / 2)  # C's speed is not known
    (files / "regions-two.csv").write_text("place,region,name\nAAA,N,\nBBB,N,\nCCC,S,\n", "utf-8")
    assert "map two leaves out DDD" in str(run(files, *options).exception)


def test_every_choice_can_be_varied(files: Path) -> None:
    """Other fills, scales and means, drawn gaps and bounds: the page's alternatives."""
    page = PAGE.read_text("utf-8")
    (files / "others.yml").write_text(re.findall(r"```yaml\n(.*?)```", page, re.S)[2], "utf-8")
    options = ["--plan", str(files / "plan.yml"), "--labels", "area", "--vary", str(files / "others.yml")]
    done = run(files, *options, "--runs", "500", "--format", "json")
    assert done.exit_code == 0, done.output
    rows = json.loads(done.stdout)
    assert sum(row["first"] for row in rows) == pytest.approx(1, abs=1e-5)
    assert all(0 <= row["low_90"] <= row["high_90"] <= 100 for row in rows)
    assert "over 500 runs: imputation (" in done.stderr
    again = run(files, *options, "--runs", "500", "--format", "json")
    assert again.stdout == done.stdout  # the seed is part of the method


@pytest.mark.parametrize(
    ("file", "old", "new", "said"),
    [
        ("framework.yml", "weight: 2", "weight: -2", "reach has weight -2; a weight is above zero"),
        ("framework.yml", "code: people", "code: folk", "users has denominator 'people', which is no column"),
        ("table.csv", "10 .. 20", "20 .. 10", "line 5, column speed: the bound '20 .. 10' is reversed"),
        ("table.csv", "AAA,North,10", "AAA,North,0", "unit AAA: denominator people of users is not above 0"),
        ("plan.yml", "min_max", "minmax", "is no plan"),
    ],
)
def test_a_fault_in_a_file_is_named_with_its_mend(files: Path, file: str, old: str, new: str, said: str) -> None:
    text = (files / file).read_text("utf-8")
    assert old in text
    (files / file).write_text(text.replace(old, new, 1), "utf-8")
    done = run(files, "--plan", str(files / "plan.yml"), "--labels", "area")
    assert done.exit_code != 0
    assert said in f"{done.output} {done.exception}"
