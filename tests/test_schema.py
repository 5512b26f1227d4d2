"""Migrations: one head, up and down, two at once, killed in the middle; what is there equals what is declared."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import psycopg
import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, create_engine, make_url, text

from subjunctive_admin import schema
from subjunctive_admin.db import Database
from subjunctive_admin.embedded import EmbeddedServer
from subjunctive_admin.errors import (
    Conflict,
    ConstraintRefused,
    NotSetUp,
    ServerUnreachable,
    SubjunctiveError,
    UsageError,
    WriteRefused,
)
from subjunctive_admin.models import Base
from subjunctive_admin.schema import (
    SchemaState,
    drift,
    expected_fingerprint,
    fingerprint,
    migrate,
    offline_sql,
    read_state,
    require_current,
    resolve,
    setup,
)
from tests.folders import reachable_folder

OURS = "SELECT count(*) FROM pg_namespace WHERE nspname IN ('editorial', 'ops', 'private')"
TABLES = "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'"
TYPES = "SELECT count(*) FROM pg_type WHERE typtype = 'e'"


def fingerprint_of(database: Database) -> dict[str, str]:
    with database.connection() as connection:
        return fingerprint(connection)


def state_of(database: Database) -> SchemaState:
    with database.connection() as connection:
        return read_state(connection)


def counts(database: Database) -> list[int]:
    with database.connection() as connection:
        return [connection.scalar(text(query)) or 0 for query in (OURS, TABLES, TYPES)]


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two tries, a moment apart."""
    monkeypatch.setattr(schema, "_LOCK_ATTEMPTS", 2)
    monkeypatch.setattr(time, "sleep", lambda _seconds: None)


def hasty(database: Database) -> Database:
    """The same database with little patience for locks."""
    return Database(database.url, database.settings.model_copy(update={"lock_timeout": 0.05}), purpose="migrate")


@contextmanager
def holding(database: Database, statement: str) -> Iterator[Connection]:
    """Another session that has run the statement and is still in its transaction."""
    other = Database(database.url, purpose="holder")
    try:
        with other.engine.connect() as connection, connection.begin():
            connection.execute(text(statement))
            yield connection
    finally:
        other.dispose()


# Where a database stands


def test_an_empty_database_was_never_set_up(empty_database: Database) -> None:
    state = state_of(empty_database)
    assert (state, state.is_current) == (SchemaState(None, "0005", None), False)
    with empty_database.connection() as connection, pytest.raises(NotSetUp, match="was never set up") as refused:
        require_current(connection)
    assert refused.value.next_step == "subjunctive-admin setup"


def test_a_migrated_database_is_current(database: Database) -> None:
    assert state_of(database).is_current
    with database.connection() as connection:
        require_current(connection)


def test_an_older_database_asks_to_be_migrated(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schema, "head", lambda: "9999")
    with (
        database.connection() as connection,
        pytest.raises(NotSetUp, match="is at revision 0005, this version needs 9999") as refused,
    ):
        require_current(connection)
    assert refused.value.next_step == "subjunctive-admin migrate"


def test_a_database_of_a_newer_version_is_left_alone(database: Database) -> None:
    with database.connection(write=True) as connection:
        connection.execute(text("UPDATE ops.alembic_version SET version_num = '9999'"))
    with pytest.raises(NotSetUp, match="revision 9999, which this version does not know") as refused:
        migrate(database)
    assert refused.value.next_step == "upgrade subjunctive-admin"
    assert state_of(database).current == "9999"


def test_two_heads_are_a_mistake_of_the_release(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schema, "heads", lambda: ["0002", "0005"])
    with pytest.raises(SubjunctiveError, match="have 2 heads: 0002, 0005"):
        schema.head()


def test_a_revision_is_named_by_its_number_or_a_word() -> None:
    assert [resolve(name) for name in ("0001", "head", "base", "0002")] == ["0001", "0005", None, "0002"]


@pytest.mark.parametrize("name", ["9999", "nonsense", "-1", "0001;", "no such", ""])
def test_an_unknown_revision_is_refused_with_those_there_are(name: str) -> None:
    with pytest.raises(UsageError, match="There is no migration") as refused:
        resolve(name)
    assert "0001" in str(refused.value.next_step)


