"""The computed units of a rollup: runs of neighbouring sealed files of one day, cached below the ledger.

A run is summed once. A new sealed file is a run of its own, so it costs only itself; runs are merged, from their sums
and never from rows, before a day has RUNS_MAX small ones. A run is outdated when a file of it changes, when the
rollup's SQL or the list prices it uses do, and, for a rollup that reads labels, when a label of its calls is sealed:
then that run alone is summed again, so a late label lands in its call's own day.

cache/rollups/<rollup>/<day>~<first>-<end>~<identity>.cache    Parquet; `first` and `end` count the day's files from 0

The cache is no evidence and may be deleted at any time.
"""

import hashlib
import itertools
import os
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from tidegate.ledger.manifest import SealedFile
from tidegate.ledger.schema import sql_text

if TYPE_CHECKING:
    import duckdb

UNIT_FILES_MAX: Final = 256  # sealed files in one run
RUNS_MAX: Final = 16  # runs at the end of a day that are left unmerged
CACHE_SUFFIX: Final = ".cache"  # Parquet too, but no sealed file: nobody should take it for evidence
_NAME = re.compile(rf"(\d{{4,}}-\d\d-\d\d)~(\d+)-(\d+)~[0-9a-f]+{re.escape(CACHE_SUFFIX)}")


class Run(NamedTuple):
    """Files `first` to `end` (not included) of a day, the labels of their calls, and where their sums are cached."""

    day: str
    first: int
    end: int
    files: tuple[Path, ...]
    labels: tuple[Path, ...]
    path: Path


class Days:
    """The sealed files of rows and of labels by day, in the order of the manifest."""

    def __init__(self, root: Path, rows: Iterable[SealedFile], labels: Iterable[SealedFile]) -> None:
        self.root = root
        self.rows = {day: list(files) for day, files in itertools.groupby(rows, key=lambda file: file.day)}
        self.labels = {day: list(files) for day, files in itertools.groupby(labels, key=lambda file: file.day)}
        self._seen: dict[str, bytes] = {}

    def run(self, folder: Path, definition: bytes, day: str, first: int, end: int) -> Run:
        """The run with the identity that it has now. Raises OSError where a file is missing."""
        files = self.rows[day][first:end]
        lowest, highest = min(file.first_id for file in files), max(file.last_id for file in files)
        labels = [
            file for file in self.labels.get(day, ()) if file.first_id <= highest and lowest <= file.last_id
        ]  # ids begin with their time: the labels of other hours of the day do not meet these calls
        identity = hashlib.sha256(definition)
        for file in (*files, *labels):
            identity.update(self._state(file.path))
        name = f"{day}~{first:06d}-{end:06d}~{identity.hexdigest()[:32]}{CACHE_SUFFIX}"
        rows, labelled = (tuple(self.root / file.path for file in kind) for kind in (files, labels))
        return Run(day, first, end, rows, labelled, folder / name)

    def _state(self, path: str) -> bytes:
        if path not in self._seen:
            seen = (self.root / path).stat()
            self._seen[path] = f"{path}:{seen.st_size}:{seen.st_mtime_ns}\n".encode()
        return self._seen[path]


def plan(days: Days, folder: Path, definition: bytes) -> list[Run]:
    """The runs that cover all files once: those at hand where they are still valid, the gaps between them to be summed.

    definition: what a run depends on beside its files.
    """
    cached = _cached(folder)
    return [run for day in days.rows for run in _cover(days, folder, definition, day, cached.get(day, {}))]


def _cached(folder: Path) -> Mapping[str, Mapping[int, list[int]]]:
    """day -> first -> ends, longest run first."""
    found: dict[str, dict[int, list[int]]] = {}
    with suppress(FileNotFoundError):
        for path in folder.iterdir():
            if match := _NAME.fullmatch(path.name):
                found.setdefault(match[1], {}).setdefault(int(match[2]), []).append(int(match[3]))
    return {
        day: {first: sorted(set(ends), reverse=True) for first, ends in runs.items()} for day, runs in found.items()
    }


def _cover(days: Days, folder: Path, definition: bytes, day: str, cached: Mapping[int, Sequence[int]]) -> Iterator[Run]:
    at, total = 0, len(days.rows[day])
    starts = sorted(cached)
    while at < total:
        tried = (days.run(folder, definition, day, at, end) for end in cached.get(at, ()) if at < end <= total)
        run = next((run for run in tried if run.path.is_file()), None)
        if run is None:
            bounds = (total, at + UNIT_FILES_MAX, *(start for start in starts if start > at))
            run = days.run(folder, definition, day, at, min(bounds))
        yield run
        at = run.end


def merge_runs(
    connection: "duckdb.DuckDBPyConnection",
    days: Days,
    definition: bytes,
    runs: Sequence[Run],
    merged_sql: Callable[[str], str],
) -> None:
    """Where a day has many small runs at its end, make them one, from their sums. merged_sql: merges a relation."""
    for day, group in itertools.groupby(runs, key=lambda run: run.day):
        small: list[Run] = []
        for run in reversed(list(group)):
            if run.end - run.first >= UNIT_FILES_MAX // 2 or sum(len(one.files) for one in (*small, run)) > (
                UNIT_FILES_MAX
            ):
                break
            small.insert(0, run)
        if len(small) >= RUNS_MAX and all(run.path.is_file() for run in small):
            whole = days.run(small[0].path.parent, definition, day, small[0].first, small[-1].end)
            store(connection, merged_sql(f"({read_units([run.path for run in small])})"), whole)


def store(connection: "duckdb.DuckDBPyConnection", query: str, run: Run) -> bool:
    """Cache the sums of a run by atomic rename, in the place of those it replaces. False where it cannot be written.

    A ledger that is read-only, or a full disk, is studied all the same; only the next study is not faster.
    """
    import duckdb

    folder = run.path.parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=folder, suffix=".tmp")
    except OSError:
        return False
    part = Path(name)
    try:
        os.close(handle)
        connection.execute(f"COPY ({query}) TO {sql_text(name)} (FORMAT parquet, COMPRESSION zstd)")
        part.replace(run.path)
        for other in folder.glob(f"{run.day}~*{CACHE_SUFFIX}"):
            match = _NAME.fullmatch(other.name)
            if match and other != run.path and int(match[2]) < run.end and run.first < int(match[3]):
                other.unlink(missing_ok=True)
    except (duckdb.IOException, OSError):
        return False  # where the query is to blame, the caller meets the same error again
    finally:
        with suppress(FileNotFoundError):
            part.unlink()
    return True


def read_units(files: Sequence[Path]) -> str:
    """SQL over units, imported or computed."""
    listed = ", ".join(sql_text(str(file)) for file in files)
    return f"SELECT * FROM read_parquet([{listed}], union_by_name = true, hive_partitioning = false)"
