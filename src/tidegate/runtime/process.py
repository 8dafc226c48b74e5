"""One supervised process: start, readiness, restart with back-off, stop.

A child gets the writing end of a pipe as `--ready-fd FD` and writes lines to it: `ready` when it works, and before
that, if it likes, lines that say how far it has come. A child has a session of its own, so that Ctrl-C in a terminal
reaches only the supervisor, which then decides; and it dies with the supervisor (`lifeline`).
"""

import asyncio
import functools
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

import msgspec

BACKOFF_FIRST_S = 0.5
BACKOFF_MAX_S = 30.0
STEADY_S = 60.0  # a process that lived this long starts again with the first back-off
KILLED_S = 10.0  # how long the kernel may take to bury a process after SIGKILL
LOG_TAIL_BYTES = 4096

Announce = Callable[[str], None]


class Program(msgspec.Struct, frozen=True, kw_only=True):
    """What to run: `python -m MODULE ARGUMENTS... --ready-fd FD`.

    `ready_s`: how long it may take to be ready. `drain_s`: how long it may take to end after SIGTERM.
    `log`: file for its output, emptied by `up` at each start; None leaves it on this process's stderr.
    """

    name: str
    module: str
    arguments: tuple[str, ...] = ()
    ready_s: float = 60.0
    drain_s: float = 10.0
    log: Path | None = None


class Process:
    """Keeps one program running until told to stop."""

    def __init__(self, program: Program, environ: Mapping[str, str], announce: Announce) -> None:
        self.program = program
        self._environ = dict(environ)
        self._announce = announce
        self._child: asyncio.subprocess.Process | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._stopping = False

    @property
    def pid(self) -> int | None:
        """The running child; None between two lives."""
        return self._child.pid if self._child is not None and self._child.returncode is None else None

    async def start(self) -> str:
        """Start, wait for readiness, and from then on keep it running. Returns "", or one line on why it failed."""
        failure = await self._launch()
        if not failure:
            self._keeper = asyncio.create_task(self._keep(time.monotonic()), name=f"keep {self.program.name}")
        return failure

    async def stop(self, drain_s: float | None = None) -> None:
        """SIGTERM, wait `drain_s` (default: the program's), then SIGKILL. Returns when the process is gone."""
        self._stopping = True
        if self._keeper is not None:
            self._keeper.cancel()
            with suppress(asyncio.CancelledError):
                await self._keeper
        limit_s = self.program.drain_s if drain_s is None else drain_s
        self._signal(signal.SIGTERM)
        if not await self._gone(limit_s):
            self._announce(f"{self.program.name} did not end within {limit_s:g} s and is killed")
            self.kill()
            await self._gone(KILLED_S)

    def kill(self) -> None:
        """SIGKILL at once, and no restart."""
        self._stopping = True
        self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        if self.pid is not None:
            with suppress(ProcessLookupError):
                os.killpg(self.pid, number)  # its own group: itself and whatever it started

    async def _gone(self, limit_s: float) -> bool:
        if self._child is None:
            return True
        try:
            await asyncio.wait_for(self._child.wait(), limit_s)
        except TimeoutError:
            return False
        return True

    async def _launch(self) -> str:
        """Start once. Returns "", or one line on why the program is not ready; then nothing of it is left."""
        ready_read, ready_write = os.pipe()
        try:
            self._child = await spawn(self.program, self._environ, ready_write)
        except OSError as error:  # no memory, no file left, no room for its log: tried again later
            os.close(ready_read)
            return f"{self.program.name} could not be started: {error}"
        finally:
            os.close(ready_write)
        try:
            async with asyncio.timeout(self.program.ready_s):
                if await self._await_ready(ready_read):
                    return ""
                await self._child.wait()
        except TimeoutError:
            self._signal(signal.SIGKILL)
            await self._gone(KILLED_S)
            return f"{self.program.name} was not ready within {self.program.ready_s:g} s; killed"
        return f"{self.program.name} could not start ({_ending(self._child.returncode)}){self._last_words()}"

    async def _await_ready(self, ready_read: int) -> bool:
        """True at the line `ready`; False when the pipe ends before it."""
        reader = asyncio.StreamReader()
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(ready_read, "rb", buffering=0)
        )
        try:
            while line := await reader.readline():
                text = line.decode("utf-8", "replace").strip()
                if text == "ready":
                    return True
                self._announce(f"{self.program.name}: {text}")
            return False
        finally:
            transport.close()

    async def _keep(self, started: float) -> None:
        """Start the program again whenever it ends, until told to stop."""
        wait_s = BACKOFF_FIRST_S
        while self._child is not None:
            code = await self._child.wait()
            if self._stopping:
                return
            if time.monotonic() - started > STEADY_S:
                wait_s = BACKOFF_FIRST_S
            self._announce(f"{self.program.name} ended ({_ending(code)}); started again in {wait_s:g} s")
            await asyncio.sleep(wait_s)
            wait_s = min(wait_s * 2, BACKOFF_MAX_S)
            started = time.monotonic()
            if failure := await self._launch():
                self._announce(failure)

    def _last_words(self) -> str:
        """The last line of the log, where there is one: usually the error."""
        if self.program.log is None or not self.program.log.is_file():
            return ""
        lines = self.program.log.read_bytes()[-LOG_TAIL_BYTES:].decode("utf-8", "replace").split("\n")
        last = next((line.strip() for line in reversed(lines) if line.strip()), "")
        return f": {last} (log: {self.program.log})" if last else f" (log: {self.program.log})"


async def spawn(program: Program, environ: Mapping[str, str], ready_fd: int) -> asyncio.subprocess.Process:
    """The program as a child that dies with this process. Its stdin is empty; its stdout goes where stderr goes."""
    arguments = (*program.arguments, "--ready-fd", str(ready_fd))
    output = program.log.open("ab") if program.log is not None else None
    try:
        return await asyncio.create_subprocess_exec(
            *tied_command(program.module, arguments),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output if output is not None else sys.stderr.fileno(),
            stderr=output if output is not None else sys.stderr.fileno(),
            env=dict(environ),
            start_new_session=True,
            pass_fds=(ready_fd, lifeline_fd()),
        )
    finally:
        if output is not None:
            output.close()


def tied_command(module: str, arguments: tuple[str, ...]) -> list[str]:
    """`python -m module arguments...`, tied to the life of this process; pass `lifeline_fd()` to the child."""
    return [
        sys.executable,
        "-m",
        "tidegate.runtime.lifeline",
        str(os.getpid()),
        str(lifeline_fd()),
        module,
        *arguments,
    ]


@functools.cache
def lifeline_fd() -> int:
    """The reading end of a pipe whose writing end this process holds, unwritten, as long as it lives."""
    reading, _ = os.pipe()
    return reading


def _ending(code: int | None) -> str:
    if code is None:
        return "no exit code"
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"signal {signal.Signals(-code).name}"
    except ValueError:
        return f"signal {-code}"
