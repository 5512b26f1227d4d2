"""The health checks; each is one function below its declaration, and each is tested both ways."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from queue import Empty, Queue
from time import monotonic, perf_counter
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Executable, bindparam, func, select, table, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.pool import Pool

from subjunctive_admin import schema
from subjunctive_admin.db import NEWEST_MAJOR, OLDEST_MAJOR, Database
from subjunctive_admin.errors import DatabaseUnavailable
from subjunctive_admin.models import (
    TWELVE_TABLES,
    Exercise,
    PracticeAttempt,
    PracticeItem,
    SpanishVerb,
    StudySession,
    User,
    UserProgressSummary,
)
from subjunctive_admin.ops.health.grading import full_server, graded, milliseconds, named, percent, worst
from subjunctive_admin.ops.health.registry import (
    ACTIVITY,
    CONNECTIVITY,
    SCHEMA,
    Limits,
    Outcome,
    Probe,
    Readings,
    check,
    said_limit,
)
from subjunctive_admin.ops.pool import ConnectionBudget, read_budget
from subjunctive_admin.pooling import PoolReading, percentile
from subjunctive_admin.settings import Settings
from subjunctive_admin.vocabulary import DifficultyLevel, Status

_ROUND_TRIPS, _ROUNDS, _MOST_AT_ONCE, _READS = 7, 8, 10, 5
_COUNTED_EXACTLY = 10_000


def _no_connection(error: DatabaseUnavailable) -> Outcome:
    return Outcome(Status.CRITICAL, None, error.message, error.next_step)


@check(
    CONNECTIVITY,
    title="Connection and round trip",
    group=ACTIVITY,
    remedy="look at the server's load and at the network between",
    limits=lambda s: Limits(said_limit(s.round_trip_warning), said_limit(s.round_trip_critical)),
    unreachable=_no_connection,
)
def connectivity(probe: Probe) -> Outcome:
    """The server answers `select 1` in time (median of seven), and its version is a supported one."""
    trips = []
    for _ in range(_ROUND_TRIPS):
        began = perf_counter()
        probe.connection.execute(text("SELECT 1"))
        trips.append(perf_counter() - began)
        if trips[-1] >= probe.settings.round_trip_critical:
            break
    median = percentile(trips, 0.5)
    status = graded(median, probe.settings.round_trip_warning, probe.settings.round_trip_critical)
    observed = milliseconds(median)
    if status is not Status.OK:
        return Outcome(status, observed, f"The server takes {observed} to answer select 1.")
    major = probe.connection.scalar(text("SELECT current_setting('server_version_num')::int / 10000"))
    if not OLDEST_MAJOR <= major <= NEWEST_MAJOR:
        said = f"PostgreSQL {major} is not tested with this version, which knows {OLDEST_MAJOR} to {NEWEST_MAJOR}."
        return Outcome(Status.WARNING, observed, said, "upgrade subjunctive-admin")
    return Outcome(status, observed, f"The server answers in {observed}.")


@check(
    "schema-integrity",
    title="Differences from the migrated schema",
    group=SCHEMA,
    remedy="compare the object named with the migrations, and put it back by hand or from a backup",
    needs="SELECT on ops.alembic_version and ops.instance",
    limits=lambda _: Limits(critical="1 difference"),
)
def schema_integrity(probe: Probe) -> Outcome:
    """The database is at the newest migration and its catalog equals that of an empty database migrated to it."""
    state = schema.read_state(probe.connection)
    if state.current is None:
        return Outcome(Status.CRITICAL, "no schema", "The database was never set up.", "subjunctive-admin setup")
    if not state.is_current:
        said = f"The database is at migration {state.current}, this version needs {state.head}."
        return Outcome(Status.CRITICAL, f"at {state.current}", said, "subjunctive-admin migrate")
    differences = schema.drift(schema.expected_fingerprint(), schema.fingerprint(probe.connection))
    if differences:
        number = f"{len(differences)} difference{'s' if len(differences) > 1 else ''}"
        if len(differences) > 1:  # one is told in full, of several only which
            differences = [one.partition(": expected ")[0] for one in differences]
        said = f"The schema is not the one the migrations make: {named(differences)}."
        return Outcome(Status.CRITICAL, number, said)
    return Outcome(Status.OK, "0 differences", f"The schema is exactly what migration {state.head} makes.")


@check(
    "pool",
    title="Connection pool",
    group=ACTIVITY,
    remedy="close idle sessions, or raise SUBJUNCTIVE_POOL_SIZE",
    limits=lambda s: Limits(
        f"{percent(s.connections_warning)} or p95 {said_limit(s.pool_wait_warning)}",
        f"{percent(s.connections_critical)}, p95 {said_limit(s.pool_wait_critical)} or a timeout",
    ),
    unreachable=full_server,
)
def pool(probe: Probe) -> Outcome:
    """This process' pool hands out connections in time, none timed out, and the server has connections left."""
    budget = read_budget(probe.connection)
    reading = probe.database.pool_reading()
    # A server that is nearly full is not filled further by asking how full it is.
    room = max(budget.available - budget.used, 1)
    at_once = min(_free(reading), room, _MOST_AT_ONCE)
    waits, waiting = _try_pool(probe.database, at_once, probe.seconds_left / 2)
    p95 = percentile(waits, 0.95)
    return _judge_pool(probe.settings, budget, p95, waiting, probe.database.pool_reading().timeouts)


