"""Whatever ends a backup, a verification or a restore: nothing half done counts, and nothing is left at work."""

from __future__ import annotations

import hashlib
import os
import random
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest
from sqlalchemy import text

from subjunctive_admin.db import Database
from subjunctive_admin.embedded import EmbeddedServer
from subjunctive_admin.errors import CouldNotBegin
from subjunctive_admin.ops.backup import (
    BackupFailed,
    DamagedBackup,
    RestoreFailed,
    create_backup,
    find,
    prune,
    read_folder,
    restore_beside,
    verify_backup,
)
from subjunctive_admin.ops.backup import create as creating
from subjunctive_admin.ops.backup.create import sha256_of
from subjunctive_admin.ops.backup.restore import check_file, clear_throwaways
from tests.conftest import Cluster
from tests.folders import reachable_folder
from tests.ops.backup_verbs import (
    SMALL,
    Saved,
    autocommit,
    databases,
    rest_of,
    saving_to,
    scalar,
    visible,
)
from tests.ops.health_verbs import locked, run_sql, with_settings

pytestmark = [pytest.mark.faults, pytest.mark.skipif(sys.platform == "win32", reason="written for signals")]
PATIENCE = 30.0
FLIPS = 60
BULK = "CREATE TABLE bulk AS SELECT n, md5(n::text) || md5((-n)::text) AS word FROM generate_series(1, 400000) n"
# As the command line has it: SIGTERM is raised where the program stands.
PROGRAM = """
import signal, sys
from subjunctive_admin.db import open_database
from subjunctive_admin.errors import SubjunctiveError
from subjunctive_admin.ops.backup import create_backup, verify_backup

signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
signal.signal(signal.SIGINT, signal.default_int_handler)
database = open_database()
progress = lambda what, *_: print(what, flush=True)
try:
    if sys.argv[1] == "create":
        create_backup(database, progress=progress)
    else:
        verify_backup(database.settings, progress=progress)
except KeyboardInterrupt:
    sys.exit(130)
except SubjunctiveError as error:
    sys.exit(f"{type(error).__name__}: {error}")
"""


@pytest.fixture(scope="module")
def bulk(cluster: Cluster) -> Iterator[Database]:
    """A database whose dump takes about a second."""
    with cluster.database() as database:
        run_sql(database, BULK)
        yield database


@pytest.fixture
def folder() -> Iterator[Path]:
    """A home that a server user can reach, with the folder of the backups in it."""
    with reachable_folder() as folder:
        yield folder


@pytest.fixture
def kept(bulk: Database, folder: Path) -> Database:
    return saving_to(bulk, folder / "backups", home=folder)


@pytest.fixture
def small(empty_database: Database, folder: Path) -> Saved:
    """A backup that is restored in a moment."""
    run_sql(empty_database, *SMALL)
    database = saving_to(empty_database, folder / "backups", home=folder, backup_timeout=30)
    return Saved(database, folder / "backups", create_backup(database))


@contextmanager
def started(database: Database, what: str, **options: Any) -> Iterator[subprocess.Popen[str]]:
    """Another process that makes (`create`) or verifies (`verify`) a backup, whatever becomes of it."""
    variables = {
        "SUBJUNCTIVE_DATABASE_URL": database.url.render_as_string(hide_password=False),
        "SUBJUNCTIVE_BACKUP_FOLDER": str(database.settings.backup_folder),
        "SUBJUNCTIVE_HOME": str(database.settings.home),
    }
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, what], env=os.environ | variables, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options,
    ) as process:  # fmt: skip
        try:
            yield process
        finally:
            process.kill()


@contextmanager
def at_work(database: Database, what: str, step: str) -> Iterator[subprocess.Popen[str]]:
    """The same, from the moment on when it reports the step."""
    with started(database, what) as process:
        assert process.stdout is not None
        if step not in (line.strip() for line in process.stdout):
            raise AssertionError(f"no step {step!r}: {process.communicate()[1]}")
        yield process


def wait_until(condition: Callable[[], Any], otherwise: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.05)


def runs(process: psutil.Process) -> bool:
    """Whether it does anything; what only waits for its parent's notice does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def servers_below(home: Path) -> list[psutil.Process]:
    """The throwaway servers that run below this home."""
    found = [EmbeddedServer(folder).status().pid for folder in home.glob("verify-*") if folder.is_dir()]
    return [psutil.Process(pid) for pid in found if pid]


def terminate(database: Database, query: str) -> int:
    """End the backup's sessions whose statement matches; returns their number."""
    ended: int = scalar(
        database,
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
        f" WHERE application_name ~ ':backup:' AND datname = current_database() AND query ~* '{query}'",
    )
    return ended


# Killed and interrupted


