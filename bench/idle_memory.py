"""Claim: a gateway process that has started and served nothing holds at most 90 MB of memory."""

import functools
import time

from harness.peers import FAST
from harness.place import Place
from harness.process import free_port, rss_mb, tree
from harness.record import Claim, Series, spread
from harness.setting import Setting, now, say, started
from harness.targets import SUBJECT

NAME = "idle_memory"
IDLE_S = 2.0


def _place(unused: Place, _: str) -> Place:
    return unused


def measure(setting: Setting) -> Claim:
    setting = setting.among(("nginx", SUBJECT, *FAST))
    samples: dict[str, list[float]] = {}
    missing: dict[str, str] = {}
    for number in range(1, setting.rounds + 1):
        unused = Place(free_port())  # nobody listens there, and nobody calls
        with started(setting, f"{NAME}-{number}", functools.partial(_place, unused)) as subjects:
            time.sleep(IDLE_S)
            for subject, running in subjects.running.items():
                samples.setdefault(subject, []).append(rss_mb(tree(running.child.pid)))
        missing.update(subjects.missing)
        say(f"{NAME}: round {number}: " + ", ".join(f"{name} {made[-1]:.1f} MB" for name, made in samples.items()))
    return Claim(
        name=NAME,
        title="Memory of the idle process",
        unit="process",
        conditions=f"resident memory (VmRSS, MB of 10^6 bytes) {IDLE_S:g} s after a start, all processes of the "
        "subject summed; started anew each round",
        date=now(),
        rounds=setting.rounds,
        series={subject: Series(metrics={"rss_mb": spread(made)}) for subject, made in samples.items()},
        missing=missing,
    )
