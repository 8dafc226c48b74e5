"""Start, keys, drain, kill: what a worker does at the edges of its life."""

import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2 as httpx
import pytest

from rig.gateway import Gateway, call_head, configuration, start_gateway
from rig.provider import Call, FakeProvider, answer, delta, usage_event
from tidegate.accounts.keys import open_accounts
from tidegate.ledger.journal import journal_files
from tidegate.ledger.recover import recover
from tidegate.ledger.seal import seal
from tidegate.ledger.store import Ledger


async def slow_stream(call: Call) -> None:
    import asyncio

    await call.begin_stream()
    for _ in range(8):
        await call.event(delta("word "))
        await asyncio.sleep(0.05)
    await call.event(delta(None, "stop"))
    await call.event(usage_event())
    await call.end_stream()


@pytest.fixture(scope="module")
def provider() -> Iterator[FakeProvider]:
    with FakeProvider({"slow-stream": slow_stream}) as server:
        yield server


def post(gateway: Gateway, key: str = "", model: str = "ok") -> httpx.Response:
    headers = {"authorization": f"Bearer {key or gateway.key}"}
    return httpx.post(
        f"{gateway.url}/v1/chat/completions", json={"model": f"acme/{model}", "messages": []}, headers=headers
    )


def eventually(condition: Callable[[], bool], within_s: float = 3.0) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "it never became true"
        time.sleep(0.05)


