"""Ages, dead rows, statistics and bloat: each check finds what is put into a real server."""

from __future__ import annotations

from typing import Any

import pytest

from subjunctive_admin.db import Database
from subjunctive_admin.ops.health import vacuum
from subjunctive_admin.ops.health.vacuum import _Estimate
from subjunctive_admin.vocabulary import Status
from tests.ops.health_verbs import (
    another_role,
    check_finds,
    check_passes,
    result_of,
    run_and_count,
    run_as_superuser,
    run_sql,
    session,
)

XID = "mod(mod(txid_current(), 4294967296) - {age} + 4294967296, 4294967296)::text::xid"
MULTIXACT = "mod(pg_control_checkpoint.next_multixact_id::text::bigint - {age} + 4294967296, 4294967296)::text::xid"
ROWS = "CREATE TABLE phrases (id int PRIMARY KEY, phrase text) WITH (autovacuum_enabled = off)"


def make_rows(database: Database, number: int) -> None:
    filled = f"INSERT INTO phrases SELECT g, repeat('palabra ', 10) FROM generate_series(1, {number}) g"
    run_and_count(database, ROWS, filled)
    # Apart: what a session has counted reaches the server after its ANALYZE, and would look like later changes.
    run_and_count(database, "ANALYZE phrases")


# xid-age, multixact-age


@pytest.mark.parametrize(("age", "status"), [(200_000_100, Status.WARNING), (400_000_100, Status.CRITICAL)])
def test_an_old_transaction_id_is_found_with_its_database(
    server: Any, database: Database, age: int, status: Status
) -> None:
    check_passes(database, "xid-age")
    name = database.url.database
    statement = f"UPDATE pg_database SET datfrozenxid = {XID.format(age=age)} WHERE datname = '{name}'"
    run_as_superuser(server, database, statement)
    found = check_finds(database, "xid-age", status, f"of database {name}", "acts by itself at 200,000,000")
    assert found.remedy.endswith("health --only xmin-horizon")
    assert found.facts["age"] >= age


@pytest.mark.parametrize(("age", "status"), [(400_000_100, Status.WARNING), (800_000_100, Status.CRITICAL)])
def test_an_old_multixact_id_is_found_with_its_database(
    server: Any, database: Database, age: int, status: Status
) -> None:
    check_passes(database, "multixact-age")
    name = database.url.database
    statement = (
        f"UPDATE pg_database SET datminmxid = {MULTIXACT.format(age=age)} FROM pg_control_checkpoint()"
        f" WHERE datname = '{name}'"
    )
    run_as_superuser(server, database, statement)
    check_finds(database, "multixact-age", status, f"multixact id of database {name}")


# xmin-horizon


