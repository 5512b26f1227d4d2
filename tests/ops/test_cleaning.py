"""Sessions that were never closed end at their last answer, samples expire, and no answer is ever deleted."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Row, text

from subjunctive_admin import practice
from subjunctive_admin.db import Database
from subjunctive_admin.derived import differences
from subjunctive_admin.errors import WriteRefused
from subjunctive_admin.ops.cleaning import Cleaned, Leftovers, clean, read_leftovers
from tests.builders import make_exercise, make_user

NOW = datetime.now(UTC)


def sitting(database: Database, *, began: timedelta, answered: timedelta | None, **user: Any) -> tuple[UUID, UUID]:
    """A learner and an open session that began so long ago, and was last answered so long ago."""
    with database.session(write=True) as session:
        learner = make_user(session, **user).id
        opened = practice.open_session(session, learner, at=NOW - began)
        if answered is not None:
            exercise = make_exercise(session, status="published").id
            answer = practice.Answer(exercise, "hable", 4000, at=NOW - answered)
            practice.record_attempt(session, learner, opened, answer)
    return learner, opened


def leftovers(database: Database, days: float = 14) -> Leftovers:
    with database.connection() as connection:
        return read_leftovers(connection, days)


def one(database: Database, query: str) -> Row[Any]:
    with database.connection() as connection:
        return connection.execute(text(query)).one()


def publish(database: Database, *days_ago: float) -> None:
    with database.connection(write=True) as connection:
        for days in days_ago:
            connection.execute(
                text(
                    "INSERT INTO ops.pool_samples (application_name, sampled_at)"
                    " VALUES ('web', now() - make_interval(secs => :s))"
                ),
                {"s": 86_400 * days},
            )


LONG_AGO, YESTERDAY, JUST_NOW = timedelta(days=9), timedelta(hours=30), timedelta(minutes=5)


def test_an_open_session_is_stale_a_day_after_its_last_answer(database: Database) -> None:
    _, stale = sitting(database, began=LONG_AGO, answered=YESTERDAY)
    sitting(database, began=LONG_AGO, answered=JUST_NOW)
    sitting(database, began=JUST_NOW, answered=None)

    (found,) = leftovers(database).sessions

    assert (found.id, found.answers) == (stale, 1)
    assert abs(found.ends_at - (NOW - YESTERDAY)) < timedelta(seconds=1)


def test_looking_changes_nothing(database: Database) -> None:
    sitting(database, began=LONG_AGO, answered=YESTERDAY)
    publish(database, 20)
    assert leftovers(database) == leftovers(database)
    assert one(database, "SELECT count(completed_at) FROM study_sessions") == (0,)


def test_a_stale_session_is_closed_at_its_last_answer_and_every_derived_value_agrees(database: Database) -> None:
    learner, stale = sitting(database, began=LONG_AGO, answered=YESTERDAY)

    assert clean(database, leftovers(database)) == Cleaned(1, 0, (), 0)

    row = one(database, "SELECT id, completed_at, exercises_completed, total_time_seconds FROM study_sessions")
    assert (row.id, row.exercises_completed) == (stale, 1)
    assert abs(row.completed_at - (NOW - YESTERDAY)) < timedelta(seconds=1)
    with database.connection() as connection:
        assert list(differences(connection, [learner])) == []
    assert leftovers(database).is_empty


def test_one_without_an_answer_ends_where_it_began(database: Database) -> None:
    sitting(database, began=LONG_AGO, answered=None)
    clean(database, leftovers(database))
    row = one(database, "SELECT started_at, completed_at FROM study_sessions")
    assert row.completed_at == row.started_at


def test_answers_are_never_deleted(database: Database) -> None:
    sitting(database, began=LONG_AGO, answered=YESTERDAY)
    publish(database, 20)
    clean(database, leftovers(database, days=0.001))
    assert one(database, "SELECT count(*) FROM practice_attempts") == (1,)


def test_a_session_that_was_taken_up_again_meanwhile_stays_open(database: Database) -> None:
    learner, opened = sitting(database, began=LONG_AGO, answered=YESTERDAY)
    found = leftovers(database)
    with database.session(write=True) as session:
        exercise = make_exercise(session, status="published").id
        practice.record_attempt(session, learner, opened, practice.Answer(exercise, "hable", 4000))

    assert clean(database, found) == Cleaned(0, 1, (), 0)
    assert one(database, "SELECT completed_at FROM study_sessions") == (None,)


def test_sessions_of_deactivated_accounts_are_counted_and_left(database: Database) -> None:
    learner, _ = sitting(database, began=LONG_AGO, answered=YESTERDAY)
    with database.connection(write=True) as connection:
        connection.execute(text("UPDATE users SET is_active = false WHERE id = :id"), {"id": learner})
    found = leftovers(database)
    assert (found.sessions, found.of_deactivated, found.is_empty) == ((), 1, True)


def test_an_account_deactivated_meanwhile_is_refused_and_the_others_go_on(database: Database) -> None:
    learner, refused = sitting(database, began=LONG_AGO, answered=timedelta(days=3))
    sitting(database, began=LONG_AGO, answered=YESTERDAY)
    found = leftovers(database)
    with database.connection(write=True) as connection:
        connection.execute(text("UPDATE users SET is_active = false WHERE id = :id"), {"id": learner})

    cleaned = clean(database, found)

    assert cleaned.closed == 1
    (said,) = cleaned.refused
    assert said.startswith(f"session {refused}: The account {learner} is deactivated")


def test_an_interrupted_cleaning_keeps_what_is_closed_and_the_next_goes_on(database: Database) -> None:
    for days in (5, 4, 3):
        sitting(database, began=LONG_AGO, answered=timedelta(days=days))

    def interrupt(done: int, _total: int) -> None:
        if done == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        clean(database, leftovers(database), interrupt)
    assert len(leftovers(database).sessions) == 2
    assert clean(database, leftovers(database)).closed == 2


def test_samples_expire_after_their_days(database: Database) -> None:
    publish(database, 0.1, 13.9, 14.1, 300)
    found = leftovers(database)
    assert (found.expired_samples, found.all_samples) == (2, 4)
    assert clean(database, found).samples == 2
    assert one(database, "SELECT count(*) FROM ops.pool_samples") == (2,)


def test_more_samples_than_one_statement_deletes_are_all_deleted(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("subjunctive_admin.ops.cleaning._SAMPLES_AT_ONCE", 2)
    publish(database, *[20.0] * 5)
    assert clean(database, leftovers(database)).samples == 5


def test_nothing_is_cleaned_where_nothing_may_be_written(database: Database) -> None:
    sitting(database, began=LONG_AGO, answered=YESTERDAY)
    refusing = Database(database.url, database.settings.model_copy(update={"read_only": True}))
    with pytest.raises(WriteRefused):
        clean(refusing, leftovers(database))


def test_what_is_found_is_json_without_names(database: Database) -> None:
    sitting(database, began=LONG_AGO, answered=YESTERDAY, username="marisol")
    written = json.dumps(leftovers(database).as_dict())
    assert "marisol" not in written
    assert json.loads(written)["stale_sessions"][0]["answers"] == 1
