"""The response cache: identical calls of tenants that opted in get the same answer again, and nobody else does."""

import itertools
import json
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rig.gateway import Gateway, start_gateway
from rig.provider import Call, FakeProvider, completion, delta, usage_event
from tidegate.accounts.keys import Accounts, KeyWish, open_accounts
from tidegate.accounts.quotas.table import set_quota
from tidegate.config import load_config
from tidegate.core.cache_settings import Cache
from tidegate.core.errors import ConfigError, InvalidRequest
from tidegate.core.quota import Quota
from tidegate.gateway.cache_asks import Names, cache_ask, is_keepable
from tidegate.gateway.http import Request
from tidegate.gateway.meter import Totals
from tidegate.gateway.response_cache import ENTRY_BYTES, Kept, ResponseCache

MODEL, ODD = "acme/m", ("refused", "filtered", "errs", "cut", "busy")
KNOWN_S = 4.0  # two on a machine that does nothing else
PLACES = {"cn": ("CN", "1"), "de": ("DE", "3")}
KEYS = {  # name of the key: tenant, project and what it may call
    "off": KeyWish(name="off", tenant_id="default"),
    "own": KeyWish(name="own", tenant_id="keyed"),
    "own2": KeyWish(name="own2", tenant_id="keyed"),
    "web": KeyWish(name="web", tenant_id="projected", project_id="web"),
    "web2": KeyWish(name="web2", tenant_id="projected", project_id="web"),
    "app": KeyWish(name="app", tenant_id="projected", project_id="app"),
    "wide": KeyWish(name="wide", tenant_id="wide", project_id="web"),
    "wide2": KeyWish(name="wide2", tenant_id="wide", project_id="app"),
    "wider": KeyWish(name="wider", tenant_id="wider"),
    "german": KeyWish(name="german", tenant_id="wide", providers=("de",)),
    "bound": KeyWish(name="bound", tenant_id="wide"),
    "other": KeyWish(name="other", tenant_id="wide", models=("other/*",)),
    "elsewhere": KeyWish(name="elsewhere", tenant_id="wide", networks=("203.0.113.0/24",)),
    "leaver": KeyWish(name="leaver", tenant_id="wide"),
    "limited": KeyWish(name="limited", tenant_id="limited"),
    "broke": KeyWish(name="broke", tenant_id="broke"),
}
TENANTS = {"keyed": "key", "projected": "project", "wide": "tenant", "wider": "tenant"}
TENANTS |= dict.fromkeys(("limited", "broke"), "key")
QUOTAS = (
    Quota(quota_id="q1", tenant_id="limited", scope="tenant", subject="limited", unit="requests", limit=3,
          window="day"),
    Quota(quota_id="q2", tenant_id="broke", scope="tenant", subject="broke", unit="nano_usd", limit=200_000,
          window="lifetime"),
)  # fmt: skip


class Place:
    """A provider of one country: no two of its answers are the same."""

    def __init__(self, name: str) -> None:
        self.name, self._numbers = name, itertools.count(1)
        self.provider = FakeProvider(dict.fromkeys(("m", *ODD), self._act))

    async def _act(self, call: Call) -> None:
        text, model = f"{self.name} {next(self._numbers)}", call.body["model"]
        finish = "content_filter" if model == "filtered" else "stop"
        if model == "busy":
            await call.reply(429, {"error": {"message": "slow down"}})
        elif model == "errs":
            await call.reply(200, {"error": {"message": "overloaded"}})
        elif model == "cut":
            await call.begin_stream()
            await call.event(delta(text))
            call.writer.transport.abort()
        elif model == "refused":
            await call.reply(400, {"error": {"message": "too odd"}})
        elif call.body.get("stream"):
            await call.begin_stream()
            for word in text.split():
                await call.event(delta(word))
            await call.event(delta(None, finish))
            await call.event(usage_event())
            await call.end_stream()
        else:
            reply = completion(model, text=text)
            reply["choices"][0]["finish_reason"] = finish
            await call.reply(200, reply)


