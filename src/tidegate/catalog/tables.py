"""The two flat tables of the catalog, `models.csv` and `prices.csv`: rows to structs and back.

Both are plain CSV, one fact a line, sorted, without quotes, so that a change shows as a changed line and a price can be
found without parsing the others. Lists inside a field are separated by `;`.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, cast, get_args

import msgspec

from tidegate.core.errors import CatalogError
from tidegate.core.facts import Model, Weights
from tidegate.core.hours import NO_CALENDARS, parse_window
from tidegate.core.price import KindRates, Price, Rates, Tier, with_hours

MODEL_COLUMNS: Final = (
    *("model", "author", "name", "weights", "parameters_total", "parameters_active", "context_tokens", "is_reasoning"),
    *("released", "aliases", "source", "checked"),
)
RATE_COLUMNS: Final = ("input", "output", "cache_read", "cache_creation", "reasoning", "request", "more")
PRICE_COLUMNS: Final = (
    *("provider", "model", "valid_from", "hours", "currency", "input_tokens_above", "upstream_model", "basis"),
    *RATE_COLUMNS,
    *("source", "checked"),
)
PRICE_COLUMNS_BEFORE: Final = tuple(column for column in PRICE_COLUMNS if column != "more")
"""What `catalog sync` wrote before it knew other rates: an installation's own table may still be so."""
_WITHOUT: Final = (("currency",), ("hours", "currency"), ("hours", "currency", "more"))
_BEFORE: Final = tuple(tuple(column for column in PRICE_COLUMNS if column not in absent) for absent in _WITHOUT)
PRICES, OWN_PRICES = "prices.csv", "prices_own.csv"
KIND_RATES: Final = frozenset(KindRates.__struct_fields__)
MORE_RATES: Final = (frozenset(Rates.__struct_fields__) | KIND_RATES) - {"kinds", *RATE_COLUMNS}
"""Rates that few models have: they stand in the column `more` as `name=rate`, separated by `;`."""
_BOOL: Final = {"": None, "true": True, "false": False}


