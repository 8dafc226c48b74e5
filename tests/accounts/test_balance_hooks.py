"""Low-balance hooks: told once a crossing, signed, repeated until taken; real receivers on loopback."""

import asyncio
import base64
import functools
import hashlib
import hmac
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tidegate.accounts.books import wallets
from tidegate.accounts.books.entries import post
from tidegate.accounts.books.posting import credit_posting
from tidegate.accounts.database import Database, open_database
from tidegate.accounts.errors import AccountInvalid, AccountNotFound
from tidegate.accounts.keys import Accounts, open_accounts
from tidegate.accounts.money import hook_sender, hooks
from tidegate.accounts.quotas.sql import SqlStore
from tidegate.accounts.quotas.store import Lessee
from tidegate.core.quota import LeaseAsk, WindowKey

PEPPER = b"p" * 32
NOW_US = 1_795_000_000_000_000
DOLLAR = 10**9
URL = "http://127.0.0.1:1/low"


@pytest.fixture
def database(request: pytest.FixtureRequest) -> Iterator[Database]:
    is_postgres = getattr(request, "param", "sqlite") == "postgres"
    held = open_database(
        request.getfixturevalue("postgres").copy() if is_postgres else request.getfixturevalue("empty_accounts")
    )
    yield held
    held.close()


def credit(database: Database, dollars: int, reference: str, tenant_id: str = "acme") -> None:
    posting = credit_posting("grant", tenant_id, dollars * DOLLAR, reference=reference, booked_us=NOW_US)
    with database.writing() as connection:
        post(connection, posting)


class Worker:
    """A gateway worker as the quota store sees it: what it spends of a wallet, call by call."""

    def __init__(self, database: Database, tenant_id: str = "acme") -> None:
        with database.reading() as connection:
            quota_id = wallets.wallet_of(connection, tenant_id).quota_id
        assert quota_id is not None
        self.window = WindowKey(quota_id, tenant_id, 0)
        self.store = SqlStore(database)
        self.lessee = Lessee(worker_id="w1", gateway_id="gw")
        self.store.enter(self.lessee)
        self.granted = self.spent = 0

    def spend(self, nano_usd: int) -> None:
        ask = LeaseAsk(
            window=self.window, granted=self.granted, returned=0, spent=self.spent, want=nano_usd, want_min=nano_usd
        )
        (answer,) = self.store.exchange(self.lessee, [ask])
        self.granted, self.spent = answer.granted, self.spent + nano_usd
        assert self.granted >= self.spent
        told = LeaseAsk(window=self.window, granted=self.granted, returned=0, spent=self.spent)
        self.store.exchange(self.lessee, [told])


@pytest.mark.parametrize("database", ["sqlite", "postgres"], indirect=True)
def test_a_crossing_is_told_once_and_the_next_one_again(database: Database) -> None:
    """10 dollars, threshold 4: told at 3.50, not again at 3; credited to 8, told again at 1."""
    credit(database, 10, "a")
    hook = hooks.add_hook(database, "acme", 4 * DOLLAR, URL, NOW_US)
    worker = Worker(database)
    found = [hooks.look(database, NOW_US)]
    for spent, credited in ((6_500_000_000, 0), (500_000_000, 0), (0, 5), (7 * DOLLAR, 0)):
        if spent:
            worker.spend(spent)
        if credited:
            credit(database, credited, "b")
        found.append(hooks.look(database, NOW_US))
    assert found == [0, 1, 0, 0, 1]
    told = [json.loads(one.body)["data"]["balance_usd"] for one in hooks.list_deliveries(database, hook.hook_id)]
    assert told == ["1.00", "3.50"]


def test_what_a_worker_holds_and_has_not_spent_is_no_crossing(database: Database) -> None:
    """A slice that will come back is not money gone."""
    credit(database, 10, "a")
    hooks.add_hook(database, "acme", 4 * DOLLAR, URL, NOW_US)
    worker = Worker(database)
    ask = LeaseAsk(window=worker.window, granted=0, returned=0, spent=0, want=9 * DOLLAR, want_min=9 * DOLLAR)
    worker.store.exchange(worker.lessee, [ask])
    assert hooks.look(database, NOW_US) == 0


