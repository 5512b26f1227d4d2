"""What the page on learners' performance reads: one statement a question, whatever the number of learners.

Days are the learners' own: `practised_on` and `started_on` were written in the zone each learner had then.
Rates come as `Tally`, so that their intervals know how far learners differ.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, RowMapping, text

from subjunctive_admin.analytics.intervals import Tally
from subjunctive_admin.analytics.recall import BIN_EDGES, RecallBin, Review
from subjunctive_admin.db import Database
from subjunctive_admin.errors import UsageError
from subjunctive_admin.vocabulary import ErrorKind, ExerciseType, Person, Tense, Tier

DUE_DAYS = 14
_WORK_MEMORY = "128MB"

# What a Tally needs, over rows of one learner each that hold `n` and `hits`.
_TALLY = (
    "count(*) AS learners, coalesce(sum(n), 0)::bigint AS n, coalesce(sum(hits), 0)::bigint AS hits,"
    " coalesce(sum(n * n), 0)::float8 AS nn, coalesce(sum(hits * hits), 0)::float8 AS hh,"
    " coalesce(sum(n * hits), 0)::float8 AS nh"
)
_COUNTED = "count(*) AS n, count(*) FILTER (WHERE is_correct) AS hits"
# practised_on lies within a day of attempted_at in UTC, and attempted_at has an index.
_IN_WINDOW = (
    "practised_on BETWEEN :first AND :last"
    " AND attempted_at >= CAST(:first AS date) - 1 AND attempted_at < CAST(:last AS date) + 2"
)


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Below `minimum` answers no rate is shown, below `firm` it is marked; `retention` is what reviews aim at."""

    minimum: int = 10
    firm: int = 30
    retention: float = 0.9


@dataclass(frozen=True, slots=True)
class Window:
    """The days that are looked at, both included."""

    first: date
    last: date

    @property
    def days(self) -> int:
        """How many days it has."""
        return (self.last - self.first).days + 1


@dataclass(frozen=True, slots=True)
class Population:
    """Who there is at all: accounts, those who ever answered, and the first and last day of an answer."""

    accounts: int
    practising: int
    first_day: date | None
    last_day: date | None
    refreshed: int
    oldest_refresh: datetime | None
    newest_refresh: datetime | None


@dataclass(frozen=True, slots=True)
class Activity:
    """Answers in the window: all of them, each learner's median, and by day."""

    total: Tally
    median_answers: float | None
    days: tuple[tuple[date, Tally], ...]


@dataclass(frozen=True, slots=True)
class FormAccuracy:
    """First answers of the day: by tense and person, by tense, by person, and all."""

    cells: dict[tuple[Tense, Person], Tally]
    tenses: dict[Tense, Tally]
    persons: dict[Person, Tally]
    total: Tally


@dataclass(frozen=True, slots=True)
class Recall:
    """Answers at least a day after the last one to the same item: all, and by tense and bin of days."""

    total: Tally
    by_tense: dict[Tense, tuple[RecallBin, ...]]


@dataclass(frozen=True, slots=True)
class Learner:
    """One learner, their zone, and how much they answered in the window."""

    id: UUID
    username: str
    timezone: str
    answers: int
    last_day: date | None


@dataclass(frozen=True, slots=True)
class OneLearner:
    """One learner in the window: answers and right ones by day, and reviews in the order of time."""

    learner: Learner
    days: tuple[tuple[date, int, int], ...]
    reviews: tuple[Review, ...]
    stored: tuple[int, int, int, datetime] | None
    """Current streak, longest streak, items mastered, and when they were derived."""

    @property
    def tally(self) -> Tally:
        """Their answers in the window."""
        return Tally.of([(sum(hits for _, _, hits in self.days), sum(n for _, n, _ in self.days))])


@dataclass(frozen=True, slots=True)
class Streaks:
    """How many learners have a streak of so many days: now, and as their longest."""

    current: dict[int, int]
    longest: dict[int, int]


