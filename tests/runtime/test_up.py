"""`tidegate up`: from nothing to a real answer of a real model, its row, and nothing left running."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tidegate.config import Config
from tidegate.ledger.store import Ledger
from tidegate.runtime import local_model
from tidegate.runtime.home import free_port

from .test_supervisor import children_of, serving, until_gone

UP = [sys.executable, "-m", "tidegate", "up", "--port", "0"]
CONFIG = """[providers.mine]
base_url = "{base_url}"
api_key_env = "MINE_KEY"
[[endpoints]]
provider = "mine"
model = "mine/small"
upstream_model = "small"
price = {{ input = "0.15", output = "0.60" }}
"""
needs_local = pytest.mark.skipif(
    bool(local_model.missing_packages()), reason=f"the extra `local` lacks {local_model.missing_packages()}"
)


def run(command: list[str], environ: dict[str, str], limit_s: float = 110) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=limit_s)


def sealed_rows(config: Config) -> list[tuple[object, ...]]:
    connection = Ledger.open(config.ledger_path).connect()
    try:
        found: list[tuple[object, ...]] = connection.execute(
            "SELECT response_model, provider_name, status_code, cost_nano_usd, usage_output_tokens, key_id FROM rows"
        ).fetchall()
        return found
    finally:
        connection.close()


@needs_local
def test_a_real_model_answers_and_leaves_its_row(environ: dict[str, str], config: Config) -> None:
    """The first minute of a newcomer: one command, a true answer, its price, and a ledger with one row in it."""
    ended = run([*UP, "--model", "local", "--exit-after-call"], environ)

    assert ended.returncode == 0, ended.stderr
    assert "gravitational pull of the moon" in ended.stdout
    assert "openai SDK" in ended.stdout, "the call was made with the unchanged SDK"
    assert "USD 0.000000000 (metered)" in ended.stdout
    assert re.search(r"For comparison, not charged: .* would cost USD 0\.0000\d+", ended.stdout)
    assert "price 0: it runs on this machine" in ended.stderr and "Gemma Terms of Use" in ended.stderr
    [(model, provider, status, cost, output_tokens, _)] = sealed_rows(config)
    assert (model, provider, status, cost) == (local_model.MODEL, "local", 200, 0)
    assert isinstance(output_tokens, int) and output_tokens > 5


@needs_local
def test_while_it_runs_the_next_commands_work_and_ctrl_c_ends_it_all(environ: dict[str, str], config: Config) -> None:
    """Each printed command is one that works; afterwards no process and no secret is left."""
    with subprocess.Popen(
        [*UP, "--model", "local"], env=environ, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as running:
        try:
            assert running.stdout is not None
            shown = ""
            while "Ctrl-C stops everything" not in shown:
                line = running.stdout.readline()
                assert line, shown
                shown += line
            children = children_of(running.pid)
            assert len(children) == 3, "a worker, the console, the local model"
            secret = re.findall(r"OPENAI_API_KEY=(sk-tg-\S+)", shown)[0]

            called = run(
                [sys.executable, "-m", "tidegate", "call", local_model.MODEL, "Name a river.", "--stream"],
                {**environ, "OPENAI_API_KEY": secret},
            )
            assert called.returncode == 0 and local_model.MODEL in called.stdout, called.stderr
            figure = run([sys.executable, "-m", "tidegate", "study", "oss_split"], environ)
            assert "n = 1" in figure.stdout, figure.stderr
            own = run(
                [sys.executable, "-m", "tidegate", "call", local_model.MODEL, "Name a sea.", "--format", "json"],
                environ,
            )
            assert json.loads(own.stdout)[0]["cost_nano_usd"] == 0, own.stderr
            again = run([*UP, "--no-call"], environ)
            assert again.returncode == 1 and f"pid {running.pid}" in again.stderr

            running.send_signal(signal.SIGINT)
            running.communicate(timeout=60)
        finally:
            running.kill()

    assert running.returncode == 0
    assert until_gone(children) == []
    assert len(sealed_rows(config)) == 3
    found = [path for path in Path(environ["TIDEGATE_HOME"]).rglob("*") if path.is_file()]
    assert not any(secret.encode() in path.read_bytes() for path in found), "the secret was shown, never written"


@needs_local
def test_a_user_without_a_home_folder_gets_the_local_model_too(environ: dict[str, str]) -> None:
    """A service user's is often /nonexistent: the weights then lie in the installation's own folder."""
    ended = run([*UP, "--model", "local", "--exit-after-call"], {**environ, "HOME": "/proc/nowhere"})

    assert ended.returncode == 0, ended.stderr
    assert list(Path(environ["TIDEGATE_HOME"]).glob("cache/*.gguf"))


@contextmanager
def provider() -> Iterator[tuple[str, list[str]]]:
    """A provider that answers one sentence; its base URL and the keys it was sent."""
    keys: list[str] = []
    answer = {
        "id": "c1",
        "object": "chat.completion",
        "created": 1,
        "model": "small",
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "The moon."}}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 3, "total_tokens": 13},
    }

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            keys.append(self.headers["authorization"])
            body = json.dumps(answer).encode()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/v1", keys
        finally:
            server.shutdown()
            thread.join()


def test_a_paid_model_is_named_with_its_price_before_the_call(
    environ: dict[str, str], config: Config, tmp_path: Path
) -> None:
    """What it will cost is said first; what it did cost stands in the row to the nano-dollar."""
    with provider() as (base_url, keys):
        (tmp_path / "tidegate.toml").write_text(CONFIG.format(base_url=base_url))
        environ |= {"TIDEGATE_CONFIG": str(tmp_path / "tidegate.toml"), "MINE_KEY": "sk-mine"}

        ended = run([*UP, "--exit-after-call"], environ)

    assert ended.returncode == 0, ended.stderr
    named = "mine/small at mine (your configuration lists it); USD 0.15 in and 0.60 out per million tokens"
    assert named in ended.stderr
    assert keys == ["Bearer sk-mine"]
    assert "The moon." in ended.stdout and "USD 0.000003300 (metered)" in ended.stdout
    assert "For comparison" not in ended.stdout
    assert sealed_rows(config)[0][3] == 3300, "10 x 0.15 + 3 x 0.60 micro-dollars"


@pytest.mark.parametrize("sdk", [True, False], ids=["with the SDK", "without it"])
def test_calls_side_by_side_share_no_key(sdk: bool, environ: dict[str, str], tmp_path: Path) -> None:
    """Each has a key of its own, which is gone afterwards."""
    blocked = "" if sdk else "import sys; sys.modules['openai'] = None; "
    call = [sys.executable, "-c", f"{blocked}from tidegate.cli import main; main()", "call", "mine/small", "hello"]
    with provider() as (base_url, _):
        (tmp_path / "tidegate.toml").write_text(CONFIG.format(base_url=base_url))
        environ |= {"TIDEGATE_CONFIG": str(tmp_path / "tidegate.toml"), "MINE_KEY": "sk-mine"}
        with serving(environ):
            calls = [subprocess.Popen(call, env=environ, stdout=subprocess.PIPE, text=True) for _ in range(3)]
            shown = [running.communicate(timeout=60)[0] for running in calls]

    assert [running.returncode for running in calls] == [0, 0, 0]
    assert all("The moon." in text and "mine/small by mine" in text for text in shown)
    assert json.loads(run([sys.executable, "-m", "tidegate", "keys", "list", "--format", "json"], environ).stdout) == []


def test_the_next_commands_say_where_they_must_be_run(environ: dict[str, str], tmp_path: Path) -> None:
    """Another terminal is in another folder and knows nothing of this one's variables."""
    folder = tmp_path / "a folder"
    folder.mkdir()
    with subprocess.Popen(
        [*UP, "--no-call"], env=environ, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as running:
        try:
            assert running.stdout is not None
            shown = ""
            while "Ctrl-C stops everything" not in shown:
                line = running.stdout.readline()
                assert line, shown
                shown += line
        finally:
            running.terminate()
            running.communicate(timeout=60)
    assert f"  cd '{folder}'\n  export TIDEGATE_HOME={environ['TIDEGATE_HOME']}\n" in shown


def test_a_home_in_a_deep_folder_works(environ: dict[str, str], tmp_path: Path) -> None:
    """A Unix socket's path may have 108 bytes; a clone may lie deeper, and its name may have spaces."""
    folder = tmp_path / ("deep and wide " * 5) / ("x" * 80)
    folder.mkdir(parents=True)
    with provider() as (base_url, _):
        (folder / "tidegate.toml").write_text(CONFIG.format(base_url=base_url))
        del environ["TIDEGATE_HOME"]
        command = [*UP, "--exit-after-call"]
        ended = subprocess.run(
            command, env={**environ, "MINE_KEY": "x"}, cwd=folder, capture_output=True, text=True, timeout=110
        )
    assert ended.returncode == 0 and "The moon." in ended.stdout, ended.stderr


def test_a_key_of_ours_is_never_sent_to_a_provider(environ: dict[str, str]) -> None:
    """After `export OPENAI_API_KEY=<key of ours>` the next start must not take it for OpenAI's."""
    from tidegate.catalog import load_catalog
    from tidegate.catalog.routes import providers_with_key

    ours = {**environ, "OPENAI_API_KEY": "sk-tg-abc", "GROQ_API_KEY": "gsk-x"}

    assert providers_with_key(load_catalog(), ours) == ["groq"]


def test_a_failing_provider_is_an_error_of_the_command(environ: dict[str, str], tmp_path: Path) -> None:
    """`--exit-after-call` tells scripts the truth: non-zero, one line with the reason."""
    port = free_port("127.0.0.1")
    (tmp_path / "tidegate.toml").write_text(
        f'[providers.mine]\nbase_url = "http://127.0.0.1:{port}/v1"\n'
        '[[endpoints]]\nprovider = "mine"\nmodel = "mine/small"\nprice = { input = "0", output = "0" }\n'
    )
    ended = run([*UP, "--exit-after-call"], {**environ, "TIDEGATE_CONFIG": str(tmp_path / "tidegate.toml")})

    assert ended.returncode == 1
    assert "tidegate: the call failed" in ended.stderr


def test_calling_where_nothing_runs_says_how_to_start(environ: dict[str, str]) -> None:
    """One line, no traceback."""
    ended = run([sys.executable, "-m", "tidegate", "call", "m", "hello"], environ)

    assert ended.returncode == 1
    assert "no gateway runs in" in ended.stderr and "tidegate up" in ended.stderr and ended.stderr.count("\n") == 1


@pytest.mark.parametrize("command", ["up", "serve", "call"])
def test_every_command_has_help_with_an_example(command: str, environ: dict[str, str]) -> None:
    """And without loading a query engine: it is what a newcomer types first."""
    ended = run([sys.executable, "-X", "importtime", "-m", "tidegate", command, "--help"], environ)

    assert ended.returncode == 0 and "Example:" in ended.stdout
    assert not re.search(r"\| +(duckdb|altair|openai|aiohttp)$", ended.stderr, re.MULTILINE)
    assert os.environ.get("TIDEGATE_HOME") != environ["TIDEGATE_HOME"]
