"""Connections: who may write, what is in force, what a person reads when something is wrong."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from sqlalchemy import func, insert, make_url, select, text
from sqlalchemy.exc import InvalidRequestError
from sqlalchemy.orm import joinedload, selectinload
from sqlalchemy.pool import NullPool

from subjunctive_admin import db
from subjunctive_admin.db import Database, open_database
from subjunctive_admin.embedded import SUPPORTED, EmbeddedServer
from subjunctive_admin.errors import (
    AccessDenied,
    Busy,
    Conflict,
    ConstraintRefused,
    EmbeddedServerError,
    NoConnectionLeft,
    NotSetUp,
    ServerTooOld,
    ServerUnreachable,
    SettingsError,
    SubjunctiveError,
    UnknownDatabase,
    WriteRefused,
)
from subjunctive_admin.models import Exercise, PracticeItem, Scenario, User
from subjunctive_admin.settings import load_settings
from tests.builders import NOON, make_exercise, make_item, make_scenario, make_user, make_verb
from tests.conftest import close
from tests.statements import statements

Remade = Callable[..., Database]
NEW_USER = {"username": "ana", "email": "ana@example.org", "hashed_password": "x" * 40}


@pytest.fixture
def remade(database: Database) -> Iterator[Remade]:
    """The test's database with other settings, another address or another purpose."""
    with ExitStack() as stack:

        def make(url: Any = None, purpose: str = "test", **changed: Any) -> Database:
            made = Database(url or database.url, database.settings.model_copy(update=changed), purpose=purpose)
            stack.callback(close, made)
            return made

        yield make


@contextmanager
def as_superuser(server: EmbeddedServer) -> Iterator[Callable[[str], Any]]:
    admin = Database(server.admin_url("postgres"))
    try:
        with admin.engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
            yield lambda statement: connection.execute(text(statement))
    finally:
        admin.dispose()


def users(database: Database) -> int:
    with database.session() as session:
        return session.scalar(select(func.count()).select_from(User)) or 0


def setting(database: Database, name: str) -> str:
    with database.connection() as connection:
        return str(connection.scalar(text(f"SHOW {name}")))


# Reading and writing


def test_a_session_reads_and_says_how_to_write(database: Database) -> None:
    with pytest.raises(WriteRefused, match="This session only reads") as refused, database.session() as session:
        session.execute(insert(User).values(**NEW_USER))
    assert refused.value.next_step == "open it with session(write=True)"
    assert users(database) == 0


def test_an_object_added_to_a_reading_session_is_refused_too(database: Database) -> None:
    with pytest.raises(WriteRefused), database.session() as session:
        session.add(User(**NEW_USER))
    assert users(database) == 0


def test_a_writing_session_is_one_transaction_committed_at_the_end(database: Database) -> None:
    with database.session(write=True) as session:
        made = make_user(session, username="ana")
        assert users(database) == 0
    assert users(database) == 1
    assert made.username == "ana", "objects stay readable"


def test_an_exception_undoes_everything(database: Database) -> None:
    def work() -> None:
        with database.session(write=True) as session:
            make_user(session)
            raise KeyError("something else")

    with pytest.raises(KeyError, match="something else"):
        work()
    assert users(database) == 0


def test_a_connection_obeys_the_same_rules(database: Database) -> None:
    with pytest.raises(WriteRefused), database.connection() as connection:
        connection.execute(insert(User).values(**NEW_USER))
    with database.connection(write=True) as connection:
        connection.execute(insert(User).values(**NEW_USER))
    assert users(database) == 1


def test_a_pooled_connection_that_wrote_reads_only_again_afterwards(remade: Remade) -> None:
    one = remade(pool_size=1, pool_overflow=0)
    with one.connection(write=True) as connection:
        connection.execute(insert(User).values(**NEW_USER))
    with pytest.raises(WriteRefused), one.connection() as connection:
        connection.execute(text("DELETE FROM users"))
    with one.connection(write=True) as connection:
        connection.execute(text("DELETE FROM users"))


async def test_the_async_session_reads_and_says_how_to_write(database: Database) -> None:
    with pytest.raises(WriteRefused, match="This session only reads"):
        async with database.async_session() as session:
            await session.execute(insert(User).values(**NEW_USER))
    assert users(database) == 0


