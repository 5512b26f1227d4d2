"""Recording one answer, commit included: `python -m benchmarks.recording`.

On a server of its own with 300 learners and 60,000 answers, for the learner who has most of them. The peer is what
no recording can do without: bare psycopg, one prepared INSERT of one row, one commit, in turn with ours. The exit
code is 1 when the bar is missed.
"""

from __future__ import annotations

import random
import shutil
import statistics
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
from sqlalchemy import text

from benchmarks.bulk_load import seeded
from subjunctive_admin import practice
from subjunctive_admin.db import Database
from subjunctive_admin.practice import Answer
from subjunctive_admin.synthetic.loading import ensure
from subjunctive_admin.synthetic.population import Plan

LEARNERS = Plan(300, 60_000, 1, datetime(2026, 11, 1, tzinfo=UTC))
ANSWERS, WARMING, SITTING = 600, 200, 15
WRONG = 0.4
MILLISECONDS = 5.0


def busiest(database: Database) -> UUID:
    """The learner with most answers."""
    with database.connection() as connection:
        found: UUID = connection.execute(
            text("SELECT user_id FROM user_progress_summary ORDER BY total_attempts DESC LIMIT 1")
        ).scalar_one()
        return found


def exercises(database: Database) -> list[Any]:
    """What can be asked: exercises and the verbs' present forms, which are wrong answers to most of them."""
    query = (
        "SELECT e.id, e.correct_answer, v.conjugations #>> ARRAY['present_indicative', e.person::text, '0'] AS wrong"
        " FROM exercises e JOIN spanish_verbs v ON v.id = e.verb_id"
        " WHERE e.status = 'published' AND e.exercise_type = 'fill_blank'"
    )
    with database.connection() as connection:
        return list(connection.execute(text(query)).all())


def record(database: Database) -> tuple[list[float], list[float]]:
    """Milliseconds of each answer recorded, and of each bare INSERT in turn with it."""
    learner, asked, drawn = busiest(database), exercises(database), random.Random(1)
    ours, bare = [], []
    with psycopg.connect(database.url.set(drivername="postgresql").render_as_string(hide_password=False)) as peer:
        peer.execute("CREATE TABLE ops.bare_answers (LIKE practice_attempts INCLUDING ALL)")
        rows = peer.execute("SELECT * FROM practice_attempts LIMIT %s", [ANSWERS]).fetchall()
        peer.commit()
        for number in range(ANSWERS):
            if number % SITTING == 0:
                with database.session(write=True) as session:
                    sitting = practice.open_session(session, learner)
            one = drawn.choice(asked)
            said = (one.wrong if drawn.random() < WRONG else None) or one.correct_answer
            began = time.perf_counter()
            with database.session(write=True) as session:
                practice.record_attempt(session, learner, sitting, Answer(one.id, said, 4000))
            ours.append(1000 * (time.perf_counter() - began))
            bare.append(_insert(peer, rows[number]))
    return ours[WARMING:], bare[WARMING:]


def _insert(peer: psycopg.Connection, row: tuple[Any, ...]) -> float:
    statement = f"INSERT INTO ops.bare_answers VALUES ({', '.join(['%s'] * len(row))})"
    began = time.perf_counter()
    peer.execute(statement.encode(), row, prepare=True)
    peer.commit()
    return 1000 * (time.perf_counter() - began)


def main() -> int:
    """Measure the bar."""
    folder = Path(tempfile.mkdtemp(prefix="recording-"))
    folder.chmod(0o711)  # as root the server runs under another account
    try:
        with seeded(folder) as database:
            ensure(database, LEARNERS)
            ours, bare = record(database)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    median, p95 = statistics.median(ours), sorted(ours)[int(0.95 * len(ours))]
    holds = median <= MILLISECONDS
    times = median / statistics.median(bare)
    print(
        f"record-attempt       median {median:.2f} ms, p95 {p95:.2f} ms, {times:.1f} times a bare INSERT"
        f"  bar {MILLISECONDS:g} ms  {'holds' if holds else 'MISSED'}"
    )
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
