import math

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from common.features.timeseries import (
    cell_means,
    days_since,
    moving_sum,
    past_mean,
    past_slope,
    starts_of,
)

SHAPES = [(1, 1), (1, 9), (4, 1), (3, 40)]


def make_values(shape=(4, 50), seed=0, share_missing=0.3):
    rng = np.random.default_rng(seed)
    values = rng.normal(3.0, 1.0, shape).astype(np.float32)
    values[rng.random(shape) < share_missing] = np.nan
    return values


def make_states(shape, seed=0, share=0.3):
    return np.random.default_rng(seed).random(shape) < share


def known_in(row, start, stop):
    """The values of a list of days that lie in it and are known."""
    return [float(row[t]) for t in range(max(start, 0), min(stop, len(row))) if np.isfinite(row[t])]


# Sums and means


SPANS = [(-6, 0), (0, 0), (1, 7), (-48, -42), (-100, -60), (60, 70), (-3, 3), (-99, 99)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("first", "last"), SPANS)
def test_moving_sum_equals_a_loop(shape, first, last):
    values = make_values(shape)
    received = moving_sum(values, first=first, last=last)
    for (s, t), total in np.ndenumerate(received):
        wanted = sum(known_in(values[s], t + first, t + last + 1))
        assert math.isclose(total, wanted, rel_tol=1e-6, abs_tol=1e-6)
    assert received.dtype == np.float32


@pytest.mark.parametrize("dtype", [bool, np.int8, np.uint8, np.int64, np.float32, np.float64])
def test_moving_sum_counts_the_same_whatever_the_type(dtype):
    """300 days on: more than a byte holds."""
    values = np.ones((2, 300), dtype)

    received = moving_sum(values, first=-299, last=0)

    np.testing.assert_array_equal(received, np.tile(np.arange(1, 301), (2, 1)))


def test_moving_sum_counts_what_is_not_finite_as_0_and_only_that():
    values = np.array([[1, np.inf, 2, np.nan, 4, -np.inf, 8]])

    received = moving_sum(values, first=-1, last=0)

    assert received.tolist() == [[1, 1, 2, 2, 4, 4, 8]]


@pytest.mark.parametrize("n_past", [1, 9, 40])
@pytest.mark.parametrize("days", [[40], [0, 1, 2, 50, 7, 7], [-30, 90], [-9]])
@pytest.mark.parametrize("prior", [0, 1.5])
def test_past_mean_equals_a_loop(n_past, days, prior):
    past = make_values((3, n_past), share_missing=0.6)
    past[1] = np.nan
    for first, last in SPANS:
        received = past_mean(past, np.array(days), first=first, last=last, prior=prior)
        for (s, h), mean in np.ndenumerate(received):
            values = known_in(past[s], days[h] + first, days[h] + last + 1)
            if values:
                wanted = sum(values) / (len(values) + prior)
                assert math.isclose(mean, wanted, rel_tol=1e-6)
            else:
                assert np.isnan(mean)


def test_past_mean_by_hand():
    """Known are 2, 4 and 6 on days 0, 1 and 3; four days are past. Two values of 0 are added.

    Around day 1, one day to each side: (2 + 4) / (2 + 2). Around day 3: 6 / (1 + 2), as day 4 is
    not known. Around day 5: nothing.
    """
    past = np.array([[2, 4, np.nan, 6]])

    means = past_mean(past, np.array([1, 3, 5]), first=-1, last=1, prior=2)

    np.testing.assert_array_equal(means, [[1.5, 2, np.nan]])


@pytest.mark.parametrize("days", [[20], [20, 22, 27], [10, 29]])
def test_days_from_the_origin_on_move_no_past_mean(days):
    """Spans reach over the origin, day 20, and back; what lies behind it is never asked for."""
    values = make_values((3, 30))
    altered = values.copy()
    altered[:, 20:] = 1e6
    for first, last in ((-15, 15), (0, 3), (-1, 0), (-15, -1)):
        before, after = (
            past_mean(grid[:, :20], np.array(days), first=first, last=last, prior=1)
            for grid in (values, altered)
        )
        np.testing.assert_array_equal(before, after)
        # Had they been asked for, every span that reaches over the origin would have moved.
        uncut, moved = (
            past_mean(grid, np.array(days), first=first, last=last, prior=1)
            for grid in (np.nan_to_num(values), np.nan_to_num(altered))
        )
        reaches = (np.array(days) + last >= 20) & (np.array(days) + first < 30)
        np.testing.assert_array_equal((uncut != moved).all(axis=0), reaches)