def _judge_pool(settings: Settings, budget: ConnectionBudget, p95: float, waiting: int, timeouts: int) -> Outcome:
    used = f"{budget.used} of {budget.available} used"
    if waiting:
        said = "Every connection of this process' pool is in use, and none came free while the check waited."
        return Outcome(Status.CRITICAL, f"{used}, none free in the pool", said)
    observed = f"{used}, p95 {milliseconds(p95)}"
    if timeouts:
        said = f"{timeouts} caller{'s' if timeouts > 1 else ''} of this process got no connection since it started."
        return Outcome(Status.CRITICAL, f"{observed}, {timeouts} timeouts", said)
    server = graded(budget.share, settings.connections_warning, settings.connections_critical)
    waits = graded(p95, settings.pool_wait_warning, settings.pool_wait_critical)
    if server is not Status.OK and worst(server, waits) is server:
        said = f"The server has {budget.used} of its {budget.available} connections in use ({percent(budget.share)})."
        return Outcome(server, observed, said, "name the sessions: subjunctive-admin pool")
    if waits is not Status.OK:
        return Outcome(waits, observed, f"Callers wait {milliseconds(p95)} (p95) for a connection of the pool.")
    return Outcome(Status.OK, observed, "The pool hands out connections at once and the server has room.")


def _free(reading: PoolReading) -> int:
    left = reading.size + reading.max_overflow - reading.checked_out
    return max(min(reading.size, left), 1)


def _try_pool(database: Database, at_once: int, seconds: float) -> tuple[list[float], int]:
    """Take `at_once` connections together, a few times: seconds waited, and how many got none in time.

    The first round opens connections, which is not a wait for a busy pool, and is not counted.
    """
    waits: list[float] = []
    deadline = monotonic() + seconds
    for number in range(_ROUNDS + 1):
        times, waiting = _take_together(database.engine.pool, at_once, deadline)
        if waiting:
            return waits, waiting
        waits += times if number else []
        # A round that begins late would take its own lack of time for an exhausted pool.
        if waits and monotonic() > deadline - seconds / 2:
            break
    return waits, 0


def _take_together(pool: Pool, at_once: int, deadline: float) -> tuple[list[float], int]:
    answers: Queue[float | Exception] = Queue()
    release = threading.Event()
    takers = [
        threading.Thread(target=_take, args=(pool, answers, release), daemon=True, name="health-pool")
        for _ in range(at_once)
    ]
    for taker in takers:
        taker.start()
    times: list[float] = []
    try:
        for _ in range(at_once):
            answer = answers.get(timeout=max(deadline - monotonic(), 0.001))
            if isinstance(answer, Exception):
                raise answer
            times.append(answer)
    except (Empty, PoolTimeoutError):
        pass  # those without an answer are counted below
    finally:
        release.set()
        # The application gets its pool back as it was; a taker that still waits gives its connection back later.
        for taker in takers:
            taker.join(timeout=min(max(deadline - monotonic(), 0.001), 0.5))
    return times, at_once - len(times)


def _take(pool: Pool, answers: Queue[float | Exception], release: threading.Event) -> None:
    began = perf_counter()
    try:
        # Past the measured pool's own method: the application's figures should not show this check.
        connection = Pool.connect(pool)
    except Exception as error:  # noqa: BLE001 - raised again in the check's thread
        answers.put(error)
        return
    answers.put(perf_counter() - began)
    release.wait(timeout=5)
    connection.close()


