"""Vertex and Bedrock through a real gateway: signed in, in their own dialects, with usage in the row."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest

from rig.aws_frames import event
from rig.aws_verifier import signature
from rig.gateway import PRICE, Gateway, start_gateway
from rig.server import ThreadedServer
from tidegate.config import Config, ProviderConfig
from tidegate.core.errors import ConfigError
from tidegate.gateway.serving import build_table
from tidegate.wire.dialects import DIALECTS

pytest.importorskip("botocore", reason="botocore (extra `cloud`) is not installed")
pytest.importorskip("google.auth", reason="google-auth (extra `cloud`) is not installed")
rsa = pytest.importorskip("cryptography.hazmat.primitives.asymmetric.rsa", reason="cryptography is not installed")

KEY_ID, SECRET = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
CLAUDE = "us.anthropic.claude-opus-4-8-v1:0"
BEDROCK_USAGE = {"inputTokens": 8, "outputTokens": 5, "totalTokens": 13, "cacheReadInputTokens": 4}
METRICS = {"latencyMs": 1}
GEMINI_USAGE = {"promptTokenCount": 12, "candidatesTokenCount": 5, "totalTokenCount": 17}
ANTHROPIC_USAGE = {"input_tokens": 12, "output_tokens": 5}


class Cloud(ThreadedServer):
    """Bedrock, Vertex and Google's token server behind one port. `seen`: requests as they came, by path."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: dict[str, bytes] = {}
        self.count: dict[str, int] = {}
        self.token_status = 200

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                names = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:-2])
                body = await reader.readexactly(int(names[b"content-length"]))
                path = head.split(b" ")[1].decode()
                self.seen[path] = head + body
                self.count[path] = self.count.get(path, 0) + 1
                status, kind, answer = self.answer(path)
                writer.write(
                    b"HTTP/1.1 %d X\r\ncontent-type: %b\r\ntransfer-encoding: chunked\r\n\r\n" % (status, kind)
                    + b"".join(
                        b"%x\r\n%b\r\n" % (len(answer[i : i + 7]), answer[i : i + 7]) for i in range(0, len(answer), 7)
                    )
                    + b"0\r\n\r\n"
                )
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    def answer(self, path: str) -> tuple[int, bytes, bytes]:
        if path == "/token":
            token = {"access_token": "ya29.fresh", "expires_in": 3600} if self.token_status == 200 else {"error": "no"}
            return self.token_status, b"application/json", json.dumps(token).encode()
        if path.endswith("/converse-stream"):
            return 200, b"application/vnd.amazon.eventstream", STREAM
        if path.endswith("/converse"):
            message = {"role": "assistant", "content": [{"text": "Four."}]}
            reply: Any = {"output": {"message": message}, "stopReason": "end_turn", "usage": BEDROCK_USAGE}
        elif ":rawPredict" in path:
            content = [{"type": "text", "text": "Four."}]
            reply = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude", "content": content,
                     "stop_reason": "end_turn", "usage": ANTHROPIC_USAGE}  # fmt: skip
        else:
            content = {"role": "model", "parts": [{"text": "Four."}]}
            candidate = {"content": content, "finishReason": "STOP", "index": 0}
            reply = {"candidates": [candidate], "usageMetadata": GEMINI_USAGE}
        return 200, b"application/json", json.dumps(reply).encode()


