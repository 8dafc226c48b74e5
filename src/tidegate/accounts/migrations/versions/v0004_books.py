"""Wallets and the entries that balance them."""

import sqlalchemy as sa
from alembic import op

revision, down_revision = "0004", "0003"


def upgrade() -> None:
    _entries()
    _sums()
    op.create_index("transactions_by_day", "transactions", ["tenant_id", "day"])
    op.create_index("transactions_by_segment", "transactions", ["segment_id"])
    op.create_index("settled_segments_by_ledger", "settled_segments", ["ledger_id", "manifest_number"])


def downgrade() -> None:
    for table in (
        "ledgers",
        "settled_segments",
        "usage_days",
        "balances",
        "entries",
        "transactions",
        "wallets",
    ):
        op.drop_table(table)


def _entries() -> None:
    op.create_table(
        "wallets",
        sa.Column("tenant_id", sa.String(64), primary_key=True),
        sa.Column("last_number", sa.BigInteger, nullable=False),
        sa.Column("last_digest", sa.String(64), nullable=False),
        sa.Column("balance_nano_usd", sa.BigInteger, nullable=False),
        sa.Column("credits_nano_usd", sa.BigInteger, nullable=False),
        sa.Column("overdraft_nano_usd", sa.BigInteger, nullable=False),
        sa.Column("mode", sa.String(8), nullable=False),
        sa.Column("prepaid_since_us", sa.BigInteger, nullable=True),
        sa.Column("quota_id", sa.String(64), nullable=True),
        sa.Column("before_nano_usd", sa.BigInteger, nullable=False),
        sa.Column("opened_us", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "transactions",
        sa.Column("tenant_id", sa.String(64), primary_key=True),
        sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("reference", sa.String(255), nullable=False),
        sa.Column("day", sa.String(10), nullable=False),
        sa.Column("booked_us", sa.BigInteger, nullable=False),
        sa.Column("memo", sa.String(500), nullable=False),
        sa.Column("ledger_id", sa.String(64), nullable=True),
        sa.Column("segment_id", sa.String(128), nullable=True),
        sa.Column("first_seq", sa.BigInteger, nullable=True),
        sa.Column("last_seq", sa.BigInteger, nullable=True),
        sa.Column("row_count", sa.BigInteger, nullable=True),
        sa.Column("unmetered_count", sa.BigInteger, nullable=True),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.UniqueConstraint("kind", "reference", name="transactions_once"),
    )
    op.create_table(
        "entries",
        sa.Column("tenant_id", sa.String(64), primary_key=True),
        sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("account", sa.String(24), primary_key=True),
        sa.Column("amount_nano_usd", sa.BigInteger, nullable=False),
        sa.ForeignKeyConstraint(["tenant_id", "number"], ["transactions.tenant_id", "transactions.number"]),
    )
    op.create_table(
        "balances",
        sa.Column("tenant_id", sa.String(64), primary_key=True),
        sa.Column("account", sa.String(24), primary_key=True),
        sa.Column("day", sa.String(10), primary_key=True),
        sa.Column("amount_nano_usd", sa.BigInteger, nullable=False),
        sa.Column("entry_count", sa.BigInteger, nullable=False),
    )


def _sums() -> None:
    op.create_table(
        "usage_days",
        sa.Column("tenant_id", sa.String(64), primary_key=True),
        sa.Column("day", sa.String(10), primary_key=True),
        sa.Column("model", sa.String(255), primary_key=True),
        sa.Column("calls", sa.BigInteger, nullable=False),
        sa.Column("unmetered_calls", sa.BigInteger, nullable=False),
        sa.Column("input_tokens", sa.BigInteger, nullable=False),
        sa.Column("cached_tokens", sa.BigInteger, nullable=False),
        sa.Column("output_tokens", sa.BigInteger, nullable=False),
        sa.Column("charged_nano_usd", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "settled_segments",
        sa.Column("segment_id", sa.String(128), primary_key=True),
        sa.Column("ledger_id", sa.String(64), nullable=False),
        sa.Column("manifest_number", sa.BigInteger, nullable=False),
        sa.Column("row_count", sa.BigInteger, nullable=False),
        sa.Column("settled_us", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "ledgers",
        sa.Column("ledger_id", sa.String(64), primary_key=True),
        sa.Column("settled_through", sa.BigInteger, nullable=False),
    )
