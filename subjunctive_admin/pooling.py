"""Measured connection pools: how long connections are waited for, held, replaced, and by whom.

SQLAlchemy has events for connect, invalidate and close but none for the wait or its timeout, so the
acquisition itself is timed where every engine, sync or async, passes: `Pool.connect`. What a checkout
costs more for it is a bar of `benchmarks/pool.py`, so a stack is kept as code and offsets, and turned
into lines only when somebody asks.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from collections import deque
from dataclasses import asdict, dataclass, field
from itertools import count
from math import ceil
from pathlib import Path
from time import perf_counter
from types import CodeType, FrameType
from typing import Any, Self

from greenlet import getcurrent
from sqlalchemy import event
from sqlalchemy.exc import InvalidatePoolError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.pool import AsyncAdaptedQueuePool, NullPool, Pool, PoolProxiedConnection, QueuePool

_KEPT_TIMES = 2048
# Whoever took a connection stands within these; the deeper a web framework, the less its bottom tells.
_KEPT_FRAMES = 16
_SHOWN_FRAMES = 8
# A connection that lies ready is handed out in less; who asks longer than this waits.
_PENDING_SECONDS = 0.001
_TICKETS = count(1)
# Frames of these say how the connection was taken, not by whom.
_PLUMBING = ("sqlalchemy", "greenlet", "IPython", "ipykernel", "traitlets", "tornado", "asyncio", "concurrent")
_PLUMBING_FILES = (
    "contextlib.py",
    "threading.py",
    "runpy.py",
    "subjunctive_admin/db.py",
    "subjunctive_admin/pooling.py",
)

Frames = tuple[CodeType | int, ...]
"""A code object and the offset of its current instruction, in turn, innermost first."""


def percentile(values: list[float], share: float) -> float:
    """The nearest-rank percentile of `values`; 0 for none (Hyndman & Fan 1996, definition 1)."""
    if not values:
        return 0.0
    return sorted(values)[max(ceil(share * len(values)) - 1, 0)]


@dataclass(frozen=True)
class Holder:
    """Who holds a connection: the thread or the asyncio task, since how many seconds, and where it was taken.

    `stack` has lines like `shop/views.py:44 in submit`, innermost first, without those of libraries.
    """

    owner: str
    seconds: float
    stack: tuple[str, ...]


@dataclass
class PoolMonitor:
    """Counts and times of one engine's pool; times in seconds, the last 2,048 kept."""

    checkouts: int = 0
    timeouts: int = 0
    connects: int = 0
    reconnects: int = 0
    invalidations: int = 0
    recycles: int = 0
    waits: deque[float] = field(default_factory=lambda: deque(maxlen=_KEPT_TIMES))
    holds: deque[float] = field(default_factory=lambda: deque(maxlen=_KEPT_TIMES))
    waiting: dict[int, float] = field(default_factory=dict, repr=False)
    holding: dict[int, tuple[float, str, Frames]] = field(default_factory=dict, repr=False)
    opened: dict[int, float] = field(default_factory=dict, repr=False)
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

    def returned(self, record: object) -> None:
        """Note that the connection of a pool's record came back."""
        held = self.holding.pop(id(record), None)
        if held is not None:
            self.holds.append(perf_counter() - held[0])

    @property
    def pending(self) -> int:
        """Callers that are waiting now."""
        since = perf_counter() - _PENDING_SECONDS
        # list() copies a dictionary's values in one step of the interpreter, whoever changes it meanwhile.
        return sum(started < since for started in list(self.waiting.values()))

    @property
    def oldest(self) -> float:
        """Age in seconds of the connection that was opened first; 0 when none is open."""
        first = min(list(self.opened.values()), default=None)
        return 0.0 if first is None else perf_counter() - first

    def holders(self, longer_than: float = 0.0) -> list[Holder]:
        """Who holds a connection for more than so many seconds now, longest first."""
        now = perf_counter()
        held = sorted((h for h in list(self.holding.values()) if now - h[0] > longer_than), key=lambda h: h[0])
        return [Holder(owner, now - since, _written(frames)) for since, owner, frames in held]

    def count_held(self, longer_than: float) -> int:
        """How many connections are held for more than so many seconds now."""
        since = perf_counter() - longer_than
        return sum(held[0] < since for held in list(self.holding.values()))

    def attach(self, pool: Pool) -> None:
        """Listen to how a pool's connections are opened, replaced and closed."""

        @event.listens_for(pool, "connect")
        def _connect(connection: Any, record: Any) -> None:
            self._opened(connection, record.record_info, pool._recycle)  # noqa: SLF001 - told nowhere else

        @event.listens_for(pool, "invalidate")
        @event.listens_for(pool, "soft_invalidate")
        def _invalidate(_connection: Any, record: Any, error: Any) -> None:
            record.record_info["subjunctive_broken"] = True
            with self._lock:
                # This error is the pre-ping's own: the server had closed the connection while it lay idle.
                if isinstance(error, InvalidatePoolError):
                    self.reconnects += 1
                else:
                    self.invalidations += 1

        @event.listens_for(pool, "close")
        @event.listens_for(pool, "detach")
        def _close(connection: Any, _record: Any) -> None:
            self.opened.pop(id(connection), None)

    def _opened(self, connection: object, record: dict[str, Any], recycle: float) -> None:
        now = perf_counter()
        before, broken = record.get("subjunctive_opened"), record.pop("subjunctive_broken", False)
        record["subjunctive_opened"] = self.opened[id(connection)] = now
        with self._lock:
            self.connects += 1
            if before is not None and not broken:
                aged = recycle > -1 and now - before > recycle
                self.recycles += aged
                # The others of a pool in which one was found dead are replaced without an event.
                self.reconnects += not aged


