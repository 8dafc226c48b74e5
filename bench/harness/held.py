"""Memory of open streams: each subject started anew, its streams opened in steps, then ended and counted."""

import contextlib

import msgspec

from harness.events import checked_streams
from harness.hold_load import Held, Job
from harness.paced import PacedProvider
from harness.place import make_certificates
from harness.record import BenchError, Claim, Series, spread
from harness.setting import Setting, now, say, started
from harness.sse_check import check_stream
from harness.sse_readers import run_load
from harness.subjects import Nginx, Running, Subject
from harness.targets import SUBJECT

STEPS = (0, 1000, 5000)
EVENTS_PER_S = 0.5
NGINX_CONNECTIONS = 2 * STEPS[-1] + 1024
WAIT_S = 240.0


class Holding(msgspec.Struct, frozen=True):
    """A claim on memory. rounds_max: a round takes about 15 s a subject, with TLS 30."""

    name: str
    title: str
    subjects: tuple[str, ...]
    tls: bool = False  # between subject and provider
    rounds_max: int = 2


def measure_held(setting: Setting, asked: Holding) -> Claim:
    setting = setting.among(asked.subjects)
    rounds = min(setting.rounds, asked.rounds_max)
    made: dict[str, list[Held]] = {}
    missing: dict[str, str] = {}
    checks: dict[str, int] = {}
    for number in range(1, rounds + 1):
        for subject in setting.subjects:
            where = f"{asked.name}-{number}-{subject.name}"
            seen, reasons = _one_round(setting, asked, _roomy(subject), where)
            missing.update(reasons)
            if seen is None:
                continue
            made.setdefault(subject.name, []).append(seen)
            say(f"{asked.name}: round {number} of {rounds}: {subject.name:9} {_stream_kb(seen):6.1f} kB a stream")
            if subject.name == SUBJECT:
                checks = checked_streams(setting, where, STEPS[-1] + 1)
    return Claim(
        name=asked.name,
        title=asked.title,
        unit="stream",
        conditions=f"resident memory (VmRSS, MB of 10^6 bytes) of the subject with {STEPS[0]}, "
        f"{' and '.join(f'{step:,}' for step in STEPS[1:])} streams open at once, each of one event in "
        f"{1 / EVENTS_PER_S:g} s, {'TLS 1.3 to the provider' if asked.tls else 'in plaintext on both sides'}; started "
        f"anew each round; a stream: what {STEPS[-1]:,} add, divided by them (kB of 1,000 bytes); ended: when all have "
        f"come to their end; nginx with worker_connections {NGINX_CONNECTIONS}",
        date=now(),
        rounds=rounds,
        series={subject: _series(held) for subject, held in made.items()},
        missing=missing,
        checks=checks,
    )


def _roomy(subject: Subject) -> Subject:
    """nginx takes no more connections than it was told at its start."""
    return Nginx(NGINX_CONNECTIONS) if isinstance(subject, Nginx) else subject


def _one_round(setting: Setting, asked: Holding, subject: Subject, where: str) -> tuple[Held | None, dict[str, str]]:
    alone = msgspec.structs.replace(setting, subjects=(subject,))
    certificates = make_certificates(setting.folder / f"{where}-certificates") if asked.tls else None
    with contextlib.ExitStack() as stack:
        log = setting.folder / f"{where}-provider.log"
        provider = PacedProvider(log, set(setting.load_cpus), EVENTS_PER_S, certificates)
        stack.callback(provider.stop)
        with started(alone, where, lambda _: provider.place) as subjects:
            made: list[Held] = []
            for name in tuple(subjects.running):
                subjects.check(name, lambda name, running: made.append(_hold(setting, name, running, provider)))
            return (made[0] if made else None), subjects.missing


def _hold(setting: Setting, subject: str, running: Running, provider: PacedProvider) -> Held:
    check_stream(subject, running)
    job = Job(running.port, running.authorization, STEPS, running.child.pid, provider.pid)
    seen = run_load("harness.hold_load", job, Held, set(setting.load_cpus), WAIT_S)
    if seen.done != STEPS[-1]:
        raise BenchError(f"{subject}: {seen.done} of {STEPS[-1]} streams came to their end")
    return seen


def _stream_kb(seen: Held) -> float:
    return (seen.rss_mb[len(STEPS) - 1] - seen.rss_mb[0]) * 1000 / STEPS[-1]


def _series(made: list[Held]) -> Series:
    metrics = {"stream_kb": spread([_stream_kb(seen) for seen in made])}
    for at, step in enumerate(STEPS):
        metrics[f"rss_{step}_mb"] = spread([seen.rss_mb[at] for seen in made])
    metrics["rss_ended_mb"] = spread([seen.rss_mb[-1] for seen in made])
    return Series(metrics=metrics, count=STEPS[-1] * len(made))
