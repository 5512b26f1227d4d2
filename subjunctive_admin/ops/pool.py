"""Who holds connections: this process' pool, the server's budget, and the suite's other processes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from itertools import count
from queue import Queue
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from subjunctive_admin.db import Database, explain
from subjunctive_admin.errors import UsageError
from subjunctive_admin.pooling import PoolReading
from subjunctive_admin.settings import Settings
from subjunctive_admin.vocabulary import Status

if TYPE_CHECKING:
    import pandas as pd

MOST_CHECKOUTS, MOST_THREADS = 10_000, 64


@dataclass(frozen=True)
class ConnectionBudget:
    """The server's connections: those an ordinary role may open, and those open now."""

    max_connections: int
    reserved: int
    used: int

    @property
    def available(self) -> int:
        """max_connections less those kept for superusers and for roles with pg_use_reserved_connections."""
        return max(self.max_connections - self.reserved, 1)

    @property
    def share(self) -> float:
        """Part of `available` in use; more than 1 when reserved connections are in use too."""
        return self.used / self.available


@dataclass(frozen=True)
class OtherSession:
    """One connection of another process of this suite; `state` is `unknown` where the role may not see it."""

    name: str
    pid: int
    state: str
    since: datetime | None


@dataclass(frozen=True)
class PoolReport:
    """One moment: this process' pool, the server's budget, the other sessions named `subjunctive:`."""

    taken_at: datetime
    process: str
    reading: PoolReading
    budget: ConnectionBudget
    sessions: tuple[OtherSession, ...]
    status: Status
    headline: str

    def as_dict(self) -> dict[str, Any]:
        """The report as JSON values."""
        found = asdict(self)
        found["taken_at"] = self.taken_at.isoformat()
        found["sessions"] = [
            {**asdict(one), "since": one.since.isoformat() if one.since else None} for one in self.sessions
        ]
        return found


def read_budget(connection: Connection) -> ConnectionBudget:
    """How many connections the server allows, reserves and has open.

    A role without pg_monitor sees no backend_type; sessions of a user are then counted.
    """
    row = connection.execute(
        text(
            """
            SELECT current_setting('max_connections')::int AS allowed,
                   current_setting('superuser_reserved_connections')::int
                     + coalesce(current_setting('reserved_connections', true), '0')::int AS reserved,
                   (SELECT count(*) FROM pg_stat_activity
                    WHERE backend_type = 'client backend' OR (backend_type IS NULL AND usesysid IS NOT NULL)) AS used
            """
        )
    ).one()
    return ConnectionBudget(row.allowed, row.reserved, row.used)


def beside(database: Database, *, purpose: str, **limits: float) -> Database:
    """One connection of its own to the same server: an exhausted pool can still be looked at.

    `limits` replaces settings, such as statement_timeout. Dispose of it after use.
    """
    settings = database.settings.model_copy(update={**limits, "pool_size": 1})
    return Database(database.url, settings, purpose=purpose, driver_options=database.driver_options)


def pool_report(database: Database) -> PoolReport:
    """Read this process' pool and what the server tells about the others; no query text is read.

    Raises `DatabaseUnavailable` when the server has no connection to ask with.
    """
    own = beside(database, purpose="pool")
    try:
        with own.connection() as connection:
            budget = read_budget(connection)
            sessions = _other_sessions(connection, database.application_name)
    finally:
        own.dispose()
    reading = database.pool_reading()
    status, headline = judge(reading, budget, database.settings)
    return PoolReport(datetime.now(UTC), database.application_name, reading, budget, sessions, status, headline)


def judge(reading: PoolReading, budget: ConnectionBudget, settings: Settings) -> tuple[Status, str]:
    """The most urgent thing to say about a pool and its server, as one sentence."""
    if reading.timeouts:
        return (
            Status.CRITICAL,
            f"{reading.timeouts} caller{'s' if reading.timeouts > 1 else ''} of this process got no connection.",
        )
    wait = reading.wait_p95_ms / 1000
    used = f"{budget.used} of {budget.available} connections of the server are in use"
    if budget.share >= settings.connections_critical:
        return Status.CRITICAL, f"{used}."
    if wait >= settings.pool_wait_critical:
        return Status.CRITICAL, f"Callers wait {reading.wait_p95_ms:.0f} ms (p95) for a connection."
    if budget.share >= settings.connections_warning:
        return Status.WARNING, f"{used}."
    if wait >= settings.pool_wait_warning:
        return Status.WARNING, f"Callers wait {reading.wait_p95_ms:.0f} ms (p95) for a connection."
    return Status.OK, f"The pool has room: {used}."