@check(
    "table-access",
    title="Tables that can be read",
    group=SCHEMA,
    remedy="restore the newest verified backup",
    needs="SELECT on the twelve tables",
    limits=lambda _: Limits(critical="1 missing or damaged"),
)
def table_access(probe: Probe) -> Outcome:
    """Each of the twelve tables exists and gives a row when asked; a table this role may not read is unknown."""
    missing, denied, readable = _privileges(probe.connection)
    broken, unseen, rows = list[str](), [f"{name} (no SELECT right)" for name in denied], 0
    for name in readable:
        if not probe.seconds_left:
            unseen.append(f"{name} (no time left)")
            continue
        try:
            rows += _read_table(probe.connection, name)
        except DBAPIError as error:
            if error.connection_invalidated:
                raise
            state = getattr(error.orig, "sqlstate", None) or ""
            said = f"{name} ({str(error.orig).splitlines()[0]})"
            (unseen if state.startswith(_NOT_OF_THE_TABLE) else broken).append(said)
    return _judge_tables(missing, broken, unseen, rows)


# No right, a lock held by others, cancelled, no memory or disk left: says nothing about the table itself.
_NOT_OF_THE_TABLE = ("42501", "55P03", "57", "53")


def _judge_tables(missing: list[str], broken: list[str], unseen: list[str], rows: int) -> Outcome:
    total = len(TWELVE_TABLES)
    observed = f"{total - len(missing) - len(broken) - len(unseen)} of {total}"
    if missing or broken:
        faults = [*(f"{name} is missing" for name in missing), *(f"{said} cannot be read" for said in broken)]
        remedy = "subjunctive-admin setup" if len(missing) == total else None
        return Outcome(Status.CRITICAL, observed, f"{named(faults)}.", remedy)
    if unseen:
        denied = all("no SELECT right" in one for one in unseen)
        remedy = "grant this role SELECT on the tables" if denied else "name the sessions: subjunctive-admin pool"
        return Outcome(Status.UNKNOWN, observed, f"Could not look at {named(unseen)}.", remedy)
    return Outcome(Status.OK, observed, f"All {total} tables can be read; they hold about {rows:,} rows.")


def _privileges(connection: Connection) -> tuple[list[str], list[str], list[str]]:
    """The twelve tables as missing, not allowed, and to be read."""
    found = connection.execute(
        text(
            """
            SELECT c.relname AS name, has_table_privilege(c.oid, 'SELECT') AS allowed
            FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p', 'v', 'm') AND c.relname = ANY (:names)
            """
        ),
        {"names": list(TWELVE_TABLES)},
    )
    allowed: dict[str, bool] = {row.name: row.allowed for row in found}
    present = [name for name in TWELVE_TABLES if name in allowed]
    return (
        [name for name in TWELVE_TABLES if name not in allowed],
        [name for name in present if not allowed[name]],
        [name for name in present if allowed[name]],
    )


def _read_table(connection: Connection, name: str) -> int:
    """Read one row; return the number of rows, exact where that is cheap, else the planner's estimate."""
    source = table(name, schema="public")
    few = select(text("1")).select_from(source).limit(_COUNTED_EXACTLY).subquery()
    with connection.begin_nested():
        connection.execute(select(text("*")).select_from(source).limit(1)).all()
        counted = connection.scalar(select(func.count()).select_from(few)) or 0
        if counted < _COUNTED_EXACTLY:
            return counted
        estimate = select(text("reltuples::bigint FROM pg_class WHERE oid = CAST(:name AS regclass)"))
        return max(int(connection.scalar(estimate, {"name": f"public.{name}"})), counted)


@dataclass(frozen=True)
class Read:
    """A read the application makes all day, and the leading columns of the index that makes it quick."""

    title: str
    table: str
    index: tuple[str, ...]
    statement: Executable


