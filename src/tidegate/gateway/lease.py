"""What one worker holds of one window of a quota, and what it says of it to the store. Pure: moments are given.

Calls take from `free` and give back to it by plain arithmetic; the rest is looked at a few times a second, when the
worker and the store exchange their totals (`gateway/leasing.py`).
"""

from typing import Final

from tidegate.core.quota import LeaseAnswer, LeaseAsk, Quota, WindowKey

REQUESTS: Final = 0
OPEN: Final = 1
TOKENS: Final = 2
MONEY: Final = 3
KINDS: Final = {"requests": REQUESTS, "calls_open": OPEN, "tokens": TOKENS, "nano_usd": MONEY}
"""A quota's unit as a place in the amounts of a call."""

Amounts = tuple[int, int, int, int]
"""By kind: requests, calls open, tokens, nano-USD."""

IDLE_S: Final = 1.0  # after so long without a call a lease gives back what is free of it
AHEAD_S: Final = 1.0  # a slice should last so long at the pace of the last exchange
SINCE_MIN_S: Final = 0.01  # a pace is not told by less time
TELL_S: Final = 0.4  # so long what was spent may wait to be told, where nothing is asked or given back
WANT_CALLS: Final = 8  # a call that waits asks for as much as so many like it would need


class Lease:
    """One window. granted - returned - spent - free is what calls in flight have reserved.

    `low`: the least that was free since the last word to the store; what stayed free all the time no call needed.
    `wanted`, `wanted_min`: what waiting calls need, and the least that would help one of them.
    `returning`: given back, and not yet in the store's word.
    `remaining`, `unspent`, `limit`, `retry_us`: the store's last word, as `LeaseAnswer` has it.
    """

    __slots__ = (
        "answers",
        "asked_at",
        "ends_us",
        "free",
        "granted",
        "heard_at",
        "high",
        "is_active",
        "is_contended",
        "kind",
        "limit",
        "low",
        "quota",
        "rate",
        "remaining",
        "retry_us",
        "returned",
        "returning",
        "spent",
        "tell_at",
        "told_spent",
        "unspent",
        "used_at",
        "waiting",
        "wanted",
        "wanted_min",
        "window",
    )

    def __init__(self, quota: Quota, window: WindowKey, ends_us: int) -> None:
        """ends_us: NEVER_US for a window that does not end."""
        self.quota, self.window, self.ends_us = quota, window, ends_us
        self.kind = KINDS[quota.unit]
        self.granted = self.returned = self.spent = self.told_spent = 0
        self.free = self.low = self.high = 0
        self.wanted = self.wanted_min = self.waiting = self.returning = 0
        self.remaining, self.unspent, self.limit = 0, 0, quota.limit
        self.retry_us: int | None = None
        self.is_contended = self.is_active = False
        self.used_at = self.heard_at = self.asked_at = self.tell_at = self.rate = 0.0
        self.answers = 0  # of the store, so far

    @property
    def reserved(self) -> int:
        """What calls in flight hold."""
        return self.granted - self.returned - self.spent - self.free

    @property
    def left(self) -> int:
        """What no call of anybody has, by what is known here."""
        return self.free + self.remaining + self.returning

    @property
    def may_come(self) -> int:
        """What others, or calls of this worker, have reserved and may give back; a request is never given back."""
        return self.unspent if self.kind == REQUESTS else self.unspent + self.reserved

    def need(self, amount: int, least: int) -> None:
        """A waiting call needs this much, or at least so much."""
        self.wanted += amount
        self.wanted_min = least if not self.wanted_min else min(self.wanted_min, least)

    def is_due(self, now: float) -> bool:
        """Whether the store should hear of this window now; with one that is, all others are told too."""
        if self.wanted or self.is_contended:
            return True
        if self.high > self.low:
            self.used_at = now
            if 2 * self.free < self._target(now)[0]:
                return True
        elif self.free > 0 and now - self.used_at > IDLE_S:
            return True
        # also where calls took and came to nothing: else it would look used for ever, and never be given back
        return now >= self.tell_at and (self.told_spent != self.spent or self.high > self.low)

    def ask(self, now: float) -> LeaseAsk | None:
        """The next word to the store; None where there is nothing to say.

        Where a call waits and little remains, everything free goes back and is asked for anew in one breath, so that
        crumbs of several workers add up to a call.
        """
        want, want_min, back = self._wish(now)
        if back > 0:
            self.returned += back
            self.returning += back
            self.free -= back
        self.high = self.low = self.free
        if not want and back <= 0 and not self.is_contended and self.told_spent == self.spent:
            return None
        self.told_spent, self.asked_at, self.tell_at = self.spent, now, now + TELL_S
        return LeaseAsk(
            window=self.window,
            granted=self.granted,
            returned=self.returned,
            spent=self.spent,
            want=want,
            want_min=want_min,
        )

    def _wish(self, now: float) -> tuple[int, int, int]:
        """What to ask for, the least of it that helps, and what to give back."""
        is_used = self.high > self.low
        target, self.rate = self._target(now)
        if is_used:
            self.used_at = now
        if self.wanted:
            want = WANT_CALLS * self.wanted + target
            if self.remaining > want:
                return want, max(1, self.wanted_min - self.free), 0
            return want, self.wanted_min, self.free
        if self.is_contended:
            return 0, 0, min(self.low, self.free)
        if now - self.used_at > IDLE_S:
            return 0, 0, self.free
        return (max(0, target - self.free) if is_used else 0), 0, 0

    def _target(self, now: float) -> tuple[int, float]:
        """What should be free, and the pace: what calls spend in AHEAD_S, and twice what they had reserved at most."""
        used = self.spent - self.told_spent if self.told_spent >= 0 else 0
        rate = max(used / max(now - self.asked_at, SINCE_MIN_S), self.rate / 2)
        return int(rate * AHEAD_S) + 2 * max(self.high - self.low - used, self.reserved), rate

    def last_word(self) -> LeaseAsk:
        """The worker ends: all that is not spent goes back."""
        return LeaseAsk(window=self.window, granted=self.granted, returned=self.returned, spent=self.spent)

    def take(self, answer: LeaseAnswer, now: float) -> None:
        """Take in the store's word. A rate whose lease had ended meanwhile may be granted less than is known here."""
        self.heard_at = now
        self.returning = 0
        more = answer.granted - self.granted
        self.granted = answer.granted
        self.free += more
        self.high += more
        self.low += more
        self.remaining, self.unspent, self.limit = answer.remaining, answer.unspent, answer.limit
        self.is_contended, self.retry_us = answer.is_contended, answer.retry_us
        self.answers += 1

    @property
    def is_idle(self) -> bool:
        """Nothing held, nothing to be told."""
        return not (self.free or self.waiting or self.reserved or self.told_spent != self.spent)
