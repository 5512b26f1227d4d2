"""What follows from the recorded answers: each derived column has one set-wise SELECT.

`refresh` writes what these SELECTs give, `differences` compares it with what is stored, and recording an
answer runs them over the rows it touches: there is no second definition. A SELECT reads a `scope`, the
rows to derive, each with its own `as_of`; only answers recorded by then count, so that a value can be
checked again long after it was made.

Not derived, because they are history: when an award was unlocked, what a session unlocked, and that a
scenario was completed. They are written once and never cleared.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

from subjunctive_admin.scheduling import FSRS_DECAY, FSRS_FACTOR
from subjunctive_admin.vocabulary import SUBJUNCTIVE_TENSES

MASTERY_THRESHOLD = "practice.mastery_threshold"
FULL_MASTERY_ATTEMPTS = 5
WEAK_BELOW, STRONG_FROM, ENOUGH = 0.6, 0.9, 3
"""A weak area is under 60 % right and a strength from 90 %, both over at least 3 answers."""
LONGEST_SITTING = 86_400
"""Seconds; a session that was left open for days is no sitting of days."""
BEST_SCORE_FROM = 5
"""Answers that a session needs in a scenario before its score there can be the best one."""
_WORK_MEMORY = "128MB"


@dataclass(frozen=True)
class Derivation:
    """A table's derived columns: which rows it has, the SELECT, and how its scope looks."""

    table: str
    key: tuple[str, ...]
    columns: tuple[str, ...]
    select: str
    whole: str
    """Scope of a refresh: every row that there should be, for the learners `:users`, as of `:as_of`."""
    stored: str
    """Scope of a check: every row that there is, each as of its own `refreshed_at`."""


@dataclass(frozen=True)
class Difference:
    """A stored value that is not what its SELECT gives."""

    table: str
    key: tuple[str, ...]
    column: str
    stored: Any
    derived: Any


def _configured(key: str, default: float) -> str:
    return f"coalesce((SELECT (value #>> '{{}}')::float8 FROM system_configuration WHERE key = '{key}'), {default})"


_LEARNERS = "(CAST(:users AS uuid[]) IS NULL OR {0} = ANY(CAST(:users AS uuid[])))"

# The memory of FSRS where it scheduled the answer; for SM-2 its interval is the time to 90 %. Never scheduled: 0.
_RETRIEVABILITY = f"""
    CASE WHEN interval_days IS NULL THEN 0 WHEN stability IS NOT NULL
         THEN power(1 + {FSRS_FACTOR!r}::float8 * days / stability, {-FSRS_DECAY!r}::float8)
         ELSE power(0.9::float8, days / greatest(interval_days, 1)) END"""
_MASTERY = f"({_RETRIEVABILITY}) * least(1, attempts / {FULL_MASTERY_ATTEMPTS}::float8)"
_DAYS = "greatest(date_part('epoch', as_of - last_at) / 86400, 0)"

ITEMS = Derivation(
    table="practice_items",
    key=("id",),
    columns=(
        "attempts",
        "correct_attempts",
        "average_response_time",
        "mastery_level",
        "error_patterns",
        "strengths",
    ),
    whole=f"""
        SELECT id, user_id, CAST(:as_of AS timestamptz) AS as_of FROM practice_items WHERE {_LEARNERS.format("user_id")}""",
    stored=f"""
        SELECT id, user_id, refreshed_at AS as_of FROM practice_items
        WHERE refreshed_at IS NOT NULL AND {_LEARNERS.format("user_id")}""",
    select=f"""
        WITH scope AS MATERIALIZED ({{scope}}),
        answers AS MATERIALIZED (
          SELECT s.id, s.as_of, a.is_correct, a.response_time_ms, a.error_kind, a.attempted_at, a.recorded_at,
                 a.interval_after, a.stability_after, a.id AS attempt_id, e.exercise_type
          FROM scope s
          JOIN practice_attempts a ON a.practice_item_id = s.id AND a.recorded_at <= s.as_of
          JOIN exercises e ON e.id = a.exercise_id),
        totals AS (
          SELECT id, count(*)::int AS attempts, (count(*) FILTER (WHERE is_correct))::int AS correct_attempts,
                 avg(response_time_ms)::float8 AS average_response_time
          FROM answers GROUP BY id),
        memory AS (
          SELECT DISTINCT ON (id) id, interval_after AS interval_days, stability_after AS stability,
                 attempted_at AS last_at
          FROM answers WHERE interval_after IS NOT NULL
          ORDER BY id, attempted_at DESC, recorded_at DESC, attempt_id DESC),
        errors AS (
          SELECT id, jsonb_object_agg(error_kind, n) AS error_patterns
          FROM (SELECT id, error_kind, count(*) AS n FROM answers WHERE error_kind IS NOT NULL GROUP BY id, error_kind) k
          GROUP BY id),
        strong AS (
          SELECT id, array_agg(exercise_type::text ORDER BY exercise_type::text) AS strengths
          FROM (SELECT id, exercise_type FROM answers GROUP BY id, exercise_type
                HAVING count(*) >= {ENOUGH} AND avg(is_correct::int) >= {STRONG_FROM}) t
          GROUP BY id)
        SELECT s.id, coalesce(t.attempts, 0) AS attempts, coalesce(t.correct_attempts, 0) AS correct_attempts,
               t.average_response_time, {_MASTERY} AS mastery_level,
               coalesce(e.error_patterns, '{{}}') AS error_patterns, coalesce(g.strengths, '{{}}') AS strengths
        FROM scope s
        LEFT JOIN totals t USING (id) LEFT JOIN errors e USING (id) LEFT JOIN strong g USING (id)
        LEFT JOIN memory m USING (id)
        LEFT JOIN LATERAL (SELECT {_DAYS} AS days) d ON true""",
)

