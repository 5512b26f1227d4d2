"""The pool report says who holds connections; the load measures waits."""

from __future__ import annotations

import json
import time
from dataclasses import fields, replace
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import create_engine, insert, make_url, text

from subjunctive_admin.db import Database
from subjunctive_admin.errors import ServerUnreachable, UsageError
from subjunctive_admin.models import PoolSample
from subjunctive_admin.ops.pool import (
    ConnectionBudget,
    Course,
    Glance,
    OtherProcess,
    OtherSession,
    Sample,
    exercise_pool,
    judge,
    pool_report,
    pool_text,
    watching,
)
from subjunctive_admin.settings import load_settings
from subjunctive_admin.vocabulary import Status

ROOM, FULL, NEARLY = ConnectionBudget(100, 3, 10), ConnectionBudget(100, 3, 95), ConnectionBudget(100, 3, 80)


def with_pool(database: Database, **changed: Any) -> Database:
    return Database(database.url, database.settings.model_copy(update=changed), purpose="busy")


def test_the_report_reads_this_process_and_the_server(database: Database) -> None:
    with database.engine.connect():
        report = pool_report(database)

    assert (report.reading.checked_out, report.reading.size) == (1, database.settings.pool_size)
    assert report.budget.max_connections > report.budget.reserved > 0
    assert 1 <= report.budget.used < report.budget.available
    assert report.process == database.application_name
    assert report.status is Status.OK
    assert json.loads(json.dumps(report.as_dict()))["budget"]["used"] == report.budget.used


def test_the_report_names_the_other_sessions_of_the_suite(database: Database) -> None:
    other = with_pool(database)
    with other.engine.connect() as connection:
        connection.execute(text("SELECT 'a secret literal'"))
        pid = connection.scalar(text("SELECT pg_backend_pid()"))
        report = pool_report(database)
    other.dispose()

    (found,) = [one for one in report.sessions if one.pid == pid]
    assert (found.name, found.state) == (other.application_name, "idle in transaction")
    assert found.since is not None
    assert "secret" not in json.dumps(report.as_dict())
    assert other.application_name[:38] in pool_text(report)
    assert database.application_name not in {one.name for one in report.sessions}


def test_a_state_that_this_role_may_not_see_is_unknown(server: Any, database: Database) -> None:
    admin = make_url(server.admin_url(database.url.database)).set(drivername="postgresql+psycopg")
    engine = create_engine(admin, isolation_level="AUTOCOMMIT")
    other = with_pool(database)
    blind = Database(database.url.set(username="pool_reader", password="reader"), database.settings)
    with engine.connect() as connection, other.engine.connect():
        connection.execute(text("CREATE ROLE pool_reader LOGIN PASSWORD 'reader'"))
        report = pool_report(blind)
        connection.execute(text("DROP ROLE pool_reader"))
    for one in (other, engine):
        one.dispose()

    (found,) = [one for one in report.sessions if one.name == other.application_name]
    assert (found.state, found.since) == ("unknown", None)
    assert pool_report(database).budget.max_connections == report.budget.max_connections


def test_an_exhausted_pool_can_still_be_reported(database: Database) -> None:
    small = with_pool(database, pool_size=1, pool_overflow=0, pool_timeout=0.1)
    with small.engine.connect():
        assert pool_report(small).reading.checked_out == 1
    small.dispose()


def test_an_unreachable_server_is_an_error(database: Database, tmp_path: Any) -> None:
    gone = Database(database.url.update_query_dict({"host": str(tmp_path)}), database.settings)
    with pytest.raises(ServerUnreachable):
        pool_report(gone)


def sample(**given: Any) -> Sample:
    whole: dict[str, Any] = {field.name: 0 for field in fields(Sample)} | {
        "pool": "sync",
        "interval_s": 15.0,
        "size": 5,
    }
    return Sample(**(whole | given))


def publish(database: Database, name: str, age: str = "1 s", **given: Any) -> None:
    """What another process would have written so long ago."""
    columns = {"application_name": name, "interval_s": 15, "size": 5, "max_overflow": 10} | given
    with database.connection(write=True) as connection:
        connection.execute(
            insert(PoolSample).values(**columns, sampled_at=text("now() - CAST(:age AS interval)").bindparams(age=age))
        )


def test_another_process_shows_its_newest_sample_of_each_pool(database: Database) -> None:
    web = "subjunctive:web:host:7"
    publish(database, web, "20 s", checked_out=9)
    publish(database, web, checked_out=2, pending=3, wait_p95_ms=12.5)
    publish(database, web, pool="async", size=1, max_overflow=0)

    (found,) = pool_report(database).processes

    assert (found.name, found.sessions, found.claim) == (web, 0, 16)
    assert [(one.pool, one.checked_out, one.pending, one.limit) for one in found.samples] == [
        ("sync", 2, 3, 15), ("async", 0, 0, 1)
    ]  # fmt: skip
    assert "sync: 2 of 15 out, 3 pending, p95 12.5 ms, 1 s ago" in pool_text(pool_report(database))


