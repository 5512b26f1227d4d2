"""Each health check passes on a sound database and finds the fault that is put into a real one."""

from __future__ import annotations

import json
import os
import re
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path
from time import perf_counter, sleep
from typing import Any

import psycopg
import pytest
from sqlalchemy import text

from subjunctive_admin.db import Database
from subjunctive_admin.embedded import EmbeddedServer
from subjunctive_admin.errors import UsageError
from subjunctive_admin.ops.health import check_ids, checks, registry, run_health
from subjunctive_admin.ops.health.registry import Limits, Outcome, Probe
from subjunctive_admin.settings import load_settings
from subjunctive_admin.vocabulary import Status
from tests.folders import reachable_folder
from tests.ops.health_verbs import (
    another_role,
    check_finds,
    check_passes,
    locked,
    run_as_superuser,
    run_sql,
    with_settings,
)

# The run


def test_a_fresh_database_has_no_finding(database: Database, sound_server: None) -> None:
    report = run_health(database)

    assert [one.id for one in report.checks] == check_ids()
    assert {one.id: one.message for one in report.findings} == {}
    assert (report.overall, report.exit_code) == (Status.OK, 0)
    assert {one.status for one in report.checks} == {Status.OK, Status.INFO, Status.SKIPPED}
    skipped = report.counts["skipped"]
    assert report.headline == f"All {len(check_ids()) - skipped} checks passed, {skipped} skipped"


def test_the_connection_comes_first_and_the_groups_stay_together() -> None:
    groups = [one.group for one in registry.registered()]

    assert check_ids()[0] == "connectivity"
    assert groups == sorted(groups, key=list(dict.fromkeys(groups)).index)


@pytest.mark.matrix
def test_all_checks_pass_on_every_supported_postgresql(matrix_database: Database) -> None:
    # The tests' servers save on what keeps data through a crash.
    found = {one.id: one.message for one in run_health(matrix_database).findings}
    assert found.keys() <= {"durability", "checkpoints"}, found


