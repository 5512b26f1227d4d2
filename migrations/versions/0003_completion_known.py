"""When the system knew that a scenario was completed: later than it was, where an answer came in late."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("user_progress", sa.Column("completion_known_at", sa.DateTime(timezone=True), nullable=True))
    # The stored value was written by a refresh, which knew of it by then.
    op.execute(
        "UPDATE user_progress SET completion_known_at = greatest(completed_at, refreshed_at)"
        " WHERE completed_at IS NOT NULL"
    )


def downgrade() -> None:
    op.drop_column("user_progress", "completion_known_at")
