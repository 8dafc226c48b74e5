"""Calls of one stream each, one at a time, straight to the provider and through each subject in turn.

Run as a module with one JSON argument (`Job`); prints one JSON line (`Seen`). Each address has one kept-alive
connection. Turns are short, so that other work on the machine meets all alike; and they are of many calls, because call
by call each subject would be timed with the caches that four others have just emptied, which no deployment has.
"""

import socket
import sys
import time

import msgspec

from harness.forms import CHAT
from harness.record import BenchError

FIRST = CHAT.event
END = b"\r\n0\r\n\r\n"  # the last chunk of a body
READ_BYTES = 65536
TURN_CALLS = 50
APART_S = 0.001  # between two calls, so that no process is caught in what follows a call


class Way(msgspec.Struct, frozen=True):
    port: int
    authorization: str


class Job(msgspec.Struct, frozen=True):
    ways: dict[str, Way]
    seconds: float


class Seen(msgspec.Struct, frozen=True):
    """Nanoseconds from the request's write to the read that holds the first event, by way, in the order of calls."""

    first_ns: dict[str, list[int]]


class Caller:
    """One connection."""

    def __init__(self, way: Way) -> None:
        self._socket = socket.create_connection(("127.0.0.1", way.port), timeout=10)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._request = CHAT.http(way.port, way.authorization, CHAT.stream(1))

    def call(self) -> int:
        """One stream read to its end; how long its first event took (ns)."""
        began, first, received = time.perf_counter_ns(), 0, b""
        self._socket.sendall(self._request)
        while not received.endswith(END):
            data = self._socket.recv(READ_BYTES)
            if not data:
                raise BenchError(f"a stream broke off: {received[-300:]!r}")
            received += data
            if not first and FIRST in received:
                first = time.perf_counter_ns() - began
        if not received.startswith(b"HTTP/1.1 200") or not first or CHAT.done not in received:
            raise BenchError(f"another answer than a stream: {received[:300]!r}")
        return first


def read_firsts(job: Job) -> Seen:
    callers = {name: Caller(way) for name, way in job.ways.items()}
    seen: dict[str, list[int]] = {name: [] for name in callers}
    deadline = time.monotonic() + job.seconds
    while time.monotonic() < deadline:
        for name, caller in callers.items():
            for _ in range(TURN_CALLS):
                seen[name].append(caller.call())
                time.sleep(APART_S)
    return Seen(first_ns=seen)


if __name__ == "__main__":
    sys.stdout.write(msgspec.json.encode(read_firsts(msgspec.json.decode(sys.argv[1], type=Job))).decode() + "\n")
