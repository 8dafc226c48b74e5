"""Claim: relaying one SSE event, peeking for usage, costs at most 25 µs of CPU."""

import contextlib
import json
import sys
from pathlib import Path

from harness.calls import BYTE_EQUAL
from harness.process import Child, free_port
from harness.record import BenchError, Claim, Series, spread
from harness.setting import Setting, Started, now, say, started
from harness.sse_check import check_stream
from harness.sse_load import CLOSE_S, Job, Streams
from harness.sse_readers import read_job
from harness.subjects import Running
from harness.targets import SUBJECT
from harness.tidegate_gateway import count_journal

NAME = "sse_event"
STREAMS, EVENTS_PER_S = 100, 100
SETTLE_S, SPARE_S = 1.5, 1.0  # streams under way before the window, and still after it
HERE = Path(__file__).resolve().parent


def measure(setting: Setting) -> Claim:
    port = free_port()
    command = [sys.executable, str(HERE / "harness" / "sse_provider.py"), str(port), str(EVENTS_PER_S)]
    with contextlib.ExitStack() as stack:
        provider = Child(command, setting.folder / "sse_provider.log", cpus=set(setting.load_cpus))
        stack.callback(provider.stop)
        provider.wait_for_port(port)
        with started(setting, NAME, lambda _: port) as subjects:
            made = _rounds(setting, subjects, port)
    checks = _checked_ledger(setting, made[SUBJECT]) if SUBJECT in made else {}
    return Claim(
        name=NAME,
        title="CPU of a relayed SSE event",
        unit="event",
        conditions=f"{STREAMS} streams of {EVENTS_PER_S} events/s, about 250 bytes each, one write an event at the "
        f"provider; a window of {setting.seconds:g} s with every stream under way; readers wake by the clock, so that "
        "the subject does not pay for waking them; delay from the provider's write to the reader, on four streams that "
        "are read at once",
        date=now(),
        rounds=setting.rounds,
        series={subject: _series(streams) for subject, streams in made.items()},
        missing=subjects.missing,
        checks=checks,
    )


def _rounds(setting: Setting, subjects: Started, provider_port: int) -> dict[str, list[Streams]]:
    expected = check_stream("the provider itself", provider_port, "Bearer none", None)
    for subject, running in subjects.running.items():
        check_stream(subject, running.port, running.authorization, expected, exact=subject in BYTE_EQUAL)
    made: dict[str, list[Streams]] = {subject: [] for subject in subjects.running}
    for number in range(1, setting.rounds + 1):
        for subject, running in subjects.running.items():
            seen = _one_round(setting, running)
            made[subject].append(seen)
            say(
                f"{NAME}: round {number} of {setting.rounds}: {subject:9} {_cpu_us(seen):7.1f} µs CPU an event, "
                f"{seen.window_events / seen.window_s:6.0f} events/s, delay p99 {seen.delay_p99_us:.0f} µs"
            )
    return made


def _one_round(setting: Setting, running: Running) -> Streams:
    events = round((SETTLE_S + setting.seconds + SPARE_S) * EVENTS_PER_S)
    job = Job(running.port, running.authorization, STREAMS, events, SETTLE_S, setting.seconds, running.child.pid)
    seen = read_job(job, set(setting.load_cpus), SETTLE_S + setting.seconds + CLOSE_S + 20)
    return checked(seen, events, running.url)


def checked(seen: Streams, events: int, url: str) -> Streams:
    """Every stream came to its end with every content event; raises BenchError otherwise."""
    least = STREAMS * events
    if seen.done != STREAMS or seen.bad_heads or seen.events < least or not seen.window_events:
        raise BenchError(f"{url}: {STREAMS} streams of {events} events were asked for; seen: {seen}")
    return seen


def _checked_ledger(setting: Setting, made: list[Streams]) -> dict[str, int]:
    counted = count_journal(setting.folder / NAME / SUBJECT / "home")
    acknowledged = STREAMS * len(made) + 1
    checks = {
        "acknowledged": acknowledged,
        "outcomes": counted.outcomes,
        "distinct_outcomes": counted.distinct,
        "intents": counted.intents,
        "damaged_lines": counted.damaged,
    }
    if not counted.outcomes == counted.distinct == acknowledged <= counted.intents or counted.damaged:
        raise BenchError(f"the ledger disagrees with the load; the figures are void: {json.dumps(checks)}")
    return checks


def _cpu_us(seen: Streams) -> float:
    return seen.window_cpu_s / seen.window_events * 1e6


def _series(made: list[Streams]) -> Series:
    return Series(
        metrics={
            "cpu_us": spread([_cpu_us(seen) for seen in made]),
            "per_second": spread([seen.window_events / seen.window_s for seen in made]),
            "p50_us": spread([seen.delay_p50_us for seen in made]),
            "p99_us": spread([seen.delay_p99_us for seen in made]),
            "rss_mb": spread([seen.rss_mb for seen in made]),
        },
        count=sum(seen.window_events for seen in made),
    )
