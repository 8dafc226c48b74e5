"""Every quota of the installation in a worker's memory: which of them a call has to pass.

Read whole once and then by what changed (`refresh`, off the path of calls). About 0.6 kB a quota; quotas with the
subject `*` cost one however many keys or users they limit.
"""

import ipaddress
from collections import Counter
from collections.abc import Callable, Iterable, Mapping

import sqlalchemy as sa

from tidegate.accounts.quotas.table import changed_quotas
from tidegate.core.quota import EACH, Quota, Scope

IPV6_SITE_BITS = 64
"""Addresses of IPv6 that count as one network: a site has that many to itself."""


class QuotaBook:
    """Quotas by tenant, scope and subject. `revision` changes with them: what was compiled from it is then old."""

    def __init__(self, quotas: Iterable[Quota] = ()) -> None:
        self.revision = 0
        self._seen = 0
        self._by_subject: dict[tuple[str, Scope, str], tuple[Quota, ...]] = {}
        self._networks: dict[str, tuple[Quota, ...]] = {}
        self._by_id: dict[str, Quota] = {}
        self._scopes: Counter[tuple[str, Scope]] = Counter()
        for quota in quotas:
            self._put(quota)

    def __len__(self) -> int:
        return len(self._by_id)

    def __getitem__(self, quota_id: str) -> Quota:
        return self._by_id[quota_id]

    @property
    def by_id(self) -> Mapping[str, Quota]:
        """Every quota, as it is now whenever it is read."""
        return self._by_id

    def refresh(self, connection: sa.Connection) -> bool:
        """Learn what changed since the last time; whether anything did."""
        publish = self.read(connection)
        if publish is not None:
            publish()
        return publish is not None

    def read(self, connection: sa.Connection) -> Callable[[], None] | None:
        """A reader of `accounts.watch.Watch`: what puts into force what changed; None where nothing did."""
        held, removed, newest = changed_quotas(connection, self._seen)
        if not held and not removed:
            return None

        def publish() -> None:
            for quota in removed:
                self._drop(quota.quota_id)
            for quota in held:
                self._put(quota)
            self._seen = max(self._seen, newest)
            self.revision += 1

        return publish

    def quotas_for(self, tenant_id: str, project_id: str, key_id: str) -> tuple[Quota, ...]:
        """What every call of a key has to pass, whatever it asks for: quotas of its tenant, its project, itself."""
        return (
            *self.quotas_of(tenant_id, "tenant", tenant_id),
            *self.quotas_of(tenant_id, "project", project_id),
            *self.quotas_of(tenant_id, "key", key_id),
        )

    def quotas_of(self, tenant_id: str, scope: Scope, subject: str) -> tuple[Quota, ...]:
        """What limits one subject: quotas that name it, and those for each one (`*`) that none of them stands in for.

        A named quota stands in for `*` where unit and window are the same, be it wider or narrower. subject: of the
        scope `network`, the caller's address; every named network that it is in counts.
        """
        each = self._by_subject.get((tenant_id, scope, EACH), ())
        if scope == "network":
            named = self._around(tenant_id, subject)
        else:
            named = self._by_subject.get((tenant_id, scope, subject), ())
        if not named or not each:
            return named or each
        kinds = {_kind(quota) for quota in named}
        return (*named, *(quota for quota in each if _kind(quota) not in kinds))

    def limits(self, tenant_id: str, scope: Scope) -> bool:
        """Whether a tenant has quotas of a scope at all; calls of others need not look for them."""
        return (tenant_id, scope) in self._scopes

    def _around(self, tenant_id: str, address: str) -> tuple[Quota, ...]:
        networks = self._networks.get(tenant_id)
        if not networks:
            return ()
        caller = ipaddress.ip_address(address)
        return tuple(quota for quota in networks if caller in ipaddress.ip_network(quota.subject))

    def _put(self, quota: Quota) -> None:
        self._drop(quota.quota_id)
        self._by_id[quota.quota_id] = quota
        self._scopes[quota.tenant_id, quota.scope] += 1
        if quota.scope == "network" and quota.subject != EACH:
            self._networks[quota.tenant_id] = (*self._networks.get(quota.tenant_id, ()), quota)
            return
        at = (quota.tenant_id, quota.scope, quota.subject)
        self._by_subject[at] = (*self._by_subject.get(at, ()), quota)

    def _drop(self, quota_id: str) -> None:
        quota = self._by_id.pop(quota_id, None)
        if quota is None:
            return
        self._scopes[quota.tenant_id, quota.scope] -= 1
        if not self._scopes[quota.tenant_id, quota.scope]:
            del self._scopes[quota.tenant_id, quota.scope]
        at = (quota.tenant_id, quota.scope, quota.subject)
        if kept := tuple(other for other in self._by_subject.get(at, ()) if other.quota_id != quota_id):
            self._by_subject[at] = kept
        else:
            self._by_subject.pop(at, None)
        if kept := tuple(other for other in self._networks.get(quota.tenant_id, ()) if other.quota_id != quota_id):
            self._networks[quota.tenant_id] = kept
        else:
            self._networks.pop(quota.tenant_id, None)


def subject_of(quota: Quota, subject: str) -> str:
    """Whose window of a quota it is: the quota's own subject, or the caller's where each has one.

    Addresses of IPv6 are one subject by their /64: whoever has one has all of it.
    """
    if quota.subject != EACH:
        return quota.subject
    if quota.scope == "network" and ":" in subject:
        return str(ipaddress.ip_network((subject, IPV6_SITE_BITS), strict=False))
    return subject


def _kind(quota: Quota) -> tuple[str, str, bool]:
    return quota.unit, quota.window, quota.is_rolling
