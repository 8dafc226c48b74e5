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

from harness.bodies import request_body
from harness.nginx import NginxProvider
from harness.process import Child, free_port, split_cpus
from harness.record import BenchError
from harness.setting import say
from harness.sse_load import Job
from harness.sse_readers import read_job
from harness.subjects import Running, peers_folder
from harness.tidegate_gateway import Tidegate
from harness.wrk import run_wrk

BODY_BYTES = {"call_1k": 1024, "call_64k": 64 * 1024, "call_256k": 256 * 1024}
PY_SPY = "0.4.3"
RATE_HZ = 400
TOP = 35
STREAMS, EVENTS_PER_S = 100, 100


def profile(claim: str, folder: Path, out: Path, seconds: float) -> str:
    """Run one claim's load on the gateway and return the tables of functions; a flame graph is left in `out`."""
    out.mkdir(parents=True, exist_ok=True)
    subject_cpus, load_cpus = split_cpus()
    py_spy = py_spy_binary()
    stats = folder / "gateway.pstats"
    launcher = [sys.executable] if py_spy else [sys.executable, "-m", "cProfile", "-o", str(stats)]
    provider, port = _provider(claim, folder, load_cpus)
    try:
        running = Tidegate(launcher).start(port, folder / "gateway", subject_cpus)
        try:
            _load(claim, running, folder, 1.0, load_cpus)
            sampler = _sample(py_spy, running.child.pid, folder, seconds) if py_spy else None
            _load(claim, running, folder, seconds, load_cpus)
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
    kept = out / f"profile-{claim}.txt"
    kept.write_text(raw.read_text())
    say(f"stacks (collapsed, for any flame graph): {kept}")
    return stack_tables(raw.read_text())


def _provider(claim: str, folder: Path, cpus: set[int]) -> tuple[NginxProvider | Child, int]:
    if claim in BODY_BYTES:
        mock = NginxProvider(folder / "provider", cpus)
        return mock, mock.port
    port = free_port()
    script = Path(__file__).with_name("sse_provider.py")
    child = Child([sys.executable, str(script), str(port), str(EVENTS_PER_S)], folder / "provider.log", cpus=cpus)
    child.wait_for_port(port)
    return child, port


def _load(claim: str, running: Running, folder: Path, seconds: float, cpus: set[int]) -> None:
    if claim in BODY_BYTES:
        body = folder / "body.json"
        body.write_bytes(request_body(BODY_BYTES[claim]))
        run_wrk(running.url, body, running.authorization, seconds, cpus)
        return
    events = round(seconds * EVENTS_PER_S)
    job = Job(running.port, running.authorization, STREAMS, events, 0.3, max(0.1, seconds - 0.6), running.child.pid)
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