# Up and down


def test_up_down_and_up_again_leaves_nothing_and_loses_nothing(empty_database: Database) -> None:
    said: list[str] = []
    first = migrate(empty_database, narrate=said.append)
    up = fingerprint_of(empty_database)

    down = migrate(empty_database, "base", narrate=said.append)
    assert (first.current, down.current) == ("0005", None)
    # ops stays: it holds the table of versions.
    assert counts(empty_database) == [1, 0, 0]

    assert migrate(empty_database, narrate=said.append).current == "0005"
    assert fingerprint_of(empty_database) == up
    assert said == [
        "Migrating from an empty database to 0005",
        "Migrating from 0005 to an empty database",
        "Migrating from an empty database to 0005",
    ]


def test_migrating_a_current_database_does_nothing(database: Database) -> None:
    said: list[str] = []
    assert migrate(database, narrate=said.append).is_current
    assert said == []


def test_the_models_and_the_migrations_make_the_same_catalog(empty_database: Database, database: Database) -> None:
    with empty_database.connection(write=True) as connection:
        Base.metadata.create_all(connection)
    assert drift(fingerprint_of(database), fingerprint_of(empty_database)) == []


def test_the_catalog_is_the_one_that_was_shipped(database: Database) -> None:
    assert drift(expected_fingerprint(), fingerprint_of(database)) == []


@pytest.mark.matrix
def test_every_supported_postgresql_has_the_same_catalog(matrix_database: Database) -> None:
    assert drift(expected_fingerprint(), fingerprint_of(matrix_database)) == []


@pytest.mark.matrix
def test_every_supported_postgresql_migrates_down_and_up(matrix_database: Database) -> None:
    migrate(matrix_database, "base")
    assert counts(matrix_database) == [1, 0, 0]
    migrate(matrix_database)
    assert drift(expected_fingerprint(), fingerprint_of(matrix_database)) == []


def test_the_sql_for_an_administrator_makes_the_same_catalog(empty_database: Database) -> None:
    with psycopg.connect(empty_database.url.set(drivername="postgresql").render_as_string(False)) as connection:
        connection.execute(offline_sql())
    assert drift(expected_fingerprint(), fingerprint_of(empty_database)) == []
    assert state_of(empty_database).is_current


def test_the_offline_sql_names_no_database() -> None:
    assert "password" not in offline_sql().replace("hashed_password", "")
    assert offline_sql().startswith("CREATE SCHEMA IF NOT EXISTS ops;")


@pytest.mark.parametrize(
    ("change", "difference"),
    [
        ("ALTER TABLE users DROP COLUMN bio", "column public.users.bio is missing"),
        ("ALTER TYPE tier ADD VALUE 'platinum'", "enum public.tier differs: expected bronze silver gold, found"),
        ("ALTER TABLE users DISABLE TRIGGER tg_users_touch", "trigger public.users.tg_users_touch differs"),
        ("CREATE TABLE notes (id int)", "column public.notes.id is not part of the schema"),
        ("CREATE VIEW v AS SELECT 1 AS one", "view public.v is not part of the schema"),
        ("DROP INDEX uq_users_email", "index public.users.uq_users_email is missing"),
        ("ALTER TABLE users ALTER daily_goal_minutes SET DEFAULT 15", "column public.users.daily_goal_minutes differs"),
        ("ALTER FUNCTION ops.touch_updated_at() RESET ALL", "function ops.touch_updated_at differs"),
    ],
)
def test_drift_is_told_in_sentences(database: Database, change: str, difference: str) -> None:
    with database.connection(write=True) as connection:
        connection.execute(text(change))
    differences = drift(expected_fingerprint(), fingerprint_of(database))
    assert any(sentence.startswith(difference) for sentence in differences)


def test_a_constraint_that_was_never_validated_is_drift(database: Database) -> None:
    with database.connection(write=True) as connection:
        connection.execute(text("ALTER TABLE users DROP CONSTRAINT ck_users_email"))
        connection.execute(text("ALTER TABLE users ADD CONSTRAINT ck_users_email CHECK (email ~ '@') NOT VALID"))
    (difference,) = drift(expected_fingerprint(), fingerprint_of(database))
    assert difference.endswith("NOT VALID")


