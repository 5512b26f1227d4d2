"""The database's schema: migrate it, say where it stands, and describe what is really there.

Migrations run in one transaction behind an advisory lock, so that two setups at once end well and a
killed one leaves nothing behind.
"""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.script.revision import ResolutionError
from alembic.util.exc import CommandError
from sqlalchemy import Connection, text

from subjunctive_admin.db import Database
from subjunctive_admin.errors import Conflict, NotSetUp, SubjunctiveError, UsageError, WriteRefused
from subjunctive_admin.models import OPS
from subjunctive_admin.resources import resource_folder

PRODUCTION = "production"
"""The environment in which nothing simulates and nothing empties."""
# The key of the advisory lock: "subjunct" in ASCII.
_LOCK_KEY = int.from_bytes(b"subjunct", "big") - (1 << 63)
_LOCK_WAIT_SECONDS = 60.0
_LOCK_ATTEMPTS = 5

Narrate = Callable[[str], None]


def _silent(_sentence: str) -> None:
    return None


@dataclass(frozen=True)
class SchemaState:
    """Where a database stands against the migrations of this version."""

    current: str | None
    head: str
    environment: str | None

    @property
    def is_current(self) -> bool:
        """Whether nothing is left to migrate."""
        return self.current == self.head


def _config(connection: Connection | None = None, output: io.StringIO | None = None) -> Config:
    config = Config(output_buffer=output)
    config.set_main_option("script_location", str(resource_folder("migrations")).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def heads() -> list[str]:
    """The newest revisions; more than one is a mistake of the release."""
    return list(ScriptDirectory.from_config(_config()).get_heads())


def head() -> str:
    """The one newest revision."""
    newest = heads()
    if len(newest) != 1:
        raise SubjunctiveError(f"The migrations have {len(newest)} heads: {', '.join(newest)}.")
    return newest[0]


def current_revision(connection: Connection) -> str | None:
    """The revision the database is at; None for one that was never set up."""
    options = {"version_table_schema": OPS}
    revision: str | None = MigrationContext.configure(connection, opts=options).get_current_revision()
    return revision


def read_state(connection: Connection) -> SchemaState:
    """Where the database stands, and which environment it was set up as."""
    current = current_revision(connection)
    exists = connection.scalar(text("SELECT to_regclass('ops.instance') IS NOT NULL"))
    environment = connection.scalar(text("SELECT environment FROM ops.instance")) if exists else None
    return SchemaState(current, head(), environment)


def require_current(connection: Connection) -> None:
    """Raise `NotSetUp` unless the database is at the newest revision."""
    state = read_state(connection)
    if state.current is None:
        raise NotSetUp("The database was never set up.", next_step="subjunctive-admin setup")
    if not state.is_current:
        raise NotSetUp(
            f"The database is at revision {state.current}, this version needs {state.head}.",
            next_step="subjunctive-admin migrate",
        )


def migrate(database: Database, revision: str = "head", *, narrate: Narrate = _silent) -> SchemaState:
    """Bring the database to `revision`, upwards or down to it; nothing happens when it is there.

    Raises `UsageError` for an unknown revision, `Conflict` when a lock could not be had.
    """
    target = resolve(revision)
    for attempt in range(1, _LOCK_ATTEMPTS + 1):
        try:
            with database.connection(write=True) as connection:
                return _migrate_locked(connection, target, narrate)
        except Conflict:
            if attempt == _LOCK_ATTEMPTS:
                raise _lock_conflict(database) from None
            narrate(f"A table is locked by another session; trying again ({attempt} of {_LOCK_ATTEMPTS - 1})")
            time.sleep(attempt)
    raise AssertionError("unreachable: the last attempt returns or raises")


def setup(database: Database, environment: str | None = None, *, narrate: Narrate = _silent) -> SchemaState:
    """Migrate, and record which environment this database is; a recorded one changes only when given.

    Without a name an embedded database is `development`, any other `production`.
    """
    migrate(database, narrate=narrate)
    default = "development" if database.settings.uses_embedded else PRODUCTION
    with database.connection(write=True) as connection:
        connection.execute(
            text("INSERT INTO ops.instance (environment) VALUES (:name) ON CONFLICT (only_row) DO NOTHING"),
            {"name": environment or default},
        )
        if environment is not None:
            connection.execute(
                text("UPDATE ops.instance SET environment = :name WHERE environment <> :name"), {"name": environment}
            )
        return read_state(connection)


def rebuild(database: Database, *, narrate: Narrate = _silent) -> SchemaState:
    """Take the schema away with all that is in it and make it anew, in one transaction; what the database is stays.

    The epoch goes up, by which whoever keeps copies learns of it. Raises `NotSetUp` where there is no schema,
    `Conflict` when a lock could not be had.
    """
    with database.connection(write=True) as connection:
        require_current(connection)
        before = connection.execute(text("SELECT environment, epoch FROM ops.instance")).one_or_none()
        _migrate_locked(connection, None, narrate)
        _migrate_locked(connection, head(), narrate)
        if before:
            made = "INSERT INTO ops.instance (environment, epoch) VALUES (:environment, :epoch)"
            connection.execute(text(made), {"environment": before.environment, "epoch": before.epoch + 1})
        return read_state(connection)


def offline_sql(revision: str = "head") -> str:
    """The SQL from nothing to `revision`, for a database that an administrator changes by hand."""
    buffer = io.StringIO()
    command.upgrade(_config(output=buffer), resolve(revision) or "base", sql=True)
    return buffer.getvalue()


def resolve(revision: str) -> str | None:
    """The full name of a revision (`head`, `base`, a number or its beginning); None stands for base."""
    if revision == "base":
        return None
    script = ScriptDirectory.from_config(_config())
    found = None
    with suppress(CommandError, ResolutionError):
        found = script.get_revision(revision) if revision else None
    if found is None:
        known = ", ".join(s.revision for s in script.walk_revisions())
        raise UsageError(f"There is no migration {revision!r}.", next_step=f"use head, base or one of {known}")
    name: str = found.revision
    return name


def _migrate_locked(connection: Connection, target: str | None, narrate: Narrate) -> SchemaState:
    if connection.scalar(text("SELECT pg_is_in_recovery()")):
        raise WriteRefused(
            "The server is a standby and accepts no migration.",
            next_step="point SUBJUNCTIVE_DATABASE_URL at the primary",
        )
    # Waiting for the other setup, or building an index, may take longer than any ordinary statement.
    connection.execute(text("SET LOCAL statement_timeout = 0"))
    _take_lock(connection, narrate)
    current = current_revision(connection)
    _refuse_newer(current)
    if current != target:
        connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {OPS}"))
        newer = _is_upgrade(current, target)
        step = command.upgrade if newer else command.downgrade
        narrate(f"Migrating from {current or 'an empty database'} to {target or 'an empty database'}")
        step(_config(connection), target or "base")
    return read_state(connection)


def _take_lock(connection: Connection, narrate: Narrate) -> None:
    deadline = time.monotonic() + _LOCK_WAIT_SECONDS
    said = False
    while not connection.scalar(text("SELECT pg_try_advisory_xact_lock(:key)"), {"key": _LOCK_KEY}):
        if time.monotonic() > deadline:
            raise SubjunctiveError(
                f"Another setup has been running for more than {_LOCK_WAIT_SECONDS:.0f} s.",
                next_step="subjunctive-admin pool shows the session that holds the lock",
            )
        if not said:
            narrate("Another setup is running; waiting for it")
            said = True
        time.sleep(0.1)


def _refuse_newer(current: str | None) -> None:
    if current is not None and current not in {
        s.revision for s in ScriptDirectory.from_config(_config()).walk_revisions()
    }:
        raise NotSetUp(
            f"The database is at revision {current}, which this version does not know: a newer one set it up.",
            next_step="upgrade subjunctive-admin",
        )


def _is_upgrade(current: str | None, target: str | None) -> bool:
    if target is None:
        return False
    if current is None:
        return True
    script = ScriptDirectory.from_config(_config())
    return current in {s.revision for s in script.iterate_revisions(target, "base")}


def _lock_conflict(database: Database) -> Conflict:
    with database.connection() as connection:
        holders = connection.execute(
            text(
                """
                SELECT DISTINCT a.pid, coalesce(nullif(a.application_name, ''), 'unnamed') AS name,
                       coalesce(a.state, 'state not visible') AS state
                FROM pg_locks l JOIN pg_stat_activity a USING (pid) JOIN pg_class c ON c.oid = l.relation
                JOIN pg_namespace n ON n.oid = c.relnamespace
                WHERE n.nspname IN ('public', 'editorial', 'ops', 'private')
                  AND a.pid <> pg_backend_pid() AND a.datname = current_database()
                ORDER BY a.pid
                """
            )
        ).all()
    named = "; ".join(f"{row.name}, pid {row.pid}, {row.state}" for row in holders) or "gone by now"
    return Conflict(
        f"The migration could not lock its tables in {_LOCK_ATTEMPTS} tries. Held by: {named}.",
        next_step="end that session, then run it again",
    )


_FINGERPRINT: dict[str, str] = {
    "column": """
        SELECT c.relname || '.' || a.attname, n.nspname,
               concat_ws(' ', format_type(a.atttypid, a.atttypmod), CASE WHEN a.attnotnull THEN 'not null' END,
                         nullif(a.attidentity::text, ''), nullif(a.attgenerated::text, ''), pg_get_expr(d.adbin, d.adrelid))
        FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
        LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
        WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p', 'v', 'm') AND n.nspname = ANY (:schemas)
    """,
    # Version 18 lists NOT NULL as constraints; the columns above say it on every version.
    "constraint": """
        SELECT c.relname || '.' || k.conname, n.nspname,
               concat_ws(' ', pg_get_constraintdef(k.oid), CASE WHEN NOT k.convalidated THEN 'NOT VALID' END)
        FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE k.contype <> 'n' AND n.nspname = ANY (:schemas)
    """,
    "index": """
        SELECT c.relname || '.' || i.relname, n.nspname,
               concat_ws(' ', pg_get_indexdef(x.indexrelid), CASE WHEN NOT x.indisvalid THEN 'INVALID' END)
        FROM pg_index x JOIN pg_class c ON c.oid = x.indrelid JOIN pg_class i ON i.oid = x.indexrelid
        JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = ANY (:schemas)
    """,
    "enum": """
        SELECT t.typname, n.nspname, string_agg(e.enumlabel, ' ' ORDER BY e.enumsortorder)
        FROM pg_enum e JOIN pg_type t ON t.oid = e.enumtypid JOIN pg_namespace n ON n.oid = t.typnamespace
        WHERE n.nspname = ANY (:schemas) GROUP BY 1, 2
    """,
    "trigger": """
        SELECT c.relname || '.' || t.tgname, n.nspname,
               concat_ws(' ', pg_get_triggerdef(t.oid), CASE WHEN t.tgenabled <> 'O' THEN 'DISABLED' END)
        FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE NOT t.tgisinternal AND n.nspname = ANY (:schemas)
    """,
    "function": """
        SELECT p.proname, n.nspname, pg_get_functiondef(p.oid)
        FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
        WHERE p.prokind = 'f' AND n.nspname = ANY (:schemas)
          AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.objid = p.oid AND e.deptype = 'e')
    """,
    "view": """
        SELECT c.relname, n.nspname, pg_get_viewdef(c.oid)
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind IN ('v', 'm') AND n.nspname = ANY (:schemas)
    """,
}
_FINGERPRINTED = ("public", "editorial", "ops", "private")


def fingerprint(connection: Connection) -> dict[str, str]:
    """Every object of the four schemas → its canonical definition, alike on PostgreSQL 15 to 18.

    Sees what `alembic check` does not: labels, CHECKs, predicates, validity, triggers, expressions.
    """
    found: dict[str, str] = {}
    connection.execute(text("SET LOCAL search_path = public"))
    for kind, query in _FINGERPRINT.items():
        for name, schema, definition in connection.execute(text(query), {"schemas": list(_FINGERPRINTED)}):
            if not name.startswith("alembic_version."):
                found[f"{kind} {schema}.{name}"] = " ".join(definition.split())
    return dict(sorted(found.items()))


_GRANTS = """
    SELECT kind || ' ' || name AS object, coalesce(r.rolname, 'PUBLIC') AS grantee,
           string_agg(g.privilege_type || CASE WHEN g.is_grantable THEN '*' ELSE '' END, ' ' ORDER BY g.privilege_type)
    FROM (
      SELECT 'schema' AS kind, n.nspname AS name, n.nspowner AS owner, n.nspacl AS acl FROM pg_namespace n
      WHERE n.nspname = ANY (:schemas) AND n.nspname <> 'public'
      UNION ALL
      SELECT CASE c.relkind WHEN 'S' THEN 'sequence' ELSE 'table' END, n.nspname || '.' || c.relname, c.relowner, c.relacl
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE n.nspname = ANY (:schemas) AND c.relkind IN ('r', 'p', 'v', 'm', 'S')
      UNION ALL
      SELECT 'column', n.nspname || '.' || c.relname || '.' || a.attname, c.relowner, a.attacl
      FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE n.nspname = ANY (:schemas) AND a.attnum > 0 AND NOT a.attisdropped
    ) o CROSS JOIN LATERAL aclexplode(o.acl) g LEFT JOIN pg_roles r ON r.oid = g.grantee
    WHERE g.grantee <> o.owner GROUP BY 1, 2 ORDER BY 1, 2
"""


def grants(connection: Connection) -> dict[str, dict[str, str]]:
    """Object of the four schemas → whom it grants what, its owner left out; `*` may be passed on.

    Apart from `fingerprint`, because a migration grants nothing: who may do what is each installation's own.
    """
    found: dict[str, dict[str, str]] = {}
    for name, grantee, rights in connection.execute(text(_GRANTS), {"schemas": list(_FINGERPRINTED)}):
        found.setdefault(name, {})[grantee] = rights
    return found


def expected_fingerprint() -> dict[str, str]:
    """The fingerprint of an empty database at head, shipped with the migrations."""
    path = resource_folder("migrations") / "fingerprint.json"
    loaded: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return {str(name): str(definition) for name, definition in loaded.items()}


def drift(expected: dict[str, str], actual: dict[str, str]) -> list[str]:
    """The differences as sentences, in the order of the objects' names; empty when equal."""
    sentences = []
    for name in sorted(expected.keys() | actual.keys()):
        if name not in actual:
            sentences.append(f"{name} is missing")
        elif name not in expected:
            sentences.append(f"{name} is not part of the schema")
        elif expected[name] != actual[name]:
            sentences.append(f"{name} differs: expected {expected[name]}, found {actual[name]}")
    return sentences
