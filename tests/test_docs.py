"""The pages: every link leads somewhere, every runnable block runs, both READMEs say the same."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from rig.provider import FakeProvider
from tidegate.accounts.money.fx import fx_table
from tidegate.core import errors
from tidegate.core.fx import parse_amount
from tidegate.core.money import format_usd
from tidegate.gateway import metrics
from tidegate.study.figures import FIGURES

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
WRITTEN = [page for page in PAGES if page.parent.name != "reference"]
READMES = (ROOT / "README.md", ROOT / "README.zh-CN.md")
CLIENTS = ROOT / "docs" / "how-to" / "clients.md"
CACHE = ROOT / "docs" / "how-to" / "cache-answers.md"
CASCADE = ROOT / "docs" / "how-to" / "cascade.md"
RESELLERS = ROOT / "docs" / "how-to" / "resell.md"
IMAGES = ROOT / "docs" / "images"
STEP = re.compile(r"(?:(<!-- background -->)\n+)?^```sh\n(.*?)^```$|(<!-- stop -->)", re.MULTILINE | re.DOTALL)
FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
MODEL = "local/gemma-3-270m"  # what the pages call; here the fake provider answers
START_S, BLOCK_S = 30, 60


def prose(page: Path) -> str:
    """A page without its code."""
    return FENCED.sub("", page.read_text("utf-8"))


def anchors(page: Path) -> set[str]:
    """The names that GitHub gives to a page's headings."""
    headings = re.findall(r"^#+ (.+)$", prose(page), flags=re.MULTILINE)
    plain = (re.sub(r"[^\w\- ]", "", heading.replace("`", "").lower()) for heading in headings)
    return {name.replace(" ", "-") for name in plain}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    """A reader who follows a link finds the page, and the heading in it."""
    text = prose(page)
    for link in re.findall(r"\]\(([^)\s]+)\)|srcset=\"([^\"]+)\"|src=\"([^\"]+)\"", text):
        target = next(part for part in link if part)
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        found = (page.parent / path).resolve() if path else page
        assert found.exists(), f"{page.relative_to(ROOT)} links to {target}, which is not there"
        assert found.is_relative_to(ROOT), f"{page.relative_to(ROOT)} links outside the repository: {target}"
        if anchor and found.suffix == ".md":
            assert anchor in anchors(found), f"{page.relative_to(ROOT)}: no heading #{anchor} in {path or 'the page'}"


def test_every_page_is_in_the_index() -> None:
    """docs/README.md names every page, so that none is found by luck only."""
    index = (ROOT / "docs" / "README.md").read_text("utf-8")
    for page in (ROOT / "docs").rglob("*.md"):
        name = page.relative_to(ROOT / "docs").as_posix()
        assert name == "README.md" or f"({name})" in index, f"docs/README.md does not name {name}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_no_page_names_a_path_of_one_machine(page: Path) -> None:
    """What is copied from a terminal brings its paths along."""
    seen = re.findall(r"(?<![\w.])/(?:work|tmp|home|root|Users|opt)/\S*", page.read_text("utf-8"))
    assert not seen, f"{page.relative_to(ROOT)} names {seen}"


# -- both READMEs ---------------------------------------------------------------


def numbers(text: str) -> Counter[str]:
    """Every number in the prose, as written."""
    return Counter(re.findall(r"\d[\d,.]*\d|\d", re.sub(r"\]\([^)]*\)", "]", text)))


def test_both_readmes_begin_with_the_same_claim() -> None:
    """The sentence of the first screen, word for word."""
    text = " ".join(READMES[0].read_text("utf-8").split())
    assert (
        "Tidegate is the honest meter for LLM tokens: every call routed for a stated reason, billed to the "
        "nano-dollar, provable, and turned into your own State of AI." in text
    )
    assert "潮闸" in READMES[1].read_text("utf-8")


def test_both_readmes_have_the_same_headings_blocks_links_and_numbers() -> None:
    """Who reads only one of them misses nothing."""
    english, chinese = (path.read_text("utf-8") for path in READMES)

    def levels(text: str) -> list[str]:
        return re.findall(r"^(#+) ", FENCED.sub("", text), flags=re.MULTILINE)

    def links(text: str) -> Counter[str]:
        return Counter(target for target in re.findall(r"\]\(([^)]+)\)", text) if "README." not in target)

    assert levels(english) == levels(chinese)
    assert FENCED.findall(english) == FENCED.findall(chinese)
    assert links(english) == links(chinese)
    assert numbers(FENCED.sub("", english)) == numbers(FENCED.sub("", chinese))


