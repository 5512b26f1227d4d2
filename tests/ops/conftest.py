"""What the health tests share: a server as it should be, and one that has no patience."""

from __future__ import annotations

from collections.abc import Iterator
from time import sleep
from typing import Any

import psycopg
import pytest

from subjunctive_admin.embedded import EmbeddedServer
from subjunctive_admin.ops import health
from subjunctive_admin.ops.health import registry
from subjunctive_admin.ops.health.registry import Check, Limits
from subjunctive_admin.vocabulary import Status
from tests.ops import health_verbs

SAFE = ("fsync", "full_page_writes", "autovacuum")


@pytest.fixture(autouse=True)
def dispose_what_was_made() -> Iterator[None]:
    yield
    health_verbs.dispose_what_was_made()


@pytest.fixture
def sound_server(server: EmbeddedServer) -> Iterator[None]:
    """The tests' server with all that it saves on, and with its past forgotten: dropped databases, 40 checkpoints."""
    address = server.admin_url().replace("postgresql+psycopg", "postgresql")
    with psycopg.connect(address, autocommit=True) as connection:
        for name in SAFE:
            connection.execute(f"ALTER SYSTEM SET {name} = on")
        moved = connection.execute("SELECT to_regclass('pg_stat_checkpointer') IS NOT NULL").fetchone() == (True,)
        connection.execute(f"SELECT pg_stat_reset_shared('{'checkpointer' if moved else 'bgwriter'}')")
        _reload(connection, "on")
        yield
        for name in SAFE:
            connection.execute(f"ALTER SYSTEM RESET {name}")
        _reload(connection, "off")


def _reload(connection: psycopg.Connection, expected: str) -> None:
    connection.execute("SELECT pg_reload_conf()")
    for _ in range(200):
        if connection.execute("SHOW fsync").fetchone() == (expected,):
            return
        sleep(0.01)
    raise AssertionError(f"fsync is not {expected}")


@pytest.fixture
def one_more_check(monkeypatch: pytest.MonkeyPatch) -> Any:
    def add(look: Any) -> None:
        added = Check("extra", "Extra", "Test", "connect", "do something", lambda _: Limits(), Status.WARNING, look)
        monkeypatch.setitem(registry._checks, "extra", added)

    return add


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "CHECK_SECONDS", 0.3)
    monkeypatch.setattr(health, "_GRACE_SECONDS", 0.2)
    monkeypatch.setattr(health, "_LOCK_SECONDS", 0.1)
