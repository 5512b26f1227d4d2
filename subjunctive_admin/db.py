"""One place for connections: sync and async engine and session, read-only unless asked.

database = open_database()
with database.session() as session: ...              # reads
with database.session(write=True) as session: ...    # one transaction, committed at the end
async with database.async_session() as session: ...
"""

from __future__ import annotations

import os
import re
import socket
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from functools import cached_property
from typing import Any

from sqlalchemy import URL, Connection, Engine, ForeignKeyConstraint, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DataError, DBAPIError, InterfaceError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.orm import Session
from sqlalchemy.pool import NullPool

from subjunctive_admin.embedded import EmbeddedServer, unaffected_by_environment
from subjunctive_admin.errors import (
    AccessDenied,
    Busy,
    ConstraintRefused,
    DatabaseUnavailable,
    NoConnectionLeft,
    NotSetUp,
    ServerTooOld,
    ServerUnreachable,
    SettingsError,
    SubjunctiveError,
    UnknownDatabase,
    WriteRefused,
)
from subjunctive_admin.models import Base
from subjunctive_admin.models.rules import sentences
from subjunctive_admin.pooling import (
    Holder,
    MeasuredAsyncQueuePool,
    MeasuredNullPool,
    MeasuredPool,
    MeasuredQueuePool,
    PoolMonitor,
    PoolReading,
    read_pool,
)
from subjunctive_admin.publishing import PoolPublisher
from subjunctive_admin.settings import Settings, load_settings

OLDEST_MAJOR, NEWEST_MAJOR = 15, 18
_IDLE_IN_TRANSACTION_SECONDS = 600
_APPLICATION_NAME_BYTES = 63
_ENGINES = {"sync": "engine", "async": "async_engine"}


