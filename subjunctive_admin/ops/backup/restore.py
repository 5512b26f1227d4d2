"""Bring a backup back: into a throwaway server that proves it, into a database beside, or in the place of the live one.

A restore counts when the copy has every row, every value and the schema that the manifest names.
"""

from __future__ import annotations

import contextlib
import csv
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import mkdtemp
from time import monotonic
from typing import Any

import psycopg
from filelock import FileLock, Timeout
from psycopg import sql
from sqlalchemy import URL
from sqlalchemy.exc import DBAPIError, OperationalError

from subjunctive_admin.db import Database, explain
from subjunctive_admin.embedded import SUPPORTED, EmbeddedServer, unaffected_by_environment
from subjunctive_admin.errors import Conflict, CouldNotBegin, NotFound, SubjunctiveError, UsageError
from subjunctive_admin.ops.backup import manifest as files
from subjunctive_admin.ops.backup.contents import differences, read_contents
from subjunctive_admin.ops.backup.create import Progress, application_name, database_settings, sha256_of
from subjunctive_admin.ops.backup.manifest import DamagedBackup, Manifest, Verified, backup_folder
from subjunctive_admin.ops.backup.programs import ProgramFailed, programs_for, reaching, run
from subjunctive_admin.settings import Settings

_PROOF, _JOURNAL = "proof", "swap.json"


class RestoreFailed(SubjunctiveError):
    """A backup could not be brought back, or what came back is not what was saved; the live database is untouched."""


def _silent(_what: str, _done: int, _total: int) -> None:
    return None


def verify_backup(settings: Settings, name: str | None = None, *, progress: Progress = _silent) -> Manifest:
    """Restore a backup, the newest without a name, into a throwaway server, and compare it; returns its manifest.

    The server and its folder are gone afterwards, whatever happens. Raises `NotFound`, `DamagedBackup` when the file
    is not what was written, `RestoreFailed` when it does not restore to what it was.
    """
    folder, began = backup_folder(settings), monotonic()
    manifest = files.find(folder, name)
    check_file(folder, manifest, progress)
    clear_throwaways(settings.home)
    with _throwaway(settings.home, manifest) as (url, version):
        restore_into(url, _PROOF, folder, manifest, settings, progress=progress, access=False)
    with files.locked(folder):
        return files.note_verified(folder, manifest, Verified(_now(), version, round(monotonic() - began, 2)))


def check_file(folder: Path, manifest: Manifest, progress: Progress = _silent) -> None:
    """Raise `DamagedBackup` unless the dump has the bytes that were written."""
    found = sha256_of(files.dump_of(folder, manifest.name), lambda done, total: progress("Check", done, total))
    if found != manifest.sha256:
        raise DamagedBackup(
            f"{manifest.name} was changed since it was made: its SHA-256 is another.",
            next_step="use another one: subjunctive-admin backup list",
        )


def restore_beside(
    database: Database, name: str | None, to: str, *, confirmed: str | None = None, progress: Progress = _silent
) -> Manifest:
    """Restore into the database `to` of the same server, which is made; one that has tables only with its name typed.

    Raises `UsageError` for the live database itself, `Conflict` for one that is not empty, `RestoreFailed`, and
    `CouldNotBegin` for a backup of a newer PostgreSQL. What could not be completed is dropped again.
    """
    if to == database.url.database:
        raise UsageError(
            f"{to} is the live database.", next_step=f"restore beside it and swap: --to {to}_restored --swap --yes {to}"
        )
    _refuse_the_servers_own(to)
    folder = backup_folder(database.settings)
    manifest = files.find(folder, name)
    check_file(folder, manifest, progress)
    with _maintenance(database.url) as server:
        _refuse_older(server, manifest)
        _make_room(server, database.url, to, confirmed)
    restore_into(database.url, to, folder, manifest, database.settings, progress=progress)
    return manifest


def restore_into(
    url: URL, to: str, folder: Path, manifest: Manifest, settings: Settings, *, progress: Progress, access: bool = True
) -> None:
    """Make the database `to` on the server of `url`, fill it from a dump, and compare; dropped again when that fails.

    `access` keeps grants, where all the roles that they name exist.
    """
    programs = programs_for(max(manifest.tool_major, _major(url)))
    with _maintenance(url) as server:
        try:
            server.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(to)))
        except psycopg.Error as error:
            raise RestoreFailed(f"The database {to} could not be made: {_first_line(error)}") from error
        missing = _missing_roles(server, manifest) if access else ()
    command = [
        programs.path("pg_restore"), "--exit-on-error", "--single-transaction", "--no-owner", "--no-password",
        *([] if access and not missing else ["--no-privileges"]), f"--dbname={to}",
        str(files.dump_of(folder, manifest.name)),
    ]  # fmt: skip
    try:
        with reaching(url.set(database=to), application_name()) as environment:
            run(command, environment, seconds=settings.backup_timeout, watch=lambda: progress("Restore", 0, 1))
        _compare(url.set(database=to), manifest, progress)
    except BaseException as error:
        with _maintenance(url) as server:
            server.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(to)))
        if isinstance(error, ProgramFailed | psycopg.Error | DBAPIError):
            said = error.message if isinstance(error, ProgramFailed) else _first_line(error)
            raise RestoreFailed(f"{manifest.name} could not be restored: {said}") from error
        raise


