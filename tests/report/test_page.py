"""The static report: everything inside one file, nothing from outside, nothing said that the result does not say."""

import html
import re
import shutil
import subprocess
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tidegate.catalog import load_catalog
from tidegate.core.ids import generation_id
from tidegate.core.row import Row
from tidegate.ledger.imports import run_import
from tidegate.ledger.store import Ledger
from tidegate.report.charts import CHARTS, export, vega_lite
from tidegate.report.command import ReportOptions, write_report
from tidegate.report.page import compose, render, write
from tidegate.study.facts import Facts, open_facts
from tidegate.study.figures import FIGURES, run_figures
from tidegate.study.params import Params

MONDAY_US = 1_774_224_000_000_000  # 2026-03-23


class Tags(HTMLParser):
    """Every tag and its attributes, and the text of the page outside scripts and styles."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._quiet = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._quiet = tag in ("script", "style")

    def handle_endtag(self, tag: str) -> None:
        self._quiet = False

    def handle_data(self, data: str) -> None:
        if not self._quiet:
            self.text += data


def own_row(number: int, **values: object) -> Row:
    ts = MONDAY_US + number * 3_600_000_000
    return Row(generation_id=generation_id(ts // 1000, number, 0, 0, number), ts=ts, source_id="own", **values)


@pytest.fixture
def own(tmp_path: Path) -> Facts:
    """A gateway's ledger: two metered calls, one of unknown usage; and the public series beside it."""
    ledger = Ledger.create(tmp_path / "ledger")
    served = {"response_model": "openai/gpt-4o-mini", "model_variant": "", "provider_name": "openai"}
    calls = [
        own_row(0, **served, usage_input_tokens=100, usage_output_tokens=20, cost_nano_usd=27_000),
        own_row(1, **served, usage_input_tokens=300, usage_output_tokens=40, cost_nano_usd=69_000),
        own_row(2, **served, cost_nano_usd=0),
    ]
    ledger.add_rows(calls, [], unit="calls", origin="test")
    return open_facts(ledger, load_catalog(), shipped=True)


@pytest.fixture
def public() -> Facts:
    """A new installation: no ledger, no traffic, the shipped series."""
    return open_facts(None, load_catalog(), shipped=True)


def test_every_figure_has_one_chart_definition() -> None:
    """Page, PNG, SVG and console draw from the same one."""
    assert CHARTS.keys() == FIGURES.keys()


def test_a_new_installation_shows_real_figures(public: Facts) -> None:
    text = Tags(render(compose(public, ""))).text
    assert "No ledger yet" in text
    assert "No calls of your own yet" in text
    assert "Source: OpenRouter (openrouter.ai/rankings)" in text
    assert "12.63 T" in text
    assert "2025-11-11..2025-11-14" in text


def test_the_page_needs_nothing_but_itself(public: Facts) -> None:
    """It opens from disk with no network: nothing is loaded, and no link leaves the page."""
    page = render(compose(public, ""))
    for tag, attributes in Tags(page).tags:
        assert tag not in ("link", "img", "iframe", "base", "object"), f"<{tag}> would load something"
        assert "src" not in attributes, f"<{tag}> loads {attributes['src']}"
        if "href" in attributes:
            assert str(attributes["href"]).startswith("#")
    assert "@import" not in page
    assert "url(" not in re.search(r"<style>(.*?)</style>", page, re.DOTALL)[1]
    assert not re.search(r'"url"\s*:', re.search(r'id="charts">(.*?)</script>', page, re.DOTALL)[1])


def test_the_charting_code_is_in_it_once(public: Facts) -> None:
    page = render(compose(public, ""))
    assert page.count("window.vegaEmbed = vegaEmbed") + page.count("window.vegaEmbed=") == 1
    assert len(page) < 1_500_000


def test_own_calls_and_the_public_series_stand_apart(own: Facts) -> None:
    """Both are shown, each under its source; what the gateway could not meter is a number, not a gap."""
    report = compose(own, "ledger")
    assert [section.source.source_id for section in report.sections] == ["own", "openrouter-author-weekly"]
    assert report.own is not None
    assert (report.own.calls, report.own.tokens, report.own.unmetered, report.own.cost_usd) == (3, 460, 1, "0.000096")
    text = Tags(render(report)).text
    assert "Your calls" in text
    assert "openai/gpt-4o-mini" in text
    drawn = [figure for section in report.sections for figure in section.figures]
    assert {figure.result.source_id for figure in drawn} == {"own", "openrouter-author-weekly"}


def test_every_figure_says_what_it_rests_on(own: Facts) -> None:
    """Definition, window, sample, missing share, switches and a table with the same numbers, for each chart."""
    report = compose(own, "ledger")
    text = " ".join(Tags(render(report)).text.split())
    for section in report.sections:
        for figure in section.figures:
            assert html.unescape(" ".join(figure.result.definition.split())) in text
            assert f"n = {figure.result.n:,}" in text
            assert figure.result.window in text
            assert figure.table.rows
            for cell in figure.table.rows[0]:
                assert cell in text


