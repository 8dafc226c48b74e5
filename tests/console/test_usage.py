"""Usage of keys and tenants: each call counts once, sealed or not, at once and for good."""

import datetime
import random
import shutil
from pathlib import Path

import pytest

from tidegate.console.usage import Line, Spending, UsageReader, spending
from tidegate.core.ids import generation_id
from tidegate.core.row import Outcome, Row
from tidegate.ledger.journal import JournalWriter, segment_of
from tidegate.ledger.seal import seal
from tidegate.ledger.store import Ledger

NOON_US = int(datetime.datetime(2026, 11, 18, 12, tzinfo=datetime.UTC).timestamp()) * 1_000_000  # a Wednesday
DAY_US = 86_400_000_000
SEED = 6


class Journal:
    """A ledger into which calls are written as a worker does; `rows` is what a plain loop would sum."""

    def __init__(self, path: Path) -> None:
        self.ledger = Ledger.create(path)
        self.rows: list[Row] = []
        self._worker = 0
        self._begin()

    def _begin(self) -> None:
        self._worker += 1
        self.writer = JournalWriter(self.ledger.journal_path, "gw", self._worker, now_us=NOON_US)

    def call(self, **values: object) -> None:
        ts = values.pop("ts", NOON_US)
        row = Row(
            generation_id=generation_id(ts // 1000, len(self.rows), 0, self._worker, 0),
            segment_id=self.writer.segment_id,
            segment_seq=self.writer.next_seq,
            **{"source_id": "own", "ts": ts, "tenant_id": "a", "key_id": "k1", "response_model": "m", **values},
        )
        self.writer.append(Outcome(row=row))
        self.writer.flush()
        self.rows.append(row)

    def seal(self) -> None:
        self.writer.close()
        seal(self.ledger)
        self._begin()


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "ledger")


def test_usage_is_what_a_loop_over_the_rows_gives_whenever_it_is_read(journal: Journal) -> None:
    """Open segments, closed ones, sealed ones, a reader that was there from the beginning and one that comes late."""
    chance = random.Random(SEED)
    early = UsageReader()
    for turn in range(24):
        journal.call(
            ts=NOON_US - chance.randrange(40) * DAY_US,
            tenant_id=chance.choice(["a", "a", "b", None]),
            key_id=chance.choice(["k1", "k2"]),
            response_model=chance.choice(["m", "n", None]),
            usage_input_tokens=chance.choice([None, 10, 7]),
            usage_output_tokens=chance.choice([None, 3]),
            cost_nano_usd=chance.choice([None, 0, 10**15, 1]),
            is_byok=chance.choice([None, True, False]),
        )
        if turn % 7 == 6:
            journal.seal()
        if turn % 6 not in (0, 4):
            continue
        for reader in (early, UsageReader()):
            for tenant_id in ("a", "b", "nobody"):
                rows = [row for row in journal.rows if row.tenant_id == tenant_id]
                lines = reader.read(journal.ledger, tenant_id)
                assert sum(line.calls for line in lines) == len(rows)
                assert sum(line.cost_nano_usd for line in lines) == sum(row.cost_nano_usd or 0 for row in rows)
                assert sum(line.input_tokens for line in lines) == sum(row.usage_input_tokens or 0 for row in rows)
            since = datetime.date(2026, 11, 1)
            lines = reader.read(journal.ledger, "a", key_id="k2", since=since)
            wanted = [
                row
                for row in journal.rows
                if (row.tenant_id, row.key_id) == ("a", "k2") and row.ts >= NOON_US - 17 * DAY_US
            ]
            assert sum(line.calls for line in lines) == len(wanted)
            assert {line.key_id for line in lines} <= {"k2"} and all(line.day >= since for line in lines)


def test_half_a_line_waits_for_its_other_half(journal: Journal) -> None:
    """A worker may be writing this moment."""
    journal.call(cost_nano_usd=5)
    reader = UsageReader()
    assert reader.read(journal.ledger, "a")[0].calls == 1
    path = journal.writer.path
    (line,) = path.read_bytes().splitlines(keepends=True)
    with path.open("ab") as file:
        file.write(line[:40])
        file.flush()
        assert reader.read(journal.ledger, "a")[0].calls == 1
        file.write(line[40:])
    assert reader.read(journal.ledger, "a")[0].calls == 2


def test_imports_are_nobodys_bill(journal: Journal) -> None:
    """A tenant named in another gateway's log has not called this one."""
    row = Row(generation_id="x", ts=NOON_US, source_id="litellm", tenant_id="a", key_id="k1", cost_nano_usd=7)
    journal.ledger.add_rows([row], [], unit="import", origin="test")
    assert UsageReader().read(journal.ledger, "a") == []


def test_a_segment_that_is_sealed_is_forgotten_as_a_tail(journal: Journal) -> None:
    """Memory does not grow with the number of segments that ever were."""
    reader = UsageReader()
    for _ in range(3):
        journal.call()
        reader.read(journal.ledger, "a")
        journal.seal()
    reader.read(journal.ledger, "a")
    assert set(reader._tails) == {segment_of(journal.writer.path)}


def test_day_week_and_month_are_utc_and_weeks_begin_on_monday() -> None:
    """18 November 2026 is a Wednesday; what lies ahead (a clock that was wrong) is in the total alone."""

    def line(day: str, cost: int, *, is_byok: bool = False) -> Line:
        return Line(
            day=datetime.date.fromisoformat(day),
            tenant_id="a",
            project_id="p",
            key_id="k",
            model="m",
            provider_name="p",
            endpoint_id="e",
            is_byok=is_byok,
            calls=1,
            input_tokens=0,
            output_tokens=0,
            reasoning_tokens=0,
            cost_nano_usd=cost,
            upstream_cost_nano_usd=100 * cost,
        )

    lines = [
        line("2026-11-18", 1),
        line("2026-11-16", 2),
        line("2026-11-15", 4),
        line("2026-11-01", 8),
        line("2026-10-31", 16),
        line("2026-11-19", 32),
        line("2026-11-18", 64, is_byok=True),
    ]
    today = datetime.date(2026, 11, 18)
    assert spending(lines, today) == Spending(total=127, day=65, week=67, month=79)
    assert spending(lines, today, byok=True) == Spending(total=6400, day=6400, week=6400, month=6400)


def test_another_process_may_tidy_the_files_away(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    """A report that runs at the same time merges them; a cache that cannot be written is done without."""
    reader = UsageReader()
    for _ in range(3):
        journal.call(cost_nano_usd=5)
        journal.seal()
    assert sum(line.calls for line in reader.read(journal.ledger, "a")) == 3
    cache = journal.ledger.path / "cache"
    shutil.rmtree(cache)
    assert sum(line.calls for line in reader.read(journal.ledger, "a")) == 3
    shutil.rmtree(cache)
    monkeypatch.setattr("tidegate.ledger.rollup.store", lambda *_: False)  # a full disk
    assert sum(line.cost_nano_usd for line in reader.read(journal.ledger, "a")) == 15
    journal.call(cost_nano_usd=5)
    journal.seal()
    assert sum(line.cost_nano_usd for line in reader.read(journal.ledger, "a")) == 20