def _compare(url: URL, manifest: Manifest, progress: Progress) -> None:
    restored = Database(url, driver_options=unaffected_by_environment(), purpose="backup")
    try:
        with restored.engine.connect() as connection:
            connection.exec_driver_sql("SET statement_timeout = 0")
            connection.exec_driver_sql("ANALYZE")
            found = read_contents(connection, lambda number, total: progress("Compare, table", number, total))
    finally:
        restored.dispose()
    if told := differences(manifest.contents, found):
        raise RestoreFailed(f"{manifest.name} does not restore to what was saved: {'; '.join(told)}.")


@dataclass(frozen=True)
class Swapped:
    """What a swap did: the live database's name, under which name the old one is kept, and the new epoch."""

    database: str
    kept_as: str
    epoch: int | None


def swap(database: Database, restored: str, *, confirmed: str | None) -> Swapped:
    """Put the restored database in the place of the live one, which is kept under another name.

    Sessions of both are ended. Database-level settings, limits and access are those of the live one, and so is its
    environment; the epoch goes up, by which whoever keeps copies learns of it. What fails is taken back. Raises
    `UsageError` unless the live database's name is typed, `NotFound` where there is no restored one.
    """
    require_typed(database, confirmed)
    live = str(database.url.database)
    _refuse_no_copy(database, restored)
    kept = f"{live}_before_{_now():%Y%m%d_%H%M%S}"
    folder = backup_folder(database.settings)
    with files.locked(folder):
        journal = folder / _JOURNAL
        try:
            epoch = _carry_over(database, restored)
            database.dispose()
            journal.write_text(json.dumps({"live": live, "restored": restored, "kept": kept}), encoding="utf-8")
            _exchange(database.url, live, restored, kept)
        except psycopg.Error as error:
            raise RestoreFailed(f"The swap failed, and {live} is what it was: {_first_line(error)}") from error
        finally:
            # Whatever ended it here, it is done or taken back; only a kill leaves this behind.
            journal.unlink(missing_ok=True)
    return Swapped(live, kept, epoch)


def repair_swap(database: Database) -> str | None:
    """Finish or take back a swap that was killed half-way; what is true now, None where there is nothing to repair.

    It is finished when the restored database is in its place and open. Raises `Conflict` while a swap is at work.
    """
    folder = backup_folder(database.settings)
    if not (folder / _JOURNAL).exists():
        return None
    with files.locked(folder):
        noted = json.loads((folder / _JOURNAL).read_text(encoding="utf-8"))
        live, restored, kept = (str(noted[name]) for name in ("live", "restored", "kept"))
        with _maintenance(database.url) as server:
            there = dict(server.execute("SELECT datname, datallowconn FROM pg_database").fetchall())
            finished = kept in there and there.get(live, False)
            if finished:
                _admit(server, kept, yes=True)
        if not finished:
            _take_back(database.url, live, restored, kept)
        (folder / _JOURNAL).unlink()
    said = f"The swap had been finished; the database before it is kept as {kept}."
    return said if finished else f"The swap was taken back: {live} is what it was, and {restored} is beside it."


def _exchange(url: URL, live: str, restored: str, kept: str) -> None:
    try:
        with _maintenance(url) as server:
            for name in (live, restored):
                _shut(server, name)
            _rename(server, live, kept)
            _rename(server, restored, live)
            for name in (live, kept):
                _admit(server, name, yes=True)
    except BaseException:
        _take_back(url, live, restored, kept)
        raise


def _take_back(url: URL, live: str, restored: str, kept: str) -> None:
    """Go by what is there, in a session of its own: the one that failed may not have heard what it did."""
    with _maintenance(url) as server:
        there = {row[0] for row in server.execute("SELECT datname FROM pg_database").fetchall()}
        if kept in there and live in there:
            _shut(server, live)
            _rename(server, live, restored)
        if kept in there:
            _shut(server, kept)
            _rename(server, kept, live)
        for name in (live, restored):
            _admit(server, name, yes=True)


