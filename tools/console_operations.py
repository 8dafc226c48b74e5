"""The console's operations as OpenAPI: made from the same values that the console serves by."""

import inspect
import re
from collections.abc import Iterator
from typing import Any, Final

import msgspec

import tidegate.console.id_token  # noqa: F401 - loaded where there is a sign-in provider; its error is told all the same
from tidegate.accounts.people import ROLES
from tidegate.console.access import IN_INSTALLATION, IN_TENANT
from tidegate.console.admin import ROOT
from tidegate.console.app import OPERATIONS
from tidegate.console.one_api import BillingUsage, Subscription
from tidegate.console.openrouter.keys import CurrentKey, ListedKey
from tidegate.console.openrouter.reports import ActivityRow, Credits
from tidegate.console.operations import Operation

Json = dict[str, Any]
SECURITY_SCHEMES: Final[Json] = {
    "session": {"type": "apiKey", "in": "cookie", "name": "tidegate_session"},
}
CSRF: Final[Json] = {
    "name": "x-csrf-token",
    "in": "header",
    "schema": {"type": "string"},
    "description": "`csrf` of the session; not needed with a key",
}

MONEY: Final = (ActivityRow, BillingUsage, Credits, CurrentKey, ListedKey, Subscription)
"""Structs with USD as numbers whose digits are exact."""


def with_numbers(schema: Any) -> Any:
    """Amounts that are read as exact decimals are numbers on the wire."""
    if isinstance(schema, list):
        return [with_numbers(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    if schema.get("format") == "decimal":
        return {"type": "number"}
    return {name: with_numbers(value) for name, value in schema.items()}


def described(refs: str, errors_at: Any, identify: Any) -> Iterator[tuple[str, Json]]:
    """(path, its methods). errors_at: the error replies of a path; identify: the id of an operation."""
    found: dict[str, Json] = {}
    for operation in OPERATIONS:
        said = found.setdefault(operation.path, {})
        said[operation.method.lower()] = _said(operation, refs, errors_at(operation.path), identify)
    yield from found.items()


def structs() -> list[type[msgspec.Struct]]:
    """Everything that is sent or answered."""
    found = [kind for operation in OPERATIONS for kind in (operation.body, operation.reply) if kind is not None]
    return list(dict.fromkeys(found))


def _said(operation: Operation, refs: str, errors: Json, identify: Any) -> Json:
    is_open = not operation.callers
    has_session = "person" in operation.callers
    reply: Json = {"application/json": {"schema": {"$ref": f"{refs}{operation.reply.__name__}"}}}
    reply |= {kind: {"schema": {"type": "string"}} for kind in operation.other_types}
    found: Json = {
        "operationId": identify(operation.method.lower(), operation.path),
        "tags": ["console"],
        "summary": operation.summary,
        "responses": {str(operation.status): {"description": "Done.", "content": reply}} | errors,
        "security": [] if is_open else [{"bearer": []}, {"x-api-key": []}, *([{"session": []}] if has_session else [])],
    }
    if operation.action:
        found["description"] = f"Action `{operation.action}` of the table of roles."
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in re.findall(r"{(\w+)}", operation.path)
    ]
    parameters += _query(operation)
    if has_session and operation.method != "GET":
        parameters.append(CSRF)
    if parameters:
        found["parameters"] = parameters
    if operation.body is not None:
        body = {"application/json": {"schema": {"$ref": f"{refs}{operation.body.__name__}"}}}
        found["requestBody"] = {"required": True, "content": body}
    return found


def _query(operation: Operation) -> list[Json]:
    if operation.query is None:
        return []
    (schema,), components = msgspec.json.schema_components([operation.query], ref_template="{name}")
    members = components[schema["$ref"]]["properties"]
    return [
        {"name": name, "in": "query", "required": False, "schema": member, "description": _first_line(operation.query)}
        for name, member in members.items()
    ]


def _first_line(kind: type[msgspec.Struct]) -> str:
    return inspect.cleandoc(kind.__doc__ or "").splitlines()[0]


def roles_page() -> str:
    """The table of roles and actions, as Markdown."""
    lines = ["# Roles", "", *ROLES_HELP]
    for title, table in (("In a tenant", IN_TENANT), ("In the installation", IN_INSTALLATION)):
        lines += [
            "",
            f"## {title}",
            "",
            f"| action | {' | '.join(ROLES)} | operations |",
            f"|{' --- |' * (len(ROLES) + 2)}",
        ]
        for action, allowed in table.items():
            cells = " | ".join("yes" if role in allowed else "" for role in ROLES)
            asked = [f"`{one.method} {one.path.removeprefix(ROOT)}`" for one in OPERATIONS if one.action == action]
            lines.append(f"| `{action}` | {cells} | {', '.join(asked)} |")
    return "\n".join(lines) + "\n"


ROLES_HELP: Final = (
    "Who may do what: the table that every request of the admin API is held against, before anything else of it is",
    "looked at. A role in the installation (of an operator, or of a service key of no tenant) holds in every tenant",
    "too. Paths follow `/api/admin/v1`; an action without one is part of another operation, or of OpenRouter's pages.",
)
