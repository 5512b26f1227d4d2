"""What was run and how it ended: one JSON line a run in HOME/runs, which a dead or restored database leaves alone.

record(home, Run("backup", run_id, started, finished, Status.OK, "Backed up 1.2 GB", facts={"bytes": 1.2e9}))
runs, unreadable = read_runs(home, kind="backup")
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from subjunctive_admin.vocabulary import Status


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


def record(home: Path, run: Run) -> None:
    """Append one line, whole or not at all, and have the disk keep it.

    Raises `OSError` when the folder cannot be written: whoever ran it says so, and the run still counts.
    """
    folder = runs_folder(home)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    line = json.dumps(_as_dict(run), ensure_ascii=False, separators=(",", ":")) + "\n"
    descriptor = os.open(
        folder / f"{run.started_at.astimezone(UTC):%Y-%m}.jsonl", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600
    )
    try:
        # One write to a file opened for appending: two processes at once do not mix their lines.
        os.write(descriptor, line.encode())
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_runs(home: Path, *, kind: str | None = None, since: datetime | None = None) -> tuple[list[Run], int]:
    """The runs of a kind (all for None) in the order of their start, and how many lines could not be read."""
    runs, unreadable = [], 0
    for path in sorted(runs_folder(home).glob("*.jsonl")):
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            run = _from_line(line)
            if run is None:
                unreadable += 1
            elif kind in (None, run.kind) and (since is None or run.started_at >= since):
                runs.append(run)
    return sorted(runs, key=lambda run: run.started_at), unreadable


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
    """None for a line that a full disk cut short, or that a newer version wrote in another form."""
    try:
        found = json.loads(line)
        return Run(
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


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
