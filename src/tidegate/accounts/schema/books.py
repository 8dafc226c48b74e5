"""Tables of the books. Transactions and entries are only ever added to; balances and wallets follow from them.

All are written in one SQL transaction, together with the mark of what was settled, so that none can be ahead.
"""

import sqlalchemy as sa

from tidegate.accounts.schema.base import metadata

wallets = sa.Table(  # one a tenant that was ever booked; the row is locked while the tenant's chain grows
    "wallets",
    metadata,
    sa.Column("tenant_id", sa.String(64), primary_key=True),
    sa.Column("last_number", sa.BigInteger, nullable=False),  # of its newest transaction; 0 before the first
    sa.Column("last_digest", sa.String(64), nullable=False),  # "" before the first
    sa.Column("balance_nano_usd", sa.BigInteger, nullable=False),  # sum of its entries on the account `wallet`
    sa.Column("credits_nano_usd", sa.BigInteger, nullable=False),  # the part that is not usage
    sa.Column("overdraft_nano_usd", sa.BigInteger, nullable=False),
    sa.Column("mode", sa.String(8), nullable=False),  # `prepaid`, `postpaid`; "" until the first credit or word on it
    sa.Column("prepaid_since_us", sa.BigInteger, nullable=True),  # calls from then on count against its quota
    sa.Column("quota_id", sa.String(64), nullable=True),  # that quota; null where it is not prepaid
    sa.Column("before_nano_usd", sa.BigInteger, nullable=False),  # charged for calls before that
    sa.Column("opened_us", sa.BigInteger, nullable=False),
)

transactions = sa.Table(
    "transactions",
    metadata,
    sa.Column("tenant_id", sa.String(64), primary_key=True),
    sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),  # 1, 2, 3, ... a tenant
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("reference", sa.String(255), nullable=False),
    sa.Column("day", sa.String(10), nullable=False),
    sa.Column("booked_us", sa.BigInteger, nullable=False),
    sa.Column("memo", sa.String(500), nullable=False),
    sa.Column("ledger_id", sa.String(64), nullable=True),  # this and the next: of usage only
    sa.Column("segment_id", sa.String(128), nullable=True),
    sa.Column("first_seq", sa.BigInteger, nullable=True),
    sa.Column("last_seq", sa.BigInteger, nullable=True),
    sa.Column("row_count", sa.BigInteger, nullable=True),
    sa.Column("unmetered_count", sa.BigInteger, nullable=True),
    sa.Column("digest", sa.String(64), nullable=False),
    sa.UniqueConstraint("kind", "reference", name="transactions_once"),
    sa.Index("transactions_by_day", "tenant_id", "day"),
    sa.Index("transactions_by_segment", "segment_id"),
)

entries = sa.Table(
    "entries",
    metadata,
    sa.Column("tenant_id", sa.String(64), primary_key=True),
    sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("account", sa.String(24), primary_key=True),
    sa.Column("amount_nano_usd", sa.BigInteger, nullable=False),
    sa.ForeignKeyConstraint(["tenant_id", "number"], ["transactions.tenant_id", "transactions.number"]),
)

balances = sa.Table(  # movements a tenant, account and day
    "balances",
    metadata,
    sa.Column("tenant_id", sa.String(64), primary_key=True),
    sa.Column("account", sa.String(24), primary_key=True),
    sa.Column("day", sa.String(10), primary_key=True),
    sa.Column("amount_nano_usd", sa.BigInteger, nullable=False),
    sa.Column("entry_count", sa.BigInteger, nullable=False),
)

usage_days = sa.Table(  # what statements print by model; grows in the same transaction as the entries
    "usage_days",
    metadata,
    sa.Column("tenant_id", sa.String(64), primary_key=True),
    sa.Column("day", sa.String(10), primary_key=True),
    sa.Column("model", sa.String(255), primary_key=True),  # as served, else as asked; "" where neither is known
    sa.Column("calls", sa.BigInteger, nullable=False),
    sa.Column("unmetered_calls", sa.BigInteger, nullable=False),
    sa.Column("input_tokens", sa.BigInteger, nullable=False),
    sa.Column("cached_tokens", sa.BigInteger, nullable=False),  # part of input: read from the provider's cache
    sa.Column("output_tokens", sa.BigInteger, nullable=False),
    sa.Column("charged_nano_usd", sa.BigInteger, nullable=False),
)

settled_segments = sa.Table(  # the mark: a segment is here once its entries are
    "settled_segments",
    metadata,
    sa.Column("segment_id", sa.String(128), primary_key=True),
    sa.Column("ledger_id", sa.String(64), nullable=False),
    sa.Column("manifest_number", sa.BigInteger, nullable=False),
    sa.Column("row_count", sa.BigInteger, nullable=False),
    sa.Column("settled_us", sa.BigInteger, nullable=False),
    sa.Index("settled_segments_by_ledger", "ledger_id", "manifest_number"),
)

ledgers = sa.Table(  # every ledger that settles here
    "ledgers",
    metadata,
    sa.Column("ledger_id", sa.String(64), primary_key=True),
    sa.Column("settled_through", sa.BigInteger, nullable=False),  # manifest entries up to this one are all settled
)
