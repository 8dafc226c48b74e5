"""What a request wishes of its routing is heeded whatever dialect it is in: chat, Anthropic's messages, Responses."""

from collections.abc import Callable, Iterator
from typing import Any

import httpx2 as httpx
import pytest

from rig.borders import MODEL, PLACES, Borders, borders
from rig.gateway import Gateway, start_gateway

PATHS = ("/v1/chat/completions", "/api/v1/chat/completions", "/v1/messages", "/api/v1/messages", "/v1/responses",
         "/api/v1/responses")  # fmt: skip
SECOND = """[[endpoints]]
provider = "us"
model = "acme/n"
upstream_model = "other"
price = { input = "1", output = "1" }
"""
Ask = Callable[..., tuple[httpx.Response, str]]


@pytest.fixture(scope="module")
def world() -> Iterator[Borders]:
    with borders() as found:
        yield found


@pytest.fixture(scope="module")
def gateway(world: Borders, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    extra = "[routing]\nfailures_to_open = 1000\n" + SECOND
    found = start_gateway(tmp_path_factory.mktemp("wishes"), world.configuration(extra))
    yield found
    found.process.kill()
    found.process.wait(10)


@pytest.fixture
def ask(gateway: Gateway, world: Borders) -> Ask:
    """Make a call; its reply, and who was asked for it, in order of country."""
    for place in world.places.values():
        place.mood, place.moods = "well", []

    def call(path: str, **members: Any) -> tuple[httpx.Response, str]:
        body: dict[str, Any] = {"model": MODEL} | members
        if path.endswith("responses"):
            body["input"] = "2+2?"
        else:
            body["messages"] = [{"role": "user", "content": "2+2?"}]
            body |= {"max_tokens": 50} if path.endswith("messages") else {}
        before = world.calls
        reply = httpx.post(gateway.url + path, json=body, headers=gateway.headers, timeout=20)
        return reply, " ".join(name for name in PLACES if world.calls[name] > before[name])

    return call


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    ("provider", "who"),
    [
        ({"only": ["us"]}, "us"),
        ({"ignore": ["cn", "de"]}, "us"),
        ({"order": ["nobody", "de"]}, "de"),
        ({"order": ["de"], "allow_fallbacks": False}, "de"),
        ({"sort": "price"}, "cn"),
        ({"sort": {"by": "price", "partition": "none"}}, "cn"),
        ({"sort": "price", "ignore": ["cn"], "max_price": {"prompt": "2.5", "completion": 2.5}}, "us"),
        ({"only": ["de"], "zdr": None, "quantizations": ["unknown"], "require_parameters": False}, "de"),
    ],
)
def test_a_preference_chooses_alike_in_every_dialect(ask: Ask, path: str, provider: dict[str, Any], who: str) -> None:
    reply, asked = ask(path, provider=provider)
    assert (reply.status_code, asked) == (200, who), reply.text


@pytest.mark.parametrize("path", PATHS)
def test_further_models_follow_and_the_reply_names_who_answered(ask: Ask, world: Borders, path: str) -> None:
    for name in PLACES:
        world[name].moods = ["refuses"]
    reply, asked = ask(path, models=["acme/n"])
    assert reply.status_code == 200, reply.text
    assert asked == "de cn us", reply.text
    assert world["us"].provider.calls[-1].body["model"] == "other"


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("suffix", ["floor", "nitro", "exacto"])
def test_suffixes_are_heeded_in_every_dialect(ask: Ask, world: Borders, path: str, suffix: str) -> None:
    reply, asked = ask(path, model=f"{MODEL}:{suffix}", provider={"only": ["us"]})
    assert (reply.status_code, asked) == (200, "us"), reply.text
    assert world["us"].provider.calls[-1].body["model"] == "m"


@pytest.mark.parametrize("path", PATHS)
def test_what_cannot_be_heeded_is_refused_in_every_dialect_and_costs_nothing(ask: Ask, path: str) -> None:
    for provider, status in (({"experimental": 1}, 400), ({"zdr": True}, 404), ({"max_price": {"prompt": 0.1}}, 404)):
        reply, asked = ask(path, provider=provider)
        assert (reply.status_code, asked) == (status, ""), reply.text


@pytest.mark.parametrize("path", PATHS[:2])
def test_members_that_say_nothing_of_routing_are_no_hindrance(ask: Ask, path: str) -> None:
    """`transforms`, `plugins` and `route` of older clients: the call is made."""
    reply, asked = ask(path, provider={"only": ["de"]}, transforms=["middle-out"], route="fallback")
    assert (reply.status_code, asked) == (200, "de"), reply.text
