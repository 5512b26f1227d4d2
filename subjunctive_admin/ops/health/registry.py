"""What a health check is, and the list that each one joins by being declared.

@check("invalid-index", title="Invalid indexes", group=SCHEMA, remedy="...", limits=...)
def invalid_index(probe: Probe) -> Outcome:
    ...
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from time import monotonic

from sqlalchemy import Connection

from subjunctive_admin.db import Database
from subjunctive_admin.errors import DatabaseUnavailable, UsageError
from subjunctive_admin.settings import Settings
from subjunctive_admin.vocabulary import Status

ACTIVITY = "Connections and activity"
VACUUM = "Vacuum and statistics"
SCHEMA = "Schema and indexes"
STORAGE = "Storage and backup"
SERVER = "Server and roles"
INTEGRITY = "Application integrity"
"""The groups of a report."""
_ORDER = (ACTIVITY, VACUUM, SCHEMA, STORAGE, SERVER, INTEGRITY)

CONNECTIVITY = "connectivity"
"""The check that comes first: without a connection no other can look."""

CHECK_SECONDS = 5.0
"""How long one check may look before the answer is `unknown`; also its statement timeout."""


def said_limit(seconds: float) -> str:
    """`250 ms`, `2 s`: a threshold in the unit a person would use."""
    return f"{1000 * seconds:g} ms" if seconds < 1 else f"{seconds:g} s"


@dataclass(frozen=True)
class Limits:
    """From which observation on a check warns, and from which it is critical; None is no such limit."""

    warning: str | None = None
    critical: str | None = None


@dataclass(frozen=True)
class Readings:
    """Repeated measurements in seconds by what was measured, and the limits they are held against."""

    seconds: Mapping[str, Sequence[float]]
    warning: float
    critical: float


@dataclass(frozen=True)
class Outcome:
    """What one look found; `remedy` replaces the check's own when the next step is another.

    A remedy is a few words that end in a command, or only the command. `facts` are numbers by name, kept in the
    run history: what the next run compares with (counters since the server's start), and what trends are drawn of.
    """

    status: Status
    observed: str | float | None
    message: str
    remedy: str | None = None
    readings: Readings | None = None
    facts: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Previous:
    """What the last recorded run saw of this check: when, and the facts it kept."""

    at: datetime
    facts: Mapping[str, float]


@dataclass(frozen=True)
class Probe:
    """What a check may use: a connection of its own, and the database whose health is asked for.

    `deep` asks for everything where a sample would do; `previous` is None on a first run.
    """

    connection: Connection
    database: Database
    deadline: float
    deep: bool = False
    previous: Previous | None = None

    @property
    def settings(self) -> Settings:
        """The thresholds of this installation."""
        return self.database.settings

    @property
    def seconds_left(self) -> float:
        """How long this check may still look."""
        return max(self.deadline - monotonic(), 0.0)


Look = Callable[[Probe], Outcome]


def _not_seen(error: DatabaseUnavailable) -> Outcome:
    return Outcome(Status.UNKNOWN, None, f"Could not look: {error.message}", error.next_step)


@dataclass(frozen=True)
class Check:
    """One registered check; `needs` names the privileges without which it is `unknown`.

    `severity` is the worst status it gives when it could look.
    """

    id: str
    title: str
    group: str
    needs: str
    remedy: str
    limits: Callable[[Settings], Limits]
    severity: Status
    look: Look
    unreachable: Callable[[DatabaseUnavailable], Outcome] = _not_seen

    @property
    def description(self) -> str:
        """The first line of its docstring."""
        return (self.look.__doc__ or "").strip().partition("\n")[0]


_checks: dict[str, Check] = {}


def check(
    id: str,  # noqa: A002 - the word of the report and of the command line
    *,
    title: str,
    group: str,
    remedy: str,
    limits: Callable[[Settings], Limits],
    severity: Status = Status.CRITICAL,
    needs: str = "connect",
    unreachable: Callable[[DatabaseUnavailable], Outcome] = _not_seen,
) -> Callable[[Look], Look]:
    """Register the decorated look; `unreachable` says what a missing connection means to it."""

    def register(look: Look) -> Look:
        if id in _checks:
            raise ValueError(f"There are two health checks named {id}.")
        _checks[id] = Check(id, title, group, needs, remedy, limits, severity, look, unreachable)
        return look

    return register


def registered() -> list[Check]:
    """Every check in the order of a report: the connection first, then by group as declared."""
    places = {group: place for place, group in enumerate(_ORDER)}
    return sorted(_checks.values(), key=lambda one: (one.id != CONNECTIVITY, places.get(one.group, len(places))))


def selected(only: Sequence[str]) -> list[Check]:
    """The checks of these ids in the order of a report; all for none. Raises `UsageError` for an unknown id."""
    unknown = [name for name in only if name not in _checks]
    if unknown:
        raise UsageError(
            f"There is no health check {', '.join(unknown)}.", next_step=f"use one of {', '.join(_checks)}"
        )
    return [one for one in registered() if not only or one.id in only]