def test_what_a_dead_process_left_is_no_process(database: Database) -> None:
    publish(database, "subjunctive:web:host:7", "2 minutes")
    report = pool_report(database)
    assert "subjunctive:web:host:7" not in {one.name for one in report.processes}


def test_a_connected_process_that_publishes_no_more_counts_with_its_sessions(database: Database) -> None:
    other = with_pool(database)
    publish(database, other.application_name, "2 minutes")
    with other.engine.connect():
        report = pool_report(database)
    other.dispose()
    (found,) = report.processes
    assert (found.claim, found.sessions, report.silent) == (1, 1, (found,))
    assert "publishes no more" in pool_text(report)


def test_a_process_without_samples_is_said_to_publish_none(database: Database) -> None:
    other = with_pool(database)
    with other.engine.connect(), other.engine.connect(), database.engine.connect():
        report = pool_report(database)
    other.dispose()
    own = database.settings.pool_size + database.settings.pool_overflow
    assert report.claim == own + 2
    said = pool_text(report)
    assert "publishes no samples" in said
    assert f"may open {own + 2} of {report.budget.available} at least: 1 process publishes none" in said


def test_a_process_is_seen_by_another_while_it_publishes(database: Database) -> None:
    other = with_pool(database, pool_size=2, pool_overflow=1)
    with other.engine.connect():
        publisher = other.publish_pool(0.05)
        while not publisher.written:
            time.sleep(0.01)
        report = pool_report(database)
        assert pool_report(other).publishing == publisher.as_dict() | {"written": publisher.written}
    other.dispose()
    (found,) = [one for one in report.processes if one.name == other.application_name]
    assert (found.claim, found.fresh[0].checked_out, report.silent) == (3, 1, ())
    assert json.loads(json.dumps(report.as_dict()))["processes"][0]["publishes"] is True


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("DROP TABLE ops.pool_samples", "the database has no samples"),
        ("ALTER TABLE ops.pool_samples DROP COLUMN max_overflow", "the database is at an older revision"),
        ("REVOKE ALL ON ops.pool_samples FROM PUBLIC, CURRENT_USER", "this role may not read samples"),
    ],
)
def test_samples_that_cannot_be_read_are_said_and_hide_nothing_else(
    database: Database, fault: str, reason: str
) -> None:
    other = with_pool(database)
    with database.connection(write=True) as connection:
        connection.execute(text(fault))
    with other.engine.connect():
        report = pool_report(database)
    other.dispose()
    assert report.unread == reason
    assert [one.name for one in report.processes] == [other.application_name]
    assert f"at least: {reason}" in pool_text(report)
    assert "samples cannot be read here" in pool_text(report)


def test_a_suspect_is_shown_with_its_stack(database: Database) -> None:
    forgetful = with_pool(database, pool_hold_suspect=0.01)
    with forgetful.engine.connect():
        time.sleep(0.02)
        report = pool_report(forgetful)
    forgetful.dispose()
    assert (report.status, report.suspects[0].owner) == (Status.WARNING, "MainThread")
    assert "1 connection of this process held for more than 0.01 s" in report.headline
    assert " in test_a_suspect_is_shown_with_its_stack" in pool_text(report)
    assert max(map(len, pool_text(report).splitlines()[2:])) <= 80


OTHER = OtherProcess("subjunctive:web:host:7", 1)


@pytest.mark.parametrize(
    ("published", "claim", "status", "words"),
    [
        (sample(recent_timeouts=1), 5, Status.CRITICAL, "1 caller of subjunctive:web:host:7 got no connection"),
        (sample(wait_p95_ms=80, checkouts=20), 5, Status.WARNING, "Callers of subjunctive:web:host:7 wait 80 ms"),
        (sample(suspects=2), 5, Status.WARNING, "2 connections of subjunctive:web:host:7 held suspiciously long"),
        (sample(), 98, Status.WARNING, "The pools may open 98 connections, and the server has 97"),
        (sample(), 97, Status.OK, "The pool has room"),
        (sample(recent_timeouts=1, age_s=60), 5, Status.OK, "The pool has room"),
    ],
)
def test_other_processes_and_the_sum_of_all_pools_are_judged(
    published: Sample, claim: int, status: Status, words: str
) -> None:
    found, said = judge([], ROOM, load_settings(), [replace(OTHER, samples=(published,))], claim)
    assert (found, words in said) == (status, True)


