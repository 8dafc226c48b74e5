"""Which model a first call goes to, and at what price: found before anything is called.

Order: `MODEL=local` keeps it at home; else what the user's own configuration lists; else a provider whose key is in
the environment; else a running Ollama or vLLM on this machine; else the local model. A model that the gateway could
not know by itself (the last two) is handed to it as a configuration file, `<home>/run/up.toml`.
"""

import os
from collections.abc import Mapping, Sequence

import msgspec

from tidegate.catalog import Catalog
from tidegate.catalog.routes import names_of, providers_with_key, served_endpoints
from tidegate.config import Config, config_files
from tidegate.core.errors import ConfigError
from tidegate.core.facts import Endpoint
from tidegate.core.money import format_rate
from tidegate.core.price import FREE, Price, cost
from tidegate.core.usage import Usage
from tidegate.runtime import local_model
from tidegate.runtime.home import free_port

PROBE_S = 1.0  # a server on this machine answers in milliseconds
PROBE_BYTES_MAX = 4 * 1024 * 1024
LOCAL = "local"
# Parts of the names of models that do not chat: embedders, rerankers, and those that hear or draw.
NOT_CHAT = ("embed", "bge-", "minilm", "paraphrase-", "gte-", "e5-", "rerank", "whisper", "tts", "stable-diffusion")
FIRST_USAGE = Usage(
    input_tokens=20, output_tokens=200
)  # about what a first call takes, to tell which model is cheapest


class LocalServer(msgspec.Struct, frozen=True, kw_only=True):
    """A model server that may run on this machine; `base_url` as OpenAI's clients want it."""

    provider: str
    name: str
    base_url: str


LOCAL_SERVERS = (
    LocalServer(provider="ollama", name="Ollama", base_url="http://127.0.0.1:11434/v1"),
    LocalServer(provider="vllm", name="vLLM", base_url="http://127.0.0.1:8000/v1"),
)


class FoundModel(msgspec.Struct, frozen=True, kw_only=True):
    """A model to call, and what must be known before calling it.

    `model`: the name callers use. `why`: half a sentence on how it was found. `base_url`: set for a server on this
    machine, which the gateway must be told of. `local_port`: set where the local model must be started, on this port.
    """

    model: str
    provider: str
    why: str
    price: Price
    upstream_model: str = ""
    base_url: str = ""
    local_port: int = 0

    @property
    def is_free(self) -> bool:
        return self.price.rates == FREE

    @property
    def price_text(self) -> str:
        """The price as a person reads it."""
        if self.is_free:
            return "price 0" + (": it runs on this machine" if self.base_url else "")
        rates = self.price.rates
        text = f"USD {format_rate(rates.input)} in and {format_rate(rates.output)} out per million tokens"
        return f"{text}, and {format_rate(rates.request)} per million requests" if rates.request else text


class NoModel(ConfigError):
    """Nothing that could be called was found; the text lists what was looked for."""


class Search(msgspec.Struct, frozen=True, kw_only=True):
    """What a search may look at.

    `wanted`: a model's name, `local`, or "" for the first in order. `day`: ISO date of the prices.
    """

    config: Config
    environ: Mapping[str, str]
    catalog: Catalog
    day: str
    wanted: str = ""
    servers: Sequence[LocalServer] = LOCAL_SERVERS


async def find_model(search: Search) -> FoundModel:
    """The model to call, as the module docstring orders them. Raises NoModel, saying what was looked for."""
    if search.wanted != LOCAL:
        if (found := _served(search)) is not None:
            return found
        for server in search.servers:
            if (running := await _running(server, search.wanted)) is not None:
                return running
    if search.wanted in {"", LOCAL, local_model.MODEL}:
        return _local()
    raise NoModel(
        f"nothing here serves {search.wanted!r}: looked at [[endpoints]] of the configuration, at the providers whose "
        f"key is in the environment, and at {' and '.join(server.base_url for server in search.servers)}. "
        "MODEL=local takes the small model of this machine"
    )


