"""Several keys of one provider: one that is refused rests, the next one is taken, and the caller notices nothing."""

import time

import httpx2
import pytest

from rig.gateway import Gateway, configuration
from rig.provider import Call, FakeProvider, answer
from tidegate.accounts.keys import open_accounts
from tidegate.accounts.provider_keys import OpenKey, add_provider_key, read_operator_key, remove_provider_key
from tidegate.config import Config, ProviderConfig
from tidegate.config import Gateway as GatewayConfig
from tidegate.gateway.serving import build_serving
from tidegate.gateway.shelf import Shelf, ShelfLines

BODY = {"model": "acme/m", "messages": [{"role": "user", "content": "x"}]}


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def key(name: str) -> OpenKey:
    return OpenKey(provider_key_id=f"id-{name}", provider_name="p", name=name, secret=f"sk-{name}")


def shelf_of(*names: str) -> tuple[Shelf, Clock]:
    clock = Clock()
    shelf = Shelf("p", clock)
    shelf.put([key(name) for name in names])
    return shelf, clock


def test_the_first_key_that_does_not_rest_is_used() -> None:
    """It stays in use, for the provider's prompt cache; after its rest it is the first again."""
    shelf, clock = shelf_of("a", "b")
    assert shelf.pick() == key("a")
    assert shelf.rest(key("a"), 429, 30.0)
    assert shelf.pick() == key("b")
    clock.now += 29
    assert shelf.pick() == key("b")
    clock.now += 2
    assert shelf.pick() == key("a")


def test_where_all_keys_rest_the_one_is_used_that_rests_the_shortest() -> None:
    """A call must go somewhere; the provider's own word then reaches the caller."""
    shelf, _ = shelf_of("a", "b")
    assert shelf.rest(key("a"), 401, None)
    assert not shelf.rest(key("b"), 429, 5.0)
    assert shelf.pick() == key("b")


@pytest.mark.parametrize("status", [200, 400, 404, 500, 503, 529])
def test_an_answer_that_says_nothing_of_the_key_lets_none_rest(status: int) -> None:
    """A wrong request or a provider in trouble is the same with every key."""
    shelf, _ = shelf_of("a", "b")
    assert not shelf.rest(key("a"), status, None)
    assert shelf.pick() == key("a")


def test_a_rest_has_bounds_and_a_later_answer_does_not_shorten_it() -> None:
    """Answers to calls that were on their way arrive late."""
    shelf, clock = shelf_of("a", "b")
    shelf.rest(key("a"), 429, 10**8)
    shelf.rest(key("a"), 429, 0.0)
    clock.now += 3599
    assert shelf.pick() == key("b")
    clock.now += 2
    assert shelf.pick() == key("a")


def test_the_environments_key_comes_last_and_a_key_that_is_put_again_goes_on_resting() -> None:
    """Keys change while the gateway runs."""
    shelf, _ = shelf_of("a")
    shelf.spare("sk-env")
    assert shelf.pick() == key("a")
    shelf.rest(key("a"), 401, None)
    picked = shelf.pick()
    assert picked is not None and picked.secret == "sk-env"
    shelf.put([key("a"), key("b")])
    assert shelf.pick() == key("b")
    shelf.put([])
    assert [each.secret for each in shelf.keys] == ["sk-env"]


async def test_the_key_of_an_attempt_is_read_off_its_head() -> None:
    """Calls overlap: which key is in use now says nothing of the one an earlier attempt had."""
    shelf, _ = shelf_of("a", "ab")
    lines = ShelfLines(shelf, "bearer")
    first = b"POST / HTTP/1.1\r\ncontent-length: 2\r\n" + (lines.lines(b"", ()) or b"") + b"\r\n{}"
    assert lines.refused((first,), 429, b"7")
    assert shelf.pick() == key("ab")
    second = b"POST / HTTP/1.1\r\n" + (lines.lines(b"", ()) or b"") + b"\r\n"
    assert not lines.refused((second,), 429, b"Wed, 21 Oct 2026 07:28:00 GMT")
    assert not lines.refused((b"POST / HTTP/1.1\r\n\r\nauthorization: Bearer sk-a\r\n",), 401, b"")
    assert not lines.refused((), 401, b"")
    shelf.put([])
    assert lines.lines(b"", ()) is None
    with pytest.raises(Exception, match="no key any more"):
        await lines.ready()


