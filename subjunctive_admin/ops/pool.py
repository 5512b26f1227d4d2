"""Who holds connections: this process' pool, the server's budget, and the suite's other processes.

Another process is seen by the name of its sessions. What its pool is like only it can count: it publishes
samples (`Database.publish_pool`), or the report says that it does not.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from itertools import count
from queue import Queue
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.pool import Pool, QueuePool

from subjunctive_admin.db import Database, explain
from subjunctive_admin.errors import UsageError
from subjunctive_admin.pooling import Holder, PoolMonitor, PoolReading
from subjunctive_admin.settings import Settings
from subjunctive_admin.vocabulary import Status

if TYPE_CHECKING:
    import pandas as pd

MOST_CHECKOUTS, MOST_THREADS = 10_000, 64
_GRACE_SECONDS = 5.0
_MOST_POINTS = 600
_PAUSE_SECONDS = 0.001
# Of fewer the p95 is the longest, and that is how long a connection takes to open.
_JUDGED_CHECKOUTS = 20


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
class Sample:
    """The newest published reading of one pool of another process, `age_s` seconds ago; times in milliseconds.

    `recent_timeouts` are those of the last hour; the other counts are since the process began.
    """

    pool: str
    age_s: float
    interval_s: float
    size: int
    max_overflow: int
    checked_out: int
    overflow: int
    pending: int
    checkouts: int
    wait_p50_ms: float
    wait_p95_ms: float
    wait_max_ms: float
    hold_max_ms: float
    recent_timeouts: int
    reconnects: int
    invalidations: int
    suspects: int

    @property
    def is_fresh(self) -> bool:
        """Whether the process still publishes: at most two samples were missed."""
        return self.age_s <= 3 * self.interval_s + _GRACE_SECONDS

    @property
    def limit(self) -> int:
        """How many connections the pool may open."""
        return self.size + self.max_overflow


@dataclass(frozen=True)
class OtherProcess:
    """A process of this suite by its application name, the sessions it has open, and what it last published."""

    name: str
    sessions: int
    samples: tuple[Sample, ...] = ()

    @property
    def fresh(self) -> tuple[Sample, ...]:
        """The samples that still hold."""
        return tuple(sample for sample in self.samples if sample.is_fresh)

    @property
    def claim(self) -> int:
        """How many connections it may open; without samples those it has, which is the least it may."""
        return max(sum(sample.limit for sample in self.fresh), self.sessions)


@dataclass(frozen=True)
class PoolReport:
    """One moment: this process' pools, the server's budget, the other sessions and processes named `subjunctive:`.

    `claim` is how many connections all of them may open. `unread` says why samples could not be read, if so.
    """

    taken_at: datetime
    process: str
    reading: PoolReading
    async_reading: PoolReading | None
    suspects: tuple[Holder, ...]
    publishing: dict[str, Any] | None
    budget: ConnectionBudget
    sessions: tuple[OtherSession, ...]
    processes: tuple[OtherProcess, ...]
    claim: int
    unread: str | None
    status: Status
    headline: str

    @property
    def silent(self) -> tuple[OtherProcess, ...]:
        """The processes that publish no samples: how many connections they may open is not known."""
        return tuple(one for one in self.processes if not one.fresh)

    def as_dict(self) -> dict[str, Any]:
        """The report as JSON values."""
        found = asdict(self)
        found["taken_at"] = self.taken_at.isoformat()
        found["sessions"] = [
            {**asdict(one), "since": one.since.isoformat() if one.since else None} for one in self.sessions
        ]
        found["processes"] = [
            {**asdict(one), "claim": one.claim, "publishes": bool(one.fresh)} for one in self.processes
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
    """Read this process' pools and what the server tells about the others; no query text is read.

    Raises `DatabaseUnavailable` when the server has no connection to ask with.
    """
    own = beside(database, purpose="pool")
    try:
        with own.connection() as connection:
            budget = read_budget(connection)
            sessions = _other_sessions(connection, database.application_name)
            unread = why_unread(connection)
            samples = {} if unread else _newest_samples(connection, database.application_name)
    finally:
        own.dispose()
    reading, others = database.pool_reading(), _processes(sessions, samples)
    readings = database.pool_readings()
    claim = sum(one.size + one.max_overflow for one in readings.values() if one.connects)
    claim += sum(one.claim for one in others)
    status, headline = judge(list(readings.values()), budget, database.settings, others, claim)
    return PoolReport(
        taken_at=datetime.now(UTC),
        process=database.application_name,
        reading=reading,
        async_reading=readings.get("async"),
        suspects=tuple(database.leak_suspects()),
        publishing=database.publisher.as_dict() if database.publisher else None,
        budget=budget,
        sessions=sessions,
        processes=others,
        claim=claim,
        unread=unread,
        status=status,
        headline=headline,
    )


def judge(
    readings: Sequence[PoolReading],
    budget: ConnectionBudget,
    settings: Settings,
    others: Sequence[OtherProcess] = (),
    claim: int = 0,
) -> tuple[Status, str]:
    """The most urgent thing to say about the pools and their server, as one sentence."""
    facts = list(_facts(readings, budget, settings, others, claim))
    for wanted in (Status.CRITICAL, Status.WARNING):
        for status, said in facts:
            if status is wanted:
                return status, said
    return Status.OK, f"The pool has room: {_said_used(budget)}."


def _facts(
    readings: Sequence[PoolReading],
    budget: ConnectionBudget,
    settings: Settings,
    others: Sequence[OtherProcess],
    claim: int,
) -> Iterator[tuple[Status, str]]:
    if timeouts := sum(one.timeouts for one in readings):
        yield Status.CRITICAL, f"{_counted(timeouts, 'caller')} of this process got no connection."
    share = _reached(budget.share, settings.connections_warning, settings.connections_critical)
    yield share, f"{_said_used(budget)}."
    waited = max((one.wait_p95_ms for one in readings if one.checkouts >= _JUDGED_CHECKOUTS), default=0.0)
    wait = _reached(waited / 1000, settings.pool_wait_warning, settings.pool_wait_critical)
    yield wait, f"Callers wait {waited:.0f} ms (p95) for a connection."
    if suspects := sum(one.suspects for one in readings):
        held = f"{_counted(suspects, 'connection')} of this process"
        yield Status.WARNING, f"{held} held for more than {settings.pool_hold_suspect:g} s: perhaps never given back."
    for one in others:
        yield from _facts_of(one, settings)
    if claim > budget.available:
        yield Status.WARNING, f"The pools may open {claim} connections, and the server has {budget.available}."


def _facts_of(one: OtherProcess, settings: Settings) -> Iterator[tuple[Status, str]]:
    for sample in one.fresh:
        if sample.recent_timeouts:
            callers = _counted(sample.recent_timeouts, "caller")
            yield Status.CRITICAL, f"{callers} of {one.name} got no connection in the last hour."
        waited = sample.wait_p95_ms if sample.checkouts >= _JUDGED_CHECKOUTS else 0.0
        wait = _reached(waited / 1000, settings.pool_wait_warning, settings.pool_wait_critical)
        yield wait, f"Callers of {one.name} wait {waited:.0f} ms (p95) for a connection."
        if sample.suspects:
            yield Status.WARNING, f"{_counted(sample.suspects, 'connection')} of {one.name} held suspiciously long."


def _reached(value: float, warning: float, critical: float) -> Status:
    return Status.CRITICAL if value >= critical else Status.WARNING if value >= warning else Status.OK


def _said_used(budget: ConnectionBudget) -> str:
    return f"{budget.used} of {budget.available} connections of the server are in use"


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def pool_text(report: PoolReport) -> str:
    """The report for a terminal, at most 80 columns wide."""
    budget = report.budget
    facts = {"This process": said_pool(report.reading), "Waits": _said_waits(report.reading)}
    if report.reading.checkouts:
        one = report.reading
        facts["Holds"] = f"p50 {one.hold_p50_ms:.1f} ms, p95 {one.hold_p95_ms:.1f} ms, max {one.hold_max_ms:.1f} ms"
        facts["Replaced"] = said_replaced(report.reading)
    if report.async_reading:
        facts["Async"] = said_pool(report.async_reading)
    if report.publishing:
        facts["Publishes"] = f"{report.publishing['written']} samples written, {report.publishing['failed']} failed"
    facts["Server"] = f"{budget.used} of {budget.available} in use, {budget.reserved} reserved"
    facts["All pools"] = said_claim(report)
    lines = [f"{report.status.upper():<9} {report.headline}", ""]
    lines += [f"  {name:<13} {said}" for name, said in facts.items()]
    for title, body in (
        ("Held for long", _suspect_lines(report)),
        ("Other processes", _process_lines(report)),
        ("Other sessions", _session_lines(report)),
    ):
        lines += ["", title, *body] if body else []
    if not report.sessions and not report.processes:
        lines += ["", "No other session of this suite is connected."]
    return "\n".join(lines)


def said_pool(reading: PoolReading) -> str:
    """Checked out, idle, waiting and the limits, in one line."""
    return (
        f"{reading.checked_out} checked out, {reading.idle} idle, {reading.pending} pending,"
        f" size {reading.size} + {reading.max_overflow}"
    )


def said_replaced(reading: PoolReading) -> str:
    """What was replaced and why, and the age of the oldest connection, in one line."""
    return (
        f"{reading.reconnects} found dead, {reading.invalidations} broken, {reading.recycles} aged;"
        f" oldest {reading.oldest_s:.0f} s"
    )


def said_claim(report: PoolReport) -> str:
    """How many connections all known pools may open, and what is not known of it."""
    said = f"may open {report.claim} of {report.budget.available}"
    if report.unread:
        return f"{said} at least: {report.unread}"
    if report.silent:
        several = len(report.silent) > 1
        return f"{said} at least: {len(report.silent)} {'processes publish' if several else 'process publishes'} none"
    return said


def said_sample(sample: Sample) -> str:
    """What a process last published of a pool, in one line."""
    return (
        f"{sample.pool}: {sample.checked_out} of {sample.limit} out, {sample.pending} pending,"
        f" p95 {sample.wait_p95_ms:.1f} ms, {sample.age_s:.0f} s ago"
    )


def _suspect_lines(report: PoolReport) -> list[str]:
    lines = []
    for one in report.suspects:
        lines.append(f"  {one.owner[:48]:<48} {one.seconds:>10.0f} s")
        lines += [f"    {line[:76]}" for line in one.stack]
    return lines


def _process_lines(report: PoolReport) -> list[str]:
    lines = []
    for one in report.processes:
        lines.append(f"  {one.name[:63]:<63} {one.sessions:>3} open")
        lines += [f"    {said_sample(sample)}"[:80] for sample in one.samples]
        if not one.fresh:
            why = "samples cannot be read here" if report.unread else "publishes no samples"
            lines.append(f"    {why if not one.samples else 'publishes no more'}")
    return lines


def _session_lines(report: PoolReport) -> list[str]:
    lines = []
    for one in report.sessions:
        since = f"{one.since:%H:%M:%S} UTC" if one.since else "?"
        lines.append(f"  {one.name[:38]:<38} {one.pid:>8}  {one.state[:15]:<15} {since:>12}")
    return lines


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


@dataclass(frozen=True)
class Glance:
    """A sync pool `seconds` after the first look."""

    seconds: float
    checked_out: int
    idle: int
    overflow: int
    pending: int


@dataclass
class Course:
    """A pool over time, looked at every `every` seconds; half as often when there are many points."""

    every: float
    points: list[Glance] = field(default_factory=list)

    def add(self, point: Glance) -> None:
        """Keep a point, and every other one once there are more than a chart can show."""
        self.points.append(point)
        if len(self.points) >= _MOST_POINTS:
            self.points = self.points[::2]
            self.every *= 2


@contextmanager
def watching(database: Database, every: float = 0.02) -> Iterator[Course]:
    """Look at this process' sync pool from a thread while the block runs."""
    course, ended, began = Course(every), threading.Event(), time.perf_counter()
    pool, monitor = database.engine.pool, database.monitor

    def look() -> None:
        while not ended.is_set():
            course.add(_glance(pool, monitor, time.perf_counter() - began))
            ended.wait(course.every)

    thread = threading.Thread(target=look, name="pool-watch", daemon=True)
    thread.start()
    try:
        yield course
    finally:
        ended.set()
        thread.join()


