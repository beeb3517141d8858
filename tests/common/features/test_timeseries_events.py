import calendar
import datetime
import math

import numpy as np
import pandas as pd
import pytest

from common.features.daily_grid import Block, count_seen, forecast_blocks
from common.features.timeseries import (
    days_since,
    days_until,
    fourier_terms,
    make_calendar,
    moving_sum,
    starts_of,
)

SHAPES = [(1, 1), (1, 9), (4, 1), (3, 40)]


def make_states(shape, seed=0, share=0.3):
    return np.random.default_rng(seed).random(shape) < share


# Events


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("most", [1, 4, 100])
@pytest.mark.parametrize("share", [0.0, 0.15, 1.0])
def test_days_since_and_until_equal_a_walk_from_each_day(shape, most, share):
    events = make_states(shape, share=share)
    since, until = days_since(events, most=most), days_until(events, most=most)
    for (s, t), received in np.ndenumerate(since):
        back = [k for k in range(t + 1) if events[s, t - k]]
        ahead = [k for k in range(shape[1] - t) if events[s, t + k]]
        assert received == min([*back, most])
        assert until[s, t] == min([*ahead, most])


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_starts_equal_a_look_at_each_days_neighbour(shape, share):
    states = make_states(shape, share=share)
    starts = starts_of(states)
    for (s, t), state in np.ndenumerate(states):
        assert starts[s, t] == (state and t > 0 and not states[s, t - 1])
    assert starts.dtype == bool


def test_events_by_hand():
    """A state that is on from the first day has no start. Seen to the end of blocks of two days,
    the stretch from day 4 on is in sight on day 4 and 5 only.
    """
    on = np.array([[1, 1, 0, 0, 1, 1]]) > 0
    seen = count_seen([Block(0, 2), Block(2, 4), Block(4, 6)])

    assert starts_of(on).tolist() == [[False, False, False, False, True, False]]
    assert days_since(starts_of(on), most=9).tolist() == [[9, 9, 9, 9, 0, 1]]
    assert days_until(starts_of(on), most=9).tolist() == [[4, 3, 2, 1, 0, 9]]
    assert seen.tolist() == [1, 0, 1, 0, 1, 0]
    assert days_until(starts_of(on), most=9, seen=seen).tolist() == [[9, 9, 9, 9, 0, 9]]


@pytest.mark.parametrize(("first", "last"), [(-3, 3), (1, 7), (2, 2), (-9, -2)])
def test_what_lies_behind_a_block_moves_nothing_that_looks_ahead(first, last):
    """The law of plans: days of a block see the block and what was before it."""
    blocks = forecast_blocks(30, n_known=23, horizon_days=7)
    seen = count_seen(blocks)
    values = make_states((4, 30), share=0.3)
    for start, end in blocks:
        altered = values.copy()
        altered[:, end:] = ~altered[:, end:]
        for make in (
            lambda v: days_until(v, most=9, seen=seen),
            lambda v: moving_sum(v, first=first, last=last, seen=seen),
        ):
            np.testing.assert_array_equal(make(values)[:, :end], make(altered)[:, :end])
        cut = moving_sum(values[:, :end], first=first, last=last)
        whole = moving_sum(values, first=first, last=last, seen=seen)
        np.testing.assert_array_equal(whole[:, start:end], cut[:, start:end])


def test_days_since_names_what_is_wrong():
    with pytest.raises(ValueError, match="most must be > 0, received 0"):
        days_until(np.ones((1, 2), bool), most=0)


# Calendar


def test_fourier_terms_equal_the_formula_one_by_one():
    position = np.array([0, 0.1, 0.25, 0.999, 3.7, -0.4])
    waves = fourier_terms(position, order=3)

    for n, place in enumerate(position):
        for k in range(3):
            angle = 2 * math.pi * (k + 1) * place
            assert waves[n, 2 * k] == pytest.approx(math.sin(angle), abs=1e-6)
            assert waves[n, 2 * k + 1] == pytest.approx(math.cos(angle), abs=1e-6)
    assert waves.shape == (6, 6) and waves.dtype == np.float32


def test_fourier_terms_meet_at_the_end_of_a_cycle():
    begin, end, after = fourier_terms(np.array([0, 1, 2]), order=4)

    np.testing.assert_allclose(begin, end, atol=1e-6)
    np.testing.assert_allclose(begin, after, atol=1e-6)
    with pytest.raises(ValueError, match="order must be > 0, received 0"):
        fourier_terms(np.array([0.5]), order=0)


def test_calendar_equals_the_standard_library_over_nine_years():
    """Every sixth day: all weekdays, leap years and others, weeks that belong to another year."""
    dates = pd.date_range("2008-12-20", "2017-01-10", freq="6D")
    table = make_calendar(dates)

    for stamp, row in zip(dates, table.itertuples(index=False), strict=True):
        day = datetime.date(stamp.year, stamp.month, stamp.day)
        days_in_year = 366 if calendar.isleap(day.year) else 365
        over = (day - datetime.date(day.year, 1, 1)).days / days_in_year
        assert row == pytest.approx(
            (
                day.weekday(),
                day.day,
                calendar.monthrange(day.year, day.month)[1] - day.day,
                day.month,
                day.isocalendar().week,
                day.year,
                np.float32(over),
            )
        )
    assert (table.dtypes == np.float32).all() and table["week"].max() == 53
