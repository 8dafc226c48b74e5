"""Client libraries as people install them, unchanged: through the gateway they must understand what a model said.

Each library runs in an environment of its own (`make conformance` installs them; without it these tests are skipped).
It gets jobs and prints, for each, `{text, thought, calls, stop, input, output}`, or `{error, status, told}`. Every
library is tried on models of every provider dialect: what it understands may not depend on who answers.
"""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from conformance.clients.install import CLIENTS, command, missing
from conformance.home import start_before
from conformance.mock.turn import INPUT, OUTPUT, TEXT, THOUGHT
from conformance.mock_provider import MockProvider
from rig.gateway import Gateway

LIBRARIES = [name for name in CLIENTS if "script" in CLIENTS[name]]
PROVIDERS = {"mock-openai": "openai", "mock-chat": "chat", "mock-anthropic": "anthropic", "mock-gemini": "gemini"}
"""Provider -> first word of its models' names."""
KINDS = ("text", "tools", "thinks", "json")
SUMS = [{"name": "add", "arguments": {"a": 4, "b": 4}}, {"name": "multiply", "arguments": {"a": 4, "b": 4}}]
SAID = {"text": TEXT, "thought": "", "calls": [], "stop": "stop", "input": INPUT, "output": OUTPUT}
EXPECTED = {
    "text": SAID,
    "thinks": SAID | {"thought": THOUGHT},
    "json": SAID | {"text": '{"a":4,"b":4}'},
    "tools": SAID | {"text": "", "calls": SUMS, "stop": "tool_calls"},
}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    models = {provider: [f"{word}-{kind}" for kind in KINDS] for provider, word in PROVIDERS.items()}
    with MockProvider() as mock:
        running = start_before(mock, tmp_path_factory.mktemp("home"), models)
        yield running
        running.stop()


def understood(name: str, jobs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What a library makes of jobs."""
    done = subprocess.run(
        command(name), input=json.dumps(jobs), capture_output=True, text=True, timeout=110, cwd=Path("/")
    )
    assert done.returncode == 0, done.stderr[-4000:]
    found: list[dict[str, Any]] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("name", LIBRARIES)
def test_a_client_understands_every_provider(gateway: Gateway, name: str, provider: str) -> None:
    """Text, parallel tool calls, thoughts and structured output; streamed and not; tokens as the provider counted."""
    if why := missing(name):
        pytest.skip(why)
    at = {"base": gateway.url + CLIENTS[name]["base"], "key": gateway.key}
    jobs = [
        at | {"model": f"{PROVIDERS[provider]}-{kind}", "kind": kind, "stream": stream}
        for kind in KINDS
        for stream in (False, True)
    ]
    wrong = []
    for job, found in zip(jobs, understood(name, jobs), strict=True):
        lacks = CLIENTS[name].get("lacks", ())
        expected = {field: value for field, value in EXPECTED[job["kind"]].items() if field not in lacks}
        differing = {field: (found.get(field), value) for field, value in expected.items() if found.get(field) != value}
        if differing:
            wrong.append(f"{job['kind']}, stream={job['stream']}: {found if 'error' in found else differing}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("name", LIBRARIES)
def test_a_client_raises_its_own_exception_for_a_wrong_key(gateway: Gateway, name: str) -> None:
    """Status and body of an error are what its exception classes look for."""
    if why := missing(name):
        pytest.skip(why)
    job = {"base": gateway.url + CLIENTS[name]["base"], "key": "wrong", "model": "chat-text", "kind": "text"}
    found = understood(name, [job | {"stream": False}, job | {"stream": True}])
    assert all("API key" in one.get("told", "") for one in found), found