@pytest.mark.parametrize("from_environment", [True, False])
def test_a_provider_of_the_catalog_is_served_by_its_stored_key(from_environment: bool) -> None:
    """Without a variable of the environment; one that the configuration restricts stays restricted."""
    gateway = GatewayConfig(providers_from_environment=from_environment)
    shelf, _ = shelf_of("a")
    config = Config(home="/nowhere", gateway=gateway)
    assert build_serving(config, {}, "2026-11-22")[0].models == {}
    table, _ = build_serving(config, {}, "2026-11-22", {"openai": shelf, "unheard-of": shelf})
    assert {endpoint.provider for endpoint in table.models.values()} == {"openai"}
    listed = Config(home="/nowhere", gateway=gateway, providers={"openai": ProviderConfig(models="listed")})
    assert build_serving(listed, {}, "2026-11-22", {"openai": shelf})[0].models == {}


# -- with a gateway -------------------------------------------------------------------------------------------------

REFUSED: dict[str, int] = {}


async def by_key(call: Call) -> None:
    status = REFUSED.get(call.headers["authorization"].removeprefix("Bearer "), 200)
    if status == 200:
        await answer(call)
    else:
        await call.reply(status, {"error": {"message": "not with this key"}}, "retry-after: 60\r\n")


def store(gateway_home, provider: str, *secrets: str) -> list[str]:
    accounts = open_accounts(gateway_home)
    operator_key = read_operator_key(gateway_home, may_make=True)
    ids = [add_provider_key(accounts.database, operator_key, provider, each).provider_key_id for each in secrets]
    accounts.close()
    return ids


def ask(gateway: Gateway, *, stream: bool = False) -> httpx2.Response:
    return httpx2.post(f"{gateway.url}/v1/chat/completions", headers=gateway.headers, json={**BODY, "stream": stream})


def keys_of(provider: FakeProvider) -> list[str]:
    return [call.headers["authorization"].removeprefix("Bearer ") for call in provider.calls]


@pytest.mark.parametrize("stream", [False, True])
def test_a_call_goes_out_again_with_the_next_key(run_gateway, tmp_path, stream: bool) -> None:
    """One row, two attempts, one charge; the refused key is left alone from then on."""
    REFUSED.clear()
    REFUSED["sk-first"] = 429
    with FakeProvider({"m": by_key}) as provider:
        home = tmp_path / "home"
        store(home, "mock", "sk-first", "sk-second")
        gateway = run_gateway(configuration(provider, ["m"]), home=home)
        assert ask(gateway, stream=stream).status_code == 200
        row = gateway.row("acme/m")
        assert (row.status_code, row.attempt_count) == (200, 2)
        assert row.cost_nano_usd == row.upstream_cost_nano_usd
        assert [attempt.status_code for attempt in gateway.attempts("acme/m")] == [429, 200]
        assert ask(gateway, stream=stream).status_code == 200
        assert keys_of(provider) == ["sk-first", "sk-second", "sk-second"]
        log = (home / "log").read_text()
        assert "answered 429 to its key provider_key_" in log and "sk-first" not in log


def test_where_no_key_is_accepted_the_caller_hears_the_provider(run_gateway, tmp_path) -> None:
    """Each key is tried once; refused keys are the operator's trouble, not the caller's."""
    REFUSED.clear()
    REFUSED.update({"sk-first": 401, "sk-second": 401})
    with FakeProvider({"m": by_key}) as provider:
        home = tmp_path / "home"
        store(home, "mock", "sk-first", "sk-second")
        gateway = run_gateway(configuration(provider, ["m"]), home=home)
        said = ask(gateway)
        assert (said.status_code, said.json()["error"]["code"]) == (502, "upstream_rejected_credentials")
        assert keys_of(provider) == ["sk-first", "sk-second"]
        row = gateway.row("acme/m")
        assert (row.attempt_count, row.cost_nano_usd) == (2, 0)


def test_keys_are_stored_and_removed_while_it_runs(run_gateway, tmp_path) -> None:
    """Within two seconds, without a restart; a provider without any key in the configuration is served by them."""
    REFUSED.clear()
    with FakeProvider({"m": by_key}) as provider:
        config = configuration(provider, ["m"], provider_extra='api_key_env = "MOCK_KEY"')
        gateway = run_gateway(config, {"MOCK_KEY": "sk-env"})
        assert ask(gateway).status_code == 200 and keys_of(provider) == ["sk-env"]
        [stored] = store(gateway.home, "mock", "sk-stored")
        deadline = time.monotonic() + 2.5
        while keys_of(provider)[-1] != "sk-stored":
            assert time.monotonic() < deadline
            time.sleep(0.1)
            assert ask(gateway).status_code == 200
        accounts = open_accounts(gateway.home)
        remove_provider_key(accounts.database, stored)
        accounts.close()
        deadline = time.monotonic() + 2.5
        while keys_of(provider)[-1] != "sk-env":
            assert time.monotonic() < deadline
            time.sleep(0.1)
            assert ask(gateway).status_code == 200