class World:
    """Two providers, a gateway, and its keys."""

    def __init__(self, places: dict[str, Place], gateway: Gateway, secrets: dict[str, str]) -> None:
        self.places, self.gateway, self.secrets = places, gateway, secrets
        self._texts = itertools.count()
        self.client = httpx.Client(timeout=20)

    @property
    def asked(self) -> int:
        return sum(len(place.provider.calls) for place in self.places.values())

    def text(self) -> str:
        """What nobody has asked yet."""
        return f"question {next(self._texts)}"

    def post(
        self, key: str, body: dict[str, Any] | bytes, path: str = "/v1/chat/completions", **headers: str
    ) -> httpx.Response:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        sent = {"authorization": f"Bearer {self.secrets[key]}", "content-type": "application/json"}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        return self.client.post(self.gateway.url + path, content=content, headers=sent)


def body_of(text: str, **more: Any) -> dict[str, Any]:
    """A call that the cheapest place answers, which is `cn`."""
    message = {"role": "user", "content": text}
    return {"model": MODEL, "temperature": 0, "messages": [message], "provider": {"sort": "price"}, **more}


def said(reply: httpx.Response) -> str:
    return reply.headers.get("x-tidegate-cache", "-")


def configuration(places: dict[str, Place], bound: str) -> str:
    lines = ["[policies.german]", 'processing = ["DE"]', "[policies.private]", 'data_classes = ["private"]']
    lines += ['processing = ["CN", "DE"]', "[routing]", f'keys = {{ "{bound}" = ["german"] }}']
    lines += [
        "[ladders.steep]",
        'rungs = [{ model = "acme/filtered", escalate_on = ["refusal"] }, { model = "acme/m" }]',
    ]
    lines += [f'[tenants.{name}]\ncache = "{sharing}"' for name, sharing in TENANTS.items()]
    for name, (country, price) in PLACES.items():
        lines += [f'[providers.{name}]\nbase_url = "{places[name].provider.url}"\n[providers.{name}.facts]']
        lines += [f'processing = ["{country}"]\nstorage = []\nheadquarters = "{country}"']
        for model in ("m", *ODD):
            lines += [f'[[endpoints]]\nprovider = "{name}"\nmodel = "acme/{model}"\nupstream_model = "{model}"']
            lines += [f'price = {{ input = "{price}", output = "{price}" }}']
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    home = tmp_path_factory.mktemp("cache")
    accounts = open_accounts(home)
    made = {name: accounts.add_key(wish) for name, wish in KEYS.items()}
    with accounts.database.writing() as connection:
        for quota in QUOTAS:
            set_quota(connection, quota)
    accounts.close()
    secrets = {name: key.secret for name, key in made.items()}
    places = {name: Place(name) for name in PLACES}
    with places["cn"].provider, places["de"].provider:
        gateway = start_gateway(home, configuration(places, made["bound"].key_id), key=secrets["own"])
        running = World(places, gateway, secrets)
        with running.client:
            yield running
        assert gateway.stop() == 0
        assert "Traceback" not in (home / "log").read_text()


# -- the same bytes again ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/api/v1/chat/completions"])
@pytest.mark.parametrize("is_stream", [False, True])
def test_an_identical_call_gets_the_same_bytes_and_nobody_is_asked(world: World, path: str, is_stream: bool) -> None:
    """Under /api/v1 a reply says what it costs: there the second says 0, and all else is the same."""
    body, before = body_of(world.text(), stream=is_stream), world.asked
    first, second, third = (world.post("own", body, path) for _ in range(3))
    assert [said(reply) for reply in (first, second, third)] == ["miss", "hit", "hit"]
    assert world.asked == before + 1
    assert second.content == third.content and second.headers["content-type"] == first.headers["content-type"]
    if path.startswith("/api"):
        assert second.content == first.content.replace(b"0.000017", b"0.0").replace(b"0.000012", b"0.0").replace(
            b"0.000005", b"0.0"
        ) or _costs(second.content, is_stream) == [0.0]
        assert _costs(first.content, is_stream) == [0.000017]  # 12 and 5 tokens at $1 a million
    else:
        assert second.content == first.content
    assert first.headers["x-generation-id"] != second.headers["x-generation-id"]
    assert second.headers["age"] == "0" and "age" not in first.headers


def _costs(content: bytes, is_stream: bool) -> list[float]:
    texts = [line[6:] for line in content.split(b"\n") if line.startswith(b"data: {")] if is_stream else [content]
    return [found["usage"]["cost"] for found in map(json.loads, texts) if found.get("usage")]


