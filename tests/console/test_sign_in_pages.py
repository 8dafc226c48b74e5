"""Signing in on the pages: forms without scripts, a link that works once, and a provider that is a real process."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2 as httpx
import pytest
from click.testing import CliRunner

from tidegate.accounts.people import PersonChange, update_person
from tidegate.accounts.sign_in import check_password, set_password
from tidegate.cli import cli
from tidegate.config import load_config
from tidegate.console.provider_pages import unseal
from tidegate.core.errors import ConfigError

from .office import PASSWORD, Office
from .oidc_provider import CLIENT_ID, CLIENT_SECRET

ADA = "ada@example.com"


@pytest.fixture(scope="module")
def provider() -> Iterator[str]:
    """Its issuer."""
    command = [sys.executable, str(Path(__file__).with_name("oidc_provider.py"))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout
        yield f"http://127.0.0.1:{int(running.stdout.readline())}"
        running.terminate()


@pytest.fixture
def gate(provider: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Office]:
    """An office that has the provider."""
    monkeypatch.setenv("TIDEGATE_OIDC_CLIENT_SECRET", CLIENT_SECRET)
    environ = {
        "TIDEGATE_HOME": str(tmp_path),
        "TIDEGATE_CONSOLE_PUBLIC_URL": "http://testserver",
        "TIDEGATE_CONSOLE_OIDC_ISSUER": provider,
        "TIDEGATE_CONSOLE_OIDC_CLIENT_ID": CLIENT_ID,
    }
    made = Office(load_config(files=[], environ=environ))
    with made.client:
        yield made
    made.accounts.close()
    httpx.post(f"{provider}/control", json={})


def through(office: Office) -> httpx.Response:
    """A browser's way: to the provider, through it, and back."""
    (link,) = re.findall(r'<a href="(.*?)">Sign in with', office.client.get("/console/sign-in").text)
    away = office.client.get(link)
    assert away.status_code == 303, away.text
    back = httpx.get(away.headers["location"])
    parts = urlsplit(back.headers["location"])
    assert f"{parts.scheme}://{parts.netloc}{parts.path}" == "http://testserver/console/sign-in/answer"
    return office.client.get(f"{parts.path}?{parts.query}")


def test_an_operator_is_made_on_the_command_line_and_chooses_a_password(tmp_path: Path, monkeypatch: Any) -> None:
    """The way into a fresh installation: whoever has its files prints a link, which works once."""
    office = Office(load_config(files=[], environ={"TIDEGATE_HOME": str(tmp_path)}))
    monkeypatch.setenv("TIDEGATE_HOME", str(tmp_path))
    monkeypatch.delenv("TIDEGATE_CONFIG", raising=False)
    said = CliRunner().invoke(cli, ["accounts", "admin", "create", ADA, "--name", "Ada"])
    assert said.exit_code == 0, said.output
    link = urlsplit(said.output.strip().splitlines()[-1])
    shown = office.client.get(f"{link.path}?{link.query}")
    assert 'method="post"' in shown.text and shown.headers["referrer-policy"] == "same-origin"
    assert "script" not in shown.text and "default-src 'none'" in shown.headers["content-security-policy"]
    form = {"link": link.query.partition("=")[2], "password": PASSWORD, "again": PASSWORD}
    assert office.client.post("/console/welcome", data={**form, "again": "another one"}).status_code == 400
    done = office.client.post("/console/welcome", data=form)
    assert (done.status_code, done.headers["location"]) == (303, "/console")
    assert "owner of this installation" in office.client.get("/console").text
    assert office.client.post("/console/welcome", data=form).status_code == 400
    again = CliRunner().invoke(cli, ["accounts", "admin", "create", ADA])
    assert again.exit_code == 1 and "already" in str(again.exception)
    assert "/console/welcome?link=" in CliRunner().invoke(cli, ["accounts", "admin", "link", ADA]).output
    office.accounts.close()


def test_the_form_signs_in_and_out(office: Office) -> None:
    """A wrong password shows the form again; another site's form does nothing."""
    set_password(office.database, office.person(ADA, "billing"), PASSWORD)
    form = {"email": ADA, "password": PASSWORD}
    assert "Sign in with" not in office.client.get("/console/sign-in").text
    wrong = office.client.post("/console/sign-in", data={**form, "password": "wrong"})
    assert wrong.status_code == 401 and "wrong" in wrong.text and "set-cookie" not in wrong.headers
    forged = office.client.post("/console/sign-in", data=form, headers={"origin": "https://evil.example"})
    assert forged.status_code == 403
    assert office.client.post("/console/sign-in", data=form).headers["location"] == "/console"
    assert "billing of acme" in office.client.get("/console").text
    assert office.client.post("/console/sign-out", headers={"sec-fetch-site": "cross-site"}).status_code == 403
    assert office.client.post("/console/sign-out").headers["location"] == "/console/sign-in"
    assert office.client.get("/console").status_code == 303