def test_an_overdraft_is_not_balance(database: Database) -> None:
    credit(database, 3, "a")
    with database.writing() as connection:
        wallets.set_overdraft(connection, "acme", 50 * DOLLAR, now_us=NOW_US)
    hooks.add_hook(database, "acme", 4 * DOLLAR, URL, NOW_US)
    assert hooks.look(database, NOW_US) == 1


def test_each_threshold_and_tenant_is_told_for_itself(database: Database) -> None:
    credit(database, 3, "a")
    credit(database, 30, "b", "other")
    low = hooks.add_hook(database, "acme", 2 * DOLLAR, URL, NOW_US)
    high = hooks.add_hook(database, "acme", 4 * DOLLAR, URL, NOW_US)
    hooks.add_hook(database, "other", 4 * DOLLAR, URL, NOW_US)
    assert hooks.look(database, NOW_US) == 1
    assert [hook.is_below for hook in hooks.list_hooks(database, "acme")] == [False, True]
    assert not hooks.list_deliveries(database, low.hook_id) and hooks.list_deliveries(database, high.hook_id)


@pytest.mark.parametrize("database", ["sqlite", "postgres"], indirect=True)
def test_hosts_that_look_at_one_moment_tell_it_once(database: Database) -> None:
    """Eight lookers, one crossing; and of eight senders one claims it."""
    credit(database, 1, "a")
    hook = hooks.add_hook(database, "acme", 4 * DOLLAR, URL, NOW_US)
    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(lambda n: hooks.look(database, NOW_US), range(8))) == 1
        claimed = list(pool.map(lambda n: len(hooks.claim_due(database, NOW_US)), range(8)))
    assert sorted(claimed) == [0] * 7 + [1]
    assert len(hooks.list_deliveries(database, hook.hook_id)) == 1


class Receiver:
    """A small HTTP server that keeps what it gets and answers as told."""

    def __init__(self, *statuses: int) -> None:
        self.statuses, self.got = list(statuses), list[tuple[dict[str, str], bytes]]()
        self.was_asked = asyncio.Event()

    async def take(self, request: web.Request) -> web.Response:
        self.got.append(({name.lower(): value for name, value in request.headers.items()}, await request.read()))
        self.was_asked.set()
        status = self.statuses.pop(0) if self.statuses else 200
        return web.Response(status=status, headers={"location": "/elsewhere"} if status == 302 else {})


def rounds(database: Database, receiver: Receiver, tenant_id: str, clock_us: list[int]) -> tuple[list[Any], hooks.Hook]:
    """Make a hook to the receiver and run one round at each of these times."""

    async def run() -> tuple[list[Any], hooks.Hook]:
        application = web.Application()
        application.router.add_post("/low", receiver.take)
        runner = web.AppRunner(application)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        assert runner.addresses
        hook = hooks.add_hook(database, tenant_id, 4 * DOLLAR, f"http://127.0.0.1:{runner.addresses[0][1]}/low", NOW_US)
        done = []
        for moment in clock_us:
            done.append(await hook_sender.send_due(database, PEPPER, clock_us=functools.partial(int, moment)))
        await runner.cleanup()
        return done, hook

    return asyncio.run(run())


