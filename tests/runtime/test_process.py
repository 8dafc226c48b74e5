"""One supervised process: readiness, restart, stop."""

import asyncio
import os
import signal
from collections.abc import Callable
from pathlib import Path

import msgspec

from tidegate.runtime.process import Process, Program

from .conftest import is_alive

SERVES = "tell('ready')\ntime.sleep(60)\n"


async def until(condition: Callable[[], bool], limit_s: float = 20.0) -> None:
    async with asyncio.timeout(limit_s):
        while not condition():  # noqa: ASYNC110 - a process outside says nothing
            await asyncio.sleep(0.02)


async def test_a_program_is_started_when_it_says_ready(make_program: Callable[..., Program], environ) -> None:
    """Whoever waits for start() may connect right after it; what the program says before is passed on."""
    said: list[str] = []
    process = Process(make_program("tell('loading')\n" + SERVES), environ, said.append)

    assert await process.start() == ""
    pid = process.pid
    assert pid is not None and is_alive(pid)
    assert said == ["child: loading"]

    await process.stop()
    assert not is_alive(pid)


async def test_a_program_that_ends_before_it_is_ready_is_reported_with_its_last_words(make_program, environ) -> None:
    """The reason stands in one line; nobody must open a log to find it."""
    process = Process(make_program("sys.exit('tidegate: gateway.host is no address')"), environ, print)

    failure = await process.start()

    assert "child could not start (exit code 1): tidegate: gateway.host is no address" in failure
    assert process.pid is None


async def test_a_program_that_is_never_ready_is_killed(make_program, environ) -> None:
    """A start has an end, and nothing of a failed one stays."""
    process = Process(make_program("time.sleep(60)", ready_s=1.0), environ, print)

    assert "not ready within 1 s" in await process.start()
    assert process.pid is None


async def test_a_crashed_program_is_started_again_and_that_is_said(make_program, environ) -> None:
    """kill -9 of a worker is an incident, not an outage."""
    said: list[str] = []
    process = Process(make_program(SERVES), environ, said.append)
    await process.start()
    first = process.pid
    assert first is not None

    os.kill(first, signal.SIGKILL)
    await until(lambda: process.pid not in (None, first))

    assert said == ["child ended (signal SIGKILL); started again in 0.5 s"]
    await process.stop()


async def test_a_stopped_program_may_finish_its_work_first(make_program, environ, tmp_path) -> None:
    """SIGTERM is a request: what is in flight ends well."""
    drains = f"signal.signal(15, lambda *_: (time.sleep(0.5), open({str(tmp_path / 'done')!r}, 'w'), sys.exit(0)))\n"
    process = Process(make_program(drains + SERVES), environ, print)
    await process.start()

    await process.stop()

    assert (tmp_path / "done").exists()


async def test_a_program_that_does_not_drain_is_killed_and_that_is_said(make_program, environ) -> None:
    """A deaf program must not keep the machine."""
    said: list[str] = []
    process = Process(make_program("signal.signal(15, signal.SIG_IGN)\n" + SERVES, drain_s=0.5), environ, said.append)
    await process.start()
    pid = process.pid
    assert pid is not None

    await process.stop()

    assert not is_alive(pid)
    assert said == ["child did not end within 0.5 s and is killed"]


async def test_a_program_whose_log_cannot_be_opened_is_tried_again(make_program) -> None:
    """A full or read-only disk: said, and no reason to give up."""
    said: list[str] = []
    process = Process(make_program("tell('ready')\ntime.sleep(60)"), os.environ, said.append)
    process.program = msgspec.structs.replace(process.program, log=Path("/nonexistent/child.log"))

    assert "child could not be started" in await process.start()
    assert process.pid is None
    await process.stop()
