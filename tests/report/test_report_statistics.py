import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import ttest_1samp, wilcoxon

from twincode.report.runs import summarise
from twincode.report.statistics import (
    FEWEST,
    FEWEST_SEEDS,
    cliques,
    friedman,
    half_interval,
    holm,
    margin,
    nemenyi_difference,
    rank_models,
    signed_rank,
    smallest_p,
)

tables = st.integers(2, 9).flatmap(
    lambda models: arrays(float, (8, models), elements=st.integers(0, 4).map(float))
)


def test_an_interval_is_that_of_student():
    values = [0.81, 0.84, 0.79, 0.86]
    low, high = ttest_1samp(values, 0).confidence_interval(0.95)
    half = half_interval(float(np.std(values, ddof=1)), len(values))
    assert (low, high) == pytest.approx((np.mean(values) - half, np.mean(values) + half))
    assert half_interval(None, 1) is None
    assert half_interval(0.5, FEWEST_SEEDS - 1) is None


@given(st.tuples(st.floats(-9, 9), st.floats(-9, 9)))
def test_of_two_numbers_the_margin_reaches_both(pair):
    value = summarise(pair)
    half = margin(value)
    assert (value.mean - half, value.mean + half) == pytest.approx((min(pair), max(pair)), abs=1e-9)


def test_of_one_number_there_is_no_margin_and_of_more_it_is_the_interval():
    assert margin(summarise([0.5])) is None
    many = summarise([0.81, 0.84, 0.79])
    assert margin(many) == half_interval(many.spread, 3)


def test_ranks_by_hand():
    values = np.array([[0.9, 0.8, 0.7], [0.5, 0.5, 0.4]])
    best_first = rank_models("abc", values, "higher")
    assert best_first.ranks == (1.25, 1.75, 3.0)
    assert rank_models("abc", values, "lower").ranks == (2.75, 2.25, 1.0)
    assert (best_first.p, best_first.critical) == (None, None)


def test_friedman_restated():
    """Demšar 2006: 12 N / (k (k + 1)) times the sum of squared mean ranks less k (k + 1)^2 / 4."""
    values = np.random.default_rng(0).random((9, 4))
    ranks = np.array(rank_models("abcd", values, "higher").ranks)
    statistic = 12 * 9 / (4 * 5) * ((ranks**2).sum() - 4 * 25 / 4)
    # the upper tail of chi-squared with three degrees of freedom
    tail = math.erfc(math.sqrt(statistic / 2)) + math.sqrt(2 * statistic / math.pi) * math.exp(
        -statistic / 2
    )
    assert friedman(values) == pytest.approx(tail)
    assert friedman(np.ones((6, 3))) == 1.0


# q of table 5 in Demšar 2006, to its three decimals
@pytest.mark.parametrize(("models", "q"), ((2, 1.960), (3, 2.343), (4, 2.569), (10, 3.164)))
def test_nemenyi_agrees_with_the_published_table(models, q):
    expected = q * math.sqrt(models * (models + 1) / (6 * 14))
    assert nemenyi_difference(models, 14) == pytest.approx(expected, rel=5e-4)


@given(tables)
def test_ranks_add_up_and_do_not_depend_on_the_order(values):
    labels = [str(index) for index in range(values.shape[1])]
    found = rank_models(labels, values, "higher")
    assert sum(found.ranks) == pytest.approx(len(labels) * (len(labels) + 1) / 2)
    turned = rank_models(labels[::-1], values[::-1, ::-1], "higher")
    assert turned.ranks == pytest.approx(found.ranks[::-1])
    assert (found.critical is None) == (len(labels) < 3)


def test_cliques_are_the_largest_runs_within_the_difference():
    assert cliques([1.0, 1.5, 2.6, 4.0], 1.2) == [(0, 1), (1, 2)]
    assert cliques([1.0, 1.5, 2.0, 4.0], 1.2) == [(0, 2)]
    assert cliques([1.0, 3.0], 1.0) == []


def test_fewer_data_sets_than_can_reach_significance_are_too_few():
    assert signed_rank([0.1] * (FEWEST - 1)) is None
    one_way = [0.1 + 0.01 * i for i in range(FEWEST)]
    assert signed_rank(one_way) == smallest_p(FEWEST) == pytest.approx(2 / 2**FEWEST)


def test_some_zeros_are_split_between_the_signs():
    values = [0.0, 0.0, 0.1, 0.2, 0.3, 0.4, -0.5, 0.6]
    assert signed_rank(values) == wilcoxon(values, zero_method="zsplit").pvalue
    assert signed_rank(values) != wilcoxon(values, zero_method="wilcox").pvalue


def test_equal_steps_tie_in_spite_of_rounding():
    tied = [0.05, 0.05, 0.05, -0.05, 0.1, 0.15, 0.2]
    noisy = [0.85 - 0.8, 0.9 - 0.85, 0.75 - 0.7, 0.8 - 0.85, 0.9 - 0.8, 0.95 - 0.8, 0.9 - 0.7]
    assert len(set(np.abs(noisy))) > len(set(np.abs(tied)))
    assert signed_rank(noisy) == wilcoxon(tied, zero_method="zsplit").pvalue


def test_holm_by_hand():
    # sorted 0.005, 0.01, 0.03, 0.04 times 4, 3, 2, 1: 0.02, 0.03, 0.06, 0.04, the last raised
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.6]) == [1.0, 1.0]
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), max_size=12))
def test_holm_keeps_order_and_lies_between_p_and_bonferroni(values):
    adjusted = holm(values)
    for p, corrected in zip(values, adjusted, strict=True):
        assert p <= corrected <= min(1.0, p * len(values)) or corrected == pytest.approx(p)
    ranked = [adjusted[place] for place in np.argsort(values, kind="stable")]
    assert ranked == sorted(ranked)
