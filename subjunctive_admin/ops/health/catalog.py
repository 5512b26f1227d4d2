"""What the catalog tells of tables and indexes: what is invalid, double, missing, unused, used up or switched off."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, text

from subjunctive_admin.ops.health.grading import graded, listed, named, percent, plural, sized, skipped, unseen
from subjunctive_admin.ops.health.registry import SCHEMA, Limits, Outcome, Probe, check
from subjunctive_admin.vocabulary import Status

SEQUENCE_WARNING, SEQUENCE_CRITICAL = 0.75, 0.90
UNUSED_DAYS, UNUSED_BYTES = 14, 1_000_000

_COMPARE = "compare with the migrations: subjunctive-admin health --only schema-integrity"
_ONE_IS_ENOUGH = "1"


def _any(_settings: object) -> Limits:
    return Limits(_ONE_IS_ENOUGH)


@check(
    "invalid-index",
    title="Invalid indexes",
    group=SCHEMA,
    remedy="make them anew: subjunctive-admin optimize",
    limits=lambda _: Limits(_ONE_IS_ENOUGH, "1 unique"),
)
def invalid_index(probe: Probe) -> Outcome:
    """No index was left unfinished; an invalid unique one lets duplicates in. One being built is left out."""
    rows = probe.connection.execute(
        text(
            """
            SELECT x.indexrelid::regclass::text AS name, x.indisunique AS is_unique
            FROM pg_index x
            WHERE NOT (x.indisvalid AND x.indisready AND x.indislive)
              -- Who builds what is hidden from other roles; the lock on the table is not.
              AND NOT EXISTS (
                SELECT FROM pg_stat_progress_create_index p
                WHERE p.datname = current_database() AND (p.relid = x.indrelid OR (p.relid IS NULL AND EXISTS (
                    SELECT FROM pg_locks l WHERE l.pid = p.pid AND l.relation = x.indrelid))))
            ORDER BY x.indisunique DESC, 1
            """
        )
    ).all()
    names = [f"{row.name}{' (unique)' if row.is_unique else ''}" for row in rows]
    status = Status.CRITICAL if any(row.is_unique for row in rows) else Status.WARNING
    return listed(names, "index is invalid", "indexes are invalid", "Every index is valid.", status=status)


@check(
    "duplicate-index",
    title="Duplicate indexes",
    group=SCHEMA,
    remedy=f"drop the one that no constraint uses; {_COMPARE}",
    severity=Status.WARNING,
    limits=_any,
)
def duplicate_index(probe: Probe) -> Outcome:
    """No two indexes hold the same; one that a constraint or replication needs is never the superfluous one."""
    rows = probe.connection.execute(
        text(
            """
            WITH known AS (
                SELECT x.indexrelid, x.indexrelid::regclass::text AS name, x.indisunique,
                       x.indisreplident OR EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = x.indexrelid)
                       AS is_needed,
                       concat_ws('|', x.indrelid, c.relam, x.indnkeyatts, x.indkey, x.indclass, x.indcollation,
                                 x.indoption, pg_get_expr(x.indexprs, x.indrelid), '|',
                                 pg_get_expr(x.indpred, x.indrelid)) AS contents
                FROM pg_index x JOIN pg_class c ON c.oid = x.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace
                WHERE x.indisvalid AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
            )
            SELECT one.name, min(other.name) AS kept
            FROM known one JOIN known other ON other.contents = one.contents AND other.indexrelid <> one.indexrelid
            -- Of two alike the later one is superfluous; a unique one never for the sake of one that is not.
            WHERE NOT one.is_needed AND (other.indisunique OR NOT one.indisunique)
              AND (other.is_needed OR other.indisunique > one.indisunique OR other.indexrelid < one.indexrelid)
            GROUP BY one.name ORDER BY one.name
            """
        )
    )
    found = [f"{row.name} holds what {row.kept} holds" for row in rows]
    return listed(found, "index is superfluous", "indexes are superfluous", "No two indexes hold the same.")


@check(
    "fk-index",
    title="Foreign keys without an index",
    group=SCHEMA,
    remedy=f"create an index on the columns named; {_COMPARE}",
    severity=Status.WARNING,
    limits=_any,
)
def foreign_key_index(probe: Probe) -> Outcome:
    """Every foreign key's columns lead an index, without which deleting what they point at reads the whole table."""
    rows = probe.connection.execute(
        text(
            """
            SELECT k.conrelid::regclass::text AS name, (
                SELECT string_agg(a.attname, ', ' ORDER BY u.place) FROM unnest(k.conkey) WITH ORDINALITY u (number, place)
                JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.number) AS columns
            FROM pg_constraint k
            WHERE k.contype = 'f' AND k.conparentid = 0 AND NOT EXISTS (
                SELECT FROM pg_index x WHERE x.indrelid = k.conrelid AND x.indisvalid
                  -- One over the rows that are not NULL serves as well: NULL points at nothing.
                  AND (x.indpred IS NULL OR pg_get_expr(x.indpred, x.indrelid) ~ '^\\(\\w+ IS NOT NULL\\)$')
                  AND (x.indkey::int2[])[0:cardinality(k.conkey) - 1] @> k.conkey)
            ORDER BY 1, 2
            """
        )
    )
    found = [f"{row.name} ({row.columns})" for row in rows]
    return listed(found, "foreign key has no index", "foreign keys have no index", "Every foreign key has an index.")