def test_timeouts_of_others_are_those_of_the_last_hour(database: Database) -> None:
    for age, timeouts in (("2 hours", 1), ("50 minutes", 4), ("1 s", 6)):
        publish(database, "subjunctive:web:host:7", age, timeouts=timeouts)
    assert pool_report(database).processes[0].samples[0].recent_timeouts == 2


@pytest.mark.parametrize(
    ("changed", "budget", "status", "words"),
    [
        ({}, ROOM, Status.OK, "The pool has room: 10 of 97 connections"),
        ({"timeouts": 2}, ROOM, Status.CRITICAL, "2 callers of this process got no connection"),
        ({}, FULL, Status.CRITICAL, "95 of 97 connections of the server are in use"),
        ({}, NEARLY, Status.WARNING, "80 of 97 connections of the server are in use"),
        ({"wait_p95_ms": 1500.0, "checkouts": 20}, NEARLY, Status.CRITICAL, "Callers wait 1500 ms (p95)"),
        ({"wait_p95_ms": 60.0, "checkouts": 20}, ROOM, Status.WARNING, "Callers wait 60 ms (p95)"),
        ({"wait_p95_ms": 60.0, "checkouts": 19}, ROOM, Status.OK, "The pool has room"),
    ],
)
def test_the_most_urgent_fact_is_said(
    database: Database, changed: dict[str, Any], budget: ConnectionBudget, status: Status, words: str
) -> None:
    found, said = judge([replace(database.pool_reading(), **changed)], budget, load_settings())
    assert (found, words in said) == (status, True)


def test_the_text_fits_a_terminal_and_says_what_is_not_known(database: Database) -> None:
    stranger = OtherSession("subjunctive:admin:" + "x" * 45, 4_194_304, "idle in transaction (aborted)", None)
    seen = OtherSession("subjunctive:web", 7, "active", datetime(2026, 11, 22, 6, tzinfo=UTC))
    whole = pool_text(replace(pool_report(database), sessions=(stranger, seen)))

    assert max(map(len, whole.splitlines())) <= 80
    assert "?" in whole
    assert "06:00:00 UTC" in whole


def test_the_text_says_when_nobody_else_is_connected(database: Database) -> None:
    assert "No other session" in pool_text(replace(pool_report(database), sessions=(), processes=()))


def test_the_load_has_one_row_for_each_checkout(database: Database) -> None:
    said: list[tuple[int, int]] = []

    load = exercise_pool(database, checkouts=30, threads=4, hold_ms=1, progress=lambda *at: said.append(at))

    assert list(load.columns) == ["checkout", "thread", "got", "wait_ms", "hold_ms"]
    assert list(load["checkout"]) == list(range(1, 31))
    assert load["got"].all()
    assert (load["hold_ms"] >= 1).all()
    assert said == [(number, 30) for number in range(1, 31)]
    assert database.pool_reading().checked_out == 0


def test_the_pool_is_looked_at_while_a_load_runs(database: Database) -> None:
    small = with_pool(database, pool_size=1, pool_overflow=1, pool_timeout=5)
    with watching(small, every=0.005) as course:
        exercise_pool(small, checkouts=20, threads=5, hold_ms=10)
    points = course.points
    small.dispose()

    assert [one.seconds for one in points] == sorted(one.seconds for one in points)
    assert max(one.checked_out for one in points) == 2
    assert max(one.overflow for one in points) == 1
    assert 3 in {one.pending for one in points if one.checked_out == 2}


def test_a_long_look_keeps_a_bounded_number_of_points(database: Database) -> None:
    course = Course(every=0.1)
    for number in range(5000):
        course.add(Glance(float(number), 0, 0, 0, 0))
    assert 300 <= len(course.points) <= 600
    assert course.points[0].seconds == 0
    assert course.every > 0.1


def test_more_threads_than_connections_wait_and_time_out(database: Database) -> None:
    small = with_pool(database, pool_size=1, pool_overflow=0, pool_timeout=0.05)
    load = exercise_pool(small, checkouts=4, threads=4, hold_ms=300)
    assert (load["got"].sum(), load["hold_ms"].isna().sum()) == (1, 3)
    assert load.loc[~load["got"], "wait_ms"].min() >= 50
    assert small.pool_reading().timeouts == 3
    small.dispose()


@pytest.mark.parametrize("wrong", [{"checkouts": 0}, {"checkouts": 10_001}, {"threads": 65}, {"hold_ms": -1.0}])
def test_a_load_without_bounds_is_refused(database: Database, wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="1 to 10,000 checkouts"):
        exercise_pool(database, **wrong)


def test_a_load_on_a_server_that_is_gone_raises(database: Database, tmp_path: Any) -> None:
    gone = Database(database.url.update_query_dict({"host": str(tmp_path)}), database.settings)
    with pytest.raises(ServerUnreachable):
        exercise_pool(gone, checkouts=3, threads=2)
