"""Who practises, and everything that is recorded or derived from their practice."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import BigInteger, Date, Double, ForeignKey, ForeignKeyConstraint, Index, String, func, text
from sqlalchemy.orm import Mapped, mapped_column, relationship
from sqlalchemy.types import UserDefinedType

from subjunctive_admin.models.base import Base, count, no, now, short, structure, uuid_key, words, yes, zero
from subjunctive_admin.models.content import Achievement, Exercise, Scenario, SpanishVerb, unique
from subjunctive_admin.models.rules import Pattern, Range, Rule, TimeZone, check, checks
from subjunctive_admin.vocabulary import (
    DifficultyLevel,
    ErrorKind,
    Person,
    PracticeCategory,
    ProgressStatus,
    Scheduler,
    SessionType,
    Tense,
    TriggerClass,
    Verdict,
)

_MAX_INTERVAL_DAYS = 36_500
_MAX_RESPONSE_MS = 3_600_000
# An upper limit is what keeps NaN and Infinity out: PostgreSQL sorts both above every number.
_MAX_QUANTITY = 1_000_000_000


class Xid8(UserDefinedType[int]):
    """PostgreSQL's 64-bit transaction id, the watermark that no late commit slips under."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        return "xid8"


class User(Base):
    """A learner, editor or administrator of the application."""

    __tablename__ = "users"
    RULES: ClassVar[tuple[Rule, ...]] = (
        Pattern("username", r"^[A-Za-z0-9_-]{3,50}$", "has 3 to 50 letters, digits, underscores or hyphens"),
        Pattern("email", r"^[^@\s]+@[^@\s]+\.[^@\s]+$", "is an e-mail address"),
        Pattern("hashed_password", r"^.{20,}$", "is a password hash, never a password"),
        Range("daily_goal_minutes", 1, 1440),
        Pattern(
            "timezone",
            r"^(UTC|[A-Z][A-Za-z_]+(/[A-Z][A-Za-z_-]*){1,2})$",
            "is UTC or Area/City, such as Europe/Madrid",
        ),
        TimeZone("timezone"),
    )
    __table_args__ = (
        *checks(RULES),
        unique("uq_users_username", text("lower(username)"), said="there is already a user with this username"),
        unique("uq_users_email", text("lower(email)"), said="there is already a user with this e-mail address"),
    )

    id: Mapped[uuid_key]
    username: Mapped[short]
    email: Mapped[str] = mapped_column(String(255))
    hashed_password: Mapped[str] = mapped_column(String(255))
    first_name: Mapped[str | None] = mapped_column(String(50))
    last_name: Mapped[str | None] = mapped_column(String(50))
    avatar_url: Mapped[str | None] = mapped_column(String(500))
    bio: Mapped[str | None] = mapped_column(String(500))
    is_active: Mapped[yes]
    is_superuser: Mapped[no]
    is_verified: Mapped[no]
    is_premium: Mapped[no]
    language_preference: Mapped[str] = mapped_column(String(10), server_default=text("'en'"))
    difficulty_preference: Mapped[DifficultyLevel] = mapped_column(server_default=text("'intermediate'"))
    daily_goal_minutes: Mapped[int] = mapped_column(server_default=text("30"))
    timezone: Mapped[str] = mapped_column(String(64), server_default=text("'UTC'"))
    created_at: Mapped[now]
    updated_at: Mapped[now]
    last_login: Mapped[datetime | None]

    summary: Mapped[UserProgressSummary | None] = relationship(lazy="raise_on_sql", passive_deletes=True)


