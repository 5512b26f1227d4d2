"""Is the data what the application takes it for? What no constraint can say, looked at from outside.

Each check is `skipped` where there is nothing to look at yet, and says how much it looked at where that is a sample.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import wraps
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, Column, DateTime, Enum, ForeignKeyConstraint, String, Table, text
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Session
from sqlalchemy.types import TypeEngine

from subjunctive_admin import derived, schema, seeding
from subjunctive_admin.content.checks import Finding, Severity
from subjunctive_admin.content.live import check_live, published_library
from subjunctive_admin.errors import InvalidContent
from subjunctive_admin.models import ENUMS, TWELVE_TABLES, Base
from subjunctive_admin.ops.health.grading import named, plural
from subjunctive_admin.ops.health.registry import INTEGRITY, Limits, Look, Outcome, Probe, check
from subjunctive_admin.seeding import Standing
from subjunctive_admin.settings import Settings
from subjunctive_admin.structures import Content
from subjunctive_admin.synthetic.population import DOMAIN, PREFIX
from subjunctive_admin.vocabulary import ItemKind, Status

MOST_LEARNERS, MOST_ANSWERS = 1000, 6000
"""A sample has this many learners, or as many as have given this many answers; one answer costs about 20 µs."""
SCANNED_WHOLE = 200_000
"""Up to this many answers are looked at one by one; of more, a sample of the table's pages of about this size."""
_BATCH = 500
_CLOCKS = "interval '5 minutes'"
_TABLES: tuple[Table, ...] = tuple(Base.metadata.tables[name] for name in TWELVE_TABLES)


def _integrity(id: str, **declared: Any) -> Callable[[Look], Look]:  # noqa: A002 - the word of the report
    """Declare a check of this group: where nothing was ever set up, there is nothing that could be wrong."""

    def register(look: Look) -> Look:
        @wraps(look)
        def guarded(probe: Probe) -> Outcome:
            if not probe.once("set up", lambda: _is_set_up(probe)):
                return Outcome(Status.SKIPPED, None, "The database was never set up.", "subjunctive-admin setup")
            return look(probe)

        return check(id, group=INTEGRITY, **declared)(guarded)

    return register


def _is_set_up(probe: Probe) -> bool:
    asked = text("SELECT coalesce(to_regclass('public.users'), to_regclass('ops.alembic_version')) IS NOT NULL")
    return bool(probe.connection.scalar(asked))


# The schema against the package


@_integrity(
    "models-match",
    title="Models against the migrations",
    remedy="install subjunctive-admin again, whole: its parts are of different versions",
    limits=lambda _: Limits(critical="1 difference"),
)
def models_match(_probe: Probe) -> Outcome:
    """The models of the package name the tables, columns, types and labels that its migrations make."""
    shipped = schema.expected_fingerprint()
    found = [*_column_differences(shipped), *_label_differences(shipped)]
    if found:
        return Outcome(
            Status.CRITICAL,
            plural(len(found), "difference"),
            f"The models are not those of the shipped migrations: {named(found)}.",
        )
    return Outcome(Status.OK, "equal", "The models and the shipped migrations agree.")


def _column_differences(shipped: Mapping[str, str]) -> Iterator[str]:
    models = {
        f"column {table.schema or 'public'}.{table.name}.{column.name}": _definition(column)
        for table in Base.metadata.tables.values()
        for column in table.columns
    }
    migrated = {name for name in shipped if name.startswith("column ")}
    for name in sorted(models.keys() | migrated):
        if name not in migrated or name not in models:
            yield f"{name} is {'not migrated' if name in models else 'in no model'}"
        elif not f"{shipped[name]} ".startswith(f"{models[name]} "):
            yield f"{name} is {models[name]} in the model"


def _definition(column: Column[Any]) -> str:
    """The type as the catalog spells it, and whether NULL is refused."""
    compiled = column.type.compile(dialect=postgresql.dialect())
    spelt = compiled.replace("VARCHAR", "CHARACTER VARYING").lower()
    return spelt if column.nullable else f"{spelt} not null"


def _label_differences(shipped: Mapping[str, str]) -> Iterator[str]:
    for cls, kind in ENUMS.items():
        name = f"enum {kind.schema or 'public'}.{kind.name}"
        labels = " ".join(member.value for member in cls)
        if shipped.get(name) != labels:
            yield f"{name} is {shipped.get(name, 'missing')}"


