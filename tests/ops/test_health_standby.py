"""Health on both sides of a replication: a real primary, and a standby made of it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import make_url

from subjunctive_admin.db import Database
from subjunctive_admin.embedded import EmbeddedServer
from subjunctive_admin.ops.health import run_health, vacuum
from subjunctive_admin.ops.health import server as looks
from subjunctive_admin.schema import migrate
from subjunctive_admin.vocabulary import Status
from tests.folders import reachable_folder
from tests.ops.health_verbs import (
    another_role,
    check_finds,
    check_passes,
    result_of,
    run_and_count,
    session,
)
from tests.ops.test_health_server import STREAMING, wait_for

pytestmark = pytest.mark.faults

WRITTEN = "SELECT pg_logical_emit_message(true, 'x', repeat('x', 100000))"


@dataclass(frozen=True)
class Pair:
    """A primary and its standby, and the way to each as the role that does the work."""

    server: EmbeddedServer
    primary: Database
    standby: Database
    standby_socket: Path

    def admin_of_standby(self, *statements: str) -> None:
        url = make_url(self.server.admin_url()).update_query_dict({"host": str(self.standby_socket)})
        address = url.set(drivername="postgresql").render_as_string(hide_password=False)
        with psycopg.connect(address, autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement.encode())


@pytest.fixture(scope="module")
def servers(pytestconfig: pytest.Config) -> Iterator[tuple[EmbeddedServer, Path]]:
    """A migrated primary and the socket folder of its running standby."""
    major = pytestconfig.getoption("--postgres")
    if major == 15:
        pytest.skip("the programs of PostgreSQL 15 are not the wheel's")
    with reachable_folder() as home:
        primary = EmbeddedServer(home, major=major, durable=False, extra_settings=STREAMING)
        primary.start()
        database = Database(primary.url())
        migrate(database)
        database.dispose()
        with _standby(primary) as socket:
            yield primary, socket
        primary.stop()


@contextmanager
def _standby(primary: EmbeddedServer) -> Iterator[Path]:
    """A copy of the primary's data beside it, started as a standby by the primary's own programs."""
    place = primary.folder / "standby"
    for folder in (place, place / "run", place / "log"):
        folder.mkdir(mode=0o700)
        primary._own(folder)
    address = make_url(primary.admin_url())
    source = f"host={address.query['host']} port={address.query['port']} user=postgres password={address.password}"
    assert primary._run("pg_basebackup", "-d", source, "-D", str(place / "data"), "-R", "-c", "fast") is None
    control = ["-D", str(place / "data"), "-w"]
    assert (
        primary._run(
            "pg_ctl",
            *control,
            "-o",
            "-c hot_standby_feedback=on -c wal_receiver_status_interval=1",
            "-l",
            str(place / "log" / "start"),
            "start",
        )
        is None
    )
    try:
        yield place / "run"
    finally:
        primary._run("pg_ctl", *control, "-m", "immediate", "stop")
        shutil.rmtree(place, ignore_errors=True)


@pytest.fixture
def pair(servers: tuple[EmbeddedServer, Path]) -> Iterator[Pair]:
    server, socket = servers
    primary = Database(server.url())
    standby = Database(primary.url.update_query_dict({"host": str(socket)}))
    wait_for(lambda: result_of(primary, "replication").status is Status.OK)
    yield Pair(server, primary, standby, socket)
    primary.dispose()
    standby.dispose()


def test_a_standby_that_keeps_up_passes_on_both_sides(pair: Pair) -> None:
    check_passes(pair.primary, "replication")
    check_passes(pair.standby, "replication")
    check_passes(pair.standby, "replay-paused")


@pytest.mark.injects("read-only-standby")
def test_every_check_can_look_through_a_standby(pair: Pair) -> None:
    report = run_health(pair.standby)
    # The tests' servers save on what keeps data through a crash.
    assert {one.id: one.message for one in report.findings if one.id != "durability"} == {}
    skipped = {one.id for one in report.checks if one.status is Status.SKIPPED}
    assert {"checkpoints", "disk-data"} <= skipped
    assert "replication" not in skipped


@pytest.mark.injects("replication-lag")
def test_a_paused_replay_is_found_on_the_standby_and_as_lag(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    pair.admin_of_standby("SELECT pg_wal_replay_pause()")
    run_and_count(pair.primary, WRITTEN)
    check_finds(pair.standby, "replay-paused", Status.WARNING, "Replay is paused on this standby")
    monkeypatch.setattr(looks, "LAG_BYTES", 50_000.0)
    wait_for(lambda: result_of(pair.standby, "replication").status is not Status.OK)
    check_finds(pair.standby, "replication", Status.WARNING, "This standby is ", "kB behind what it has received")
    wait_for(lambda: result_of(pair.primary, "replication").status is not Status.OK)
    check_finds(pair.primary, "replication", Status.WARNING, "walreceiver is ", "kB behind")
    monkeypatch.setattr(looks, "LAG_CRITICAL", 0.0)
    check_finds(pair.standby, "replication", Status.CRITICAL, "behind what it has received")
    pair.admin_of_standby("SELECT pg_wal_replay_resume()")
    monkeypatch.undo()
    wait_for(lambda: result_of(pair.standby, "replication").status is Status.OK)
    check_passes(pair.standby, "replay-paused")


def test_an_idle_primary_has_no_lag_however_old_its_last_change_is(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looks, "LAG_WARNING", 0.001)
    run_and_count(pair.primary, WRITTEN)
    wait_for(lambda: result_of(pair.standby, "replication").observed == "0 s")
    check_passes(pair.standby, "replication")


@pytest.mark.injects("replication-lag")
def test_a_standby_that_receives_nothing_is_found(pair: Pair) -> None:
    pair.admin_of_standby("ALTER SYSTEM SET primary_conninfo = ''", "SELECT pg_reload_conf()")
    wait_for(lambda: result_of(pair.standby, "replication").status is not Status.OK)
    check_finds(pair.standby, "replication", Status.WARNING, "receives nothing from its primary")
    check_finds(pair.primary, "replication", Status.SKIPPED, "has no standby")
    address = make_url(pair.server.admin_url())
    source = f"host={address.query['host']} port={address.query['port']} user=postgres password={address.password}"
    pair.admin_of_standby(f"ALTER SYSTEM SET primary_conninfo = '{source}'", "SELECT pg_reload_conf()")


def test_the_standbys_are_unknown_to_a_role_that_may_not_see_them(pair: Pair) -> None:
    with another_role(pair.server, pair.primary) as other:
        found = check_finds(other, "replication", Status.UNKNOWN, "how far the standbys are")
        assert "pg_monitor" in found.remedy


def test_a_standby_that_holds_back_vacuum_is_named(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    check_passes(pair.primary, "xmin-horizon")
    monkeypatch.setattr(vacuum, "AGE_BUDGET", 400)
    with session(pair.standby) as reader:
        reader.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        reader.execute("SELECT 1")
        run_and_count(pair.primary, *["SELECT pg_current_xact_id()"] * 60)
        wait_for(lambda: result_of(pair.primary, "xmin-horizon").status is Status.WARNING)
        check_finds(pair.primary, "xmin-horizon", Status.WARNING, "(walreceiver) holds a snapshot ")
    wait_for(lambda: result_of(pair.primary, "xmin-horizon").status is Status.OK)
