"""Is VACUUM keeping up, and does the planner know the tables: ages, dead rows, statistics, bloat."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, text

from subjunctive_admin.ops.health.activity import GRANT_MONITOR, SEES_OTHERS
from subjunctive_admin.ops.health.grading import (
    graded,
    listed,
    named,
    percent,
    plural,
    sized,
    unseen,
    worst,
)
from subjunctive_admin.ops.health.registry import VACUUM, Limits, Outcome, Probe, check
from subjunctive_admin.vocabulary import Status

AGE_BUDGET = 1_000_000_000
"""Transaction ids from which on an age is critical whatever the server's settings allow; half of what there is."""
FAILSAFE_SHARE = 0.8
HORIZON_WARNING, HORIZON_CRITICAL = 0.1, 0.5

DEAD_WARNING, DEAD_CRITICAL = (10_000, 0.20), (100_000, 0.40)
NEVER_ANALYSED_BYTES = 10_000_000
STALE_ROWS, STALE_SHARE = 1_000, 0.25
AUTOVACUUM_SECONDS = 600
"""What was loaded and analysed this recently is left to autovacuum, which looks at a table about once a minute."""
TABLE_BLOAT_WARNING, TABLE_BLOAT_CRITICAL = (100e6, 0.30), (1e9, 0.60)
INDEX_BLOAT_WARNING = (100e6, 0.50)

_OPTIMIZE = "subjunctive-admin optimize"


def _age(probe: Probe, query: str, noun: str, allowed: str, failsafe: str) -> Outcome:
    """Grade the oldest database by two settings of the server; `query` gives its name and age."""
    row = probe.connection.execute(text(query)).one()
    limit, emergency = (int(_setting(probe.connection, name)) for name in (allowed, failsafe))
    status = graded(row.age, limit, min(2 * limit, FAILSAFE_SHARE * emergency, AGE_BUDGET))
    said = f"The oldest {noun} of database {row.name} is {row.age:,} old; autovacuum acts by itself at {limit:,}."
    remedy = (
        "look for what holds VACUUM back: subjunctive-admin health --only xmin-horizon"
        if status is not Status.OK
        else None
    )
    return Outcome(status, f"{row.age:,}", said, remedy, facts={"age": row.age})


def _setting(connection: Connection, name: str) -> str:
    return str(connection.scalar(text("SELECT setting FROM pg_settings WHERE name = :name"), {"name": name}))


@check(
    "xid-age",
    title="Transaction id age",
    group=VACUUM,
    remedy=_OPTIMIZE,
    limits=lambda _: Limits("freeze_max_age", "2 × that"),
)
def xid_age(probe: Probe) -> Outcome:
    """No database of the server is near the end of its transaction ids."""
    query = "SELECT datname AS name, age(datfrozenxid) AS age FROM pg_database ORDER BY age DESC LIMIT 1"
    return _age(probe, query, "transaction id", "autovacuum_freeze_max_age", "vacuum_failsafe_age")


@check(
    "multixact-age",
    title="Multixact age",
    group=VACUUM,
    remedy=_OPTIMIZE,
    limits=lambda _: Limits("freeze_max_age", "2 × that"),
)
def multixact_age(probe: Probe) -> Outcome:
    """No database of the server is near the end of its multixact ids, which rows locked by several sessions use up."""
    query = "SELECT datname AS name, mxid_age(datminmxid) AS age FROM pg_database ORDER BY age DESC LIMIT 1"
    names = "autovacuum_multixact_freeze_max_age", "vacuum_multixact_failsafe_age"
    return _age(probe, query, "multixact id", *names)