@dataclass(frozen=True, slots=True)
class Award:
    """How far learners are with one award, of those whose progress was derived.

    `median_rest` is the progress, 0..1, of those without it; None when there are none.
    """

    name: str
    description: str
    tier: Tier
    learners: int
    unlocked: int
    median_rest: float | None


@dataclass(frozen=True, slots=True)
class ScenarioProgress:
    """How far learners are with one published scenario; whoever has no row has not begun."""

    title: str
    begun: int
    completed: int
    median_completion: float | None


@dataclass(frozen=True, slots=True)
class DueDay:
    """Reviews that fall due on one day, counted from each learner's own today; day −1 holds all overdue ones."""

    day: int
    items: int
    learners: int


@dataclass(frozen=True, slots=True)
class ErrorLine:
    """One kind of error: its share of all answers with an error, and the most frequent such answer."""

    kind: ErrorKind
    share: Tally
    learners: int
    written: str
    expected: str
    prompt: str
    exercise_type: ExerciseType
    written_n: int


@dataclass(frozen=True, slots=True)
class Performance:
    """Everything on the page, read in one transaction at `taken_at`; `window` is None when nobody ever answered."""

    taken_at: datetime
    thresholds: Thresholds
    population: Population
    window: Window | None
    activity: Activity
    accuracy: FormAccuracy
    recall: Recall
    asked_for: str
    learner: OneLearner | None
    streaks: Streaks
    goals: dict[int, Tally]
    awards: tuple[Award, ...]
    scenarios: tuple[ScenarioProgress, ...]
    due: tuple[DueDay, ...]
    errors: tuple[ErrorLine, ...]


def read_performance(
    database: Database, *, days: int = 90, until: str = "", learner: str = "", now: datetime | None = None
) -> Performance:
    """Read the whole page in one transaction: seventeen statements, however many learners and answers there are.

    The window is the `days` days up to `until` (YYYY-MM-DD), which is the last practised day when empty;
    `learner` is a username, the most active one when empty. `now` is the server's clock unless given.
    Raises `UsageError` for a day that is none, or a window without days.
    """
    last = _day(until)
    if days < 1:
        raise UsageError(f"A window of {days} days holds none.", next_step="give days=1 or more")
    with database.connection() as connection:
        connection.execute(text(f"SET LOCAL work_mem = '{_WORK_MEMORY}'"))
        taken_at = now or connection.scalar(text("SELECT now()"))
        population = read_population(connection)
        end = last or population.last_day
        # Without an answer at all the statements still run, over a day on which there is none.
        looked_at = window_until(end or taken_at.date(), days)
        found = find_learner(connection, looked_at, learner)
        return Performance(
            taken_at=taken_at,
            thresholds=read_thresholds(connection),
            population=population,
            window=None if population.last_day is None else looked_at,
            activity=read_activity(connection, looked_at),
            accuracy=read_accuracy(connection, looked_at),
            recall=read_recall(connection, looked_at),
            asked_for=learner,
            learner=None if found is None else read_learner(connection, looked_at, found),
            streaks=read_streaks(connection),
            goals=read_goals(connection, looked_at),
            awards=read_awards(connection),
            scenarios=read_scenarios(connection),
            due=read_due(connection, taken_at),
            errors=read_errors(connection, looked_at),
        )


def _day(until: str) -> date | None:
    try:
        return date.fromisoformat(until) if until else None
    except ValueError:
        raise UsageError(f"{until!r} is no day.", next_step="write until as YYYY-MM-DD, such as 2026-11-22") from None


def window_until(last: date, days: int) -> Window:
    """The window of so many days that ends with `last`; raises `UsageError` before the calendar begins."""
    try:
        return Window(last - timedelta(days=days - 1), last)
    except OverflowError:
        raise UsageError(f"{days} days before {last} there was no calendar.", next_step="give fewer days") from None


