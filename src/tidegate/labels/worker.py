"""The labeller as a process: takes samples from the gateway's workers, writes labels, forgets the texts.

Texts live in this process's memory from their frame to their label, at most IN_FLIGHT_MAX at a time; core dumps are
off, and what goes wrong is logged by the kind of the error alone. Only where the operator set `labels.audit_texts`
are the newest ones kept longer, in memory, for whoever may open this installation's socket.
"""

import asyncio
import collections
import logging
import os
import resource
import signal
import traceback
from pathlib import Path
from typing import Final

import msgspec

from tidegate.config import Config
from tidegate.core.errors import ConfigError, LedgerError
from tidegate.core.row import Label
from tidegate.core.sample import (
    FRAME_BYTES_MAX,
    FRAME_HEAD_BYTES,
    SOCKET_NAME,
    KeptText,
    Report,
    Sample,
    decode_message,
    frame,
)
from tidegate.labels.journal import LabelJournal
from tidegate.labels.labeller import Labeller, LabellerFailed, Labelling, LocalLabeller
from tidegate.labels.turns import user_text

log = logging.getLogger(__name__)

IN_FLIGHT_MAX: Final = 8
SWEEP_S: Final = 1.0
LAST_SAMPLES_S: Final = 3.0  # for what the gateway's workers still hand over when all stop
UNDETERMINED: Final = "und"  # BCP 47; null is a call that nobody looked at
NICE: Final = 10  # callers come first


class Labels:
    """The state of the process. `counts` are those of `Report`."""

    def __init__(self, labeller: Labeller, journal: LabelJournal, *, audit_texts: int = 0) -> None:
        self._labeller, self._journal = labeller, journal
        self._slots = asyncio.Semaphore(IN_FLIGHT_MAX)
        self._tasks: set[asyncio.Task[None]] = set()
        self._kept: collections.deque[KeptText] = collections.deque(maxlen=audit_texts)
        self.labelled = self.silent = self.unreadable = self.failed = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection: samples of a worker, or somebody who asks for a report."""
        try:
            while True:
                size = int.from_bytes(await reader.readexactly(FRAME_HEAD_BYTES), "big")
                if size > FRAME_BYTES_MAX:
                    log.warning("labels: a frame of %d bytes, at most %d are taken; hanging up", size, FRAME_BYTES_MAX)
                    return
                message = decode_message(await reader.readexactly(size))
                if isinstance(message, Sample):
                    await self._take(message)
                else:
                    writer.write(frame(self.report(message.texts)))
                    await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            return  # the other end hung up
        except msgspec.MsgspecError:
            log.warning("labels: a frame that is no sample; hanging up")
        finally:
            writer.close()

    def report(self, texts: int) -> Report:
        """How it went so far, with the newest kept texts."""
        newest = list(self._kept)[-texts:] if texts > 0 else []
        return Report(
            labeller=self._labeller.name,
            labelled=self.labelled,
            silent=self.silent,
            unreadable=self.unreadable,
            failed=self.failed,
            waiting=len(self._tasks),
            texts=tuple(newest),
        )

    async def _take(self, sample: Sample) -> None:
        """Begin to label; waits while IN_FLIGHT_MAX others are, and so lets the socket fill up."""
        await self._slots.acquire()
        task = asyncio.create_task(self._one(sample))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _one(self, sample: Sample) -> None:
        try:
            await self._label(sample)
        except (LabellerFailed, LedgerError) as error:  # their texts are ours, and hold nothing of the prompt
            self.failed += 1
            log.warning("labels: %s", error)
        except Exception as error:  # noqa: BLE001 - a mistake of ours: the log has kind and place, but no message, which may quote
            self.failed += 1
            place = traceback.extract_tb(error.__traceback__)[-1]
            log.error("labels: %s at %s:%s", type(error).__name__, Path(place.filename).name, place.lineno)
        finally:
            self._slots.release()

    async def _label(self, sample: Sample) -> None:
        text = user_text(sample.body)
        if text is None:
            self.unreadable += 1
            return
        found = await self._labeller.label(text) if text.strip() else Labelling(None, ())
        self.silent += not text.strip()
        self._journal.write(
            Label(
                generation_id=sample.generation_id,
                ts=sample.ts,
                labeller=self._labeller.name,
                language=found.language or UNDETERMINED,
                task_tags=list(found.tags),
                tag_sample_weight=sample.one_in,
            )
        )
        self.labelled += 1
        if self._kept.maxlen:
            tags = tuple((tag.path, tag.confidence_ppm) for tag in found.tags)
            self._kept.append(KeptText(sample.generation_id, text, found.language, tags))

    async def finish(self) -> None:
        """Label what was taken."""
        if self._tasks:
            await asyncio.gather(*self._tasks)


def labeller_of(config: Config) -> Labeller:
    """As `labels.labeller` says. Raises ConfigError for a model that cannot be asked."""
    if config.labels.labeller == "local":
        return LocalLabeller()
    from tidegate.labels.by_model import ModelLabeller

    return ModelLabeller.of(config, os.environ)


async def run(config: Config, ready_fd: int | None) -> None:
    """Label until SIGTERM or SIGINT, then what the workers have handed over by then. Raises ConfigError."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.nice(NICE)
    path = config.run_path / SOCKET_NAME
    _make_room(path)
    journal = LabelJournal(config)
    labeller = labeller_of(config)
    labels = Labels(labeller, journal, audit_texts=config.labels.audit_texts)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    open_connections: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        open_connections.add(task)
        try:
            await labels.serve(reader, writer)
        finally:
            open_connections.discard(task)

    server = await asyncio.start_unix_server(serve, path)
    path.chmod(0o600)
    chores = asyncio.create_task(_chores(journal))
    if ready_fd is not None:
        os.write(ready_fd, b"ready\n")
        os.close(ready_fd)
    log.info("labels: %s", labeller.name)
    await stop.wait()
    server.close()
    if open_connections:  # the workers have hung up by now, or do so soon; what they wrote is read to its end
        await asyncio.wait(set(open_connections), timeout=LAST_SAMPLES_S)
    await labels.finish()
    chores.cancel()
    journal.close()
    await labeller.close()
    path.unlink(missing_ok=True)


async def _chores(journal: LabelJournal) -> None:
    while True:
        await asyncio.sleep(SWEEP_S)
        try:
            journal.sweep()
        except (LedgerError, OSError) as error:
            log.error("labels: %s", error)


def _make_room(path: Path) -> None:
    """A folder for its owner only, and no socket of an earlier run in it."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.parent.chmod(0o700)
        path.unlink(missing_ok=True)
    except OSError as error:
        raise ConfigError(f"the labeller's socket {path} cannot be made: {error.strerror}") from error
