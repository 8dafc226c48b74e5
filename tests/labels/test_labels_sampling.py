"""The gateway's end: who is drawn, what is dropped and counted, and that a call never waits."""

import asyncio
import json
import shutil
import tempfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from tidegate.config import Config, TenantConfig
from tidegate.core.errors import ConfigError
from tidegate.core.sample import BODY_BYTES_MAX, FRAME_HEAD_BYTES, LABELLER_APP, Sample, decode_message
from tidegate.gateway import sampling
from tidegate.gateway.meter import Totals
from tidegate.gateway.sampling import Sampler, sampler_of

BODY = json.dumps({"messages": [{"role": "user", "content": "hi"}]}).encode()


@pytest.fixture
def path():
    folder = Path(tempfile.mkdtemp(prefix="tg"))
    yield folder / "labels.sock"
    shutil.rmtree(folder)


def call(number=1, *, tenant="acme", operation="chat", counts_only=False, body=BODY, title=None):
    """What the sampler reads of an exchange."""
    headers = {} if title is None else {b"x-title": title}
    return SimpleNamespace(
        generation_id=f"call-{number}",
        key=SimpleNamespace(tenant_id=tenant),
        operation=SimpleNamespace(name=operation, counts_only=counts_only),
        request=SimpleNamespace(headers=headers, body=body, arrived_us=number),
    )


class Labeller:
    """The other end of the socket. `paused`: takes nothing."""

    def __init__(self):
        self.samples, self.paused = [], asyncio.Event()
        self.paused.set()

    async def serve(self, reader, writer):
        await self.paused.wait()
        try:
            while True:
                size = int.from_bytes(await reader.readexactly(FRAME_HEAD_BYTES), "big")
                self.samples.append(decode_message(await reader.readexactly(size)))
        except asyncio.IncompleteReadError:
            writer.close()


async def until(true, limit_s=3.0):
    async with asyncio.timeout(limit_s):
        while not true():  # noqa: ASYNC110 - looks at what others change
            await asyncio.sleep(0.01)


def open_sampler(path, one_in=1):
    totals = Totals()
    return Sampler(asyncio.get_running_loop(), path, {"acme": one_in}, "seed", totals), totals


async def test_drawn_calls_reach_the_labeller_with_their_weight(path):
    labeller = Labeller()
    async with await asyncio.start_unix_server(labeller.serve, path):
        sampler, totals = open_sampler(path)
        await until(lambda: sampler._transport)
        for number in (1, 2):
            sampler.offer(call(number))
        await until(lambda: len(labeller.samples) == 2)
        await sampler.close()
    assert labeller.samples == [Sample("call-1", 1, 1, BODY), Sample("call-2", 2, 1, BODY)]
    assert (totals.label_samples, totals.label_samples_dropped) == (2, 0)


async def test_who_did_not_opt_in_or_says_nothing_is_not_sampled(path):
    """Other tenants, embeddings, counts, media, and the labeller's own calls."""
    labeller = Labeller()
    async with await asyncio.start_unix_server(labeller.serve, path):
        sampler, totals = open_sampler(path)
        await until(lambda: sampler._transport)
        for other in (
            call(tenant="other"),
            call(operation="embeddings"),
            call(operation="image_generation"),
            call(counts_only=True),
            call(title=LABELLER_APP.encode()),
        ):
            sampler.offer(other)
        sampler.offer(call(9, title=b"my app"))
        await until(lambda: labeller.samples)
        await sampler.close()
    assert [sample.generation_id for sample in labeller.samples] == ["call-9"]
    assert (totals.label_samples, totals.label_samples_dropped) == (1, 0)


async def test_about_one_in_n_is_handed_over(path):
    labeller = Labeller()
    async with await asyncio.start_unix_server(labeller.serve, path):
        sampler, totals = open_sampler(path, one_in=10)
        await until(lambda: sampler._transport)
        for number in range(2000):
            sampler.offer(call(number))
        await sampler.close()
        await until(lambda: len(labeller.samples) == totals.label_samples)
    assert 130 < totals.label_samples < 270 and totals.label_samples_dropped == 0
    assert {sample.one_in for sample in labeller.samples} == {10}


async def test_a_slow_labeller_costs_samples_not_memory(path, monkeypatch):
    """What waits is bounded; beyond it samples are dropped and counted, and offering returns at once."""
    monkeypatch.setattr(sampling, "QUEUE_BYTES_MAX", 1_000_000)
    labeller = Labeller()
    labeller.paused.clear()
    async with await asyncio.start_unix_server(labeller.serve, path):
        sampler, totals = open_sampler(path)
        await until(lambda: sampler._transport)
        for number in range(100):
            sampler.offer(call(number, body=b"x" * 100_000))
            assert sampler._transport.get_write_buffer_size() <= 1_100_000
        assert totals.label_samples + totals.label_samples_dropped == 100 and totals.label_samples_dropped > 50
        labeller.paused.set()
        await until(lambda: len(labeller.samples) == totals.label_samples)
        await sampler.close()


async def test_without_a_labeller_samples_are_dropped_and_counted(path):
    """It may start later, or again: the sampler finds it by itself."""
    sampler, totals = open_sampler(path)
    sampler.offer(call(1))
    assert totals.label_samples_dropped == 1
    labeller = Labeller()
    async with await asyncio.start_unix_server(labeller.serve, path):
        await until(lambda: sampler._transport)
        sampler.offer(call(2, body=b"x" * (BODY_BYTES_MAX + 1)))
        sampler.offer(call(3))
        await until(lambda: labeller.samples)
        await sampler.close()
    assert [sample.generation_id for sample in labeller.samples] == ["call-3"]
    assert (totals.label_samples, totals.label_samples_dropped) == (1, 2)


async def test_a_worker_without_tenants_that_opted_in_has_no_sampler(tmp_path):
    """The hot path then tests one attribute for None."""
    loop = asyncio.get_running_loop()
    assert sampler_of(loop, Config(), Totals()) is None
    assert sampler_of(loop, Config(tenants={"acme": TenantConfig(label_one_in=0)}), Totals()) is None
    sampler = sampler_of(loop, Config(home=str(tmp_path), tenants={"acme": TenantConfig(label_one_in=400)}), Totals())
    assert sampler is not None
    await sampler.close()


def test_a_model_that_labels_is_named():
    from tidegate.config import load_config

    with pytest.raises(ConfigError, match=r"labels\.model"):
        load_config(files=[], environ={"TIDEGATE_LABELS_LABELLER": "model"})