def read_thresholds(connection: Connection) -> Thresholds:
    """One row: how many answers a rate needs, from the configuration, else what its seeds say."""
    rows = connection.execute(
        text("""
            SELECT key, (value #>> '{}')::float8 AS value FROM system_configuration
            WHERE key IN ('analytics.minimum_n', 'analytics.firm_n', 'practice.desired_retention')""")
    )
    given = {row.key: row.value for row in rows}
    standard = Thresholds()
    return Thresholds(
        minimum=int(given.get("analytics.minimum_n", standard.minimum)),
        firm=int(given.get("analytics.firm_n", standard.firm)),
        retention=given.get("practice.desired_retention", standard.retention),
    )


def read_population(connection: Connection) -> Population:
    """One row: accounts, who ever answered, between which days, and how old the summaries are."""
    row = connection.execute(
        text("""
            SELECT (SELECT count(*) FROM users) AS accounts, count(*) AS practising,
                   min(a.first_day) AS first_day, max(a.last_day) AS last_day,
                   count(s.refreshed_at) AS refreshed, min(s.refreshed_at) AS oldest, max(s.refreshed_at) AS newest
            FROM (SELECT user_id, min(practised_on) AS first_day, max(practised_on) AS last_day
                  FROM practice_attempts GROUP BY user_id) a
            LEFT JOIN user_progress_summary s USING (user_id)""")
    ).one()
    return Population(*row)


def read_activity(connection: Connection, window: Window) -> Activity:
    """One row per day with an answer, and one for the whole window."""
    rows = (
        connection.execute(
            text(f"""
                SELECT practised_on AS day, {_TALLY},
                       percentile_cont(0.5) WITHIN GROUP (ORDER BY n)::float8 AS median
                FROM (SELECT practised_on, user_id, {_COUNTED} FROM practice_attempts WHERE {_IN_WINDOW}
                      GROUP BY GROUPING SETS ((practised_on, user_id), (user_id))) per_learner
                GROUP BY practised_on ORDER BY practised_on NULLS FIRST"""),
            _bounds(window),
        )
        .mappings()
        .all()
    )
    total = [row for row in rows if row["day"] is None]
    days = tuple((row["day"], _tally(row)) for row in rows if row["day"] is not None)
    return Activity(_tally(total[0]), total[0]["median"], days) if total else Activity(Tally.of([]), None, ())


def read_accuracy(connection: Connection, window: Window) -> FormAccuracy:
    """One row per tense and person, per tense, per person, and one for all.

    A learner's first answer of a day to an item counts, the others show what was just read.
    """
    rows = connection.execute(
        text(f"""
            SELECT tense, person, level, {_TALLY}
            FROM (SELECT user_id, tense, person, grouping(tense, person) AS level, {_COUNTED}
                  FROM (SELECT DISTINCT ON (practice_item_id, practised_on) user_id, tense, person, is_correct
                        FROM practice_attempts WHERE {_IN_WINDOW} AND practice_item_id IS NOT NULL
                        ORDER BY practice_item_id, practised_on, attempted_at, id) first_answers
                  GROUP BY user_id, GROUPING SETS ((tense, person), (tense), (person), ())) per_learner
            GROUP BY tense, person, level ORDER BY tense, person"""),
        _bounds(window),
    ).mappings()
    levels: dict[int, list[RowMapping]] = {level: [] for level in range(4)}
    for row in rows:
        levels[row["level"]].append(row)
    return FormAccuracy(
        cells={(Tense(row["tense"]), Person(row["person"])): _tally(row) for row in levels[0]},
        tenses={Tense(row["tense"]): _tally(row) for row in levels[1]},
        persons={Person(row["person"]): _tally(row) for row in levels[2]},
        total=_tally(levels[3][0]) if levels[3] else Tally.of([]),
    )


