"""When a practice item comes back: SM-2 and FSRS behind one interface, pure and without a clock.

`Memory` is what is known of one item; `review` gives the next one. Intervals are whole days, stability
is in days, difficulty runs from 1 to 10, retrievability is the probability of recall. Both algorithms are
deterministic: an application that wants to spread a day's load does so when it picks what is due.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from enum import IntEnum
from functools import cache
from typing import NamedTuple, Protocol

import fsrs

from subjunctive_admin.vocabulary import Scheduler

MAX_INTERVAL_DAYS = 36_500
MIN_EASE, INITIAL_EASE, MAX_EASE = 1.3, 2.5, 4.0
FSRS_DECAY = fsrs.Scheduler().parameters[20]
"""The decay w20 of the default parameters of FSRS-6."""
FSRS_FACTOR = 0.9 ** (-1 / FSRS_DECAY) - 1
"""Such that retrievability is 0.9 once the elapsed time equals the stability."""
_LEARNING_STEPS = (timedelta(minutes=1), timedelta(minutes=10))
_RELEARNING_STEPS = (timedelta(minutes=10),)
# An answer with a self-reported confidence of 1 or 2 of 5 was a guess that happened to be right.
_GUESS = 2


class Rating(IntEnum):
    """How well an answer was recalled, in the four grades of FSRS and Anki."""

    AGAIN = 1
    HARD = 2
    GOOD = 3
    EASY = 4


_FSRS_RATINGS = {rating: fsrs.Rating(int(rating)) for rating in Rating}


class Memory(NamedTuple):
    """What one learner's item carries from review to review; the columns of `practice_items`."""

    interval: int = 0
    ease: float = INITIAL_EASE
    repetitions: int = 0
    lapses: int = 0
    stability: float | None = None
    difficulty: float | None = None
    due: datetime | None = None
    last_review: datetime | None = None


class Algorithm(Protocol):
    """One way to schedule."""

    name: Scheduler

    def review(self, memory: Memory, rating: Rating, at: datetime) -> Memory:
        """The memory after an answer given `at`; raises ValueError for a time without zone or before the last."""
        ...

    def retrievability(self, memory: Memory, at: datetime) -> float:
        """The probability of recall at that time, 0..1; 0 for an item never answered."""
        ...


def algorithm(name: Scheduler | str, desired_retention: float = 0.9) -> Algorithm:
    """The algorithm of that name; only FSRS heeds the desired retention.

    Raises ValueError for another name, or a retention that is no probability.
    """
    if not 0 < desired_retention < 1:
        raise ValueError(f"the desired retention lies between 0 and 1; {desired_retention} does not")
    return _algorithm(Scheduler(name), desired_retention)


@cache
def _algorithm(name: Scheduler, desired_retention: float) -> Algorithm:
    return Fsrs(desired_retention) if name is Scheduler.FSRS else Sm2()


def rate(
    *,
    is_correct: bool,
    exact: bool = True,
    response_time_ms: int,
    fast_answer_ms: int,
    hints_used: int = 0,
    confidence: int | None = None,
) -> Rating:
    """The grade of an answer that nobody graded: wrong is again; help, a slip of accents or a guess is hard.

    `exact` is False for an answer that was right but for its accents; a right one within
    `fast_answer_ms` is easy.
    """
    if not is_correct:
        return Rating.AGAIN
    if hints_used or not exact or (confidence is not None and confidence <= _GUESS):
        return Rating.HARD
    return Rating.EASY if response_time_ms < fast_answer_ms else Rating.GOOD


def power_forgetting(elapsed_days: float, stability: float, decay: float = FSRS_DECAY) -> float:
    """R = (1 + f·t/S)^(−decay) with f such that R(S) = 0.9; FSRS-6 (Ye 2024), t and S in days."""
    factor = 0.9 ** (-1 / decay) - 1
    return float((1 + factor * max(elapsed_days, 0) / stability) ** -decay)


