"""Child processes: started with a log, pinned to CPUs, accounted from /proc, ended by their own process group."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from harness.record import BenchError

START_S = 30.0
STOP_S = 10.0
TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def free_port() -> int:
    """A loopback port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def split_cpus() -> tuple[set[int], set[int]]:
    """(CPUs of the subject, CPUs of load and provider): one core for the subject; the same set when there is one."""
    allowed = sorted(os.sched_getaffinity(0))
    return {allowed[0]}, set(allowed[1:]) or {allowed[0]}


class Child:
    """A running child with its own process group; `stop` ends that group and nothing else."""

    def __init__(
        self,
        command: Sequence[str],
        log: Path,
        *,
        cpus: set[int],
        env: Mapping[str, str] | None = None,
        pass_fds: Sequence[int] = (),
        cwd: Path | None = None,
    ) -> None:
        self.name, self.log = Path(command[0]).name, log
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=None if env is None else dict(env),
                pass_fds=pass_fds,
                cwd=cwd,
                start_new_session=True,
                preexec_fn=lambda: os.sched_setaffinity(0, cpus),
            )
        self.pid = self._process.pid

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def wait_until(self, ready: Callable[[], bool], what: str, wait_s: float = START_S) -> None:
        """Wait until `ready()`; raises BenchError with the end of the log when the child dies or takes too long."""
        deadline = time.monotonic() + wait_s
        while not ready():
            if not self.running:
                raise BenchError(f"{self.name} ended with {self._process.returncode} before {what}: {self.log_end()}")
            if time.monotonic() > deadline:
                raise BenchError(f"{self.name} took more than {wait_s:.0f} s for {what}: {self.log_end()}")
            time.sleep(0.02)

    def wait_for_port(self, port: int, wait_s: float = START_S) -> None:
        self.wait_until(lambda: _accepts(port), f"listening on port {port}", wait_s)

    def log_end(self) -> str:
        text = self.log.read_text("utf-8", "replace").strip()
        return text[-600:] or "(its log is empty)"

    def pause(self) -> None:
        """Take the group off its CPU until `resume`."""
        os.killpg(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        os.killpg(self.pid, signal.SIGCONT)

    def stop(self) -> None:
        """SIGTERM to the group, then SIGKILL to what is left of it."""
        if self.running:
            self.resume()
            os.killpg(self.pid, signal.SIGTERM)
            try:
                self._process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                pass
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self._process.wait(STOP_S)


def _accepts(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=0.2).close()
    except OSError:
        return False
    return True


def tree(pid: int) -> list[int]:
    """The process and its living descendants."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (fields := _stat(int(entry.name))):
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    found, queue = [], [pid]
    while queue:
        found.append(current := queue.pop())
        queue += children.get(current, [])
    return found


def cpu_s(pids: Sequence[int]) -> float:
    """User and system seconds of these processes, all threads, with children they have waited for."""
    return sum(int(tick) for pid in pids for tick in _stat(pid)[11:15]) / TICKS_PER_S


def rss_mb(pids: Sequence[int], field: str = "VmRSS") -> float:
    """Resident memory (MB of 10^6 bytes), summed over the processes; `VmHWM` is the peak. Shared pages count twice."""
    kilobytes = 0
    for pid in pids:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith(f"{field}:"):
                kilobytes += int(line.split()[1])
    return kilobytes * 1024 / 1e6


def _stat(pid: int) -> list[str]:
    """Fields of /proc/PID/stat from `state` on; empty when the process has gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []
