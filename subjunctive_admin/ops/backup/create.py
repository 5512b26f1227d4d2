"""Make a backup that says what is in it, proof-read, and committed by its manifest, the last file to appear."""

from __future__ import annotations

import hashlib
import os
import shlex
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from typing import Any

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from subjunctive_admin.db import Database, explain
from subjunctive_admin.errors import Conflict, CouldNotBegin, SubjunctiveError
from subjunctive_admin.ops.backup import manifest as files
from subjunctive_admin.ops.backup.contents import Contents, read_contents
from subjunctive_admin.ops.backup.manifest import Manifest, backup_folder
from subjunctive_admin.ops.backup.programs import ProgramFailed, Programs, programs_for, reaching, run
from subjunctive_admin.ops.pool import beside

Progress = Callable[[str, int, int], None]

# "backup!!" in ASCII: two backups of one database at once would only slow each other down.
_LOCK_KEY = int.from_bytes(b"backup!!", "big") - (1 << 63)
_LOCK_WAIT = "10s"
_CHUNK = 1 << 20
_LINES_TOLD = 3


class BackupFailed(SubjunctiveError):
    """A backup was begun and is not complete, or is complete and did not reach where it should."""


def application_name() -> str:
    """How the server knows the sessions of a backup."""
    return f"subjunctive:backup:{socket.gethostname()}:{os.getpid()}"[:63]


def create_backup(database: Database, *, progress: Progress | None = None) -> Manifest:
    """Back the database up into the folder that its settings name; returns the manifest of a complete backup.

    `progress(what, done, total)` is called often. Raises `CouldNotBegin` before anything is made – no program, no
    space, no folder –, `Conflict` while another backup runs, `BackupFailed` when it did not get complete; nothing
    of it then remains but what `backup list` shows.
    """
    folder = backup_folder(database.settings)
    with files.locked(folder):
        _clear_remains(folder)
        own = beside(database, purpose="backup", statement_timeout=database.settings.backup_timeout)
        try:
            with _snapshot(own) as connection:
                made = _make(database, connection, folder, progress or (lambda *_: None))
        except DBAPIError as error:
            raise explain(error, own.url, write=False) from error
        finally:
            own.dispose()
        return _after(database, folder, made)


def _clear_remains(folder: Path) -> None:
    """Whoever holds the folder's lock finds the parts that a killed backup left; whole files are left to `prune`."""
    for path in list(folder.iterdir()):
        if path.suffix == ".partial" and files.name_of(path):
            path.unlink()


@contextmanager
def _snapshot(own: Database) -> Iterator[Connection]:
    """A transaction that sees one moment of the database, and whose snapshot pg_dump can share."""
    with own.engine.connect() as connection:
        connection = connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)  # noqa: PLW2901
        with connection.begin():
            if not connection.scalar(text("SELECT pg_try_advisory_xact_lock(:key)"), {"key": _LOCK_KEY}):
                raise Conflict(f"Another backup of {own.url.database} is at work.", next_step="wait until it is done")
            yield connection


@dataclass(frozen=True)
class _Facts:
    version: str
    snapshot: str
    size: int
    environment: str | None
    epoch: int | None
    roles: tuple[str, ...]
    settings: Mapping[str, str]


def _facts(connection: Connection) -> _Facts:
    version = connection.scalar(text("SELECT current_setting('server_version')")).split()[0]
    size = connection.scalar(text("SELECT pg_database_size(current_database())"))
    instance = None
    if connection.scalar(text("SELECT to_regclass('ops.instance') IS NOT NULL")):
        instance = connection.execute(text("SELECT environment, epoch FROM ops.instance")).one_or_none()
    roles = connection.scalars(
        text(
            """
            SELECT DISTINCT r.rolname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
            CROSS JOIN LATERAL aclexplode(c.relacl) a JOIN pg_roles r ON r.oid = a.grantee
            WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' ORDER BY 1
            """
        )
    )
    snapshot = connection.scalar(text("SELECT pg_export_snapshot()"))
    environment, epoch = (instance.environment, instance.epoch) if instance else (None, None)
    return _Facts(version, snapshot, size, environment, epoch, tuple(roles), database_settings(connection))


