"""People: nobody can sign in at first; passwords, cookies, what a cookie alone may not do, and links that work once."""

import datetime
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tidegate.accounts.errors import AccountInvalid
from tidegate.accounts.links import LASTS_S, make_link, use_link
from tidegate.accounts.people import PersonChange, update_person
from tidegate.accounts.sign_in import set_password
from tidegate.config import load_config
from tidegate.console.admin import sessions

from .office import PASSWORD, Office

SESSION = "/api/admin/v1/session"
ADA = "ada@example.com"


def sign_in(office: Office, email: str = ADA, password: str = PASSWORD, **headers: str) -> Any:
    return office.ask("POST", SESSION, None, {"email": email, "password": password}, **headers)


@pytest.fixture
def ada(office: Office) -> str:
    """The id of an admin of `acme`, who has a password."""
    person_id = office.person(ADA, "admin")
    set_password(office.database, person_id, PASSWORD)
    return person_id


def test_a_fresh_installation_lets_nobody_in(office: Office) -> None:
    """No default account, no default password, and no way to make the first one over the network."""
    for path in ("/tenants", "/people", "/session", "/vouchers", "/service-keys"):
        assert office.ask("GET", f"/api/admin/v1{path}").status_code == 401, path
    for email, password in (("admin", "admin"), ("root@localhost", ""), ("admin@example.com", PASSWORD), ("", "")):
        assert sign_in(office, email, password).status_code == 401
    assert office.ask("POST", "/api/admin/v1/people", None, {"email": ADA, "is_operator": True}).status_code == 401
    assert office.ask("GET", "/console").headers["location"] == "/console/sign-in"


def test_a_session_is_a_cookie_that_scripts_and_other_sites_do_not_get(office: Office, ada: str) -> None:
    """HttpOnly, SameSite=Lax, for this host alone; what it stands for is kept as a hash."""
    reply = sign_in(office)
    assert reply.status_code == 200
    name, _, rest = reply.headers["set-cookie"].partition("=")
    token, *attributes = rest.split("; ")
    assert name == "tidegate_session" and len(token) >= 40
    assert set(attributes) == {"Path=/", "HttpOnly", "SameSite=Lax", "Max-Age=43200"}
    assert token.encode() not in (office.config.home_path / "accounts.sqlite").read_bytes()
    assert PASSWORD.encode() not in (office.config.home_path / "accounts.sqlite").read_bytes()
    who = office.ask("GET", SESSION).json()
    assert (who["kind"], who["caller_id"], who["roles"], who["role"]) == ("person", ada, {"acme": "admin"}, None)


@pytest.mark.parametrize("setting", ["TIDEGATE_CONSOLE_PUBLIC_URL", "TIDEGATE_GATEWAY_TLS"])
def test_with_tls_the_cookie_is_for_tls_alone(tmp_path: Any, setting: str) -> None:
    """Behind a proxy that says so, and on a listener of our own that speaks it."""
    environ = {"TIDEGATE_HOME": str(tmp_path)}
    if setting.endswith("URL"):
        environ[setting] = "https://gate.example.com"
    else:
        environ |= {f"{setting}_CERT_FILE": "cert.pem", f"{setting}_KEY_FILE": "key.pem"}
    office = Office(load_config(files=[], environ=environ))
    set_password(office.database, office.person(ADA), PASSWORD)
    cookie = sign_in(office).headers["set-cookie"]
    assert cookie.startswith("__Host-tidegate_session=") and cookie.endswith("; Secure")
    office.accounts.close()


def test_a_cookie_alone_changes_nothing(office: Office, ada: str) -> None:
    """Another site's page can make a browser send it, but knows no `csrf`; and where it asks from is looked at."""
    csrf = sign_in(office).json()["csrf"]
    body = {"project_id": "p2"}
    path = "/api/admin/v1/tenants/acme/projects"
    ours = {"origin": "http://testserver", "sec-fetch-site": "same-origin"}
    refused = [
        {},
        {"x-csrf-token": ""},
        {"x-csrf-token": csrf[:-1] + ("0" if csrf[-1] != "0" else "1")},
        {"x-csrf-token": csrf, "origin": "https://evil.example"},
        {"x-csrf-token": csrf, "origin": "null"},
        {"x-csrf-token": csrf, "sec-fetch-site": "cross-site"},
        {"x-csrf-token": csrf, "sec-fetch-site": "same-site"},
        ours,
    ]
    for headers in refused:
        assert office.ask("POST", path, None, body, **headers).status_code == 403, headers
        assert office.ask("DELETE", SESSION, None, None, **headers).status_code == 403, headers
    assert office.ask("GET", path).status_code == 200
    assert office.ask("POST", path, None, body, **ours, **{"x-csrf-token": csrf}).status_code == 201