def test_an_old_snapshot_is_found_with_its_holder(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    check_passes(database, "xmin-horizon")
    with session(database) as holder:
        holder.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        holder.execute("SELECT 'a secret'")
        run_and_count(database, *["SELECT pg_current_xact_id()"] * 60)
        check_passes(database, "xmin-horizon")
        said = f"pid {holder.info.backend_pid} (an application) holds a snapshot "
        monkeypatch.setattr(vacuum, "AGE_BUDGET", 400)
        found = check_finds(database, "xmin-horizon", Status.WARNING, "VACUUM is held back", said)
        monkeypatch.setattr(vacuum, "AGE_BUDGET", 100)
        check_finds(database, "xmin-horizon", Status.CRITICAL, said)
        assert "secret" not in found.message
    monkeypatch.undo()
    check_passes(database, "xmin-horizon")


# dead-tuples


def test_dead_rows_are_found_by_table(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vacuum, "DEAD_WARNING", (100, 0.2))
    monkeypatch.setattr(vacuum, "DEAD_CRITICAL", (400, 0.4))
    make_rows(database, 1000)
    check_passes(database, "dead-tuples")
    run_and_count(database, "DELETE FROM phrases WHERE id <= 300")
    # What was just loaded and analysed is autovacuum's.
    check_passes(database, "dead-tuples")
    monkeypatch.setattr(vacuum, "AUTOVACUUM_SECONDS", 0)
    check_finds(database, "dead-tuples", Status.WARNING, "public.phrases holds 30\u202f% dead rows (300)")
    run_and_count(database, "DELETE FROM phrases WHERE id <= 500")
    found = check_finds(database, "dead-tuples", Status.CRITICAL, "public.phrases holds 50\u202f% dead rows (500)")
    assert found.remedy == "subjunctive-admin optimize"
    run_and_count(database, "VACUUM phrases")
    check_passes(database, "dead-tuples")


def test_few_dead_rows_in_a_small_table_are_no_finding(database: Database) -> None:
    make_rows(database, 100)
    run_and_count(database, "DELETE FROM phrases WHERE id <= 90")
    check_passes(database, "dead-tuples")


@pytest.mark.parametrize("check_id", ["dead-tuples", "stale-statistics"])
@pytest.mark.injects("statistics-lost")
def test_lost_statistics_are_not_taken_for_good_ones(
    server: Any, database: Database, monkeypatch: pytest.MonkeyPatch, check_id: str
) -> None:
    monkeypatch.setattr(vacuum, "DEAD_WARNING", (100, 0.2))
    make_rows(database, 1000)
    assert result_of(database, check_id).status is Status.OK
    run_as_superuser(server, database, "SELECT pg_stat_reset()")
    check_finds(database, check_id, Status.SKIPPED, "no statistics of public.phrases")


# stale-statistics


def test_statistics_of_a_much_changed_table_are_stale(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    make_rows(database, 4000)
    run_and_count(database, "UPDATE phrases SET phrase = 'otra' WHERE id <= 1200")
    check_passes(database, "stale-statistics")
    monkeypatch.setattr(vacuum, "AUTOVACUUM_SECONDS", 0)
    found = check_finds(database, "stale-statistics", Status.WARNING, "public.phrases (30\u202f% changed since)")
    assert found.observed == 1
    run_and_count(database, "ANALYZE phrases")
    check_passes(database, "stale-statistics")


def test_a_large_table_never_analysed_is_found(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    run_and_count(database, ROWS, "INSERT INTO phrases SELECT g FROM generate_series(1, 5000) g")
    check_passes(database, "stale-statistics")
    monkeypatch.setattr(vacuum, "NEVER_ANALYSED_BYTES", 100_000)
    check_finds(database, "stale-statistics", Status.WARNING, "public.phrases (never analysed)")


# bloat, index-bloat


def waste_rows(database: Database) -> None:
    """Nine of ten rows of every block are gone; the blocks stay."""
    run_and_count(database, "DELETE FROM phrases WHERE id % 10 <> 0", "VACUUM (ANALYZE, TRUNCATE off) phrases")


def test_a_bloated_table_is_found_by_estimate(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vacuum, "TABLE_BLOAT_WARNING", (200_000, 0.30))
    monkeypatch.setattr(vacuum, "TABLE_BLOAT_CRITICAL", (1e9, 0.60))
    make_rows(database, 10_000)
    packed = check_passes(database, "bloat")
    assert packed.message == "By estimate, no large table is bloated."
    assert int(str(packed.observed).split("\u202f")[0]) <= 5
    waste_rows(database)
    check_finds(database, "bloat", Status.WARNING, "By estimate, public.phrases could give back 1.", "MB (90\u202f%)")
    monkeypatch.setattr(vacuum, "TABLE_BLOAT_CRITICAL", (500_000, 0.60))
    check_finds(database, "bloat", Status.CRITICAL, "By estimate, public.phrases")
    run_and_count(database, "VACUUM FULL phrases", "ANALYZE phrases")
    check_passes(database, "bloat")


def test_a_bloated_index_is_found_by_estimate(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vacuum, "INDEX_BLOAT_WARNING", (100_000, 0.50))
    make_rows(database, 10_000)
    run_and_count(
        database,
        "CREATE INDEX phrases_lower ON phrases (lower(phrase), id)",
        "REINDEX TABLE phrases",
        "ANALYZE phrases",
    )
    packed = check_passes(database, "index-bloat")
    assert int(str(packed.observed).split("\u202f")[0]) <= 15
    waste_rows(database)
    found = check_finds(database, "index-bloat", Status.WARNING, "By estimate", "phrases_pkey", "phrases_lower")
    assert found.remedy == "subjunctive-admin optimize"
    run_and_count(database, "REINDEX TABLE phrases", "ANALYZE phrases")
    check_passes(database, "index-bloat")


@pytest.mark.parametrize(
    ("check_id", "limit", "words"),
    [
        ("bloat", "TABLE_BLOAT_WARNING", "1 large table, of which pg_stats shows nothing: public.phrases"),
        ("index-bloat", "INDEX_BLOAT_WARNING", "1 large index, of which pg_stats shows nothing: public.phrases_pkey"),
    ],
)
def test_bloat_is_unknown_to_a_role_for_which_pg_stats_is_empty(
    server: Any, database: Database, monkeypatch: pytest.MonkeyPatch, check_id: str, limit: str, words: str
) -> None:
    monkeypatch.setattr(vacuum, limit, (200_000, 0.30))
    make_rows(database, 10_000)
    with another_role(server, database, "GRANT pg_monitor TO {role}") as other:
        found = check_finds(other, check_id, Status.UNKNOWN, words)
        assert "SELECT" in found.remedy
    with another_role(server, database, "GRANT SELECT ON phrases TO {role}") as other:
        assert result_of(other, check_id).status is Status.OK


def test_an_estimate_above_the_real_size_is_no_negative_bloat() -> None:
    assert (_Estimate("t", 100, 120.0).wasted, _Estimate("t", 100, None).wasted) == (0.0, 0.0)


def test_a_small_database_has_no_bloat_that_matters(database: Database) -> None:
    run_sql(database, "CREATE TABLE small AS SELECT 1 AS one")
    assert check_passes(database, "bloat").message == "No table is large enough to matter."
    assert check_passes(database, "index-bloat").message == "No index is large enough to matter."
