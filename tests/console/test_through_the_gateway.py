"""One origin: client scripts as OpenRouter's users have them, and people's sessions, through a real gateway."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
from openai import AuthenticationError, OpenAI

from rig.gateway import Gateway, configuration, start_gateway
from rig.provider import FakeProvider
from tidegate.accounts.keys import open_accounts
from tidegate.accounts.people import create_person
from tidegate.accounts.service_keys import ServiceKeyWish, create_service_key
from tidegate.accounts.sign_in import set_password
from tidegate.ledger.store import Ledger

from .office import PASSWORD

SCRIPT = """
import json, os, sys, urllib.request

BASE = os.environ.get("OPENROUTER_BASE_URL", "https://openrouter.ai/api/v1")

def call(path, key, method="GET", body=None):
    request = urllib.request.Request(BASE + path, method=method, data=json.dumps(body).encode() if body else None,
                                     headers={"Authorization": f"Bearer {key}", "Content-Type": "application/json"})
    with urllib.request.urlopen(request) as reply:
        return json.load(reply), reply.headers

key, management_key = os.environ["OPENROUTER_API_KEY"], os.environ["OPENROUTER_MANAGEMENT_KEY"]

chat, _ = call("/chat/completions", key, "POST",
               {"model": sys.argv[1], "messages": [{"role": "user", "content": "hello"}], "usage": {"include": True}})
generation, _ = call(f"/generation?id={chat['id']}", key) if chat["id"].startswith("gen-") else (None, None)
info, _ = call("/key", key)
credits, _ = call("/credits", management_key)
remaining = credits["data"]["total_credits"] - credits["data"]["total_usage"]
activity, _ = call("/activity", management_key)
new, _ = call("/keys", management_key, "POST", {"name": "Customer Instance", "limit": 1000})
listed, _ = call("/keys?offset=0", management_key)
call(f"/keys/{new['data']['hash']}", management_key, "PATCH", {"name": "Updated", "disabled": True})
one, _ = call(f"/keys/{new['data']['hash']}", management_key)
gone, _ = call(f"/keys/{new['data']['hash']}", management_key, "DELETE")
print(json.dumps({"cost": chat["usage"]["cost"], "key": info["data"], "remaining": remaining, "one": one["data"],
                  "activity": activity["data"], "listed": [k["name"] for k in listed["data"]], "gone": gone}))
"""


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway with its console behind it."""
    home = tmp_path_factory.mktemp("tg")
    Ledger.create(home / "ledger")
    with FakeProvider() as provider:
        gateway = start_gateway(home, configuration(provider, ["ok"]))
        reading, writing = os.pipe()
        environ = {
            "PATH": os.environ["PATH"],
            "TIDEGATE_HOME": str(home),
            "TIDEGATE_CONFIG": str(home / "tidegate.toml"),
        }
        with (home / "console.log").open("ab") as log:
            command = [sys.executable, "-m", "tidegate.console", "--ready-fd", str(writing)]
            console = subprocess.Popen(command, env=environ, pass_fds=[writing], stderr=log)
        os.close(writing)
        assert os.read(reading, 16) == b"ready\n", (home / "console.log").read_text()
        os.close(reading)
        yield gateway
        console.terminate()
        assert console.wait(10) == 0
        gateway.stop()


@pytest.fixture(scope="module")
def management_key(origin: Gateway) -> str:
    accounts = open_accounts(origin.home)
    wish = ServiceKeyWish(name="scripts", role="owner", tenant_id="default")
    secret = create_service_key(accounts.database, accounts.pepper, wish)[1]
    accounts.close()
    return secret


