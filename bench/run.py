"""Every benchmark in one run: `python bench/run.py` (or `make bench`). Writes bench/results/first_light.json, renders.

    python bench/run.py                      all claims, about thirteen minutes
    python bench/run.py --quick              fewer and shorter rounds; prints, and writes out/bench/quick.json
    python bench/run.py --only call_1k       one claim; writes out/bench/only.json
    python bench/run.py --interpreted        the gateway of src/, although build/fast has it compiled
    python bench/run.py --profile call_1k    where the gateway's CPU goes, function by function

The gateway under test is that of build/fast, its data plane compiled, where `make fast` has built it (`make bench`
does), and the result says so; the plain call is then measured on the interpreted one as well, and profiles are of that.

nginx and wrk must be installed (Debian: apt-get install nginx wrk). Other gateways are measured where `make peers` has
installed them; the result names the others with the reason.
"""

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

import call_1k
import call_1k_accounts
import call_1k_tls
import call_64k
import call_256k
import call_across
import first_chunk
import idle_memory
import sse_1000
import sse_across
import sse_event
import streams_memory
import streams_memory_tls
from harness.builds import INTERPRETED, Build, compiled_build
from harness.machine import machine, raise_file_limit, versions
from harness.nginx import nginx_binary
from harness.peers import PEERS, Peer, installed_versions
from harness.process import split_cpus
from harness.profiling import profile
from harness.record import BenchError, Claim, Result, write_result
from harness.setting import Setting, now, say
from harness.subjects import Nginx, Subject
from harness.tables import publish, summary
from harness.targets import SUBJECT, judge
from harness.tidegate_gateway import REPOSITORY, Interpreted, Tidegate, WithAccounts, commit
from harness.wrk import wrk_binary

CLAIMS = {
    claim.NAME: claim.measure
    for claim in (
        *(idle_memory, call_1k, call_1k_accounts, call_1k_tls, call_64k, call_256k, call_across),
        *(sse_event, sse_1000, sse_across, first_chunk, streams_memory, streams_memory_tls),
    )
}
PROFILED = {
    asked.name: asked
    for asked in (
        *(call_1k.CALLS, call_1k_tls.CALLS, call_64k.CALLS, call_256k.CALLS, call_across.CALLS),
        *(sse_event.EVENTS, sse_1000.EVENTS, sse_across.EVENTS),
    )
}
RECORD = REPOSITORY / "bench" / "results" / "first_light.json"
SCRATCH = REPOSITORY / "out" / "bench"


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    raise_file_limit()
    folder = Path(tempfile.mkdtemp(prefix="tidegate-bench-"))
    try:
        nginx_binary(), wrk_binary()
        if options.profile:
            sys.stdout.write(profile(PROFILED[options.profile], folder, SCRATCH, options.seconds or 8.0))
            return 0
        return bench(options, folder)
    except BenchError as error:
        say(f"bench: {error}")
        return 1
    except KeyboardInterrupt:
        say("bench: stopped; nothing was written")
        return 130
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def bench(options: argparse.Namespace, folder: Path) -> int:
    setting = setting_of(options, folder)
    before, began, date, tree = machine(), time.monotonic(), now(), commit()
    if before.load_before > 0.5:
        say(f"bench: load average {before.load_before:g}: other work shares these cores; latencies will be too high")
    claims, failed = measure_all(options.only or CLAIMS, setting)
    result = Result(
        name="first_light",
        date=date,
        seconds=round(time.monotonic() - began, 1),
        quick=options.quick,
        commit=tree,
        machine=before,
        versions=versions() | installed_versions(),
        claims=tuple(claims),
    )
    whole = not options.quick and not options.only
    kept = "incomplete" if failed else "quick" if options.quick else "only"
    path = options.out or (RECORD if whole and not failed else SCRATCH / f"{kept}.json")
    write_result(path, result)
    sys.stdout.write(summary(result))
    if path == RECORD:
        publish(result, REPOSITORY)
    say(f"written: {path}")
    for reason in failed:
        say(f"bench: {reason}")
    if failed:
        return 1
    missed = [verdict for verdict in judge(result) if verdict.value is not None and not verdict.met]
    return 2 if missed else 0


def measure_all(names: Iterable[str], setting: Setting) -> tuple[list[Claim], list[str]]:
    """Claims that could be measured, and why the others could not: one void claim does not throw away the rest."""
    claims, failed = [], []
    for name in names:
        try:
            claims.append(with_builds(CLAIMS[name](setting), setting.build))
        except BenchError as error:
            failed.append(f"{name}: {error}")
            say(f"bench: {failed[-1]}")
    return claims, failed


def with_builds(claim: Claim, build: Build) -> Claim:
    """The claim, and which gateway each of our own subjects was."""
    words = {SUBJECT: build.words, WithAccounts.name: build.words, Interpreted.name: INTERPRETED.words}
    return msgspec.structs.replace(claim, builds={name: words[name] for name in claim.series if name in words})


def setting_of(options: argparse.Namespace, folder: Path) -> Setting:
    subject_cpus, load_cpus = split_cpus()
    build = INTERPRETED if options.interpreted else compiled_build()
    if not (build.is_compiled or options.interpreted):
        say("bench: no build/fast (`make fast`; it needs a C compiler): the interpreted gateway is measured")
    ours = (Tidegate(build), Interpreted()) if build.is_compiled else (Tidegate(),)
    chosen: list[Subject] = [Nginx(), *ours, *(Peer(name) for name in PEERS)]
    if options.subjects:
        chosen = [subject for subject in chosen if subject.name in options.subjects]
    return Setting(
        folder=folder,
        subjects=tuple(chosen),
        subject_cpus=frozenset(subject_cpus),
        load_cpus=frozenset(load_cpus),
        rounds=options.rounds or (2 if options.quick else 5),
        seconds=options.seconds or (2.0 if options.quick else 3.0),
        warmup_s=1.0 if options.quick else 2.0,
        build=build,
    )


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--quick", action="store_true", help="two rounds of two seconds instead of five of three")
    made.add_argument("--only", action="append", choices=sorted(CLAIMS), metavar="CLAIM", help=", ".join(CLAIMS))
    made.add_argument(
        "--subjects", nargs="+", choices=["nginx", SUBJECT, Interpreted.name, *PEERS], help="measure these only"
    )
    made.add_argument("--interpreted", action="store_true", help="measure src/, although build/fast is there")
    made.add_argument("--rounds", type=int, help="rounds of each subject")
    made.add_argument("--seconds", type=float, help="length of a round, or of a profile")
    made.add_argument("--out", type=Path, help="write the result here")
    made.add_argument("--profile", choices=sorted(PROFILED), help="profile the gateway, do not measure")
    return made


if __name__ == "__main__":
    sys.exit(main())