def test_signing_out_ends_it(office: Office, ada: str) -> None:
    """Also for whoever has copied the cookie."""
    reply = sign_in(office)
    copied = reply.headers["set-cookie"].partition(";")[0]
    out = office.ask("DELETE", SESSION, None, None, **{"x-csrf-token": reply.json()["csrf"]})
    assert "Max-Age=0" in out.headers["set-cookie"]
    assert office.ask("GET", SESSION, None, None, cookie=copied).status_code == 401


def test_a_disabled_person_is_out_at_once(office: Office, ada: str) -> None:
    """And does not come in again."""
    sign_in(office)
    update_person(office.database, ada, PersonChange(is_enabled=False))
    assert office.ask("GET", SESSION).status_code == 401
    office.client.cookies.clear()
    assert sign_in(office).status_code == 401


def test_a_wrong_password_and_a_wrong_address_sound_the_same(office: Office, ada: str) -> None:
    """Who is known here is nobody's news."""
    replies = [sign_in(office, password="wrong password"), sign_in(office, "nobody@example.com")]
    assert [reply.status_code for reply in replies] == [401, 401]
    assert replies[0].json() == replies[1].json()


def test_passwords_are_not_tried_by_the_dozen(office: Office, ada: str) -> None:
    """429 with Retry-After, for the right one too; from elsewhere it still works."""
    for _ in range(5):
        assert sign_in(office, password="wrong password").status_code == 401
    reply = sign_in(office)
    assert reply.status_code == 429 and int(reply.headers["retry-after"]) <= 61
    assert sign_in(office, **{"x-tidegate-client": "198.51.100.9"}).status_code == 200


def test_a_crowd_at_the_door_does_not_stop_the_house(office: Office, ada: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nine at one moment: one is looked at, the others wait for a while or are sent away; nobody else waits."""
    monkeypatch.setattr(sessions, "HASHING_WAIT_S", 0.5)
    with sessions.HASHING, ThreadPoolExecutor(9) as crowd:
        waiting = [crowd.submit(sign_in, office) for _ in range(9)]
        assert office.ask("GET", SESSION, office.service["owner"]).status_code == 200
        assert [one.result().status_code for one in waiting] == [429] * 9
    assert sign_in(office).status_code == 200, "what was not looked at was no wrong password"


def test_changing_the_password_ends_every_other_session(office: Office, ada: str) -> None:
    """The one that changes it goes on under a new cookie; the current password must be known."""
    first = sign_in(office).headers["set-cookie"].partition(";")[0]
    csrf = {"x-csrf-token": sign_in(office).json()["csrf"]}
    path, new = f"{SESSION}/password", "another long password"
    assert office.ask("POST", path, None, {"current": "wrong", "password": new}, **csrf).status_code == 401
    assert office.ask("POST", path, None, {"current": PASSWORD, "password": "short"}, **csrf).status_code == 400
    assert office.ask("POST", path, None, {"current": PASSWORD, "password": new}, **csrf).status_code == 200
    assert office.ask("GET", SESSION).status_code == 200
    assert office.ask("GET", SESSION, None, None, cookie=first).status_code == 401
    assert (sign_in(office).status_code, sign_in(office, password=new).status_code) == (401, 200)


def test_a_link_sets_a_password_once(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """Within a day, for the person it was made for; the first use of any ends all."""
    person_id, other_id = office.person(ADA), office.person("bob@example.com")
    pepper, database = office.accounts.pepper, office.database
    one, two = make_link(database, pepper, person_id), make_link(database, pepper, person_id, lasts_s=60)
    forged = [one[:-1], one + "A", one.replace(person_id, other_id), "", "..", f"{person_id}.99999999999.x"]
    forged.append(".".join((person_id, str(int(one.split(".")[1]) + 1), one.split(".")[2])))
    for link in forged:
        body = {"link": link, "password": PASSWORD}
        assert office.ask("POST", "/api/admin/v1/passwords", None, body).status_code == 400, link
    short = {"link": one, "password": "short"}
    assert office.ask("POST", "/api/admin/v1/passwords", None, short).status_code == 400
    reply = office.ask("POST", "/api/admin/v1/passwords", None, {"link": one, "password": PASSWORD})
    assert reply.status_code == 200 and "set-cookie" not in reply.headers
    assert sign_in(office).status_code == 200
    for link in (one, two):
        with pytest.raises(AccountInvalid, match="used already"):
            use_link(database, pepper, link, "yet another password")
    late = make_link(database, pepper, other_id)
    now = datetime.datetime.now().timestamp() + LASTS_S + 1
    monkeypatch.setattr("tidegate.accounts.links.now_us", lambda: int(now * 1e6))
    with pytest.raises(AccountInvalid, match="has ended"):
        use_link(database, pepper, late, PASSWORD)


def test_secrets_do_not_show_in_values(office: Office) -> None:
    """A traceback prints what a function was called with."""
    shown = repr(sessions.Credentials(email="e", password=PASSWORD))
    shown += repr(sessions.FirstPassword(link="l", password=PASSWORD))
    shown += repr(sessions.NewPassword(current=PASSWORD, password=PASSWORD))
    assert PASSWORD not in shown
