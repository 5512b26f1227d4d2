"""What an application records: one transaction an answer, repeated requests harmless, bad input refused in words."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from subjunctive_admin import derived, practice
from subjunctive_admin.db import Database
from subjunctive_admin.errors import Busy, Conflict, ConstraintRefused, InvalidContent, NotFound
from subjunctive_admin.models import (
    Exercise,
    PracticeAttempt,
    PracticeItem,
    StudySession,
    UserAchievement,
    UserProgress,
    UserProgressSummary,
)
from subjunctive_admin.practice import Answer, Closed, Recorded
from subjunctive_admin.scheduling import Memory, Rating, algorithm, power_forgetting
from subjunctive_admin.vocabulary import ErrorKind, Person, Tense, Verdict
from tests.builders import make_achievement, make_configuration, make_exercise, make_scenario, make_user, make_verb
from tests.content.test_diagnosis import HABLAR

START = datetime(2026, 3, 2, 12, tzinfo=UTC)


def asked(session: Session, **given: Any) -> Exercise:
    """An exercise whose verb has the forms of hablar."""
    verb = given.pop("verb_id", None) or make_verb(session, conjugations=HABLAR).id
    return make_exercise(
        session, **({"verb_id": verb, "trigger_class": "wish", "trigger_phrase": "Quiere que"} | given)
    )


def opened(session: Session, **given: Any) -> tuple[UUID, UUID]:
    """A learner and their open session, begun on 2 March 2026 at noon UTC."""
    learner = make_user(session, **given).id
    return learner, practice.open_session(session, learner, at=START)


def answered(
    session: Session, learner: UUID, sitting: UUID, exercise: Exercise, said: str = "hable", **given: Any
) -> Recorded:
    given = {"response_time_ms": 6000} | given
    return practice.record_attempt(session, learner, sitting, Answer(exercise.id, said, **given))


def attempts_in(session: Session) -> int:
    return session.scalar(select(func.count()).select_from(PracticeAttempt)) or 0


def only(session: Session, model: Any) -> Any:
    session.expire_all()
    return session.scalars(select(model)).one()


# One answer


def test_an_answer_leaves_its_attempt_item_session_and_scenario_in_agreement(session: Session) -> None:
    learner, sitting = opened(session, timezone="America/New_York")
    exercise = asked(session)
    at = START + timedelta(seconds=90)
    outcome = answered(session, learner, sitting, exercise, at=at, confidence=4)

    attempt = only(session, PracticeAttempt)
    assert (attempt.verdict, attempt.is_correct, attempt.error_kind, attempt.rating) == (Verdict.CORRECT, True, None, 3)
    assert (attempt.verb_id, attempt.tense, attempt.person) == (exercise.verb_id, exercise.tense, exercise.person)
    assert (attempt.expected_answer, attempt.exercise_revision, attempt.confidence) == ("hable", 1, 4)
    assert (attempt.attempted_at, attempt.practised_on) == (at, date(2026, 3, 2))
    item = only(session, PracticeItem)
    assert (item.attempts, item.correct_attempts, item.average_response_time) == (1, 1, 6000)
    elapsed = (item.refreshed_at - at) / timedelta(days=1)
    assert item.mastery_level == pytest.approx(power_forgetting(elapsed, item.memory_stability) / 5)
    assert (item.category, item.trigger_phrase, item.last_reviewed) == ("wish", "Quiere que", at)
    assert (outcome.practice_item_id, outcome.next_review) == (item.id, item.next_review_date)
    study = only(session, StudySession)
    assert (study.total_time_seconds, study.total_score, study.total_possible_score) == (90, 1, 1)
    progress = only(session, UserProgress)
    assert (progress.attempts, progress.completion, progress.progress_status) == (1, 1, "completed")
    assert derived.differences(session.connection()) == []


def test_a_wrong_answer_says_which_rule_it_missed(session: Session) -> None:
    learner, sitting = opened(session)
    outcome = answered(session, learner, sitting, asked(session), "hablo")
    attempt = only(session, PracticeAttempt)
    assert not outcome.is_correct
    assert (attempt.verdict, attempt.error_kind, attempt.rating) == (Verdict.WRONG, ErrorKind.MOOD, 1)
    assert (attempt.produced_tense, attempt.produced_person) == (Tense.PRESENT_INDICATIVE, Person.YO)
    assert only(session, PracticeItem).error_patterns == {"mood": 1}


@pytest.mark.parametrize(("policy", "rating"), [(True, 2), (False, 1)])
def test_the_configured_policy_decides_on_missing_accents(session: Session, policy: bool, rating: int) -> None:
    make_configuration(
        session, key="practice.accent_only_counts_as_right", value=policy, value_type="boolean", min=None, max=None
    )
    learner, sitting = opened(session)
    exercise = asked(session, correct_answer="esté", accepted_answers=["esté"])
    outcome = answered(session, learner, sitting, exercise, "este")
    attempt = only(session, PracticeAttempt)
    assert (outcome.is_correct, attempt.verdict, attempt.rating) == (policy, Verdict.ACCENT_ONLY, rating)


@pytest.mark.parametrize("scheduler", ["fsrs", "sm2"])
def test_the_schedule_is_what_the_algorithm_says_over_the_same_answers(session: Session, scheduler: str) -> None:
    make_configuration(session, key="practice.scheduler", value=scheduler, value_type="string", min=None, max=None)
    learner, sitting = opened(session)
    exercise = asked(session)
    memory, at = Memory(), START
    for said, rating in (("hable", 3), ("hable", 3), ("hablo", 1), ("hable", 3), ("hable", 3)):
        answered(session, learner, sitting, exercise, said, at=at)
        memory = algorithm(scheduler).review(memory, Rating(rating), at)
        assert memory.due is not None
        at = memory.due
    item = only(session, PracticeItem)
    kept = (item.current_interval, item.ease_factor, item.repetitions, item.lapses, item.memory_stability)
    assert kept == (memory.interval, memory.ease, memory.repetitions, memory.lapses, memory.stability)
    assert (item.next_review_date, item.scheduler) == (memory.due, scheduler)
    last = session.scalars(select(PracticeAttempt).order_by(PracticeAttempt.attempted_at.desc()).limit(1)).one()
    assert (last.interval_after, last.ease_after, last.stability_after) == (
        memory.interval,
        memory.ease,
        memory.stability,
    )
    assert last.interval_before is not None
    assert last.ease_before == pytest.approx(memory.ease, abs=0.2)


def test_an_exercise_without_a_person_is_counted_and_not_scheduled(session: Session) -> None:
    learner, sitting = opened(session)
    exercise = asked(
        session, exercise_type="trigger_identification", prompt="Ojalá", person=None,
        correct_answer="ojalá", accepted_answers=["ojalá"],
    )  # fmt: skip
    outcome = answered(session, learner, sitting, exercise, "Ojalá")
    attempt = only(session, PracticeAttempt)
    assert (outcome.practice_item_id, outcome.next_review, outcome.is_correct) == (None, None, True)
    assert (attempt.practice_item_id, attempt.rating, attempt.interval_after) == (None, None, None)
    assert session.scalars(select(PracticeItem)).all() == []


def test_an_answer_from_an_offline_device_is_kept_and_moves_no_schedule(session: Session) -> None:
    learner, sitting = opened(session)
    exercise = asked(session)
    answered(session, learner, sitting, exercise, at=START + timedelta(hours=2))
    before = only(session, PracticeItem)
    kept = (before.next_review_date, before.memory_stability, before.last_reviewed)
    answered(session, learner, sitting, exercise, "hablo", at=START + timedelta(hours=1))
    item = only(session, PracticeItem)
    assert (item.next_review_date, item.memory_stability, item.last_reviewed) == kept
    assert (item.attempts, item.correct_attempts, item.error_patterns) == (2, 1, {"mood": 1})
    assert derived.differences(session.connection()) == []


@pytest.mark.parametrize(
    ("zone", "at", "day"),
    [
        ("Europe/Madrid", "2026-03-02T22:59:59.999999+00:00", "2026-03-02"),
        ("Europe/Madrid", "2026-03-02T23:00:00+00:00", "2026-03-03"),
        # Clocks go forward at 01:00 UTC on 29 March and back on 25 October.
        ("Europe/Madrid", "2026-03-29T21:59:00+00:00", "2026-03-29"),
        ("Europe/Madrid", "2026-03-29T22:00:00+00:00", "2026-03-30"),
        ("Europe/Madrid", "2026-10-25T22:59:00+00:00", "2026-10-25"),
        ("Europe/Madrid", "2026-10-25T23:00:00+00:00", "2026-10-26"),
        ("Pacific/Kiritimati", "2026-03-02T10:00:00+00:00", "2026-03-03"),
        ("Pacific/Niue", "2026-03-02T10:59:00+00:00", "2026-03-01"),
    ],
)
def test_the_practised_day_is_the_learners_own(session: Session, zone: str, at: str, day: str) -> None:
    learner = make_user(session, timezone=zone).id
    moment = datetime.fromisoformat(at)
    sitting = practice.open_session(session, learner, at=moment)
    answered(session, learner, sitting, asked(session), at=moment)
    assert only(session, PracticeAttempt).practised_on == date.fromisoformat(day)
    assert only(session, StudySession).started_on == date.fromisoformat(day)


# Repeated requests


def test_a_repeated_answer_gives_the_first_outcome_and_counts_once(session: Session) -> None:
    learner, sitting = opened(session)
    exercise, request = asked(session), uuid4()
    first = answered(session, learner, sitting, exercise, "hablo", id=request)
    again = answered(session, learner, sitting, exercise, "hablo", id=request)
    assert (again.repeated, again.grade, again.attempt_id, again.next_review) == (
        True,
        first.grade,
        first.attempt_id,
        first.next_review,
    )
    assert (attempts_in(session), only(session, PracticeItem).attempts) == (1, 1)


def test_a_repeated_answer_is_answered_after_its_session_closed(session: Session) -> None:
    learner, sitting = opened(session)
    exercise, request = asked(session), uuid4()
    answered(session, learner, sitting, exercise, id=request)
    practice.close_session(session, learner, sitting)
    assert answered(session, learner, sitting, exercise, id=request).repeated


def test_a_repeated_answer_says_when_its_item_is_due_now(session: Session) -> None:
    learner, sitting = opened(session)
    exercise, request = asked(session), uuid4()
    answered(session, learner, sitting, exercise, id=request)
    moved = answered(session, learner, sitting, exercise, "hablo").next_review
    again = answered(session, learner, sitting, exercise, id=request)
    assert (again.repeated, again.next_review) == (True, moved)


def test_an_id_used_for_another_answer_is_refused(session: Session) -> None:
    learner, sitting = opened(session)
    exercise, request = asked(session), uuid4()
    answered(session, learner, sitting, exercise, id=request)
    with pytest.raises(Conflict, match="belongs to another answer; nothing was recorded"):
        answered(session, learner, sitting, exercise, "hablo", id=request)
    assert attempts_in(session) == 1


def test_a_session_opened_or_closed_twice_is_one_session(session: Session) -> None:
    learner, request = make_user(session).id, uuid4()
    assert {practice.open_session(session, learner, session_id=request) for _ in range(2)} == {request}
    first = practice.close_session(session, learner, request)
    again = practice.close_session(session, learner, request, at=datetime.now(UTC))
    assert (first.repeated, again.repeated, first.completed_at) == (False, True, again.completed_at)
    with pytest.raises(Conflict, match="belongs to another session"):
        practice.open_session(session, make_user(session).id, session_id=request)


# Bad input


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"said": "x" * 10_000_000}, "it has 10,000,000 characters; 500 is the most"),
        ({"said": "ha\x00ble"}, "it holds a control character"),
        ({"said": "ha\nble"}, "it holds a control character"),
        ({"said": "ha\ud800ble"}, "it holds a control character"),
        ({"response_time_ms": -1}, "response_time_ms is a whole number from 0 to 3,600,000; -1 is not"),
        ({"response_time_ms": 3_600_001}, "3600001 is not"),
        ({"hints_used": -1}, "hints_used is a whole number from 0 to 1,000; -1 is not"),
        ({"confidence": 99}, "confidence is a whole number from 1 to 5; 99 is not"),
        ({"said": None}, "it is text, not NoneType"),
        # One character of which NFC makes two.
        ({"said": "\u0958" * 251}, "composed, it has more than 500 characters"),
        ({"response_time_ms": None}, "response_time_ms is a whole number from 0 to 3,600,000; None is not"),
        ({"response_time_ms": 2.5}, "2.5 is not"),
        ({"hints_used": True}, "hints_used is a whole number from 0 to 1,000; True is not"),
        ({"exercise_revision": 0}, "exercise_revision is a whole number from 1 to 2,147,483,647; 0 is not"),
        ({"at": START.replace(tzinfo=None)}, "has no time zone"),
        ({"at": datetime.min.replace(tzinfo=timezone(timedelta(hours=14)))}, "is out of range"),
        ({"at": datetime(1970, 1, 1, tzinfo=UTC)}, "The time 1970-01-01 lies before 2000"),
        ({"at": datetime.now(UTC) + timedelta(hours=1)}, "lies in the future"),
        ({"at": START - timedelta(hours=1)}, "lies before the session's start"),
    ],
)
def test_an_answer_that_cannot_be_true_is_refused_in_words(session: Session, given: dict[str, Any], said: str) -> None:
    learner, sitting = opened(session)
    with pytest.raises(InvalidContent, match=re.escape(said)):
        answered(session, learner, sitting, asked(session), **given)
    assert attempts_in(session) == 0


def test_every_fault_of_an_answer_is_named_at_once(session: Session) -> None:
    learner, sitting = opened(session)
    with pytest.raises(InvalidContent) as refused:
        answered(session, learner, sitting, asked(session), "\x07", confidence=0, hints_used=-3)
    assert len(refused.value.faults) == 3


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"limit": 0}, "The limit lies between 1 and 1,000; 0 does not"),
        ({"limit": 1001}, "1001 does not"),
        ({"limit": True}, "True does not"),
        ({"at": START.replace(tzinfo=None)}, "has no time zone"),
    ],
)
def test_what_cannot_be_asked_is_refused_in_words(session: Session, given: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidContent, match=re.escape(said)):
        practice.due_items(session, make_user(session).id, **given)


def test_a_session_of_an_unknown_type_is_refused_with_those_there_are(session: Session) -> None:
    with pytest.raises(InvalidContent, match=r"A session is of the type practice, .*; not 'nonsense'"):
        practice.open_session(session, make_user(session).id, session_type="nonsense")


def test_a_configuration_that_does_not_schedule_is_named(session: Session) -> None:
    make_configuration(session, key="practice.scheduler", value="anki", value_type="string", min=None, max=None)
    learner, sitting = opened(session)
    with pytest.raises(InvalidContent, match="The configuration does not schedule: 'anki'") as refused:
        answered(session, learner, sitting, asked(session))
    assert refused.value.next_step == "subjunctive-admin config set practice.scheduler fsrs"


def test_a_clock_that_is_a_little_off_is_set_right(session: Session) -> None:
    learner = make_user(session).id
    sitting = practice.open_session(session, learner, at=datetime.now(UTC) + timedelta(seconds=20))
    answered(session, learner, sitting, asked(session), at=datetime.now(UTC) + timedelta(seconds=30))
    attempt = only(session, PracticeAttempt)
    assert attempt.attempted_at <= attempt.recorded_at <= datetime.now(UTC) + timedelta(seconds=1)


def test_another_learners_session_is_not_there(session: Session) -> None:
    _, sitting = opened(session)
    stranger = make_user(session).id
    with pytest.raises(NotFound, match=f"The learner {stranger} has no session {sitting}"):
        answered(session, stranger, sitting, asked(session))
    with pytest.raises(NotFound, match="has no session"):
        practice.close_session(session, stranger, sitting)


def test_what_does_not_exist_is_named(session: Session) -> None:
    learner, sitting = opened(session)
    nobody = uuid4()
    with pytest.raises(NotFound, match=f"There is no learner {nobody}"):
        practice.open_session(session, nobody)
    with pytest.raises(NotFound, match=f"There is no learner {nobody}"):
        practice.due_items(session, nobody)
    with pytest.raises(NotFound, match=f"There is no exercise {nobody}"):
        practice.record_attempt(session, learner, sitting, Answer(nobody, "hable", 1000))


def test_a_retired_or_revised_exercise_takes_no_answer(session: Session) -> None:
    learner, sitting = opened(session)
    retired, revised = asked(session, status="retired", slug="old"), asked(session, revision=3, slug="newer")
    with pytest.raises(Conflict, match="The exercise old is retired; nothing was recorded"):
        answered(session, learner, sitting, retired)
    with pytest.raises(Conflict, match="the learner saw revision 2, it is at 3 now"):
        answered(session, learner, sitting, revised, exercise_revision=2)
    answered(session, learner, sitting, revised, exercise_revision=3)
    assert attempts_in(session) == 1


def test_a_closed_session_and_a_deactivated_account_take_no_answer(session: Session) -> None:
    learner, sitting = opened(session)
    practice.close_session(session, learner, sitting)
    with pytest.raises(Conflict, match=r"was closed at .* UTC; nothing was recorded. Next: open a new session"):
        answered(session, learner, sitting, asked(session))
    closed = make_user(session, is_active=False).id
    with pytest.raises(Conflict, match=f"The account {closed} is deactivated"):
        practice.open_session(session, closed)


def test_a_zone_that_does_not_exist_never_reaches_a_session(session: Session) -> None:
    learner = make_user(session).id
    with pytest.raises(Exception, match="not recognized") as refused, session.begin_nested():
        session.execute(text("UPDATE users SET timezone = 'Europe/Atlantis' WHERE id = :id"), {"id": learner})
    assert "Europe/Atlantis" in str(refused.value)
    practice.open_session(session, learner)
    assert only(session, StudySession).started_on == datetime.now(UTC).date()


# Closing a session


def test_closing_gives_the_totals_and_what_was_unlocked(session: Session) -> None:
    make_achievement(session, slug="two", points=7, criteria={"metric": "total_attempts", "op": ">=", "value": 2})
    make_achievement(session, slug="three", criteria={"metric": "total_attempts", "op": ">=", "value": 3})
    learner, sitting = opened(session, daily_goal_minutes=1)
    exercise = asked(session)
    answered(session, learner, sitting, exercise, at=START + timedelta(seconds=30))
    answered(session, learner, sitting, exercise, "hablo", at=START + timedelta(seconds=75))
    closed = practice.close_session(session, learner, sitting, at=START + timedelta(minutes=9))
    assert closed == Closed(sitting, START + timedelta(minutes=9), 75, 1, 2, 1, True, ("two",))
    awards = {a.progress: a.unlocked_at for a in session.scalars(select(UserAchievement))}
    assert (sorted(awards), awards[max(awards)] is None) == ([pytest.approx(2 / 3), 1], False)
    summary = only(session, UserProgressSummary)
    assert (summary.total_attempts, summary.sessions, summary.total_points, summary.longest_streak) == (2, 1, 7, 1)
    assert only(session, StudySession).achievements_unlocked == ["two"]
    assert derived.differences(session.connection()) == []


def test_a_session_never_ends_before_its_last_answer(session: Session) -> None:
    learner, sitting = opened(session)
    last = START + timedelta(minutes=5)
    answered(session, learner, sitting, asked(session), at=last)
    assert practice.close_session(session, learner, sitting, at=START).completed_at == last


def test_a_goal_or_zone_changed_later_rewrites_no_past_day(session: Session) -> None:
    learner, sitting = opened(session, daily_goal_minutes=1, timezone="Europe/Madrid")
    answered(session, learner, sitting, asked(session), at=START + timedelta(seconds=61))
    assert practice.close_session(session, learner, sitting).daily_goal_met
    session.execute(
        text("UPDATE users SET daily_goal_minutes = 600, timezone = 'Pacific/Kiritimati' WHERE id = :id"),
        {"id": learner},
    )
    derived.refresh(session.connection())
    study = only(session, StudySession)
    assert (study.daily_goal_met, study.started_on, study.streak_day) == (True, date(2026, 3, 2), 1)


# What is due


def test_due_items_come_longest_overdue_first_and_then_new_ones(session: Session) -> None:
    scenario = make_scenario(session)
    first, second, third = (asked(session, scenario_id=scenario.id, position=n) for n in range(3))
    learner, sitting = opened(session)
    answered(session, learner, sitting, second, at=START)
    answered(session, learner, sitting, first, at=START + timedelta(minutes=1))
    due = practice.due_items(session, learner)
    assert [(one.exercise_id, one.is_new) for one in due] == [(second.id, False), (first.id, False), (third.id, True)]
    assert due[0].due_at == START + timedelta(minutes=10)
    assert practice.due_items(session, learner, limit=1) == due[:1]
    assert [one.exercise_id for one in practice.due_items(session, learner, at=START + timedelta(minutes=2))] == [
        third.id
    ]


def test_of_an_items_exercises_the_one_answered_longest_ago_is_asked(session: Session) -> None:
    verb = make_verb(session, conjugations=HABLAR).id
    one, other = asked(session, verb_id=verb), asked(session, verb_id=verb)
    learner, sitting = opened(session)
    answered(session, learner, sitting, one)
    assert [
        due.exercise_id for due in practice.due_items(session, learner, at=datetime.now(UTC) + timedelta(days=9))
    ] == [other.id]


def test_new_items_are_rationed_over_the_learners_day(session: Session) -> None:
    make_configuration(session, key="practice.daily_new_items", value=2, value_type="integer", min=None, max=None)
    exercises = [asked(session) for _ in range(4)]
    learner = make_user(session).id
    assert len(practice.due_items(session, learner)) == 2
    sitting = practice.open_session(session, learner)
    answered(session, learner, sitting, exercises[0])
    assert sum(due.is_new for due in practice.due_items(session, learner)) == 1
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    assert sum(due.is_new for due in practice.due_items(session, learner, at=tomorrow)) == 2


def test_retired_exercises_and_scenarios_are_not_asked(session: Session) -> None:
    asked(session, status="retired")
    asked(session, scenario_id=make_scenario(session, status="retired").id)
    assert practice.due_items(session, make_user(session).id) == []


# At once, and asynchronously


def committed(database: Database, build: Callable[[Session], Any]) -> Any:
    with database.session(write=True) as session:
        return build(session)


def test_two_answers_at_once_for_one_learner_are_both_counted(database: Database) -> None:
    learner, sitting = committed(database, opened)
    exercise = committed(database, asked)

    def answer(number: int) -> None:
        with database.session(write=True) as session:
            answered(session, learner, sitting, exercise, "hable" if number % 2 else "hablo")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(answer, range(40)))
    with database.session() as session:
        item = only(session, PracticeItem)
        assert (item.attempts, item.correct_attempts, item.error_patterns) == (40, 20, {"mood": 20})
        assert only(session, StudySession).total_possible_score == 40
        chain = session.execute(
            select(PracticeAttempt.stability_before, PracticeAttempt.stability_after).order_by(
                PracticeAttempt.recorded_at
            )
        ).all()
        assert [before for before, _ in chain[1:]] == [after for _, after in chain[:-1]]
        assert derived.differences(session.connection()) == []


def test_the_same_request_sent_twice_at_once_is_recorded_once(database: Database) -> None:
    learner, sitting = committed(database, opened)
    exercise, request = committed(database, asked), uuid4()

    def answer(_: int) -> bool:
        with database.session(write=True) as session:
            return answered(session, learner, sitting, exercise, id=request).repeated

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(answer, range(4))) == [False, True, True, True]


def test_an_id_that_two_learners_use_at_once_is_taken_for_one_of_them(database: Database) -> None:
    sittings = [committed(database, opened) for _ in range(4)]
    exercise, request = committed(database, asked), uuid4()

    def answer(sitting: tuple[UUID, UUID]) -> str:
        try:
            with database.session(write=True) as session:
                answered(session, sitting[0], sitting[1], exercise, id=request)
        except Conflict as error:
            return error.message
        return "recorded"

    with ThreadPoolExecutor(4) as pool:
        said = sorted(pool.map(answer, sittings))
    assert said == [f"The id {request} belongs to another answer; nothing was recorded."] * 3 + ["recorded"]


def test_an_answer_waits_for_a_refresh_only_where_that_wrote_its_item(database: Database) -> None:
    learners = [committed(database, opened) for _ in range(2)]
    exercise = committed(database, asked)

    def answer(number: int) -> None:
        with database.session(write=True) as session:
            session.execute(text("SET LOCAL lock_timeout = '200ms'"))
            learner, sitting = learners[number]
            answered(session, learner, sitting, exercise)

    answer(0)
    with database.connection(write=True) as connection:
        derived.refresh(connection)
    answer(1)
    with database.connection(write=True) as refreshing:
        derived.refresh(refreshing)
        answer(0)
        with pytest.raises(Busy, match="holds a lock"):
            answer(1)
    answer(1)
    with database.connection() as connection:
        assert derived.differences(connection) == []


async def test_the_async_twins_do_the_same(database: Database) -> None:
    learner = committed(database, make_user).id
    exercise = committed(database, asked)
    async with database.async_session(write=True) as session:
        sitting = await practice.open_session_async(session, learner)

    async def answer(number: int) -> Recorded:
        async with database.async_session(write=True) as session:
            said = "hable" if number % 2 else "hablo"
            return await practice.record_attempt_async(session, learner, sitting, Answer(exercise.id, said, 1000))

    outcomes = await asyncio.gather(*map(answer, range(6)))
    assert sum(outcome.is_correct for outcome in outcomes) == 3
    async with database.async_session(write=True) as session:
        closed = await practice.close_session_async(session, learner, sitting)
        due = await practice.due_items_async(session, learner, at=datetime.now(UTC) + timedelta(days=400))
    assert (closed.right, closed.answered, [one.exercise_id for one in due]) == (3, 6, [exercise.id])
    await database.dispose_async()


def test_a_failed_answer_leaves_no_trace(database: Database) -> None:
    learner, sitting = committed(database, opened)
    exercise = committed(database, asked)
    with database.connection(write=True) as connection:
        connection.execute(text("ALTER TABLE practice_attempts ADD CONSTRAINT no_more CHECK (rating <> 3) NOT VALID"))
    with pytest.raises(ConstraintRefused), database.session(write=True) as session:
        answered(session, learner, sitting, exercise)
    with database.session() as session:
        assert (attempts_in(session), session.scalars(select(PracticeItem)).all()) == (0, [])