def test_keys_are_made_expire_and_are_revoked_while_it_runs(provider, run_gateway) -> None:
    """A running gateway learns of another process's changes: of a new key at once, of a revoked one in two seconds."""
    gateway = run_gateway(configuration(provider, ["ok"]))
    accounts = open_accounts(gateway.home)
    made = accounts.create_key("second", tenant_id="acme")
    assert post(gateway, made.secret).status_code == 200, "a key works as soon as it is made"
    assert gateway.row().tenant_id == "acme"
    accounts.revoke_key(made.key_id)
    eventually(lambda: post(gateway, made.secret).status_code == 401)
    brief = accounts.create_key("brief", expires_us=time.time_ns() // 1000 + 1_500_000)
    eventually(lambda: post(gateway, brief.secret).status_code == 200)
    eventually(lambda: post(gateway, brief.secret).status_code == 401)
    accounts.close()


def test_no_secret_is_stored_or_logged(provider, run_gateway) -> None:
    """Neither the caller's key nor the provider's is anywhere in the home."""
    config = configuration(provider, ["ok"], provider_extra='api_key_env = "MOCK_KEY"')
    gateway = run_gateway(config, {"MOCK_KEY": "sk-operators-own"})
    assert post(gateway).status_code == 200
    assert post(gateway, "sk-a-wrong-key-of-somebody").status_code == 401
    gateway.stop()
    for path in gateway.home.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            assert gateway.key.encode() not in data, path
            assert b"sk-operators-own" not in data, path
            assert b"sk-a-wrong-key" not in data, path


def test_sigterm_finishes_what_runs_and_closes_the_segment(provider, run_gateway) -> None:
    """Stop accepting, finish, close, exit 0: no call is cut, no record is left behind."""
    gateway = run_gateway(configuration(provider, ["slow-stream"]))
    body = json.dumps({"model": "acme/slow-stream", "messages": [], "stream": True}).encode()
    head = f"{gateway.call_head}content-length: {len(body)}\r\n\r\n"
    idle = gateway.connect()
    with gateway.connect() as running:
        running.sendall(head.encode() + body)
        data = running.recv(65536)
        gateway.process.send_signal(signal.SIGTERM)
        assert idle.recv(1) == b""  # a connection without a call is closed at once
        eventually(lambda: not accepts(gateway))
        while piece := running.recv(65536):
            data += piece
    idle.close()
    assert data.endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n")
    assert gateway.process.wait(5) == 0
    assert [path.name.endswith(".open.jsonl") for path in journal_files(gateway.home / "ledger" / "journal")] == [False]
    assert gateway.row().cost_basis == "metered"


def accepts(gateway: Gateway) -> bool:
    try:
        gateway.connect().close()
    except OSError:
        return False
    return True


def test_sigterm_hangs_up_on_what_does_not_finish_and_still_records_it(provider, run_gateway) -> None:
    """The drain has a limit, and a call cut by it has a row."""
    gateway = run_gateway(configuration(provider, ["slow-stream"], "[gateway]\ndrain_s = 0.1"))
    body = {"model": "acme/slow-stream", "messages": [], "stream": True}
    with httpx.stream("POST", f"{gateway.url}/v1/chat/completions", json=body, headers=gateway.headers) as reply:
        next(reply.iter_bytes())
        assert gateway.stop() == 0
    row = gateway.row()
    assert (row.is_cancelled, row.cost_basis) == (True, "estimated_partial")


def test_segments_are_closed_by_age_and_size_under_load(provider, run_gateway) -> None:
    """So that rows are sealed soon; an open call's intent goes along into the next segment."""
    extra = "[ledger]\nsegment_age_s = 0.5\nsegment_bytes_max = 6000"
    gateway = run_gateway(configuration(provider, ["ok", "slow-stream"], extra))
    for _ in range(20):
        assert post(gateway).status_code == 200
    journal = gateway.home / "ledger" / "journal"
    eventually(lambda: len([p for p in journal_files(journal) if not p.name.endswith(".open.jsonl")]) >= 2)
    assert len(gateway.outcomes()) == 20


def test_what_cannot_start_says_why_in_one_line(provider, tmp_path: Path) -> None:
    """Exit 1, before the first connection, naming the setting."""
    with pytest.raises(AssertionError, match=r"providers.mock.*base_url must begin with http"):
        start_gateway(tmp_path / "a", '[providers.mock]\nbase_url = "ftp://x"\n')
    with pytest.raises(AssertionError, match="MOCK_KEY"):
        start_gateway(tmp_path / "b", configuration(provider, ["ok"], provider_extra='api_key_env = "MOCK_KEY"'))


class Load(threading.Thread):
    """A caller who calls until told to stop, and remembers which calls were acknowledged."""

    def __init__(self, port: int, key: str, seed: int) -> None:
        super().__init__(daemon=True)
        self.port, self.key, self.random = port, key, random.Random(seed)
        self.acknowledged: list[str] = []
        self.is_over = False

    def run(self) -> None:
        while not self.is_over:
            stream = self.random.random() < 0.5
            body = json.dumps({"model": "acme/ok", "messages": [], "stream": stream}).encode()
            head = f"{call_head(self.key)}connection: close\r\n"
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=5) as connection:
                    connection.sendall(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
                    data = b""
                    while piece := connection.recv(65536):
                        data += piece
            except OSError:
                continue
            if data.endswith((b"[DONE]\n\n\r\n0\r\n\r\n", b'"reasoning_tokens": 2}}}')):
                self.acknowledged.append(data.split(b"x-generation-id: ")[1][:36].decode())


def test_a_call_cut_off_by_a_kill_is_as_well_described_as_any(provider, run_gateway) -> None:
    """Who called what, with which variant: all that was known at dispatch is in the recovered row."""
    gateway = run_gateway(configuration(provider, ["slow-stream"]).replace("acme/slow-stream", "acme/slow-stream:free"))
    body = {"model": "acme/slow-stream:free", "messages": [], "stream": True, "user": "alice", "session_id": "s-1"}
    with httpx.stream(
        "POST", f"{gateway.url}/v1/chat/completions", json=body, headers=gateway.headers | {"x-title": "Demo"}
    ) as reply:
        next(reply.iter_bytes())
        gateway.process.kill()
        gateway.process.wait(5)
    recover(gateway.home / "ledger" / "journal")
    row = gateway.row()
    assert (row.response_model, row.model_variant, row.error_type) == ("acme/slow-stream", "free", "gateway_died")
    assert (row.app, row.session_id, row.cost_basis) == ("Demo", "s-1", "unknown")
    assert row.user_hash
    assert row.route_reason


KILLS = int(os.environ.get("KILLS", "6"))  # the long version is `make kill50`


@pytest.mark.timeout(30 + 5 * KILLS)
def test_kill_9_loses_no_acknowledged_call(tmp_path: Path) -> None:
    """At random moments under load: every acknowledged call exactly one row, every dispatched attempt recorded."""
    kills = KILLS
    seed = 20261121
    moments = random.Random(seed)
    home, key, acknowledged = tmp_path / "home", "", []
    with FakeProvider({"ok": answer}) as provider:
        for kill in range(kills):
            gateway = start_gateway(home, configuration(provider, ["ok"]), key=key)
            key = gateway.key
            load = [Load(gateway.port, key, seed + kill * 10 + n) for n in range(4)]
            for caller in load:
                caller.start()
            time.sleep(moments.uniform(0.05, 0.4))
            gateway.process.kill()
            gateway.process.wait(5)
            for caller in load:
                caller.is_over = True
            for caller in load:
                caller.join(10)
                acknowledged += caller.acknowledged
            recover(home / "ledger" / "journal")
        dispatched = len(provider.calls)
    assert len(acknowledged) > kills * 5, "the load was no load"
    ledger = Ledger.create(home / "ledger")
    seal(ledger)
    connection = ledger.connect()
    ids = [row[0] for row in connection.execute("SELECT generation_id FROM rows").fetchall()]
    assert len(ids) == len(set(ids))
    assert set(acknowledged) <= set(ids)
    (attempts,) = connection.execute("SELECT count(*) FROM attempts").fetchone()
    assert attempts >= dispatched
    unknown = connection.execute("SELECT count(*) FROM rows WHERE cost_basis = 'unknown'").fetchone()[0]
    assert unknown <= kills * 4  # at most what each caller had open
    print(
        f"{kills} kills: {len(acknowledged)} calls acknowledged, {len(ids)} rows, {unknown} of them of unknown cost; ",
        end="",
    )
    print(f"{dispatched} attempts seen by the provider, {attempts} recorded")


def test_one_tidegate_may_stand_behind_another(provider, run_gateway) -> None:
    """A key of ours goes to a provider only where the configuration names the variable that holds it."""
    inner = run_gateway(configuration(provider, ["ok"]))
    config = f'[providers.inner]\nbase_url = "{inner.url}/v1"\napi_key_env = "INNER_KEY"\n'
    config += '[[endpoints]]\nprovider = "inner"\nmodel = "acme/ok"\nprice = { input = "3", output = "3" }\n'
    outer = run_gateway(config, {"INNER_KEY": inner.key, "OPENAI_API_KEY": inner.key})
    assert post(outer).status_code == 200
    assert (inner.row().cost_nano_usd, outer.row().cost_nano_usd) == (68_000, 51_000)
    models = httpx.get(f"{outer.url}/v1/models", headers=outer.headers).json()["data"]
    assert [model["id"] for model in models] == ["acme/ok"]


def test_rows_of_a_running_gateway_can_be_sealed_now(provider, run_gateway) -> None:
    """`tidegate ledger seal` asks for a new segment instead of waiting for the old one to grow old."""
    gateway = run_gateway(configuration(provider, ["ok", "slow-stream"]))
    for _ in range(3):
        assert post(gateway).status_code == 200
    Ledger.create(gateway.home / "ledger")  # as `tidegate serve` does
    environ = {"PATH": os.environ["PATH"], "TIDEGATE_HOME": str(gateway.home)}
    command = [sys.executable, "-m", "tidegate", "ledger", "seal"]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=True)
    assert ": 3 rows, 3 attempts" in done.stdout
    assert post(gateway).status_code == 200
    connection = Ledger.open(gateway.home / "ledger").connect()
    assert connection.execute("SELECT count(*) FROM rows").fetchone() == (3,)
