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
    lines = f"x-tidegate-max-tokens-clamped: {claim.clamp}\r\n" if claim.clamp else ""
    if plan.shown:
        if plan.told_s != now_s:
            _renew(plan, now_s)
        for lease, before, after in plan.told:
            left = lease.free + lease.remaining + lease.returning
            lines += f"{before}{left if left > 0 else 0}{after}"
    return lines.encode()


def _renew(plan: "Plan", now_s: int) -> None:
    """Write anew, once a second, what stands around the changing numbers."""
    plan.told_s = now_s
    plan.told = [(lease, *_around(lease, now_s)) for lease in plan.shown]


def _around(lease: Lease, now_s: int) -> tuple[str, str]:
    """A limit, and when its window begins anew; what is left of it, as far as this worker knows, stands between."""
    name = "requests" if lease.kind == REQUESTS else "tokens"
    before = f"x-ratelimit-limit-{name}: {lease.limit}\r\nx-ratelimit-remaining-{name}: "
    if lease.ends_us < _NEVER_US:
        seconds = max(1, -(-lease.ends_us // 1_000_000) - now_s)
    elif lease.quota.is_rolling:
        seconds = LENGTH_US[lease.quota.window] // 1_000_000
    else:
        return before, "\r\n"  # a lifetime does not begin anew
    return before, f"\r\nx-ratelimit-reset-{name}: {_duration(seconds)}\r\n"


def _duration(seconds: int) -> str:
    """As OpenAI writes it: `45s`, `6m0s`, `2h0m5s`."""
    if seconds < 60:
        return f"{seconds}s"
    minutes, seconds = divmod(seconds, 60)
    if minutes < 60:
        return f"{minutes}m{seconds}s"
    return f"{minutes // 60}h{minutes % 60}m{seconds}s"