# Setup and the environment


@pytest.mark.parametrize(
    ("given", "recorded"), [(None, "development"), ("staging", "staging"), ("production", "production")]
)
def test_setup_migrates_and_records_the_environment(empty_database: Database, given: str | None, recorded: str) -> None:
    assert setup(empty_database, given) == SchemaState("0005", "0005", recorded)


def test_a_server_of_ones_own_is_production_unless_said_otherwise(empty_database: Database) -> None:
    url = empty_database.url.render_as_string(False)
    elsewhere = Database(url, empty_database.settings.model_validate({"database_url": url}))
    assert setup(elsewhere).environment == "production"
    elsewhere.dispose()


def test_a_recorded_environment_changes_only_when_given(empty_database: Database) -> None:
    setup(empty_database, "staging")
    assert setup(empty_database).environment == "staging"
    assert setup(empty_database, "production").environment == "production"


def test_an_environment_has_a_short_lower_case_name(empty_database: Database) -> None:
    with pytest.raises(ConstraintRefused, match="environment is a short lower-case name"):
        setup(empty_database, "Production!")


def test_a_database_that_is_never_to_be_written_is_not_set_up(empty_database: Database) -> None:
    only_reads = Database(empty_database.url, empty_database.settings.model_copy(update={"read_only": True}))
    with pytest.raises(WriteRefused, match="SUBJUNCTIVE_READ_ONLY is set"):
        setup(only_reads)
    assert counts(empty_database) == [0, 0, 0]


# Others at work


@pytest.mark.injects("two-setups-at-once")
def test_two_setups_at_once_end_well(empty_database: Database) -> None:
    databases = [Database(empty_database.url, purpose=f"setup-{n}") for n in range(4)]
    said: list[str] = []
    together = threading.Barrier(len(databases))

    def work(one: Database) -> SchemaState:
        together.wait()
        return setup(one, "staging", narrate=said.append)

    with ThreadPoolExecutor(len(databases)) as pool:
        states = list(pool.map(work, databases))
    for one in databases:
        one.dispose()

    assert states == [SchemaState("0005", "0005", "staging")] * 4
    assert said.count("Migrating from an empty database to 0005") == 1
    assert drift(expected_fingerprint(), fingerprint_of(empty_database)) == []


@pytest.mark.injects("two-setups-at-once")
def test_a_setup_that_hangs_is_not_waited_for_for_ever(
    empty_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schema, "_LOCK_WAIT_SECONDS", 0.05)
    said: list[str] = []
    with (
        holding(empty_database, f"SELECT pg_advisory_xact_lock({schema._LOCK_KEY})"),
        pytest.raises(SubjunctiveError, match="Another setup has been running") as refused,
    ):
        migrate(empty_database, narrate=said.append)
    assert said == ["Another setup is running; waiting for it"]
    assert refused.value.next_step is not None


@pytest.mark.injects("idle-transaction-blocks-ddl")
def test_a_table_that_stays_locked_is_a_conflict_that_names_the_holder(database: Database, impatient: None) -> None:
    said: list[str] = []
    one = hasty(database)
    with holding(database, "SELECT count(*) FROM users") as holder:
        pid = holder.scalar(text("SELECT pg_backend_pid()"))
        with pytest.raises(Conflict, match="could not lock its tables in 2 tries") as refused:
            migrate(one, "base", narrate=said.append)
    one.dispose()

    assert f"subjunctive:holder:{os.uname().nodename}"[:40] in str(refused.value)
    assert f"pid {pid}, idle in transaction" in str(refused.value)
    assert said[-1] == "Migrating from 0005 to an empty database"
    assert "A table is locked by another session; trying again (1 of 1)" in said
    assert drift(expected_fingerprint(), fingerprint_of(database)) == []


