"""What the page on learners reads: whole tables over small hand-made practice, days in each learner's zone."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.orm import Session

from subjunctive_admin.analytics import learners
from subjunctive_admin.analytics.intervals import Tally
from subjunctive_admin.analytics.learners import Activity, Thresholds, Window, read_performance
from subjunctive_admin.analytics.recall import Review
from subjunctive_admin.db import Database
from subjunctive_admin.errors import UsageError
from subjunctive_admin.models import PracticeItem
from subjunctive_admin.vocabulary import ErrorKind, Person, Tense
from tests.analytics.practice import MONDAY, School
from tests.builders import (
    make_achievement,
    make_award,
    make_configuration,
    make_progress,
    make_scenario,
    make_session,
    make_summary,
)
from tests.statements import statements

WEEK = Window(date(2026, 3, 2), date(2026, 3, 8))
PRESENT, PAST = Tense.PRESENT_SUBJUNCTIVE, Tense.IMPERFECT_SUBJUNCTIVE


@pytest.fixture
def school(session: Session) -> School:
    return School(session)


@pytest.fixture
def connection(session: Session) -> Connection:
    return session.connection()


def test_a_window_ends_with_its_last_day_and_holds_both_ends() -> None:
    assert learners.window_until(date(2026, 3, 8), 7) == WEEK
    assert WEEK.days == 7


def test_activity_counts_learners_and_answers_by_their_own_days(school: School, connection: Connection) -> None:
    ana, bob = school.learner("ana"), school.learner("bob", timezone="Pacific/Auckland")
    for right in (True, True, False):
        school.answer(ana, right=right)
    school.answer(bob, 0)  # noon in UTC is already Tuesday in Auckland
    school.answer(bob, 6.5, right=False)  # the Monday after, outside the week
    school.answer(ana, -1)

    assert learners.read_activity(connection, WEEK) == Activity(
        total=Tally.of([(2, 3), (1, 1)]),
        median_answers=2.0,
        days=((date(2026, 3, 2), Tally.of([(2, 3)])), (date(2026, 3, 3), Tally.of([(1, 1)]))),
    )


def test_accuracy_takes_the_first_answer_of_a_day_to_an_item(school: School, connection: Connection) -> None:
    ana, bob = school.learner("ana"), school.learner("bob")
    school.answer(ana, 0, right=False)
    school.answer(ana, 0.01)  # repeats what was just corrected
    school.answer(ana, 1)
    school.answer(ana, 1, tense=PAST, person=Person.TU, right=False)
    school.answer(bob, 0, person=None)  # no item: a contrast that is not scheduled
    school.answer(bob, 0)

    found = learners.read_accuracy(connection, WEEK)

    assert found.cells == {
        (PRESENT, Person.YO): Tally.of([(1, 2), (1, 1)]),
        (PAST, Person.TU): Tally.of([(0, 1)]),
    }
    assert found.tenses == {PRESENT: Tally.of([(1, 2), (1, 1)]), PAST: Tally.of([(0, 1)])}
    assert found.persons == {Person.YO: Tally.of([(1, 2), (1, 1)]), Person.TU: Tally.of([(0, 1)])}
    assert found.total == Tally.of([(1, 3), (1, 1)])


def test_recall_counts_answers_a_day_or_more_after_the_last_one(school: School, connection: Connection) -> None:
    ana = school.learner("ana")
    school.answer(ana, -3, right=False)  # before the window: the gap still begins here
    school.answer(ana, 0)  # 3 days
    school.answer(ana, 0.5, right=False)  # the same day
    school.answer(ana, 1.5, right=False)  # exactly 1 day
    school.answer(ana, 6)  # 4.5 days
    school.answer(ana, 6, tense=PAST)  # another item, met for the first time

    found = learners.read_recall(connection, WEEK)

    assert found.total == Tally.of([(2, 3)])
    assert list(found.by_tense) == [PRESENT]
    assert [(one.label, one.tally) for one in found.by_tense[PRESENT]] == [
        ("1–2", Tally.of([(0, 1)])),
        ("2–4", Tally.of([(1, 1)])),
        ("4–8", Tally.of([(1, 1)])),
    ]
    assert [one.elapsed_days for one in found.by_tense[PRESENT]] == pytest.approx([1, 3, 4.5])


def test_a_gap_across_the_change_of_clocks_is_measured_in_hours(school: School, connection: Connection) -> None:
    ana = school.learner("ana", timezone="Europe/Madrid")
    clocks = Window(date(2026, 3, 28), date(2026, 3, 30))
    school.answer(ana, 25.5)  # Saturday midnight in UTC, the night before clocks go forward
    school.answer(ana, 26.48)  # the same clock time next day is 23 hours later, no day yet
    school.answer(ana, 27.48)
    assert learners.read_recall(connection, clocks).total == Tally.of([(1, 1)])


def test_the_learner_shown_is_the_most_active_or_the_one_named(school: School, connection: Connection) -> None:
    ana, bob = school.learner("Ana"), school.learner("bob", timezone="Europe/Madrid")
    school.learner("idle")
    for _ in range(2):
        school.answer(bob)
    school.answer(ana)

    named = {name: learners.find_learner(connection, WEEK, name) for name in ("", "ANA", "idle", "nobody")}

    assert {name: found and (found.username, found.answers) for name, found in named.items()} == {
        "": ("bob", 2),
        "ANA": ("Ana", 1),
        "idle": ("idle", 0),
        "nobody": None,
    }


def test_the_list_of_learners_holds_those_who_practised_and_match(school: School, connection: Connection) -> None:
    for name, answers in (("marta", 1), ("Martin", 3), ("ana", 2)):
        learner = school.learner(name)
        for _ in range(answers):
            school.answer(learner)
    school.learner("martyr")

    def listed(query: str, limit: int = 9) -> list[str]:
        return [one.username for one in learners.active_learners(connection, WEEK, query, limit)]

    assert listed("") == ["Martin", "ana", "marta"]
    assert listed("MART") == ["Martin", "marta"]
    assert listed("", 1) == ["Martin"]
    assert listed("%") == []


def test_one_learner_has_days_reviews_and_what_was_derived(school: School, connection: Connection) -> None:
    ana = school.learner("ana")
    school.answer(ana, 0, right=False)
    school.answer(ana, 2.5, stability_before=1.5)
    school.answer(ana, 2.6)
    school.answer(school.learner("bob"), 2)
    make_summary(
        school.session, user_id=ana.id, current_streak=1, longest_streak=4, items_mastered=2, refreshed_at=MONDAY
    )
    learner = learners.find_learner(connection, WEEK, "ana")
    assert learner is not None

    found = learners.read_learner(connection, WEEK, learner)

    assert found.days == ((date(2026, 3, 2), 1, 0), (date(2026, 3, 5), 2, 2))
    assert found.reviews == (Review(2.5, True, 1.5),)
    assert found.stored == (1, 4, 2, MONDAY)
    assert found.tally == Tally.of([(2, 3)])


def test_streaks_are_counted_over_learners_whose_summary_was_derived(school: School, connection: Connection) -> None:
    for name, current, longest in (("ana", 0, 3), ("bob", 2, 3), ("eva", 2, 7)):
        make_summary(
            school.session, user_id=school.learner(name).id, total_attempts=5, current_streak=current,
            longest_streak=longest, refreshed_at=MONDAY,
        )  # fmt: skip
    make_summary(school.session, user_id=school.learner("raw").id, total_attempts=5, current_streak=9)
    make_summary(school.session, user_id=school.learner("idle").id, refreshed_at=MONDAY)

    found = learners.read_streaks(connection)

    assert (found.current, found.longest) == ({0: 1, 2: 2}, {3: 2, 7: 1})


def test_a_goal_is_met_on_a_day_when_one_of_its_sessions_met_it(school: School, connection: Connection) -> None:
    ana, bob = school.learner("ana"), school.learner("bob")

    def sat(user: Any, day: int, goal: int, *, met: bool, **given: Any) -> None:
        at = MONDAY + timedelta(days=day, minutes=given.pop("minute", 0))
        columns = {"total_possible_score": 1, "total_score": 1, "refreshed_at": MONDAY, **given}
        make_session(
            school.session, user_id=user.id, started_at=at, started_on=at.date(), daily_goal_minutes=goal,
            daily_goal_met=met, **columns,
        )  # fmt: skip

    sat(ana, 0, 10, met=False)
    sat(ana, 0, 10, met=True, minute=30)
    sat(ana, 1, 10, met=False)
    sat(ana, 2, 10, met=True)
    sat(ana, 2, 30, met=False, minute=30)  # the goal was raised that day: its last session counts
    sat(bob, 0, 10, met=False)
    sat(bob, 1, 10, met=True, total_possible_score=0, total_score=0)  # nothing was answered
    sat(bob, 2, 10, met=True, refreshed_at=None)  # not derived yet
    sat(bob, 7, 10, met=True)  # after the window

    assert learners.read_goals(connection, WEEK) == {10: Tally.of([(1, 2), (0, 1)]), 30: Tally.of([(1, 1)])}


def test_awards_tell_who_has_them_and_how_far_the_others_are(school: School, connection: Connection) -> None:
    first, second = make_achievement(school.session, name="First"), make_achievement(school.session, name="Second")
    make_achievement(school.session, name="Gone", is_active=False)
    for name, progress in (("ana", 1.0), ("bob", 0.2), ("eva", 0.6)):
        given = {"user_id": school.learner(name).id, "progress": progress, "refreshed_at": MONDAY}
        unlocked_at = MONDAY if progress == 1 else None
        make_award(school.session, achievement_id=first.id, unlocked_at=unlocked_at, **given)
    assert second.id

    found = [(one.name, one.learners, one.unlocked, one.median_rest) for one in learners.read_awards(connection)]

    assert found == [("First", 3, 1, pytest.approx(0.4)), ("Second", 0, 0, None)]


def test_scenarios_tell_how_many_began_and_completed_them(school: School, connection: Connection) -> None:
    dinner = make_scenario(school.session, title="Dinner", position=2)
    make_scenario(school.session, title="Trip", position=1)
    make_scenario(school.session, title="Old", status="retired")
    for name, completion in (("ana", 1.0), ("bob", 0.5)):
        done = {"progress_status": "completed", "completed_at": MONDAY} if completion == 1 else {}
        make_progress(
            school.session, user_id=school.learner(name).id, scenario_id=dinner.id, completion=completion,
            started_at=MONDAY, **done,
        )  # fmt: skip

    found = [(s.title, s.begun, s.completed, s.median_completion) for s in learners.read_scenarios(connection)]

    assert found == [("Trip", 0, 0, None), ("Dinner", 2, 1, 0.75)]


def due_of(school: School, connection: Connection, now: datetime) -> dict[int, tuple[int, int]]:
    school.session.flush()
    return {one.day: (one.items, one.learners) for one in learners.read_due(connection, now) if one.items}


def schedule(school: School, user: Any, *due: datetime) -> None:
    for person, at in zip(Person, due, strict=False):
        item: PracticeItem = school.item(user, school.exercise(person=person))
        item.next_review_date = at


def test_reviews_fall_due_on_the_days_of_each_learners_own_zone(school: School, connection: Connection) -> None:
    now = datetime(2026, 3, 2, 23, 30, tzinfo=UTC)  # in Madrid it is Tuesday, in New York still Monday
    ana = school.learner("ana", timezone="Europe/Madrid")
    bob = school.learner("bob", timezone="America/New_York")
    midnight = datetime(2026, 3, 3, 0, 30, tzinfo=UTC)
    schedule(school, ana, midnight, now - timedelta(hours=2), midnight + timedelta(days=13))
    schedule(school, bob, midnight, midnight + timedelta(hours=5), midnight + timedelta(days=13, hours=5))
    schedule(school, school.learner("closed", is_active=False), midnight)

    # Bob's last one is 14 of his days away, Ana's 13 of hers.
    assert due_of(school, connection, now) == {-1: (1, 1), 0: (2, 2), 1: (1, 1), 13: (1, 1)}


def test_the_change_of_clocks_moves_no_review_to_another_day(school: School, connection: Connection) -> None:
    now = datetime(2026, 3, 28, 22, 30, tzinfo=UTC)  # 23:30 in Madrid; the next day has 23 hours
    ana = school.learner("ana", timezone="Europe/Madrid")
    schedule(
        school, ana, datetime(2026, 3, 29, 21, 59, tzinfo=UTC),  # 23:59 of the short day
        datetime(2026, 3, 29, 22, 0, tzinfo=UTC), datetime(2026, 3, 28, 22, 59, tzinfo=UTC),
    )  # fmt: skip
    assert due_of(school, connection, now) == {0: (1, 1), 1: (1, 1), 2: (1, 1)}


def test_days_without_a_review_are_zeros(connection: Connection) -> None:
    found = learners.read_due(connection, MONDAY)
    assert [one.day for one in found] == list(range(-1, 14))
    assert {(one.items, one.learners) for one in found} == {(0, 0)}


def test_errors_are_shares_of_all_slips_with_the_answer_most_learners_wrote(
    school: School, connection: Connection
) -> None:
    ana, bob = school.learner("ana"), school.learner("bob")
    for wrote in ("habla", "habla", "habla", "HABLO "):
        school.answer(ana, right=False, wrote=wrote)
    school.answer(bob, right=False, wrote=" hablo")
    school.answer(bob, right=False, kind=ErrorKind.ACCENT, wrote="hable")
    school.answer(bob, 8, right=False)  # after the window
    school.answer(bob)

    mood, accent = learners.read_errors(connection, WEEK)

    assert (mood.kind, mood.share, mood.learners) == (ErrorKind.MOOD, Tally.of([(4, 4), (1, 2)]), 2)
    # Two learners wrote hablo; habla is more frequent, but one learner's habit.
    assert (mood.written, mood.written_n, mood.expected) == ("hablo", 2, "hable")
    assert mood.prompt == school.exercise().prompt
    assert (accent.share, accent.learners, accent.written_n) == (Tally.of([(0, 4), (1, 2)]), 1, 1)


def test_thresholds_come_from_the_configuration_or_are_the_seeds_own(school: School, connection: Connection) -> None:
    assert learners.read_thresholds(connection) == Thresholds(10, 30, 0.9)
    make_configuration(school.session, key="analytics.minimum_n", value=5, value_type="integer")
    make_configuration(school.session, key="practice.desired_retention", value=0.85, value_type="number", min=0)
    assert learners.read_thresholds(connection) == Thresholds(5, 30, 0.85)


def test_the_population_tells_whose_summaries_are_missing(school: School, connection: Connection) -> None:
    ana, bob = school.learner("ana"), school.learner("bob")
    school.learner("idle")
    school.answer(ana, 3)
    school.answer(bob, 0)
    make_summary(school.session, user_id=ana.id, refreshed_at=MONDAY)
    found = learners.read_population(connection)
    assert (found.accounts, found.practising, found.refreshed) == (3, 2, 1)
    assert (found.first_day, found.last_day) == (date(2026, 3, 2), date(2026, 3, 5))
    assert (found.oldest_refresh, found.newest_refresh) == (MONDAY, MONDAY)


def test_the_window_ends_with_the_last_practised_day_unless_it_is_named(database: Database) -> None:
    with database.session(write=True) as session:
        School(session).answer(School(session).learner("ana"), 4)
    assert read_performance(database, days=7).window == Window(date(2026, 2, 28), date(2026, 3, 6))
    assert read_performance(database, days=2, until="2026-03-08").window == Window(date(2026, 3, 7), date(2026, 3, 8))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"until": "yesterday"}, "'yesterday' is no day"),
        ({"days": 0}, "A window of 0 days holds none"),
        ({"days": 10**6, "until": "2026-03-02"}, "there was no calendar"),
    ],
)
def test_a_window_that_cannot_be_is_refused_in_words(database: Database, given: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        read_performance(database, **given)


def test_more_learners_and_answers_take_no_more_statements(database: Database) -> None:
    numbers = []
    for names in (["ana"], ["bob", "eva", "ivan", "lola"]):
        with database.session(write=True) as session:
            school = School(session)
            for name in names:
                learner = school.learner(name)
                for day in range(5):
                    school.answer(learner, day, right=day % 2 == 0)
        with statements(database.engine) as seen:
            read_performance(database)
        numbers.append(len(seen))
    assert numbers == [17, 17]


def test_reading_writes_nothing(database: Database) -> None:
    with database.session(write=True) as session:
        school = School(session)
        school.answer(school.learner("ana"))
    with database.connection() as connection:
        before = connection.scalar(text("SELECT max(refreshed_at) FROM study_sessions"))
    read_performance(database)
    with database.connection() as connection:
        assert connection.scalar(text("SELECT max(refreshed_at) FROM study_sessions")) == before
