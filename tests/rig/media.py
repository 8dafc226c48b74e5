"""Calls for media: the gateway's configuration, forms as clients write them, and what a process holds."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2 as httpx

from conformance.mock_provider import MockProvider
from rig.gateway import Gateway

TOKENS_COST = 12 * 2000 + 5 * 10_000  # 12 tokens in at 2 USD per million, 5 out at 10, in nano-USD
MODELS = ("img", "voice", "ear", "judge", "rank", "busy+e429", "bad+e400")
WAV = b"RIFF\x00\x00\x00\x00WAVEfmt " + (16).to_bytes(4, "little") + b"\x01\x00\x01\x00" + (16000).to_bytes(4, "little")
WAV += (32000).to_bytes(4, "little") + b"\x02\x00\x10\x00data\x00\x00\x00\x00"


def config(mock: MockProvider, extra: str = "") -> str:
    price = 'price = { input = "2", output = "10" }'
    lines = ["[gateway]", "providers_from_environment = false", extra]
    for name, dialect in (("mock", "openai-chat"), ("claude", "anthropic")):
        lines.append(f'[providers.{name}]\nbase_url = "{mock.url}/v1"\ndialect = "{dialect}"\napi_key_env = "MOCK_KEY"')
    for model in MODELS:
        lines.append(
            f'[[endpoints]]\nprovider = "mock"\nmodel = "acme/{model}"\nupstream_model = "their-{model}"\n{price}'
        )
    for model, more in (("seconds", "audio_input_s"), ("pieces", "image"), ("spoken", "audio_output_s")):
        price_of = f'price = {{ input = "0", output = "0", more = {{ {more} = "40000" }} }}'
        lines.append(f'[[endpoints]]\nprovider = "mock"\nmodel = "acme/{model}"\n{price_of}')
    for model in ("gpt-image-1.5", "omni-moderation-latest"):
        lines.append(f'[[endpoints]]\nprovider = "mock"\nmodel = "{model}"\nprice = {{ input = "0", output = "0" }}')
    lines.append(f'[[endpoints]]\nprovider = "claude"\nmodel = "acme/claude"\n{price}')
    lines.append('[[endpoints]]\nprovider = "mock"\nmodel = "acme/unpriced"')
    return "\n".join(lines) + "\n"


def post(gateway: Gateway, path: str, **more: Any) -> httpx.Response:
    return httpx.post(gateway.url + path, headers=gateway.headers | more.pop("headers", {}), timeout=20, **more)


def form(fields: list[tuple[str, bytes, str]], boundary: str = "b-0") -> tuple[dict[str, str], bytes]:
    """Headers and body of a form: (name, content, file name)."""
    parts = []
    for name, content, filename in fields:
        more = f'; filename="{filename}"\r\nContent-Type: application/octet-stream' if filename else ""
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n'
        parts.append(head.encode() + content + b"\r\n")
    kind = {"content-type": f"multipart/form-data; boundary={boundary}"}
    return kind, b"".join(parts) + f"--{boundary}--\r\n".encode()


def memory_kb(gateway: Gateway, word: str = "VmHWM") -> int:
    lines = Path(f"/proc/{gateway.process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(word))


def files_without_a_name(gateway: Gateway) -> list[str]:
    found = [path.readlink() for path in Path(f"/proc/{gateway.process.pid}/fd").iterdir() if path.is_symlink()]
    return [str(path) for path in found if str(path).startswith(str(gateway.home)) and "(deleted)" in str(path)]


def wait_for(condition: Callable[[], bool], within_s: float = 5.0) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)
