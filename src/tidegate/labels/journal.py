"""The labeller's own journal segment: labels become durable one by one and are sealed like rows."""

import time
from typing import Final

from tidegate.config import Config
from tidegate.core.row import Label, Labelled
from tidegate.ledger.journal import JournalWriter
from tidegate.ledger.rotation import requested_ns

LABELLER_NUMBER: Final = 9999
"""In the place of a gateway worker's number (at most 1022) in the names of the labeller's segments."""


class LabelJournal:
    """Changes its segment by size, by age and when asked, as the gateway's does."""

    def __init__(self, config: Config) -> None:
        self._directory = config.ledger_path / "journal"
        self._settings = config.ledger
        self._fsync = config.ledger.durability == "power"
        self._writer = JournalWriter(
            self._directory, config.gateway.gateway_id, LABELLER_NUMBER, now_us=time.time_ns() // 1000
        )
        self._asked = requested_ns(self._directory)

    def write(self, label: Label) -> None:
        """In the kernel on return; survives kill -9. Raises LedgerError (disk full): the next call tries again."""
        self._writer.append(Labelled(label=label))
        self._writer.flush(self._fsync)

    def sweep(self) -> None:
        """Go on in a new segment where it is time to, or somebody wants to seal. Called about once a second.

        Raises LedgerError where none can be begun; the old one stays in use.
        """
        asked, now_us = requested_ns(self._directory), time.time_ns() // 1000
        age_s = (now_us - self._writer.opened_us) / 1e6
        is_full = self._writer.size_bytes >= self._settings.segment_bytes_max
        if asked == self._asked and age_s <= self._settings.segment_age_s and not is_full:
            return
        if self._writer.size_bytes:
            old, self._writer = self._writer, self._writer.rotate(now_us)
            old.close()
        self._asked = asked

    def close(self) -> None:
        """Close the segment, so that it can be sealed. Raises LedgerError where the disk refuses."""
        self._writer.close()