class Database:
    """The engines and sessions of one process on one PostgreSQL; `purpose` names it to the server."""

    def __init__(
        self,
        url: str | URL,
        settings: Settings | None = None,
        *,
        purpose: str = "admin",
        driver_options: Mapping[str, Any] | None = None,
    ) -> None:
        self.settings = settings or load_settings()
        self.url = _parse(url)
        self.purpose = purpose
        self.driver_options = dict(driver_options or {})
        self.monitor = PoolMonitor()
        self.async_monitor = PoolMonitor()
        self.publisher: PoolPublisher | None = None

    @property
    def application_name(self) -> str:
        """`subjunctive:<purpose>:<host>:<pid>`, as other sessions see it in pg_stat_activity."""
        start, end = f"subjunctive:{self.purpose}:", f":{os.getpid()}"
        name = f"{start}{socket.gethostname()}".encode("ascii", "replace").decode()
        # The host is what may be cut: without the process id two processes would be one.
        return f"{name[: _APPLICATION_NAME_BYTES - len(end)]}{end}"

    @cached_property
    def engine(self) -> Engine:
        """The sync engine; its pool is measured by `monitor`."""
        engine = create_engine(self.url, **self._engine_options(MeasuredQueuePool))
        self._prepare(engine, self.monitor)
        return engine

    @cached_property
    def async_engine(self) -> AsyncEngine:
        """The async engine on the same driver; its pool is measured by `async_monitor`."""
        engine = create_async_engine(self.url, **self._engine_options(MeasuredAsyncQueuePool))
        self._prepare(engine.sync_engine, self.async_monitor)
        return engine

    @contextmanager
    def connection(self, *, write: bool = False) -> Iterator[Connection]:
        """One Core transaction: committed at the end, rolled back by an exception.

        Raises a `SubjunctiveError` that says what the server refused.
        """
        self._refuse_unless_allowed(write)
        with (
            self._explained(write),
            self.engine.connect() as connection,
            connection.execution_options(postgresql_readonly=not write).begin(),
        ):
            yield connection

    @contextmanager
    def session(self, *, write: bool = False) -> Iterator[Session]:
        """One ORM transaction, like `connection`; objects stay readable after its end."""
        with self.connection(write=write) as connection, self._explained(write):
            session = Session(connection, expire_on_commit=False, autoflush=write)
            with session.begin():
                yield session

    @asynccontextmanager
    async def async_session(self, *, write: bool = False) -> AsyncIterator[AsyncSession]:
        """The async twin of `session`: the same statements, the same errors."""
        self._refuse_unless_allowed(write)
        with self._explained(write):
            async with self.async_engine.connect() as connection:
                await connection.execution_options(postgresql_readonly=not write)
                async with (
                    AsyncSession(connection, expire_on_commit=False, autoflush=write) as session,
                    session.begin(),
                ):
                    yield session

    def pool_reading(self) -> PoolReading:
        """The sync pool now."""
        return read_pool(self.engine.pool, self.monitor, self.settings.pool_hold_suspect)

    def async_pool_reading(self) -> PoolReading:
        """The async pool now."""
        return read_pool(self.async_engine.sync_engine.pool, self.async_monitor, self.settings.pool_hold_suspect)

    def pool_readings(self) -> dict[str, PoolReading]:
        """The pools that were used so far, by `sync` and `async`."""
        readings = {"sync": self.pool_reading, "async": self.async_pool_reading}
        return {name: readings[name]() for name, attribute in _ENGINES.items() if attribute in self.__dict__}

    def leak_suspects(self, longer_than: float | None = None) -> list[Holder]:
        """Who of this process holds a connection suspiciously long, in seconds; longest first."""
        limit = self.settings.pool_hold_suspect if longer_than is None else longer_than
        held = [*self.monitor.holders(limit), *self.async_monitor.holders(limit)]
        return sorted(held, key=lambda one: -one.seconds)

    def publish_pool(self, interval: float = 15.0) -> PoolPublisher:
        """Write a sample of this process' pools to ops.pool_samples every `interval` seconds, until `dispose`.

        A thread does it over a connection of its own; what fails is counted in the publisher and never raised.
        Raises `UsageError` for an interval below 0.05 s or beyond a day, `WriteRefused` when nothing may be written.
        """
        self._refuse_unless_allowed(write=True)
        self._stop_publishing()
        beside = create_engine(self.url, poolclass=NullPool, connect_args=self._driver_arguments())
        self._limit(beside)
        self.publisher = PoolPublisher(beside.begin, lambda: (self.application_name, self.pool_readings()), interval)
        return self.publisher

    def reset_pool(self) -> None:
        """Give the sync engine an empty pool; connections in use finish and are closed when they come back."""
        if "engine" in self.__dict__:
            self.engine.dispose()

    async def reset_async_pool(self) -> None:
        """The async twin of `reset_pool`."""
        if "async_engine" in self.__dict__:
            await self.async_engine.dispose()

    def dispose(self) -> None:
        """Stop publishing and close the sync engine's idle connections."""
        self._stop_publishing()
        self.reset_pool()

    async def dispose_async(self) -> None:
        """Stop publishing and close the async engine's idle connections."""
        self._stop_publishing(wait=0)  # a loop waits for nobody
        await self.reset_async_pool()

    def _stop_publishing(self, wait: float = 1.0) -> None:
        if self.publisher is not None:
            self.publisher.stop(wait)
            self.publisher = None

    def _refuse_unless_allowed(self, write: bool) -> None:
        if write and self.settings.read_only:
            raise WriteRefused("SUBJUNCTIVE_READ_ONLY is set, so nothing is written.", next_step="unset it to write")

    @contextmanager
    def _explained(self, write: bool) -> Iterator[None]:
        try:
            yield
        except (DBAPIError, PoolTimeoutError) as error:
            raise explain(error, self.url, write=write) from error

    def _engine_options(self, pool: type) -> dict[str, Any]:
        settings = self.settings
        if settings.pooler == "transaction":
            # A transaction pooler gives each transaction another backend: nothing may live longer than one.
            return {"poolclass": MeasuredNullPool, "connect_args": self._driver_arguments()}
        return {
            "poolclass": pool,
            "pool_size": settings.pool_size,
            "max_overflow": settings.pool_overflow,
            "pool_timeout": settings.pool_timeout,
            "pool_recycle": settings.pool_recycle,
            "pool_pre_ping": True,
            "connect_args": self._driver_arguments(),
        }

    def _driver_arguments(self) -> dict[str, Any]:
        arguments: dict[str, Any] = {
            **self.driver_options,
            "application_name": self.application_name,
            "connect_timeout": self.settings.connect_timeout,
        }
        if self.settings.pooler == "transaction":
            return {**arguments, "prepare_threshold": None}
        given = self.url.query.get("options", "")
        options = " ".join([*([given] if isinstance(given, str) else given), *self._startup_options()])
        return {**arguments, "options": options}

    def _session_settings(self) -> dict[str, str]:
        return {
            "lock_timeout": f"{self.settings.lock_timeout * 1000:.0f}ms",
            "statement_timeout": f"{self.settings.statement_timeout * 1000:.0f}ms",
            "idle_in_transaction_session_timeout": f"{_IDLE_IN_TRANSACTION_SECONDS}s",
            # Compiling a long statement takes seconds where running it takes milliseconds.
            "jit": "off",
            "timezone": "UTC",
        }

    def _startup_options(self) -> list[str]:
        return [f"-c {name}={value}" for name, value in self._session_settings().items()]

    def _prepare(self, engine: Engine, monitor: PoolMonitor) -> None:
        event.listen(engine, "connect", _refuse_old_server)
        monitor.attach(engine.pool)
        assert isinstance(engine.pool, MeasuredPool)
        engine.pool.monitor = monitor
        self._limit(engine)

    def _limit(self, engine: Engine) -> None:
        """Behind a pooler the settings of a session hold for a transaction, and are given at its begin."""
        if self.settings.pooler == "transaction":
            settings = "; ".join(f"SET LOCAL {name} = '{value}'" for name, value in self._session_settings().items())
            event.listen(engine, "begin", lambda connection: connection.exec_driver_sql(settings))


