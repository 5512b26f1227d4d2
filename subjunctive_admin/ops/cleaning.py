"""What time leaves behind: sessions that were never closed, and samples of pools that nobody will read again.

A session is closed as the application would have closed it, at its last answer; answers are never deleted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text
from sqlalchemy.orm import Session

from subjunctive_admin.db import Database
from subjunctive_admin.errors import Conflict, NotFound
from subjunctive_admin.practice import close_session

STALE_DAYS = 1
"""Days without an answer after which nobody is still at it."""
_SAMPLES_AT_ONCE = 10_000

Counter = Callable[[int, int], None]


def _silent(_done: int, _total: int) -> None:
    return None


@dataclass(frozen=True)
class StaleSession:
    """An open session whose last answer, or start where there is none, is older than a day."""

    id: UUID
    user_id: UUID
    username: str
    started_at: datetime
    answers: int
    ends_at: datetime


@dataclass(frozen=True)
class Leftovers:
    """What would be cleaned now: sessions oldest first, samples older than `samples_days` days.

    `of_deactivated` stale sessions belong to deactivated accounts, in which nothing is recorded: they stay open.
    """

    sessions: tuple[StaleSession, ...]
    of_deactivated: int
    expired_samples: int
    all_samples: int
    samples_days: float

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to clean."""
        return not self.sessions and not self.expired_samples

    def as_dict(self) -> dict[str, Any]:
        """Counts and the ids of sessions as JSON values; no names."""
        return {
            "stale_sessions": [
                {"id": str(one.id), "answers": one.answers, "ends_at": one.ends_at.isoformat()} for one in self.sessions
            ],
            "of_deactivated": self.of_deactivated,
            "expired_samples": self.expired_samples,
            "all_samples": self.all_samples,
            "samples_days": self.samples_days,
        }


@dataclass(frozen=True)
class Cleaned:
    """What was cleaned; `resumed` sessions were answered again meanwhile, `refused` says why others stay open."""

    closed: int
    resumed: int
    refused: tuple[str, ...]
    samples: int

    def as_dict(self) -> dict[str, Any]:
        """The counts as JSON values."""
        return asdict(self)


_OPEN = """
    FROM study_sessions s JOIN users u ON u.id = s.user_id
    CROSS JOIN LATERAL (SELECT count(*) AS answers, coalesce(max(a.attempted_at), s.started_at) AS ends_at
                        FROM practice_attempts a WHERE a.session_id = s.id) l
    WHERE s.completed_at IS NULL AND l.ends_at < now() - make_interval(days => :days)
"""


def read_leftovers(connection: Connection, samples_days: float) -> Leftovers:
    """What there is to clean; nothing is changed."""
    stale = connection.execute(
        text(
            f"SELECT s.id, u.id AS user_id, u.username, u.is_active, s.started_at, l.answers, l.ends_at {_OPEN} ORDER BY l.ends_at, s.id"
        ),
        {"days": STALE_DAYS},
    ).all()
    expired, every = connection.execute(
        text(
            "SELECT count(*) FILTER (WHERE sampled_at < now() - make_interval(secs => :s)), count(*) FROM ops.pool_samples"
        ),
        {"s": 86_400 * samples_days},
    ).one()
    return Leftovers(
        tuple(
            StaleSession(row.id, row.user_id, row.username, row.started_at, row.answers, row.ends_at)
            for row in stale
            if row.is_active
        ),
        sum(not row.is_active for row in stale),
        expired,
        every,
        samples_days,
    )


def clean(database: Database, found: Leftovers, progress: Counter = _silent) -> Cleaned:
    """Close the sessions, each in a transaction of its own, and delete expired samples.

    Interrupted, what was closed stays closed and agrees; the next run goes on. `progress(done, total)` counts sessions.
    """
    closed = resumed = 0
    refused = []
    for number, one in enumerate(found.sessions):
        progress(number, len(found.sessions))
        try:
            with database.session(write=True) as session:
                was_stale = _close(session, one)
        except (Conflict, NotFound) as error:
            refused.append(f"session {one.id}: {error.message}")
        else:
            closed += was_stale
            resumed += not was_stale
    progress(len(found.sessions), len(found.sessions))
    return Cleaned(closed, resumed, tuple(refused), _delete_expired(database, found.samples_days))


def _close(session: Session, one: StaleSession) -> bool:
    """Close it unless it was answered since it was found; whoever records an answer holds this lock of the learner."""
    connection = session.connection()
    connection.execute(text("SELECT FROM users WHERE id = :id FOR NO KEY UPDATE"), {"id": one.user_id})
    row = connection.execute(
        text(f"SELECT l.ends_at {_OPEN} AND s.id = :id"),
        {"days": STALE_DAYS, "id": one.id},
    ).one_or_none()
    if row is None:
        return False
    close_session(session, one.user_id, one.id, at=row.ends_at)
    return True


def _delete_expired(database: Database, days: float) -> int:
    deleted = 0
    while True:
        with database.connection(write=True) as connection:
            gone = connection.execute(
                text(
                    "DELETE FROM ops.pool_samples WHERE id IN (SELECT id FROM ops.pool_samples"
                    " WHERE sampled_at < now() - make_interval(secs => :s) ORDER BY sampled_at LIMIT :most)"
                ),
                {"s": 86_400 * days, "most": _SAMPLES_AT_ONCE},
            ).rowcount
        deleted += gone
        if gone < _SAMPLES_AT_ONCE:
            return deleted
