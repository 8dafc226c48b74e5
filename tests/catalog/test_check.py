"""`catalog check` and its sisters, as a person runs them."""

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tidegate.catalog import Catalog
from tidegate.catalog.check import NO_PRICE, check_catalog
from tidegate.core.facts import Endpoint

CONFIG = """
[providers.mine]
base_url = "http://127.0.0.1:9/v1"
[[endpoints]]
provider = "mine"
model = "tide-1"
"""
PRICE = 'price = { input = "0.1", output = "0.2" }\n'


def tidegate(home: Path, *args: str, config: str = "", **environ: str) -> subprocess.CompletedProcess[str]:
    """Run the installed command in a process of its own, with no key but those given."""
    home.mkdir(exist_ok=True)
    (home / "tidegate.toml").write_text(config)
    clean = {name: value for name, value in os.environ.items() if not name.endswith(("_API_KEY", "_TOKEN"))}
    return subprocess.run(
        [sys.executable, "-m", "tidegate", "catalog", *args],
        env={**clean, "TIDEGATE_HOME": str(home), "COLUMNS": "160", **environ},
        cwd=home,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_a_served_model_without_a_price_is_an_error(tmp_path: Path) -> None:
    """Exit code 1 and one line with the mend: every call to it would be refused."""
    done = tidegate(tmp_path / "home", "check", config=CONFIG)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "tide-1@mine" in done.stderr and "[[endpoints]]" in done.stderr


def test_gaps_alone_are_no_error(tmp_path: Path) -> None:
    """That nobody knows a model's weights stops no call."""
    done = tidegate(tmp_path / "home", "check", "--format", "json", config=CONFIG + PRICE)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert {"country of author", "weights"} <= {row["missing"] for row in found}
    assert not any(row["is_error"] for row in found)


def test_check_reports_what_nobody_knows(catalog: Catalog) -> None:
    """Cloaked models are a group of their own, not a gap; facts without a source would be one."""
    findings = check_catalog(catalog, [Endpoint(endpoint_id="x@y", provider="y", model="x", upstream_model="x")])
    assert (findings[0].missing, findings[0].subject, findings[0].is_error) == (NO_PRICE, "x@y", True)
    subjects = {finding.subject for finding in findings}
    assert "openrouter/hunter-alpha" not in subjects
    assert "source or day of checking" not in {finding.missing for finding in findings}
    assert "headquarters" not in {finding.missing for finding in findings}


def test_endpoints_show_what_the_key_opens(tmp_path: Path) -> None:
    """And they say which key is missing for a configured one."""
    config = '[[endpoints]]\nprovider = "mistral"\nmodel = "mistral-small-2603"\n'
    done = tidegate(tmp_path / "home", "endpoints", "--format", "csv", config=config, GROQ_API_KEY="x")
    first, *rest = csv.DictReader(io.StringIO(done.stdout))
    assert (first["endpoint"], first["key"]) == ("mistral-small-2603@mistral", "MISTRAL_API_KEY is not set")
    assert rest and all(row["endpoint"].endswith("@groq") and row["key"] == "set" for row in rest)


def test_prices_accept_any_spelling(tmp_path: Path) -> None:
    """What it costs, where, since when, and where that is written."""
    done = tidegate(tmp_path / "home", "prices", "claude-4.5-sonnet", "--format", "json")
    rows = {(row["price"], row["above input tokens"]): row for row in json.loads(done.stdout)}
    assert rows["anthropic/claude-sonnet-4.5@anthropic#", 0]["input"] == "3.00"
    assert rows["anthropic/claude-sonnet-4.5@anthropic#", 200000]["input"] == "6.00"
    assert all(row["source"] and row["checked"] for row in rows.values())


def test_models_are_found_by_their_words(tmp_path: Path) -> None:
    """`claude-4.5` finds claude-opus-4.5 too; a name that fits nothing is said so."""
    done = tidegate(tmp_path / "home", "models", "claude-4.5", "--format", "csv")
    assert "anthropic/claude-opus-4.5" in {row["model"] for row in csv.DictReader(io.StringIO(done.stdout))}
    done = tidegate(tmp_path / "home", "models", "no-such-model-at-all")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)


def test_sync_writes_into_the_home_and_the_next_command_reads_it(tmp_path: Path) -> None:
    """Without --out the tables of this installation are made anew; no network with --no-litellm."""
    home = tmp_path / "home"
    done = tidegate(home, "sync", "--no-litellm", "--day", "2026-12-24", "--format", "csv")
    assert done.returncode == 0, done.stderr
    assert {"model", "provider", "field", "kept", "values"} == set(next(csv.DictReader(io.StringIO(done.stdout))))
    assert "not read: litellm" in done.stderr
    assert (home / "catalog" / "prices.csv").is_file()
    shown = tidegate(home, "prices", "gpt-4o-mini", "--format", "json")
    assert "2026-12-24" in {row["checked"] for row in json.loads(shown.stdout)}


def test_sync_goes_on_without_litellm_and_says_so(tmp_path: Path) -> None:
    """A machine without an index still gets its tables, and is told what they lack."""
    home = tmp_path / "home"
    done = tidegate(home, "sync", "--format", "csv", PIP_NO_INDEX="1", PIP_CONFIG_FILE=os.devnull)
    assert done.returncode == 0, done.stderr
    assert "not read: the litellm wheel cannot be downloaded" in done.stderr
    assert (home / "catalog" / "models.csv").is_file()


@pytest.mark.parametrize("command", ["models", "endpoints", "prices", "check", "sync"])
def test_every_command_has_an_example(tmp_path: Path, command: str) -> None:
    """Help that shows no call helps little."""
    done = tidegate(tmp_path / "home", command, "--help")
    assert "Example:" in done.stdout and "--format" in done.stdout
