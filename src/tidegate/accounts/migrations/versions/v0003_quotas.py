"""Quotas, their windows, and what each worker holds of them."""

revision, down_revision = "0003", "0002"


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
