"""A provider that speaks any dialect by scripts, and a gateway that calls it in four of them.

The first word of a model's name (`chat+cut`) is the provider, hence the dialect it is asked in; the second the script.
"""

import asyncio
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import httpx2 as httpx

from rig.gateway import Gateway, start_gateway
from rig.provider import Call, Script
from rig.server import ThreadedServer

SPOKEN = {
    "chat": ("openai-chat", "/v1"),
    "responses": ("openai-responses", "/v1"),
    "claude": ("anthropic", "/v1"),
    "gem": ("gemini", "/v1beta"),
}
PRICE = 'price = { input = "2", output = "10", cache_read = "0.5" }'
PATHS = {"openai-chat": "/v1/chat/completions", "openai-responses": "/v1/responses", "anthropic": "/v1/messages"}
TEXT = "What is two and two?"


class ScriptedProvider(ThreadedServer):
    """`calls`: what arrived. `aborted`: models whose caller hung up in the middle."""

    def __init__(self, scripts: Mapping[str, Script]) -> None:
        super().__init__()
        self.scripts = scripts
        self.calls: list[Call] = []
        self.aborted: list[str] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        model = ""
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                call = Call(head[:-4], b"{}", reader, writer)
                raw = await reader.readexactly(int(call.headers["content-length"]))
                call.raw, call.body = raw, json.loads(raw)
                model = model_of(call)
                self.calls.append(call)
                await self.scripts[model.partition("+")[2]](call)
                model = ""
        except (asyncio.IncompleteReadError, ConnectionError):
            if model:
                self.aborted.append(model)
        except asyncio.CancelledError:
            pass
        finally:
            writer.close()


def start_before(provider: ScriptedProvider, home: Path, extra: str = "") -> Gateway:
    """A gateway before all scripts of a provider, in each dialect."""
    lines = [extra]
    for name, (dialect, path) in SPOKEN.items():
        lines += [f"[providers.{name}]", f'base_url = "http://127.0.0.1:{provider.port}{path}"']
        lines += [f'dialect = "{dialect}"']
    for name in SPOKEN:
        for script in provider.scripts:
            lines += ["[[endpoints]]", f'provider = "{name}"', f'model = "{name}+{script}"']
            lines += [f'upstream_model = "{name}+{script}"', PRICE]
    return start_gateway(home, "\n".join(lines) + "\n")


def request_of(dialect: str, model: str, *, stream: bool, root: str = "") -> tuple[str, dict[str, Any]]:
    """Path and body of one question. root: `/api` for OpenRouter's side."""
    if dialect == "gemini":
        verb = "streamGenerateContent?alt=sse" if stream else "generateContent"
        return f"/v1beta/models/{model}:{verb}", {"contents": [{"role": "user", "parts": [{"text": TEXT}]}]}
    body: dict[str, Any] = {"model": model, "stream": stream}
    if dialect == "openai-responses":
        body["input"] = TEXT
    else:
        body["messages"] = [{"role": "user", "content": TEXT}]
        if dialect == "anthropic":
            body["max_tokens"] = 100
    return root + PATHS[dialect], body


def post(gateway: Gateway, dialect: str, model: str, *, stream: bool = False, root: str = "") -> httpx.Response:
    path, body = request_of(dialect, model, stream=stream, root=root)
    return httpx.post(gateway.url + path, json=body, headers=gateway.headers, timeout=20)


def spoken_by(call: Call) -> str:
    """The provider that a call is for: the first word of its model."""
    return model_of(call).partition("+")[0]


def model_of(call: Call) -> str:
    in_path = re.search(rb"/models/([^:/]+):", call.head)
    return unquote(in_path[1].decode()) if in_path else str(call.body["model"])
