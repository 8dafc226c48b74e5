"""What is measured: the floor (nginx), two other gateways, and Tidegate. Each forwards to one provider on loopback.

All but nginx check a key on each call and know the model's price; logs and update checks are off; each is given one
core. A subject that cannot be had is named with the reason in the result, never left out in silence.
"""

import os
import subprocess
import venv
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from harness import nginx
from harness.bodies import MODEL
from harness.process import Child, free_port
from harness.record import BenchError

PEERS = {"rolter": "0.1.0", "ferrogw": "1.5.10"}  # pinned: a table is only worth its versions
INSTALL_S = 180
KEY = "sk-bench-0123456789abcdef"

ROLTER = """
[server]
host = "127.0.0.1"
port = {port}
[[providers]]
name = "mock"
kind = "openai_compatible"
api_base = "http://127.0.0.1:{provider_port}"
[[routes]]
model = "{model}"
strategy = "round_robin"
[[routes.targets]]
provider = "mock"
model = "{model}"
[[virtual_keys]]
key = "{key}"
name = "bench"
models = []
[[model_prices]]
model = "{model}"
input_per_mtok = 0.15
output_per_mtok = 0.6
"""

FERROGW = "strategy:\n  mode: single\ntargets:\n  - virtual_key: openai\n"


class Running:
    """A started subject: where to call it, with what key, and its root process."""

    def __init__(self, child: Child, port: int, key: str = KEY) -> None:
        self.child, self.port, self.authorization = child, port, f"Bearer {key}"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1/chat/completions"

    def stop(self) -> None:
        self.child.stop()


class Subject(Protocol):
    """Something to measure. `start` raises BenchError with the reason when it cannot."""

    name: str

    def version(self) -> str: ...

    def start(self, provider_port: int, folder: Path, cpus: set[int]) -> Running: ...


class Nginx:
    name = "nginx"

    def version(self) -> str:
        return nginx.nginx_version()

    def start(self, provider_port: int, folder: Path, cpus: set[int]) -> Running:
        return Running(*nginx.start_peer(folder, provider_port, cpus))


class Peer:
    """A gateway whose wheel on PyPI carries a binary; kept in a virtual environment outside the tree."""

    def __init__(self, name: str, *, install: bool) -> None:
        self.name, self._install = name, install

    def version(self) -> str:
        return PEERS[self.name]

    def start(self, provider_port: int, folder: Path, cpus: set[int]) -> Running:
        binary = peer_binary(self.name, install=self._install)
        folder.mkdir(parents=True, exist_ok=True)
        port = free_port()
        command = (rolter_command if self.name == "rolter" else ferrogw_command)(binary, folder, port, provider_port)
        return Running(_ready(Child(command[0], folder / "log", cpus=cpus, env=command[1], cwd=folder), port), port)


Command = tuple[list[str], dict[str, str]]


def rolter_command(binary: Path, folder: Path, port: int, provider_port: int) -> Command:
    text = ROLTER.format(port=port, provider_port=provider_port, model=MODEL, key=KEY)
    (folder / "rolter.toml").write_text(text)
    env = _environment(RUST_LOG="off", ROLTER_UPDATE_CHECK="false", HOME=str(folder))
    return [str(binary), "gateway", "--config", str(folder / "rolter.toml")], env


def ferrogw_command(binary: Path, folder: Path, port: int, provider_port: int) -> Command:
    (folder / "config.yaml").write_text(FERROGW)
    env = _environment(
        PORT=str(port),
        LOG_LEVEL="error",
        RATE_LIMIT_RPS="0",  # its default refuses all but a few calls a second
        GATEWAY_CONFIG=str(folder / "config.yaml"),
        OPENAI_API_KEY="sk-unused",
        OPENAI_BASE_URL=f"http://127.0.0.1:{provider_port}",
        MASTER_KEY=KEY,
        HOME=str(folder),
    )
    return [str(binary), "serve"], env


def peer_binary(name: str, *, install: bool) -> Path:
    """The peer's binary at its pinned version, installed on first use. Raises BenchError when it cannot be had."""
    wanted = PEERS[name]
    home = peers_folder() / f"{name}-{wanted}"
    binary = home / "bin" / name
    if binary.is_file():
        return binary
    if not install:
        raise BenchError(f"{name} {wanted} is not installed in {home.name}, and --no-install was given")
    venv.create(home, with_pip=True)
    command = [str(home / "bin" / "python"), "-m", "pip", "install", "--quiet", f"{name}=={wanted}"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_S)
    except subprocess.TimeoutExpired as error:
        raise BenchError(f"{name} {wanted}: pip did not finish in {INSTALL_S} s") from error
    if not binary.is_file():
        said = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
        raise BenchError(f"{name} {wanted} cannot be installed here: {(said or ['no binary in its wheel'])[-1]}")
    return binary


def peers_folder() -> Path:
    """Where peers are kept between runs: the user's cache, never the tree."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    folder = cache / "tidegate-bench"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _ready(child: Child, port: int) -> Child:
    try:
        child.wait_for_port(port)
    except BenchError:
        child.stop()
        raise
    return child


def _environment(**settings: str) -> dict[str, str]:
    """A peer sees its own settings only: a key or a log level of the shell must not change what is measured."""
    return {"PATH": os.environ.get("PATH", ""), **settings}


def all_subjects(tidegate: Callable[[], Subject], *, install: bool = True) -> list[Subject]:
    """In the order of a round."""
    return [Nginx(), tidegate(), *(Peer(name, install=install) for name in PEERS)]