def _walk(frame: FrameType | None) -> Frames:
    found: list[CodeType | int] = []
    while frame is not None and len(found) < 2 * _KEPT_FRAMES:
        found += (frame.f_code, frame.f_lasti)
        frame = frame.f_back
    return tuple(found)


def _written(frames: Frames) -> tuple[str, ...]:
    lines = []
    for code, offset in zip(frames[::2], frames[1::2], strict=True):
        assert isinstance(code, CodeType)
        assert isinstance(offset, int)
        path = Path(code.co_filename)
        if not (set(path.parts) & set(_PLUMBING) or path.as_posix().endswith(_PLUMBING_FILES)):
            number = next((n for start, end, n in code.co_lines() if start <= offset < end), None)
            lines.append(f"{'/'.join(path.parts[-2:])}:{number} in {code.co_qualname}")
    return tuple(lines[:_SHOWN_FRAMES])


@dataclass(frozen=True)
class PoolReading:
    """One pool at one moment; times in milliseconds over the checkouts that the monitor kept.

    `pending` callers are waiting now, `suspects` are connections held suspiciously long, `reconnects` were found
    dead before they were handed out, `invalidations` broke in use, `recycles` were replaced for their age, and
    `oldest_s` is the age in seconds of the oldest connection.
    """

    size: int
    max_overflow: int
    checked_out: int
    idle: int
    overflow: int
    pending: int
    checkouts: int
    timeouts: int
    connects: int
    reconnects: int
    invalidations: int
    recycles: int
    suspects: int
    oldest_s: float
    wait_p50_ms: float
    wait_p95_ms: float
    wait_max_ms: float
    hold_p50_ms: float
    hold_p95_ms: float
    hold_max_ms: float

    def as_dict(self) -> dict[str, float]:
        """The reading as plain numbers."""
        return asdict(self)


