"""The result of a run: what was measured, how often, on what; one JSON file, from which every table is rendered."""

import random
import statistics
from collections.abc import Sequence
from pathlib import Path

import msgspec

FORMAT = 1
BOOTSTRAPS, BOOTSTRAP_SEED = 2000, 20261122


class BenchError(Exception):
    """A measurement that cannot be trusted or made; the message says what was seen and what to do."""


class Spread(msgspec.Struct, frozen=True):
    """Samples of one quantity, one a round, in round order. The unit is in the name under which it is kept.

    interval: that holds the median with 95 % (bootstrap), where it was asked for.
    """

    median: float
    min: float
    max: float
    samples: tuple[float, ...]
    interval: tuple[float, float] | None = None


class Series(msgspec.Struct, frozen=True):
    """One subject in one claim."""

    metrics: dict[str, Spread]  # cpu_us, per_second, p50_us, p99_us, rss_mb, ...; words.METRICS has their titles
    count: int = 0  # calls or events over all rounds, warm-up apart


class Claim(msgspec.Struct, frozen=True):
    """One measured claim; subjects were measured in turn, round by round, in one run."""

    name: str
    title: str
    unit: str  # what one sample is divided by: "call", "event", "stream", "process"
    conditions: str
    date: str  # UTC, ISO 8601
    rounds: int
    series: dict[str, Series]
    missing: dict[str, str] = {}  # subject -> why it was not measured
    checks: dict[str, int] = {}  # what was counted to see that the answers and the ledger are right
    builds: dict[str, str] = {}  # subject -> which build of the gateway it was


class Machine(msgspec.Struct, frozen=True):
    cpu: str
    cores: int
    memory_mb: int
    kernel: str
    load_before: float  # one-minute load average when the run began: other work on the machine


class Result(msgspec.Struct, frozen=True):
    name: str
    date: str
    seconds: float
    quick: bool
    commit: str  # of Tidegate, with "+changes" when the tree was not clean
    machine: Machine
    versions: dict[str, str]
    claims: tuple[Claim, ...]
    format: int = FORMAT


def spread(samples: Sequence[float]) -> Spread:
    """Median and range; raises BenchError without a sample."""
    if not samples:
        raise BenchError("no sample was taken; the run was stopped before its first round ended")
    kept = tuple(round(sample, 3) for sample in samples)
    return Spread(median=round(statistics.median(kept), 3), min=min(kept), max=max(kept), samples=kept)


def paired(over: Spread, under: Spread) -> Spread:
    """Differences of the same rounds, and how well their median is known: load on the machine falls out of both."""
    found = spread([one - other for one, other in zip(over.samples, under.samples, strict=True)])
    draw = random.Random(BOOTSTRAP_SEED)
    medians = sorted(statistics.median(draw.choices(found.samples, k=len(found.samples))) for _ in range(BOOTSTRAPS))
    ends = (medians[BOOTSTRAPS // 40], medians[-1 - BOOTSTRAPS // 40])
    return msgspec.structs.replace(found, interval=ends)


def ratio(over: Spread, under: Spread) -> Spread:
    """Ratios of the same rounds (load on the machine then falls out), not of medians."""
    if len(over.samples) != len(under.samples):
        raise BenchError(f"cannot compare {len(over.samples)} rounds with {len(under.samples)}")
    return spread([a / b for a, b in zip(over.samples, under.samples, strict=True)])


def read_result(path: Path) -> Result:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Result)
    except OSError as error:
        raise BenchError(f"{path}: {error.strerror}; `make bench` writes it") from error
    except msgspec.MsgspecError as error:
        raise BenchError(f"{path} is not a result of format {FORMAT}: {error}; run `make bench` again") from error


def write_result(path: Path, result: Result) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.json.format(msgspec.json.encode(result), indent=2) + b"\n")
