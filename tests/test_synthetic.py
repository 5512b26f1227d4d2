"""Synthetic learners: the same for a seed, in agreement with themselves, and true to what they were made of."""

from __future__ import annotations

import json
import os
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import groupby
from pathlib import Path
from statistics import correlation, fmean
from typing import Any
from uuid import uuid4

import psutil
import pytest
from sqlalchemy import Row, text

from subjunctive_admin import derived, practice, seeding
from subjunctive_admin.content.diagnosis import grade
from subjunctive_admin.db import Database
from subjunctive_admin.errors import Conflict, CouldNotBegin, NotSetUp, UsageError
from subjunctive_admin.ops.health import run_health
from subjunctive_admin.scheduling import Memory, Rating, algorithm
from subjunctive_admin.schema import fingerprint, setup
from subjunctive_admin.synthetic import binary
from subjunctive_admin.synthetic.loading import (
    check_plan,
    ensure,
    exercise_truths,
    learner_truths,
    plan_until,
    read_library,
    remove,
)
from subjunctive_admin.synthetic.population import Plan, learner_truth, quotas
from tests.builders import make_attempt, make_user
from tests.conftest import Cluster, close
from tests.content.items import rows_of

UNTIL = datetime(2026, 11, 20, 9, tzinfo=UTC)
PLAN = Plan(learners=60, attempts=9000, seed=7, until=UNTIL)
SMALL = Plan(learners=30, attempts=600, seed=3, until=UNTIL)
LEARNERS = ("users", "study_sessions", "practice_items", "practice_attempts", "user_achievements", "user_progress")


@pytest.fixture(scope="module")
def seeded(cluster: Cluster) -> Iterator[Database]:
    """The shipped seeds, and nobody who practises."""
    with cluster.database(cluster.template) as database:
        with database.session(write=True) as session:
            seeding.seed(session, seeding.read_seeds())
        yield database


@pytest.fixture(scope="module")
def simulated(cluster: Cluster, seeded: Database) -> Iterator[Database]:
    """PLAN's learners; nothing here changes them."""
    close(seeded)
    with cluster.database(str(seeded.url.database)) as database:
        ensure(database, PLAN, processes=1)
        yield database


@pytest.fixture
def own(cluster: Cluster, seeded: Database) -> Iterator[Database]:
    """A copy of the seeds to change."""
    close(seeded)
    with cluster.database(str(seeded.url.database)) as database:
        yield database


def found(database: Database, query: str, **given: Any) -> list[Row[Any]]:
    with database.connection() as connection:
        return list(connection.execute(text(query), given))


def value(database: Database, query: str) -> Any:
    return found(database, query)[0][0]


def learners_rows(database: Database) -> dict[str, list[str]]:
    return rows_of(database, *LEARNERS)


# Reproducible


def test_the_same_plan_gives_the_same_rows_on_one_core_or_three(cluster: Cluster, seeded: Database) -> None:
    tables: list[dict[str, list[Row[Any]]]] = []
    for processes in (1, 3):
        close(seeded)
        with cluster.database(str(seeded.url.database)) as database:
            ensure(database, SMALL, processes=processes)
            tables.append(
                {
                    "users": found(database, "SELECT id, username, timezone, created_at, bio FROM users ORDER BY id"),
                    "attempts": found(
                        database,
                        "SELECT id, user_id, session_id, practice_item_id, exercise_id, user_answer, verdict, error_kind,"
                        " response_time_ms, stability_after, attempted_at, practised_on FROM practice_attempts ORDER BY id",
                    ),
                    "items": found(database, "SELECT id, next_review_date, lapses FROM practice_items ORDER BY id"),
                    "awards": found(
                        database, "SELECT user_id, achievement_id, unlocked_at FROM user_achievements ORDER BY 1, 2"
                    ),
                }
            )
    assert tables[0] == tables[1]
    assert len(tables[0]["attempts"]) == 600


def test_another_seed_gives_other_learners() -> None:
    one, other = learner_truths(SMALL), learner_truths(Plan(30, 600, 4, UNTIL))
    assert not {learner.ability for learner in one} & {learner.ability for learner in other}


def test_a_learner_is_the_same_in_a_population_of_any_size() -> None:
    assert learner_truth(SMALL, 5) == learner_truth(Plan(3000, 90_000, 3, UNTIL), 5)


