"""What a request to a provider looks like: line and headers by dialect and by the way its key is sent."""

import msgspec
import pytest

from tidegate.config import ProviderConfig, Upstream
from tidegate.core.errors import ConfigError
from tidegate.core.facts import Auth, Dialect
from tidegate.gateway.connect import Target
from tidegate.gateway.egress import BODIES_BY_AUTH, for_vertex, request_head, request_prefix


def prefix(
    base_url: str, dialect: Dialect, auth: Auth = "bearer", key: str = "k", model: str = "m", **said: object
) -> str:
    target = Target("p", base_url, ProviderConfig(**said.pop("settings", {})), Upstream())  # type: ignore[arg-type]
    return request_prefix(target, dialect, auth, key, model=model, **said).decode()  # type: ignore[arg-type]


def line(*args: object, **said: object) -> str:
    return prefix(*args, **said).split(" ")[1]  # type: ignore[arg-type]


BEDROCK = "https://bedrock-runtime.us-east-1.amazonaws.com"
VERTEX = "https://us-east5-aiplatform.googleapis.com/v1/projects/p/locations/us-east5/publishers"
AZURE = "https://acme.openai.azure.com/openai/v1"


@pytest.mark.parametrize(
    ("base_url", "dialect", "auth", "model", "whole", "stream"),
    [
        ("https://x.example/v1", "openai-chat", "bearer", "m", "/v1/chat/completions", None),
        ("https://x.example/v1/", "openai-completions", "bearer", "m", "/v1/completions", None),
        ("https://x.example/v1", "openai-responses", "bearer", "m", "/v1/responses", None),
        ("https://x.example", "openai-embeddings", "bearer", "m", "/embeddings", None),
        ("https://x.example/v1", "anthropic", "x-api-key", "m", "/v1/messages", None),
        (
            "https://x.example/v1beta", "gemini", "x-goog-api-key", "models/gemini-2.5-pro",
            "/v1beta/models/gemini-2.5-pro:generateContent",
            "/v1beta/models/gemini-2.5-pro:streamGenerateContent?alt=sse",
        ),
        (
            BEDROCK, "bedrock", "aws-sigv4", "us.anthropic.claude-x-v1:0",
            "/model/us.anthropic.claude-x-v1%3A0/converse", "/model/us.anthropic.claude-x-v1%3A0/converse-stream",
        ),
        (
            BEDROCK, "bedrock", "bearer", "arn:aws:bedrock:us-east-1:1:inference-profile/a.b",
            "/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A1%3Ainference-profile%2Fa.b/converse",
            "/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A1%3Ainference-profile%2Fa.b/converse-stream",
        ),
        (
            f"{VERTEX}/google", "gemini", "google-oauth", "gemini-2.5-pro",
            "/v1/projects/p/locations/us-east5/publishers/google/models/gemini-2.5-pro:generateContent",
            "/v1/projects/p/locations/us-east5/publishers/google/models/gemini-2.5-pro:streamGenerateContent?alt=sse",
        ),
        (
            f"{VERTEX}/anthropic", "anthropic", "google-oauth", "claude-opus-4-1@20250805",
            "/v1/projects/p/locations/us-east5/publishers/anthropic/models/claude-opus-4-1@20250805:rawPredict",
            "/v1/projects/p/locations/us-east5/publishers/anthropic/models/claude-opus-4-1@20250805:streamRawPredict",
        ),
    ],
)  # fmt: skip
def test_each_dialect_has_its_path(
    base_url: str, dialect: Dialect, auth: Auth, model: str, whole: str, stream: str | None
) -> None:
    assert line(base_url, dialect, auth, model=model) == whole
    assert line(base_url, dialect, auth, model=model, is_stream=True) == (stream or whole)


@pytest.mark.parametrize(
    ("dialect", "auth", "path"),
    [
        ("anthropic", "x-api-key", "/messages/count_tokens"),
        ("gemini", "x-goog-api-key", "/models/m:countTokens"),
        ("anthropic", "google-oauth", "/models/count-tokens:rawPredict"),
        ("bedrock", "aws-sigv4", "/model/m/count-tokens"),
    ],
)
def test_tokens_are_counted_at_a_path_of_their_own(dialect: Dialect, auth: Auth, path: str) -> None:
    assert line("https://x.example", dialect, auth, counts_only=True) == path


