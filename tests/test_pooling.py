"""The pool counts who came, who waited, how long connections were held, and who got none."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.pool import NullPool

from subjunctive_admin.db import Database
from subjunctive_admin.errors import NoConnectionLeft, ServerUnreachable
from subjunctive_admin.pooling import MeasuredQueuePool, PoolMonitor, percentile, read_pool
from tests.conftest import close

Sized = Callable[..., Database]


def eventually(met: Callable[[], bool]) -> bool:
    """Whether it is so within five seconds."""
    deadline = time.monotonic() + 5
    while not met() and time.monotonic() < deadline:
        time.sleep(0.005)
    return met()


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


def test_a_connection_that_died_idle_is_found_by_the_ping_and_replaced(sized: Sized) -> None:
    one, other = sized(2, 0), sized(1, 0)
    with one.engine.connect() as first, one.engine.connect():
        name = one.application_name
        assert first.scalar(text("SELECT count(*) FROM pg_stat_activity WHERE application_name = :n"), {"n": name}) == 2
    with other.engine.connect() as killer:
        killer.execute(
            text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = :n AND pid <> :me"),
            {"n": name, "me": killer.scalar(text("SELECT pg_backend_pid()"))},
        )
    with one.engine.connect(), one.engine.connect():
        pass
    reading = one.pool_reading()
    assert (reading.reconnects, reading.invalidations, reading.recycles, reading.connects) == (2, 0, 0, 4)


def test_a_connection_that_broke_in_use_is_an_invalidation_and_no_reconnect(sized: Sized) -> None:
    one = sized(1, 0)
    with pytest.raises(ServerUnreachable), one.connection() as connection:
        connection.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))
    with one.engine.connect():
        pass
    reading = one.pool_reading()
    assert (reading.invalidations, reading.reconnects, reading.connects) == (1, 0, 2)


def test_a_connection_past_its_age_is_recycled(empty_database: Database) -> None:
    settings = empty_database.settings.model_copy(update={"pool_recycle": 1})
    one = Database(empty_database.url, settings)
    with one.engine.connect():
        pass
    time.sleep(1.05)
    assert one.pool_reading().oldest_s > 1
    with one.engine.connect():
        pass
    reading = one.pool_reading()
    assert (reading.recycles, reading.reconnects, reading.invalidations) == (1, 0, 0)
    assert reading.oldest_s < 1
    one.dispose()
    assert one.pool_reading().oldest_s == 0


def test_callers_that_wait_now_are_pending(sized: Sized) -> None:
    one = sized(1, 0, timeout=5)

    def take() -> None:
        with one.engine.connect():
            pass

    callers = [threading.Thread(target=take) for _ in range(3)]
    with one.engine.connect():
        for caller in callers:
            caller.start()
        assert eventually(lambda: one.pool_reading().pending == 3)
    for caller in callers:
        caller.join()
    assert one.pool_reading().pending == 0


def forgetful(database: Database) -> Connection:
    return database.engine.connect()


def test_a_connection_held_too_long_is_a_suspect_with_the_stack_of_who_took_it(sized: Sized) -> None:
    one = sized(1, 1)
    kept = forgetful(one)
    with one.engine.connect():
        assert eventually(lambda: len(one.leak_suspects(longer_than=0.02)) == 2)
    (found,) = one.leak_suspects(longer_than=0.02)

    assert found.owner == threading.current_thread().name
    assert found.seconds > 0.02
    assert found.stack[0].startswith("tests/test_pooling.py:")
    assert found.stack[0].endswith(" in forgetful")
    assert "test_a_connection_held_too_long" in found.stack[1]
    assert not [line for line in found.stack if "sqlalchemy" in line]
    assert one.leak_suspects() == []
    assert one.pool_reading().suspects == 0
    kept.close()
    assert one.leak_suspects(longer_than=0) == []


def test_suspects_are_counted_beyond_the_setting(empty_database: Database) -> None:
    settings = empty_database.settings.model_copy(update={"pool_hold_suspect": 0.01})
    one = Database(empty_database.url, settings)
    with one.session(), one.session():
        assert eventually(lambda: one.pool_reading().suspects == 2)
        assert "test_suspects_are_counted" in one.leak_suspects()[0].stack[0]
    assert one.pool_reading().suspects == 0
    one.dispose()


async def take_async(database: Database, until: asyncio.Event) -> None:
    async with database.async_engine.connect():
        await until.wait()


async def test_an_async_holder_is_named_by_its_task_and_where_it_awaits(sized: Sized) -> None:
    one, until = sized(1, 0, timeout=5), asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        for name in ("first order", "second order"):
            tasks.create_task(take_async(one, until), name=name)
        while not (one.async_pool_reading().pending and one.leak_suspects(longer_than=0.001)):  # noqa: ASYNC110 - time has to pass
            await asyncio.sleep(0.01)
        (found,) = one.leak_suspects(longer_than=0.001)
        until.set()

    assert found.owner == "first order"
    assert found.stack[0].endswith(" in take_async")
    assert one.async_pool_reading().pending == 0


def test_a_reset_closes_what_is_idle_and_lets_what_is_in_use_finish(sized: Sized) -> None:
    one = sized(2, 0)
    with one.engine.connect() as used, one.engine.connect():
        before = used.scalar(text("SELECT pg_backend_pid()"))
        one.reset_pool()
        with one.engine.connect() as fresh:
            assert used.scalar(text("SELECT pg_backend_pid()")) == before
            assert one.pool_reading().checked_out == 3
            assert before != fresh.scalar(text("SELECT pg_backend_pid()"))

    reading = one.pool_reading()
    assert (reading.checked_out, reading.idle, reading.checkouts, reading.connects) == (0, 1, 3, 3)
    with one.engine.connect() as fresh:
        sessions = text("SELECT count(*) FROM pg_stat_activity WHERE application_name = :name")
        assert fresh.scalar(sessions, {"name": one.application_name}) == 1


async def test_an_async_reset_lets_what_is_in_use_finish(sized: Sized) -> None:
    one = sized(2, 0)
    async with one.async_engine.connect() as used:
        await one.reset_async_pool()
        assert await used.scalar(text("SELECT 1")) == 1
    async with one.async_engine.connect() as fresh:
        sessions = text("SELECT count(*) FROM pg_stat_activity WHERE application_name = :name")
        assert await fresh.scalar(sessions, {"name": one.application_name}) == 1
    assert (one.async_pool_reading().connects, one.async_pool_reading().checkouts) == (2, 2)


def test_a_database_that_was_not_used_has_no_pool_to_reset(sized: Sized) -> None:
    one = sized(1, 0)
    one.reset_pool()
    assert one.pool_readings() == {}


def test_behind_a_pooler_checkouts_are_measured_too(empty_database: Database) -> None:
    settings = empty_database.settings.model_copy(update={"pooler": "transaction"})
    one = Database(empty_database.url, settings)
    with one.connection():
        assert one.pool_reading().checked_out == 1
    reading = one.pool_reading()
    assert (reading.checkouts, reading.connects, reading.checked_out, reading.size) == (1, 1, 0, 0)
    assert reading.hold_max_ms > 0


def test_the_process_id_stays_in_the_name_however_long_the_host_is_called(
    empty_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "host-" * 20)
    assert len(empty_database.application_name) == 63
    assert empty_database.application_name.endswith(f":{os.getpid()}")


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
