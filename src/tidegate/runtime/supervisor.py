"""The supervisor: gateway workers, console, local model, labeller and sealing, as one thing that starts and stops.

Start: check the port, recover what an earlier run left, start everything, wait until all is ready.
While it runs: a process that ends is started again; closed journal segments are sealed every `seal_interval_s`, or
when a worker has died, and what was sealed is booked, each by a child of its own. Stop: workers drain, then everything
else ends, then one last seal and settlement. A second signal kills at once. Nothing outlives the supervisor, not even
when it is killed (`lifeline`).
"""

import asyncio
import os
import signal
from collections.abc import Coroutine, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import msgspec

from tidegate.config import Config
from tidegate.core.errors import TidegateError
from tidegate.runtime.chore import Chore
from tidegate.runtime.home import (
    Running,
    checked_port,
    forget_running,
    is_loopback,
    origin,
    private_folder,
    write_running,
)
from tidegate.runtime.process import Announce, Process, Program

SEAL_S = 600.0  # one run of sealing, while serving
LAST_SEAL_S = 120.0  # the one at the end, for which Ctrl-C waits
DEATH_POLL_S = 2.0  # how often it is looked whether a worker has died
SEAL = ("ledger", "seal", "--closed-only")
SEAL_ALL = ("ledger", "seal")
CONSOLE_DRAIN_S = 5.0
LABELLER = "labels"
DRAIN_GRACE_S = 2.0  # beyond drain_s, so that a worker that drains to the last moment is not killed at it
T = TypeVar("T")
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StartFailed(TidegateError):
    """A process could not be started; the text says which, and its last words."""


