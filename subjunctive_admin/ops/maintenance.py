"""What is worth doing to the tables and indexes, with its reason; and doing it, one statement at a time.

plan = read_plan(database)                     # reads only
results = optimize(database, plan.tasks)       # VACUUM, ANALYZE, REINDEX CONCURRENTLY; never VACUUM FULL

Nothing waits without end: behind an open transaction a statement gives up after `lock_timeout`, names who holds
it up, and the rest goes on. PostgreSQL answers a VACUUM or ANALYZE without rights, or one that could remove
nothing because of an old snapshot, as if it had worked; here that is *not done*, with its reason.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from subjunctive_admin.db import Database, explain
from subjunctive_admin.errors import Busy, CouldNotBegin, WriteRefused
from subjunctive_admin.models.base import SCHEMAS
from subjunctive_admin.ops.health.grading import lasting, sized
from subjunctive_admin.ops.pool import beside

_SCHEMAS = ["public", *SCHEMAS]
# The key of the advisory lock: "optimize" in ASCII.
_LOCK_KEY = int.from_bytes(b"optimize", "big") - (1 << 63)
_LOCK_REFUSED, _NO_RIGHT = "55P03", "42501"
# A busy table has new dead rows by the time the figures are read.
_REMAINS = 0.1
_LEFTOVER = r"_cc(new|old)\d*$"

Progress = Callable[[int, int, str], None]


def _silent(_done: int, _total: int, _said: str) -> None:
    return None


class Action(StrEnum):
    """What may be worth doing."""

    VACUUM = "vacuum"
    ANALYZE = "analyze"
    REINDEX = "reindex"
    DROP = "drop"


class Outcome(StrEnum):
    """How a task ended; `not done` left everything as it was and says why."""

    DONE = "done"
    NOT_DONE = "not done"
    FAILED = "failed"


@dataclass(frozen=True)
class Worth:
    """From where on something is worth doing: rows and bytes, each together with its share.

    A table that was never analysed is worth it from `unknown_bytes` on: of a smaller one the planner guesses well.
    """

    dead_rows: int = 1_000
    dead_share: float = 0.10
    changed_rows: int = 1_000
    changed_share: float = 0.10
    unknown_bytes: int = 65_536
    bloat_bytes: int = 10_000_000
    bloat_share: float = 0.50


@dataclass(frozen=True)
class TableFigures:
    """One table as the statistics know it; bytes on disk, `table_bytes` with TOAST, `heap_bytes` the rows alone."""

    oid: int
    name: str
    rows: int
    dead: int
    changed: int
    heap_bytes: int
    table_bytes: int
    index_bytes: int
    analysed_at: datetime | None

    @property
    def dead_share(self) -> float:
        """Dead rows as a part of all."""
        return self.dead / max(self.rows + self.dead, 1)


@dataclass(frozen=True)
class IndexFigures:
    """One index; `needed` is an estimate of the bytes a new one would take, None where it cannot be made."""

    oid: int
    name: str
    table: str
    size: int
    needed: int | None
    is_valid: bool
    is_leftover: bool
    is_in_work: bool

    @property
    def wasted(self) -> int:
        """Bytes that a new index would not take, by estimate."""
        return 0 if self.needed is None else max(self.size - self.needed, 0)


@dataclass(frozen=True)
class Task:
    """One statement worth running: `table` and `index` are quoted where SQL needs it."""

    action: Action
    table: str
    index: str | None
    reason: str
    size: int
    dead: int
    also_analyse: bool = False

    @property
    def target(self) -> str:
        """What it is done to."""
        return self.index or self.table

    @property
    def statement(self) -> str:
        """The SQL; names come quoted from the catalog."""
        match self.action:
            case Action.VACUUM:
                return f"VACUUM {'(ANALYZE) ' if self.also_analyse else ''}{self.table}"
            case Action.ANALYZE:
                return f"ANALYZE {self.table}"
            case Action.REINDEX:
                return f"REINDEX INDEX CONCURRENTLY {self.index}"
            case Action.DROP:
                return f"DROP INDEX CONCURRENTLY IF EXISTS {self.index}"

    def as_dict(self) -> dict[str, Any]:
        """The task as JSON values."""
        return {**asdict(self), "statement": self.statement}


@dataclass(frozen=True)
class Result:
    """What became of a task: bytes and dead rows afterwards, and why where it is not done."""

    task: Task
    outcome: Outcome
    said: str
    size: int | None
    dead: int | None
    seconds: float

    def as_dict(self) -> dict[str, Any]:
        """The result as JSON values."""
        return {**asdict(self), "task": self.task.as_dict()}


@dataclass(frozen=True)
class Plan:
    """Tables and indexes as they are, and what is worth doing, in the order it is to be done.

    `unknown` names indexes whose bloat cannot be estimated, because the statistics of their columns are not visible.
    """

    tables: tuple[TableFigures, ...]
    indexes: tuple[IndexFigures, ...]
    tasks: tuple[Task, ...]
    unknown: tuple[str, ...]


def read_plan(database: Database, worth: Worth | None = None) -> Plan:
    """Look at every table and index of this application; nothing is changed."""
    with database.connection() as connection:
        return plan_of(connection, worth or Worth())


def plan_of(connection: Connection, worth: Worth) -> Plan:
    """What is worth doing as seen by this connection."""
    tables = read_tables(connection)
    indexes = read_indexes(connection)
    tasks = [
        *_leftover_tasks(indexes),
        *_index_tasks(indexes, worth),
        *(task for table in tables for task in _table_tasks(table, worth)),
    ]
    unknown = tuple(
        one.name for one in indexes if one.needed is None and one.is_valid and one.size >= worth.bloat_bytes
    )
    return Plan(tables, indexes, tuple(tasks), unknown)


def _leftover_tasks(indexes: Sequence[IndexFigures]) -> Iterator[Task]:
    for one in indexes:
        if one.is_leftover and not one.is_in_work:
            reason = "left behind by an index rebuild that was interrupted: written with every row, never read"
            yield Task(Action.DROP, one.table, one.name, reason, one.size, 0)


def _index_tasks(indexes: Sequence[IndexFigures], worth: Worth) -> Iterator[Task]:
    for one in indexes:
        if one.is_leftover or one.is_in_work:
            continue
        if not one.is_valid:
            yield Task(Action.REINDEX, one.table, one.name, "invalid: no query uses it", one.size, 0)
        elif one.wasted >= worth.bloat_bytes and one.wasted >= worth.bloat_share * one.size:
            reason = f"by estimate {sized(one.wasted)} of {sized(one.size)} are empty"
            yield Task(Action.REINDEX, one.table, one.name, reason, one.size, 0)


def _table_tasks(table: TableFigures, worth: Worth) -> Iterator[Task]:
    stale = _stale(table, worth)
    if table.dead >= worth.dead_rows and table.dead_share >= worth.dead_share:
        reason = f"{table.dead:,} of {table.rows + table.dead:,} rows are dead ({table.dead_share:.0%})"
        reason += f"; {stale}" if stale else ""
        yield Task(Action.VACUUM, table.name, None, reason, table.table_bytes, table.dead, also_analyse=bool(stale))
    elif stale:
        yield Task(Action.ANALYZE, table.name, None, stale, table.table_bytes, table.dead)


def _stale(table: TableFigures, worth: Worth) -> str:
    if table.analysed_at is None:
        return "no record that it was ever analysed" if table.heap_bytes >= worth.unknown_bytes else ""
    if table.changed >= worth.changed_rows and table.changed >= worth.changed_share * max(table.rows, 1):
        return f"{table.changed:,} rows changed since it was analysed, {table.rows:,} are there"
    return ""


def optimize(database: Database, tasks: Sequence[Task], progress: Progress = _silent) -> list[Result]:
    """Run the tasks one after the other on a connection of their own; what cannot be done is said and left.

    `progress(done, total, said)` is called before each and at the end. Raises `Busy` when another optimize runs,
    `CouldNotBegin` behind a transaction pooler, `WriteRefused` on a standby or when nothing may be written, and
    `ServerUnreachable` when the server goes away.
    """
    results: list[Result] = []
    if not tasks:
        return results
    with _alone(database) as connection:
        for number, task in enumerate(tasks):
            progress(number, len(tasks), task.statement)
            results.append(_run(connection, task, database))
    progress(len(tasks), len(tasks), "")
    return results


@contextmanager
def _alone(database: Database) -> Iterator[Connection]:
    """A session in which each statement is its own transaction, locks are waited for briefly, and nobody else optimizes."""
    if database.settings.pooler == "transaction":
        raise CouldNotBegin(
            "VACUUM needs a session of its own, which a transaction pooler does not give.",
            next_step="point SUBJUNCTIVE_DATABASE_URL at the server itself, without SUBJUNCTIVE_POOLER",
        )
    if database.settings.read_only:
        raise WriteRefused("SUBJUNCTIVE_READ_ONLY is set, so nothing is optimized.", next_step="unset it to write")
    own = beside(database, purpose="optimize")
    try:
        with own.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            if connection.scalar(text("SELECT pg_is_in_recovery()")):
                raise WriteRefused("The server is a standby: what is done on the primary arrives here.")
            if not connection.scalar(text("SELECT pg_try_advisory_lock(:key)"), {"key": _LOCK_KEY}):
                raise Busy("Another optimize is running on this database.", next_step="wait for it to end")
            # A large table takes longer than any ordinary statement may; waiting for a lock still ends.
            connection.exec_driver_sql("SET statement_timeout = 0")
            yield connection
    except DBAPIError as error:
        raise explain(error, database.url, write=True) from error
    finally:
        own.dispose()


def _run(connection: Connection, task: Task, database: Database) -> Result:
    began = time.monotonic()
    outcome, said = Outcome.DONE, ""
    try:
        warnings = _execute(connection, task.statement)
    except DBAPIError as error:
        if error.connection_invalidated:
            raise
        outcome, said = _refusal(connection, task, error, database)
        if task.action is Action.REINDEX:
            said += _cleaned(connection, task)
    else:
        if warnings:
            outcome, said = Outcome.NOT_DONE, "; ".join(warnings)
    size, dead = _figures_after(connection, task)
    # The statistics still count the rows that VACUUM had to leave; it says nothing of them otherwise.
    if outcome is Outcome.DONE and task.action is Action.VACUUM and dead is not None and dead > _REMAINS * task.dead:
        held = f"{dead:,} of {max(task.dead, dead):,} dead rows had to stay: {_said(_snapshot_holders(connection), 'an older snapshot')}"
        outcome, said = Outcome.NOT_DONE, held
    return Result(task, outcome, said, size, dead, time.monotonic() - began)


def _execute(connection: Connection, statement: str) -> list[str]:
    """Run a statement; returns the warnings that came with it."""
    warnings: list[str] = []

    def note(notice: Any) -> None:
        # Read at once: what it is read from is gone afterwards. This severity is English whatever the server speaks.
        if notice.severity_nonlocalized == "WARNING":
            warnings.append(notice.message_primary)

    driver: Any = connection.connection.driver_connection
    driver.add_notice_handler(note)
    try:
        connection.exec_driver_sql(statement)
    finally:
        driver.remove_notice_handler(note)
    return warnings


def _refusal(connection: Connection, task: Task, error: DBAPIError, database: Database) -> tuple[Outcome, str]:
    state = getattr(error.orig, "sqlstate", None)
    if state == _LOCK_REFUSED:
        waited = f"after {database.settings.lock_timeout:g} s"
        return Outcome.NOT_DONE, f"held up {waited} by {_said(_lock_holders(connection, task), 'another session')}"
    explained = explain(error, database.url, write=True).message
    return (Outcome.NOT_DONE if state == _NO_RIGHT else Outcome.FAILED), explained.rstrip(".")


def _cleaned(connection: Connection, task: Task) -> str:
    """Drop what a rebuild that did not end has left; the next plan has what could not be dropped."""
    left = [one for one in read_indexes(connection) if one.is_leftover and one.table == task.table]
    kept = []
    for one in left:
        try:
            _execute(connection, f"DROP INDEX CONCURRENTLY IF EXISTS {one.name}")
        except DBAPIError as error:
            if error.connection_invalidated:
                raise
            kept.append(one.name)
    return f"; {', '.join(kept)} is left behind and is dropped by the next run" if kept else ""


def _figures_after(connection: Connection, task: Task) -> tuple[int | None, int | None]:
    """Bytes of what was worked on and dead rows of its table; None for what is gone."""
    name = task.index or task.table
    row = connection.execute(
        text(
            f"""
            WITH locked AS ({_LOCKED})
            SELECT {_SIZE.format("c", "pg_relation_size" if task.index else "pg_table_size")} AS size,
                   pg_stat_get_dead_tuples(to_regclass(:table)) AS dead
            FROM pg_class c WHERE c.oid = to_regclass(:name)
            """  # noqa: S608 - a constant
        ),
        {"name": name, "table": task.table},
    ).one_or_none()
    return (None, None) if row is None else (row.size, row.dead)


@dataclass(frozen=True)
class _Holder:
    pid: int | None
    name: str
    state: str
    seconds: float | None

    def __str__(self) -> str:
        session = self.name if self.pid is None else f"{self.name}, pid {self.pid}"
        age = "" if self.seconds is None else f" for {lasting(self.seconds)}"
        return f"{session} ({self.state}{age})"


def _said(holders: Sequence[_Holder], otherwise: str) -> str:
    if not holders:
        return f"{otherwise} that this role may not see, or that is gone by now"
    return "; ".join(map(str, holders))


def _lock_holders(connection: Connection, task: Task) -> list[_Holder]:
    """Who holds a lock on the task's table, else who has the oldest open transaction."""
    rows = connection.execute(
        text(
            """
            SELECT DISTINCT ON (a.pid) a.pid, coalesce(nullif(a.application_name, ''), 'a session without a name') AS name,
                   coalesce(a.state, 'state not visible') AS state, l.pid IS NOT NULL AS locks,
                   extract(epoch FROM clock_timestamp() - a.xact_start)::float AS seconds
            FROM pg_stat_activity a
            LEFT JOIN pg_locks l ON l.pid = a.pid AND l.granted AND l.relation = to_regclass(:table)
              AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
            WHERE a.pid <> pg_backend_pid() AND a.datname = current_database()
              AND (l.pid IS NOT NULL OR a.backend_xmin IS NOT NULL OR a.backend_xid IS NOT NULL)
            ORDER BY a.pid
            """
        ),
        {"table": task.table},
    ).all()
    locking = [row for row in rows if row.locks]
    oldest = sorted(locking or rows, key=lambda row: -(row.seconds or 0.0))
    return [_Holder(row.pid, row.name, row.state, row.seconds) for row in oldest[:3]]


