"""What befalls an installation while programs run on it."""

import asyncio
import signal
import sqlite3
from random import Random
from typing import Literal

import msgspec

from torture.place import LEASE_S, Place
from torture.program import LENGTH_S

Fault = Literal["kill_worker", "stall_worker", "kill_console", "lose_store", "lose_valkey"]


class Blow(msgspec.Struct, frozen=True):
    """at_s: from the round's start. number: of the worker. length_s: until it is over."""

    fault: Fault
    at_s: float
    number: int
    length_s: float


def make_weather(seed: int, place: Place) -> list[Blow]:
    """None to three blows."""
    draw = Random(f"weather-{seed}-{place.setting.name}")
    known: list[Fault] = ["kill_worker", "stall_worker", "kill_console", "lose_store"]
    if place.valkey:
        known += ["lose_valkey", "lose_valkey"]
    blows: dict[str, Blow] = {}
    for _ in range(draw.choice([0, 1, 1, 2, 3])):
        fault, number = draw.choice(known), draw.randrange(8)
        blow = Blow(fault, draw.uniform(0, LENGTH_S), number, draw.choice([0.1, 0.8, LEASE_S + 1.0]))
        blows[fault if fault.startswith("lose") else f"{fault} {number}"] = blow  # what is lost can be lost once
    return sorted(blows.values(), key=lambda blow: blow.at_s)


async def strike(place: Place, blow: Blow) -> None:
    """One blow, and what mends it."""
    await asyncio.sleep(blow.at_s)
    if blow.fault == "kill_worker":
        place.signal_one("tidegate.gateway", blow.number, signal.SIGKILL)
    elif blow.fault == "kill_console":
        place.signal_one("tidegate.console", 0, signal.SIGKILL)
    elif blow.fault == "stall_worker":
        pid = place.signal_one("tidegate.gateway", blow.number, signal.SIGSTOP)
        await asyncio.sleep(blow.length_s)
        if pid in place.pids("tidegate.gateway"):
            import os

            os.kill(pid, signal.SIGCONT)
    elif blow.fault == "lose_valkey":
        assert place.valkey
        await asyncio.to_thread(place.valkey.stop, signal.SIGKILL)
        await asyncio.sleep(blow.length_s)
        await asyncio.to_thread(place.valkey.start)
    elif place.postgres:
        await asyncio.to_thread(place.postgres.stop, signal.SIGQUIT)  # as a crash: it recovers from its log
        await asyncio.sleep(blow.length_s)
        await asyncio.to_thread(place.postgres.start)
    else:
        await asyncio.to_thread(_hold_sqlite, place.sqlite_file, blow.length_s)


def _hold_sqlite(path: str, length_s: float) -> None:
    """Somebody else writes for a long time."""
    import time

    connection = sqlite3.connect(path, timeout=5, isolation_level=None)
    try:
        connection.execute("BEGIN IMMEDIATE")
        time.sleep(length_s)
        connection.execute("ROLLBACK")
    except sqlite3.OperationalError:
        pass  # it was busy for five seconds: that is weather too
    finally:
        connection.close()
