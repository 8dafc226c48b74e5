"""Our own OpenAPI document against a real gateway: what it says of requests, replies and errors is what happens.

Its examples and its need of keys are tried always. Schemathesis makes up requests, right ones and wrong ones, where it
is installed: `pip install schemathesis` in any environment, its command in PATH or named by SCHEMATHESIS.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import jsonschema
import pytest

from conformance.home import start_before
from conformance.mock_provider import MockProvider
from rig.gateway import Gateway
from tidegate.ledger.store import Ledger

DOCUMENT = Path(__file__).parents[2] / "docs" / "reference" / "openapi.json"
MODELS = {"mock-openai": "openai-m", "mock-chat": "chat-m", "mock-anthropic": "anthropic-m", "mock-gemini": "gemini-m"}
CONVERSATIONS = ("openai-chat", "openai-completions", "openai-responses", "anthropic", "gemini")
EXAMPLES_MAX = os.environ.get("SCHEMATHESIS_EXAMPLES", "5")  # made up for each operation; 5 take about 20 s
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "ignored_auth",
)
Json = dict[str, Any]


def document() -> Json:
    found: Json = json.loads(DOCUMENT.read_text())
    return found


def operations() -> list[tuple[str, str, Json]]:
    return [(path, method, said) for path, methods in document()["paths"].items() for method, said in methods.items()]


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with MockProvider() as mock:
        running = start_before(mock, tmp_path_factory.mktemp("home"), {name: [m] for name, m in MODELS.items()})
        yield running
        running.stop()


@pytest.fixture(scope="module")
def served(gateway: Gateway) -> Iterator[Gateway]:
    """With a ledger, and the console behind it."""
    Ledger.create(gateway.home / "ledger")
    reading, writing = os.pipe()
    environ = {"PATH": os.environ["PATH"], "TIDEGATE_HOME": str(gateway.home)}
    command = [sys.executable, "-m", "tidegate.console", "--ready-fd", str(writing)]
    with (gateway.home / "console.log").open("ab") as log:
        console = subprocess.Popen(command, env=environ, pass_fds=[writing], stderr=log)
    os.close(writing)
    assert os.read(reading, 16) == b"ready\n"
    os.close(reading)
    yield gateway
    console.terminate()
    console.wait(10)


def example_of(said: Json, model: str) -> Json:
    """A request body of the document, for a model that is served."""
    example: Json = said["requestBody"]["content"]["application/json"]["example"]
    return example | ({"model": model} if "model" in example else {})


def validate(body: Any, said: Json, status: int) -> None:
    """Hold a JSON body to what the document says of a reply with this status."""
    whole = document()
    found = said["responses"][str(status)]
    if "$ref" in found:
        found = whole["components"]["responses"][found["$ref"].rpartition("/")[2]]
    schema = found["content"]["application/json"]["schema"]
    jsonschema.validate(body, {**schema, "components": whole["components"]}, jsonschema.Draft202012Validator)


def takes_json(said: Json) -> bool:
    """Forms are sent by tests/conformance/test_media.py."""
    return "application/json" in said.get("requestBody", {}).get("content", {})


CALLS = [
    pytest.param(path, said, id=path)
    for path, _, said in operations()
    if takes_json(said) and said["tags"][0] not in ("pages", "console")  # what it is sent is no call of a model
]
KEYED = [pytest.param(p, m, said, id=f"{m} {p}") for p, m, said in operations() if said["security"]]


@pytest.mark.parametrize("model", MODELS.values())
@pytest.mark.parametrize(("path", "said"), CALLS)
def test_each_example_is_answered_as_documented(gateway: Gateway, path: str, said: Json, model: str) -> None:
    """A conversation by whoever serves the model; embeddings and media are refused where they cannot be asked for."""
    url = gateway.url + path.replace("{model}", model)
    reply = httpx2.post(url, json=example_of(said, model), headers=gateway.headers, timeout=10)
    may_refuse = model != "openai-m" and said["tags"][0] not in CONVERSATIONS
    assert reply.status_code == 200 or (may_refuse and reply.status_code == 400), reply.text
    if reply.headers["content-type"] == "application/json":
        validate(reply.json(), said, reply.status_code)
    else:
        assert reply.headers["content-type"].partition("/")[0] == "audio"


@pytest.mark.parametrize("headers", [{}, {"authorization": "Bearer tg-no-such-key"}, {"x-api-key": ""}], ids=str)
@pytest.mark.parametrize(("path", "method", "said"), KEYED)
def test_without_a_key_there_is_nothing(
    served: Gateway, path: str, method: str, said: Json, headers: dict[str, str]
) -> None:
    """401 in the shape of the path, before anything of the request is looked at."""
    url = served.url + path.replace("{model}", "openai-m")
    reply = httpx2.request(method, url, headers=headers, content=b"{" if method == "post" else None, timeout=10)
    assert reply.status_code == 401, reply.text
    validate(reply.json(), said, 401)


def test_a_call_is_looked_up_as_documented(served: Gateway) -> None:
    """The id of a reply leads to its row, in both roots."""
    said = document()["paths"]["/v1/generation"]["get"]
    call = {"model": "openai-m", "messages": [{"role": "user", "content": "look"}]}
    made = httpx2.post(f"{served.url}/v1/chat/completions", json=call, headers=served.headers, timeout=10)
    for root in ("/v1", "/api/v1"):
        query = {"id": made.headers["x-generation-id"]}
        reply = httpx2.get(f"{served.url}{root}/generation", params=query, headers=served.headers, timeout=10)
        assert reply.status_code == 200, reply.text
        validate(reply.json(), said, 200)


def test_a_call_is_judged_as_documented(served: Gateway) -> None:
    """Through the gateway: its key says whose call it is; without one, or of another's call, nothing is kept."""
    call = {"model": "openai-m", "messages": [{"role": "user", "content": "look"}]}
    made = httpx2.post(f"{served.url}/v1/chat/completions", json=call, headers=served.headers, timeout=10)
    said = {"generation_id": made.headers["x-generation-id"], "accepted": True, "score": 0.5}
    for root in ("/v1", "/api/v1"):
        operation = document()["paths"][f"{root}/feedback"]["post"]
        url = f"{served.url}{root}/feedback"
        for body, headers, status in (
            (said, served.headers, 201),
            (said, {}, 401),
            ({**said, "generation_id": "nowhere"}, served.headers, 404),
            ({**said, "score": 7}, served.headers, 400),
        ):
            reply = httpx2.post(url, json=body, headers=headers, timeout=10)
            assert reply.status_code == status, reply.text
            validate(reply.json(), operation, status)


