"""The local day and the goal that a session started under, and the day a summary was made on."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("study_sessions", sa.Column("started_on", sa.Date(), nullable=True))
    op.add_column(
        "study_sessions",
        sa.Column("daily_goal_minutes", sa.Integer(), server_default=sa.text("30"), nullable=False),
    )
    # What is known of past sessions: today's zone and goal of their learner.
    op.execute(
        "UPDATE study_sessions s SET started_on = (s.started_at AT TIME ZONE u.timezone)::date,"
        " daily_goal_minutes = u.daily_goal_minutes FROM users u WHERE u.id = s.user_id"
    )
    op.alter_column("study_sessions", "started_on", nullable=False)
    op.create_check_constraint(
        op.f("ck_study_sessions_started_on"),
        "study_sessions",
        "started_on BETWEEN (started_at AT TIME ZONE 'UTC')::date - 1 AND (started_at AT TIME ZONE 'UTC')::date + 1",
    )
    op.create_check_constraint(
        op.f("ck_study_sessions_daily_goal_minutes"),
        "study_sessions",
        "daily_goal_minutes >= 1 AND daily_goal_minutes <= 1440",
    )
    op.add_column("user_progress_summary", sa.Column("refreshed_on", sa.Date(), nullable=True))
    op.execute(
        "UPDATE user_progress_summary s SET refreshed_on = (s.refreshed_at AT TIME ZONE u.timezone)::date"
        " FROM users u WHERE u.id = s.user_id"
    )


def downgrade() -> None:
    op.drop_column("user_progress_summary", "refreshed_on")
    op.drop_column("study_sessions", "daily_goal_minutes")
    op.drop_column("study_sessions", "started_on")
