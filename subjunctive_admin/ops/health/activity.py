"""Who is connected, and what holds others up: idle transactions, long queries, locks, deadlocks.

Nothing here reads the text of a query: it holds what learners wrote.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Connection, text

from subjunctive_admin.ops.health.grading import (
    full_server,
    graded,
    lasting,
    named,
    percent,
    plural,
    sized,
    unseen,
)
from subjunctive_admin.ops.health.registry import ACTIVITY, Limits, Outcome, Probe, check, said_limit
from subjunctive_admin.ops.pool import read_budget
from subjunctive_admin.vocabulary import Status

BLOCKED_WARNING, BLOCKED_CRITICAL = 30.0, 120.0
DEADLOCKS_WARNING, DEADLOCKS_CRITICAL = 1, 6
TEMPORARY_BYTES_A_DAY = 1e9
ROLLED_BACK_SHARE, FEWEST_TRANSACTIONS = 0.5, 1_000

SEES_OTHERS = "pg_monitor, to see other roles' sessions"
GRANT_MONITOR = "grant this role pg_monitor; what it has is shown by subjunctive-admin access check"
_NAME_THE_SESSIONS = "name the sessions: subjunctive-admin pool"

# A backup holds one snapshot and one long COPY by design; a backup that never ends is seen by xmin-horizon.
_BACKUPS = "^(pg_dump|pg_dumpall|pg_basebackup|subjunctive:backup:)"


@dataclass(frozen=True)
class _Session:
    """Another client of this database; the times are in seconds, None where there is none."""

    pid: int
    role: str
    application: str
    state: str | None
    transaction: float | None
    query: float | None

    def __str__(self) -> str:
        return f"pid {self.pid} ({self.application or 'no application name'}, role {self.role})"


def _sessions(probe: Probe) -> tuple[list[_Session], int]:
    """The other clients of this database, and how many of them this role may not look at."""
    rows = probe.connection.execute(
        text(
            """
            SELECT pid, usename AS role, coalesce(application_name, '') AS application, state,
                   -- An aborted transaction has lost its start, not its connection.
                   extract(epoch FROM clock_timestamp() - coalesce(xact_start, state_change))::float AS transaction,
                   extract(epoch FROM clock_timestamp() - query_start)::float AS query
            FROM pg_stat_activity
            WHERE datname = current_database() AND pid <> pg_backend_pid() AND usesysid IS NOT NULL
              AND (backend_type = 'client backend' OR backend_type IS NULL)
              AND coalesce(application_name, '') NOT IN (:own, current_setting('application_name'))
              AND coalesce(application_name, '') !~ :backups
            """
        ),
        {"own": probe.database.application_name, "backups": _BACKUPS},
    )
    found = [_Session(*row) for row in rows]
    # Without pg_read_all_stats the state is NULL; with track_activities off the server itself does not know it.
    seen = [one for one in found if one.state not in (None, "disabled")]
    return seen, len(found) - len(seen)


def _longest(
    probe: Probe,
    chosen: Callable[[_Session], float | None],
    limits: tuple[float, float],
    *,
    nouns: tuple[str, str],
    none: str,
) -> Outcome:
    """Grade the session for which `chosen` gives the most seconds; `nouns` say what one and several do."""
    sessions, hidden = _sessions(probe)
    timed = sorted(((chosen(one) or 0.0, one) for one in sessions if chosen(one) is not None), key=lambda t: -t[0])
    over = [(seconds, one) for seconds, one in timed if seconds >= limits[0]]
    if over:
        seconds = over[0][0]
        told = named([f"{one} for {lasting(taken)}" for taken, one in over])
        said = f"{plural(len(over), *nouns)} for long: {told}."
        return Outcome(graded(seconds, *limits), lasting(seconds), said, facts={"seconds": seconds})
    if hidden:
        return unseen(f"{plural(hidden, 'session')} of other roles", GRANT_MONITOR)
    observed, facts = (lasting(timed[0][0]), {"seconds": timed[0][0]}) if timed else ("none", {"seconds": 0.0})
    return Outcome(Status.OK, observed, none, facts=facts)


@check(
    "connections",
    title="Connections used",
    group=ACTIVITY,
    remedy=_NAME_THE_SESSIONS,
    limits=lambda s: Limits(percent(s.connections_warning), percent(s.connections_critical)),
    unreachable=full_server,
)
def connections(probe: Probe) -> Outcome:
    """The server has connections left; when few are, those who hold most are named."""
    budget = read_budget(probe.connection)
    status = graded(budget.share, probe.settings.connections_warning, probe.settings.connections_critical)
    observed, facts = f"{budget.used} of {budget.available}", {"used": budget.used, "available": budget.available}
    said = f"{observed} connections are in use ({percent(budget.share)})"
    if status is not Status.OK:
        said = f"{said}: {named(_holders(probe.connection))}"
    return Outcome(status, observed, f"{said}.", facts=facts)


def _holders(connection: Connection) -> list[str]:
    """Role and application with their number of connections, most first; a process id at a name's end is left out."""
    rows = connection.execute(
        text(
            """
            SELECT usename AS role, coalesce(nullif(regexp_replace(application_name, ':[0-9]+$', ''), ''),
                   'no application name') AS application, count(*) AS number
            FROM pg_stat_activity WHERE usesysid IS NOT NULL GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2
            """
        )
    )
    return [f"{row.number} by {row.role} ({row.application})" for row in rows]