def open_database(settings: Settings | None = None, *, purpose: str = "admin") -> Database:
    """The database the settings name; without one, the embedded server of HOME, started if need be.

    Raises `EmbeddedServerError` or `SettingsError`; a server elsewhere is first contacted when used.
    """
    settings = settings or load_settings()
    if settings.database_url is not None:
        return Database(settings.database_url.get_secret_value(), settings, purpose=purpose)
    server = EmbeddedServer(settings.home, major=settings.embedded_major)
    server.start()
    # PG* variables are set for other servers; libpq would take them for this one too.
    return Database(server.url(), settings, purpose=purpose, driver_options=unaffected_by_environment())


def _parse(url: str | URL) -> URL:
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise SettingsError(
            "SUBJUNCTIVE_DATABASE_URL is not a database address.",
            next_step="write it as postgresql://USER:PASSWORD@HOST:5432/DATABASE",
        ) from None
    if parsed.get_backend_name() not in ("postgresql", "postgres"):
        raise SettingsError(
            f"SUBJUNCTIVE_DATABASE_URL names {parsed.get_backend_name()}; only PostgreSQL is supported.",
            next_step="write it as postgresql://USER:PASSWORD@HOST:5432/DATABASE",
        )
    return parsed.set(drivername="postgresql+psycopg")


def _refuse_old_server(connection: Any, _record: Any) -> None:
    driver = getattr(connection, "driver_connection", None) or connection
    version: int = driver.info.server_version
    if version < OLDEST_MAJOR * 10_000:
        raise ServerTooOld(
            f"The server is PostgreSQL {version // 10_000}; {OLDEST_MAJOR} is the oldest supported version.",
            next_step=f"upgrade it to PostgreSQL {OLDEST_MAJOR} to {NEWEST_MAJOR}",
        )


def explain(error: DBAPIError | PoolTimeoutError | InterfaceError, url: URL, *, write: bool) -> SubjunctiveError:
    """The error of a driver as one sentence with the next step, by SQLSTATE where there is one."""
    if isinstance(error, PoolTimeoutError):
        return NoConnectionLeft(
            "Every connection of this process' pool is in use.",
            next_step="close idle sessions, or raise SUBJUNCTIVE_POOL_SIZE",
        )
    state = getattr(error.orig, "sqlstate", None)
    text = _first_line(error.orig)
    if state is None and isinstance(error, DataError):
        # The driver's own refusal, before anything was sent: a NUL in a text, a number beyond its type.
        return ConstraintRefused(f"PostgreSQL cannot hold a value: {text}.", constraint=None)
    if state is None:
        return _explain_connection(str(error.orig), text, url)
    if state.startswith("23"):
        return _explain_constraint(error.orig, text)
    known = _by_state(state, text, url, write)
    return known or SubjunctiveError(f"PostgreSQL refused (SQLSTATE {state}): {text}.")


def _by_state(state: str, text: str, url: URL, write: bool) -> SubjunctiveError | None:
    match state:
        case "25006" if write:
            return WriteRefused(
                f"The server at {_address(url)} accepts no writes: it is a standby.",
                next_step="point SUBJUNCTIVE_DATABASE_URL at the primary",
            )
        case "25006":
            return WriteRefused("This session only reads.", next_step="open it with session(write=True)")
        case "42501":
            return AccessDenied(f"{url.username} has no right to do this: {text}.", next_step="use the owner's account")
        case "42P01" | "3F000" | "42703" | "42704":
            return NotSetUp(
                f"The database {url.database} lacks what this version needs: {text}.",
                next_step="subjunctive-admin setup",
            )
        case "22001" | "22003" | "22007" | "22008" | "22021" | "22023" | "22P02":
            # Text too long, a number too large, an unknown label or time zone: the type refuses, no constraint has a name.
            return ConstraintRefused(f"PostgreSQL refused a value: {text}.", constraint=None)
        case "55P03":
            return Busy(
                "Another session holds a lock that this needs; nothing was changed.",
                next_step="try again when it is done; subjunctive-admin pool shows the sessions",
            )
        case "57014":
            return SubjunctiveError(
                "The statement took too long and was cancelled.", next_step="raise SUBJUNCTIVE_STATEMENT_TIMEOUT"
            )
        case "40001" | "40P01":
            return Busy("Two sessions changed the same rows; nothing was changed here.", next_step="try again")
    return _by_state_of_the_server(state, text, url)


