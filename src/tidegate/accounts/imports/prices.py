"""Prices for endpoints of an import: the catalog's where it has one, written out where only another name has it."""

from tidegate.accounts.imports.plan import EndpointPart, PriceTexts
from tidegate.catalog import Catalog
from tidegate.core.money import format_usd
from tidegate.core.price import Price


def priced(
    catalog: Catalog, part: EndpointPart, maker: str, day: str, own: PriceTexts | None = None
) -> EndpointPart | None:
    """An endpoint with its price; None where nobody knows one.

    maker: the catalog's provider whose price stands in for one that the catalog does not know. own: the price that
    the other system states; it wins, since it was agreed.
    """
    if own is not None:
        return _with(part, own, "the other system's own price")
    if catalog.price_on(part.provider, part.model, day) is not None:
        return part
    upstream = part.upstream_model or part.model
    for provider, name in ((part.provider, upstream), (maker, upstream), (maker, part.model)):
        price = catalog.price_on(provider, name, day) if provider else None
        if price is not None:
            return _with(part, texts_of(price), f"{price.price_id} of the catalog on {day}")
    return None


def texts_of(price: Price) -> PriceTexts:
    """Its rates for short inputs, as a configuration writes them."""
    rates = price.rates
    return PriceTexts(
        input=format_usd(rates.input, places_min=0),
        output=format_usd(rates.output, places_min=0),
        cache_read=None if rates.cache_read is None else format_usd(rates.cache_read, places_min=0),
        cache_creation=None if rates.cache_creation is None else format_usd(rates.cache_creation, places_min=0),
    )


def _with(part: EndpointPart, price: PriceTexts, source: str) -> EndpointPart:
    return EndpointPart(
        provider=part.provider,
        model=part.model,
        upstream_model=part.upstream_model,
        price=price,
        price_source=source,
    )
