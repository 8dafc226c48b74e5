"""What a new file costs: rollups are summed by runs of sealed files, once, and merged from their sums."""

import os
from itertools import count
from pathlib import Path

import pytest
from ledger_calls import open_writer

from tidegate.core.errors import LedgerError
from tidegate.core.ids import generation_id
from tidegate.core.row import Label, Labelled, Row, TaskTag
from tidegate.ledger import rollup
from tidegate.ledger.parquet import open_engine
from tidegate.ledger.rollup import attach, canonical_csv, load_rollup, rollup_names
from tidegate.ledger.rollup_runs import RUNS_MAX, Run
from tidegate.ledger.seal import seal
from tidegate.ledger.store import Ledger

NOON_US = 1_774_267_200_000_000  # 2026-03-23 12:00 UTC, a Monday
HOUR_US = 3_600_000_000
DAY_US = 24 * HOUR_US
LABELLED = ("daily_language", "daily_tags", "length_histogram")
CODE = TaskTag(path="/Computers & Electronics/Programming", confidence_ppm=900_000)
GAMES = TaskTag(path="/Games/Roleplaying Games", confidence_ppm=800_000)
_serial = count()


def call(ts: int = NOON_US, **values: object) -> Row:
    given = {"source_id": "own", "response_model": "a/x", "tenant_id": "t", "usage_input_tokens": 10} | values
    return Row(generation_id=generation_id(ts // 1000, 0, 0, 0, next(_serial)), ts=ts, **given)


def add(ledger: Ledger, *rows: Row) -> Path:
    """Seal rows as one unit; its file."""
    before = set(ledger.row_files())
    ledger.add_rows(rows, [], unit=f"unit-{next(_serial)}", origin="test")
    (file, *_) = set(ledger.row_files()) - before
    return file


def label(ledger: Ledger, *rows: Row, language: str | None = "zh-Hans", tags: list[TaskTag] | None = None) -> None:
    """Seal labels that came a week after their rows."""
    writer = open_writer(ledger.journal_path, now_us=NOON_US + 7 * DAY_US + next(_serial))
    for row in rows:
        known = Label(
            generation_id=row.generation_id, ts=row.ts, language=language, task_tags=tags, tag_sample_weight=4
        )
        writer.append(Labelled(label=known))
    writer.close()
    seal(ledger)


def summed(ledger: Ledger, name: str) -> str:
    connection = open_engine()
    attach(ledger, connection, name)
    return canonical_csv(connection, load_rollup(name), name)


def fetch(ledger: Ledger, name: str, columns: str) -> list[tuple[object, ...]]:
    connection = open_engine()
    attach(ledger, connection, name)
    return connection.execute(f"SELECT {columns} FROM {name} ORDER BY ALL").fetchall()


def rebuilt(ledger: Ledger, name: str) -> str:
    """The rollup from the rows alone."""
    for file in (ledger.path / "cache").rglob("*.cache"):
        file.unlink()
    return summed(ledger, name)


def ruin(file: Path) -> None:
    """Make a file unreadable in a way that only reading it shows: size and time stay."""
    seen = file.stat()
    file.write_bytes(bytes(seen.st_size))
    os.utime(file, ns=(seen.st_atime_ns, seen.st_mtime_ns))


def runs(ledger: Ledger, name: str) -> list[Path]:
    return sorted((ledger.path / "cache" / "rollups" / name).glob("*.cache"))


@pytest.mark.parametrize("name", rollup_names())
def test_a_sealed_file_costs_only_itself(name: str, tmp_path: Path) -> None:
    """What was summed is not read again, even when a file of the same day, hour and model comes after it."""
    ledger = Ledger.create(tmp_path / "l")
    first, second = call(duration_us=5), call(duration_us=5, task_tags=[CODE], tag_sample_weight=3)
    files = [add(ledger, first), add(ledger, second)]
    summed(ledger, name)
    content = [file.read_bytes() for file in files]
    times = [file.stat().st_mtime_ns for file in files]
    for file in files:
        ruin(file)
    add(ledger, call(duration_us=7))
    incremental = summed(ledger, name)
    for file, data, time in zip(files, content, times, strict=True):
        file.write_bytes(data)
        os.utime(file, ns=(time, time))
    assert rebuilt(ledger, name) == incremental


@pytest.mark.parametrize("name", ["daily_usage", "daily_tags", "active_months"])
def test_many_small_files_become_few_runs(name: str, tmp_path: Path) -> None:
    """A gateway that seals every minute leaves 1,440 files a day: their sums are merged, and stay exact."""
    ledger = Ledger.create(tmp_path / "l")
    for _ in range(RUNS_MAX + 3):
        add(ledger, call(task_tags=[CODE, GAMES], tag_sample_weight=7))
        incremental = summed(ledger, name)
    assert len(runs(ledger, name)) <= RUNS_MAX
    assert rebuilt(ledger, name) == incremental


def test_a_late_row_lands_in_its_own_day(tmp_path: Path) -> None:
    ledger = Ledger.create(tmp_path / "l")
    add(ledger, call(NOON_US + 3 * DAY_US))
    summed(ledger, "daily_usage")
    add(ledger, call(NOON_US))
    found = fetch(ledger, "daily_usage", "CAST(day AS VARCHAR), calls")
    assert found == [("2026-03-23", 1), ("2026-03-26", 1)]


def test_a_late_label_lands_in_its_calls_day_and_replaces_no_label(tmp_path: Path) -> None:
    """Sealed rows never change: the label is joined to them, and the part without a label shrinks by that call."""
    ledger = Ledger.create(tmp_path / "l")
    known, other = call(), call()
    add(ledger, known, other)
    assert fetch(ledger, "daily_language", "language, calls, sampled_calls, usage_input_tokens") == [(None, 2, 2, 20)]
    assert fetch(ledger, "daily_tags", "*") == []
    label(ledger, known, tags=[CODE])
    assert fetch(ledger, "daily_language", "language, CAST(day AS VARCHAR), calls, sampled_calls") == [
        ("zh-Hans", "2026-03-23", 4, 1),
        (None, "2026-03-23", 1, 1),
    ]
    tagged = fetch(ledger, "daily_tags", "label_rule, tag_path, CAST(day AS VARCHAR), calls, usage_input_tokens")
    day = "2026-03-23"
    rules = [(rule, CODE.path, day, 4, 40) for rule in ("any", "split", "top")]
    assert tagged == sorted([*rules, ("base", "", day, 4, 40)])
    lengths = fetch(ledger, "length_histogram", "tag_path, CAST(week AS VARCHAR), calls")
    assert lengths == [("", day, 2), (CODE.path, day, 4)]


@pytest.mark.parametrize("name", LABELLED)
def test_a_late_label_costs_only_the_run_of_its_call(name: str, tmp_path: Path) -> None:
    """Ids begin with their time: labels of the morning do not make the evening's files be read again."""
    ledger = Ledger.create(tmp_path / "l")
    morning, evening = call(), call(NOON_US + 6 * HOUR_US)
    add(ledger, morning)
    summed(ledger, name)
    file = add(ledger, evening)
    before = summed(ledger, name)
    data, time = file.read_bytes(), file.stat().st_mtime_ns
    ruin(file)
    label(ledger, morning, tags=[CODE])
    after = summed(ledger, name)
    assert after != before
    file.write_bytes(data)
    os.utime(file, ns=(time, time))
    assert rebuilt(ledger, name) == after


@pytest.mark.parametrize("name", sorted(set(rollup_names()) - set(LABELLED)))
def test_a_label_costs_nothing_where_none_is_read(name: str, tmp_path: Path) -> None:
    ledger = Ledger.create(tmp_path / "l")
    known = call(duration_us=1)
    add(ledger, known)
    summed(ledger, name)
    (before,) = [(file, file.stat().st_mtime_ns) for file in runs(ledger, name)]
    label(ledger, known, tags=[CODE])
    summed(ledger, name)
    assert [(file, file.stat().st_mtime_ns) for file in runs(ledger, name)] == [before]


def test_a_call_that_was_looked_at_and_fits_nothing_is_counted_apart(tmp_path: Path) -> None:
    """`none`, so that the part that a label covers can be told; a call that nobody looked at is in no row."""
    ledger = Ledger.create(tmp_path / "l")
    looked, weak, unseen = call(), call(), call()
    add(ledger, looked, weak, unseen)
    label(ledger, looked, tags=[])
    label(ledger, weak, tags=[TaskTag(path="/x", confidence_ppm=499_999)])
    assert fetch(ledger, "daily_tags", "label_rule, tag_path, calls, sampled_calls") == [("none", "", 8, 2)]


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    """Among a day's files the user must learn which one to restore."""
    ledger = Ledger.create(tmp_path / "l")
    files = [add(ledger, call(NOON_US + number)) for number in range(3)]
    ruin(files[1])
    with pytest.raises(LedgerError, match=files[1].name):
        summed(ledger, "daily_usage")


def test_a_file_of_wrong_types_is_named(tmp_path: Path) -> None:
    """A foreign Parquet file in the place of ours: text where a count should be is an error, not a zero."""
    ledger = Ledger.create(tmp_path / "l")
    add(ledger, call())
    file = add(ledger, call())
    ledger.connect().execute(
        f"COPY (SELECT * REPLACE ('many' AS usage_input_tokens) FROM read_parquet('{file}')) TO '{file}.new' "
        "(FORMAT parquet)"
    )
    Path(f"{file}.new").replace(file)
    with pytest.raises(LedgerError, match=f"{file.name}.*VARCHAR"):
        summed(ledger, "daily_usage")


def test_a_negative_count_is_no_count(tmp_path: Path) -> None:
    """It would lower everybody's sum; as unknown usage it adds nothing and is counted as unmetered."""
    ledger = Ledger.create(tmp_path / "l")
    add(ledger, call(usage_output_tokens=3), call(usage_input_tokens=-1000, usage_output_tokens=3))
    columns = "calls, unmetered_calls, usage_input_tokens, total_tokens"
    assert fetch(ledger, "daily_usage", columns) == [(2, 1, 10, 13)]


def test_a_clock_set_back_is_told_from_a_fast_answer(tmp_path: Path) -> None:
    ledger = Ledger.create(tmp_path / "l")
    add(ledger, call(duration_us=-5), call(duration_us=300), call(time_to_first_chunk_us=0))
    found = fetch(ledger, "latency_histogram", "latency_of, bucket, calls, latency_us")
    assert found == [("duration", -1, 1, 0), ("duration", 300, 1, 300), ("first_chunk", 0, 1, 0)]


def test_an_import_of_many_days_is_summed_at_once(tmp_path: Path) -> None:
    """Two years of somebody's logs are 700 files: one question to the engine for each would take minutes."""
    ledger = Ledger.create(tmp_path / "l")
    add(ledger, *(call(NOON_US + day * DAY_US) for day in range(40)))
    assert len(fetch(ledger, "daily_usage", "day")) == 40
    assert len(runs(ledger, "daily_usage")) == 1


def test_a_run_is_no_larger_than_a_late_label_may_cost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A label makes its run be read again: a million calls at most, or one file."""
    monkeypatch.setattr("tidegate.ledger.rollup_runs.RUN_ROWS_MAX", 5)
    ledger = Ledger.create(tmp_path / "l")
    for rows in (2, 3, 1, 9, 2):
        add(ledger, *(call() for _ in range(rows)))
    assert fetch(ledger, "daily_tags", "*") == []
    assert [file.name[:13] for file in runs(ledger, "daily_tags")] == [
        "000000-000002",
        "000002-000003",
        "000003-000004",
        "000004-000005",
    ]


def test_a_unit_that_another_study_tidies_away_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two studies of one ledger at once: one may merge the runs that the other has just written."""
    ledger = Ledger.create(tmp_path / "l")
    add(ledger, call(), call())
    kept = rollup.store

    def store_and_lose(connection: object, query: str, run: Run) -> bool:
        stored = kept(connection, query, run)
        run.path.unlink()
        return stored

    monkeypatch.setattr(rollup, "store", store_and_lose)
    assert fetch(ledger, "daily_usage", "calls") == [(2,)]