@check(
    "xmin-horizon",
    title="Oldest snapshot",
    group=VACUUM,
    remedy="end the session, drop the slot, or finish the prepared transaction; then subjunctive-admin optimize",
    needs=SEES_OTHERS,
    limits=lambda _: Limits(f"{HORIZON_WARNING * AGE_BUDGET:,.0f}", f"{HORIZON_CRITICAL * AGE_BUDGET:,.0f}"),
)
def xmin_horizon(probe: Probe) -> Outcome:
    """No session, replication slot or prepared transaction keeps VACUUM from removing old rows."""
    rows = probe.connection.execute(
        text(
            """
            SELECT format('pid %s (%s)', pid, coalesce(nullif(application_name, ''), backend_type)) AS holder,
                   greatest(age(backend_xmin), age(backend_xid)) AS age, backend_type IS NULL AS hidden
            FROM pg_stat_activity
            WHERE pid <> pg_backend_pid() AND usesysid IS NOT NULL
              AND (datname IS NULL OR datname = current_database())
            UNION ALL
            SELECT 'replication slot ' || slot_name, greatest(age(xmin), age(catalog_xmin)), false
            FROM pg_replication_slots
            UNION ALL
            SELECT 'prepared transaction ' || gid, age(transaction), false FROM pg_prepared_xacts
            WHERE database = current_database()
            ORDER BY age DESC NULLS LAST
            """
        )
    ).all()
    held = [row for row in rows if row.age is not None]
    oldest, hidden = (held[0].age if held else 0), sum(row.hidden for row in rows)
    status = graded(oldest, HORIZON_WARNING * AGE_BUDGET, HORIZON_CRITICAL * AGE_BUDGET)
    if status is not Status.OK:
        said = named([f"{row.holder} holds a snapshot {row.age:,} transactions old" for row in held[:3]])
        return Outcome(status, f"{oldest:,}", f"VACUUM is held back: {said}.", facts={"age": oldest})
    if hidden:
        return unseen(f"the snapshots of {plural(hidden, 'session')} of other roles", GRANT_MONITOR)
    return Outcome(Status.OK, f"{oldest:,}", "Nothing keeps VACUUM from removing old rows.", facts={"age": oldest})


@dataclass(frozen=True)
class _TableCounts:
    """What the statistics know of one table; times in seconds, None for never."""

    name: str
    live: int
    dead: int
    modified: int
    rows: float
    size: int
    vacuumed: float | None
    analysed: float | None
    analysed_on_request: float | None

    @property
    def dead_share(self) -> float:
        return self.dead / max(self.live + self.dead, 1)

    @property
    def is_lost(self) -> bool:
        """There is much, and the statistics know of nothing: they vanish in a crash, and a standby has its own."""
        is_large = self.rows >= DEAD_WARNING[0] or self.size >= NEVER_ANALYSED_BYTES
        return is_large and not (self.live or self.dead or self.modified)


def _tables(connection: Connection) -> list[_TableCounts]:
    rows = connection.execute(
        text(
            """
            SELECT s.schemaname || '.' || s.relname AS name, s.n_live_tup, s.n_dead_tup, s.n_mod_since_analyze,
                   c.reltuples, pg_relation_size(c.oid),
                   extract(epoch FROM now() - greatest(s.last_vacuum, s.last_autovacuum))::float,
                   extract(epoch FROM now() - greatest(s.last_analyze, s.last_autoanalyze))::float,
                   extract(epoch FROM now() - s.last_analyze)::float
            FROM pg_stat_user_tables s JOIN pg_class c ON c.oid = s.relid
            WHERE c.relkind = 'r' AND c.relpersistence <> 't'
            """
        )
    )
    # A table that was dropped a moment ago has no size.
    return [_TableCounts(*row) for row in rows if row[5] is not None]


def _lost(tables: list[_TableCounts]) -> Outcome | None:
    names = [one.name for one in tables if one.is_lost]
    if not names:
        return None
    said = f"The server has no statistics of {named(names)}: lost in a crash, or counted by another server."
    return Outcome(Status.SKIPPED, None, said, f"count anew: {_OPTIMIZE}")


@check(
    "dead-tuples",
    title="Dead rows, worst table",
    group=VACUUM,
    remedy=_OPTIMIZE,
    limits=lambda _: Limits(*(f"{percent(share)}, {rows:,} rows" for rows, share in (DEAD_WARNING, DEAD_CRITICAL))),
)
def dead_tuples(probe: Probe) -> Outcome:
    """No table consists of deleted and replaced rows to a large part."""
    tables = _tables(probe.connection)
    graded_tables = [(one, _dead_status(one)) for one in tables]
    bad = sorted((pair for pair in graded_tables if pair[1] is not Status.OK), key=lambda pair: -pair[0].dead_share)
    if bad:
        said = named([f"{one.name} holds {percent(one.dead_share)} dead rows ({one.dead:,})" for one, _ in bad])
        status = worst(*(status for _, status in bad))
        first = bad[0][0]
        facts = {"share": first.dead_share}
        return Outcome(status, f"{percent(first.dead_share)} of {first.name}", f"{said}.", facts=facts)
    most = max((one.dead_share for one in tables if one.dead >= DEAD_WARNING[0]), default=0.0)
    said = "VACUUM keeps up with deleted and replaced rows."
    return _lost(tables) or Outcome(Status.OK, percent(most), said, facts={"share": most})