# A session lasts from its start to its last answer: closing it late, or never, makes it no longer.
_SECONDS = f"least(greatest(floor(date_part('epoch', max({{0}}) - {{1}})), 0), {LONGEST_SITTING})::int"

SESSIONS = Derivation(
    table="study_sessions",
    key=("id",),
    columns=(
        "total_time_seconds",
        "total_score",
        "total_possible_score",
        "exercises_completed",
        "daily_goal_met",
        "streak_day",
        "concepts_practiced",
        "weak_areas_identified",
    ),
    whole=f"""
        SELECT s.id, s.user_id, CAST(:as_of AS timestamptz) AS as_of, s.started_at, s.started_on, s.completed_at,
               s.daily_goal_minutes
        FROM study_sessions s WHERE {_LEARNERS.format("s.user_id")}""",
    stored=f"""
        SELECT id, user_id, refreshed_at AS as_of, started_at, started_on, completed_at, daily_goal_minutes
        FROM study_sessions WHERE refreshed_at IS NOT NULL AND {_LEARNERS.format("user_id")}""",
    # What closing a session adds is empty while it is open.
    select=f"""
        WITH scope AS MATERIALIZED ({{scope}}),
        answers AS MATERIALIZED (
          SELECT s.id, s.started_at, s.completed_at, a.is_correct, a.exercise_id, a.attempted_at, a.practised_on,
                 a.tense, a.trigger_class
          FROM scope s
          JOIN practice_attempts a ON a.session_id = s.id AND a.recorded_at <= s.as_of),
        totals AS (
          SELECT id, {_SECONDS.format("last_at", "min(started_at)")} AS seconds, sum(score) AS score,
                 sum(n) AS possible, count(*)::int AS exercises, max(day) AS day
          FROM (SELECT id, min(started_at) AS started_at, max(attempted_at) AS last_at, count(*) AS n,
                       count(*) FILTER (WHERE is_correct) AS score, max(practised_on) AS day
                FROM answers GROUP BY id, exercise_id) e
          GROUP BY id),
        concepts AS (
          SELECT id, tense::text AS concept, count(*) AS n, avg(is_correct::int) AS share
          FROM answers WHERE completed_at IS NOT NULL GROUP BY id, tense
          UNION ALL
          SELECT id, trigger_class::text, count(*), avg(is_correct::int)
          FROM answers WHERE completed_at IS NOT NULL AND trigger_class IS NOT NULL GROUP BY id, trigger_class),
        areas AS (
          SELECT id, array_agg(concept ORDER BY concept) AS practised,
                 array_agg(concept ORDER BY concept) FILTER (WHERE n >= {ENOUGH} AND share < {WEAK_BELOW}) AS weak
          FROM concepts GROUP BY id),
        closed AS (
          SELECT s.*, t.day, t.seconds FROM scope s JOIN totals t USING (id) WHERE s.completed_at IS NOT NULL),
        earlier AS (
          SELECT id, sum(seconds) AS seconds
          FROM (SELECT c.id, {_SECONDS.format("a.attempted_at", "o.started_at")} AS seconds
                FROM closed c
                JOIN study_sessions o
                  ON o.user_id = c.user_id AND o.started_on = c.started_on
                 AND (o.started_at, o.id) < (c.started_at, c.id)
                JOIN practice_attempts a ON a.session_id = o.id AND a.recorded_at <= c.as_of
                GROUP BY c.id, o.id, o.started_at) p
          GROUP BY id),
        goals AS (
          SELECT c.id, c.seconds + coalesce(e.seconds, 0) >= 60 * c.daily_goal_minutes AS met
          FROM closed c LEFT JOIN earlier e USING (id)),
        days AS MATERIALIZED (
          SELECT user_id, practised_on AS day, min(recorded_at) AS known_at FROM practice_attempts
          WHERE user_id IN (SELECT user_id FROM closed) GROUP BY user_id, practised_on),
        runs AS (
          SELECT user_id, day, known_at,
                 min(day) OVER (PARTITION BY user_id, island) AS first
          FROM (SELECT *, day - (row_number() OVER (PARTITION BY user_id ORDER BY day))::int AS island FROM days) d),
        late AS (
          -- A day that became known after a session was derived was a gap then.
          SELECT c.id, max(d.day) AS day FROM closed c
          JOIN days d ON d.user_id = c.user_id AND d.day < c.day AND d.known_at > c.as_of
          WHERE d.known_at > (SELECT min(as_of) FROM closed) GROUP BY c.id),
        streaks AS (
          SELECT c.id, c.day - greatest(r.first, l.day + 1) + 1 AS length
          FROM closed c JOIN runs r ON r.user_id = c.user_id AND r.day = c.day LEFT JOIN late l ON l.id = c.id)
        SELECT s.id, coalesce(t.seconds, 0) AS total_time_seconds, coalesce(t.score, 0)::float8 AS total_score,
               coalesce(t.possible, 0)::float8 AS total_possible_score, coalesce(t.exercises, 0) AS exercises_completed,
               coalesce(g.met, false) AS daily_goal_met, coalesce(k.length, 0)::int AS streak_day,
               coalesce(a.practised, '{{}}') AS concepts_practiced, coalesce(a.weak, '{{}}') AS weak_areas_identified
        FROM scope s
        LEFT JOIN totals t USING (id) LEFT JOIN areas a USING (id) LEFT JOIN goals g USING (id)
        LEFT JOIN streaks k USING (id)""",
)

