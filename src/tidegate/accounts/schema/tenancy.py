"""Who may call: keys; and the row that tells workers that something changed."""

import sqlalchemy as sa

from tidegate.accounts.schema.base import metadata

state = sa.Table(  # one row
    "accounts_state",
    metadata,
    sa.Column("state_id", sa.Integer, primary_key=True, autoincrement=False),  # always 1
    sa.Column("version", sa.BigInteger, nullable=False),  # bumped by every change that workers must see
    sa.Column("database_id", sa.String(32), nullable=False),  # random, made with the tables
    sa.Column("secret_check", sa.String(64), nullable=False),  # tells a host whose `secret` is not the others'; "" none
)

keys = sa.Table(
    "keys",
    metadata,
    sa.Column("key_id", sa.String(40), primary_key=True),
    sa.Column("tenant_id", sa.String(64), nullable=False),
    sa.Column("project_id", sa.String(64), nullable=False),
    sa.Column("name", sa.String(128), nullable=False),
    sa.Column("secret_hash", sa.LargeBinary(32), nullable=False, unique=True),
    sa.Column("hint", sa.String(24), nullable=False),  # first and last characters, to recognise a key by
    sa.Column("created_us", sa.BigInteger, nullable=False),
    sa.Column("expires_us", sa.BigInteger, nullable=True),
    sa.Column("revoked_us", sa.BigInteger, nullable=True),
    sa.Column("billing_country", sa.String(2), nullable=True),
)
