"""Rates that say how far they can be trusted: intervals, learners as clusters, shrinkage of small samples.

Pure functions on counts; nothing here knows a table.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist
from typing import Self

Z95 = NormalDist().inv_cdf(0.975)
"""The normal quantile of a two-sided 95 % interval, 1.96."""


@dataclass(frozen=True, slots=True)
class Interval:
    """The limits of a rate, both 0..1."""

    low: float
    high: float


def wilson(hits: float, n: float, z: float = Z95) -> Interval:
    """The score interval of a proportion, Wilson 1927: (p + z²/2n ± z √(p(1−p)/n + z²/4n²)) / (1 + z²/n).

    `n` may be an effective sample size and need not be whole. Without an observation the rate can be
    anything, 0..1. Raises ValueError unless 0 ≤ hits ≤ n.
    """
    if not 0 <= hits <= n:
        raise ValueError(f"{hits} hits of {n} are no proportion.")
    if not n:
        return Interval(0.0, 1.0)
    share, square = hits / n, z * z
    centre = share + square / (2 * n)
    reach = z * sqrt(share * (1 - share) / n + square / (4 * n * n))
    whole = 1 + square / n
    return Interval(max((centre - reach) / whole, 0.0), min((centre + reach) / whole, 1.0))


@dataclass(frozen=True, slots=True)
class Tally:
    """Hits among observations of several learners, and what is needed to know how far learners differ.

    `squares` are Σn², Σh² and Σnh over the learners, n being a learner's observations and h their hits:
    a database adds them up, so that no row per learner has to be fetched.
    """

    learners: int
    n: int
    hits: int
    squares: tuple[float, float, float]

    @classmethod
    def of(cls, counts: Iterable[tuple[int, int]]) -> Self:
        """The tally of pairs of hits and observations, one a learner."""
        pairs = [(hits, n) for hits, n in counts if n]
        squares = sum(n * n for _, n in pairs), sum(h * h for h, _ in pairs), sum(n * h for h, n in pairs)
        return cls(len(pairs), sum(n for _, n in pairs), sum(h for h, _ in pairs), squares)

    @property
    def share(self) -> float | None:
        """Hits per observation, 0..1; None without observations."""
        return self.hits / self.n if self.n else None

    @property
    def design_effect(self) -> float:
        """How many times the variance exceeds that of independent answers, at least 1.

        The linearized variance of a ratio over clusters, m/(m−1) · Σ(h − pn)² / N², divided by p(1−p)/N
        (Rao and Scott 1992). One learner shows nothing of how learners differ: 1.
        """
        share = self.share
        if share is None or self.learners < 2 or share in (0.0, 1.0):
            return 1.0
        nn, hh, nh = self.squares
        between = self.learners / (self.learners - 1) * (hh - 2 * share * nh + share * share * nn) / self.n**2
        return max(between / (share * (1 - share) / self.n), 1.0)

    @property
    def effective_n(self) -> float:
        """How many independent answers say as much: n / design effect."""
        return self.n / self.design_effect

    @property
    def interval(self) -> Interval:
        """The 95 % Wilson interval with the effective sample size."""
        return self._interval(Z95)

    def lies_below(self, share: float, comparisons: int = 1) -> bool:
        """Whether its whole interval lies below a share, at 95 % over so many comparisons (Bonferroni)."""
        return self._interval(NormalDist().inv_cdf(1 - 0.025 / comparisons)).high < share

    def _interval(self, z: float) -> Interval:
        size = self.effective_n
        return wilson(min((self.share or 0.0) * size, size), size, z)


def shrunken(tallies: Sequence[Tally]) -> list[float | None]:
    """One rate for each tally, drawn towards the common one as far as chance explains how they differ.

    The mean of a beta posterior whose prior is estimated from the tallies themselves, by moments weighted
    with the sample sizes (Kleinman 1973): with p the common rate, k cells and shares w = n/N,
    ρ = (Σn(pᵢ−p)² / p(1−p) − (k−1)) / Σ(1−w)(n−1), and the prior is worth 1/ρ − 1 answers. Sample sizes are
    the effective ones. None where there is no observation and nothing to borrow from either.
    """
    sizes = [tally.effective_n for tally in tallies]
    total = sum(sizes)
    if not total:
        return [None] * len(tallies)
    shares = [tally.share for tally in tallies]
    common = sum(size * (share or 0.0) for size, share in zip(sizes, shares, strict=True)) / total
    worth = _prior_worth(sizes, shares, common)
    return [
        common if worth is None or share is None else (size * share + worth * common) / (size + worth)
        for size, share in zip(sizes, shares, strict=True)
    ]


def _prior_worth(sizes: Sequence[float], shares: Sequence[float | None], common: float) -> float | None:
    """How many answers the prior counts for; None when chance alone explains every difference."""
    seen = [(size, share) for size, share in zip(sizes, shares, strict=True) if share is not None]
    total = sum(size for size, _ in seen)
    weights = [size / total for size, _ in seen]
    room = sum((1 - weight) * (size - 1) for weight, (size, _) in zip(weights, seen, strict=True))
    if room <= 0 or common in (0.0, 1.0):
        return None
    spread = sum(size * (share - common) ** 2 for size, share in seen) / (common * (1 - common))
    correlation = (spread - (len(seen) - 1)) / room
    return None if correlation <= 0 else max(1 / correlation - 1, 0.0)