@_integrity(
    "enum-labels",
    title="Labels and their order against Python's",
    remedy="upgrade subjunctive-admin, or take the label back out of the database",
    limits=lambda _: Limits(critical="1 type"),
)
def enum_labels(probe: Probe) -> Outcome:
    """Every enumerated type has the labels that Python knows, in their order: an unknown one cannot be read."""
    rows = probe.connection.execute(
        text(
            """
            SELECT n.nspname || '.' || t.typname AS name, array_agg(e.enumlabel::text ORDER BY e.enumsortorder) AS labels
            FROM pg_enum e JOIN pg_type t ON t.oid = e.enumtypid JOIN pg_namespace n ON n.oid = t.typnamespace GROUP BY 1
            """
        )
    )
    live: dict[str, list[str]] = {row.name: row.labels for row in rows}
    found = []
    for cls, kind in ENUMS.items():
        name, wanted = f"{kind.schema or 'public'}.{kind.name}", [member.value for member in cls]
        if said := _unlike(live.get(name), wanted):
            found.append(f"{name} {said}")
    if found:
        return Outcome(Status.CRITICAL, plural(len(found), "type"), f"Python knows other labels: {named(found)}.")
    return Outcome(Status.OK, f"{len(ENUMS)} types", f"All {len(ENUMS)} enumerated types have the labels Python knows.")


def _unlike(live: list[str] | None, wanted: list[str]) -> str:
    if live is None:
        return "does not exist"
    if more := [label for label in live if label not in wanted]:
        return f"has {', '.join(more)}"
    if fewer := [label for label in wanted if label not in live]:
        return f"lacks {', '.join(fewer)}"
    return "" if live == wanted else "has them in another order"


@_integrity(
    "orphans",
    title="Rows whose parent is missing",
    remedy="restore the missing rows from a backup, or delete those that refer to them, then validate the constraint",
    needs="SELECT on every table with a foreign key",
    limits=lambda _: Limits(critical="1 row"),
)
def orphans(probe: Probe) -> Outcome:
    """Where a foreign key is missing, not valid or switched off, no row lacks its parent; a deep run looks at each."""
    keys = [key for table in Base.metadata.sorted_tables for key in table.foreign_key_constraints]
    enforced = _enforced(probe)
    chosen = [key for key in keys if probe.deep or str(key.name) not in enforced]
    counted = {str(key.name): probe.connection.scalar(text(_orphans_of(key))) or 0 for key in chosen}
    total = sum(counted.values())
    if total:
        counts = [f"{plural(rows, 'row')} ({name})" for name, rows in counted.items() if rows]
        return Outcome(Status.CRITICAL, plural(total, "row"), f"Rows refer to what does not exist: {named(counts)}.")
    if chosen:
        said = f"No row of the {plural(len(chosen), 'foreign key')} looked at lacks its parent."
        return Outcome(Status.OK, "0 rows", said)
    return Outcome(Status.OK, "all enforced", f"PostgreSQL enforces all {len(keys)} foreign keys.")


def _enforced(probe: Probe) -> set[str]:
    """The names of the foreign keys that PostgreSQL sees to: valid, enforced, none of their triggers switched off."""
    rows = probe.connection.execute(
        text(
            """
            SELECT k.conname FROM pg_constraint k
            WHERE k.contype = 'f' AND k.convalidated AND to_jsonb(k)->>'conenforced' IS DISTINCT FROM 'false'
              AND NOT EXISTS (SELECT FROM pg_trigger t WHERE t.tgconstraint = k.oid AND t.tgenabled <> 'O')
            """
        )
    )
    return {row.conname for row in rows}


def _orphans_of(key: ForeignKeyConstraint) -> str:
    pairs = [(element.parent.name, element.column.name) for element in key.elements]
    given = " AND ".join(f"c.{child} IS NOT NULL" for child, _ in pairs)
    same = " AND ".join(f"p.{parent} = c.{child}" for child, parent in pairs)
    return (
        f"SELECT count(*) FROM {key.table.fullname} c WHERE {given}"
        f" AND NOT EXISTS (SELECT FROM {key.referred_table.fullname} p WHERE {same})"
    )