@pytest.mark.parametrize("step", ["Dump", "Proof-read"])
@pytest.mark.injects("backup-killed")
def test_a_backup_that_is_killed_leaves_no_program_and_nothing_that_counts(
    kept: Database, folder: Path, step: str
) -> None:
    with at_work(kept, "create", step) as process:
        children = psutil.Process(process.pid).children(recursive=True)
        process.kill()
    assert children
    wait_until(lambda: not [one for one in children if runs(one)], f"{children} outlive the killed process")
    wait_until(lambda: rest_of(kept) == 0, "the killed process has sessions")
    manifests, unusable = read_folder(folder / "backups")
    assert (manifests, len(unusable)) == ([], 1)
    assert "was never completed" in unusable[0].reason

    made = create_backup(kept)
    assert read_folder(folder / "backups") == ([made], [])
    assert visible(folder / "backups") == [f"{made.name}{ending}" for ending in (".dump", ".globals.sql", ".json")]


@pytest.mark.parametrize("step", ["Dump", "Proof-read"])
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_backup_that_is_interrupted_leaves_nothing(
    kept: Database, folder: Path, number: signal.Signals, code: int, step: str
) -> None:
    with at_work(kept, "create", step) as process:
        children = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(number)
        assert process.wait(PATIENCE) == code
    assert not [one for one in children if runs(one)]
    assert visible(folder / "backups") == []
    wait_until(lambda: rest_of(kept) == 0, "the interrupted process has sessions")


@pytest.mark.parametrize("step", ["Restore", "Compare, table"])
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_verification_that_is_interrupted_leaves_no_server(
    kept: Database, folder: Path, number: signal.Signals, code: int, step: str
) -> None:
    made = create_backup(kept)
    with at_work(kept, "verify", step) as process:
        (server,) = servers_below(folder)
        process.send_signal(number)
        assert process.wait(PATIENCE) == code
    assert not runs(server)
    assert visible(folder) == ["backups"]
    assert read_folder(folder / "backups") == ([made], [])


def test_the_server_of_a_killed_verification_is_cleared_by_the_next_one(kept: Database, folder: Path) -> None:
    create_backup(kept)
    with at_work(kept, "verify", "Restore") as process:
        process.kill()
    (left,) = servers_below(folder)
    proved = verify_backup(kept.settings)
    assert proved.verified_at is not None
    assert visible(folder) == ["backups"]
    assert not runs(left)


def test_a_verification_at_work_is_not_cleared_by_another(kept: Database, folder: Path) -> None:
    create_backup(kept)
    with at_work(kept, "verify", "Restore") as process:
        clear_throwaways(folder)
        assert len(servers_below(folder)) == 1
        _, said = process.communicate(timeout=PATIENCE)
        assert (process.returncode, said) == (0, "")
    assert find(folder / "backups", None).verified_at is not None


def test_of_two_backups_at_once_one_is_complete_and_one_says_why_not(kept: Database, folder: Path) -> None:
    with ExitStack() as stack:
        with locked(kept, "bulk"):  # the first one waits for it
            first = stack.enter_context(at_work(kept, "create", "Dump"))
            second = stack.enter_context(started(kept, "create"))
            _, said = second.communicate(timeout=PATIENCE)
        assert (second.returncode, said.partition(":")[0]) == (1, "Conflict")
        _, said = first.communicate(timeout=PATIENCE)
        assert (first.returncode, said) == (0, "")
    manifests, unusable = read_folder(folder / "backups")
    assert (len(manifests), unusable) == (1, [])


# The server's side


@pytest.mark.parametrize("query", ["^COPY", "hashtext", "."])
@pytest.mark.injects("backend-killed")
def test_a_backup_whose_session_is_ended_has_failed_and_leaves_nothing(
    kept: Database, folder: Path, query: str
) -> None:
    ended: list[int] = []

    def end(what: str, _done: int, _total: int) -> None:
        if not sum(ended):
            ended.append(terminate(kept, query))

    with pytest.raises(BackupFailed) as caught:
        create_backup(kept, progress=end)
    assert sum(ended) >= 1
    assert caught.value.message.endswith(".")
    assert visible(folder / "backups") == []
    assert rest_of(kept) == 0
    assert create_backup(kept).contents.tables["public.bulk"][0] == 400_000


@pytest.mark.injects("backend-killed")
def test_a_restore_whose_session_is_ended_has_failed_and_leaves_nothing(kept: Database) -> None:
    create_backup(kept)
    target = f"beside_{os.getpid()}"
    there = with_settings(Database(kept.url.set(database=target), kept.settings))
    ended: list[int] = []

    def end(what: str, _done: int, _total: int) -> None:
        if what == "Restore" and not sum(ended):
            ended.append(terminate(there, "."))

    with pytest.raises(RestoreFailed, match="could not be restored: pg_restore failed"):
        restore_beside(kept, None, target, progress=end)
    assert sum(ended) == 1
    assert target not in databases(kept)


