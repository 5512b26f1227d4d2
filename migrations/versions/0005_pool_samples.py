"""A sample of a pool says which pool, what it may grow to, who waits, and what was replaced."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

COUNTS = (
    "max_overflow",
    "idle",
    "pending",
    "checkouts",
    "connects",
    "reconnects",
    "invalidations",
    "recycles",
    "suspects",
)
SECONDS = ("interval_s", "oldest_s")


def upgrade() -> None:
    columns: list[sa.Column[Any]] = [
        sa.Column("pool", sa.String(length=5), server_default=sa.text("'sync'"), nullable=False),
        *[sa.Column(name, sa.Integer(), server_default=sa.text("0"), nullable=False) for name in COUNTS],
        *[sa.Column(name, sa.Double(), server_default=sa.text("0"), nullable=False) for name in SECONDS],
    ]
    for column in columns:
        op.add_column("pool_samples", column, schema="ops")
    # A list of values is written otherwise by a restored server than by the one it was made on; a pattern is not.
    op.create_check_constraint("pool", "pool_samples", "pool ~ '^(sync|async)$'", schema="ops")


def downgrade() -> None:
    op.drop_constraint("pool", "pool_samples", type_="check", schema="ops")
    for name in ("pool", *COUNTS, *SECONDS):
        op.drop_column("pool_samples", name, schema="ops")