# The rows


@dataclass(frozen=True)
class _Answers:
    """The answers to look at: all of them, or a sample of the table's pages."""

    source: str
    said: str


def _answers(probe: Probe) -> _Answers:
    """`source` stands in a FROM clause and names them a."""
    return probe.once("answers", lambda: _choose_answers(probe))


def _choose_answers(probe: Probe) -> _Answers:
    rows = probe.connection.scalar(
        text("SELECT reltuples::bigint FROM pg_class WHERE oid = 'practice_attempts'::regclass")
    )
    if probe.deep or rows is None or rows <= SCANNED_WHOLE:
        return _Answers("practice_attempts a", "all answers")
    share = 100 * SCANNED_WHOLE / rows
    return _Answers(
        f"practice_attempts a TABLESAMPLE SYSTEM ({share:.4f})",
        f"a sample of about {SCANNED_WHOLE:,} of {rows:,} answers",
    )


_IMPOSSIBLE: Mapping[str, str] = {
    "answers given before their session began": """
        SELECT count(*) FROM {answers} JOIN study_sessions s ON s.id = a.session_id WHERE a.attempted_at < s.started_at""",
    "answers of another verb, tense or person than their practice item": """
        SELECT count(*) FROM {answers} JOIN practice_items i ON i.id = a.practice_item_id
        WHERE (a.verb_id, a.tense, a.person) IS DISTINCT FROM (i.verb_id, i.tense, i.person)""",
    "answers recorded before they were given": f"""
        SELECT count(*) FROM {{answers}} WHERE a.recorded_at < a.attempted_at - {_CLOCKS}""",
    "practice items reviewed without an answer": """
        SELECT count(*) FROM practice_items WHERE last_reviewed IS NOT NULL AND attempts = 0 AND refreshed_at IS NOT NULL""",
    "practice items due before their last review": """
        SELECT count(*) FROM practice_items WHERE next_review_date < last_reviewed""",
    "accounts used before they were created": f"""
        SELECT count(*) FROM users WHERE last_login < created_at - {_CLOCKS}""",
}
"""What no constraint of one row can refuse → how many rows are so."""


@_integrity(
    "impossible-values",
    title="Values that cannot be",
    remedy="look for a program that writes past the application, and mend the rows by hand",
    needs="SELECT on the twelve tables",
    limits=lambda _: Limits("1 row"),
    severity=Status.WARNING,
)
def impossible_values(probe: Probe) -> Outcome:
    """No answer precedes its session or differs from its item, no item is due before its last review, and the like."""
    answers = _answers(probe)
    counted = {
        said: probe.connection.scalar(text(query.replace("{answers}", answers.source))) or 0
        for said, query in _IMPOSSIBLE.items()
    }
    return _rows_found(counted, "What cannot be is stored", f"Nothing impossible is stored, in {answers.said}.")


def _rows_found(counted: Mapping[str, int], fault: str, well: str) -> Outcome:
    """A warning that names what has rows, or ok; `counted` is what was looked for → rows."""
    total = sum(counted.values())
    if total:
        counts = [f"{rows:,} {said}" for said, rows in counted.items() if rows]
        return Outcome(Status.WARNING, plural(total, "row"), f"{fault}: {named(counts)}.", facts={"rows": total})
    return Outcome(Status.OK, "0 rows", well, facts={"rows": 0})


@_integrity(
    "future-times",
    title="Times in the future",
    remedy="set the clock of the machine that wrote them, and mend the rows by hand",
    needs="SELECT on the twelve tables",
    limits=lambda _: Limits("1 row"),
    severity=Status.WARNING,
)
def future_times(probe: Probe) -> Outcome:
    """No time but a planned review is more than five minutes after the server's clock."""
    answers = _answers(probe)
    counted: dict[str, int] = {}
    for table in _TABLES:
        columns = [c.name for c in table.columns if _is_time(c.type) and c.name != "next_review_date"]
        if columns:
            counts = ", ".join(f"count(*) FILTER (WHERE a.{name} > now() + {_CLOCKS})" for name in columns)
            row = probe.connection.execute(text(f"SELECT {counts} FROM {_source(table, answers)}")).one()
            counted |= {f"in {table.name}.{name}": rows for name, rows in zip(columns, row, strict=True)}
    return _rows_found(counted, "Times lie in the future", f"No time lies in the future, in {answers.said}.")


