"""What the database fills in, computes and keeps by itself, for programs that know nothing of our Python."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from subjunctive_admin.models import Base, SpanishVerb, User
from tests.builders import (
    make_achievement,
    make_attempt,
    make_configuration,
    make_exercise,
    make_item,
    make_scenario,
    make_user,
    make_verb,
)
from tests.refusals import refused_by


def test_a_user_needs_three_columns_and_gets_the_rest(session: Session) -> None:
    session.execute(
        text("INSERT INTO users (username, email, hashed_password) VALUES ('ana', 'ana@example.org', repeat('x', 40))")
    )
    row = dict(session.execute(text("SELECT * FROM users")).mappings().one())

    assert row.pop("id").version == 4
    assert row.pop("created_at") == row.pop("updated_at")
    assert row == {
        "username": "ana",
        "email": "ana@example.org",
        "hashed_password": "x" * 40,
        "first_name": None,
        "last_name": None,
        "avatar_url": None,
        "bio": None,
        "is_active": True,
        "is_superuser": False,
        "is_verified": False,
        "is_premium": False,
        "language_preference": "en",
        "difficulty_preference": "intermediate",
        "daily_goal_minutes": 30,
        "timezone": "UTC",
        "last_login": None,
    }


def test_a_schedule_begins_with_an_ease_of_two_and_a_half(session: Session) -> None:
    verb, user = make_verb(session), make_user(session)
    session.execute(
        text(
            """
            INSERT INTO practice_items (user_id, verb_id, tense, person, category)
            VALUES (:user, :verb, 'present_subjunctive', 'yo', 'none')
            """
        ),
        {"user": user.id, "verb": verb.id},
    )
    query = """
        SELECT ease_factor, attempts, correct_attempts, current_interval, mastery_level, scheduler::text,
               error_patterns, strengths, next_review_date FROM practice_items
    """
    assert tuple(session.execute(text(query)).one()) == (2.5, 0, 0, 0, 0.0, "fsrs", {}, [], None)


def test_lists_and_structures_begin_empty_and_never_null(session: Session) -> None:
    nullable = """
        SELECT c.relname || '.' || a.attname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
        WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND NOT a.attisdropped AND a.attnum > 0
          AND a.atttypid IN ('text[]'::regtype, 'jsonb'::regtype) AND NOT a.attnotnull
    """
    assert session.scalars(text(nullable)).all() == []


def test_keys_made_by_the_client_sort_by_time(session: Session) -> None:
    ids = [make_user(session).id for _ in range(5)]
    assert [key.version for key in ids] == [7] * 5
    assert sorted(ids) == ids


def test_an_attempt_notes_its_transaction_and_when_it_was_recorded(session: Session) -> None:
    attempt = make_attempt(session)
    same, recorded, now = session.execute(
        text("SELECT recorded_xid = pg_current_xact_id(), recorded_at, now() FROM practice_attempts")
    ).one()
    assert same is True
    assert attempt.recorded_at == recorded == now


# Computed columns


@pytest.mark.parametrize(
    ("infinitive", "translation", "found"),
    [
        ("reír", "to laugh", "reir to laugh"),
        ("argüir", "to ARGUE", "arguir to argue"),
        ("enseñar", "to teach", "enseñar to teach"),
        ("oír", "to hear: ÁÉÍÓÚÜÑ", "oir to hear: aeiouuñ"),
    ],
)
def test_search_text_folds_accents_and_capitals_and_keeps_the_letter_enye(
    session: Session, infinitive: str, translation: str, found: str
) -> None:
    verb = make_verb(
        session,
        infinitive=infinitive,
        english_translation=translation,
        conjugation_class=infinitive[-2:].replace("í", "i"),
    )
    assert verb.search_text == found


def test_scenarios_and_exercises_are_searched_by_what_a_learner_reads(session: Session) -> None:
    scenario = make_scenario(session, title="En la Estación", description="Trenes")
    exercise = make_exercise(
        session, prompt="Ojalá ___ mañana.", correct_answer="esté", accepted_answers=["esté", "estuviera"]
    )
    assert (scenario.search_text, exercise.search_text) == ("en la estacion trenes", "ojala ___ mañana. este")


@pytest.mark.parametrize(
    ("infinitive", "reflexive"), [("levantarse", True), ("reírse", True), ("levantar", False), ("ser", False)]
)
def test_a_verb_is_reflexive_by_its_infinitive(session: Session, infinitive: str, reflexive: bool) -> None:
    assert make_verb(session, infinitive=infinitive).is_reflexive is reflexive


@pytest.mark.parametrize("column", ["is_reflexive", "search_text"])
def test_a_computed_column_cannot_be_written(session: Session, column: str) -> None:
    make_verb(session)
    with pytest.raises(Exception, match="can only be updated to DEFAULT"), session.begin_nested():
        session.execute(text(f"UPDATE spanish_verbs SET {column} = NULL"))


# Triggers


@pytest.mark.parametrize(
    ("make", "change"),
    [
        (make_user, "first_name = 'Ana'"),
        (make_verb, "usage_notes = 'formal'"),
        (make_scenario, "title = 'Otra'"),
        (make_exercise, "hint = 'Think of the mood'"),
        (make_item, "lapses = 1"),
        (make_configuration, "description = 'Other words'"),
    ],
)
def test_updated_at_moves_whoever_changes_the_row(session: Session, make: Callable[..., Base], change: str) -> None:
    long_ago = datetime(2020, 1, 1, tzinfo=UTC)
    row = make(session, updated_at=long_ago)
    assert row.updated_at == long_ago  # type: ignore[attr-defined]

    session.execute(text(f"UPDATE {row.__tablename__} SET {change}"))

    session.refresh(row)
    assert datetime.now(UTC) - row.updated_at < timedelta(minutes=1)  # type: ignore[attr-defined]


def test_updated_at_cannot_be_set_back(session: Session) -> None:
    user = make_user(session)
    session.execute(text("UPDATE users SET updated_at = '2020-01-01Z'"))
    session.refresh(user)
    assert user.updated_at.year > 2020


@pytest.mark.parametrize(
    ("make", "column", "other"),
    [
        (make_verb, "infinitive", "cantar"),
        (make_scenario, "slug", "other"),
        (make_exercise, "slug", "other"),
        (make_achievement, "slug", "other"),
    ],
)
def test_the_natural_key_of_content_never_changes(
    session: Session, make: Callable[[Session], Base], column: str, other: str
) -> None:
    table = make(session).__tablename__
    with refused_by(session, f"tg_{table}_keep_{column}") as refusal:
        session.execute(text(f"UPDATE {table} SET {column} = :other"), {"other": other})
    assert refusal.words == f"{table} refused the row: the {column} of published content never changes."


def test_writing_the_same_key_again_is_no_change(session: Session) -> None:
    verb = make_verb(session)
    session.execute(text("UPDATE spanish_verbs SET infinitive = infinitive, gerund = 'cantando'"))
    session.refresh(verb)
    assert verb.gerund == "cantando"


def test_a_validator_speaks_before_the_database_is_asked() -> None:
    with pytest.raises(ValueError, match="username has 3 to 50 letters, digits, underscores or hyphens; 'x' is not"):
        User(username="x")
    with pytest.raises(ValueError, match="conjugations is a JSON object of its documented shape"):
        SpanishVerb(conjugations={"presente": {"yo": ["hable"]}})
    with pytest.raises(ValueError, match="conjugations"):
        SpanishVerb(conjugations={"present_subjunctive": {"yo": "hable"}})
    with pytest.raises(ValueError, match="example_sentences"):
        SpanishVerb(example_sentences=[{"es": "Quiero que hables."}])
