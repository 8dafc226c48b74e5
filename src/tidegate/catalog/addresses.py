"""Where a provider is called and how its key is sent: one answer for each dialect that it speaks.

Pure: facts, settings and environment in, a `Provider` whose addresses are complete out. `ProviderSettings` is what
`tidegate.config` offers.
"""

import re
from collections.abc import Mapping
from typing import Final, Protocol
from urllib.parse import urlsplit, urlunsplit

from msgspec.structs import replace

from tidegate.core.errors import ConfigError
from tidegate.core.facts import Auth, Dialect, Provider

OWN_AUTH: Final[dict[Dialect, Auth]] = {"anthropic": "x-api-key", "gemini": "x-goog-api-key"}  # any other: bearer
EVERYWHERE: Final[frozenset[Auth]] = frozenset({"api-key", "google-oauth", "aws-sigv4", "none"})  # hold in all dialects
_PLAIN: Final = re.compile(r"[\w.:-]+", re.ASCII)
_WORD: Final = re.compile(r"\{(\w+)\}")


class ProviderSettings(Protocol):
    """One `[providers.NAME]` of the configuration, as far as it says where the provider is."""

    @property
    def base_url(self) -> str: ...
    @property
    def dialect(self) -> Dialect: ...
    @property
    def auth(self) -> Auth | None: ...
    @property
    def api_key_env(self) -> str: ...
    @property
    def api_version(self) -> str: ...
    @property
    def region(self) -> str: ...
    @property
    def words(self) -> dict[str, str]: ...


def base_url_of(provider: Provider, dialect: Dialect) -> str | None:
    """Where the paths of a dialect begin at a provider; None where it does not speak it."""
    url = provider.base_url if dialect == provider.dialect else provider.also.get(dialect, "")
    return url or None


def auth_of(provider: Provider, dialect: Dialect) -> Auth:
    """How a provider wants its key in a dialect: as it says, else in the way of the dialect's maker."""
    if dialect == provider.dialect or provider.auth in EVERYWHERE:
        return provider.auth
    return provider.also_auth.get(dialect) or OWN_AUTH.get(dialect, "bearer")


def dialects_of(provider: Provider) -> tuple[Dialect, ...]:
    """The dialects that a provider speaks, its own first."""
    return (provider.dialect, *provider.also)


def provider_in_use(
    name: str, settings: ProviderSettings | None, fact: Provider | None, environ: Mapping[str, str]
) -> Provider:
    """A provider as an installation calls it: the catalog's fact under the operator's settings, addresses filled in.

    A configured `base_url` replaces every address of the catalog, and speaks the configured `dialect` alone.
    Raises ConfigError for a provider without an address, and for a word of an address that nothing fills.
    """
    provider = _configured(name, settings, fact)
    if not provider.base_url:
        raise ConfigError(
            f"providers.{name} has no base_url, and the catalog knows none; set it to where /chat/completions follows"
        )
    words, missing = _words(provider, settings, environ)
    if missing:
        word, variable = missing[0], provider.words.get(missing[0], "")
        hint = f"set {variable} in the environment, or " if variable else "set "
        setting = "region" if word == "region" else f"words.{word}"
        raise ConfigError(f"provider {name}: nothing says {{{word}}} of its address; {hint}providers.{name}.{setting}")
    if odd := next((word for word, value in words.items() if value and not _PLAIN.fullmatch(value)), ""):
        raise ConfigError(f"provider {name}: {words[odd]!r} cannot stand for {{{odd}}} in an address")
    return replace(
        provider,
        base_url=_filled(provider.base_url, words, provider.hosts),
        also={dialect: _filled(url, words, provider.hosts) for dialect, url in provider.also.items()},
    )


def is_addressable(fact: Provider, environ: Mapping[str, str]) -> bool:
    """Whether the environment alone says every word of a catalog provider's addresses."""
    return not _words(fact, None, environ)[1]


def words_in(url: str) -> set[str]:
    """The words in braces that an address waits for."""
    return set(_WORD.findall(url))


def _configured(name: str, settings: ProviderSettings | None, fact: Provider | None) -> Provider:
    known = fact or Provider(provider=name, name=name)
    if settings is None:
        return known
    known = replace(known, api_version=settings.api_version)
    if settings.base_url:
        auth = settings.auth or OWN_AUTH.get(settings.dialect, "bearer")
        return replace(
            known, base_url=settings.base_url, dialect=settings.dialect, auth=auth, api_key_env=settings.api_key_env,
            also={}, also_auth={}, hosts={}, words={},
        )  # fmt: skip
    return replace(known, auth=settings.auth or known.auth, api_key_env=settings.api_key_env or known.api_key_env)


def _words(
    provider: Provider, settings: ProviderSettings | None, environ: Mapping[str, str]
) -> tuple[dict[str, str], list[str]]:
    """What fills a provider's addresses, and the words that nothing fills: settings, then environment, then default."""
    said = dict(settings.words) if settings else {}
    if settings and settings.region:
        said["region"] = settings.region
    words: dict[str, str] = {}
    needed = {"region"}.union(*(words_in(url) for url in (provider.base_url, *provider.also.values())))
    for word in needed:
        default = provider.regions[0] if word == "region" and provider.regions else ""
        found = said.get(word) or environ.get(provider.words.get(word, ""), "") or default
        words[word] = found.strip().removeprefix("https://").rstrip("/")  # DATABRICKS_HOST is set either way
    missing = sorted(
        word for url in (provider.base_url, *provider.also.values()) for word in words_in(url) if not words[word]
    )
    return words, missing


def _filled(url: str, words: Mapping[str, str], hosts: Mapping[str, str]) -> str:
    filled = _WORD.sub(lambda found: words[found[1]], url)
    host = hosts.get(words["region"])
    return urlunsplit(urlsplit(filled)._replace(netloc=host)) if host else filled


__all__ = ["ProviderSettings", "auth_of", "base_url_of", "dialects_of", "is_addressable", "provider_in_use", "words_in"]