STREAM = (
    event("messageStart", {"role": "assistant"})
    + event("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "Fo"}})
    + event("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "ur."}})
    + event("contentBlockStop", {"contentBlockIndex": 0})
    + event("messageStop", {"stopReason": "end_turn"})
    + event("metadata", {"usage": BEDROCK_USAGE, "metrics": METRICS})
)


def batched(data: bytes, size: int) -> Iterator[bytes]:
    return (data[start : start + size] for start in range(0, len(data), size))


def service_account(token_url: str) -> str:
    from cryptography.hazmat.primitives import serialization as s

    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = private.private_bytes(s.Encoding.PEM, s.PrivateFormat.PKCS8, s.NoEncryption()).decode()
    return json.dumps(
        {"type": "service_account", "client_email": "g@acme.example", "private_key": pem, "token_uri": token_url}
    )


@pytest.fixture(scope="module")
def account() -> str:
    """A service account's JSON, but for where its tokens come from."""
    return service_account("TOKEN_URL")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, account: str) -> Iterator[tuple[Cloud, Gateway]]:
    with Cloud() as cloud:
        gateway = start(cloud, tmp_path_factory.mktemp("home"), account)
        yield cloud, gateway
        gateway.stop()


@pytest.fixture
def cloud(running: tuple[Cloud, Gateway]) -> Cloud:
    running[0].seen.clear()
    running[0].count.clear()
    return running[0]


@pytest.fixture
def gateway(running: tuple[Cloud, Gateway]) -> Gateway:
    return running[1]


def start(cloud: Cloud, home: Path, account: str) -> Gateway:
    origin = f"http://localhost:{cloud.port}"
    vertex = f"{origin}/v1/projects/p/locations/l/publishers"
    config = f"""
[providers.bedrock]
base_url = "{origin}"
dialect = "bedrock"
auth = "aws-sigv4"
api_key_env = "BEDROCK_KEY"
region = "us-east-1"
[providers.vertex]
base_url = "{vertex}/google"
dialect = "gemini"
auth = "google-oauth"
api_key_env = "VERTEX_KEY"
[[endpoints]]
provider = "bedrock"
model = "anthropic/claude"
upstream_model = "{CLAUDE}"
{PRICE}
[[endpoints]]
provider = "vertex"
model = "google/gemini"
upstream_model = "gemini-2.5-pro"
{PRICE}
"""
    if "anthropic" in DIALECTS:
        config += f"""
[providers.vertex-claude]
base_url = "{vertex}/anthropic"
dialect = "anthropic"
auth = "google-oauth"
api_key_env = "VERTEX_KEY"
[[endpoints]]
provider = "vertex-claude"
model = "vertex/claude"
upstream_model = "claude-opus-4-1@20250805"
{PRICE}
"""
    keys = {"BEDROCK_KEY": f"{KEY_ID}:{SECRET}", "VERTEX_KEY": account.replace("TOKEN_URL", f"{origin}/token")}
    return start_gateway(home, config, keys)


def call(gateway: Gateway, model: str, **more: Any) -> httpx.Response:
    body = {"model": model, "messages": [{"role": "user", "content": "2+2?"}], "max_tokens": 50, **more}
    return httpx.post(f"{gateway.url}/v1/chat/completions", headers=gateway.headers, json=body, timeout=10)


def test_a_chat_call_reaches_bedrock_signed(gateway: Gateway, cloud: Cloud) -> None:
    reply = call(gateway, "anthropic/claude")
    assert reply.status_code == 200, reply.text
    assert reply.json()["choices"][0]["message"]["content"] == "Four."
    (path,) = cloud.seen
    assert path == "/model/us.anthropic.claude-opus-4-8-v1%3A0/converse"
    claimed, deserved = signature(cloud.seen[path], {KEY_ID: SECRET})
    assert claimed == deserved
    row = gateway.row("anthropic/claude")
    assert (row.usage_input_tokens, row.usage_output_tokens, row.usage_cache_read_input_tokens) == (12, 5, 4)


def test_bedrocks_binary_stream_becomes_chat_chunks(gateway: Gateway, cloud: Cloud) -> None:
    """Seven bytes at a time."""
    reply = call(gateway, "anthropic/claude", stream=True, stream_options={"include_usage": True})
    assert reply.headers["content-type"].startswith("text/event-stream")
    chunks = [json.loads(line[6:]) for line in reply.text.split("\n") if line.startswith("data: {")]
    assert "".join(c["choices"][0]["delta"].get("content") or "" for c in chunks if c["choices"]) == "Four."
    assert chunks[-1]["usage"]["prompt_tokens"] == 12
    assert reply.text.rstrip().endswith("data: [DONE]")
    claimed, deserved = signature(next(iter(cloud.seen.values())), {KEY_ID: SECRET})
    assert claimed == deserved
    assert gateway.row("anthropic/claude").finish_reason == "stop"


def test_the_first_call_to_vertex_waits_for_a_token_and_the_second_does_not(gateway: Gateway, cloud: Cloud) -> None:
    for _ in range(2):
        reply = call(gateway, "google/gemini")
        assert reply.json()["choices"][0]["message"]["content"] == "Four."
    path = "/v1/projects/p/locations/l/publishers/google/models/gemini-2.5-pro:generateContent"
    assert b"\r\nauthorization: Bearer ya29.fresh\r\n" in cloud.seen[path]
    assert cloud.count == {"/token": 1, path: 2}


@pytest.mark.skipif("anthropic" not in DIALECTS, reason="Messages is not served yet")
def test_claude_on_vertex_gets_no_model_and_the_version_in_the_body(gateway: Gateway, cloud: Cloud) -> None:
    """Same dialect on both sides: the body passes but for these two."""
    body = {"model": "vertex/claude", "max_tokens": 50, "messages": [{"role": "user", "content": "2+2?"}]}
    reply = httpx.post(f"{gateway.url}/v1/messages", headers=gateway.headers, json=body, timeout=10)
    assert reply.json()["content"][0]["text"] == "Four."
    path = "/v1/projects/p/locations/l/publishers/anthropic/models/claude-opus-4-1@20250805:rawPredict"
    sent = json.loads(cloud.seen[path].partition(b"\r\n\r\n")[2])
    assert "model" not in sent
    assert sent["anthropic_version"] == "vertex-2023-10-16"
    assert sent["messages"] == body["messages"]


def test_credentials_that_google_refuses_are_told_and_charge_nothing(tmp_path: Path, account: str) -> None:
    with Cloud() as cloud:
        cloud.token_status = 401
        gateway = start(cloud, tmp_path, account)
        try:
            reply = call(gateway, "google/gemini")
            row = gateway.row("google/gemini")
        finally:
            gateway.stop()
    assert reply.status_code == 502
    assert "Google refuses the credentials of provider vertex" in reply.json()["error"]["message"]
    assert (row.error_type, row.cost_nano_usd) == ("upstream_rejected_credentials", 0)
    assert set(cloud.seen) == {"/token"}


def test_a_cloud_whose_variables_happen_to_be_set_does_not_keep_the_gateway_from_starting(tmp_path: Path) -> None:
    """Many machines name Google credentials for other programs; only a configured provider must be usable."""
    found = {"GOOGLE_APPLICATION_CREDENTIALS": "/nowhere.json", "GOOGLE_CLOUD_PROJECT": "p", "OPENAI_API_KEY": "k"}
    config = Config(home=str(tmp_path))
    served = {route.provider for route in build_table(config, found, "2026-11-22").models.values()}
    assert "google-vertex" not in served
    assert "openai" in served
    wanted = Config(home=str(tmp_path), providers={"google-vertex": ProviderConfig()})
    with pytest.raises(ConfigError, match="credentials file of provider google-vertex cannot be read"):
        build_table(wanted, found, "2026-11-22")
