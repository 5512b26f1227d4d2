"""What an application does while a learner practises: open a session, record answers, close it, ask what is due.

Each function runs in the transaction of the session it is given and is safe to call twice: a request that
is repeated with the same id gives the first outcome again. Answers of one learner are recorded one after
the other, those of different learners side by side. The `_async` twins run the same code on an
`AsyncSession`; there is no second version of anything.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, Row, bindparam, column, select, text
from sqlalchemy.dialects.postgresql import Insert
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session
from sqlalchemy.sql.dml import ReturningInsert
from uuid_utils.compat import uuid7

from subjunctive_admin import derived
from subjunctive_admin.content.diagnosis import Grade, Question, grade
from subjunctive_admin.errors import Conflict, InvalidContent, NotFound
from subjunctive_admin.models import PracticeAttempt, PracticeItem, StudySession
from subjunctive_admin.scheduling import Memory, Rating, algorithm, rate
from subjunctive_admin.vocabulary import (
    ContentStatus,
    DifficultyLevel,
    ErrorKind,
    ExerciseType,
    Person,
    PracticeCategory,
    Scheduler,
    SessionType,
    Tense,
    Verdict,
)

MAX_ANSWER_LENGTH = 500
CLOCK_TOLERANCE = timedelta(minutes=1)
"""How far the clock of a learner's device may be off; beyond it a time is refused, within it corrected."""
MAX_DUE = 1000
OLDEST = datetime(2000, 1, 1, tzinfo=UTC)
"""No session began earlier: such a time comes from a device that lost its clock."""
_MAX_RESPONSE_MS = 3_600_000
_SETTINGS = {
    "practice.scheduler": Scheduler.FSRS,
    "practice.desired_retention": 0.9,
    "practice.accent_only_counts_as_right": False,
    "practice.fast_answer_ms": 5000,
    "practice.daily_new_items": 10,
}
"""The configuration that practice heeds, with the value that holds where an entry is missing."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer as the application took it; `id` makes a repeated request harmless.

    `at` is when it was given, by default now; `exercise_revision` is the text that the learner saw, by
    default the present one. Times are in milliseconds, confidence runs from 1 to 5.
    """

    exercise_id: UUID
    text: str
    response_time_ms: int
    hints_used: int = 0
    confidence: int | None = None
    at: datetime | None = None
    exercise_revision: int | None = None
    id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Recorded:
    """What became of an answer. `next_review` is None for an exercise that is not scheduled.

    Of a `repeated` request, `next_review` is the item's as it stands now: later answers may have moved it.
    """

    attempt_id: UUID
    grade: Grade
    is_correct: bool
    expected: str
    practice_item_id: UUID | None
    next_review: datetime | None
    repeated: bool = False


@dataclass(frozen=True, slots=True)
class Closed:
    """A session's totals at its end, and the awards that closing it unlocked (slugs)."""

    session_id: UUID
    completed_at: datetime
    total_time_seconds: int
    right: int
    answered: int
    streak_day: int
    daily_goal_met: bool
    unlocked: tuple[str, ...]
    repeated: bool = False


@dataclass(frozen=True, slots=True)
class Due:
    """A question to ask: a scheduled one with the time it was due, or a new one."""

    exercise_id: UUID
    exercise_revision: int
    slug: str
    prompt: str
    practice_item_id: UUID | None
    due_at: datetime | None

    @property
    def is_new(self) -> bool:
        """Whether the learner has never answered this item."""
        return self.practice_item_id is None


def open_session(
    session: Session,
    learner: UUID,
    *,
    session_type: SessionType | str = SessionType.PRACTICE,
    difficulty_level: DifficultyLevel | None = None,
    at: datetime | None = None,
    session_id: UUID | None = None,
) -> UUID:
    """Begin a study session; returns its id.

    Raises `NotFound` for an unknown learner, `Conflict` for a deactivated one or an id that is another
    session's, `InvalidContent` for a time that cannot be true or an unknown type.
    """
    kind = _checked_type(session_type)
    user = _lock_learner(session.connection(), learner)
    now = _clock(session.connection())
    started = _checked_time(at, now)
    row: dict[str, Any] = {
        "id": session_id or uuid7(),
        "user_id": learner,
        "session_type": kind,
        "difficulty_level": difficulty_level,
        "started_at": started,
        "started_on": local_day(started, user.timezone),
        "daily_goal_minutes": user.daily_goal_minutes,
        "refreshed_at": now,
    }
    made = session.connection().execute(_INSERT_SESSION, row).scalar()
    if made is None and not _owns(session.connection(), learner, row["id"]):
        raise Conflict(f"The id {row['id']} belongs to another session.", next_step="make a new id for each session")
    session_key: UUID = row["id"]
    return session_key


