"""Other gateways as subjects, each of a pinned version in an environment of its own, outside the tree.

`make peers` installs them; a run measures those that are there and names the others with the reason. All check a key on
each call and know the model's price where they can, with logs, telemetry and update checks off and one core:

    rolter    Rust, its binary in a wheel        ferrogw   Go, its binary in a wheel
    portkey   Node, from npm; open source, it checks no key of its own and keeps no prices
    litellm   Python proxy; slow to start, so that only the claim on small calls measures it
"""

import os
import shutil
import subprocess
import venv
from collections.abc import Callable
from pathlib import Path

import msgspec

from harness.bodies import MODEL
from harness.place import Place
from harness.process import Child, free_port
from harness.record import BenchError
from harness.setting import say
from harness.subjects import KEY, Running

INSTALL_S = 900
START_S = 120.0

Command = tuple[list[str], dict[str, str]]


class Kind(msgspec.Struct, frozen=True):
    """One peer. package: name and version as its registry has them; program: what is started, in its environment."""

    version: str  # pinned: a table is only worth its versions
    package: str
    registry: str  # "pip" or "npm"
    program: str
    command: Callable[[Path, Path, int, Place], Command]  # program, folder, port, provider
    headers: Callable[[Place], dict[str, str]] = lambda _: {}


def rolter_command(program: Path, folder: Path, port: int, provider: Place) -> Command:
    text = ROLTER.format(port=port, origin=provider.origin, model=MODEL, key=KEY)
    (folder / "rolter.toml").write_text(text)
    env = _environment(RUST_LOG="off", ROLTER_UPDATE_CHECK="false", HOME=str(folder))
    return [str(program), "gateway", "--config", str(folder / "rolter.toml")], env


def ferrogw_command(program: Path, folder: Path, port: int, provider: Place) -> Command:
    (folder / "config.yaml").write_text(FERROGW)
    env = _environment(
        PORT=str(port),
        LOG_LEVEL="error",
        RATE_LIMIT_RPS="0",  # its default refuses all but a few calls a second
        GATEWAY_CONFIG=str(folder / "config.yaml"),
        OPENAI_API_KEY="sk-unused",
        OPENAI_BASE_URL=provider.origin,
        MASTER_KEY=KEY,
        HOME=str(folder),
    )
    return [str(program), "serve"], env


def portkey_command(program: Path, folder: Path, port: int, provider: Place) -> Command:
    env = _environment(NODE_ENV="production", HOME=str(folder), TRUSTED_CUSTOM_HOSTS="127.0.0.1,localhost")
    return ["node", str(program), f"--port={port}", "--headless"], env


def portkey_headers(provider: Place) -> dict[str, str]:
    return {"x-portkey-provider": "openai", "x-portkey-custom-host": f"{provider.origin}/v1"}


def litellm_command(program: Path, folder: Path, port: int, provider: Place) -> Command:
    (folder / "litellm.yaml").write_text(LITELLM.format(origin=provider.origin, model=MODEL, key=KEY))
    env = _environment(
        HOME=str(folder),
        LITELLM_LOG="ERROR",
        LITELLM_MODE="PRODUCTION",
        LITELLM_LOCAL_MODEL_COST_MAP="True",
        NO_DOCS="True",
    )
    config = ["--config", str(folder / "litellm.yaml"), "--host", "127.0.0.1", "--port", str(port)]
    return [str(program), *config, "--num_workers", "1", "--telemetry", "False"], env


ROLTER = """
[server]
host = "127.0.0.1"
port = {port}
[[providers]]
name = "mock"
kind = "openai_compatible"
api_base = "{origin}"
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

LITELLM = """
model_list:
  - model_name: {model}
    litellm_params: {{model: openai/{model}, api_base: "{origin}/v1", api_key: sk-unused}}
