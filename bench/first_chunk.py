"""Claim: a gateway on the way adds at most 0.5 ms (p50) to the time to the first chunk of a stream."""

import contextlib

from harness.events import Direct, check_streams, checked_streams
from harness.first_load import TURN_CALLS, Job, Seen, Way
from harness.forms import CHAT
from harness.paced import PacedProvider
from harness.peers import FAST
from harness.record import Claim, Series, spread
from harness.setting import Setting, now, say, started
from harness.sse_load import quantile_us
from harness.sse_readers import run_load
from harness.targets import SUBJECT

NAME = "first_chunk"
DIRECT = "direct"
EVENTS_PER_S = 1000  # a stream of one event is over after a millisecond
SUBJECTS = ("nginx", SUBJECT, *FAST)


def measure(setting: Setting) -> Claim:
    setting = setting.among(SUBJECTS)
    with contextlib.ExitStack() as stack:
        provider = PacedProvider(setting.folder / f"{NAME}-provider.log", set(setting.load_cpus), EVENTS_PER_S)
        stack.callback(provider.stop)
        with started(setting, NAME, lambda _: provider.place) as subjects:
            check_streams(subjects, provider.place, CHAT)
            running = {DIRECT: Direct(provider.place)} | subjects.running
            ways = {name: Way(way.port, way.authorization) for name, way in running.items()}
            made = [_one_round(setting, ways, number) for number in range(setting.rounds + 1)]
    calls = sum(len(seen.first_ns.get(SUBJECT, ())) for seen in made)
    return Claim(
        name=NAME,
        title="Time added to the first chunk of a stream",
        unit="call",
        conditions="streams of one event, one at a time on a kept-alive connection, straight to the provider and "
        f"through each subject, {TURN_CALLS} calls in turn; from the request's write to the read that holds the first "
        "event; added: the quantile less that of the calls without a gateway in the same round of "
        f"{setting.seconds:g} s",
        date=now(),
        rounds=setting.rounds,
        series={name: _series(name, made[1:]) for name in ways},
        missing=subjects.missing,
        checks=checked_streams(setting, NAME, calls + 1) if SUBJECT in ways else {},
    )


def _one_round(setting: Setting, ways: dict[str, Way], number: int) -> Seen:
    """Round 0 is the warm-up."""
    seconds = setting.seconds if number else setting.warmup_s
    seen = run_load("harness.first_load", Job(ways, seconds), Seen, set(setting.load_cpus), seconds + 30)
    if number:
        said = ", ".join(f"{name} {quantile_us(times, 0.5):.0f} µs" for name, times in seen.first_ns.items())
        say(f"{NAME}: round {number} of {setting.rounds}: p50 {said}")
    return seen


def _series(name: str, made: list[Seen]) -> Series:
    metrics = {}
    for share, word in ((0.5, "p50_us"), (0.99, "p99_us")):
        times = [quantile_us(seen.first_ns[name], share) for seen in made]
        metrics[word] = spread(times)
        if name != DIRECT:
            without = [quantile_us(seen.first_ns[DIRECT], share) for seen in made]
            metrics[f"added_{word}"] = spread([a - b for a, b in zip(times, without, strict=True)])
    return Series(metrics=metrics, count=sum(len(seen.first_ns[name]) for seen in made))
