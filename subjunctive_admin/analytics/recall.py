"""Recall against time: bins of days since the last answer, and whether a forgetting curve earns its place.

Pure functions on reviews: answers given at least one day after the last one to the same item, since
same-day answers show what was just read rather than what is remembered.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import exp, log
from statistics import fmean, median

from subjunctive_admin.analytics.intervals import Tally
from subjunctive_admin.scheduling import power_forgetting

BIN_EDGES: tuple[float, ...] = (1, 2, 4, 8, 16, 32, 64, 128)
"""Lower ends of the bins in days; the last bin has no upper end."""
HELD_OUT = 0.2
"""The last part in time, on which a curve is judged."""
ENOUGH_HELD_OUT = 10
"""Held-out reviews below which no curve is judged."""
_ALMOST = 1e-6


@dataclass(frozen=True, slots=True)
class Review:
    """An answer that came at least a day after the last one to the same item, in the order of time.

    `stability` is what the scheduler believed just before, in days; None where it believed nothing.
    """

    elapsed_days: float
    is_correct: bool
    stability: float | None


@dataclass(frozen=True, slots=True)
class RecallBin:
    """Right answers among the reviews of one bin; `elapsed_days` is their geometric mean."""

    start: float
    elapsed_days: float
    tally: Tally

    @property
    def label(self) -> str:
        """`2–4`, or `128+` for the last."""
        at = BIN_EDGES.index(self.start)
        return f"{self.start:g}–{BIN_EDGES[at + 1]:g}" if at + 1 < len(BIN_EDGES) else f"{self.start:g}+"


@dataclass(frozen=True, slots=True)
class Curve:
    """A forgetting curve at one stability, and how it fared against the average on the held-out reviews.

    Losses are log losses in nats a review: less is better.
    """

    stability: float
    average: float
    loss: float
    average_loss: float
    held_out: int

    @property
    def beats_average(self) -> bool:
        """Whether it predicts better than the same rate for every interval."""
        return self.loss < self.average_loss

    def recall(self, days: float) -> float:
        """The probability of recall after so many days, 0..1."""
        return power_forgetting(days, self.stability)


def binned(reviews: Iterable[Review]) -> list[RecallBin]:
    """One row per bin that holds a review, in order; all reviews count as one learner's."""
    groups: dict[float, list[Review]] = {}
    for review in reviews:
        if review.elapsed_days >= BIN_EDGES[0]:
            groups.setdefault(BIN_EDGES[bisect_right(BIN_EDGES, review.elapsed_days) - 1], []).append(review)
    return [
        RecallBin(
            start,
            exp(fmean(log(review.elapsed_days) for review in group)),
            Tally.of([(sum(review.is_correct for review in group), len(group))]),
        )
        for start, group in sorted(groups.items())
    ]


def log_loss(pairs: Iterable[tuple[float, bool]]) -> float:
    """The mean of −ln of the probability given to what happened, in nats; probabilities kept off 0 and 1."""
    return fmean(-log(min(max(p if happened else 1 - p, _ALMOST), 1.0)) for p, happened in pairs)


def judged_curve(reviews: Sequence[Review]) -> Curve | None:
    """The curve at the median stability of the first 80 % in time, scored on the last 20 %.

    The average it has to beat is that of the same first 80 %. None where the scheduler kept no stability,
    or fewer than ten reviews are held out.
    """
    cut = len(reviews) - int(len(reviews) * HELD_OUT)
    known, held_out = reviews[:cut], reviews[cut:]
    stabilities = [review.stability for review in known if review.stability is not None]
    if len(held_out) < ENOUGH_HELD_OUT or not stabilities:
        return None
    stability, average = median(stabilities), fmean(review.is_correct for review in known)
    return Curve(
        stability=stability,
        average=average,
        loss=log_loss((power_forgetting(r.elapsed_days, stability), r.is_correct) for r in held_out),
        average_loss=log_loss((average, r.is_correct) for r in held_out),
        held_out=len(held_out),
    )