async def test_the_async_session_commits_at_the_end_and_an_exception_undoes(database: Database) -> None:
    async with database.async_session(write=True) as session:
        session.add(User(**NEW_USER))

    async def fail() -> None:
        async with database.async_session(write=True) as session:
            session.add(User(**NEW_USER | {"username": "luis", "email": "luis@example.org"}))
            await session.flush()
            raise KeyError("something else")

    with pytest.raises(KeyError, match="something else"):
        await fail()
    async with database.async_session() as session:
        assert (await session.scalars(select(User.username))).all() == ["ana"]


async def test_an_async_refusal_is_said_in_the_same_words(database: Database) -> None:
    with pytest.raises(ConstraintRefused, match="daily_goal_minutes lies between 1 and 1,440"):
        async with database.async_session(write=True) as session:
            await session.execute(insert(User).values(**NEW_USER, daily_goal_minutes=0))


@pytest.mark.parametrize("way", ["session", "connection"])
def test_read_only_refuses_before_the_server_is_asked(remade: Remade, way: str) -> None:
    one = remade(read_only=True)
    with pytest.raises(WriteRefused, match="SUBJUNCTIVE_READ_ONLY is set"), getattr(one, way)(write=True):
        pass
    assert "engine" not in vars(one)
    assert users(one) == 0


async def test_read_only_refuses_the_async_session_too(remade: Remade) -> None:
    with pytest.raises(WriteRefused, match="SUBJUNCTIVE_READ_ONLY is set"):
        async with remade(read_only=True).async_session(write=True):
            pass


def test_a_refused_row_is_explained_in_words(database: Database) -> None:
    with database.session(write=True) as session:
        make_user(session, email="ana@example.org")
    with pytest.raises(ConstraintRefused) as refused, database.session(write=True) as session:
        session.execute(insert(User).values(**NEW_USER))
    assert str(refused.value) == (
        "users refused the row: there is already a user with this e-mail address"
        " (Key (lower(email::text))=(ana@example.org) already exists)."
    )
    assert refused.value.constraint == "uq_users_email"


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"first_name": "x" * 51}, "value too long for type character varying(50)"),
        ({"timezone": "Mars/Olympus"}, 'time zone "Mars/Olympus" not recognized'),
        ({"email": None}, 'null value in column "email"'),
        ({"first_name": "A\x00"}, "PostgreSQL cannot hold a value: PostgreSQL text fields cannot contain NUL"),
    ],
)
def test_a_value_that_a_column_cannot_hold_is_explained(database: Database, values: dict[str, Any], words: str) -> None:
    with pytest.raises(ConstraintRefused) as refused, database.connection(write=True) as connection:
        connection.execute(insert(User).values(NEW_USER | values))
    assert words in str(refused.value)
    assert NEW_USER["hashed_password"] not in str(refused.value)


# What is in force


def test_other_sessions_see_who_we_are(remade: Remade) -> None:
    one = remade(purpose="web")
    name = setting(one, "application_name")
    assert name == one.application_name
    assert name.startswith("subjunctive:web:")
    assert name.endswith(f":{os.getpid()}") or len(name) == 63


def test_the_name_is_ascii_and_fits_what_postgresql_keeps(remade: Remade, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "máquina" * 10)
    one = remade()
    assert setting(one, "application_name") == one.application_name
    assert len(one.application_name) == 63


TIMEOUTS = {
    "lock_timeout": "1500ms",
    "statement_timeout": "2500ms",
    "idle_in_transaction_session_timeout": "10min",
    "TimeZone": "UTC",
}


def test_the_timeouts_are_in_force(remade: Remade) -> None:
    one = remade(lock_timeout=1.5, statement_timeout=2.5)
    assert {name: setting(one, name) for name in TIMEOUTS} == TIMEOUTS


async def test_the_timeouts_are_in_force_in_async_sessions(remade: Remade) -> None:
    one = remade(lock_timeout=1.5, statement_timeout=2.5)
    async with one.async_session() as session:
        assert {name: await session.scalar(text(f"SHOW {name}")) for name in TIMEOUTS} == TIMEOUTS


