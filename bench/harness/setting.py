"""How a run is made: rounds, seconds, folder, CPUs; and the subjects of a claim, started and stopped together."""

import contextlib
import datetime
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec

from harness.builds import INTERPRETED, Build
from harness.place import Place
from harness.record import BenchError
from harness.subjects import Running, Subject

NEEDED = ("nginx", "tidegate")  # without these nothing is worth measuring


class Setting(msgspec.Struct, frozen=True):
    folder: Path  # under TMPDIR, removed at the end of the run
    subjects: tuple[Subject, ...]
    subject_cpus: frozenset[int]
    load_cpus: frozenset[int]
    rounds: int
    seconds: float  # one round of one subject
    warmup_s: float
    build: Build = INTERPRETED  # of the gateway under test

    def among(self, names: Sequence[str]) -> "Setting":
        """The same with those subjects only that a claim is about."""
        return msgspec.structs.replace(self, subjects=tuple(each for each in self.subjects if each.name in names))


class Started(msgspec.Struct, frozen=True):
    """Subjects that run, in the order of a round, each with the provider it forwards to; the others with the reason."""

    running: dict[str, Running]
    missing: dict[str, str]

    def check(self, subject: str, answers: Callable[[str, Running], object]) -> None:
        """Leave a peer out that does not answer rightly; raises BenchError where nginx or Tidegate does not."""
        try:
            answers(subject, self.running[subject])
        except BenchError as error:
            if subject in NEEDED:
                raise
            self.missing[subject] = str(error)
            del self.running[subject]
            say(f"without {subject}: {error}")

    @contextlib.contextmanager
    def alone(self, subject: str) -> Iterator[None]:
        """All but one stand still, so that no idle neighbour's timers cost the one that is measured its caches."""
        others = [running.child for name, running in self.running.items() if name != subject]
        for child in others:
            child.pause()
        try:
            yield
        finally:
            for child in others:
                child.resume()


def say(text: str) -> None:
    """Progress, on stderr: the table on stdout stays clean."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


@contextlib.contextmanager
def started(setting: Setting, claim: str, provider: Callable[[str], Place]) -> Iterator[Started]:
    """Start every subject for a claim; stop them all at the end, whatever happens.

    provider: where the subject of that name finds its provider.
    """
    running: dict[str, Running] = {}
    missing: dict[str, str] = {}
    with contextlib.ExitStack() as stack:
        for subject in setting.subjects:
            folder = setting.folder / claim / subject.name
            try:
                running[subject.name] = subject.start(provider(subject.name), folder, set(setting.subject_cpus))
            except BenchError as error:
                missing[subject.name] = str(error)
                say(f"{claim}: without {subject.name}: {error}")
            else:
                stack.callback(running[subject.name].stop)
        yield Started(running=running, missing=missing)
