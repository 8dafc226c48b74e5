"""Runs the stream readers in a process of their own, so that they share neither core nor interpreter with the rest."""

import os
import subprocess
import sys
from pathlib import Path

import msgspec

from harness.record import BenchError
from harness.sse_load import Job, Streams

BENCH = Path(__file__).resolve().parents[1]


def read_job(job: Job, cpus: set[int], wait_s: float) -> Streams:
    """Run `sse_load` with this job; raises BenchError with its error when it fails or takes longer than `wait_s`."""
    command = [sys.executable, "-m", "harness.sse_load", msgspec.json.encode(job).decode()]
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
        raise BenchError(f"the stream readers failed: {done.stderr.strip()[-600:]}")
    return msgspec.json.decode(done.stdout, type=Streams)
