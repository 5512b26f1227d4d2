"""SM-2 and FSRS: sequences worked out by hand or published, and what holds for every sequence."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise

import fsrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from subjunctive_admin.scheduling import (
    FSRS_FACTOR,
    MAX_EASE,
    MAX_INTERVAL_DAYS,
    MIN_EASE,
    Memory,
    Rating,
    algorithm,
    power_forgetting,
    rate,
)
from subjunctive_admin.vocabulary import Scheduler

START = datetime(2026, 3, 2, 12, 30, tzinfo=UTC)
RATINGS = st.lists(st.sampled_from(Rating), min_size=1, max_size=40)
NAMES = st.sampled_from(Scheduler)


def reviewed(name: Scheduler, ratings: list[int], start: datetime = START) -> list[Memory]:
    """The memories after each answer, every one given exactly when it was due."""
    memory, at, found = Memory(), start, []
    for rating in ratings:
        memory = algorithm(name).review(memory, Rating(rating), at)
        found.append(memory)
        assert memory.due is not None
        at = memory.due
    return found


# SM-2


@pytest.mark.parametrize(
    ("ratings", "intervals"),
    [
        ([3, 3, 3, 3, 3], [1, 6, 15, 38, 95]),
        ([4, 4, 4, 4], [1, 6, 17, 50]),
        ([2, 2, 2, 2], [1, 6, 13, 26]),
        ([3, 3, 3, 1, 3, 3, 3], [1, 6, 15, 1, 1, 6, 15]),
        ([1, 1, 3], [1, 1, 1]),
    ],
)
def test_sm2_gives_wozniaks_intervals(ratings: list[int], intervals: list[int]) -> None:
    assert [memory.interval for memory in reviewed(Scheduler.SM2, ratings)] == intervals


@pytest.mark.parametrize(("rating", "ease"), [(4, 2.6), (3, 2.5), (2, 2.36), (1, 2.5)])
def test_sm2_moves_the_ease_by_the_quality_and_a_failure_leaves_it(rating: int, ease: float) -> None:
    assert reviewed(Scheduler.SM2, [rating])[-1].ease == pytest.approx(ease)


def test_sm2_keeps_the_ease_within_its_limits() -> None:
    assert reviewed(Scheduler.SM2, [2] * 20)[-1].ease == MIN_EASE
    assert reviewed(Scheduler.SM2, [4] * 20)[-1].ease == MAX_EASE


def test_sm2_counts_a_lapse_only_for_what_was_known() -> None:
    assert [memory.lapses for memory in reviewed(Scheduler.SM2, [1, 3, 1, 1, 3, 1])] == [0, 0, 1, 1, 1, 2]


def test_sm2_takes_its_interval_as_the_time_to_nine_in_ten() -> None:
    memory = reviewed(Scheduler.SM2, [3, 3, 3])[-1]
    days = [START + timedelta(days=7) + timedelta(days=d) for d in (0, 15, 30)]
    found = [algorithm("sm2").retrievability(memory, at) for at in days]
    assert found == pytest.approx([1, 0.9, 0.81])


# FSRS


def test_fsrs_gives_the_published_intervals_of_its_default_parameters() -> None:
    found = [memory.interval for memory in reviewed(Scheduler.FSRS, [3] * 6 + [1, 1] + [3] * 5)]
    assert found == [0, 2, 11, 46, 163, 498, 0, 0, 2, 4, 7, 12, 21]


def test_retrievability_has_the_published_values() -> None:
    found = [power_forgetting(t, 1, 0.2) for t in range(4)]
    assert found == pytest.approx([1, 0.9, 0.84028935, 0.7985001], abs=1e-6)
    assert pytest.approx(0.9 ** (1 / -0.1542) - 1) == FSRS_FACTOR


@given(RATINGS, st.lists(st.integers(1, 400_000), min_size=40, max_size=40))
def test_what_the_columns_keep_is_all_that_the_library_needs(ratings: list[Rating], minutes: list[int]) -> None:
    library = fsrs.Scheduler(enable_fuzzing=False)
    card, memory, at = fsrs.Card(card_id=0, due=START), Memory(), START
    for rating, wait in zip(ratings, minutes, strict=False):
        card, _ = library.review_card(card, fsrs.Rating(int(rating)), at)
        memory = algorithm("fsrs").review(memory, rating, at)
        assert (memory.due, memory.stability, memory.difficulty) == (card.due, card.stability, card.difficulty)
        at += timedelta(minutes=wait)


def test_fsrs_is_due_again_within_minutes_after_a_lapse() -> None:
    memories = reviewed(Scheduler.FSRS, [3, 3, 3, 1])
    assert [memory.lapses for memory in memories] == [0, 0, 0, 1]
    assert memories[-1].due == memories[-2].due + timedelta(minutes=10)  # type: ignore[operator]


def test_a_higher_desired_retention_asks_sooner() -> None:
    memory = reviewed(Scheduler.FSRS, [3, 3, 3])[-1]
    intervals = [
        algorithm("fsrs", goal).review(memory, Rating.GOOD, memory.due or START).interval for goal in (0.8, 0.9, 0.97)
    ]
    assert sorted(intervals, reverse=True) == intervals
    assert len(set(intervals)) == 3


# Both


@given(NAMES, RATINGS)
def test_every_sequence_stays_within_what_the_database_accepts(name: Scheduler, ratings: list[Rating]) -> None:
    for memory in reviewed(name, list(ratings)):
        assert 0 <= memory.interval <= MAX_INTERVAL_DAYS
        assert MIN_EASE <= memory.ease <= MAX_EASE
        assert memory.stability is None or 0 < memory.stability <= 1e9
        assert memory.difficulty is None or 1 <= memory.difficulty <= 10
        assert memory.repetitions >= 0
        assert memory.lapses >= 0


@given(NAMES, RATINGS)
def test_the_same_answers_give_the_same_schedule(name: Scheduler, ratings: list[Rating]) -> None:
    assert reviewed(name, list(ratings)) == reviewed(name, list(ratings))


@pytest.mark.parametrize("name", Scheduler)
def test_recall_starts_at_one_and_only_falls(name: Scheduler) -> None:
    memory = reviewed(name, [3, 3, 3])[-1]
    last = memory.last_review or START
    found = [algorithm(name).retrievability(memory, last + timedelta(days=2**n)) for n in range(12)]
    assert algorithm(name).retrievability(memory, last) == 1
    assert all(earlier > later for earlier, later in pairwise(found))
    assert algorithm(name).retrievability(Memory(), START) == 0


@pytest.mark.parametrize("name", Scheduler)
def test_an_interval_ends_at_the_longest_that_is_kept(name: Scheduler) -> None:
    assert reviewed(name, [4] * 60, datetime(1990, 1, 1, tzinfo=UTC))[12].interval <= MAX_INTERVAL_DAYS
    long = Memory(MAX_INTERVAL_DAYS, 2.5, 30, 0, 1e6, 5.0, START, START - timedelta(days=MAX_INTERVAL_DAYS))
    assert algorithm(name).review(long, Rating.EASY, START).interval == MAX_INTERVAL_DAYS


@pytest.mark.parametrize("name", Scheduler)
def test_a_time_without_zone_or_before_the_last_review_is_refused(name: Scheduler) -> None:
    memory = reviewed(name, [3])[-1]
    with pytest.raises(ValueError, match="2026-03-02T12:30:00 has no time zone"):
        algorithm(name).review(Memory(), Rating.GOOD, START.replace(tzinfo=None))
    with pytest.raises(ValueError, match="lies before the item's last review"):
        algorithm(name).review(memory, Rating.GOOD, START - timedelta(seconds=1))


@pytest.mark.parametrize("name", Scheduler)
def test_a_time_of_another_zone_is_the_same_time(name: Scheduler) -> None:
    there = START.astimezone(timezone(timedelta(hours=9)))
    here = algorithm(name).review(Memory(), Rating.GOOD, START)
    assert algorithm(name).review(Memory(), Rating.GOOD, there) == here
    assert here.due is not None
    assert here.due.tzinfo is UTC


def test_an_unknown_algorithm_is_refused() -> None:
    with pytest.raises(ValueError, match="'leitner' is not a valid Scheduler"):
        algorithm("leitner")


@pytest.mark.parametrize(
    ("answer", "rating"),
    [
        ({"is_correct": False}, Rating.AGAIN),
        ({"is_correct": False, "hints_used": 1}, Rating.AGAIN),
        ({"is_correct": True}, Rating.GOOD),
        ({"is_correct": True, "response_time_ms": 4999}, Rating.EASY),
        ({"is_correct": True, "response_time_ms": 100, "hints_used": 1}, Rating.HARD),
        ({"is_correct": True, "response_time_ms": 100, "exact": False}, Rating.HARD),
        ({"is_correct": True, "response_time_ms": 100, "confidence": 2}, Rating.HARD),
        ({"is_correct": True, "confidence": 3}, Rating.GOOD),
    ],
)
def test_an_answer_that_nobody_graded_is_rated_by_how_it_came(answer: dict[str, int], rating: Rating) -> None:
    given_answer = {"is_correct": True, "response_time_ms": 5000, "fast_answer_ms": 5000} | answer
    assert rate(**given_answer) is rating  # type: ignore[arg-type]


def test_stability_equals_the_days_until_nine_in_ten() -> None:
    for stability in (0.001, 1, 30, 36_500):
        assert math.isclose(power_forgetting(stability, stability), 0.9)