def _snapshot_holders(connection: Connection) -> list[_Holder]:
    """Who keeps dead rows alive, oldest first: open transactions, prepared ones, replication slots."""
    rows = connection.execute(
        text(
            """
            SELECT pid, coalesce(nullif(application_name, ''), 'a session without a name') AS name,
                   coalesce(state, backend_type, 'state not visible') AS state,
                   extract(epoch FROM clock_timestamp() - xact_start)::float AS seconds,
                   greatest(age(backend_xmin), age(backend_xid)) AS age
            FROM pg_stat_activity
            WHERE pid <> pg_backend_pid() AND (backend_xmin IS NOT NULL OR backend_xid IS NOT NULL)
              AND (datname = current_database() OR backend_type = 'walsender')
            UNION ALL
            SELECT NULL, 'the prepared transaction ' || gid, 'prepared',
                   extract(epoch FROM clock_timestamp() - prepared)::float, age(transaction)
            FROM pg_prepared_xacts WHERE database = current_database()
            UNION ALL
            SELECT active_pid, 'the replication slot ' || slot_name, CASE WHEN active THEN 'active' ELSE 'inactive' END,
                   NULL, age(xmin)
            FROM pg_replication_slots WHERE xmin IS NOT NULL
            ORDER BY age DESC NULLS LAST LIMIT 3
            """
        )
    )
    return [_Holder(row.pid, row.name, row.state, row.seconds) for row in rows]


