"""Indexes, keys, sequences, constraints, triggers: each check finds the fault that is put into a real catalog."""

from __future__ import annotations

import threading
from typing import Any

import psycopg
import pytest
from sqlalchemy import text

from subjunctive_admin.db import Database
from subjunctive_admin.errors import ConstraintRefused
from subjunctive_admin.ops.health import catalog
from subjunctive_admin.vocabulary import Status
from tests.ops.health_verbs import (
    another_role,
    check_finds,
    check_passes,
    run_and_count,
    run_as_superuser,
    run_sql,
    session,
)
from tests.ops.test_health_activity import wait_for_waiters

VERSION = "SELECT current_setting('server_version_num')::int / 10000"


# invalid-index


def test_a_unique_index_that_could_not_be_built_is_critical(database: Database) -> None:
    check_passes(database, "invalid-index")
    run_sql(database, "CREATE TABLE twice AS SELECT 1 AS number FROM generate_series(1, 2)")
    with session(database, autocommit=True) as connection, pytest.raises(psycopg.errors.UniqueViolation):
        connection.execute("CREATE UNIQUE INDEX CONCURRENTLY twice_number ON twice (number)")
    found = check_finds(database, "invalid-index", Status.CRITICAL, "1 index is invalid: twice_number (unique).")
    assert found.remedy == "make them anew: subjunctive-admin optimize"


def test_what_a_broken_off_reindex_leaves_is_found(server: Any, database: Database) -> None:
    run_sql(database, "CREATE INDEX left_ccnew ON users (bio)")
    run_as_superuser(
        server, database, "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'left_ccnew'::regclass"
    )
    check_finds(database, "invalid-index", Status.WARNING, "left_ccnew")
    run_sql(database, "DROP INDEX left_ccnew")
    check_passes(database, "invalid-index")


def test_an_index_that_is_being_built_is_left_out(server: Any, database: Database) -> None:
    run_sql(database, "CREATE TABLE numbers AS SELECT 1 AS number")
    with session(database) as reader, session(database, autocommit=True) as builder:
        reader.execute("INSERT INTO numbers VALUES (2)")
        statement = "CREATE INDEX CONCURRENTLY numbers_number ON numbers (number)"
        worker = threading.Thread(target=builder.execute, args=(statement,), daemon=True)
        worker.start()
        wait_for_waiters(server, database, 1)
        unfinished = "SELECT count(*) FROM pg_index WHERE NOT indisvalid"
        assert run_as_superuser(server, database, unfinished) == [1]
        check_passes(database, "invalid-index")
        # Who builds what is hidden from a role that sees only its own sessions; the lock is not.
        with another_role(server, database) as other:
            check_passes(other, "invalid-index")
        reader.commit()
        worker.join(timeout=10)
    check_passes(database, "invalid-index")


# duplicate-index


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("CREATE INDEX again ON practice_attempts (verb_id)", "again holds what ix_practice_attempts_verb_id holds"),
        ("CREATE INDEX again ON users (id)", "again holds what pk_users holds"),
        ("CREATE UNIQUE INDEX again ON users (id)", "again holds what pk_users holds"),
    ],
)
def test_a_second_index_of_the_same_is_superfluous(database: Database, fault: str, words: str) -> None:
    check_passes(database, "duplicate-index")
    run_sql(database, fault)
    check_finds(database, "duplicate-index", Status.WARNING, "1 index is superfluous", words)


@pytest.mark.parametrize(
    "difference",
    [
        "(bio DESC)",
        "(bio) WHERE bio <> ''",
        "(lower(bio))",
        "(bio, id)",
        "(bio) INCLUDE (id)",
        "(bio text_pattern_ops)",
        "USING hash (bio)",
    ],
)
def test_indexes_that_differ_are_no_duplicates(database: Database, difference: str) -> None:
    run_sql(database, "CREATE INDEX one ON users (bio)", f"CREATE INDEX other ON users {difference}")
    check_passes(database, "duplicate-index")


def test_equal_predicates_written_at_another_place_are_equal(database: Database) -> None:
    run_sql(
        database,
        "CREATE INDEX one ON users (bio) WHERE bio <> ''",
        "CREATE INDEX IF NOT EXISTS the_other_one ON users (bio)   WHERE   (bio <> '')",
    )
    check_finds(database, "duplicate-index", Status.WARNING, "the_other_one holds what one holds")


# foreign-key-index


