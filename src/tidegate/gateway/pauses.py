"""Calls between two attempts: who failed them may be asked again, a little later.

A call that waits holds nothing but its request: no connection, no reservation.
"""

import asyncio
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from tidegate.gateway.choosing import Choosing

WAITING_MAX: Final = 1000  # calls of one worker; beyond them a call that would wait is answered at once


class Pauses:
    """One per worker."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._timers: dict[object, asyncio.TimerHandle] = {}

    @property
    def has_room(self) -> bool:
        return len(self._timers) < WAITING_MAX

    def begin(self, call: "Choosing", pause_s: float) -> None:
        """Tell a call when its pause is over, unless that is ended before."""
        self._timers[call] = self._loop.call_later(pause_s, self._over, call)

    def end(self, call: object) -> bool:
        """The call waits no longer; False: it did not."""
        timer = self._timers.pop(call, None)
        if timer is None:
            return False
        timer.cancel()
        return True

    def _over(self, call: "Choosing") -> None:
        del self._timers[call]
        call.on_pause_over()