def _dead_status(one: _TableCounts) -> Status:
    if one.vacuumed is None and (one.analysed_on_request or AUTOVACUUM_SECONDS) < AUTOVACUUM_SECONDS:
        return Status.OK
    for status, (rows, share) in ((Status.CRITICAL, DEAD_CRITICAL), (Status.WARNING, DEAD_WARNING)):
        if one.dead >= rows and one.dead_share >= share:
            return status
    return Status.OK


@check(
    "stale-statistics",
    title="Tables with stale statistics",
    group=VACUUM,
    remedy=_OPTIMIZE,
    severity=Status.WARNING,
    limits=lambda _: Limits(f"{percent(STALE_SHARE)}, {STALE_ROWS:,} rows"),
)
def stale_statistics(probe: Probe) -> Outcome:
    """The planner's statistics of every large or much changed table are of its present contents."""
    tables = _tables(probe.connection)
    found = [f"{one.name} ({said})" for one in tables if (said := _staleness(one))]
    outcome = listed(found, "table has stale statistics", "tables have stale statistics", "All statistics are fresh.")
    return outcome if found else _lost(tables) or outcome


def _staleness(one: _TableCounts) -> str | None:
    if one.analysed is None:
        # The catalog remembers through a crash that rows were once counted.
        is_new = one.rows < 0 or not one.is_lost
        return "never analysed" if is_new and one.size >= NEVER_ANALYSED_BYTES else None
    share = one.modified / max(one.live, 1)
    if one.modified < STALE_ROWS or share < STALE_SHARE or one.analysed < AUTOVACUUM_SECONDS:
        return None
    return f"{percent(min(share, 1.0))} changed since"


@dataclass(frozen=True)
class _Estimate:
    """How large a relation is, and how large it would be if newly written; None where pg_stats shows nothing."""

    name: str
    size: int
    needed: float | None

    @property
    def wasted(self) -> float:
        return max(self.size - (self.needed or self.size), 0.0)

    @property
    def share(self) -> float:
        return self.wasted / max(self.size, 1)

    def reaches(self, limit: tuple[float, float]) -> bool:
        return self.wasted >= limit[0] and self.share >= limit[1]


def _judge_bloat(found: list[_Estimate], limits: dict[Status, tuple[float, float]], noun: str, nouns: str) -> Outcome:
    """Grade estimates by (bytes, share); a relation that pg_stats does not show is unknown."""
    bad = sorted((one for one in found if any(map(one.reaches, limits.values()))), key=lambda one: -one.wasted)
    if bad:
        status = worst(*(next(s for s, limit in limits.items() if one.reaches(limit)) for one in bad))
        told = named([f"{one.name} could give back {sized(one.wasted)} ({percent(one.share)})" for one in bad])
        return Outcome(status, f"{percent(bad[0].share)} of {bad[0].name}", f"By estimate, {told}.")
    unknown = [one.name for one in found if one.needed is None]
    if unknown:
        said = f"{plural(len(unknown), f'large {noun}', f'large {nouns}')}, of which pg_stats shows nothing: {named(unknown)}"
        return unseen(said, "grant this role SELECT on them; what it has is shown by subjunctive-admin access check")
    said = f"By estimate, no large {noun} is bloated." if found else f"No {noun} is large enough to matter."
    return Outcome(Status.OK, percent(max((one.share for one in found), default=0.0)), said)