def database_settings(connection: Connection) -> dict[str, str]:
    """What ALTER DATABASE … SET fixed for every role: name → value. A dump of one database does not hold it."""
    rows = connection.scalars(
        text(
            "SELECT unnest(setconfig) FROM pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase"
            " WHERE d.datname = current_database() AND s.setrole = 0"
        )
    )
    return {name: value for name, _, value in (row.partition("=") for row in rows)}


def _make(database: Database, connection: Connection, folder: Path, progress: Progress) -> Manifest:
    began, at = monotonic(), datetime.now(UTC).replace(microsecond=0)
    facts = _facts(connection)
    programs = programs_for(int(facts.version.partition(".")[0]))
    last, _ = files.read_folder(folder)
    _refuse_full_disk(folder, facts, last)
    name = files.new_name(folder, str(database.url.database), at)
    partial, final = folder / f"{name}.dump.partial", files.dump_of(folder, name)
    try:
        contents = _dump(database, connection, facts, programs, partial, last, progress)
        sha256 = _proof_read(database, programs, partial, progress)
        _write_globals(database, programs, folder / f"{name}.globals.sql")
        partial.replace(final)
        made = Manifest(
            name=name, created_at=at, database=str(database.url.database), environment=facts.environment,
            epoch=facts.epoch, server_version=facts.version, tool_version=programs.version,
            bytes=final.stat().st_size, sha256=sha256, seconds=round(monotonic() - began, 2), contents=contents,
            roles=facts.roles, database_settings=facts.settings,
        )  # fmt: skip
        files.write_manifest(folder, made)
    except BaseException as error:
        for path in files.files_of(folder, name):
            path.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise BackupFailed(f"The backup failed: {error.strerror or error}; nothing of it is left.") from error
        if isinstance(error, ProgramFailed):
            raise BackupFailed(f"{error.message} Nothing of the backup is left.", next_step=error.next_step) from error
        raise
    return made


def _refuse_full_disk(folder: Path, facts: _Facts, last: list[Manifest]) -> None:
    needed = 2 * last[0].bytes if last else facts.size // 2
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise CouldNotBegin(
            f"{folder} has {free / 1e6:,.0f} MB left, and a backup may need {needed / 1e6:,.0f} MB.",
            next_step="subjunctive-admin backup prune, or set SUBJUNCTIVE_BACKUP_FOLDER to a larger disk",
        )


