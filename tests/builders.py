"""Rows that every rule accepts; a test names only what it is about."""

from __future__ import annotations

import itertools
from datetime import UTC, date, datetime
from typing import Any, TypeVar

from sqlalchemy.orm import Session

from subjunctive_admin.models import (
    Achievement,
    Base,
    Exercise,
    PoolSample,
    PracticeAttempt,
    PracticeItem,
    Scenario,
    SpanishVerb,
    StudySession,
    SystemConfiguration,
    User,
    UserAchievement,
    UserProgress,
    UserProgressSummary,
)
from subjunctive_admin.vocabulary import (
    AchievementCategory,
    CefrLevel,
    ConjugationClass,
    DifficultyLevel,
    ExerciseType,
    Person,
    PracticeCategory,
    ScenarioContext,
    Tense,
    Tier,
    ValueType,
    VerbType,
    Verdict,
)

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
_numbers = itertools.count(1)
Row = TypeVar("Row", bound=Base)


def _flushed(session: Session, row: Row) -> Row:
    session.add(row)
    session.flush()
    return row


def _letters(number: int) -> str:
    """A number in letters: infinitives have no digits."""
    return "".join("abcdefghij"[int(digit)] for digit in str(number))


def make_user(session: Session, **given: Any) -> User:
    name = f"learner{next(_numbers)}"
    columns = {"username": name, "email": f"{name}@example.org", "hashed_password": "$argon2id$" + "x" * 40}
    return _flushed(session, User(**(columns | given)))


def make_verb(session: Session, **given: Any) -> SpanishVerb:
    columns = {
        "infinitive": f"habl{_letters(next(_numbers))}ar",
        "english_translation": "to speak",
        "verb_type": VerbType.REGULAR,
        "conjugation_class": ConjugationClass.AR,
        "difficulty_level": DifficultyLevel.BEGINNER,
        "gerund": "hablando",
        "past_participle": "hablado",
        "conjugations": {"present_subjunctive": {"yo": ["hable"]}},
    }
    return _flushed(session, SpanishVerb(**(columns | given)))


def make_scenario(session: Session, **given: Any) -> Scenario:
    columns = {
        "slug": f"scenario-{next(_numbers)}",
        "title": "Una cena",
        "description": "Dinner with the family",
        "context": ScenarioContext.SOCIAL,
        "difficulty_level": DifficultyLevel.BEGINNER,
        "cefr_level": CefrLevel.B1,
        "estimated_minutes": 10,
    }
    return _flushed(session, Scenario(**(columns | given)))


def make_exercise(session: Session, **given: Any) -> Exercise:
    """In a new scenario and of a new verb unless `scenario_id` and `verb_id` say otherwise."""
    number = next(_numbers)
    columns = {
        "scenario_id": given.get("scenario_id") or make_scenario(session).id,
        "slug": f"exercise-{number}",
        "verb_id": given.get("verb_id") or make_verb(session).id,
        "exercise_type": ExerciseType.FILL_BLANK,
        "tense": Tense.PRESENT_SUBJUNCTIVE,
        "person": Person.YO,
        "difficulty_level": DifficultyLevel.BEGINNER,
        "prompt": f"Quiere que yo ___ con ella {number} veces. (hablar)",
        "correct_answer": "hable",
        "accepted_answers": ["hable"],
    }
    return _flushed(session, Exercise(**(columns | given)))


def make_item(session: Session, **given: Any) -> PracticeItem:
    """Of a new user and a new verb unless `user_id` and `verb_id` say otherwise."""
    columns = {
        "user_id": given.get("user_id") or make_user(session).id,
        "verb_id": given.get("verb_id") or make_verb(session).id,
        "tense": Tense.PRESENT_SUBJUNCTIVE,
        "person": Person.YO,
        "category": PracticeCategory.WISH,
    }
    return _flushed(session, PracticeItem(**(columns | given)))


def make_session(session: Session, **given: Any) -> StudySession:
    started = given.get("started_at", NOON)
    columns = {"user_id": given.get("user_id") or make_user(session).id, "started_at": started}
    if isinstance(started, datetime):
        columns["started_on"] = started.astimezone(UTC).date()
    return _flushed(session, StudySession(**(columns | given)))


def make_attempt(session: Session, **given: Any) -> PracticeAttempt:
    """A correct one, in a new session of `user_id`; without a practice item unless given."""
    user_id = given.get("user_id") or make_user(session).id
    exercise_id = given.get("exercise_id")
    exercise = session.get_one(Exercise, exercise_id) if exercise_id else make_exercise(session)
    columns = {
        "user_id": user_id,
        "session_id": given.get("session_id") or make_session(session, user_id=user_id).id,
        "exercise_id": exercise.id,
        "exercise_revision": 1,
        "verb_id": exercise.verb_id,
        "tense": exercise.tense,
        "person": exercise.person,
        "expected_answer": "hable",
        "user_answer": "hable",
        "verdict": Verdict.CORRECT,
        "is_correct": True,
        "response_time_ms": 4000,
        "attempted_at": NOON,
        "practised_on": date(2026, 3, 2),
    }
    return _flushed(session, PracticeAttempt(**(columns | given)))


def make_progress(session: Session, **given: Any) -> UserProgress:
    columns = {
        "user_id": given.get("user_id") or make_user(session).id,
        "scenario_id": given.get("scenario_id") or make_scenario(session).id,
    }
    return _flushed(session, UserProgress(**(columns | given)))


def make_achievement(session: Session, **given: Any) -> Achievement:
    number = next(_numbers)
    columns = {
        "slug": f"achievement-{number}",
        "name": f"Achievement {number}",
        "description": "Ten attempts",
        "category": AchievementCategory.PRACTICE,
        "icon": "star",
        "criteria": {"metric": "total_attempts", "value": 10},
        "tier": Tier.BRONZE,
    }
    return _flushed(session, Achievement(**(columns | given)))


def make_award(session: Session, **given: Any) -> UserAchievement:
    columns = {
        "user_id": given.get("user_id") or make_user(session).id,
        "achievement_id": given.get("achievement_id") or make_achievement(session).id,
    }
    return _flushed(session, UserAchievement(**(columns | given)))


def make_summary(session: Session, **given: Any) -> UserProgressSummary:
    return _flushed(
        session, UserProgressSummary(**({"user_id": given.get("user_id") or make_user(session).id} | given))
    )


def make_pool_sample(session: Session, **given: Any) -> PoolSample:
    counts = dict.fromkeys(("size", "checked_out", "overflow", "timeouts"), 0)
    return _flushed(session, PoolSample(**({"application_name": "subjunctive:app:host:1"} | counts | given)))


def make_configuration(session: Session, **given: Any) -> SystemConfiguration:
    columns = {
        "key": f"practice.number_{_letters(next(_numbers))}",
        "value": 5,
        "value_type": ValueType.INTEGER,
        "description": "How many",
        "min": 1,
        "max": 10,
    }
    return _flushed(session, SystemConfiguration(**(columns | given)))