def test_the_picture_shows_the_recorded_run() -> None:
    """The four drawings are made from the one record; `python tools/picture.py --redraw` mends it."""
    run = msgspec.json.decode((IMAGES / "call-row-figure.json").read_bytes())
    for name in ("", "-dark", "-narrow", "-narrow-dark"):
        drawing = (IMAGES / f"call-row-figure{name}.svg").read_text("utf-8")
        shown = (
            run["generation_id"][:18],
            f"{run['input_tokens']} in, {run['output_tokens']} out",
            format_usd(run["cost_nano_usd"], places_min=9),
            run["head"][:16],
            "Source: OpenRouter (openrouter.ai/rankings)",
        )
        assert all(text in drawing for text in shown), f"call-row-figure{name}.svg is not of the recorded run"


# -- reference pages that are written by hand -----------------------------------


def error_codes(family: type[errors.GatewayError] = errors.GatewayError) -> Iterator[tuple[int, str]]:
    for member in family.__subclasses__():
        if "status" in vars(member):  # else it is the provider's
            yield member.status, member.code
        yield from error_codes(member)


def test_every_error_and_metric_is_in_the_reference() -> None:
    """docs/reference/http.md is where an operator looks up what a log or a dashboard shows."""
    page = (ROOT / "docs" / "reference" / "http.md").read_text("utf-8")
    for status, code in error_codes():
        assert f"| {status} | `{code}` |" in page, f"docs/reference/http.md lacks {status} {code}"
    for _, name, _ in (*metrics.COUNTERS, *metrics.GAUGES, *metrics.HISTOGRAMS):
        assert f"`{name}" in page, f"docs/reference/http.md lacks the metric {name}"


def test_every_figure_and_rollup_column_is_in_the_reference() -> None:
    """Figures by name and question; rollups.md has what the SQL files say of themselves."""
    page = (ROOT / "docs" / "reference" / "figures.md").read_text("utf-8")
    for figure in FIGURES.values():
        assert f"`{figure.name}`" in page and figure.question in page, f"docs/reference/figures.md lacks {figure.name}"
    page = (ROOT / "docs" / "reference" / "rollups.md").read_text("utf-8")
    for sql in (ROOT / "src" / "tidegate" / "ledger" / "rollups").glob("*.sql"):
        lines = re.findall(r"^-- (?:key|sum): (.+)$", sql.read_text("utf-8"), flags=re.MULTILINE)
        columns = [name.strip() for line in lines for name in line.split(",") if name.strip()]
        assert columns, f"{sql.name} names no columns"
        for column in (sql.stem, *columns):
            assert f"`{column}`" in page, f"docs/reference/rollups.md lacks {column} of {sql.stem}"


# -- blocks that run ------------------------------------------------------------


class Shell:
    """One reader's terminal: blocks run in order and keep their variables; one command may run in the background."""

    def __init__(self, folder: Path, provider: FakeProvider) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self._folder = folder
        self._variables = folder / ".variables"
        self._variables.touch()
        self._background: subprocess.Popen[bytes] | None = None
        (folder / ".tidegate").mkdir()
        (folder / ".tidegate" / "tidegate.toml").write_text(
            f'[providers.local]\nbase_url = "{provider.url}"\nregion = "this-machine"\n\n'
            f'[[endpoints]]\nprovider = "local"\nmodel = "{MODEL}"\nprice = {{ input = "0.1", output = "0.4" }}\n'
        )
        kept = {name: os.environ[name] for name in ("HOME", "LANG", "TMPDIR") if name in os.environ}
        self._environ = {
            **kept,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "TIDEGATE_GATEWAY_PORT": str(self.port),
            "NO_PROXY": "127.0.0.1",
        }

    def run(self, block: str) -> str:
        """What a block printed. Fails with its text where it ends with an error."""
        script = (
            f"set -euo pipefail\n. {self._variables}\n{self._here(block)}\n"
            f"export -p | grep -E ' (OPENAI|ANTHROPIC|GOOGLE|GEMINI)_' > {self._variables} || true\n"
        )
        done = subprocess.run(
            ["bash", "-c", script], cwd=self._folder, env=self._environ, capture_output=True, text=True, timeout=BLOCK_S
        )
        assert done.returncode == 0, f"this block failed:\n{block}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def start(self, block: str) -> None:
        """Run a block in the background; returns when the gateway is ready."""
        with (self._folder / "background.log").open("ab") as log:
            self._background = subprocess.Popen(
                ["bash", "-c", self._here(block)],
                cwd=self._folder, env=self._environ, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        deadline = time.monotonic() + START_S
        while not self._is_ready():
            said = (self._folder / "background.log").read_text("utf-8", "replace")
            assert self._background.poll() is None, f"`{block.strip()}` ended:\n{said}"
            assert time.monotonic() < deadline, f"`{block.strip()}` was not ready within {START_S} s:\n{said}"
            time.sleep(0.1)

    def stop(self) -> None:
        """Ctrl-C in the background command's terminal."""
        if self._background is not None:
            os.killpg(self._background.pid, signal.SIGINT)
            assert self._background.wait(START_S) == 0, (self._folder / "background.log").read_text("utf-8", "replace")
            self._background = None

    def kill(self) -> None:
        if self._background is not None and self._background.poll() is None:
            os.killpg(self._background.pid, signal.SIGKILL)
            self._background.wait()

    def _here(self, block: str) -> str:
        return block.replace("8080", str(self.port))

    def _is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=1) as reply:
                return bool(reply.status == 200)
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return False