def test_a_foreign_key_without_an_index_is_found_with_its_columns(database: Database) -> None:
    check_passes(database, "fk-index")
    run_sql(database, "CREATE TABLE notes (id int PRIMARY KEY, reader uuid REFERENCES users)")
    check_finds(database, "fk-index", Status.WARNING, "1 foreign key has no index: notes (reader).")
    run_sql(database, "CREATE INDEX ON notes (id, reader)")
    check_finds(database, "fk-index", Status.WARNING, "notes (reader)")
    run_sql(database, "CREATE INDEX ON notes (reader) WHERE id > 7")
    check_finds(database, "fk-index", Status.WARNING, "notes (reader)")
    run_sql(database, "CREATE INDEX ON notes (reader) WHERE reader IS NOT NULL")
    check_passes(database, "fk-index")


def test_the_columns_of_a_key_may_lead_an_index_in_any_order(database: Database) -> None:
    run_sql(
        database,
        "CREATE TABLE pairs (a int, b int, PRIMARY KEY (a, b))",
        "CREATE TABLE users_of_pairs (id int PRIMARY KEY, a int, b int, FOREIGN KEY (a, b) REFERENCES pairs)",
    )
    check_finds(database, "fk-index", Status.WARNING, "users_of_pairs (a, b)")
    run_sql(database, "CREATE INDEX ON users_of_pairs (b, a, id)")
    check_passes(database, "fk-index")


# primary-key


def test_a_table_without_a_primary_key_is_found(database: Database) -> None:
    check_passes(database, "primary-key")
    run_sql(database, "CREATE TABLE loose (number int UNIQUE)", "CREATE TEMPORARY TABLE passing (number int)")
    check_finds(database, "primary-key", Status.WARNING, "1 table has no primary key: loose.")
    run_sql(database, "ALTER TABLE loose ADD PRIMARY KEY (number)")
    check_passes(database, "primary-key")


# unused-index