def read_pool(pool: Pool, monitor: PoolMonitor, suspect_after: float = 60.0) -> PoolReading:
    """Read a pool; one without a queue (behind a pooler) keeps nothing, so its sizes are 0.

    A connection held for more than `suspect_after` seconds may have been forgotten.
    """
    queue = pool if isinstance(pool, QueuePool) else None
    # Threads go on appending meanwhile; a copy is one step of the interpreter.
    waits, holds = [1000 * s for s in monitor.waits.copy()], [1000 * s for s in monitor.holds.copy()]
    return PoolReading(
        size=queue.size() if queue else 0,
        max_overflow=max(queue._max_overflow, 0) if queue else 0,  # noqa: SLF001 - SQLAlchemy tells it nowhere else
        # Also those that were taken before a reset and are still in use.
        checked_out=len(monitor.holding),
        idle=queue.checkedin() if queue else 0,
        # SQLAlchemy counts from -size upwards until the pool is full.
        overflow=max(queue.overflow(), 0) if queue else 0,
        pending=monitor.pending,
        checkouts=monitor.checkouts,
        timeouts=monitor.timeouts,
        connects=monitor.connects,
        reconnects=monitor.reconnects,
        invalidations=monitor.invalidations,
        recycles=monitor.recycles,
        suspects=monitor.count_held(suspect_after),
        oldest_s=monitor.oldest,
        wait_p50_ms=percentile(waits, 0.5),
        wait_p95_ms=percentile(waits, 0.95),
        wait_max_ms=max(waits, default=0.0),
        hold_p50_ms=percentile(holds, 0.5),
        hold_p95_ms=percentile(holds, 0.95),
        hold_max_ms=max(holds, default=0.0),
    )


class MeasuredPool(Pool):
    """What every measured pool does; without a monitor it is the pool it derives from."""

    monitor: PoolMonitor | None = None
    _retired = False

    def connect(self) -> PoolProxiedConnection:
        """Time the acquisition, whatever it needs: a wait, a ping, a new connection."""
        monitor = self.monitor
        if monitor is None:
            return super().connect()
        started, ticket = perf_counter(), next(_TICKETS)
        monitor.waiting[ticket] = started
        try:
            connection = super().connect()
        except PoolTimeoutError:
            monitor.timed_out()
            raise
        finally:
            del monitor.waiting[ticket]
        now = perf_counter()
        monitor.waited(now - started)
        record = connection._connection_record  # noqa: SLF001 - what comes back names it
        monitor.holding[id(record)] = (now, self._owner(), self._frames(sys._getframe(1)))  # noqa: SLF001
        return connection

    def _owner(self) -> str:
        return threading.current_thread().name

    def _frames(self, caller: FrameType) -> Frames:
        return _walk(caller)

    def _do_return_conn(self, record: Any) -> None:
        # Before the next caller can have it.
        if self.monitor is not None:
            self.monitor.returned(record)
        if self._retired:
            record.close()
        else:
            super()._do_return_conn(record)

    def recreate(self) -> Self:
        """The pool that takes this one's place: what is still out is closed when it comes back here."""
        successor = super().recreate()
        assert isinstance(successor, type(self))
        successor.monitor = self.monitor
        self._retired = True
        return successor


class MeasuredQueuePool(MeasuredPool, QueuePool):
    """QueuePool that times each acquisition."""


class MeasuredNullPool(MeasuredPool, NullPool):
    """NullPool that does the same: behind a pooler each connection is opened when it is asked for."""


class MeasuredAsyncQueuePool(MeasuredPool, AsyncAdaptedQueuePool):
    """The same for async engines; owners are tasks, and their stack goes on in the coroutine that awaits."""

    def _owner(self) -> str:
        try:
            task = asyncio.current_task()
        except RuntimeError:  # no loop is running
            task = None
        return task.get_name() if task else super()._owner()

    def _frames(self, caller: FrameType) -> Frames:
        awaiting = getcurrent().parent
        beyond = awaiting.gr_frame if awaiting is not None else None
        return _walk(caller) + _walk(beyond)
