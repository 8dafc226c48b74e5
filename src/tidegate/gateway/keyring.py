"""The keys of a worker: a snapshot in memory, renewed within two seconds of a change in the database."""

import logging
import time
from typing import TYPE_CHECKING

from sqlalchemy.exc import SQLAlchemyError

from tidegate.accounts.keys import Accounts, Key, hash_secret
from tidegate.gateway.head import unauthenticated
from tidegate.gateway.http import Headers, bearer_token

if TYPE_CHECKING:
    from tidegate.gateway.server import Server

log = logging.getLogger(__name__)

LOOKS_MAX = 20  # into the database because of unknown keys, in about a second; one costs about 0.1 ms


class LastKey:
    """The key that came last on one connection, which most often comes again and need not be looked for."""

    __slots__ = ("_key", "_known_by")

    def __init__(self) -> None:
        self._known_by: tuple[bytes, int] | None = None
        self._key: Key | None = None

    def find(self, secret: bytes, ring: "KeyRing") -> Key | None:
        """As `KeyRing.find`; a key that expires is looked at each time."""
        if (secret, ring.version) == self._known_by:
            return self._key
        key = ring.find(secret)
        if key is not None and key.expires_us is None:
            self._known_by, self._key = (secret, ring.version), key
        return key

    def authenticate(self, headers: Headers, server: "Server") -> Key:
        """The key that a request brings. Raises Unauthenticated, and counts it."""
        token = bearer_token(headers)
        key = self.find(token, server.keys) if token else None
        if key is None:
            server.totals.unauthenticated += 1
            raise unauthenticated(token)
        return key


class KeyRing:
    """Finds a key by its secret. A request never touches the database."""

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts
        self.pepper = accounts.pepper
        self.version = accounts.version()
        self._keys = accounts.snapshot()
        self._looks_left = LOOKS_MAX

    def find(self, secret: bytes) -> Key | None:
        """The valid key with this secret; None for an unknown, expired or revoked one.

        An unknown one may have been made a moment ago: the database is asked, but no stranger can make it be asked
        more than LOOKS_MAX times between two calls of `refresh`.
        """
        hashed = hash_secret(self.pepper, secret)
        key = self._keys.get(hashed)
        if key is None and self._looks_left:
            self._looks_left -= 1
            self._look()
            key = self._keys.get(hashed)
        if key is None:
            return None
        if key.expires_us is not None and not key.is_valid(time.time_ns() // 1000):
            return None
        return key

    def refresh(self) -> None:
        """Read the keys again if another process has written. Called about once a second."""
        self._looks_left = LOOKS_MAX
        self._look()

    def _look(self) -> None:
        """A failing database leaves the last snapshot in force."""
        try:
            version = self._accounts.version()
            if version != self.version:
                self._keys = self._accounts.snapshot()
                self.version = version
        except SQLAlchemyError as error:
            log.error("keys: the accounts database cannot be read, the last snapshot stays: %s", error)
