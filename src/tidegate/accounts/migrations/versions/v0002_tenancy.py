"""Tenants, projects, people; keys get limits on what they may call; and the row that tells workers of changes.

Every tenant and project that a key names becomes one. On the way back keys stay, without what they learned here: a
rotated key's former secret ends at once, and a disabled key is revoked, since the first release knows no other way
to keep it out.
"""

import secrets
import time
from typing import Any

import sqlalchemy as sa
from alembic import op

revision, down_revision = "0002", "0001"


def _key_columns() -> list[sa.Column[Any]]:
    return [
        sa.Column("updated_us", sa.BigInteger, nullable=True),
        sa.Column("is_enabled", sa.Boolean, nullable=False, server_default=sa.true()),
        sa.Column("price_group", sa.String(64), nullable=False, server_default=""),
        sa.Column("models", sa.Text, nullable=False, server_default=""),
        sa.Column("providers", sa.Text, nullable=False, server_default=""),
        sa.Column("networks", sa.Text, nullable=False, server_default=""),
        sa.Column("changed", sa.BigInteger, nullable=False, server_default="1"),
    ]


def upgrade() -> None:
    for column in _key_columns():
        op.add_column("keys", column)
    op.create_index("keys_changed", "keys", ["changed"])
    op.create_index("keys_tenant", "keys", ["tenant_id", "project_id"])
    _state()
    _tenants()
    _secrets()
    _people()
    _management()


def downgrade() -> None:
    now_us = time.time_ns() // 1000
    op.execute(
        f"UPDATE keys SET revoked_us = {now_us} WHERE revoked_us IS NULL AND (NOT is_enabled "
        "OR models <> '' OR providers <> '' OR networks <> '' "
        "OR tenant_id IN (SELECT tenant_id FROM tenants WHERE NOT is_enabled) "
        "OR EXISTS (SELECT 1 FROM projects p WHERE NOT p.is_enabled "
        "AND p.tenant_id = keys.tenant_id AND p.project_id = keys.project_id))"
    )
    for table in ("provider_keys", "service_keys", "sessions", "members", "identities", "people", "former_secrets"):
        op.drop_table(table)
    for table in ("projects", "tenants", "accounts_state"):
        op.drop_table(table)
    op.drop_index("keys_tenant", "keys")
    op.drop_index("keys_changed", "keys")
    for column in _key_columns():
        op.drop_column("keys", column.name)


def _state() -> None:
    state = op.create_table(
        "accounts_state",
        sa.Column("state_id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("database_id", sa.String(32), nullable=False),
        sa.Column("secret_check", sa.String(64), nullable=False),
    )
    op.bulk_insert(state, [{"state_id": 1, "version": 1, "database_id": secrets.token_hex(16), "secret_check": ""}])


def _tenants() -> None:
    op.create_table(
        "tenants",
        sa.Column("tenant_id", sa.String(64), primary_key=True),
        sa.Column("name", sa.String(128), nullable=False),
        sa.Column("is_enabled", sa.Boolean, nullable=False),
        sa.Column("timezone", sa.String(64), nullable=False),
        sa.Column("language", sa.String(16), nullable=False),
        sa.Column("billing_country", sa.String(2), nullable=True),
        sa.Column("created_us", sa.BigInteger, nullable=False),
        sa.Column("changed", sa.BigInteger, nullable=False, index=True),
    )
    op.create_table(
        "projects",
        sa.Column("tenant_id", sa.String(64), sa.ForeignKey("tenants.tenant_id"), primary_key=True),
        sa.Column("project_id", sa.String(64), primary_key=True),
        sa.Column("name", sa.String(128), nullable=False),
        sa.Column("is_enabled", sa.Boolean, nullable=False),
        sa.Column("created_us", sa.BigInteger, nullable=False),
        sa.Column("changed", sa.BigInteger, nullable=False, index=True),
    )
    op.execute(
        "INSERT INTO tenants SELECT tenant_id, tenant_id, true, 'UTC', '', max(billing_country), min(created_us), 1 "
        "FROM keys GROUP BY tenant_id"
    )
    op.execute(
        "INSERT INTO projects SELECT tenant_id, project_id, project_id, true, min(created_us), 1 "
        "FROM keys GROUP BY tenant_id, project_id"
    )


def _secrets() -> None:
    op.create_table(
        "former_secrets",
        sa.Column("secret_hash", sa.LargeBinary(32), primary_key=True),
        sa.Column("key_id", sa.String(40), sa.ForeignKey("keys.key_id"), nullable=False, index=True),
        sa.Column("valid_until_us", sa.BigInteger, nullable=False),
    )


def _people() -> None:
    op.create_table(
        "people",
        sa.Column("person_id", sa.String(40), primary_key=True),
        sa.Column("email", sa.String(254), nullable=False, unique=True),
        sa.Column("name", sa.String(128), nullable=False),
        sa.Column("password_hash", sa.String(256), nullable=True),
        sa.Column("is_operator", sa.Boolean, nullable=False),
        sa.Column("is_enabled", sa.Boolean, nullable=False),
        sa.Column("created_us", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "identities",
        sa.Column("issuer", sa.String(255), primary_key=True),
        sa.Column("subject", sa.String(255), primary_key=True),
        sa.Column("person_id", sa.String(40), sa.ForeignKey("people.person_id"), nullable=False, index=True),
    )
    op.create_table(
        "members",
        sa.Column("person_id", sa.String(40), sa.ForeignKey("people.person_id"), primary_key=True),
        sa.Column("tenant_id", sa.String(64), sa.ForeignKey("tenants.tenant_id"), primary_key=True, index=True),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("created_us", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "sessions",
        sa.Column("token_hash", sa.LargeBinary(32), primary_key=True),
        sa.Column("person_id", sa.String(40), sa.ForeignKey("people.person_id"), nullable=False, index=True),
        sa.Column("created_us", sa.BigInteger, nullable=False),
        sa.Column("expires_us", sa.BigInteger, nullable=False),
    )


def _management() -> None:
    op.create_table(
        "service_keys",
        sa.Column("service_key_id", sa.String(40), primary_key=True),
        sa.Column("tenant_id", sa.String(64), sa.ForeignKey("tenants.tenant_id"), nullable=True),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("name", sa.String(128), nullable=False),
        sa.Column("secret_hash", sa.LargeBinary(32), nullable=False, unique=True),
        sa.Column("hint", sa.String(24), nullable=False),
        sa.Column("created_us", sa.BigInteger, nullable=False),
        sa.Column("expires_us", sa.BigInteger, nullable=True),
        sa.Column("revoked_us", sa.BigInteger, nullable=True),
    )
    op.create_table(
        "provider_keys",
        sa.Column("provider_key_id", sa.String(40), primary_key=True),
        sa.Column("provider_name", sa.String(64), nullable=False, index=True),
        sa.Column("name", sa.String(128), nullable=False),
        sa.Column("sealed", sa.Text, nullable=False),
        sa.Column("hint", sa.String(24), nullable=False),
        sa.Column("is_enabled", sa.Boolean, nullable=False),
        sa.Column("created_us", sa.BigInteger, nullable=False),
    )
