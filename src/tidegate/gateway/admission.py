"""Admission: a call reserves what it may come to before it is made, and settles what it came to after it.

Both are arithmetic on slices that this worker holds (`gateway/lease.py`); the store is asked beside the calls
(`gateway/leasing.py`). A call for which too little is free waits: for the store's next word, and then for what other
calls have reserved, up to `[accounts] quota_wait_s`. A quota that is used up refuses at once.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

import sqlalchemy as sa

from tidegate.accounts.money.terms import read_terms
from tidegate.accounts.quotas.book import QuotaBook
from tidegate.accounts.quotas.store import Lessee, QuotaStore
from tidegate.accounts.schema import tenants
from tidegate.core.errors import GatewayError, Unavailable
from tidegate.core.quota import Quota
from tidegate.core.terms import TermsBook
from tidegate.gateway.bounds import Ceilings
from tidegate.gateway.claim import Claim
from tidegate.gateway.claiming import claim_of
from tidegate.gateway.lease import MONEY, Lease
from tidegate.gateway.leasing import AGAIN_S, Leasing
from tidegate.gateway.plan import Plan, make_lease
from tidegate.gateway.refusals import refusal, store_silent

if TYPE_CHECKING:
    from tidegate.accounts.keys import Key
    from tidegate.accounts.watch import Publish
    from tidegate.core.facts import Endpoint
    from tidegate.gateway.call import Call
    from tidegate.gateway.choosing import Choosing
    from tidegate.gateway.meter import Settlement

PLANS_MAX: Final = 20_000  # of keys, kept, about 1 kB each; then they are made anew
WAITING_MAX: Final = 10_000  # calls of one worker that wait for a quota
STORE_REST_S: Final = 1.0  # for so long after it failed no call waits for the store, which is asked all the same
GRANT_S: Final = 5.0  # for so long a call waits for the store's word on what nobody holds, however short `quota_wait_s`
FRESH_S: Final = 0.25  # for so long the store's word that nothing is left is believed without asking again


class Waiting:
    """A call that waits. `due`: the exchange, by its number, that asked for it; before its end nothing is decided.

    `until`: for what other calls have reserved. `answered_by`: for the store.
    """

    __slots__ = ("answered_by", "call", "claim", "due", "until")

    def __init__(self, call: "Choosing", claim: Claim, due: int, *, now: float, wait_s: float) -> None:
        self.call, self.claim, self.due = call, claim, due
        self.until, self.answered_by = now + wait_s, now + max(wait_s, GRANT_S)


class Gate:
    """One per worker."""

    def __init__(self, loop: asyncio.AbstractEventLoop, lessee: Lessee, book: QuotaBook,
                 make_store: Callable[[], QuotaStore], *, lease_s: float, wait_s: float) -> None:  # fmt: skip
        """make_store: called in a thread when a quota is met first. lease_s, wait_s: as `[accounts]` has them."""
        self.loop = loop
        self.book, self.terms = book, TermsBook()
        self.leasing = Leasing(loop, make_store, lessee, lease_s=lease_s, before=self._ask_for_all, after=self._retry)
        self.ceilings = Ceilings()
        self.languages: Mapping[str, str] = {}  # of tenants that want to read refusals in one
        self._wait_s = wait_s
        self._plans: dict[str, Plan | None] = {}
        self._waiting: dict[Call, Waiting] = {}
        self._is_woken = False

    # -- plans --------------------------------------------------------------------------------------------------------

    def read(self, connection: "sa.Connection") -> "Publish":
        """A reader of `accounts.watch.Watch`: quotas, terms and languages of now; plans are compiled anew from them."""
        publish, terms = self.book.read(connection), read_terms(connection)
        spoken = sa.select(tenants.c.tenant_id, tenants.c.language).where(tenants.c.language != "")
        languages = {row.tenant_id: row.language for row in connection.execute(spoken)}

        def renew() -> None:
            if publish is not None:
                publish()
            self.terms, self.languages = terms, languages
            self._plans.clear()

        return renew

    def plan_of(self, key: "Key") -> Plan | None:
        """What holds for a key; None where nothing does."""
        try:
            return self._plans[key.key_id]
        except KeyError:
            if len(self._plans) >= PLANS_MAX:
                self._plans.clear()
            made = Plan(key, self.book, self._lease_of)
            plan = self._plans[key.key_id] = None if made.says_nothing and not self.terms.has_groups else made
            return plan

    def _lease_of(self, quota: Quota, subject: str, now_us: int) -> Lease:
        return self.leasing.keep(make_lease(quota, subject, now_us))

    def claim(self, call: "Choosing") -> Claim | None:
        """What a call asks; None where nothing limits it or prices it. Raises Forbidden."""
        plan = self.plan_of(call.key)
        return None if plan is None else claim_of(self, plan, call)

    def check(self, call: "Choosing", endpoint: "Endpoint") -> None:
        """Raises Forbidden, naming what the caller's key may not do with an endpoint."""
        plan = self.plan_of(call.key)
        if plan is not None and plan.has_rules:
            plan.check(endpoint, call.client.caller.address(call.request.headers), call.ladder_name)

    # -- in -----------------------------------------------------------------------------------------------------------

    def admit(self, call: "Choosing", claim: Claim) -> bool:
        """Reserve what the call asks. False: it waits, and will be told (`Choosing.on_admitted`, or `refuse`).

        Raises GatewayError.
        """
        if self.leasing.valid_until > call.request.complete:
            if claim.take_if_free():
                if claim.bound is not None and claim.bound.output_tokens is None:
                    claim.clamp_to_budget()
                return True
        elif not claim.leases:
            return True
        self._wait(call, claim)
        return False

    def _wait(self, call: "Choosing", claim: Claim) -> None:
        now, leasing = time.monotonic(), self.leasing
        if leasing.failure and leasing.valid_until <= now < leasing.failed_at + STORE_REST_S:
            raise store_silent(leasing.failure)
        for lease in claim.leases:
            is_fresh = now - lease.heard_at < FRESH_S and leasing.valid_until > now
            if is_fresh and _is_hopeless(lease, claim):
                raise self._refusal(claim, lease)
        if len(self._waiting) >= WAITING_MAX:
            raise Unavailable("Too many calls wait for their quotas; call again in a moment.", retry_after_s=1)
        for lease in claim.leases:
            lease.waiting += 1
            leasing.activate(lease)
        self._waiting[call] = Waiting(call, claim, leasing.begun + 1, now=now, wait_s=self._wait_s)
        leasing.hurry()

    def _ask_for_all(self) -> None:
        """Tell the leases that are short what waiting calls need of them."""
        for waiting in self._waiting.values():
            claim = waiting.claim
            for lease in claim.leases:
                amount, least = claim.amounts[lease.kind], claim.least[lease.kind]
                if lease.free < amount:
                    is_last = lease.answers > 0 and lease.left < amount and not lease.may_come
                    lease.need(amount, max(least, min(amount, lease.left)) if is_last else amount)

    def is_waiting(self, call: "Call") -> bool:
        return call in self._waiting

    def leave(self, call: "Call") -> None:
        """A call ends while it waits, or without having waited."""
        waiting = self._waiting.pop(call, None)
        if waiting is not None:
            for lease in waiting.claim.leases:
                lease.waiting -= 1

    # -- waiting ------------------------------------------------------------------------------------------------------

    def _wake(self) -> None:
        if not self._is_woken:
            self._is_woken = True
            self.loop.call_soon(self._retry)

    def _retry(self) -> None:
        """Something was released or granted: look at every call that waits, in the order in which they came."""
        self._is_woken = False
        if not self._waiting:
            return
        now, is_asking = time.monotonic(), False
        for waiting in list(self._waiting.values()):
            if waiting.call not in self._waiting:
                continue
            try:
                is_admitted = self._judge(waiting, now)
            except GatewayError as error:
                self.leave(waiting.call)
                waiting.call.refuse(error)
                continue
            if is_admitted:
                self.leave(waiting.call)
                waiting.claim.clamp_to_budget()
                waiting.call.on_admitted()
            else:
                is_asking = True
        if is_asking:
            self.leasing.hurry(AGAIN_S)

    def _judge(self, waiting: Waiting, now: float) -> bool:
        """Whether a call goes now, with what it asks or with less. Raises what it is refused with."""
        claim, leasing = waiting.claim, self.leasing
        is_late, is_over = now >= waiting.until, now >= waiting.answered_by
        if leasing.valid_until <= now:
            if (leasing.failure and leasing.ended >= waiting.due) or is_over:
                raise store_silent(leasing.failure)
            return False
        short = [lease for lease in claim.leases if lease.free < claim.amounts[lease.kind]]
        if not short:
            claim.take()
            return True
        if leasing.ended < waiting.due and not is_over:
            return False
        if leasing.failure or not all(lease.answers for lease in short):
            raise store_silent(leasing.failure)
        for lease in short:
            if _is_hopeless(lease, claim):
                raise self._refusal(claim, lease)
        is_enough = all(claim.least[lease.kind] <= lease.free for lease in short)
        if is_enough and (is_late or not any(_is_worth_waiting(lease, claim) for lease in short)):
            claim.fit()
            return True
        is_to_fetch = all(lease.left >= claim.least[lease.kind] for lease in short)  # nobody holds it
        if is_to_fetch and is_over:
            raise store_silent("it has not handed out in time what is left")  # the caller is not short of anything
        if is_late and not is_to_fetch:
            raise self._refusal(claim, short[0])
        return False

    def _refusal(self, claim: Claim, lease: Lease) -> GatewayError:
        now_us = time.time_ns() // 1000
        tokens = None
        if lease.kind == MONEY and claim.bound is not None and claim.bound.output_tokens:
            tokens = claim.bound.affordable(max(0, lease.left))
        return refusal(lease, claim.least[lease.kind], now_us, output_tokens=tokens)

    # -- out ----------------------------------------------------------------------------------------------------------

    def settle(self, call: "Call", settlement: "Settlement", *, is_request: bool) -> None:
        """A call has ended: count what it came to, release the rest. Again: no change.

        is_request: it counts as one; it does not where nothing was sent.
        """
        claim = call.claim
        if claim is None or not claim.is_held:
            self.leave(call)
            return
        usage = settlement.usage
        tokens = usage.input_tokens + usage.output_tokens if usage is not None else 0
        if claim.settle((1 if is_request else 0, 0, tokens, settlement.cost_nano_usd)) and self._waiting:
            self._wake()

    # -- time ---------------------------------------------------------------------------------------------------------

    def tick(self, now: float) -> None:
        """A few times a second: exchange with the store; refuse calls that have waited long enough."""
        self.leasing.tick(now)
        if self._waiting:
            self._retry()

    async def close(self) -> None:
        """Give back what is held."""
        await self.leasing.close()


def _is_hopeless(lease: Lease, claim: Claim) -> bool:
    """Not even the least can come, whatever others give back."""
    return lease.left + lease.may_come < claim.least[lease.kind]


def _is_worth_waiting(lease: Lease, claim: Claim) -> bool:
    """More may come than is free: from others, or with the store's next word."""
    return lease.may_come > 0 or lease.left >= claim.amounts[lease.kind]
