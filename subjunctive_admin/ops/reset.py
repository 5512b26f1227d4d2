"""Empty a database that is not production, after a backup that can bring everything back."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from subjunctive_admin import schema
from subjunctive_admin.db import Database
from subjunctive_admin.errors import WriteRefused
from subjunctive_admin.ops.backup import create_backup, require_typed
from subjunctive_admin.ops.backup.create import Progress


@dataclass(frozen=True)
class Reset:
    """What was emptied, and the backup that holds it."""

    database: str
    environment: str | None
    backup: str

    @property
    def sentence(self) -> str:
        """The same in words, with the way back."""
        return (
            f"{self.database} is empty and at the newest revision; what it held is in {self.backup}."
            " Next: subjunctive-admin seed"
        )

    def as_dict(self) -> dict[str, Any]:
        """The same as JSON values."""
        return asdict(self)


def reset_database(database: Database, typed: str, *, progress: Progress | None = None) -> Reset:
    """Back up, then take the schema away and make it anew, in one transaction; the environment stays.

    Raises `WriteRefused` for a database of production, `UsageError` unless its name was typed, and whatever keeps
    the backup from being complete: nothing is emptied then.
    """
    with database.connection() as connection:
        schema.require_current(connection)
        state = schema.read_state(connection)
    if state.environment == schema.PRODUCTION:
        raise WriteRefused(
            f"{database.url.database} is marked {schema.PRODUCTION} and is not emptied.",
            next_step="if it is none, mark it first: subjunctive-admin setup --environment NAME",
        )
    require_typed(database, typed)
    manifest = create_backup(database, progress=progress)
    schema.rebuild(database)
    return Reset(str(database.url.database), state.environment, manifest.name)
