"""What is worth doing to tables and indexes is found and done; what cannot be done is said with its reason."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from typing import Any

import pytest
from sqlalchemy import URL, Connection, create_engine, make_url, text
from sqlalchemy.exc import DBAPIError

from subjunctive_admin.db import Database
from subjunctive_admin.errors import Busy, CouldNotBegin, ServerUnreachable, WriteRefused
from subjunctive_admin.ops.health.grading import lasting, sized
from subjunctive_admin.ops.maintenance import (
    Action,
    Outcome,
    Plan,
    Result,
    Task,
    Worth,
    optimize,
    read_plan,
)
from tests.conftest import Cluster

SMALL = Worth(dead_rows=500, bloat_bytes=100_000)


@pytest.fixture
def bulk(database: Database) -> Iterator[Database]:
    """A table of 20,000 rows in two thirds of which nothing is left, and that nobody else tidies up."""
    run(
        database,
        "CREATE TABLE bulk (id int PRIMARY KEY, word text) WITH (autovacuum_enabled = off)",
        "INSERT INTO bulk SELECT n, 'word ' || n FROM generate_series(1, 20000) n",
        "CREATE INDEX ix_bulk_word ON bulk (word)",
        "ANALYZE bulk",
    )
    made = hasty(database)
    yield made
    made.dispose()


def hasty(database: Database, **changed: Any) -> Database:
    settings = database.settings.model_copy(update={"lock_timeout": 0.2} | changed)
    return Database(database.url, settings, purpose="upkeep")


def run(database: Database, *statements: str) -> None:
    for statement in statements:
        with database.connection(write=True) as connection:
            connection.execute(text(statement))
            connection.execute(text("SELECT pg_stat_force_next_flush()"))


def delete_most(database: Database) -> None:
    run(database, "DELETE FROM bulk WHERE id % 3 > 0")


@contextmanager
def holding(database: Database, *statements: str) -> Iterator[Connection]:
    """Another session that has run the statements and is still in its transaction."""
    other = Database(database.url, purpose="holder")
    try:
        with other.engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection:
            for statement in statements:
                connection.execute(text(statement))
            yield connection
    finally:
        other.dispose()


def tasks_of(database: Database, worth: Worth = SMALL) -> dict[str, Task]:
    return {f"{one.action} {one.target}": one for one in read_plan(database, worth).tasks}


def done(database: Database, name: str, worth: Worth = SMALL) -> Result:
    (result,) = optimize(database, [tasks_of(database, worth)[name]])
    return result


def invalidate(database: Database, index: str) -> None:
    """An index as an interrupted build leaves it."""
    engine = create_engine(database.url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection, holding(database, "SELECT 1"):
        connection.execute(text("SET lock_timeout = '50ms'"))
        with pytest.raises(DBAPIError):
            connection.execute(text(index))
    engine.dispose()


# What is worth doing


def test_a_fresh_database_needs_nothing(database: Database) -> None:
    plan = read_plan(database)
    assert (plan.tasks, plan.unknown) == ((), ())
    assert {"users", "ops.pool_samples", "private.learner_keys", "editorial.drafts"} <= {t.name for t in plan.tables}


def test_dead_rows_are_worth_a_vacuum_with_their_number_as_reason(bulk: Database) -> None:
    delete_most(bulk)
    task = tasks_of(bulk)["vacuum bulk"]
    assert task.dead == 13_334
    assert task.reason.startswith("13,334 of 20,000 rows are dead (67%); 13,334 rows changed since it was analysed")
    assert task.statement == "VACUUM (ANALYZE) bulk"


def test_changed_rows_are_worth_an_analyze(bulk: Database) -> None:
    run(bulk, "INSERT INTO bulk SELECT n, 'more' FROM generate_series(20001, 23000) n")
    task = tasks_of(bulk)["analyze bulk"]
    assert (task.reason, task.statement) == (
        "3,000 rows changed since it was analysed, 23,000 are there",
        "ANALYZE bulk",
    )


@pytest.mark.parametrize(("rows", "worth_it"), [(3000, True), (10, False)])
def test_a_table_that_was_never_analysed_is_worth_it_when_it_is_not_small(
    database: Database, rows: int, worth_it: bool
) -> None:
    run(database, f"CREATE TABLE young AS SELECT n FROM generate_series(1, {rows}) n")
    assert ("analyze young" in tasks_of(database)) == worth_it


def test_little_is_left_to_autovacuum(bulk: Database) -> None:
    run(bulk, "DELETE FROM bulk WHERE id <= 400")
    assert not [name for name in tasks_of(bulk) if name.endswith("bulk")]


def test_an_emptied_index_is_worth_rebuilding_by_estimate(bulk: Database) -> None:
    run(bulk, "DELETE FROM bulk WHERE id > 1000")
    assert done(bulk, "vacuum bulk").outcome is Outcome.DONE
    task = tasks_of(bulk)["reindex ix_bulk_word"]
    assert task.reason.startswith("by estimate ")
    assert "reindex bulk_pkey" in tasks_of(bulk)
    assert "reindex ix_bulk_word" not in tasks_of(bulk, Worth())


def test_an_index_whose_statistics_are_not_visible_is_not_known(bulk: Database) -> None:
    run(bulk, "CREATE TABLE dark (id int)", "INSERT INTO dark SELECT generate_series(1, 30000)")
    run(bulk, "CREATE INDEX ix_dark ON dark (id)")
    assert "ix_dark" in read_plan(bulk, SMALL).unknown


def test_names_that_need_quotes_are_quoted(database: Database) -> None:
    run(
        database,
        'CREATE TABLE ops."Odd name; --" (id int) WITH (autovacuum_enabled = off)',
        'INSERT INTO ops."Odd name; --" SELECT generate_series(1, 3000)',
    )
    assert done(database, 'analyze ops."Odd name; --"').outcome is Outcome.DONE
    assert 'analyze ops."Odd name; --"' not in tasks_of(database)


def test_what_is_looked_at_is_not_waited_for(bulk: Database) -> None:
    delete_most(bulk)
    with holding(bulk, "LOCK TABLE bulk IN ACCESS EXCLUSIVE MODE"):
        began = time.monotonic()
        assert "vacuum bulk" in tasks_of(bulk)
        assert time.monotonic() - began < 0.2


# Doing it


def test_vacuum_and_analyze_leave_no_dead_rows_and_nothing_to_do(bulk: Database) -> None:
    delete_most(bulk)
    result = done(bulk, "vacuum bulk")
    assert (result.outcome, result.task.dead, result.dead, result.said) == (Outcome.DONE, 13_334, 0, "")
    assert not {"vacuum bulk", "analyze bulk"} & set(tasks_of(bulk))


def test_rebuilding_an_index_gives_its_space_back(bulk: Database) -> None:
    run(bulk, "DELETE FROM bulk WHERE id > 1000")
    done(bulk, "vacuum bulk")
    result = done(bulk, "reindex ix_bulk_word")
    assert result.outcome is Outcome.DONE
    assert result.size is not None
    assert result.size < result.task.size / 4
    assert "reindex ix_bulk_word" not in tasks_of(bulk)


def test_each_task_is_announced_and_the_table_is_never_locked_whole(bulk: Database) -> None:
    delete_most(bulk)
    said: list[tuple[int, int, str]] = []
    optimize(bulk, [tasks_of(bulk)["vacuum bulk"]], lambda *at: said.append(at))
    assert said == [(0, 1, "VACUUM (ANALYZE) bulk"), (1, 1, "")]
    statements = [Task(action, "t", "i", "", 0, 0, True).statement for action in Action]
    assert not [one for one in statements if "FULL" in one]
    assert all("CONCURRENTLY" in one for one in statements if "INDEX" in one)


def test_nothing_to_do_opens_no_connection(database: Database, tmp_path: Any) -> None:
    gone = Database(database.url.update_query_dict({"host": str(tmp_path)}), database.settings)
    assert optimize(gone, []) == []


# What PostgreSQL says only in passing


def test_an_old_snapshot_keeps_dead_rows_and_its_holder_is_named(bulk: Database) -> None:
    with holding(bulk, "SELECT 'a secret literal'") as holder:
        pid = holder.scalar(text("SELECT pg_backend_pid()"))
        delete_most(bulk)
        result = done(bulk, "vacuum bulk")

    assert (result.outcome, result.dead) == (Outcome.NOT_DONE, 13_334)
    assert result.said.startswith("13,334 of 13,334 dead rows had to stay: subjunctive:holder:")
    assert f"pid {pid} (idle in transaction for " in result.said
    assert "secret" not in json.dumps(result.as_dict())
    assert done(bulk, "vacuum bulk").outcome is Outcome.DONE


def test_an_open_write_keeps_them_too(bulk: Database) -> None:
    other = Database(bulk.url, purpose="writer")
    with other.engine.connect() as connection:
        connection.execute(text("CREATE TEMP TABLE mine (id int)"))
        delete_most(bulk)
        result = done(bulk, "vacuum bulk")
    other.dispose()
    assert result.outcome is Outcome.NOT_DONE
    assert "subjunctive:writer:" in result.said


@pytest.fixture
def stranger(bulk: Database, cluster: Cluster) -> Iterator[Database]:
    """A role that may read everything and maintain nothing."""
    url = make_url(cluster.server.admin_url(str(bulk.url.database))).set(drivername="postgresql+psycopg")
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text("CREATE ROLE stranger LOGIN PASSWORD 'stranger'"))
        connection.execute(text("GRANT SELECT ON bulk TO stranger"))
        made = Database(bulk.url.set(username="stranger", password="stranger"), bulk.settings)
        yield made
        made.dispose()
        connection.execute(text("DROP OWNED BY stranger"))
        connection.execute(text("DROP ROLE stranger"))
    engine.dispose()


@pytest.mark.parametrize("action", [Action.VACUUM, Action.ANALYZE, Action.REINDEX])
@pytest.mark.injects("vacuum-without-permission")
def test_what_this_role_may_not_do_is_not_done_though_the_server_reports_success(
    bulk: Database, stranger: Database, action: Action
) -> None:
    index = "ix_bulk_word" if action is Action.REINDEX else None
    (result,) = optimize(stranger, [Task(action, "bulk", index, "", 0, 0)])
    assert result.outcome is Outcome.NOT_DONE
    assert "permission denied" in result.said or "owner" in result.said


def test_a_holder_whose_state_this_role_may_not_see_is_named_without_it(
    bulk: Database, stranger: Database, cluster: Cluster
) -> None:
    run(bulk, "CREATE TABLE theirs (id int) WITH (autovacuum_enabled = off)")
    autocommit(cluster.server.admin_url(str(bulk.url.database)), "ALTER TABLE theirs OWNER TO stranger")
    autocommit(cluster.server.admin_url(str(bulk.url.database)), "INSERT INTO theirs SELECT generate_series(1, 3000)")
    with holding(bulk, "SELECT 1"):
        autocommit(cluster.server.admin_url(str(bulk.url.database)), "DELETE FROM theirs")
        (result,) = optimize(stranger, [Task(Action.VACUUM, "theirs", None, "", 0, 3000)])
    assert result.outcome is Outcome.NOT_DONE
    assert "subjunctive:holder:" in result.said
    assert "(state not visible)" in result.said


# Locks


def test_a_lock_is_not_waited_for_without_end_and_the_rest_goes_on(bulk: Database) -> None:
    delete_most(bulk)
    run(bulk, "CREATE TABLE other AS SELECT n FROM generate_series(1, 3000) n")
    tasks = tasks_of(bulk)
    with holding(bulk, "LOCK TABLE bulk IN ACCESS EXCLUSIVE MODE") as holder:
        pid = holder.scalar(text("SELECT pg_backend_pid()"))
        began = time.monotonic()
        first, second = optimize(bulk, [tasks["vacuum bulk"], tasks["analyze other"]])
        assert time.monotonic() - began < 5
    assert (first.outcome, second.outcome) == (Outcome.NOT_DONE, Outcome.DONE)
    assert first.said.startswith("held up after 0.2 s by subjunctive:holder:")
    assert f"pid {pid}" in first.said


def test_a_rebuild_behind_an_open_transaction_gives_up_and_leaves_nothing_behind(bulk: Database) -> None:
    task = Task(Action.REINDEX, "bulk", "ix_bulk_word", "", 0, 0)
    with holding(bulk, "SELECT 1"):
        (result,) = optimize(bulk, [task])
        assert result.outcome is Outcome.NOT_DONE
        assert "subjunctive:holder:" in result.said
        assert not [one for one in read_plan(bulk).indexes if one.is_leftover]
    assert optimize(bulk, [task])[0].outcome is Outcome.DONE


def test_what_a_rebuild_had_to_leave_behind_is_dropped_by_the_next_run(bulk: Database) -> None:
    task = Task(Action.REINDEX, "bulk", "ix_bulk_word", "", 0, 0)
    with holding(bulk, "SELECT count(*) FROM bulk"):
        (result,) = optimize(bulk, [task])
    assert result.outcome is Outcome.NOT_DONE
    assert "ix_bulk_word_ccnew is left behind" in result.said

    dropped = done(bulk, "drop ix_bulk_word_ccnew")
    assert (dropped.outcome, dropped.size) == (Outcome.DONE, None)
    assert not [one for one in read_plan(bulk).indexes if not one.is_valid]


# Indexes that are no use


def test_an_invalid_index_is_rebuilt(bulk: Database) -> None:
    invalidate(bulk, "CREATE INDEX CONCURRENTLY ix_half ON bulk (id, word)")
    assert tasks_of(bulk)["reindex ix_half"].reason == "invalid: no query uses it"
    assert done(bulk, "reindex ix_half").outcome is Outcome.DONE
    assert "reindex ix_half" not in tasks_of(bulk)


def test_an_index_that_cannot_be_rebuilt_has_failed_and_leaves_nothing_behind(bulk: Database) -> None:
    run(bulk, "UPDATE bulk SET word = 'same' WHERE id <= 2")
    with pytest.raises(DBAPIError):
        autocommit(bulk.url, "CREATE UNIQUE INDEX CONCURRENTLY uq_bulk_word ON bulk (word)")
    result = done(bulk, "reindex uq_bulk_word")
    assert result.outcome is Outcome.FAILED
    assert "word" in result.said
    assert not [one for one in read_plan(bulk).indexes if one.is_leftover]


def autocommit(url: URL | str, statement: str) -> None:
    engine = create_engine(make_url(url).set(drivername="postgresql+psycopg"), isolation_level="AUTOCOMMIT")
    try:
        with engine.connect() as connection:
            connection.execute(text(statement))
    finally:
        engine.dispose()


def test_an_index_that_is_being_built_is_left_alone(bulk: Database) -> None:
    invalidate(bulk, "REINDEX INDEX CONCURRENTLY ix_bulk_word")
    assert "drop ix_bulk_word_ccnew" in tasks_of(bulk)
    with holding(bulk, "LOCK TABLE bulk IN SHARE UPDATE EXCLUSIVE MODE"):
        assert "drop ix_bulk_word_ccnew" not in tasks_of(bulk)


# Who may, and what happens when it ends early


def test_two_at_once_do_not_get_into_each_others_way(bulk: Database) -> None:
    delete_most(bulk)
    tasks = list(tasks_of(bulk).values())

    def again(done: int, _total: int, _said: str) -> None:
        if done == 0:
            with pytest.raises(Busy, match="Another optimize is running"):
                optimize(bulk, tasks)

    assert {one.outcome for one in optimize(bulk, tasks, again)} == {Outcome.DONE}


@pytest.mark.parametrize(
    ("changed", "refusal"), [({"pooler": "transaction"}, CouldNotBegin), ({"read_only": True}, WriteRefused)]
)
def test_where_it_cannot_work_it_does_not_begin(
    bulk: Database, changed: dict[str, Any], refusal: type[Exception]
) -> None:
    delete_most(bulk)
    with pytest.raises(refusal):
        optimize(hasty(bulk, **changed), list(tasks_of(bulk).values()))
    assert "vacuum bulk" in tasks_of(bulk)


def test_an_interrupted_run_keeps_what_is_done_and_the_next_goes_on(bulk: Database) -> None:
    delete_most(bulk)
    run(bulk, "CREATE TABLE other AS SELECT n FROM generate_series(1, 3000) n")
    tasks = tasks_of(bulk)

    def interrupt(done: int, _total: int, _said: str) -> None:
        if done == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        optimize(bulk, [tasks["vacuum bulk"], tasks["analyze other"]], interrupt)
    assert set(tasks_of(bulk)) & set(tasks) == {"analyze other"}
    assert done(bulk, "analyze other").outcome is Outcome.DONE


@pytest.mark.injects("backend-killed")
def test_a_killed_session_is_a_server_that_went_away(bulk: Database) -> None:
    delete_most(bulk)

    def kill(_done: int, _total: int, _said: str) -> None:
        run(bulk, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name ~ ':optimize:'")

    with pytest.raises(ServerUnreachable):
        optimize(bulk, list(tasks_of(bulk).values()), kill)
    assert done(bulk, "vacuum bulk").outcome is Outcome.DONE


@pytest.mark.faults
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_command_interrupted_in_a_rebuild_leaves_what_the_next_one_drops(
    bulk: Database, number: signal.Signals, code: int
) -> None:
    invalidate(bulk, "CREATE INDEX CONCURRENTLY ix_half ON bulk (id, word)")
    variables = {
        "SUBJUNCTIVE_DATABASE_URL": bulk.url.render_as_string(hide_password=False),
        "SUBJUNCTIVE_LOCK_TIMEOUT": "60",
    }
    command = [sys.executable, "-m", "subjunctive_admin", "optimize", "--apply"]
    with holding(bulk, "SELECT 1"):
        process = subprocess.Popen(
            command, env={**os.environ, **variables}, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        while not [one for one in read_plan(bulk).indexes if one.is_leftover]:
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(number)
        process.communicate(timeout=30)
    assert process.returncode == code
    with bulk.connection() as connection:
        sessions = text("SELECT count(*) FROM pg_stat_activity WHERE application_name ~ ':optimize:'")
        assert connection.scalar(sessions) == 0

    assert done(bulk, "drop ix_half_ccnew").outcome is Outcome.DONE
    assert done(bulk, "reindex ix_half").outcome is Outcome.DONE
    assert not [one for one in read_plan(bulk).indexes if not one.is_valid]


def test_a_plan_is_json(bulk: Database) -> None:
    delete_most(bulk)
    plan = read_plan(bulk, SMALL)
    assert isinstance(plan, Plan)
    loaded = json.loads(json.dumps([task.as_dict() for task in plan.tasks]))
    assert {"action": "vacuum", "table": "bulk", "statement": "VACUUM (ANALYZE) bulk"}.items() <= loaded[-1].items()
    assert asdict(replace(plan.tasks[0], size=1))["size"] == 1


@pytest.mark.parametrize(
    ("amount", "said"), [(0, "0 bytes"), (1500, "1.5 kB"), (20_700_000, "20.7 MB"), (3e9, "3 GB"), (4e12, "4 TB")]
)
def test_bytes_are_said_in_powers_of_ten(amount: float, said: str) -> None:
    assert sized(amount) == said


@pytest.mark.parametrize(
    ("seconds", "said"), [(40, "40 s"), (600, "10 min"), (7200, "2 h"), (172_800, "2 d"), (100, "100 s")]
)
def test_times_are_said_as_a_person_would(seconds: float, said: str) -> None:
    assert lasting(seconds) == said
