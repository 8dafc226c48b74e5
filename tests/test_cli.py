"""What the command line says when something is wrong: one line that names the mend, never a traceback."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

WITHOUT = "import sys\nfor name in {modules!r}: sys.modules[name] = None\nfrom tidegate.cli import main\nmain()\n"


@pytest.fixture
def environ() -> Iterator[dict[str, str]]:
    """An empty home and nobody's keys."""
    home = tempfile.mkdtemp(prefix="tg")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("TIDEGATE_", "OPENAI_"))}
    yield {**kept, "TIDEGATE_HOME": home, "COLUMNS": "80"}
    shutil.rmtree(home)


def tidegate(environ: dict[str, str], *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "tidegate", *arguments]
    return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60)


def one_line(ended: "subprocess.CompletedProcess[str]") -> str:
    assert ended.returncode == 1, ended.stderr
    assert ended.stderr.startswith("tidegate: ") and ended.stderr.count("\n") == 1, ended.stderr
    return ended.stderr


@pytest.mark.parametrize(
    ("modules", "arguments", "extra"),
    [
        (["aiohttp"], ["up"], "serve"),
        (["starlette"], ["serve"], "serve"),
        (["aiohttp"], ["call", "m", "hello"], "serve"),
        (["sqlalchemy"], ["keys", "list"], "serve"),
        (["altair"], ["report", "--out", "report"], "study"),
    ],
)
def test_a_missing_extra_is_named(
    modules: list[str], arguments: list[str], extra: str, environ: dict[str, str], tmp_path: Path
) -> None:
    """`pip install tidegate` brings the core alone; what needs more says what to install."""
    command = [sys.executable, "-c", WITHOUT.format(modules=modules), *arguments]
    ended = subprocess.run(command, env=environ, cwd=tmp_path, capture_output=True, text=True, timeout=60)

    assert f"the package {modules[0]}, which is not installed: pip install 'tidegate[{extra}]'" in one_line(ended)


@pytest.mark.parametrize("arguments", [["up", "--port", "0"], ["serve", "--port", "0"], ["keys", "list"]])
def test_a_home_that_cannot_be_made_is_named(arguments: list[str], environ: dict[str, str], tmp_path: Path) -> None:
    """A read-only disk, a file in the way, another user's folder."""
    (tmp_path / "file").write_text("")
    home = str(tmp_path / "file" / "home")

    assert home in one_line(tidegate({**environ, "TIDEGATE_HOME": home}, *arguments))


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("accounts.sqlite", "not a database, but long enough to look like one" * 9, "accounts.sqlite cannot be used"),
        ("secret", "x" * 64, "secret is damaged"),
        ("secret", "", "secret is damaged"),
    ],
)
def test_damaged_accounts_are_named(name: str, content: str, said: str, environ: dict[str, str]) -> None:
    """Each file that keys depend on, with what to do."""
    (Path(environ["TIDEGATE_HOME"]) / name).write_text(content)

    assert said in one_line(tidegate(environ, "keys", "create", "--name", "laptop"))


def test_a_list_of_keys_shows_those_that_are_valid_and_fits_a_terminal(environ: dict[str, str]) -> None:
    """One line a key; the revoked ones, and every column, for those who ask."""
    for name in ("laptop", "phone"):
        assert tidegate(environ, "keys", "create", "--name", name).returncode == 0
    tidegate(environ, "keys", "revoke", "phone")

    shown = tidegate(environ, "keys", "list").stdout.splitlines()
    every = json.loads(tidegate(environ, "keys", "list", "--all", "--format", "json").stdout)

    assert len(shown) == 2 and "laptop" in shown[1] and "valid" in shown[1]
    assert [(key["name"], key["project_id"], key["state"]) for key in every] == [
        ("laptop", "default", "valid"),
        ("phone", "default", "revoked"),
    ]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--name", " "], "--name is empty"),
        (["--name", "a", "--expires-in", "0d"], "is not a span"),
        (["--name", "a", "--expires-in", "9999999999d"], "is not a span"),
        (["--name", "a", "--billing-country", "Germany"], "ISO 3166"),
        (["--name", "a", "--from-env", "NOT_SET"], "NOT_SET is not set"),
    ],
)
def test_a_key_that_makes_no_sense_is_not_made(arguments: list[str], said: str, environ: dict[str, str]) -> None:
    """One that has expired already, or that nobody could recognise."""
    assert said in one_line(tidegate(environ, "keys", "create", *arguments))
