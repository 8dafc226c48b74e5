"""What workers keep in memory of the accounts follows the database: one look at its version a few times a second.

Whoever keeps something (keys, quotas, prices) adds a reader. A reader is called in a thread, never on the path of
calls, with a connection that sees one state of the database; it reads what changed since it last did and gives back a
function that puts it into force. Those functions run together on the worker's loop: no call sees half a change.
"""

import logging
import threading
from collections.abc import Callable
from typing import Final

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from tidegate.accounts import schema
from tidegate.accounts.database import Database

log = logging.getLogger(__name__)

LOOK_S: Final = 0.4  # changes are to be everywhere within 2 s, also where one look fails
CLOSE_S: Final = 2.0

Publish = Callable[[], object]
Reader = Callable[[sa.Connection], Publish | None]
"""What it returns puts into force what it read, and remembers that it was read; None where nothing changed for it."""


class NotNow(Exception):
    """A reader has more to read than whoever waits has time for: the thread will ask it again."""


class Watch:
    """Looks for changes. Before `start`, and in tests, `look` does it in the caller's thread."""

    def __init__(self, database: Database, *, look_s: float = LOOK_S) -> None:
        self._database, self._look_s = database, look_s
        self._readers: list[Reader] = []
        self._version = -1  # of the last look
        self._busy = threading.Lock()  # from the first read of a look until what was read is in force
        self._woken = threading.Event()
        self._thread: threading.Thread | None = None
        self._is_closed = False
        self._trouble = ""
        self.is_hasty = False  # a call waits for this look: a reader with much to read raises NotNow

    def add(self, reader: Reader) -> None:
        """Let a reader read now, and after each change. Raises what the database raises. Before `start`."""
        with self._database.reading() as connection:
            if publish := reader(connection):
                publish()
        self._readers.append(reader)

    def start(self, on_loop: Callable[[Callable[[], None]], object]) -> None:
        """Look from now on by itself. on_loop: runs a function on the loop (`loop.call_soon_threadsafe`)."""
        self._on_loop = on_loop
        self._thread = threading.Thread(target=self._run, name="accounts", daemon=True)
        self._thread.start()

    @property
    def is_running(self) -> bool:
        return self._thread is not None

    def look(self, *, is_hasty: bool = False) -> None:
        """Look once, here and now, and put into force what changed; on the loop, where there is one.

        Does nothing while the thread is looking. A database that fails leaves what is known in force.
        """
        if not self._busy.acquire(blocking=False):
            return
        self.is_hasty = is_hasty
        try:
            self._put_into_force(self._read())
        finally:
            self.is_hasty = False
            self._busy.release()

    def look_soon(self) -> None:
        """Look as soon as the thread can; without one, now. SQLite is read on the spot: that takes 0.1 ms.

        A database behind a network is never waited for on the loop.
        """
        if self._database.is_sqlite or self._thread is None:
            self.look(is_hasty=self._thread is not None)
        else:
            self._woken.set()

    def close(self) -> None:
        self._is_closed = True
        self._woken.set()
        if self._thread is not None:
            self._thread.join(CLOSE_S)

    def _run(self) -> None:
        while not self._is_closed:
            self._woken.wait(self._look_s)
            self._woken.clear()
            if not self._busy.acquire(timeout=self._look_s):
                continue
            found = [] if self._is_closed else self._read()
            if not found:
                self._busy.release()
                continue
            try:
                self._on_loop(lambda found=found: self._published(found))  # type: ignore[misc]
            except RuntimeError:  # the loop has ended, and the worker with it
                self._busy.release()
                return

    def _published(self, found: list[Publish]) -> None:
        try:
            self._put_into_force(found)
        finally:
            self._busy.release()

    def _put_into_force(self, found: list[Publish]) -> None:
        for publish in found:
            try:
                publish()
            except (
                Exception
            ):  # a mistake of ours: the log has it whole, the others go on, and the next look tries again
                log.exception("accounts: a change cannot be put into force")
                self._version = -1

    def _read(self) -> list[Publish]:
        """What the readers found, where the version is another than at the last look."""
        try:
            with self._database.reading() as connection:
                version = int(connection.execute(sa.select(schema.state.c.version)).scalar_one())
                if version == self._version:
                    self._all_is_well()
                    return []
                found = [publish for reader in self._readers if (publish := reader(connection))]
            self._version = version
            self._all_is_well()
        except NotNow:
            self._woken.set()
            return []
        except SQLAlchemyError as error:
            if not self._trouble:
                log.error("accounts: the database cannot be read, what is known stays in force: %s", error)
            self._trouble = str(error)
            return []
        except Exception:  # a mistake of ours: the log has it whole, what is known stays, and the next look tries again
            if not self._trouble:
                log.exception("accounts: a change cannot be read")
            self._trouble = "a change cannot be read"
            return []
        return found

    def _all_is_well(self) -> None:
        if self._trouble:
            log.warning("accounts: the database can be read again")
        self._trouble = ""
