"""Carrying out a plan in the accounts database. What is there already stays as it is, so that again changes nothing."""

import hashlib
import time

import msgspec
import sqlalchemy as sa

from tidegate.accounts.books.entries import post
from tidegate.accounts.books.posting import credit_posting
from tidegate.accounts.books.wallets import set_mode
from tidegate.accounts.errors import AccountExists
from tidegate.accounts.imports.plan import KeyPart, Plan, QuotaPart, TenantPart
from tidegate.accounts.keys import Accounts, KeyWish
from tidegate.accounts.provider_keys import add_provider_key, open_keys, sealed_keys
from tidegate.accounts.quotas.table import set_quota
from tidegate.accounts.tenancy import Tenant, create_tenant
from tidegate.core.errors import AccountsError
from tidegate.core.quota import EACH, Quota


class Applied(msgspec.Struct, kw_only=True):
    """What was made, and what was there before. problems: what could not be made, and why."""

    tenants: int = 0
    keys: int = 0
    quotas: int = 0
    provider_keys: int = 0
    credits_nano_usd: int = 0
    known: int = 0
    problems: list[str] = []


def apply(accounts: Accounts, plan: Plan, operator_key: bytes) -> Applied:
    """Make tenants, wallets, keys and quotas, and store the providers' keys under the operator's (empty: it has none).

    Each of them wholly or not at all; a problem of one stops no other. Raises ConfigError where the operator's key is
    not the one under which keys are stored already.
    """
    done = Applied(problems=[])
    _provider_keys(accounts, plan, operator_key, done)
    for tenant in plan.tenants:
        _tenant(accounts, tenant, plan.origin, done)
    for key in plan.keys:
        _key(accounts, key, done)
    for quota in plan.quotas:
        subject = quota.tenant_id if quota.scope == "tenant" else EACH
        _quota(accounts, quota, subject, done)
    return done


def _provider_keys(accounts: Accounts, plan: Plan, operator_key: bytes, done: Applied) -> None:
    if not any(part.keys for part in plan.providers):
        return
    with accounts.database.reading() as connection:
        stored = open_keys(operator_key, sealed_keys(connection))
    for part in plan.providers:
        there = {key.secret for key in stored.get(part.name, ())}
        for number, key in enumerate(part.keys, 1):
            if str(key) in there:
                done.known += 1
                continue
            try:
                add_provider_key(
                    accounts.database, operator_key, part.name, str(key), f"{part.name} {number}, imported"
                )
                done.provider_keys += 1
            except AccountsError as error:
                done.problems.append(f"key {number} of provider {part.name}: {error}")


def _tenant(accounts: Accounts, part: TenantPart, origin: str, done: Applied) -> None:
    try:
        create_tenant(accounts.database, Tenant(tenant_id=part.tenant_id, name=part.name, is_enabled=part.is_enabled))
        done.tenants += 1
    except AccountExists:
        done.known += 1
    if part.credit_nano_usd is None:
        return
    now_us = time.time_ns() // 1000
    try:
        with accounts.database.writing() as connection:
            set_mode(connection, part.tenant_id, "prepaid", now_us=now_us)
            if part.credit_nano_usd:
                posting = credit_posting(
                    "correction",
                    part.tenant_id,
                    part.credit_nano_usd,
                    reference=part.reference,
                    booked_us=now_us,
                    memo=f"balance brought over from {origin}",
                )
                if post(connection, posting).is_new:
                    done.credits_nano_usd += part.credit_nano_usd
    except AccountsError as error:
        done.problems.append(f"wallet of {part.tenant_id}: {error}")


def _key(accounts: Accounts, part: KeyPart, done: Applied) -> None:
    wish = KeyWish(
        name=part.name,
        tenant_id=part.tenant_id,
        expires_us=part.expires_us,
        is_enabled=part.is_enabled,
        price_group=part.price_group,
        models=part.models,
        networks=part.networks,
    )
    try:
        key_id = accounts.add_key(wish, str(part.secret)).key_id
        done.keys += 1
    except AccountExists:
        known = accounts.find_key(str(part.secret))
        if known is None or known.tenant_id != part.tenant_id:
            done.problems.append(f"key {part.name!r} of {part.tenant_id}: its secret was a key here, and is no longer")
            return
        key_id = known.key_id
        done.known += 1
    for quota in part.quotas:
        _quota(accounts, quota, key_id, done)


def _quota(accounts: Accounts, part: QuotaPart, subject: str, done: Applied) -> None:
    quota = Quota(
        quota_id=_quota_id(part, subject),
        tenant_id=part.tenant_id,
        scope=part.scope,
        subject=subject,
        unit=part.unit,
        window=part.window,
        limit=part.limit,
        name=part.name,
    )
    try:
        with accounts.database.writing() as connection:
            _ensure_tenant(connection, part.tenant_id)
            set_quota(connection, quota)
        done.quotas += 1
    except AccountsError as error:
        done.problems.append(f"quota of {part.tenant_id}: {error}")


def _ensure_tenant(connection: sa.Connection, tenant_id: str) -> None:
    from tidegate.accounts.database import touch
    from tidegate.accounts.tenancy import ensure

    ensure(connection, tenant_id, "default", touch(connection))


def _quota_id(part: QuotaPart, subject: str) -> str:
    """From what it counts, so that importing again changes its limit and makes no second one."""
    text = ":".join((part.tenant_id, part.scope, part.unit, part.window, subject))
    return f"import-{hashlib.blake2b(text.encode(), digest_size=8).hexdigest()}"