def _is_time(kind: TypeEngine[Any]) -> bool:
    return isinstance(kind, DateTime) or isinstance(getattr(kind, "impl", None), DateTime)


def _source(table: Table, answers: _Answers) -> str:
    return answers.source if table.name == "practice_attempts" else f"{table.name} a"


@_integrity(
    "text-nfc",
    title="Text with accents apart",
    remedy="write the rows again through the application, which composes what it is given",
    needs="SELECT on the twelve tables, in a database encoded in UTF-8",
    limits=lambda _: Limits("1 row"),
    severity=Status.WARNING,
)
def text_nfc(probe: Probe) -> Outcome:
    """Every text is composed (NFC): one with its accents apart looks the same and is never found."""
    answers = _answers(probe)
    counted: dict[str, int] = {}
    for table in _TABLES:
        parts = [part for column in table.columns if (part := _text_of(column))]
        if parts:
            # Behind a space nothing composes, so that the whole is composed exactly when each part is.
            whole = f"concat_ws(' ', {', '.join(parts)})"
            # What is all ASCII needs no look, which is most of it; OFFSET keeps the whole from being made three times.
            query = (
                f"SELECT count(*) FROM (SELECT {whole} AS whole FROM {_source(table, answers)} OFFSET 0) t"
                " WHERE octet_length(whole) <> length(whole) AND whole IS NOT NFC NORMALIZED"
            )
            counted[f"in {table.name}"] = probe.connection.scalar(text(query)) or 0
    return _rows_found(
        counted, "Texts have accents apart from their letters", f"Every text is composed, in {answers.said}."
    )


_DERIVED_COLUMNS = {(one.table, column) for one in derived.REGISTRY for column in one.columns}


def _text_of(column: Column[Any]) -> str | None:
    made = column.computed is not None or (column.table.name, column.name) in _DERIVED_COLUMNS
    if made or column.name == "hashed_password":
        return None
    match column.type:
        case ARRAY():
            return f"array_to_string(a.{column.name}, ' ')"
        case JSONB():
            return f"a.{column.name}::text"
        # A String to SQLAlchemy too; its labels are checked elsewhere.
        case Enum():
            return None
        case String():
            return f"a.{column.name}"
    return None


@_integrity(
    "open-sessions",
    title="Sessions never closed",
    remedy="close them at their last answer: subjunctive-admin optimize",
    needs="SELECT on study_sessions and users",
    limits=lambda _: Limits("1", "100"),
)
def open_sessions(probe: Probe) -> Outcome:
    """No session has been open for more than a day; those of synthetic learners are left open on purpose."""
    row = probe.connection.execute(
        text(
            """
            SELECT count(*) FILTER (WHERE NOT synthetic) AS rows, count(DISTINCT user_id) FILTER (WHERE NOT synthetic) AS learners,
                   count(*) FILTER (WHERE synthetic) AS simulated, min(started_at) FILTER (WHERE NOT synthetic) AS oldest
            FROM (SELECT s.user_id, s.started_at, starts_with(u.username, :prefix) AND u.email LIKE :domain AS synthetic
                  FROM study_sessions s JOIN users u ON u.id = s.user_id
                  WHERE s.completed_at IS NULL AND s.started_at < now() - interval '1 day') o
            """
        ),
        {"prefix": PREFIX, "domain": f"%@{DOMAIN}"},
    ).one()
    facts = {"sessions": row.rows}
    if row.rows:
        said = f"{plural(row.rows, 'study session was', 'study sessions were')} never closed"
        whose = f"{said}: of {plural(row.learners, 'learner')}, the oldest begun on {row.oldest:%-d %b %Y}."
        return Outcome(Status.CRITICAL if row.rows >= 100 else Status.WARNING, row.rows, whose, facts=facts)
    aside = (
        f" {plural(row.simulated, 'is', 'are')} open of synthetic learners, who left them so." if row.simulated else ""
    )
    return Outcome(Status.OK, 0, f"No learner's session has been open for more than a day.{aside}", facts=facts)


# What follows from answers


