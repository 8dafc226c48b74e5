"""Quotas, their windows, and what each worker holds of them."""

import sqlalchemy as sa

from tidegate.accounts.schema.base import Amount, metadata

quotas = sa.Table(
    "quotas",
    metadata,
    sa.Column("quota_id", sa.String(64), primary_key=True),
    sa.Column("tenant_id", sa.String(64), nullable=False),
    sa.Column("scope", sa.String(16), nullable=False),
    sa.Column("subject", sa.String(256), nullable=False),  # `*`: each one of its own
    sa.Column("unit", sa.String(16), nullable=False),
    sa.Column("window", sa.String(16), nullable=False),
    sa.Column("limit", Amount, nullable=False),
    sa.Column("is_rolling", sa.Boolean, nullable=False),
    sa.Column("timezone", sa.String(64), nullable=False),
    sa.Column("is_wallet", sa.Boolean, nullable=False),
    sa.Column("name", sa.String(128), nullable=False),
    sa.Column("removed_us", Amount, nullable=True),  # workers may hold slices still; nobody sees it any more
    sa.Column("changed", Amount, nullable=False),  # the version of the accounts that changed the row last
    sa.Index("quotas_by_tenant", "tenant_id"),
    sa.Index("quotas_by_change", "changed"),
)

windows = sa.Table(
    "quota_windows",
    metadata,
    sa.Column("quota_id", sa.String(64), primary_key=True),
    sa.Column("subject", sa.String(256), primary_key=True),
    sa.Column("start_us", Amount, primary_key=True),  # 0: lifetime, or rolling
    sa.Column("end_us", Amount, nullable=True),  # of no use after it; null: never ends
    sa.Column("held", Amount, nullable=False),  # granted to workers and not returned: what they spent is in it
    sa.Column("unspent", Amount, nullable=False),  # the part that workers had not spent by their last word
    sa.Column("wanted_us", Amount, nullable=False),  # when a call was last refused a slice; 0: never
    sa.Column("lots", sa.Text, nullable=False),  # of a rolling window: [[step, amount], ...] of `held`
    sa.Index("quota_windows_by_end", "end_us"),
)

workers = sa.Table(
    "quota_workers",
    metadata,
    sa.Column("worker_id", sa.String(96), primary_key=True),  # the id of the first journal segment of this life
    sa.Column("gateway_id", sa.String(64), nullable=False),
    sa.Column("entered_us", Amount, nullable=False),
    sa.Column("seen_us", Amount, nullable=False),
    sa.Column("ended_us", Amount, nullable=True),  # its lease ended: what it held of rates was released
    sa.Column("left_us", Amount, nullable=True),  # it said its last word: what it had not spent was released
    sa.Column("settled_us", Amount, nullable=True),  # what it holds of money is what the ledger says it spent
    sa.Index("quota_workers_by_seen", "seen_us"),
)

holdings = sa.Table(
    "quota_holdings",
    metadata,
    sa.Column("worker_id", sa.String(96), primary_key=True),
    sa.Column("quota_id", sa.String(64), primary_key=True),
    sa.Column("subject", sa.String(256), primary_key=True),
    sa.Column("start_us", Amount, primary_key=True),
    sa.Column("is_money", sa.Boolean, nullable=False),
    sa.Column("granted", Amount, nullable=False),  # totals of this worker's life
    sa.Column("returned", Amount, nullable=False),
    sa.Column("spent", Amount, nullable=False),
    sa.Column("lots", sa.Text, nullable=False),
    sa.Index("quota_holdings_by_window", "quota_id", "subject", "start_us"),
)
