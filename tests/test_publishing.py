"""A process that publishes its pools writes samples beside them, and fails without disturbing anybody."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import Row, text

from subjunctive_admin.db import Database
from subjunctive_admin.embedded import EmbeddedServer
from subjunctive_admin.errors import UsageError, WriteRefused
from subjunctive_admin.schema import migrate
from tests.conftest import close
from tests.folders import reachable_folder


def eventually(met: Callable[[], bool], seconds: float = 10) -> bool:
    deadline = time.monotonic() + seconds
    while not met() and time.monotonic() < deadline:
        time.sleep(0.01)
    return met()


def samples(database: Database) -> list[Row[Any]]:
    with database.connection() as connection:
        return list(connection.execute(text("SELECT * FROM ops.pool_samples ORDER BY id")))


@pytest.fixture
def application(database: Database) -> Iterator[Database]:
    """Another process' view of the same database, with a pool of one connection."""
    settings = database.settings.model_copy(update={"pool_size": 1, "pool_overflow": 2, "pool_timeout": 0.1})
    made = Database(database.url, settings, purpose="web")
    yield made
    close(made)


def test_a_sample_is_what_the_process_counts_of_its_pool(database: Database, application: Database) -> None:
    with application.engine.connect():
        publisher = application.publish_pool(interval=0.05)
        assert eventually(lambda: publisher.written >= 2)
    newest = samples(database)[1]

    assert (newest.application_name, newest.pool) == (application.application_name, "sync")
    assert (newest.size, newest.max_overflow, newest.checked_out, newest.interval_s) == (1, 2, 1, 0.05)
    assert publisher.error is None
    assert application.pool_reading().checkouts == 1


def test_an_exhausted_pool_is_published_all_the_same(database: Database, application: Database) -> None:
    with application.engine.connect(), application.engine.connect(), application.engine.connect():
        publisher = application.publish_pool(interval=0.05)
        assert eventually(lambda: publisher.written >= 1)
    assert samples(database)[0].checked_out == 3
    assert publisher.failed == 0


async def test_each_pool_of_a_process_has_samples_of_its_own(database: Database, application: Database) -> None:
    async with application.async_engine.connect():
        with application.engine.connect():
            publisher = application.publish_pool(interval=0.05)
            assert eventually(lambda: publisher.written >= 2)
    assert {row.pool for row in samples(database)} == {"sync", "async"}
    await application.dispose_async()
    assert not publisher.is_running


def test_a_process_that_used_no_pool_publishes_none(database: Database, application: Database) -> None:
    publisher = application.publish_pool(interval=0.05)
    time.sleep(0.2)
    assert (publisher.written, publisher.failed, samples(database)) == (0, 0, [])


def test_publishing_ends_with_the_database_object(database: Database, application: Database) -> None:
    with application.engine.connect():
        publisher = application.publish_pool(interval=0.05)
        assert eventually(lambda: publisher.written >= 1)
    application.dispose()
    before = len(samples(database))
    time.sleep(0.2)
    assert len(samples(database)) == before
    assert not publisher.is_running
    assert application.publisher is None


def test_publishing_again_takes_the_place_of_the_first(application: Database) -> None:
    first = application.publish_pool(interval=60)
    second = application.publish_pool(interval=30)
    assert (first.is_running, second.is_running) == (False, True)
    assert second.as_dict() == {"interval": 30, "written": 0, "failed": 0, "error": None}


def test_a_sample_that_cannot_be_written_is_counted_logged_once_and_raised_nowhere(
    database: Database, application: Database, caplog: pytest.LogCaptureFixture
) -> None:
    with database.connection(write=True) as connection:
        connection.execute(text("ALTER TABLE ops.pool_samples RENAME TO elsewhere"))
    with caplog.at_level(logging.WARNING), application.engine.connect() as connection:
        publisher = application.publish_pool(interval=0.05)
        assert eventually(lambda: publisher.failed >= 3)
        assert connection.scalar(text("SELECT 1")) == 1
    assert "ops.pool_samples" in str(publisher.error)
    assert len([record for record in caplog.records if "could not be written" in record.message]) == 1

    with database.connection(write=True) as connection:
        connection.execute(text("ALTER TABLE ops.elsewhere RENAME TO pool_samples"))
    assert eventually(lambda: publisher.written >= 1)
    assert publisher.error is None


def test_nothing_is_published_where_nothing_may_be_written(database: Database) -> None:
    refused = Database(database.url, database.settings.model_copy(update={"read_only": True}))
    with pytest.raises(WriteRefused):
        refused.publish_pool()


@pytest.mark.parametrize("interval", [0, 0.01, 90_000])
def test_an_interval_without_sense_is_refused(application: Database, interval: float) -> None:
    with pytest.raises(UsageError, match=r"every 0\.05 to 86,400 seconds"):
        application.publish_pool(interval)


def test_publishing_deletes_nothing(database: Database, application: Database) -> None:
    with database.connection(write=True) as connection:
        connection.execute(
            text("INSERT INTO ops.pool_samples (application_name, sampled_at) VALUES ('gone', '2020-01-01T00:00Z')")
        )
    with application.engine.connect():
        publisher = application.publish_pool(interval=0.05)
        assert eventually(lambda: publisher.written >= 1)
    assert samples(database)[0].application_name == "gone"


@pytest.mark.faults
@pytest.mark.injects("server-down")
def test_publishing_survives_a_restart_of_the_server() -> None:
    with reachable_folder() as home:
        server = EmbeddedServer(home, durable=False)
        server.start()
        try:
            application = Database(server.url(), purpose="web")
            migrate(application)
            publisher = application.publish_pool(interval=0.05)
            assert eventually(lambda: publisher.written >= 1)
            server.stop()
            assert eventually(lambda: publisher.failed >= 1)
            server.start()
            before = publisher.written
            assert eventually(lambda: publisher.written > before)
            assert publisher.is_running
            # The pool heals by itself too: its idle connections were found dead.
            with application.connection() as connection:
                assert connection.scalar(text("SELECT 1")) == 1
            assert application.pool_reading().reconnects == 1
            application.dispose()
        finally:
            server.stop()