def with_models(value: Any) -> Any:
    """The document, but for the names of models that are served: others would only ever be answered 404."""
    names: Json = {"enum": [*MODELS.values()]}
    if isinstance(value, list):
        return [with_models(element) for element in value]
    if not isinstance(value, dict):
        return value
    made = {name: with_models(member) for name, member in value.items()}
    if made.get("name") == "model" and made.get("in") == "path":
        made["schema"] = names
    if isinstance(made.get("properties"), dict) and {"model", "stream"} <= made["properties"].keys():
        made["properties"]["model"] = names
    if isinstance(made.get("example"), dict) and "model" in made["example"]:
        made["example"]["model"] = "openai-m"
    return made


def schemathesis() -> str | None:
    """Its command, wherever it is installed."""
    beside = str(Path(sys.executable).parent)
    return os.environ.get("SCHEMATHESIS") or shutil.which("schemathesis", path=f"{beside}:{os.environ['PATH']}")


def test_made_up_requests_find_no_fault(served: Gateway, tmp_path: Path) -> None:
    """No 5xx, no status, content type or body that the document does not have, nothing without a key."""
    command = schemathesis()
    if command is None:
        pytest.skip("no schemathesis: `pip install schemathesis` anywhere, then SCHEMATHESIS=ITS_COMMAND make test")
    path = tmp_path / "openapi.json"
    path.write_text(json.dumps(with_models(document())))
    options = {"--url": served.url, "--checks": ",".join(CHECKS), "--phases": "examples,coverage,fuzzing"}
    options |= {"--header": f"Authorization: Bearer {served.key}", "--seed": "1", "--suppress-health-check": "all"}
    options |= {"--max-examples": EXAMPLES_MAX, "--workers": "1"}
    said = [command, "run", str(path), "--no-color", *(word for option in options.items() for word in option)]
    done = subprocess.run(said, cwd=tmp_path, capture_output=True, text=True, timeout=110, check=False)
    assert done.returncode == 0, done.stdout[-20000:] + done.stderr
    log = (served.home / "log").read_text()
    assert "Traceback" not in log, log[-8000:]
