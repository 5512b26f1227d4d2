"""PostgreSQL's own programs: which of them fits a server, how they reach it, and that they end with us.

A password stands in no command line: libpq reads it from a file in a folder of its own, gone afterwards.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import psutil
from sqlalchemy import URL

from subjunctive_admin.embedded import KEPT_VARIABLES, SUPPORTED, WINDOWS, binaries
from subjunctive_admin.errors import CouldNotBegin, EmbeddedServerError, SubjunctiveError

DEBIAN = Path("/usr/lib/postgresql")
_SERVICE = "subjunctive"
_SERVICE_FILE = "service.conf"
_PR_SET_PDEATHSIG = 1
_POLL_SECONDS = 0.1
_LINES_TOLD = 3


class ProgramFailed(SubjunctiveError):
    """A program of PostgreSQL ended with an error; the message holds its last lines."""


@dataclass(frozen=True)
class Programs:
    """A folder with pg_dump, pg_restore and psql of one version."""

    folder: Path
    version: str

    @property
    def major(self) -> int:
        """18 of 18.4."""
        return int(self.version.partition(".")[0])

    def path(self, name: str) -> str:
        """The program itself."""
        return str(self.folder / (f"{name}.exe" if WINDOWS else name))


def programs_for(major: int) -> Programs:
    """The programs of that major version, else of the nearest newer one; an older pg_dump refuses the server.

    Raises `CouldNotBegin` where there is neither.
    """
    fitting = [found for found in _installed() if found.major >= major]
    if not fitting:
        raise CouldNotBegin(
            f"There is no pg_dump for PostgreSQL {major} or newer.",
            next_step=f"install the client programs of PostgreSQL {major}, in PATH",
        )
    return min(fitting, key=lambda found: found.major)


@cache
def _installed() -> tuple[Programs, ...]:
    folders = []
    for major in SUPPORTED:
        with contextlib.suppress(EmbeddedServerError):
            folders.append(binaries(major))
    folders += sorted(DEBIAN.glob("*/bin"))
    if found := shutil.which("pg_dump"):
        folders.append(Path(found).parent)
    return tuple(filter(None, map(_programs_in, folders)))


def _programs_in(folder: Path) -> Programs | None:
    command = Programs(folder, "0").path("pg_dump")
    try:
        done = subprocess.run([command, "--version"], check=False, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    version = re.search(r"\d+(\.\d+)*", done.stdout)
    return Programs(folder, version.group()) if version else None


@contextmanager
def reaching(url: URL, name: str) -> Iterator[dict[str, str]]:
    """The environment in which a program finds the server of `url`; `name` is how the server knows it."""
    _clear_remains()
    with tempfile.TemporaryDirectory(prefix=f"subjunctive-{os.getpid()}-") as folder:
        file = Path(folder) / _SERVICE_FILE
        file.touch(mode=0o600)
        file.write_text("\n".join([f"[{_SERVICE}]", *_service_lines(url)]) + "\n", encoding="utf-8")
        # An allow-list, as for the server: other PG* variables are meant for other servers.
        kept = {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ}
        # What runs for hours has no limit of the role's to fear; its own time limit is ours.
        limits = "-c statement_timeout=0 -c idle_in_transaction_session_timeout=0 -c lock_timeout=0"
        given = {"PGSERVICEFILE": str(file), "PGSERVICE": _SERVICE, "PGAPPNAME": name, "PGOPTIONS": limits}
        yield kept | given


def _clear_remains() -> None:
    """Passwords outlive a process that was killed; the next one removes them."""
    for file in Path(tempfile.gettempdir()).glob(f"subjunctive-*-*/{_SERVICE_FILE}"):
        process = file.parent.name.split("-")[1]
        ours = WINDOWS or file.parent.lstat().st_uid == os.geteuid()
        if ours and process.isdigit() and not psutil.pid_exists(int(process)):
            shutil.rmtree(file.parent, ignore_errors=True)


def _service_lines(url: URL) -> Iterator[str]:
    given = {"host": url.host, "port": url.port, "user": url.username, "password": url.password, "dbname": url.database}
    # Options are the session's; the rest of the query is libpq's: host of a socket, sslmode, certificates.
    given |= {key: value for key, value in url.query.items() if key != "options" and isinstance(value, str)}
    yield from (f"{key}={value}" for key, value in given.items() if value not in (None, ""))


def run(
    command: Sequence[str], environment: Mapping[str, str], *, seconds: float, watch: Callable[[], None] | None = None
) -> None:
    """Run a program to its end, calling `watch` a few times a second.

    It has a process group of its own and dies with this process. Whatever ends the wait – an exception, Ctrl-C, the
    time limit – ends the group first. Raises `ProgramFailed` with what the program said last.
    """
    name, deadline = Path(command[0]).name, time.monotonic() + seconds
    with tempfile.TemporaryFile() as said:
        try:
            child = subprocess.Popen(
                list(command),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=said,
                env=dict(environment),
                start_new_session=True,
                # Nothing but prctl is called between fork and exec.
                preexec_fn=_die_with_parent if _can_die else None,  # noqa: PLW1509
            )
        except OSError as error:
            raise ProgramFailed(f"{name} could not be started: {error.strerror}.") from error
        try:
            _wait(child, name, deadline, watch)
        except BaseException:
            _end(child)
            raise
        if child.returncode:
            raise ProgramFailed(f"{name} failed: {_last_lines(said.fileno()) or _how_it_ended(child.returncode)}")


_can_die = sys.platform == "linux"


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _wait(child: subprocess.Popen[bytes], name: str, deadline: float, watch: Callable[[], None] | None) -> None:
    while True:
        try:
            child.wait(_POLL_SECONDS)
        except subprocess.TimeoutExpired:
            if time.monotonic() > deadline:
                raise ProgramFailed(
                    f"{name} was ended: it took too long.", next_step="raise SUBJUNCTIVE_BACKUP_TIMEOUT"
                ) from None
            if watch:
                watch()
        else:
            return


def _end(child: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL) if hasattr(os, "killpg") else child.kill()
    child.wait()


def _last_lines(descriptor: int) -> str:
    size = os.fstat(descriptor).st_size
    text = os.pread(descriptor, 4096, max(size - 4096, 0)).decode(errors="replace")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return " ".join(lines[-_LINES_TOLD:])


def _how_it_ended(code: int) -> str:
    # A full memory or a limit of the file size kills without a word.
    killed = -code in {one.value for one in signal.Signals}
    return f"it was killed by {signal.Signals(-code).name}." if killed else f"exit code {code}."
