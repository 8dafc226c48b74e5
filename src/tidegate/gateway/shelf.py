"""Several keys of one provider: the first that does not rest signs calls in. A key that was refused rests a while.

One key stays in use as long as it works, so that the provider's prompt cache, which is kept by account, stays warm.
Which key an attempt went out with is read off its own head; nothing else has to be remembered for it.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from sqlalchemy import Connection

from tidegate.accounts.provider_keys import OpenKey, open_keys, sealed_keys
from tidegate.accounts.watch import Publish
from tidegate.core.errors import ConfigError, UpstreamRejected
from tidegate.core.facts import Auth
from tidegate.gateway.egress import KEY_LINES, header_safe
from tidegate.wire.dialect import Pieces

log = logging.getLogger(__name__)

RESTS_S: Final = {401: 600.0, 402: 300.0, 403: 600.0, 429: 20.0}
"""How long a key rests after an answer of this status, where the provider does not say: no longer valid, no credit
left, not allowed, too many calls."""

REST_MIN_S: Final = 1.0
REST_MAX_S: Final = 3600.0


class Shelf:
    """The keys of one provider, in the order of use, and which of them rest. One a provider and worker."""

    def __init__(self, provider: str, now: Callable[[], float] = time.monotonic) -> None:
        self.provider = provider
        self.keys: tuple[OpenKey, ...] = ()  # stored ones, then the spare one
        self._stored: tuple[OpenKey, ...] = ()
        self._spare: tuple[OpenKey, ...] = ()
        self._now = now
        self._rests: dict[str, float] = {}  # key id -> when it is used again, by the monotonic clock

    def put(self, keys: Sequence[OpenKey]) -> None:
        """These stored keys, from now on. One that was there goes on resting."""
        self._stored = tuple(keys)
        self._join()

    def spare(self, secret: str) -> None:
        """The environment's key: used where all stored ones rest. Empty: there is none."""
        key = OpenKey(provider_key_id="environment", provider_name=self.provider, name="environment", secret=secret)
        self._spare = (key,) if secret else ()
        self._join()

    def _join(self) -> None:
        self.keys = (*self._stored, *self._spare)
        self._rests = {key.provider_key_id: self._rests.get(key.provider_key_id, 0.0) for key in self.keys}

    @property
    def has_stored(self) -> bool:
        return bool(self._stored)

    def pick(self) -> OpenKey | None:
        """The first key that does not rest; where all do, the one whose rest ends first. None: there is no key."""
        now, rests = self._now(), self._rests
        for key in self.keys:
            if rests[key.provider_key_id] <= now:
                return key
        return min(self.keys, key=lambda key: rests[key.provider_key_id], default=None)

    def rest(self, key: OpenKey, status: int, retry_after_s: float | None) -> bool:
        """Let a key rest after an answer of `status`; whether another one can be tried now.

        False, and no rest, for a status that says nothing of the key.
        """
        usual = RESTS_S.get(status)
        if usual is None or key.provider_key_id not in self._rests:
            return False
        rest_s = usual if retry_after_s is None else min(max(retry_after_s, REST_MIN_S), REST_MAX_S)
        now = self._now()
        was_used = self._rests[key.provider_key_id] <= now
        self._rests[key.provider_key_id] = max(self._rests[key.provider_key_id], now + rest_s)
        is_other = any(until <= now for until in self._rests.values())
        if was_used:
            log.warning(
                "provider %s answered %d to its key %s (%s): it rests %.0f s, %s", self.provider, status,
                key.provider_key_id, key.name, rest_s, "the next one is used" if is_other else "and no other is left",
            )  # fmt: skip
        return is_other


class ShelfLines:
    """Signs calls in with a shelf's keys, as one fixed header line. A `Credentials`."""

    def __init__(self, shelf: Shelf, auth: Auth) -> None:
        self._shelf, self._line = shelf, KEY_LINES[auth]

    def lines(self, prefix: bytes, pieces: Pieces) -> bytes | None:
        key = self._shelf.pick()
        return None if key is None else self._of(key)

    def ready(self) -> "asyncio.Future[None]":
        """Fails: without a key nothing can be waited for."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self._shelf.keys:
            done.set_result(None)
        else:
            done.set_exception(UpstreamRejected(f"Provider {self._shelf.provider} has no key any more."))
        return done

    def refused(self, pieces: Pieces, status: int, retry_after: bytes) -> bool:
        """The provider answered `status` to an attempt whose bytes were `pieces`: whether another key can be tried."""
        if status not in RESTS_S or not pieces:
            return False
        head = bytes(pieces[0]).partition(b"\r\n\r\n")[0] + b"\r\n"
        for key in self._shelf.keys:
            if self._of(key) in head:
                return self._shelf.rest(key, status, _seconds(retry_after))
        return False

    def _of(self, key: OpenKey) -> bytes:
        return self._line.format(key=key.secret.strip()).encode("latin-1") + b"\r\n"


class Vault:
    """The stored keys of all providers in one worker. They follow the database: `read` is a reader of `Watch`."""

    def __init__(self, operator_key: Callable[[], bytes]) -> None:
        """operator_key: read only where keys are stored. Raises ConfigError where it does not open them."""
        self._operator_key = operator_key
        self._sealed: list[tuple[str, str, str, str]] = []
        self._changed: Callable[[], object] | None = None
        self.shelves: dict[str, Shelf] = {}

    def start(self, changed: Callable[[], object]) -> None:
        """From now on `changed` is called when other providers have keys than before, and a key that cannot be opened
        is a line in the log: those before it stay in use."""
        self._changed = changed

    def read(self, connection: Connection) -> Publish | None:
        sealed = sealed_keys(connection)
        if sealed == self._sealed:
            return None
        try:
            opened = open_keys(self._operator_key(), sealed) if sealed else {}
            for provider, keys in opened.items():
                for key in keys:
                    header_safe(provider, key.secret)
        except (ConfigError, OSError) as error:
            if self._changed is None:
                raise
            log.error("providers' keys: %s; those in use stay", error)
            return lambda: self._note(sealed)
        return lambda: self._put(sealed, opened)

    def _note(self, sealed: list[tuple[str, str, str, str]]) -> None:
        self._sealed = sealed

    def _put(self, sealed: list[tuple[str, str, str, str]], opened: Mapping[str, Sequence[OpenKey]]) -> None:
        self._sealed = sealed
        before = {provider for provider, shelf in self.shelves.items() if shelf.has_stored}
        for provider in {*self.shelves, *opened}:
            self.shelves.setdefault(provider, Shelf(provider)).put(opened.get(provider, ()))
        if self._changed is not None and before != set(opened):
            self._changed()


def _seconds(retry_after: bytes) -> float | None:
    """`Retry-After` in seconds; None for none, and for a date, whose clock is not ours."""
    text = retry_after.strip()
    return float(text) if text.isdigit() and len(text) <= 9 else None
