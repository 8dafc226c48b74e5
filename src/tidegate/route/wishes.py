"""What a request wishes of its routing: OpenRouter's `provider` object, `models`, `route` and suffixes, read once.

A wish narrows what policies leave; none widens it. Fields that are not known are refused: a mistyped `zdr` must not
pass for a promise.
"""

from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta, Raw

from tidegate.core.endpoint_facts import QUANTIZATIONS
from tidegate.core.errors import InvalidRequest
from tidegate.core.money import InvalidMoney, parse_decimal
from tidegate.route.policy import near_names

MODELS_MAX: Final = 16  # of one request
NAMES_MAX: Final = 200  # in one list of a request
PERCENTILES: Final = ("p50", "p75", "p90", "p99")
SUFFIX_SORT: Final = {"nitro": "throughput", "floor": "price", "exacto": "exacto"}
"""Suffixes of a model's name that say how to rank, and are no part of it."""

Sort = Literal["price", "throughput", "latency", "exacto"]
Names = Annotated[list[str], Meta(max_length=NAMES_MAX)]
Cutoffs = tuple[tuple[str, float], ...]
_TEXT_RATES: Final = ("prompt", "completion")


class MaxPrice(msgspec.Struct, frozen=True, kw_only=True):
    """The most a caller pays: nano-USD per million tokens; per request, image and second of audio likewise."""

    prompt: int | None = None
    completion: int | None = None
    request: int | None = None
    image: int | None = None
    audio: int | None = None


class Wishes(msgspec.Struct, frozen=True, kw_only=True, cache_hash=True):
    """A request's wishes. Fields of OpenRouter's `provider` object; its defaults are ours.

    `sort` None: weighted by price. `by_model`: fallback models stay fallbacks (`partition`). `max_latency_s`,
    `min_throughput`: by percentile; endpoints that miss them come later, but are not left out. `policies`: of the
    operator, by name, by which a request narrows itself.
    """

    order: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    allow_fallbacks: bool = True
    require_parameters: bool = False
    no_training: bool = False
    zdr: bool = False
    distillable: bool = False
    quantizations: tuple[str, ...] = ()
    sort: Sort | None = None
    by_model: bool = True
    max_price: MaxPrice | None = None
    max_latency_s: Cutoffs = ()
    min_throughput: Cutoffs = ()
    policies: tuple[str, ...] = ()


NO_WISHES: Final = Wishes()


class _SortBy(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    by: Sort | None = None
    partition: Literal["model", "none"] | None = None


class _Provider(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    order: Names | None = None
    only: Names | None = None
    ignore: Names | None = None
    allow_fallbacks: bool | None = None
    require_parameters: bool | None = None
    data_collection: Literal["allow", "deny"] | None = None
    zdr: bool | None = None
    enforce_distillable_text: bool | None = None
    quantizations: Names | None = None
    sort: Sort | _SortBy | None = None
    max_price: dict[str, str | int | float] | None = None
    preferred_max_latency: float | dict[str, float | None] | None = None
    preferred_min_throughput: float | dict[str, float | None] | None = None
    policies: Names | None = None


_decoder: Final = msgspec.json.Decoder(_Provider | None)


def read_wishes(provider: bytes | Raw, *, suffix: str = "", route: str = "") -> Wishes:
    """The wishes of a request.

    provider: the member of that name as JSON; empty where there is none. suffix: of the model's name, without its
    colon. route: the older word for `partition` (`sort` ranks models together).
    Raises InvalidRequest naming the field and what it takes.
    """
    if not provider and not suffix and not route:
        return NO_WISHES
    try:
        found = (_decoder.decode(provider) if provider else None) or _Provider()
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _refused(str(error)) from None
    by_model, wished = route != "sort", found.sort
    if isinstance(wished, _SortBy):
        by_model = wished.partition != "none" if wished.partition else by_model
    sort = wished.by if isinstance(wished, _SortBy) else wished
    return Wishes(
        order=_slugs(found.order),
        only=_slugs(found.only),
        ignore=_slugs(found.ignore),
        allow_fallbacks=found.allow_fallbacks is not False,
        require_parameters=bool(found.require_parameters),
        no_training=found.data_collection == "deny",
        zdr=bool(found.zdr),
        distillable=bool(found.enforce_distillable_text),
        quantizations=_quantizations(found.quantizations),
        sort=sort or SUFFIX_SORT.get(suffix),  # type: ignore[arg-type]
        by_model=by_model,
        max_price=_max_price(found.max_price),
        max_latency_s=_cutoffs("preferred_max_latency", found.preferred_max_latency),
        min_throughput=_cutoffs("preferred_min_throughput", found.preferred_min_throughput),
        policies=tuple(found.policies or ()),
    )


def _refused(text: str) -> InvalidRequest:
    if "unknown field `" in text:
        name = text.partition("unknown field `")[2].partition("`")[0][:60]
        return InvalidRequest(
            f"`provider.{name}` is no preference of routing: {near_names(name, _Provider.__struct_fields__)}. "
            "It is refused, since a preference that is not heeded is a promise broken.",
            param=f"provider.{name}",
        )
    return InvalidRequest(f"The object `provider` cannot be read: {text}.", param="provider")


def _slugs(names: list[str] | None) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name.strip().lower() for name in names)) if names else ()


def _quantizations(names: list[str] | None) -> tuple[str, ...]:
    found = _slugs(names)
    for name in found:
        if name not in QUANTIZATIONS:
            raise InvalidRequest(
                f"`provider.quantizations` holds {name[:40]!r}: {near_names(name[:40], QUANTIZATIONS)}.",
                param="provider.quantizations",
            )
    return found


def _max_price(said: dict[str, Any] | None) -> MaxPrice | None:
    if not said:
        return None
    rates: dict[str, int] = {}
    for name, amount in said.items():
        if name not in MaxPrice.__struct_fields__:
            known = MaxPrice.__struct_fields__
            raise InvalidRequest(
                f"`provider.max_price` has no {name[:40]!r}: {near_names(name[:40], known)}.",
                param="provider.max_price",
            )
        try:
            rates[name] = parse_decimal(repr(amount) if isinstance(amount, float) else str(amount), 9)
        except InvalidMoney as error:
            raise InvalidRequest(f"`provider.max_price.{name}`: {error}.", param="provider.max_price") from None
        if name not in _TEXT_RATES:
            rates[name] *= 1_000_000  # said per piece, held per million of them
    return MaxPrice(**rates)


def _cutoffs(name: str, said: float | dict[str, float | None] | None) -> Cutoffs:
    """Percentiles with their bound; a bare number is the median's."""
    if said is None:
        return ()
    pairs = {"p50": said} if isinstance(said, int | float) else said
    for percentile, bound in pairs.items():
        if percentile not in PERCENTILES or (bound is not None and not 0 < bound < 1e9):
            raise InvalidRequest(
                f"`provider.{name}` is a number above zero, or an object of such by {', '.join(PERCENTILES)}.",
                param=f"provider.{name}",
            )
    return tuple((percentile, float(bound)) for percentile, bound in pairs.items() if bound is not None)


def split_suffix(model: str) -> tuple[str, str]:
    """A model's name without a suffix that says how to rank, and that suffix: `x:nitro` is `x` and `nitro`.

    Suffixes that name another offer (`:free`, `:thinking`) are part of the name.
    """
    stem, colon, suffix = model.rpartition(":")
    return (stem, suffix) if colon and suffix in SUFFIX_SORT else (model, "")
