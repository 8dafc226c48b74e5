"""Where another system's provider is reached, as a section of ours."""

import re
from typing import Final
from urllib.parse import urlsplit

import msgspec

from tidegate.accounts.imports.plan import ProviderPart, Secret
from tidegate.catalog import Catalog

_UNSAFE = re.compile(r"[^a-z0-9]+")
_VERSIONED = re.compile(r"/v\d+(beta\d*)?$")
AZURE_PATH: Final = "/openai/v1"


class Providers:
    """The sections made so far: one an address and variable of the key."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._made: dict[tuple[str, str, str], ProviderPart] = {}

    def parts(self) -> tuple[ProviderPart, ...]:
        return tuple(self._made.values())

    def at(self, slug: str, base_url: str, *, dialect: str = "", key: str = "", variable: str = "") -> ProviderPart:
        """The section of a provider at an address; empty: its own. Another address gets a name of its own.

        key: a secret in the clear, added to those of the section. variable: where its key stands already; each
        variable is a section. Neither: the catalog's variable.
        """
        fact = self._catalog.providers.get(slug)
        if fact is not None and base_url.rstrip("/") == fact.base_url.rstrip("/"):
            base_url = ""
        about = (slug, base_url.rstrip("/"), variable)
        part = self._made.get(about)
        if part is None:
            part = self._new(slug, base_url, dialect, variable)
        if key and key not in part.keys:
            part = msgspec.structs.replace(part, keys=(*part.keys, Secret(key)))
        self._made[about] = part
        return part

    def _new(self, slug: str, base_url: str, dialect: str, variable: str) -> ProviderPart:
        fact, name = self._catalog.providers.get(slug), self._name(slug, base_url)
        if name != slug and not base_url and fact is not None:
            base_url, dialect = fact.base_url, fact.dialect
        return ProviderPart(
            name=name,
            base_url=base_url,
            dialect=dialect if base_url else "",
            auth="api-key" if slug == "azure" and base_url else "",
            api_key_env=variable,
        )

    def versioned(self, part: ProviderPart, api_version: str) -> ProviderPart:
        """The section with Azure's api-version."""
        new = msgspec.structs.replace(part, api_version=api_version)
        for about, made in self._made.items():
            if made is part:
                self._made[about] = new
        return new

    def _name(self, slug: str, base_url: str) -> str:
        taken = {part.name for part in self._made.values()}
        host = (urlsplit(base_url).hostname or "") if base_url else ""
        wanted = slug or _UNSAFE.sub("-", host.lower()).strip("-") or "other"
        if wanted not in taken:
            return wanted
        label = _UNSAFE.sub("-", host.split(".")[0].lower()).strip("-") if host else ""
        named = f"{wanted}-{label}" if label else wanted
        number = 2
        while named in taken:
            named, number = f"{wanted}-{number}", number + 1
        return named


def azure_base(address: str) -> str:
    """`https://acme.openai.azure.com/` as the address that our Azure speaks to."""
    bare = address.rstrip("/")
    return bare if "/openai" in bare else bare + AZURE_PATH


def with_version(address: str, path: str) -> str:
    """An address with the version that it leaves out."""
    bare = address.rstrip("/")
    return bare if not path or _VERSIONED.search(bare) or bare.endswith(path) else bare + path
