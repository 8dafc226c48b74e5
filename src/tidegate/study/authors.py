"""Whose model it is: author, country group and weights of a model's name, with the analyst's own countries on top."""

import csv
import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal

import msgspec

from tidegate.catalog import Catalog
from tidegate.core.facts import Weights
from tidegate.study.result import StudyError

CHINA = frozenset({"CN", "TW", "HK", "CHN", "TWN", "HKG"})  # as "State of AI" counts: mainland, Taiwan, Hong Kong
UNITED_STATES = frozenset({"US", "USA"})
REST_OF_LIST = frozenset({"other", "others"})  # the row in which a public list sums the models it does not name

Origin = Literal["CN", "US", "rest", "cloaked", "unknown"]
ORIGINS: tuple[Origin, ...] = ("CN", "US", "rest", "cloaked", "unknown")


class Maker(msgspec.Struct, frozen=True):
    """Who made a model, as the figures group it. `origin`: group of countries; cloaked models have none."""

    author: str
    origin: Origin
    weights: Weights


class Override(msgspec.Struct, frozen=True):
    """One line of an `--author-country` file."""

    iso3: str
    cloaked: bool


Overrides = Mapping[str, Override]


def read_author_country(file: Path, catalog: Catalog) -> dict[str, Override]:
    """A CSV `author,organisation,iso3,confidence,note`; only author and iso3 must be there.

    Its authors win over the catalog's; an empty iso3 means that the country is not known. confidence `cloaked` marks
    a group of models of no country.
    """
    try:
        text = file.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise StudyError(f"{file} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise StudyError(f"{file}: byte {error.start} is not UTF-8 text") from error
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        names = {name.strip().lower(): name for name in reader.fieldnames or ()}
    except csv.Error as error:
        raise StudyError(f"{file}, line 1: not CSV: {error}") from error
    for wanted in ("author", "iso3"):
        if wanted not in names:
            raise StudyError(f"{file} has no column {wanted!r}; its header is {', '.join(names) or 'empty'}")
    codes = {code for known in catalog.countries.values() for code in (known.country, known.alpha3)}
    found: dict[str, Override] = {}
    for row in _rows(file, reader):
        cells = {name: (row.get(column) or "").strip() for name, column in names.items()}
        if not (author := cells["author"].lower()):
            continue
        country = cells["iso3"].upper()
        if country and country not in codes:
            raise StudyError(f"{file}, line {reader.line_num}: iso3 is {country!r}, not an ISO 3166 code such as CHN")
        entry = Override(country, cells.get("confidence", "").lower() == "cloaked")
        if found.setdefault(author, entry) != entry:
            raise StudyError(f"{file}, line {reader.line_num}: {author!r} stands in it twice, with different countries")
    return found


def _rows(file: Path, reader: "csv.DictReader[str]") -> Iterator[dict[str, str]]:
    try:
        yield from reader
    except csv.Error as error:
        raise StudyError(f"{file}, line {reader.line_num}: not CSV: {error}") from error


def origin_of(country: str, *, cloaked: bool) -> Origin:
    """The group of a country by its ISO 3166 code; empty is unknown."""
    if cloaked:
        return "cloaked"
    if country in CHINA:
        return "CN"
    if country in UNITED_STATES:
        return "US"
    return "rest" if country else "unknown"


class Makers:
    """Looks up makers of models and of authors, once each."""

    def __init__(self, catalog: Catalog, overrides: Overrides) -> None:
        self.catalog = catalog
        self._overrides = overrides

    def of_model(self, name: str) -> Maker:
        """The maker of a model by the name a source gave it. A cloaked model stays cloaked, whatever it was later."""
        if name in REST_OF_LIST:
            return Maker(name, "unknown", "unknown")
        spelled = name.partition("/")[0]
        if self._is_cloaked(spelled):
            return Maker(spelled, "cloaked", "unknown")
        model = self.catalog.model_of(name)
        author = model.author or spelled
        if self._is_cloaked(author):  # a code name that only the catalog knows
            return Maker(author, "cloaked", "unknown")
        return Maker(author, self._origin(spelled if spelled in self._overrides else author), model.weights)

    def of_author(self, author: str, weights: Weights) -> Maker:
        """The maker where a source names authors only."""
        if author in REST_OF_LIST:
            return Maker(author, "unknown", "unknown")
        if self._is_cloaked(author):
            return Maker(author, "cloaked", "unknown")
        return Maker(author, self._origin(author), weights)

    def _is_cloaked(self, author: str) -> bool:
        if (entry := self._overrides.get(author)) is not None:
            return entry.cloaked
        known = self.catalog.authors.get(author)
        return known is not None and known.cloaked

    def _origin(self, author: str) -> Origin:
        if (entry := self._overrides.get(author)) is not None:
            return origin_of(entry.iso3, cloaked=entry.cloaked)
        known = self.catalog.authors.get(author)
        return origin_of(known.country if known else "", cloaked=False)