@pytest.mark.parametrize(
    ("dialect", "path"),
    [
        ("openai-chat", "/openai/deployments/my%20gpt/chat/completions?api-version=2024-10-21"),
        ("openai-embeddings", "/openai/deployments/my%20gpt/embeddings?api-version=2024-10-21"),
        ("openai-responses", "/openai/responses?api-version=2024-10-21"),
    ],
)
def test_azure_serves_deployments_where_a_version_is_named(dialect: Dialect, path: str) -> None:
    """Without one, its newer surface is as OpenAI's."""
    assert line(AZURE, dialect, "api-key", model="my gpt", api_version="2024-10-21") == path
    assert line(AZURE, "openai-chat", "api-key", model="my gpt") == "/openai/v1/chat/completions"


@pytest.mark.parametrize(
    ("auth", "expected"),
    [
        ("bearer", "authorization: Bearer secret"),
        ("x-api-key", "x-api-key: secret"),
        ("x-goog-api-key", "x-goog-api-key: secret"),
        ("api-key", "api-key: secret"),
        ("none", None),
        ("google-oauth", None),
        ("aws-sigv4", None),
    ],
)
def test_the_key_is_sent_as_the_provider_wants_it(auth: Auth, expected: str | None) -> None:
    lines = prefix("https://x.example", "openai-chat", auth, "secret").split("\r\n")
    assert [found for found in lines if "secret" in found] == ([expected] if expected else [])


def test_no_key_is_no_line() -> None:
    assert "authorization" not in prefix("https://x.example", "openai-chat", "bearer", "")


@pytest.mark.parametrize("key", ["a\r\nx: y", "ключ", "a\x00b"])
def test_a_key_that_no_header_may_hold_is_refused_without_being_shown(key: str) -> None:
    with pytest.raises(ConfigError, match="provider p holds characters") as seen:
        prefix("https://x.example", "openai-chat", "bearer", key)
    assert key not in str(seen.value)


def test_messages_name_their_version_and_bedrock_its_streams() -> None:
    assert "anthropic-version: 2023-06-01" in prefix("https://x.example", "anthropic", "x-api-key").split("\r\n")
    accepts = [found for found in prefix(BEDROCK, "bedrock").split("\r\n") if found.startswith("accept:")]
    assert accepts == ["accept: application/json, application/vnd.amazon.eventstream"]


def test_a_head_is_whole_http() -> None:
    target = Target("p", "https://x.example:8443/v1", ProviderConfig(), Upstream())
    made = request_prefix(target, "openai-chat", "bearer", "k", model="m")
    first, *headers = request_head(made, 12, b"x-extra: 1\r\n").decode().split("\r\n")
    assert first == "POST /v1/chat/completions HTTP/1.1"
    assert headers[-2:] == ["", ""]
    named = dict(header.split(": ", 1) for header in headers[:-2])
    assert named["host"] == "x.example:8443"
    assert named["content-length"] == "12"
    assert named["content-type"] == "application/json"
    assert named["x-extra"] == "1"


def test_a_plain_proxy_gets_the_whole_url_and_its_own_key() -> None:
    settings = {"proxy_url": "http://u:p@proxy.example:3128"}
    made = prefix("http://x.example/v1", "openai-chat", settings=settings)
    assert made.startswith("POST http://x.example/v1/chat/completions HTTP/1.1")
    assert "proxy-authorization: Basic " in made


def test_a_call_of_no_dialect_brings_its_path_and_type() -> None:
    """Multipart bodies have their boundary in the caller's own header."""
    made = prefix("https://x.example/v1", "openai-chat", path="/audio/transcriptions", is_json=False)
    assert made.startswith("POST /v1/audio/transcriptions HTTP/1.1")
    assert "content-type" not in made


def test_vertex_takes_the_version_in_the_body_and_no_model() -> None:
    assert BODIES_BY_AUTH["anthropic", "google-oauth"] is for_vertex
    (body,) = for_vertex((b'{"model":"claude","max_tokens":5,', memoryview(b'"messages":[],"new":{"a":1.50}}')))
    assert msgspec.json.decode(body) == {
        "max_tokens": 5,
        "messages": [],
        "new": {"a": 1.5},
        "anthropic_version": "vertex-2023-10-16",
    }
    assert b"1.50" in body
