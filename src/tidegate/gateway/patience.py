"""How long a call may still take: one deadline, moved by what is heard of the provider, looked at by the sweep."""

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tidegate.gateway.connect import Target

NEVER = float("inf")
SWEEP_S = 0.25  # between two looks at the deadlines
LINGER_S = 5.0  # after an early refusal: how long a caller may go on sending, unread
LINGER_BYTES_MAX = 64 * 1024 * 1024
AFTER_DONE_S = 1.0  # how long a provider may keep its connection after its last event before we hang up


class Patience:
    """The time-outs of one call. All moments are seconds of the monotonic clock.

    `first_s`: what the provider had for its first byte, where that was less than its own time; 0 otherwise.
    `heard`: when the provider was last heard by the sweep's clock, up to SWEEP_S late. `quiet_at`: when the caller of a
    stream should get a sign of life, NEVER where none is due.
    """

    __slots__ = ("_idle_s", "_is_paused", "_total", "deadline", "first_s", "heard", "quiet_at")

    def __init__(self) -> None:
        self.deadline = self._total = self.quiet_at = NEVER
        self.heard = self.first_s = 0.0
        self._idle_s = NEVER
        self._is_paused = False

    def dispatch(self, target: "Target", now: float) -> None:
        """An attempt begins; dialling has a time-out of its own."""
        self._idle_s, self._total = target.idle_s, now + target.total_s
        self.heard = self.first_s = 0.0  # of this attempt's provider

    def connected(self, target: "Target") -> None:
        deadline = time.monotonic() + target.first_byte_s
        self.deadline = deadline if deadline < self._total else self._total

    def first_by(self, seconds: float) -> None:
        """Less than the provider's own time for its first byte, where another endpoint could answer."""
        deadline = time.monotonic() + seconds
        if deadline < self.deadline:
            self.deadline, self.first_s = deadline, seconds

    def hear(self) -> None:
        """The provider said something, by the long way."""
        self.heard = time.monotonic()
        if not self._is_paused:
            deadline = self.heard + self._idle_s
            self.deadline = deadline if deadline < self._total else self._total

    def is_quiet(self, now: float, seconds: float) -> bool:
        """Whether the provider was silent for so long, or the caller's last sign of life is as old; the next is set."""
        was_quiet = self.heard + seconds <= now
        self.quiet_at = now + seconds if was_quiet else self.heard + seconds
        return was_quiet

    def is_over(self) -> bool:
        """After the deadline: whether nothing was heard since by the short way either. Else it is moved."""
        self.deadline = min(self.heard + self._idle_s + SWEEP_S, self._total)
        return self.deadline <= time.monotonic()

    @property
    def is_over_in_total(self) -> bool:
        return time.monotonic() >= self._total

    def pause(self) -> None:
        """The caller is slower than the provider: the silence is ours."""
        self._is_paused = True
        self.deadline = self._total

    def resume(self) -> None:
        self._is_paused = False
        self.hear()

    def limit(self, seconds: float) -> None:
        """The whole may take no more than this from now on."""
        self._total = min(self._total, time.monotonic() + seconds)

    def end(self, ended: float) -> None:
        """The provider's last event has come; its connection should end or be free in a moment."""
        self.deadline = ended + AFTER_DONE_S
        self.quiet_at = NEVER