_CHOSEN = "(s.scenario_id IS NULL OR {0}.scenario_id = s.scenario_id)"
_ANSWERS_IN_MANY = f"""
          FROM scope s
          JOIN practice_attempts a ON a.user_id = s.user_id AND a.recorded_at <= s.as_of
          JOIN exercises e ON e.id = a.exercise_id AND {_CHOSEN.format("e")}"""
# By the exercises of the one scenario, however many answers the learner gave elsewhere. OFFSET keeps the planner to
# it: of a table without statistics it expects one answer a learner.
_ANSWERS_IN_ONE = """
          FROM scope s
          JOIN exercises e ON e.scenario_id = s.scenario_id
          CROSS JOIN LATERAL (
            SELECT * FROM practice_attempts
            WHERE exercise_id = e.id AND user_id = s.user_id AND recorded_at <= s.as_of OFFSET 0) a"""

PROGRESS = Derivation(
    table="user_progress",
    key=("user_id", "scenario_id"),
    columns=(
        "progress_status",
        "completion",
        "best_score",
        "attempts",
        "started_at",
        "completed_at",
        "completion_known_at",
        "last_activity_at",
    ),
    # A null scenario stands for all of them.
    whole=f"""
        SELECT u.id AS user_id, NULL::uuid AS scenario_id, CAST(:as_of AS timestamptz) AS as_of
        FROM users u WHERE {_LEARNERS.format("u.id")}""",
    stored=f"""
        SELECT user_id, scenario_id, refreshed_at AS as_of FROM user_progress
        WHERE refreshed_at IS NOT NULL AND {_LEARNERS.format("user_id")}""",
    # Completed: every exercise that is published now was answered right once, whatever is added later. Completion
    # is a share of what is published now, not as of then: content that changes makes it stale.
    select=f"""
        WITH scope AS MATERIALIZED ({{scope}}),
        answers AS MATERIALIZED (
          SELECT s.user_id, e.scenario_id, a.exercise_id, a.session_id, a.is_correct, a.attempted_at,
                 a.recorded_at, e.status{_ANSWERS_IN_MANY}),
        published AS (
          SELECT scenario_id, count(*) AS exercises FROM exercises
          WHERE status = 'published' AND scenario_id IN (SELECT scenario_id FROM answers) GROUP BY scenario_id),
        totals AS (
          SELECT user_id, scenario_id, count(*)::int AS attempts, min(attempted_at) AS started_at,
                 max(attempted_at) AS last_activity_at
          FROM answers GROUP BY user_id, scenario_id),
        solved AS (
          SELECT user_id, scenario_id, count(*) AS exercises, max(first_at) AS last_at, max(known_at) AS known_at
          FROM (SELECT user_id, scenario_id, exercise_id, min(attempted_at) AS first_at, min(recorded_at) AS known_at
                FROM answers
                WHERE is_correct AND status = 'published' GROUP BY user_id, scenario_id, exercise_id) e
          GROUP BY user_id, scenario_id),
        best AS (
          SELECT user_id, scenario_id, max(score)::float8 AS score
          FROM (SELECT user_id, scenario_id, avg(is_correct::int) AS score FROM answers
                GROUP BY user_id, scenario_id, session_id HAVING count(*) >= {BEST_SCORE_FROM}) b
          GROUP BY user_id, scenario_id),
        reached AS (
          SELECT t.*, b.score, coalesce(v.exercises, 0) / nullif(p.exercises, 0)::float8 AS share,
                 CASE WHEN v.exercises = p.exercises THEN v.last_at END AS completed_at,
                 CASE WHEN v.exercises = p.exercises THEN v.known_at END AS completion_known_at
          FROM totals t
          LEFT JOIN published p USING (scenario_id)
          LEFT JOIN solved v USING (user_id, scenario_id) LEFT JOIN best b USING (user_id, scenario_id))
        SELECT k.user_id, k.scenario_id,
               CASE WHEN r.attempts IS NULL THEN 'not_started'
                    WHEN coalesce(o.completed_at, r.completed_at) IS NULL THEN 'in_progress' ELSE 'completed'
               END::progress_status AS progress_status,
               coalesce(r.share, 0) AS completion, r.score AS best_score, coalesce(r.attempts, 0) AS attempts,
               r.started_at,
               CASE WHEN r.attempts IS NOT NULL THEN coalesce(o.completed_at, r.completed_at) END AS completed_at,
               CASE WHEN r.attempts IS NOT NULL THEN coalesce(o.completion_known_at, r.completion_known_at)
               END AS completion_known_at,
               r.last_activity_at
        FROM (SELECT user_id, scenario_id FROM reached
              UNION
              -- A row without an answer says so.
              SELECT p.user_id, p.scenario_id FROM user_progress p
              JOIN scope s ON s.user_id = p.user_id AND {_CHOSEN.format("p")}) k
        LEFT JOIN reached r USING (user_id, scenario_id) LEFT JOIN user_progress o USING (user_id, scenario_id)""",
)

