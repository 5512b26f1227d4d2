"""What was run and how it ended: one JSON line a run in HOME/runs, which a dead or restored database leaves alone.

remember(home, Run("backup", run_id, started, finished, Status.OK, "Backed up 1.2 GB", facts={"bytes": 1.2e9}), say)
runs, unreadable = read_runs(home, kind="backup")
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from filelock import FileLock

from subjunctive_admin.errors import UsageError
from subjunctive_admin.vocabulary import Status

_LOCK_SECONDS = 5.0


@dataclass(frozen=True)
class Run:
    """One run: its kind (`health`, `backup`, `verify`, `report`, ...), its times, and how it ended.

    `database` names what it worked on, without a password. `facts` are JSON values: sizes in bytes, times in
    seconds, and whatever else the kind keeps for the next run.
    """

    kind: str
    run_id: str
    started_at: datetime
    finished_at: datetime
    status: Status
    headline: str
    database: str | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        """How long it took."""
        return (self.finished_at - self.started_at).total_seconds()


def runs_folder(home: Path) -> Path:
    """Where the lines are, one file a month."""
    return home / "runs"


def database_name(url: str) -> str:
    """`host:port/database` of an address, without user and password: what runs of one database have in common."""
    parts = urlsplit(url)
    queried = parse_qs(parts.query)
    host = parts.hostname or queried.get("host", ["localhost"])[0]
    port = parts.port or queried.get("port", [""])[0]
    return f"{host}:{port}{parts.path}" if port else f"{host}{parts.path}"


def remember(home: Path, run: Run, say: Callable[[str], None]) -> None:
    """Record a run; where that fails the run still counts, and `say` gets the sentence that tells why."""
    try:
        record(home, run)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        say(f"This run could not be recorded in {runs_folder(home)}: {reason}. Its result stands.")


@dataclass
class Told:
    """What a run under way will leave in the history: set `headline`, `facts` and, where it is not ok, `status`."""

    headline: str = ""
    facts: dict[str, Any] = field(default_factory=dict)
    status: Status = Status.OK


@contextmanager
def remembered(home: Path, kind: str, database: str | None, say: Callable[[str], None]) -> Iterator[Told]:
    """Record the block as one run, whatever ends it; the error that ended it goes on. Wrong usage is no run."""
    told, started, is_run = Told(), datetime.now(UTC), True
    try:
        yield told
    except UsageError:
        is_run = False
        raise
    except BaseException as error:
        interrupted = not isinstance(error, Exception)
        told.status = Status.UNKNOWN if interrupted else Status.CRITICAL
        told.headline = "Interrupted" if interrupted else getattr(error, "message", None) or str(error)
        raise
    finally:
        run_id = f"{kind}-{started:%Y%m%d-%H%M%S}"
        line = Run(
            kind, run_id, started, datetime.now(UTC), told.status, told.headline.rstrip("."), database, told.facts
        )
        if is_run:
            remember(home, line, say)


def record(home: Path, run: Run) -> None:
    """Append one line, whole or not at all, and have the disk keep it.

    Raises `OSError` when the folder cannot be written: whoever ran it says so, and the run still counts.
    """
    folder = runs_folder(home)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    line = json.dumps(_as_dict(run), ensure_ascii=False, separators=(",", ":")) + "\n"
    path = folder / f"{run.started_at.astimezone(UTC):%Y-%m}.jsonl"
    with FileLock(home / "runs.lock", mode=0o600, timeout=_LOCK_SECONDS):
        descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            _append(descriptor, line.encode())
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _append(descriptor: int, line: bytes) -> None:
    size = os.fstat(descriptor).st_size
    if size and _last_byte(descriptor, size) != b"\n":
        # A writer was killed or its disk was full: its half line must not swallow this one.
        line = b"\n" + line
    written = os.write(descriptor, line)
    if written < len(line):
        os.ftruncate(descriptor, size)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _last_byte(descriptor: int, size: int) -> bytes:
    os.lseek(descriptor, size - 1, os.SEEK_SET)
    return os.read(descriptor, 1)


def read_runs(home: Path, *, kind: str | None = None, since: datetime | None = None) -> tuple[list[Run], int]:
    """The runs of a kind (all for None) in the order of their start, and how many lines could not be read.

    A file that cannot be read counts as one line.
    """
    first = f"{since.astimezone(UTC):%Y-%m}" if since else ""
    runs, unreadable = list[Run](), 0
    for path in sorted(runs_folder(home).glob("*.jsonl")):
        if path.stem < first:
            continue
        for run in _runs_in(path):
            if run is None:
                unreadable += 1
            elif kind in (None, run.kind) and (since is None or run.started_at >= since):
                runs.append(run)
    return sorted(runs, key=lambda run: run.started_at), unreadable


def _runs_in(path: Path) -> Iterator[Run | None]:
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        yield None
        return
    # By line feeds alone: a headline may hold what Python else takes for the end of a line.
    yield from (_from_line(line) for line in text.split("\n") if line.strip())


def _as_dict(run: Run) -> dict[str, Any]:
    return {
        "kind": run.kind,
        "run_id": run.run_id,
        "started_at": _iso(run.started_at),
        "finished_at": _iso(run.finished_at),
        "status": run.status.value,
        "headline": run.headline,
        "database": run.database,
        "facts": dict(run.facts),
    }


def _from_line(line: str) -> Run | None:
    """None for a line that was cut short, or that a newer version wrote in another form."""
    try:
        found = json.loads(line)
        run = Run(
            kind=found["kind"],
            run_id=found["run_id"],
            started_at=datetime.fromisoformat(found["started_at"]),
            finished_at=datetime.fromisoformat(found["finished_at"]),
            status=Status(found["status"]),
            headline=found["headline"],
            database=found["database"],
            facts=found["facts"],
        )
    except (ValueError, KeyError, TypeError):
        return None
    return run if _is_sound(run) else None


def _is_sound(run: Run) -> bool:
    texts = all(isinstance(text, str) for text in (run.kind, run.run_id, run.headline))
    zones = run.started_at.tzinfo is not None and run.finished_at.tzinfo is not None
    return texts and zones and isinstance(run.facts, dict) and isinstance(run.database, str | None)


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