@check(
    "idle-in-transaction",
    title="Idle in transaction, oldest",
    group=ACTIVITY,
    remedy=_NAME_THE_SESSIONS,
    needs=SEES_OTHERS,
    limits=lambda s: Limits(said_limit(s.idle_transaction_warning), said_limit(s.idle_transaction_critical)),
)
def idle_in_transaction(probe: Probe) -> Outcome:
    """No client leaves a transaction open while it does nothing, which blocks others and holds back VACUUM."""
    settings = probe.settings
    return _longest(
        probe,
        lambda one: one.transaction if (one.state or "").startswith("idle in transaction") else None,
        (settings.idle_transaction_warning, settings.idle_transaction_critical),
        nouns=("transaction is left open and idle", "transactions are left open and idle"),
        none="No transaction is left open and idle for long.",
    )


@check(
    "long-query",
    title="Active query, longest",
    group=ACTIVITY,
    remedy=_NAME_THE_SESSIONS,
    needs=SEES_OTHERS,
    limits=lambda s: Limits(said_limit(s.long_query_warning), said_limit(s.long_query_critical)),
)
def long_query(probe: Probe) -> Outcome:
    """No query of a client runs for very long; backups, replication and autovacuum are left out."""
    settings = probe.settings
    return _longest(
        probe,
        lambda one: one.query if one.state in ("active", "fastpath function call") else None,
        (settings.long_query_warning, settings.long_query_critical),
        nouns=("query runs", "queries run"),
        none="No query runs for long.",
    )


@check(
    "blocked",
    title="Blocked sessions",
    group=ACTIVITY,
    remedy=_NAME_THE_SESSIONS,
    limits=lambda _: Limits(said_limit(BLOCKED_WARNING), said_limit(BLOCKED_CRITICAL)),
)
def blocked(probe: Probe) -> Outcome:
    """No session waits long for a lock; the one at the root of the queue is named."""
    waits = _lock_waits(probe.connection)
    over = {pid: wait for pid, wait in waits.items() if wait.seconds >= BLOCKED_WARNING}
    longest = max((wait.seconds for wait in waits.values()), default=0.0)
    observed, facts = lasting(longest) if waits else "none", {"seconds": longest}
    if not over:
        return Outcome(Status.OK, observed, "No session waits long for a lock.", facts=facts)
    pid = max(over, key=lambda one: over[one].seconds)
    root = _described(probe.connection, _root(pid, waits))
    are = "sessions wait" if len(over) > 1 else "session waits"
    said = f"{len(over)} {are} for a lock, pid {pid} for {lasting(longest)}: {root} holds it."
    return Outcome(graded(longest, BLOCKED_WARNING, BLOCKED_CRITICAL), observed, said, facts=facts)


@dataclass(frozen=True)
class _Wait:
    seconds: float
    blockers: tuple[int, ...]


def _lock_waits(connection: Connection) -> dict[int, _Wait]:
    """Pid → how long it has waited for a lock of this database, and for whom. Needs no privilege."""
    rows = connection.execute(
        text(
            """
            SELECT pid, extract(epoch FROM clock_timestamp() - waits.since)::float AS seconds,
                   pg_blocking_pids(pid) AS blockers
            FROM (
                SELECT l.pid, min(l.waitstart) AS since FROM pg_locks l JOIN pg_stat_activity a USING (pid)
                WHERE NOT l.granted AND a.datname = current_database() GROUP BY l.pid
            ) AS waits
            """
        )
    )
    # waitstart is written a moment after the wait begins.
    return {row.pid: _Wait(row.seconds or 0.0, tuple(row.blockers)) for row in rows}


def _root(pid: int, waits: Mapping[int, _Wait]) -> int:
    """Follow the blockers to one that waits for nobody; in a circle, which the server will break, the last one met."""
    met = {pid}
    while pid in waits:
        further = [one for one in waits[pid].blockers if one not in met]
        if not further:
            break
        pid = further[0]
        met.add(pid)
    return pid