def test_the_row_of_a_hit_says_so_and_sums_to_what_the_providers_counted(world: World) -> None:
    """`is_cached`, no attempt, no usage, no cost; who made the answer, and how it ended."""
    body, before = body_of(world.text()), len(world.gateway.outcomes())
    for _ in range(3):
        world.post("own", body)
    made, *hits = [outcome.row for outcome in world.gateway.outcomes()[before:]]
    assert (made.is_cached, made.usage_input_tokens, made.cost_nano_usd, made.requests) == (False, 12, 17_000, 1)
    for row in hits:
        assert (row.is_cached, row.attempt_count, row.status_code, row.cost_basis) == (True, 0, 200, "metered")
        assert (row.usage_input_tokens, row.usage_output_tokens, row.requests) == (0, 0, 0)
        assert (row.cost_nano_usd, row.upstream_cost_nano_usd) == (0, 0)
        assert (row.provider_name, row.response_model, row.finish_reason) == ("cn", MODEL, "stop")
        assert row.route_reason == "stored 2/2" and row.generation_id != made.generation_id
    rows = [outcome.row for outcome in world.gateway.outcomes()]
    assert sum(row.usage_output_tokens or 0 for row in rows if row.status_code == 200) == 5 * sum(
        row.status_code == 200 and not row.is_cached for row in rows
    )


@pytest.mark.parametrize(
    ("dialect_path", "body"),
    [
        ("/v1/embeddings", {"model": MODEL, "input": "tide"}),
        ("/v1/messages", {"model": MODEL, "max_tokens": 9, "temperature": 0.0}),
        ("/v1/responses", {"model": MODEL, "temperature": 0, "input": "tide"}),
        ("/v1beta/models/acme/m:generateContent", {"generationConfig": {"seed": 7}}),
        ("/v1beta/models/acme/m:streamGenerateContent", {"generationConfig": {"temperature": 0}}),
    ],
)
def test_every_dialect_has_its_answers_again(world: World, dialect_path: str, body: dict[str, Any]) -> None:
    """Answers that were told across dialects are kept as they were told. (The fake provider has no vectors: an answer
    that is none is not kept.)"""
    text = world.text()
    if "contents" not in body and "generate" in dialect_path.lower():
        body = body | {"contents": [{"role": "user", "parts": [{"text": text}]}]}
    elif "input" in body:
        body = body | {"input": text}
    else:
        body = body | {"messages": [{"role": "user", "content": text}]}
    first, second = (world.post("own", body, dialect_path) for _ in range(2))
    assert first.status_code == second.status_code == 200, first.text
    if "embeddings" in dialect_path:
        assert (said(first), said(second)) == ("miss", "miss")
    else:
        assert (said(first), said(second)) == ("miss", "hit") and first.content == second.content


# -- who may have whose answer ----------------------------------------------------------------------------------------

SAME = {"own": "own", "web": "web2", "wide": "wide2"}  # pairs of keys whose calls share
APART = [("own", "own2"), ("web", "app"), ("wide", "wider"), ("own", "web"), ("web", "wide"), ("own", "off")]
DIFFERENT: list[tuple[str, dict[str, Any]]] = [
    ("a space", {"raw": lambda raw: raw.replace(b'": ', b'":  ', 1)}),
    ("the order of members", {"raw": lambda raw: json.dumps(dict(reversed(json.loads(raw).items()))).encode()}),
    ("one letter", {"raw": lambda raw: raw.replace(b"question", b"Question")}),
    ("a user", {"raw": lambda raw: raw[:-1] + b', "user": "ann"}'}),
    ("a stream", {"raw": lambda raw: raw[:-1] + b', "stream": true}'}),
    ("the path", {"path": "/api/v1/chat/completions"}),
    ("the query", {"path": "/v1/chat/completions?x=1"}),
    ("a policy", {"headers": {"x_tidegate_policy": "german"}}),
    ("a data class", {"headers": {"x_tidegate_data_class": "private"}}),
    ("a beta", {"headers": {"anthropic_beta": "x"}}),
]


@pytest.mark.parametrize(("first", "second"), SAME.items())
def test_calls_share_as_far_as_their_tenant_said(world: World, first: str, second: str) -> None:
    """Within a key, a project or the tenant."""
    body = body_of(world.text())
    made, given_again = world.post(first, body), world.post(second, body)
    assert (said(made), said(given_again)) == ("miss", "hit") and made.content == given_again.content