@check(
    "bloat",
    title="Table bloat, estimated",
    group=VACUUM,
    remedy=_OPTIMIZE,
    needs="SELECT on the tables, through which pg_stats shows their columns",
    limits=lambda _: Limits(
        *(f"{percent(share)}, {sized(size)}" for size, share in (TABLE_BLOAT_WARNING, TABLE_BLOAT_CRITICAL))
    ),
)
def bloat(probe: Probe) -> Outcome:
    """No large table could give back much of its space; an estimate from the mean width of its rows."""
    rows = probe.connection.execute(
        text(
            """
            SELECT n.nspname || '.' || c.relname AS name, pg_relation_size(c.oid) AS size,
                   -- A row is its columns, 24 bytes of header and 4 of line pointer, filled up to 8 bytes.
                   CASE WHEN c.reltuples >= 0 AND count(s.attname) = count(a.attname) THEN
                     c.reltuples * (28 + 8 * ceil(sum(s.avg_width * (1 - s.null_frac)) / 8))
                     / (coalesce(substring(array_to_string(c.reloptions, ',') FROM 'fillfactor=(\\d+)'), '100')::float
                        / 100) * 8192 / 8168
                   END AS needed
            FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
            JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
            LEFT JOIN pg_stats s ON s.schemaname = n.nspname AND s.tablename = c.relname AND s.attname = a.attname
              AND s.inherited = false
            WHERE c.relkind IN ('r', 'm') AND c.relpersistence <> 't' AND n.nspname !~ '^pg_'
              AND n.nspname <> 'information_schema' AND pg_relation_size(c.oid) >= :size
            GROUP BY c.oid, n.nspname, c.relname, c.reltuples, c.reloptions
            """
        ),
        {"size": TABLE_BLOAT_WARNING[0]},
    )
    found = [_Estimate(*row) for row in rows]
    limits = {Status.CRITICAL: TABLE_BLOAT_CRITICAL, Status.WARNING: TABLE_BLOAT_WARNING}
    return _judge_bloat(found, limits, "table", "tables")


@check(
    "index-bloat",
    title="Index bloat, estimated",
    group=VACUUM,
    remedy=_OPTIMIZE,
    severity=Status.WARNING,
    needs="SELECT on the tables, through which pg_stats shows their columns",
    limits=lambda _: Limits(f"{percent(INDEX_BLOAT_WARNING[1])}, {sized(INDEX_BLOAT_WARNING[0])}"),
)
def index_bloat(probe: Probe) -> Outcome:
    """No large B-tree could give back much of its space; an estimate that leaves merged duplicates out."""
    rows = probe.connection.execute(
        text(
            """
            SELECT n.nspname || '.' || i.relname AS name, pg_relation_size(i.oid) AS size,
                   -- An entry is its columns, 8 bytes of header and 4 of line pointer; a leaf is 90 % full.
                   CASE WHEN i.reltuples >= 0 AND count(s.attname) = count(a.attname) THEN
                     i.reltuples * (12 + 8 * ceil(sum(s.avg_width * (1 - s.null_frac)) / 8))
                     / (coalesce(substring(array_to_string(i.reloptions, ',') FROM 'fillfactor=(\\d+)'), '90')::float
                        / 100) * 8192 / 8152
                   END AS needed
            FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_am m ON m.oid = i.relam
            JOIN pg_class t ON t.oid = x.indrelid JOIN pg_namespace n ON n.oid = t.relnamespace
            JOIN pg_attribute a ON a.attrelid = i.oid
            -- The columns of expressions are known under the name of the index.
            LEFT JOIN pg_attribute c ON c.attrelid = t.oid AND c.attnum = x.indkey[a.attnum - 1] AND c.attnum > 0
            LEFT JOIN pg_stats s ON s.schemaname = n.nspname AND s.inherited = false
              AND s.tablename = CASE WHEN c.attname IS NULL THEN i.relname ELSE t.relname END
              AND s.attname = coalesce(c.attname, a.attname)
            WHERE m.amname = 'btree' AND i.relkind = 'i' AND n.nspname !~ '^pg_' AND t.relpersistence <> 't'
              AND n.nspname <> 'information_schema' AND pg_relation_size(i.oid) >= :size
            GROUP BY i.oid, n.nspname, i.relname, i.reltuples, i.reloptions
            """
        ),
        {"size": INDEX_BLOAT_WARNING[0]},
    )
    return _judge_bloat([_Estimate(*row) for row in rows], {Status.WARNING: INDEX_BLOAT_WARNING}, "index", "indexes")