@check(
    "primary-key",
    title="Tables without a primary key",
    group=SCHEMA,
    remedy=f"add a primary key; {_COMPARE}",
    severity=Status.WARNING,
    limits=_any,
)
def primary_key(probe: Probe) -> Outcome:
    """Every table has a primary key, without which a row cannot be told from its double."""
    rows = probe.connection.execute(
        text(
            """
            SELECT c.oid::regclass::text AS name
            FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't' AND NOT c.relispartition
              AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
              AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conrelid = c.oid AND k.contype = 'p')
              AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')
            ORDER BY 1
            """
        )
    )
    found = [str(row.name) for row in rows]
    return listed(found, "table has no primary key", "tables have no primary key", "Every table has a primary key.")


@check(
    "unused-index",
    title="Unused indexes",
    group=SCHEMA,
    remedy="see whether a standby or a yearly report uses it before it is dropped",
    severity=Status.INFO,
    limits=lambda _: Limits(),
)
def unused_index(probe: Probe) -> Outcome:
    """Every larger index that is no constraint's was read since the statistics began, two weeks ago at least."""
    days = _statistics_days(probe.connection)
    if days < UNUSED_DAYS:
        return skipped(
            f"The server's statistics began {days:.1f} days ago; {UNUSED_DAYS} are needed to call an index unused."
        )
    rows = probe.connection.execute(
        text(
            """
            SELECT s.indexrelid::regclass::text AS name, pg_relation_size(s.indexrelid) AS size
            FROM pg_stat_user_indexes s JOIN pg_index x USING (indexrelid)
            WHERE s.idx_scan = 0 AND NOT x.indisunique AND x.indisvalid
              AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = s.indexrelid)
              AND pg_relation_size(s.indexrelid) >= :size
            ORDER BY size DESC
            """
        ),
        {"size": UNUSED_BYTES},
    )
    found = [f"{row.name} ({sized(row.size)})" for row in rows]
    none, within = "Every larger index was used", f"in {days:.0f} days of statistics"
    one, many = f"index was not used {within}", f"indexes were not used {within}"
    return listed(found, one, many, f"{none} {within}.", status=Status.INFO)


def _statistics_days(connection: Connection) -> float:
    """Since when the counters of this database count: its own reset, or what empties all (a crash), or the start."""
    query = """
        SELECT extract(epoch FROM now() - coalesce(
            greatest(d.stats_reset, (SELECT stats_reset FROM pg_stat_bgwriter)), pg_postmaster_start_time()
        ))::float / 86400 FROM pg_stat_database d WHERE d.datname = current_database()
    """
    return float(connection.scalar(text(query)))


@dataclass(frozen=True)
class _Sequence:
    """One column fed by a sequence; `last` is None before the first value and where it may not be read."""

    column: str
    type: str
    share: float | None
    readable: bool


@check(
    "sequences",
    title="Fullest sequence, of its column type",
    group=SCHEMA,
    remedy="make the column bigint before its sequence ends",
    needs="SELECT on the sequences",
    limits=lambda _: Limits(percent(SEQUENCE_WARNING), percent(SEQUENCE_CRITICAL)),
)
def sequences(probe: Probe) -> Outcome:
    """No sequence is near the largest number its column can hold, whatever the sequence itself could count to."""
    found = _sequences(probe.connection)
    full = sorted((one for one in found if (one.share or 0) >= SEQUENCE_WARNING), key=lambda one: -(one.share or 0))
    most = max((one.share or 0.0 for one in found), default=0.0)
    observed = f"{100 * most:.1f}\u202f%"
    if full:
        said = named([f"{one.column} ({one.type}) has used {percent(one.share or 0)} of its numbers" for one in full])
        return Outcome(graded(most, SEQUENCE_WARNING, SEQUENCE_CRITICAL), observed, f"{said}.", facts={"share": most})
    hidden = [one.column for one in found if not one.readable]
    if hidden:
        what = f"{plural(len(hidden), 'sequence')} ({named(hidden)})"
        return unseen(what, "grant this role SELECT on the sequences; subjunctive-admin access check")
    return Outcome(Status.OK, observed, "Every sequence has numbers left for long.", facts={"share": most})