@pytest.mark.injects("idle-transaction-blocks-ddl")
def test_a_lock_that_is_given_up_in_time_is_only_waited_for(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = hasty(database)
    said: list[str] = []
    with holding(database, "SELECT count(*) FROM users") as holder:
        monkeypatch.setattr(time, "sleep", lambda _seconds: holder.rollback())
        assert migrate(one, "base", narrate=said.append).current is None
    one.dispose()
    assert len([sentence for sentence in said if "trying again" in sentence]) == 1


KILLED = """
import sys
from subjunctive_admin import schema
from subjunctive_admin.db import Database
from alembic import command

real = command.upgrade
def upgrade(*given):
    real(*given)
    print("migrated, not committed", flush=True)
    sys.stdin.read()

command.upgrade = upgrade
schema.setup(Database(sys.argv[1]))
"""


def test_a_setup_that_is_killed_leaves_nothing_behind(empty_database: Database) -> None:
    killed = [sys.executable, "-c", KILLED, empty_database.url.render_as_string(False)]
    with subprocess.Popen(killed, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "migrated, not committed\n"
        process.send_signal(signal.SIGKILL)
    _wait_until_alone(empty_database)

    assert counts(empty_database) == [0, 0, 0]
    assert setup(empty_database).is_current


def _wait_until_alone(database: Database) -> None:
    others = text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        with database.connection() as connection:
            if not connection.scalar(others):
                return
        time.sleep(0.02)
    raise AssertionError("the killed setup's session is still there")


@pytest.mark.injects("backend-killed")
def test_a_server_process_that_dies_in_mid_migration_leaves_nothing_behind(
    empty_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = command.upgrade

    def upgrade(config: Config, revision: str) -> None:
        real(config, revision)
        connection = config.attributes["connection"]
        pid = connection.scalar(text("SELECT pg_backend_pid()"))
        with holding(empty_database, f"SELECT pg_terminate_backend({pid}, 5000)"):
            connection.execute(text("SELECT 1"))

    monkeypatch.setattr(command, "upgrade", upgrade)
    with pytest.raises(ServerUnreachable, match="went away"):
        migrate(empty_database)
    assert counts(empty_database) == [0, 0, 0]


@pytest.mark.faults
@pytest.mark.injects("postmaster-killed-in-migration")
def test_a_server_that_is_killed_in_mid_migration_starts_again_with_nothing_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real = command.upgrade
    with reachable_folder() as home:
        server = EmbeddedServer(home)
        server.start()
        one = Database(server.url())

        def upgrade(config: Config, revision: str) -> None:
            real(config, revision)
            os.kill(server.status().pid or 0, signal.SIGKILL)
            config.attributes["connection"].execute(text("SELECT 1"))

        try:
            monkeypatch.setattr(command, "upgrade", upgrade)
            with pytest.raises(ServerUnreachable):
                migrate(one)
            monkeypatch.setattr(command, "upgrade", real)
            server.start()
            assert counts(one) == [0, 0, 0]
            assert setup(one).is_current
        finally:
            one.dispose()
            server.stop()


def test_a_role_without_rights_is_told_so(empty_database: Database, server: EmbeddedServer) -> None:
    admin = create_engine(make_url(server.admin_url("postgres")), isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text("CREATE ROLE visitor LOGIN PASSWORD 'visitor'"))
        visitor = Database(empty_database.url.set(username="visitor", password="visitor"))
        with pytest.raises(SubjunctiveError, match="visitor has no right to do this") as refused:
            migrate(visitor)
        visitor.dispose()
        connection.execute(text("DROP ROLE visitor"))
    admin.dispose()
    assert refused.value.next_step == "use the owner's account"


def test_sessions_recorded_before_local_days_get_the_day_and_goal_of_their_learner(empty_database: Database) -> None:
    migrate(empty_database, "0001")
    with empty_database.connection(write=True) as connection:
        connection.execute(
            text(
                "INSERT INTO users (username, email, hashed_password, timezone, daily_goal_minutes)"
                " VALUES ('ana', 'ana@example.org', repeat('x', 40), 'Asia/Tokyo', 45)"
            )
        )
        connection.execute(
            text("INSERT INTO study_sessions (user_id, started_at) SELECT id, '2026-03-01 20:00+00' FROM users")
        )
    migrate(empty_database)
    with empty_database.connection() as connection:
        found = connection.execute(text("SELECT started_on::text, daily_goal_minutes FROM study_sessions")).all()
    assert found == [("2026-03-02", 45)]