# Asking a relation for its size waits for a lock of it; what is being altered is as large as the catalog says.
_LOCKED = """
    SELECT relation FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND pid <> pg_backend_pid()
      AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""
_SIZE = "CASE WHEN {0}.oid IN (SELECT relation FROM locked) THEN {0}.relpages * 8192::bigint ELSE {1}({0}.oid) END"
_NAME = "CASE WHEN n.nspname = 'public' THEN quote_ident({0}.relname) ELSE format('%I.%I', n.nspname, {0}.relname) END"


def read_tables(connection: Connection) -> tuple[TableFigures, ...]:
    """Every table of this application, the largest first."""
    rows = connection.execute(
        text(
            f"""
            WITH locked AS ({_LOCKED})
            SELECT c.oid, {_NAME.format("c")} AS name,
                   coalesce(s.n_live_tup, 0) AS rows, coalesce(s.n_dead_tup, 0) AS dead,
                   coalesce(s.n_mod_since_analyze, 0) AS changed,
                   {_SIZE.format("c", "pg_table_size")} AS table_bytes,
                   coalesce((SELECT sum({_SIZE.format("i", "pg_relation_size")}) FROM pg_index x
                             JOIN pg_class i ON i.oid = x.indexrelid WHERE x.indrelid = c.oid), 0)::bigint AS index_bytes,
                   greatest(s.last_analyze, s.last_autoanalyze) AS analysed_at,
                   {_SIZE.format("c", "pg_relation_size")} AS heap_bytes
            FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
            LEFT JOIN pg_stat_all_tables s ON s.relid = c.oid
            WHERE c.relkind = 'r' AND n.nspname = ANY (:schemas)
            ORDER BY table_bytes DESC, name
            """  # noqa: S608 - a constant
        ),
        {"schemas": _SCHEMAS},
    ).mappings()
    return tuple(TableFigures(**row) for row in rows)


def read_indexes(connection: Connection) -> tuple[IndexFigures, ...]:
    """Every index of this application, the largest first, with the size that a new B-tree would have.

    The estimate takes the mean width of the columns from pg_stats and leaves merged duplicates out, so it finds
    too little rather than too much.
    """
    rows = connection.execute(
        text(
            f"""
            WITH locked AS ({_LOCKED})
            SELECT i.oid, {_NAME.format("i")} AS name, {_NAME.format("t")} AS table,
                   {_SIZE.format("i", "pg_relation_size")} AS size, x.indisvalid AS is_valid,
                   NOT x.indisvalid AND i.relname ~ :leftover AS is_leftover,
                   -- Whoever builds an index holds this lock on its table until it is done.
                   EXISTS (SELECT FROM pg_locks l WHERE l.relation = t.oid AND l.pid <> pg_backend_pid() AND l.granted
                           AND l.mode = 'ShareUpdateExclusiveLock') AS is_in_work,
                   -- An entry is its columns, 8 bytes of header and 4 of line pointer; a leaf is 90 % full.
                   (CASE WHEN m.amname = 'btree' AND i.reltuples >= 0 AND count(s.attname) = count(a.attname)
                         THEN 8192 + i.reltuples * (12 + 8 * ceil(sum(s.avg_width * (1 - s.null_frac)) / 8))
                              / (coalesce(substring(array_to_string(i.reloptions, ',') FROM 'fillfactor=(\\d+)'),
                                          '90')::float / 100) * 8192 / 8152
                    END)::bigint AS needed
            FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_am m ON m.oid = i.relam
            JOIN pg_class t ON t.oid = x.indrelid JOIN pg_namespace n ON n.oid = t.relnamespace
            JOIN pg_attribute a ON a.attrelid = i.oid
            -- The columns of expressions are known under the name of the index.
            LEFT JOIN pg_attribute c ON c.attrelid = t.oid AND c.attnum = x.indkey[a.attnum - 1] AND c.attnum > 0
            LEFT JOIN pg_stats s ON s.schemaname = n.nspname AND NOT s.inherited
              AND s.tablename = CASE WHEN c.attname IS NULL THEN i.relname ELSE t.relname END
              AND s.attname = coalesce(c.attname, a.attname)
            WHERE i.relkind = 'i' AND n.nspname = ANY (:schemas)
            GROUP BY i.oid, i.relname, i.relpages, i.reltuples, i.reloptions, n.nspname, t.oid, t.relname, x.indisvalid, m.amname
            ORDER BY size DESC, name
            """  # noqa: S608 - a constant
        ),
        {"schemas": _SCHEMAS, "leftover": _LEFTOVER},
    ).mappings()
    return tuple(IndexFigures(**row) for row in rows)
