"""Runs the load in Python in a process of its own, so that it shares neither core nor interpreter with the rest."""

import os
import subprocess
import sys
from pathlib import Path
from typing import TypeVar

import msgspec

from harness.record import BenchError
from harness.sse_load import Job, Streams

Made = TypeVar("Made", bound=msgspec.Struct)
BENCH = Path(__file__).resolve().parents[1]


def read_job(job: Job, cpus: set[int], wait_s: float) -> Streams:
    """Run `sse_load` with this job."""
    return run_load("harness.sse_load", job, Streams, cpus, wait_s)


def run_load(module: str, job: msgspec.Struct, made: type[Made], cpus: set[int], wait_s: float) -> Made:
    """Run a module with a job as JSON; raises BenchError with its error when it fails or takes longer than `wait_s`."""
    command = [sys.executable, "-m", module, msgspec.json.encode(job).decode()]
    try:
        done = subprocess.run(
            command,
            cwd=BENCH,
            capture_output=True,
            text=True,
            timeout=wait_s,
            preexec_fn=lambda: os.sched_setaffinity(0, cpus),
        )
    except subprocess.TimeoutExpired as error:
        raise BenchError(f"the stream readers did not end within {wait_s:.0f} s") from error
    if done.returncode:
        raise BenchError(f"{module} failed: {(done.stderr.strip().splitlines() or ['without a word'])[-1]}")
    return msgspec.json.decode(done.stdout, type=made)
