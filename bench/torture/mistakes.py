"""Mistakes made in the product on purpose, in every process of an installation: torture has to find each of them.

Loaded by `inside/sitecustomize.py`, before the product runs.
"""

from collections.abc import Callable
from itertools import count
from typing import Any

EVERY = 4
"""Each so many-th time the mistake is made, so that it is not too easy."""


def make(mistake: str, *, is_worker: bool) -> None:
    """Put one mistake into this process, if it is of the kind that makes it."""
    if is_worker:
        WORKER.get(mistake, _nothing)()
    else:
        BOOKS.get(mistake, _nothing)()


def _nothing() -> None:
    pass


def _skip_settle() -> None:
    """A call ends, what it reserved is released, and what it cost is counted nowhere."""
    from tidegate.gateway.claim import Claim

    plain, turn = Claim.settle, count(1)

    def settle(self: Claim, used: Any) -> bool:
        return plain(self, (used[0], used[1], used[2], 0) if next(turn) % EVERY == 0 else used)

    Claim.settle = settle  # type: ignore[method-assign]


def _settle_twice() -> None:
    """A call that has been settled is settled again."""
    from tidegate.gateway.claim import Claim

    plain, turn = Claim.settle, count(1)

    def settle(self: Claim, used: Any) -> bool:
        held = self.is_held
        done = plain(self, used)
        if held and next(turn) % EVERY == 0:
            self.is_held = True
            plain(self, used)
        return done

    Claim.settle = settle  # type: ignore[method-assign]


def _drop_release() -> None:
    """A call ends, its cost is counted, and the rest of what it reserved stays reserved."""
    from tidegate.gateway.claim import Claim

    plain, turn = Claim.settle, count(1)

    def settle(self: Claim, used: Any) -> bool:
        if self.is_held and next(turn) % EVERY == 0:
            self.is_held = False
            for lease in self.leases:
                lease.spent += used[lease.kind]
            return False
        return plain(self, used)

    Claim.settle = settle  # type: ignore[method-assign]


def _forget_fallback() -> None:
    """The cost of an attempt that was given up is in no row."""
    from tidegate.gateway import rows

    rows._upstream_cost = lambda attempts: attempts[-1].upstream_cost_nano_usd  # type: ignore[assignment]


def _blind_grant() -> None:
    """A store that grants what is asked, whatever remains."""
    from tidegate.accounts.quotas import account

    account.slice_size = lambda remaining, want, want_min, workers: want  # type: ignore[assignment]


def _forgetful_store() -> None:
    """A store that takes a repeated message in again."""
    from tidegate.accounts.quotas import account

    plain, turn = account.take_word, count(1)

    def take_word(own: Any, holding: Any, ask: Any, terms: Any) -> None:
        if ask.returned and next(turn) % EVERY == 0:
            holding.returned = 0
        plain(own, holding, ask, terms)

    account.take_word = take_word


def _book_twice() -> None:
    """A segment is booked a second time, under another reference."""
    from tidegate.accounts.books import settle

    plain = settle.usage_posting

    def usage_posting(tenant_id: str, day: str, rows: Any, amounts: Any, *, booked_us: int) -> Any:
        return plain(tenant_id, day, rows, tuple(2 * amount for amount in amounts), booked_us=booked_us)  # type: ignore[arg-type]

    settle.usage_posting = usage_posting


WORKER: dict[str, Callable[[], None]] = {
    "skip_settle": _skip_settle,
    "settle_twice": _settle_twice,
    "drop_release": _drop_release,
    "forget_fallback": _forget_fallback,
    "blind_grant": _blind_grant,
    "forgetful_store": _forgetful_store,
}
BOOKS: dict[str, Callable[[], None]] = {"book_twice": _book_twice}
NAMES = (*WORKER, *BOOKS)