def _sequences(connection: Connection) -> list[_Sequence]:
    """Each column with the sequence it owns or takes its default from."""
    rows = connection.execute(
        text(
            """
            WITH feeds AS (
                SELECT d.objid AS sequence, d.refobjid AS relation, d.refobjsubid AS number FROM pg_depend d
                WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass
                  AND d.deptype IN ('a', 'i') AND d.refobjsubid > 0
                UNION
                SELECT d.refobjid, f.adrelid, f.adnum FROM pg_depend d JOIN pg_attrdef f ON f.oid = d.objid
                WHERE d.classid = 'pg_attrdef'::regclass AND d.refclassid = 'pg_class'::regclass AND d.deptype = 'n'
            )
            SELECT a.attrelid::regclass || '.' || a.attname AS column, format_type(a.atttypid, NULL) AS type,
                   CASE WHEN q.seqincrement > 0
                     THEN p.last_value::numeric / least(q.seqmax, CASE a.atttypid
                       WHEN 'int2'::regtype THEN 32767 WHEN 'int4'::regtype THEN 2147483647 ELSE q.seqmax END)
                     ELSE p.last_value::numeric / greatest(q.seqmin, CASE a.atttypid
                       WHEN 'int2'::regtype THEN -32768 WHEN 'int4'::regtype THEN -2147483648 ELSE q.seqmin END)
                   END::float AS share,
                   has_sequence_privilege(q.seqrelid, 'SELECT, USAGE') AS readable
            FROM feeds JOIN pg_sequence q ON q.seqrelid = feeds.sequence
            JOIN pg_class c ON c.oid = q.seqrelid JOIN pg_namespace n ON n.oid = c.relnamespace
            JOIN pg_sequences p ON p.schemaname = n.nspname AND p.sequencename = c.relname
            JOIN pg_attribute a ON a.attrelid = feeds.relation AND a.attnum = feeds.number
            WHERE NOT q.seqcycle
            ORDER BY 1
            """
        )
    )
    return [_Sequence(*row) for row in rows]


@check(
    "unproved-constraint",
    title="Constraints not validated or not enforced",
    group=SCHEMA,
    remedy=f"ALTER TABLE … VALIDATE CONSTRAINT; {_COMPARE}",
    severity=Status.WARNING,
    limits=_any,
)
def unproved_constraint(probe: Probe) -> Outcome:
    """Every constraint holds for all rows: none is NOT VALID, none NOT ENFORCED."""
    rows = probe.connection.execute(
        text(
            """
            SELECT k.conname AS name, coalesce(k.conrelid, 0)::regclass::text AS relation,
                   -- The column exists from PostgreSQL 18 on.
                   coalesce((to_jsonb(k) ->> 'conenforced')::bool, true) AS is_enforced
            FROM pg_constraint k JOIN pg_namespace n ON n.oid = k.connamespace
            WHERE NOT k.convalidated AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
            ORDER BY 2, 1
            """
        )
    )
    found = [f"{row.name} on {row.relation} ({_unproved(row.is_enforced)})" for row in rows]
    return listed(
        found,
        "constraint may not hold for every row",
        "constraints may not hold for every row",
        "Every constraint holds for every row.",
    )


def _unproved(is_enforced: bool) -> str:
    return "not validated" if is_enforced else "not enforced"


@check(
    "disabled-trigger",
    title="Disabled triggers",
    group=SCHEMA,
    remedy=f"ALTER TABLE … ENABLE TRIGGER; {_COMPARE}",
    severity=Status.WARNING,
    limits=_any,
)
def disabled_trigger(probe: Probe) -> Outcome:
    """Every trigger fires, those of foreign keys among them, which a restore may leave disabled."""
    rows = probe.connection.execute(
        text(
            """
            SELECT g.tgrelid::regclass::text AS relation,
                   coalesce('foreign key ' || min(k.conname), 'trigger ' || min(g.tgname)) AS name
            FROM pg_trigger g LEFT JOIN pg_constraint k ON k.oid = g.tgconstraint
            WHERE g.tgenabled = 'D'
            -- A foreign key has two triggers on each side.
            GROUP BY g.tgrelid, coalesce(k.oid, g.oid) ORDER BY 1, 2
            """
        )
    )
    found = [f"{row.name} on {row.relation}" for row in rows]
    return listed(found, "trigger is disabled", "triggers are disabled", "Every trigger fires.")


@check(
    "unlogged-table",
    title="Unlogged tables",
    group=SCHEMA,
    remedy=f"ALTER TABLE … SET LOGGED; {_COMPARE}",
    severity=Status.WARNING,
    limits=_any,
)
def unlogged_table(probe: Probe) -> Outcome:
    """No table is unlogged, which a crash would empty and a standby does not have."""
    query = """
        SELECT c.oid::regclass::text AS name FROM pg_class c
        WHERE c.relkind IN ('r', 'p') AND c.relpersistence = 'u' ORDER BY 1
    """
    found = [str(row.name) for row in probe.connection.execute(text(query))]
    return listed(found, "table is emptied by a crash", "tables are emptied by a crash", "Every table is logged.")
