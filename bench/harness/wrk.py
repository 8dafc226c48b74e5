"""Closed-loop load by wrk: one thread, a fixed number of kept-alive connections, bounded in time."""

import os
import shutil
import subprocess
from pathlib import Path

import msgspec

from harness.record import BenchError
from harness.subjects import Running

SCRIPT = Path(__file__).with_name("post.lua")
GRACE_S = 20.0


class Load(msgspec.Struct, frozen=True):
    """What wrk counted: replies complete, replies that were not 2xx, socket errors, latency in microseconds."""

    calls: int
    duration_us: int
    not_2xx: int
    socket_errors: int
    p50_us: int
    p99_us: int

    @property
    def per_second(self) -> float:
        return self.calls * 1e6 / self.duration_us


def wrk_binary() -> str:
    found = shutil.which("wrk")
    if not found:
        raise BenchError("wrk is not installed; it makes the load here. Debian: apt-get install nginx wrk")
    return found


def wrk_version() -> str:
    said = subprocess.run([wrk_binary(), "-v"], capture_output=True, text=True).stdout
    return said.split()[1] if len(said.split()) > 1 else "unknown"


def run_wrk(running: Running, path: str, body: Path, seconds: float, cpus: set[int], *, connections: int = 32) -> Load:
    """POST `body` again and again; raises BenchError unless every reply was 2xx over a sound socket."""
    url, headers = running.url(path), "".join(f"{name}: {value}\n" for name, value in running.headers.items())
    duration = f"{max(1, round(seconds))}s"
    done = subprocess.run(
        [wrk_binary(), "-t1", f"-c{connections}", f"-d{duration}", "--timeout", "30s", "-s", str(SCRIPT), url],
        env={
            **os.environ,
            "BENCH_BODY": str(body),
            "BENCH_AUTHORIZATION": running.authorization,
            "BENCH_HEADERS": headers,
        },
        capture_output=True,
        text=True,
        timeout=seconds + GRACE_S,
        preexec_fn=lambda: os.sched_setaffinity(0, cpus),
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith("BENCH ")]
    if done.returncode or not lines:
        raise BenchError(f"wrk failed ({done.returncode}) on {url}: {(done.stderr or done.stdout).strip()[-400:]}")
    return checked(parse_load(lines[-1]), url)


def parse_load(line: str) -> Load:
    """`BENCH {json}` as post.lua prints it."""
    return msgspec.json.decode(line.removeprefix("BENCH "), type=Load)


def checked(load: Load, url: str) -> Load:
    if load.calls == 0 or load.not_2xx or load.socket_errors:
        raise BenchError(
            f"{url}: {load.calls} replies, {load.not_2xx} not 2xx, {load.socket_errors} socket errors; "
            "a benchmark of wrong answers is void"
        )
    return load
