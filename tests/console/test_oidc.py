"""Sign-in with a provider that is a process of its own: only the answer to our own question is believed."""

import asyncio
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx2 as httpx
import pytest

from tidegate.console import oidc
from tidegate.console.id_token import Identity, IdTokenRefused
from tidegate.console.oidc import Oidc, OidcClient, Pending
from tidegate.core.errors import ConfigError, Unavailable

from .oidc_provider import CLIENT_ID, CLIENT_SECRET

REDIRECT = "http://127.0.0.1:9/console/sign-in/answer"


@pytest.fixture(scope="module")
def provider() -> Iterator[str]:
    """Its issuer."""
    command = [sys.executable, str(Path(__file__).with_name("oidc_provider.py"))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout
        yield f"http://127.0.0.1:{int(running.stdout.readline())}"
        running.terminate()


@pytest.fixture
def control(provider: str) -> Iterator[Any]:
    """Says how the provider behaves; as it should again after the test."""
    yield lambda **words: httpx.post(f"{provider}/control", json=words)
    httpx.post(f"{provider}/control", json={})


def client(provider: str, **words: str) -> OidcClient:
    known = {"issuer": provider, "client_id": CLIENT_ID, "secret": CLIENT_SECRET, "redirect_uri": REDIRECT}
    return OidcClient(**(known | words))


async def walk(oidc: Oidc) -> tuple[dict[str, str], Pending]:
    """A browser's way through the provider: what it comes back with."""
    url, pending = await oidc.begin("/")
    reply = await asyncio.to_thread(httpx.get, url)
    assert reply.status_code == 302, reply.text
    assert reply.headers["location"].startswith(REDIRECT)
    return dict(parse_qsl(urlsplit(reply.headers["location"]).query)), pending


def sign_in(oidc: Oidc) -> Identity:
    async def whole() -> Identity:
        return await oidc.complete(*await walk(oidc))

    return asyncio.run(whole())


def test_who_signs_in_is_known_by_issuer_and_subject(provider: str) -> None:
    """Code, verifier, client secret with odd characters, signature, nonce: all as the provider wants them."""
    seen = sign_in(Oidc(client(provider)))
    assert seen == Identity(issuer=provider, subject="person-1", email="ada@example.com", name="Ada")


@pytest.mark.parametrize(
    "words",
    [
        {"key": "ec"},
        {"header": {"kid": None}},
        {"claims": {"aud": [CLIENT_ID, "other"], "azp": CLIENT_ID}},
        {"claims": {"exp": "-30", "iat": "+30"}},
        {"document": {"token_endpoint_auth_methods_supported": ["client_secret_post"]}},
    ],
    ids=str,
)
def test_what_the_standard_allows_is_accepted(provider: str, control: Any, words: dict[str, Any]) -> None:
    """Another algorithm, a token that names no key, several audiences, clocks half a minute apart."""
    control(**words)
    assert sign_in(Oidc(client(provider))).subject == "person-1"


@pytest.mark.parametrize("claims", [{"email_verified": False}, {"email_verified": None}, {"email": None}], ids=str)
def test_an_address_that_nobody_checked_is_none(provider: str, control: Any, claims: dict[str, Any]) -> None:
    """Else anybody who may write any address into their profile would be anybody here."""
    control(claims=claims)
    assert sign_in(Oidc(client(provider))).email is None


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ({"claims": {"nonce": "another"}}, "nonce"),
        ({"claims": {"nonce": None}}, "nonce"),
        ({"claims": {"iss": "http://127.0.0.1:1"}}, "another issuer"),
        ({"claims": {"aud": "other"}}, "another application"),
        ({"claims": {"aud": ["other", "third"]}}, "another application"),
        ({"claims": {"aud": [CLIENT_ID, "other"]}}, "azp"),
        ({"claims": {"azp": "other"}}, "azp"),
        ({"claims": {"exp": "-90"}}, "expired"),
        ({"claims": {"iat": "+90"}}, "not valid yet"),
        ({"claims": {"nbf": "+90"}}, "not valid yet"),
        ({"claims": {"sub": ""}}, "sub"),
        ({"claims": {"sub": None}}, "missing required field `sub`"),
        ({"claims": {"exp": None}}, "missing required field `exp`"),
        ({"key": "stranger"}, "signature"),
        ({"algorithm": "none"}, "algorithm"),
        ({"key": "shared", "algorithm": "HS256"}, "algorithm"),
        ({"deny": True}, "did not let"),
    ],
    ids=str,
)
def test_a_token_that_proves_nothing_is_refused(provider: str, control: Any, words: dict[str, Any], says: str) -> None:
    """Each with the reason, and without a word of the token."""
    control(**words)
    with pytest.raises(IdTokenRefused, match=says) as refused:
        sign_in(Oidc(client(provider)))
    assert "ada@" not in str(refused.value)