@pytest.mark.parametrize(("first", "second"), [*APART, *((b, a) for a, b in APART)])
def test_nobody_else_gets_an_answer(world: World, first: str, second: str) -> None:
    """Another key, project or tenant asks the provider; a tenant that did not opt in is not even told of a cache."""
    body = body_of(world.text())
    made, other = world.post(first, body), world.post(second, body)
    assert said(other) == ("-" if second == "off" else "miss") and made.content != other.content


@pytest.mark.parametrize("key", SAME)
@pytest.mark.parametrize(("what", "change"), DIFFERENT, ids=[what for what, _ in DIFFERENT])
def test_calls_that_differ_in_anything_are_not_identical(world: World, key: str, what: str, change: Any) -> None:
    """Byte for byte, and in every header that could change who answers or what; then each finds its own again."""
    raw = json.dumps(body_of(world.text())).encode()
    changed = change.get("raw", lambda same: same)(raw)
    path, headers = change.get("path", "/v1/chat/completions"), change.get("headers", {})
    first = world.post(key, raw)
    second = world.post(key, changed, path, **headers)
    assert (said(first), said(second)) == ("miss", "miss"), what
    assert first.content != second.content
    assert (said(world.post(key, raw)), said(world.post(key, changed, path, **headers))) == ("hit", "hit")


@pytest.mark.parametrize("key", ["german", "bound"])
def test_an_answer_is_only_for_calls_that_its_endpoint_might_have_answered(world: World, key: str) -> None:
    """A key that may only go to Germany, by its allow-list or by a policy, gets no answer that was made in China,
    though its tenant shares all."""
    text = world.text()
    assert said(world.post("wide", body_of(text))) == "miss"
    reply = world.post(key, body_of(text))
    assert said(reply) == "miss" and b"de " in reply.content
    assert said(world.post(key, body_of(text))) == "hit"
    assert b"de " in world.post("wide2", body_of(text)).content


@pytest.mark.parametrize(("key", "status"), [("other", 403), ("elsewhere", 403)])
def test_what_a_key_may_not_do_it_may_not_do_with_kept_answers(world: World, key: str, status: int) -> None:
    """A model that is not its own, a network that is not: refused as ever."""
    body = body_of(world.text())
    assert said(world.post("wide", body)) == "miss"
    assert world.post(key, body).status_code == status


def test_a_revoked_key_takes_its_answers_along(world: World) -> None:
    """Within two seconds, though others of its tenant may have them until then; a stranger's 401 is as ever."""
    body = body_of(world.text())
    assert said(world.post("leaver", body)) == "miss"
    assert said(world.post("wide", body)) == "hit"
    accounts: Accounts = open_accounts(world.gateway.home)
    accounts.revoke_key("leaver")
    accounts.close()
    deadline = time.monotonic() + KNOWN_S
    while world.post("leaver", body).status_code != 401:
        assert time.monotonic() < deadline
    while said(world.post("wide", body, x_tidegate_cache="only-if-cached")) == "hit":
        assert time.monotonic() < deadline
    assert said(world.post("wide", body)) == "miss"


def test_a_hit_is_a_request_and_costs_no_money(world: World) -> None:
    """A quota of requests counts it; a budget that is used up does not stop it."""
    body = body_of(world.text())
    assert [world.post("limited", body).status_code for _ in range(4)] == [200, 200, 200, 429]
    body = body_of(world.text(), max_tokens=5)
    assert [said(world.post("broke", body)) for _ in range(4)] == ["miss", "hit", "hit", "hit"]
    for _ in range(5):
        fresh = world.post("broke", body_of(world.text(), max_tokens=5))
    assert fresh.status_code == 402
    assert said(world.post("broke", body)) == "hit"


# -- what is kept -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", ODD)
@pytest.mark.parametrize("is_stream", [False, True])
def test_only_a_whole_and_successful_answer_is_kept(world: World, model: str, is_stream: bool) -> None:
    """Refusals, what a filter withheld, errors inside a 200, streams that broke off: asked anew each time."""
    if model == "cut" and not is_stream:
        return
    body = body_of(world.text(), model=f"acme/{model}", stream=is_stream)
    for _ in range(2):
        try:
            assert said(world.post("own", body)) != "hit"
        except httpx.HTTPError:
            assert model == "cut"  # the stream of a broken answer does not end as one
    assert said(world.post("own", body, x_tidegate_cache="only-if-cached")) != "hit"


