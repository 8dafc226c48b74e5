"""Outcomes are kept append-only: nothing acknowledged is lost, nothing damaged is taken for a judgement."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tidegate.core.errors import LedgerError
from tidegate.ledger.outcomes import BadLine, Judgement, append, newest, read
from tidegate.ledger.store import Ledger

TS = 1_760_700_000_000_000  # 2025-10-17
CALL = "0199f3a2-0000-7000-8000-000000000001"


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger.create(tmp_path / "ledger")


def say(ts: int = TS, **fields: object) -> Judgement:
    given = {"generation_id": CALL, "tenant_id": "a", "accepted": True, **fields}
    return Judgement(ts=ts, **given)  # type: ignore[arg-type]


def test_what_was_said_is_read_again(ledger: Ledger) -> None:
    """Every field comes back, in the order of writing, from files by month."""
    first = say(score_ppm=250_000, reason="geht nicht – 不行", who="tests", key_id="k1")
    second = say(TS + 40 * 86_400_000_000, accepted=False)
    append(ledger, first)
    append(ledger, second)

    assert list(read(ledger)) == [first, second]
    assert sorted(path.name for path in (ledger.path / "outcomes").iterdir()) == ["2025-10.jsonl", "2025-11.jsonl"]


def test_the_newest_judgement_of_a_call_counts_and_the_older_stays() -> None:
    """Somebody may change their mind; equal times go to the last written."""
    old, new, same = say(TS), say(TS + 1, accepted=False), say(TS + 1, accepted=True)

    assert newest([new, old]) == {CALL: new}
    assert newest([old, new, same]) == {CALL: same}


def test_a_line_that_a_crash_has_cut_is_said_and_swallows_no_later_one(ledger: Ledger) -> None:
    """The writer after the crash begins a line of its own."""
    append(ledger, say())
    path = ledger.path / "outcomes" / "2025-10.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole + whole[: len(whole) // 2])
    append(ledger, say(TS + 5, accepted=False))

    first, damaged, last = read(ledger)

    assert first == say()
    assert damaged == BadLine(path, 2, torn=False)
    assert last == say(TS + 5, accepted=False)


@pytest.mark.parametrize("place", [3, 30, 80])
def test_a_changed_byte_is_no_judgement(ledger: Ledger, place: int) -> None:
    """The checksum covers the whole line, its own digits included."""
    append(ledger, say(reason="as it was"))
    path = ledger.path / "outcomes" / "2025-10.jsonl"
    damaged = bytearray(path.read_bytes())
    damaged[place] ^= 1
    path.write_bytes(damaged)

    assert list(read(ledger)) == [BadLine(path, 1, torn=False)]


def test_a_judgement_says_something() -> None:
    """Neither accepted nor scored is no outcome."""
    with pytest.raises(ValueError, match="neither `accepted` nor `score`"):
        Judgement(generation_id=CALL, ts=TS, tenant_id="a")


def test_a_folder_that_cannot_be_written_is_named(ledger: Ledger) -> None:
    """Feedback is never acknowledged and lost."""
    (ledger.path / "outcomes").write_text("in the way")

    with pytest.raises(LedgerError, match=r"outcomes.*cannot be written"):
        append(ledger, say())


WRITER = """
import sys
from pathlib import Path
from tidegate.ledger.outcomes import Judgement, append
from tidegate.ledger.store import Ledger
ledger = Ledger.open(Path(sys.argv[1]))
number = 0
while True:
    append(ledger, Judgement(generation_id=f"g{number}", ts=1760700000000000 + number, tenant_id="a", accepted=True))
    print(number, flush=True)
    number += 1
"""


def test_what_was_acknowledged_survives_kill_9(ledger: Ledger) -> None:
    """Whatever number was printed before the kill is in the file after it, whole."""
    process = subprocess.Popen([sys.executable, "-c", WRITER, str(ledger.path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    seen = [int(process.stdout.readline()) for _ in range(20)]
    os.kill(process.pid, signal.SIGKILL)
    seen += [int(line) for line in process.stdout.read().split() if line.isdecimal()]
    process.wait()
    process.stdout.close()

    kept = {item.generation_id for item in read(ledger) if isinstance(item, Judgement)}

    assert {f"g{number}" for number in seen} <= kept
