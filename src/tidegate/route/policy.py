"""Policies: rules that an operator writes, resolved to sets of countries, and checked against each other at load.

All policies that bind a call must let an endpoint pass: the account is the ceiling, the key narrows, denial wins.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from fnmatch import translate
from itertools import combinations
from typing import Final

import msgspec

from tidegate.core.errors import ConfigError
from tidegate.core.routing_settings import PolicyConfig

Expand = Callable[[Sequence[str], str], frozenset[str]]
"""Names of countries and groups to countries; the second argument says where they stand, for the error."""

PLACES: Final = ("processing", "storage", "headquarters")


class Place(msgspec.Struct, frozen=True):
    """Where something may be. `allowed` None: anywhere but `denied`. `said`, `said_not`: in the operator's words."""

    allowed: frozenset[str] | None = None
    denied: frozenset[str] = frozenset()
    said: tuple[str, ...] = ()
    said_not: tuple[str, ...] = ()

    @property
    def is_open(self) -> bool:
        return self.allowed is None and not self.denied


class Globs(msgspec.Struct, frozen=True):
    """Names that may serve, or may not; None: nothing is said. Patterns match whole names, in any case."""

    allowed: re.Pattern[str] | None = None
    denied: re.Pattern[str] | None = None
    said: tuple[str, ...] = ()
    said_not: tuple[str, ...] = ()


class Policy(msgspec.Struct, frozen=True):
    """One policy in force, its countries resolved. Fields as in `PolicyConfig`."""

    name: str
    data_classes: frozenset[str]
    processing: Place
    storage: Place
    headquarters: Place
    providers: Globs
    models: Globs
    no_training: bool = False
    retention_days_max: int | None = None
    local_only: bool = False
    moderated: bool | None = None

    def binds(self, data_class: str) -> bool:
        """A call that states no class may be of any: every policy binds it."""
        return not self.data_classes or not data_class or data_class in self.data_classes


def compile_policy(name: str, config: PolicyConfig, expand: Expand) -> Policy:
    """Raises ConfigError naming what contradicts itself, CatalogError for a country or group that is none."""
    places = {
        word: _place(f"policies.{name}.{word}", getattr(config, word), getattr(config, f"{word}_not"), expand)
        for word in PLACES
    }
    return Policy(
        name,
        frozenset(config.data_classes),
        providers=_globs(f"policies.{name}.providers", config.providers, config.providers_not),
        models=_globs(f"policies.{name}.models", config.models, config.models_not),
        no_training=config.no_training,
        retention_days_max=config.retention_days_max,
        local_only=config.local_only,
        moderated=config.moderated,
        **places,
    )


def _place(where: str, said: tuple[str, ...], said_not: tuple[str, ...], expand: Expand) -> Place:
    allowed = expand(said, where) if said else None
    denied = expand(said_not, f"{where}_not") if said_not else frozenset()
    if allowed is not None and not allowed - denied:
        raise ConfigError(
            f"{where} = {list(said)} and {where}_not = {list(said_not)} leave no country: nothing could ever serve. "
            "Take one of them away."
        )
    return Place(allowed, denied, said, said_not)


def _globs(where: str, said: tuple[str, ...], said_not: tuple[str, ...]) -> Globs:
    denied = globs_pattern(said_not)
    if said and denied is not None and all(denied.fullmatch(name.lower()) for name in said):
        raise ConfigError(
            f"{where} = {list(said)} and {where}_not = {list(said_not)} leave nothing that could serve. "
            "Take one of them away."
        )
    return Globs(globs_pattern(said), denied, said, said_not)


def globs_pattern(globs: Iterable[str]) -> re.Pattern[str] | None:
    """One pattern for any of these; None for none. `*` stands for any text, `?` for one character."""
    parts = [translate(glob.strip().lower()) for glob in globs]
    return re.compile("|".join(parts)) if parts else None


class Bindings(msgspec.Struct, frozen=True, kw_only=True):
    """Which policies bind whom, by name."""

    everyone: tuple[str, ...] = ()
    tenants: Mapping[str, tuple[str, ...]] = {}
    projects: Mapping[str, tuple[str, ...]] = {}
    keys: Mapping[str, tuple[str, ...]] = {}


Scope = tuple[str, str, str]
"""Tenant, project and key of a caller, each empty where no policy names it: callers with one scope share a plan."""

NO_SCOPE: Final[Scope] = ("", "", "")


