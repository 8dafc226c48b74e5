"""The labeller's process, without its process: what it takes, writes, counts and forgets."""

import asyncio
import json
import logging

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.config import Config
from tidegate.core.row import Labelled, TaskTag
from tidegate.core.sample import (
    FRAME_BYTES_MAX,
    FRAME_HEAD_BYTES,
    Report,
    ReportAsk,
    Sample,
    decode_message,
    decode_report,
    frame,
    is_drawn,
)
from tidegate.labels.journal import LABELLER_NUMBER, LabelJournal
from tidegate.labels.labeller import LabellerFailed, Labelling
from tidegate.labels.worker import Labels
from tidegate.ledger.journal import read_journal
from tidegate.ledger.rotation import ask_for_rotation
from tidegate.ledger.seal import seal
from tidegate.ledger.store import Ledger

SECRET = "the quick brown secret"
TAG = TaskTag(path="/Games/Roleplaying Games", confidence_ppm=800_000)
NOW_US = 1_774_267_200_000_000


class Scripted:
    """A labeller whose answers stand in the test."""

    name = "scripted:1"

    def __init__(self):
        self.texts = []

    async def label(self, text):
        self.texts.append(text)
        await asyncio.sleep(0)
        if text == "fail":
            raise LabellerFailed("no answer")
        if text == "bug":
            raise RuntimeError(f"could not parse {SECRET}")
        return Labelling("en", (TAG,))

    async def close(self):
        pass


@pytest.fixture
def config(tmp_path):
    return Config(home=str(tmp_path / "home"))


@pytest.fixture
def journal(config):
    Ledger.create(config.ledger_path)
    opened = LabelJournal(config)
    yield opened
    opened.close()


def sample(number, text=SECRET, *, body=None, one_in=400):
    content = json.dumps({"messages": [{"role": "user", "content": text}]}).encode() if body is None else body
    return Sample(f"call-{number}", NOW_US + number, one_in, content)


class Wire:
    """What a StreamWriter is to the worker."""

    def __init__(self):
        self.written, self.is_closed = b"", False

    def write(self, data):
        self.written += data

    async def drain(self):
        pass

    def close(self):
        self.is_closed = True


async def serve(labels, data):
    reader, writer = asyncio.StreamReader(limit=2**20), Wire()
    reader.feed_data(data)
    reader.feed_eof()
    await labels.serve(reader, writer)
    await labels.finish()
    return writer


def written(config):
    paths = sorted((config.ledger_path / "journal").glob("*.jsonl"))
    return [item.label for path in paths for item in read_journal(path) if isinstance(item, Labelled)]


async def test_a_sample_becomes_a_label_and_its_text_is_gone(config, journal):
    labels = Labels(Scripted(), journal)
    await serve(labels, frame(sample(1)) + frame(sample(2, one_in=1)))
    one, two = written(config)
    assert (one.generation_id, one.ts, one.labeller, one.language) == ("call-1", NOW_US + 1, "scripted:1", "en")
    assert (one.task_tags, one.tag_sample_weight, two.tag_sample_weight) == ([TAG], 400, 1)
    assert all(SECRET.encode() not in path.read_bytes() for path in config.home_path.rglob("*") if path.is_file())
    assert labels.report(10).texts == () and labels.labelled == 2


async def test_nothing_is_silently_dropped(config, journal, caplog):
    """Unreadable, silent and failed samples are counted; a failure's log never quotes the prompt."""
    labels = Labels(Scripted(), journal)
    picture = json.dumps({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}).encode()
    with caplog.at_level(logging.INFO):
        await serve(
            labels,
            b"".join(
                map(
                    frame,
                    [sample(1), sample(2, body=b"{"), sample(3, body=picture), sample(4, "fail"), sample(5, "bug")],
                )
            ),
        )
    report = labels.report(0)
    counts = (report.labelled, report.unreadable, report.silent, report.failed, report.waiting)
    assert counts == (2, 1, 1, 2, 0)
    found = sorted(written(config), key=lambda label: label.generation_id)
    assert [(label.generation_id, label.language, label.task_tags) for label in found] == [
        ("call-1", "en", [TAG]),
        ("call-3", "und", []),
    ]
    assert SECRET not in caplog.text and "RuntimeError at test_labels_worker.py" in caplog.text