@pytest.mark.parametrize(
    ("more", "kept"),
    [
        ({"temperature": 0.0}, True), ({"temperature": 0.7, "seed": 1}, True), ({"temperature": None, "seed": 0}, True),
        ({"temperature": 0.7}, False), ({"temperature": None}, False), ({"temperature": False}, False),
        ({"temperature": "0"}, False), ({"seed": True, "temperature": 1}, False),
        ({"previous_response_id": "r"}, False), ({"conversation": "c"}, False), ({"background": True}, False),
        ({"background": False}, True),
    ],
)  # fmt: skip
def test_only_calls_that_ask_to_be_answered_alike_are_kept(more: dict[str, Any], kept: bool) -> None:
    """Temperature 0 or a seed; nothing that leans on what the provider keeps, whatever the setting."""
    body = json.dumps(body_of("x", **more)).encode()
    assert is_keepable("openai-chat", body, any_temperature=False) is kept
    leans = {"previous_response_id", "conversation"} & more.keys() or more.get("background")
    assert is_keepable("openai-chat", body, any_temperature=True) is not bool(leans)


def test_a_call_says_what_the_cache_may_do(world: World) -> None:
    """`no-store`, `no-cache`, `only-if-cached`, `max-age`, in either header."""
    body = body_of(world.text())
    refused = world.post("own", body, x_tidegate_cache="only-if-cached")
    assert (refused.status_code, refused.json()["error"]["code"]) == (504, "not_cached")
    assert refused.headers["x-should-retry"] == "false"
    assert said(world.post("own", body, x_tidegate_cache="no-store")) == "-"
    assert said(world.post("own", body)) == "miss"
    first = world.post("own", body, cache_control="only-if-cached, max-age=60")
    assert said(first) == "hit"
    assert said(world.post("own", body, cache_control="no-store")) == "-"
    fresh = world.post("own", body, cache_control="no-cache")
    assert said(fresh) == "miss" and fresh.content != first.content
    assert world.post("own", body).content == fresh.content
    time.sleep(1.1)
    assert said(world.post("own", body, x_tidegate_cache="max-age=1")) == "miss"
    assert said(world.post("off", body, x_tidegate_cache="only-if-cached")) == "-"  # no cache of theirs
    odd = world.post("own", body, x_tidegate_cache="perhaps")
    assert odd.status_code == 400 and "only-if-cached" in odd.text


def test_only_if_cached_never_asks_a_provider(world: World) -> None:
    """Whatever the call: also one whose answer is never kept."""
    before = world.asked
    reply = world.post("own", body_of(world.text(), temperature=0.9), x_tidegate_cache="only-if-cached")
    assert reply.status_code == 504 and world.asked == before


def test_what_comes_of_a_ladder_is_not_kept(world: World) -> None:
    """Its rungs are asked each time; a call that wants nothing else is told so, and asks nobody."""
    body = body_of(world.text(), model="steep")
    first, second = (world.post("own", body) for _ in range(2))
    assert (first.status_code, said(first), said(second)) == (200, "-", "-"), first.text
    assert first.content != second.content
    before = world.asked
    assert world.post("own", body, x_tidegate_cache="only-if-cached").status_code == 504 and world.asked == before


def test_a_hit_serves_callers_of_http_1_0_and_pipelines(world: World) -> None:
    """A stream out of the cache, on a connection without chunks; and behind another call of the same connection."""
    raw = json.dumps(body_of(world.text(), stream=True)).encode()
    whole = world.post("own", raw).content
    head = f"authorization: Bearer {world.secrets['own']}\r\nhost: x\r\ncontent-length: {len(raw)}\r\n\r\n".encode()
    with world.gateway.connect() as old:
        old.sendall(b"POST /v1/chat/completions HTTP/1.0\r\n" + head + raw)
        assert _all_of(old).endswith(b"\r\n\r\n" + whole)
    with world.gateway.connect() as ahead:
        ahead.sendall((b"POST /v1/chat/completions HTTP/1.1\r\n" + head + raw) * 3)
        seen = b""
        while seen.count(whole) < 3:
            got = ahead.recv(65536)
            assert got, seen
            seen += got
        assert seen.count(b"x-tidegate-cache: hit") == 3


def _all_of(connection: socket.socket) -> bytes:
    found = b""
    while got := connection.recv(65536):
        found += got
    return found