def test_the_report_as_json_has_the_contract_and_no_password(database: Database) -> None:
    secret = with_settings(database)
    secret.url = database.url if database.url.password else database.url.set(password="hunter2")

    report = run_health(secret, only=["connectivity", "pool", "table-access"]).as_dict()

    assert list(report) == [
        "contract_version", "run_id", "started_at", "finished_at", "server", "overall", "counts", "checks", "baseline",
    ]  # fmt: skip
    assert list(report["checks"][0]) == [
        "id", "title", "group", "status", "observed", "threshold", "message", "remedy", "duration_ms",
    ]  # fmt: skip
    assert list(report["server"]) == ["version", "address", "role", "database", "embedded"]
    assert report["contract_version"] == 1
    assert re.fullmatch(r"health-\d{8}-\d{6}", report["run_id"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", report["started_at"])
    assert report["counts"] == {"critical": 0, "warning": 0, "unknown": 0, "info": 0, "ok": 3, "skipped": 0}
    assert report["server"]["database"] == database.url.database
    assert str(secret.url.password) not in json.dumps(report)


def test_only_names_the_checks_to_run_in_the_order_of_a_report(database: Database) -> None:
    said: list[str] = []

    report = run_health(database, only=["table-access", "connectivity"], narrate=said.append)

    assert [one.id for one in report.checks] == ["connectivity", "table-access"]
    assert said == ["1 of 2: Connection and round trip", "2 of 2: Tables that can be read"]


def test_unknown_ids_are_refused_by_name(database: Database) -> None:
    with pytest.raises(UsageError, match="no health check tables, vacuum") as refused:
        run_health(database, only=["pool", "tables", "vacuum"])
    assert "table-access" in str(refused.value)


@pytest.mark.parametrize("check_id", check_ids())
def test_every_check_says_what_it_is(check_id: str) -> None:
    one = next(c for c in registry.registered() if c.id == check_id)
    limits = one.limits(load_settings())

    assert all((one.title, one.group, one.needs, one.remedy, one.description))
    assert one.description.endswith(".")
    assert one.severity is Status.INFO or limits.warning or limits.critical
    assert limits.critical is None or one.severity is Status.CRITICAL


def test_two_checks_cannot_have_the_same_id() -> None:
    declare = registry.check("pool", title="", group="", remedy="", limits=lambda _: Limits())
    with pytest.raises(ValueError, match="two health checks named pool"):
        declare(lambda _: Outcome(Status.OK, None, ""))


def test_a_check_that_raises_is_unknown_and_the_others_go_on(database: Database, one_more_check: Any) -> None:
    def look(_probe: Probe) -> Outcome:
        raise ZeroDivisionError("division by zero")

    one_more_check(look)
    report = run_health(database, only=["extra", "table-access"])

    assert [one.status for one in report.checks] == [Status.OK, Status.UNKNOWN]
    assert report.checks[1].message == "Could not look: ZeroDivisionError: division by zero."
    assert report.checks[1].observed is None
    assert report.exit_code == 3


@pytest.mark.injects("statement-timeout-in-a-check")
def test_a_statement_that_takes_too_long_is_cancelled_and_unknown(
    database: Database, one_more_check: Any, impatient: None
) -> None:
    one_more_check(lambda probe: probe.connection.execute(text("SELECT pg_sleep(30)")))

    check_finds(database, "extra", Status.UNKNOWN, "Could not look: no answer within")


def test_a_check_that_hangs_outside_the_server_is_left_behind(
    database: Database, one_more_check: Any, impatient: None
) -> None:
    over = threading.Event()
    one_more_check(lambda _: over.wait(30))
    began = perf_counter()

    check_finds(database, "extra", Status.UNKNOWN, "no answer within")
    assert perf_counter() - began < 5
    over.set()


def test_a_check_cannot_write(database: Database, one_more_check: Any) -> None:
    one_more_check(lambda probe: probe.connection.execute(text("DELETE FROM users")))

    check_finds(database, "extra", Status.UNKNOWN, "only reads")


# connectivity


def test_connectivity_passes_with_the_time_it_took(database: Database) -> None:
    assert str(check_passes(database, "connectivity").observed).endswith(" ms")


@pytest.mark.parametrize(
    ("limits", "status"),
    [
        ({"round_trip_warning": 1e-9}, Status.WARNING),
        ({"round_trip_warning": 1e-9, "round_trip_critical": 1e-8}, Status.CRITICAL),
    ],
)
def test_connectivity_finds_a_slow_round_trip(database: Database, limits: dict[str, float], status: Status) -> None:
    check_finds(with_settings(database, **limits), "connectivity", status, "to answer select 1")


def test_connectivity_warns_of_a_server_newer_than_this_version(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks, "NEWEST_MAJOR", 14)
    monkeypatch.setattr(checks, "OLDEST_MAJOR", 13)
    found = check_finds(database, "connectivity", Status.WARNING, "is not tested with this version")
    assert found.remedy == "upgrade subjunctive-admin"


@pytest.mark.injects("server-down")
def test_an_unreachable_server_is_critical_and_nothing_else_is_reported_as_ok(
    database: Database, tmp_path: Path
) -> None:
    gone = Database(database.url.update_query_dict({"host": str(tmp_path)}), database.settings)

    report = run_health(gone)

    assert {one.id: one.status for one in report.checks} == {
        **dict.fromkeys(check_ids(), Status.UNKNOWN),
        "connectivity": Status.CRITICAL,
    }
    assert all(one.message.startswith("Could not look: ") for one in report.checks[1:])
    assert (report.overall, report.server["version"]) == (Status.CRITICAL, None)
    assert report.is_unreachable


@pytest.mark.injects("server-down")
def test_a_stopped_server_is_critical_and_a_started_one_is_well_again() -> None:
    with reachable_folder() as home:
        server = EmbeddedServer(home, durable=False)
        server.start()
        stopped = Database(server.url())
        check_passes(stopped, "connectivity")
        server.stop()
        report = run_health(stopped)
        stopped.dispose()

    assert (report.overall, report.exit_code, report.is_unreachable) == (Status.CRITICAL, 2, True)
    assert (report.counts["critical"], report.counts["unknown"], report.counts["ok"]) == (1, len(check_ids()) - 1, 0)


@pytest.mark.faults
def test_a_server_that_freezes_is_critical_in_bounded_time() -> None:
    with reachable_folder() as home:
        server = EmbeddedServer(home, durable=False)
        server.start()
        frozen = Database(server.url(), load_settings(connect_timeout=2))
        pid = int((home / "postgres" / "data" / "postmaster.pid").read_text().split()[0])
        os.kill(pid, signal.SIGSTOP)
        try:
            began = perf_counter()
            report = run_health(frozen)
            took = perf_counter() - began
        finally:
            os.kill(pid, signal.SIGCONT)
            server.stop()

    assert report.is_unreachable
    assert took < 10


@pytest.mark.injects("wrong-password")
def test_a_wrong_password_is_critical(database: Database) -> None:
    wrong = Database(database.url.set(password="wrong"), database.settings)
    check_finds(wrong, "connectivity", Status.CRITICAL, "refused the user", "password authentication failed")


@pytest.mark.injects("no-connection-left")
def test_a_full_server_is_critical_for_the_connection_and_for_the_pool(database: Database) -> None:
    address = database.url.set(drivername="postgresql").render_as_string(hide_password=False)
    with ExitStack() as held:
        with suppress(psycopg.OperationalError):
            while True:
                held.enter_context(psycopg.connect(address))
        report = run_health(database)

    statuses = {one.id: one.status for one in report.checks}
    found = ("connectivity", "connections", "pool")
    assert statuses == {one: Status.CRITICAL if one in found else Status.UNKNOWN for one in check_ids()}
    assert "no connection left" in report.headline


def test_a_database_that_does_not_exist_is_critical(database: Database) -> None:
    absent = Database(database.url.set(database="not_there"), database.settings)
    check_finds(absent, "connectivity", Status.CRITICAL, "no database not_there")


def test_a_server_that_dies_during_the_run_leaves_the_rest_unknown(
    server: Any, database: Database, one_more_check: Any
) -> None:
    def look(probe: Probe) -> Outcome:
        own = probe.connection.scalar(text("SELECT pg_backend_pid()"))
        run_as_superuser(server, database, f"SELECT pg_terminate_backend({own})")
        sleep(0.1)
        probe.connection.execute(text("SELECT 1"))
        raise AssertionError("unreachable")

    one_more_check(look)

    check_finds(database, "extra", Status.UNKNOWN, "Could not look: ", "went away")


# schema-integrity


def test_schema_integrity_finds_a_database_that_was_never_set_up(empty_database: Database) -> None:
    found = check_finds(empty_database, "schema-integrity", Status.CRITICAL, "never set up")
    assert found.remedy == "subjunctive-admin setup"


def test_schema_integrity_finds_another_migration(database: Database) -> None:
    run_sql(database, "UPDATE ops.alembic_version SET version_num = '0000'")
    check_finds(database, "schema-integrity", Status.CRITICAL, "at migration 0000, this version needs")


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        pytest.param(
            "DROP TABLE user_achievements",
            "column public.user_achievements.achievement_id is missing",
            marks=pytest.mark.injects("dropped-table"),
        ),
        pytest.param(
            "ALTER TABLE users DROP COLUMN bio",
            "column public.users.bio is missing",
            marks=pytest.mark.injects("dropped-column"),
        ),
        ("ALTER TABLE users ADD COLUMN note text", "column public.users.note is not part of the schema"),
        ("ALTER TABLE users ALTER COLUMN email TYPE text", "column public.users.email differs"),
        pytest.param(
            "ALTER TABLE practice_items DROP CONSTRAINT ck_practice_items_correct",
            "constraint public.practice_items.ck_practice_items_correct is missing",
            marks=pytest.mark.injects("dropped-constraint"),
        ),
        ("ALTER TABLE users DISABLE TRIGGER tg_users_touch", "trigger public.users.tg_users_touch differs"),
        pytest.param(
            "ALTER TYPE tier ADD VALUE 'platinum'",
            "enum public.tier differs",
            marks=pytest.mark.injects("enum-label-added"),
        ),
        pytest.param(
            "DROP INDEX ix_practice_attempts_verb_id",
            "index public.practice_attempts.ix_practice_attempts_verb_id is missing",
            marks=pytest.mark.injects("dropped-index"),
        ),
        (
            "ALTER FUNCTION ops.touch_updated_at() RESET search_path",
            "function ops.touch_updated_at differs",
        ),
    ],
)
def test_schema_integrity_finds_a_difference_and_names_it(database: Database, fault: str, words: str) -> None:
    check_passes(database, "schema-integrity")
    run_sql(database, fault)
    check_finds(database, "schema-integrity", Status.CRITICAL, words)


