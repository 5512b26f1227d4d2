"""Intervals, clusters and shrinkage: values from the literature, and what must hold for all counts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from subjunctive_admin.analytics.intervals import Interval, Tally, shrunken, wilson

COUNTS = st.lists(
    st.integers(1, 60).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), min_size=1, max_size=12
)


@pytest.mark.parametrize(
    ("hits", "n", "low", "high"),
    [
        # Newcombe 1998, table I, method 3 (score without continuity correction).
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_the_interval_is_the_published_one(hits: int, n: int, low: float, high: float) -> None:
    found = wilson(hits, n)
    assert [found.low, found.high] == pytest.approx([low, high], abs=5e-5)


def test_half_widths_are_those_that_the_thresholds_rest_on() -> None:
    widths = [(wilson(0.8 * n, n).high - wilson(0.8 * n, n).low) / 2 for n in (10, 30, 100)]
    assert [round(width, 2) for width in widths] == [0.23, 0.14, 0.08]


def test_without_an_observation_a_rate_can_be_anything() -> None:
    assert wilson(0, 0) == Interval(0.0, 1.0)
    assert Tally.of([]).interval == Interval(0.0, 1.0)
    assert Tally.of([]).share is None


@pytest.mark.parametrize(("hits", "n"), [(-1, 5), (6, 5)])
def test_counts_that_are_no_proportion_are_refused(hits: int, n: int) -> None:
    with pytest.raises(ValueError, match="no proportion"):
        wilson(hits, n)


def test_a_tally_adds_up_its_learners_and_leaves_out_those_without_answers() -> None:
    tally = Tally.of([(2, 4), (0, 0), (3, 3)])
    assert tally == Tally(learners=2, n=7, hits=5, squares=(25.0, 13.0, 17.0))


def test_learners_who_are_alike_cost_no_precision() -> None:
    tally = Tally.of([(4, 8)] * 10)
    assert tally.design_effect == 1
    assert tally.interval == wilson(40, 80)


def test_learners_who_answer_all_right_or_all_wrong_count_as_one_answer_each() -> None:
    # With clusters of equal size and full agreement the effect is the size, times m/(m−1).
    tally = Tally.of([(10, 10)] * 5 + [(0, 10)] * 5)
    assert tally.design_effect == pytest.approx(10 * 10 / 9)
    assert tally.effective_n == pytest.approx(9)
    assert tally.interval == wilson(4.5, 9)


def test_the_design_effect_is_that_of_a_ratio_over_clusters() -> None:
    # By hand: p = 12/20, Σ(h − pn)² = (1 − 3)² + (8 − 6)² + (3 − 3)² = 8, so 3/2·8/400 over 0.24/20.
    tally = Tally.of([(1, 5), (8, 10), (3, 5)])
    assert tally.design_effect == pytest.approx((1.5 * 8 / 400) / (0.6 * 0.4 / 20))


@pytest.mark.parametrize("pairs", [[(3, 9)], [(4, 4), (6, 6)], [(0, 4), (0, 6)]])
def test_one_learner_or_one_outcome_shows_no_difference_between_learners(pairs: list[tuple[int, int]]) -> None:
    assert Tally.of(pairs).design_effect == 1


def test_a_rate_lies_below_another_only_when_its_whole_interval_does() -> None:
    tally = Tally.of([(50, 100), (50, 100)])  # 43–57 %
    assert tally.lies_below(0.6)
    assert not tally.lies_below(0.55)
    assert not tally.lies_below(0.58, comparisons=24)


def test_small_cells_are_drawn_towards_all_and_large_ones_hardly() -> None:
    tallies = [Tally.of([(hits, n)]) for hits, n in ((900, 1000), (500, 1000), (1, 4), (700, 1000))]
    large, low, small, middle = shrunken(tallies)
    assert large == pytest.approx(0.9, abs=0.005)
    assert low == pytest.approx(0.5, abs=0.005)
    assert middle == pytest.approx(0.7, abs=0.005)
    assert small is not None
    assert 0.4 < small < 0.65


def test_the_prior_is_kleinmans_moment_estimate() -> None:
    # By hand for (9, 10) and (5, 10): p = .7, Σn(pᵢ−p)² / p(1−p) = .8/.21, room Σ(1−w)(n−1) = 9.
    correlation = (0.8 / 0.21 - 1) / 9
    worth = 1 / correlation - 1
    expected = [(9 + worth * 0.7) / (10 + worth), (5 + worth * 0.7) / (10 + worth)]
    assert shrunken([Tally.of([(9, 10)]), Tally.of([(5, 10)])]) == pytest.approx(expected)


def test_cells_that_differ_by_chance_alone_get_the_common_rate() -> None:
    assert shrunken([Tally.of([(7, 10)]), Tally.of([(6, 10)]), Tally.of([])]) == pytest.approx([0.65, 0.65, 0.65])


def test_nothing_to_borrow_from_leaves_no_rate() -> None:
    assert shrunken([Tally.of([]), Tally.of([])]) == [None, None]
    assert shrunken([]) == []


@given(COUNTS)
def test_every_interval_holds_its_rate_and_stays_within_0_and_1(pairs: list[tuple[int, int]]) -> None:
    tally = Tally.of(pairs)
    share, found = tally.share, tally.interval
    assert share is not None
    assert 0 <= found.low <= share + 1e-9
    assert share - 1e-9 <= found.high <= 1
    assert 0 < tally.effective_n <= tally.n


@given(COUNTS)
def test_every_shrunken_rate_lies_between_its_own_and_the_common_one(pairs: list[tuple[int, int]]) -> None:
    tallies = [Tally.of([pair]) for pair in pairs]
    common = sum(hits for hits, _ in pairs) / sum(n for _, n in pairs)
    for tally, mean in zip(tallies, shrunken(tallies), strict=True):
        assert mean is not None
        assert tally.share is not None
        assert min(tally.share, common) - 1e-9 <= mean <= max(tally.share, common) + 1e-9
