"""The journal as the event loop uses it: records of one loop tick leave in one write, then their callers go on.

`record` never blocks; `then` runs when the record is in the kernel. So an intent is written before its attempt's
bytes leave, and an outcome before the last byte of its reply: the caller of `record` sends those bytes in `then`.
"""

import asyncio
import logging
import time
from collections.abc import Callable

from tidegate.config import Ledger
from tidegate.core.errors import LedgerError, Unavailable
from tidegate.core.row import Intent, Record
from tidegate.ledger.journal import JournalWriter
from tidegate.ledger.lives import note_life
from tidegate.ledger.rotation import requested_ns

log = logging.getLogger(__name__)

RETRY_S = 0.5  # between two tries to write what a full disk refused
PENDING_BYTES_MAX = 64 * 1024 * 1024  # unwritten records kept while the disk refuses


class Recorder:
    """One per worker. Changes its segment by size, by age, and when asked (`ledger/rotation.py`)."""

    def __init__(self, loop: asyncio.AbstractEventLoop, writer: JournalWriter, settings: Ledger) -> None:
        self._loop = loop
        self._fsync = settings.durability == "power"
        self._segment_bytes_max, self._segment_age_us = settings.segment_bytes_max, int(settings.segment_age_s * 1e6)
        self._writer = writer
        note_life(writer.directory, writer.segment_id)
        self._asked = requested_ns(writer.directory)
        self._waiting: list[tuple[Callable[[], None], Callable[[Unavailable], None]]] = []
        self._scheduled = False
        self.healthy = True

    @property
    def position(self) -> tuple[str, int]:
        """Segment and sequence number that the next outcome must carry."""
        return self._writer.segment_id, self._writer.next_seq

    def record(self, record: Record, then: Callable[[], None], failed: Callable[[Unavailable], None]) -> bool:
        """Append now, call `then` once the record is in the kernel; `failed` if it cannot be written.

        An outcome that cannot be written stays pending and is tried again: the call happened. An intent whose
        write fails is followed by its outcome, since `failed` refuses the call. False: it was not taken at all.
        """
        if not self.healthy and (isinstance(record, Intent) or self._writer.pending_bytes > PENDING_BYTES_MAX):
            failed(_unavailable())
            return False
        self._writer.append(record)
        self._waiting.append((then, failed))
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._flush)
        return True

    def _flush(self) -> None:
        self._scheduled = False
        waiting, self._waiting = self._waiting, []
        try:
            self._writer.flush(self._fsync)
        except LedgerError as error:
            log.error("journal: %s", error)
            if self.healthy:
                self.healthy = False
                self._loop.call_later(RETRY_S, self._retry)
            for _, failed in waiting:
                try:
                    failed(_unavailable())
                except Exception:  # a mistake in one call: the log has it whole, and the others are refused
                    log.exception("journal: a call failed after its record could not be written")
            return
        for then, _ in waiting:
            try:
                then()
            except Exception:  # a mistake in one call: the log has it whole, and the other calls of this tick go on
                log.exception("journal: a call failed after its record was written")
        if self._writer.size_bytes >= self._segment_bytes_max and not self._waiting:
            self._rotate()

    def _retry(self) -> None:
        try:
            self._writer.flush(self._fsync)
        except LedgerError:
            self._loop.call_later(RETRY_S, self._retry)
            return
        self.healthy = True
        log.warning("journal: writing again")

    def sweep(self, now_us: int) -> None:
        """Change a segment that has grown old, or that somebody wants sealed now. Called about once a second."""
        asked = requested_ns(self._writer.directory)
        is_due = asked != self._asked or now_us - self._writer.opened_us > self._segment_age_us
        if not is_due or self._waiting or not self.healthy:
            return
        self._asked = asked
        if self._writer.size_bytes:
            self._rotate()

    def _rotate(self) -> None:
        """Go on in a new segment; the old one is synced and closed in a thread, so that no call waits for the disk."""
        old = self._writer
        try:
            self._writer = old.rotate(time.time_ns() // 1000)
        except LedgerError as error:
            log.error("journal: cannot change segment: %s", error)  # the old one stays in use
            return
        self._loop.run_in_executor(None, _close, old)

    def close(self) -> None:
        """Write what is pending and close the segment. Raises LedgerError where the disk refuses."""
        self._writer.close()


def _close(writer: JournalWriter) -> None:
    try:
        writer.close()
    except (LedgerError, OSError) as error:
        log.error("journal: segment %s cannot be closed, recovery will: %s", writer.segment_id, error)


def _unavailable() -> Unavailable:
    return Unavailable(
        "The gateway cannot write its journal, and an unrecorded call is never made. "
        "The operator's log names the cause (often a full disk).",
        retry_after_s=5,
    )