# The time since the last answer to the same item, which may lie before the window. An item is one learner's;
# naming both lets the sort follow the order in which most rows lie, which halves it.
_GAPS = """
    SELECT user_id, tense, practised_on, attempted_at, is_correct{also},
           date_part('epoch', attempted_at - lag(attempted_at) OVER (
               PARTITION BY user_id, practice_item_id ORDER BY attempted_at, id)) / 86400 AS elapsed_days
    FROM practice_attempts
    WHERE practice_item_id IS NOT NULL AND attempted_at < CAST(:last AS date) + 2"""


def read_recall(connection: Connection, window: Window) -> Recall:
    """One row per tense and bin of days since the last answer to the same item, and one for all.

    Only answers at least one day after that count (true retention, as Anki defines it).
    """
    rows = connection.execute(
        text(f"""
            WITH reviews AS (
              SELECT user_id, tense, width_bucket(elapsed_days, CAST(:edges AS float8[])) AS bin, ln(elapsed_days) AS log_days,
                     is_correct
              FROM ({_GAPS.format(also="")}) gaps WHERE elapsed_days >= 1 AND practised_on BETWEEN :first AND :last),
            per_learner AS (
              SELECT user_id, tense, bin, {_COUNTED}, sum(log_days) AS log_days
              FROM reviews GROUP BY GROUPING SETS ((user_id, tense, bin), (user_id)))
            SELECT tense, bin, {_TALLY}, exp(sum(log_days) / sum(n)::float8) AS elapsed_days
            FROM per_learner GROUP BY tense, bin ORDER BY tense, bin"""),
        {**_bounds(window), "edges": list(BIN_EDGES)},
    ).mappings()
    total, by_tense = Tally.of([]), dict[Tense, list[RecallBin]]()
    for row in rows:
        if row["bin"] is None:
            total = _tally(row)
        else:
            found = RecallBin(BIN_EDGES[row["bin"] - 1], row["elapsed_days"], _tally(row))
            by_tense.setdefault(Tense(row["tense"]), []).append(found)
    return Recall(total, {tense: tuple(bins) for tense, bins in by_tense.items()})


_LEARNERS = f"""
    SELECT u.id, u.username, u.timezone, coalesce(a.answers, 0) AS answers, a.last_day
    FROM users u
    {{join}} JOIN (SELECT user_id, count(*) AS answers, max(practised_on) AS last_day
          FROM practice_attempts WHERE {_IN_WINDOW} GROUP BY user_id) a ON a.user_id = u.id"""


def find_learner(connection: Connection, window: Window, username: str = "") -> Learner | None:
    """One row: the learner of that name, whatever the case, or the most active one of the window; None without."""
    where = "lower(u.username) = lower(:username)" if username else ":username = ''"
    rows = connection.execute(
        text(f"""
            {_LEARNERS.format(join="LEFT" if username else "INNER")}
            WHERE {where} ORDER BY answers DESC, lower(u.username) LIMIT 1"""),
        {**_bounds(window), "username": username},
    )
    row = rows.one_or_none()
    return None if row is None else Learner(*row)


def active_learners(connection: Connection, window: Window, query: str = "", limit: int = 200) -> list[Learner]:
    """One row per learner with an answer in the window whose username holds `query`, the most active first."""
    rows = connection.execute(
        text(f"""
            {_LEARNERS.format(join="INNER")}
            WHERE strpos(lower(u.username), lower(:query)) > 0
            ORDER BY answers DESC, lower(u.username) LIMIT :limit"""),
        {**_bounds(window), "query": query, "limit": limit},
    )
    return [Learner(*row) for row in rows]


