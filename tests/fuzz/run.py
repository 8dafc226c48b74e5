"""Fuzz with atheris (libFuzzer for Python), one target after the other: `python tests/fuzz/run.py -s 600 [NAME...]`.

An input that fails stands in the folder of `--keep`, ready to be moved to `tests/fuzz/found/NAME/`, where the tests run
it for ever. Exit status 1 where a target failed. atheris follows this project and h11; llhttp is C and unseen.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TESTS = Path(__file__).resolve().parent.parent
sys.path[:1] = [str(TESTS), str(TESTS.parent / "src")]
NAMES = ("listener", "upstream", "sse", "requests", "streams", "replies")
INPUT_BYTES_MAX = 8192
INPUT_S_MAX = 10  # an input that takes longer hangs
RSS_MB_MAX = 2048


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help=f"of {', '.join(NAMES)}; all without any")
    parser.add_argument("-s", "--seconds", type=int, default=600, help="for each target")
    parser.add_argument("--keep", type=Path, default=Path(tempfile.gettempdir()) / "tidegate-fuzz")
    parser.add_argument("--in-this-process", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    names = options.names or NAMES
    if options.in_this_process:
        fuzz(names[0], options.seconds, options.keep / names[0])
    failed = [name for name in names if run(name, options.seconds, options.keep)]
    print(f"failed: {', '.join(failed)}; the inputs stand in {options.keep}" if failed else "no target failed")
    return 1 if failed else 0


def run(name: str, seconds: int, keep: Path) -> int:
    """One target in a process of its own, for libFuzzer ends the process it runs in."""
    print(f"== {name}, {seconds} s", flush=True)
    started = time.monotonic()
    (keep / name / "corpus").mkdir(parents=True, exist_ok=True)
    command = [sys.executable, __file__, name, "--in-this-process", "-s", str(seconds), "--keep", str(keep)]
    status = subprocess.run(command, check=False).returncode
    print(f"== {name}: {'failed' if status else 'nothing found'} after {time.monotonic() - started:.0f} s", flush=True)
    return status


def fuzz(name: str, seconds: int, folder: Path) -> None:
    """Never returns."""
    import atheris

    with atheris.instrument_imports(include=["tidegate", "h11"]):
        from fuzz.targets import TARGETS
    target = TARGETS[name]
    for number, seed in enumerate(target.seeds()):
        (folder / "corpus" / f"seed-{number}").write_bytes(seed)
    arguments = [sys.argv[0], str(folder / "corpus"), f"-max_total_time={seconds}", f"-max_len={INPUT_BYTES_MAX}",
                 f"-timeout={INPUT_S_MAX}", f"-rss_limit_mb={RSS_MB_MAX}", f"-artifact_prefix={folder}/failed-",
                 "-print_final_stats=1"]  # fmt: skip
    atheris.Setup(arguments, target.run)
    atheris.Fuzz()


if __name__ == "__main__":
    sys.exit(main())
