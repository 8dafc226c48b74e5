"""Where the gateway's CPU goes: py-spy on the worker under load, or cProfile where py-spy cannot be had.

py-spy samples from outside and does not slow the gateway; cProfile makes each Python call dearer, so its shares mislead
where functions are small. Times in C (parsing, encoding, socket writes) show at the Python line that called them.
"""

import collections
import pstats
import subprocess
import sys
import venv
from pathlib import Path

from harness.calls import Calls
from harness.events import Events
from harness.nginx import NginxProvider
from harness.paced import PacedProvider
from harness.peers import peers_folder
from harness.place import make_certificates
from harness.process import split_cpus
from harness.record import BenchError
from harness.setting import say
from harness.sse_load import Job
from harness.sse_readers import read_job
from harness.subjects import Running
from harness.tidegate_gateway import Tidegate
from harness.wrk import run_wrk

PY_SPY = "0.4.3"
RATE_HZ = 400
TOP = 35


def profile(asked: Calls | Events, folder: Path, out: Path, seconds: float) -> str:
    """Run one claim's load on the gateway and return the tables of functions; a flame graph is left in `out`."""
    out.mkdir(parents=True, exist_ok=True)
    subject_cpus, load_cpus = split_cpus()
    py_spy = py_spy_binary()
    stats = folder / "gateway.pstats"
    launcher = [sys.executable] if py_spy else [sys.executable, "-m", "cProfile", "-o", str(stats)]
    provider = _provider(asked, folder, load_cpus)
    try:
        running = Tidegate(launcher=launcher).start(provider.place, folder / "gateway", subject_cpus)
        try:
            _load(asked, running, folder, 1.0, load_cpus)
            sampler = _sample(py_spy, running.child.pid, folder, seconds) if py_spy else None
            _load(asked, running, folder, seconds, load_cpus)
            if sampler:
                sampler.wait(60)
        finally:
            running.stop()
    finally:
        provider.stop()
    if not py_spy:
        return _cprofile_table(stats)
    raw = folder / "stacks.txt"
    if not raw.is_file():
        raise BenchError("py-spy took no sample; it may need ptrace permission (run as root, or allow ptrace)")
    kept = out / f"profile-{asked.name}.txt"
    kept.write_text(raw.read_text())
    say(f"stacks (collapsed, for any flame graph): {kept}")
    return stack_tables(raw.read_text())


def _provider(asked: Calls | Events, folder: Path, cpus: set[int]) -> NginxProvider | PacedProvider:
    if isinstance(asked, Events):
        return PacedProvider(folder / "provider.log", cpus, asked.events_per_s)
    certificates = make_certificates(folder / "certificates") if asked.tls else None
    return NginxProvider(folder / "provider", cpus, certificates)


def _load(asked: Calls | Events, running: Running, folder: Path, seconds: float, cpus: set[int]) -> None:
    if isinstance(asked, Calls):
        body = folder / "body.json"
        body.write_bytes(asked.form.request(asked.body_bytes))
        run_wrk(running, asked.form.path, body, seconds, cpus)
        return
    job = Job(
        port=running.port,
        authorization=running.authorization,
        streams=asked.streams,
        events=round(seconds * asked.events_per_s),
        settle_s=0.3,
        window_s=max(0.1, seconds - 0.6),
        pid=running.child.pid,
        form=asked.form.name,
        sweep_s=asked.sweep_s,
    )
    read_job(job, cpus, seconds + 60)


def _sample(py_spy: str, pid: int, folder: Path, seconds: float) -> "subprocess.Popen[bytes]":
    command = [py_spy, "record", "--pid", str(pid), "--rate", str(RATE_HZ), "--duration", str(max(1, round(seconds)))]
    command += ["--format", "raw", "--output", str(folder / "stacks.txt"), "--nonblocking"]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)


def stack_tables(raw: str) -> str:
    """py-spy's collapsed stacks (`a (f:1);b (f:2) COUNT`) as tables of own and whole time, by function and by line."""
    own: collections.Counter[str] = collections.Counter()
    own_function: collections.Counter[str] = collections.Counter()
    whole: collections.Counter[str] = collections.Counter()
    total = 0
    for line in raw.splitlines():
        stack, _, count = line.rpartition(" ")
        frames = stack.split(";")
        total += (samples := int(count))
        own[frames[-1]] += samples
        own_function[_function(frames[-1])] += samples
        for function in {_function(frame) for frame in frames}:
            whole[function] += samples
    if not total:
        raise BenchError("the profile holds no sample; was the gateway under load?")
    parts = []
    for title, counter in (
        ("own time, by function", own_function),
        ("whole time, by function", whole),
        ("own time, by line", own),
    ):
        rows = [f"{100 * n / total:6.1f} %  {name}" for name, n in counter.most_common(TOP)]
        parts.append(f"{title} ({total} samples)\n" + "\n".join(rows) + "\n")
    return "\n".join(parts)


def _function(frame: str) -> str:
    """`name (file.py:12)` without the line."""
    return frame.rpartition(":")[0] + ")" if ":" in frame else frame


def _cprofile_table(stats: Path) -> str:
    if not stats.is_file():
        raise BenchError("cProfile left no file: the gateway did not end cleanly on SIGTERM")
    with (stats.parent / "table.txt").open("w+") as text:
        pstats.Stats(str(stats), stream=text).sort_stats("tottime").print_stats(TOP)
        text.seek(0)
        return text.read()


def py_spy_binary() -> str:
    """py-spy, installed into the user's cache on first use; "" when it cannot be had."""
    home = peers_folder() / f"py-spy-{PY_SPY}"
    binary = home / "bin" / "py-spy"
    if binary.is_file():
        return str(binary)
    try:
        venv.create(home, with_pip=True)
        command = [str(home / "bin" / "python"), "-m", "pip", "install", "--quiet", f"py-spy=={PY_SPY}"]
        subprocess.run(command, capture_output=True, timeout=120, check=True)
    except (subprocess.SubprocessError, OSError) as error:
        say(f"without py-spy ({error}); cProfile instead")
        return ""
    return str(binary)