def record_attempt(session: Session, learner: UUID, session_id: UUID, answer: Answer) -> Recorded:
    """Grade an answer, schedule its item, and bring item, session and scenario up to date.

    An answer older than the last one of its item (a device that was offline) is kept and counted, but does
    not move the schedule. Raises `InvalidContent` for an answer that cannot be stored or a time that cannot
    be true, `NotFound` for a learner, session or exercise that is not there (a session of somebody else is
    not), `Conflict` when the session is closed, the exercise retired or revised, the learner deactivated,
    or the id used for another answer.
    """
    _check_answer(answer)
    connection = session.connection()
    user = _lock_learner(connection, learner)
    asked = _read_asked(connection, learner, session_id, answer)
    if asked.is_repeated:
        return _repeated(connection, learner, session_id, answer)
    _check_asked(asked, learner, session_id, answer)
    at = _checked_time(answer.at, asked.now, since=asked.started_at)
    settings = _settings(asked.settings)
    graded = grade(question_of(asked), answer.text)
    right = graded.is_correct(accent_only_counts=settings["practice.accent_only_counts_as_right"])
    before = _memory(asked)
    rating = _rating(answer, graded, right, settings)
    after = _scheduled(before, rating, at, settings)
    row = _attempt_row(asked, answer, graded, right) | {
        "user_id": learner,
        "session_id": session_id,
        "attempted_at": at,
        "practised_on": local_day(at, user.timezone),
    }
    if asked.person is None:
        written = connection.execute(_INSERT_ATTEMPT, row)
    else:
        row |= _schedule_columns(before, after, rating)
        row |= _item_row(learner, asked, after or before, settings)
        written = connection.execute(_INSERT_ATTEMPT_AND_ITEM, row)
    made = written.one_or_none()
    if made is None:
        raise _id_taken(row["id"])
    item_id = made.practice_item_id
    derived.refresh_answer(
        connection, learner, item=item_id, session=session_id, scenario=asked.scenario_id, as_of=asked.now
    )
    return Recorded(row["id"], graded, right, asked.correct_answer, item_id, (after or before).due if item_id else None)


def close_session(session: Session, learner: UUID, session_id: UUID, *, at: datetime | None = None) -> Closed:
    """End a session: its totals, the learner's summary, and the awards it unlocked.

    A session that is closed already is left as it is. Raises `NotFound` for a session that is not the
    learner's, `InvalidContent` for a time in the future.
    """
    connection = session.connection()
    _lock_learner(connection, learner)
    found = _read_session(connection, learner, session_id)
    if found.completed_at is not None:
        return _closed(found, repeated=True)
    ended = max(_checked_time(at, found.now, since=found.started_at), found.last_answer or found.started_at)
    connection.execute(
        text("UPDATE study_sessions SET completed_at = :ended WHERE id = :id"), {"ended": ended, "id": session_id}
    )
    as_of = _clock(connection)
    derived.refresh(connection, [learner], as_of=as_of)
    connection.execute(
        text(
            "UPDATE study_sessions SET achievements_unlocked = coalesce((SELECT array_agg(h.slug ORDER BY h.slug)"
            " FROM user_achievements w JOIN achievements h ON h.id = w.achievement_id"
            " WHERE w.user_id = :user AND w.unlocked_at = :as_of), '{}') WHERE id = :id"
        ),
        {"user": learner, "as_of": as_of, "id": session_id},
    )
    return _closed(_read_session(connection, learner, session_id))


