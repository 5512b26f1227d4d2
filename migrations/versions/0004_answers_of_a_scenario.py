"""A learner's answers in one scenario are found by its exercises, however many answers there are elsewhere."""

from __future__ import annotations

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_practice_attempts_exercise_id_user_id", "practice_attempts", ["exercise_id", "user_id"])
    op.drop_index("ix_practice_attempts_exercise_id_attempted_at", "practice_attempts")


def downgrade() -> None:
    op.create_index(
        "ix_practice_attempts_exercise_id_attempted_at", "practice_attempts", ["exercise_id", "attempted_at"]
    )
    op.drop_index("ix_practice_attempts_exercise_id_user_id", "practice_attempts")
