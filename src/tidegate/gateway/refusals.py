"""Why a call is not admitted, in words that name the quota; pure."""

from typing import Final

from tidegate.core.errors import GatewayError, PaymentRequired, QuotaExceeded, Unavailable
from tidegate.core.money import format_usd
from tidegate.gateway.lease import MONEY, OPEN, Lease

RETRY_OPEN_S: Final = 1  # where calls at one time are the limit: one of them may end at any moment
RETRY_STORE_S: Final = 5

_UNITS: Final = {"requests": "requests", "tokens": "tokens"}


_ZH_UNITS: Final = {"requests": "次请求", "tokens": " tokens", "calls_open": "个并发调用"}
_ZH_WINDOWS: Final = {
    "minute": "每分钟",
    "hour": "每小时",
    "day": "每天",
    "week": "每周",
    "month": "每月",
    "lifetime": "总计",
}


def name_zh(lease: Lease) -> str:
    """The same in Chinese."""
    quota = lease.quota
    if quota.is_wallet:
        return f"{lease.window.subject} 的预付余额"
    size = f"{format_usd(lease.limit)} 美元" if quota.unit == "nano_usd" else f"{lease.limit}{_ZH_UNITS[quota.unit]}"
    said = f"“{quota.name}”" if quota.name else ""
    return f"{lease.window.subject} 的限额{said}（{_ZH_WINDOWS[quota.window]} {size}）"


def name_of(lease: Lease) -> str:
    """A quota as its tenant knows it."""
    quota = lease.quota
    said = f"{quota.name!r}, " if quota.name else ""
    whose = f"{quota.scope} {lease.window.subject}"
    if quota.is_wallet:
        return f"the prepaid credit of {whose}"
    window = "" if quota.window == "lifetime" else f" a {quota.window}"
    if quota.unit == "nano_usd":
        return f"the budget {said}{format_usd(lease.limit)} USD{window} of {whose}"
    if quota.unit == "calls_open":
        return f"the limit {said}{lease.limit} calls at one time of {whose}"
    return f"the limit {said}{lease.limit} {_UNITS[quota.unit]}{window} of {whose}"


def refusal(lease: Lease, amount: int, now_us: int, *, output_tokens: int | None = None) -> GatewayError:
    """402 for money, 429 for a rate. amount: what the call may come to; output_tokens: the limit that could be paid."""
    left = max(0, lease.left)
    retry_s = None if lease.retry_us is None else max(1, -(-(lease.retry_us - now_us) // 1_000_000))
    if lease.kind == MONEY:
        mend = "Add credit, or raise the budget" if lease.quota.is_wallet else "Raise the budget"
        if retry_s is not None:
            mend += f", or wait {retry_s} s for the next window"
        if output_tokens:
            mend = f"Ask for at most {output_tokens} tokens of output (max_tokens). {mend}"
        zh = f"本次调用最多可能花费 {format_usd(amount)} 美元，而{name_zh(lease)}只剩 {format_usd(left)} 美元。"
        zh += (
            f"可将输出限制在 {output_tokens} tokens 以内（max_tokens），或充值、提高预算。"
            if output_tokens
            else "请充值或提高预算。"
        )
        return PaymentRequired(
            f"This call may cost up to {format_usd(amount)} USD, and {format_usd(left)} USD are left of "
            f"{name_of(lease)} (quota {lease.quota.quota_id}). {mend}.",
            retry_after_s=retry_s,
            words={"zh": zh},
        )
    if lease.kind == OPEN:
        retry_s = retry_s or RETRY_OPEN_S
    when, zh = "", f"已达到{name_zh(lease)}。"
    if retry_s is not None:
        when, zh = f" Call again in {retry_s} s.", f"{zh}请在 {retry_s} 秒后重试。"
    return QuotaExceeded(
        f"{name_of(lease)[0].upper()}{name_of(lease)[1:]} (quota {lease.quota.quota_id}) is reached.{when}",
        retry_after_s=retry_s,
        words={"zh": zh},
    )


def store_silent(reason: str) -> Unavailable:
    """Quotas cannot be counted: nothing is spent that nobody counts."""
    why = f": {reason}" if reason else ""
    return Unavailable(
        f"The quota store of this gateway does not answer{why}. Calls of keys under a quota wait until it does.",
        retry_after_s=RETRY_STORE_S,
    )
