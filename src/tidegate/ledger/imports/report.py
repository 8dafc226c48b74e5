"""What an import did, for people and for programs."""

from collections.abc import Callable

import msgspec

from tidegate.ledger.imports.tally import Rejected

Progress = Callable[[int, int], None]
"""Called with (records done, records to do, or 0 where that is not known)."""


class ImportReport(msgspec.Struct, frozen=True, kw_only=True):
    """What an import did.

    read: records in the files. added: records now in the ledger for the first time. known: records that the ledger
    already held. rejected: records left out, by reason. skipped: records that are no calls. restated: published lists
    that got a newer vintage. unit: of the manifest, empty where nothing was added. notes: what was not mapped, or
    mapped with a caveat, one sentence each.
    """

    format: str
    source_ids: tuple[str, ...]
    files: int
    read: int
    added: int
    known: int
    rejected: tuple[Rejected, ...] = ()
    skipped: int = 0
    restated: int = 0
    unit: str = ""
    notes: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        """The report as text, one fact a line."""
        out = sum(reason.count for reason in self.rejected)
        head = (
            f"{self.format}: {self.read} records read from {self.files} file{'s' * (self.files != 1)}, "
            f"{self.added} added, {self.known} already in the ledger"
            + (f", {self.skipped} no calls" if self.skipped else "")
            + (f", {out} rejected" if out else "")
            + f"; source {', '.join(self.source_ids) or 'none'}"
        )
        reasons = [f"rejected: {item.reason} ({item.count}); first {item.first}" for item in self.rejected]
        return [head, *reasons, *(f"note: {note}" for note in self.notes)]