def due_items(session: Session, learner: UUID, *, at: datetime | None = None, limit: int = 20) -> list[Due]:
    """What to ask next, at most `limit` questions: what is due, longest overdue first, then new items.

    New items are rationed by `practice.daily_new_items` over the learner's local day; among an item's
    exercises the one answered longest ago is asked. `at` may lie in the future: what will be due. Raises
    `NotFound` for an unknown learner, `InvalidContent` for a time without zone or a limit outside 1..1,000.
    """
    connection = session.connection()
    user = connection.execute(text("SELECT timezone FROM users WHERE id = :id"), {"id": learner}).one_or_none()
    if user is None:
        raise NotFound(f"There is no learner {learner}.", next_step="subjunctive-admin user list")
    if type(limit) is not int or not 1 <= limit <= MAX_DUE:
        raise InvalidContent(f"The limit lies between 1 and {MAX_DUE:,}; {limit!r} does not.", [])
    now = _clock(connection) if at is None else _utc(at)
    given = {
        "user": learner,
        "at": now,
        "today": local_day(now, user.timezone),
        "limit": limit,
        "new": _SETTINGS["practice.daily_new_items"],
    }
    return [Due(**row) for row in connection.execute(_DUE, given).mappings()]


async def open_session_async(session: AsyncSession, learner: UUID, **given: Any) -> UUID:
    """`open_session` on an async session."""
    return await session.run_sync(open_session, learner, **given)


async def record_attempt_async(session: AsyncSession, learner: UUID, session_id: UUID, answer: Answer) -> Recorded:
    """`record_attempt` on an async session."""
    return await session.run_sync(record_attempt, learner, session_id, answer)


async def close_session_async(
    session: AsyncSession, learner: UUID, session_id: UUID, *, at: datetime | None = None
) -> Closed:
    """`close_session` on an async session."""
    return await session.run_sync(close_session, learner, session_id, at=at)


async def due_items_async(
    session: AsyncSession, learner: UUID, *, at: datetime | None = None, limit: int = 20
) -> list[Due]:
    """`due_items` on an async session."""
    return await session.run_sync(due_items, learner, at=at, limit=limit)


def local_day(at: datetime, timezone: str) -> date:
    """The calendar day in that zone; a day of 23 or 25 hours is a day."""
    return at.astimezone(ZoneInfo(timezone)).date()


def _lock_learner(connection: Connection, learner: UUID) -> Row[Any]:
    user = connection.execute(_LOCK_LEARNER, {"id": learner}).one_or_none()
    if user is None:
        raise NotFound(f"There is no learner {learner}.", next_step="subjunctive-admin user list")
    if not user.is_active:
        raise Conflict(f"The account {learner} is deactivated; nothing was recorded.")
    return user


def _clock(connection: Connection) -> datetime:
    now: datetime = connection.execute(text("SELECT clock_timestamp()")).scalar_one()
    return now


def _check_answer(answer: Answer) -> None:
    faults = list(_text_faults(answer.text))
    for name, value, low, high in (
        ("response_time_ms", answer.response_time_ms, 0, _MAX_RESPONSE_MS),
        ("hints_used", answer.hints_used, 0, 1000),
        ("confidence", answer.confidence, 1, 5),
        ("exercise_revision", answer.exercise_revision, 1, 2**31 - 1),
    ):
        if value is None and name in ("confidence", "exercise_revision"):
            continue
        # Not isinstance: True is no number of milliseconds.
        if type(value) is not int or not low <= value <= high:
            faults.append(f"{name} is a whole number from {low} to {high:,}; {value!r} is not")
    if faults:
        raise InvalidContent("The answer was not recorded:", faults)


def _text_faults(text: object) -> Iterator[str]:
    if not isinstance(text, str):
        yield f"it is text, not {type(text).__name__}"
    # The length first: composing ten megabytes of text is work that nobody needs.
    elif len(text) > MAX_ANSWER_LENGTH:
        yield f"it has {len(text):,} characters; {MAX_ANSWER_LENGTH} is the most"
    elif any(unicodedata.category(character) in ("Cc", "Cs") for character in text):
        yield "it holds a control character"
    elif len(unicodedata.normalize("NFC", text)) > MAX_ANSWER_LENGTH:
        yield f"composed, it has more than {MAX_ANSWER_LENGTH} characters"


def _checked_type(given: SessionType | str) -> SessionType:
    try:
        return SessionType(given)
    except ValueError:
        raise InvalidContent(f"A session is of the type {', '.join(SessionType)}; not {given!r}.", []) from None


