"""The arithmetic of one window: pure, shared by every store, which calls it with the window locked.

`held` is what all workers hold together: what each was granted, less what it gave back; what they spent is in it.
A grant never lifts it above the limit, so money cannot overshoot whatever the workers do with their slices.
"""

import msgspec

from tidegate.core.quota import LeaseAnswer, LeaseAsk

SHARE = 4
"""A slice is at most this part of an equal share of what remains, so that one worker never dries out the others."""

WANT_FADES_US = 1_000_000
"""For so long after a wish that could not be granted, other workers give back what no call of theirs needs."""

Lot = tuple[int, int]
"""Of a rolling window: in which step (microseconds / step) how much was granted."""


class Holding(msgspec.Struct, kw_only=True):
    """What one worker holds of one window: totals since it began with it. lots: oldest first; none unless rolling."""

    granted: int = 0
    returned: int = 0
    spent: int = 0
    lots: list[Lot] = []

    @property
    def unspent(self) -> int:
        return self.granted - self.returned - self.spent


class Account(msgspec.Struct, kw_only=True):
    """One window. unspent: the part of `held` that workers have not spent by their last word.

    wanted_us: when a wish was last refused for want of rest; 0: never.
    """

    held: int = 0
    unspent: int = 0
    wanted_us: int = 0
    lots: list[Lot] = []


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """What holds for a window at this moment.

    workers: how many are alive. end_us: when a calendar window ends. step_us and length_us: of a rolling one, else 0.
    """

    limit: int
    workers: int
    now_us: int
    end_us: int | None = None
    step_us: int = 0
    length_us: int = 0

    @property
    def step(self) -> int:
        return self.now_us // self.step_us


def exchange(account: Account, holding: Holding, ask: LeaseAsk, terms: Terms) -> LeaseAnswer:
    """Take in a worker's word on a window and answer it; changes `account` and `holding`.

    A worker that has not heard of its last grant is told of it and granted nothing more: so a repeat changes nothing.
    """
    forget_old(account, holding, terms)
    is_up_to_date = ask.granted == holding.granted
    take_word(account, holding, ask, terms)
    want = max(ask.want, ask.want_min)
    if want and is_up_to_date:
        size = slice_size(terms.limit - account.held, want, ask.want_min, terms.workers)
        if size:
            _add(account, holding, size, terms)
            account.unspent += size
        elif ask.want_min:  # a call is waiting; a wish to have some in hand takes nothing from others
            account.wanted_us = terms.now_us
    remaining = terms.limit - account.held
    return LeaseAnswer(
        window=ask.window,
        granted=holding.granted,
        remaining=remaining,
        unspent=max(0, account.unspent - holding.unspent),
        limit=terms.limit,
        is_contended=0 <= terms.now_us - account.wanted_us < WANT_FADES_US,
        retry_us=_retry_us(account, max(1, ask.want_min) - remaining, terms),
    )


def slice_size(remaining: int, want: int, want_min: int, workers: int) -> int:
    """How much to grant: a part of what remains, no less than `want_min`; 0 where that much does not remain."""
    size = min(want, max(want_min, 1, remaining // (SHARE * max(workers, 1))))
    return size if size <= remaining else 0


def take_word(account: Account, holding: Holding, ask: LeaseAsk, terms: Terms) -> None:
    """Take in what a worker spent and gave back. What it spent above its grants counts against the window too."""
    unspent = holding.unspent
    back = ask.returned - holding.returned
    if back > 0:
        holding.returned = ask.returned
        _remove(account, holding, back, terms)
    holding.spent = max(holding.spent, ask.spent)
    over = -holding.unspent
    if over > 0:
        _add(account, holding, over, terms)
    account.unspent += holding.unspent - unspent


def end_holding(account: Account, holding: Holding, terms: Terms) -> None:
    """Release what a worker had not spent by its last word: its lease of a rate has ended."""
    left = holding.unspent
    if left > 0:
        forget_old(account, holding, terms)
        _remove(account, holding, left, terms)
        holding.granted -= left
        account.unspent -= left


def settle_holding(account: Account, holding: Holding, spent: int, terms: Terms) -> None:
    """Let a dead worker hold exactly what the ledger says it spent: neither more is reserved nor anything forgotten."""
    forget_old(account, holding, terms)
    account.unspent -= holding.unspent
    more = spent - (holding.granted - holding.returned)
    if more > 0:
        _add(account, holding, more, terms)
    else:
        _remove(account, holding, -more, terms)
    holding.granted, holding.returned, holding.spent = spent, 0, spent


def forget_old(account: Account, holding: Holding, terms: Terms) -> None:
    """Of a rolling window: let go what was granted before it began. Late by at most one step, never early."""
    if not terms.step_us:
        return
    first = (terms.now_us - terms.length_us) // terms.step_us
    kept = [lot for lot in account.lots if lot[0] >= first]
    account.held -= sum(amount for _, amount in account.lots) - sum(amount for _, amount in kept)
    account.lots = kept
    holding.lots = [lot for lot in holding.lots if lot[0] >= first]


def _add(account: Account, holding: Holding, amount: int, terms: Terms) -> None:
    holding.granted += amount
    account.held += amount
    if terms.step_us:
        account.lots = _with(account.lots, terms.step, amount)
        holding.lots = _with(holding.lots, terms.step, amount)


def _remove(account: Account, holding: Holding, amount: int, terms: Terms) -> None:
    """Take back what a worker has left over: of a rolling window its newest lots, as it spends the oldest first."""
    if not terms.step_us:
        account.held -= amount
        return
    while amount > 0 and holding.lots:
        step, size = holding.lots[-1]
        part = min(size, amount)
        amount -= part
        account.held -= part
        account.lots = _with(account.lots, step, -part)
        holding.lots = _with(holding.lots, step, -part)


def _with(lots: list[Lot], step: int, amount: int) -> list[Lot]:
    """Lots with `amount` more in a step; empty ones are left out."""
    sizes = dict(lots)
    sizes[step] = sizes.get(step, 0) + amount
    return sorted((step, size) for step, size in sizes.items() if size)


def _retry_us(account: Account, missing: int, terms: Terms) -> int | None:
    """When the window will have given back `missing` at the latest; of a calendar window its end."""
    if not terms.step_us:
        return terms.end_us
    if missing <= 0:
        return terms.now_us
    freeing = terms.step
    for step, size in account.lots:
        freeing = step
        missing -= size
        if missing <= 0:
            break
    return (freeing + 1) * terms.step_us + terms.length_us
