"""What admission costs at steady state: no SQL statement and no round trip on the path of a call."""

import http.client
import json
import time
from collections import Counter
from pathlib import Path

from rig.gateway import Gateway, configuration
from rig.provider import FakeProvider
from rig.workers import Workers, acme_quota, held, make_tenant

DRIVER = Path(__file__).with_name("statement_driver.py")
BODY = json.dumps({"model": "acme/plain", "messages": [{"role": "user", "content": "2+2?"}]}).encode()


def calls(gateway: Gateway, count: int) -> None:
    """One after the other, on one connection."""
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=20)
    headers = {"authorization": f"Bearer {gateway.key}", "content-type": "application/json"}
    for _ in range(count):
        connection.request("POST", "/v1/chat/completions", BODY, headers)
        reply = connection.getresponse()
        reply.read()
        assert reply.status == 200 and "x-ratelimit-remaining-requests" in reply.headers
    connection.close()


def test_no_statement_is_said_on_the_path_of_a_call(tmp_path: Path) -> None:
    """With a wallet, requests and tokens a minute: the loop's thread says none; that of quotas says some a second,
    however many calls there are."""
    quotas = [acme_quota("nano_usd", 10**12, is_wallet=True), acme_quota("requests", 10**6, "hour", quota_id="q2"),
              acme_quota("tokens", 10**9, "hour", quota_id="q3")]  # fmt: skip
    key, noted = make_tenant(tmp_path, quotas), tmp_path / "statements"
    with FakeProvider({}) as provider:
        workers = Workers(tmp_path, configuration(provider, ["plain"]), key, 1, [str(DRIVER), str(noted)])
        with workers as gateway:
            calls(gateway, 100)
            before, began = Counter(noted.read_text().split()), time.monotonic()
            calls(gateway, 400)
            said, seconds = Counter(noted.read_text().split()) - before, time.monotonic() - began
            workers.stop()
    assert said["MainThread"] == 0
    assert said["quotas"] <= 100 * (seconds + 1), f"{said['quotas']} statements for 400 calls in {seconds:.1f} s"
    assert held(tmp_path, "q2") == 500
