"""Other systems' records, brought into a ledger: one mapper per format, each with a report of what was not mapped.

Rules that hold for every format: all files are read and checked before anything is written, so bad input leaves the
ledger as it was; the error names file and line; importing the same file again changes nothing; rows of different
sources keep different `source_id`s and are never mixed unseen.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from tidegate.core.errors import LedgerError
from tidegate.ledger.durable import exclusive

if TYPE_CHECKING:
    from tidegate.ledger.store import Ledger

Progress = Callable[[int, int], None]
"""Called with (records done, records to do, or 0 where that is not known)."""

FORMATS = {
    "openrouter-daily": "tokens by model and day: a CSV in billions, or OpenRouter's rankings-daily JSON",
    "trace": "one call a line (timestamp, input, output): CSV with a header, or JSON lines",
}


class ImportReport(msgspec.Struct, frozen=True, kw_only=True):
    """What an import did.

    read: records in the files. added: records now in the ledger for the first time. known: records that the ledger
    already held with the same values. notes: what was not mapped, or mapped with a caveat, one sentence each.
    """

    format: str
    source_ids: tuple[str, ...]
    files: int
    read: int
    added: int
    known: int
    notes: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        """The report as text, one fact a line."""
        head = (
            f"{self.format}: {self.read} records read from {self.files} file{'s' * (self.files != 1)}, "
            f"{self.added} added, {self.known} already in the ledger; source {', '.join(self.source_ids) or 'none'}"
        )
        return [head, *(f"note: {note}" for note in self.notes)]


def run_import(
    format: str,
    files: Sequence[Path],
    ledger: "Ledger",
    *,
    source_id: str | None = None,
    progress: Progress | None = None,
) -> ImportReport:
    """Read `files` of `format` into `ledger`.

    source_id: the name the records go by; default: the format's name, for traces `trace:` and the file's stem.
    Raises LedgerError, naming file and line, where a file cannot be read as `format`; the ledger is then unchanged.
    """
    if not files:
        raise LedgerError(f"no file named: `tidegate ledger import {format} FILE...`")
    check_files(files)
    with exclusive(ledger.path / "import.lock"):  # what is known already must still be all when the rest is added
        return _run(format, files, ledger, source_id, progress)


def check_files(files: Sequence[Path]) -> None:
    """Raises LedgerError for the first that is no file."""
    for file in files:
        if file.is_dir():
            raise LedgerError(f"{file} is a folder; name the files in it")
        if not file.is_file():
            raise LedgerError(f"{file}: there is no such file")


def _run(
    format: str, files: Sequence[Path], ledger: "Ledger", source_id: str | None, progress: Progress | None
) -> ImportReport:
    if format == "openrouter-daily":
        from tidegate.ledger.imports.openrouter_daily import import_openrouter_daily

        return import_openrouter_daily(files, ledger, source_id or format)
    if format == "trace":
        from tidegate.ledger.imports.trace import import_trace

        return import_trace(files, ledger, source_id, progress)
    raise LedgerError(f"there is no import format {format!r}; there are {', '.join(FORMATS)}")
