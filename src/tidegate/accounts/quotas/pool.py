"""Slices of rates from Redis or Valkey, which subdivides slices that the SQL store granted to it.

All workers before one Redis share one pool. To the SQL store the pool is one worker, so that a thousand workers cost
it one; what Redis forgets (a restart, a flush) ends as the lease of any dead worker does. Each such life of Redis is an
epoch with a pool of its own. Money does not come here (`front.py`): only the ledger may say what became of it.
"""

import secrets
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import redis

from tidegate.accounts.quotas.account import SHARE, WANT_FADES_US
from tidegate.accounts.quotas.sql import SqlStore
from tidegate.accounts.quotas.store import Lessee
from tidegate.core.errors import QuotaStoreError
from tidegate.core.quota import LeaseAnswer, LeaseAsk, WindowKey

PREFIX = "{tidegate}"  # one hash slot: a cluster keeps the pool together
ANSWER_S = 2.0
POOL_TIMES = 8
"""How many times what a worker wants the pool asks for, where there is as much."""

EXPIRES_AFTER_MS = 3_600_000  # after a calendar window's end

_FOLDER = Path(__file__).parent


class PoolUnreachable(QuotaStoreError):
    """Redis does not answer; the database may."""


class Taken(msgspec.Struct, frozen=True):
    """What the script answered: totals of the worker and of the pool."""

    granted: int
    free: int
    unspent: int
    is_short: int
    pool_granted: int
    pool_returned: int
    pool_spent: int
    wanted_ms_ago: int