class Stopped(TidegateError):
    """A signal came before the work was done."""


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What to run beside the gateway workers.

    `quiet_logs`: the children's output goes to `<home>/log/NAME.log`, not to this terminal.
    `extra`: programs that may fail to start without ending the rest, such as the local model.
    """

    console: bool = True
    quiet_logs: bool = False
    extra: tuple[Program, ...] = ()


class Supervisor:
    """Runs one installation, whose HomeLock the caller holds. `async with Supervisor(...) as s: await s.stopped()`.

    environ: what the children see; the configuration they read from it must be `config`.
    """

    def __init__(self, config: Config, environ: Mapping[str, str], options: Options, announce: Announce) -> None:
        self._config = config
        self._options = options
        self._announce = announce
        self._environ = dict(environ)
        self._stop_asked = asyncio.Event()
        # `nohup` ignores SIGHUP before it starts us: then closing the terminal is no wish to stop.
        self._signals = [
            number
            for number in STOP_SIGNALS
            if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN
        ]
        self._sealer: asyncio.Task[None] | None = None
        self._sealing = Chore("sealing", self._environ, announce, "the journal keeps the rows")
        self._settling = Chore("settling", self._environ, announce, "what is sealed is booked once it works")
        self._workers: list[Process] = []
        self._others: list[Process] = []
        self.failed: dict[str, str] = {}  # extra programs that did not start: name -> why
        self.url = ""

    async def __aenter__(self) -> "Supervisor":
        """Start everything. Raises ConfigError, StartFailed or Stopped; then nothing is left running."""
        try:
            loop = asyncio.get_running_loop()
            for number in self._signals:
                loop.add_signal_handler(number, self._on_signal)
            await self.unless_stopped(self._start())
        except BaseException:  # raised again: also a cancelled start leaves no process behind
            await self._stop()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stop()

    def processes(self) -> dict[str, int]:
        """Name and pid of each process that runs now."""
        return {
            process.program.name: process.pid for process in (*self._workers, *self._others) if process.pid is not None
        }

    async def stopped(self) -> None:
        """Returns when a signal has asked to stop."""
        await self._stop_asked.wait()

    def ask_to_stop(self) -> None:
        """As SIGTERM does."""
        self._stop_asked.set()

    async def unless_stopped(self, work: Coroutine[None, None, T]) -> T:
        """The result of `work`. Raises Stopped, and cancels it, as soon as a signal asks to stop."""
        task = asyncio.create_task(work)
        asked = asyncio.create_task(self._stop_asked.wait())
        try:
            await asyncio.wait((task, asked), return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                raise Stopped("stopped before it was done")
            return task.result()
        finally:
            for waiting in (task, asked):
                waiting.cancel()
            await asyncio.gather(task, asked, return_exceptions=True)

    async def _start(self) -> None:
        gateway = self._config.gateway
        port = checked_port(gateway.host, gateway.port)
        self.url = origin(gateway.host, port, tls=bool(gateway.tls_cert_file))
        self._environ["TIDEGATE_HOME"] = str(self._config.home_path)
        self._environ["TIDEGATE_GATEWAY_PORT"] = str(port)
        await self._sealing.run(SEAL_S, SEAL)  # what an earlier run left is recovered before new rows are written
        self._workers = [self._process(self._worker(number)) for number in range(gateway.workers)]
        self._others = [self._process(program) for program in self._beside()]
        started = (*self._workers, *self._others)
        failures = await asyncio.gather(*(process.start() for process in started))
        extra = {LABELLER, *(program.name for program in self._options.extra)}
        for process, failure in zip(started, failures, strict=True):
            if failure and process.program.name not in extra:
                raise StartFailed(failure)
            if failure:
                self.failed[process.program.name] = failure
                self._announce(failure)
        if not gateway.tls_cert_file and not is_loopback(gateway.host):
            self._announce(
                f"listening on {gateway.host} without TLS: keys and prompts can be read on the way. "
                "Set gateway.tls_cert_file and tls_key_file, or put a proxy that speaks TLS in front"
            )
        write_running(self._config, Running(pid=os.getpid(), url=self.url))
        self._sealer = asyncio.create_task(self._seal_now_and_then(), name="sealer")

    def _process(self, program: Program) -> Process:
        if program.log is not None:
            private_folder(program.log.parent)
            program.log.write_bytes(b"")
        return Process(program, self._environ, self._announce)

    def _worker(self, number: int) -> Program:
        return Program(
            name=f"gateway-{number}",
            module="tidegate.gateway",
            arguments=("--worker", str(number)),
            drain_s=self._config.gateway.drain_s + DRAIN_GRACE_S,
            log=self._log(f"gateway-{number}"),
        )

    def _beside(self) -> list[Program]:
        console = Program(name="console", module="tidegate.console", drain_s=CONSOLE_DRAIN_S, log=self._log("console"))
        extra = [msgspec.structs.replace(program, log=self._log(program.name)) for program in self._options.extra]
        if self._config.labelled_one_in:
            extra.append(Program(name=LABELLER, module="tidegate.labels", log=self._log(LABELLER)))
        return [console, *extra] if self._options.console else extra

    def _log(self, name: str) -> Path | None:
        return self._config.home_path / "log" / f"{name}.log" if self._options.quiet_logs else None

    def _on_signal(self) -> None:
        if not self._stop_asked.is_set():
            self._stop_asked.set()
            return
        self._announce("asked twice: killing what still runs")
        for process in (*self._workers, *self._others):
            process.kill()
        self._sealing.kill()
        self._settling.kill()

    async def _stop(self) -> None:
        """Drain the workers, end the rest, seal, give the home back."""
        try:
            if self._sealer is not None:
                self._sealer.cancel()
                with suppress(asyncio.CancelledError):
                    await self._sealer
            await asyncio.gather(*(process.stop() for process in self._workers))
            await asyncio.gather(*(process.stop() for process in self._others))
            if self._workers:
                await self._seal(LAST_SEAL_S)
        finally:
            loop = asyncio.get_running_loop()
            for number in self._signals:
                loop.remove_signal_handler(number)
            forget_running(self._config)

    async def _seal_now_and_then(self) -> None:
        """Every `seal_interval_s`; and soon after a worker has died, so that what it held of money comes back.

        What an earlier run left is settled first, beside the calls: after an upgrade that may be years of rows.
        """
        await self._settle(SEAL_S)
        waited_s, pids, has_died = 0.0, self._worker_pids(), False
        step_s = min(DEATH_POLL_S, self._config.ledger.seal_interval_s)
        while True:
            await asyncio.sleep(step_s)
            waited_s, before, pids = waited_s + step_s, pids, self._worker_pids()
            has_died = has_died or pids != before  # until the one that follows has a segment: then the dead one shows
            is_due = waited_s >= self._config.ledger.seal_interval_s
            if (is_due or has_died) and self._has_closed_segments():
                await self._seal(SEAL_S)
                waited_s, has_died = 0.0, False
            elif is_due:
                waited_s = 0.0
                if self._settling.trouble:
                    await self._settle(SEAL_S)

    def _worker_pids(self) -> list[int | None]:
        return [process.pid for process in self._workers]

    def _has_closed_segments(self) -> bool:
        """Whether sealing would find anything: a closed segment, or one that a killed worker left open."""
        names = [path.name for path in (self._config.ledger_path / "journal").glob("*.jsonl")]
        being_written = [name for name in names if name.endswith(".open.jsonl")]
        writers = len(self._workers) + bool(self._config.labelled_one_in)
        return len(names) > len(being_written) or len(being_written) > writers

    async def seal_now(self) -> None:
        """Seal also what the workers are writing, so that figures hold the calls of this moment."""
        await self._seal(SEAL_S, SEAL_ALL)

    async def _seal(self, limit_s: float, words: Sequence[str] = SEAL) -> None:
        """Recover and seal, then book what is sealed."""
        await self._sealing.run(limit_s, words)
        await self._settle(limit_s)

    async def _settle(self, limit_s: float) -> None:
        """A crash between sealing and settling is repaired by the next run. Nothing was ever sealed: no child."""
        has_entries = (self._config.ledger_path / "manifest" / "00000001.json").exists()
        if has_entries or self._config.accounts.database_url:
            await self._settling.run(limit_s, ("accounts", "settle"))
