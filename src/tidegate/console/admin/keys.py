"""API keys of a tenant: made, changed, rotated, revoked."""

from typing import Annotated, Any, Final

import msgspec
from msgspec import UNSET, Meta

from tidegate.accounts.keys import OVERLAP_S_MAX, Key, KeyChange, KeyNotFound, KeyPage, KeyWish
from tidegate.accounts.tenancy import find_project
from tidegate.console.access import require
from tidegate.console.admin import TENANT
from tidegate.console.operations import Asked, Operation

PAGE_MAX: Final = 1000
Words = tuple[str, ...]


class NewKey(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A key to be made. What it may call: `models` (globs), `providers`, `networks` (CIDR); empty: all.

    `expires_us`: UTC microseconds, None: until it is revoked. `price_group`: only operators set one.
    """

    name: str
    project_id: str = "default"
    expires_us: int | None = None
    billing_country: str | None = None
    is_enabled: bool = True
    price_group: str = ""
    models: Words = ()
    providers: Words = ()
    networks: Words = ()


class KeyQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which keys: of one project, or all; `offset` of them are left out."""

    project_id: str | None = None
    offset: Annotated[int, Meta(ge=0)] = 0
    limit: Annotated[int, Meta(ge=1, le=PAGE_MAX)] = 100


class Keys(msgspec.Struct, frozen=True, kw_only=True):
    """Keys, oldest first, revoked ones included; `total`: how many there are. Never a secret."""

    data: list[Key]
    total: int


class MadeKey(msgspec.Struct, frozen=True, kw_only=True):
    """The key and its secret, which is told here only."""

    key: Key
    secret: str


class Rotation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`overlap_s`: for how many seconds the former secret stays valid."""

    overlap_s: Annotated[int, Meta(ge=0, le=OVERLAP_S_MAX)] = 0


def key_in(asked: Asked, tenant_id: str, key_id: str) -> Key:
    """A key of this tenant. Raises KeyNotFound, also for another tenant's."""
    key = asked.backend.accounts().key(key_id)
    if key.tenant_id != tenant_id:
        raise KeyNotFound(f"no key of tenant {tenant_id!r} has the id {key_id[:80]!r}")
    return key


def _own(asked: Asked) -> Key:
    return key_in(asked, asked.tenant_id, asked.path["key_id"])


def _check_group(asked: Asked, group: Any) -> None:
    """What a key's calls cost is the operator's to say."""
    if group not in ("", UNSET):
        require(asked.caller, "wallet.terms")


def _list(asked: Asked) -> Keys:
    page = KeyPage(tenant_id=asked.tenant_id, **msgspec.structs.asdict(asked.query))
    found, total = asked.backend.accounts().page_of_keys(page)
    return Keys(data=found, total=total)


def _create(asked: Asked) -> MadeKey:
    _check_group(asked, asked.body.price_group)
    find_project(asked.backend.database, asked.tenant_id, asked.body.project_id)
    accounts = asked.backend.accounts()
    made = accounts.add_key(KeyWish(tenant_id=asked.tenant_id, **msgspec.structs.asdict(asked.body)))
    return MadeKey(key=accounts.key(made.key_id), secret=made.secret)


def _find(asked: Asked) -> Key:
    return _own(asked)


def _change(asked: Asked) -> Key:
    key = _own(asked)
    if asked.body.price_group != key.price_group and asked.body.price_group is not UNSET:
        require(asked.caller, "wallet.terms")
    return asked.backend.accounts().update_key(key.key_id, asked.body)


def _rotate(asked: Asked) -> MadeKey:
    key, accounts = _own(asked), asked.backend.accounts()
    made = accounts.rotate_key(key.key_id, overlap_s=asked.body.overlap_s)
    return MadeKey(key=accounts.key(key.key_id), secret=made.secret)


def _revoke(asked: Asked) -> Key:
    key, accounts = _own(asked), asked.backend.accounts()
    if key.revoked_us is None:
        accounts.revoke_key(key.key_id)
    return accounts.key(key.key_id)


_ONE = f"{TENANT}/keys/{{key_id}}"
OPERATIONS: Final = (
    Operation(
        method="GET", path=f"{TENANT}/keys", summary="API keys of a tenant.", action="key.read", run=_list,
        query=KeyQuery, reply=Keys,
    ),
    Operation(
        method="POST", path=f"{TENANT}/keys", summary="Make an API key; its secret is told once.",
        action="key.create", run=_create, body=NewKey, reply=MadeKey, status=201,
    ),
    Operation(method="GET", path=_ONE, summary="One key.", action="key.read", run=_find, reply=Key),
    Operation(
        method="PATCH", path=_ONE, summary="Change a key; workers know within two seconds.", action="key.change",
        run=_change, body=KeyChange, reply=Key,
    ),
    Operation(
        method="POST", path=f"{_ONE}/rotate", summary="Give a key a new secret, with overlap.", action="key.change",
        run=_rotate, body=Rotation, reply=MadeKey,
    ),
    Operation(method="DELETE", path=_ONE, summary="Revoke a key.", action="key.change", run=_revoke, reply=Key),
)  # fmt: skip
