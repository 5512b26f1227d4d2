r"""Loading synthetic learners: against `psql \copy`, and a million answers whole: `python benchmarks/bulk_load.py`.

On a server of its own, removed at the end. The peer reads the same rows, as CSV that PostgreSQL wrote, into the
same bare table; pairs in turn, so that a machine whose speed drifts moves both. The exit code is 1 when a bar is
missed.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import make_url, text

from subjunctive_admin import schema, seeding
from subjunctive_admin.db import Database
from subjunctive_admin.embedded import EmbeddedServer, binaries
from subjunctive_admin.synthetic.loading import _copy, ensure, read_library, remove
from subjunctive_admin.synthetic.population import Plan
from subjunctive_admin.synthetic.workers import COLUMNS, chunks_of

TABLE, PAIRS = "practice_attempts", 5
UNTIL = datetime(2026, 11, 1, tzinfo=UTC)
COPIED = Plan(1000, 200_000, 1, UNTIL)
WHOLE = Plan(5000, 1_000_000, 1, UNTIL)
SECONDS_FOR_A_MILLION = 60.0


@contextmanager
def seeded(folder: Path) -> Iterator[Database]:
    """A server of its own below the folder, with the shipped seeds."""
    server = EmbeddedServer(folder / "home", major=18)
    server.start()
    database = Database(server.url(), purpose="benchmark")
    try:
        schema.setup(database)
        with database.session(write=True) as session:
            seeding.seed(session, seeding.read_seeds())
        yield database
    finally:
        database.dispose()
        server.stop()


def attempts(database: Database) -> list[bytes]:
    """The attempts of COPIED as the loader gets them, a piece for some learners each."""
    with database.connection() as connection:
        library = read_library(connection)
    with chunks_of(COPIED, library, os.cpu_count() or 1) as chunks:
        return [tables[TABLE] for _, tables in chunks]


def ours(database: Database, pieces: list[bytes]) -> float:
    """Seconds in which the loader copies the pieces into the bare table and commits."""
    _empty(database)
    started = time.perf_counter()
    with database.connection(write=True) as connection:
        connection.execute(text("SET LOCAL search_path = bare, public"))
        for piece in pieces:
            _copy(connection, TABLE, piece)
    return time.perf_counter() - started


def write_csv(database: Database, file: Path) -> None:
    """The rows that `ours` loaded, as CSV."""
    with database.connection() as connection, file.open("wb") as written:
        driver = connection.connection.driver_connection
        assert driver is not None
        with driver.cursor().copy(f"COPY bare.{TABLE} ({COLUMNS[TABLE]}) TO STDOUT WITH (FORMAT csv)") as rows:
            written.writelines(rows)


def peer(database: Database, file: Path) -> float:
    """Seconds in which psql copies the file into the bare table."""
    _empty(database)
    url = make_url(database.url)
    address = url.set(drivername="postgresql", password=None).render_as_string(hide_password=False)
    command = f"\\copy bare.{TABLE} ({COLUMNS[TABLE]}) from '{file}' with (format csv)"
    environment = os.environ | {"PGPASSWORD": url.password or ""}
    started = time.perf_counter()
    subprocess.run([str(binaries(18) / "psql"), "-Xq", "-d", address, "-c", command], check=True, env=environment)
    return time.perf_counter() - started


def _empty(database: Database) -> None:
    with database.connection(write=True) as connection:
        connection.execute(text("CREATE SCHEMA IF NOT EXISTS bare"))
        connection.execute(text(f"DROP TABLE IF EXISTS bare.{TABLE}"))
        # Checks and defaults stay, as they do in the loader; indexes and foreign keys do not.
        connection.execute(text(f"CREATE TABLE bare.{TABLE} (LIKE {TABLE} INCLUDING DEFAULTS INCLUDING CONSTRAINTS)"))


def copy_holds(database: Database, folder: Path) -> bool:
    """Print the loader's speed as a multiple of psql's; True when it is no slower."""
    pieces = attempts(database)
    file = folder / "attempts.csv"
    ours(database, pieces)
    write_csv(database, file)
    peer(database, file)
    pairs = [(ours(database, pieces), peer(database, file)) for _ in range(PAIRS)]
    speed = statistics.median(theirs / own for own, theirs in pairs)
    own, theirs = (COPIED.attempts / statistics.median(side) for side in zip(*pairs, strict=True))
    with database.connection(write=True) as connection:
        connection.execute(text("DROP SCHEMA bare CASCADE"))
    return _line("bulk-load", f"{own:,.0f} rows/s  peer {theirs:,.0f}", f"{speed:.2f} times", speed >= 1)


def million_holds(database: Database) -> bool:
    """Print how long a million answers of 5,000 learners take, simulated, loaded, indexed and derived."""
    loaded = ensure(database, WHOLE)
    started = time.perf_counter()
    remove(database)
    away = time.perf_counter() - started
    holds = loaded.seconds <= SECONDS_FOR_A_MILLION
    return _line("a-million-attempts", f"{loaded.seconds:.1f} s, removed in {away:.1f} s", "bar 60 s", holds)


def _line(name: str, figures: str, found: str, holds: bool) -> bool:
    print(f"{name:<20} {figures:<44} {found:<12} {'holds' if holds else 'MISSED'}", flush=True)
    return holds


def main() -> int:
    """Measure both bars."""
    folder = Path(tempfile.mkdtemp(prefix="bulk-load-"))
    folder.chmod(0o711)  # as root the server runs under another account
    try:
        with seeded(folder) as database:
            return 0 if all([copy_holds(database, folder), million_holds(database)]) else 1
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