def test_a_proxy_may_ask_for_another_host(tmp_path: Path) -> None:
    """The browser's page is at `console.public_url`; what the proxy calls us is between it and us."""
    environ = {"TIDEGATE_HOME": str(tmp_path), "TIDEGATE_CONSOLE_PUBLIC_URL": "https://gate.example.com"}
    office = Office(load_config(files=[], environ=environ))
    set_password(office.database, office.person(ADA), PASSWORD)
    form = {"email": ADA, "password": PASSWORD}
    for origin, status in (("https://gate.example.com", 303), ("https://gate.example.com.evil.example", 403)):
        headers = {"origin": origin, "host": "upstream:8080"}
        assert office.client.post("/console/sign-in", data=form, headers=headers).status_code == status
    office.accounts.close()


def test_what_was_typed_is_not_run(office: Office) -> None:
    """Nor is what stands in an address."""
    page = office.client.get("/console/welcome", params={"link": '"><script>alert(1)</script>'}).text
    assert "<script>" not in page
    assert office.client.post("/console/sign-in", content=b"x" * 20_000).status_code == 413
    assert office.client.get("/console/sign-in/provider").status_code == 404


def test_a_provider_signs_in_whom_somebody_here_has_named(gate: Office, provider: str) -> None:
    """By an address it has checked, the first time; after that by its own word for the person."""
    person_id = gate.person(ADA, "admin")
    back = through(gate)
    assert (back.status_code, back.headers["location"]) == (303, "/console")
    who = gate.client.get("/api/admin/v1/session").json()
    assert (who["caller_id"], who["roles"]) == (person_id, {"acme": "admin"})
    httpx.post(f"{provider}/control", json={"claims": {"email": "married@example.com"}})
    assert through(gate).status_code == 303, "the address has changed, the person has not"


def test_nobody_is_made_by_signing_in(gate: Office, provider: str) -> None:
    """Who is not known, is disabled, or has an address that the provider did not check stays outside."""
    assert through(gate).status_code == 403
    person_id = gate.person(ADA, "admin")
    httpx.post(f"{provider}/control", json={"claims": {"email_verified": False}})
    assert through(gate).status_code == 403
    httpx.post(f"{provider}/control", json={})
    update_person(gate.database, person_id, PersonChange(is_enabled=False))
    assert through(gate).status_code == 403
    assert gate.client.get("/api/admin/v1/session").status_code == 401
    update_person(gate.database, person_id, PersonChange(is_enabled=True))
    assert through(gate).status_code == 303


def test_a_password_set_before_the_owner_of_the_address_came_is_gone(gate: Office) -> None:
    """It may be of whoever invited them, or of somebody who took the link."""
    set_password(gate.database, gate.person(ADA), PASSWORD)
    through(gate)
    assert check_password(gate.database, ADA, PASSWORD) is None


def test_an_address_that_passed_to_somebody_else_opens_nothing(gate: Office, provider: str) -> None:
    """A provider may give a former colleague's address to a new one."""
    gate.person(ADA, "owner")
    through(gate)
    gate.client.cookies.clear()
    httpx.post(f"{provider}/control", json={"claims": {"sub": "person-2"}})
    refused = through(gate)
    assert refused.status_code == 403 and "another account" in refused.text


def test_an_answer_in_another_browser_is_refused(gate: Office, provider: str) -> None:
    """What began the sign-in is in a sealed cookie of the browser that began it; a forged one is none."""
    gate.person(ADA)
    away = gate.client.get("/console/sign-in/provider")
    cookie = away.headers["set-cookie"]
    assert {"HttpOnly", "SameSite=Lax", "Path=/console/sign-in/answer"} <= set(cookie.split("; "))
    sealed = re.split("[=;]", cookie, maxsplit=2)[1]
    from tidegate.console.backend import Backend

    backend = Backend(gate.config)
    assert unseal(backend, sealed) is not None
    for forged in ("", "x", sealed[:-2], sealed.replace(sealed[-12], "A" if sealed[-12] != "A" else "B")):
        assert unseal(backend, forged) is None
    backend.close()
    back = urlsplit(httpx.get(away.headers["location"]).headers["location"])
    gate.client.cookies.clear()
    refused = gate.client.get(f"{back.path}?{back.query}")
    assert refused.status_code == 403 and "not begun in this browser" in refused.text


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"OIDC_ISSUER": "https://login.example.com"}, "client_id"),
        ({"OIDC_ISSUER": "https://login.example.com", "OIDC_CLIENT_ID": "c"}, "public_url"),
        ({"OIDC_ISSUER": "http://login.example.com", "OIDC_CLIENT_ID": "c", "PUBLIC_URL": "https://x"}, "https://"),
    ],
)
def test_half_a_provider_does_not_start(tmp_path: Path, settings: dict[str, str], says: str) -> None:
    """The console says which setting is missing."""
    from tidegate.console.app import create_app

    environ = {f"TIDEGATE_CONSOLE_{name}": value for name, value in settings.items()}
    with pytest.raises(ConfigError, match=says):
        create_app(load_config(files=[], environ={"TIDEGATE_HOME": str(tmp_path), **environ}))


def test_without_a_provider_its_libraries_are_not_loaded() -> None:
    """20 MB that a small installation keeps."""
    code = (
        "import sys; from tidegate.config import Config; from tidegate.console.app import create_app;"
        "create_app(Config()); print([name for name in sys.modules if name in ('aiohttp', 'joserfc', 'duckdb')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