class Sm2:
    """SM-2, Wozniak 1990: intervals of 1 and 6 days, then the last one times the ease, rounded up.

    Ratings 1..4 stand for the qualities 2..5 of the original; a failed item starts again without
    changing its ease.
    """

    name = Scheduler.SM2

    def review(self, memory: Memory, rating: Rating, at: datetime) -> Memory:
        """The memory after an answer; ease stays within 1.3..4.0, the interval within 36,500 days."""
        at = _checked(memory, at)
        if rating is Rating.AGAIN:
            lapsed = memory.repetitions > 0
            return Memory(
                interval=1,
                ease=memory.ease,
                lapses=memory.lapses + lapsed,
                due=at + timedelta(days=1),
                last_review=at,
            )
        shortfall = Rating.EASY - rating
        ease = min(max(memory.ease + 0.1 - shortfall * (0.08 + shortfall * 0.02), MIN_EASE), MAX_EASE)
        interval = {0: 1, 1: 6}.get(memory.repetitions) or _rounded_up(memory.interval * ease)
        interval = min(max(interval, 1), MAX_INTERVAL_DAYS)
        # No stability: what FSRS once knew of the item does not hold for these intervals.
        return Memory(
            interval=interval,
            ease=ease,
            repetitions=memory.repetitions + 1,
            lapses=memory.lapses,
            due=at + timedelta(days=interval),
            last_review=at,
        )

    def retrievability(self, memory: Memory, at: datetime) -> float:
        """0.9^(t / interval): SM-2 has no memory model, so its interval is taken as the time to 90 %."""
        if memory.last_review is None:
            return 0.0
        return float(0.9 ** (_days(memory.last_review, at) / max(memory.interval, 1)))


class Fsrs:
    """FSRS-6 with its default parameters, through the `fsrs` library, without its random fuzz.

    The library keeps a state and a step beside the memory; both follow from the columns that are kept:
    an interval of a day or more means review, lapses mean relearning, and the wait until due tells the step.
    Lapses that SM-2 counted before a switch make a new memory relearning too: it skips the one-minute step.
    """

    name = Scheduler.FSRS

    def __init__(self, desired_retention: float = 0.9) -> None:
        self._scheduler = fsrs.Scheduler(
            desired_retention=desired_retention,
            learning_steps=_LEARNING_STEPS,
            relearning_steps=_RELEARNING_STEPS,
            maximum_interval=MAX_INTERVAL_DAYS,
            enable_fuzzing=False,
        )

    def review(self, memory: Memory, rating: Rating, at: datetime) -> Memory:
        """The memory after an answer; an interval of 0 days means that it is due again within minutes."""
        at = _checked(memory, at)
        state, step = _state(memory)
        card, _ = self._scheduler.review_card(_Card(memory, at, state, step), _FSRS_RATINGS[rating], at)
        lapsed = state is fsrs.State.Review and rating is Rating.AGAIN
        return Memory(
            interval=(card.due - at).days,
            ease=memory.ease,
            repetitions=0 if rating is Rating.AGAIN else memory.repetitions + 1,
            lapses=memory.lapses + lapsed,
            stability=card.stability,
            difficulty=card.difficulty,
            due=card.due,
            last_review=at,
        )

    def retrievability(self, memory: Memory, at: datetime) -> float:
        """The power forgetting curve at fractions of a day; the library itself counts whole days."""
        if memory.last_review is None or memory.stability is None:
            return 0.0
        return power_forgetting(_days(memory.last_review, at), memory.stability)


class _Card(fsrs.Card):
    """A card for one review only, so that the library's copy of it may be the card itself."""

    def __init__(self, memory: Memory, at: datetime, state: fsrs.State, step: int | None) -> None:
        # The library waits a millisecond to make an id of its own.
        super().__init__(0, state, step, memory.stability, memory.difficulty, memory.due or at, memory.last_review)

    def __copy__(self) -> _Card:
        return self


def _state(memory: Memory) -> tuple[fsrs.State, int | None]:
    if memory.stability is None or memory.last_review is None or memory.due is None:
        return fsrs.State.Learning, 0
    if memory.interval >= 1:
        return fsrs.State.Review, None
    if memory.lapses:
        return fsrs.State.Relearning, 0
    return fsrs.State.Learning, int(memory.due - memory.last_review >= _LEARNING_STEPS[1])


def _checked(memory: Memory, at: datetime) -> datetime:
    if at.tzinfo is None:
        raise ValueError(f"{at.isoformat()} has no time zone; give one, for example datetime.now(UTC).")
    if memory.last_review is not None and at < memory.last_review:
        raise ValueError(f"{at.isoformat()} lies before the item's last review, {memory.last_review.isoformat()}.")
    return at.astimezone(UTC)


def _days(since: datetime, until: datetime) -> float:
    return max((until - since) / timedelta(days=1), 0.0)


def _rounded_up(days: float) -> int:
    # 6 · 2.5 can come out a hair above 15.
    return math.ceil(round(days, 6))