_SUBJUNCTIVES = ", ".join(f"'{tense}'" for tense in SUBJUNCTIVE_TENSES)

# The moments to look from; one for each learner in a refresh, one for each row in a check.
_MOMENTS = """
        moments AS MATERIALIZED (SELECT DISTINCT user_id, as_of FROM scope)"""
# Runs of consecutive practised days; a day that became known after as_of is none yet.
_RUNS = """
        runs AS (
          SELECT user_id, as_of, count(*)::int AS length, max(day) AS last_day
          FROM (SELECT *, day - (row_number() OVER (PARTITION BY user_id, as_of ORDER BY day))::int AS island
                FROM (SELECT DISTINCT m.user_id, m.as_of, a.practised_on AS day FROM moments m
                      JOIN practice_attempts a ON a.user_id = m.user_id AND a.recorded_at <= m.as_of) d) i
          GROUP BY user_id, as_of, island)"""
# Items as they stood: how often answered, and the memory that the last scheduled answer left. The largest array
# is the latest answer: an aggregate, where DISTINCT ON would sort every attempt.
_MASTERED = f"""
        mastered AS (
          SELECT user_id, as_of, count(*) FILTER (WHERE level >= {{threshold}})::int AS mastered,
                 count(*) FILTER (WHERE level < {{threshold}})::int AS learning
          FROM (SELECT user_id, as_of, {_MASTERY} AS level
                FROM (SELECT user_id, as_of, attempts, latest[3] AS interval_days, nullif(latest[4], -1) AS stability,
                             greatest(date_part('epoch', as_of) - latest[1], 0) / 86400 AS days
                      FROM (SELECT m.user_id, m.as_of, a.practice_item_id, count(*) AS attempts,
                                   max(ARRAY[date_part('epoch', a.attempted_at), date_part('epoch', a.recorded_at),
                                             a.interval_after, coalesce(a.stability_after, -1)])
                                     FILTER (WHERE a.interval_after IS NOT NULL) AS latest
                            FROM moments m
                            JOIN practice_attempts a
                              ON a.user_id = m.user_id AND a.recorded_at <= m.as_of AND a.practice_item_id IS NOT NULL
                            GROUP BY m.user_id, m.as_of, a.practice_item_id) k) k) k
          GROUP BY user_id, as_of)""".replace("{threshold}", _configured(MASTERY_THRESHOLD, 0.8))
# Closed sessions with an answer.
_SITTINGS = """
        sittings AS (
          SELECT m.user_id, m.as_of, count(DISTINCT o.id)::int AS sessions FROM moments m
          JOIN study_sessions o ON o.user_id = m.user_id AND o.completed_at <= m.as_of
          WHERE EXISTS (SELECT FROM practice_attempts a WHERE a.session_id = o.id AND a.recorded_at <= m.as_of)
          GROUP BY m.user_id, m.as_of)"""