def test_what_others_write_meanwhile_is_not_in_the_backup_and_does_not_spoil_it(kept: Database) -> None:
    written: list[int] = []

    def write(_what: str, _done: int, _total: int) -> None:
        if len(written) < 3:
            run_sql(kept, "INSERT INTO bulk SELECT -n, 'late' FROM generate_series(1, 1000) n")
            written.append(1000)

    try:
        made = create_backup(kept, progress=write)
        assert written
        assert made.contents.tables["public.bulk"][0] == 400_000
        assert verify_backup(kept.settings).name == made.name
    finally:
        run_sql(kept, "DELETE FROM bulk WHERE n < 0")


# Disk


def limit_files() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))


@pytest.mark.injects("disk-full-during-backup")
def test_a_disk_that_fills_up_leaves_the_backups_that_are_there(kept: Database, folder: Path) -> None:
    made = create_backup(kept)
    with started(kept, "create", preexec_fn=limit_files) as process:
        _, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    assert said.startswith("BackupFailed: pg_dump failed: it was killed by SIGXFSZ.")
    assert "Nothing of the backup is left." in said
    assert read_folder(folder / "backups") == ([made], [])
    assert len(visible(folder / "backups")) == 3


def flipped(intact: bytes, drawn: random.Random) -> bytes:
    found = bytearray(intact)
    found[drawn.randrange(len(found))] ^= 1 << drawn.randrange(8)
    return bytes(found)


@pytest.mark.injects("backup-flipped")
def test_every_flipped_bit_is_found_in_the_file(small: Saved) -> None:
    intact, drawn = small.dump.read_bytes(), random.Random(1)
    for _ in range(FLIPS):
        small.dump.write_bytes(flipped(intact, drawn))
        with pytest.raises(DamagedBackup, match="its SHA-256 is another"):
            check_file(small.folder, small.manifest)
    small.dump.write_bytes(intact)
    check_file(small.folder, small.manifest)


@pytest.mark.injects("backup-flipped")
def test_a_flipped_bit_that_the_manifest_vouches_for_never_restores_to_other_values(small: Saved) -> None:
    intact, drawn, target = small.dump.read_bytes(), random.Random(2), f"beside_{os.getpid()}"
    values = "SELECT md5(string_agg(w::text, ',' ORDER BY id)) FROM words w"
    expected, refused = scalar(small.database, values), 0
    for _ in range(FLIPS):
        damaged = flipped(intact, drawn)
        small.dump.write_bytes(damaged)
        small.edit(sha256=hashlib.sha256(damaged).hexdigest())
        try:
            restore_beside(small.database, None, target)
        except RestoreFailed:
            refused += 1
            assert target not in databases(small.database)
        else:
            assert scalar(small.database, values, target) == expected
            small.database.dispose()
            run_on_server(small.database, f"DROP DATABASE {target} WITH (FORCE)")
    assert refused > FLIPS / 2


def run_on_server(database: Database, statement: str) -> None:
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(statement))


# Clocks and versions


@pytest.mark.injects("clock-moved-back")
def test_a_clock_that_was_moved_back_overwrites_nothing(small: Saved, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [small.manifest.created_at]

    class Moved(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Moved:
            return cls.fromtimestamp(clock[0].timestamp(), tz)

    monkeypatch.setattr(creating, "datetime", Moved)
    same = create_backup(small.database)
    clock[0] -= timedelta(hours=1)
    earlier = create_backup(small.database)
    assert same.name == f"{small.manifest.name}-2"
    assert earlier.created_at == small.manifest.created_at - timedelta(hours=1)
    manifests, unusable = read_folder(small.folder)
    assert ([one.name for one in manifests], unusable) == ([same.name, small.manifest.name, earlier.name], [])
    assert prune(small.settings, apply=True).dropped == ()
    for one in manifests:
        check_file(small.folder, one)
        assert one.sha256 == sha256_of(small.folder / f"{one.name}.dump")


def test_a_backup_of_16_is_proved_and_restored_on_18(clusters: Callable[[int], Cluster], folder: Path) -> None:
    old, new = clusters(16), clusters(18)
    with old.database(old.template) as there, new.database() as here:
        run_sql(there, *SMALL)
        made = create_backup(saving_to(there, folder / "backups", home=folder))
        assert made.server_major == 16
        target = f"beside_{os.getpid()}"
        database = saving_to(here, folder / "backups", home=folder)
        try:
            restore_beside(database, made.name, target)
            assert scalar(here, "SELECT count(*) FROM words", target) == 200
        finally:
            autocommit(new.server, f"DROP DATABASE IF EXISTS {target} WITH (FORCE)")
        assert verify_backup(database.settings, made.name).verified[0].server_version.startswith("16")


@pytest.mark.injects("backup-of-a-newer-server")
def test_a_backup_of_18_is_refused_by_16(clusters: Callable[[int], Cluster], folder: Path) -> None:
    new, old = clusters(18), clusters(16)
    with new.database() as there, old.database() as here:
        run_sql(there, *SMALL)
        create_backup(saving_to(there, folder / "backups", home=folder))
        with pytest.raises(CouldNotBegin, match="is of PostgreSQL 18, and this server is 16, which is older"):
            restore_beside(saving_to(here, folder / "backups", home=folder), None, "beside")