def test_means_do_not_change_with_the_length_of_the_past_in_front_of_the_span():
    """It begins with huge values: in running totals of it all, small ones would be lost."""
    past = np.concatenate([np.full((2, 1000), 1e9), make_values((2, 60))], axis=1)

    long = past_mean(past, np.array([1060]), first=-28, last=-1, prior=1)
    short = past_mean(past[:, 1000:], np.array([60]), first=-28, last=-1, prior=1)

    np.testing.assert_array_equal(long, short)


def test_past_mean_does_not_read_nor_count_the_infinite():
    past = np.array([[np.inf, 3, -np.inf, 5]])

    assert past_mean(past, np.array([4]), first=-4, last=-1, prior=0).tolist() == [[4]]


def test_spans_and_priors_name_what_is_wrong():
    past, days = np.ones((1, 3)), np.array([3])
    with pytest.raises(ValueError, match="last must be >= first = -1, received -2"):
        moving_sum(past, first=-1, last=-2)
    with pytest.raises(ValueError, match="last must be >= first = 0, received -1"):
        past_mean(past, days, first=0, last=-1, prior=0)
    for prior in (-0.5, np.nan):
        with pytest.raises(ValueError, match=f"prior must be >= 0, received {prior}"):
            past_mean(past, days, first=-1, last=-1, prior=prior)


# Means by cell


def cell_means_by_loop(past, cells, n_cells, prior):
    """Cell means, effects, levels, what is expected, and the rest by credibility."""
    values = [[[] for _ in range(n_cells)] for _ in past]
    for (s, t), value in np.ndenumerate(past):
        if np.isfinite(value):
            values[s][cells[s, t]].append(float(value))
    sizes = [sum(len(cell) for cell in row) for row in values]
    totals = [sum(sum(cell) for cell in row) for row in values]
    means = [total / size if size else np.nan for total, size in zip(totals, sizes, strict=True)]
    effects = []
    for c in range(n_cells):
        above = [
            sum(row[c]) / len(row[c]) - mean
            for row, mean in zip(values, means, strict=True)
            if row[c]
        ]
        effects.append(sum(above) / len(above) if above else 0)
    wanted = np.full((len(past), n_cells), np.nan)
    for s, row in enumerate(values):
        if any(row):
            left = [v - effects[c] for c in range(n_cells) for v in row[c]]
            for c in range(n_cells):
                expected = sum(left) / len(left) + effects[c]
                wanted[s, c] = (sum(row[c]) + prior * expected) / (len(row[c]) + prior)
    return wanted, np.array([[len(cell) for cell in row] for row in values])


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("prior", [0.3, 4])
@pytest.mark.parametrize("seed", range(3))
def test_cell_means_equal_a_loop_over_cells(shape, prior, seed):
    """Cell 4 of 6 is never seen; the last series of many has no value."""
    past = make_values(shape, seed=seed)
    if len(past) > 1:
        past[-1] = np.nan
    cells = np.random.default_rng(seed).choice([0, 1, 2, 3, 5], shape)

    received = cell_means(past, cells, n_cells=6, prior=prior)

    for one, other in zip(received, cell_means_by_loop(past, cells, 6, prior), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5)
        assert one.dtype == np.float32


def test_cell_means_by_hand():
    """Two series, two cells, one day of prior.

    Series A sells 1 and 1 in cell 0 and 4 in cell 1, mean 2; B sells 5 in cell 0 only, mean 5.
    Effect of cell 0: A's cell is 1 below A's mean and B's 0, so -1/2. Of cell 1: A's +2.
    Level of A: (1 + 1/2 + 1 + 1/2 + 4 - 2) / 3 = 5/3. Of B: 5 + 1/2 = 11/2.
    Expected: A 7/6 and 11/3, B 5 and 15/2. With one such day added to the cell's own:
    A (2 + 7/6) / 3 = 19/18 and (4 + 11/3) / 2 = 23/6; B (5 + 5) / 2 = 5 and 15/2.
    """
    past = np.array([[1, 4, np.nan, 1], [np.nan, np.nan, 5, np.nan]])
    cells = np.array([[0, 1, 1, 0], [0, 1, 0, 1]])

    means, counts = cell_means(past, cells, n_cells=2, prior=1)

    np.testing.assert_allclose(means, [[19 / 18, 23 / 6], [5, 15 / 2]], rtol=1e-6)
    assert counts.tolist() == [[2, 1], [1, 0]]