def test_an_answer_to_another_question_is_refused(provider: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """State, issuer, time and browser are checked before the code is used; a code is good once."""
    one = Oidc(client(provider))

    async def whole() -> None:
        answer, pending = await walk(one)
        _, other = await walk(one)
        wrong = [
            (answer | {"state": "x"}, pending, "state"),
            (answer | {"iss": "http://127.0.0.1:1"}, pending, "another issuer"),
            ({"state": answer["state"]}, pending, "did not let"),
            (answer, None, "not begun in this browser"),
            (answer, other, "state"),
            (answer | {"state": other.state}, other, "did not accept"),  # the code of one with the verifier of another
        ]
        for seen, kept, says in wrong:
            with pytest.raises(IdTokenRefused, match=says):
                await one.complete(seen, kept)
        answer, pending = await walk(one)
        assert (await one.complete(answer, pending)).subject == "person-1"
        with pytest.raises(IdTokenRefused, match="did not accept"):
            await one.complete(answer, pending)
        answer, pending = await walk(one)
        later = time.time() + oidc.PENDING_S + 1
        monkeypatch.setattr(oidc.time, "time", lambda: later)
        with pytest.raises(IdTokenRefused, match="ten minutes"):
            await one.complete(answer, pending)

    asyncio.run(whole())


def test_a_wrong_client_secret_lets_nobody_in(provider: str) -> None:
    """And does not show in the error or in the repr."""
    with pytest.raises(IdTokenRefused, match="did not accept") as refused:
        sign_in(Oidc(client(provider, secret="wrong-secret")))
    assert "wrong-secret" not in repr(refused.value) + repr(client(provider, secret="wrong-secret"))


def test_a_provider_may_change_its_keys(provider: str, control: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys are kept, read again for an unknown one, and not read again for each token that names an unknown one."""

    def asked() -> int:
        return int(httpx.get(f"{provider}/control").json().get("/keys", 0))

    one = Oidc(client(provider))

    async def whole() -> None:
        control(hidden_keys=["ec"])
        before = asked()
        for _ in range(2):
            await one.complete(*await walk(one))
        assert asked() == before + 1
        control(key="ec")  # shown now, and known to nobody
        with pytest.raises(IdTokenRefused, match="unknown key"):
            await one.complete(*await walk(one))
        assert asked() == before + 1, "they were read a moment ago"
        monkeypatch.setattr(oidc, "KEYS_AGAIN_S", 0)
        await one.complete(*await walk(one))
        assert asked() == before + 2

    asyncio.run(whole())


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ({"issuer": "https://elsewhere.example"}, "to the letter"),
        ({"token_endpoint": "http://elsewhere.example/token"}, "https://"),
        ({"jwks_uri": "file:///etc/passwd"}, "https://"),
        ({"token_endpoint": None}, "cannot be used"),
    ],
    ids=str,
)
def test_a_provider_that_is_not_the_one_is_not_asked(
    provider: str, control: Any, document: dict[str, Any], says: str
) -> None:
    """Its own name must be the configured one, and nothing secret goes over a wire in the clear."""
    control(document=document)
    with pytest.raises(Unavailable, match=says):
        sign_in(Oidc(client(provider)))


def test_without_a_provider_sign_in_says_so() -> None:
    """Where it listens, not what was sent to it."""
    with pytest.raises(Unavailable, match=r"http://127\.0\.0\.1:9 cannot be reached"):
        sign_in(Oidc(client("http://127.0.0.1:9")))
    with pytest.raises(ConfigError, match="https://"):
        Oidc(client("http://login.example.com"))
