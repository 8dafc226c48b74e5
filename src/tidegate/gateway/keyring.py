"""The keys of a worker: a snapshot in memory, renewed within two seconds of a change in the database."""

import logging
import time

from sqlalchemy.exc import SQLAlchemyError

from tidegate.accounts.keys import Accounts, Key, hash_secret

log = logging.getLogger(__name__)

LOOK_AGAIN_S = 0.05  # between two looks into the database because of an unknown key


class KeyRing:
    """Finds a key by its secret. A request never touches the database."""

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts
        self.pepper = accounts.pepper
        self.version = accounts.version()
        self._keys = accounts.snapshot()
        self._looked = 0.0

    def find(self, secret: bytes) -> Key | None:
        """The valid key with this secret; None for an unknown, expired or revoked one.

        An unknown one may have been made a moment ago: the database is asked, but no stranger can make it be asked
        more often than every LOOK_AGAIN_S.
        """
        hashed = hash_secret(self.pepper, secret)
        key = self._keys.get(hashed)
        if key is None and time.monotonic() - self._looked > LOOK_AGAIN_S:
            self.refresh()
            key = self._keys.get(hashed)
        if key is None:
            return None
        if key.expires_us is not None and not key.is_valid(time.time_ns() // 1000):
            return None
        return key

    def refresh(self) -> None:
        """Read the keys again if another process has written. A failing database leaves the last snapshot in force."""
        self._looked = time.monotonic()
        try:
            version = self._accounts.version()
            if version != self.version:
                self._keys = self._accounts.snapshot()
                self.version = version
        except SQLAlchemyError as error:
            log.error("keys: the accounts database cannot be read, the last snapshot stays: %s", error)
