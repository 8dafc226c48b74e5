"""Tells the world of low balances: looks, claims what is due, sends it, writes down how that went."""

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Final

import aiohttp
from sqlalchemy.exc import SQLAlchemyError

from tidegate.accounts.database import Database
from tidegate.accounts.keys import Accounts
from tidegate.accounts.money.hooks import Due, claim_due, look, settle_attempt, signed_headers
from tidegate.core.errors import TidegateError

log = logging.getLogger(__name__)

LOOK_S: Final = 5.0
SEND_S: Final = 10.0
GONE: Final = 410
AGENT: Final = "tidegate-webhook/1"


def now_us() -> int:
    return time.time_ns() // 1000


async def send_due(database: Database, pepper: bytes, *, clock_us: Callable[[], int] = now_us) -> tuple[int, int]:
    """One look and one round of sending; (taken by their receivers, not taken)."""
    await asyncio.to_thread(look, database, clock_us())
    claimed = await asyncio.to_thread(claim_due, database, clock_us())
    if not claimed:
        return 0, 0
    timeout = aiohttp.ClientTimeout(total=SEND_S)
    async with aiohttp.ClientSession(timeout=timeout, cookie_jar=aiohttp.DummyCookieJar()) as session:
        errors = await asyncio.gather(*(_send(session, due, pepper) for due in claimed))
    for due, (error, is_final) in zip(claimed, errors, strict=True):
        await asyncio.to_thread(settle_attempt, database, due, error, clock_us(), is_final=is_final)
        if error:
            log.warning("low-balance hook %s was not taken: %s", due.delivery.delivery_id, error)
    return sum(not error for error, _ in errors), sum(bool(error) for error, _ in errors)


async def send_forever(accounts_of: Callable[[], Accounts], *, every_s: float = LOOK_S) -> None:
    """Until it is cancelled. accounts_of: opens the accounts, at the first look; tried again where it fails.

    A database that does not answer is said once.
    """
    accounts: Accounts | None = None
    was_silent = False
    try:
        while True:
            await asyncio.sleep(every_s)
            try:
                if accounts is None:
                    accounts = await asyncio.to_thread(accounts_of)
                await send_due(accounts.database, accounts.pepper)
                was_silent = False
            except (SQLAlchemyError, TidegateError, OSError) as error:
                if not was_silent:
                    log.error("low-balance hooks cannot be looked at: %s", error)
                was_silent = True
    finally:
        if accounts is not None:
            accounts.close()


async def _send(session: aiohttp.ClientSession, due: Due, pepper: bytes) -> tuple[str, bool]:
    """Why a delivery was not taken, "" where it was; and whether it never will be. Redirects are not followed."""
    headers = {
        "content-type": "application/json",
        "user-agent": AGENT,
        **signed_headers(pepper, due.delivery, int(time.time())),
    }
    try:
        async with session.post(
            due.url, data=due.delivery.body.encode(), headers=headers, allow_redirects=False
        ) as reply:
            if 200 <= reply.status < 300:
                return "", False
            return f"HTTP {reply.status}", reply.status == GONE
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
        return type(error).__name__, False  # its text may hold the address, and that a secret
