"""The keys of a worker: a snapshot in memory that follows the database within two seconds."""

import time
from typing import TYPE_CHECKING, Final

from sqlalchemy import Connection

from tidegate.accounts.keys import Accounts, Key, hash_secret
from tidegate.accounts.snapshot import KeySnapshot
from tidegate.accounts.watch import NotNow, Publish, Watch
from tidegate.gateway.head import unauthenticated
from tidegate.gateway.http import Headers, bearer_token

if TYPE_CHECKING:
    from tidegate.gateway.server import Server

LOOKS_MAX: Final = 20  # into the database because of unknown keys, in about a second; one costs about 0.1 ms
KNOWN_MAX: Final = 20_000  # keys kept decoded, about 1 kB each


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
    """Finds a key by its secret. A request never waits for the database.

    `watch`: where others that keep parts of the accounts in memory add their readers. `start` it once all have.
    `version`: another one when a key that was known may have changed: whoever remembers one looks again.
    """

    def __init__(self, accounts: Accounts) -> None:
        """Read all keys. Raises what the database raises."""
        self.pepper = accounts.pepper
        self.watch = Watch(accounts.database)
        self._snapshot = KeySnapshot(accounts)
        self.version = self._snapshot.revision
        self._known: dict[bytes, Key] = {}  # decoded; of this version
        self._looks_left = LOOKS_MAX
        self.watch.add(self._read)

    def find(self, secret: bytes) -> Key | None:
        """The valid key with this secret; None for an unknown, expired, disabled or revoked one.

        An unknown one may have been made a moment ago: the database is asked (one behind a network: soon), but no
        stranger can make it be asked more than LOOKS_MAX times between two calls of `refresh`.
        """
        hashed = hash_secret(self.pepper, secret)
        key = self._known.get(hashed) or self._find(hashed)
        if key is None or (key.expires_us is not None and time.time_ns() // 1000 >= key.expires_us):
            return None
        return key

    def hashed(self, secret: bytes) -> bytes:
        """What a secret is known by."""
        return hash_secret(self.pepper, secret)

    def is_known(self, hashed: bytes) -> bool:
        """Whether this secret still opens something, or would if it had not expired."""
        return self._snapshot.find(hashed) is not None

    def refresh(self) -> None:
        """Called about once a second: strangers' looks are counted anew; without a thread, look for changes now."""
        self._looks_left = LOOKS_MAX
        if not self.watch.is_running:
            self.watch.look()

    def _find(self, hashed: bytes) -> Key | None:
        key = self._snapshot.find(hashed)
        if key is None and self._looks_left:
            self._looks_left -= 1
            self.watch.look_soon()
            key = self._snapshot.find(hashed)
        if key is None:
            return None
        if len(self._known) >= KNOWN_MAX:
            self._known.clear()
        self._known[hashed] = key
        return key

    def _read(self, connection: Connection) -> Publish | None:
        """The snapshot's reader; what it puts into force makes what was decoded before old."""
        if self.watch.is_hasty and self._snapshot.is_far_behind(connection):
            raise NotNow
        publish = self._snapshot.read(connection)
        if publish is None:
            return None

        def put_into_force() -> None:
            publish()
            if self.version != self._snapshot.revision:
                self.version = self._snapshot.revision
                self._known.clear()

        return put_into_force
