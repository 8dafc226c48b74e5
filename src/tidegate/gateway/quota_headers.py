"""What replies tell of the quotas they count against: the headers that OpenAI's clients read, and a clamped limit."""

import time
from typing import TYPE_CHECKING, Final

from tidegate.accounts.quotas.windows import LENGTH_US
from tidegate.gateway.lease import REQUESTS, Lease

if TYPE_CHECKING:
    from tidegate.gateway.claim import Claim

_NEVER_US: Final = 1 << 62


def quota_lines(claim: "Claim") -> bytes:
    """The header lines of a reply to this call."""
    lines = b"x-tidegate-max-tokens-clamped: %d\r\n" % claim.clamp if claim.clamp else b""
    for lease in claim.plan.shown:
        lines += _rate(lease)
    return lines


def _rate(lease: Lease) -> bytes:
    """A limit, what is left of it as far as this worker knows, and when the window begins anew."""
    name = b"requests" if lease.kind == REQUESTS else b"tokens"
    left = lease.left
    lines = b"x-ratelimit-limit-%b: %d\r\nx-ratelimit-remaining-%b: %d\r\n" % (
        name, lease.limit, name, left if left > 0 else 0,
    )  # fmt: skip
    if lease.ends_us < _NEVER_US:
        seconds = max(0, lease.ends_us - time.time_ns() // 1000) // 1_000_000 + 1
    elif lease.quota.is_rolling:
        seconds = LENGTH_US[lease.quota.window] // 1_000_000
    else:
        return lines  # a lifetime does not begin anew
    return lines + b"x-ratelimit-reset-%b: %b\r\n" % (name, _duration(seconds))


def _duration(seconds: int) -> bytes:
    """As OpenAI writes it: `45s`, `6m0s`, `2h0m5s`."""
    if seconds < 60:
        return b"%ds" % seconds
    minutes, seconds = divmod(seconds, 60)
    if minutes < 60:
        return b"%dm%ds" % (minutes, seconds)
    return b"%dh%dm%ds" % (minutes // 60, minutes % 60, seconds)
