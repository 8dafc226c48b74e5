"""Rounds: play, calm down, check; and a file of what was run, so that a chunk goes on where the last one ended."""

import argparse
import asyncio
import json
import re
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from harness.tidegate_gateway import commit
from torture.check import calm_down, check_round, describe
from torture.hostile import HostileProvider
from torture.mistakes import NAMES as MISTAKES
from torture.place import NEWS_S, SETTINGS, Place, Setting
from torture.play import play, provision
from torture.program import make_program
from torture.weather import Blow, make_weather

ROUND = 16  # programs at one time
RESTART_EVERY = 4  # rounds
RESULTS = Path(__file__).resolve().parents[1] / "results" / "torture.json"
MISTAKES_FOUND = RESULTS.with_name("torture_mistakes.json")
MISTAKE_SEED = 900_000
FOUND = re.compile(r"^\S+ round of seed \d+: ")


class Ran(msgspec.Struct, kw_only=True):
    """What was run on one setting so far."""

    next_seed: int = 0
    programs: int = 0
    rounds: int = 0
    calls: int = 0
    answered: int = 0
    refused: int = 0
    broken: int = 0
    blows: dict[str, int] = {}
    statuses: dict[str, int] = {}
    restarts: int = 0
    violations: list[str] = []
    seconds: float = 0.0
    late_s: float = 0.0
    commits: list[str] = []


def load() -> dict[str, Ran]:
    """By setting; settings that never ran are empty."""
    known = msgspec.json.decode(RESULTS.read_bytes(), type=dict[str, Ran]) if RESULTS.exists() else {}
    return {name: known.get(name, Ran()) for name in SETTINGS}


def save(ran: dict[str, Ran]) -> None:
    RESULTS.write_bytes(msgspec.json.format(msgspec.json.encode(ran), indent=1) + b"\n")


def run(options: argparse.Namespace) -> int:
    """0 where nothing was violated."""
    names = list(SETTINGS) if options.setting == "all" else [options.setting]
    deadline = time.monotonic() + options.chunk_s
    found = 0
    everything = load()
    for name in names:
        if options.seed is not None:
            ran = Ran(next_seed=options.seed)
            found += run_setting(SETTINGS[name], ran, options.programs, deadline, options.keep)
            print(json.dumps(msgspec.to_builtins(ran), indent=1))
            continue
        found += run_setting(
            SETTINGS[name], everything[name], options.programs, deadline, options.keep, lambda: save(everything)
        )
    return 1 if found else 0


def run_setting(
    setting: Setting, ran: Ran, programs: int, deadline: float, keep: bool, after: Callable[[], None] = lambda: None
) -> int:
    """Violations found."""
    found = 0
    if ran.programs >= programs:
        return 0
    if (here := commit()) not in ran.commits:
        ran.commits.append(here)
    with HostileProvider() as provider, Place(setting, provider.port, clock_s=120 if ran.rounds % 2 else 0) as place:
        while ran.programs < programs and time.monotonic() < deadline:
            began = time.monotonic()
            violations = list(run_round(place, provider, ran, min(ROUND, programs - ran.programs)))
            ran.seconds += time.monotonic() - began
            ran.violations += violations
            found += len(violations)
            after()
            print(f"{setting.name}: {ran.programs} programs, {ran.calls} calls, {len(ran.violations)} violations",
                  file=sys.stderr)  # fmt: skip
            for text in violations:
                print(f"  VIOLATION {text}", file=sys.stderr)
            if violations and keep:
                print(place.log_end(), describe(place), sep="\n", file=sys.stderr)
            if ran.rounds % RESTART_EVERY == 0 and ran.programs < programs:
                place.stop(signal.SIGKILL if ran.restarts % 2 else signal.SIGTERM)
                place.start()
                ran.restarts += 1
    return found


def run_round(
    place: Place, provider: HostileProvider, ran: Ran, count: int, blows: list[Blow] | None = None
) -> Iterator[str]:
    """One round; what was violated. blows: instead of the weather that follows from its seed."""
    first = ran.next_seed
    programs = [make_program(seed) for seed in range(first, first + count)]
    blows = make_weather(first, place) if blows is None else blows
    stories = [provision(place, program) for program in programs]
    time.sleep(NEWS_S)
    late_s = asyncio.run(play(place, stories, blows))
    ran.late_s = max(ran.late_s, round(late_s, 3))
    tenants = [program.tenant_id for program in programs]
    where = f"{place.setting.name} round of seed {first}"
    for text in (*calm_down(place, tenants), *check_round(place, stories, blows, provider, late_s)):
        yield f"{where}: {text}"
    replies = [reply for story in stories for reply in story.replies]
    ran.calls += len(replies)
    ran.statuses = dict(Counter(ran.statuses) + Counter(f"{reply.status} {reply.error}".strip() for reply in replies))
    ran.answered += sum(reply.status == 200 for reply in replies)
    ran.refused += sum(reply.status in (402, 429) for reply in replies)
    ran.broken += sum(reply.status == 0 and not reply.has_left for reply in replies)
    ran.blows = dict(Counter(ran.blows) + Counter(blow.fault for blow in blows))
    ran.programs += count
    ran.next_seed += count
    ran.rounds += 1


def run_mistakes(only: str | None) -> int:
    """Each mistake on purpose, in one calm round; 0 where all were found."""
    known = msgspec.json.decode(MISTAKES_FOUND.read_bytes(), type=dict[str, str]) if MISTAKES_FOUND.exists() else {}
    missed = 0
    for mistake in [only] if only else MISTAKES:
        with HostileProvider() as provider, Place(SETTINGS["sqlite-1"], provider.port, mistake=mistake) as place:
            violations = list(run_round(place, provider, Ran(next_seed=MISTAKE_SEED), ROUND, []))
        known[mistake] = violations[0] if violations else "NOT FOUND"
        missed += not violations
        print(f"{mistake}: {known[mistake]}")
        MISTAKES_FOUND.write_bytes(msgspec.json.format(msgspec.json.encode(known), indent=1) + b"\n")
    return int(missed > 0)
