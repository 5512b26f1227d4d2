"""Recall against time: bins, losses, and the bar that a forgetting curve has to clear."""

from __future__ import annotations

from math import log

import pytest

from subjunctive_admin.analytics.recall import Review, binned, judged_curve, log_loss
from subjunctive_admin.scheduling import power_forgetting


def reviews(*shares: tuple[float, int, int], stability: float | None = 4.0) -> list[Review]:
    """For each (days, hits, n): n reviews after so many days, hits and misses spread evenly."""
    made = []
    for days, hits, n in shares:
        made += [Review(days, (at + 1) * hits // n > at * hits // n, stability) for at in range(n)]
    return made


def test_days_fall_into_bins_that_double() -> None:
    found = binned(reviews((1, 1, 1), (1.99, 0, 1), (2, 1, 1), (7.9, 1, 1), (8, 1, 2), (500, 1, 1)))
    assert [(one.label, one.tally.hits, one.tally.n) for one in found] == [
        ("1–2", 1, 2),
        ("2–4", 1, 1),
        ("4–8", 1, 1),
        ("8–16", 1, 2),
        ("128+", 1, 1),
    ]


def test_the_place_of_a_bin_is_the_geometric_mean_of_its_days() -> None:
    (found,) = binned(reviews((2, 1, 1), (3, 1, 1)))
    assert found.elapsed_days == pytest.approx(6**0.5)


def test_answers_of_the_same_day_are_in_no_bin() -> None:
    assert binned(reviews((0.5, 1, 1))) == []


def test_the_loss_is_the_mean_of_minus_log_of_what_was_expected_of_what_happened() -> None:
    assert log_loss([(0.8, True), (0.8, False)]) == pytest.approx(-(log(0.8) + log(0.2)) / 2)
    assert log_loss([(0.0, True)]) == pytest.approx(-log(1e-6))


def forgetful(n: int) -> list[Review]:
    """Short and long gaps in turn, recalled as often as power forgetting at 4 days says."""
    short, long = reviews((1, 97, 100)), reviews((300, round(100 * power_forgetting(300, 4.0)), 100))
    return [review for pair in zip(short, long, strict=True) for review in pair][:n]


def test_a_learner_who_forgets_like_the_curve_gets_the_curve() -> None:
    curve = judged_curve(forgetful(200))
    assert curve is not None
    assert (curve.stability, curve.held_out) == (4.0, 40)
    assert curve.beats_average
    assert curve.recall(4.0) == pytest.approx(0.9)


def test_a_learner_whose_recall_does_not_depend_on_time_keeps_the_average() -> None:
    alike = [review for pair in zip(reviews((1, 90, 100)), reviews((300, 90, 100)), strict=True) for review in pair]
    curve = judged_curve(alike)
    assert curve is not None
    assert not curve.beats_average
    assert curve.average == pytest.approx(0.9, abs=0.01)


def test_only_the_last_fifth_is_scored_and_only_the_rest_is_fitted() -> None:
    early, late = reviews((2, 8, 80)), reviews((2, 20, 20), stability=99.0)
    curve = judged_curve(early + late)
    assert curve is not None
    assert (curve.stability, curve.average, curve.held_out) == (4.0, 0.1, 20)
    assert curve.average_loss == pytest.approx(-log(0.1))
    assert curve.loss == pytest.approx(-log(power_forgetting(2, 4.0)))


@pytest.mark.parametrize(
    "few", [[], reviews((2, 20, 40)), reviews((2, 50, 100), stability=None)], ids=["none", "few", "without stability"]
)
def test_too_little_to_judge_gives_no_curve(few: list[Review]) -> None:
    assert judged_curve(few) is None