def _utc(at: datetime) -> datetime:
    if at.tzinfo is None:
        raise InvalidContent(
            f"The time {at} has no time zone; nothing was recorded.", [], next_step="send it with its offset from UTC"
        )
    try:
        return at.astimezone(UTC)
    except OverflowError:
        raise InvalidContent(f"The time {at} is out of range; nothing was recorded.", []) from None


def _checked_time(at: datetime | None, now: datetime, *, since: datetime | None = None) -> datetime:
    if at is None:
        return now
    at = _utc(at)
    if at < OLDEST:
        raise InvalidContent(
            f"The time {at:%Y-%m-%d} lies before {OLDEST.year}; nothing was recorded.",
            [],
            next_step="set the clock of the device that sent it",
        )
    if at > now + CLOCK_TOLERANCE:
        raise InvalidContent(
            f"The time {at.isoformat(timespec='seconds')} lies in the future; nothing was recorded.",
            [],
            next_step="set the clock of the device that sent it",
        )
    if since is not None and at < since - CLOCK_TOLERANCE:
        raise InvalidContent(
            f"The time {at.isoformat(timespec='seconds')} lies before the session's start,"
            f" {since.isoformat(timespec='seconds')}; nothing was recorded.",
            [],
            next_step="open a session for it",
        )
    return min(at, now) if since is None else max(min(at, now), since)


# Named and in order, so that their result's shape is worked out once and not for every answer.
_ASKED_COLUMNS = {
    "now": "clock_timestamp()",
    "session_id": "s.id",
    "started_at": "s.started_at",
    "completed_at": "s.completed_at",
    "exercise_id": "e.id",
    "slug": "e.slug",
    "scenario_id": "e.scenario_id",
    "status": "e.status",
    "revision": "e.revision",
    "verb_id": "e.verb_id",
    "tense": "e.tense",
    "person": "e.person",
    "trigger_class": "e.trigger_class",
    "trigger_phrase": "e.trigger_phrase",
    "correct_answer": "e.correct_answer",
    "accepted_answers": "e.accepted_answers",
    "exercise_type": "e.exercise_type",
    "conjugations": "v.conjugations",
    "infinitive": "v.infinitive",
    "item_id": "i.id",
    "current_interval": "i.current_interval",
    "ease_factor": "i.ease_factor",
    "repetitions": "i.repetitions",
    "lapses": "i.lapses",
    "memory_stability": "i.memory_stability",
    "memory_difficulty": "i.memory_difficulty",
    "next_review_date": "i.next_review_date",
    "last_reviewed": "i.last_reviewed",
    "is_repeated": "EXISTS (SELECT FROM practice_attempts WHERE id = CAST(:attempt AS uuid))",
    "scenario": "c.slug",
    "scenario_status": "c.status",
    "settings": "(SELECT jsonb_object_agg(key, value) FROM system_configuration WHERE key LIKE 'practice.%')",
}
_ASKED = text(
    f"""
    SELECT {", ".join(f"{source} AS {name}" for name, source in _ASKED_COLUMNS.items())}
    FROM (SELECT CAST(:user AS uuid) AS user_id) u
    LEFT JOIN study_sessions s ON s.id = :session AND s.user_id = u.user_id
    LEFT JOIN exercises e ON e.id = :exercise
    LEFT JOIN spanish_verbs v ON v.id = e.verb_id
    LEFT JOIN practice_items i
      ON i.user_id = u.user_id AND i.verb_id = e.verb_id AND i.tense = e.tense AND i.person = e.person
     AND i.category = coalesce(e.trigger_class::text, 'none')::practice_category
    LEFT JOIN scenarios c ON c.id = e.scenario_id
    """
).columns(*(column(name) for name in _ASKED_COLUMNS))