def _served(search: Search) -> FoundModel | None:
    """The wanted model, else the first configured one, else the cheapest of the keyed providers' first models.

    The gateway's own rule is asked which endpoint serves it, so that what is announced is what is called and paid.
    """
    config, catalog = search.config, search.catalog
    from_environment = config.gateway.providers_from_environment
    endpoints = served_endpoints(
        config.providers, config.endpoints, catalog, search.environ, search.day, from_environment
    )
    by_name: dict[str, Endpoint] = {}
    for endpoint in endpoints:
        if endpoint.price is not None:
            for name in names_of(endpoint):
                by_name.setdefault(name, endpoint)
    if search.wanted:
        chosen = by_name.get(search.wanted) or by_name.get(search.wanted.lower())
        return None if chosen is None else _found(chosen, search)
    configured = [by_name[entry.model] for entry in config.endpoints if entry.model in by_name]
    if configured:
        return _found(configured[0], search)
    keyed = providers_with_key(catalog, search.environ) if from_environment else []
    first = [catalog.providers[name].first_model for name in keyed]
    found = [_found(by_name[model], search) for model in first if model in by_name]
    return min(found, key=lambda one: cost(FIRST_USAGE, one.price), default=None)


def _found(endpoint: Endpoint, search: Search) -> FoundModel:
    assert endpoint.price is not None
    fact = search.catalog.providers.get(endpoint.provider)
    is_configured = any(entry.model == endpoint.model for entry in search.config.endpoints)
    why = "your configuration lists it" if is_configured or fact is None else f"{fact.api_key_env} is set"
    return FoundModel(model=endpoint.model, provider=endpoint.provider, price=endpoint.price, why=why)


class _ListedModel(msgspec.Struct):
    id: str


class _ModelList(msgspec.Struct):
    data: list[_ListedModel]


async def _running(server: LocalServer, wanted: str) -> FoundModel | None:
    """The first chat model of a server on this machine, or the wanted one; None where no such server answers."""
    import aiohttp

    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=PROBE_S)) as session,
            session.get(f"{server.base_url}/models") as reply,
        ):
            if reply.status != 200:
                return None
            listed = msgspec.json.decode(await reply.content.read(PROBE_BYTES_MAX), type=_ModelList)
    except (aiohttp.ClientError, TimeoutError, msgspec.DecodeError):
        return None  # nobody there, or another kind of server
    for entry in listed.data:
        name = entry.id if "/" in entry.id else f"{server.provider}/{entry.id}"
        is_first_chat = not wanted and not any(part in entry.id.lower() for part in NOT_CHAT)
        if is_first_chat or wanted in {name, entry.id}:
            return FoundModel(
                model=name,
                provider=server.provider,
                why=f"{server.name} runs on this machine",
                price=_free(name, server.provider),
                upstream_model=entry.id,
                base_url=server.base_url,
            )
    return None


def _local() -> FoundModel:
    if missing := local_model.missing_packages():
        raise NoModel(
            f"no model to call. No provider key is set, no Ollama or vLLM runs here, and the local model needs "
            f"{' and '.join(missing)} (`pip install 'tidegate[local]'`). Set for example OPENAI_API_KEY or "
            "OPENROUTER_API_KEY, or list a server under [[endpoints]] in tidegate.toml"
        )
    port = free_port("127.0.0.1")
    return FoundModel(
        model=local_model.MODEL,
        provider=local_model.PROVIDER,
        why=local_model.LABEL,
        price=_free(local_model.MODEL, local_model.PROVIDER),
        upstream_model=local_model.UPSTREAM_MODEL,
        base_url=local_model.base_url(port),
        local_port=port,
    )


def _free(model: str, provider: str) -> Price:
    return Price(price_id=f"{model}@{provider}#configured", rates=FREE)


def hand_over(found: FoundModel | None, config: Config, environ: Mapping[str, str]) -> dict[str, str]:
    """The environment under which the gateway serves what was found: a server on this machine is written to up.toml.

    The user's own files come first in TIDEGATE_CONFIG, so their endpoints stay preferred.
    """
    path = config.run_path / "up.toml"
    if found is None or not found.base_url:
        path.unlink(missing_ok=True)
        return dict(environ)
    region = local_model.REGION
    path.write_text(
        "# Written by `tidegate up` at each start: the model that it found on this machine.\n"
        f"[providers.{found.provider}]\nbase_url = {_quoted(found.base_url)}\nregion = {_quoted(region)}\n\n"
        f"[[endpoints]]\nprovider = {_quoted(found.provider)}\nmodel = {_quoted(found.model)}\n"
        f'upstream_model = {_quoted(found.upstream_model)}\nprice = {{ input = "0", output = "0" }}\n',
        "utf-8",
    )
    files = [str(file) for file in (*config_files(environ), path)]
    return {**environ, "TIDEGATE_CONFIG": os.pathsep.join(files)}


def _quoted(text: str) -> str:
    return msgspec.json.encode(text).decode()  # a JSON string is a TOML basic string
