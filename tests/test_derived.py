"""What follows from recorded answers: hand-counted values, days in each learner's zone, values as of their time."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from subjunctive_admin import derived, practice
from subjunctive_admin.content.store import Editing
from subjunctive_admin.models import (
    Exercise,
    PracticeItem,
    StudySession,
    User,
    UserAchievement,
    UserProgress,
    UserProgressSummary,
)
from subjunctive_admin.practice import local_day
from subjunctive_admin.scheduling import FSRS_DECAY, power_forgetting
from subjunctive_admin.structures import AchievementContent
from subjunctive_admin.vocabulary import OperationKind
from tests.builders import (
    make_achievement,
    make_attempt,
    make_configuration,
    make_exercise,
    make_item,
    make_scenario,
    make_session,
    make_summary,
    make_user,
    make_verb,
)
from tests.statements import statements

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
LATER = NOON + timedelta(days=365)
WRONG: dict[str, Any] = {"is_correct": False, "verdict": "wrong", "error_kind": "mood"}
SCHEDULED: dict[str, Any] = {"interval_after": 4, "stability_after": 4.0, "ease_after": 2.5}


def sat(
    session: Session, user: User, at: datetime, answers: int = 1, *, closed: bool = True, **given: Any
) -> StudySession:
    """A session of a learner, begun `at`, with an answer a minute, recorded when it was given."""
    sitting = make_session(
        session, user_id=user.id, started_at=at, started_on=local_day(at, user.timezone),
        completed_at=at + timedelta(minutes=answers) if closed else None,
        daily_goal_minutes=user.daily_goal_minutes,
    )  # fmt: skip
    given.setdefault("exercise_id", make_exercise(session).id)
    for number in range(1, answers + 1):
        attempt(session, sitting, user, at + timedelta(minutes=number), **given)
    return sitting


def attempt(session: Session, sitting: StudySession, user: User, at: datetime, **given: Any) -> None:
    days = {"attempted_at": at, "recorded_at": at, "practised_on": local_day(at, user.timezone)}
    make_attempt(session, user_id=user.id, session_id=sitting.id, **(days | given))


def refreshed(
    session: Session, as_of: datetime | None = LATER, users: list[UUID] | None = None, *, everything: bool = True
) -> dict[str, int]:
    session.flush()
    written = derived.refresh(session.connection(), users, everything=everything, as_of=as_of)
    session.expire_all()
    return dict(written)


def only(session: Session, model: Any) -> Any:
    return session.scalars(select(model)).one()


def summary_of(session: Session, user: User) -> UserProgressSummary:
    return session.scalars(select(UserProgressSummary).where(UserProgressSummary.user_id == user.id)).one()


def differing(session: Session) -> list[tuple[str, str, Any, Any]]:
    return [(d.table, d.column, d.stored, d.derived) for d in derived.differences(session.connection())]


# Items


def test_an_items_counters_are_those_of_its_answers(session: Session) -> None:
    user = make_user(session)
    item = make_item(session, user_id=user.id)
    sat(session, user, NOON, 2, practice_item_id=item.id, response_time_ms=2000, **SCHEDULED)
    sat(
        session,
        user,
        NOON + timedelta(days=1),
        1,
        practice_item_id=item.id,
        response_time_ms=5000,
        **SCHEDULED,
        **WRONG,
    )
    refreshed(session)
    session.refresh(item)
    assert (item.attempts, item.correct_attempts, item.average_response_time) == (3, 2, 3000)
    assert (item.error_patterns, item.strengths) == ({"mood": 1}, [])


@pytest.mark.parametrize(("answers", "share"), [(1, 0.2), (4, 0.8), (5, 1), (9, 1)])
def test_mastery_is_retrievability_times_the_share_of_five_answers(
    session: Session, answers: int, share: float
) -> None:
    user = make_user(session)
    item = make_item(session, user_id=user.id)
    sat(session, user, NOON, answers, practice_item_id=item.id, **SCHEDULED)
    last = NOON + timedelta(minutes=answers)
    refreshed(session, last + timedelta(days=6))
    session.refresh(item)
    assert item.mastery_level == pytest.approx(power_forgetting(6, 4.0, FSRS_DECAY) * share)


def test_mastery_under_sm2_takes_the_interval_as_the_time_to_nine_in_ten(session: Session) -> None:
    user = make_user(session)
    item = make_item(session, user_id=user.id)
    sat(session, user, NOON, 5, practice_item_id=item.id, interval_after=10, ease_after=2.5)
    refreshed(session, NOON + timedelta(minutes=5, days=20))
    session.refresh(item)
    assert item.mastery_level == pytest.approx(0.81)


def test_a_strength_is_a_kind_of_exercise_answered_right_nine_times_in_ten(session: Session) -> None:
    user = make_user(session)
    item = make_item(session, user_id=user.id)
    choice = make_exercise(session, exercise_type="multiple_choice", prompt="¿?", distractors=["a", "b"]).id
    blank = make_exercise(session).id
    sat(session, user, NOON, 9, practice_item_id=item.id, exercise_id=choice)
    sat(session, user, NOON + timedelta(hours=1), 1, practice_item_id=item.id, exercise_id=choice, **WRONG)
    sat(session, user, NOON + timedelta(hours=2), 2, practice_item_id=item.id, exercise_id=blank)
    refreshed(session)
    session.refresh(item)
    assert item.strengths == ["multiple_choice"]


def test_an_item_nobody_answered_has_nothing(session: Session) -> None:
    item = make_item(session, mastery_level=0.9, attempts=4)
    refreshed(session)
    session.refresh(item)
    assert (item.attempts, item.mastery_level, item.error_patterns) == (0, 0, {})


def test_of_two_answers_at_the_same_moment_the_one_recorded_last_is_the_memory(session: Session) -> None:
    user = make_user(session)
    item = make_item(session, user_id=user.id)
    sitting = sat(session, user, NOON, 4, practice_item_id=item.id, **SCHEDULED)
    for seconds, stability in ((2, 50.0), (1, 8.0)):
        attempt(
            session, sitting, user, NOON + timedelta(hours=1), practice_item_id=item.id, interval_after=9,
            recorded_at=NOON + timedelta(hours=1, seconds=seconds), stability_after=stability, ease_after=2.5,
        )  # fmt: skip
    as_of = NOON + timedelta(days=10, hours=1)
    refreshed(session, as_of)
    session.refresh(item)
    assert item.mastery_level == pytest.approx(power_forgetting(10, 50.0, FSRS_DECAY))


# Sessions


def test_a_session_lasts_until_its_last_answer_however_late_it_is_closed(session: Session) -> None:
    user = make_user(session)
    sitting = sat(session, user, NOON, 3)
    sitting.completed_at = NOON + timedelta(days=2)
    refreshed(session)
    assert (sitting.total_time_seconds, sitting.total_score, sitting.total_possible_score) == (180, 3, 3)
    assert sitting.exercises_completed == 1


def test_a_session_left_open_for_days_counts_as_one_day(session: Session) -> None:
    user = make_user(session)
    sitting = sat(session, user, NOON, 1)
    attempt(session, sitting, user, NOON + timedelta(days=3))
    refreshed(session)
    assert sitting.total_time_seconds == derived.LONGEST_SITTING == 86_400


def test_what_closing_adds_is_empty_while_a_session_is_open(session: Session) -> None:
    user = make_user(session, daily_goal_minutes=1)
    sitting = sat(session, user, NOON, 3, closed=False)
    refreshed(session)
    assert (sitting.streak_day, sitting.daily_goal_met, sitting.concepts_practiced) == (0, False, [])
    assert sitting.total_possible_score == 3


def test_weak_areas_are_concepts_with_three_answers_and_few_right(session: Session) -> None:
    user = make_user(session)
    sitting = sat(session, user, NOON, 2, trigger_class="wish", **WRONG)
    attempt(session, sitting, user, NOON + timedelta(minutes=3), trigger_class="wish")
    attempt(session, sitting, user, NOON + timedelta(minutes=3), trigger_class="time", **WRONG)
    for minute in (4, 5):
        attempt(session, sitting, user, NOON + timedelta(minutes=minute), trigger_class="ojala")
    refreshed(session)
    assert sitting.concepts_practiced == ["ojala", "present_subjunctive", "time", "wish"]
    assert sitting.weak_areas_identified == ["present_subjunctive", "wish"]


def test_the_daily_goal_is_met_by_the_sessions_of_the_day_together(session: Session) -> None:
    user = make_user(session, daily_goal_minutes=5, timezone="America/New_York")
    # 03:30 UTC on the 3rd is still the evening of the 2nd in New York.
    starts = [NOON + timedelta(hours=6), NOON + timedelta(hours=15.5), NOON + timedelta(hours=24)]
    sittings = [sat(session, user, at, answers) for at, answers in zip(starts, (3, 2, 4), strict=True)]
    refreshed(session)
    assert [(s.started_on.day, s.daily_goal_met) for s in sittings] == [(2, False), (2, True), (3, False)]


# Days and streaks


def days_of(session: Session, user: User, *days: str, hour: int = 12) -> None:
    """An answer on each of these local days, at that local hour."""
    zone = ZoneInfo(user.timezone)
    for day in days:
        sat(session, user, datetime.fromisoformat(day).replace(hour=hour, tzinfo=zone).astimezone(UTC))


@pytest.mark.parametrize(
    ("today", "current"),
    [("2026-03-10", 3), ("2026-03-11", 3), ("2026-03-12", 0), ("2026-03-09", 3)],
    ids=["on the last day", "a day later", "two days later", "before the last day"],
)
def test_a_streak_runs_until_a_day_is_missed(session: Session, today: str, current: int) -> None:
    user = make_user(session)
    days_of(
        session, user, "2026-03-01", "2026-03-02", "2026-03-03", "2026-03-04", "2026-03-08", "2026-03-09", "2026-03-10"
    )
    refreshed(session, datetime.fromisoformat(today).replace(hour=23, tzinfo=UTC))
    summary = summary_of(session, user)
    # As of the 9th the answer of the 10th is not recorded yet.
    assert (summary.current_streak, summary.longest_streak) == (2 if today == "2026-03-09" else current, 4)
    assert summary.refreshed_on == date.fromisoformat(today)


@pytest.mark.parametrize(
    ("zone", "days"),
    [
        ("Europe/Madrid", ["2026-03-28", "2026-03-29", "2026-03-30"]),
        ("Europe/Madrid", ["2026-10-24", "2026-10-25", "2026-10-26"]),
        ("America/New_York", ["2026-03-07", "2026-03-08", "2026-03-09"]),
        ("Australia/Lord_Howe", ["2026-04-04", "2026-04-05", "2026-04-06"]),
        ("Pacific/Kiritimati", ["2026-12-31", "2027-01-01", "2027-01-02"]),
    ],
)
@pytest.mark.parametrize("hour", [0, 2, 23])
def test_a_day_of_23_or_25_hours_is_one_day(session: Session, zone: str, days: list[str], hour: int) -> None:
    user = make_user(session, timezone=zone)
    days_of(session, user, *days, hour=hour)
    refreshed(session, datetime.fromisoformat(days[-1]).replace(hour=23, minute=59, tzinfo=ZoneInfo(zone)))
    assert summary_of(session, user).current_streak == 3


def test_midnight_belongs_to_the_new_day(session: Session) -> None:
    user = make_user(session, timezone="Europe/Madrid")
    midnight = datetime(2026, 3, 3, tzinfo=ZoneInfo("Europe/Madrid")).astimezone(UTC)
    sitting = make_session(
        session, user_id=user.id, started_at=midnight - timedelta(minutes=1), started_on=date(2026, 3, 2)
    )
    for offset in (-timedelta(microseconds=1), timedelta(0)):
        attempt(session, sitting, user, midnight + offset)
    refreshed(session, midnight + timedelta(hours=1))
    assert summary_of(session, user).current_streak == 2


def test_a_change_of_zone_rewrites_no_past_day(session: Session) -> None:
    user = make_user(session, timezone="America/Los_Angeles")
    days_of(session, user, "2026-03-01", "2026-03-02", "2026-03-03", hour=20)
    sessions = list(session.scalars(select(StudySession)))
    refreshed(session, datetime(2026, 3, 4, 10, tzinfo=UTC))
    before = [(s.started_on, s.streak_day) for s in sessions]
    user.timezone = "Asia/Tokyo"
    refreshed(session, datetime(2026, 3, 4, 11, tzinfo=UTC))
    assert [(s.started_on, s.streak_day) for s in sessions] == before
    assert (summary_of(session, user).longest_streak, differing(session)) == (3, [])


def test_a_summary_stays_true_as_of_its_own_day_when_the_zone_changes(session: Session) -> None:
    user = make_user(session, timezone="Pacific/Niue")
    days_of(session, user, "2026-03-01")
    # Still the 2nd in Niue, the 3rd in Kiritimati: there the streak would have ended.
    refreshed(session, datetime(2026, 3, 2, 22, tzinfo=UTC))
    assert summary_of(session, user).current_streak == 1
    user.timezone = "Pacific/Kiritimati"
    session.flush()
    assert differing(session) == []
    refreshed(session, datetime(2026, 3, 2, 22, 1, tzinfo=UTC))
    assert summary_of(session, user).current_streak == 0


def test_each_session_has_the_length_of_the_streak_on_its_day(session: Session) -> None:
    user = make_user(session)
    days_of(session, user, "2026-03-01", "2026-03-02", "2026-03-04", "2026-03-05", "2026-03-06")
    refreshed(session)
    found = session.scalars(select(StudySession.streak_day).order_by(StudySession.started_at))
    assert list(found) == [1, 2, 1, 2, 3]


def test_a_day_that_became_known_later_does_not_lengthen_what_was_derived_before(session: Session) -> None:
    user = make_user(session)
    days_of(session, user, "2026-03-01", "2026-03-03")
    refreshed(session, datetime(2026, 3, 4, tzinfo=UTC))
    offline = make_session(
        session, user_id=user.id, started_at=datetime(2026, 3, 2, 9, tzinfo=UTC), started_on=date(2026, 3, 2)
    )
    attempt(session, offline, user, datetime(2026, 3, 2, 10, tzinfo=UTC), recorded_at=datetime(2026, 3, 5, tzinfo=UTC))
    assert differing(session) == []
    refreshed(session, datetime(2026, 3, 6, tzinfo=UTC))
    found = session.scalars(select(StudySession.streak_day).order_by(StudySession.started_at))
    assert list(found) == [1, 0, 3]
    assert (summary_of(session, user).longest_streak, differing(session)) == (3, [])


# Progress


def test_a_scenario_is_completed_when_every_published_exercise_was_right_once(session: Session) -> None:
    user, scenario = make_user(session), make_scenario(session)
    first, second = (make_exercise(session, scenario_id=scenario.id).id for _ in range(2))
    make_exercise(session, scenario_id=scenario.id, status="retired")
    sat(session, user, NOON, 4, exercise_id=first)
    sitting = sat(session, user, NOON + timedelta(days=1), 1, exercise_id=second, **WRONG)
    refreshed(session)
    progress = only(session, UserProgress)
    assert (progress.progress_status, progress.completion, progress.best_score) == ("in_progress", 0.5, None)
    right_at = NOON + timedelta(days=1, hours=1)
    attempt(session, sitting, user, right_at, exercise_id=second)
    refreshed(session)
    assert (progress.progress_status, progress.completion, progress.completed_at) == ("completed", 1, right_at)
    assert (progress.attempts, progress.started_at) == (6, NOON + timedelta(minutes=1))


def test_a_completed_scenario_stays_completed_when_an_exercise_is_added(session: Session) -> None:
    user, scenario = make_user(session), make_scenario(session)
    sat(session, user, NOON, 1, exercise_id=make_exercise(session, scenario_id=scenario.id).id)
    refreshed(session)
    make_exercise(session, scenario_id=scenario.id)
    refreshed(session)
    progress = only(session, UserProgress)
    assert (progress.progress_status, progress.completion) == ("completed", 0.5)
    assert progress.completed_at == NOON + timedelta(minutes=1)


def test_a_completion_that_an_answer_from_offline_brought_is_known_from_then_on(session: Session) -> None:
    award = make_achievement(session, criteria={"metric": "scenarios_completed", "value": 1})
    user = make_user(session)
    exercise = make_exercise(session)
    sitting = sat(session, user, NOON, 3, exercise_id=make_exercise(session).id)
    refreshed(session, NOON + timedelta(hours=1))
    late = NOON + timedelta(hours=5)
    attempt(session, sitting, user, NOON + timedelta(minutes=2), recorded_at=late, exercise_id=exercise.id)
    session.flush()
    at = {"as_of": late + timedelta(minutes=1), "user": user.id, "scenario": exercise.scenario_id}
    session.execute(text(derived.write_statement(derived.PROGRESS, derived._SCENARIO)), at)
    session.expire_all()
    done = session.scalars(select(UserProgress).where(UserProgress.scenario_id == exercise.scenario_id)).one()
    assert (done.completed_at, done.completion_known_at) == (NOON + timedelta(minutes=2), late)
    assert (
        session.scalars(select(UserAchievement).where(UserAchievement.achievement_id == award.id)).one().progress == 1
    )
    assert differing(session) == []


def test_progress_without_an_answer_is_not_started(session: Session) -> None:
    user = make_user(session)
    scenario = make_scenario(session)
    stray = UserProgress(user_id=user.id, scenario_id=scenario.id, attempts=7, completion=0.5, refreshed_at=NOON)
    session.add(stray)
    session.flush()
    assert ("user_progress", "attempts", 7, 0) in differing(session)
    refreshed(session)
    assert (stray.attempts, stray.completion, stray.progress_status) == (0, 0, "not_started")
    assert differing(session) == []


def test_the_best_score_is_that_of_a_session_with_five_answers(session: Session) -> None:
    user, exercise = make_user(session), make_exercise(session)
    sat(session, user, NOON, 4, exercise_id=exercise.id)
    sitting = sat(session, user, NOON + timedelta(days=1), 4, exercise_id=exercise.id)
    attempt(session, sitting, user, NOON + timedelta(days=1, hours=1), exercise_id=exercise.id, **WRONG)
    refreshed(session)
    assert only(session, UserProgress).best_score == pytest.approx(0.8)


# Awards


def award(session: Session, metric: str, value: float, op: str = ">=", **limits: Any) -> None:
    make_achievement(session, criteria={"metric": metric, "op": op, "value": value, "filter": limits}, points=10)


@pytest.mark.parametrize(
    ("criterion", "value", "progress", "met"),
    [
        (("total_attempts", 8), 6, 0.75, False),
        (("total_attempts", 6), 6, 1, True),
        (("total_attempts", 6, ">"), 6, 1, False),
        (("correct_attempts", 10), 4, 0.4, False),
        (("accuracy", 0.5), 2 / 3, 1, True),
        (("sessions", 4), 2, 0.5, False),
        (("longest_streak", 2), 2, 1, True),
        (("tenses_practised", 4), 1, 0.25, False),
        (("fast_correct", 4), 4, 1, True),
        (("items_mastered", 2), 1, 0.5, False),
        (("scenarios_completed", 1), 1, 1, True),
    ],
    ids=str,
)
def test_an_achievement_measures_its_metric(
    session: Session, criterion: tuple[Any, ...], value: float, progress: float, met: bool
) -> None:
    award(session, *criterion)
    user = make_user(session)
    item = make_item(session, user_id=user.id)
    sat(
        session,
        user,
        NOON,
        4,
        practice_item_id=item.id,
        response_time_ms=4999,
        interval_after=900,
        stability_after=900.0,
    )
    sat(
        session,
        user,
        NOON + timedelta(days=1),
        1,
        practice_item_id=item.id,
        interval_after=900,
        stability_after=900.0,
        **WRONG,
    )
    sat(session, user, NOON + timedelta(days=1, hours=1), 1, closed=False, tense="present_indicative", **WRONG)
    as_of = NOON + timedelta(days=2)
    refreshed(session, as_of)
    given = only(session, UserAchievement)
    assert (given.current_value, given.progress) == (pytest.approx(value), pytest.approx(progress))
    assert given.unlocked_at == (as_of if met else None)
    assert summary_of(session, user).total_points == (10 if met else 0)


@pytest.mark.parametrize(
    ("limits", "value", "progress"),
    [
        ({"tense": "present_subjunctive"}, 0.75, 1),
        ({"tense": "present_subjunctive", "min_attempts": 8}, 0.75, 0.5),
        ({"trigger_class": "ojala"}, 1, 1),
        ({"verb_type": "regular"}, 5 / 6, 1),
        ({"verb_type": "irregular"}, 0, 0),
    ],
    ids=str,
)
def test_a_filter_limits_which_answers_count(
    session: Session, limits: dict[str, Any], value: float, progress: float
) -> None:
    award(session, "accuracy", 0.5, **limits)
    user = make_user(session)
    sat(session, user, NOON, 3)
    sat(session, user, NOON + timedelta(hours=1), 1, **WRONG)
    sat(session, user, NOON + timedelta(hours=2), 2, tense="imperfect_subjunctive", trigger_class="ojala")
    refreshed(session)
    given = only(session, UserAchievement)
    assert (given.current_value, given.progress) == (pytest.approx(value), pytest.approx(progress))


def test_an_award_once_given_is_kept_whatever_happens_later(session: Session) -> None:
    award(session, "accuracy", 0.9)
    user = make_user(session)
    sat(session, user, NOON, 1)
    refreshed(session, NOON + timedelta(hours=1))
    sat(session, user, NOON + timedelta(hours=2), 3, **WRONG)
    refreshed(session, NOON + timedelta(hours=3))
    given = only(session, UserAchievement)
    assert (given.current_value, given.progress, given.unlocked_at) == (0.25, 1, NOON + timedelta(hours=1))


def test_inactive_achievements_and_learners_without_an_answer_have_no_progress(session: Session) -> None:
    make_achievement(session, is_active=False)
    make_achievement(session)
    make_user(session)
    user = make_user(session)
    sat(session, user, NOON)
    refreshed(session)
    assert only(session, UserAchievement).user_id == user.id


# Summaries


def test_a_summary_adds_up_what_a_learner_did(session: Session) -> None:
    make_configuration(session, key="practice.mastery_threshold", value=0.5, value_type="number", min=0, max=1)
    user = make_user(session)
    known, learning = (make_item(session, user_id=user.id) for _ in range(2))
    sat(session, user, NOON, 3, practice_item_id=known.id, interval_after=900, stability_after=900.0)
    sat(session, user, NOON + timedelta(days=1), 1, practice_item_id=learning.id, **SCHEDULED, **WRONG)
    sat(session, user, NOON + timedelta(days=3), 2, closed=False)
    refreshed(session, NOON + timedelta(days=4))
    found = summary_of(session, user)
    assert (found.total_attempts, found.correct_attempts) == (6, 5)
    assert found.accuracy == pytest.approx(5 / 6)
    assert (found.total_time_seconds, found.sessions) == (360, 2)
    assert (found.items_mastered, found.items_learning) == (1, 1)
    assert (found.current_streak, found.longest_streak, found.last_practised_on) == (1, 2, date(2026, 3, 5))


def test_a_learner_without_an_answer_has_a_summary_of_nothing(session: Session) -> None:
    user = make_user(session)
    refreshed(session)
    found = summary_of(session, user)
    assert (found.total_attempts, found.accuracy, found.current_streak, found.last_practised_on) == (0, None, 0, None)


# As of, again, and all at once


def test_a_refresh_counts_what_was_recorded_by_then(session: Session) -> None:
    user = make_user(session)
    item = make_item(session, user_id=user.id)
    sat(session, user, NOON, 4, practice_item_id=item.id)
    refreshed(session, NOON + timedelta(minutes=2))
    session.refresh(item)
    assert (item.attempts, summary_of(session, user).total_attempts) == (2, 2)
    assert differing(session) == []


def test_a_refresh_that_looks_from_earlier_takes_nothing_back(session: Session) -> None:
    user = make_user(session)
    item = make_item(session, user_id=user.id)
    sat(session, user, NOON, 4, practice_item_id=item.id, **SCHEDULED)
    refreshed(session)
    refreshed(session, NOON + timedelta(minutes=2))
    session.refresh(item)
    assert (item.attempts, item.refreshed_at, summary_of(session, user).total_attempts) == (4, LATER, 4)


def test_refreshing_everything_again_writes_only_what_changes_with_time(session: Session) -> None:
    award(session, "total_attempts", 10)
    user = make_user(session)
    item = make_item(session, user_id=user.id)
    sat(session, user, NOON, 4, practice_item_id=item.id, **SCHEDULED)
    first, again = refreshed(session), refreshed(session, LATER + timedelta(days=1))
    assert first == dict.fromkeys((d.table for d in derived.REGISTRY), 1)
    timeless = ("study_sessions", "user_progress", "user_achievements")
    assert again == first | dict.fromkeys(timeless, 0)
    assert differing(session) == []


def test_a_refresh_takes_those_with_something_new_and_everybodys_summary(session: Session) -> None:
    award(session, "total_attempts", 10)
    idle, busy = make_user(session), make_user(session)
    sittings = {
        user.id: sat(session, user, NOON, 2, practice_item_id=make_item(session, user_id=user.id).id, **SCHEDULED)
        for user in (idle, busy)
    }
    refreshed(session, NOON + timedelta(days=1))
    attempt(session, sittings[busy.id], busy, NOON + timedelta(days=2))
    written = refreshed(session, NOON + timedelta(days=3), everything=False)
    assert written == {
        "practice_items": 1, "study_sessions": 1, "user_progress": 1, "user_achievements": 1, "user_progress_summary": 2,
    }  # fmt: skip
    assert [summary_of(session, user).total_attempts for user in (idle, busy)] == [2, 3]
    assert [summary_of(session, user).current_streak for user in (idle, busy)] == [0, 1]
    assert differing(session) == []


@pytest.mark.parametrize("news", ["a closed session", "an edited criterion", "a new learner"])
def test_whatever_a_value_is_counted_against_makes_it_stale(session: Session, news: str) -> None:
    user = make_user(session)
    sitting = sat(session, user, NOON, 2, closed=False)
    as_of = datetime.now(UTC) + timedelta(days=1)
    refreshed(session, as_of)
    if news == "a closed session":
        sitting.completed_at = as_of + timedelta(minutes=1)
    elif news == "a new learner":
        sat(session, make_user(session), NOON, 2)
    else:
        Editing(session, OperationKind.EDIT, actor="ana").publish(
            AchievementContent.model_validate(
                {
                    "slug": "two", "name": "Two", "description": "Two answers", "category": "practice", "icon": "star",
                    "points": 5, "criteria": {"metric": "total_attempts", "value": 2}, "tier": "gold",
                }
            )
        )  # fmt: skip
        session.execute(text("UPDATE editorial.operations SET performed_at = :at"), {"at": as_of})
    assert refreshed(session, as_of + timedelta(days=1), everything=False) == {
        "practice_items": 0,
        "study_sessions": 0 if news == "an edited criterion" else 1,
        "user_progress": 1 if news == "a new learner" else 0,
        "user_achievements": 1 if news == "an edited criterion" else 0,
        "user_progress_summary": 2 if news == "a new learner" else 1,
    }
    assert refreshed(session, as_of + timedelta(days=2), everything=False)["study_sessions"] == 0


def test_one_learner_can_be_refreshed_alone(session: Session) -> None:
    one, other = make_user(session), make_user(session)
    make_summary(session, user_id=other.id, total_attempts=99)
    sat(session, one, NOON)
    sat(session, other, NOON)
    refreshed(session, users=[one.id])
    assert (summary_of(session, one).total_attempts, summary_of(session, other).total_attempts) == (1, 99)


@pytest.mark.parametrize(
    ("change", "table", "column"),
    [
        ("UPDATE practice_items SET correct_attempts = correct_attempts - 1", "practice_items", "correct_attempts"),
        ("UPDATE practice_items SET mastery_level = 0.5", "practice_items", "mastery_level"),
        ("UPDATE study_sessions SET streak_day = 9", "study_sessions", "streak_day"),
        ("UPDATE study_sessions SET weak_areas_identified = '{wish}'", "study_sessions", "weak_areas_identified"),
        ("UPDATE user_progress SET completion = 0.1", "user_progress", "completion"),
        ("UPDATE user_achievements SET current_value = 0", "user_achievements", "current_value"),
        ("UPDATE user_progress_summary SET longest_streak = 0", "user_progress_summary", "longest_streak"),
        ("UPDATE user_progress_summary SET total_points = 5", "user_progress_summary", "total_points"),
    ],
)
def test_a_value_that_is_not_what_it_follows_from_is_found_and_mended(
    session: Session, change: str, table: str, column: str
) -> None:
    award(session, "total_attempts", 10)
    user = make_user(session)
    sat(session, user, NOON, 4, practice_item_id=make_item(session, user_id=user.id).id)
    refreshed(session, NOON + timedelta(hours=1))
    session.execute(text(change))
    assert [found[:2] for found in differing(session)] == [(table, column)]
    refreshed(session, NOON + timedelta(hours=1))
    assert differing(session) == []


def test_the_number_of_statements_does_not_grow_with_the_learners(session: Session) -> None:
    counts = []
    for learners in (1, 5):
        for _ in range(learners):
            user = make_user(session)
            sat(session, user, NOON, 2, practice_item_id=make_item(session, user_id=user.id).id)
        session.flush()
        with statements(session.connection()) as refreshing:
            derived.refresh(session.connection())
        with statements(session.connection()) as checking:
            derived.differences(session.connection())
        counts.append((len(refreshing), len(checking)))
    assert counts == [(22, 20), (22, 20)]


def test_every_derived_column_is_registered_once() -> None:
    tables = {
        model.__tablename__: model
        for model in (PracticeItem, StudySession, UserProgress, UserAchievement, UserProgressSummary)
    }
    facts = {
        "practice_items": {
            "id", "user_id", "verb_id", "tense", "person", "category", "trigger_phrase", "scheduler", "current_interval",
            "ease_factor", "repetitions", "lapses", "memory_stability", "memory_difficulty", "last_reviewed",
            "next_review_date",
        },
        "study_sessions": {
            "id", "user_id", "session_type", "difficulty_level", "started_at", "started_on", "completed_at",
            "daily_goal_minutes", "achievements_unlocked",
        },
        "user_progress": {"id", "user_id", "scenario_id"},
        "user_achievements": {"id", "user_id", "achievement_id"},
        "user_progress_summary": {"id", "user_id"},
    }  # fmt: skip
    for derivation in derived.REGISTRY:
        columns = set(tables[derivation.table].__table__.columns.keys()) - {"refreshed_at", "created_at", "updated_at"}
        assert columns - facts[derivation.table] == set(derivation.columns), derivation.table


def test_an_exercise_of_several_learners_is_counted_for_each(session: Session) -> None:
    exercise: Exercise = make_exercise(session, verb_id=make_verb(session).id)
    users = [make_user(session) for _ in range(3)]
    for number, user in enumerate(users, start=1):
        sat(session, user, NOON, number, exercise_id=exercise.id)
    refreshed(session)
    assert [summary_of(session, user).total_attempts for user in users] == [1, 2, 3]


@pytest.mark.parametrize("seed", range(6))
def test_whatever_happens_in_whatever_order_every_stored_value_follows_from_the_answers(
    session: Session, seed: int
) -> None:
    random = Random(seed)
    award(session, "total_attempts", 6)
    exercises = [make_exercise(session) for _ in range(6)]
    users = [make_user(session, timezone=zone) for zone in ("Europe/Madrid", "Pacific/Kiritimati")]
    sittings: list[tuple[UUID, UUID, datetime]] = []
    for _ in range(30):
        user, then = (
            random.choice(users).id,
            NOON + timedelta(days=random.randint(0, 4), minutes=random.randint(0, 1400)),
        )
        step = random.random()
        if step < 0.2 or not sittings:
            sittings.append((user, practice.open_session(session, user, at=then), then))
        elif step < 0.75:
            owner, sitting, start = random.choice(sittings)
            said, at = random.choice(["hable", "x"]), start + timedelta(minutes=random.randint(0, 2000))
            answer = practice.Answer(random.choice(exercises).id, said, random.randint(500, 9000), at=at)
            practice.record_attempt(session, owner, sitting, answer)
        elif step < 0.9:
            owner, sitting, start = sittings.pop(random.randrange(len(sittings)))
            practice.close_session(session, owner, sitting, at=random.choice([None, start + timedelta(minutes=5)]))
        elif step < 0.95:
            derived.refresh(session.connection(), [user])
        else:
            change = "UPDATE users SET timezone = :zone, daily_goal_minutes = :goal WHERE id = :id"
            zone, goal = random.choice(["UTC", "Asia/Tokyo", "Pacific/Niue"]), random.choice([1, 5, 30])
            session.execute(text(change), {"zone": zone, "goal": goal, "id": user})
        assert differing(session) == []
    derived.refresh(session.connection(), everything=True)
    assert differing(session) == []
