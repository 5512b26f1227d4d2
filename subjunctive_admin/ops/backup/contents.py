"""What a database holds, so that a copy can be compared with it: rows and a hash of each table, and its schema.

The hash of a table is the sum of the hashes of its rows as text: the same in any order, on any supported version.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, text

from subjunctive_admin import schema

# How a value is written must not depend on who asks.
PINNED = {
    "DateStyle": "ISO, YMD",
    "IntervalStyle": "iso_8601",
    "TimeZone": "UTC",
    "extra_float_digits": "1",
    "bytea_output": "hex",
}
_MOST_TOLD = 5


@dataclass(frozen=True)
class Contents:
    """Table → (rows, hash); the migration it is at; the SHA-256 of its catalog's fingerprint."""

    tables: Mapping[str, tuple[int, str]]
    revision: str | None
    fingerprint: str

    @property
    def rows(self) -> int:
        """Of all tables."""
        return sum(rows for rows, _ in self.tables.values())

    def as_dict(self) -> dict[str, Any]:
        """The same as JSON values."""
        tables = {name: {"rows": rows, "hash": found} for name, (rows, found) in sorted(self.tables.items())}
        return {"tables": tables, "revision": self.revision, "fingerprint": self.fingerprint}

    @classmethod
    def from_dict(cls, found: Mapping[str, Any]) -> Contents:
        """What `as_dict` gave; raises `KeyError` or `TypeError` for anything else."""
        tables = {name: (int(one["rows"]), str(one["hash"])) for name, one in found["tables"].items()}
        return cls(tables, found["revision"], str(found["fingerprint"]))


def pin(connection: Connection) -> None:
    """Fix for this transaction how values are written, and leave it all the time it needs."""
    for name, value in (PINNED | {"statement_timeout": "0", "idle_in_transaction_session_timeout": "0"}).items():
        connection.execute(text("SELECT set_config(:name, :value, true)"), {"name": name, "value": value})


def read_contents(connection: Connection, progress: Callable[[int, int], None] | None = None) -> Contents:
    """Read every table of the database once, in the transaction's snapshot."""
    pin(connection)
    names = _tables(connection)
    found = {}
    for number, (name, quoted) in enumerate(names.items(), 1):
        if progress:
            progress(number, len(names))
        # The name comes quoted from the catalog.
        hashed = "coalesce(sum(hashtextextended(whole_row::text, 0)), 0)"
        query = f"SELECT count(*) AS rows, {hashed} AS hash FROM {quoted} whole_row"  # noqa: S608
        row = connection.execute(text(query)).one()
        found[name] = (row.rows, str(row.hash))
    # Last: it sets the search path.
    definitions = json.dumps(schema.fingerprint(connection), sort_keys=True)
    revision = schema.current_revision(connection)
    return Contents(found, revision, hashlib.sha256(definitions.encode()).hexdigest())


def _tables(connection: Connection) -> dict[str, str]:
    """Every table with rows of its own → its name as SQL needs it."""
    rows = connection.execute(
        text(
            """
            SELECT n.nspname || '.' || c.relname AS name, format('%I.%I', n.nspname, c.relname) AS quoted
            FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE c.relkind IN ('r', 'm') AND c.relpersistence <> 't' AND n.nspname !~ '^pg_'
              AND n.nspname <> 'information_schema'
            ORDER BY 1
            """
        )
    )
    return {row.name: row.quoted for row in rows}


def differences(expected: Contents, found: Contents) -> list[str]:
    """What a copy has otherwise than it should, a sentence each, at most five of the tables; empty when equal."""
    told = []
    for name in sorted(expected.tables.keys() | found.tables.keys()):
        mine, theirs = expected.tables.get(name), found.tables.get(name)
        if mine is None or theirs is None:
            told.append(f"{name} is {'missing' if theirs is None else 'not part of the backup'}")
        elif mine[0] != theirs[0]:
            told.append(f"{name} has {theirs[0]:,} rows instead of {mine[0]:,}")
        elif mine[1] != theirs[1]:
            told.append(f"{name} has other values in its {mine[0]:,} rows")
    told = [*told[:_MOST_TOLD], *([f"and {len(told) - _MOST_TOLD} more tables"] if len(told) > _MOST_TOLD else [])]
    if expected.revision != found.revision:
        told.append(f"it is at migration {found.revision} instead of {expected.revision}")
    if expected.fingerprint != found.fingerprint:
        told.append("its schema is another")
    return told
