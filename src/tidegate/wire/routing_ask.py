"""What a request says of its own routing, in any dialect: OpenRouter's members, and Anthropic's `fallbacks`.

They are kept as they came: most calls have none, and whoever routes the call reads them. A dialect's head reads them
even where it can read little else of a body: a wish that is overlooked is a promise broken.
"""

from typing import Final, Literal, Protocol

import msgspec
from msgspec import Raw, Struct

from tidegate.core.errors import InvalidRequest
from tidegate.wire.unreadable import UNREADABLE

ABSENT: Final = Raw(b"")
DATA_CLASS: Final = b"x-tidegate-data-class"
POLICY: Final = b"x-tidegate-policy"
EXPLAIN: Final = b"x-tidegate-route"
STEERING: Final = frozenset((DATA_CLASS, POLICY, EXPLAIN))
"""Headers that ask something of routing."""

MEMBERS: Final = ("provider", "models", "route", "fallbacks")
PLAIN: Final = frozenset(
    (
        *("model", "messages", "input", "prompt", "contents", "stream", "stream_options", "user", "usage"),
        *("session_id", "metadata", "trace", "prompt_cache_key", *MEMBERS),
    )
)
"""Members that are no parameters: every endpoint takes them, or none needs to."""

_members = msgspec.json.Decoder(dict[str, Raw])
_names = msgspec.json.Decoder(list[str])
_encoder = msgspec.json.Encoder()


class RoutingAsk(Struct, frozen=True, gc=False):
    """Raw JSON of each member; empty where the request has none."""

    provider: Raw = ABSENT
    models: Raw = ABSENT
    route: Raw = ABSENT
    fallbacks: Raw = ABSENT
    prompt_cache_key: Raw = ABSENT


class Asked(Protocol):
    """A struct of a dialect with the members of `RoutingAsk`."""

    @property
    def provider(self) -> Raw: ...
    @property
    def models(self) -> Raw: ...
    @property
    def route(self) -> Raw: ...
    @property
    def fallbacks(self) -> Raw: ...
    @property
    def prompt_cache_key(self) -> Raw: ...


def routing_of(found: Asked) -> RoutingAsk | None:
    """What a request says of its routing; None for the many that say nothing."""
    provider, models, route, fallbacks, key = (
        found.provider, found.models, found.route, found.fallbacks, found.prompt_cache_key
    )  # fmt: skip
    if provider is models is route is fallbacks is key is ABSENT:
        return None
    return RoutingAsk(provider, models, route, fallbacks, key)


class _Fallback(Struct, frozen=True):
    model: str


_fallbacks = msgspec.json.Decoder(list[_Fallback] | Literal["default"] | None)
_models = msgspec.json.Decoder(list[str] | None)
_text = msgspec.json.Decoder(str | None)


def models_of(ask: RoutingAsk, model: str) -> tuple[str, ...]:
    """The models that a request names, in the order in which they are tried: its own first.

    OpenRouter's `models` may begin with it or not. Raises InvalidRequest naming the member that is not such a list.
    """
    found = [model]
    for name, raw in (("models", ask.models), ("fallbacks", ask.fallbacks)):
        if not raw:
            continue
        try:
            if name == "models":
                found += _models.decode(raw) or ()
            else:
                named = _fallbacks.decode(raw)
                # "default" is Anthropic's for "those that you would choose": it names none
                found += [entry.model for entry in named] if isinstance(named, list) else ()
        except UNREADABLE as error:
            what = "a list of models" if name == "models" else 'a list such as [{"model": "..."}], or "default"'
            raise InvalidRequest(f"The member `{name}` is not {what}: {error}.", param=name) from None
    return tuple(dict.fromkeys(found))


def text_of(raw: Raw, name: str) -> str:
    """A member that is a text; empty where it is absent or null. Raises InvalidRequest."""
    if not raw:
        return ""
    try:
        return _text.decode(raw) or ""
    except UNREADABLE as error:
        raise InvalidRequest(f"The member `{name}` is not a text: {error}.", param=name) from None


def without_members(body: bytes, names: tuple[str, ...]) -> bytes:
    """The request without some of its members; every other value keeps its bytes. Raises as msgspec does."""
    members = _members.decode(body)
    return _encoder.encode({name: value for name, value in members.items() if name not in names})


def with_first_model(body: bytes) -> bytes | None:
    """A request that names its models in `models` alone, with the first of them as `model`; None for any other."""
    try:
        members = _members.decode(body)
        models = _names.decode(members.get("models", Raw(b"[]")))
    except UNREADABLE:
        return None
    if "model" in members or not models:
        return None
    return _encoder.encode({"model": models[0]} | members)


def parameters_of(body: bytes) -> frozenset[str]:
    """The parameters that a request sets, by OpenAI's names; those that are null are not set."""
    try:
        members = _members.decode(body)
    except UNREADABLE:
        return frozenset()
    return frozenset(name for name, value in members.items() if name not in PLAIN and bytes(value) != b"null")