def test_schema_integrity_finds_an_invalid_index(server: Any, database: Database) -> None:
    name = "ix_practice_attempts_verb_id"
    run_as_superuser(server, database, f"UPDATE pg_index SET indisvalid = false WHERE indexrelid = '{name}'::regclass")
    check_finds(database, "schema-integrity", Status.CRITICAL, name)


def test_schema_integrity_names_the_first_three_differences(database: Database) -> None:
    run_sql(database, "DROP TABLE user_achievements")
    found = check_finds(database, "schema-integrity", Status.CRITICAL)
    assert re.search(r"; and \d+ more\.$", found.message)


def test_schema_integrity_is_unknown_to_a_role_that_may_not_look(server: Any, database: Database) -> None:
    with another_role(server, database) as other:
        found = check_finds(other, "schema-integrity", Status.UNKNOWN, "Could not look", "permission denied")
    assert "ops.alembic_version" in found.remedy


# pool


def test_the_pool_passes_and_is_left_as_it_was(database: Database) -> None:
    with database.connection():
        before = database.pool_reading()
        check_passes(database, "pool")
        after = database.pool_reading()

    assert (after.checked_out, after.checkouts, after.timeouts) == (1, before.checkouts, 0)


def test_the_pool_check_finds_an_exhausted_pool(database: Database) -> None:
    small = with_settings(database, pool_size=2, pool_overflow=0, pool_timeout=0.2)
    with ExitStack() as held:
        for _ in range(2):
            held.enter_context(small.engine.connect())
        found = check_finds(small, "pool", Status.CRITICAL, "Every connection of this process' pool is in use")
        # The other checks have a connection of their own and still see everything.
        check_passes(small, "table-access")
    assert "none free in the pool" in str(found.observed)

    check_passes(small, "pool")


