"""The two verbs of every health test, `check_passes` and `check_finds`, and the ways to put a fault into a server."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from sqlalchemy import create_engine, make_url, text

from subjunctive_admin.db import Database
from subjunctive_admin.look.markup import URGENCY
from subjunctive_admin.ops.health import CheckResult, registered, run_health
from subjunctive_admin.ops.health.registry import Previous
from subjunctive_admin.vocabulary import Status

COULD_NOT_JUDGE = (Status.OK, Status.UNKNOWN, Status.SKIPPED)


def result_of(database: Database, check_id: str, *, previous: Previous | None = None) -> CheckResult:
    (only,) = run_health(database, only=[check_id], previous={check_id: previous} if previous else None).checks
    severity = next(one.severity for one in registered() if one.id == check_id)
    assert only.status in COULD_NOT_JUDGE or URGENCY.index(only.status) >= URGENCY.index(severity)
    return only


def check_passes(database: Database, check_id: str, *, previous: Previous | None = None) -> CheckResult:
    found = result_of(database, check_id, previous=previous)
    assert found.status is Status.OK, found.message
    return found


def check_finds(
    database: Database, check_id: str, status: Status, *words: str, previous: Previous | None = None
) -> CheckResult:
    found = result_of(database, check_id, previous=previous)
    assert found.status is status, found.message
    for word in words:
        assert word in found.message, found.message
    assert found.remedy
    return found


def an_hour_ago(facts: Mapping[str, float], **changed: float) -> Previous:
    """A previous run with these facts, some of them changed."""
    return Previous(datetime.now(UTC) - timedelta(hours=1), {**facts, **changed})


def with_settings(database: Database, **changed: Any) -> Database:
    """The same database with other settings; the fixture `dispose_what_was_made` closes it."""
    _made.append(Database(database.url, database.settings.model_copy(update=changed), purpose="test"))
    return _made[-1]


_made: list[Database] = []


def dispose_what_was_made() -> None:
    while _made:
        _made.pop().dispose()


def run_sql(database: Database, *statements: str) -> None:
    with database.connection(write=True) as connection:
        for statement in statements:
            connection.execute(text(statement))


def run_as_superuser(server: Any, database: Database, *statements: str) -> list[Any]:
    url = make_url(server.admin_url(database.url.database)).set(drivername="postgresql+psycopg")
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    try:
        with engine.connect() as connection:
            results = [connection.execute(text(statement)) for statement in statements]
            return [result.scalar() if result.returns_rows else None for result in results]
    finally:
        engine.dispose()


@contextmanager
def session(database: Database, *, autocommit: bool = False) -> Iterator[psycopg.Connection]:
    """Another program's connection, named `an application` to the server."""
    address = database.url.set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(address, application_name="an application", autocommit=autocommit) as connection:
        yield connection
        if not connection.broken:
            connection.rollback()


def run_and_count(database: Database, *statements: str) -> None:
    """Run each statement by itself in another program, whose counters the server has when this returns."""
    with session(database, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.execute("SELECT pg_stat_force_next_flush()")
        connection.execute("SELECT 1")


@contextmanager
def another_role(server: Any, database: Database, *grants: str) -> Iterator[Database]:
    """The same database through a role that has nothing but what `grants` give to {role}."""
    role = "health_reader"
    run_as_superuser(server, database, f"CREATE ROLE {role} LOGIN PASSWORD 'reader'")
    run_as_superuser(server, database, *(grant.format(role=role) for grant in grants))
    other = Database(database.url.set(username=role, password="reader"), database.settings)
    try:
        yield other
    finally:
        other.dispose()
        run_as_superuser(server, database, f"DROP OWNED BY {role}", f"DROP ROLE {role}")


@contextmanager
def locked(database: Database, table: str) -> Iterator[None]:
    with database.engine.connect() as connection, connection.begin():
        connection.execute(text(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE"))
        yield
