"""The pool counts who came, who waited, how long connections were held, and who got none."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from subjunctive_admin.db import Database
from subjunctive_admin.errors import NoConnectionLeft
from subjunctive_admin.pooling import MeasuredQueuePool, PoolMonitor, percentile, read_pool
from tests.conftest import close

Sized = Callable[..., Database]


@pytest.fixture
def sized(empty_database: Database) -> Iterator[Sized]:
    """A database with a pool of another size."""
    with ExitStack() as stack:

        def make(size: int, overflow: int, timeout: float = 0.05) -> Database:
            changed = {"pool_size": size, "pool_overflow": overflow, "pool_timeout": timeout}
            made = Database(empty_database.url, empty_database.settings.model_copy(update=changed))
            stack.callback(close, made)
            return made

        yield make


@pytest.mark.parametrize(
    ("values", "share", "expected"),
    [
        ([], 0.5, 0.0),
        ([7.0], 0.5, 7.0),
        ([7.0], 0.95, 7.0),
        # The example of the nearest-rank method: 15, 20, 35, 40, 50.
        ([15.0, 20.0, 35.0, 40.0, 50.0], 0.05, 15.0),
        ([15.0, 20.0, 35.0, 40.0, 50.0], 0.30, 20.0),
        ([15.0, 20.0, 35.0, 40.0, 50.0], 0.40, 20.0),
        ([15.0, 20.0, 35.0, 40.0, 50.0], 0.50, 35.0),
        ([15.0, 20.0, 35.0, 40.0, 50.0], 1.00, 50.0),
        ([3.0, 1.0, 2.0], 0.0, 1.0),
        ([float(n) for n in range(1, 101)], 0.95, 95.0),
    ],
)
def test_a_percentile_is_the_value_of_the_nearest_rank(values: list[float], share: float, expected: float) -> None:
    assert percentile(values, share) == expected


@given(st.lists(st.floats(allow_nan=False), min_size=1), st.floats(0, 1))
def test_a_percentile_is_one_of_the_values_and_enough_are_not_above_it(values: list[float], share: float) -> None:
    found = percentile(values, share)
    assert found in values
    assert sum(value <= found for value in values) >= share * len(values) * (1 - 1e-9)


def test_a_checkout_is_counted_timed_and_given_back(sized: Sized) -> None:
    one = sized(1, 0)
    for _ in range(3):
        with one.engine.connect() as connection:
            assert one.pool_reading().checked_out == 1
            connection.execute(text("SELECT pg_sleep(0.02)"))

    reading = one.pool_reading()
    assert (reading.size, reading.max_overflow, reading.checked_out, reading.idle, reading.overflow) == (1, 0, 0, 1, 0)
    assert (reading.checkouts, reading.connects, reading.timeouts, reading.invalidations) == (3, 1, 0, 0)
    assert len(one.monitor.waits) == len(one.monitor.holds) == 3
    assert reading.hold_max_ms >= reading.hold_p95_ms >= 20
    assert reading.wait_max_ms >= reading.wait_p95_ms >= reading.wait_p50_ms > 0


def test_a_caller_that_waits_for_another_is_timed(sized: Sized) -> None:
    one = sized(1, 0, timeout=5)
    taken, waiting = threading.Event(), 0.1

    def hold() -> None:
        with one.engine.connect():
            taken.set()
            time.sleep(waiting)

    holder = threading.Thread(target=hold)
    holder.start()
    taken.wait(5)
    with one.engine.connect():
        pass
    holder.join()
    assert one.pool_reading().wait_max_ms >= 0.8 * 1000 * waiting
    assert one.pool_reading().connects == 1


def test_a_caller_that_gets_none_is_counted(sized: Sized) -> None:
    one = sized(1, 0)
    with one.engine.connect():
        for _ in range(2):
            with pytest.raises(NoConnectionLeft), one.connection():
                pass
    assert (one.pool_reading().timeouts, one.pool_reading().checkouts) == (2, 1)


def test_connections_beyond_the_pool_are_overflow(sized: Sized) -> None:
    one = sized(1, 2)
    assert one.pool_reading().overflow == 0
    with one.engine.connect(), one.engine.connect(), one.engine.connect():
        reading = one.pool_reading()
        assert (reading.checked_out, reading.overflow, reading.idle) == (3, 2, 0)
    assert (one.pool_reading().overflow, one.pool_reading().idle) == (0, 1)


def test_a_connection_that_broke_is_counted_as_replaced(sized: Sized) -> None:
    one = sized(1, 0)
    with one.engine.connect() as connection:
        connection.invalidate()
    with one.engine.connect():
        pass
    assert (one.pool_reading().invalidations, one.pool_reading().connects) == (1, 2)


async def test_the_async_pool_is_measured_alike_and_apart(sized: Sized) -> None:
    one = sized(1, 0, timeout=5)

    async def hold() -> None:
        async with one.async_engine.connect() as connection:
            await connection.execute(text("SELECT pg_sleep(0.05)"))

    await asyncio.gather(hold(), hold(), hold())

    reading = one.async_pool_reading()
    assert (reading.checkouts, reading.connects, reading.timeouts, reading.checked_out) == (3, 1, 0, 0)
    assert reading.wait_max_ms >= 80
    assert reading.hold_max_ms >= 50
    assert one.monitor.checkouts == 0


async def test_an_async_caller_that_gets_none_is_counted(sized: Sized) -> None:
    one = sized(1, 0)
    async with one.async_engine.connect():
        with pytest.raises(NoConnectionLeft):
            async with one.async_session():
                pass
    assert (one.async_pool_reading().timeouts, one.async_pool_reading().checkouts) == (1, 1)


def test_only_the_last_times_are_kept() -> None:
    monitor = PoolMonitor()
    for number in range(3000):
        monitor.waited(float(number))
    assert (monitor.checkouts, len(monitor.waits), min(monitor.waits)) == (3000, 2048, 952.0)


def test_many_threads_lose_no_count() -> None:
    monitor = PoolMonitor()

    def count() -> None:
        for _ in range(2000):
            monitor.waited(0.0)
            monitor.timed_out()

    threads = [threading.Thread(target=count) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (monitor.checkouts, monitor.timeouts) == (16_000, 16_000)


def test_a_pool_that_keeps_nothing_reads_as_zero() -> None:
    engine = create_engine("postgresql+psycopg://nobody@/nowhere", poolclass=NullPool)
    reading = read_pool(engine.pool, PoolMonitor())
    assert set(reading.as_dict().values()) == {0}


def test_a_pool_works_without_a_monitor(empty_database: Database) -> None:
    engine = create_engine(empty_database.url, poolclass=MeasuredQueuePool)
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT 1")) == 1
    engine.dispose()


def test_a_reading_is_plain_numbers_for_json(sized: Sized) -> None:
    found = json.loads(json.dumps(sized(2, 1).pool_reading().as_dict()))
    assert (found["size"], found["max_overflow"], found["wait_p95_ms"]) == (2, 1, 0.0)