def test_nothing_of_it_is_on_disk(world: World) -> None:
    """Neither the question nor the answer is in any file of the installation."""
    text = f"secret {world.text()}"
    first = world.post("wide", body_of(text))
    assert said(world.post("wide", body_of(text))) == "hit"
    answer = json.loads(first.content)["choices"][0]["message"]["content"]
    for path in world.gateway.home.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert text.encode() not in content and json.dumps(answer).encode() not in content, path


def test_metrics_count_hits_misses_and_bytes(world: World) -> None:
    """What an operator sees."""

    def seen() -> dict[str, float]:
        lines = world.client.get(world.gateway.url + "/metrics").text.splitlines()
        return {line.split()[0]: float(line.split()[1]) for line in lines if line.startswith("tidegate_response_cache")}

    body, before = body_of(world.text()), seen()
    for _ in range(3):
        reply = world.post("wider", body)
    after = seen()
    grown = {name.removeprefix("tidegate_response_cache_"): after[name] - before[name] for name in after}
    assert grown["hits_total"] == 2 and grown["misses_total"] == 1 and grown["answers"] == 1
    assert grown["bytes"] == len(reply.content) + ENTRY_BYTES


def test_without_a_tenant_that_opted_in_there_is_no_cache(run_gateway: Callable[..., Gateway]) -> None:
    """`[cache]` alone keeps nothing."""
    with FakeProvider() as provider:
        config = f'[cache]\ncalls = "any"\n[providers.mock]\nbase_url = "{provider.url}"\n'
        config += '[[endpoints]]\nprovider = "mock"\nmodel = "acme/m"\nprice = { input = "1", output = "1" }\n'
        gateway = run_gateway(config)
        for _ in range(2):
            reply = httpx.post(f"{gateway.url}/v1/chat/completions", json=body_of("x"), headers=gateway.headers)
            assert reply.status_code == 200 and said(reply) == "-"
        assert len(provider.calls) == 2


def test_settings_of_the_cache_that_cannot_be_are_refused(tmp_path: Path) -> None:
    """An entry larger than the whole; a sharing that is none."""
    path = tmp_path / "tidegate.toml"
    for text, word in (
        ("[cache]\nbytes_max = 1000\nentry_bytes_max = 2000\n", "entry_bytes_max"),
        ('[tenants.a]\ncache = "everybody"\n', "everybody"),
        ("[cache]\nttl_s = -1\n", "ttl_s"),
    ):
        path.write_text(text)
        with pytest.raises(ConfigError, match=word):
            load_config([path], {})


# -- the parts, with a clock of the test's ----------------------------------------------------------------------------


def kept_of(body: bytes, owner: bytes = b"o") -> Kept:
    return Kept("e", b"application/json", body, "stop", 0, b"", owner)


def cache_of(clock: list[float], **more: Any) -> tuple[ResponseCache, Totals]:
    totals = Totals()
    return ResponseCache(Cache(**more), {"t": "key"}, totals, b"s" * 32, clock=lambda: clock[0]), totals


def test_an_answer_is_given_until_its_time_is_over() -> None:
    """Until, and not at; the sweep takes what nobody asks for."""
    clock = [100.0]
    cache, totals = cache_of(clock, ttl_s=10.0)
    assert cache.keep(b"a", kept_of(b"1")) and cache.keep(b"b", kept_of(b"2"))
    clock[0] = 109.9
    found = cache.find(b"a")
    assert found is not None and cache.age_s(found) == 9
    assert cache.find(b"a", age_max_s=9.0) is None and cache.find(b"a") is not None
    clock[0] = 110.0
    assert cache.find(b"a") is None and totals.cache_answers == 1
    cache.sweep()
    assert (totals.cache_answers, totals.cache_bytes) == (0, 0)


def test_what_was_not_used_for_longest_makes_room() -> None:
    """By bytes, everything counted; what is too large is not kept, and takes nobody's place."""
    size = 100 + ENTRY_BYTES
    cache, totals = cache_of([0.0], bytes_max=3 * size, entry_bytes_max=100)
    for name in (b"a", b"b", b"c"):
        assert cache.keep(name, kept_of(b"x" * 100))
    assert cache.find(b"a") is not None
    assert cache.keep(b"d", kept_of(b"x" * 100))
    assert [name for name in (b"a", b"b", b"c", b"d") if cache.find(name)] == [b"a", b"c", b"d"]
    assert not cache.keep(b"e", kept_of(b"x" * 101)) and totals.cache_bytes == 3 * size
    assert cache.take(size) and totals.cache_answers == 2  # an answer being written needs room, too
    cache.count(-size)