@dataclass(frozen=True)
class _Sample:
    """Learners to look at, and of how many they are."""

    learners: list[UUID]
    total: int

    @property
    def said(self) -> str:
        """`52 of 300 learners`, or `all 300 learners`."""
        number = len(self.learners)
        return f"all {plural(number, 'learner')}" if number == self.total else f"{number:,} of {self.total:,} learners"


def _sample(probe: Probe) -> _Sample:
    """Learners with an answer, drawn anew each run so that everybody's turn comes; all of them for a deep one."""
    return probe.once("learners", lambda: _draw(probe))


def _draw(probe: Probe) -> _Sample:
    rows = probe.connection.execute(
        text(
            """
            SELECT s.user_id, s.total_attempts AS answers FROM user_progress_summary s
            WHERE s.refreshed_at IS NOT NULL AND EXISTS (SELECT FROM practice_attempts a WHERE a.user_id = s.user_id)
            ORDER BY random()
            """
        )
    ).all()
    if probe.deep:
        return _Sample([row.user_id for row in rows], len(rows))
    learners, answers = list[UUID](), 0
    for row in rows[:MOST_LEARNERS]:
        answers += row.answers
        if learners and answers > MOST_ANSWERS:
            break
        learners.append(row.user_id)
    return _Sample(learners, len(rows))


_NO_ANSWERS = Outcome(
    Status.SKIPPED, None, "No learner's answers have been summed up yet.", "subjunctive-admin summaries refresh"
)
_DERIVED = tuple(one for one in derived.REGISTRY if one is not derived.AWARDS)


def _share_limit(_: Settings) -> Limits:
    return Limits("1 learner", "5 % of those looked at")


@_integrity(
    "derived-values",
    title="Summaries that differ when recomputed",
    remedy="subjunctive-admin summaries refresh --all",
    needs="SELECT on the twelve tables",
    limits=_share_limit,
)
def derived_values(probe: Probe) -> Outcome:
    """Every derived value is what its learner's answers give as of when it was derived, for a sample of learners."""
    return _recomputed(probe, lambda learners: derived.differences(probe.connection, learners, tables=_DERIVED))


def _recomputed(probe: Probe, look: Callable[[list[UUID]], list[derived.Difference]]) -> Outcome:
    sample = _sample(probe)
    if not sample.learners:
        return _NO_ANSWERS
    found, seen = list[derived.Difference](), 0
    for first in range(0, len(sample.learners), _BATCH):
        if seen and probe.seconds_left < 1:
            break
        batch = sample.learners[first : first + _BATCH]
        found += look(batch)
        seen += len(batch)
    looked = _Sample(sample.learners[:seen], sample.total)
    return _judge_derived(probe, looked, found, unseen=len(sample.learners) - seen)


def _judge_derived(probe: Probe, sample: _Sample, found: list[derived.Difference], *, unseen: int) -> Outcome:
    due, wrong = _due(probe, found)
    facts = {"values": len(wrong), "learners": len(sample.learners)}
    if wrong:
        learners = _learners_of(probe, wrong)
        status = Status.CRITICAL if learners >= 0.05 * len(sample.learners) else Status.WARNING
        columns = list(dict.fromkeys(f"{one.table}.{one.column}" for one in wrong))
        said = (
            f"{plural(len(wrong), 'derived value differs', 'derived values differ')} when recomputed: {named(columns)}."
        )
        return Outcome(status, f"{learners:,} in {sample.said}", said, facts=facts)
    if unseen:
        said = f"Could not look at {unseen:,} of {sample.total:,} learners in time; of the others no value differs."
        return Outcome(Status.UNKNOWN, f"0 in {sample.said}", said, facts=facts)
    if due:
        said = f"{plural(due, 'value waits', 'values wait')} for a refresh: the content was changed since."
        return Outcome(Status.INFO, f"0 in {sample.said}", said, "subjunctive-admin summaries refresh", facts=facts)
    return Outcome(
        Status.OK, f"0 in {sample.said}", f"What was derived is what the answers give, for {sample.said}.", facts=facts
    )


