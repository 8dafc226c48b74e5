"""Google tokens for Vertex: real google-auth against a token server on loopback."""

import base64
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest

from tidegate.config import ProviderConfig
from tidegate.core.errors import ConfigError, UpstreamError, UpstreamRejected
from tidegate.gateway.google_tokens import GoogleTokens

pytest.importorskip("google.auth", reason="google-auth (extra `cloud`) is not installed")
pytest.importorskip("urllib3", reason="urllib3 (extra `cloud`) is not installed")

NOTHING = ProviderConfig()


class TokenServer:
    """Answers as oauth2.googleapis.com does, and keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[dict[str, str]] = []
        self.status, self.reply = 200, {"access_token": "ya29.fresh", "expires_in": 3600, "token_type": "Bearer"}
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                form = parse_qs(self.rfile.read(int(self.headers["content-length"])).decode())
                outer.asked.append({name: values[0] for name, values in form.items()})
                body = json.dumps(outer.reply).encode()
                self.send_response(outer.status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/token"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[TokenServer]:
    server = TokenServer()
    # A person's credentials do not say where tokens come from; google-auth knows.
    monkeypatch.setattr("google.oauth2.credentials._GOOGLE_OAUTH2_TOKEN_ENDPOINT", server.url)
    yield server
    server.close()


@pytest.fixture(scope="module")
def private_key() -> Any:
    rsa = pytest.importorskip("cryptography.hazmat.primitives.asymmetric.rsa", reason="cryptography is not installed")
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def service_account(server: TokenServer, private_key: Any) -> str:
    from cryptography.hazmat.primitives import serialization as s

    pem = private_key.private_bytes(s.Encoding.PEM, s.PrivateFormat.PKCS8, s.NoEncryption()).decode()
    info = {
        "type": "service_account", "client_email": "gate@acme.example", "private_key": pem, "private_key_id": "1",
        "project_id": "acme", "token_uri": server.url,
    }  # fmt: skip
    return json.dumps(info)


def user() -> dict[str, str]:
    return {
        "type": "authorized_user", "client_id": "c", "client_secret": "s", "refresh_token": "r",
        "quota_project_id": "billed-here",
    }  # fmt: skip


async def test_a_service_account_signs_for_a_token(server: TokenServer, private_key: Any) -> None:
    """The assertion is its own, for our scope, and verifies with its public key."""
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import padding

    tokens = GoogleTokens("vertex", service_account(server, private_key), NOTHING)
    assert tokens.lines(b"", ()) is None
    await tokens.ready()
    assert tokens.lines(b"", ()) == b"authorization: Bearer ya29.fresh\r\n"
    (asked,) = server.asked
    assert asked["grant_type"] == "urn:ietf:params:oauth:grant-type:jwt-bearer"
    signed, _, signature = asked["assertion"].rpartition(".")
    raw = base64.urlsafe_b64decode(signature + "=" * (-len(signature) % 4))
    private_key.public_key().verify(raw, signed.encode(), padding.PKCS1v15(), hashes.SHA256())
    claims = signed.split(".")[1]
    said = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))
    assert said["iss"] == "gate@acme.example"
    assert said["scope"] == "https://www.googleapis.com/auth/cloud-platform"


async def test_a_persons_credentials_name_the_project_to_bill(server: TokenServer, tmp_path: Path) -> None:
    """As `gcloud auth application-default login` writes them, in a file that the key names."""
    path = tmp_path / "application_default_credentials.json"
    path.write_text(json.dumps(user()))
    tokens = GoogleTokens("vertex", str(path), NOTHING)
    await tokens.ready()
    lines = (tokens.lines(b"", ()) or b"").split(b"\r\n")
    assert sorted(lines) == [b"", b"authorization: Bearer ya29.fresh", b"x-goog-user-project: billed-here"]
    assert server.asked[0]["refresh_token"] == "r"


async def test_without_a_key_google_looks_where_it_always_looks(
    server: TokenServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "credentials.json"
    path.write_text(json.dumps(user()))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(path))
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "acme")
    tokens = GoogleTokens("vertex", "", NOTHING)
    await tokens.ready()
    assert b"Bearer ya29.fresh" in (tokens.lines(b"", ()) or b"")


async def test_the_token_is_renewed_minutes_before_its_end(server: TokenServer) -> None:
    """`expires_in` counts from now; google-auth's clock is UTC, ours is Unix time."""
    tokens = GoogleTokens("vertex", json.dumps(user()), NOTHING)
    lease = tokens._fetch()
    assert lease.expires_at_s - time.time() == pytest.approx(3600, abs=30)
    assert lease.expires_at_s - lease.renew_at_s == 300


async def test_a_token_that_somebody_else_renews_is_sent_as_it_is() -> None:
    tokens = GoogleTokens("vertex", "ya29.mine", NOTHING)
    assert tokens.lines(b"", ()) == b"authorization: Bearer ya29.mine\r\n"


async def test_a_refusal_says_google_s_words(server: TokenServer) -> None:
    server.status = 400
    server.reply = {"error": "invalid_grant", "error_description": "Token has been expired or revoked."}
    tokens = GoogleTokens("vertex", json.dumps(user()), NOTHING)
    with pytest.raises(UpstreamRejected, match=r"provider vertex: .*invalid_grant.*revoked"):
        await tokens.ready()
    assert tokens.lines(b"", ()) is None


async def test_a_token_server_that_cannot_be_reached_is_no_refusal(server: TokenServer) -> None:
    server.close()
    tokens = GoogleTokens("vertex", json.dumps(user()), NOTHING)
    with pytest.raises(UpstreamError, match="cannot be reached for provider vertex"):
        await tokens.ready()


@pytest.mark.parametrize(
    ("key", "why"),
    [
        ("/nowhere/credentials.json", "cannot be read: No such file"),
        ('{"type": "service_account", "private_key": "SECRET"}', "none that google-auth knows"),
        ('{"type": "something_else"}', "none that google-auth knows"),
        ("{not json", "none that google-auth knows"),
    ],
)
def test_a_key_that_is_no_credential_is_told_at_start_without_being_shown(key: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why) as seen:
        GoogleTokens("vertex", key, NOTHING)
    assert "SECRET" not in str(seen.value)


def test_a_missing_library_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "google.auth.transport.urllib3", None)
    with pytest.raises(ConfigError, match=r"pip install 'tidegate\[cloud\]'"):
        GoogleTokens("vertex", "", NOTHING)
