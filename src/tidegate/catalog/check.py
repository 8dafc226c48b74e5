"""What the catalog does not know, and what an installation serves without a price."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from typing import Final

import msgspec

from tidegate.catalog.catalog import Catalog
from tidegate.catalog.currencies import stale_rates
from tidegate.core.facts import Endpoint

OLD_RATE: Final = "a newer exchange rate"
ENDED_CALENDAR: Final = "days off from now on, of a calendar that prices by the hour heed"
CALENDAR_DAYS_MIN: Final = 31
NO_PRICE: Final = "served without a price"
THIS_MACHINE: Final = ("http://127.0.0.1", "http://localhost")


class Finding(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """One thing that is not known. `is_error`: a call would be refused because of it."""

    missing: str
    subject: str
    is_error: bool = False


def check_catalog(catalog: Catalog, served: Sequence[Endpoint], day: str = "") -> list[Finding]:
    """Everything unknown, errors first. served: what `routes.served_endpoints` gave for this installation on `day`."""
    errors = [
        Finding(missing=NO_PRICE, subject=endpoint.endpoint_id, is_error=True)
        for endpoint in served
        if endpoint.price is None
    ]
    gaps = {Finding(missing=missing, subject=subject) for missing, subject in _gaps(catalog)}
    if day:
        gaps |= set(_outdated(catalog, served, day))
    return [*sorted(errors), *sorted(gaps)]


def _outdated(catalog: Catalog, served: Sequence[Endpoint], day: str) -> Iterator[Finding]:
    """What was known, and is of an earlier time than the day."""
    for (currency, of), count in stale_rates([endpoint.price for endpoint in served], day).items():
        subject = f"{currency}: {count} served prices rest on the rate of {of}"
        yield Finding(missing=OLD_RATE, subject=subject)
    for calendar, days in catalog.calendars.items():
        year = days[-1][:4]  # calendars are published for a whole one
        if (date.fromisoformat(f"{year}-12-31") - date.fromisoformat(day)).days < CALENDAR_DAYS_MIN:
            yield Finding(missing=ENDED_CALENDAR, subject=f"{calendar} is known for {year}")


def _gaps(catalog: Catalog) -> Iterator[tuple[str, str]]:
    for model in catalog.models.values():
        author = catalog.author_of(model.model)
        if author.cloaked:
            continue
        if not author.country:
            yield "country of author", author.author
        if model.weights == "unknown":
            yield "weights", model.model
        if model.weights == "open" and not model.parameters_total:
            yield "parameters of open weights", model.model
        if model.is_reasoning is None:
            yield "whether it reasons", model.model
    priced = {provider for provider, _ in catalog.priced()}
    for provider in catalog.providers.values():
        if provider.base_url.startswith(THIS_MACHINE):
            continue
        if not provider.headquarters:
            yield "headquarters", provider.provider
        if provider.provider not in priced:
            yield "any price", provider.provider
        if not provider.data_policy.source:
            yield "published data policy", provider.provider
    yield from _without_source(catalog)


def _without_source(catalog: Catalog) -> Iterator[tuple[str, str]]:
    facts: Iterable[tuple[str, str, str]] = (
        *((model.model, model.source, model.checked) for model in catalog.models.values()),
        *((author.author, author.source, author.checked) for author in catalog.authors.values()),
        *((provider.provider, provider.source, provider.checked) for provider in catalog.providers.values()),
        *(
            (price.price_id, price.source, price.checked)
            for provider, model in catalog.priced()
            for price in catalog.prices_of(provider, model)
        ),
    )
    for subject, source, checked in facts:
        if not source or not checked:
            yield "source or day of checking", subject
