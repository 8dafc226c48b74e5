"""`tidegate audit` as a newcomer calls it: one command, a table, a page that stands alone."""

import ast
import csv
import io
import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import tidegate.accounts.audit as audit_module
from tidegate.accounts.audit import CAUSES, audit
from tidegate.accounts.audit.page import render
from tidegate.accounts.audit.sample import LABEL, sample_files
from tidegate.accounts.audit.tongue import read_tongue
from tidegate.accounts.audit.words import usd
from tidegate.cli import cli


def run(folder: Path, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> Result:
    monkeypatch.chdir(folder)
    monkeypatch.setenv("COLUMNS", "200")
    return CliRunner().invoke(cli, ["audit", *arguments])


class Page(HTMLParser):
    """Every address that a page would load or lead to, and whether its elements close in order."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self._open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href", "srcset", "action")]
        if tag not in ("meta", "br"):
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag


def test_the_sample_needs_no_configuration_and_leaves_a_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = run(tmp_path, monkeypatch, "--sample")
    assert done.exit_code == 0, done.output
    assert LABEL in done.output and "cached tokens charged twice" in done.output
    assert "LiteLLM spend logs (JSON lines; guessed from its columns)" in done.output
    page = (tmp_path / "tidegate-audit.html").read_text()
    reader = Page()
    reader.feed(page)
    assert reader.addresses == []
    assert LABEL in page
    assert not re.search(r"url\(|@import|<script", page)


def test_table_csv_and_json_say_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listed = run(tmp_path, monkeypatch, "--sample", "--no-page", "--format", "csv")
    whole = json.loads(run(tmp_path, monkeypatch, "--sample", "--no-page", "--format", "json").stdout)
    rows = list(csv.DictReader(io.StringIO(listed.stdout)))
    assert len(rows) == len(whole["findings"]) == whole["sums"]["wrong"]
    over = sum(max(0, round(float(row["difference_usd"]) * 1e9)) for row in rows if row["difference_usd"])
    assert over == whole["sums"]["over_nano_usd"]
    table = run(tmp_path, monkeypatch, "--sample", "--no-page")
    assert usd(over) in table.output
    assert not (tmp_path / "tidegate-audit.html").exists()


def test_a_folder_stands_for_its_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "logs").mkdir()
    for file in sample_files():
        (tmp_path / "logs" / file.name).write_bytes(file.read_bytes())
    (tmp_path / "logs" / ".hidden").write_text("x")
    done = run(tmp_path, monkeypatch, "logs", "--no-page", "--format", "json")
    assert json.loads(done.stdout)["sums"]["calls"] == audit(sample_files()).sums.calls


def test_without_a_log_it_points_at_the_sample(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = run(tmp_path, monkeypatch)
    assert done.exit_code != 0 and "tidegate audit --sample" in done.output


def test_names_out_of_a_log_stay_text_on_the_page(tmp_path: Path) -> None:
    """A model's name is whatever a caller wrote."""
    file = tmp_path / "<b>log.csv"
    header = "request_id,call_type,spend,prompt_tokens,completion_tokens,startTime,endTime,model,custom_llm_provider"
    row = "1,acompletion,-1,10,5,2026-10-05T10:00:00Z,2026-10-05T10:00:01Z,<script>alert(1)</script>,openai"
    file.write_text(f"{header}\n{row}\n")
    page = render(audit([file]))
    assert "<script" not in page and "<b>log" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page


def test_the_audit_needs_nothing_but_the_plain_installation() -> None:
    """No server, no database of accounts, no charting: a newcomer has only `pip install tidegate`."""
    code = (
        "import sys\nfrom tidegate.accounts.audit import audit\nfrom tidegate.accounts.audit.page import render\n"
        "from tidegate.accounts.audit.sample import sample_files\nrender(audit(sample_files()))\n"
        "print([m for m in ('sqlalchemy', 'numpy', 'jinja2', 'altair', 'genai_prices', 'aiohttp') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_name_out_of_a_log_cannot_steer_the_terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Notes name models that nobody prices, whatever a caller wrote as one."""
    record = {"request_id": "1", "spend": 0.1, "prompt_tokens": 9, "completion_tokens": 9, "model": "x\x1b[2Jy"}
    record |= {"startTime": "2026-10-05T10:00:00Z", "call_type": "acompletion"}
    (tmp_path / "log.jsonl").write_text(json.dumps(record) + "\n" + json.dumps({**record, "request_id": "2"}) + "\n")
    done = run(tmp_path, monkeypatch, "log.jsonl", "--no-page")
    assert done.exit_code == 0, done.output
    assert "\x1b" not in done.output and "x\\x1b[2jy" in done.output
    assert "None of 2 calls could be checked" in done.output


def test_the_chinese_audit_has_a_word_for_everything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every cause and every text of table and page; what names a number names the same one."""
    chinese = read_tongue("zh")
    assert set(chinese.causes) == set(CAUSES)
    room = Path(audit_module.__file__ or "").parent
    said = set()
    for name in ("page.py", "words.py", "result.py", "../../cli/audit.py"):
        for node in ast.walk(ast.parse((room / name).read_text())):
            if (
                isinstance(node, ast.Call)
                and getattr(node.func, "id", "") == "say"
                and isinstance(node.args[0], ast.Constant)
            ):
                said.add(node.args[0].value)
    assert said - set(chinese.words) == set()
    for text, translated in chinese.words.items():
        assert sorted(re.findall(r"{\w+}", text)) == sorted(re.findall(r"{\w+}", translated))
    done = run(tmp_path, monkeypatch, "--sample", "--language", "zh")
    assert "缓存 token 收了两次" in done.output
    page = (tmp_path / "tidegate-audit.html").read_text()
    assert '<html lang="zh-CN">' in page
    for english in ("What went wrong", "How this was found", "too much", "charged", "likely", "should be"):
        assert f">{english}<" not in page, english
