"""The computed units of a rollup: runs of sealed files, neighbours in the manifest, cached below the ledger.

A run is summed once. A new sealed file is a run of its own, so it costs only itself; runs are merged, from their sums
and never from rows, before there are RUNS_MAX small ones at the end. A run is outdated when a file of it changes, when
the rollup's SQL or the list prices it uses do, and, for a rollup that reads labels, when a label of its calls is
sealed: then that run alone is summed again, so a late label lands in its call's own day.

cache/rollups/<rollup>/<first>-<end>~<identity>.cache    Parquet; `first` and `end` count files of rows from 0

The cache is no evidence and may be deleted at any time.
"""

import hashlib
import os
import re
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from tidegate.ledger.manifest import SealedFile
from tidegate.ledger.schema import sql_text

if TYPE_CHECKING:
    import duckdb

RUN_FILES_MAX: Final = 256
RUN_ROWS_MAX: Final = 1_000_000  # of more than one file: what a late label makes to be read again
RUNS_MAX: Final = 16  # small runs at the end that are left unmerged
CACHE_SUFFIX: Final = ".cache"  # Parquet too, but no sealed file: nobody should take it for evidence
_NAME = re.compile(rf"(\d+)-(\d+)~[0-9a-f]+{re.escape(CACHE_SUFFIX)}")


class Run(NamedTuple):
    """Files `first` to `end` (not included) of the manifest, the labels of their calls, and where the sums go."""

    first: int
    end: int
    files: tuple[Path, ...]
    labels: tuple[Path, ...]
    path: Path


class Runs:
    """Runs over a ledger's sealed files of rows, in the order of the manifest, and of labels.

    folder: of the cache. definition: what a run depends on beside its files.
    """

    def __init__(
        self, root: Path, folder: Path, definition: bytes, rows: Sequence[SealedFile], labels: Iterable[SealedFile]
    ) -> None:
        self.root = root
        self.folder = folder
        self.definition = definition
        self.rows = rows
        self.labels: dict[str, list[SealedFile]] = {}
        for file in labels:
            self.labels.setdefault(file.day, []).append(file)
        self._seen: dict[str, bytes] = {}

    def plan(self) -> list[Run]:
        """The runs that cover all files once: those at hand where still valid, the gaps between them to be summed."""
        cached = self._cached()
        found: list[Run] = []
        at = 0
        while at < len(self.rows):
            tried = (self.run(at, end) for end in cached.get(at, ()) if at < end <= len(self.rows))
            run = next((run for run in tried if run.path.is_file()), None)
            if run is None:
                next_start = min((start for start in cached if start > at), default=len(self.rows))
                run = self.run(at, min(next_start, self._full(at)))
            found.append(run)
            at = run.end
        return found

    def run(self, first: int, end: int) -> Run:
        """The run with the identity that it has now. Raises OSError where a file is missing."""
        files = self.rows[first:end]
        labels = dict.fromkeys(
            label for file in files for label in self.labels.get(file.day, ()) if _may_label(label, file)
        )
        identity = hashlib.sha256(self.definition)
        for file in (*files, *labels):
            identity.update(self._state(file.path))
        name = f"{first:06d}-{end:06d}~{identity.hexdigest()[:32]}{CACHE_SUFFIX}"
        rows, labelled = (tuple(self.root / file.path for file in kind) for kind in (files, labels))
        return Run(first, end, rows, labelled, self.folder / name)

    def last_small(self, runs: Sequence[Run]) -> Run | None:
        """One run in the place of the small ones at the end, where they are many; their paths are its files."""
        first = len(runs)
        while first and self._full(runs[first - 1].first) >= runs[-1].end:
            first -= 1
        small = runs[first:]
        if len(small) < RUNS_MAX or not all(run.path.is_file() for run in small):
            return None
        whole = self.run(small[0].first, small[-1].end)
        return whole._replace(files=tuple(run.path for run in small), labels=())

    def _full(self, first: int) -> int:
        """Where a run that begins at `first` must end at the latest."""
        end, rows = first + 1, self.rows[first].rows
        while end < min(len(self.rows), first + RUN_FILES_MAX) and rows + self.rows[end].rows <= RUN_ROWS_MAX:
            rows += self.rows[end].rows
            end += 1
        return end

    def _cached(self) -> Mapping[int, list[int]]:
        """first -> ends, longest run first."""
        found: dict[int, list[int]] = {}
        with suppress(FileNotFoundError):
            for path in self.folder.iterdir():
                if match := _NAME.fullmatch(path.name):
                    found.setdefault(int(match[1]), []).append(int(match[2]))
        return {first: sorted(set(ends), reverse=True) for first, ends in found.items()}

    def _state(self, path: str) -> bytes:
        if path not in self._seen:
            seen = (self.root / path).stat()
            self._seen[path] = f"{path}:{seen.st_size}:{seen.st_mtime_ns}\n".encode()
        return self._seen[path]


def _may_label(label: SealedFile, file: SealedFile) -> bool:
    """Whether their ranges of ids meet. Ids begin with their time: labels of another hour do not meet these calls."""
    return label.first_id <= file.last_id and file.first_id <= label.last_id


def merge_runs(
    connection: "duckdb.DuckDBPyConnection", runs: Runs, done: Sequence[Run], merged_sql: Callable[[str], str]
) -> None:
    """Where there are many small runs at the end, make them one, from their sums. merged_sql: merges a relation."""
    if whole := runs.last_small(done):
        store(connection, merged_sql(f"({read_units(whole.files)})"), whole)


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
        for other in folder.iterdir():
            match = _NAME.fullmatch(other.name)
            if match and other != run.path and int(match[1]) < run.end and run.first < int(match[2]):
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
