"""An answer under way, and the callers who wait for it beside the one who asked for it first and pays.

The events of a stream are kept as they come, so that whoever joins later begins at the beginning. Once they are more
than one answer may have, nobody joins any more, and what all have taken is let go. Who falls further behind than that
holds up the others for GRACE_S in all, and is then left behind: the buffers of sockets are of different sizes, and a
burst alone should cost nobody an answer.
"""

import asyncio
from collections import deque
from collections.abc import Iterator
from typing import Final, Protocol

from tidegate.gateway.response_cache import Kept, ResponseCache

GRACE_S: Final = 1.0  # for which one stream may wait in all for those who are too far behind


class Follower(Protocol):
    """A call that waits for another's answer."""

    @property
    def is_slow(self) -> bool:
        """Its caller takes nothing at present."""
        ...

    def on_piece(self) -> None:
        """There is more of the answer."""
        ...

    def on_landed(self, kept: Kept, last: bytes | None) -> None:
        """The answer is whole. last: its last piece; None where it did not come in pieces.

        The body of `kept` is empty where it came in pieces and not all of them are held any more.
        """
        ...

    def on_lost(self) -> None:
        """There will be no answer."""
        ...

    def on_left_behind(self) -> None:
        """The others have waited long enough for this caller."""
        ...


class Leader(Protocol):
    """The call that asks the provider."""

    @property
    def is_slow(self) -> bool:
        """Its caller takes nothing at present, or has left."""
        ...

    @property
    def unsent_bytes(self) -> int:
        """What its caller has not taken yet."""
        ...

    def on_left_behind(self) -> None:
        """As a follower's."""
        ...

    def on_paced(self, *, is_stalled: bool) -> None:
        """Nobody takes anything any more, so the provider need not be read; or somebody does again."""
        ...

    def on_alone(self) -> None:
        """Nobody waits with it any more."""
        ...


class _Place:
    """How far a follower is: the number of the next piece, and the bytes before it."""

    __slots__ = ("number", "taken_bytes")

    def __init__(self) -> None:
        self.number = self.taken_bytes = 0


