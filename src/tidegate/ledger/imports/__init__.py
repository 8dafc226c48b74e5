"""Other systems' records, brought into a ledger: one mapper per format, each with a report of what was not mapped.

Rules that hold for every format: nothing is written before all files were read; importing the same file again changes
nothing; rows of different sources keep different `source_id`s and are never mixed unseen; what is left out or changed
is counted and named. Published series are refused as a whole for one bad line, naming file and line; in logs of calls
a bad record is left out and counted, and the rest comes in. Restated values are a new vintage, beside the old.
"""

import datetime as dt
import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import msgspec

from tidegate.core.errors import LedgerError
from tidegate.ledger.durable import exclusive, replace_file
from tidegate.ledger.imports.formats import FORMATS
from tidegate.ledger.imports.report import ImportReport, Progress

if TYPE_CHECKING:
    from tidegate.ledger.store import Ledger

__all__ = ["FORMATS", "ImportReport", "Options", "Progress", "check_files", "read_reports", "run_import"]


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What the operator may say about an import.

    source_id: the name the records go by. as_of: when published values were fetched (UTC, no zone); default: as the
    file says, else now. mapping: the YAML file of the format `table`. quota_per_usd: units of one-api's `quota` in
    one USD (its setting QuotaPerUnit).
    """

    source_id: str | None = None
    as_of: dt.datetime | None = None
    mapping: Path | None = None
    quota_per_usd: int = 500_000


class Importer(Protocol):
    """`run` of every module that `FORMATS` names."""

    def __call__(
        self, format: str, files: Sequence[Path], ledger: "Ledger", options: Options, progress: Progress | None
    ) -> ImportReport: ...


def run_import(
    format: str,
    files: Sequence[Path],
    ledger: "Ledger",
    *,
    source_id: str | None = None,
    options: Options | None = None,
    progress: Progress | None = None,
) -> ImportReport:
    """Read `files` of `format` into `ledger`.

    source_id: short for options; default: the format's name, for traces `trace:` and the file's stem.
    Raises LedgerError, naming file and line, where a file cannot be read as `format`; the ledger is then unchanged.
    """
    if format not in FORMATS:
        raise LedgerError(f"there is no import format {format!r}; there are {', '.join(FORMATS)}")
    if not files:
        raise LedgerError(f"no file named: `tidegate ledger import {format} FILE...`")
    check_files(files)
    chosen = options or Options()
    if source_id is not None:
        chosen = msgspec.structs.replace(chosen, source_id=source_id)
    run: Importer = importlib.import_module(f"tidegate.ledger.imports.{FORMATS[format].module}").run
    with exclusive(ledger.path / "import.lock"):  # what is known already must still be all when the rest is added
        report = run(format, files, ledger, chosen, progress)
        _keep(ledger, report)
    return report


def _keep(ledger: "Ledger", report: ImportReport) -> None:
    """Leave the report beside the ledger, under its unit's name: flags and rejections can be read again."""
    if report.unit:
        folder = ledger.path / "imports"
        folder.mkdir(exist_ok=True)
        replace_file(folder / f"{report.unit}.json", msgspec.json.format(msgspec.json.encode(report), indent=1))


def read_reports(ledger: "Ledger") -> dict[str, ImportReport]:
    """The kept reports, by unit; of units that the manifest names, in its order."""
    found = {}
    for entry in ledger.entries():
        file = ledger.path / "imports" / f"{entry.unit}.json"
        if entry.kind != "segment" and file.is_file() and entry.unit not in found:
            try:
                found[entry.unit] = msgspec.json.decode(file.read_bytes(), type=ImportReport)
            except msgspec.MsgspecError as error:
                raise LedgerError(f"{file} is damaged: {error}; it is only a report, delete it") from error
    return found


def check_files(files: Sequence[Path]) -> None:
    """Raises LedgerError for the first that is no file."""
    for file in files:
        if file.is_dir():
            raise LedgerError(f"{file} is a folder; name the files in it")
        if not file.is_file():
            raise LedgerError(f"{file}: there is no such file")
