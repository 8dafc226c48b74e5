"""Opens streams in steps and tells the subject's memory at each, while all are open and under way.

Run as a module with one JSON argument (`Job`); prints one JSON line (`Held`). Each stream says a word now and then;
when the last step is measured, the provider is told to end them, and each is read to its end.
"""

import os
import signal
import sys
import time
from collections.abc import Callable

import msgspec

from harness.forms import CHAT
from harness.machine import raise_file_limit
from harness.process import rss_mb, tree
from harness.record import BenchError
from harness.sse_load import Stream

APART_S = 0.001
UNDER_WAY_S, CLOSE_S = 90.0, 90.0
REST_S = 1.0  # between the last stream's first event and the look at memory
SWEEP_S = 0.1
EVENTS_MAX = 16_000  # hours; no more than the model can answer, or no endpoint may serve the call


class Job(msgspec.Struct, frozen=True):
    port: int
    authorization: str
    steps: tuple[int, ...]  # open streams, ascending; the first is 0
    pid: int  # root of the subject's processes
    provider_pid: int


class Held(msgspec.Struct, frozen=True):
    """rss_mb: one for each step, then one when every stream has ended."""

    rss_mb: tuple[float, ...]
    done: int


def hold(job: Job) -> Held:
    request = CHAT.http(job.port, job.authorization, CHAT.stream(EVENTS_MAX))
    streams: list[Stream] = []
    memory = []
    for step in job.steps:
        while len(streams) < step:
            streams.append(Stream(job.port, CHAT, request))
            time.sleep(APART_S)
        _until(streams, lambda: all(stream.events for stream in streams), UNDER_WAY_S, "under way")
        _until(streams, _after(REST_S), UNDER_WAY_S, "at rest")
        if not all(stream.is_open and not stream.bad_head for stream in streams):
            raise BenchError(f"{sum(not stream.is_open for stream in streams)} of {step} streams ended too early")
        memory.append(rss_mb(tree(job.pid)))
    os.kill(job.provider_pid, signal.SIGUSR1)
    _until(streams, lambda: not any(stream.is_open for stream in streams), CLOSE_S, "at their end")
    time.sleep(REST_S)
    memory.append(rss_mb(tree(job.pid)))
    return Held(rss_mb=tuple(memory), done=sum(stream.is_done for stream in streams))


def _after(seconds: float) -> Callable[[], bool]:
    moment = time.monotonic() + seconds
    return lambda: time.monotonic() >= moment


def _until(streams: list[Stream], reached: Callable[[], bool], wait_s: float, what: str) -> None:
    """Read every stream again and again until `reached()`; raises BenchError after `wait_s` or a refusal."""
    deadline = time.monotonic() + wait_s
    while not reached():
        if time.monotonic() > deadline or any(stream.bad_head for stream in streams):
            begun, over = sum(bool(each.events) for each in streams), sum(not each.is_open for each in streams)
            refused = sum(each.bad_head for each in streams)
            raise BenchError(
                f"{len(streams)} streams were to be {what} within {wait_s:.0f} s: {begun} had begun, {over} were over, "
                f"{refused} of them without a status of 200"
            )
        for stream in streams:
            if stream.is_open:
                stream.read()
        time.sleep(SWEEP_S)


if __name__ == "__main__":
    raise_file_limit()
    sys.stdout.write(msgspec.json.encode(hold(msgspec.json.decode(sys.argv[1], type=Job))).decode() + "\n")
