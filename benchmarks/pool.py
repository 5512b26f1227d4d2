"""What measuring a pool costs each checkout, against SQLAlchemy's own QueuePool: `python benchmarks/pool.py`.

On a server of its own, removed at the end. Both engines take and return a connection that lies ready, without
asking the server; batches in turn, so that a machine whose speed drifts moves both. The exit code is 1 when the
bar is missed.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path

from sqlalchemy import Engine, create_engine
from sqlalchemy.pool import QueuePool

from subjunctive_admin.embedded import EmbeddedServer
from subjunctive_admin.pooling import MeasuredQueuePool, PoolMonitor

PAIRS, CHECKOUTS = 15, 4000
LIMIT_MICROSECONDS = 15.0
DEPTH = 20


def microseconds(engine: Engine, depth: int = DEPTH) -> float:
    """Microseconds of one checkout and its return, asked from as deep as an application asks."""
    if depth:
        return microseconds(engine, depth - 1)
    started = time.perf_counter()
    for _ in range(CHECKOUTS):
        engine.connect().close()
    return 1e6 * (time.perf_counter() - started) / CHECKOUTS


def measured(url: str) -> Engine:
    """An engine whose pool is measured as the product measures it."""
    engine, monitor = create_engine(url, poolclass=MeasuredQueuePool), PoolMonitor()
    monitor.attach(engine.pool)
    assert isinstance(engine.pool, MeasuredQueuePool)
    engine.pool.monitor = monitor
    return engine


def compare(url: str) -> bool:
    """Print what measuring adds; True when the bar holds."""
    ours, peer = measured(url), create_engine(url, poolclass=QueuePool)
    microseconds(ours), microseconds(peer)
    pairs = [(microseconds(ours), microseconds(peer)) for _ in range(PAIRS)]
    for engine in (ours, peer):
        engine.dispose()
    added = statistics.median(one - other for one, other in pairs)
    here, there = (statistics.median(side) for side in zip(*pairs, strict=True))
    holds = added <= LIMIT_MICROSECONDS
    print(
        f"pool-checkout  {here:6.1f} µs  unmonitored {there:6.1f} µs  {added:5.1f} µs more  bar {LIMIT_MICROSECONDS:g}"
        f"  {'holds' if holds else 'MISSED'}"
    )
    return holds


def main() -> int:
    """Measure on a throwaway server."""
    with tempfile.TemporaryDirectory() as folder:
        # As root the server runs as another user, who passes through here.
        Path(folder).chmod(0o711)
        server = EmbeddedServer(Path(folder), durable=False)
        server.start()
        try:
            return 0 if compare(server.url("postgres")) else 1
        finally:
            server.stop()


if __name__ == "__main__":
    sys.exit(main())
