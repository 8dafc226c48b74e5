"""The row that tells workers of changes."""

import secrets

import sqlalchemy as sa
from alembic import op

revision, down_revision = "0002", "0001"


def upgrade() -> None:
    state = op.create_table(
        "accounts_state",
        sa.Column("state_id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("database_id", sa.String(32), nullable=False),
        sa.Column("secret_check", sa.String(64), nullable=False),
    )
    op.bulk_insert(state, [{"state_id": 1, "version": 1, "database_id": secrets.token_hex(16), "secret_check": ""}])


def downgrade() -> None:
    op.drop_table("accounts_state")