def test_an_openrouter_script_runs_unchanged(origin: Gateway, management_key: str, tmp_path: Path) -> None:
    """Key, credits, activity and the life of a key; only the address and the keys are others."""
    path = tmp_path / "script.py"
    path.write_text(SCRIPT)
    environ = {
        "PATH": os.environ["PATH"],
        "OPENROUTER_BASE_URL": f"{origin.url}/api/v1",
        "OPENROUTER_API_KEY": origin.key,
        "OPENROUTER_MANAGEMENT_KEY": management_key,
    }
    done = subprocess.run([sys.executable, path, "acme/ok"], env=environ, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["cost"] > 0 and said["key"]["usage"] >= said["cost"]
    assert said["remaining"] == pytest.approx(-said["key"]["usage"])
    assert [(row["model"], row["requests"]) for row in said["activity"]] == [("acme/ok", 1)]
    assert (said["one"]["name"], said["one"]["disabled"], said["one"]["limit"]) == ("Updated", True, 1000)
    assert said["gone"] == {"deleted": True} and "Customer Instance" in said["listed"]


def test_the_openai_sdk_finds_its_call_and_its_key(origin: Gateway, management_key: str) -> None:
    """By the id of the reply's header; the service key reads its tenant's calls, and makes none itself."""
    with OpenAI(base_url=f"{origin.url}/api/v1", api_key=origin.key, max_retries=0) as client:
        call = client.chat.completions.with_raw_response.create
        raw = call(model="acme/ok", messages=[{"role": "user", "content": "hello"}])
        found: Any = client.get("/key", cast_to=object)
    assert found["data"]["is_management_key"] is False
    for key in (origin.key, management_key):
        query, headers = {"id": raw.headers["x-generation-id"]}, {"authorization": f"Bearer {key}"}
        reply = httpx.get(f"{origin.url}/api/v1/generation", params=query, headers=headers)
        assert reply.status_code == 200 and reply.json()["data"]["id"] == query["id"]
    with (
        OpenAI(base_url=f"{origin.url}/api/v1", api_key=management_key, max_retries=0) as manager,
        pytest.raises(AuthenticationError),
    ):
        manager.chat.completions.create(model="acme/ok", messages=[{"role": "user", "content": "hello"}])


def test_a_key_that_is_deleted_stops_within_two_seconds(origin: Gateway, management_key: str) -> None:
    """And one that is made works at once."""
    manage = {"authorization": f"Bearer {management_key}"}
    made = httpx.post(f"{origin.url}/api/v1/keys", json={"name": "short-lived"}, headers=manage).json()
    use = {"authorization": f"Bearer {made['key']}"}
    body = {"model": "acme/ok", "messages": [{"role": "user", "content": "hello"}]}

    def status() -> int:
        return httpx.post(f"{origin.url}/v1/chat/completions", json=body, headers=use).status_code

    assert status() == 200
    assert httpx.delete(f"{origin.url}/api/v1/keys/{made['data']['hash']}", headers=manage).status_code == 200
    deadline = time.monotonic() + 2 + 1  # the third is for a machine that does much else
    while status() != 401:
        assert time.monotonic() < deadline, "it still calls"
        time.sleep(0.05)


def test_a_session_lives_at_the_gateways_own_address(origin: Gateway) -> None:
    """The cookie, the csrf word and the browser's Origin all pass the gateway; forged headers do not."""
    accounts = open_accounts(origin.home)
    person = create_person(accounts.database, "ada@example.com", is_operator=True)
    set_password(accounts.database, person.person_id, PASSWORD)
    accounts.close()
    with httpx.Client(base_url=origin.url, headers={"origin": origin.url}) as browser:
        forged = {"x-tidegate-tenant": "default", "x-tidegate-key": "k", "x-tidegate-token": "t"}
        assert browser.get("/api/admin/v1/tenants", headers=forged).status_code == 401
        signed_in = browser.post("/api/admin/v1/session", json={"email": "ada@example.com", "password": PASSWORD})
        assert signed_in.status_code == 200
        csrf = {"x-csrf-token": signed_in.json()["csrf"]}
        assert browser.post("/api/admin/v1/tenants", json={"tenant_id": "t2"}).status_code == 403
        assert browser.post("/api/admin/v1/tenants", json={"tenant_id": "t2"}, headers=csrf).status_code == 201
        assert "owner of this installation" in browser.get("/console").text
        assert browser.delete("/api/admin/v1/session", headers=csrf).status_code == 200
        assert browser.get("/api/admin/v1/session").status_code == 401
    logs = "".join((origin.home / name).read_text() for name in ("log", "console.log"))
    assert PASSWORD not in logs and origin.key not in logs
