"""Countries and named groups of them: what the rules of a policy are written in."""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from tidegate.catalog.tables import read_lines
from tidegate.core.errors import CatalogError

JURISDICTION_COLUMNS: Final = ("group", "country", "source", "checked")
NEAR_MAX: Final = 3


class Jurisdictions:
    """Groups by name, and the countries that there are."""

    def __init__(self, groups: Mapping[str, frozenset[str]], countries: Mapping[str, str]) -> None:
        """countries: English names by ISO 3166-1 alpha-2."""
        self.groups, self.countries = groups, countries
        self._words = {name.lower(): code for code, name in countries.items()} | {"uk": "GB", "usa": "US", "uae": "AE"}

    def expand(self, names: Sequence[str], where: str) -> frozenset[str]:
        """The countries behind codes and groups. where: the setting they stand in, for the error.

        Raises CatalogError for what is neither, with names that are near.
        """
        found: set[str] = set()
        for name in names:
            if name in self.groups:
                found |= self.groups[name]
            elif name in self.countries:
                found.add(name)
            else:
                raise CatalogError(
                    f"{where}: {name!r} is neither a country nor a group of countries. {self._mend(name)}"
                )
        return frozenset(found)

    def country(self, name: str, where: str) -> str:
        """One country. Raises CatalogError as `expand` does, and for a group."""
        if name in self.countries:
            return name
        hint = f"{name} is a group; name one country" if name in self.groups else self._mend(name)
        raise CatalogError(f"{where}: {name!r} is no country. {hint}")

    def _mend(self, name: str) -> str:
        word = name.strip()
        known = {code: code for code in (*self.groups, *self.countries)}
        near = [found for found in (known.get(word.upper()), self._words.get(word.lower())) if found]
        if not near:
            names = difflib.get_close_matches(word.lower(), self._words, n=NEAR_MAX, cutoff=0.6)
            near = [self._words[found] for found in names]
            near += difflib.get_close_matches(word.upper(), known, n=NEAR_MAX, cutoff=0.6)
        near = list(dict.fromkeys(near))[:NEAR_MAX]
        if not near:
            return f"Write ISO 3166-1 alpha-2 codes, such as DE, or a group: {', '.join(sorted(self.groups))}."
        told = (f"{code} ({self.countries[code]})" if code in self.countries else code for code in near)
        return f"Did you mean {' or '.join(told)}?"


def read_jurisdictions(folder: Path, countries: Iterable[tuple[str, str]]) -> Jurisdictions:
    """The groups of a folder's `jurisdictions.csv`. countries: code and English name of each.

    Raises CatalogError for a member that is no country.
    """
    names = dict(countries)
    groups: dict[str, set[str]] = {}
    for line in read_lines(folder / "jurisdictions.csv", JURISDICTION_COLUMNS):
        group, country, *_ = line.split(",")
        if country not in names:
            raise CatalogError(f"jurisdictions.csv: {country!r} of {group} is no country of countries.csv")
        groups.setdefault(group, set()).add(country)
    return Jurisdictions({group: frozenset(members) for group, members in groups.items()}, names)
