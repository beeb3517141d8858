import numpy as np
import pytest

from common.features.daily_grid import DailyGrid, count_seen, forecast_blocks

# Grids


def make_grid(n_series=3, n_days=5, n_rows=9, seed=0):
    place = np.random.default_rng(seed).permutation(n_series * n_days)[:n_rows]
    return DailyGrid(place // n_days, place % n_days, n_series, n_days)


def test_spread_lays_each_row_on_its_series_and_day_and_gather_all_reads_it_off():
    grid = make_grid()
    column = np.arange(9) + 0.5

    spread = grid.spread(column)

    wanted = {(s, d): v for s, d, v in zip(grid.series, grid.day, column, strict=True)}
    for place, value in np.ndenumerate(spread):
        assert value == wanted[place] if place in wanted else np.isnan(value)
    rows = np.array([8, 0, 0, 3])
    np.testing.assert_array_equal(grid.gather_all({"a": spread}, rows)["a"], column[rows])


def test_spread_fills_with_what_is_asked_for_and_takes_bool():
    spread = make_grid(n_rows=2).spread(np.array([True, True]), missing=-1)

    assert sorted(spread.ravel()) == [-1] * 13 + [1, 1] and spread.dtype == np.float32


def test_gather_all_equals_indexing_of_each_grid_laid_out_in_full():
    """Whatever its type, and whether it is whole, one column, one row or seen backwards."""
    grid, rows = make_grid(), np.array([2, 7, 7, 1, 0])
    rng = np.random.default_rng(1)
    grids = {
        "whole": rng.normal(size=(3, 5)),
        "backwards": rng.normal(size=(3, 5)).astype(np.float32)[:, ::-1],
        "series": rng.integers(0, 99, (3, 1)),
        "day": rng.random((1, 5)) < 0.5,
        "missing": np.full((3, 5), np.nan),
    }

    table = grid.gather_all(grids, rows)

    assert list(table) == list(grids) and (table.dtypes == np.float32).all()
    for name, values in grids.items():
        wanted = np.broadcast_to(values, (3, 5))[grid.series[rows], grid.day[rows]]
        np.testing.assert_array_equal(table[name], wanted.astype(np.float32))


@pytest.mark.parametrize("day", [-1, 5])
def test_rows_off_the_grid_are_refused_and_not_read_from_the_next_series(day):
    grid, grids = DailyGrid(np.array([0, 1]), np.array([2, day]), 3, 5), {"a": np.zeros((3, 5))}
    grid.gather_all(grids, np.array([0]))
    with pytest.raises(ValueError, match="invalid entry"):
        grid.gather_all(grids, np.array([0, 1]))


def test_grids_and_columns_of_another_size_are_refused():
    grid = make_grid()
    with pytest.raises(ValueError, match="could not be broadcast"):
        grid.gather_all({"a": np.zeros((3, 4))}, np.array([0]))
    with pytest.raises(ValueError, match="lengths must be equal, received values 8, series 9"):
        grid.spread(np.zeros(8))


# Blocks


@pytest.mark.parametrize("n_days", [1, 2, 7, 8, 15])
@pytest.mark.parametrize("horizon_days", [1, 3, 7, 20])
def test_blocks_are_disjoint_complete_and_one_horizon_long_but_for_the_ends(n_days, horizon_days):
    for n_known in range(1, n_days + 1):
        blocks = forecast_blocks(n_days, n_known=n_known, horizon_days=horizon_days)

        assert [day for start, end in blocks for day in range(start, end)] == [*range(n_days)]
        lengths = [end - start for start, end in blocks]
        assert all(length == horizon_days for length in lengths[1:-1])
        assert all(0 < length <= horizon_days for length in lengths)
        assert n_known == n_days or n_known in {start for start, _ in blocks}
        assert all((start - n_known) % horizon_days == 0 for start, _ in blocks[1:])


def test_blocks_by_hand():
    """11 days, 7 of them known, forecasts of 4 days: the last starts at 7, those before at 3 and
    -1, which is cut to 0.
    """
    assert forecast_blocks(11, n_known=7, horizon_days=4) == [(0, 3), (3, 7), (7, 11)]


def test_blocks_name_what_is_wrong():
    for n_known in (0, 6):
        with pytest.raises(ValueError, match=rf"n_known must be in \[1, 5\], received {n_known}"):
            forecast_blocks(5, n_known=n_known, horizon_days=2)
    with pytest.raises(ValueError, match="horizon_days must be > 0, received 0"):
        forecast_blocks(5, n_known=2, horizon_days=0)


@pytest.mark.parametrize("n_days", [1, 7, 15])
@pytest.mark.parametrize("horizon_days", [1, 3, 20])
def test_each_day_sees_to_the_last_day_of_its_block(n_days, horizon_days):
    blocks = forecast_blocks(n_days, n_known=n_days, horizon_days=horizon_days)

    seen = count_seen(blocks)

    assert len(seen) == n_days
    for start, end in blocks:
        assert [day + seen[day] for day in range(start, end)] == [end - 1] * (end - start)