class PoolStore:
    """A quota store of rates. Raises QuotaStoreError where Redis or the database cannot be reached."""

    def __init__(self, sql: SqlStore, url: str) -> None:
        self.lease_s = sql.lease_s
        self._sql = sql
        pool = redis.BlockingConnectionPool.from_url(
            url, max_connections=4, timeout=ANSWER_S, socket_timeout=ANSWER_S, socket_connect_timeout=ANSWER_S
        )
        self._redis: Any = redis.Redis(connection_pool=pool)
        self._take = self._redis.register_script((_FOLDER / "pool.lua").read_text())
        self._grant = self._redis.register_script((_FOLDER / "pool_grant.lua").read_text())
        self._end = self._redis.register_script((_FOLDER / "pool_end.lua").read_text())
        self._return = self._redis.register_script((_FOLDER / "pool_return.lua").read_text())
        self._lock = threading.Lock()
        self._told_s = float("-inf")
        self._workers = 1
        self._said: dict[WindowKey, LeaseAnswer] = {}  # what SQL said last, by window

    def close(self) -> None:
        self._redis.close()

    def epoch(self) -> str:
        """The life of Redis that counts now; begins one where Redis knows of none.

        Raises QuotaStoreError where Redis cannot be reached, or may throw away what it was told (`maxmemory-policy`).
        """
        try:
            found = self._redis.get(f"{PREFIX}:epoch")
            if found is None:
                policy = self._redis.info("memory").get("maxmemory_policy", "noeviction")
                if policy != "noeviction":
                    raise QuotaStoreError(
                        f"accounts.redis_url: Redis has the maxmemory-policy {policy!r} and may forget what it "
                        "granted; give quotas a Redis of their own with `noeviction`"
                    )
                self._redis.set(f"{PREFIX}:epoch", secrets.token_hex(8), nx=True)
                found = self._redis.get(f"{PREFIX}:epoch")
        except redis.RedisError as error:
            raise _unreachable(error) from error
        return str(found.decode()) if found else ""

    def enter(self, lessee: Lessee) -> None:
        """As QuotaStore.enter."""
        self.exchange(lessee, [])

    def exchange(self, lessee: Lessee, asks: Sequence[LeaseAsk], epoch: str | None = None) -> list[LeaseAnswer]:
        """As QuotaStore.exchange. epoch: the one that the totals belong to; refused where another has begun."""
        epoch = epoch or self.epoch()
        try:
            self._keep_up(lessee, epoch)
            taken = self._taken(lessee, asks, epoch, is_last=False)
            if short := [i for i, one in enumerate(taken) if one.is_short or asks[i].window not in self._said]:
                self._refill([asks[i] for i in short], [taken[i] for i in short], epoch)
                again = self._taken(lessee, [asks[i] for i in short], epoch, is_last=True)
                for i, one in zip(short, again, strict=True):
                    taken[i] = one
        except redis.RedisError as error:
            raise _unreachable(error) from error
        return [self._answer(ask, one) for ask, one in zip(asks, taken, strict=True)]

    def leave(self, lessee: Lessee, asks: Sequence[LeaseAsk], epoch: str | None = None) -> None:
        """As QuotaStore.leave."""
        epoch = epoch or self.epoch()
        try:
            self._taken(lessee, asks, epoch, is_last=False)
            self._end_worker(lessee.worker_id, epoch, has_left=True)
            self._tell_sql(epoch)
        except redis.RedisError as error:
            raise _unreachable(error) from error

    def held(self, window: WindowKey) -> int:
        """What all workers hold of a window by the word of Redis; the rest of the pool is not in it."""
        s, u = self._redis.hmget(_name(window), "s", "u")
        return int(s or 0) + int(u or 0)

    def _taken(self, lessee: Lessee, asks: Sequence[LeaseAsk], epoch: str, *, is_last: bool) -> list[Taken]:
        """One pipeline; an ask that wants nothing is taken in likewise."""
        if not asks:
            return []
        pipeline = self._redis.pipeline(transaction=False)
        for ask in asks:
            keys = [f"{PREFIX}:epoch", _name(ask.window), _of_worker(lessee.worker_id), f"{PREFIX}:untold"]
            self._take(
                keys=keys,
                args=[epoch, lessee.worker_id, ask.granted, ask.returned, ask.spent, ask.want, ask.want_min,
                      self._workers, int(is_last), SHARE],
                client=pipeline,
            )  # fmt: skip
        return [Taken(*(int(number) for number in row)) for row in pipeline.execute()]

    def _refill(self, asks: Sequence[LeaseAsk], taken: Sequence[Taken], epoch: str) -> None:
        """Let the pool ask SQL for what its workers want and it has not."""
        wishes = [
            LeaseAsk(
                window=ask.window,
                granted=one.pool_granted,
                returned=one.pool_returned,
                spent=one.pool_spent,
                want=POOL_TIMES * max(ask.want, ask.want_min) if one.is_short else 0,
                want_min=max(1, ask.want_min - one.free) if one.is_short and ask.want_min else 0,
            )
            for ask, one in zip(asks, taken, strict=True)
        ]
        self._take_in(epoch, wishes, self._sql.exchange(_pool_of(epoch), wishes))

    def _take_in(self, epoch: str, wishes: Sequence[LeaseAsk], answers: Sequence[LeaseAnswer]) -> None:
        pipeline = self._redis.pipeline(transaction=False)
        for wish, answer in zip(wishes, answers, strict=True):
            self._said[wish.window] = answer
            ends_ms = 0
            if wish.window.start_us and answer.retry_us:
                ends_ms = max(1, answer.retry_us // 1000 - time.time_ns() // 1_000_000) + EXPIRES_AFTER_MS
            keys = [f"{PREFIX}:epoch", _name(wish.window)]
            self._grant(keys=keys, args=[epoch, wish.granted, answer.granted, ends_ms], client=pipeline)
        pipeline.execute()

    def _answer(self, ask: LeaseAsk, taken: Taken) -> LeaseAnswer:
        said = self._said[ask.window]
        return LeaseAnswer(
            window=ask.window,
            granted=taken.granted,
            remaining=said.remaining + taken.free,
            unspent=max(0, said.unspent) + max(0, taken.unspent),
            limit=said.limit,
            is_contended=0 <= taken.wanted_ms_ago < WANT_FADES_US // 1000,
            retry_us=said.retry_us,
        )

    def _keep_up(self, lessee: Lessee, epoch: str) -> None:
        """Now and then: say that we live, end who does not, and let SQL know what the pool has spent."""
        now_s = time.monotonic()
        with self._lock:
            if now_s - self._told_s < self.lease_s / 10:
                return
            self._told_s = now_s
        whole_s, part_us = self._redis.time()
        seconds = whole_s + part_us / 1_000_000
        alive = f"{PREFIX}:alive"
        self._redis.zadd(alive, {lessee.worker_id: seconds})
        for worker in self._redis.zrangebyscore(alive, 0, seconds - self.lease_s):
            self._end_worker(worker.decode(), epoch, has_left=False)
        self._workers = max(1, self._redis.zcard(alive))
        self._tell_sql(epoch)
        if len(self._said) > 10_000:
            self._said.clear()

    def _end_worker(self, worker_id: str, epoch: str, *, has_left: bool) -> None:
        for name in self._redis.smembers(_of_worker(worker_id)):
            keys = [f"{PREFIX}:epoch", name, f"{PREFIX}:untold"]
            self._end(keys=keys, args=[epoch, worker_id, int(has_left)])
        if has_left:
            self._redis.delete(_of_worker(worker_id))
        self._redis.zrem(f"{PREFIX}:alive", worker_id)

    def _tell_sql(self, epoch: str) -> None:
        """One process at a time tells SQL what the pool spent of each window since it was told last."""
        if not self._redis.set(f"{PREFIX}:telling", 1, nx=True, px=int(self.lease_s * 100)):
            return
        names = self._redis.spop(f"{PREFIX}:untold", 5000)
        pipeline = self._redis.pipeline(transaction=False)
        for name in names:
            pipeline.hmget(name, "g", "r", "s")
        wishes = [
            LeaseAsk(window=_window(name), granted=int(g), returned=int(r or 0), spent=int(s or 0))
            for name, (g, r, s) in zip(names, pipeline.execute(), strict=True)
            if g is not None
        ]
        try:
            answers = self._sql.exchange(_pool_of(epoch), wishes)
            self._take_in(epoch, wishes, answers)
            for answer in answers:
                if answer.is_contended:
                    keys = [f"{PREFIX}:epoch", _name(answer.window), f"{PREFIX}:untold"]
                    self._return(keys=keys, args=[epoch])
        except QuotaStoreError:
            if names:
                self._redis.sadd(f"{PREFIX}:untold", *names)
            raise


def _pool_of(epoch: str) -> Lessee:
    return Lessee(worker_id=f"pool-{epoch}", gateway_id="redis", is_pool=True)


def _name(window: WindowKey) -> str:
    return f"{PREFIX}:window:{window.quota_id} {window.start_us} {window.subject}"


def _window(name: Any) -> WindowKey:
    quota_id, start_us, subject = name.decode().removeprefix(f"{PREFIX}:window:").split(" ", 2)
    return WindowKey(quota_id, subject, int(start_us))


def _of_worker(worker_id: str) -> str:
    return f"{PREFIX}:worker:{worker_id}"


def _unreachable(error: Exception) -> PoolUnreachable:
    return PoolUnreachable(f"Redis does not answer for quotas: {error}")
