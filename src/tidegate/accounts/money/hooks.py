"""Low-balance hooks: when a tenant's credit falls below a threshold, somebody is told, once a crossing.

A hook is armed above its threshold. The first look that finds the balance below it disarms the hook and writes one
delivery, in one transaction; credit that lifts the balance to the threshold or above arms it again. Any number of hosts
may look at the same time: the change is a guarded update, which one of them makes.

The balance is what was credited less what calls have spent by their workers' last word (some hundred milliseconds ago),
settled or not; an overdraft is not part of it.
"""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import urlsplit

import msgspec
import sqlalchemy as sa

from tidegate.accounts.books.wallets import Wallet, list_wallets
from tidegate.accounts.database import Database
from tidegate.accounts.errors import AccountInvalid, AccountNotFound
from tidegate.accounts.schema.books import wallets
from tidegate.accounts.schema.money_in import balance_hooks as hooks
from tidegate.accounts.schema.money_in import hook_deliveries as deliveries
from tidegate.accounts.schema.quotas import windows
from tidegate.core.money import format_usd

HOOKS_MAX: Final = 20
RETRY_S: Final = (10, 60, 300, 1_800, 7_200, 21_600, 43_200, 86_400)
"""How long after each failed attempt the next one comes; after the last it is given up."""

CLAIM_S: Final = 60
URL_CHARS_MAX: Final = 1000
EVENT: Final = "balance.low"


class Hook(msgspec.Struct, frozen=True, kw_only=True):
    """A hook as it is listed. `is_below`: told, and not above the threshold since."""

    hook_id: str
    tenant_id: str
    threshold_nano_usd: int
    url: str
    is_below: bool = False
    crossings: int = 0
    made_us: int = 0


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be told, and how far that is. `next_us`: when it is tried next; None: delivered, or given up."""

    hook_id: str
    crossing: int
    body: str
    made_us: int
    next_us: int | None
    attempts: int = 0
    delivered_us: int | None = None
    last_error: str = ""

    @property
    def delivery_id(self) -> str:
        """The same at every attempt, so that a receiver can tell a repeat."""
        return f"{self.hook_id}.{self.crossing}"


class Due(msgspec.Struct, frozen=True, kw_only=True):
    """A delivery that this process has claimed, and where it goes."""

    delivery: Delivery
    url: str


def add_hook(database: Database, tenant_id: str, threshold_nano_usd: int, url: str, now_us: int) -> Hook:
    """Make a hook, armed. The operator's business: an address may be one of the operator's own network.

    Raises AccountInvalid.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or len(url) > URL_CHARS_MAX or parts.username:
        raise AccountInvalid(f"{url[:80]!r} is no address to call; write for example https://example.com/low-balance")
    if threshold_nano_usd < 0:
        raise AccountInvalid(f"a threshold of {format_usd(threshold_nano_usd)} USD is below zero; 0 is the lowest")
    hook = Hook(
        hook_id="hook_" + secrets.token_hex(8),
        tenant_id=tenant_id,
        threshold_nano_usd=threshold_nano_usd,
        url=url,
        made_us=now_us,
    )
    own = sa.select(sa.func.count()).select_from(hooks).where(hooks.c.tenant_id == tenant_id)
    with database.writing() as connection:
        if connection.execute(own).scalar_one() >= HOOKS_MAX:
            raise AccountInvalid(f"tenant {tenant_id!r} has {HOOKS_MAX} hooks already; remove one first")
        connection.execute(sa.insert(hooks).values(msgspec.structs.asdict(hook)))
    return hook


def remove_hook(database: Database, hook_id: str) -> None:
    """Raises AccountNotFound."""
    with database.writing() as connection:
        connection.execute(sa.delete(deliveries).where(deliveries.c.hook_id == hook_id))
        if connection.execute(sa.delete(hooks).where(hooks.c.hook_id == hook_id)).rowcount != 1:
            raise AccountNotFound(f"no hook has the id {hook_id!r}; `tidegate accounts hooks list` shows all")


def list_hooks(database: Database, tenant_id: str | None = None) -> list[Hook]:
    """Hooks by tenant and threshold."""
    query = sa.select(hooks).order_by(hooks.c.tenant_id, hooks.c.threshold_nano_usd, hooks.c.hook_id)
    if tenant_id is not None:
        query = query.where(hooks.c.tenant_id == tenant_id)
    with database.reading() as connection:
        return [Hook(**row) for row in connection.execute(query).mappings()]


def list_deliveries(database: Database, hook_id: str) -> list[Delivery]:
    """What a hook had to tell, newest first."""
    query = sa.select(deliveries).where(deliveries.c.hook_id == hook_id).order_by(deliveries.c.crossing.desc())
    with database.reading() as connection:
        return [Delivery(**row) for row in connection.execute(query).mappings()]


def look(database: Database, now_us: int) -> int:
    """Hold every hook against its tenant's balance; how many crossings were found. Nothing to do is two reads."""
    with database.reading() as connection:
        found = [Hook(**row) for row in connection.execute(sa.select(hooks)).mappings()]
        left = balances_left(connection, sorted({hook.tenant_id for hook in found})) if found else {}
    crossed = [hook for hook in found if hook.is_below != (left.get(hook.tenant_id, 0) < hook.threshold_nano_usd)]
    if not crossed:
        return 0
    count = 0
    with database.writing() as connection:
        left = balances_left(connection, sorted({hook.tenant_id for hook in crossed}))
        for hook in crossed:
            balance = left.get(hook.tenant_id, 0)
            if hook.is_below != (balance < hook.threshold_nano_usd):
                count += _turn(connection, hook, balance, now_us)
    return count


