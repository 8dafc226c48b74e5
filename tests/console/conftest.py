"""A hand-made ledger: two tenants, one call each way, sealed and not."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import argon2
import pytest

from tidegate.accounts import sign_in
from tidegate.config import Config, load_config
from tidegate.core.row import Attempt, Outcome, Row
from tidegate.ledger.journal import JournalWriter
from tidegate.ledger.seal import seal
from tidegate.ledger.store import Ledger

from .office import Office

SEALED_ID = "0199f3a2-0000-7000-8000-000000000001"
UNSEALED_ID = "0199f3a2-0000-7000-8000-000000000002"
TS_US = 1_760_700_000_000_000  # 2025-10-17T11:20:00Z


def make_call(generation_id: str, tenant_id: str, writer: JournalWriter) -> Outcome:
    """A call that took two attempts and costs one nano-USD more than a round number."""
    row = Row(
        generation_id=generation_id,
        ts=TS_US,
        source_id="own",
        request_id="req-1",
        segment_id=writer.segment_id,
        segment_seq=writer.next_seq,
        tenant_id=tenant_id,
        project_id="default",
        operation_name="chat",
        request_model="gpt-4o-mini",
        response_model="openai/gpt-4o-mini",
        provider_name="openai",
        endpoint_id="openai/gpt-4o-mini@openai",
        attempt_count=2,
        is_stream=True,
        is_cancelled=False,
        status_code=200,
        finish_reason="stop",
        usage_input_tokens=1000,
        usage_output_tokens=200,
        usage_cache_read_input_tokens=400,
        cost_nano_usd=1_000_000_001,
        upstream_cost_nano_usd=900_000_000,
        cost_basis="metered",
        duration_us=2_500_000,
        time_to_first_chunk_us=500_000,
    )
    failed = Attempt(
        generation_id=generation_id, attempt_no=1, ts=TS_US, endpoint_id="openai/gpt-4o-mini@azure", status_code=503
    )
    served = Attempt(
        generation_id=generation_id,
        attempt_no=2,
        ts=TS_US + 1000,
        endpoint_id="openai/gpt-4o-mini@openai",
        status_code=200,
        duration_us=2_400_000,
    )
    return Outcome(row=row, attempts=(failed, served))


def write(ledger: Ledger, worker: int, calls: list[tuple[str, str]]) -> None:
    writer = JournalWriter(ledger.journal_path, "gw", worker, now_us=TS_US)
    for generation_id, tenant_id in calls:
        writer.append(make_call(generation_id, tenant_id, writer))
        writer.flush()
    writer.close()


@pytest.fixture
def config() -> Iterator[Config]:
    """An installation whose ledger holds a sealed call of tenant `a` and an unsealed one of tenant `b`."""
    home = Path(tempfile.mkdtemp(prefix="tg"))
    config = load_config(files=[], environ={"TIDEGATE_HOME": str(home)})
    ledger = Ledger.create(config.ledger_path)
    write(ledger, 0, [(SEALED_ID, "a")])
    seal(ledger)
    write(ledger, 1, [(UNSEALED_ID, "b")])
    yield config
    shutil.rmtree(home)


@pytest.fixture
def office() -> Iterator[Office]:
    """Two tenants, a service key for every role, usage when a test writes it."""
    home = tempfile.mkdtemp(prefix="tg")
    made = Office(load_config(files=[], environ={"TIDEGATE_HOME": home}))
    with made.client:
        yield made
    made.accounts.close()
    shutil.rmtree(home)


@pytest.fixture(autouse=True, scope="session")
def _quick_passwords() -> Iterator[None]:
    """Argon2 with the least it can do: what it costs is tested with the accounts."""
    cheap = argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sign_in, "_hasher", lambda: cheap)
        yield
