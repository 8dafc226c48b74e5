"""Keys of programs that manage accounts. They call the admin API under a role, and no model."""

import secrets
from typing import Any

import msgspec
import sqlalchemy as sa

from tidegate.accounts import schema
from tidegate.accounts.database import Database
from tidegate.accounts.errors import AccountInvalid, AccountNotFound
from tidegate.accounts.people import ROLES, Role
from tidegate.accounts.secret import SECRET_BYTES, hash_secret, hint_of
from tidegate.accounts.tenancy import check_name, find_tenant, now_us

PREFIX = "tgs_"


class ServiceKey(msgspec.Struct, frozen=True, kw_only=True):
    """A service key as it is listed. `tenant_id`: None: every tenant, and the installation, as an operator."""

    service_key_id: str
    tenant_id: str | None
    role: Role
    name: str
    hint: str
    created_us: int
    expires_us: int | None = None
    revoked_us: int | None = None

    def is_valid(self, now_us: int) -> bool:
        return self.revoked_us is None and (self.expires_us is None or now_us < self.expires_us)


class ServiceKeyWish(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A service key to be made; fields as in `ServiceKey`."""

    name: str
    role: Role
    tenant_id: str | None = None
    expires_us: int | None = None

    def __post_init__(self) -> None:
        check_name(self.name)
        if self.role not in ROLES:
            raise AccountInvalid(f"role {self.role!r} is none of {', '.join(ROLES)}")


def create_service_key(database: Database, pepper: bytes, wish: ServiceKeyWish) -> tuple[ServiceKey, str]:
    """The key, and its secret, which is kept nowhere. Raises AccountNotFound for its tenant."""
    if wish.tenant_id is not None:
        find_tenant(database, wish.tenant_id)
    secret = PREFIX + secrets.token_urlsafe(SECRET_BYTES)
    made = ServiceKey(
        service_key_id="service_" + secrets.token_hex(8),
        tenant_id=wish.tenant_id,
        role=wish.role,
        name=wish.name,
        hint=hint_of(secret),
        created_us=now_us(),
        expires_us=wish.expires_us,
    )
    values = {**msgspec.structs.asdict(made), "secret_hash": hash_secret(pepper, secret.encode())}
    with database.writing() as connection:
        connection.execute(sa.insert(schema.service_keys).values(values))
    return made, secret


def find_service_key(database: Database, pepper: bytes, secret: str) -> ServiceKey | None:
    """The valid service key with this secret; None for an unknown, expired or revoked one."""
    hashed = hash_secret(pepper, secret.encode(errors="replace"))
    with database.reading() as connection:
        row = connection.execute(_select().where(schema.service_keys.c.secret_hash == hashed)).mappings().one_or_none()
    key = None if row is None else ServiceKey(**row)
    return key if key is not None and key.is_valid(now_us()) else None


def list_service_keys(database: Database, tenant_id: str | None = None) -> list[ServiceKey]:
    """All service keys, or those of one tenant, oldest first, revoked ones included."""
    table = schema.service_keys
    query = _select().order_by(table.c.created_us, table.c.service_key_id)
    if tenant_id is not None:
        query = query.where(table.c.tenant_id == tenant_id)
    with database.reading() as connection:
        return [ServiceKey(**row) for row in connection.execute(query).mappings()]


def revoke_service_key(database: Database, service_key_id: str) -> None:
    """From now on it opens nothing. Raises AccountNotFound."""
    table = schema.service_keys
    chosen = sa.and_(table.c.service_key_id == service_key_id, table.c.revoked_us.is_(None))
    with database.writing() as connection:
        if not connection.execute(sa.update(table).where(chosen).values(revoked_us=now_us())).rowcount:
            raise AccountNotFound(f"no valid service key has the id {service_key_id[:80]!r}")


def _select() -> sa.Select[Any]:
    return sa.select(*(schema.service_keys.c[name] for name in ServiceKey.__struct_fields__))
