"""A backup of a million answers against bare pg_dump, and the memory it takes: `python -m benchmarks.backup [ANSWERS]`.

On a server of its own, removed at the end. The peer is `pg_dump -Fc -Z 1` of the same database, which knows nothing of
what it wrote; ours also counts and hashes every table, reads the dump back, has the disk keep it and saves the roles.
Pairs in turn, so that a machine whose speed drifts moves both. The memory is the highest of a process of its own that
makes a backup and then verifies it, PostgreSQL's programs apart. The exit code is 1 when a bar is missed.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks.bulk_load import WHOLE, seeded
from subjunctive_admin.db import Database
from subjunctive_admin.ops.backup import create_backup
from subjunctive_admin.ops.backup.programs import programs_for, reaching
from subjunctive_admin.synthetic.loading import ensure
from subjunctive_admin.synthetic.population import Plan

PAIRS, TIMES, MEGABYTES = 3, 2.0, 200.0
MAJOR = 18  # that of `seeded`
LIMIT_SECONDS = 3600
PROCESS = """
import pathlib, resource
from subjunctive_admin.db import open_database
from subjunctive_admin.ops.backup import create_backup, verify_backup
database = open_database()
verify_backup(database.settings, create_backup(database).name)
# Linux counts what the process was before it became Python towards ru_maxrss, and here that is the benchmark.
status = pathlib.Path("/proc/self/status")
lines = status.read_text().splitlines() if status.exists() else []
found = [line.split()[1] for line in lines if line.startswith("VmHWM:")]
print(*(found or [resource.getrusage(resource.RUSAGE_SELF).ru_maxrss]))
"""


def ours(database: Database) -> float:
    """Seconds of one backup; it stays, as backups do."""
    began = time.perf_counter()
    create_backup(database)
    return time.perf_counter() - began


def peer(database: Database, file: Path) -> float:
    """Seconds of a bare dump."""
    command = [programs_for(MAJOR).path("pg_dump"), "--format=custom", "--compress=1", f"--file={file}"]
    with reaching(database.url, "benchmark") as environment:
        began = time.perf_counter()
        subprocess.run(command, check=True, env=environment, timeout=LIMIT_SECONDS)
        return time.perf_counter() - began


def time_holds(database: Database, folder: Path) -> bool:
    """Print a backup's time as a multiple of the bare dump's; True when it is within the bar."""
    ours(database), peer(database, folder / "bare.dump")
    pairs = [(ours(database), peer(database, folder / "bare.dump")) for _ in range(PAIRS)]
    times = statistics.median(own / theirs for own, theirs in pairs)
    own, theirs = (statistics.median(side) for side in zip(*pairs, strict=True))
    return _line("backup", f"{own:.1f} s  peer {theirs:.1f} s", f"{times:.2f} times", f"{TIMES:g}", times <= TIMES)


def memory_holds(database: Database, folder: Path) -> bool:
    """Print the highest memory of a process that makes and verifies a backup; True when it is within the bar."""
    variables = {
        "SUBJUNCTIVE_DATABASE_URL": database.url.render_as_string(hide_password=False),
        "SUBJUNCTIVE_HOME": str(folder / "home"),
        "SUBJUNCTIVE_BACKUP_FOLDER": str(folder / "backups"),
    }
    done = subprocess.run(
        [sys.executable, "-c", PROCESS], check=True, env=os.environ | variables, stdout=subprocess.PIPE, text=True,
        timeout=LIMIT_SECONDS,
    )  # fmt: skip
    # Kilobytes; bytes on macOS.
    highest = int(done.stdout) * (1 if sys.platform == "darwin" else 1024) / 1e6
    return _line("backup-and-verify", "highest memory", f"{highest:.0f} MB", f"{MEGABYTES:g} MB", highest <= MEGABYTES)


def _line(name: str, figures: str, found: str, bar: str, holds: bool) -> bool:
    print(f"{name:<20} {figures:<44} {found:<12} bar {bar:<8} {'holds' if holds else 'MISSED'}", flush=True)
    return holds


def main(arguments: Sequence[str]) -> int:
    """Measure both bars, with that many answers, else a million."""
    plan: Plan = replace(WHOLE, attempts=int(arguments[0])) if arguments else WHOLE
    folder = Path(tempfile.mkdtemp(prefix="backup-"))
    folder.chmod(0o711)  # as root the server runs under another account
    try:
        with seeded(folder) as made:
            ensure(made, plan)
            settings = made.settings.model_copy(update={"backup_folder": folder / "backups", "home": folder / "home"})
            database = Database(made.url, settings, purpose="benchmark")
            try:
                return 0 if all([time_holds(database, folder), memory_holds(database, folder)]) else 1
            finally:
                database.dispose()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
