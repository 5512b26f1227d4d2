"""Synthetic learners into the database and out again: simulated in every core, loaded as one transaction."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

from subjunctive_admin import derived
from subjunctive_admin.content.diagnosis import Grade, grade, slips_of, without_accents
from subjunctive_admin.content.diagnosis import Question as Asked
from subjunctive_admin.db import Database
from subjunctive_admin.errors import Conflict, CouldNotBegin, NotSetUp, SettingsError, UsageError
from subjunctive_admin.practice import question_of
from subjunctive_admin.schema import PRODUCTION, read_state
from subjunctive_admin.synthetic import binary
from subjunctive_admin.synthetic.population import (
    COUNTING,
    DOMAIN,
    PREFIX,
    Award,
    ExerciseTruth,
    LearnerTruth,
    Library,
    Plan,
    Question,
    Reply,
    exercise_truth,
    learner_truth,
)
from subjunctive_admin.synthetic.workers import BINARY, COLUMNS, chunks_of
from subjunctive_admin.vocabulary import ErrorKind, Tense, Verdict

MOST_LEARNERS, MOST_ATTEMPTS = 99_999, 100_000_000
_SIMULATED = f"username LIKE '{PREFIX.replace('_', chr(92) + '_')}%' AND email LIKE '%@{DOMAIN}'"

_BARE = ("practice_attempts", "practice_items", "study_sessions")
"""Tables loaded without indexes when they are empty, what refers to another first."""


@dataclass(frozen=True)
class Loaded:
    """What a simulation left, and whether it was there already."""

    plan: Plan
    sessions: int
    items: int
    existed: bool
    seconds: float

    @property
    def sentence(self) -> str:
        """What is true now."""
        left = f"{self.plan.learners:,} learners with {self.plan.attempts:,} answers in {self.sessions:,} sessions"
        return f"{left} are there already." if self.existed else f"{left}, in {self.seconds:.1f} s."

    def as_dict(self) -> dict[str, Any]:
        """The same as plain JSON."""
        return {**asdict(self), "plan": {**asdict(self.plan), "until": self.plan.until.isoformat()}}


def ensure(
    database: Database,
    plan: Plan,
    *,
    processes: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Loaded:
    """Have exactly the plan's synthetic learners in the database; a plan that is there already changes nothing.

    One transaction: interrupted, nothing remains. `progress(done, total)` counts attempts. The plan's `until`
    does not count when it is compared: what was simulated yesterday is still there. Raises `UsageError` for an
    impossible plan, `CouldNotBegin` in production, `NotSetUp` without exercises, `Conflict` when other
    synthetic learners are there.
    """
    started = time.monotonic()
    check_plan(plan)
    with database.connection(write=True) as connection:
        _refuse_production(connection)
        connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('synthetic learners'))"))
        existed = _existing(connection, plan)
        if existed is None:
            library = read_library(connection)
            _load(connection, plan, library, processes or os.cpu_count() or 1, progress)
        sessions, items = (_count(connection, table) for table in ("study_sessions", "practice_items"))
    return Loaded(existed or plan, sessions, items, existed is not None, time.monotonic() - started)


def remove(database: Database, *, progress: Callable[[int, int], None] | None = None) -> int:
    """Delete the synthetic learners with everything of theirs, and nobody else; returns how many there were.

    One transaction. Raises `CouldNotBegin` in production.
    """
    tables = (
        "practice_attempts", "user_achievements", "user_progress", "user_progress_summary", "study_sessions",
        "practice_items",
    )  # fmt: skip
    with database.connection(write=True) as connection:
        _refuse_production(connection)
        connection.execute(text("SET LOCAL statement_timeout = 0"))
        for number, table in enumerate(tables, start=1):
            connection.execute(text(f"DELETE FROM {table} WHERE user_id IN (SELECT id FROM users WHERE {_SIMULATED})"))
            if progress:
                progress(number, len(tables) + 1)
        removed: int = connection.execute(text(f"DELETE FROM users WHERE {_SIMULATED}")).rowcount
    return removed


def learner_truths(plan: Plan) -> list[LearnerTruth]:
    """What is true of each learner of the plan; one row per learner, no database needed."""
    return [learner_truth(plan, number) for number in range(1, plan.learners + 1)]


def exercise_truths(database: Database, seed: int) -> list[ExerciseTruth]:
    """What is true of each published exercise for that seed; one row per exercise."""
    with database.connection() as connection:
        rows = connection.execute(text("SELECT slug, tense FROM exercises WHERE status = 'published' ORDER BY slug"))
        return [exercise_truth(seed, row.slug, Tense(row.tense)) for row in rows]


def read_library(connection: Connection) -> Library:
    """What the database offers to practise. Raises `NotSetUp` when no exercise is published."""
    stored = {row.key: row.value for row in connection.execute(text("SELECT key, value FROM system_configuration"))}
    achievements = connection.execute(
        text("SELECT id, slug, criteria FROM achievements WHERE is_active ORDER BY slug")
    ).all()
    exercises = connection.execute(
        text(
            "SELECT e.*, v.infinitive, v.verb_type, v.conjugations FROM exercises e JOIN spanish_verbs v ON v.id = e.verb_id"
            " JOIN scenarios s ON s.id = e.scenario_id"
            " WHERE e.status = 'published' ORDER BY s.position, s.slug, e.position, e.slug"
        )
    ).all()
    if not exercises:
        raise NotSetUp("There is no published exercise to practise.", next_step="subjunctive-admin seed")
    filters = {
        number: row.criteria.get("filter", {})
        for number, row in enumerate(achievements)
        if row.criteria["metric"] in COUNTING
    }
    accents = stored.get("practice.accent_only_counts_as_right", False)
    return Library(
        questions=tuple(_question(row, filters, accents) for row in exercises),
        awards=tuple(_award(row.id, row.slug, row.criteria) for row in achievements),
        scheduler=stored.get("practice.scheduler", "fsrs"),
        desired_retention=stored.get("practice.desired_retention", 0.9),
        fast_answer_ms=stored.get("practice.fast_answer_ms", 5000),
        daily_new_items=stored.get("practice.daily_new_items", 10),
        mastery_threshold=stored.get("practice.mastery_threshold", 0.8),
    )


def _award(key: int, slug: str, criteria: Mapping[str, Any]) -> Award:
    limits = criteria.get("filter", {})
    return Award(
        id=key,
        slug=slug,
        metric=criteria["metric"],
        op=criteria.get("op", ">="),
        value=criteria["value"],
        min_attempts=limits.get("min_attempts", 0),
        max_ms=limits.get("max_ms", 5000),
    )


def _question(row: Any, filters: Mapping[int, Mapping[str, Any]], accents: bool) -> Question:
    features = {"tense": row.tense, "verb_type": row.verb_type, "trigger_class": row.trigger_class}
    asked = question_of(row)
    right = tuple(_reply(row, answer, grade(asked, answer), accents) for answer in row.accepted_answers)
    wrong: dict[ErrorKind, list[Reply]] = {}
    for candidate in _candidates(asked, row.distractors):
        graded = grade(asked, candidate)
        if graded.error_kind is not None:
            wrong.setdefault(graded.error_kind, []).append(_reply(row, candidate, graded, accents))
    return Question(
        id=row.id.hex,
        slug=row.slug,
        scenario=row.scenario_id.hex,
        verb_id=row.verb_id,
        tense=Tense(row.tense),
        person=row.person,
        trigger_class=row.trigger_class,
        trigger_phrase=row.trigger_phrase,
        right=right,
        wrong={kind: tuple(replies) for kind, replies in wrong.items()},
        counts_for=tuple(
            position
            for position, limits in filters.items()
            if all(features[name] == wanted for name, wanted in limits.items() if name in features)
        ),
    )


def _candidates(asked: Asked, distractors: Sequence[str]) -> Iterator[str]:
    """What learners might write instead: other forms, the answer without its accents, slips of the keys."""
    seen = set()
    answer = asked.accepted_answers[0]
    # One slip is likelier than two: another tense of the person, or another person of the tense.
    forms = (
        forms[0]
        for tense, persons in asked.forms.items()
        for person, forms in persons.items()
        if forms and (tense == asked.tense or person == asked.person)
    )
    letters = [n for n, letter in enumerate(answer) if letter.isalpha()]
    # A letter left out, a letter twice, two letters changed about.
    places = letters[1 :: max(len(letters) // 4, 1)]
    slips = [
        slip
        for n in places
        for slip in (answer[:n] + answer[n + 1 :], answer[: n + 1] + answer[n:], _swapped(answer, n))
    ]
    sentence = " " in answer and not any(answer in forms for p in asked.forms.values() for forms in p.values())
    missed: Sequence[str] = ()
    if asked.infinitive and asked.person and not sentence:
        missed = slips_of(asked.infinitive, asked.tense, asked.person)
    for candidate in (*distractors, *(() if sentence else forms), without_accents(answer), *missed, *slips):
        if candidate.strip() and candidate not in seen:
            seen.add(candidate)
            yield candidate


def _swapped(text: str, n: int) -> str:
    return text[: n - 1] + text[n] + text[n - 1] + text[n + 1 :]


def _reply(row: Any, answer: str, graded: Grade, accents: bool) -> Reply:
    right = graded.is_correct(accent_only_counts=accents)
    columns = (
        row.id, row.revision, row.verb_id, row.tense, row.person, row.trigger_class, row.correct_answer, answer,
        graded.verdict, right, graded.error_kind, graded.produced_tense, graded.produced_person,
    )  # fmt: skip
    return Reply(right, graded.verdict is not Verdict.ACCENT_ONLY, b"".join(map(binary.field, columns)))


def plan_until(day: str | None, learners: int, attempts: int, seed: int) -> Plan:
    """A plan up to the end of a day in UTC, or up to this minute; raises `UsageError` for what is no day."""
    if day is None:
        return Plan(learners, attempts, seed, datetime.now(UTC).replace(second=0, microsecond=0))
    try:
        until = datetime.strptime(day, "%Y-%m-%d").replace(tzinfo=UTC) + timedelta(days=1)
    except (ValueError, OverflowError):
        raise UsageError(f"--until is a day such as 2026-10-31, not {day!r}.") from None
    return Plan(learners, attempts, seed, until)


def check_plan(plan: Plan) -> Plan:
    """The plan itself; raises `UsageError` for one that cannot be."""
    faults = (
        (not 1 <= plan.learners <= MOST_LEARNERS, f"--learners is 1 to {MOST_LEARNERS:,}, not {plan.learners:,}"),
        (
            not plan.learners <= plan.attempts <= MOST_ATTEMPTS,
            f"--attempts is {plan.learners:,} (one a learner) to {MOST_ATTEMPTS:,}, not {plan.attempts:,}",
        ),
        (not 7 <= plan.days <= 3650, f"a plan has 7 to 3,650 days, not {plan.days:,}"),
        (plan.until.year < 2000, f"--until is 2000 or later, not {plan.until.year}"),
        (
            plan.until > datetime.now(UTC),
            f"--until is over by now, unlike {plan.until - timedelta(seconds=1):%Y-%m-%d} in UTC",
        ),
    )
    for wrong, sentence in faults:
        if wrong:
            raise UsageError(f"{sentence}.", next_step="subjunctive-admin simulate --help")
    return plan


def write_truth(database: Database, plan: Plan, path: Path) -> None:
    """Write `{plan, learners, exercises}` as JSON; raises `SettingsError` when the file cannot be written."""
    truth = {
        "plan": {**asdict(plan), "until": plan.until.isoformat()},
        "learners": [asdict(learner) for learner in learner_truths(plan)],
        "exercises": [asdict(exercise) for exercise in exercise_truths(database, plan.seed)],
    }
    try:
        path.write_text(json.dumps(truth, ensure_ascii=False, indent=1, default=str) + "\n", encoding="utf-8")
    except OSError as error:
        raise SettingsError(f"{path} cannot be written: {error.strerror}.", next_step="give another file") from error


def _refuse_production(connection: Connection) -> None:
    environment = read_state(connection).environment
    if environment == PRODUCTION:
        raise CouldNotBegin(
            "This database is marked production: no synthetic learners there.",
            next_step="point SUBJUNCTIVE_DATABASE_URL at another database",
        )


def _existing(connection: Connection, plan: Plan) -> Plan | None:
    """The plan that is loaded, when it is this one but for its end; None when there are no such learners."""
    row = connection.execute(text(f"SELECT bio FROM users WHERE {_SIMULATED} ORDER BY username LIMIT 1")).one_or_none()
    if row is None:
        return None
    bio = row.bio or ""
    if not bio.startswith(plan.words.rpartition(" until ")[0] + " until "):
        raise Conflict(
            f"Other synthetic learners are there ({bio.removeprefix('synthetic: ') or 'of unknown origin'}).",
            next_step="subjunctive-admin simulate --remove",
        )
    until = datetime.fromisoformat(bio.rpartition(" until ")[2])
    return Plan(plan.learners, plan.attempts, plan.seed, until, plan.days)


def _count(connection: Connection, table: str) -> int:
    rows: int = connection.execute(
        text(f"SELECT count(*) FROM {table} WHERE user_id IN (SELECT id FROM users WHERE {_SIMULATED})")
    ).scalar_one()
    return rows


def _load(
    connection: Connection,
    plan: Plan,
    library: Library,
    processes: int,
    progress: Callable[[int, int], None] | None,
) -> None:
    # Long statements are meant here; whoever waits for the locks has a time limit of their own.
    connection.execute(text("SET LOCAL statement_timeout = 0"))
    with _bare(connection) as new:
        done = 0
        with chunks_of(plan, library, processes) as chunks:
            for attempts, rows in chunks:
                for table, content in rows.items():
                    _copy(connection, table, content, frozen=new and table in _BARE)
                done += attempts
                if progress:
                    progress(done, plan.attempts)
        # Now, not after the commit: deriving a million answers is planned by it.
        connection.execute(text(f"ANALYZE {', '.join(COLUMNS)}"))
        users = connection.execute(text(f"SELECT id FROM users WHERE {_SIMULATED}")).scalars().all()
        everybody = connection.execute(text("SELECT count(*) FROM users")).scalar_one() == len(users)
        # As of the simulated end: the same plan leaves the same state, whenever it is loaded.
        chosen = None if everybody else [UUID(str(user)) for user in users]
        derived.refresh(connection, chosen, everything=True, as_of=plan.until)


def _copy(connection: Connection, table: str, content: bytes, *, frozen: bool = False) -> None:
    driver = connection.connection.driver_connection
    assert driver is not None
    options = f"FORMAT {'binary' if table in BINARY else 'csv'}, FREEZE {'on' if frozen else 'off'}"
    with driver.cursor().copy(f"COPY {table} ({COLUMNS[table]}) FROM STDIN WITH ({options})") as copy:
        copy.write(content)


@contextmanager
def _bare(connection: Connection) -> Iterator[bool]:
    """Empty tables without their indexes and foreign keys for the duration, then exactly as they were.

    Four indexes and the foreign keys make a load five times slower. Tables that hold a row keep everything; yields
    whether they were empty. Their files are new then, which spares the write-ahead log where it is minimal.
    """
    empty = [t for t in _BARE if not connection.execute(text(f"SELECT EXISTS (SELECT FROM {t})")).scalar_one()]
    # A unique constraint can only go once no foreign key of another table needs it.
    whole = len(empty) == len(_BARE)
    dropped = _definitions(connection, _BARE) if whole else []
    for name, table, _, constraint in dropped:
        gone = f"ALTER TABLE {table} DROP CONSTRAINT {name}" if constraint else f"DROP INDEX {name}"
        connection.execute(text(gone))
    if whole:
        connection.execute(text(f"TRUNCATE {', '.join(_BARE)}"))
    yield whole
    connection.execute(text("SET LOCAL maintenance_work_mem = '256MB'"))
    for name, table, definition, constraint in reversed(dropped):
        connection.execute(
            text(f"ALTER TABLE {table} ADD CONSTRAINT {name} {definition}" if constraint else definition)
        )


def _definitions(connection: Connection, tables: Sequence[str]) -> list[tuple[str, str, str, bool]]:
    """Name, table, definition and whether it is a constraint: foreign keys first, then unique ones, then indexes."""
    constraints = connection.execute(
        text(
            "SELECT conname, conrelid::regclass::text, pg_get_constraintdef(oid), true FROM pg_constraint"
            " WHERE conrelid = ANY(CAST(:tables AS regclass[])) AND contype IN ('f', 'u')"
            " ORDER BY contype, conrelid::regclass::text, conname"
        ),
        {"tables": list(tables)},
    )
    indexes = connection.execute(
        text(
            "SELECT i.indexrelid::regclass::text, i.indrelid::regclass::text, pg_get_indexdef(i.indexrelid), false"
            " FROM pg_index i WHERE i.indrelid = ANY(CAST(:tables AS regclass[]))"
            " AND NOT EXISTS (SELECT FROM pg_constraint c WHERE c.conindid = i.indexrelid) ORDER BY 1"
        ),
        {"tables": list(tables)},
    )
    return [tuple(row) for found in (constraints, indexes) for row in found]
