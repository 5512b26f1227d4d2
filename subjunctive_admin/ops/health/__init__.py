"""Is the database well? Every check looks alone and says what it saw; what it could not see is `unknown`.

report = run_health(database)
print(health_text(report))
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from queue import Empty, Queue
from time import monotonic, perf_counter
from typing import Any

from sqlalchemy import text

from subjunctive_admin.db import Database
from subjunctive_admin.errors import (
    AccessDenied,
    Conflict,
    DatabaseUnavailable,
    NoConnectionLeft,
    ServerUnreachable,
    SubjunctiveError,
)

# Imported for the checks that they declare.
from subjunctive_admin.ops.health import activity, backups, catalog, checks, integrity, server, vacuum  # noqa: F401
from subjunctive_admin.ops.health.registry import (
    CHECK_SECONDS,
    DEEP_SECONDS,
    Check,
    Outcome,
    Previous,
    Probe,
    registered,
    selected,
)
from subjunctive_admin.ops.health.report import CheckResult, HealthReport, health_text
from subjunctive_admin.ops.pool import beside
from subjunctive_admin.vocabulary import Status

__all__ = ["Check", "CheckResult", "HealthReport", "check_ids", "health_text", "registered", "run_health"]

Narrate = Callable[[str], None]

# A statement is cancelled by the server; a server that does not even answer is left alone a little later.
_GRACE_SECONDS = 1.0
_LOCK_SECONDS = 2.0


def _silent(_sentence: str) -> None:
    return None


def check_ids() -> list[str]:
    """The ids of all checks, in the order of a report."""
    return [one.id for one in registered()]


def run_health(
    database: Database,
    *,
    only: Sequence[str] = (),
    deep: bool = False,
    previous: Mapping[str, Previous] | None = None,
    narrate: Narrate | None = None,
) -> HealthReport:
    """Run all checks, or `only` these, each in a transaction of its own that only reads.

    `deep` looks at everything where a sample is usual; `previous` is what the last run kept, by check id.
    Never raises for what the server does; `UsageError` names ids that do not exist. The checks use
    one connection beside the pool of `database`, so an exhausted pool is still diagnosed.
    """
    chosen = selected(only)
    say = narrate or _silent
    started = datetime.now(UTC)
    seconds = DEEP_SECONDS if deep else CHECK_SECONDS
    own, shared = _own_connections(database, seconds), dict[str, Any]()
    try:
        contacted, lost = _contact(database, own)
        results = []
        for number, one in enumerate(chosen, 1):
            say(f"{number} of {len(chosen)}: {one.title}")
            asked = _Asked(database, own, seconds, deep, (previous or {}).get(one.id), shared)
            result, lost = _run_one(one, asked, lost)
            results.append(result)
    finally:
        own.dispose()
    run_id = f"health-{started:%Y%m%d-%H%M%S}"
    return HealthReport(run_id, started, datetime.now(UTC), contacted, tuple(results))


def _own_connections(database: Database, seconds: float) -> Database:
    settings = database.settings
    return beside(
        database,
        purpose="health",
        pool_timeout=CHECK_SECONDS,
        statement_timeout=min(seconds, settings.statement_timeout),
        lock_timeout=min(_LOCK_SECONDS, settings.lock_timeout),
    )


def _contact(database: Database, own: Database) -> tuple[dict[str, Any], DatabaseUnavailable | None]:
    facts = _within_time(lambda: _read_facts(own), CHECK_SECONDS + own.settings.connect_timeout)
    lost = facts if isinstance(facts, DatabaseUnavailable) else None
    if isinstance(facts, TimeoutError):
        lost = ServerUnreachable(f"The server did not answer within {CHECK_SECONDS:.0f} s.")
    known = {
        "version": None,
        "address": address_of(database),
        "role": database.url.username,
        "database": database.url.database,
        "embedded": database.settings.uses_embedded,
    }
    return {**known, **facts} if isinstance(facts, dict) else known, lost


def address_of(database: Database) -> str:
    """The host, or the folder of the socket, that a report names."""
    host = database.url.query.get("host") or database.url.host or "localhost"
    return host if isinstance(host, str) else ", ".join(host)


def _read_facts(own: Database) -> dict[str, str]:
    with own.connection() as connection:
        query = (
            "SELECT current_setting('server_version') AS version, current_user AS role, current_database() AS database"
        )
        row = connection.execute(text(query)).one()
        return {"version": row.version.split()[0], "role": row.role, "database": row.database}


@dataclass(frozen=True)
class _Asked:
    database: Database
    own: Database
    seconds: float
    deep: bool
    previous: Previous | None
    shared: dict[str, Any]


def _run_one(
    one: Check, asked: _Asked, lost: DatabaseUnavailable | None
) -> tuple[CheckResult, DatabaseUnavailable | None]:
    began = perf_counter()
    found: Any = lost or _within_time(lambda: _look(one, asked), asked.seconds + _GRACE_SECONDS)
    if isinstance(found, ServerUnreachable):
        lost = found
    if isinstance(found, ServerUnreachable | NoConnectionLeft) or lost:
        outcome = one.unreachable(found)
    else:
        outcome = found if isinstance(found, Outcome) else _unseen(one, found)
    limits = one.limits(asked.database.settings)
    result = CheckResult(
        id=one.id,
        title=one.title,
        group=one.group,
        status=outcome.status,
        observed=outcome.observed,
        threshold={"warning": limits.warning, "critical": limits.critical},
        message=outcome.message,
        remedy=outcome.remedy or one.remedy,
        duration_ms=round(1000 * (perf_counter() - began), 1),
        readings=outcome.readings,
        facts=outcome.facts,
    )
    return result, lost


def _look(one: Check, asked: _Asked) -> Outcome:
    deadline = monotonic() + asked.seconds
    with asked.own.connection() as connection:
        try:
            return one.look(Probe(connection, asked.database, deadline, asked.deep, asked.previous, asked.shared))
        finally:
            if monotonic() >= deadline:
                # Nobody may be waiting any more: close it at the end instead of giving it back to the pool.
                connection.detach()


def _within_time(work: Callable[[], Any], seconds: float) -> Any:
    """The value of `work`, the exception it raised, or a TimeoutError; never raises one of its own."""
    done: Queue[Any] = Queue()

    def run() -> None:
        try:
            done.put(work())
        except Exception as error:  # noqa: BLE001 - one check that fails says so and the others go on
            done.put(error)

    # A daemon: a server that stopped in the middle of an answer must not keep the process alive.
    threading.Thread(target=run, daemon=True, name="health").start()
    try:
        return done.get(timeout=seconds)
    except Empty:
        return TimeoutError()


def _unseen(one: Check, error: Exception) -> Outcome:
    reason, remedy = _reason(one, error)
    return Outcome(Status.UNKNOWN, None, f"Could not look: {reason}", remedy)


def _reason(one: Check, error: Exception) -> tuple[str, str]:
    cancelled = getattr(getattr(error.__cause__, "orig", None), "sqlstate", None) == "57014"
    if cancelled or isinstance(error, TimeoutError):
        said = f"no answer within {CHECK_SECONDS:g} s."
        return said, f"try again when the server is less busy: subjunctive-admin health --only {one.id}"
    if isinstance(error, AccessDenied):
        return error.message, f"grant this role what the check needs: {one.needs}"
    if isinstance(error, Conflict):
        return "another session holds a lock that this needs.", "name the sessions: subjunctive-admin pool"
    if isinstance(error, SubjunctiveError):
        return error.message, error.next_step or one.remedy
    first = str(error).strip().partition("\n")[0]
    return f"{type(error).__name__}: {first}.", f"subjunctive-admin --debug health --only {one.id}"
