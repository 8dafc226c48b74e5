"""Rows can be had now: whoever asks gets new segments from every living writer."""

import threading
import time
from pathlib import Path

from tidegate.core.row import Intent, Row
from tidegate.ledger.journal import JournalWriter
from tidegate.ledger.rotation import ask_for_rotation, requested_ns


def writer_with_a_record(folder: Path, worker: int) -> JournalWriter:
    writer = JournalWriter(folder, "gw", worker, now_us=1_000_000 + worker)
    row = Row(generation_id=f"id-{worker}", ts=1, source_id="own")
    writer.append(Intent(generation_id=row.generation_id, attempt_no=1, ts=1, endpoint_id="e", row=row))
    writer.flush()
    return writer


def test_a_writer_that_answers_is_waited_for(tmp_path: Path) -> None:
    """It sees the request, changes its segment, and the asker goes on at once."""
    writer = writer_with_a_record(tmp_path, 0)
    seen = requested_ns(tmp_path)

    def answer() -> None:
        while requested_ns(tmp_path) == seen:
            time.sleep(0.01)
        following = writer.rotate(2_000_000)
        writer.close()
        following.close()

    thread = threading.Thread(target=answer)
    thread.start()
    assert ask_for_rotation(tmp_path, wait_s=10) == []
    thread.join()
    assert requested_ns(tmp_path) > seen


def test_a_writer_that_does_not_answer_costs_the_wait_and_is_named(tmp_path: Path) -> None:
    """A stopped process holds its lock and does nothing."""
    writer = writer_with_a_record(tmp_path, 0)
    assert ask_for_rotation(tmp_path, wait_s=0.2) == [writer.path]
    writer.close()


def test_nobody_is_asked_where_nothing_is_open(tmp_path: Path) -> None:
    """No writer, an empty segment, or a dead writer's: `recover` takes care of the last."""
    assert ask_for_rotation(tmp_path) == []
    empty = JournalWriter(tmp_path, "gw", 1, now_us=5)
    (tmp_path / "gw-0009-0000000000000001.open.jsonl").write_bytes(b"{}\n")
    assert ask_for_rotation(tmp_path) == []
    assert requested_ns(tmp_path) == 0
    empty.close()