def _glance(pool: Pool, monitor: PoolMonitor, seconds: float) -> Glance:
    queue = pool if isinstance(pool, QueuePool) else None
    idle, overflow = (queue.checkedin(), max(queue.overflow(), 0)) if queue else (0, 0)
    return Glance(seconds, len(monitor.holding), idle, overflow, monitor.pending)


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
                # Without it whoever gave a connection back takes it again before those that wait wake up.
                time.sleep(_PAUSE_SECONDS)
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


def why_unread(connection: Connection) -> str | None:
    """Why samples cannot be read with this connection; None when they can."""
    row = connection.execute(
        text(
            """
            SELECT has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT') AS allowed,
                   EXISTS (SELECT FROM pg_attribute WHERE attrelid = c.oid AND attname = 'max_overflow') AS current
            FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE n.nspname = 'ops' AND c.relname = 'pool_samples'
            """
        )
    ).one_or_none()
    if row is None:
        return "the database has no samples"
    if not row.current:
        return "the database is at an older revision"
    return None if row.allowed else "this role may not read samples"


def _newest_samples(connection: Connection, own_name: str) -> dict[str, list[Sample]]:
    """By application name, the newest sample of each pool within the last hour."""
    rows = connection.execute(
        text(
            """
            SELECT DISTINCT ON (application_name, pool) s.*,
                   extract(epoch FROM now() - sampled_at)::float AS age_s,
                   timeouts - min(timeouts) OVER (PARTITION BY application_name, pool) AS recent_timeouts
            FROM ops.pool_samples s
            WHERE sampled_at > now() - interval '1 hour' AND application_name <> :own
            ORDER BY application_name, pool DESC, sampled_at DESC
            """
        ),
        {"own": own_name},
    ).mappings()
    found: dict[str, list[Sample]] = {}
    for row in rows:
        sample = Sample(**{one.name: row[one.name] for one in fields(Sample)})
        found.setdefault(row["application_name"], []).append(sample)
    return found


def _processes(sessions: Sequence[OtherSession], samples: Mapping[str, list[Sample]]) -> tuple[OtherProcess, ...]:
    """Who is connected or still publishes; what a process left behind that is gone is no process."""
    open_now = Counter(one.name for one in sessions)
    every = (OtherProcess(name, open_now[name], tuple(samples.get(name, ()))) for name in {*open_now, *samples})
    return tuple(sorted((one for one in every if one.sessions or one.fresh), key=lambda one: one.name))
