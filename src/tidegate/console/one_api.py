"""What one-api, new-api and the chat clients written for them ask of a key: how much it may spend, and has spent.

`/v1/dashboard/billing/*` speak USD (usage in cents), as OpenAI once did; dates in the query are not looked at, as in
one-api, so that limit less usage is what remains. `/api/usage/token` speaks one-api's points: 500,000 are one USD.
"""

from typing import Final

import msgspec

from tidegate.accounts.books.wallets import wallet_of
from tidegate.accounts.keys import Key
from tidegate.console.key_limits import limits_of, remaining
from tidegate.console.openrouter.account import today, usd
from tidegate.console.operations import Asked, Kind, Operation
from tidegate.console.usage import spending

POINTS_PER_USD: Final = 500_000
NANO_PER_POINT: Final = 1_000_000_000 // POINTS_PER_USD
UNLIMITED_USD: Final = 100_000_000
"""What one-api says of a key without a limit; clients know it."""
API_KEY: Final[frozenset[Kind]] = frozenset(("api_key",))


class Subscription(msgspec.Struct, frozen=True, kw_only=True):
    """The limit of the key that asks, USD. `access_until`: seconds since 1970 UTC, 0: it does not expire."""

    hard_limit_usd: msgspec.Raw
    soft_limit_usd: msgspec.Raw
    system_hard_limit_usd: msgspec.Raw
    access_until: int
    object: str = "billing_subscription"
    has_payment_method: bool = True


class BillingUsage(msgspec.Struct, frozen=True, kw_only=True):
    """What the key has spent in all, in cents of USD."""

    total_usage: msgspec.Raw
    object: str = "list"


class TokenUsage(msgspec.Struct, frozen=True, kw_only=True):
    """The same in points. `model_limits`: what the key may call; `expires_at`: as `access_until`."""

    name: str
    total_granted: int
    total_used: int
    total_available: int
    unlimited_quota: bool
    model_limits: dict[str, bool]
    model_limits_enabled: bool
    expires_at: int
    object: str = "token_usage"


class TokenUsageReply(msgspec.Struct, frozen=True, kw_only=True):
    """The body of `GET /api/usage/token`."""

    data: TokenUsage
    code: bool = True
    message: str = "ok"


class _Balance(msgspec.Struct, frozen=True, kw_only=True):
    """Nano-USD. `available`: None: without limit."""

    key: Key
    used: int
    available: int | None


def _balance(asked: Asked) -> _Balance:
    """Of the key; of its tenant's wallet, where the key has no limit and the operator lets keys read the account."""
    backend, tenant_id = asked.backend, asked.caller.tenant_id or ""
    key = backend.accounts().key(asked.caller.caller_id)
    spent = spending(backend.lines(tenant_id, key_id=key.key_id), today())
    with backend.database.reading() as connection:
        limit = limits_of(connection, tenant_id, (key.key_id,)).get(key.key_id)
        wallet = wallet_of(connection, tenant_id)
    if limit is not None:
        return _Balance(key=key, used=spent.total, available=remaining(limit, spent))
    if backend.config.console.keys_read_account and wallet.mode == "prepaid":
        used = spending(backend.lines(tenant_id), today()).total
        return _Balance(key=key, used=used, available=max(0, wallet.credits_nano_usd - used))
    return _Balance(key=key, used=spent.total, available=None)


def _subscription(asked: Asked) -> Subscription:
    found = _balance(asked)
    limit = UNLIMITED_USD * 1_000_000_000 if found.available is None else found.used + found.available
    return Subscription(
        hard_limit_usd=usd(limit),
        soft_limit_usd=usd(limit),
        system_hard_limit_usd=usd(limit),
        access_until=_seconds(found.key.expires_us),
    )


def _usage(asked: Asked) -> BillingUsage:
    return BillingUsage(total_usage=usd(_balance(asked).used * 100))


def _token(asked: Asked) -> TokenUsageReply:
    """Points that were used are rounded up, those that are left down: nobody is promised what is not there."""
    found = _balance(asked)
    used = -(-found.used // NANO_PER_POINT)
    available = 0 if found.available is None else found.available // NANO_PER_POINT
    return TokenUsageReply(
        data=TokenUsage(
            name=found.key.name,
            total_granted=used + available,
            total_used=used,
            total_available=available,
            unlimited_quota=found.available is None,
            model_limits=dict.fromkeys(found.key.models, True),
            model_limits_enabled=bool(found.key.models),
            expires_at=_seconds(found.key.expires_us),
        )
    )


def _seconds(us: int | None) -> int:
    return 0 if us is None else us // 1_000_000


OPERATIONS: Final = (
    Operation(
        method="GET", path="/v1/dashboard/billing/subscription", summary="The key's limit, as one-api tells it.",
        callers=API_KEY, run=_subscription, reply=Subscription,
    ),
    Operation(
        method="GET", path="/v1/dashboard/billing/usage", summary="What the key has spent, in cents, as one-api does.",
        callers=API_KEY, run=_usage, reply=BillingUsage,
    ),
    Operation(
        method="GET", path="/api/usage/token", summary="What the key has and had, in one-api's points.",
        callers=API_KEY, run=_token, reply=TokenUsageReply,
    ),
)  # fmt: skip
