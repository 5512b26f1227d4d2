"""The twelve tables of the application, and the schemas `editorial`, `ops` and `private` beside them.

`Base.metadata.create_all` and the migrations make the same catalog; a test compares them.
"""

from subjunctive_admin.models.base import EDITORIAL, ENUMS, OPS, PRIVATE, SCHEMAS, Base
from subjunctive_admin.models.content import Achievement, Exercise, Scenario, SpanishVerb, SystemConfiguration
from subjunctive_admin.models.editorial import Dismissal, Draft, Finding, Operation, Revision, SeedBase
from subjunctive_admin.models.learners import (
    PracticeAttempt,
    PracticeItem,
    StudySession,
    User,
    UserAchievement,
    UserProgress,
    UserProgressSummary,
)
from subjunctive_admin.models.ops import Instance, LearnerKey, PoolSample

TWELVE_TABLES: tuple[str, ...] = (
    "users",
    "spanish_verbs",
    "scenarios",
    "exercises",
    "practice_items",
    "user_progress",
    "study_sessions",
    "practice_attempts",
    "achievements",
    "user_achievements",
    "user_progress_summary",
    "system_configuration",
)
"""The tables of schema public, in the order of the data model."""

__all__ = [
    "EDITORIAL",
    "ENUMS",
    "OPS",
    "PRIVATE",
    "SCHEMAS",
    "TWELVE_TABLES",
    "Achievement",
    "Base",
    "Dismissal",
    "Draft",
    "Exercise",
    "Finding",
    "Instance",
    "LearnerKey",
    "Operation",
    "PoolSample",
    "PracticeAttempt",
    "PracticeItem",
    "Revision",
    "Scenario",
    "SeedBase",
    "SpanishVerb",
    "StudySession",
    "SystemConfiguration",
    "User",
    "UserAchievement",
    "UserProgress",
    "UserProgressSummary",
]