def read_learner(connection: Connection, window: Window, learner: Learner) -> OneLearner:
    """One row per practised day of one learner, and one per review."""
    given = {**_bounds(window), "user": learner.id}
    days = connection.execute(
        text(f"""
            SELECT practised_on, count(*), count(*) FILTER (WHERE is_correct) FROM practice_attempts
            WHERE user_id = :user AND {_IN_WINDOW} GROUP BY practised_on ORDER BY practised_on"""),
        given,
    )
    reviews = connection.execute(
        text(f"""
            SELECT elapsed_days, is_correct, stability_before FROM ({_GAPS.format(also=", stability_before")} AND user_id = :user) gaps
            WHERE elapsed_days >= 1 AND practised_on BETWEEN :first AND :last ORDER BY attempted_at"""),
        given,
    )
    stored = connection.execute(
        text("""
            SELECT current_streak, longest_streak, items_mastered, refreshed_at FROM user_progress_summary
            WHERE user_id = :user AND refreshed_at IS NOT NULL"""),
        given,
    ).one_or_none()
    return OneLearner(
        learner,
        tuple((day, n, hits) for day, n, hits in days),
        tuple(Review(*row) for row in reviews),
        None if stored is None else (stored[0], stored[1], stored[2], stored[3]),
    )


def read_streaks(connection: Connection) -> Streaks:
    """One row per kind of streak and its length in days, over the learners whose summary was derived."""
    rows = connection.execute(
        text("""
            SELECT grouping(current_streak) = 0, coalesce(current_streak, longest_streak), count(*)
            FROM user_progress_summary WHERE refreshed_at IS NOT NULL AND total_attempts > 0
            GROUP BY GROUPING SETS ((current_streak), (longest_streak)) ORDER BY 1, 2""")
    ).all()
    return Streaks(
        current={length: learners for is_current, length, learners in rows if is_current},
        longest={length: learners for is_current, length, learners in rows if not is_current},
    )


def read_goals(connection: Connection, window: Window) -> dict[int, Tally]:
    """One row per daily goal in minutes: practised days on which it was met, among all practised days.

    A day counts under the goal that held in its last session.
    """
    rows = connection.execute(
        text(f"""
            SELECT goal, {_TALLY}
            FROM (SELECT user_id, goal, count(*) AS n, count(*) FILTER (WHERE met) AS hits
                  FROM (SELECT user_id, started_on, bool_or(daily_goal_met) AS met,
                               (array_agg(daily_goal_minutes ORDER BY started_at DESC))[1] AS goal
                        FROM study_sessions
                        WHERE started_on BETWEEN :first AND :last AND refreshed_at IS NOT NULL
                          AND total_possible_score > 0
                        GROUP BY user_id, started_on) days
                  GROUP BY user_id, goal) per_learner
            GROUP BY goal ORDER BY goal"""),
        _bounds(window),
    ).mappings()
    return {row["goal"]: _tally(row) for row in rows}


def read_awards(connection: Connection) -> tuple[Award, ...]:
    """One row per active award, the most often unlocked first."""
    rows = connection.execute(
        text("""
            SELECT h.name, h.description, h.tier::text, count(w.id) AS learners, count(w.unlocked_at) AS unlocked,
                   percentile_cont(0.5) WITHIN GROUP (ORDER BY w.progress) FILTER (WHERE w.unlocked_at IS NULL) AS rest
            FROM achievements h LEFT JOIN user_achievements w ON w.achievement_id = h.id AND w.refreshed_at IS NOT NULL
            WHERE h.is_active GROUP BY h.id ORDER BY unlocked DESC, rest DESC NULLS LAST, h.name""")
    )
    return tuple(Award(name, said, Tier(tier), *counts) for name, said, tier, *counts in rows)


def read_scenarios(connection: Connection) -> tuple[ScenarioProgress, ...]:
    """One row per published scenario, in the order in which learners meet them."""
    rows = connection.execute(
        text("""
            SELECT s.title, count(p.started_at) AS begun, count(p.completed_at) AS completed,
                   percentile_cont(0.5) WITHIN GROUP (ORDER BY p.completion) FILTER (WHERE p.started_at IS NOT NULL)
            FROM scenarios s LEFT JOIN user_progress p ON p.scenario_id = s.id
            WHERE s.status = 'published' GROUP BY s.id ORDER BY s.position, s.title""")
    )
    return tuple(ScenarioProgress(*row) for row in rows)