general_settings: {{master_key: {key}}}
litellm_settings: {{telemetry: false, set_verbose: false}}
"""

PEERS = {
    "rolter": Kind("0.1.0", "rolter==0.1.0", "pip", "bin/rolter", rolter_command),
    "ferrogw": Kind("1.5.10", "ferrogw==1.5.10", "pip", "bin/ferrogw", ferrogw_command),
    "portkey": Kind(
        "1.15.2",
        "@portkey-ai/gateway@1.15.2",
        "npm",
        "node_modules/@portkey-ai/gateway/build/start-server.js",
        portkey_command,
        portkey_headers,
    ),
    "litellm": Kind("1.106.2", "litellm[proxy]==1.106.2", "pip", "bin/litellm", litellm_command),
}

FAST = ("rolter", "ferrogw")  # those that start in a moment and keep up with every load here


class Peer:
    name: str

    def __init__(self, name: str) -> None:
        self.name, self._kind = name, PEERS[name]

    def version(self) -> str:
        return self._kind.version

    def start(self, provider: Place, folder: Path, cpus: set[int]) -> Running:
        program = installed(self.name)
        folder.mkdir(parents=True, exist_ok=True)
        port = free_port()
        command, env = self._kind.command(program, folder, port, provider)
        child = Child(command, folder / "log", cpus=cpus, env=env, cwd=folder)
        try:
            child.wait_for_port(port, START_S)
        except BenchError:
            child.stop()
            raise
        return Running(child, port, headers=self._kind.headers(provider))


def installed(name: str) -> Path:
    """The peer's program at its pinned version; raises BenchError with the mend when it is not there."""
    program = _home(name) / PEERS[name].program
    if not program.is_file():
        raise BenchError(f"{name} {PEERS[name].version} is not installed; `make peers` installs what can be had")
    return program


def install_all() -> dict[str, str]:
    """Install each peer that is not there; returns why, for those that cannot be had."""
    missing = {}
    for name in PEERS:
        try:
            install(name)
        except BenchError as error:
            missing[name] = str(error)
            say(f"peers: without {name}: {error}")
        else:
            say(f"peers: {name} {PEERS[name].version} is installed in {_home(name)}")
    return missing


def install(name: str) -> None:
    kind, home = PEERS[name], _home(name)
    program = home / kind.program
    if program.is_file():
        return
    say(f"peers: installing {kind.package} from {kind.registry}, as it is configured here")
    shutil.rmtree(home, ignore_errors=True)  # half an installation
    if kind.registry == "npm":
        home.mkdir()
        options = ["--no-audit", "--no-fund", "--ignore-scripts", "--loglevel", "error"]
        command = ["npm", "install", "--prefix", str(home), *options, kind.package]
    else:
        venv.create(home, with_pip=True)
        command = [str(home / "bin" / "python"), "-m", "pip", "install", "--quiet", kind.package]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_S)
    except FileNotFoundError as error:
        raise BenchError(f"{kind.package} needs {command[0]}, which is not installed") from error
    except subprocess.TimeoutExpired as error:
        raise BenchError(f"{kind.package}: {kind.registry} did not finish in {INSTALL_S} s") from error
    if not program.is_file():
        said = [line for line in done.stderr.splitlines() if "ERR" in line]
        raise BenchError(f"{kind.package} cannot be installed here: {(said or ['it brings no such program'])[-1]}")


def installed_versions() -> dict[str, str]:
    return {name: kind.version for name, kind in PEERS.items() if (_home(name) / kind.program).is_file()}


def peers_folder() -> Path:
    """Where peers are kept between runs: the user's cache, never the tree."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    folder = cache / "tidegate-bench"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _home(name: str) -> Path:
    return peers_folder() / f"{name}-{PEERS[name].version}"


def _environment(**settings: str) -> dict[str, str]:
    """A peer sees its own settings only: a key or a log level of the shell must not change what is measured."""
    return {"PATH": os.environ.get("PATH", ""), **settings}
