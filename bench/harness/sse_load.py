"""Readers of many streams at once; counts events and the CPU that a subject spends on them in a window.

Run as a module with one JSON argument (`Job`); prints one JSON line (`Streams`). CPU and events are taken at the same
two moments, when every stream is under way, so that neither the opening nor the closing of streams is counted.

Most streams are read by the clock (each socket every `sweep_s`), not when data arrives: otherwise each write of the
subject would also pay for waking the sleeping reader on the other core, which on a real network it never does, and
which on a virtual machine costs as much as the relay itself. A few probe streams are read at once; they give the delay.
"""

import select
import socket
import sys
import time
from collections.abc import Sequence

import msgspec

from harness.forms import FORMS, Form
from harness.process import cpu_s, rss_mb, tree

PROBES = 4
SLICES = 10  # of a sweep
READ_BYTES = 256 * 1024
MARK_BYTES = 64  # longer than any mark
CLOSE_S = 60.0
START_APART_S = 0.0013  # streams start apart, so that their clocks are apart


class Job(msgspec.Struct, frozen=True):
    port: int
    authorization: str
    streams: int
    events: int  # content events a stream
    settle_s: float  # from the start of the streams to the window
    window_s: float
    pid: int  # root of the subject's processes
    form: str = "chat"  # in FORMS
    sweep_s: float = 0.01


class Streams(msgspec.Struct, frozen=True):
    """What the readers saw: events and CPU of the subject in the window, totals over the whole streams."""

    window_s: float
    window_events: int
    window_cpu_s: float
    events: int
    done: int  # streams that ended with [DONE]
    bad_heads: int  # streams whose status was not 200
    delay_p50_us: float  # of the probes, in the window
    delay_p99_us: float
    rss_mb: float


class Stream:
    """One stream; looks for markers across reads by keeping the last bytes."""

    def __init__(self, port: int, form: Form, request: bytes) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        self.socket.sendall(request)
        self.socket.setblocking(False)
        self.events, self.is_done, self.is_open, self.bad_head = 0, False, True, False
        self._form, self._tail, self._head_seen = form, b"", False

    def read(self) -> bytes:
        """Read what is there and count it; empty when there is nothing."""
        try:
            data = self.socket.recv(READ_BYTES)
        except BlockingIOError:
            return b""
        except ConnectionError:
            data = b""
        if not self._head_seen:
            self._head_seen, self.bad_head = True, not data.startswith(b"HTTP/1.1 200")
        event, done = self._form.event, self._form.done
        self.events += (self._tail[-len(event) + 1 :] + data).count(event)
        self.is_done = done in self._tail[-len(done) + 1 :] + data
        self._tail = (self._tail + data)[-MARK_BYTES:]
        if self.is_done or not data:
            self.is_open = False
            self.socket.close()
        return data


class Readers:
    """All streams of a job: `run_until` reads them until a moment of the monotonic clock."""

    def __init__(self, job: Job) -> None:
        self._form, self._sweep_s = FORMS[job.form], job.sweep_s
        request = self._form.http(job.port, job.authorization, self._form.stream(job.events))
        self.delays_ns: list[int] = []
        self.streams: list[Stream] = []
        self._slice = 0
        for _ in range(job.streams):
            self.streams.append(Stream(job.port, self._form, request))
            time.sleep(START_APART_S)
        self._probes = {stream.socket.fileno(): stream for stream in self.streams[:PROBES]}
        self._swept = self.streams[PROBES:]
        self._poll = select.poll()
        for descriptor in self._probes:
            self._poll.register(descriptor, select.POLLIN)

    @property
    def events(self) -> int:
        return sum(stream.events for stream in self.streams)

    def run_until(self, moment: float, *, timing: bool = False) -> None:
        """Read until `moment`, or until every stream has ended."""
        step = self._sweep_s / SLICES
        due = time.monotonic()
        while (now := time.monotonic()) < moment and any(stream.is_open for stream in self.streams):
            self._read_probes(max(0.0, due - now), timing)
            if time.monotonic() >= due:
                self._sweep_slice()
                due = max(due + step, time.monotonic())

    def sweep(self) -> None:
        """Read every socket once, so that the count is of this moment."""
        for stream in self.streams:
            if stream.is_open:
                stream.read()

    def _sweep_slice(self) -> None:
        self._slice = (self._slice + 1) % SLICES
        for stream in self._swept[self._slice :: SLICES]:
            if stream.is_open:
                stream.read()

    def _read_probes(self, wait_s: float, timing: bool) -> None:
        for descriptor, _ in self._poll.poll(round(wait_s * 1000 + 0.499)):
            stream = self._probes[descriptor]
            if not stream.is_open:  # closed in a sweep: poll reports its descriptor as invalid once
                self._poll.unregister(descriptor)
                continue
            data = stream.read()
            if timing and (delay_ns := delay_of(data, self._form.content)) is not None:
                self.delays_ns.append(delay_ns)
            if not stream.is_open:
                self._poll.unregister(descriptor)


def delay_of(data: bytes, mark: bytes) -> int | None:
    """How long the last content event of `data` was under way (ns), by the clock it carries; None without one."""
    at = data.rfind(mark)
    stamp = data[at + len(mark) : at + len(mark) + 20]
    return time.monotonic_ns() - int(stamp) if at >= 0 and len(stamp) == 20 and stamp.isdigit() else None


def quantile_us(samples_ns: Sequence[int], share: float) -> float:
    """The sample below which `share` of the samples lie; 0 without samples."""
    ordered = sorted(samples_ns)
    return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))] / 1000, 1) if ordered else 0.0


def read_streams(job: Job) -> Streams:
    readers = Readers(job)
    pids = tree(job.pid)
    readers.run_until(time.monotonic() + job.settle_s)
    readers.sweep()
    events, cpu, began = readers.events, cpu_s(pids), time.monotonic()
    readers.run_until(began + job.window_s, timing=True)
    readers.sweep()
    window = (time.monotonic() - began, readers.events - events, cpu_s(pids) - cpu)
    memory = rss_mb(pids)
    readers.run_until(time.monotonic() + CLOSE_S)
    return Streams(
        window_s=window[0],
        window_events=window[1],
        window_cpu_s=window[2],
        events=readers.events,
        done=sum(stream.is_done for stream in readers.streams),
        bad_heads=sum(stream.bad_head for stream in readers.streams),
        delay_p50_us=quantile_us(readers.delays_ns, 0.5),
        delay_p99_us=quantile_us(readers.delays_ns, 0.99),
        rss_mb=memory,
    )


if __name__ == "__main__":
    seen = read_streams(msgspec.json.decode(sys.argv[1], type=Job))
    sys.stdout.write(msgspec.json.encode(seen).decode() + "\n")
