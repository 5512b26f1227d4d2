"""What the tests of backups share: a backup of a small database, copies of it to damage, and databases beside it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, text

from subjunctive_admin.db import Database
from subjunctive_admin.embedded import EmbeddedServer
from subjunctive_admin.ops.backup import Manifest, create_backup
from subjunctive_admin.ops.backup.manifest import dump_of
from subjunctive_admin.settings import Settings
from tests.ops.health_verbs import run_sql, with_settings

ROWS = 200
SMALL = (
    "CREATE TABLE words (id int PRIMARY KEY, word text, at timestamptz, share double precision, raw bytea)",
    f"""
    INSERT INTO words SELECT n, md5(n::text), to_timestamp(n * 1e5), sqrt(n), decode(md5(n::text), 'hex')
    FROM generate_series(1, {ROWS}) n
    """,
    "CREATE TABLE \"Odd Näme\" (v text DEFAULT 'it''s')",
    "INSERT INTO \"Odd Näme\" VALUES (NULL), ('ñandú'), (DEFAULT)",
)
HOLD_LOCK = (
    "import sys, filelock\nwith filelock.FileLock(sys.argv[1]):\n    print('held', flush=True)\n    sys.stdin.read()\n"
)


@dataclass(frozen=True)
class Saved:
    """A backup in a folder that a test may damage, and the database that it is of."""

    database: Database
    folder: Path
    manifest: Manifest

    @property
    def dump(self) -> Path:
        return dump_of(self.folder, self.manifest.name)

    @property
    def json(self) -> Path:
        return self.folder / f"{self.manifest.name}.json"

    @property
    def settings(self) -> Settings:
        return self.database.settings

    def edit(self, **changed: Any) -> None:
        """Change the manifest's file by hand."""
        self.json.write_text(json.dumps(json.loads(self.json.read_text()) | changed))


def saving_to(database: Database, folder: Path, **changed: Any) -> Database:
    """The same database, backed up into this folder."""
    return with_settings(database, backup_folder=folder, **changed)


def copy_of(saved: Saved, folder: Path) -> Saved:
    """The same backup once more, in a folder of the test's own."""
    shutil.copytree(saved.folder, folder)
    return Saved(saving_to(saved.database, folder), folder, saved.manifest)


def saved_small(database: Database, folder: Path) -> Saved:
    run_sql(database, *SMALL)
    manifest = create_backup(database)
    return Saved(database, folder, manifest)


def visible(folder: Path) -> list[str]:
    """The names in a folder, without those that begin with a dot."""
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


def databases(database: Database) -> list[str]:
    with database.connection() as connection:
        return list(connection.scalars(text("SELECT datname FROM pg_database ORDER BY 1")))


def scalar(database: Database, query: str, name: str | None = None) -> Any:
    """One value of the database, or of another one on its server."""
    engine = create_engine(database.url.set(database=name or database.url.database))
    try:
        with engine.connect() as connection:
            return connection.scalar(text(query))
    finally:
        engine.dispose()


def rest_of(database: Database) -> int:
    """How many sessions of a backup the server still has."""
    found: int = scalar(database, "SELECT count(*) FROM pg_stat_activity WHERE application_name ~ ':backup:'")
    return found


def autocommit(server: EmbeddedServer, *statements: str) -> None:
    engine = create_engine(server.admin_url(), isolation_level="AUTOCOMMIT")
    try:
        with engine.connect() as connection:
            for statement in statements:
                connection.execute(text(statement))
    finally:
        engine.dispose()


@contextmanager
def lock_held_elsewhere(folder: Path) -> Iterator[None]:
    """Another process holds the folder's lock."""
    folder.mkdir(exist_ok=True)
    command = [sys.executable, "-c", HOLD_LOCK, str(folder / ".lock")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        yield
        process.communicate()