class PracticeItem(Base):
    """One learner's schedule for one verb, tense, person and category."""

    __tablename__ = "practice_items"
    RULES: ClassVar[tuple[Rule, ...]] = (
        Range("attempts", 0),
        Range("correct_attempts", 0),
        Range("current_interval", 0, _MAX_INTERVAL_DAYS),
        Range("ease_factor", 1.3, 4.0),
        Range("average_response_time", 0, _MAX_RESPONSE_MS),
        Range("mastery_level", 0, 1),
        Range("repetitions", 0),
        Range("lapses", 0),
        Range("memory_stability", 0, _MAX_QUANTITY, above=True),
        Range("memory_difficulty", 1, 10),
    )
    __table_args__ = (
        *checks(RULES),
        check("correct_attempts <= attempts", "correct", "correct_attempts is at most attempts"),
        unique("uq_practice_items_id_user_id", "id", "user_id", said="a practice item belongs to one user"),
        unique(
            "uq_practice_items_skill",
            "user_id",
            "verb_id",
            "tense",
            "person",
            "category",
            said="the learner already has a schedule for this verb, tense, person and category",
        ),
        Index("ix_practice_items_user_id_next_review_date", "user_id", "next_review_date"),
        Index("ix_practice_items_verb_id", "verb_id"),
    )

    id: Mapped[uuid_key]
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    verb_id: Mapped[int] = mapped_column(ForeignKey("spanish_verbs.id", ondelete="RESTRICT"))
    tense: Mapped[Tense]
    person: Mapped[Person]
    category: Mapped[PracticeCategory]
    trigger_phrase: Mapped[str | None]
    attempts: Mapped[count]
    correct_attempts: Mapped[count]
    scheduler: Mapped[Scheduler] = mapped_column(server_default=text("'fsrs'"))
    current_interval: Mapped[count]
    ease_factor: Mapped[float] = mapped_column(Double, server_default=text("2.5"))
    repetitions: Mapped[count]
    lapses: Mapped[count]
    memory_stability: Mapped[float | None]
    memory_difficulty: Mapped[float | None]
    next_review_date: Mapped[datetime | None]
    last_reviewed: Mapped[datetime | None]
    average_response_time: Mapped[float | None]
    mastery_level: Mapped[zero]
    error_patterns: Mapped[structure]
    strengths: Mapped[words]
    refreshed_at: Mapped[datetime | None]
    created_at: Mapped[now]
    updated_at: Mapped[now]

    verb: Mapped[SpanishVerb] = relationship(lazy="raise_on_sql")


class UserProgress(Base):
    """How far one learner is with one scenario.

    `completed_at` is when the last missing answer was given, `completion_known_at` when it was recorded: an
    offline device may bring it days later.
    """

    __tablename__ = "user_progress"
    RULES: ClassVar[tuple[Rule, ...]] = (
        Range("completion", 0, 1),
        Range("best_score", 0, 1),
        Range("attempts", 0),
    )
    __table_args__ = (
        *checks(RULES),
        check(
            "(progress_status = 'completed') = (completed_at IS NOT NULL)",
            "completed",
            "completed_at is set exactly when progress_status is completed",
        ),
        check("completed_at >= started_at", "order", "completed_at is not before started_at"),
        unique(
            "uq_user_progress_user_id_scenario_id", "user_id", "scenario_id", said="one row per learner and scenario"
        ),
        Index("ix_user_progress_scenario_id", "scenario_id"),
    )

    id: Mapped[uuid_key]
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    scenario_id: Mapped[UUID] = mapped_column(ForeignKey("scenarios.id", ondelete="RESTRICT"))
    progress_status: Mapped[ProgressStatus] = mapped_column(server_default=text("'not_started'"))
    completion: Mapped[zero]
    best_score: Mapped[float | None]
    attempts: Mapped[count]
    started_at: Mapped[datetime | None]
    completed_at: Mapped[datetime | None]
    completion_known_at: Mapped[datetime | None]
    last_activity_at: Mapped[datetime | None]
    refreshed_at: Mapped[datetime | None]

    scenario: Mapped[Scenario] = relationship(lazy="raise_on_sql")


