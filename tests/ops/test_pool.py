"""The pool report says who holds connections; the load measures waits."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import create_engine, make_url, text

from subjunctive_admin.db import Database
from subjunctive_admin.errors import ServerUnreachable, UsageError
from subjunctive_admin.ops.pool import ConnectionBudget, OtherSession, exercise_pool, judge, pool_report, pool_text
from subjunctive_admin.settings import load_settings
from subjunctive_admin.vocabulary import Status


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


ROOM, FULL, NEARLY = ConnectionBudget(100, 3, 10), ConnectionBudget(100, 3, 95), ConnectionBudget(100, 3, 80)


@pytest.mark.parametrize(
    ("changed", "budget", "status", "words"),
    [
        ({}, ROOM, Status.OK, "The pool has room: 10 of 97 connections"),
        ({"timeouts": 2}, ROOM, Status.CRITICAL, "2 callers of this process got no connection"),
        ({}, FULL, Status.CRITICAL, "95 of 97 connections of the server are in use"),
        ({}, NEARLY, Status.WARNING, "80 of 97 connections of the server are in use"),
        ({"wait_p95_ms": 1500.0}, NEARLY, Status.CRITICAL, "Callers wait 1500 ms (p95)"),
        ({"wait_p95_ms": 60.0}, ROOM, Status.WARNING, "Callers wait 60 ms (p95)"),
    ],
)
def test_the_most_urgent_fact_is_said(
    database: Database, changed: dict[str, Any], budget: ConnectionBudget, status: Status, words: str
) -> None:
    found, said = judge(replace(database.pool_reading(), **changed), budget, load_settings())
    assert (found, words in said) == (status, True)


def test_the_text_fits_a_terminal_and_says_what_is_not_known(database: Database) -> None:
    stranger = OtherSession("subjunctive:admin:" + "x" * 45, 4_194_304, "idle in transaction (aborted)", None)
    seen = OtherSession("subjunctive:web", 7, "active", datetime(2026, 11, 22, 6, tzinfo=UTC))
    whole = pool_text(replace(pool_report(database), sessions=(stranger, seen)))

    assert max(map(len, whole.splitlines())) <= 80
    assert "?" in whole
    assert "06:00:00 UTC" in whole


def test_the_text_says_when_nobody_else_is_connected(database: Database) -> None:
    assert "No other session" in pool_text(replace(pool_report(database), sessions=()))


def test_the_load_has_one_row_for_each_checkout(database: Database) -> None:
    said: list[tuple[int, int]] = []

    load = exercise_pool(database, checkouts=30, threads=4, hold_ms=1, progress=lambda *at: said.append(at))

    assert list(load.columns) == ["checkout", "thread", "got", "wait_ms", "hold_ms"]
    assert list(load["checkout"]) == list(range(1, 31))
    assert load["got"].all()
    assert (load["hold_ms"] >= 1).all()
    assert said == [(number, 30) for number in range(1, 31)]
    assert database.pool_reading().checked_out == 0


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