_DUE = text(
    """
    WITH answered AS (
      SELECT exercise_id, max(attempted_at) AS last_at FROM practice_attempts WHERE user_id = :user GROUP BY exercise_id),
    askable AS (
      SELECT e.id, e.revision, e.slug, e.prompt, e.verb_id, e.tense, e.person,
             coalesce(e.trigger_class::text, 'none')::practice_category AS category, a.last_at,
             row_number() OVER (ORDER BY s.position, e.position, e.slug) AS place
      FROM exercises e
      JOIN scenarios s ON s.id = e.scenario_id AND s.status = 'published'
      LEFT JOIN answered a ON a.exercise_id = e.id
      WHERE e.status = 'published' AND e.person IS NOT NULL),
    scheduled AS (
      SELECT DISTINCT ON (i.id) e.*, i.id AS item_id, i.next_review_date AS due_at
      FROM practice_items i JOIN askable e USING (verb_id, tense, person, category)
      WHERE i.user_id = :user AND i.next_review_date <= :at
      ORDER BY i.id, e.last_at NULLS FIRST, e.place),
    unmet AS (
      SELECT DISTINCT ON (e.verb_id, e.tense, e.person, e.category) e.*
      FROM askable e
      LEFT JOIN practice_items i
        ON i.user_id = :user AND (i.verb_id, i.tense, i.person, i.category) = (e.verb_id, e.tense, e.person, e.category)
      WHERE i.id IS NULL ORDER BY e.verb_id, e.tense, e.person, e.category, e.place),
    met_today AS (
      SELECT count(*) AS n FROM (
        SELECT FROM practice_attempts WHERE user_id = :user AND practice_item_id IS NOT NULL
        GROUP BY practice_item_id HAVING min(practised_on) = :today) m),
    ration AS (
      SELECT greatest(coalesce((SELECT (value #>> '{}')::int FROM system_configuration
                                WHERE key = 'practice.daily_new_items'), :new) - n, 0) AS n FROM met_today),
    fresh AS (SELECT * FROM unmet ORDER BY place LIMIT (SELECT n FROM ration))
    SELECT id AS exercise_id, revision AS exercise_revision, slug, prompt, item_id AS practice_item_id, due_at
    FROM (SELECT id, revision, slug, prompt, item_id, due_at, place FROM scheduled
          UNION ALL SELECT id, revision, slug, prompt, NULL, NULL, place FROM fresh) q
    ORDER BY due_at NULLS LAST, place LIMIT :limit
    """
)


_ITEM_KEY = ("user_id", "verb_id", "tense", "person", "category")
_SCHEDULE = (
    "trigger_phrase",
    "scheduler",
    "current_interval",
    "ease_factor",
    "repetitions",
    "lapses",
    "memory_stability",
    "memory_difficulty",
    "next_review_date",
    "last_reviewed",
)


_SCHEDULED = (
    "rating",
    "interval_before",
    "interval_after",
    "ease_before",
    "ease_after",
    "stability_before",
    "stability_after",
)
# The item comes from the same statement, the transaction from the server.
_FROM_ELSEWHERE = ("practice_item_id", "recorded_xid")
_ATTEMPT = [one.name for one in PracticeAttempt.__table__.columns if one.name not in _FROM_ELSEWHERE]


def _insert_attempt() -> Insert:
    return upsert(PracticeAttempt).on_conflict_do_nothing(index_elements=["id"])


def _insert_attempt_and_item() -> ReturningInsert[Any]:
    """The attempt and its item, whose schedule begins or moves with it, in one round trip."""
    item = upsert(PracticeItem).values({name: bindparam(f"item_{name}") for name in ("id", *_ITEM_KEY, *_SCHEDULE)})
    kept = {name: item.excluded[name] for name in _SCHEDULE}
    written = item.on_conflict_do_update(index_elements=_ITEM_KEY, set_=kept).returning(PracticeItem.id).cte("item")
    attempt = _insert_attempt().values({name: bindparam(name) for name in _ATTEMPT})
    attempt = attempt.values(practice_item_id=select(written.c.id).scalar_subquery())
    return attempt.returning(PracticeAttempt.practice_item_id)


# Built once: making a statement takes longer than sending it.
_INSERT_ATTEMPT = _insert_attempt().returning(PracticeAttempt.practice_item_id)
_INSERT_ATTEMPT_AND_ITEM = _insert_attempt_and_item()
_INSERT_SESSION = upsert(StudySession).on_conflict_do_nothing(index_elements=["id"]).returning(StudySession.id)
_LOCK_LEARNER = text(
    # Not FOR UPDATE: inserting an attempt asks for a key share of its learner.
    f"SELECT timezone, daily_goal_minutes, is_active, pg_advisory_xact_lock_shared({derived.RECORDING})"
    " FROM users WHERE id = :id FOR NO KEY UPDATE"
)


