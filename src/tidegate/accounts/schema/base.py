"""What all tables share: one `metadata`, and the column types that both engines have."""

import sqlalchemy as sa

metadata = sa.MetaData()

Amount = sa.BigInteger()
"""Nano-USD, tokens, requests, microseconds: 64 bits; 2^63 nano-USD are 9.2 billion USD."""

RowId = sa.BigInteger().with_variant(sa.Integer, "sqlite")
"""A primary key that counts up by itself: SQLite does that for its `INTEGER` alone."""