def _dump(
    database: Database,
    connection: Connection,
    facts: _Facts,
    programs: Programs,
    partial: Path,
    last: list[Manifest],
    progress: Progress,
) -> Contents:
    """Dump and read the contents side by side, in one snapshot."""
    # Made first, so that at no moment others could read it.
    os.close(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    command = [
        programs.path("pg_dump"), "--format=custom", "--compress=1", f"--snapshot={facts.snapshot}",
        f"--lock-wait-timeout={_LOCK_WAIT}", "--no-password", f"--file={partial}",
    ]  # fmt: skip
    expected = last[0].bytes if last else max(facts.size // 8, 1)
    reading = _Reading(connection)
    reading.start()

    def watch() -> None:
        reading.complain()
        written = partial.stat().st_size
        progress("Dump", min(written, expected), expected)

    try:
        with reaching(database.url, application_name()) as environment:
            run(command, environment, seconds=database.settings.backup_timeout, watch=watch)
    except ProgramFailed:
        # Without its transaction pg_dump knows no snapshot: say the cause, not the consequence.
        reading.complain()
        reading.cancel()
        raise
    except BaseException:
        reading.cancel()
        raise
    return reading.result(lambda number, total: progress("Read, table", number, total))


class _Reading:
    """The contents, read in a thread of its own while pg_dump is at work."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        # Now: a connection that was lost does not give its driver's any more.
        self._driver: Any = connection.connection.driver_connection
        self._thread = threading.Thread(target=self._read, daemon=True, name="backup-contents")
        self._found: Contents | None = None
        self._error: Exception | None = None
        self._at = (0, 1)

    def start(self) -> None:
        self._thread.start()

    def cancel(self) -> None:
        if self._thread.is_alive():
            self._driver.cancel_safe(timeout=5)
        self._thread.join(10)

    def result(self, progress: Callable[[int, int], None]) -> Contents:
        try:
            while self._thread.is_alive():
                progress(*self._at)
                self._thread.join(0.1)
        except BaseException:
            self.cancel()
            raise
        self.complain()
        assert self._found is not None
        return self._found

    def complain(self) -> None:
        """Raise `BackupFailed` when the reading has ended with an error."""
        if self._error:
            said = str(getattr(self._error, "orig", self._error)).splitlines()[0]
            raise BackupFailed(f"The tables could not be read: {said}.") from self._error

    def _read(self) -> None:
        try:
            self._found = read_contents(self._connection, self._note)
        except Exception as error:  # noqa: BLE001 - raised again by result()
            self._error = error

    def _note(self, number: int, total: int) -> None:
        self._at = (number, total)


def _proof_read(database: Database, programs: Programs, partial: Path, progress: Progress) -> str:
    """Have pg_restore read it from its first byte to its last, and the disk keep it; returns its SHA-256."""
    done = _Digest(partial)
    done.start()
    command = [programs.path("pg_restore"), f"--file={os.devnull}", str(partial)]
    run(
        command,
        {},
        seconds=database.settings.backup_timeout,
        watch=lambda: progress("Proof-read", done.read, done.size),
    )
    return done.result()


class _Digest(threading.Thread):
    """SHA-256 of a file that is read once, kept by the disk first."""

    def __init__(self, path: Path) -> None:
        super().__init__(daemon=True, name="backup-digest")
        self.path, self.size, self.read = path, max(path.stat().st_size, 1), 0
        self._digest = hashlib.sha256()
        self._error: OSError | None = None

    def run(self) -> None:
        try:
            with self.path.open("rb") as file:
                os.fsync(file.fileno())
                while chunk := file.read(_CHUNK):
                    self._digest.update(chunk)
                    self.read += len(chunk)
        except OSError as error:
            self._error = error

    def result(self) -> str:
        self.join()
        if self._error:
            raise self._error
        return self._digest.hexdigest()


def sha256_of(path: Path, progress: Callable[[int, int], None] | None = None) -> str:
    """The SHA-256 of a file."""
    digest, size, done = hashlib.sha256(), path.stat().st_size, 0
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            done += len(chunk)
            if progress:
                progress(done, size)
    return digest.hexdigest()


def _write_globals(database: Database, programs: Programs, final: Path) -> None:
    """Roles and their memberships, without passwords."""
    partial = final.with_name(f"{final.name}.partial")
    os.close(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    command = [
        programs.path("pg_dumpall"), "--globals-only", "--no-role-passwords", "--no-password", f"--file={partial}",
    ]  # fmt: skip
    with reaching(database.url, application_name()) as environment:
        run(command, environment, seconds=database.settings.backup_timeout)
    partial.replace(final)


def _after(database: Database, folder: Path, made: Manifest) -> Manifest:
    """Hand the file to the command that is set, and write down what became of it."""
    command = database.settings.backup_after
    if not command:
        return made
    said, succeeded = _handed_over(command, files.dump_of(folder, made.name), database)
    made = replace(made, after={"command": command, "succeeded": succeeded, "said": said})
    files.write_manifest(folder, made)
    if not succeeded:
        raise BackupFailed(
            f"{made.name} is complete, but SUBJUNCTIVE_BACKUP_AFTER failed with it: {said}",
            next_step=f"run it by hand: {command} {files.dump_of(folder, made.name)}",
        )
    return made


def _handed_over(command: str, dump: Path, database: Database) -> tuple[str, bool]:
    try:
        words = shlex.split(command)
        done = subprocess.run(
            [*words, str(dump)], check=False, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace",
            timeout=database.settings.backup_timeout,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return "it took too long.", False
    except OSError as error:
        return f"{words[0] if words else command}: {error.strerror}.", False
    except ValueError as error:  # a quote that is not closed
        return f"{error}.", False
    lines = [line.strip() for line in (done.stderr or done.stdout).splitlines() if line.strip()]
    return " ".join(lines[-_LINES_TOLD:]) or f"exit code {done.returncode}.", done.returncode == 0