def _shut(server: psycopg.Connection[Any], name: str) -> None:
    _admit(server, name, yes=False)
    _end_sessions(server, name)


def require_typed(database: Database, confirmed: str | None) -> None:
    """Raise `UsageError` unless the live database's name was typed: what follows replaces it."""
    live = database.url.database
    if confirmed != live:
        raise UsageError(
            f"This replaces {live}, and its name was not typed.", next_step=f"add --yes {live} if that is meant"
        )


def _refuse_the_servers_own(name: str) -> None:
    if name in {"postgres", "template0", "template1"}:
        raise UsageError(f"{name} is the server's own.", next_step="name a database that may be replaced")


def _refuse_no_copy(database: Database, restored: str) -> None:
    _refuse_the_servers_own(restored)
    if restored == database.url.database:
        raise UsageError(f"{restored} is the live database.", next_step="name the one that was restored beside it")
    with _maintenance(database.url) as server:
        if server.execute("SELECT 1 FROM pg_database WHERE datname = %s", [restored]).fetchone() is None:
            raise NotFound(
                f"There is no database {restored}.", next_step=f"subjunctive-admin backup restore NAME --to {restored}"
            )


def _carry_over(database: Database, restored: str) -> int | None:
    """Give the restored database what belongs to the live one and no dump holds; returns its new epoch."""
    with database.connection() as connection:
        settings = database_settings(connection)
    own = database.url.database
    with _connected(database.url) as live, _connected(database.url.set(database=restored)) as copy:
        for name, value in settings.items():
            copy.execute(
                sql.SQL("ALTER DATABASE {} SET {} TO {}").format(
                    sql.Identifier(restored), sql.Identifier(name), _setting(name, value)
                )
            )
        limit, grants = _access(live, str(own))
        copy.execute(sql.SQL("ALTER DATABASE {} CONNECTION LIMIT {}").format(sql.Identifier(restored), limit))
        for statement in grants:
            copy.execute(statement.format(sql.Identifier(restored)))
        if copy.execute("SELECT to_regclass('ops.instance')").fetchone() == (None,):
            return None
        there = live.execute("SELECT to_regclass('ops.instance')").fetchone() != (None,)
        row = live.execute("SELECT environment, epoch FROM ops.instance").fetchone() if there else None
        environment, epoch = row or (None, 0)
        found = copy.execute(
            "UPDATE ops.instance SET epoch = greatest(epoch, %s) + 1, environment = coalesce(%s, environment)"
            " RETURNING epoch",
            [epoch, environment],
        ).fetchone()
        return int(found[0]) if found else None


# A list is stored quoted as a list; as one literal it would become the name of one thing.
_LISTS = {"search_path", "temp_tablespaces", "local_preload_libraries", "session_preload_libraries"}


def _setting(name: str, value: str) -> sql.Composable:
    if name not in _LISTS:
        return sql.Literal(value)
    (parts,) = csv.reader([value], skipinitialspace=True)
    return sql.SQL(", ").join([sql.Literal(part) for part in parts])


def _access(live: psycopg.Connection[Any], name: str) -> tuple[sql.Composable, list[sql.SQL]]:
    """The connection limit, and the statements that give a database the same grants; {} is its name."""
    row = live.execute("SELECT datconnlimit, datacl IS NOT NULL FROM pg_database WHERE datname = %s", [name]).fetchone()
    assert row is not None
    if not row[1]:
        return sql.Literal(row[0]), []
    grants = live.execute(
        "SELECT a.privilege_type, coalesce(quote_ident(r.rolname), 'PUBLIC'),"
        " CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END FROM pg_database d"
        " CROSS JOIN LATERAL aclexplode(d.datacl) a LEFT JOIN pg_roles r ON r.oid = a.grantee WHERE d.datname = %s",
        [name],
    ).fetchall()
    statements = [
        "REVOKE ALL ON DATABASE {} FROM PUBLIC",
        *(f"GRANT {right} ON DATABASE {{}} TO {to}{option}" for right, to, option in grants),
    ]
    return sql.Literal(row[0]), [sql.SQL(one) for one in statements]


def _admit(server: psycopg.Connection[Any], name: str, *, yes: bool) -> None:
    server.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS {}").format(sql.Identifier(name), sql.Literal(yes)))


def _end_sessions(server: psycopg.Connection[Any], name: str) -> None:
    server.execute(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid()",
        [name],
    )


def _rename(server: psycopg.Connection[Any], old: str, new: str) -> None:
    server.execute(sql.SQL("ALTER DATABASE {} RENAME TO {}").format(sql.Identifier(old), sql.Identifier(new)))


