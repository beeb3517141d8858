"""All that a run knows, laid out by store and day, before any forecast's origin."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from common.features.daily_grid import DailyGrid
from common.features.timeseries import moving_sum
from competitions.rossmann_store_sales.days import load_days, load_stores
from competitions.rossmann_store_sales.forum import load_states, load_trends, load_weather


@dataclass(frozen=True)
class StoreDays:
    """All that a run knows, before any origin.

    Attributes:
        days: (n, …) train and test rows as `load_days` gives them, by store, then day.
        is_test: (n,) bool.
        dates: (T,) every day from the first train day to the last test day.
        grid: where the rows lie.
        stores: (S, …) as `load_stores` gives them, those that have rows.
        state: (S,) int, the store's place in `state_names`, -1 without the forum's files.
        state_names: two letters each, in their order.
        weather: {name: (S, T)}, empty without the forum's files.
        trend: (S, T) searches for Rossmann in the store's state, or None without these files.
    """

    days: pd.DataFrame
    is_test: np.ndarray
    dates: pd.DatetimeIndex
    grid: DailyGrid
    stores: pd.DataFrame
    state: np.ndarray
    state_names: tuple[str, ...]
    weather: dict[str, np.ndarray]
    trend: np.ndarray | None

    @property
    def n_train_days(self) -> int:
        return int(self.grid.day[~self.is_test].max()) + 1

    @property
    def horizon_days(self) -> int:
        """How many days the test's last day lies after train's last."""
        return len(self.dates) - self.n_train_days

    @property
    def asked(self) -> np.ndarray:
        """(s,) places in a grid of the stores that the test asks for."""
        return np.unique(self.grid.series[self.is_test])


def load_store_days(raw: Path) -> StoreDays:
    """Read everything and lay it out by store and day.

    Args:
        raw: the competition's files.

    Returns:
        All stores that have rows, all days from the first to the last.

    Raises:
        InputError: a file is not as it must be.
    """
    days, is_test = load_days(raw)
    numbers, series = np.unique(days["Store"], return_inverse=True)
    first = days["Date"].min()
    day = (days["Date"] - first).dt.days.to_numpy()
    dates = pd.date_range(first, periods=day.max() + 1)
    grid = DailyGrid(series, day, len(numbers), len(dates))
    stores = load_stores(raw)
    states = load_states(raw, stores.index)
    forum_weather = load_weather(raw, states, until=dates[-1])
    trends = load_trends(raw, states, until=dates[-1])
    state, weather, trend = np.full(len(numbers), -1), {}, None
    names: np.ndarray = np.array([], dtype=str)
    if states is not None:
        names, state = np.unique(states.loc[numbers], return_inverse=True)
    if forum_weather is not None:
        weather = _spread_weather(forum_weather, names, state, dates)
    if trends is not None:
        weekly = trends.pivot(index="Week", columns="State", values="Trend")[names]
        daily = weekly.reindex(weekly.index.union(dates)).ffill().loc[dates]
        trend = daily.to_numpy(np.float32).T[state]
    known = stores.loc[numbers]
    return StoreDays(days, is_test, dates, grid, known, state, tuple(names), weather, trend)


def _spread_weather(
    weather: pd.DataFrame, names: np.ndarray, state: np.ndarray, dates: pd.DatetimeIndex
) -> dict[str, np.ndarray]:
    """Lay the states' weather out by store and day: {name: (S, T) float32}."""
    table = weather.assign(wet=weather["Rain"] | weather["Snow"])
    columns = {
        "heat": "Max_TemperatureC",
        "temperature": "Mean_TemperatureC",
        "rain": "Precipitationmm",
        "clouds": "CloudCover",
        "humidity": "Mean_Humidity",
        "wind": "Max_Wind_SpeedKm_h",
        "wet": "wet",
    }
    grids = {}
    for name, column in columns.items():
        by_state = table.pivot(index="Date", columns="State", values=column)[names]
        grids[name] = by_state.reindex(dates).to_numpy(np.float32).T[state]
    warmth = grids["temperature"]
    grids["warmer"] = warmth - moving_sum(warmth, first=-7, last=-1) / 7
    return grids