def test_a_delivery_is_signed_as_standard_webhooks_has_it(database: Database) -> None:
    """id, time and body under the secret that the operator can show; worked out a second time here."""
    credit(database, 1, "a")
    receiver = Receiver()
    done, hook = rounds(database, receiver, "acme", [NOW_US, NOW_US + 1])
    assert done == [(1, 0), (0, 0)]
    ((headers, body),) = receiver.got
    secret = base64.b64decode(hooks.hook_secret(PEPPER, hook.hook_id).removeprefix("whsec_"))
    text = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    proof = base64.b64encode(hmac.new(secret, text, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{proof}"
    data = json.loads(body)
    assert (data["type"], data["data"]["tenant_id"], data["data"]["balance_usd"]) == ("balance.low", "acme", "1.00")
    (kept,) = hooks.list_deliveries(database, hook.hook_id)
    assert (kept.delivered_us is not None, kept.next_us, kept.attempts) == (True, None, 1)


@pytest.mark.parametrize("database", ["sqlite", "postgres"], indirect=True)
def test_a_receiver_that_fails_is_tried_again_later_under_the_same_id(database: Database) -> None:
    """500, then a redirect that is not followed, then taken: three attempts, one id, waits of 10 and 60 seconds."""
    credit(database, 1, "a")
    receiver = Receiver(500, 302, 200)
    second = 1_000_000
    moments = [NOW_US, NOW_US + 9 * second, NOW_US + 10 * second, NOW_US + 69 * second, NOW_US + 70 * second]
    done, hook = rounds(database, receiver, "acme", moments)
    assert done == [(0, 1), (0, 0), (0, 1), (0, 0), (1, 0)]
    assert len({headers["webhook-id"] for headers, _ in receiver.got}) == 1
    assert hooks.list_deliveries(database, hook.hook_id)[0].attempts == 3


def test_a_running_console_looks_by_itself(tmp_path: Path) -> None:
    """Also where the database cannot be opened at first: said once, then tried again."""
    failures = [OSError("not yet"), OSError("not yet")]
    receiver = Receiver()

    def accounts_of() -> Accounts:
        if failures:
            raise failures.pop()
        return open_accounts(tmp_path)

    async def run() -> None:
        application = web.Application()
        application.router.add_post("/low", receiver.take)
        runner = web.AppRunner(application)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        accounts = open_accounts(tmp_path)
        credit(accounts.database, 1, "a")
        url = f"http://127.0.0.1:{runner.addresses[0][1]}/low"
        hooks.add_hook(accounts.database, "acme", 4 * DOLLAR, url, NOW_US)
        accounts.close()
        telling = asyncio.create_task(hook_sender.send_forever(accounts_of, every_s=0.01))
        async with asyncio.timeout(10):
            await receiver.was_asked.wait()
        telling.cancel()
        await asyncio.gather(telling, return_exceptions=True)
        await runner.cleanup()

    asyncio.run(run())
    assert len(receiver.got) == 1 and not failures


def test_a_receiver_that_is_gone_is_not_asked_again(database: Database) -> None:
    credit(database, 1, "a")
    done, hook = rounds(database, Receiver(410), "acme", [NOW_US, NOW_US + 10**12])
    assert done == [(0, 1), (0, 0)]
    assert hooks.list_deliveries(database, hook.hook_id)[0].next_us is None


def test_a_delivery_is_given_up_after_its_last_attempt(database: Database) -> None:
    """Nobody listens: nine attempts over two days, then silence."""
    credit(database, 1, "a")
    hook = hooks.add_hook(database, "acme", 4 * DOLLAR, URL, NOW_US)
    hooks.look(database, NOW_US)
    moment, attempts = NOW_US, 0
    while claimed := hooks.claim_due(database, moment):
        hooks.settle_attempt(database, claimed[0], "ClientConnectorError", moment)
        attempts += 1
        moment += 10**12
    (kept,) = hooks.list_deliveries(database, hook.hook_id)
    assert (attempts, kept.next_us, kept.delivered_us) == (9, None, None)
    assert hooks.look(database, moment) == 0


@pytest.mark.parametrize("url", ["", "ftp://x/y", "https://", "javascript:alert(1)", "https://me:secret@host/x"])
def test_an_address_that_cannot_be_called_is_refused(database: Database, url: str) -> None:
    with pytest.raises(AccountInvalid, match="no address to call"):
        hooks.add_hook(database, "acme", 0, url, NOW_US)


def test_a_removed_hook_tells_nothing_more(database: Database) -> None:
    credit(database, 1, "a")
    hook = hooks.add_hook(database, "acme", 4 * DOLLAR, URL, NOW_US)
    hooks.look(database, NOW_US)
    hooks.remove_hook(database, hook.hook_id)
    assert not hooks.claim_due(database, NOW_US) and not hooks.list_hooks(database)
    with pytest.raises(AccountNotFound):
        hooks.remove_hook(database, hook.hook_id)
