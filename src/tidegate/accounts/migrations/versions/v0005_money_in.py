"""Vouchers, top-ups, exchange rates, price groups, and hooks of low balances."""

import sqlalchemy as sa
from alembic import op

revision, down_revision = "0005", "0004"

TABLES = (
    "voucher_batches",
    "vouchers",
    "topup_orders",
    "topup_events",
    "fx_quotes",
    "price_terms",
    "price_members",
    "balance_hooks",
    "hook_deliveries",
)


def upgrade() -> None:
    _vouchers()
    _topups()
    _prices()
    _hooks()


def downgrade() -> None:
    for table in reversed(TABLES):
        op.drop_table(table)


def _vouchers() -> None:
    op.create_table(
        "voucher_batches",
        sa.Column("batch_id", sa.String(40), primary_key=True),
        sa.Column("name", sa.String(128), nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("face_minor", sa.BigInteger, nullable=False),
        sa.Column("amount_nano_usd", sa.BigInteger, nullable=False),
        sa.Column("tenant_id", sa.String(64), nullable=True),
        sa.Column("made_us", sa.BigInteger, nullable=False),
        sa.Column("expires_us", sa.BigInteger, nullable=True),
    )
    op.create_table(
        "vouchers",
        sa.Column("voucher_id", sa.String(40), primary_key=True),
        sa.Column("batch_id", sa.String(40), sa.ForeignKey("voucher_batches.batch_id"), nullable=False),
        sa.Column("code_hash", sa.LargeBinary(32), nullable=False, unique=True),
        sa.Column("hint", sa.String(8), nullable=False),
        sa.Column("redeemed_us", sa.BigInteger, nullable=True),
        sa.Column("redeemed_by", sa.String(64), nullable=True),
        sa.Column("revoked_us", sa.BigInteger, nullable=True),
    )
    op.create_index("ix_vouchers_batch_id", "vouchers", ["batch_id"])


def _topups() -> None:
    op.create_table(
        "topup_orders",
        sa.Column("order_id", sa.String(40), primary_key=True),
        sa.Column("tenant_id", sa.String(64), nullable=False),
        sa.Column("channel", sa.String(64), nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("amount_minor", sa.BigInteger, nullable=False),
        sa.Column("credit_nano_usd", sa.BigInteger, nullable=False),
        sa.Column("fx_day", sa.String(10), nullable=False),
        sa.Column("fx_source", sa.String(200), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("made_us", sa.BigInteger, nullable=False),
        sa.Column("expires_us", sa.BigInteger, nullable=False),
        sa.Column("paid_us", sa.BigInteger, nullable=True),
        sa.Column("payment_id", sa.String(255), nullable=True),
        sa.UniqueConstraint("channel", "payment_id", name="topup_orders_payment_once"),
    )
    op.create_index("ix_topup_orders_tenant_id", "topup_orders", ["tenant_id"])
    op.create_table(
        "topup_events",
        sa.Column("channel", sa.String(64), primary_key=True),
        sa.Column("event_id", sa.String(255), primary_key=True),
        sa.Column("outcome", sa.String(16), primary_key=True),
        sa.Column("order_id", sa.String(64), nullable=False),
        sa.Column("payment_id", sa.String(255), nullable=False),
        sa.Column("detail", sa.String(500), nullable=False),
        sa.Column("first_us", sa.BigInteger, nullable=False),
        sa.Column("last_us", sa.BigInteger, nullable=False),
        sa.Column("seen_count", sa.BigInteger, nullable=False),
    )
    op.create_index("topup_events_by_time", "topup_events", ["last_us"])
    op.create_table(
        "fx_quotes",
        sa.Column("day", sa.String(10), primary_key=True),
        sa.Column("base", sa.String(3), primary_key=True),
        sa.Column("quote", sa.String(3), primary_key=True),
        sa.Column("rate", sa.String(40), nullable=False),
        sa.Column("source", sa.String(200), nullable=False),
        sa.Column("set_us", sa.BigInteger, nullable=False),
    )


def _prices() -> None:
    op.create_table(
        "price_terms",
        sa.Column("term_id", sa.String(40), primary_key=True),
        sa.Column("price_group", sa.String(64), nullable=False),
        sa.Column("models", sa.String(200), nullable=False),
        sa.Column("margin_ppm", sa.BigInteger, nullable=False),
        sa.Column("price_json", sa.Text, nullable=True),
        sa.Column("valid_from_us", sa.BigInteger, nullable=False),
        sa.Column("valid_until_us", sa.BigInteger, nullable=True),
        sa.Column("made_us", sa.BigInteger, nullable=False),
        sa.Column("changed", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_price_terms_price_group", "price_terms", ["price_group"])
    op.create_index("ix_price_terms_changed", "price_terms", ["changed"])
    op.create_table(
        "price_members",
        sa.Column("tenant_id", sa.String(64), primary_key=True),
        sa.Column("since_us", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("price_group", sa.String(64), nullable=False),
        sa.Column("changed", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_price_members_changed", "price_members", ["changed"])


def _hooks() -> None:
    op.create_table(
        "balance_hooks",
        sa.Column("hook_id", sa.String(40), primary_key=True),
        sa.Column("tenant_id", sa.String(64), nullable=False),
        sa.Column("threshold_nano_usd", sa.BigInteger, nullable=False),
        sa.Column("url", sa.String(1000), nullable=False),
        sa.Column("is_below", sa.Boolean, nullable=False),
        sa.Column("crossings", sa.BigInteger, nullable=False),
        sa.Column("made_us", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_balance_hooks_tenant_id", "balance_hooks", ["tenant_id"])
    op.create_table(
        "hook_deliveries",
        sa.Column("hook_id", sa.String(40), sa.ForeignKey("balance_hooks.hook_id"), primary_key=True),
        sa.Column("crossing", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("made_us", sa.BigInteger, nullable=False),
        sa.Column("next_us", sa.BigInteger, nullable=True),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("delivered_us", sa.BigInteger, nullable=True),
        sa.Column("last_error", sa.String(200), nullable=False),
    )
    op.create_index("hook_deliveries_due", "hook_deliveries", ["next_us"])
