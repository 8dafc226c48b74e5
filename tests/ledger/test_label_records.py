"""Labels come later than their rows, as records of their own, and lie beside them."""

import pytest
from ledger_calls import DAY_US, NOW_US, call_id, open_writer, write_calls

from tidegate.core.row import Label, Labelled, TaskTag
from tidegate.ledger.journal import encode_line, read_journal
from tidegate.ledger.lookup import find_generation as find
from tidegate.ledger.seal import seal
from tidegate.ledger.store import Ledger
from tidegate.ledger.verify import verify

PROGRAMMING = TaskTag(path="/Computers & Electronics/Programming", confidence_ppm=930_000)


@pytest.fixture
def ledger(tmp_path):
    return Ledger.create(tmp_path / "ledger")


def label(number, *, ts=NOW_US, language="zh-Hans"):
    return Labelled(
        label=Label(
            generation_id=call_id(number, ts),
            ts=ts + number,
            labeller="local:1",
            language=language,
            task_tags=[PROGRAMMING],
            tag_sample_weight=400,
        )
    )


def write_labels(ledger, *labels, now_us=NOW_US, worker=9):
    writer = open_writer(ledger.journal_path, now_us=now_us, worker=worker)
    for item in labels:
        writer.append(item)
    writer.close()
    return writer


def test_a_label_is_read_back_as_it_was_written(ledger):
    writer = write_labels(ledger, label(1))
    (path,) = ledger.journal_path.glob("*.jsonl")
    assert list(read_journal(path)) == [label(1)]
    assert path.read_bytes() == encode_line(label(1)) and b'"t":"label"' in path.read_bytes()
    assert writer.waiting_calls == 0


def test_labels_are_sealed_under_the_day_of_their_call(ledger):
    """However late they come: a label written a week later falls on its call's own day."""
    writer = open_writer(ledger.journal_path)
    write_calls(writer, range(2))
    write_calls(writer, range(2, 3), ts=NOW_US + DAY_US)
    writer.close()
    seal(ledger)
    rows = {path: (ledger.path / path).read_bytes() for file in ledger.sealed_files("rows") for path in [file.path]}
    labels = write_labels(ledger, label(1), label(2, ts=NOW_US + DAY_US), now_us=NOW_US + 7 * DAY_US)

    (sealed,) = seal(ledger).sealed

    name = f"{labels.segment_id}.parquet"
    assert sealed.files == (f"labels/dt=2026-03-23/{name}", f"labels/dt=2026-03-24/{name}")
    assert (sealed.labels, sealed.rows, sealed.attempts) == (2, 0, 0)
    assert all((ledger.path / path).read_bytes() == before for path, before in rows.items())
    connection = ledger.connect()
    joined = connection.execute(
        "SELECT labels.language, labels.task_tags[1].path, labels.tag_sample_weight "
        "FROM rows LEFT JOIN labels USING (generation_id) ORDER BY rows.generation_id"
    ).fetchall()
    connection.close()
    assert joined == [(None, None, None), *[("zh-Hans", PROGRAMMING.path, 400)] * 2]
    assert verify(ledger).findings == []


def test_a_call_has_one_label(ledger):
    """The first one sealed stays; a second one, in the same segment or a later one, is left out and counted."""
    write_labels(ledger, label(1), label(1, language="en"))
    (first,) = seal(ledger).sealed
    write_labels(ledger, label(1, language="ru"), label(2), now_us=NOW_US + 5)
    (second,) = seal(ledger).sealed
    assert (first.labels, first.duplicates) == (1, (call_id(1),))
    assert (second.labels, second.duplicates) == (1, (call_id(1),))
    connection = ledger.connect()
    assert connection.execute("SELECT language FROM labels ORDER BY generation_id").fetchall() == [("zh-Hans",)] * 2
    connection.close()


def test_a_dead_labeller_loses_at_most_its_torn_line(ledger):
    """Labels of a writer that was killed are sealed like any other; no row is made up from them."""
    writer = open_writer(ledger.journal_path, worker=9)
    writer.append(label(1))
    writer.flush()
    with writer.path.open("ab") as file:
        file.write(encode_line(label(2))[:40])
    import os

    os.close(writer._fd)  # the lock ends with its process
    (sealed,) = seal(ledger).sealed
    assert (sealed.labels, sealed.rows, sealed.calls_settled, len(sealed.damaged)) == (1, 0, (), 1)
    assert verify(ledger).damaged_lines == 1


def test_labels_do_not_hide_the_call_they_belong_to(ledger):
    """An intent still waits for its outcome where only a label is there, and a call is found by its row."""
    writer = open_writer(ledger.journal_path)
    write_calls(writer, range(1))
    writer.append(label(0))
    writer.flush()
    assert find(ledger, call_id(0)).row.generation_id == call_id(0)
    writer.close()
    (sealed,) = seal(ledger).sealed
    assert (sealed.rows, sealed.labels, sealed.duplicates) == (1, 1, ())
    assert find(ledger, call_id(0)).row.generation_id == call_id(0)


def test_a_changed_label_is_found(ledger):
    """Labels are evidence like rows."""
    write_labels(ledger, label(1))
    seal(ledger)
    (path,) = ledger.label_files()
    path.write_bytes(path.read_bytes().replace(b"zh-Hans", b"zh-Hant"))
    (finding,) = verify(ledger).findings
    assert finding.problem == "changed" and finding.path.startswith("labels/")