def _described(connection: Connection, pid: int) -> str:
    if pid == 0:
        return "a prepared transaction"
    query = "SELECT usename AS role, application_name AS application, state FROM pg_stat_activity WHERE pid = :pid"
    row = connection.execute(text(query), {"pid": pid}).one_or_none()
    if row is None:
        return f"pid {pid}, which has just ended,"
    facts = [row.application, row.role and f"role {row.role}", row.state]
    return f"pid {pid} ({', '.join(filter(None, facts))})"


@dataclass(frozen=True)
class _Growth:
    """By how much counters of pg_stat_database grew since the last run, and what the next run compares with."""

    by: Mapping[str, float]
    seconds: float
    facts: Mapping[str, float]


def _growth(probe: Probe, *counters: str) -> _Growth | Outcome:
    """The growth since the last run; skipped on a first run and where the counters began anew."""
    row = (
        probe.connection.execute(
            text(
                """
            SELECT d.*, extract(epoch FROM greatest(d.stats_reset, (SELECT stats_reset FROM pg_stat_bgwriter)))::float
                   AS since
            FROM pg_stat_database d WHERE d.datname = current_database()
            """
            )
        )
        .mappings()
        .one()
    )
    # A crash empties the counters; only the server-wide ones then note the time.
    facts = {"since": row["since"] or 0.0, **{name: float(row[name]) for name in counters}}
    before = probe.previous.facts if probe.previous else {}
    if probe.previous is None or not facts.keys() <= before.keys():
        return Outcome(Status.SKIPPED, None, "There is no earlier run to compare with yet.", facts=facts)
    if before["since"] != facts["since"] or any(facts[name] < before[name] for name in counters):
        said = "The server's statistics began anew since the last run."
        return Outcome(Status.SKIPPED, None, said, facts=facts)
    seconds = (datetime.now(UTC) - probe.previous.at).total_seconds()
    return _Growth({name: facts[name] - before[name] for name in counters}, seconds, facts)


@check(
    "deadlocks",
    title="Deadlocks since the last run",
    group=ACTIVITY,
    remedy="find the two statements in the server's log, and have both lock in one order",
    limits=lambda _: Limits(f"{DEADLOCKS_WARNING}", f"{DEADLOCKS_CRITICAL}"),
)
def deadlocks(probe: Probe) -> Outcome:
    """No two transactions waited for each other since the last recorded run."""
    growth = _growth(probe, "deadlocks")
    if isinstance(growth, Outcome):
        return growth
    number = int(growth.by["deadlocks"])
    status = graded(number, DEADLOCKS_WARNING, DEADLOCKS_CRITICAL)
    said = f"{plural(number, 'deadlock')} since the last run." if number else "No deadlock since the last run."
    return Outcome(status, number, said, facts=growth.facts)


@check(
    "rollbacks",
    title="Rollbacks since the last run",
    group=ACTIVITY,
    remedy="look in the server's log for what fails; a reading transaction that is rolled back is harmless",
    severity=Status.INFO,
    limits=lambda _: Limits(),
)
def rollbacks(probe: Probe) -> Outcome:
    """Fewer than half of the transactions since the last recorded run were rolled back, of a thousand at least."""
    growth = _growth(probe, "xact_commit", "xact_rollback")
    if isinstance(growth, Outcome):
        return growth
    number = growth.by["xact_rollback"]
    total = number + growth.by["xact_commit"]
    if total < FEWEST_TRANSACTIONS:
        said = f"Too few transactions since the last run to judge: {total:,.0f} of {FEWEST_TRANSACTIONS:,}."
        return Outcome(Status.SKIPPED, None, said, facts=growth.facts)
    status = Status.INFO if number / total > ROLLED_BACK_SHARE else Status.OK
    said = f"{percent(number / total)} of {total:,.0f} transactions since the last run were rolled back."
    return Outcome(status, percent(number / total), said, facts=growth.facts)


@check(
    "temporary-files",
    title="Temporary files since the last run",
    group=ACTIVITY,
    remedy="raise work_mem for the role that sorts or joins much",
    severity=Status.WARNING,
    limits=lambda _: Limits(f"{sized(TEMPORARY_BYTES_A_DAY)} a day"),
)
def temporary_files(probe: Probe) -> Outcome:
    """Sorts and joins since the last recorded run fit in memory, apart from a gigabyte a day."""
    growth = _growth(probe, "temp_bytes")
    if isinstance(growth, Outcome):
        return growth
    # A short time counts as a day: one big report in five minutes is no flood.
    a_day = growth.by["temp_bytes"] / max(growth.seconds / 86_400, 1.0)
    status = Status.WARNING if a_day >= TEMPORARY_BYTES_A_DAY else Status.OK
    said = f"Queries wrote {sized(growth.by['temp_bytes'])} of temporary files in {lasting(growth.seconds)}."
    return Outcome(status, f"{sized(a_day)} a day", said, facts=growth.facts)