@pytest.mark.parametrize(("learners", "attempts"), [(1, 1), (1, 1000), (7, 7), (60, 9000), (300, 60_000)])
def test_the_attempts_are_exactly_as_many_as_asked_for(learners: int, attempts: int) -> None:
    counts = quotas(Plan(learners, attempts, 1, UNTIL))
    assert (len(counts), sum(counts), min(counts) >= 1) == (learners, attempts, True)


# In agreement


def test_the_plan_is_kept_to_the_answer(simulated: Database) -> None:
    assert value(simulated, "SELECT count(*) FROM practice_attempts") == 9000
    assert value(simulated, "SELECT count(*) FROM users WHERE email LIKE 'sim_%@example.invalid'") == 60
    assert value(simulated, "SELECT count(DISTINCT user_id) FROM practice_attempts") == 60


CONTRADICTIONS = (
    "attempted_at > :until OR recorded_at < attempted_at",
    "attempted_at < (SELECT started_at FROM study_sessions s WHERE s.id = session_id)",
    "recorded_at > (SELECT coalesce(completed_at, 'infinity') FROM study_sessions s WHERE s.id = session_id)",
    "user_id IS DISTINCT FROM (SELECT user_id FROM practice_items i WHERE i.id = practice_item_id)",
    "coalesce(trigger_class::text, 'none') <> (SELECT category::text FROM practice_items i WHERE i.id = practice_item_id)",
    """NOT EXISTS (SELECT FROM practice_items i WHERE i.id = a.practice_item_id AND i.verb_id = a.verb_id
                AND i.tense = a.tense AND i.person = a.person)""",
    """NOT EXISTS (SELECT FROM exercises e WHERE e.id = a.exercise_id AND e.verb_id = a.verb_id AND e.tense = a.tense
                AND e.person = a.person AND e.correct_answer = a.expected_answer)""",
    """practised_on <> (SELECT (attempted_at AT TIME ZONE timezone)::date FROM users u WHERE u.id = user_id)
       AND user_id NOT IN (SELECT id FROM users WHERE username = ANY(:movers))""",
)


@pytest.mark.parametrize("contradiction", CONTRADICTIONS, ids=range(len(CONTRADICTIONS)))
def test_no_attempt_contradicts_what_it_belongs_to(simulated: Database, contradiction: str) -> None:
    movers = [learner.username for learner in learner_truths(PLAN) if learner.moves_to]
    query = f"SELECT count(*) FROM practice_attempts a WHERE {contradiction}"
    assert found(simulated, query, until=UNTIL, movers=movers)[0][0] == 0


def test_no_sitting_reaches_into_the_next(simulated: Database) -> None:
    overlapping = """
        SELECT count(*) FROM (
          SELECT s.user_id, max(a.attempted_at) AS ended, lead(min(s.started_at)) OVER (
                   PARTITION BY s.user_id ORDER BY min(s.started_at)) AS next
          FROM study_sessions s JOIN practice_attempts a ON a.session_id = s.id GROUP BY s.id, s.user_id) t
        WHERE next < ended"""
    assert value(simulated, overlapping) == 0


def test_every_derived_value_is_what_it_follows_from(simulated: Database) -> None:
    with simulated.connection() as connection:
        assert derived.differences(connection) == []


def test_every_schedule_is_what_replaying_the_answers_gives(simulated: Database) -> None:
    rows = found(
        simulated,
        "SELECT practice_item_id, rating, attempted_at, stability_before, stability_after FROM practice_attempts"
        " WHERE practice_item_id IS NOT NULL ORDER BY practice_item_id, attempted_at",
    )
    kept = {row.id: row for row in found(simulated, "SELECT * FROM practice_items")}
    replayed = 0
    for item, answers in groupby(rows, key=lambda row: row.practice_item_id):
        memory = Memory()
        for row in answers:
            assert row.stability_before == memory.stability
            memory = algorithm("fsrs").review(memory, Rating(row.rating), row.attempted_at)
            assert row.stability_after == memory.stability
        columns = kept[item]
        assert (columns.next_review_date, columns.lapses, columns.repetitions, columns.memory_difficulty) == (
            memory.due,
            memory.lapses,
            memory.repetitions,
            memory.difficulty,
        )
        replayed += 1
    assert replayed == len(kept) > 500


