"""Measured connection pools: how long connections are waited for, held, replaced.

SQLAlchemy has events for checkout and checkin but none for the wait or its timeout, so the
acquisition itself is timed where every engine, sync or async, passes: `Pool.connect`.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import asdict, dataclass, field
from math import ceil
from time import perf_counter
from typing import Any

from sqlalchemy import event
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.pool import AsyncAdaptedQueuePool, Pool, PoolProxiedConnection, QueuePool

_KEPT_TIMES = 2048


def percentile(values: list[float], share: float) -> float:
    """The nearest-rank percentile of `values`; 0 for none (Hyndman & Fan 1996, definition 1)."""
    if not values:
        return 0.0
    return sorted(values)[max(ceil(share * len(values)) - 1, 0)]


@dataclass
class PoolMonitor:
    """Counts and times of one engine's pool; times in seconds, the last 2,048 kept."""

    checkouts: int = 0
    timeouts: int = 0
    connects: int = 0
    invalidations: int = 0
    waits: deque[float] = field(default_factory=lambda: deque(maxlen=_KEPT_TIMES))
    holds: deque[float] = field(default_factory=lambda: deque(maxlen=_KEPT_TIMES))
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def waited(self, seconds: float) -> None:
        """Note a connection handed out after `seconds`."""
        with self._lock:
            self.checkouts += 1
            self.waits.append(seconds)

    def timed_out(self) -> None:
        """Note a caller that got no connection."""
        with self._lock:
            self.timeouts += 1

    def attach(self, pool: Pool) -> None:
        """Listen to a pool's connections; holds are timed from checkout to checkin."""

        @event.listens_for(pool, "connect")
        def _connect(_connection: Any, _record: Any) -> None:
            self.connects += 1

        @event.listens_for(pool, "invalidate")
        def _invalidate(_connection: Any, _record: Any, _error: Any) -> None:
            self.invalidations += 1

        @event.listens_for(pool, "checkout")
        def _checkout(_connection: Any, record: Any, _proxy: Any) -> None:
            record.info["subjunctive_checked_out_at"] = perf_counter()

        @event.listens_for(pool, "checkin")
        def _checkin(_connection: Any, record: Any) -> None:
            since = record.info.pop("subjunctive_checked_out_at", None)
            if since is not None:
                self.holds.append(perf_counter() - since)


@dataclass(frozen=True)
class PoolReading:
    """One pool at one moment; times in milliseconds over the checkouts that the monitor kept."""

    size: int
    max_overflow: int
    checked_out: int
    idle: int
    overflow: int
    checkouts: int
    timeouts: int
    connects: int
    invalidations: int
    wait_p50_ms: float
    wait_p95_ms: float
    wait_max_ms: float
    hold_p95_ms: float
    hold_max_ms: float

    def as_dict(self) -> dict[str, float]:
        """The reading as plain numbers."""
        return asdict(self)


def read_pool(pool: Pool, monitor: PoolMonitor) -> PoolReading:
    """Read a pool; one without a queue (behind a pooler) keeps nothing, so its sizes are 0."""
    queue = pool if isinstance(pool, QueuePool) else None
    waits, holds = [1000 * s for s in monitor.waits], [1000 * s for s in monitor.holds]
    return PoolReading(
        size=queue.size() if queue else 0,
        max_overflow=max(queue._max_overflow, 0) if queue else 0,  # noqa: SLF001 - SQLAlchemy tells it nowhere else
        checked_out=queue.checkedout() if queue else 0,
        idle=queue.checkedin() if queue else 0,
        # SQLAlchemy counts from -size upwards until the pool is full.
        overflow=max(queue.overflow(), 0) if queue else 0,
        checkouts=monitor.checkouts,
        timeouts=monitor.timeouts,
        connects=monitor.connects,
        invalidations=monitor.invalidations,
        wait_p50_ms=percentile(waits, 0.5),
        wait_p95_ms=percentile(waits, 0.95),
        wait_max_ms=max(waits, default=0.0),
        hold_p95_ms=percentile(holds, 0.95),
        hold_max_ms=max(holds, default=0.0),
    )


class _Measured:
    monitor: PoolMonitor | None = None

    def connect(self) -> PoolProxiedConnection:
        """Time the acquisition, whatever it needs: a wait, a ping, a new connection."""
        started = perf_counter()
        try:
            connection: PoolProxiedConnection = super().connect()  # type: ignore[misc]
        except PoolTimeoutError:
            if self.monitor:
                self.monitor.timed_out()
            raise
        if self.monitor:
            self.monitor.waited(perf_counter() - started)
        return connection


class MeasuredQueuePool(_Measured, QueuePool):
    """QueuePool that times each acquisition."""


class MeasuredAsyncQueuePool(_Measured, AsyncAdaptedQueuePool):
    """The same for async engines."""