def pool_text(report: PoolReport) -> str:
    """The report for a terminal, at most 80 columns wide."""
    reading, budget = report.reading, report.budget
    facts = {
        "This process": f"{reading.checked_out} checked out, {reading.idle} idle,"
        f" size {reading.size} + {reading.max_overflow}",
        "Waits": _said_waits(reading),
        "Holds": f"p95 {reading.hold_p95_ms:.1f} ms, max {reading.hold_max_ms:.1f} ms" if reading.checkouts else "none",
        "Server": f"{budget.used} of {budget.available} in use, {budget.reserved} reserved",
    }
    lines = [f"{report.status.upper():<9} {report.headline}", ""]
    lines += [f"  {name:<13} {said}" for name, said in facts.items()]
    lines.append("")
    if not report.sessions:
        return "\n".join([*lines, "No other session of this suite is connected."])
    lines.append("Other sessions")
    for one in report.sessions:
        since = f"{one.since:%H:%M:%S} UTC" if one.since else "?"
        lines.append(f"  {one.name[:38]:<38} {one.pid:>8}  {one.state[:15]:<15} {since:>12}")
    return "\n".join(lines)


def _said_waits(reading: PoolReading) -> str:
    timeouts = f"{reading.timeouts} timeout{'s' if reading.timeouts != 1 else ''}"
    if not reading.checkouts:
        return f"no connection was taken yet, {timeouts}"
    times = f"p50 {reading.wait_p50_ms:.1f} ms, p95 {reading.wait_p95_ms:.1f} ms, max {reading.wait_max_ms:.1f} ms"
    return f"{times}, {timeouts}"


def exercise_pool(
    database: Database,
    checkouts: int = 200,
    threads: int = 8,
    hold_ms: float = 5.0,
    progress: Callable[[int, int], None] | None = None,
) -> pd.DataFrame:
    """Take and return connections from many threads: one row per checkout, times in milliseconds.

    A checkout that timed out has `got` False and no hold. Raises `UsageError` beyond 10,000 checkouts
    or 64 threads.
    """
    import pandas as pd  # noqa: PLC0415 - heavy, and only the notebook needs it

    if not (1 <= checkouts <= MOST_CHECKOUTS and 1 <= threads <= MOST_THREADS and hold_ms >= 0):
        raise UsageError(
            f"A load has 1 to {MOST_CHECKOUTS:,} checkouts, 1 to {MOST_THREADS} threads, no negative hold."
        )
    load = _Load(database, checkouts, hold_ms)
    for number in range(1, threads + 1):
        threading.Thread(target=load.work, args=(number,), daemon=True, name="pool-load").start()
    rows = []
    for number in range(1, checkouts + 1):
        row = load.done.get()
        if isinstance(row, Exception):
            raise row
        rows.append(row)
        if progress is not None:
            progress(number, checkouts)
    return pd.DataFrame(rows).sort_values("checkout", ignore_index=True)


class _Load:
    """Tickets that the threads draw, and the rows they put down."""

    def __init__(self, database: Database, checkouts: int, hold_ms: float) -> None:
        self.database = database
        self.checkouts = checkouts
        self.hold_ms = hold_ms
        self.tickets = count(1)
        self.done: Queue[dict[str, Any] | Exception] = Queue()

    def work(self, thread: int) -> None:
        try:
            # next() on a count is one step of the interpreter, so no ticket is drawn twice.
            while (ticket := next(self.tickets)) <= self.checkouts:
                self.done.put({"checkout": ticket, "thread": thread, **_one_checkout(self.database, self.hold_ms)})
        except DBAPIError as error:
            self.done.put(explain(error, self.database.url, write=False))
        except Exception as error:  # noqa: BLE001 - raised again in the caller's thread
            self.done.put(error)


def _one_checkout(database: Database, hold_ms: float) -> dict[str, Any]:
    asked = time.perf_counter()
    try:
        with database.engine.connect() as connection:
            got = time.perf_counter()
            connection.exec_driver_sql("SELECT 1")
            time.sleep(max(hold_ms / 1000 - (time.perf_counter() - got), 0))
            held = time.perf_counter()
    except PoolTimeoutError:
        return {"got": False, "wait_ms": 1000 * (time.perf_counter() - asked), "hold_ms": float("nan")}
    return {"got": True, "wait_ms": 1000 * (got - asked), "hold_ms": 1000 * (held - got)}


def _other_sessions(connection: Connection, own_name: str) -> tuple[OtherSession, ...]:
    rows = connection.execute(
        text(
            """
            SELECT application_name AS name, pid, coalesce(state, 'unknown') AS state, state_change AS since
            FROM pg_stat_activity
            WHERE application_name LIKE 'subjunctive:%' AND application_name <> :own AND pid <> pg_backend_pid()
            ORDER BY name, pid
            """
        ),
        {"own": own_name},
    )
    return tuple(OtherSession(row.name, row.pid, row.state, row.since) for row in rows)
