"""The faults that the data model makes impossible, each in a sentence: PostgreSQL refuses, whoever writes.

The ranges of single columns stand in test_constraints.
"""

from __future__ import annotations

from datetime import datetime

import pytest
from sqlalchemy import insert, make_url, select, text, update
from sqlalchemy.exc import DataError, StatementError
from sqlalchemy.orm import Session

from subjunctive_admin.db import explain
from subjunctive_admin.errors import ConstraintRefused
from subjunctive_admin.models import PracticeAttempt, PracticeItem, StudySession, User
from subjunctive_admin.schema import heads
from tests.builders import NOON, make_attempt, make_exercise, make_item, make_session, make_user
from tests.refusals import insert_copy, refused_by


def test_an_attempt_cannot_point_into_another_learners_session(session: Session) -> None:
    theirs, mine = make_session(session), make_attempt(session)
    with refused_by(session, "fk_practice_attempts_session_id_user_id"):
        insert_copy(session, mine, session_id=theirs.id)


def test_an_attempt_cannot_point_at_another_learners_item(session: Session) -> None:
    theirs, mine = make_item(session), make_attempt(session)
    with refused_by(session, "fk_practice_attempts_practice_item_id_user_id"):
        insert_copy(session, mine, practice_item_id=theirs.id)


def test_an_item_cannot_move_to_another_learner_under_its_attempts(session: Session) -> None:
    item, other = make_item(session), make_user(session)
    make_attempt(session, user_id=item.user_id, practice_item_id=item.id)
    with refused_by(session, "fk_practice_attempts_practice_item_id_user_id"):
        session.execute(update(PracticeItem).where(PracticeItem.id == item.id).values(user_id=other.id))


def test_a_session_cannot_move_to_another_learner_under_its_attempts(session: Session) -> None:
    attempt, other = make_attempt(session), make_user(session)
    with refused_by(session, "fk_practice_attempts_session_id_user_id"):
        session.execute(update(StudySession).where(StudySession.id == attempt.session_id).values(user_id=other.id))


def test_an_email_that_differs_only_in_case_is_the_same(session: Session) -> None:
    first = make_user(session, username="ana", email="ana@example.org")
    with refused_by(session, "uq_users_email") as refusal:
        insert_copy(session, first, username="another", email="Ana@Example.ORG")
    assert "there is already a user with this e-mail address" in refusal.words
    assert "ana@example.org" in refusal.words


def test_a_username_that_differs_only_in_case_is_the_same(session: Session) -> None:
    first = make_user(session, username="ana")
    with refused_by(session, "uq_users_username"):
        insert_copy(session, first, username="ANA", email="another@example.org")


@pytest.mark.parametrize("zone", ["Mars/Olympus", "Europe/Madrit"])
def test_a_time_zone_that_postgresql_does_not_know_is_refused(session: Session, zone: str) -> None:
    user = make_user(session)
    with pytest.raises(DataError) as caught, session.begin_nested():
        session.execute(update(User).where(User.id == user.id).values(timezone=zone))

    explained = explain(caught.value, make_url("postgresql://"), write=True)
    assert f'time zone "{zone}" not recognized' in str(explained)
    assert isinstance(explained, ConstraintRefused)


@pytest.mark.parametrize("zone", ["Mars/Olympus", "Europe", "../etc/passwd", "America/"])
def test_python_knows_the_time_zones_too(zone: str) -> None:
    with pytest.raises(ValueError, match=r"timezone is (UTC or|a zone of the IANA)"):
        User(timezone=zone)


@pytest.mark.parametrize("zone", ["UTC", "Europe/Madrid", "America/Argentina/Buenos_Aires", "America/Port-au-Prince"])
def test_both_accept_the_zones_of_learners(session: Session, zone: str) -> None:
    assert make_user(session, timezone=zone).timezone == zone


def test_a_time_without_a_zone_never_reaches_the_database(session: Session) -> None:
    user = make_user(session)
    with pytest.raises(StatementError, match="2026-03-02T12:00:00 has no time zone; give one"):
        session.execute(insert(StudySession).values(user_id=user.id, started_at=NOON.replace(tzinfo=None)))


def test_a_time_comes_back_in_utc_whatever_zone_it_was_given_in(session: Session) -> None:
    started = datetime.fromisoformat("2026-03-02T07:00:00-05:00")
    study = make_session(session, started_at=started)
    session.execute(text("SET LOCAL timezone = 'Asia/Tokyo'"))
    session.refresh(study)
    assert study.started_at.isoformat() == "2026-03-02T12:00:00+00:00"


def test_the_migrations_have_exactly_one_head() -> None:
    assert heads() == ["0005"]


@pytest.mark.parametrize(
    ("table", "column", "label"),
    [
        ("practice_attempts", "verdict", "right"),
        ("exercises", "tense", "present"),
        ("users", "difficulty_preference", ""),
    ],
)
def test_a_label_outside_the_vocabulary_is_refused(session: Session, table: str, column: str, label: str) -> None:
    make_attempt(session)
    with pytest.raises(DataError, match="invalid input value for enum"), session.begin_nested():
        session.execute(text(f"UPDATE {table} SET {column} = '{label}'"))


def test_an_attempt_names_content_that_exists(session: Session) -> None:
    attempt = make_attempt(session)
    with refused_by(session, "fk_practice_attempts_verb_id"):
        insert_copy(session, attempt, verb_id=attempt.verb_id + 1_000_000)
    with refused_by(session, "fk_practice_attempts_exercise_id"):
        insert_copy(session, attempt, exercise_id=attempt.user_id)


def test_an_attempt_of_an_exercise_without_a_person_has_neither_person_nor_item(session: Session) -> None:
    exercise = make_exercise(session, exercise_type="trigger_identification", prompt="Ojalá", person=None)
    attempt = make_attempt(session, exercise_id=exercise.id)
    found = session.execute(
        select(PracticeAttempt.person, PracticeAttempt.practice_item_id).where(PracticeAttempt.id == attempt.id)
    ).one()
    assert tuple(found) == (None, None)


@pytest.mark.parametrize("column", ["tense", "person", "category", "user_id", "verb_id"])
def test_a_schedule_has_every_part_of_its_key(session: Session, column: str) -> None:
    item = make_item(session)
    with pytest.raises(Exception, match=f'null value in column "{column}"'), session.begin_nested():
        session.execute(text(f"UPDATE practice_items SET {column} = NULL WHERE id = :id"), {"id": item.id})


def test_a_refusal_never_shows_the_row_with_its_password_hash(session: Session) -> None:
    user = make_user(session)
    with refused_by(session, "ck_users_daily_goal_minutes") as refusal:
        session.execute(update(User).where(User.id == user.id).values(daily_goal_minutes=0))
    assert user.hashed_password not in refusal.words
    assert refusal.words.startswith("users refused the row: daily_goal_minutes lies between 1 and 1,440")
