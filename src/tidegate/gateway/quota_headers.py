"""What replies tell of the quotas they count against: the headers that OpenAI's clients read, and a clamped limit."""

from typing import TYPE_CHECKING, Final

from tidegate.accounts.quotas.windows import LENGTH_US
from tidegate.gateway.lease import REQUESTS, Lease

if TYPE_CHECKING:
    from tidegate.gateway.claim import Claim
    from tidegate.gateway.plan import Plan

_NEVER_US: Final = 1 << 62


def quota_lines(claim: "Claim", now_s: int) -> bytes:
    """The header lines of a reply to this call. now_s: Unix time."""
    plan = claim.plan
    if plan.told_s != now_s:
        _renew(plan, now_s)
    if not plan.shown:
        lines = b""
    elif len(plan.shown) == 1:
        lines = plan.told % _left(plan.shown[0])
    else:
        lines = plan.told % (_left(plan.shown[0]), _left(plan.shown[1]))
    return b"x-tidegate-max-tokens-clamped: %d\r\n%b" % (claim.clamp, lines) if claim.clamp else lines


def _left(lease: Lease) -> int:
    left = lease.free + lease.remaining + lease.returning
    return left if left > 0 else 0


def _renew(plan: "Plan", now_s: int) -> None:
    """Write anew, once a second, what stands around the changing numbers."""
    plan.told_s = now_s
    plan.told = b"".join([_around(lease, now_s) for lease in plan.shown])


def _around(lease: Lease, now_s: int) -> bytes:
    """A limit, and when its window begins anew; what is left of it, as far as this worker knows, stands between."""
    name = "requests" if lease.kind == REQUESTS else "tokens"
    before = f"x-ratelimit-limit-{name}: {lease.limit}\r\nx-ratelimit-remaining-{name}: %d\r\n"
    if lease.ends_us < _NEVER_US:
        seconds = max(1, -(-lease.ends_us // 1_000_000) - now_s)
    elif lease.quota.is_rolling:
        seconds = LENGTH_US[lease.quota.window] // 1_000_000
    else:
        return before.encode()  # a lifetime does not begin anew
    return f"{before}x-ratelimit-reset-{name}: {_duration(seconds)}\r\n".encode()


def _duration(seconds: int) -> str:
    """As OpenAI writes it: `45s`, `6m0s`, `2h0m5s`."""
    if seconds < 60:
        return f"{seconds}s"
    minutes, seconds = divmod(seconds, 60)
    if minutes < 60:
        return f"{minutes}m{seconds}s"
    return f"{minutes // 60}h{minutes % 60}m{seconds}s"