def read_due(connection: Connection, now: datetime) -> tuple[DueDay, ...]:
    """One row per day from −1 (overdue before today) to 13, in each learner's own zone; closed accounts left out."""
    rows = connection.execute(
        text("""
            SELECT d.day, count(i.day) AS items, count(DISTINCT i.user_id) AS learners
            FROM generate_series(-1, :days - 1) AS d (day)
            LEFT JOIN (
              SELECT i.user_id, greatest(
                       (i.next_review_date AT TIME ZONE u.timezone)::date
                       - (CAST(:now AS timestamptz) AT TIME ZONE u.timezone)::date, -1) AS day
              FROM practice_items i JOIN users u ON u.id = i.user_id
              WHERE u.is_active AND i.next_review_date < CAST(:now AS timestamptz) + make_interval(days => :days + 1)
            ) i USING (day)
            GROUP BY d.day ORDER BY d.day"""),
        {"now": now, "days": DUE_DAYS},
    )
    return tuple(DueDay(*row) for row in rows)


def read_errors(connection: Connection, window: Window) -> tuple[ErrorLine, ...]:
    """One row per kind of error, the most frequent first, with the wrong answer that most learners wrote."""
    rows = connection.execute(
        text(f"""
            WITH slips AS MATERIALIZED (
              SELECT user_id, error_kind, exercise_id, expected_answer, lower(btrim(user_answer)) AS written
              FROM practice_attempts WHERE {_IN_WINDOW} AND error_kind IS NOT NULL),
            per_learner AS (
              SELECT error_kind, count(*) AS hits, sum(count(*)) OVER (PARTITION BY user_id) AS n
              FROM slips GROUP BY user_id, error_kind),
            whole AS (
              SELECT count(*) AS learners, sum(n)::bigint AS n, sum(n * n)::float8 AS nn
              FROM (SELECT user_id, count(*) AS n FROM slips GROUP BY user_id) l),
            kinds AS (
              SELECT error_kind, count(*) AS with_it, sum(hits)::bigint AS hits, sum(hits * hits)::float8 AS hh,
                     sum(n * hits)::float8 AS nh
              FROM per_learner GROUP BY error_kind),
            examples AS (
              SELECT DISTINCT ON (error_kind) error_kind, exercise_id, expected_answer, written, count(*) AS n
              FROM slips GROUP BY error_kind, exercise_id, expected_answer, written
              ORDER BY error_kind, count(DISTINCT user_id) DESC, count(*) DESC, written, expected_answer, exercise_id)
            SELECT k.error_kind::text AS kind, k.with_it, w.learners, w.n, k.hits, w.nn, k.hh, k.nh,
                   x.written, x.expected_answer, e.prompt, e.exercise_type::text AS exercise_type, x.n AS written_n
            FROM kinds k CROSS JOIN whole w JOIN examples x USING (error_kind) JOIN exercises e ON e.id = x.exercise_id
            ORDER BY k.hits DESC, k.error_kind"""),
        _bounds(window),
    ).mappings()
    return tuple(
        ErrorLine(
            kind=ErrorKind(row["kind"]),
            share=_tally(row),
            learners=row["with_it"],
            written=row["written"],
            expected=row["expected_answer"],
            prompt=row["prompt"],
            exercise_type=ExerciseType(row["exercise_type"]),
            written_n=row["written_n"],
        )
        for row in rows
    )


def _bounds(window: Window) -> dict[str, Any]:
    return {"first": window.first, "last": window.last}


def _tally(row: RowMapping) -> Tally:
    return Tally(row["learners"], row["n"], row["hits"], (row["nn"], row["hh"], row["nh"]))
