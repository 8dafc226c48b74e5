"""What holds for the calls of one key: who may call what, and which windows of which quotas they count against.

Made once a key and version of the accounts, and used for every call of it. What depends on the call itself (its end
user, model, endpoint, network) is found by its subject.
"""

import ipaddress
from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final

from tidegate.accounts.quotas.book import QuotaBook, subject_of
from tidegate.accounts.quotas.windows import window_end_us, window_of
from tidegate.core.errors import Forbidden
from tidegate.core.quota import Quota, Scope
from tidegate.gateway.lease import MONEY, REQUESTS, TOKENS, Lease

if TYPE_CHECKING:
    from tidegate.accounts.keys import Key
    from tidegate.core.facts import Endpoint

NEVER_US: Final = 1 << 63
SUBJECTS_MAX: Final = 10_000  # remembered by a plan; then they are looked up anew
VARYING: Final[tuple[Scope, ...]] = ("user", "model", "endpoint", "network")
WINDOWS: Final = ("minute", "hour", "day", "week", "month", "lifetime")

LeaseOf = Callable[[Quota, str, int], Lease]
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def make_lease(quota: Quota, subject: str, at_us: int) -> Lease:
    """The lease of the window that an instant is in."""
    window = window_of(quota, subject, at_us)
    ends_us = None if quota.is_rolling else window_end_us(quota.window, window.start_us, quota.timezone)
    return Lease(quota, window, NEVER_US if ends_us is None else ends_us)


class Windows:
    """Leases of the windows of now for some quotas, and when the first of them ends. `rates`: those but money's."""

    __slots__ = ("_quotas", "ends_us", "leases", "rates")

    def __init__(self, quotas: Sequence[tuple[Quota, str]]) -> None:
        self._quotas = quotas
        self.ends_us = 0
        self.leases: tuple[Lease, ...] = ()
        self.rates: tuple[Lease, ...] = ()

    def turn(self, lease_of: LeaseOf, now_us: int) -> None:
        """Go on in the windows of now."""
        self.leases = tuple([lease_of(quota, subject, now_us) for quota, subject in self._quotas])
        self.rates = tuple([lease for lease in self.leases if lease.kind != MONEY])
        self.ends_us = min((lease.ends_us for lease in self.leases), default=NEVER_US)


class Plan:
    """One key's. `own`: the windows that all its calls count against; `shown`: whose state replies tell in headers.

    `scopes`: in which its calls may meet other quotas. `networks`: of the key's allow-list.
    """

    __slots__ = (
        "_book",
        "_known",
        "_lease_of",
        "ends_us",
        "has_money",
        "has_quotas",
        "has_rules",
        "has_tokens",
        "key",
        "leases",
        "money",
        "networks",
        "own",
        "rates",
        "scopes",
        "shown",
        "told",
        "told_s",
        "tokens",
    )

    def __init__(self, key: "Key", book: QuotaBook, lease_of: LeaseOf) -> None:
        """lease_of: finds a lease, or makes it."""
        self.key, self._book, self._lease_of = key, book, lease_of
        own = {"tenant": key.tenant_id, "project": key.project_id, "key": key.key_id}
        fixed = book.quotas_for(key.tenant_id, key.project_id, key.key_id)
        self.own = Windows([(quota, subject_of(quota, own[quota.scope])) for quota in fixed])
        self.scopes = tuple(scope for scope in VARYING if book.limits(key.tenant_id, scope))
        units = {quota.unit for quota in fixed}
        self.has_money = bool(self.scopes) or "nano_usd" in units
        self.has_tokens = bool(self.scopes) or "tokens" in units
        self.has_quotas = bool(self.scopes or fixed)
        self.networks: list[Network] = [ipaddress.ip_network(network, strict=False) for network in key.networks]
        self.has_rules = bool(key.models or key.providers or self.networks)
        self._known: dict[tuple[Scope, str], Windows] = {}
        self.leases: tuple[Lease, ...] = ()
        self.rates: tuple[Lease, ...] = ()
        self.money: tuple[Lease, ...] = ()
        self.tokens: tuple[Lease, ...] = ()
        self.shown: tuple[Lease, ...] = ()
        self.ends_us = self.told_s = 0
        self.told = b""  # of `shown`: what headers say around what is left

    @property
    def says_nothing(self) -> bool:
        """Every call of the key goes, and counts against nothing."""
        return not (self.has_quotas or self.has_rules)

    def turn(self, now_us: int) -> None:
        """Go on in the windows of now; to be called from `ends_us` on."""
        own = self.own
        own.turn(self._lease_of, now_us)
        self.leases, self.rates, self.ends_us = own.leases, own.rates, own.ends_us
        self.money = tuple([lease for lease in self.leases if lease.kind == MONEY])
        self.tokens = tuple([lease for lease in self.leases if lease.kind == TOKENS])
        self.shown, self.told_s = shown_of(self.rates), 0

    def more(self, scope: Scope, subject: str, now_us: int) -> Windows:
        """The windows of what one user, model, endpoint or address has quotas of its own for."""
        known = self._known.get((scope, subject))
        if known is None:
            if len(self._known) >= SUBJECTS_MAX:
                self._known.clear()
            quotas = self._book.quotas_of(self.key.tenant_id, scope, subject)
            known = self._known[scope, subject] = Windows([(quota, subject_of(quota, subject)) for quota in quotas])
        if now_us >= known.ends_us:
            known.turn(self._lease_of, now_us)
        return known

    def check(self, endpoint: "Endpoint", address: str, ladder: str = "") -> None:
        """Raises Forbidden, naming what the key may not do. ladder: on which the endpoint is asked; it is what the key
        must name then."""
        key, name = self.key, ladder or endpoint.model
        if key.models and not any(fnmatchcase(name, glob) for glob in key.models):
            raise Forbidden(
                f"This key may not call the model {name!r}; it may call {', '.join(key.models)}.",
                param="model",
            )
        if key.providers and endpoint.provider not in key.providers:
            raise Forbidden(
                f"This key may not call the provider {endpoint.provider!r}; it may call {', '.join(key.providers)}.",
                param="model",
            )
        if self.networks and not _is_within(address, self.networks):
            raise Forbidden(f"This key may not be used from {address or 'an address that is not known'}.")


def shown_of(rates: Sequence[Lease]) -> tuple[Lease, ...]:
    """Of requests and of tokens, the lease of the shortest window."""
    found = []
    for kind in (REQUESTS, TOKENS):
        own = [lease for lease in rates if lease.kind == kind]
        if own:
            found.append(min(own, key=lambda lease: (WINDOWS.index(lease.quota.window), lease.quota.limit)))
    return tuple(found)


def _is_within(address: str, networks: Sequence[Network]) -> bool:
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    return any(parsed in network for network in networks)