class PriceLine(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """One line of `prices.csv`: the rates of a model at a provider from a day on, above a number of input tokens.

    Rates are nano-USD per million units; None where the source states none; `more` are those of MORE_RATES, by name.
    `valid_from`: ISO date (UTC) or minute, empty where no start is known. `basis`: `documented` (the source states the
    start), `first_seen` (the day a sync saw it change) or `open` (no start known). `upstream_model`: the name that the
    provider knows. `hours`: as `core.hours.parse_window` reads them; empty: these rates hold whenever no others do.
    `currency`: of the rates, which are then billionths of it; empty: USD.
    """

    provider: str
    model: str
    valid_from: str
    hours: str = ""
    currency: str = ""
    input_tokens_above: int
    upstream_model: str
    basis: str
    input: int
    output: int
    cache_read: int | None
    cache_creation: int | None
    reasoning: int | None
    request: int | None
    more: tuple[tuple[str, int], ...] = ()
    source: str
    checked: str

    def rates(self) -> Rates:
        return Rates(
            input=self.input,
            output=self.output,
            cache_read=self.cache_read,
            cache_creation=self.cache_creation,
            reasoning=self.reasoning,
            request=self.request,
            **members_of_more(dict(self.more)),
        )


def members_of_more(more: Mapping[str, int]) -> dict[str, Any]:
    """Rates by their names of MORE_RATES, as members of `Rates`: those of kinds of tokens are a struct of their own."""
    kinds = {name: rate for name, rate in more.items() if name in KIND_RATES}
    own: dict[str, Any] = {name: rate for name, rate in more.items() if name not in kinds}
    return own | {"kinds": KindRates(**kinds)} if kinds else own


def more_rates(rates: Rates) -> list[tuple[str, int]]:
    """The rates of MORE_RATES that are stated, by name: the inverse of `members_of_more`."""
    stated = msgspec.structs.asdict(rates) | (msgspec.structs.asdict(rates.kinds) if rates.kinds else {})
    return [(name, stated[name]) for name in sorted(MORE_RATES) if stated.get(name) is not None]


def model_of_line(line: str) -> Model:
    """A line of `models.csv`. Raises ValueError when it has not the columns of MODEL_COLUMNS, or unknown weights."""
    (model, author, name, weights, total, active, context, reasoning, released, aliases, source, checked) = line.split(
        ","
    )
    if weights not in get_args(Weights):
        raise ValueError(f"weights is {weights!r}, not one of {', '.join(get_args(Weights))}")
    return Model(
        model=model,
        author=author,
        name=name,
        weights=cast(Weights, weights),
        parameters_total=int(total or 0),
        parameters_active=int(active or 0),
        context_tokens=int(context or 0),
        is_reasoning=_BOOL[reasoning],
        released=released,
        aliases=tuple(aliases.split(";")) if aliases else (),
        source=source,
        checked=checked,
    )


def line_of_model(model: Model) -> str:
    """The inverse of `model_of_line`."""
    reasoning = "" if model.is_reasoning is None else str(model.is_reasoning).lower()
    return _join(
        model.model,
        model.author,
        model.name,
        model.weights,
        model.parameters_total or "",
        model.parameters_active or "",
        model.context_tokens or "",
        reasoning,
        model.released,
        ";".join(model.aliases),
        model.source,
        model.checked,
    )


def price_line_of(line: str) -> PriceLine:
    """A line of `prices.csv`, with or without `more` and `hours`.

    Raises ValueError when it has not the columns of PRICE_COLUMNS, a rate below zero, or a rate of an unknown name.
    """
    provider, model, valid_from, *rest = line.split(",")
    hours = "" if rest[0].isdigit() else rest.pop(0)
    currency = "" if rest[0].isdigit() else rest.pop(0)
    above, upstream, basis, *rates, source, checked = rest
    read, output, *optional = rates
    more = _more_of(optional.pop()) if len(rates) == len(RATE_COLUMNS) else ()
    cache_read, cache_creation, reasoning, request = (int(rate) if rate else None for rate in optional)
    if any(rate.startswith("-") for rate in rates) or any(rate < 0 for _, rate in more):
        raise ValueError("a rate is below zero")
    return PriceLine(
        provider=provider,
        model=model,
        valid_from=valid_from,
        hours=hours,
        currency=currency,
        input_tokens_above=int(above),
        upstream_model=upstream,
        basis=basis,
        input=int(read),
        output=int(output),
        cache_read=cache_read,
        cache_creation=cache_creation,
        reasoning=reasoning,
        request=request,
        more=more,
        source=source,
        checked=checked,
    )


def _more_of(text: str) -> tuple[tuple[str, int], ...]:
    if not text:
        return ()
    pairs = [part.partition("=") for part in text.split(";")]
    if unknown := sorted({name for name, _, _ in pairs} - MORE_RATES):
        raise ValueError(f"no rate is called {unknown[0]!r}; those that are: {', '.join(sorted(MORE_RATES))}")
    return tuple((name, int(rate)) for name, _, rate in pairs)


def line_of_price(price: PriceLine) -> str:
    """The inverse of `price_line_of`."""
    more = ";".join(f"{name}={rate}" for name, rate in price.more)
    values = msgspec.structs.asdict(price) | {"more": more}
    return _join(*("" if values[column] is None else values[column] for column in PRICE_COLUMNS))


def _join(*values: object) -> str:
    return ",".join(str(value).replace(",", " ").replace("\n", " ").replace('"', "") for value in values)


def read_lines(path: Path, columns: Sequence[str], columns_before: Sequence[Sequence[str]] = ()) -> list[str]:
    """The lines of a table below its header; none where the file is missing. Raises CatalogError for other columns.

    columns_before: what the table once had, each of which the caller can read too.
    """
    try:
        head, *lines = path.read_text("utf-8").splitlines()
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as error:  # ValueError: an empty file, or one that is not UTF-8
        raise CatalogError(f"{path} cannot be read as a table: {error}. `tidegate catalog sync` writes it.") from error
    if head not in {",".join(known) for known in (columns, *columns_before)}:
        raise CatalogError(
            f"{path} has columns {head!r}, not {','.join(columns)!r}. `tidegate catalog sync` writes it."
        )
    return lines


def read_models(folder: Path) -> list[Model]:
    """The models of a folder's `models.csv`, none where it is missing. Raises CatalogError naming the line."""
    path, found = folder / "models.csv", []
    for number, line in enumerate(read_lines(path, MODEL_COLUMNS), start=2):
        try:
            found.append(model_of_line(line))
        except (ValueError, KeyError) as error:
            raise CatalogError(f"{path}:{number}: {error}. `tidegate catalog sync` writes this table.") from error
    return found


def read_price_lines(folder: Path, name: str = PRICES) -> dict[tuple[str, str], list[str]]:
    """The lines of a folder's table of prices by (provider, model), unparsed. Raises CatalogError naming the line.

    name: OWN_PRICES for those that somebody wrote by hand, which win over what packages say of the same pair.
    """
    path = folder / name
    found: dict[tuple[str, str], list[str]] = {}
    for number, line in enumerate(read_lines(path, PRICE_COLUMNS, (PRICE_COLUMNS_BEFORE, *_BEFORE)), start=2):
        provider, _, rest = line.partition(",")
        model, comma, _ = rest.partition(",")
        if not comma:
            raise CatalogError(f"{path}:{number}: {line!r} is no price. `tidegate catalog sync` writes this table.")
        found.setdefault((provider, model), []).append(line)
    return found


def table_bytes(columns: Sequence[str], lines: Iterable[str]) -> bytes:
    """A whole table, as `read_lines` reads it."""
    return ("\n".join((",".join(columns), *lines)) + "\n").encode()


def prices_of_lines(
    lines: Iterable[PriceLine], calendars: Mapping[str, tuple[str, ...]] = NO_CALENDARS
) -> tuple[Price, ...]:
    """The prices of one model at one provider, by start: each ends where the next begins, tiers and hours folded in.

    Their rates are in their `currency`, not yet in USD. calendars: days off by name, which hours may leave out.
    Raises CatalogError, and ValueError for hours that are none.
    """
    starts: dict[str, dict[str, list[PriceLine]]] = {}
    for line in sorted(lines):
        starts.setdefault(line.valid_from, {}).setdefault(line.hours, []).append(line)
    days = list(starts)
    prices = []
    for number, day in enumerate(days):
        always = starts[day].pop("", None)
        if always is None:
            one = next(iter(starts[day].values()))[0]
            raise CatalogError(f"{one.model} at {one.provider} from {day or 'the start'}: hours without other hours")
        base, tiers = _with_tiers(always)
        price = Price(
            price_id=f"{base.model}@{base.provider}#{day}",
            rates=base.rates(),
            tiers=tiers,
            valid_from=day,
            valid_until=days[number + 1] if number + 1 < len(days) else "",
            source=base.source,
            checked=base.checked,
            currency=base.currency,
        )
        if len(currencies := {line.currency for lines in (always, *starts[day].values()) for line in lines}) > 1:
            raise ValueError(f"{price.price_id} is in several currencies: {', '.join(sorted(currencies))}")
        prices.append(_by_the_hour(price, starts[day], calendars) if starts[day] else price)
    return tuple(prices)


def _with_tiers(lines: Sequence[PriceLine]) -> tuple[PriceLine, tuple[Tier, ...]]:
    base, *above = lines
    if base.input_tokens_above:
        where = f"{base.model} at {base.provider} from {base.valid_from or 'the start'}"
        raise CatalogError(f"{where}: tiers without a base price")
    return base, tuple(Tier(input_tokens_above=line.input_tokens_above, rates=line.rates()) for line in above)


def _by_the_hour(price: Price, hours: Mapping[str, list[PriceLine]], calendars: Mapping[str, tuple[str, ...]]) -> Price:
    windows, priced_at = [], set()
    for text, lines in hours.items():
        base, tiers = _with_tiers(lines)
        window, at = parse_window(text, calendars)
        windows.append((window, base.rates(), tiers))
        priced_at.add(at)
    if len(priced_at) > 1:
        raise ValueError(f"{price.price_id}: some hours are said to be of a call's end, others are not")
    return with_hours(price, windows, priced_at.pop())
