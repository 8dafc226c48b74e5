"""Ten programs at one time on one installation: calls, vouchers, revocations, price changes, and the weather."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import aiohttp
import msgspec
import sqlalchemy.exc

from tidegate.accounts.books.entries import post
from tidegate.accounts.books.posting import credit_posting
from tidegate.accounts.keys import KeyWish
from tidegate.accounts.money.terms import add_term, join_group
from tidegate.accounts.money.vouchers import NewBatch, VoucherRefused, make_batch, redeem
from tidegate.accounts.quotas.table import set_quota
from tidegate.core.errors import AccountsError
from tidegate.core.fx import USD_RATE, Amount
from tidegate.core.quota import EACH, Quota
from tidegate.core.terms import Term
from torture.place import Place
from torture.program import Call, Program
from torture.weather import Blow, strike

CALL_S = 25.0
DOUBLE_SPENDS = 5
T = TypeVar("T")


class Reply(msgspec.Struct, kw_only=True):
    """What a caller saw. status: 0 where the connection broke before one. is_whole: the answer came to its end."""

    call: Call
    request_id: str
    began_s: float
    ended_s: float = 0.0
    status: int = 0
    generation_id: str = ""
    output_tokens: int | None = None
    is_whole: bool = False
    has_left: bool = False
    error: str = ""


class Story(msgspec.Struct, kw_only=True):
    """What came of a program. `revoked_s`, on the monotonic clock: when it was certain; None: it was not."""

    program: Program
    keys: list[str]
    replies: list[Reply] = []
    vouchers_taken: int = 0
    revoked_s: float | None = None
    had_two_prices: bool = False


def provision(place: Place, program: Program) -> Story:
    """The tenant, its keys, its credit and its quotas."""
    accounts, now_us = place.accounts, time.time_ns() // 1000
    made = [
        accounts.add_key(KeyWish(name=f"k{number}", tenant_id=program.tenant_id, project_id="default"))
        for number in range(2)
    ]
    posting = credit_posting(
        "grant", program.tenant_id, program.credits, reference=f"grant-{program.seed}", booked_us=now_us
    )
    limits = [
        ("day", program.day_limit, "tenant", program.tenant_id, "nano_usd", "day", False),
        ("user", program.user_day_limit, "user", EACH, "nano_usd", "day", False),
        ("rpm", program.requests_a_minute, "key", EACH, "requests", "minute", program.is_rolling),
        ("tpm", program.tokens_a_minute, "tenant", program.tenant_id, "tokens", "minute", program.is_rolling),
        ("open", program.calls_open, "tenant", program.tenant_id, "calls_open", "lifetime", False),
    ]
    with accounts.database.writing() as connection:
        post(connection, posting)
        for name, limit, scope, subject, unit, window, is_rolling in limits:
            if limit is not None:
                quota = Quota(
                    quota_id=f"{program.tenant_id}:{name}", tenant_id=program.tenant_id, scope=scope, subject=subject,
                    unit=unit, window=window, limit=limit, is_rolling=is_rolling,
                )  # type: ignore[arg-type]  # fmt: skip
                set_quota(connection, quota)
    return Story(program=program, keys=[key.secret for key in made])


async def play(place: Place, stories: Sequence[Story], blows: Sequence[Blow]) -> float:
    """Run programs to their ends; everything that was broken is whole again afterwards.

    Returns how late this process itself was at most, in seconds: how much too slow the machine was.
    """
    late = asyncio.ensure_future(_lateness())
    connector = aiohttp.TCPConnector(limit=0, force_close=True)
    async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=CALL_S)) as session:
        works: list[Awaitable[None]] = [strike(place, blow) for blow in blows]
        for story in stories:
            works += [_retried(place, session, story, call) for call in story.program.calls]
            works += [_redeem(place, story), _revoke(place, story), _reprice(place, story)]
        await asyncio.gather(*works)
    late.cancel()
    return await late


async def _lateness() -> float:
    most = 0.0
    try:
        while True:
            began = time.monotonic()
            await asyncio.sleep(0.05)
            most = max(most, time.monotonic() - began - 0.05)
    except asyncio.CancelledError:
        return most


async def _retried(place: Place, session: aiohttp.ClientSession, story: Story, call: Call) -> None:
    await asyncio.sleep(call.at_s)
    reply = await send(place, session, story, call, call.request_id)
    if call.is_retried and not reply.has_left and (reply.status == 0 or reply.status >= 500):
        await send(place, session, story, call, f"{call.request_id}-again")


async def send(place: Place, session: aiohttp.ClientSession, story: Story, call: Call, request_id: str) -> Reply:
    """One call, as its caller sees it."""
    reply = Reply(call=call, request_id=request_id, began_s=time.monotonic())
    story.replies.append(reply)
    try:
        await asyncio.wait_for(_send(place, session, story, call, reply), call.leave_s)
    except TimeoutError:
        reply.has_left = call.leave_s is not None
    except (aiohttp.ClientError, ConnectionError) as error:
        reply.error = reply.error or type(error).__name__
    reply.ended_s = time.monotonic()
    return reply


async def _send(place: Place, session: aiohttp.ClientSession, story: Story, call: Call, reply: Reply) -> None:
    script = f"torture {reply.request_id} {call.script} out={call.output_tokens} tenant={story.program.tenant_id}"
    body: dict[str, object] = {
        "model": "acme/free" if call.is_free else "acme/m",
        "messages": [{"role": "user", "content": script}],
        "stream": call.is_stream,
    }
    if call.is_stream:
        body["stream_options"] = {"include_usage": True}
    if call.max_tokens is not None:
        body["max_tokens"] = call.max_tokens
    if call.user:
        body["user"] = call.user
    headers = {"authorization": f"Bearer {story.keys[call.key]}", "x-request-id": reply.request_id}
    url = f"{place.url}/v1/chat/completions"
    async with session.post(url, json=body, headers=headers) as response:
        reply.status = response.status
        reply.generation_id = response.headers.get("x-generation-id", "")
        data = await response.read()
    if response.status != 200:
        reply.error = _error_of(data)
    elif call.is_stream:
        _read_stream(data, reply)
    else:
        try:
            usage = json.loads(data).get("usage")
        except ValueError:
            reply.error = "not JSON"
            return
        reply.output_tokens = usage and usage["completion_tokens"]
        reply.is_whole = True


def _read_stream(data: bytes, reply: Reply) -> None:
    for line in data.split(b"\n"):
        if line == b"data: [DONE]":
            reply.is_whole = True
        elif line.startswith(b"data: {"):
            event = json.loads(line[6:])
            if event.get("error"):
                reply.error = str(event["error"].get("code"))
            if event.get("usage"):
                reply.output_tokens = event["usage"]["completion_tokens"]


def _error_of(data: bytes) -> str:
    try:
        return str(json.loads(data)["error"]["code"])
    except (ValueError, KeyError, TypeError):
        return "not JSON"


async def _redeem(place: Place, story: Story) -> None:
    """The same code, five times at one moment."""
    program = story.program
    if program.voucher_s is None:
        return
    accounts, pepper = place.accounts, place.accounts.pepper
    # a face in USD has cents alone: the amount is rounded up to them
    cents = -(-program.voucher // 10_000_000)
    now_us = time.time_ns() // 1000
    new = NewBatch(name=f"v{program.seed}", face=Amount("USD", cents), rate=USD_RATE, count=1)
    await asyncio.sleep(program.voucher_s)
    _, (code,) = await _until_done(lambda: make_batch(accounts.database, pepper, new, now_us))

    def once() -> int:
        try:
            redeem(accounts.database, pepper, code, program.tenant_id, time.time_ns() // 1000)
        except VoucherRefused:
            return 0
        return 1

    taken = await asyncio.gather(*(_until_done(once) for _ in range(DOUBLE_SPENDS)))
    story.vouchers_taken = sum(taken)


async def _revoke(place: Place, story: Story) -> None:
    if story.program.revoke_s is None:
        return
    await asyncio.sleep(story.program.revoke_s)
    tenant_id = story.program.tenant_id
    keys = await _until_done(place.accounts.list_keys)
    key_id = next(key.key_id for key in keys if key.tenant_id == tenant_id and key.name == "k1")
    await _until_done(lambda: place.accounts.revoke_key(key_id))
    story.revoked_s = time.monotonic()


async def _reprice(place: Place, story: Story) -> None:
    program = story.program
    if program.reprice_s is None:
        return
    await asyncio.sleep(program.reprice_s)
    group = f"g{program.seed}"

    def change() -> None:
        now_us = time.time_ns() // 1000 + 50_000
        term = Term(term_id="", models="*", margin_ppm=program.margin_ppm, valid_from_us=now_us)
        add_term(place.accounts.database, group, term, now_us - 50_000)
        join_group(place.accounts.database, program.tenant_id, group, now_us, now_us)

    await _until_done(change)
    story.had_two_prices = True


async def _until_done(work: Callable[[], T]) -> T:
    """The stores may be away: as a person would, try again."""
    deadline = time.monotonic() + 40
    while True:
        try:
            return await asyncio.to_thread(work)
        except (sqlalchemy.exc.DBAPIError, AccountsError):
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.3)