def test_options_in_the_address_stay_beside_ours(remade: Remade, database: Database) -> None:
    one = remade(database.url.update_query_dict({"options": "-c work_mem=8MB"}), lock_timeout=1.5)
    assert (setting(one, "work_mem"), setting(one, "lock_timeout")) == ("8MB", "1500ms")


def test_a_statement_that_takes_too_long_says_what_to_raise(remade: Remade) -> None:
    one = remade(statement_timeout=0.05)
    with pytest.raises(SubjunctiveError, match="took too long") as refused, one.connection() as connection:
        connection.execute(text("SELECT pg_sleep(5)"))
    assert refused.value.next_step == "raise SUBJUNCTIVE_STATEMENT_TIMEOUT"
    assert refused.value.exit_code == 2


def test_a_lock_that_another_session_holds_is_a_conflict(remade: Remade, database: Database) -> None:
    with database.connection(write=True) as holder:
        holder.execute(text("LOCK TABLE users"))
        with pytest.raises(Busy, match="holds a lock"), remade(lock_timeout=0.05).connection() as connection:
            connection.execute(text("SELECT * FROM users"))


def test_two_sessions_that_wait_for_each_other_end_in_a_conflict(database: Database) -> None:
    with database.session(write=True) as session:
        first, second = make_user(session).id, make_user(session).id
    update = "UPDATE users SET bio = 'x' WHERE id = :id"
    both = threading.Barrier(2, timeout=10)
    outcomes: list[object] = []

    def work(one: Any, other: Any) -> None:
        try:
            with database.connection(write=True) as connection:
                connection.execute(text(update), {"id": one})
                both.wait()
                connection.execute(text(update), {"id": other})
            outcomes.append("done")
        except Conflict as conflict:
            outcomes.append(conflict.message)

    threads = [threading.Thread(target=work, args=order) for order in ((first, second), (second, first))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(map(str, outcomes)) == ["Two sessions changed the same rows; nothing was changed here.", "done"]


# No usable connection


@pytest.mark.injects("wrong-password")
def test_a_wrong_password_is_said_without_showing_it(remade: Remade, database: Database) -> None:
    one = remade(database.url.set(password="s3cr3t-but-wrong"))
    with pytest.raises(AccessDenied, match="refused the user subjunctive") as refused, one.session():
        pass
    assert "s3cr3t" not in str(refused.value)
    assert refused.value.exit_code == 3


@pytest.mark.injects("wrong-password")
async def test_a_wrong_password_is_said_in_async_sessions_too(remade: Remade, database: Database) -> None:
    one = remade(database.url.set(password="s3cr3t-but-wrong"))
    with pytest.raises(AccessDenied, match="refused the user subjunctive"):
        async with one.async_session():
            pass


def test_no_password_is_said(remade: Remade, database: Database) -> None:
    one = remade(database.url._replace(password=None))
    with pytest.raises(AccessDenied, match="refused the user subjunctive"), one.session():
        pass


def test_an_unknown_user_is_said(remade: Remade, database: Database) -> None:
    one = remade(database.url.set(username="nobody-here"))
    with pytest.raises(AccessDenied, match="refused the user nobody-here"), one.session():
        pass


def test_an_unknown_database_is_named(remade: Remade, database: Database) -> None:
    one = remade(database.url.set(database="elsewhere"))
    with pytest.raises(UnknownDatabase, match="has no database elsewhere"), one.session():
        pass


@pytest.mark.injects("server-down")
def test_a_folder_without_a_server_asks_to_start_it(remade: Remade, database: Database, tmp_path: Path) -> None:
    one = remade(database.url.update_query_dict({"host": str(tmp_path)}))
    with pytest.raises(ServerUnreachable, match=f"No usable server at {tmp_path}") as refused, one.session():
        pass
    assert refused.value.next_step == "subjunctive-admin db start"


@pytest.mark.injects("server-down")
def test_a_port_where_nothing_listens_asks_to_check_the_address(remade: Remade) -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        one = remade(f"postgresql://ana:geheim@127.0.0.1:{reserved.getsockname()[1]}/db")
        with pytest.raises(ServerUnreachable, match=r"No usable server at 127\.0\.0\.1") as refused, one.session():
            pass
    assert refused.value.next_step == "check the address and the server"
    assert "geheim" not in str(refused.value)


@contextmanager
def relay_to(server: EmbeddedServer) -> Iterator[int]:
    """The port of a relay to the server's socket: over a socket nobody asks for TLS. It passes the first question on."""
    folder = make_url(server.url()).query["host"]
    with socket.create_server(("127.0.0.1", 0)) as relay, ThreadPoolExecutor(1) as passing:

        def pass_on() -> bytes:
            client, _ = relay.accept()
            with client, socket.socket(socket.AF_UNIX) as behind:
                behind.connect(f"{folder}/.s.PGSQL.5432")
                behind.sendall(client.recv(1024))
                answer = behind.recv(1)
                client.sendall(answer)
                return answer

        answered = passing.submit(pass_on)
        yield int(relay.getsockname()[1])
        assert answered.result(5) == b"N"


@pytest.mark.injects("tls-required-but-absent")
def test_a_server_without_the_tls_that_the_address_requires_is_named(remade: Remade, server: EmbeddedServer) -> None:
    with relay_to(server) as port:
        one = remade(f"postgresql://ana:s3cr3t@127.0.0.1:{port}/db?sslmode=require")
        with pytest.raises(ServerUnreachable, match=r"the server at 127\.0\.0\.1 has none\.") as refused, one.session():
            pass
    assert "turn ssl on" in str(refused.value)
    assert "s3cr3t" not in str(refused.value)


def test_a_name_that_does_not_resolve_is_said(remade: Remade) -> None:
    one = remade("postgresql://ana@no-such-host.invalid:5432/db")
    with pytest.raises(ServerUnreachable, match=r"No usable server at no-such-host\.invalid"), one.session():
        pass


def test_a_server_that_is_too_old_is_refused(remade: Remade, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(db, "OLDEST_MAJOR", 99)
    with pytest.raises(ServerTooOld, match="99 is the oldest supported version") as refused, remade().session():
        pass
    assert refused.value.exit_code == 3


async def test_a_server_that_is_too_old_is_refused_in_async_sessions(
    remade: Remade, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(db, "OLDEST_MAJOR", 99)
    with pytest.raises(ServerTooOld, match="99 is the oldest supported version"):
        async with remade().async_session():
            pass


def test_a_server_that_is_read_only_by_default_is_still_written_when_asked(
    server: EmbeddedServer, database: Database, remade: Remade
) -> None:
    with as_superuser(server) as execute:
        execute(f"ALTER DATABASE {database.url.database} SET default_transaction_read_only = on")
    with remade().session(write=True) as session:
        make_user(session)
    assert users(database) == 1


@pytest.mark.injects("read-only-standby")
def test_a_standby_is_named_when_it_refuses_a_write(remade: Remade) -> None:
    one = remade()
    # What a standby answers to every write.
    refusal = text("DO $$ BEGIN RAISE 'cannot execute during recovery' USING ERRCODE = '25006'; END $$")
    with pytest.raises(WriteRefused, match="accepts no writes") as refused, one.connection(write=True) as connection:
        connection.execute(refusal)
    assert f"The server at {one.url.query['host']} accepts no writes" in str(refused.value)
    assert refused.value.next_step == "point SUBJUNCTIVE_DATABASE_URL at the primary"


@pytest.mark.injects("no-connection-left")
def test_a_role_at_its_limit_has_no_connection_left(server: EmbeddedServer, database: Database, remade: Remade) -> None:
    with as_superuser(server) as execute:
        execute(f"GRANT CONNECT ON DATABASE {database.url.database} TO PUBLIC")
        execute("CREATE ROLE crowded LOGIN PASSWORD 'crowded' CONNECTION LIMIT 1")
        one = remade(database.url.set(username="crowded", password="crowded"))
        try:
            with one.engine.connect(), pytest.raises(NoConnectionLeft, match="has no connection left"):
                _use(one)
        finally:
            one.dispose()
            execute("DROP ROLE crowded")


@pytest.mark.injects("no-connection-left")
def test_a_full_server_has_no_connection_left(database: Database, remade: Remade) -> None:
    one = remade(pool_size=200, pool_overflow=0)

    def take_all() -> None:
        with ExitStack() as stack:
            while True:
                stack.enter_context(one.connection())

    with pytest.raises(NoConnectionLeft, match="has no connection left") as refused:
        take_all()
    assert refused.value.next_step == "close idle sessions there, or raise its max_connections"


def test_an_exhausted_pool_says_so(remade: Remade) -> None:
    one = remade(pool_size=1, pool_overflow=0, pool_timeout=0.05)
    with one.engine.connect(), pytest.raises(NoConnectionLeft, match="Every connection of this process") as refused:
        _use(one)
    assert refused.value.next_step == "close idle sessions, or raise SUBJUNCTIVE_POOL_SIZE"


async def test_an_exhausted_async_pool_says_so(remade: Remade) -> None:
    one = remade(pool_size=1, pool_overflow=0, pool_timeout=0.05)
    async with one.async_engine.connect():
        with pytest.raises(NoConnectionLeft, match="Every connection of this process' pool"):
            async with one.async_session():
                pass


def test_a_database_without_our_tables_was_not_set_up(empty_database: Database) -> None:
    with pytest.raises(NotSetUp, match='relation "users" does not exist') as refused:
        users(empty_database)
    assert refused.value.next_step == "subjunctive-admin setup"


def _use(database: Database) -> None:
    with database.connection() as connection:
        connection.execute(text("SELECT 1"))


def _terminate(database: Database, pid: int) -> None:
    with database.connection() as connection:
        connection.execute(text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": pid})


@pytest.mark.injects("backend-killed")
def test_a_connection_that_was_ended_while_idle_is_replaced_unnoticed(remade: Remade, database: Database) -> None:
    one = remade(pool_size=1, pool_overflow=0)
    with one.connection() as connection:
        pid = connection.scalar(text("SELECT pg_backend_pid()"))
    _terminate(database, pid or 0)
    with one.connection() as connection:
        assert connection.scalar(text("SELECT pg_backend_pid()")) != pid


@pytest.mark.injects("backend-killed")
def test_a_connection_that_is_ended_at_work_says_that_the_server_went_away(remade: Remade, database: Database) -> None:
    one = remade()

    def work() -> None:
        with one.connection() as connection:
            _terminate(database, connection.scalar(text("SELECT pg_backend_pid()")) or 0)
            connection.execute(text("SELECT 1"))

    with pytest.raises(ServerUnreachable, match="went away: terminating connection"):
        work()
    assert users(one) == 0


@pytest.mark.injects("disk-full-during-data")
def test_a_full_disk_is_said_and_nothing_was_changed(server: EmbeddedServer, database: Database) -> None:
    with database.connection(write=True) as connection:
        connection.execute(text("CREATE TABLE growing (word text)"))
        file = server.data / str(connection.scalar(text("SELECT pg_relation_filepath('growing')")))
    file.unlink()
    file.symlink_to("/dev/full")

    def grow() -> None:
        with database.connection(write=True) as connection:
            connection.execute(insert(User).values(NEW_USER))
            connection.execute(text("INSERT INTO growing VALUES ('word')"))

    with pytest.raises(SubjunctiveError, match=r"The disk of the server at .* is full: could not extend file") as full:
        grow()
    assert "disk-data" in (full.value.next_step or "")
    assert users(database) == 0
    with database.connection(write=True) as connection:
        connection.execute(insert(User).values(NEW_USER))
    assert users(database) == 1


def test_an_error_nobody_foresaw_keeps_postgresqls_words_and_code(database: Database) -> None:
    with (
        pytest.raises(SubjunctiveError, match=r"PostgreSQL refused \(SQLSTATE 22012\): division by zero\."),
        database.connection() as connection,
    ):
        connection.execute(text("SELECT 1 / 0"))


# Behind a pooler


def test_behind_a_transaction_pooler_nothing_outlives_a_transaction(remade: Remade) -> None:
    one = remade(pooler="transaction", lock_timeout=1.5)
    assert isinstance(one.engine.pool, NullPool)
    with statements(one.engine) as seen, one.connection() as connection:
        assert connection.scalar(text("SHOW lock_timeout")) == "1500ms"
        raw: Any = connection.connection.driver_connection
        assert raw.prepare_threshold is None
        connection.rollback()
        # Nothing was set for the connection itself.
        assert raw.execute("SHOW lock_timeout").fetchone() == ("0",)
    assert seen[0].startswith("SET LOCAL lock_timeout = '1500ms'; SET LOCAL statement_timeout")


def test_behind_a_pooler_no_statement_is_prepared(remade: Remade) -> None:
    one = remade(pooler="transaction")
    with one.connection() as connection:
        for _ in range(12):
            connection.execute(text("SELECT count(*) FROM users"))
        assert connection.scalar(text("SELECT count(*) FROM pg_prepared_statements")) == 0


def test_behind_a_pooler_reading_and_writing_are_kept_apart_as_ever(remade: Remade) -> None:
    one = remade(pooler="transaction")
    with pytest.raises(WriteRefused), one.session() as session:
        session.execute(insert(User).values(**NEW_USER))
    with one.session(write=True) as session:
        make_user(session)
    assert users(one) == 1
    assert one.pool_reading().size == 0


async def test_behind_a_pooler_async_sessions_work_too(remade: Remade) -> None:
    one = remade(pooler="transaction", lock_timeout=1.5)
    async with one.async_session(write=True) as session:
        assert await session.scalar(text("SHOW lock_timeout")) == "1500ms"


# Addresses and secrets


@pytest.mark.parametrize(
    "scheme", ["postgresql", "postgres", "postgresql+psycopg", "postgresql+psycopg2", "postgresql+asyncpg"]
)
def test_every_way_to_write_a_postgresql_address_is_understood(scheme: str) -> None:
    one = Database(f"{scheme}://ana:pw@db.example.org:5433/app")
    assert one.url.render_as_string(False) == "postgresql+psycopg://ana:pw@db.example.org:5433/app"


@pytest.mark.parametrize("address", ["mysql://ana:s3cr3t@db/app", "sqlite:///s3cr3t.db", "s3cr3t", "http//s3cr3t"])
def test_another_address_is_refused_without_being_shown(address: str) -> None:
    with pytest.raises(SettingsError, match="SUBJUNCTIVE_DATABASE_URL") as refused:
        Database(address)
    assert "s3cr3t" not in str(refused.value)


def test_the_password_appears_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUBJUNCTIVE_DATABASE_URL", "postgresql://ana:s3cr3t@127.0.0.1:1/app")
    one = open_database()
    with pytest.raises(ServerUnreachable) as refused, one.session():
        pass
    shown = [repr(one), str(one), repr(one.settings), str(one.settings), repr(one.url), str(one.url), repr(one.engine)]
    shown += [str(refused.value), repr(refused.value), repr(refused.value.__cause__), str(refused.value.__cause__)]
    assert [text for text in shown if "s3cr3t" in text] == []


def test_a_password_may_hold_any_character(server: EmbeddedServer, database: Database, remade: Remade) -> None:
    password = "a b+c%/@:?#'\\"
    with as_superuser(server) as execute:
        execute(
            f"CREATE ROLE odd LOGIN PASSWORD '{password.replace(chr(39), chr(39) * 2).replace(':', chr(92) + ':')}'"
        )
        place = f"{database.url.database}?host={server.folder / 'run'}&port=5432"
        one = remade(f"postgresql://odd:{quote(password, safe='')}@/{place}")
        with one.connection() as connection:
            assert connection.scalar(text("SELECT current_user")) == "odd"
        one.dispose()
        execute("DROP ROLE odd")


def test_the_settings_name_the_database(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUBJUNCTIVE_DATABASE_URL", database.url.render_as_string(False))
    one = open_database(purpose="web")
    assert (users(one), one.purpose, one.settings.uses_embedded) == (0, "web", False)
    one.dispose()


def test_without_an_address_the_embedded_server_of_home_is_used(server: EmbeddedServer) -> None:
    if server.major not in SUPPORTED:
        pytest.skip("the wheel has no PostgreSQL 15")
    settings = load_settings(home=server.home, embedded_major=server.major)
    one = open_database(settings)
    with one.connection() as connection:
        assert connection.scalar(text("SELECT current_database()")) == "subjunctive"
    one.dispose()


def test_a_home_that_no_server_can_use_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EmbeddedServerError):
        open_database(load_settings(home=tmp_path / "file"))


def test_closing_a_database_that_was_never_used_does_nothing() -> None:
    one = Database("postgresql://nobody@/nowhere")
    one.dispose()
    asyncio.run(one.dispose_async())
    assert "engine" not in vars(one)


# Reading in few statements


@pytest.fixture
def content(database: Database) -> Database:
    """One scenario with three exercises of three verbs, and a learner with three items, two of them due."""
    with database.session(write=True) as session:
        scenario, user = make_scenario(session, slug="dinner"), make_user(session, username="ana")
        for day in (-2, -1, 1):
            verb = make_verb(session)
            make_exercise(session, scenario_id=scenario.id, verb_id=verb.id, position=-day + 1)
            make_item(session, user_id=user.id, verb_id=verb.id, next_review_date=NOON + timedelta(days=day))
    return database


EXERCISES = (
    select(Exercise)
    .join(Exercise.scenario)
    .where(Scenario.slug == "dinner")
    .order_by(Exercise.position)
    .options(joinedload(Exercise.verb), joinedload(Exercise.scenario))
)
SCENARIO = (
    select(Scenario)
    .where(Scenario.slug == "dinner")
    .options(selectinload(Scenario.exercises).joinedload(Exercise.verb))
)
DUE = (
    select(PracticeItem)
    .join(User, User.id == PracticeItem.user_id)
    .where(User.username == "ana", PracticeItem.next_review_date <= NOON)
    .order_by(PracticeItem.next_review_date)
    .options(joinedload(PracticeItem.verb))
)


def test_the_exercises_of_a_scenario_come_in_one_statement(content: Database) -> None:
    with statements(content.engine) as seen, content.session() as session:
        found = session.scalars(EXERCISES).all()
        assert [(e.position, e.scenario.slug, e.verb.infinitive[:4]) for e in found] == [
            (0, "dinner", "habl"),
            (2, "dinner", "habl"),
            (3, "dinner", "habl"),
        ]
    assert len(seen) == 1


def test_a_scenario_with_its_exercises_comes_in_two_statements(content: Database) -> None:
    with statements(content.engine) as seen, content.session() as session:
        scenario = session.scalars(SCENARIO).one()
        assert len({exercise.verb.infinitive for exercise in scenario.exercises}) == 3
        assert [exercise.position for exercise in scenario.exercises] == [0, 2, 3]
    assert len(seen) == 2


def test_the_due_items_of_a_learner_come_in_one_statement(content: Database) -> None:
    with statements(content.engine) as seen, content.session() as session:
        due = session.scalars(DUE).all()
        assert [(item.next_review_date, item.verb.is_reflexive) for item in due] == [
            (NOON - timedelta(days=2), False),
            (NOON - timedelta(days=1), False),
        ]
    assert len(seen) == 1


async def test_an_async_session_runs_the_same_statements(content: Database) -> None:
    with statements(content.async_engine.sync_engine) as seen:
        async with content.async_session() as session:
            due = (await session.scalars(DUE)).all()
            scenario = (await session.scalars(SCENARIO)).one()
            assert [item.verb.infinitive for item in due]
            assert [exercise.verb.infinitive for exercise in scenario.exercises]
    assert len(seen) == 3


def test_what_was_not_asked_for_is_not_loaded_behind_the_back(content: Database) -> None:
    with content.session() as session:
        item = session.scalars(DUE.with_only_columns(PracticeItem).options()).first()
        exercise = session.scalars(select(Exercise)).first()
        assert item is not None
        assert exercise is not None
        with pytest.raises(InvalidRequestError, match="raise_on_sql"):
            _ = exercise.scenario


def test_objects_can_be_read_after_their_session(content: Database) -> None:
    with content.session() as session:
        scenario = session.scalars(SCENARIO).one()
    assert len([exercise.verb.english_translation for exercise in scenario.exercises]) == 3


def test_waiting_never_hangs_longer_than_the_settings_say(remade: Remade) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        one = remade(make_url(f"postgresql://ana@127.0.0.1:{silent.getsockname()[1]}/db"), connect_timeout=1)
        began = time.monotonic()
        with pytest.raises(ServerUnreachable), one.session():
            pass
    # libpq waits two seconds at least.
    assert time.monotonic() - began < 4
