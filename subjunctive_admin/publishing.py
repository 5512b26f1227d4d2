"""Samples of a process' pools in the database, so that others see what only the process itself can count.

A thread writes them over a connection of its own, opened for each sample: the pool that is measured is
never asked, a restart of the server is over with the next sample, and nothing is open in between.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any

from sqlalchemy import Connection, insert

from subjunctive_admin.errors import UsageError
from subjunctive_admin.models import PoolSample
from subjunctive_admin.pooling import PoolReading

_LOG = logging.getLogger(__name__)
_SHORTEST, _LONGEST = 0.05, 86_400.0
_STOP_SECONDS = 1.0

Readings = Callable[[], tuple[str, Mapping[str, PoolReading]]]


_COLUMNS = PoolSample.__table__.columns.keys()


def _sampled(reading: PoolReading) -> dict[str, float]:
    """What a sample keeps of a reading."""
    return {name: value for name, value in reading.as_dict().items() if name in _COLUMNS}


class PoolPublisher:
    """Writes a sample of each pool every `interval` seconds until it is stopped.

    `written` samples are in the database, `failed` rounds could not be written, `error` says why the last one
    could not and is None after one that could. It never raises into the application and never deletes.
    """

    def __init__(self, connect: Callable[[], AbstractContextManager[Connection]], read: Readings, interval: float):
        if not _SHORTEST <= interval <= _LONGEST:
            raise UsageError(f"Samples are written every {_SHORTEST:g} to {_LONGEST:,.0f} seconds, not {interval:g}.")
        self.interval = interval
        self.written = 0
        self.failed = 0
        self.error: str | None = None
        self._connect, self._read = connect, read
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._work, name="subjunctive-pool-samples", daemon=True)
        self._thread.start()

    @property
    def is_running(self) -> bool:
        """Whether more samples will come; not in a process that was forked from the one that publishes."""
        return self._thread.is_alive() and not self._ended.is_set()

    def stop(self, wait: float = _STOP_SECONDS) -> None:
        """Write no more; a sample under way is waited for so many seconds, and may still take a moment longer."""
        self._ended.set()
        if wait and self._thread is not threading.current_thread():
            self._thread.join(wait)

    def as_dict(self) -> dict[str, Any]:
        """Interval and counts as JSON values."""
        return {"interval": self.interval, "written": self.written, "failed": self.failed, "error": self.error}

    def _work(self) -> None:
        while True:
            try:
                self._write()
            except Exception as error:  # noqa: BLE001 - an application does not fail because nobody can watch it
                self._note(error)
            if self._ended.wait(self.interval):
                return

    def _write(self) -> None:
        name, readings = self._read()
        if not readings:
            return  # no pool was used yet
        rows = [
            {"application_name": name, "pool": pool, "interval_s": self.interval, **_sampled(reading)}
            for pool, reading in readings.items()
        ]
        with self._connect() as connection:
            connection.execute(insert(PoolSample), rows)
        self.written += len(rows)
        self.error = None

    def _note(self, error: Exception) -> None:
        self.failed += 1
        if self.error is None:
            _LOG.warning("A sample of the connection pool could not be written: %s", error)
        self.error = str(error)