def follow(page: Path, folder: Path) -> str:
    """Do what a page says, in a fresh folder; what its blocks printed."""
    printed: list[str] = []
    with FakeProvider() as provider:
        shell = Shell(folder, provider)
        try:
            for background, block, stop in STEP.findall(page.read_text("utf-8")):
                if stop:
                    shell.stop()
                elif background:
                    shell.start(block)
                else:
                    printed.append(shell.run(block))
            shell.stop()
        finally:
            shell.kill()
    return "\n".join(printed)


def test_the_readme_does_what_it_says(tmp_path: Path) -> None:
    """Operator, developer, analyst: their commands run as printed, against a provider that is not the real one."""
    printed = follow(READMES[0], tmp_path)
    assert "Four." in printed  # the fake provider's answer, through the unchanged SDK
    assert (tmp_path / "report" / "index.html").is_file()


def test_the_tutorial_does_what_it_says(tmp_path: Path) -> None:
    """From a first call to a figure of one's own ledger, as a newcomer would type it."""
    printed = follow(ROOT / "docs" / "tutorial" / "first-call-first-figure.md", tmp_path)
    assert "Two and two are four." in printed  # streamed
    assert "model_not_found" in printed
    assert ": changed" in printed and "exit code 1" in printed  # the copy with one changed byte
    assert '"figure": "prompt_length"' in printed
    assert (tmp_path / "report" / "index.html").is_file()


def test_the_page_of_clients_does_what_it_says(tmp_path: Path) -> None:
    """Three makers' SDKs call a model whose provider speaks chat completions alone."""
    printed = follow(CLIENTS, tmp_path)
    assert printed.count("Two and two are four.") == 3  # OpenAI's Responses, Anthropic's Messages, Google's Gemini
    assert '"cost_details"' in printed and "x-tidegate-dropped-parameters: top_k" in printed


def test_the_page_of_resellers_does_what_it_says(tmp_path: Path) -> None:
    """A tenant, a voucher, a key, a call, a statement: 12 tokens in and 5 out at $0.1 and $0.4 a million, plus 20 %."""
    today = time.strftime("%Y-%m-%d", time.gmtime())
    paid = fx_table().rate("CNY", today).nano_usd(parse_amount("70", "CNY"))
    printed = follow(RESELLERS, tmp_path)
    assert f"acme was credited {format_usd(paid)} USD" in printed
    assert "没有可用的线路提供模型" in printed  # a refusal in the tenant's language
    assert re.search(rf"^used +0\.00000384\nclosing +{format_usd(paid - 3840)}$", printed, re.MULTILINE)
    assert "\nok: " in printed  # tidegate accounts verify
    assert "CNY 70.00" in (tmp_path / "acme.html").read_text("utf-8")


def test_the_page_of_the_response_cache_does_what_it_says(tmp_path: Path) -> None:
    """Asked twice, answered twice, called once: the rows say so."""
    printed = follow(CACHE, tmp_path)
    said = re.findall(r"x-tidegate-cache: (\w+)", printed)
    assert said == ["miss", "hit", "miss", "hit", "hit"]  # of the third, which said no-store, nothing
    assert "the same bytes" in printed
    assert re.findall(r"^cost_nano_usd +(\d+)", printed, re.MULTILINE) == ["3200", "0"]


def test_the_page_of_ladders_does_what_it_says(tmp_path: Path) -> None:
    """The small model answers; asked for JSON it does not, and the large one is asked, at ten times its price."""
    printed = follow(CASCADE, tmp_path)
    assert re.findall(r"x-tidegate-ladder: (.+?)\s*$", printed, re.MULTILINE) == [
        "cheap-first 1/2",
        "cheap-first 2/2 schema",
    ]
    assert re.findall(r"^cost_nano_usd +(\d+)", printed, re.MULTILINE) == ["3200", "35200"]


def test_no_other_page_has_blocks_that_are_never_run() -> None:
    """`sh` means that this file runs it; elsewhere a block is `console` or `text`."""
    tutorial = ROOT / "docs" / "tutorial" / "first-call-first-figure.md"
    runnable = {READMES[0], READMES[1], CACHE, CASCADE, CLIENTS, RESELLERS, tutorial}
    for page in set(WRITTEN) - runnable:
        assert "```sh\n" not in page.read_text("utf-8"), f"{page.relative_to(ROOT)} has a block that no test runs"