AWARDS = Derivation(
    table="user_achievements",
    key=("user_id", "achievement_id"),
    columns=("progress", "current_value", "unlocked_at"),
    # Learners who never answered have no rows: there is no progress to keep.
    whole=f"""
        SELECT u.id AS user_id, h.id AS achievement_id, CAST(:as_of AS timestamptz) AS as_of
        FROM users u CROSS JOIN achievements h
        WHERE {_LEARNERS.format("u.id")} AND h.is_active
          AND (EXISTS (SELECT FROM practice_attempts a WHERE a.user_id = u.id)
               OR EXISTS (SELECT FROM user_achievements w WHERE w.user_id = u.id))""",
    stored=f"""
        SELECT w.user_id, w.achievement_id, w.refreshed_at AS as_of
        FROM user_achievements w JOIN achievements h ON h.id = w.achievement_id AND h.is_active
        WHERE w.refreshed_at IS NOT NULL AND {_LEARNERS.format("w.user_id")}""",
    select=f"""
        WITH scope AS MATERIALIZED ({{scope}}),{_MOMENTS},
        criteria AS MATERIALIZED (
          SELECT id AS achievement_id, criteria->>'metric' AS metric, criteria->>'op' AS op,
                 (criteria->>'value')::float8 AS goal, criteria#>>'{{filter,tense}}' AS tense,
                 criteria#>>'{{filter,verb_type}}' AS verb_type, criteria#>>'{{filter,trigger_class}}' AS trigger_class,
                 coalesce((criteria#>>'{{filter,min_attempts}}')::numeric, 0) AS min_attempts,
                 coalesce((criteria#>>'{{filter,max_ms}}')::numeric, {_configured("practice.fast_answer_ms", 5000)})
                   AS max_ms
          FROM achievements WHERE is_active),
        counted AS MATERIALIZED (
          SELECT m.user_id, m.as_of, a.tense::text AS tense, v.verb_type::text AS verb_type,
                 a.trigger_class::text AS trigger_class, count(*) AS n, count(*) FILTER (WHERE a.is_correct) AS correct
          FROM moments m
          JOIN practice_attempts a ON a.user_id = m.user_id AND a.recorded_at <= m.as_of
          JOIN spanish_verbs v ON v.id = a.verb_id
          GROUP BY m.user_id, m.as_of, a.tense, v.verb_type, a.trigger_class),
        answered AS (
          SELECT c.achievement_id, k.user_id, k.as_of, sum(k.n)::float8 AS n, sum(k.correct)::float8 AS correct,
                 count(DISTINCT k.tense) FILTER (WHERE k.tense IN ({_SUBJUNCTIVES})) AS tenses
          FROM counted k
          JOIN criteria c
            ON c.metric IN ('total_attempts', 'correct_attempts', 'accuracy', 'tenses_practised')
           AND (c.tense IS NULL OR k.tense = c.tense) AND (c.verb_type IS NULL OR k.verb_type = c.verb_type)
           AND (c.trigger_class IS NULL OR k.trigger_class = c.trigger_class)
          GROUP BY c.achievement_id, k.user_id, k.as_of),
        fast AS (
          SELECT c.achievement_id, m.user_id, m.as_of, count(*) AS n
          FROM moments m
          JOIN practice_attempts a ON a.user_id = m.user_id AND a.recorded_at <= m.as_of AND a.is_correct
          JOIN spanish_verbs v ON v.id = a.verb_id
          JOIN criteria c
            ON c.metric = 'fast_correct' AND a.response_time_ms < c.max_ms
           AND (c.tense IS NULL OR a.tense::text = c.tense) AND (c.verb_type IS NULL OR v.verb_type::text = c.verb_type)
           AND (c.trigger_class IS NULL OR a.trigger_class::text = c.trigger_class)
          GROUP BY c.achievement_id, m.user_id, m.as_of),{_RUNS},{_MASTERED},{_SITTINGS},
        longest AS (SELECT user_id, as_of, max(length) AS days FROM runs GROUP BY user_id, as_of),
        finished AS (
          SELECT m.user_id, m.as_of, count(*) AS scenarios FROM moments m
          JOIN user_progress p ON p.user_id = m.user_id AND p.completion_known_at <= m.as_of GROUP BY m.user_id, m.as_of),
        measured AS (
          SELECT s.user_id, s.achievement_id, s.as_of, c.op, c.goal,
                 CASE WHEN c.metric = 'accuracy' AND c.min_attempts > 0 THEN least(coalesce(a.n, 0) / c.min_attempts, 1)
                      ELSE 1 END AS enough,
                 coalesce(CASE c.metric
                   WHEN 'total_attempts' THEN a.n WHEN 'correct_attempts' THEN a.correct
                   WHEN 'accuracy' THEN a.correct / nullif(a.n, 0) WHEN 'tenses_practised' THEN a.tenses
                   WHEN 'fast_correct' THEN f.n WHEN 'sessions' THEN t.sessions WHEN 'longest_streak' THEN l.days
                   WHEN 'items_mastered' THEN k.mastered WHEN 'scenarios_completed' THEN p.scenarios END, 0)::float8 AS value
          FROM scope s
          JOIN criteria c USING (achievement_id)
          LEFT JOIN answered a USING (achievement_id, user_id, as_of)
          LEFT JOIN fast f USING (achievement_id, user_id, as_of)
          LEFT JOIN sittings t USING (user_id, as_of) LEFT JOIN longest l USING (user_id, as_of)
          LEFT JOIN mastered k USING (user_id, as_of) LEFT JOIN finished p USING (user_id, as_of)),
        decided AS (
          SELECT *, enough = 1 AND CASE op WHEN '>' THEN value > goal ELSE value >= goal END AS met FROM measured)
        SELECT d.user_id, d.achievement_id,
               CASE WHEN met OR o.unlocked_at IS NOT NULL THEN 1 ELSE enough * least(value / goal, 1) END AS progress,
               d.value AS current_value, coalesce(o.unlocked_at, CASE WHEN met THEN d.as_of END) AS unlocked_at
        FROM decided d LEFT JOIN user_achievements o USING (user_id, achievement_id)""",
)