_REDEFINED = "r.revision > 1 AND r.item_kind IN ('achievement', 'configuration', 'verb')"
_COUNTED_AGAINST: Mapping[str, tuple[frozenset[str], str]] = {
    derived.PROGRESS.table: (
        frozenset({"progress_status", "completion", "completed_at", "completion_known_at"}),
        "r.item_kind = 'exercise'",
    ),
    derived.AWARDS.table: (frozenset(derived.AWARDS.columns), _REDEFINED),
    derived.SUMMARIES.table: (frozenset({"items_mastered", "items_learning", "total_points"}), _REDEFINED),
}
"""Columns counted against content, by table, and what changes it: they are as of then, and content has no history."""


def _due(probe: Probe, found: list[derived.Difference]) -> tuple[int, list[derived.Difference]]:
    """How many of the differences only wait for a refresh, because the content changed since, and the others."""
    waiting = [one for one in found if one.column in _COUNTED_AGAINST.get(one.table, (frozenset(), ""))[0]]
    older = {(table, *key) for table in {one.table for one in waiting} for key in _older_than_content(probe, table)}
    due = {id(one) for one in waiting if (one.table, *one.key) in older}
    return len(due), [one for one in found if id(one) not in due]


def _older_than_content(probe: Probe, table: str) -> Iterator[tuple[str, ...]]:
    (declared,) = (one for one in derived.REGISTRY if one.table == table)
    keys = ", ".join(f"{key}::text" for key in declared.key)
    rows = probe.connection.execute(
        text(
            f"""
            SELECT {keys} FROM {table} WHERE refreshed_at < (
              SELECT max(o.performed_at) FROM editorial.revisions r JOIN editorial.operations o ON o.id = r.operation_id
              WHERE {_COUNTED_AGAINST[table][1]})
            """
        )
    )
    yield from (tuple(row) for row in rows)


def _learners_of(probe: Probe, wrong: list[derived.Difference]) -> int:
    """How many learners these rows belong to; items and sessions are keyed by themselves."""
    owners = {one.key[0] for one in wrong if one.table in _COUNTED_AGAINST}
    for table in (derived.ITEMS.table, derived.SESSIONS.table):
        keys = [one.key[0] for one in wrong if one.table == table]
        rows = probe.connection.execute(
            text(f"SELECT DISTINCT user_id::text AS owner FROM {table} WHERE id = ANY (CAST(:keys AS uuid[]))"),
            {"keys": keys},
        )
        owners |= {row.owner for row in rows}
    return len(owners)


@_integrity(
    "achievements",
    title="Unlocked but not deserved, or the reverse",
    remedy="look at the learner's answers, then subjunctive-admin summaries refresh --all",
    needs="SELECT on the twelve tables and on the editorial schema",
    limits=_share_limit,
)
def achievements(probe: Probe) -> Outcome:
    """Every award's criterion was met as of its unlocking, and none that is met is still locked, for a sample."""
    return _recomputed(probe, lambda learners: [*_undeserved(probe, learners), *_still_locked(probe, learners)])


def _undeserved(probe: Probe, learners: list[UUID]) -> Iterator[derived.Difference]:
    for learner, slug, at in derived.unearned(probe.connection, learners):
        yield derived.Difference(
            derived.AWARDS.table, (str(learner), slug), f"unlocked_at ({slug}, not met then)", at, None
        )


def _still_locked(probe: Probe, learners: list[UUID]) -> list[derived.Difference]:
    return derived.differences(probe.connection, learners, tables=[derived.AWARDS])


# The content


def _live(probe: Probe) -> dict[ItemKind, dict[str, Content]]:
    """Every live item; raises `InvalidContent` for a row that no item can be made of."""
    return probe.once("live content", lambda: seeding.load_live(Session(probe.connection)))


def _content_findings(probe: Probe) -> list[Finding]:
    return probe.once("content findings", lambda: _check_content(probe))


def _check_content(probe: Probe) -> list[Finding]:
    live = _live(probe)
    library = published_library(item for items in live.values() for item in items.values())
    return check_live(Session(probe.connection), library=library)


_NO_CONTENT = Outcome(Status.SKIPPED, None, "There is no content yet.", "subjunctive-admin seed")
_OF_ANSWERS = "answer-not-a-form"


def _items(live: Mapping[ItemKind, Mapping[str, Content]]) -> int:
    return sum(len(live[kind]) for kind in (ItemKind.VERB, ItemKind.EXERCISE))