def test_the_pool_check_finds_callers_that_got_no_connection(database: Database) -> None:
    small = with_settings(database, pool_size=1, pool_overflow=0, pool_timeout=0.05)
    with small.engine.connect(), ThreadPoolExecutor(2) as threads:
        refused = [threads.submit(small.engine.connect).exception() for _ in range(2)]
    assert all(refused)
    check_finds(small, "pool", Status.CRITICAL, "2 callers of this process got no connection")


@pytest.mark.parametrize(
    ("limits", "status", "words"),
    [
        ({"pool_wait_warning": 1e-9}, Status.WARNING, "Callers wait"),
        ({"pool_wait_warning": 1e-9, "pool_wait_critical": 1e-8}, Status.CRITICAL, "Callers wait"),
        ({"connections_warning": 1e-9}, Status.WARNING, "The server has"),
        ({"connections_warning": 1e-9, "connections_critical": 1e-8}, Status.CRITICAL, "The server has"),
    ],
)
def test_the_pool_check_grades_waits_and_the_servers_connections(
    database: Database, limits: dict[str, float], status: Status, words: str
) -> None:
    check_finds(with_settings(database, **limits), "pool", status, words)


# table-access


def test_table_access_counts_what_it_read(database: Database) -> None:
    found = check_passes(database, "table-access")
    assert found.observed == "12 of 12"
    assert found.message == "All 12 tables can be read; they hold about 0 rows."


