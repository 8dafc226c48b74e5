"""Wallets and the entries that balance them."""

revision, down_revision = "0004", "0003"


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
