"""`tidegate market` as a user calls it."""

import csv
import hashlib
import io
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tidegate.cli import cli
from tidegate.market.claim import MarketError

HEAD = "id,entity,metric,scope,period_start,period_end,value,unit,as_stated,note\n"
SLIP = (
    HEAD
    + "a,Qwen,tokens_per_day,all calls,2025-07,2025-07,2400000000000,tokens_per_day,2.4万亿,q=eq\n"
    + "b,Qwen,tokens_called,all calls,2025-07,2025-07,7440000000,tokens,74.4亿,q=gt\n"
)


def run(*words: str) -> Result:
    return CliRunner().invoke(cli, ["market", *words], catch_exceptions=False)


@pytest.fixture
def claims(tmp_path: Path) -> str:
    path = tmp_path / "claims.csv"
    path.write_text(SLIP, "utf-8")
    return str(path)


def test_check_prints_the_arithmetic_in_three_forms(claims: str) -> None:
    text = run("check", claims).stdout
    assert "2.4e12 x 31 = 7.44e13" in text and "10^-4" in text
    (row,) = json.loads(run("check", claims, "--format", "json").stdout)
    assert (row["kind"], row["claims"]) == ("scale_slip", "a;b")
    (line,) = csv.DictReader(io.StringIO(run("check", claims, "--format", "csv").stdout))
    assert line == {key: str(value) for key, value in row.items()}


def test_series_of_the_shipped_book(tmp_path: Path) -> None:
    done = run("series", "--key", "doubao models, own", "--format", "json", "--chart", str(tmp_path / "c.svg"))
    rows = json.loads(done.stdout)
    assert rows[0]["claims"] == "doubao-2024-05" and rows[0]["per_day"] == 120e9 and rows[0]["multiple"] is None
    assert "<svg" in (tmp_path / "c.svg").read_text("utf-8")


def test_a_forecast_is_kept_and_not_scored_before_the_figure_is_out(tmp_path: Path) -> None:
    kept = str(tmp_path / "f.jsonl")
    (made,) = json.loads(run("forecast", "doubao", "--keep", kept, "--format", "json").stdout)
    assert made["low"] < made["value"] < made["high"] and made["method"] == "log-drift"
    assert json.loads(run("forecast", "doubao", "--score", kept, "--format", "json").stdout) == []


def test_a_key_that_names_several_series_lists_them() -> None:
    with pytest.raises(MarketError, match="name one of"):
        run("forecast", "tokens")


def test_export_is_a_data_package_whose_hashes_hold_and_whose_bytes_repeat(tmp_path: Path, claims: str) -> None:
    run("export", claims, "--out", str(tmp_path / "one"))
    run("export", claims, "--out", str(tmp_path / "two"))
    package = json.loads((tmp_path / "one" / "datapackage.json").read_text("utf-8"))
    for resource in package["resources"]:
        data = (tmp_path / "one" / resource["path"]).read_bytes()
        assert resource["hash"] == f"sha256:{hashlib.sha256(data).hexdigest()}"
        header = next(csv.reader(io.StringIO(data.decode())))
        assert header == [field["name"] for field in resource["schema"]["fields"]]
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()
    prov = json.loads((tmp_path / "one" / "prov.json").read_text("utf-8"))
    used = {one["prov:usedEntity"] for one in prov["wasDerivedFrom"].values()}
    assert {"tg:claim/a", "tg:claim/b"} <= used <= set(prov["entity"])


def test_an_exported_book_is_read_back_the_same(tmp_path: Path) -> None:
    from tidegate.market.book import read_claims, shipped_claims

    run("export", "--out", str(tmp_path))
    back = read_claims([tmp_path / "claims.csv"])
    assert [(one.claim_id, one.value, one.period_end, one.derived_from) for one in back] == [
        (one.claim_id, one.value, one.period_end, one.derived_from) for one in shipped_claims()
    ]


def test_the_how_to_shows_what_the_command_prints(tmp_path: Path) -> None:
    """The page's own rows give the finding that it prints below them."""
    page = (Path(__file__).parents[2] / "docs" / "how-to" / "add-a-claim.md").read_text("utf-8")
    rows, shown = page.split("```csv\n")[1].split("```")[0], page.split("```console\n")[1].split("```")[0]
    (tmp_path / "mine.csv").write_text(rows, "utf-8")
    printed = run("check", str(tmp_path / "mine.csv"))
    for line in printed.stdout.splitlines() + printed.stderr.splitlines():
        assert line.rstrip() in shown
