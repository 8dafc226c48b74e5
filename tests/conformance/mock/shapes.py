"""What a handler of the mock gets and gives: plain values, no sockets."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple


class Ask(NamedTuple):
    """A request. body: its JSON, or the fields of its form (files: their bytes). path: what the route's groups held.

    plain_vectors: embeddings are lists of numbers, whatever encoding is asked for.
    """

    body: Mapping[str, Any]
    path: Mapping[str, str]
    query: Mapping[str, str]
    headers: Mapping[str, str]
    arguments: Mapping[str, dict[str, Any]]  # what tools are called with, by name
    plain_vectors: bool = False

    @property
    def model(self) -> str:
        return str(self.path.get("model") or self.body.get("model") or "mock-default")


class Whole(NamedTuple):
    """A reply in one piece: JSON, unless a content type says otherwise."""

    body: Any
    content_type: str = "application/json"
    status: int = 200


class Stream(NamedTuple):
    """A reply as events: (event name or '', data). done: `[DONE]` follows. is_array: one JSON array, as Gemini's."""

    events: Sequence[tuple[str, Any]]
    done: bool = False
    is_array: bool = False


Answer = Whole | Stream
Handler = Callable[[Ask], Answer]


class Refused(Exception):
    """A request that the provider's documentation forbids; `where` names the field."""

    def __init__(self, message: str, where: str = "") -> None:
        super().__init__(message)
        self.where = where


def need(body: Mapping[str, Any], *names: str) -> None:
    for name in names:
        if body.get(name) in (None, [], ""):
            raise Refused(f"Missing required parameter: '{name}'.", name)