@pytest.mark.injects("dropped-table")
def test_table_access_finds_dropped_tables(database: Database) -> None:
    run_sql(database, "DROP TABLE user_achievements", "DROP TABLE user_progress")
    found = check_finds(
        database, "table-access", Status.CRITICAL, "user_progress is missing; user_achievements is missing."
    )
    assert found.observed == "10 of 12"


def test_table_access_finds_a_damaged_table(server: Any, database: Database) -> None:
    folder, path = run_as_superuser(
        server, database, "SHOW data_directory", "SELECT pg_relation_filepath('achievements')"
    )
    (Path(folder) / path).unlink()
    check_finds(database, "table-access", Status.CRITICAL, "achievements", "could not open file", "cannot be read")


def test_table_access_is_unknown_without_the_right_to_read(server: Any, database: Database) -> None:
    grants = ("GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}", "REVOKE SELECT ON users FROM {role}")
    with another_role(server, database, *grants) as other:
        found = check_finds(other, "table-access", Status.UNKNOWN, "Could not look at users (no SELECT right).")
    assert found.observed == "11 of 12"
    assert found.remedy == "grant this role SELECT on the tables"


def test_table_access_is_unknown_while_another_session_holds_a_lock(database: Database, impatient: None) -> None:
    with locked(database, "exercises"):
        check_finds(database, "table-access", Status.UNKNOWN, "Could not look at exercises (", "lock timeout")
    check_passes(database, "table-access")


def test_a_missing_table_is_critical_even_when_another_could_not_be_read(database: Database, impatient: None) -> None:
    run_sql(database, "DROP TABLE user_achievements")
    with locked(database, "exercises"):
        check_finds(database, "table-access", Status.CRITICAL, "user_achievements is missing")


# performance


def test_performance_names_the_slowest_read(database: Database) -> None:
    assert "The slowest of 5 common reads" in check_passes(database, "performance").message


def test_performance_finds_a_slow_read(database: Database) -> None:
    run_sql(
        database,
        "ALTER TABLE study_sessions RENAME TO hidden",
        "CREATE VIEW study_sessions AS SELECT hidden.* FROM pg_sleep(0.15) CROSS JOIN hidden",
    )
    check_finds(database, "performance", Status.WARNING, "Reading a learner's newest sessions takes")
    check_finds(with_settings(database, read_critical=0.14), "performance", Status.CRITICAL, "(p95).")


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(
            "DROP INDEX ix_practice_items_user_id_next_review_date", marks=pytest.mark.injects("dropped-index")
        ),
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'ix_practice_items_user_id_next_review_date'::regclass",
    ],
)
def test_performance_finds_a_read_whose_index_is_missing_or_invalid(
    server: Any, database: Database, fault: str
) -> None:
    run_as_superuser(server, database, fault)
    check_finds(
        database,
        "performance",
        Status.WARNING,
        "No valid index serves a learner's due items (practice_items: user_id, next_review_date)",
    )


def test_performance_is_unknown_before_setup(empty_database: Database) -> None:
    check_finds(empty_database, "performance", Status.UNKNOWN, "lacks what this version needs")


def test_performance_is_unknown_while_a_table_is_locked(database: Database, impatient: None) -> None:
    with locked(database, "practice_items"):
        check_finds(database, "performance", Status.UNKNOWN, "another session holds a lock")