class Flight:
    """One answer under way.

    `endpoint_id`, `total_s`: of who is asked now, and how long that may take. `lines`: header lines of the answer, once
    it has begun. `is_in_pieces`: it comes as a stream, and has begun.
    """

    def __init__(self, cache: ResponseCache, name: bytes, leader: Leader, loop: asyncio.AbstractEventLoop) -> None:
        """Others may join it where the cache has it under its name."""
        self._cache, self._name, self._leader, self._loop = cache, name, leader, loop
        self._grace_s, self._waits_since = GRACE_S, 0.0
        self._timer: asyncio.TimerHandle | None = None  # while it waits for those who are too far behind
        self._followers: dict[Follower, _Place] = {}
        self._pieces: deque[bytes] = deque()
        self._first = 0  # the number of the first piece held
        self._held_bytes = self._total_bytes = 0
        self._is_open, self._is_starved, self._is_stalled = True, False, False
        self.is_in_pieces = self.is_over = False
        self.endpoint_id = ""
        self.total_s = 0.0
        self.lines = b""

    @property
    def has_followers(self) -> bool:
        return bool(self._followers)

    @property
    def lag_bytes_max(self) -> int:
        """How far a follower may be behind."""
        return 0 if self._is_starved else self._cache.settings.entry_bytes_max

    # -- followers ----------------------------------------------------------------------------------------------------

    def join(self, follower: Follower) -> None:
        """To be called only for a flight that the cache still has under its name."""
        self._followers[follower] = _Place()
        self.pace()

    def leave(self, follower: Follower) -> None:
        """Again, or by a stranger: no change."""
        if self._followers.pop(follower, None) is None:
            return
        self._let_go()
        if not self._followers and not self.is_over:
            self._leader.on_alone()
        self.pace()

    def pace(self) -> None:
        """The fastest sets the pace: the provider is read while anybody takes what it says, and nobody is too late."""
        if self.is_over:
            return
        late = self._late()
        if late and self._grace_s <= 0:
            for one in late:
                if one is self._leader or one in self._followers:  # who left meanwhile is not concerned
                    one.on_left_behind()
            late = []
        is_stalled = bool(late) or (self._leader.is_slow and all(one.is_slow for one in self._followers))
        if is_stalled is not self._is_stalled:
            self._is_stalled = is_stalled
            self._leader.on_paced(is_stalled=is_stalled)
        self._count_grace(is_late=bool(late))

    def _late(self) -> list[Follower | Leader]:
        if not self._followers:
            return []
        limit = self.lag_bytes_max
        late: list[Follower | Leader] = [one for one in self._followers if one.is_slow and self.lag_bytes(one) > limit]
        return [*late, self._leader] if self._leader.unsent_bytes > self._cache.settings.entry_bytes_max else late

    def _count_grace(self, *, is_late: bool) -> None:
        if is_late and self._timer is None:
            self._waits_since = self._loop.time()
            self._timer = self._loop.call_later(self._grace_s, self._lose_patience)
        elif not is_late and self._timer is not None:
            self._timer.cancel()
            self._timer = None
            self._grace_s -= self._loop.time() - self._waits_since

    def _lose_patience(self) -> None:
        self._timer, self._grace_s = None, 0.0
        self.pace()

    def lag_bytes(self, follower: Follower) -> int:
        """How much of the answer a follower has not taken yet."""
        return self._total_bytes - self._followers[follower].taken_bytes

    def read(self, follower: Follower) -> bytes:
        """What a follower has not taken yet; now it has."""
        place = self._followers[follower]
        pieces = [*self._pieces][place.number - self._first :] if place.number > self._first else self._pieces
        place.number, place.taken_bytes = self._first + len(self._pieces), self._total_bytes
        return b"".join(pieces)

    # -- the leader's -------------------------------------------------------------------------------------------------

    def add(self, piece: bytes) -> None:
        """An event, or some, go to the leader's caller; they go to all others, too."""
        if not piece or self.is_over or not (self._is_open or self._followers):
            return
        size = len(piece)
        self.is_in_pieces = True
        self._pieces.append(piece)
        self._total_bytes += size
        self._held_bytes += size
        if not self._cache.take(size):
            self._cache.count(size)
            self._is_starved = True
        if self._is_starved or self._held_bytes > self._cache.settings.entry_bytes_max:
            self._close()
        for follower in self._present():
            follower.on_piece()
        self._let_go()
        self.pace()

    def whole(self, last: bytes) -> bytes:
        """All of a stream; empty where its begin is not held any more."""
        return b"".join((*self._pieces, last)) if self._is_open else b""

    def land(self, kept: Kept, last: bytes | None) -> None:
        """The answer is whole, and recorded; as `Follower.on_landed`."""
        if self._end():
            for follower in self._present():
                follower.on_landed(kept, last)
            self._let_go()

    def lose(self) -> None:
        """There will be no answer; again, or after it is over: no change."""
        if self._end():
            for follower in self._present():
                follower.on_lost()
            self._let_go()

    def _end(self) -> bool:
        """False where it is over already."""
        was_over, self.is_over = self.is_over, True
        self._count_grace(is_late=False)
        self._close()
        return not was_over

    def _present(self) -> Iterator[Follower]:
        """All, but those who leave meanwhile."""
        for follower in list(self._followers):
            if follower in self._followers:
                yield follower

    # -- what is held -------------------------------------------------------------------------------------------------

    def _close(self) -> None:
        """Nobody joins any more."""
        self._is_open = False
        if self._cache.flights.get(self._name) is self:
            del self._cache.flights[self._name]

    def _let_go(self) -> None:
        """Forget the pieces that all have taken, where nobody will begin at the beginning."""
        if self._is_open or not self._pieces:
            return
        end = self._first + len(self._pieces)
        needed = min([place.number for place in self._followers.values()], default=end)
        while self._first < needed:
            size = len(self._pieces.popleft())
            self._first += 1
            self._held_bytes -= size
            self._cache.count(-size)
