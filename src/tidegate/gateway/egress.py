"""How a request to a provider looks: its path and its headers, by dialect and by the way its key is sent.

All of a head but the body's length is made once for an endpoint, dialect and kind of reply, by `request_prefix`, from
the lines that all requests to a `Target` share. Where the key is not a fixed line (tokens that expire, signatures over
the body), `gateway.credentials` makes the lines that follow the length; `request_head` joins both. A new dialect or way
to send a key is a line in a table here.
"""

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, urlencode

import msgspec
from msgspec import Raw, Struct

from tidegate.core.errors import ConfigError
from tidegate.core.facts import Auth, Dialect
from tidegate.wire.dialect import Pieces

if TYPE_CHECKING:
    from tidegate.gateway.connect import Target


class Paths(Struct, frozen=True):
    """Paths of a dialect below its base URL. `{model}` stands for the name that the provider knows.

    `stream`: where it differs from the one of whole replies. `count`: where tokens are counted; empty: nowhere.
    """

    whole: str
    stream: str = ""
    count: str = ""

    def of(self, *, is_stream: bool, counts_only: bool) -> str:
        return (self.count or self.whole) if counts_only else (self.stream if is_stream and self.stream else self.whole)


PATHS: Final[dict[Dialect, Paths]] = {
    "openai-chat": Paths("/chat/completions"),
    "openai-completions": Paths("/completions"),
    "openai-responses": Paths("/responses"),
    "openai-embeddings": Paths("/embeddings"),
    "anthropic": Paths("/messages", count="/messages/count_tokens"),
    "gemini": Paths(
        "/models/{model}:generateContent",
        "/models/{model}:streamGenerateContent?alt=sse",
        "/models/{model}:countTokens",
    ),
    "bedrock": Paths("/model/{model}/converse", "/model/{model}/converse-stream", "/model/{model}/count-tokens"),
}
PATHS_BY_AUTH: Final[dict[tuple[Dialect, Auth], Paths]] = {
    # Vertex serves Claude's Messages under a verb of its own; the body changes too: `for_vertex`.
    ("anthropic", "google-oauth"): Paths(
        "/models/{model}:rawPredict", "/models/{model}:streamRawPredict", "/models/count-tokens:rawPredict"
    ),
}
DEPLOYED: Final[frozenset[Dialect]] = frozenset({"openai-chat", "openai-completions", "openai-embeddings"})
"""What Azure's dated API serves under the name of a deployment; the rest stands beside them."""

HEADERS: Final[dict[Dialect, tuple[str, ...]]] = {
    "anthropic": ("anthropic-version: 2023-06-01",),
    "bedrock": ("accept: application/json, application/vnd.amazon.eventstream",),
}
"""What a dialect adds to the headers of every request, or says in place of one of them."""

KEY_LINES: Final[dict[Auth, str]] = {
    "bearer": "authorization: Bearer {key}",
    "x-api-key": "x-api-key: {key}",
    "x-goog-api-key": "x-goog-api-key: {key}",
    "api-key": "api-key: {key}",
}
_SAFE_IN_MODEL: Final = "-._~@"  # of what may stand in one segment of a path; ':' and '/' have a meaning there
VERTEX_VERSION: Final = Raw(b'"vertex-2023-10-16"')
_members = msgspec.json.Decoder(dict[str, Raw])
_encoder = msgspec.json.Encoder()
_VERSION: Final = re.compile(r"/v1$")


def request_path(
    dialect: Dialect,
    auth: Auth,
    model: str,
    *,
    is_stream: bool = False,
    counts_only: bool = False,
    path: str = "",
) -> str:
    """The path of a call below its base URL. path: of an operation that is no dialect's ("/audio/speech")."""
    if path:
        return path
    paths = PATHS_BY_AUTH.get((dialect, auth)) or PATHS[dialect]
    plain = model.removeprefix("models/") if dialect == "gemini" else model
    return paths.of(is_stream=is_stream, counts_only=counts_only).replace("{model}", quote(plain, safe=_SAFE_IN_MODEL))


def request_prefix(  # noqa: PLR0913  # each is a fact of its own, and most are said by name
    target: "Target",
    dialect: Dialect,
    auth: Auth,
    key: str,
    *,
    model: str,
    is_stream: bool = False,
    api_version: str = "",
    counts_only: bool = False,
    path: str = "",
    is_json: bool = True,
) -> bytes:
    """A request's head up to the length of its body, the key's line included where it is a fixed one.

    api_version: Azure's, which then serves deployments. is_json: False where the call brings its own content-type.
    Raises ConfigError for a key that no header may hold.
    """
    below = request_path(dialect, auth, model, is_stream=is_stream, counts_only=counts_only, path=path)
    prefix, query = target.path_prefix, ""
    if api_version:
        prefix = _VERSION.sub("", prefix)
        query = urlencode({"api-version": api_version})
        if dialect in DEPLOYED:
            prefix = f"{prefix}/deployments/{quote(model, safe=_SAFE_IN_MODEL)}"
    if query:
        below += ("&" if "?" in below else "?") + query
    own = list(HEADERS.get(dialect, ()))
    if key and auth in KEY_LINES:
        own.append(KEY_LINES[auth].format(key=header_safe(target.provider, key)))
    replaced = {line.partition(":")[0] for line in own} | (set() if is_json else {"content-type"})
    shared = [line for line in target.header_lines if line.partition(":")[0] not in replaced]
    lines = [f"POST {prefix}{below} HTTP/1.1", *shared, *own]
    return ("\r\n".join(lines) + "\r\ncontent-length: ").encode("latin-1")


def request_head(prefix: bytes, body_bytes: int, lines: bytes = b"") -> bytes:
    """A whole head. lines: further header lines, each with its line end: credentials, and what a call brings."""
    return b"%b%d\r\n%b\r\n" % (prefix, body_bytes, lines)


def header_safe(provider: str, api_key: str) -> str:
    """The key, if it can stand in a header: a stray line end in a variable must not become a header of its own."""
    api_key = api_key.strip()
    if not api_key.isascii() or not api_key.isprintable():
        raise ConfigError(f"the API key of provider {provider} holds characters that no header may hold")
    return api_key


def for_vertex(pieces: Pieces) -> Pieces:
    """A Messages request as Vertex takes it: the model stands in the path, the version of the API in the body.

    pieces: a request that `edit_request` or `encode_request` of that dialect made.
    """
    members = _members.decode(b"".join(pieces))
    members.pop("model", None)
    members["anthropic_version"] = VERTEX_VERSION
    return (_encoder.encode(members),)


BODIES_BY_AUTH: Final[dict[tuple[Dialect, Auth], Callable[[Pieces], Pieces]]] = {
    ("anthropic", "google-oauth"): for_vertex,
}
"""How a request's body changes on its way to a provider, beside what its dialect does."""