READS: tuple[Read, ...] = (
    Read(
        "a learner's due items",
        "practice_items",
        ("user_id", "next_review_date"),
        select(PracticeItem)
        .where(PracticeItem.user_id == bindparam("user"), PracticeItem.next_review_date <= func.now())
        .order_by(PracticeItem.next_review_date)
        .limit(20),
    ),
    Read(
        "the exercises of a scenario",
        "exercises",
        ("scenario_id",),
        select(Exercise).where(Exercise.scenario_id == bindparam("scenario")).order_by(Exercise.position).limit(50),
    ),
    Read(
        "verbs of a difficulty by frequency",
        "spanish_verbs",
        ("difficulty_level", "frequency_rank"),
        # A list to choose from: the conjugations are read with the one that is chosen.
        select(SpanishVerb.id, SpanishVerb.infinitive, SpanishVerb.english_translation, SpanishVerb.frequency_rank)
        .where(SpanishVerb.difficulty_level == bindparam("difficulty"))
        .order_by(SpanishVerb.frequency_rank)
        .limit(50),
    ),
    Read(
        "a learner's newest attempts",
        "practice_attempts",
        ("user_id", "attempted_at"),
        select(PracticeAttempt)
        .where(PracticeAttempt.user_id == bindparam("user"))
        .order_by(PracticeAttempt.attempted_at.desc())
        .limit(50),
    ),
    Read(
        "a learner's newest sessions",
        "study_sessions",
        ("user_id", "started_at"),
        select(StudySession)
        .where(StudySession.user_id == bindparam("user"))
        .order_by(StudySession.started_at.desc())
        .limit(20),
    ),
)


@check(
    "performance",
    title="Slowest common read",
    group=ACTIVITY,
    remedy="look for a missing index: subjunctive-admin health --only schema-integrity",
    needs="SELECT on the twelve tables",
    limits=lambda s: Limits(f"{said_limit(s.read_warning)} or no index", said_limit(s.read_critical)),
)
def performance(probe: Probe) -> Outcome:
    """The application's common reads are quick, five times each for the busiest learner, and have their index."""
    settings = probe.settings
    times = _read_times(probe)
    slowest, title = max((percentile(taken, 0.95), title) for title, taken in times.items())
    observed, readings = milliseconds(slowest), Readings(times, settings.read_warning, settings.read_critical)
    status = graded(slowest, settings.read_warning, settings.read_critical)
    if status is not Status.OK:
        return Outcome(status, observed, f"Reading {title} takes {observed} (p95).", readings=readings)
    bare = [f"{read.title} ({read.table}: {', '.join(read.index)})" for read in _without_index(probe.connection)]
    if bare:
        said = f"No valid index serves {named(bare)}; the read slows down as the table grows."
        return Outcome(Status.WARNING, observed, said, readings=readings)
    said = f"The slowest of {len(READS)} common reads, {title}, takes {observed} (p95)."
    return Outcome(Status.OK, observed, said, readings=readings)


def _read_times(probe: Probe) -> dict[str, list[float]]:
    """Each common read's title → seconds of its repetitions; the first, which warms the caches, not counted."""
    connection, times = probe.connection, dict[str, list[float]]()
    values = _busiest(connection)
    for read in READS:
        taken = []
        for _ in range(_READS + 1):
            began = perf_counter()
            connection.execute(read.statement, values).all()
            taken.append(perf_counter() - began)
            if probe.seconds_left < taken[-1]:
                break
        times[read.title] = taken[1:] or taken
    return times


def _busiest(connection: Connection) -> dict[str, Any]:
    """Whom and what to ask for; the nil UUID finds nothing in an empty database, which is quick and true."""
    summary = UserProgressSummary
    learner = connection.scalar(select(summary.user_id).order_by(summary.total_attempts.desc()).limit(1))
    return {
        "user": learner or connection.scalar(select(User.id).limit(1)) or UUID(int=0),
        "scenario": connection.scalar(select(Exercise.scenario_id).limit(1)) or UUID(int=0),
        "difficulty": DifficultyLevel.BEGINNER,
    }


def _without_index(connection: Connection) -> Iterator[Read]:
    rows = connection.execute(
        text(
            """
            SELECT c.relname AS name, array_agg(a.attname::text ORDER BY k.place) AS columns
            FROM pg_index x JOIN pg_class c ON c.oid = x.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace
            CROSS JOIN LATERAL unnest(x.indkey::int2[]) WITH ORDINALITY AS k (number, place)
            LEFT JOIN pg_attribute a ON a.attrelid = x.indrelid AND a.attnum = k.number AND k.number > 0
            WHERE n.nspname = 'public' AND x.indisvalid AND x.indisready AND x.indpred IS NULL
            GROUP BY x.indexrelid, c.relname
            """
        )
    ).all()
    for read in READS:
        leading = [tuple(row.columns[: len(read.index)]) for row in rows if row.name == read.table]
        if read.index not in leading:
            yield read