@_integrity(
    "seeds",
    title="Seeded items missing or edited",
    remedy="subjunctive-admin seed",
    needs="SELECT on the content tables and on editorial.seed_base",
    limits=lambda _: Limits("1 missing or not up to date"),
    severity=Status.WARNING,
)
def seeds(probe: Probe) -> Outcome:
    """Every item of this version's seeds is live, as they say or as an editor changed it, by key and content hash."""
    live = _live(probe)
    if not any(live.values()):
        return _NO_CONTENT
    found = seeding.standings(Session(probe.connection), live)
    counts = {standing: len(names) for standing, names in found.items()}
    said = ", ".join(f"{number} {standing}" for standing, number in counts.items() if number)
    facts = {standing.value: number for standing, number in counts.items()}
    if wanting := found[Standing.MISSING] + found[Standing.BEHIND]:
        message = f"{plural(len(wanting), 'item is', 'items are')} not as this version's seeds say: {named(wanting)}."
        return Outcome(Status.WARNING, said, message, facts=facts)
    if said:
        message = f"Editors changed what was seeded: {said}; seeding keeps that."
        return Outcome(Status.INFO, said, message, "subjunctive-admin seed --dry-run", facts=facts)
    return Outcome(Status.OK, "as seeded", "Everything that this version seeds is live, unchanged.", facts=facts)


@_integrity(
    "answers-are-forms",
    title="Published answers that are no form of their verb",
    remedy="subjunctive-admin content check --only answer-not-a-form",
    needs="SELECT on the content tables and on the editorial schema",
    limits=lambda _: Limits(critical="1"),
)
def answers_are_forms(probe: Probe) -> Outcome:
    """The accepted answers of every published exercise are forms of its verb in the tense and person asked for."""
    exercises = _live(probe)[ItemKind.EXERCISE]
    if not exercises:
        return _NO_CONTENT
    wrong = [one for one in _content_findings(probe) if one.check == _OF_ANSWERS]
    observed, facts = f"{len(wrong)} of {len(exercises):,}", {"findings": len(wrong)}
    if wrong:
        told = named([f"{one.key} ({one.message.rstrip('.')})" for one in wrong])
        return Outcome(Status.CRITICAL, observed, f"Learners are taught a wrong form: {told}.", facts=facts)
    return Outcome(
        Status.OK, observed, f"The answers of all {len(exercises):,} exercises are forms of their verbs.", facts=facts
    )


@_integrity(
    "content",
    title="Faults of what is published",
    remedy="subjunctive-admin content check",
    needs="SELECT on the content tables and on the editorial schema",
    limits=lambda _: Limits("1 error", "20 errors"),
)
def content(probe: Probe) -> Outcome:
    """The content checks find no error in what is published; their warnings are information here."""
    try:
        live = _live(probe)
    except InvalidContent as error:
        said = "; ".join(error.faults)
        return Outcome(Status.CRITICAL, "unreadable", f"An item that is live breaks the rules of its kind: {said}.")
    if not _items(live):
        return _NO_CONTENT
    return _judge_content([one for one in _content_findings(probe) if one.check != _OF_ANSWERS], _items(live))


def _judge_content(found: Iterable[Finding], items: int) -> Outcome:
    by_severity: dict[Severity, list[Finding]] = {severity: [] for severity in Severity}
    for one in found:
        by_severity[one.severity].append(one)
    errors, warnings = by_severity[Severity.ERROR], by_severity[Severity.WARNING]
    facts = {severity.value: len(some) for severity, some in by_severity.items()}
    observed = f"{plural(len(errors), 'error')} in {items:,}"
    if errors:
        status = Status.CRITICAL if len(errors) >= 20 else Status.WARNING
        told = named([f"{one.kind} {one.key} ({one.check})" for one in errors])
        return Outcome(status, observed, f"What is published has {plural(len(errors), 'error')}: {told}.", facts=facts)
    if warnings:
        told = named([f"{one.kind} {one.key} ({one.check})" for one in warnings])
        return Outcome(
            Status.INFO, observed, f"The content checks warn of {plural(len(warnings), 'item')}: {told}.", facts=facts
        )
    return Outcome(Status.OK, observed, f"The {items:,} verbs and exercises have no error.", facts=facts)