def test_an_index_that_nothing_reads_is_told_but_needs_nobody(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_finds(database, "unused-index", Status.SKIPPED, "days ago; 14 are needed")
    monkeypatch.setattr(catalog, "UNUSED_DAYS", 0)
    run_and_count(
        database,
        "CREATE TABLE numbers (id int PRIMARY KEY, number int)",
        "INSERT INTO numbers SELECT g, g FROM generate_series(1, 100000) g",
    )
    check_passes(database, "unused-index")
    run_and_count(database, "CREATE INDEX idle_one ON numbers (number)")
    check_finds(database, "unused-index", Status.INFO, "1 index was not used in ", "idle_one (2.", "MB)")
    run_and_count(database, "SET enable_seqscan = off", "SELECT * FROM numbers WHERE number = 7")
    check_passes(database, "unused-index")


# sequences

SMALL = "CREATE TABLE small (id {type} PRIMARY KEY DEFAULT nextval('counter'))"


@pytest.mark.parametrize(
    ("type_", "reached", "status", "words"),
    [
        ("smallint", 30_000, Status.CRITICAL, "small.id (smallint) has used 92\u202f% of its numbers"),
        ("smallint", 25_000, Status.WARNING, "small.id (smallint) has used 76\u202f% of its numbers"),
        ("integer", 2_000_000_000, Status.CRITICAL, "small.id (integer) has used 93\u202f% of its numbers"),
    ],
)
def test_a_sequence_is_held_against_what_its_column_can_hold(
    database: Database, type_: str, reached: int, status: Status, words: str
) -> None:
    run_sql(database, "CREATE SEQUENCE counter AS bigint", SMALL.format(type=type_))
    check_passes(database, "sequences")
    run_sql(database, f"SELECT setval('counter', {reached})")
    found = check_finds(database, "sequences", status, words)
    assert found.facts["share"] > 0.75
    run_sql(database, "ALTER TABLE small ALTER COLUMN id TYPE bigint")
    check_passes(database, "sequences")


@pytest.mark.injects("sequence-exhausted")
def test_a_sequence_without_a_number_left_refuses_rows_and_is_critical(database: Database) -> None:
    run_sql(database, "CREATE SEQUENCE counter AS bigint", SMALL.format(type="smallint"))
    run_sql(database, f"SELECT setval('counter', {2**15 - 1})")
    with pytest.raises(ConstraintRefused, match="smallint out of range"), database.connection(write=True) as connection:
        connection.execute(text("INSERT INTO small DEFAULT VALUES"))
    check_finds(database, "sequences", Status.CRITICAL, "small.id (smallint) has used 100\u202f% of its numbers")


def test_a_sequence_is_held_against_its_own_end_too(database: Database) -> None:
    run_sql(database, "CREATE TABLE few (id bigint GENERATED ALWAYS AS IDENTITY (MAXVALUE 10))")
    run_sql(database, "SELECT setval(pg_get_serial_sequence('few', 'id'), 8)")
    check_finds(database, "sequences", Status.WARNING, "few.id (bigint) has used 80\u202f%")


def test_a_sequence_that_counts_down_has_its_end_below(database: Database) -> None:
    run_sql(database, "CREATE SEQUENCE counter AS bigint INCREMENT -1", SMALL.format(type="smallint"))
    run_sql(database, "SELECT setval('counter', -32000)")
    check_finds(database, "sequences", Status.CRITICAL, "small.id (smallint) has used 98\u202f%")


def test_sequences_are_unknown_to_a_role_that_may_not_read_them(server: Any, database: Database) -> None:
    schemas = "GRANT USAGE ON SCHEMA public, ops, editorial, private TO {role}"
    with another_role(server, database, schemas) as other:
        found = check_finds(other, "sequences", Status.UNKNOWN, "Could not look at 4 sequences", "achievements.id")
        assert "access check" in found.remedy
    every = "GRANT SELECT ON ALL SEQUENCES IN SCHEMA public, ops, editorial, private TO {role}"
    with another_role(server, database, schemas, every) as other:
        check_passes(other, "sequences")


# unproved-constraint


def test_a_constraint_that_was_never_validated_is_found(database: Database) -> None:
    check_passes(database, "unproved-constraint")
    run_sql(database, "ALTER TABLE users ADD CONSTRAINT some_rule CHECK (bio <> 'x') NOT VALID")
    check_finds(database, "unproved-constraint", Status.WARNING, "some_rule on users (not validated)")
    run_sql(database, "ALTER TABLE users VALIDATE CONSTRAINT some_rule")
    check_passes(database, "unproved-constraint")


def test_a_constraint_that_is_not_enforced_is_found(database: Database) -> None:
    with database.connection() as connection:
        if connection.scalar(text(VERSION)) < 18:
            pytest.skip("NOT ENFORCED came with PostgreSQL 18")
    run_sql(database, "ALTER TABLE users ADD CONSTRAINT some_rule CHECK (bio <> 'x') NOT ENFORCED")
    check_finds(database, "unproved-constraint", Status.WARNING, "some_rule on users (not enforced)")


# disabled-trigger


def test_a_disabled_trigger_is_found(server: Any, database: Database) -> None:
    check_passes(database, "disabled-trigger")
    run_sql(database, "ALTER TABLE users DISABLE TRIGGER tg_users_touch")
    check_finds(database, "disabled-trigger", Status.WARNING, "1 trigger is disabled: trigger tg_users_touch on users.")
    run_sql(database, "ALTER TABLE users ENABLE TRIGGER tg_users_touch")
    run_as_superuser(server, database, "ALTER TABLE study_sessions DISABLE TRIGGER ALL")
    found = check_finds(database, "disabled-trigger", Status.WARNING, "foreign key fk_study_sessions_user_id")
    run_as_superuser(server, database, "ALTER TABLE study_sessions ENABLE TRIGGER ALL")
    assert int(str(found.observed)) >= 2
    check_passes(database, "disabled-trigger")


# unlogged-table


def test_an_unlogged_table_is_found(database: Database) -> None:
    check_passes(database, "unlogged-table")
    run_sql(database, "CREATE UNLOGGED TABLE quick (number int)")
    check_finds(database, "unlogged-table", Status.WARNING, "1 table is emptied by a crash: quick.")


def test_the_catalog_is_read_without_any_privilege(server: Any, database: Database) -> None:
    with another_role(server, database) as other:
        for check_id in ("invalid-index", "duplicate-index", "fk-index", "primary-key"):
            check_passes(other, check_id)
        for check_id in ("unproved-constraint", "disabled-trigger", "unlogged-table"):
            check_passes(other, check_id)
        run_sql(database, "CREATE UNLOGGED TABLE quick (number int)")
        check_finds(other, "unlogged-table", Status.WARNING, "quick")
        check_finds(other, "primary-key", Status.WARNING, "quick")
