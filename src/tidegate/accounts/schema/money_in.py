"""Vouchers, top-ups, exchange rates, price groups, and whom to tell of a low balance."""

import sqlalchemy as sa

from tidegate.accounts.schema.base import metadata

voucher_batches = sa.Table(
    "voucher_batches",
    metadata,
    sa.Column("batch_id", sa.String(40), primary_key=True),
    sa.Column("name", sa.String(128), nullable=False),
    sa.Column("currency", sa.String(3), nullable=False),  # what is printed on them
    sa.Column("face_minor", sa.BigInteger, nullable=False),  # in the currency's smallest unit
    sa.Column("amount_nano_usd", sa.BigInteger, nullable=False),  # what each one credits
    sa.Column("tenant_id", sa.String(64), nullable=True),  # the only one who may redeem them
    sa.Column("made_us", sa.BigInteger, nullable=False),
    sa.Column("expires_us", sa.BigInteger, nullable=True),
)

vouchers = sa.Table(
    "vouchers",
    metadata,
    sa.Column("voucher_id", sa.String(40), primary_key=True),
    sa.Column("batch_id", sa.String(40), sa.ForeignKey("voucher_batches.batch_id"), nullable=False, index=True),
    sa.Column("code_hash", sa.LargeBinary(32), nullable=False, unique=True),
    sa.Column("hint", sa.String(8), nullable=False),  # last characters of the code
    sa.Column("redeemed_us", sa.BigInteger, nullable=True),
    sa.Column("redeemed_by", sa.String(64), nullable=True),  # tenant
    sa.Column("revoked_us", sa.BigInteger, nullable=True),
)

topup_orders = sa.Table(
    "topup_orders",
    metadata,
    sa.Column("order_id", sa.String(40), primary_key=True),
    sa.Column("tenant_id", sa.String(64), nullable=False, index=True),
    sa.Column("channel", sa.String(64), nullable=False),
    sa.Column("currency", sa.String(3), nullable=False),
    sa.Column("amount_minor", sa.BigInteger, nullable=False),
    sa.Column("credit_nano_usd", sa.BigInteger, nullable=False),  # settled when the order was made
    sa.Column("fx_day", sa.String(10), nullable=False),  # "" for USD
    sa.Column("fx_source", sa.String(200), nullable=False),
    sa.Column("state", sa.String(16), nullable=False),  # `pending`, `paid`, `cancelled`
    sa.Column("made_us", sa.BigInteger, nullable=False),
    sa.Column("expires_us", sa.BigInteger, nullable=False),
    sa.Column("paid_us", sa.BigInteger, nullable=True),
    sa.Column("payment_id", sa.String(255), nullable=True),  # the payment provider's
    sa.UniqueConstraint("channel", "payment_id", name="topup_orders_payment_once"),
)

topup_events = sa.Table(  # what signed callbacks came to; unsigned ones are never kept
    "topup_events",
    metadata,
    sa.Column("channel", sa.String(64), primary_key=True),
    sa.Column("event_id", sa.String(255), primary_key=True),
    sa.Column("outcome", sa.String(16), primary_key=True),
    sa.Column("order_id", sa.String(64), nullable=False),  # as the callback names it; "" where it names none
    sa.Column("payment_id", sa.String(255), nullable=False),
    sa.Column("detail", sa.String(500), nullable=False),
    sa.Column("first_us", sa.BigInteger, nullable=False),
    sa.Column("last_us", sa.BigInteger, nullable=False),
    sa.Column("seen_count", sa.BigInteger, nullable=False),
    sa.Index("topup_events_by_time", "last_us"),
)

fx_quotes = sa.Table(  # the operator's own; those that come with the program are in data/fx.csv
    "fx_quotes",
    metadata,
    sa.Column("day", sa.String(10), primary_key=True),
    sa.Column("base", sa.String(3), primary_key=True),
    sa.Column("quote", sa.String(3), primary_key=True),
    sa.Column("rate", sa.String(40), nullable=False),  # decimal text, as given
    sa.Column("source", sa.String(200), nullable=False),
    sa.Column("set_us", sa.BigInteger, nullable=False),
)

price_terms = sa.Table(
    "price_terms",
    metadata,
    sa.Column("term_id", sa.String(40), primary_key=True),
    sa.Column("price_group", sa.String(64), nullable=False, index=True),
    sa.Column("models", sa.String(200), nullable=False),
    sa.Column("margin_ppm", sa.BigInteger, nullable=False),
    sa.Column("price_json", sa.Text, nullable=True),  # core/price.py `Price`; null: the margin counts
    sa.Column("valid_from_us", sa.BigInteger, nullable=False),
    sa.Column("valid_until_us", sa.BigInteger, nullable=True),
    sa.Column("made_us", sa.BigInteger, nullable=False),
    sa.Column("changed", sa.BigInteger, nullable=False, index=True),  # the version that changed the row last
)

price_members = sa.Table(
    "price_members",
    metadata,
    sa.Column("tenant_id", sa.String(64), primary_key=True),
    sa.Column("since_us", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("price_group", sa.String(64), nullable=False),  # "": none from then on
    sa.Column("changed", sa.BigInteger, nullable=False, index=True),
)

balance_hooks = sa.Table(
    "balance_hooks",
    metadata,
    sa.Column("hook_id", sa.String(40), primary_key=True),
    sa.Column("tenant_id", sa.String(64), nullable=False, index=True),
    sa.Column("threshold_nano_usd", sa.BigInteger, nullable=False),
    sa.Column("url", sa.String(1000), nullable=False),
    sa.Column("is_below", sa.Boolean, nullable=False),  # told, and not above it since
    sa.Column("crossings", sa.BigInteger, nullable=False),
    sa.Column("made_us", sa.BigInteger, nullable=False),
)

hook_deliveries = sa.Table(
    "hook_deliveries",
    metadata,
    sa.Column("hook_id", sa.String(40), sa.ForeignKey("balance_hooks.hook_id"), primary_key=True),
    sa.Column("crossing", sa.BigInteger, primary_key=True, autoincrement=False),  # 1, 2, 3, ... a hook
    sa.Column("body", sa.Text, nullable=False),
    sa.Column("made_us", sa.BigInteger, nullable=False),
    sa.Column("next_us", sa.BigInteger, nullable=True),  # null: delivered, or given up
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("delivered_us", sa.BigInteger, nullable=True),
    sa.Column("last_error", sa.String(200), nullable=False),
    sa.Index("hook_deliveries_due", "next_us"),
)
