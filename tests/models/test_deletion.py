"""What goes with a row, what stays without it, and what cannot be deleted."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import delete, func, select, text
from sqlalchemy.orm import Session

from subjunctive_admin.models import (
    Achievement,
    Base,
    Exercise,
    LearnerKey,
    Operation,
    PracticeAttempt,
    PracticeItem,
    Revision,
    Scenario,
    SpanishVerb,
    StudySession,
    User,
    UserAchievement,
    UserProgress,
    UserProgressSummary,
)
from subjunctive_admin.vocabulary import ItemKind, OperationKind
from tests.builders import (
    make_attempt,
    make_award,
    make_exercise,
    make_item,
    make_progress,
    make_session,
    make_summary,
    make_user,
)
from tests.refusals import refused_by

OWNED: tuple[type[Base], ...] = (
    PracticeItem,
    UserProgress,
    StudySession,
    PracticeAttempt,
    UserAchievement,
    UserProgressSummary,
    LearnerKey,
)


def _count(session: Session, model: type[Base]) -> int:
    return session.scalar(select(func.count()).select_from(model)) or 0


def _learner_with_everything(session: Session) -> User:
    user = make_user(session)
    item = make_item(session, user_id=user.id)
    make_attempt(session, user_id=user.id, practice_item_id=item.id)
    for make in (make_progress, make_award, make_summary):
        make(session, user_id=user.id)
    session.add(LearnerKey(user_id=user.id))
    session.flush()
    return user


def test_a_learner_takes_along_everything_recorded_of_them_and_nothing_else(session: Session) -> None:
    gone, kept = _learner_with_everything(session), _learner_with_everything(session)
    assert [_count(session, model) for model in OWNED] == [2] * len(OWNED)

    session.execute(delete(User).where(User.id == gone.id))

    assert [_count(session, model) for model in OWNED] == [1] * len(OWNED)
    assert set(session.scalars(select(PracticeAttempt.user_id))) == {kept.id}
    assert [_count(session, model) for model in (SpanishVerb, Scenario, Exercise, Achievement)] == [4, 4, 2, 2]


def test_a_session_takes_its_attempts_along_and_leaves_the_schedule(session: Session) -> None:
    item = make_item(session)
    study = make_session(session, user_id=item.user_id)
    make_attempt(session, user_id=item.user_id, session_id=study.id, practice_item_id=item.id)

    session.execute(delete(StudySession).where(StudySession.id == study.id))

    assert (_count(session, PracticeAttempt), _count(session, PracticeItem)) == (0, 1)


def test_an_attempt_outlives_its_item_and_still_knows_its_learner(session: Session) -> None:
    item = make_item(session)
    attempt = make_attempt(session, user_id=item.user_id, practice_item_id=item.id)

    session.execute(delete(PracticeItem).where(PracticeItem.id == item.id))

    kept = session.execute(
        select(PracticeAttempt.practice_item_id, PracticeAttempt.user_id, PracticeAttempt.session_id)
    ).one()
    assert kept._asdict() == {
        "practice_item_id": None,
        "user_id": item.user_id,
        "session_id": attempt.session_id,
    }


def _revision(session: Session) -> None:
    operation = Operation(kind=OperationKind.SEED, actor="ana")
    session.add(operation)
    session.flush()
    session.add(Revision(item_kind=ItemKind.VERB, item_key="hablar", revision=1, payload={}, operation_id=operation.id))
    session.flush()


@pytest.mark.parametrize(
    ("make", "model", "constraint"),
    [
        (make_exercise, SpanishVerb, "fk_exercises_verb_id"),
        (make_item, SpanishVerb, "fk_practice_items_verb_id"),
        (make_exercise, Scenario, "fk_exercises_scenario_id"),
        (make_progress, Scenario, "fk_user_progress_scenario_id"),
        (make_attempt, Exercise, "fk_practice_attempts_exercise_id"),
        (make_award, Achievement, "fk_user_achievements_achievement_id"),
        (_revision, Operation, "fk_revisions_operation_id"),
    ],
)
def test_what_learners_met_cannot_be_deleted(
    session: Session, make: Callable[[Session], object], model: type[Base], constraint: str
) -> None:
    make(session)
    with refused_by(session, constraint):
        session.execute(delete(model))


def test_a_verb_cannot_be_deleted_while_an_attempt_was_about_it(session: Session) -> None:
    attempt = make_attempt(session)
    # The exercise may have come to ask for another verb since.
    other = make_exercise(session)
    session.execute(
        text("UPDATE exercises SET verb_id = :other WHERE id = :id"),
        {"other": other.verb_id, "id": attempt.exercise_id},
    )
    with refused_by(session, "fk_practice_attempts_verb_id"):
        session.execute(delete(SpanishVerb).where(SpanishVerb.id == attempt.verb_id))


def test_each_foreign_key_of_the_data_model_says_what_a_deletion_does(session: Session) -> None:
    query = """
        SELECT conname, confdeltype::text, coalesce(array_length(confdelsetcols, 1), 0)
        FROM pg_constraint WHERE contype = 'f' AND connamespace <> 'pg_catalog'::regnamespace
    """
    found = {name: (action, columns) for name, action, columns in session.execute(text(query))}
    cascade, restrict, one_set_null = ("c", 0), ("r", 0), ("n", 1)
    assert found == {
        "fk_exercises_scenario_id": restrict,
        "fk_exercises_verb_id": restrict,
        "fk_learner_keys_user_id": cascade,
        "fk_operations_undoes": restrict,
        "fk_practice_attempts_exercise_id": restrict,
        "fk_practice_attempts_practice_item_id_user_id": one_set_null,
        "fk_practice_attempts_session_id_user_id": cascade,
        "fk_practice_attempts_user_id": cascade,
        "fk_practice_attempts_verb_id": restrict,
        "fk_practice_items_user_id": cascade,
        "fk_practice_items_verb_id": restrict,
        "fk_revisions_operation_id": restrict,
        "fk_study_sessions_user_id": cascade,
        "fk_user_achievements_achievement_id": restrict,
        "fk_user_achievements_user_id": cascade,
        "fk_user_progress_scenario_id": restrict,
        "fk_user_progress_summary_user_id": cascade,
        "fk_user_progress_user_id": cascade,
    }
