"""Simulating in every core: learners become CSV in processes of their own, which load no database code."""

from __future__ import annotations

import csv
import gc
import io
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager

from subjunctive_admin.synthetic import binary
from subjunctive_admin.synthetic.population import Library, Plan, Rows, World, quotas

_CHUNK = 5
"""Learners at a time: the pipe between processes is slow with messages of megabytes."""
_HASH = "$argon2id$synthetic$nobody-signs-in-with-this"

COLUMNS: Mapping[str, str] = {
    "users": "id, username, email, created_at, timezone, daily_goal_minutes, bio, last_login, is_verified,"
    " hashed_password",
    "study_sessions": "id, user_id, session_type, started_at, started_on, daily_goal_minutes, completed_at,"
    " achievements_unlocked",
    "practice_items": "id, user_id, verb_id, tense, person, category, trigger_phrase, scheduler, current_interval,"
    " ease_factor, repetitions, lapses, memory_stability, memory_difficulty, next_review_date, last_reviewed",
    "practice_attempts": "user_id, session_id, id, practice_item_id, rating, interval_before, interval_after,"
    " ease_before, ease_after, stability_before, stability_after, exercise_id, exercise_revision, verb_id, tense,"
    " person, trigger_class, expected_answer, user_answer, verdict, is_correct, error_kind, produced_tense,"
    " produced_person, response_time_ms, hints_used, confidence, attempted_at, recorded_at, practised_on",
    "user_achievements": "id, user_id, achievement_id, unlocked_at",
}
"""The columns that are loaded, in the order of the simulated rows; all others follow from them."""
BINARY = frozenset({"practice_attempts"})
"""The tables whose rows are in COPY's binary format; the others, a twentieth of all, are CSV."""
_world: World


@contextmanager
def chunks_of(plan: Plan, library: Library, processes: int) -> Iterator[Iterator[tuple[int, dict[str, bytes]]]]:
    """Attempts and the rows of each table, a few learners at a time and in their order, made in other processes."""
    counts = quotas(plan)
    tasks = [
        (range(first + 1, min(first + _CHUNK, plan.learners) + 1), counts[first : first + _CHUNK])
        for first in range(0, plan.learners, _CHUNK)
    ]
    world = World(plan, library)
    if processes == 1 or len(tasks) == 1:
        yield (_chunk(world, *task) for task in tasks)
        return
    # Spawned: a fork would share the connection to the database.
    context = multiprocessing.get_context("spawn")
    executor = ProcessPoolExecutor(min(processes, len(tasks)), context, _prepare_worker, (world,))
    try:
        yield executor.map(_chunk_of_worker, tasks)
    finally:
        executor.shutdown(wait=True, cancel_futures=True)


def _prepare_worker(world: World) -> None:
    """Ctrl-C is the parent's to handle; without a parent there is nothing left to do."""
    global _world  # noqa: PLW0603 - what all tasks of this process share is sent once
    _world = world
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gc.disable()  # rows refer to nothing that refers back
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _chunk_of_worker(task: tuple[Sequence[int], Sequence[int]]) -> tuple[int, dict[str, bytes]]:
    return _chunk(_world, *task)


def _chunk(world: World, numbers: Sequence[int], counts: Sequence[int]) -> tuple[int, dict[str, bytes]]:
    pieces: list[bytes] = [binary.HEADER]
    tables: dict[str, list[tuple[object, ...]]] = {table: [] for table in COLUMNS if table not in BINARY}
    for rows in world.lives(numbers, counts):
        pieces += rows.attempts
        for table, some in _by_table(rows).items():
            tables[table].extend(some)
    pieces.append(binary.TRAILER)
    return sum(counts), {table: _csv(rows) for table, rows in tables.items()} | {"practice_attempts": b"".join(pieces)}


def _by_table(rows: Rows) -> dict[str, list[tuple[object, ...]]]:
    return {
        "users": [(*user, _HASH) for user in rows.users],
        "study_sessions": rows.sessions,
        "practice_items": rows.items,
        "user_achievements": rows.awards,
    }


def _csv(rows: Sequence[tuple[object, ...]]) -> bytes:
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerows(rows)
    return stream.getvalue().encode()
