"""Which model a first call goes to: the order, and that nothing is called before its price is known."""

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest

from tidegate.catalog import load_catalog
from tidegate.config import Config, load_config
from tidegate.runtime import local_model
from tidegate.runtime.find_model import LocalServer, NoModel, Search, find_model, hand_over
from tidegate.runtime.home import HomeLock, free_port

DAY = "2026-11-01"
CATALOG = load_catalog()


@contextmanager
def model_server(body: str, status: int = 200) -> Iterator[str]:
    """A server that answers /v1/models as Ollama and vLLM do; its base URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/v1/models" else 404)
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: object) -> None:
            pass

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/v1"
        finally:
            server.shutdown()
            thread.join()


def nobody(provider: str) -> LocalServer:
    return LocalServer(provider=provider, name=provider, base_url=f"http://127.0.0.1:{free_port('127.0.0.1')}/v1")


def search(config: Config, environ: dict[str, str] | None = None, **changes: Any) -> Search:
    found = {"config": config, "environ": environ or {}, "catalog": CATALOG, "day": DAY, "servers": ()}
    return Search(**{**found, **changes})


needs_local = pytest.mark.skipif(
    bool(local_model.missing_packages()), reason=f"the extra `local` lacks {local_model.missing_packages()}"
)


async def test_a_provider_key_in_the_environment_comes_first(config: Config) -> None:
    """Its owner wants to call that provider; which model and at what price is known before the call."""
    with model_server('{"data": [{"id": "llama3.2:1b"}]}') as url:
        servers = (LocalServer(provider="ollama", name="Ollama", base_url=url),)

        found = await find_model(search(config, {"OPENAI_API_KEY": "sk-x"}, servers=servers))

    assert (found.model, found.provider) == ("openai/gpt-4o-mini", "openai")
    assert found.why == "OPENAI_API_KEY is set"
    assert found.price_text == "USD 0.15 in and 0.60 out per million tokens"
    assert found.base_url == "", "the gateway knows this provider by itself"


async def test_of_several_keys_the_cheapest_first_model_is_taken(config: Config) -> None:
    """A first call should cost as little as it can."""
    keys = {"OPENAI_API_KEY": "x", "ANTHROPIC_API_KEY": "x", "GEMINI_API_KEY": "x"}

    found = await find_model(search(config, keys))

    assert found.provider == "google"


async def test_what_is_announced_is_what_the_gateway_routes_to(config: Config) -> None:
    """Several providers serve one model; the gateway prefers the first of them, so that one's price is named."""
    keys = {"TOGETHER_API_KEY": "x", "GROQ_API_KEY": "x"}

    found = await find_model(search(config, keys))

    assert (found.model, found.provider) == ("openai/gpt-oss-20b", "groq")


async def test_the_users_own_configuration_wins_over_keys(config: Config, environ: dict[str, str], tmp_path) -> None:
    """Whoever wrote [[endpoints]] has chosen already."""
    file = tmp_path / "tidegate.toml"
    file.write_text(
        '[providers.mine]\nbase_url = "http://127.0.0.1:1/v1"\n'
        '[[endpoints]]\nprovider = "mine"\nmodel = "mine/small"\nprice = { input = "0.1", output = "0.2" }\n'
    )
    own = load_config([file], environ)

    found = await find_model(search(own, {"OPENAI_API_KEY": "x"}))

    assert (found.model, found.why) == ("mine/small", "your configuration lists it")
    assert found.price_text == "USD 0.10 in and 0.20 out per million tokens"


async def test_without_a_key_a_running_ollama_is_used_and_then_a_vllm(config: Config) -> None:
    """What runs on this machine costs nothing; embedding models cannot chat."""
    embedders = '{"id": "nomic-embed-text"}, {"id": "bge-m3:latest"}'
    listed = f'{{"object": "list", "data": [{embedders}, {{"id": "llama3.2:1b", "object": "model"}}]}}'
    with model_server(listed) as ollama, model_server('{"data": [{"id": "Qwen/Qwen3-0.6B"}]}') as vllm:
        first = LocalServer(provider="ollama", name="Ollama", base_url=ollama)
        second = LocalServer(provider="vllm", name="vLLM", base_url=vllm)

        found = await find_model(search(config, servers=(first, second)))
        assert (found.model, found.upstream_model) == ("ollama/llama3.2:1b", "llama3.2:1b")
        assert found.price_text == "price 0: it runs on this machine"

        found = await find_model(search(config, servers=(nobody("ollama"), second)))
        assert (found.model, found.why) == ("Qwen/Qwen3-0.6B", "vLLM runs on this machine")


