"""The journal as the event loop uses it: records of one loop tick leave in one write, then their callers go on.

`record` never blocks; `then` runs when the record is in the kernel. So an intent is written before its attempt's
bytes leave, and an outcome before the last byte of its reply: the caller of `record` sends those bytes in `then`.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from pathlib import Path

from tidegate.core.errors import LedgerError, Unavailable
from tidegate.core.row import Intent, Outcome, Record
from tidegate.ledger.journal import JournalWriter

log = logging.getLogger(__name__)

RETRY_S = 0.5  # between two tries to write what a full disk refused
PENDING_BYTES_MAX = 64 * 1024 * 1024  # unwritten records kept while the disk refuses


class Recorder:
    """One per worker. Rotates segments; an open intent is carried into the next segment, beside its outcome."""

    def __init__(self, loop: asyncio.AbstractEventLoop, directory: Path, gateway_id: str, worker: int, *,
                 fsync: bool, segment_bytes_max: int, segment_age_s: float) -> None:  # fmt: skip
        self._loop = loop
        self._directory, self._gateway_id, self._worker = directory, gateway_id, worker
        self._fsync = fsync
        self._segment_bytes_max, self._segment_age_us = segment_bytes_max, int(segment_age_s * 1e6)
        self._writer = self._open_segment()
        self._waiting: list[tuple[Callable[[], None], Callable[[Unavailable], None]]] = []
        self._open_intents: dict[str, list[Intent]] = {}
        self._scheduled = False
        self.healthy = True

    def _open_segment(self) -> JournalWriter:
        return JournalWriter(self._directory, self._gateway_id, self._worker, now_us=time.time_ns() // 1000)

    @property
    def position(self) -> tuple[str, int]:
        """Segment and sequence number that the next outcome must carry."""
        return self._writer.segment_id, self._writer.next_seq

    def record(self, record: Record, then: Callable[[], None], failed: Callable[[Unavailable], None]) -> None:
        """Append now, call `then` once the record is in the kernel; `failed` if it cannot be written.

        An outcome that cannot be written stays pending and is tried again: the call happened. An intent whose
        write fails is followed by its outcome, since `failed` refuses the call.
        """
        if not self.healthy and (isinstance(record, Intent) or self._writer.pending_bytes > PENDING_BYTES_MAX):
            failed(_unavailable())
            return
        self._writer.append(record)
        if isinstance(record, Outcome):
            self._open_intents.pop(record.row.generation_id, None)
        else:
            self._open_intents.setdefault(record.generation_id, []).append(record)
        self._waiting.append((then, failed))
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._flush)

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
                failed(_unavailable())
            return
        for then, _ in waiting:
            then()
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
        """Close a segment that has grown old, so that its rows are sealed soon. Called about once a second."""
        writer = self._writer
        if writer.size_bytes and now_us - writer.opened_us > self._segment_age_us and not self._waiting and self.healthy:
            self._rotate()

    def _rotate(self) -> None:
        """Go on in a new segment. Open intents are written there first: recovery then finds them with their worker."""
        old = self._writer
        try:
            self._writer = self._open_segment()
            for intents in self._open_intents.values():
                for intent in intents:
                    self._writer.append(intent)
            self._writer.flush(self._fsync)
            old.close()
        except (LedgerError, OSError) as error:
            log.error("journal: cannot change segment: %s", error)  # the records stay; recovery closes the old one

    def close(self) -> None:
        """Write what is pending and close the segment. Raises LedgerError where the disk refuses."""
        self._writer.close()


def _unavailable() -> Unavailable:
    return Unavailable(
        "The gateway cannot write its journal, and an unrecorded call is never made. "
        "The operator's log names the cause (often a full disk).",
        retry_after_s=5,
    )
