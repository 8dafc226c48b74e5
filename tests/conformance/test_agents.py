"""A coding agent as people install it, through the gateway: it must carry out what a model tells it to do.

The toughest clients of tool streams there are: long system prompts, a dozen tools, answers read as they come. The mock
tells the agent to run one shell command; the file that the command writes is the proof. `make conformance` installs it.
"""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from conformance.clients.install import missing, program
from conformance.home import start_before
from conformance.mock.turn import TEXT
from conformance.mock_provider import MockProvider
from rig.gateway import Gateway

AGENT = "qwen-code"
TOLD = {"run_shell_command": {"command": "echo tide > gate.txt", "description": "write", "is_background": False}}
PROVIDERS = {"mock-openai": "openai", "mock-anthropic": "anthropic", "mock-gemini": "gemini"}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    if why := missing(AGENT):
        pytest.skip(why)
    models = {provider: [f"{word}-thinks-tools"] for provider, word in PROVIDERS.items()}
    with MockProvider(arguments=TOLD) as mock:
        running = start_before(mock, tmp_path_factory.mktemp("home"), models)
        yield running
        running.stop()


@pytest.mark.parametrize("word", PROVIDERS.values())
@pytest.mark.parametrize("speaks", ["openai", "anthropic"])
def test_an_agent_does_what_the_model_says(gateway: Gateway, tmp_path: Path, speaks: str, word: str) -> None:
    """In either dialect of the agent, over a model of any provider: tool called, result sent back, answer shown."""
    base = gateway.url + ("/v1" if speaks == "openai" else "")
    name = speaks.upper()
    settings = {f"{name}_BASE_URL": base, f"{name}_API_KEY": gateway.key, f"{name}_MODEL": f"{word}-thinks-tools"}
    done = subprocess.run(
        [program(AGENT), "--prompt", "Write gate.txt.", "--yolo", "--auth-type", speaks],
        cwd=tmp_path, env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)} | settings,
        capture_output=True, text=True, timeout=100, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "gate.txt").read_text() == "tide\n"
    assert TEXT in done.stdout
