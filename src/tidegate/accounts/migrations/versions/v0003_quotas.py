"""Quotas, their windows, and what each worker holds of them."""

import sqlalchemy as sa
from alembic import op

revision, down_revision = "0003", "0002"


def upgrade() -> None:
    op.create_table(
        "quotas",
        sa.Column("quota_id", sa.String(64), primary_key=True),
        sa.Column("tenant_id", sa.String(64), nullable=False),
        sa.Column("scope", sa.String(16), nullable=False),
        sa.Column("subject", sa.String(256), nullable=False),
        sa.Column("unit", sa.String(16), nullable=False),
        sa.Column("window", sa.String(16), nullable=False),
        sa.Column("limit", sa.BigInteger, nullable=False),
        sa.Column("is_rolling", sa.Boolean, nullable=False),
        sa.Column("timezone", sa.String(64), nullable=False),
        sa.Column("is_wallet", sa.Boolean, nullable=False),
        sa.Column("name", sa.String(128), nullable=False),
        sa.Column("removed_us", sa.BigInteger, nullable=True),
        sa.Column("changed", sa.BigInteger, nullable=False),
    )
    op.create_index("quotas_by_tenant", "quotas", ["tenant_id"])
    op.create_index("quotas_by_change", "quotas", ["changed"])
    op.create_table(
        "quota_windows",
        sa.Column("quota_id", sa.String(64), primary_key=True),
        sa.Column("subject", sa.String(256), primary_key=True),
        sa.Column("start_us", sa.BigInteger, primary_key=True),
        sa.Column("end_us", sa.BigInteger, nullable=True),
        sa.Column("held", sa.BigInteger, nullable=False),
        sa.Column("unspent", sa.BigInteger, nullable=False),
        sa.Column("wanted_us", sa.BigInteger, nullable=False),
        sa.Column("lots", sa.Text, nullable=False),
    )
    op.create_index("quota_windows_by_end", "quota_windows", ["end_us"])
    _create_workers()


def _create_workers() -> None:
    op.create_table(
        "quota_workers",
        sa.Column("worker_id", sa.String(96), primary_key=True),
        sa.Column("gateway_id", sa.String(64), nullable=False),
        sa.Column("entered_us", sa.BigInteger, nullable=False),
        sa.Column("seen_us", sa.BigInteger, nullable=False),
        sa.Column("ended_us", sa.BigInteger, nullable=True),
        sa.Column("left_us", sa.BigInteger, nullable=True),
        sa.Column("settled_us", sa.BigInteger, nullable=True),
    )
    op.create_index("quota_workers_by_seen", "quota_workers", ["seen_us"])
    op.create_table(
        "quota_holdings",
        sa.Column("worker_id", sa.String(96), primary_key=True),
        sa.Column("quota_id", sa.String(64), primary_key=True),
        sa.Column("subject", sa.String(256), primary_key=True),
        sa.Column("start_us", sa.BigInteger, primary_key=True),
        sa.Column("is_money", sa.Boolean, nullable=False),
        sa.Column("granted", sa.BigInteger, nullable=False),
        sa.Column("returned", sa.BigInteger, nullable=False),
        sa.Column("spent", sa.BigInteger, nullable=False),
        sa.Column("lots", sa.Text, nullable=False),
    )
    op.create_index("quota_holdings_by_window", "quota_holdings", ["quota_id", "subject", "start_us"])


def downgrade() -> None:
    for table in ("quota_holdings", "quota_workers", "quota_windows", "quotas"):
        op.drop_table(table)