NAMES = st.sampled_from([b"a", b"b", b"c", b"d"])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("keep"), NAMES, st.integers(0, 400)),
        st.tuples(st.just("find"), NAMES, st.integers(0, 30)),
        st.tuples(st.just("wait"), st.just(b""), st.integers(0, 8)),
        st.tuples(st.just("sweep"), st.just(b""), st.just(0)),
        st.tuples(st.just("forget"), NAMES, st.just(0)),
    ),
    max_size=60,
)


@given(STEPS)
@settings(max_examples=200, deadline=None)
def test_the_cache_gives_what_was_last_kept_under_a_name_or_nothing(steps: list[tuple[str, bytes, int]]) -> None:
    """Beside a plain model: never another name's or a former answer, never one that is too old or whose owner is gone;
    never more bytes than it may have, and its books balance."""
    clock = [0.0]
    cache, totals = cache_of(clock, ttl_s=20.0, bytes_max=2000, entry_bytes_max=300)
    model: dict[bytes, tuple[bytes, float]] = {}
    numbers = itertools.count()
    for what, name, amount in steps:
        if what == "keep":
            body = b"%d " % next(numbers) + name * amount
            if cache.keep(name, kept_of(body, owner=name)):
                model[name] = (body, clock[0])
        elif what == "find":
            found = cache.find(name, float(amount))
            if found is not None:
                body, stored = model[name]
                assert found.body == body and clock[0] - stored < 20 and clock[0] - stored <= amount
        elif what == "wait":
            clock[0] += amount
        elif what == "sweep":
            cache.sweep()
        else:
            cache.forget_all_but(lambda owner, gone=name: owner != gone)
            model.pop(name, None)
        assert 0 <= totals.cache_bytes <= 2000
    present = [cache.find(name) for name in (b"a", b"b", b"c", b"d")]
    assert totals.cache_bytes == sum(kept.size for kept in present if kept is not None)
    assert totals.cache_answers == sum(kept is not None for kept in present)


PARTS = st.tuples(
    st.sampled_from(["key", "project", "tenant"]),
    *[st.sampled_from(["", "a", "b", "ab"]) for _ in range(5)],
    st.sampled_from([b"", b"a", b"ab"]),
    st.sampled_from([b"", b"a", b"b"]),
)


@given(PARTS, PARTS)
@settings(max_examples=200, deadline=None)
def test_requests_have_one_name_exactly_where_all_that_counts_is_the_same(first: Any, second: Any) -> None:
    """No cut of the same bytes into other parts gives the same name."""
    names = Names(b"k" * 32)

    def name(parts: Any) -> tuple[bytes, object]:
        sharing, tenant, project, key, path, query, body, policy = parts
        request = Request(b"POST", path, query.encode(), {b"x-tidegate-policy": policy})
        caller = KeyWish(name="x")
        counted = (sharing, tenant, *{"key": (project, key), "project": (project,), "tenant": ()}[sharing])
        found = names.name(_Key(caller, tenant, project, key), sharing, request, body)  # type: ignore[arg-type]
        return found, (*counted, path, query, body, policy)

    (left, left_parts), (right, right_parts) = name(first), name(second)
    assert (left == right) is (left_parts == right_parts)
    assert len(left) == 32 and Names(b"l" * 32).name != names.name


class _Key:
    def __init__(self, _: KeyWish, tenant: str, project: str, key: str) -> None:
        self.tenant_id, self.project_id, self.key_id = tenant, project, key


def test_words_of_the_headers_mean_what_rfc_9111_says() -> None:
    """And a word that means nothing is refused in our own header, and ignored in HTTP's."""
    assert cache_ask({}).looks and cache_ask({}).stores
    assert cache_ask({b"cache-control": b"private, max-age=0, x"}).age_max_s == 0
    both = cache_ask({b"x-tidegate-cache": b"max-age=9", b"cache-control": b"Max-Age=3, No-Store"})
    assert (both.age_max_s, both.stores, both.looks) == (3, False, False)
    for word in (b"hit", b"max-age", b"max-age=-1", b"max-age=1.5"):
        with pytest.raises(InvalidRequest, match="max-age=SECONDS"):
            cache_ask({b"x-tidegate-cache": word})
    assert Counter([cache_ask({b"cache-control": b"max-age=x"}).age_max_s])[float("inf")] == 1