def _make_room(server: psycopg.Connection[Any], url: URL, to: str, confirmed: str | None) -> None:
    """Drop an earlier database of that name when it is empty, or when its name was typed."""
    if server.execute("SELECT 1 FROM pg_database WHERE datname = %s", [to]).fetchone() is None:
        return
    with _connected(url.set(database=to)) as there:
        query = "SELECT count(*) FROM pg_stat_user_tables"
        row = there.execute(query).fetchone()
    if row and row[0] and confirmed != to:
        raise Conflict(
            f"The database {to} exists and has {row[0]} tables; nothing was restored.",
            next_step=f"restore to another name, or add --yes {to} to replace it",
        )
    server.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(to)))


def _refuse_older(server: psycopg.Connection[Any], manifest: Manifest) -> None:
    major = server.info.server_version // 10_000
    if major < manifest.server_major:
        raise CouldNotBegin(
            f"{manifest.name} is of PostgreSQL {manifest.server_major}, and this server is {major}, which is older.",
            next_step=f"restore it on PostgreSQL {manifest.server_major} or newer",
        )


def _missing_roles(server: psycopg.Connection[Any], manifest: Manifest) -> tuple[str, ...]:
    known = {row[0] for row in server.execute("SELECT rolname FROM pg_roles").fetchall()}
    return tuple(role for role in manifest.roles if role not in known)


def _major(url: URL) -> int:
    with _connected(url) as connection:
        return connection.info.server_version // 10_000


@contextmanager
def _maintenance(url: URL) -> Iterator[psycopg.Connection[Any]]:
    """A session of the server that is in none of its working databases, each statement a transaction."""
    with _connected(url.set(database="postgres")) as connection:
        yield connection


@contextmanager
def _connected(url: URL) -> Iterator[psycopg.Connection[Any]]:
    address = url.set(drivername="postgresql").render_as_string(hide_password=False)
    options = {**unaffected_by_environment(), "application_name": application_name()}
    try:
        connection = psycopg.connect(address, autocommit=True, connect_timeout=10, **options)
    except psycopg.OperationalError as error:
        raise explain(OperationalError(None, None, error), url, write=False) from error
    with connection:
        connection.execute("SET statement_timeout = 0")
        yield connection


def _first_line(error: psycopg.Error | DBAPIError) -> str:
    said = str(error.orig if isinstance(error, DBAPIError) else error).strip() or type(error).__name__
    return f"{said.splitlines()[0].rstrip('.')}."


# The throwaway server


@contextmanager
def _throwaway(home: Path, manifest: Manifest) -> Iterator[tuple[URL, str]]:
    """A server of its own below HOME, for as long as the block runs: its address and its version."""
    major = min((known for known in SUPPORTED if known >= max(manifest.server_major, 0)), default=None)
    if major is None:
        raise CouldNotBegin(
            f"{manifest.name} is of PostgreSQL {manifest.server_major}, newer than any embedded server.",
            next_step="restore it beside the live database: subjunctive-admin backup restore NAME --to DB",
        )
    folder = _made_below(home)
    # A FileLock in another folder: this one is removed.
    with FileLock(_held(folder), mode=0o600):
        server = EmbeddedServer(folder, major=major, durable=False)
        try:
            status = server.start()
            yield Database(server.url()).url, str(status.version)
        finally:
            _remove(server, folder)
            _held(folder).unlink(missing_ok=True)


def _made_below(home: Path) -> Path:
    # HOME may never have been needed: the database is another server's, the backups lie elsewhere.
    try:
        for missing in [path for path in reversed([home, *home.parents]) if not path.exists()]:
            missing.mkdir(exist_ok=True)
            missing.chmod(0o711)
        folder = Path(mkdtemp(prefix="verify-", dir=home))
        folder.chmod(0o711)  # as root the server runs under another account
    except OSError as error:
        raise CouldNotBegin(
            f"There can be no throwaway server in {home}: {error.strerror}.",
            next_step="set SUBJUNCTIVE_HOME to a folder you own",
        ) from error
    return folder


def clear_throwaways(home: Path) -> None:
    """Stop and remove what a killed verification left behind; one that is at work is left alone."""
    # By the locks: a folder may be gone, or never have been made.
    for held in home.glob("verify-*.lock"):
        folder = held.with_suffix("")
        with contextlib.suppress(Timeout), FileLock(held, timeout=0, mode=0o600):
            _remove(EmbeddedServer(folder), folder)
            _held(folder).unlink(missing_ok=True)


def _held(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.lock")


def _remove(server: EmbeddedServer, folder: Path) -> None:
    try:
        server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)