SUMMARIES = Derivation(
    table="user_progress_summary",
    key=("user_id",),
    columns=(
        "total_attempts",
        "correct_attempts",
        "accuracy",
        "total_time_seconds",
        "sessions",
        "items_mastered",
        "items_learning",
        "current_streak",
        "longest_streak",
        "total_points",
        "last_practised_on",
        "refreshed_on",
    ),
    # refreshed_on is part of the scope: the learner's day then, whatever their zone is now.
    whole=f"""
        SELECT u.id AS user_id, CAST(:as_of AS timestamptz) AS as_of,
               (CAST(:as_of AS timestamptz) AT TIME ZONE u.timezone)::date AS refreshed_on
        FROM users u WHERE {_LEARNERS.format("u.id")}""",
    stored=f"""
        SELECT user_id, refreshed_at AS as_of, refreshed_on FROM user_progress_summary
        WHERE refreshed_at IS NOT NULL AND {_LEARNERS.format("user_id")}""",
    select=f"""
        WITH scope AS MATERIALIZED ({{scope}}),{_MOMENTS},
        sat AS (
          SELECT o.user_id, count(*)::int AS n, count(*) FILTER (WHERE a.is_correct)::int AS correct,
                 {_SECONDS.format("a.attempted_at", "o.started_at")} AS seconds,
                 o.completed_at <= s.as_of AS closed, max(a.practised_on) AS day
          FROM scope s
          JOIN practice_attempts a ON a.user_id = s.user_id AND a.recorded_at <= s.as_of
          JOIN study_sessions o ON o.id = a.session_id
          GROUP BY o.id, o.user_id, o.started_at, o.completed_at, s.as_of),
        totals AS (
          SELECT user_id, sum(n)::int AS n, sum(correct)::int AS correct, sum(seconds) AS seconds,
                 count(*) FILTER (WHERE closed)::int AS sessions, max(day) AS last_day
          FROM sat GROUP BY user_id),{_RUNS},{_MASTERED},
        streaks AS (
          SELECT r.user_id, max(length) AS longest,
                 max(length) FILTER (WHERE last_day >= s.refreshed_on - 1) AS running
          FROM runs r JOIN scope s USING (user_id) GROUP BY r.user_id),
        points AS (
          SELECT s.user_id, sum(h.points)::int AS points FROM scope s
          JOIN user_achievements w ON w.user_id = s.user_id AND w.unlocked_at <= s.as_of
          JOIN achievements h ON h.id = w.achievement_id GROUP BY s.user_id)
        SELECT s.user_id, coalesce(t.n, 0) AS total_attempts, coalesce(t.correct, 0) AS correct_attempts,
               t.correct / nullif(t.n, 0)::float8 AS accuracy, coalesce(t.seconds, 0) AS total_time_seconds,
               coalesce(t.sessions, 0) AS sessions, coalesce(k.mastered, 0) AS items_mastered,
               coalesce(k.learning, 0) AS items_learning, coalesce(r.running, 0) AS current_streak,
               coalesce(r.longest, 0) AS longest_streak, coalesce(p.points, 0) AS total_points,
               t.last_day AS last_practised_on, s.refreshed_on
        FROM scope s
        LEFT JOIN totals t USING (user_id) LEFT JOIN mastered k USING (user_id)
        LEFT JOIN streaks r USING (user_id) LEFT JOIN points p USING (user_id)""",
)

