"""Facts kept by hand: `authors.yml`, `models.yml`, `providers.yml`, each entry with its source and day of checking.

The shipped three are also baked into `overlay.json` (by `tidegate catalog sync`), which a gateway worker reads in a
millisecond; a test holds both equal. A folder of an installation may hold any of the three and wins over the shipped.
"""

from pathlib import Path
from typing import Any, Final

import msgspec

from tidegate.catalog.addresses import words_in
from tidegate.core.errors import CatalogError
from tidegate.core.facts import Auth, Author, DataPolicy, Dialect, Provider, Quirks, Weights

BAKED = "overlay.json"


class AuthorFact(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """An author as written in `authors.yml`. `aliases`: other spellings of it before the `/` of model names."""

    author: str
    name: str
    source: str
    checked: str
    country: str = ""
    cloaked: bool = False
    aliases: tuple[str, ...] = ()

    def fact(self) -> Author:
        return Author(
            author=self.author,
            name=self.name,
            country=self.country,
            cloaked=self.cloaked,
            source=self.source,
            checked=self.checked,
        )


class Rule(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """What holds for every slug that begins with `prefix`, unless a longer prefix says otherwise.

    `weights: unknown` leaves the word to the price packages. `author`: file these slugs under another author.
    """

    prefix: str
    source: str
    checked: str
    weights: Weights = "unknown"
    author: str = ""


class ModelFact(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """What the price packages lack about one model; a field left out says nothing."""

    model: str
    source: str
    checked: str
    name: str = ""
    weights: Weights = "unknown"
    parameters_total: int = 0
    parameters_active: int = 0
    context_tokens: int = 0
    is_reasoning: bool | None = None
    released: str = ""
    aliases: tuple[str, ...] = ()


class ProviderFact(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """A provider as written in `providers.yml`; the last four of its fields serve `catalog sync` alone.

    `only_known`: it names models in its own way, so one that nobody else lists under that name is left out, and not
    taken for a new model. `only_authors`: a price list has models of others under its name, which are sold elsewhere.
    The other fields are those of `core.facts.Provider`.
    """

    provider: str
    name: str
    base_url: str
    source: str
    checked: str
    dialect: Dialect = "openai-chat"
    also: dict[Dialect, str] = {}
    hosts: dict[str, str] = {}
    words: dict[str, str] = {}
    api_key_env: str = ""
    auth: Auth = "bearer"
    also_auth: dict[Dialect, Auth] = {}
    headquarters: str = ""
    regions: tuple[str, ...] = ()
    data_policy: DataPolicy = DataPolicy()
    quirks: Quirks = Quirks()
    first_model: str = ""
    author: str = ""
    packages: dict[str, str] = {}
    only_known: bool = False
    only_authors: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Raises ValueError for an address that nothing can fill, and for a dialect that is said twice."""
        if self.dialect in self.also:
            raise ValueError(f"{self.provider}: `also` repeats its dialect {self.dialect}; base_url says it already")
        if unknown := sorted(set(self.also_auth) - set(self.also)):
            raise ValueError(f"{self.provider}: `also_auth` names {unknown[0]}, which `also` does not")
        known = {*self.words, "region"} if self.regions else set(self.words)
        for url in (self.base_url, *self.also.values()):
            if unfilled := sorted(words_in(url) - known):
                raise ValueError(f"{self.provider}: nothing fills {{{unfilled[0]}}} of {url}; name it under `words`")

    def fact(self) -> Provider:
        return Provider(**{name: getattr(self, name) for name in _PROVIDER_FIELDS})


_PROVIDER_FIELDS: Final = frozenset(ProviderFact.__struct_fields__) & frozenset(Provider.__struct_fields__)


class Overlay(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """All facts kept by hand. `models` is empty in the baked form: `models.csv` already holds them."""

    authors: tuple[AuthorFact, ...] = ()
    rules: tuple[Rule, ...] = ()
    models: tuple[ModelFact, ...] = ()
    providers: tuple[ProviderFact, ...] = ()


class _ModelsFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    rules: tuple[Rule, ...] = ()
    models: tuple[ModelFact, ...] = ()


def read_overlay(folder: Path) -> Overlay:
    """The facts of a folder's YAML files; a missing file holds none. Raises CatalogError naming file and entry."""
    models = _read(folder / "models.yml", _ModelsFile) or _ModelsFile()
    return Overlay(
        authors=_read(folder / "authors.yml", tuple[AuthorFact, ...]) or (),
        rules=models.rules,
        models=models.models,
        providers=_read(folder / "providers.yml", tuple[ProviderFact, ...]) or (),
    )


def _read(path: Path, kind: Any) -> Any:
    if not path.is_file():
        return None
    import yaml  # here: a gateway worker with no folder of its own never pays for it

    loader = getattr(yaml, "CBaseLoader", yaml.BaseLoader)  # every scalar stays text: `NO` is a country, not false
    try:
        return msgspec.convert(yaml.load(path.read_text("utf-8"), loader) or [], kind, strict=False)  # noqa: S506
    except (yaml.YAMLError, msgspec.ValidationError, UnicodeDecodeError) as error:
        told = " ".join(str(error).split())
        raise CatalogError(f"{path}: {told}. The files of the same name in tidegate/data show the form.") from error


def bake(overlay: Overlay) -> bytes:
    """The overlay as the JSON that `read_baked` reads: indented, so that its history can be read too."""
    slim = msgspec.structs.replace(overlay, models=())
    return msgspec.json.format(msgspec.json.encode(slim), indent=1) + b"\n"


def read_baked(path: Path) -> Overlay:
    """Read what `bake` wrote. Raises CatalogError naming the file."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Overlay)
    except (OSError, msgspec.DecodeError) as error:
        raise CatalogError(f"{path} cannot be read: {error}. Install Tidegate again, or restore the file.") from error


def joined(first: Overlay, second: Overlay) -> Overlay:
    """Both overlays as one; where they speak of the same entry, the second holds."""
    return Overlay(
        authors=tuple({entry.author: entry for entry in (*first.authors, *second.authors)}.values()),
        rules=tuple({rule.prefix: rule for rule in (*first.rules, *second.rules)}.values()),
        models=(*first.models, *second.models),
        providers=tuple({entry.provider: entry for entry in (*first.providers, *second.providers)}.values()),
    )
