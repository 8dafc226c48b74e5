"""The whole installation as one thing that starts, serves, survives and stops."""

import asyncio
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tidegate.config import Config, load_config
from tidegate.core.errors import ConfigError
from tidegate.core.row import Outcome, Row
from tidegate.ledger.journal import JournalWriter
from tidegate.ledger.store import Ledger
from tidegate.runtime.home import HomeLock, free_port, read_running
from tidegate.runtime.process import Program
from tidegate.runtime.supervisor import Options, StartFailed, Supervisor

from .conftest import is_alive

SERVE = [sys.executable, "-m", "tidegate", "serve", "--port", "0", "--workers", "2"]


def get(url: str, headers: dict[str, str] | None = None) -> tuple[int, bytes]:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers or {}), timeout=10) as reply:
            return reply.status, reply.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


@contextmanager
def serving(environ: dict[str, str], until: str = "serving at") -> "Iterator[subprocess.Popen[str]]":
    """`tidegate serve` in a process of its own, once it serves; killed if the test has not stopped it."""
    with subprocess.Popen(SERVE, env=environ, stderr=subprocess.PIPE, text=True) as running:
        try:
            assert running.stderr is not None
            seen = ""
            while until not in seen:
                line = running.stderr.readline()
                assert line, f"ended before it served: {seen}"
                seen += line
            yield running
        finally:
            running.kill()