REGISTRY = (ITEMS, SESSIONS, PROGRESS, AWARDS, SUMMARIES)
"""Every derived table, in the order in which one needs the other."""
_UPDATED = (ITEMS, SESSIONS)
"""Tables whose rows are facts of their own; the others have a row because it is derived."""


def _changed(derivation: Derivation, old: str, new: str) -> str:
    left = ", ".join(f"{old}.{column}" for column in derivation.columns)
    right = ", ".join(f"{new}.{column}" for column in derivation.columns)
    return f"({left}) IS DISTINCT FROM ({right})"


def write_statement(derivation: Derivation, scope: str, *, always: bool = False) -> str:
    """The statement that writes a table's derived columns over `scope`, as of `:as_of`.

    A row whose values are the same keeps its refreshed_at, unless `always`: it is still true as of then. A row
    that was derived later, because an answer came in meanwhile, is left alone.
    """
    table, columns = derivation.table, derivation.columns
    select = derivation.select.replace("{scope}", scope)
    stamp = "refreshed_at = CAST(:as_of AS timestamptz)"
    new = "d" if derivation in _UPDATED else "excluded"
    changed = "true" if always else _changed(derivation, "o", new)
    due = f"(o.refreshed_at IS NULL OR (o.refreshed_at <= CAST(:as_of AS timestamptz) AND {changed}))"
    assigned = ", ".join(f"{column} = {new}.{column}" for column in columns)
    if derivation in _UPDATED:
        return (
            f"UPDATE {table} o SET {assigned}, {stamp} FROM ({select}) d"
            f" WHERE {' AND '.join(f'o.{key} = d.{key}' for key in derivation.key)} AND {due}"
        )
    names = ", ".join((*derivation.key, *columns))
    return (
        f"INSERT INTO {table} AS o ({names}, refreshed_at)"
        f" SELECT {names}, CAST(:as_of AS timestamptz) FROM ({select}) d"
        f" ON CONFLICT ({', '.join(derivation.key)}) DO UPDATE SET {assigned}, {stamp} WHERE {due}"
    )


# Held in common while an answer is recorded, and alone for the moment in which a refresh reads its clock.
RECORDING = "hashtextextended('subjunctive_admin: recording answers', 0)"


