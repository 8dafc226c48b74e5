"""The routing table of one worker: names that callers use, to endpoints, prices and targets. Built once a day, and when
the hour of a price begins or ends."""

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import msgspec

from tidegate.core.endpoint_facts import EndpointFacts
from tidegate.core.errors import InvalidRequest
from tidegate.core.facts import Endpoint, Quirks
from tidegate.core.price import Price
from tidegate.core.terms import NEVER_US
from tidegate.gateway.connect import Target
from tidegate.gateway.credentials import Credentials
from tidegate.gateway.http import EVENT_STREAM
from tidegate.gateway.ladders import NO_LADDERS, Ladders
from tidegate.wire.dialect import Dialect, Pieces

if TYPE_CHECKING:
    from tidegate.gateway.operation import Operation

STREAM_TYPES: Final = (EVENT_STREAM, b"application/vnd.amazon.eventstream")
ALONE: Final = frozenset(("openai-embeddings",))  # dialects that are not a conversation: no other can say them


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

    def speaks(self, operation: "Operation") -> bool:
        """Whether calls of this kind can be served, as far as the dialect goes."""
        name = operation.dialect.name
        return name in self.servings or (not operation.is_alone and any(one not in ALONE for one in self.servings))

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
    """What this gateway serves: how each endpoint is called, what is known of it, and by which names its model goes.

    `holds_until_us`: the instant (UTC microseconds) at which some price of it is another.
    """

    holds_until_us = NEVER_US

    def __init__(
        self,
        endpoints: Iterable[tuple[EndpointFacts, str]],
        servings: Callable[[Endpoint], Mapping[str, Serving]],
        context_tokens: Mapping[str, int] = MappingProxyType({}),
        names: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """endpoints: each with its model in one spelling, in order of preference.

        context_tokens: how many a model takes, by the name it is listed under; absent where unknown. names: those that
        callers may use, with the model each one means.
        """
        self.context_tokens = context_tokens
        self.ladders: Ladders = NO_LADDERS
        self.routes: dict[str, Route] = {}
        self.by_model: dict[str, list[EndpointFacts]] = {}
        self._listed: dict[str, Endpoint] = {}
        for facts, model in endpoints:
            endpoint = facts.endpoint
            self.by_model.setdefault(model, []).append(facts)
            if endpoint.price is not None:
                self.routes[endpoint.endpoint_id] = Route(endpoint, endpoint.price, servings(endpoint))
                self._listed.setdefault(endpoint.model, endpoint)
        priced = {model for model, group in self.by_model.items() if any(one.endpoint.price for one in group)}
        self.names = {name: model for name, model in names.items() if model in priced}
        self.unpriced = frozenset(names.keys() - self.names.keys())

    @property
    def models(self) -> dict[str, Endpoint]:
        """Models by the name they are listed under, ladders among them."""
        return self._listed | self.ladders.listed() if self.ladders else self._listed