def balances_left(connection: sa.Connection, tenant_ids: Sequence[str]) -> dict[str, int]:
    """What tenants have left of their credit, nano-USD, calls included that are not settled yet."""
    found = list_wallets(connection, wallets.c.tenant_id.in_(tenant_ids))
    spent_of = sa.func.sum(windows.c.held - windows.c.unspent)
    ids = [wallet.quota_id for wallet in found if wallet.quota_id is not None]
    query = sa.select(windows.c.quota_id, spent_of).where(windows.c.quota_id.in_(ids)).group_by(windows.c.quota_id)
    spent = {quota_id: int(amount) for quota_id, amount in connection.execute(query)} if ids else {}
    return {wallet.tenant_id: _left(wallet, spent) for wallet in found}


def _left(wallet: Wallet, spent: Mapping[str, int]) -> int:
    if wallet.quota_id is None:
        return wallet.balance_nano_usd
    return wallet.funds_nano_usd - wallet.overdraft_nano_usd - spent.get(wallet.quota_id, 0)


def _turn(connection: sa.Connection, hook: Hook, balance: int, now_us: int) -> int:
    """Disarm a hook and say so, or arm it; 1 where somebody will be told."""
    same = (hooks.c.hook_id == hook.hook_id) & (hooks.c.is_below == hook.is_below)
    crossing = hook.crossings + (not hook.is_below)
    changed = sa.update(hooks).where(same, hooks.c.crossings == hook.crossings)
    if connection.execute(changed.values(is_below=not hook.is_below, crossings=crossing)).rowcount != 1:
        return 0  # another host was quicker
    if hook.is_below:
        return 0
    delivery = Delivery(
        hook_id=hook.hook_id,
        crossing=crossing,
        body=_body(hook, crossing, balance, now_us).decode(),
        made_us=now_us,
        next_us=now_us,
    )
    connection.execute(sa.insert(deliveries).values(msgspec.structs.asdict(delivery)))
    return 1


def _body(hook: Hook, crossing: int, balance: int, now_us: int) -> bytes:
    data = {
        "hook_id": hook.hook_id,
        "tenant_id": hook.tenant_id,
        "crossing": crossing,
        "balance_usd": format_usd(balance),
        "balance_nano_usd": balance,
        "threshold_usd": format_usd(hook.threshold_nano_usd),
        "threshold_nano_usd": hook.threshold_nano_usd,
        "seen_us": now_us,
    }
    return msgspec.json.encode({"type": EVENT, "data": data})


def claim_due(database: Database, now_us: int, *, limit: int = 20) -> list[Due]:
    """Deliveries whose time has come, claimed for CLAIM_S: nobody else sends them meanwhile."""
    with database.reading() as connection:
        query = (
            sa.select(deliveries, hooks.c.url)
            .join(hooks, hooks.c.hook_id == deliveries.c.hook_id)
            .where(deliveries.c.next_us <= now_us)
            .order_by(deliveries.c.next_us)
            .limit(limit)
        )
        rows = [dict(row) for row in connection.execute(query).mappings()]
    if not rows:
        return []
    claimed = []
    with database.writing() as connection:
        for row in rows:
            url = row.pop("url")
            delivery = Delivery(**row)
            until_us = now_us + CLAIM_S * 1_000_000
            is_free = _is(delivery) & (deliveries.c.next_us == delivery.next_us)
            if connection.execute(sa.update(deliveries).where(is_free).values(next_us=until_us)).rowcount == 1:
                claimed.append(Due(delivery=msgspec.structs.replace(delivery, next_us=until_us), url=url))
    return claimed


def settle_attempt(database: Database, due: Due, error: str, now_us: int, *, is_final: bool = False) -> None:
    """Write down how an attempt ended. error: "" where the receiver took it. is_final: it will never take it."""
    delivery = due.delivery
    attempts = delivery.attempts + 1
    values: dict[str, object] = {"attempts": attempts, "last_error": error[:200], "next_us": None}
    if not error:
        values["delivered_us"] = now_us
    elif not is_final and attempts <= len(RETRY_S):
        values["next_us"] = now_us + RETRY_S[attempts - 1] * 1_000_000
    is_ours = _is(delivery) & (deliveries.c.next_us == delivery.next_us)
    with database.writing() as connection:
        connection.execute(sa.update(deliveries).where(is_ours).values(values))


def hook_secret(pepper: bytes, hook_id: str) -> str:
    """The secret a hook signs with, `whsec_` and base64. It follows from the installation's own, so none is stored."""
    return "whsec_" + base64.b64encode(_key(pepper, hook_id)).decode()


def signed_headers(pepper: bytes, delivery: Delivery, now_s: int) -> dict[str, str]:
    """The headers of Standard Webhooks 1.0: id, time and `v1` HMAC-SHA256 over `id.time.body`, base64."""
    text = f"{delivery.delivery_id}.{now_s}.{delivery.body}".encode()
    proof = hmac.new(_key(pepper, delivery.hook_id), text, hashlib.sha256).digest()
    return {
        "webhook-id": delivery.delivery_id,
        "webhook-timestamp": str(now_s),
        "webhook-signature": "v1," + base64.b64encode(proof).decode(),
    }


def _key(pepper: bytes, hook_id: str) -> bytes:
    return hashlib.blake2b(b"hook:" + hook_id.encode(), key=pepper, digest_size=32).digest()


def _is(delivery: Delivery) -> sa.ColumnElement[bool]:
    return (deliveries.c.hook_id == delivery.hook_id) & (deliveries.c.crossing == delivery.crossing)