def refresh(
    connection: Connection,
    users: Sequence[UUID] | None = None,
    *,
    everything: bool = False,
    as_of: datetime | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Mapping[str, int]:
    """Bring derived values up to date; returns rows written per table.

    Without `users`, every learner gets a summary as of now, and those with anything new since their last one
    also their items, sessions, progress and awards: what nobody touched is still true as of its refreshed_at.
    `everything` derives all of it again. One statement a table, whatever the number of learners. `as_of` is the
    server's clock unless given; `progress(done, total)` is called after each table.

    Answers may be recorded meanwhile: they count from the next refresh on, and what they bring up to date
    themselves is left alone. One whose item this transaction has written waits until it ends.
    """
    given: dict[str, Any] = {"users": None if users is None else list(users)}
    given["as_of"] = as_of or _moment(connection, given["users"])
    stale = given if everything or users is not None else given | {"users": connection.execute(_STALE).scalar_one()}
    written = {}
    for number, derivation in enumerate(REGISTRY, start=1):
        chosen = given if derivation is SUMMARIES else stale
        written[derivation.table] = _write(connection, derivation, chosen)
        if progress:
            progress(number, len(REGISTRY))
    return written


def _moment(connection: Connection, users: Sequence[UUID] | None) -> datetime:
    """A time that every answer recorded before it has been committed at, and none recorded later has."""
    if users is None:
        taken = f"SELECT pg_advisory_lock({RECORDING}), clock_timestamp() AS now, pg_advisory_unlock({RECORDING})"
        return connection.execute(text(taken)).one().now  # type: ignore[no-any-return]
    # In one order: two that refresh some of the same learners take turns.
    connection.execute(_LOCK, {"users": users})
    now: datetime = connection.execute(text("SELECT clock_timestamp()")).scalar_one()
    return now


def _write(connection: Connection, derivation: Derivation, given: Mapping[str, Any]) -> int:
    if given["users"] == []:
        return 0
    statement = write_statement(derivation, derivation.whole, always=derivation is SUMMARIES)
    with _planned(connection):
        return connection.execute(text(statement), given).rowcount


_LOCK = text(f"SELECT count(*) FROM (SELECT FROM users WHERE {_LEARNERS.format('id')} ORDER BY id FOR NO KEY UPDATE) u")
# Content that values are counted against (published exercises, criteria, thresholds) makes everybody's stale; an
# operation is dated by its start and may have committed minutes later.
_STALE = text(
    """
    WITH content AS (
      SELECT max(o.performed_at) AS changed_at FROM editorial.revisions r JOIN editorial.operations o ON o.id = r.operation_id
      WHERE r.item_kind IN ('exercise', 'scenario', 'achievement', 'configuration'))
    SELECT coalesce(array_agg(u.id), '{}') FROM users u LEFT JOIN user_progress_summary s ON s.user_id = u.id
    WHERE s.refreshed_at IS NULL OR s.refreshed_at < (SELECT changed_at + interval '10 minutes' FROM content)
       OR EXISTS (SELECT FROM practice_attempts a WHERE a.user_id = u.id AND a.recorded_at > s.refreshed_at)
       OR EXISTS (SELECT FROM study_sessions t WHERE t.user_id = u.id AND t.completed_at > s.refreshed_at)
    """
)


@contextmanager
def _planned(connection: Connection) -> Iterator[None]:
    """Hash joins: for many learners and for one with many answers alike."""
    # The planner knows nothing of the rows of a CTE and would visit a million answers one by one.
    settings = text("SELECT set_config('work_mem', :memory, true), set_config('enable_nestloop', :loops, true)")
    before = connection.execute(text("SELECT current_setting('work_mem'), current_setting('enable_nestloop')")).one()
    connection.execute(settings, {"memory": _WORK_MEMORY, "loops": "off"})
    yield
    connection.execute(settings, {"memory": before[0], "loops": before[1]})


_ITEM = "SELECT id, user_id, CAST(:as_of AS timestamptz) AS as_of FROM practice_items WHERE id = :item"
_SESSION = (
    "SELECT id, user_id, CAST(:as_of AS timestamptz) AS as_of, started_at, started_on, completed_at,"
    " daily_goal_minutes FROM study_sessions WHERE id = :session"
)
_SCENARIO = (
    "SELECT CAST(:user AS uuid) AS user_id, CAST(:scenario AS uuid) AS scenario_id,"
    " CAST(:as_of AS timestamptz) AS as_of"
)
_PROGRESS_IN_ONE = replace(PROGRESS, select=PROGRESS.select.replace(_ANSWERS_IN_MANY, _ANSWERS_IN_ONE))
# One round trip: the three do not read what the others write.
_ANSWERED = text(
    f"WITH item AS ({write_statement(ITEMS, _ITEM, always=True)}),"
    f" sitting AS ({write_statement(SESSIONS, _SESSION, always=True)})"
    f" {write_statement(_PROGRESS_IN_ONE, _SCENARIO, always=True)}"
)


def refresh_answer(
    connection: Connection, user: UUID, *, item: UUID | None, session: UUID, scenario: UUID, as_of: datetime
) -> None:
    """Bring up to date what one new answer touches: its item, its open session and its scenario."""
    given = {"user": user, "item": item, "session": session, "scenario": scenario, "as_of": as_of}
    connection.execute(_ANSWERED, given)


def differences(
    connection: Connection, users: Sequence[UUID] | None = None, *, tables: Sequence[Derivation] = REGISTRY
) -> list[Difference]:
    """Every stored value that is not what its SELECT gives as of its row's refreshed_at; floats to 1e-9.

    One statement a table. Rows that were never derived are not looked at; progress is compared with what is
    published now, so that rows older than the last change of content may differ without a fault.
    """
    found: list[Difference] = []
    given = {"users": None if users is None else list(users)}
    for derivation in tables:
        with _planned(connection):
            rows = connection.execute(text(_check_statement(derivation)), given).mappings().all()
        for row in rows:
            key = tuple(str(row[name]) for name in derivation.key)
            pairs = ((column, row[f"old_{column}"], row[f"new_{column}"]) for column in derivation.columns)
            found.extend(Difference(derivation.table, key, *pair) for pair in pairs if not _same(*pair[1:]))
    return found


def _check_statement(derivation: Derivation) -> str:
    select = derivation.select.replace("{scope}", derivation.stored)
    keys = ", ".join(f"o.{key}" for key in derivation.key)
    pairs = ", ".join(f"o.{column} AS old_{column}, d.{column} AS new_{column}" for column in derivation.columns)
    return (
        f"SELECT {keys}, {pairs} FROM {derivation.table} o JOIN ({select}) d USING ({', '.join(derivation.key)})"
        f" WHERE o.refreshed_at IS NOT NULL AND {_changed(derivation, 'o', 'd')}"
    )


def _same(stored: Any, derived: Any) -> bool:
    if isinstance(stored, float) and isinstance(derived, float):
        return abs(stored - derived) <= 1e-9 * max(1.0, abs(stored))
    return bool(stored == derived)