class StudySession(Base):
    """One sitting of one learner; open while `completed_at` is null.

    `started_on` and `daily_goal_minutes` are what the learner's zone and goal made of the start: changing
    either later rewrites no past day.
    """

    __tablename__ = "study_sessions"
    RULES: ClassVar[tuple[Rule, ...]] = (
        Range("total_time_seconds", 0),
        Range("total_score", 0, _MAX_QUANTITY),
        Range("total_possible_score", 0, _MAX_QUANTITY),
        Range("exercises_completed", 0),
        Range("streak_day", 0),
        Range("daily_goal_minutes", 1, 1440),
    )
    __table_args__ = (
        *checks(RULES),
        check("completed_at >= started_at", "order", "a session does not end before it starts"),
        check(
            "started_on BETWEEN (started_at AT TIME ZONE 'UTC')::date - 1 AND (started_at AT TIME ZONE 'UTC')::date + 1",
            "started_on",
            "started_on lies within a day of started_at in UTC",
        ),
        check("total_score <= total_possible_score", "score", "total_score is at most total_possible_score"),
        unique("uq_study_sessions_id_user_id", "id", "user_id", said="a session belongs to one user"),
        Index("ix_study_sessions_user_id_started_at", "user_id", "started_at"),
    )

    id: Mapped[uuid_key]
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    session_type: Mapped[SessionType] = mapped_column(server_default=text("'practice'"))
    difficulty_level: Mapped[DifficultyLevel | None]
    started_at: Mapped[datetime]
    started_on: Mapped[date] = mapped_column(Date)
    daily_goal_minutes: Mapped[int] = mapped_column(server_default=text("30"))
    completed_at: Mapped[datetime | None]
    total_time_seconds: Mapped[count]
    total_score: Mapped[zero]
    total_possible_score: Mapped[zero]
    exercises_completed: Mapped[count]
    daily_goal_met: Mapped[no]
    streak_day: Mapped[count]
    achievements_unlocked: Mapped[words]
    concepts_practiced: Mapped[words]
    weak_areas_identified: Mapped[words]
    refreshed_at: Mapped[datetime | None]

    attempts: Mapped[list[PracticeAttempt]] = relationship(
        lazy="raise_on_sql",
        order_by="PracticeAttempt.attempted_at",
        viewonly=True,
        primaryjoin="StudySession.id == foreign(PracticeAttempt.session_id)",
    )


class PracticeAttempt(Base):
    """One answer, with a snapshot of what was asked: editing content never rewrites history."""

    __tablename__ = "practice_attempts"
    RULES: ClassVar[tuple[Rule, ...]] = (
        Range("exercise_revision", 1),
        Range("rating", 1, 4),
        Range("response_time_ms", 0, _MAX_RESPONSE_MS),
        Range("hints_used", 0),
        Range("confidence", 1, 5),
        Range("interval_before", 0, _MAX_INTERVAL_DAYS),
        Range("interval_after", 0, _MAX_INTERVAL_DAYS),
        Range("ease_before", 1.3, 4.0),
        Range("ease_after", 1.3, 4.0),
        Range("stability_before", 0, _MAX_QUANTITY, above=True),
        Range("stability_after", 0, _MAX_QUANTITY, above=True),
    )
    __table_args__ = (
        *checks(RULES),
        check(
            "(verdict IN ('correct', 'accepted')) = (error_kind IS NULL)",
            "error_kind",
            "an error_kind is given exactly when the verdict is wrong or accent_only",
        ),
        check("verdict <> 'accent_only' OR error_kind = 'accent'", "accent", "the error_kind of accent_only is accent"),
        check(
            "verdict = 'accent_only' OR is_correct = (verdict <> 'wrong')",
            "is_correct",
            "is_correct agrees with the verdict",
        ),
        check(
            "practised_on BETWEEN (attempted_at AT TIME ZONE 'UTC')::date - 1"
            " AND (attempted_at AT TIME ZONE 'UTC')::date + 1",
            "practised_on",
            "practised_on lies within a day of attempted_at in UTC",
        ),
        check(
            "person IS NOT NULL OR practice_item_id IS NULL",
            "item_has_person",
            "an attempt without a person has no practice item",
        ),
        ForeignKeyConstraint(
            ["session_id", "user_id"], ["study_sessions.id", "study_sessions.user_id"], ondelete="CASCADE"
        ),
        ForeignKeyConstraint(
            ["practice_item_id", "user_id"],
            ["practice_items.id", "practice_items.user_id"],
            ondelete="SET NULL (practice_item_id)",
        ),
        Index("ix_practice_attempts_user_id_attempted_at", "user_id", "attempted_at"),
        Index("ix_practice_attempts_exercise_id_user_id", "exercise_id", "user_id"),
        Index("ix_practice_attempts_session_id_user_id", "session_id", "user_id"),
        Index("ix_practice_attempts_practice_item_id_user_id", "practice_item_id", "user_id"),
        Index("ix_practice_attempts_verb_id", "verb_id"),
        Index("ix_practice_attempts_recorded_xid", "recorded_xid"),
        Index("ix_practice_attempts_attempted_at", "attempted_at", postgresql_using="brin"),
    )

    id: Mapped[uuid_key]
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    session_id: Mapped[UUID]
    practice_item_id: Mapped[UUID | None]
    exercise_id: Mapped[UUID] = mapped_column(ForeignKey("exercises.id", ondelete="RESTRICT"))
    exercise_revision: Mapped[int]
    verb_id: Mapped[int] = mapped_column(ForeignKey("spanish_verbs.id", ondelete="RESTRICT"))
    tense: Mapped[Tense]
    person: Mapped[Person | None]
    trigger_class: Mapped[TriggerClass | None]
    expected_answer: Mapped[str]
    user_answer: Mapped[str] = mapped_column(String(500))
    verdict: Mapped[Verdict]
    is_correct: Mapped[bool]
    error_kind: Mapped[ErrorKind | None]
    produced_tense: Mapped[Tense | None]
    produced_person: Mapped[Person | None]
    rating: Mapped[int | None]
    response_time_ms: Mapped[int]
    hints_used: Mapped[count]
    confidence: Mapped[int | None]
    interval_before: Mapped[int | None]
    interval_after: Mapped[int | None]
    ease_before: Mapped[float | None]
    ease_after: Mapped[float | None]
    stability_before: Mapped[float | None]
    stability_after: Mapped[float | None]
    attempted_at: Mapped[datetime]
    recorded_at: Mapped[now]
    practised_on: Mapped[date] = mapped_column(Date)
    recorded_xid: Mapped[int] = mapped_column(Xid8, server_default=func.pg_current_xact_id())

    exercise: Mapped[Exercise] = relationship(lazy="raise_on_sql")