async def test_a_report_is_asked_over_the_same_socket(config, journal):
    """Texts come only where the operator keeps some, the newest first to last, and no more than asked for."""
    labels = Labels(Scripted(), journal, audit_texts=2)
    asked = b"".join(map(frame, [sample(1, "a"), sample(2, "b"), sample(3, "c")]))
    await serve(labels, asked)
    wire = await serve(labels, frame(ReportAsk(5)))
    report = decode_report(wire.written[FRAME_HEAD_BYTES:])
    assert [(kept.text, kept.language, kept.tags) for kept in report.texts] == [
        (text, "en", ((TAG.path, TAG.confidence_ppm),)) for text in ("b", "c")
    ]
    assert (report.labelled, report.labeller) == (3, "scripted:1")
    assert decode_report((await serve(labels, frame(ReportAsk()))).written[FRAME_HEAD_BYTES:]).texts == ()


@pytest.mark.parametrize(
    "data",
    [
        b"\x00",
        b"\x00\x00\x00\x05abc",
        (FRAME_BYTES_MAX + 1).to_bytes(4, "big") + b"x" * 100,
        b"\x00\x00\x00\x03abc",
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x00\x00\x00\x01\xc0",
    ],
)
async def test_bytes_that_are_no_sample_end_the_connection_and_nothing_else(config, journal, data):
    labels = Labels(Scripted(), journal)
    assert (await serve(labels, data)).is_closed
    await serve(labels, frame(sample(1)))
    assert len(written(config)) == 1


async def test_labels_are_sealed_when_somebody_asks(config, journal):
    """`ledger seal` reaches the labeller's segment as it reaches a gateway worker's."""
    labels = Labels(Scripted(), journal)
    await serve(labels, frame(sample(1)))
    directory = config.ledger_path / "journal"
    waiting = asyncio.create_task(asyncio.to_thread(ask_for_rotation, directory))
    while not waiting.done():
        journal.sweep()
        await asyncio.sleep(0.01)
    assert waiting.result() == []
    (sealed,) = seal(Ledger.open(config.ledger_path)).sealed
    assert sealed.labels == 1 and f"-{LABELLER_NUMBER}-" in sealed.segment_id
    await serve(labels, frame(sample(2)))
    assert [label.generation_id for label in written(config)] == ["call-2"]


@given(st.binary(max_size=200), st.integers(1, 10**9), st.text(max_size=40))
def test_a_frame_is_read_back_as_it_was_sent(body, one_in, call):
    sent = Sample(call, 1, one_in, body)
    data = frame(sent)
    assert int.from_bytes(data[:4], "big") == len(data) - 4 and decode_message(data[4:]) == sent


def test_about_one_in_n_calls_is_drawn_and_always_the_same_ones():
    """The weight of a label is exactly one over the chance to be drawn."""
    ids = [f"0199f3a2-0000-7000-8000-{number:012x}" for number in range(20_000)]
    drawn = {call for call in ids if is_drawn(call, 20, b"seed")}
    assert abs(len(drawn) - 1000) < 5 * (20_000 * 0.05 * 0.95) ** 0.5  # five standard deviations
    assert drawn == {call for call in ids if is_drawn(call, 20, b"seed")}
    assert drawn != {call for call in ids if is_drawn(call, 20, b"other")}
    assert all(is_drawn(call, 1, b"seed") for call in ids[:100])


def test_a_report_says_what_it_is():
    report = Report(labeller="x", labelled=1, silent=0, unreadable=0, failed=0, waiting=0)
    assert decode_report(frame(report)[4:]) == report
    with pytest.raises(msgspec.ValidationError):
        decode_message(frame(report)[4:])
