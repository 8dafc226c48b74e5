"""The routing table of one worker: names that callers use, to endpoints, prices and targets. Built once a day."""

from collections.abc import Iterable, Mapping

import msgspec

from tidegate.core.errors import ModelNotFound, PriceUnknown
from tidegate.core.facts import Endpoint
from tidegate.core.price import Price
from tidegate.gateway.connect import Target

NAME_CHARS_MAX = 200  # of an unknown model's name


class Route(msgspec.Struct, frozen=True):
    """Where a model's calls go, and at what price."""

    endpoint: Endpoint
    price: Price
    target: Target


class Table:
    """What this gateway serves. `reason` says why an endpoint was chosen, for the row."""

    reason = "first_priced_endpoint"

    def __init__(self, endpoints: Iterable[tuple[Endpoint, tuple[str, ...]]], targets: Mapping[str, Target]) -> None:
        """endpoints: each with the names callers may use; earlier ones win, priced ones before unpriced."""
        self._routes: dict[str, Route] = {}
        self._unpriced: set[str] = set()
        self._listed: dict[str, Endpoint] = {}
        for endpoint, names in endpoints:
            if endpoint.price is None:
                self._unpriced.update(names)
                continue
            route = Route(endpoint, endpoint.price, targets[endpoint.provider])
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


def models_body(table: Table, created: int) -> bytes:
    """The reply of GET /v1/models, as OpenAI lists them."""
    data = [_listing(endpoint, created) for _, endpoint in sorted(table.models.items())]
    return msgspec.json.encode({"object": "list", "data": data})


def model_body(endpoint: Endpoint, created: int) -> bytes:
    """The reply of GET /v1/models/NAME."""
    return msgspec.json.encode(_listing(endpoint, created))


def _listing(endpoint: Endpoint, created: int) -> dict[str, str | int]:
    return {"id": endpoint.model, "object": "model", "created": created, "owned_by": endpoint.provider}
