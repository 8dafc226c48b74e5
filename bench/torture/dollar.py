"""A hundred callers at one time against one dollar: never more than the dollar, and at least 95 cents of it used.

Each caller calls until it is refused. `exact`: `max_tokens` is what the answer has. `wide`: it is sixteen times that,
so that most of what calls reserve comes back and others wait for it. `none`: no `max_tokens`; the last are clamped.
"""

import asyncio
import time
from pathlib import Path
from typing import Literal, get_args

import aiohttp
import msgspec

from tidegate.accounts.books.entries import post
from tidegate.accounts.books.posting import credit_posting
from tidegate.accounts.keys import KeyWish
from torture.check import calm_down, check_books, read_rows
from torture.hostile import HostileProvider
from torture.place import NEWS_S, SETTINGS, Place

DOLLAR = 1_000_000_000
CALLERS = 100
OUTPUT = {"exact": 2_500, "wide": 250, "none": 2_500}  # tokens: 2.5 cents a call, or a quarter of a cent
MAX_TOKENS = {"exact": 2_500, "wide": 4_000}
TRIES_S = 60.0
RESULTS = Path(__file__).resolve().parents[1] / "results" / "torture_dollar.json"


class Spent(msgspec.Struct, kw_only=True):
    """One run. Money in nano-USD; `answered`, `refused` and `clamped` are calls."""

    setting: str
    limit: str
    spent: int
    operator_loss: int
    answered: int
    refused: int
    clamped: int
    seconds: float
    violations: list[str]


Kind = Literal["exact", "wide", "none"]


def open_wallet(place: Place, tenant: str) -> str:
    """A tenant with one dollar; the secret of its key."""
    key = place.accounts.add_key(KeyWish(name="k", tenant_id=tenant, project_id="default")).secret
    with place.accounts.database.writing() as connection:
        now_us = time.time_ns() // 1000
        post(connection, credit_posting("grant", tenant, DOLLAR, reference=tenant, booked_us=now_us))
    return key


def judge(place: Place, tenant: str) -> tuple[int, int, list[str]]:
    """What was spent, what the operator lost, and what is wrong with that."""
    rows = read_rows(place, [tenant])
    spent = sum(row.cost or 0 for row in rows)
    violations = []
    if spent > DOLLAR:
        violations.append(f"{tenant}: {spent} nano-USD were spent of one dollar")
    if spent < DOLLAR * 95 // 100:
        violations.append(f"{tenant}: only {spent} nano-USD of one dollar could be used")
    return spent, sum(row.loss or 0 for row in rows), violations


def spend_dollar(place: Place, kind: Kind) -> Spent:
    """One run on an installation; a tenant of its own."""
    tenant = f"dollar-{kind}"
    key = open_wallet(place, tenant)
    time.sleep(NEWS_S)
    began = time.monotonic()
    statuses, clamped = asyncio.run(crowd(place, key, tenant, kind))
    seconds = time.monotonic() - began
    violations = list(calm_down(place, [tenant]))
    spent, lost, wrong = judge(place, tenant)
    violations += [*wrong, *check_books(place)]
    return Spent(
        setting=place.setting.name, limit=kind, spent=spent, operator_loss=lost, answered=statuses.count(200),
        refused=statuses.count(402), clamped=clamped, seconds=round(seconds, 1), violations=violations,
    )  # fmt: skip


async def crowd(place: Place, key: str, tenant: str, kind: Kind) -> tuple[list[int], int]:
    """A hundred callers until each is refused: the statuses they saw, and how many answers were clamped."""
    statuses: list[int] = []
    clamped = 0
    deadline = time.monotonic() + TRIES_S

    async def caller(number: int) -> None:
        nonlocal clamped
        for again in range(1_000):
            text = f"torture {tenant}-{number}-{again} ok out={OUTPUT[kind]} tenant={tenant}"
            body: dict[str, object] = {"model": "acme/m", "messages": [{"role": "user", "content": text}]}
            if kind in MAX_TOKENS:
                body["max_tokens"] = MAX_TOKENS[kind]
            async with session.post(url, json=body, headers={"authorization": f"Bearer {key}"}) as response:
                await response.read()
                statuses.append(response.status)
                clamped += "x-tidegate-max-tokens-clamped" in response.headers
            if response.status != 200 or time.monotonic() > deadline:
                return

    url = f"{place.url}/v1/chat/completions"
    connector = aiohttp.TCPConnector(limit=0, force_close=True)
    async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=60)) as session:
        await asyncio.gather(*(caller(number) for number in range(CALLERS)))
    return statuses, clamped


def run_dollar(settings: tuple[str, ...] = ("sqlite-4", "postgres-4", "valkey-4")) -> int:
    """Each store, with and without `max_tokens`; 0 where nothing was violated."""
    found: list[Spent] = []
    for name in settings:
        with HostileProvider() as provider, Place(SETTINGS[name], provider.port, quota_wait_s=5) as place:
            for kind in get_args(Kind):
                spent = spend_dollar(place, kind)
                found.append(spent)
                print(msgspec.json.encode(spent).decode())
    RESULTS.write_bytes(msgspec.json.format(msgspec.json.encode(found), indent=1) + b"\n")
    return int(any(spent.violations for spent in found))