_FIRST = text(
    "SELECT r.*, i.next_review_date FROM practice_attempts r LEFT JOIN practice_items i ON i.id = r.practice_item_id"
    " WHERE r.id = :id"
)


def _read_asked(connection: Connection, learner: UUID, session_id: UUID, answer: Answer) -> Row[Any]:
    # One statement after the lock: it sees what the answer before this one committed.
    return connection.execute(
        _ASKED, {"user": learner, "session": session_id, "exercise": answer.exercise_id, "attempt": answer.id}
    ).one()


def _check_asked(asked: Row[Any], learner: UUID, session_id: UUID, answer: Answer) -> None:
    if asked.session_id is None:
        raise NotFound(f"The learner {learner} has no session {session_id}; nothing was recorded.")
    if asked.completed_at is not None:
        raise Conflict(
            f"The session {session_id} was closed at {asked.completed_at:%Y-%m-%d %H:%M} UTC; nothing was recorded.",
            next_step="open a new session",
        )
    if asked.exercise_id is None:
        raise NotFound(f"There is no exercise {answer.exercise_id}; nothing was recorded.")
    for kind, slug, status in (
        ("exercise", asked.slug, asked.status),
        ("scenario", asked.scenario, asked.scenario_status),
    ):
        if status != ContentStatus.PUBLISHED:
            raise Conflict(
                f"The {kind} {slug} is retired; nothing was recorded.", next_step="ask another of due_items()"
            )
    if answer.exercise_revision not in (None, asked.revision):
        raise Conflict(
            f"The exercise {asked.slug} was revised: the learner saw revision {answer.exercise_revision},"
            f" it is at {asked.revision} now; nothing was recorded.",
            next_step="show it again",
        )


def _repeated(connection: Connection, learner: UUID, session_id: UUID, answer: Answer) -> Recorded:
    """The outcome that the first request with this id had."""
    first = connection.execute(_FIRST, {"id": answer.id}).one()
    given = (learner, session_id, answer.exercise_id, unicodedata.normalize("NFC", answer.text))
    if given != (first.user_id, first.session_id, first.exercise_id, first.user_answer):
        raise _id_taken(answer.id)
    graded = Grade(
        Verdict(first.verdict),
        first.error_kind and ErrorKind(first.error_kind),
        first.produced_tense and Tense(first.produced_tense),
        first.produced_person and Person(first.produced_person),
    )
    return Recorded(
        first.id,
        graded,
        first.is_correct,
        first.expected_answer,
        first.practice_item_id,
        first.next_review_date,
        repeated=True,
    )


def _id_taken(attempt_id: UUID | None) -> Conflict:
    return Conflict(
        f"The id {attempt_id} belongs to another answer; nothing was recorded.",
        next_step="make a new id for each answer",
    )


def question_of(row: Row[Any]) -> Question:
    """What an exercise asks, from its columns and those of its verb (infinitive, conjugations)."""
    person = row.person and Person(row.person)
    # Words that ask for the subjunctive are no form of the verb: there is nothing to diagnose.
    of_a_verb = row.exercise_type != ExerciseType.TRIGGER_IDENTIFICATION
    forms, infinitive = (row.conjugations, row.infinitive) if of_a_verb else ({}, None)
    return Question(tuple(row.accepted_answers), Tense(row.tense), person, forms, infinitive)


def _attempt_row(asked: Row[Any], answer: Answer, graded: Grade, right: bool) -> dict[str, Any]:
    """What was asked, as it stood then, and what was made of the answer."""
    return {
        "id": answer.id or uuid7(),
        "exercise_id": asked.exercise_id,
        "exercise_revision": asked.revision,
        "verb_id": asked.verb_id,
        "tense": asked.tense,
        "person": asked.person,
        "trigger_class": asked.trigger_class,
        "expected_answer": asked.correct_answer,
        "user_answer": unicodedata.normalize("NFC", answer.text),
        "verdict": graded.verdict,
        "is_correct": right,
        "error_kind": graded.error_kind,
        "produced_tense": graded.produced_tense,
        "produced_person": graded.produced_person,
        "response_time_ms": answer.response_time_ms,
        "hints_used": answer.hints_used,
        "confidence": answer.confidence,
        "recorded_at": asked.now,
    }