class PolicyBook:
    """All policies of an installation, and whom they bind."""

    def __init__(self, policies: Mapping[str, Policy], bindings: Bindings) -> None:
        """Raises ConfigError for a name that is no policy, and for policies that leave nothing together."""
        self._policies, self._bindings = policies, bindings
        self._binds_all_alike = not (bindings.tenants or bindings.projects or bindings.keys)
        self._tenants, self._projects = first_alike(bindings.tenants), first_alike(bindings.projects)
        self._keys = first_alike(bindings.keys)
        for where, names in _all_names(bindings):
            for name in names:
                if name not in policies:
                    raise ConfigError(f"{where} names the policy {name!r}; {near_names(name, policies)}")
        self._check_together()

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._policies)

    @property
    def data_classes(self) -> frozenset[str]:
        """Those that any policy names; all others are treated alike."""
        return frozenset(name for policy in self._policies.values() for name in policy.data_classes)

    def scope(self, tenant: str, project: str, key: str) -> Scope:
        """Whom to ask for what binds a caller: of those whom the same policies bind, always the same one."""
        if self._binds_all_alike:
            return NO_SCOPE
        return self._tenants.get(tenant, ""), self._projects.get(project, ""), self._keys.get(key, "")

    def named(self, names: Iterable[str]) -> tuple[Policy, ...]:
        """Policies that a request names to narrow itself. Raises KeyError for one that is not there."""
        return tuple(self._policies[name] for name in dict.fromkeys(names))

    def in_force(self, scope: Scope) -> tuple[Policy, ...]:
        """The policies that bind callers of a scope, the widest binding first."""
        bound, (tenant, project, key) = self._bindings, scope
        names = (
            *bound.everyone,
            *bound.tenants.get(tenant, ()),
            *bound.projects.get(project, ()),
            *bound.keys.get(key, ()),
        )
        return self.named(names)

    def _check_together(self) -> None:
        """Policies that can bind one call must leave it a country. Who belongs to whom is not known at load: the
        policies of everyone are checked with each tenant's, project's and key's."""
        bound = self._bindings
        check_together(self.named(bound.everyone), "[routing]")
        for kind in ("tenants", "projects", "keys"):
            for owner, names in getattr(bound, kind).items():
                check_together(self.named((*bound.everyone, *names)), f"{kind} {owner}")


def first_alike(bound: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    """For each owner the first one with the same policies."""
    first: dict[tuple[str, ...], str] = {}
    return {owner: first.setdefault(names, owner) for owner, names in bound.items()}


def check_together(policies: Sequence[Policy], whose: str) -> None:
    """Raises ConfigError naming the two policies that cannot both hold for any endpoint."""
    for one, other in combinations(policies, 2):
        if one.data_classes and other.data_classes and not one.data_classes & other.data_classes:
            continue  # no call states both classes
        for word in PLACES:
            first, second = getattr(one, word), getattr(other, word)
            left = _both(first, second)
            nothing_stored = word == "storage"  # an endpoint that stores nothing satisfies any two of them
            if left is not None and not left and not nothing_stored:
                raise ConfigError(
                    f"{whose}: policy {one.name} ({place_rule(word, first)}) and policy {other.name} "
                    f"({place_rule(word, second)}) leave no country: nothing could ever serve. Unbind one of them."
                )


def _both(first: Place, second: Place) -> frozenset[str] | None:
    """The countries that both allow; None where neither names any."""
    if first.allowed is None and second.allowed is None:
        return None
    one = second.allowed if first.allowed is None else first.allowed
    other = one if second.allowed is None else second.allowed
    assert one is not None and other is not None
    return (one & other) - first.denied - second.denied


def place_rule(word: str, place: Place) -> str:
    """A rule on a place in a few words."""
    within = f"within {', '.join(place.said)}" if place.said else ""
    outside = f"not in {', '.join(place.said_not)}" if place.said_not else ""
    return f"{word} {' and '.join(part for part in (within, outside) if part)}"


def near_names(name: str, known: Iterable[str]) -> str:
    """What to do about a name that is not known."""
    import difflib

    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    return f"did you mean {' or '.join(near)}?" if near else f"known are: {', '.join(names) or 'none'}"


def _all_names(bindings: Bindings) -> Iterable[tuple[str, tuple[str, ...]]]:
    yield "routing.policies", bindings.everyone
    for kind, where in (
        ("tenants", "tenants.{}.policies"),
        ("projects", "routing.projects.{}"),
        ("keys", "routing.keys.{}"),
    ):
        for owner, names in getattr(bindings, kind).items():
            yield where.format(owner), names
