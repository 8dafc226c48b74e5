"""The routing table of one worker: names that callers use, to endpoints, prices and targets. Built once a day."""

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Final

import msgspec

from tidegate.core.errors import InvalidRequest, ModelNotFound, PriceUnknown
from tidegate.core.facts import Endpoint, Quirks
from tidegate.core.price import Price
from tidegate.gateway.connect import Target
from tidegate.gateway.credentials import Credentials
from tidegate.gateway.http import EVENT_STREAM
from tidegate.wire.dialect import Dialect, Pieces

STREAM_TYPES: Final = (EVENT_STREAM, b"application/vnd.amazon.eventstream")
ALONE: Final = frozenset(("openai-embeddings",))  # dialects that are not a conversation: no other can say them
NAME_CHARS_MAX = 200  # of an unknown model's name


class Serving(msgspec.Struct, frozen=True):
    """One way to call an endpoint: the dialect spoken there, and the heads of its requests up to their length."""

    dialect: Dialect
    target: Target
    upstream_model: str
    quirks: Quirks
    whole_prefix: bytes
    stream_prefix: bytes
    count_prefix: bytes
    credentials: Credentials | None = None  # None: the prefixes hold the key
    reshape: Callable[[Pieces], Pieces] | None = None  # what the provider changes of the dialect's bodies

    def is_stream(self, content_type: bytes) -> bool:
        """A reply of this type is a stream of events."""
        return content_type.lower().startswith(STREAM_TYPES)


class Route(msgspec.Struct, frozen=True):
    """Where a model's calls go, and at what price. `servings`: by dialect, the provider's own first."""

    endpoint: Endpoint
    price: Price
    servings: Mapping[str, Serving]

    def serving(self, dialect: str) -> Serving:
        """How a caller of this dialect is served: in the same one where the provider speaks it, else through the hub.

        Raises InvalidRequest for a dialect that no other can stand in for.
        """
        found = self.servings.get(dialect)
        if found is not None:
            return found
        if dialect not in ALONE:
            for name, serving in self.servings.items():
                if name not in ALONE:
                    return serving
        raise InvalidRequest(
            f"Provider {self.endpoint.provider} of model {self.endpoint.model!r} does not serve {dialect} calls.",
            param="model",
        )


class Table:
    """What this gateway serves. `reason` says why an endpoint was chosen, for the row."""

    reason = "first_priced_endpoint"

    def __init__(
        self,
        endpoints: Iterable[tuple[Endpoint, tuple[str, ...]]],
        servings: Callable[[Endpoint], Mapping[str, Serving]],
        context_tokens: Mapping[str, int] = MappingProxyType({}),
    ) -> None:
        """endpoints: each with the names callers may use; earlier ones win, priced ones before unpriced.

        context_tokens: how many a model takes, by the name it is listed under; absent where unknown.
        """
        self.context_tokens = context_tokens
        self._routes: dict[str, Route] = {}
        self._unpriced: set[str] = set()
        self._listed: dict[str, Endpoint] = {}
        for endpoint, names in endpoints:
            if endpoint.price is None:
                self._unpriced.update(names)
                continue
            route = Route(endpoint, endpoint.price, servings(endpoint))
            for name in names:
                self._routes.setdefault(name, route)
            self._listed.setdefault(endpoint.model, endpoint)

    def route(self, model: str) -> Route:
        """The route of a name as a caller wrote it. Raises ModelNotFound or PriceUnknown."""
        route = self._routes.get(model) or self._routes.get(model.lower())
        if route is not None:
            return route
        if model in self._unpriced:
            raise PriceUnknown(model)
        raise ModelNotFound(model[:NAME_CHARS_MAX], self._listed.keys())  # likeness costs time by the character

    @property
    def models(self) -> dict[str, Endpoint]:
        """Models by the name they are listed under."""
        return self._listed