@needs_local
@pytest.mark.parametrize("body", ["<html>", "{}", '{"data": []}', '{"data": 1}', '{"data": [{"id": "e5-embed"}]}'])
async def test_another_server_on_that_port_is_no_model(config: Config, body: str) -> None:
    """Port 8000 is everybody's port: what does not answer like a model server is passed over."""
    with model_server(body) as url:
        found = await find_model(search(config, servers=(LocalServer(provider="vllm", name="vLLM", base_url=url),)))

    assert found.model == local_model.MODEL


@needs_local
async def test_a_server_that_refuses_or_never_answers_is_passed_over(config: Config) -> None:
    """A search takes a second at most, whoever is on the port."""
    with model_server("no key", status=401) as refusing, socketserver.TCPServer(("127.0.0.1", 0), None) as silent:  # type: ignore[arg-type]
        servers = (
            LocalServer(provider="vllm", name="vLLM", base_url=refusing),
            LocalServer(provider="ollama", name="Ollama", base_url=f"http://127.0.0.1:{silent.server_address[1]}/v1"),
        )
        found = await find_model(search(config, servers=servers))

    assert found.model == local_model.MODEL


@needs_local
async def test_model_local_keeps_the_call_at_home(config: Config) -> None:
    """MODEL=local spends nothing even where a key is set; the weights' nature is said."""
    found = await find_model(search(config, {"OPENAI_API_KEY": "x"}, wanted="local"))

    assert (found.model, found.is_free) == (local_model.MODEL, True)
    assert found.local_port > 0 and "token source" in found.why


async def test_a_wanted_model_is_found_wherever_it_is(config: Config) -> None:
    """`--model NAME` searches the same places in the same order."""
    keys = {"OPENAI_API_KEY": "x"}
    assert (await find_model(search(config, keys, wanted="gpt-4o"))).model == "openai/gpt-4o"
    with model_server('{"data": [{"id": "a"}, {"id": "b"}]}') as url:
        servers = (LocalServer(provider="ollama", name="Ollama", base_url=url),)
        assert (await find_model(search(config, keys, wanted="ollama/b", servers=servers))).upstream_model == "b"
        with pytest.raises(NoModel, match="nothing here serves 'nope'"):
            await find_model(search(config, keys, wanted="nope", servers=servers))


async def test_providers_of_the_environment_can_be_switched_off(environ: dict[str, str]) -> None:
    """Then a key that happens to be there is not used."""
    config = load_config(environ={**environ, "TIDEGATE_GATEWAY_PROVIDERS_FROM_ENVIRONMENT": "false"})
    with pytest.raises(NoModel):
        await find_model(search(config, {"OPENAI_API_KEY": "x"}, wanted="openai/gpt-4o-mini"))


@needs_local
async def test_the_gateway_learns_of_the_found_model_from_one_more_file(
    config: Config, environ: dict[str, str], tmp_path
) -> None:
    """The user's own file comes first, so that its endpoints stay preferred."""
    own = tmp_path / "own.toml"
    own.write_text(
        '[providers.mine]\nbase_url = "http://127.0.0.1:1/v1"\n'
        '[[endpoints]]\nprovider = "mine"\nmodel = "m"\nprice = { input = "1", output = "1" }\n'
    )
    environ["TIDEGATE_CONFIG"] = str(own)
    found = await find_model(search(config, wanted="local"))

    with HomeLock(config):
        handed = load_config(environ=hand_over(found, config, environ))
        assert [entry.model for entry in handed.endpoints] == ["m", local_model.MODEL]
        assert handed.providers["local"].base_url == f"http://127.0.0.1:{found.local_port}/v1"
        assert handed.endpoints[1].price is not None and handed.endpoints[1].price.input == "0"

        without = load_config(environ=hand_over(None, config, environ))
        assert [entry.model for entry in without.endpoints] == ["m"]
        assert not (config.run_path / "up.toml").exists(), "nothing of an earlier start stays"