def test_every_label_is_what_the_grader_says_of_the_answer(simulated: Database) -> None:
    rows = found(
        simulated,
        "SELECT DISTINCT a.user_answer, a.verdict, a.error_kind, a.produced_tense, a.produced_person, a.is_correct,"
        " e.id FROM practice_attempts a JOIN exercises e ON e.id = a.exercise_id",
    )
    asked = {
        row.id: practice.question_of(row)
        for row in found(
            simulated,
            "SELECT e.*, v.infinitive, v.conjugations FROM exercises e JOIN spanish_verbs v ON v.id = e.verb_id",
        )
    }
    for row in rows:
        said = grade(asked[row.id], row.user_answer)
        labels = (said.verdict, said.error_kind, said.produced_tense, said.produced_person)
        assert labels == (row.verdict, row.error_kind, row.produced_tense, row.produced_person), row
        assert said.is_correct(accent_only_counts=False) == row.is_correct
    kinds = {row.error_kind for row in rows}
    assert kinds >= {None, "mood", "tense", "person", "accent", "stem", "spelling", "irregular", "typo", "unknown"}


def test_every_award_was_earned_when_it_was_given(simulated: Database) -> None:
    scope = """
        SELECT user_id, achievement_id, unlocked_at AS as_of FROM user_achievements WHERE unlocked_at IS NOT NULL"""
    earned = derived.AWARDS.select.replace("{scope}", scope)
    earned = earned.replace("met OR o.unlocked_at IS NOT NULL", "met")
    rows = found(simulated, f"SELECT achievement_id, progress FROM ({earned}) e")
    assert {row.progress for row in rows} == {1}
    assert len({row.achievement_id for row in rows}) >= 5


def test_a_session_lists_the_awards_that_its_end_unlocked(simulated: Database) -> None:
    listed = value(simulated, "SELECT sum(cardinality(achievements_unlocked)) FROM study_sessions")
    given = "SELECT count(*) FROM user_achievements w JOIN study_sessions s ON s.user_id = w.user_id AND s.completed_at = w.unlocked_at"
    assert listed == value(simulated, given) > 60


def test_the_health_of_a_simulated_database_is_good(simulated: Database) -> None:
    # The tests' server saves on what keeps data through a crash, and drops databases all the time.
    found = {one.id: one.message for one in run_health(simulated).findings}
    assert found.keys() <= {"durability", "checkpoints"}, found


# True to what they were made of


def rates(database: Database, column: str) -> dict[str, float]:
    query = f"""
        SELECT {column} AS name, avg(is_correct::int)::float8 AS share, count(*) AS n FROM practice_attempts a
        JOIN users u ON u.id = a.user_id JOIN exercises e ON e.id = a.exercise_id GROUP BY 1"""
    return {row.name: row.share for row in found(database, query) if row.n >= 40}


def test_able_learners_are_more_often_right(simulated: Database) -> None:
    abilities = {learner.username: learner.ability for learner in learner_truths(PLAN)}
    shares = rates(simulated, "u.username")
    assert correlation([abilities[name] for name in shares], list(shares.values())) > 0.6


def test_difficult_exercises_are_more_often_wrong(simulated: Database) -> None:
    truths = {truth.slug: truth for truth in exercise_truths(simulated, PLAN.seed)}
    shares = rates(simulated, "e.slug")
    sound = [slug for slug in shares if not truths[slug].flawed]
    assert correlation([truths[slug].difficulty for slug in sound], [shares[slug] for slug in sound]) < -0.6


def test_some_exercises_are_flawed_and_the_truth_says_which(simulated: Database) -> None:
    flawed = [truth for truth in exercise_truths(simulated, PLAN.seed) if truth.flawed]
    assert 0.02 <= len(flawed) / len(exercise_truths(simulated, PLAN.seed)) <= 0.1
    assert all(truth.discrimination < 0 for truth in flawed)


def test_recall_falls_the_longer_an_answer_outlasts_its_memory(simulated: Database) -> None:
    query = """
        SELECT is_correct, days / stability_before AS stretched FROM (
          SELECT is_correct, stability_before, date_part('epoch', attempted_at - lag(attempted_at) OVER (
                   PARTITION BY practice_item_id ORDER BY attempted_at)) / 86400 AS days FROM practice_attempts) a
        WHERE days >= 1"""
    rows = found(simulated, query)
    early = [row.is_correct for row in rows if row.stretched < 1]
    late = [row.is_correct for row in rows if row.stretched > 4]
    assert min(len(early), len(late)) >= 200
    assert fmean(early) > fmean(late) + 0.1