class UserAchievement(Base):
    """Progress towards an award, kept before it is unlocked; an award once given is history."""

    __tablename__ = "user_achievements"
    RULES: ClassVar[tuple[Rule, ...]] = (Range("progress", 0, 1), Range("current_value", 0, _MAX_QUANTITY))
    __table_args__ = (
        *checks(RULES),
        unique(
            "uq_user_achievements_user_id_achievement_id",
            "user_id",
            "achievement_id",
            said="the learner already has this achievement",
        ),
        Index("ix_user_achievements_achievement_id", "achievement_id"),
    )

    id: Mapped[uuid_key]
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    achievement_id: Mapped[int] = mapped_column(ForeignKey("achievements.id", ondelete="RESTRICT"))
    progress: Mapped[zero]
    current_value: Mapped[zero]
    unlocked_at: Mapped[datetime | None]
    refreshed_at: Mapped[datetime | None]

    achievement: Mapped[Achievement] = relationship(lazy="raise_on_sql")


class UserProgressSummary(Base):
    """One learner's totals, derived from attempts and sessions as of `refreshed_at`.

    `refreshed_on` is the learner's local day at that time, which the current streak is counted back from.
    """

    __tablename__ = "user_progress_summary"
    RULES: ClassVar[tuple[Rule, ...]] = (
        *(
            Range(name, 0)
            for name in (
                "total_attempts",
                "correct_attempts",
                "total_time_seconds",
                "sessions",
                "items_mastered",
                "items_learning",
                "current_streak",
                "longest_streak",
                "total_points",
            )
        ),
        Range("accuracy", 0, 1),
    )
    __table_args__ = (
        *checks(RULES),
        check("correct_attempts <= total_attempts", "correct", "correct_attempts is at most total_attempts"),
        unique("uq_user_progress_summary_user_id", "user_id", said="the learner already has a summary"),
    )

    id: Mapped[uuid_key]
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    total_attempts: Mapped[count]
    correct_attempts: Mapped[count]
    accuracy: Mapped[float | None]
    total_time_seconds: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    sessions: Mapped[count]
    items_mastered: Mapped[count]
    items_learning: Mapped[count]
    current_streak: Mapped[count]
    longest_streak: Mapped[count]
    total_points: Mapped[count]
    last_practised_on: Mapped[date | None] = mapped_column(Date)
    refreshed_at: Mapped[datetime | None]
    refreshed_on: Mapped[date | None] = mapped_column(Date)
