"""kill -9 of the journal's writer: no acknowledged call is missing, none appears twice, no attempt is lost."""

import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from ledger_calls import DAY_US, NOW_US, call_id

from tidegate.ledger.seal import seal
from tidegate.ledger.store import Ledger
from tidegate.ledger.verify import verify

SEED = 20260323
KILLS = 7


def run_and_kill(directory: Path, now_us: int, chance: random.Random) -> list[str]:
    """What the writer had acknowledged when it was killed."""
    command = [sys.executable, str(Path(__file__).parent / "kill_writer.py"), str(directory), str(now_us), str(now_us)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        acknowledged = writer.stdout.readline()  # it runs
        deadline = time.monotonic() + chance.uniform(0.001, 0.1)
        while time.monotonic() < deadline:
            acknowledged += writer.stdout.read1()
        writer.kill()
        acknowledged += writer.stdout.read()
    return [line.decode() for line in acknowledged.split(b"\n")[:-1]]


@pytest.mark.parametrize("seal_between", [False, True])
def test_kill_9_loses_nothing_that_was_acknowledged(tmp_path, seal_between):
    """Sealing after every kill, or once after all of them, comes to the same."""
    ledger = Ledger.create(tmp_path / "ledger")
    chance = random.Random(SEED)
    outcomes, intents = set(), set()
    for kill in range(KILLS):
        now_us = NOW_US + kill * DAY_US // 7
        for line in run_and_kill(ledger.journal_path, now_us, chance):
            kind, call, *attempt = line.split()
            if kind == "o":
                outcomes.add(call_id(int(call), now_us))
            else:
                intents.add((call_id(int(call), now_us), int(attempt[0])))
        if seal_between:
            seal(ledger)
    seal(ledger)

    connection = ledger.connect()
    rows = connection.execute("SELECT generation_id, error_type, cost_nano_usd, attempt_count FROM rows").fetchall()
    attempts = set(connection.execute("SELECT generation_id, attempt_no FROM attempts").fetchall())
    connection.close()
    times = Counter(call for call, *_ in rows)
    assert max(times.values()) == 1
    assert outcomes <= set(times)
    assert {call for call, _ in intents} <= set(times)
    # the test's outcomes list attempt 1 only, recovered ones list all that were dispatched
    died = {call for call, error_type, *_ in rows if error_type == "gateway_died"}
    assert {intent for intent in intents if intent[0] in died} <= attempts
    assert not died & outcomes
    assert all(cost == 0 for _, error_type, cost, _ in rows if error_type == "gateway_died")
    assert len(outcomes) > KILLS and died
    assert verify(ledger).findings == []
    assert list(ledger.unsealed_outcomes()) == []