def test_learners_make_the_slips_they_are_prone_to(simulated: Database) -> None:
    query = """
        SELECT u.username, avg((error_kind = 'mood')::int)::float8 AS mood, count(*) AS n FROM practice_attempts a
        JOIN users u ON u.id = a.user_id WHERE NOT is_correct GROUP BY 1"""
    truths = {learner.username: learner.kinds for learner in learner_truths(PLAN)}
    pairs = [
        (truths[row.username]["mood"] / sum(truths[row.username].values()), row.mood)
        for row in found(simulated, query)
        if row.n >= 20
    ]
    assert correlation(*zip(*pairs, strict=True)) > 0.5


def test_learners_live_in_their_zones_and_some_move(simulated: Database) -> None:
    zones = {row.username: row.timezone for row in found(simulated, "SELECT username, timezone FROM users")}
    truths = learner_truths(PLAN)
    assert all(zones[t.username] in (t.zone, t.moves_to) for t in truths)
    assert len(set(zones.values())) >= 6
    assert any(t.moves_to for t in learner_truths(Plan(300, 300, 7, UNTIL)))


# Loading, again and away


def test_a_binary_row_is_read_as_what_was_written(own: Database) -> None:
    key, at = uuid4(), datetime(1999, 12, 31, 23, 59, 59, 250_000, tzinfo=UTC)
    row = (key, "¿Que él «hable»?", None, True, -7)
    timed = struct.pack(">iqii", 8, (at - binary.EPOCH) // timedelta(microseconds=1), 4, binary.days(at.date()))
    content = binary.row_of(7) + b"".join(map(binary.field, row)) + timed
    with own.connection(write=True) as connection:
        connection.execute(
            text("CREATE TEMP TABLE rows (a uuid, b text, c text, d bool, e int, f timestamptz, g date)")
        )
        cursor: Any = connection.connection.cursor()
        with cursor.copy("COPY rows FROM STDIN WITH (FORMAT binary)") as copy:
            copy.write(binary.HEADER + content + content + binary.TRAILER)
        assert connection.execute(text("SELECT * FROM rows")).all() == [(*row, at, at.date())] * 2


def test_the_same_plan_again_changes_nothing_even_on_another_day(own: Database) -> None:
    ensure(own, SMALL, processes=1)
    before = learners_rows(own)
    again = ensure(own, Plan(30, 600, 3, UNTIL + timedelta(days=1)), processes=1)
    assert (again.existed, again.plan) == (True, SMALL)
    assert learners_rows(own) == before


def test_another_plan_asks_to_remove_the_first(own: Database) -> None:
    ensure(own, SMALL, processes=1)
    with pytest.raises(
        Conflict, match=r"Other synthetic learners are there \(seed 3, 30 learners, 600 attempts"
    ) as refused:
        ensure(own, PLAN, processes=1)
    assert refused.value.next_step == "subjunctive-admin simulate --remove"


def test_the_schema_is_the_same_after_a_bare_load(own: Database) -> None:
    with own.connection() as connection:
        before = fingerprint(connection)
    ensure(own, SMALL, processes=1)
    with own.connection() as connection:
        assert fingerprint(connection) == before


def test_learners_join_those_who_are_there_and_leave_them_alone(own: Database) -> None:
    with own.session(write=True) as session:
        ana = make_user(session, username="sim_ana", email="ana@example.org")
        make_attempt(session, user_id=ana.id)
        make_user(session, username="berta", email="sim_berta@example.invalid")
    before = learners_rows(own)
    ensure(own, SMALL, processes=1)
    assert value(own, "SELECT count(*) FROM practice_attempts") == 601
    with own.connection() as connection:
        assert derived.differences(connection) == []
    assert remove(own) == 30
    assert learners_rows(own) == before
    assert remove(own) == 0


def test_production_has_no_synthetic_learners(own: Database) -> None:
    setup(own, "production")
    for attempt in (lambda: ensure(own, SMALL, processes=1), lambda: remove(own)):
        with pytest.raises(CouldNotBegin, match="marked production"):
            attempt()


def test_without_an_exercise_there_is_nothing_to_simulate(database: Database) -> None:
    with pytest.raises(NotSetUp, match="There is no published exercise") as refused:
        ensure(database, SMALL, processes=1)
    assert refused.value.next_step == "subjunctive-admin seed"


@pytest.mark.parametrize(
    ("plan", "said"),
    [
        (Plan(0, 10, 1, UNTIL), "--learners is 1 to 99,999, not 0"),
        (Plan(-1, 10, 1, UNTIL), "--learners is 1 to 99,999, not -1"),
        (Plan(10, 9, 1, UNTIL), "--attempts is 10 .one a learner. to 100,000,000, not 9"),
        (Plan(1, 10**12, 1, UNTIL), "not 1,000,000,000,000"),
        (Plan(1, 1, 1, datetime(2100, 1, 1, tzinfo=UTC)), "--until is over by now"),
        (Plan(1, 1, 1, UNTIL, days=0), "7 to 3,650 days, not 0"),
    ],
    ids=range(6),
)
def test_a_plan_that_cannot_be_is_wrong_usage(plan: Plan, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        check_plan(plan)


def test_a_plan_ends_with_its_day_or_with_this_minute() -> None:
    assert plan_until("2026-10-31", 1, 1, 1).until == datetime(2026, 11, 1, tzinfo=UTC)
    assert datetime.now(UTC) - plan_until(None, 1, 1, 1).until < timedelta(minutes=2)
    with pytest.raises(UsageError, match="--until is a day such as 2026-10-31, not 'soon'"):
        plan_until("soon", 1, 1, 1)


@pytest.mark.parametrize("scheduler", ["sm2", "fsrs"])
def test_the_configured_scheduler_and_policy_hold_for_them_too(own: Database, scheduler: str) -> None:
    with own.connection(write=True) as connection:
        connection.execute(
            text("UPDATE system_configuration SET value = to_jsonb(CAST(:s AS text)) WHERE key = 'practice.scheduler'"),
            {"s": scheduler},
        )
        connection.execute(
            text("UPDATE system_configuration SET value = 'true' WHERE key = 'practice.accent_only_counts_as_right'")
        )
    ensure(own, SMALL, processes=1)
    assert value(own, "SELECT string_agg(DISTINCT scheduler::text, ' ') FROM practice_items") == scheduler
    assert value(own, "SELECT bool_and(is_correct) FROM practice_attempts WHERE verdict = 'accent_only'")
    with own.connection() as connection:
        assert derived.differences(connection) == []


# The bulk path and one answer after the other


def test_five_hundred_recorded_answers_and_the_bulk_path_give_the_same_state(
    cluster: Cluster, seeded: Database
) -> None:
    plan = Plan(5, 500, 11, UNTIL)
    close(seeded)
    with cluster.database(str(seeded.url.database)) as bulk, cluster.database(str(seeded.url.database)) as recorded:
        for database in (bulk, recorded):
            with database.connection(write=True) as connection:
                # Mastery fades between the simulated close of a session and the close that the test makes today.
                connection.execute(text("UPDATE achievements SET is_active = criteria->>'metric' <> 'items_mastered'"))
        ensure(bulk, plan, processes=1)
        _record_again(bulk, recorded)
        as_of = datetime.now(UTC)
        states = []
        for database in (bulk, recorded):
            with database.connection(write=True) as connection:
                assert derived.differences(connection) == []
                derived.refresh(connection, everything=True, as_of=as_of)
            states.append(_derived_state(database))
    assert states[0] == states[1]


def _record_again(bulk: Database, recorded: Database) -> None:
    """Every session and answer of the bulk load once more, by the functions that an application calls."""
    users = "SELECT id, username, email, hashed_password, timezone, daily_goal_minutes FROM users"
    with recorded.connection(write=True) as connection:
        for user in found(bulk, users):
            connection.execute(
                text(
                    "INSERT INTO users (id, username, email, hashed_password, timezone, daily_goal_minutes)"
                    " VALUES (:id, :username, :email, :hashed_password, :timezone, :daily_goal_minutes)"
                ),
                dict(user._mapping),
            )
    for sitting in found(bulk, "SELECT * FROM study_sessions ORDER BY started_at"):
        with recorded.session(write=True) as session:
            practice.open_session(session, sitting.user_id, at=sitting.started_at, session_id=sitting.id)
            query = "SELECT * FROM practice_attempts WHERE session_id = :id ORDER BY attempted_at"
            for row in found(bulk, query, id=sitting.id):
                answer = practice.Answer(
                    row.exercise_id, row.user_answer, row.response_time_ms, row.hints_used, row.confidence,
                    row.attempted_at, id=row.id,
                )  # fmt: skip
                practice.record_attempt(session, sitting.user_id, sitting.id, answer)
            if sitting.completed_at is not None:
                practice.close_session(session, sitting.user_id, sitting.id, at=sitting.completed_at)


def _derived_state(database: Database) -> dict[str, list[tuple[Any, ...]]]:
    """Every derived and scheduled value under natural keys; days apart, for a learner who moved has the newer zone."""
    queries = {
        "items": "SELECT u.username, verb_id, tense, person, category, attempts, correct_attempts, average_response_time,"
        " round(mastery_level::numeric, 9), error_patterns::text, strengths, last_reviewed, current_interval, ease_factor,"
        " repetitions, lapses, memory_stability, memory_difficulty, next_review_date, scheduler"
        " FROM practice_items i JOIN users u ON u.id = i.user_id ORDER BY 1, 2, 3, 4, 5",
        "sessions": "SELECT id, total_time_seconds, total_score, total_possible_score, exercises_completed, daily_goal_met,"
        " streak_day, concepts_practiced, weak_areas_identified, completed_at, started_on FROM study_sessions ORDER BY id",
        "progress": "SELECT user_id, scenario_id, progress_status, completion, best_score, attempts, started_at,"
        " completed_at, last_activity_at FROM user_progress ORDER BY 1, 2",
        "awards": "SELECT user_id, achievement_id, progress, current_value, unlocked_at IS NOT NULL FROM user_achievements"
        " ORDER BY 1, 2",
        "summaries": "SELECT user_id, total_attempts, correct_attempts, accuracy, total_time_seconds, sessions, items_mastered,"
        " items_learning, current_streak, longest_streak, total_points, last_practised_on FROM user_progress_summary ORDER BY 1",
        "attempts": "SELECT id, verdict, is_correct, error_kind, rating, interval_before, interval_after, ease_after,"
        " stability_before, stability_after, practised_on FROM practice_attempts ORDER BY id",
    }
    return {name: [tuple(row) for row in found(database, query)] for name, query in queries.items()}


# Interrupted


@pytest.mark.faults
@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_an_interrupted_load_leaves_nothing_in_the_database_or_among_the_processes(
    own: Database, by: signal.Signals
) -> None:
    before = learners_rows(own)
    with own.connection() as connection:
        catalog = fingerprint(connection)
    command = [sys.executable, "-m", "subjunctive_admin", "simulate", "--learners", "2000", "--attempts", "400000"]
    environment = os.environ | {"SUBJUNCTIVE_DATABASE_URL": own.url.render_as_string(False)}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    family = psutil.Process(process.pid)
    deadline = time.monotonic() + 60
    while not (_loading(own) and len(family.children(recursive=True)) >= 2) and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(1)
    workers = family.children(recursive=True)
    assert len(workers) >= 2
    process.send_signal(by)
    out, err = process.communicate(timeout=30)
    assert process.returncode == {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGKILL: -9}[by], err
    assert out == ""
    _, alive = psutil.wait_procs(workers, timeout=10)
    assert alive == []
    while _loading(own) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert learners_rows(own) == before
    with own.connection() as connection:
        assert fingerprint(connection) == catalog
    assert ensure(own, SMALL, processes=1).existed is False


def _loading(database: Database) -> bool:
    return bool(value(database, "SELECT count(*) FROM pg_stat_progress_copy WHERE type = 'PIPE'")) or bool(
        value(
            database,
            "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'subjunctive:simulate%' AND state <> 'idle'",
        )
    )


def test_the_truth_is_written_beside_the_data(own: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    environment = os.environ | {"SUBJUNCTIVE_DATABASE_URL": own.url.render_as_string(False)}
    command = [
        sys.executable,
        "-m",
        "subjunctive_admin",
        "simulate",
        "--learners",
        "3",
        "--attempts",
        "30",
        "--seed",
        "5",
    ]
    ran = subprocess.run(
        [*command, "--truth", str(tmp_path / "truth.json"), "--json"], env=environment, capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    assert (ran.stderr, json.loads(ran.stdout)["plan"]["attempts"]) == ("", 30)
    truth = json.loads((tmp_path / "truth.json").read_text(encoding="utf-8"))
    assert [learner["username"] for learner in truth["learners"]] == ["sim_00001", "sim_00002", "sim_00003"]
    with own.connection() as connection:
        assert len(truth["exercises"]) == len(read_library(connection).questions)
