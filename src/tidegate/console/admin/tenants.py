"""Tenants and their projects."""

from typing import Final

import msgspec

from tidegate.accounts.tenancy import (
    Project,
    ProjectChange,
    Tenant,
    TenantChange,
    create_project,
    create_tenant,
    find_tenant,
    list_projects,
    list_tenants,
    update_project,
    update_tenant,
)
from tidegate.console.access import require
from tidegate.console.admin import ROOT, TENANT
from tidegate.console.operations import Asked, Operation


class NewTenant(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A tenant to be made. `tenant_id`: a short name, for good; the rest as in `Tenant`, and may change."""

    tenant_id: str
    name: str = ""
    timezone: str = "UTC"
    language: str = ""
    billing_country: str | None = None


class NewProject(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A project to be made. `project_id`: a short name, for good."""

    project_id: str
    name: str = ""


class Tenants(msgspec.Struct, frozen=True, kw_only=True):
    """Those that the caller belongs to; all of them for who has a role in the installation."""

    data: list[Tenant]


class Projects(msgspec.Struct, frozen=True, kw_only=True):
    """The projects of a tenant."""

    data: list[Project]


def _list(asked: Asked) -> Tenants:
    caller = asked.caller
    return Tenants(data=list_tenants(asked.backend.database, None if caller.role else sorted(caller.roles)))


def _create(asked: Asked) -> Tenant:
    made = Tenant(**msgspec.structs.asdict(asked.body))
    return create_tenant(asked.backend.database, made)


def _find(asked: Asked) -> Tenant:
    return find_tenant(asked.backend.database, asked.tenant_id)


def _change(asked: Asked) -> Tenant:
    if asked.body.is_enabled is not msgspec.UNSET:
        require(asked.caller, "tenant.enable")
    return update_tenant(asked.backend.database, asked.tenant_id, asked.body)


def _list_projects(asked: Asked) -> Projects:
    return Projects(data=list_projects(asked.backend.database, asked.tenant_id))


def _create_project(asked: Asked) -> Project:
    made = Project(tenant_id=asked.tenant_id, **msgspec.structs.asdict(asked.body))
    return create_project(asked.backend.database, made)


def _change_project(asked: Asked) -> Project:
    return update_project(asked.backend.database, asked.tenant_id, asked.path["project_id"], asked.body)


OPERATIONS: Final = (
    Operation(method="GET", path=f"{ROOT}/tenants", summary="Tenants one belongs to.", run=_list, reply=Tenants),
    Operation(
        method="POST", path=f"{ROOT}/tenants", summary="Make a tenant, with a project `default`.",
        action="tenant.create", run=_create, body=NewTenant, reply=Tenant, status=201,
    ),
    Operation(method="GET", path=TENANT, summary="One tenant.", action="tenant.read", run=_find, reply=Tenant),
    Operation(
        method="PATCH", path=TENANT, summary="Change a tenant; only operators enable and disable one.",
        action="tenant.change", run=_change, body=TenantChange, reply=Tenant,
    ),
    Operation(
        method="GET", path=f"{TENANT}/projects", summary="Its projects.", action="project.read",
        run=_list_projects, reply=Projects,
    ),
    Operation(
        method="POST", path=f"{TENANT}/projects", summary="Make a project.", action="project.change",
        run=_create_project, body=NewProject, reply=Project, status=201,
    ),
    Operation(
        method="PATCH", path=f"{TENANT}/projects/{{project_id}}", summary="Change a project.",
        action="project.change", run=_change_project, body=ProjectChange, reply=Project,
    ),
)  # fmt: skip
