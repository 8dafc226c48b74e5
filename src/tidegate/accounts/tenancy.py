"""Tenants and projects: who pays, and what for. They are disabled, never deleted: rows of the ledger name them."""

import re
import time
import zoneinfo
from collections.abc import Sequence
from typing import Any

import msgspec
import sqlalchemy as sa
from msgspec import UNSET, UnsetType

from tidegate.accounts import schema
from tidegate.accounts.database import Database, touch
from tidegate.accounts.errors import AccountExists, AccountInvalid, AccountNotFound

ACCOUNT_ID = re.compile(r"[a-z0-9_-]{1,64}")
NAME_LENGTH_MAX = 128
LANGUAGES = ("", "en", "zh")


class Tenant(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who pays.

    `timezone`: where its calendar days and months begin, an IANA name. `language`: of texts for its people; empty: as
    they ask. `billing_country`: ISO 3166 alpha-2. `created_us`: UTC microseconds.
    """

    tenant_id: str
    name: str = ""
    is_enabled: bool = True
    timezone: str = "UTC"
    language: str = ""
    billing_country: str | None = None
    created_us: int = 0

    def __post_init__(self) -> None:
        check_name(self.name)
        check_country(self.billing_country)
        check_timezone(self.timezone)
        if self.language not in LANGUAGES:
            raise AccountInvalid(f"language {self.language!r} is not spoken here; write en or zh, or leave it empty")


class TenantChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """New values of a tenant; what is not set stays."""

    name: str | UnsetType = UNSET
    is_enabled: bool | UnsetType = UNSET
    timezone: str | UnsetType = UNSET
    language: str | UnsetType = UNSET
    billing_country: str | UnsetType | None = UNSET


class Project(msgspec.Struct, frozen=True, kw_only=True):
    """A part of a tenant, with keys of its own."""

    tenant_id: str
    project_id: str
    name: str = ""
    is_enabled: bool = True
    created_us: int = 0

    def __post_init__(self) -> None:
        check_name(self.name)


class ProjectChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """New values of a project; what is not set stays."""

    name: str | UnsetType = UNSET
    is_enabled: bool | UnsetType = UNSET


def create_tenant(database: Database, tenant: Tenant) -> Tenant:
    """Make a tenant, with its project `default`. Raises AccountInvalid, AccountExists."""
    check_id("tenant", tenant.tenant_id)
    made = msgspec.structs.replace(tenant, name=tenant.name or tenant.tenant_id, created_us=now_us())
    with database.writing() as connection:
        if _find(connection, schema.tenants, {"tenant_id": tenant.tenant_id}):
            raise AccountExists(f"there is a tenant {tenant.tenant_id!r} already; choose another id")
        changed = touch(connection)
        connection.execute(sa.insert(schema.tenants).values({**values_of(made), "changed": changed}))
        _add_project(connection, Project(tenant_id=tenant.tenant_id, project_id="default"), changed)
    return made


def find_tenant(database: Database, tenant_id: str) -> Tenant:
    """Raises AccountNotFound."""
    with database.reading() as connection:
        return _tenant(connection, tenant_id)


def list_tenants(database: Database, ids: Sequence[str] | None = None) -> list[Tenant]:
    """All tenants by id, or those with these ids."""
    query = _select(Tenant, schema.tenants).order_by(schema.tenants.c.tenant_id)
    if ids is not None:
        query = query.where(schema.tenants.c.tenant_id.in_(ids))
    with database.reading() as connection:
        return [Tenant(**row) for row in connection.execute(query).mappings()]


def update_tenant(database: Database, tenant_id: str, change: TenantChange) -> Tenant:
    """Change a tenant; the tenant as it is then. Workers know within two seconds. Raises AccountNotFound."""
    with database.writing() as connection:
        new = msgspec.structs.replace(_tenant(connection, tenant_id), **values_set(change))
        values = {**values_of(new), "changed": touch(connection)}
        connection.execute(sa.update(schema.tenants).where(schema.tenants.c.tenant_id == tenant_id).values(values))
    return new


def create_project(database: Database, project: Project) -> Project:
    """Make a project. Raises AccountInvalid, AccountExists, and AccountNotFound for its tenant."""
    check_id("project", project.project_id)
    with database.writing() as connection:
        _tenant(connection, project.tenant_id)
        if _find(connection, schema.projects, _project_key(project.tenant_id, project.project_id)):
            raise AccountExists(
                f"tenant {project.tenant_id!r} has a project {project.project_id!r} already; choose another id"
            )
        return _add_project(connection, project, touch(connection))


def find_project(database: Database, tenant_id: str, project_id: str) -> Project:
    """Raises AccountNotFound."""
    with database.reading() as connection:
        return _project(connection, tenant_id, project_id)


def list_projects(database: Database, tenant_id: str | None = None) -> list[Project]:
    """All projects, or those of one tenant, by id."""
    table = schema.projects
    query = _select(Project, table).order_by(table.c.tenant_id, table.c.project_id)
    if tenant_id is not None:
        query = query.where(table.c.tenant_id == tenant_id)
    with database.reading() as connection:
        return [Project(**row) for row in connection.execute(query).mappings()]


def update_project(database: Database, tenant_id: str, project_id: str, change: ProjectChange) -> Project:
    """Change a project; the project as it is then. Raises AccountNotFound."""
    table = schema.projects
    with database.writing() as connection:
        new = msgspec.structs.replace(_project(connection, tenant_id, project_id), **values_set(change))
        chosen = sa.and_(table.c.tenant_id == tenant_id, table.c.project_id == project_id)
        values = {**values_of(new), "changed": touch(connection)}
        connection.execute(sa.update(table).where(chosen).values(values))
    return new


def ensure(connection: sa.Connection, tenant_id: str, project_id: str, changed: int) -> None:
    """Make the tenant and the project where they are not there yet. Raises AccountInvalid for an id that cannot be.

    In a transaction that has called `touch`, whose version is `changed`: nobody else makes them meanwhile.
    """
    if not _find(connection, schema.tenants, {"tenant_id": tenant_id}):
        check_id("tenant", tenant_id)
        made = Tenant(tenant_id=tenant_id, name=tenant_id, created_us=now_us())
        connection.execute(sa.insert(schema.tenants).values({**values_of(made), "changed": changed}))
    if not _find(connection, schema.projects, _project_key(tenant_id, project_id)):
        check_id("project", project_id)
        _add_project(connection, Project(tenant_id=tenant_id, project_id=project_id), changed)


# -- what every kind of account checks ------------------------------------------------------------------------------


def check_id(kind: str, text: str) -> None:
    if not ACCOUNT_ID.fullmatch(text):
        raise AccountInvalid(
            f"{kind} id {text[:80]!r}: 1 to 64 of a-z, 0-9, - and _ are accepted; put the rest in name"
        )


def check_name(text: str) -> None:
    if len(text) > NAME_LENGTH_MAX or not text.isprintable():
        raise AccountInvalid(f"name {text[:80]!r}: at most {NAME_LENGTH_MAX} printable characters are accepted")


def check_country(code: str | None) -> None:
    if code is not None and not re.fullmatch(r"[A-Z]{2}", code):
        raise AccountInvalid(f"billing country {code[:20]!r} is not an ISO 3166 alpha-2 code such as DE")


def check_timezone(name: str) -> None:
    try:
        zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        raise AccountInvalid(f"time zone {name[:80]!r} is not an IANA name such as Asia/Shanghai") from None


def now_us() -> int:
    """UTC, microseconds since 1970-01-01."""
    return time.time_ns() // 1000


def values_of(entry: msgspec.Struct) -> dict[str, Any]:
    """A flat struct as columns of the same names."""
    return msgspec.structs.asdict(entry)


def values_set(change: msgspec.Struct) -> dict[str, Any]:
    """Those fields of a change that are set."""
    return {name: value for name, value in msgspec.structs.asdict(change).items() if value is not UNSET}


def _select(kind: type[msgspec.Struct], table: sa.Table) -> sa.Select[Any]:
    return sa.select(*(table.c[name] for name in kind.__struct_fields__))


def _find(connection: sa.Connection, table: sa.Table, key: dict[str, str]) -> dict[str, Any] | None:
    """The row with this primary key."""
    chosen = sa.and_(*(table.c[name] == value for name, value in key.items()))
    row = connection.execute(sa.select(table).where(chosen)).mappings().one_or_none()
    if row is None:
        return None
    return {name: value for name, value in row.items() if name != "changed"}


def _project_key(tenant_id: str, project_id: str) -> dict[str, str]:
    return {"tenant_id": tenant_id, "project_id": project_id}


def _tenant(connection: sa.Connection, tenant_id: str) -> Tenant:
    row = _find(connection, schema.tenants, {"tenant_id": tenant_id})
    if row is None:
        raise AccountNotFound(f"no tenant {tenant_id[:80]!r}; `tidegate accounts tenants list` shows all")
    return Tenant(**row)


def _project(connection: sa.Connection, tenant_id: str, project_id: str) -> Project:
    row = _find(connection, schema.projects, _project_key(tenant_id, project_id))
    if row is None:
        raise AccountNotFound(
            f"tenant {tenant_id[:80]!r} has no project {project_id[:80]!r}; `tidegate accounts projects list` shows all"
        )
    return Project(**row)


def _add_project(connection: sa.Connection, project: Project, changed: int) -> Project:
    made = msgspec.structs.replace(project, name=project.name or project.project_id, created_us=now_us())
    connection.execute(sa.insert(schema.projects).values({**values_of(made), "changed": changed}))
    return made