def test_cell_means_of_an_additive_grid_without_gaps_are_exact_whatever_the_prior():
    level, effect = np.array([[2.0], [7.0], [-1.0]]), np.array([1.0, -3.0, 2.0])
    cells = np.tile(np.arange(12) % 3, (3, 1))

    means, counts = cell_means(level + effect[cells], cells, n_cells=3, prior=100)

    np.testing.assert_allclose(means, level + effect, rtol=1e-6)
    assert (counts == 4).all()


def test_cell_means_of_an_unknown_grid_are_unknown():
    for past in (np.full((2, 3), np.nan), np.empty((2, 0))):
        cells = np.full(past.shape, -1)  # no cell, as there is no value

        means, counts = cell_means(past, cells, n_cells=4, prior=1)

        assert means.shape == (2, 4) and np.isnan(means).all() and not counts.any()


def test_cell_means_name_what_is_wrong():
    past = np.ones((2, 3))
    for cell in (-1, 4):
        cells = np.full((2, 3), 1)
        cells[0, 0] = cell
        wanted = rf"cells must be in \[0, 4\), received {min(cell, 1)} to {max(cell, 1)}"
        with pytest.raises(ValueError, match=wanted):
            cell_means(past, cells, n_cells=4, prior=1)
    with pytest.raises(ValueError, match=r"cells must have shape \(2, 3\), received \(2, 2\)"):
        cell_means(past, np.zeros((2, 2), int), n_cells=4, prior=1)
    with pytest.raises(ValueError, match="prior must be > 0, received 0"):
        cell_means(past, np.zeros((2, 3), int), n_cells=4, prior=0)


# Slopes


@pytest.mark.parametrize("level", [0.0, 1e5])
@pytest.mark.parametrize("prior", [1e-3, 0.1, 10])
def test_past_slope_equals_ridge_regression_of_scikit_learn(level, prior):
    """In float32, and for young series and closed ones, about whatever level."""
    past = make_values((5, 900)) + np.float32(level)
    past[1, 10:] = past[2, :600] = past[3, 300:] = np.nan
    years = np.arange(900) / 365.25

    received = past_slope(past, prior=prior)

    for row, slope in zip(past, received, strict=True):
        known = np.isfinite(row)
        fitted = Ridge(alpha=prior).fit(years[known, None], row[known].astype(np.float64))
        assert math.isclose(slope, fitted.coef_[0], rel_tol=1e-4, abs_tol=1e-8)


def test_past_slope_by_hand():
    """2, and 14 four years (1461 days) later. Centred, times are -2 and 2, so the covariance is
    2 x 12 = 24 and the variance 8.
    """
    past = np.full((1, 1462), np.nan)
    past[0, [0, 1461]] = [2, 14]

    assert past_slope(past, prior=1e-9)[0] == pytest.approx(3)
    assert past_slope(past, prior=8)[0] == pytest.approx(24 / 16)


@pytest.mark.parametrize("level", [0, 3, 8.7, 1e6])
def test_past_slope_is_0_without_two_days(level):
    past = np.full((4, 700), np.nan, np.float32)
    past[1, 0] = past[2, 699] = past[3, 123] = level

    assert past_slope(past, prior=1e-6).tolist() == [0, 0, 0, 0]
    assert past_slope(np.empty((2, 0)), prior=1).tolist() == [0, 0]


def test_past_slope_names_what_is_wrong():
    with pytest.raises(ValueError, match=r"prior must be > 0, received -0\.1"):
        past_slope(np.ones((1, 2)), prior=-0.1)


def test_views_that_may_not_be_written_give_what_their_copies_give():
    """A view from the end gives what a copy of it gives."""
    values = make_values((3, 30))
    values.flags.writeable = False
    states = values > 3
    cells = np.broadcast_to(np.arange(30)[::-1] % 4, (3, 30))
    days = np.array([25, 31])
    for make in (
        lambda v, s: moving_sum(v, first=-3, last=2),
        lambda v, s: past_mean(v, days, first=-9, last=2, prior=1),
        lambda v, s: cell_means(v, cells, n_cells=4, prior=1)[0],
        lambda v, s: past_slope(v, prior=1)[None],
        lambda v, s: days_since(s, most=9),
        lambda v, s: starts_of(s),
    ):
        view, copy = values[:, ::-1], np.ascontiguousarray(values[:, ::-1])
        received = make(view, states[:, ::-1])
        np.testing.assert_array_equal(received, make(copy, states[:, ::-1].copy()))