def _settings(stored: Mapping[str, Any] | None) -> dict[str, Any]:
    return {name: (stored or {}).get(name, default) for name, default in _SETTINGS.items()}


def _memory(asked: Row[Any]) -> Memory:
    if asked.item_id is None:
        return Memory()
    return Memory(
        interval=asked.current_interval,
        ease=asked.ease_factor,
        repetitions=asked.repetitions,
        lapses=asked.lapses,
        stability=asked.memory_stability,
        difficulty=asked.memory_difficulty,
        due=asked.next_review_date,
        last_review=asked.last_reviewed,
    )


def _rating(answer: Answer, graded: Grade, right: bool, settings: Mapping[str, Any]) -> Rating:
    return rate(
        is_correct=right,
        exact=graded.verdict is not Verdict.ACCENT_ONLY,
        response_time_ms=answer.response_time_ms,
        fast_answer_ms=settings["practice.fast_answer_ms"],
        hints_used=answer.hints_used,
        confidence=answer.confidence,
    )


def _scheduled(before: Memory, rating: Rating, at: datetime, settings: Mapping[str, Any]) -> Memory | None:
    """The memory after the answer; None when it came too late to move the schedule."""
    if before.last_review is not None and at < before.last_review:
        return None
    try:
        chosen = algorithm(settings["practice.scheduler"], settings["practice.desired_retention"])
    except ValueError as error:
        raise InvalidContent(
            f"The configuration does not schedule: {error}; nothing was recorded.",
            [],
            next_step="subjunctive-admin config set practice.scheduler fsrs",
        ) from error
    return chosen.review(before, rating, at)


def _item_row(learner: UUID, asked: Row[Any], memory: Memory, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The item's schedule, which begins with its first answer; what is counted follows in `derived`."""
    row = {
        "id": uuid7(),
        "user_id": learner,
        "verb_id": asked.verb_id,
        "tense": asked.tense,
        "person": asked.person,
        "category": PracticeCategory(asked.trigger_class or PracticeCategory.NONE),
        "trigger_phrase": asked.trigger_phrase,
        "scheduler": Scheduler(settings["practice.scheduler"]),
        "current_interval": memory.interval,
        "ease_factor": memory.ease,
        "repetitions": memory.repetitions,
        "lapses": memory.lapses,
        "memory_stability": memory.stability,
        "memory_difficulty": memory.difficulty,
        "next_review_date": memory.due,
        "last_reviewed": memory.last_review,
    }
    return {f"item_{name}": value for name, value in row.items()}


def _schedule_columns(before: Memory, after: Memory | None, rating: Rating) -> dict[str, Any]:
    """How the answer moved its item; nothing of it when it came too late to."""
    if after is None:
        return dict.fromkeys(_SCHEDULED)
    return {
        "rating": int(rating),
        "interval_before": before.interval,
        "interval_after": after.interval,
        "ease_before": before.ease,
        "ease_after": after.ease,
        "stability_before": before.stability,
        "stability_after": after.stability,
    }


def _owns(connection: Connection, learner: UUID, session_id: UUID) -> bool:
    found = connection.execute(
        text("SELECT EXISTS (SELECT FROM study_sessions WHERE id = :id AND user_id = :user)"),
        {"id": session_id, "user": learner},
    )
    return bool(found.scalar())


def _read_session(connection: Connection, learner: UUID, session_id: UUID) -> Row[Any]:
    found = connection.execute(
        text(
            "SELECT s.*, clock_timestamp() AS now, (SELECT max(attempted_at) FROM practice_attempts"
            " WHERE session_id = s.id) AS last_answer FROM study_sessions s WHERE s.id = :id AND s.user_id = :user"
        ),
        {"id": session_id, "user": learner},
    ).one_or_none()
    if found is None:
        raise NotFound(f"The learner {learner} has no session {session_id}.")
    return found


def _closed(row: Row[Any], *, repeated: bool = False) -> Closed:
    return Closed(
        session_id=row.id,
        completed_at=row.completed_at,
        total_time_seconds=row.total_time_seconds,
        right=int(row.total_score),
        answered=int(row.total_possible_score),
        streak_day=row.streak_day,
        daily_goal_met=row.daily_goal_met,
        unlocked=tuple(row.achievements_unlocked),
        repeated=repeated,
    )
