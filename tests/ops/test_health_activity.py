"""Sessions, locks and deadlocks: each check finds what is put into a real server, and tells nobody's words."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from time import monotonic, sleep
from typing import Any

import psycopg
import pytest

from subjunctive_admin.db import Database
from subjunctive_admin.ops.health import activity
from subjunctive_admin.vocabulary import Status
from tests.ops.health_verbs import (
    an_hour_ago,
    another_role,
    check_finds,
    check_passes,
    result_of,
    run_and_count,
    run_as_superuser,
    session,
    with_settings,
)

MOMENT = 0.02
HELD = "pid {pid} (an application, role subjunctive)"


@contextmanager
def running(database: Database, statement: str, name: str = "an application") -> Iterator[int]:
    """The pid of a session that runs a statement until it is cancelled."""
    with session(database) as connection:
        connection.execute(f"SET application_name = '{name}'")
        connection.commit()
        worker = threading.Thread(target=_run, args=(connection, statement), daemon=True)
        worker.start()
        try:
            yield connection.info.backend_pid
        finally:
            connection.cancel_safe()
            worker.join(timeout=10)


def _run(connection: psycopg.Connection, statement: str) -> None:
    try:
        connection.execute(statement.encode())
    except psycopg.errors.QueryCanceled:
        connection.rollback()


def wait_for_waiters(server: Any, database: Database, number: int) -> None:
    deadline = monotonic() + 10
    waiting = "SELECT count(DISTINCT pid) FROM pg_locks WHERE NOT granted AND waitstart < now() - interval '50 ms'"
    while run_as_superuser(server, database, waiting) != [number]:
        assert monotonic() < deadline
        sleep(0.01)


# connections


def test_connections_passes_with_their_number(database: Database) -> None:
    assert str(check_passes(database, "connections").observed).endswith(" of 97")


def test_connections_names_who_holds_most(database: Database) -> None:
    with ExitStack() as held:
        for _ in range(30):
            held.enter_context(session(database))
        few = with_settings(database, connections_warning=0.2)
        fewer = with_settings(database, connections_warning=0.1, connections_critical=0.2)
        found = check_finds(few, "connections", Status.WARNING, "30 by subjunctive (an application)")
        check_finds(fewer, "connections", Status.CRITICAL, "connections are in use (3")
    assert found.facts["used"] >= 30
    assert found.facts["available"] == 97


# idle-in-transaction


def test_a_transaction_left_open_is_found_by_its_session(database: Database) -> None:
    short = with_settings(database, idle_transaction_warning=MOMENT)
    shorter = with_settings(database, idle_transaction_warning=MOMENT / 2, idle_transaction_critical=MOMENT)
    check_passes(short, "idle-in-transaction")
    with session(database) as connection:
        connection.execute("SELECT 'a secret'")
        sleep(2 * MOMENT)
        said = HELD.format(pid=connection.info.backend_pid)
        found = check_finds(short, "idle-in-transaction", Status.WARNING, "1 transaction is left open", said)
        check_finds(shorter, "idle-in-transaction", Status.CRITICAL, said)
        check_passes(database, "idle-in-transaction")
    assert "secret" not in found.message
    check_passes(short, "idle-in-transaction")


def test_an_aborted_transaction_left_open_is_found_too(database: Database) -> None:
    short = with_settings(database, idle_transaction_warning=MOMENT)
    with session(database) as connection:
        with pytest.raises(psycopg.errors.DivisionByZero):
            connection.execute("SELECT 1/0")
        sleep(2 * MOMENT)
        check_finds(short, "idle-in-transaction", Status.WARNING, HELD.format(pid=connection.info.backend_pid))


@pytest.mark.parametrize("name", ["pg_dump", "subjunctive:backup:host:1"])
def test_the_snapshot_of_a_backup_is_no_idle_transaction(database: Database, name: str) -> None:
    short = with_settings(database, idle_transaction_warning=MOMENT)
    with session(database) as connection:
        connection.execute(f"SET application_name = '{name}'")
        sleep(2 * MOMENT)
        check_passes(short, "idle-in-transaction")


@pytest.mark.parametrize("check_id", ["idle-in-transaction", "long-query", "xmin-horizon"])
def test_sessions_of_others_are_unknown_without_the_right_to_see_them(
    server: Any, database: Database, check_id: str
) -> None:
    with another_role(server, database) as other, session(database) as connection:
        connection.execute("SELECT 1")
        found = check_finds(other, check_id, Status.UNKNOWN, "Could not look at ", "of other roles")
        assert "pg_monitor" in found.remedy
    with another_role(server, database, "GRANT pg_monitor TO {role}") as other, session(database):
        assert result_of(other, check_id).status is Status.OK


def test_sessions_are_unknown_where_the_server_does_not_watch_them(server: Any, database: Database) -> None:
    run_as_superuser(server, database, f"ALTER DATABASE {database.url.database} SET track_activities = off")
    with session(database):
        check_finds(database, "idle-in-transaction", Status.UNKNOWN, "Could not look at 1 session")


# long-query


def test_a_long_query_is_found_without_its_words(database: Database) -> None:
    short = with_settings(database, long_query_warning=MOMENT)
    shorter = with_settings(database, long_query_warning=MOMENT / 2, long_query_critical=MOMENT)
    check_passes(short, "long-query")
    with running(database, "SELECT pg_sleep(30), 'a secret'") as pid:
        sleep(3 * MOMENT)
        found = check_finds(short, "long-query", Status.WARNING, "1 query runs for long", HELD.format(pid=pid))
        check_finds(shorter, "long-query", Status.CRITICAL, HELD.format(pid=pid))
        check_passes(database, "long-query")
    assert "secret" not in found.message
    assert "sleep" not in found.message


def test_the_long_copy_of_a_backup_is_left_out(database: Database) -> None:
    short = with_settings(database, long_query_warning=MOMENT)
    with running(database, "SELECT pg_sleep(30)", name="pg_dump"):
        sleep(3 * MOMENT)
        check_passes(short, "long-query")


# blocked


def test_the_root_of_a_queue_of_locks_is_named(
    server: Any, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_passes(database, "blocked")
    with session(database) as first, ExitStack() as queue:
        first.execute("LOCK TABLE users")
        queue.enter_context(running(database, "LOCK TABLE exercises; LOCK TABLE users"))
        wait_for_waiters(server, database, 1)
        last = queue.enter_context(running(database, "SELECT 'a secret' FROM exercises"))
        wait_for_waiters(server, database, 2)
        check_passes(database, "blocked")
        monkeypatch.setattr(activity, "BLOCKED_WARNING", 0.05)
        root = f"pid {first.info.backend_pid} (an application, role subjunctive, idle in transaction) holds it"
        found = check_finds(database, "blocked", Status.WARNING, "2 sessions wait for a lock", root)
        monkeypatch.setattr(activity, "BLOCKED_CRITICAL", 0.05)
        check_finds(database, "blocked", Status.CRITICAL, root)
        assert "secret" not in found.message
        # Who waits and for whom is seen by every role; only the names are not.
        with another_role(server, database) as other:
            check_finds(other, "blocked", Status.CRITICAL, f"pid {first.info.backend_pid}")
    assert last > 0
    check_passes(database, "blocked")


def test_a_circle_of_waits_ends_at_the_last_one_met() -> None:
    circle = {1: activity._Wait(3.0, (2,)), 2: activity._Wait(2.0, (1,))}
    assert activity._root(1, circle) == 2
    assert activity._root(1, {1: activity._Wait(1.0, ())}) == 1


# What grew since the last run


@pytest.mark.parametrize("check_id", ["deadlocks", "rollbacks", "temporary-files"])
def test_a_first_run_keeps_the_counters_and_is_skipped(database: Database, check_id: str) -> None:
    found = check_finds(database, check_id, Status.SKIPPED, "no earlier run")
    assert "since" in found.facts
    assert len(found.facts) >= 2


@pytest.mark.parametrize("changed", [{"since": 1.0}, {"deadlocks": 10.0}])
def test_counters_that_began_anew_are_not_compared(database: Database, changed: dict[str, float]) -> None:
    before = an_hour_ago(result_of(database, "deadlocks").facts, **changed)
    check_finds(database, "deadlocks", Status.SKIPPED, "began anew", previous=before)


def deadlock(server: Any, database: Database) -> None:
    """Two sessions lock two tables in opposite order; the server ends one of them after a second."""
    with session(database) as one, session(database) as other:
        one.execute("LOCK TABLE users")
        other.execute("LOCK TABLE exercises")
        worker = threading.Thread(target=_lock_or_die, args=(one, "LOCK TABLE exercises"), daemon=True)
        worker.start()
        wait_for_waiters(server, database, 1)
        _lock_or_die(other, "LOCK TABLE users")
        worker.join(timeout=10)


def _lock_or_die(connection: psycopg.Connection, statement: str) -> None:
    try:
        connection.execute(statement.encode())
    except psycopg.errors.DeadlockDetected:
        connection.rollback()
        connection.execute("SELECT pg_stat_force_next_flush()")
    connection.rollback()


def test_a_deadlock_since_the_last_run_is_found(server: Any, database: Database) -> None:
    before = an_hour_ago(result_of(database, "deadlocks").facts)
    check_passes(database, "deadlocks", previous=before)
    deadlock(server, database)
    found = check_finds(database, "deadlocks", Status.WARNING, "1 deadlock since the last run", previous=before)
    many = an_hour_ago(found.facts, deadlocks=found.facts["deadlocks"] - 6)
    check_finds(database, "deadlocks", Status.CRITICAL, "6 deadlocks", previous=many)
    check_passes(database, "deadlocks", previous=an_hour_ago(found.facts))


def test_many_rollbacks_are_told_but_need_nobody(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    before = an_hour_ago(result_of(database, "rollbacks").facts)
    run_and_count(database, *["SELECT 1"] * 40)
    check_finds(database, "rollbacks", Status.SKIPPED, "Too few transactions", previous=before)
    monkeypatch.setattr(activity, "FEWEST_TRANSACTIONS", 10)
    calm = check_passes(database, "rollbacks", previous=before)
    run_and_count(database, *["BEGIN", "SELECT 1", "ROLLBACK"] * 200)
    check_finds(database, "rollbacks", Status.INFO, "were rolled back", previous=an_hour_ago(calm.facts))


def test_temporary_files_since_the_last_run_are_found(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    before = an_hour_ago(result_of(database, "temporary-files").facts)
    check_passes(database, "temporary-files", previous=before)
    run_and_count(
        database,
        "SET work_mem = '64kB'",
        "SELECT count(*) FROM (SELECT g FROM generate_series(1, 200000) g ORDER BY -g) s",
    )
    check_passes(database, "temporary-files", previous=before)
    monkeypatch.setattr(activity, "TEMPORARY_BYTES_A_DAY", 1e5)
    check_finds(database, "temporary-files", Status.WARNING, "MB of temporary files in 60 min", previous=before)
