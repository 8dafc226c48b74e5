"""A quota: so many units of something, for somebody, in a window. Every limit is one: rates, budgets, prepaid credit.

Workers do not count against a quota; they lease slices of it and spend those locally. What they say to the store that
grants slices, and what it answers, are the two values at the end: all their numbers are running totals of one worker
and one window, so that a message which is sent twice changes nothing.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Scope = Literal["tenant", "project", "key", "user", "model", "endpoint", "network"]
Unit = Literal["nano_usd", "requests", "tokens", "calls_open"]
Window = Literal["minute", "hour", "day", "week", "month", "lifetime"]
Amount = Annotated[int, Meta(ge=0)]

EACH = "*"
"""As a quota's subject: everybody in its scope has one of their own."""


class Quota(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A limit of one tenant.

    `subject`: the id in the scope (tenant, project or key id, end user's hash, model, endpoint id, network in CIDR);
    `*`: each one separately. `limit`: nano-USD, requests, tokens (input and output), or calls at one time (whose window
    is `lifetime`). `is_rolling`: the window ends now; otherwise it is the calendar's in `timezone` (an IANA name).
    `is_wallet`: prepaid credit, whose limit is what the wallet was credited with, and the overdraft it is allowed.
    `name`: what a refusal calls it.
    """

    quota_id: str
    tenant_id: str
    scope: Scope
    subject: str
    unit: Unit
    window: Window
    limit: Amount
    is_rolling: bool = False
    timezone: str = "UTC"
    is_wallet: bool = False
    name: str = ""


class WindowKey(msgspec.Struct, frozen=True, gc=False):
    """One window of one quota for one subject: what is leased. start_us: UTC; 0 for `lifetime` and rolling ones."""

    quota_id: str
    subject: str
    start_us: int


class LeaseAsk(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A worker's word on one window. Totals since the worker began with it.

    `granted`: what the worker knows it was granted. `returned`: what it gives back of that, now included. `spent`:
    what its finished calls came to. granted - returned - spent is what it still may spend or has reserved.
    `want`: what it would like beyond that; the store grants no less than `want_min` (one call's reservation), or none.
    want_min 0: to have some in hand; only a refused `want_min` makes other workers give back.
    A rate may be spent above what was granted (a call that came out larger): the store takes that in as it is.
    """

    window: WindowKey
    granted: Amount
    returned: Amount
    spent: Amount
    want: Amount = 0
    want_min: Amount = 0


class LeaseAnswer(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The store's word on it.

    `granted`: total granted to this worker, to be taken over as it is: what is above the worker's own total is new; it
    is below it where the lease of a rate had ended in the meantime. `remaining`: what nobody holds.
    `unspent`: what others hold and have not spent by their last word: it may come back. `is_contended`: somebody
    wants more than remains: give back what no call needs. `retry_us`: when the window gives again, where it does.
    `limit`: in force now.
    """

    window: WindowKey
    granted: Amount
    remaining: int
    unspent: Amount
    limit: int
    is_contended: bool = False
    retry_us: int | None = None