def children_of(pid: int) -> list[int]:
    return [int(part) for part in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def until_gone(pids: list[int], limit_s: float = 10.0) -> list[int]:
    """Those which are still there after a while."""
    deadline = time.monotonic() + limit_s
    while (left := [pid for pid in pids if is_alive(pid)]) and time.monotonic() < deadline:
        time.sleep(0.02)
    return left


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_nothing_outlives_the_supervisor(number: signal.Signals, environ: dict[str, str], config: Config) -> None:
    """Ctrl-C, a service manager, or the out-of-memory killer: no process is left, and the exit code tells which."""
    with serving(environ) as running:
        children = children_of(running.pid)
        assert len(children) == 3, "two workers and the console"
        assert read_running(config) is not None

        os.kill(running.pid, number)
        running.communicate(timeout=30)

    assert until_gone(children) == []
    assert running.returncode == (-9 if number == signal.SIGKILL else 0)
    assert read_running(config) is None


def test_one_origin_serves_gateway_and_console(environ: dict[str, str], config: Config) -> None:
    """What is not a model call reaches the console over its socket, which nobody else may enter."""
    with serving(environ) as running:
        known = read_running(config)
        assert known is not None

        assert get(f"{known.url}/healthz")[0] == 200
        status, page = get(f"{known.url}/")
        assert status == 200 and b"calls" in page, "this machine sees its ledger"
        status, page = get(f"{known.url}/", {"x-forwarded-for": "203.0.113.9", "x-tidegate-client": "127.0.0.1"})
        assert status == 200 and b"calls" not in page, "the world behind a proxy does not"
        assert get(f"{known.url}/api/v1/generation?id=x")[0] == 401
        forged = {"x-tidegate-tenant": "default"}
        assert get(f"{known.url}/api/v1/generation?id=x", forged)[0] == 401, "only the gateway names a tenant"
        socket_path = config.run_path / "console.sock"
        assert (socket_path.stat().st_mode & 0o777, config.run_path.stat().st_mode & 0o777) == (0o600, 0o700)

        running.terminate()
        running.communicate(timeout=30)
    assert not socket_path.exists()


async def test_a_killed_worker_is_replaced_and_the_other_serves_on(environ: dict[str, str]) -> None:
    """The port is shared: one worker's death refuses nobody for longer than its connections."""
    config = load_config(environ={**environ, "TIDEGATE_GATEWAY_WORKERS": "2", "TIDEGATE_GATEWAY_PORT": "0"})
    said: list[str] = []
    Ledger.create(config.ledger_path)
    with HomeLock(config):
        async with Supervisor(config, environ, Options(quiet_logs=True), said.append) as supervisor:
            before = supervisor.processes()
            os.kill(before["gateway-0"], signal.SIGKILL)
            await asyncio.sleep(0.2)
            assert (await asyncio.to_thread(get, f"{supervisor.url}/healthz"))[0] == 200
            async with asyncio.timeout(20):
                while supervisor.processes().get("gateway-0") in (None, before["gateway-0"]):  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
    assert any("gateway-0 ended (signal SIGKILL); started again" in line for line in said)
    assert until_gone(list(before.values())) == []


async def test_a_second_ctrl_c_kills_at_once(environ: dict[str, str], make_program) -> None:
    """The first one drains, as long as it takes; whoever asks again does not want to wait."""
    program = make_program("signal.signal(15, signal.SIG_IGN)\ntell('ready')\ntime.sleep(60)", drain_s=60.0)
    config = load_config(environ={**environ, "TIDEGATE_GATEWAY_PORT": "0"})
    Ledger.create(config.ledger_path)
    said: list[str] = []
    options = Options(quiet_logs=True, console=False, extra=(program,))
    with HomeLock(config):
        async with Supervisor(config, environ, options, said.append) as supervisor:
            children = list(supervisor.processes().values())
            os.kill(os.getpid(), signal.SIGINT)
            await supervisor.stopped()
            asyncio.get_running_loop().call_later(0.5, os.kill, os.getpid(), signal.SIGINT)
            asked = time.monotonic()
    assert time.monotonic() - asked < 30
    assert "asked twice: killing what still runs" in said
    assert until_gone(children) == []


async def test_a_program_that_may_fail_does_not_stop_the_rest(environ: dict[str, str], make_program) -> None:
    """Without its packages there is no local model, but there is a gateway."""
    program = make_program("sys.exit('the local model needs xllamacpp')")
    config = load_config(environ={**environ, "TIDEGATE_GATEWAY_PORT": "0"})
    Ledger.create(config.ledger_path)
    said: list[str] = []
    options = Options(quiet_logs=True, console=False, extra=(program,))
    with HomeLock(config):
        async with Supervisor(config, environ, options, said.append) as supervisor:
            assert list(supervisor.processes()) == ["gateway-0"]
            assert "the local model needs xllamacpp" in supervisor.failed["child"]
    assert any("the local model needs xllamacpp" in line for line in said)


async def test_a_worker_that_cannot_start_ends_the_start(environ: dict[str, str], tmp_path: Path) -> None:
    """Its reason stands in the error, and what had started is gone."""
    broken = tmp_path / "tidegate.toml"
    broken.write_text("[gateway]\nport = 'http'\n")
    config = load_config(environ={**environ, "TIDEGATE_GATEWAY_PORT": "0"})
    Ledger.create(config.ledger_path)
    children = {**environ, "TIDEGATE_CONFIG": str(broken), "TIDEGATE_GATEWAY_WORKERS": "none"}
    with HomeLock(config), pytest.raises(StartFailed, match=r"gateway-0 could not start .*gateway.port"):
        async with Supervisor(config, children, Options(quiet_logs=True), print):
            raise AssertionError("it must not start")


async def test_a_busy_port_stops_before_anything_starts(environ: dict[str, str]) -> None:
    """The message names the mend."""
    port = free_port("127.0.0.1")
    config = load_config(environ={**environ, "TIDEGATE_GATEWAY_PORT": str(port)})
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", port)
    async with server:
        with HomeLock(config), pytest.raises(ConfigError, match=f"port {port} .* PORT="):
            async with Supervisor(config, environ, Options(), print):
                raise AssertionError("it must not start")


def test_serve_says_in_one_line_that_it_runs_already(environ: dict[str, str], config: Config) -> None:
    """Exit code 1, the holder's pid, no traceback."""
    with HomeLock(config):
        ended = subprocess.run(SERVE, env=environ, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 1
    assert ended.stderr.startswith("tidegate: Tidegate is already running") and ended.stderr.count("\n") == 1


def test_a_sealing_that_fails_is_said_once_and_tried_again(environ: dict[str, str], config: Config) -> None:
    """Serving goes on: the journal keeps the rows. When the cause is mended, that is said too."""
    environ = {**environ, "TIDEGATE_LEDGER_SEAL_INTERVAL_S": "0.3"}
    ledger = Ledger.create(config.ledger_path)
    head = ledger.manifest.head_path
    whole = head.read_bytes()
    head.write_bytes(b"damaged")
    writer = JournalWriter(ledger.journal_path, "gw", 900, now_us=1)
    ts = time.time_ns() // 1000
    writer.append(
        Outcome(row=Row(generation_id="x", ts=ts, source_id="own", segment_id=writer.segment_id, segment_seq=0))
    )
    writer.flush()
    writer.close()  # a closed segment, waiting to be sealed

    with serving(environ) as running:
        known = read_running(config)
        assert known is not None and get(f"{known.url}/healthz")[0] == 200
        time.sleep(2)
        head.write_bytes(whole)
        time.sleep(2)
        running.terminate()
        said = running.communicate(timeout=30)[1]

    assert said.count("the journal keeps the rows") == 0, "it was said before serving, once"
    assert "sealing works again" in said
    assert len(ledger.row_files()) == 1


@pytest.mark.parametrize("ignored", [False, True])
def test_a_closed_terminal_stops_it_unless_nohup(ignored: bool, environ: dict[str, str], config: Config) -> None:
    """`nohup tidegate serve &` is meant to outlive its terminal."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN if ignored else signal.SIG_DFL)  # children inherit it
    try:
        with serving(environ) as running:
            signal.signal(signal.SIGHUP, before)
            running.send_signal(signal.SIGHUP)
            if ignored:
                time.sleep(0.5)
                assert read_running(config) is not None
                running.terminate()
            running.communicate(timeout=30)
    finally:
        signal.signal(signal.SIGHUP, before)
    assert running.returncode == 0


def test_nobody_reading_its_log_does_not_end_it(environ: dict[str, str], config: Config) -> None:
    """`tidegate serve 2>&1 | head -1`: what cannot be said is not said, and every call is still sealed."""
    environ.pop("PYTHONUNBUFFERED", None)
    with serving(environ) as running:
        children = children_of(running.pid)
        assert running.stderr is not None
        running.stderr.close()
        os.kill(children[-1], signal.SIGKILL)  # something to announce
        time.sleep(1.5)
        known = read_running(config)
        assert known is not None and get(f"{known.url}/healthz")[0] == 200
        running.terminate()
        running.wait(timeout=30)
    assert running.returncode == 0


def test_a_listener_that_others_reach_without_tls_is_named(environ: dict[str, str]) -> None:
    """Keys and prompts would cross the network readable."""
    with serving({**environ, "TIDEGATE_GATEWAY_HOST": "0.0.0.0"}, until="without TLS") as running:
        running.terminate()
        running.communicate(timeout=30)


def test_closed_segments_are_sealed_while_serving_and_the_rest_at_the_end(environ: dict[str, str]) -> None:
    """The journal is a waiting room: after a stop everything is in the record."""
    environ = {**environ, "TIDEGATE_LEDGER_SEAL_INTERVAL_S": "0.5"}
    ledger = Ledger.create(load_config(environ=environ).ledger_path)

    def write(number: int) -> None:
        now_us = time.time_ns() // 1000
        writer = JournalWriter(ledger.journal_path, "gw", 900, now_us=now_us)
        row = Row(
            generation_id=f"0199f3a2-0000-7000-8000-{number:012d}",
            ts=now_us,
            source_id="own",
            segment_id=writer.segment_id,
            segment_seq=0,
        )
        writer.append(Outcome(row=row))
        writer.flush()
        writer.close()

    with serving(environ) as running:
        write(1)
        deadline = time.monotonic() + 20
        while not ledger.row_files() and time.monotonic() < deadline:
            time.sleep(0.05)
        assert len(ledger.row_files()) == 1, "sealed while serving"
        write(2)
        running.terminate()
        running.communicate(timeout=30)

    assert json.loads((ledger.path / "manifest" / "HEAD").read_bytes())["number"] == 2
    assert list(ledger.unsealed_outcomes()) == []
    with closing(sqlite3.connect(Path(environ["TIDEGATE_HOME"]) / "accounts.sqlite")) as accounts:
        settled = accounts.execute("SELECT count(*), sum(row_count) FROM settled_segments").fetchone()
    assert settled == (2, 2), "what is sealed is booked"


def test_the_local_models_program_is_one_the_supervisor_can_run() -> None:
    """It is an extra: named, on its own port, with time for its first start."""
    from tidegate.runtime import local_model

    program = local_model.program(18000)
    assert isinstance(program, Program)
    assert program.ready_s >= 60 and "18000" in program.arguments