def _by_state_of_the_server(state: str, text: str, url: URL) -> SubjunctiveError | None:
    match state:
        case "53100":
            return SubjunctiveError(
                f"The disk of the server at {_address(url)} is full: {text}; nothing was changed.",
                next_step="free space there; subjunctive-admin health --only disk-data shows how much there is",
            )
        case "57P01" | "57P02" | "57P03" | "08006" | "08003":
            return ServerUnreachable(f"The server at {_address(url)} went away: {text}.", next_step=_start_step(url))
    return None


_CONNECTION_REASONS: tuple[tuple[str, type[DatabaseUnavailable], str, str], ...] = (
    (
        r"password authentication failed|no password supplied|no pg_hba.conf entry|role .* does not exist",
        AccessDenied,
        "The server at {address} refused the user {user}: {text}.",
        "check the user and the password of SUBJUNCTIVE_DATABASE_URL",
    ),
    (
        r"database .* does not exist",
        UnknownDatabase,
        "The server at {address} has no database {database}.",
        "create it, or correct SUBJUNCTIVE_DATABASE_URL",
    ),
    (
        r"server does not support SSL",
        ServerUnreachable,
        "The address requires TLS, and the server at {address} has none.",
        "turn ssl on in the server; without sslmode in the address the connection is not encrypted",
    ),
    (
        r"not currently accepting connections",
        ServerUnreachable,
        "The database {database} is closed to connections: a restored one is being swapped in, or that was killed.",
        "wait a moment; if no swap is at work: subjunctive-admin backup repair",
    ),
    (
        r"too many (clients|connections)|remaining connection slots",
        NoConnectionLeft,
        "The server at {address} has no connection left.",
        "close idle sessions there, or raise its max_connections",
    ),
)


def _explain_connection(whole: str, text: str, url: URL) -> SubjunctiveError:
    # libpq gives a failed connection no SQLSTATE; its words are all there is to tell the reasons apart.
    for pattern, cls, message, step in _CONNECTION_REASONS:
        if re.search(pattern, whole):
            facts = {"address": _address(url), "user": url.username, "database": url.database, "text": text}
            return cls(message.format(**facts), next_step=step)
    return ServerUnreachable(f"No usable server at {_address(url)}: {text}.", next_step=_start_step(url))


def _explain_constraint(original: Any, text: str) -> ConstraintRefused:
    name = original.diag.constraint_name
    said = sentences(Base.metadata.tables.values()).get(name or "")
    detail = original.diag.message_detail or ""
    # For a CHECK or a null the detail is the whole row, password hash and all; a key is what a person needs.
    detail = f" ({detail.rstrip('.')})" if detail.startswith("Key ") else ""
    table = original.diag.table_name or "the table"
    if "referenced from table" in detail and (key := _foreign_key(name)):
        return ConstraintRefused(
            f"{key.table.name} still uses this row of {key.referred_table.name}{detail}; nothing was deleted.",
            constraint=name,
            next_step="retire it instead: what learners have met is kept",
        )
    if said:
        return ConstraintRefused(f"{table} refused the row: {said}{detail}.", constraint=name)
    return ConstraintRefused(f"{table} refused the row: {text}{detail}.", constraint=name)


def _foreign_key(name: str | None) -> ForeignKeyConstraint | None:
    keys = (key for table in Base.metadata.tables.values() for key in table.foreign_key_constraints)
    return next((key for key in keys if key.name == name), None)


def _first_line(original: object) -> str:
    lines = [line.strip() for line in str(original).splitlines() if line.strip()]
    # A failed connection lists every address it tried; the reason stands behind the last FATAL.
    fatal = [line.split("FATAL:", 1)[1].strip() for line in lines if "FATAL:" in line]
    return (fatal or lines or ["no reason given"])[0].rstrip(".")


def _address(url: URL) -> str:
    host = url.query.get("host") or url.host or "localhost"
    return host if isinstance(host, str) else ", ".join(host)


def _start_step(url: URL) -> str:
    return (
        "subjunctive-admin db start" if url.query.get("host") and not url.host else "check the address and the server"
    )