def test_a_name_in_the_data_cannot_leave_its_place(tmp_path: Path) -> None:
    """Model names come from other people's files: they are text, in the table and in the chart's data."""
    evil = "x</script><script>alert(1)</script>/m"
    (tmp_path / "evil.csv").write_text(
        "Date,Model,Prompt,Completion,Reasoning,Total_Tokens\n"
        + "".join(f"2026-03-{day:02},{evil},1,0,0,1\n" for day in range(2, 9)),
        "utf-8",
    )
    ledger = Ledger.create(tmp_path / "<i>ledger")
    run_import("openrouter-daily", [tmp_path / "evil.csv"], ledger, source_id="<b>evil</b>")
    page = render(compose(open_facts(ledger, load_catalog()), ledger.path.name))
    parsed = Tags(page)
    assert len([tag for tag, _ in parsed.tags if tag == "script"]) == 4
    assert not {"b", "i"} & {tag for tag, _ in parsed.tags}


def test_charts_begin_at_zero_and_shares_end_at_one(public: Facts) -> None:
    """An axis that does not would make small differences look large."""
    by_name = {result.figure: vega_lite(result) for result in run_figures(public, (), Params()).results}
    shares = by_name["oss_split"]["encoding"]["y"]
    assert shares["scale"]["domain"] == [0, 1]
    assert shares["stack"] == "zero"
    assert by_name["country_lead"]["layer"][0]["encoding"]["y"]["scale"]["zero"] is True


def test_the_same_charts_go_out_as_files(public: Facts, tmp_path: Path) -> None:
    written = write(compose(public, ""), tmp_path / "out", ["png", "svg"])
    assert written[0].name == "index.html"
    assert len(written) == 1 + 2 * len(run_figures(public, (), Params()).results)
    for file in written[1:]:
        head = file.read_bytes()[:8]
        assert head == b"\x89PNG\r\n\x1a\n" if file.suffix == ".png" else head.startswith(b"<svg")
    result = run_figures(public, ("oss_split",), Params()).results[0]
    assert b"How much goes to models with open weights" in export(result, "svg")


@pytest.fixture
def chromium(tmp_path: Path) -> Callable[[Path], str]:
    """The page's DOM after a real browser drew it, from disk, with every address but files cut off."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("no Chromium on this machine: the page is not opened in a browser")

    def dom(page: Path) -> str:
        command = [
            program,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-background-networking",
            "--host-resolver-rules=MAP * ~NOTFOUND",
            f"--user-data-dir={tmp_path / 'profile'}",
            "--virtual-time-budget=8000",
            "--window-size=420,900",
            "--dump-dom",
            page.as_uri(),
        ]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=90).stdout

    return dom


def test_a_browser_draws_every_chart_from_disk(own: Facts, tmp_path: Path, chromium: Callable[[Path], str]) -> None:
    """Real Chromium, file://, no network: an SVG in each chart's place."""
    report = compose(own, "ledger")
    page = write(report, tmp_path / "out")[0]
    drawn = Tags(chromium(page))
    charts = sum(len(section.figures) for section in report.sections)
    charts += report.compared is not None and report.compared.chart is not None
    charts += len(report.unseen.cards)
    assert len([tag for tag, _ in drawn.tags if tag == "svg"]) == charts
    assert charts > 7


def test_a_daily_import_stands_for_the_shipped_series_and_beside_weekly_imports(tmp_path: Path) -> None:
    """It says more than the shipped weeks of the same platform; lists by author say something else, and stay."""
    days = "\n".join(f"2026-03-{day:02d},openai/gpt-4o,1,0,0,1" for day in range(2, 16))
    daily, weekly = tmp_path / "daily.csv", tmp_path / "weekly.csv"
    daily.write_text(f"Date,Model,Prompt,Completion,Reasoning,Total_Tokens\n{days}\n")
    weekly.write_text("Date,Author,Tokens,Share\n2026-03-02,openai,2,1.0\n2026-03-09,openai,3,1.0\n")
    ledger = Ledger.create(tmp_path / "ledger")
    run_import("openrouter-daily", [daily], ledger)
    run_import("openrouter-authors", [weekly], ledger)
    (page,) = write_report(ledger, load_catalog(), tmp_path / "out", ReportOptions())
    badges = re.findall(r'href="#source-\d+">([^<]+)', page.read_text("utf-8"))
    assert [name.partition("~")[0] for name in badges] == ["openrouter-daily", "openrouter-authors"]


def test_the_page_shows_what_no_ledger_sees(own: Facts) -> None:
    """The regional index with its release and what is absent, and the longest published series with its claims."""
    report = compose(own, "own")
    page = Tags(render(report)).text
    assert {card.anchor for card in report.unseen.cards} >= {
        "index-intervals",
        "index-ranks",
        "index-weights",
        "market-1",
    }
    intervals = report.unseen.index[0]
    assert len(intervals.rows) == 9 and "absent" in intervals.meta and "China by" in intervals.meta
    assert intervals.rows[0][0] in page and report.unseen.market[0].rows[-1][3] in page
