"""Writes made-up stores in Kaggle's form, with promos, holidays and moods, or without any.

The days end as those of a holdout do, so that real holidays fall into the same places.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from competitions.rossmann_store_sales.competition import STORES, TEST, TRAIN
from competitions.rossmann_store_sales.split import FIRST_TEST_DAY, LAST_TEST_DAY, write_submission

N_TRAIN_DAYS = 600
FEWEST_STORES = 12
STORES_AT_ONCE = 500  # so that memory does not grow with the number of stores
DAYS = pd.date_range(FIRST_TEST_DAY - pd.Timedelta(days=N_TRAIN_DAYS), LAST_TEST_DAY)
STATES = ("BY", "HB", "NW")
TREND_FILES = {"BY": "BY", "HB": "NI", "NW": "NW"}  # the forum has no trends of HB
EASTERS = pd.to_datetime(["2013-03-31", "2014-04-20", "2015-04-05"])
PROMO_MONDAY = pd.Timestamp("2015-06-15")  # promos take every other working week from here
PROMO_INTERVALS = ("Jan,Apr,Jul,Oct", "Feb,May,Aug,Nov", "Mar,Jun,Sept,Dec")
REFURBISHED_STORE, FORGOTTEN_STORE, LONELY_STORE = 5, 4, 7
"""The store without rows for half a year, the one without `Open`, the one without a competitor."""


def write_sample(raw: Path, seed: int, *, n_rows: int | None = None, signal: bool = True) -> None:
    """Write Kaggle's four files, and the states, weather and search trends of the forum.

    Args:
        raw: an empty folder.
        seed: of everything made up.
        n_rows: about how many train rows; whole stores of 600 days, twelve at least.
        signal: whether sales depend on store, calendar, promo, weather and trends; without it, all
            open days are drawn from one distribution.

    Cost: memory for 500 stores, and for all test rows.
    """
    rng = np.random.default_rng(seed)
    n_stores = max(FEWEST_STORES, round((n_rows or 0) / N_TRAIN_DAYS))
    stores = _make_stores(n_stores, rng)
    stores[list(STORES)].to_csv(raw / "store.csv", index=False)
    stores[["Store", "State"]].to_csv(raw / "store_states.csv", index=False)
    weather = {state: _make_weather(rng) for state in STATES}
    moods = pd.DataFrame({state: _walk(len(DAYS), 0.01, rng) for state in STATES})
    _write_forum(raw, weather, moods, rng)
    tests = []
    with (raw / "train.csv").open("w") as file:
        for start in range(0, n_stores, STORES_AT_ONCE):
            some = stores.iloc[start : start + STORES_AT_ONCE]
            days = _make_days(some, weather, moods, rng, signal=signal)
            is_test = days.pop("is_test").to_numpy()
            days.loc[~is_test, list(TRAIN)].to_csv(file, index=False, header=start == 0)
            tests.append(days[is_test & (days["Store"] % 3 != 0)])
    test = pd.concat(tests).sort_values(
        ["Date", "Store"], ascending=[False, True], ignore_index=True
    )
    test.insert(0, "Id", np.arange(1, len(test) + 1))
    is_forgotten = (test["Store"] == FORGOTTEN_STORE) & (test["DayOfWeek"] == 2)
    test["Open"] = test["Open"].astype("Int8")
    test.loc[test.index[is_forgotten][:2], "Open"] = pd.NA
    test[list(TEST)].to_csv(raw / "test.csv", index=False)
    write_submission(raw, test["Id"])


def _make_stores(n: int, rng: np.random.Generator) -> pd.DataFrame:
    """Make store.csv's columns, and what its file does not say: State, level and effects."""
    number = np.arange(1, n + 1)
    since = rng.integers(2005, 2015, n)
    has_promo2 = number % 2 == 0
    return pd.DataFrame(
        {
            "Store": number,
            "StoreType": rng.choice(list("abcd"), n, p=[0.54, 0.02, 0.13, 0.31]),
            "Assortment": rng.choice(list("abc"), n, p=[0.53, 0.01, 0.46]),
            "CompetitionDistance": pd.Series(10 * rng.integers(2, 2000, n), dtype="Int64").mask(
                number == LONELY_STORE
            ),
            "CompetitionOpenSinceMonth": pd.Series(rng.integers(1, 13, n), dtype="Int64").mask(
                number % 3 == 1
            ),
            "CompetitionOpenSinceYear": pd.Series(since, dtype="Int64").mask(number % 3 == 1),
            "Promo2": has_promo2.astype(int),
            "Promo2SinceWeek": pd.Series(rng.integers(1, 51, n), dtype="Int64").where(has_promo2),
            "Promo2SinceYear": pd.Series(rng.integers(2009, 2016, n), dtype="Int64").where(
                has_promo2
            ),
            "PromoInterval": pd.Series(rng.choice(PROMO_INTERVALS, n)).where(has_promo2),
            "State": [STATES[k % len(STATES)] for k in range(n)],
            "level": rng.normal(np.log(6500), 0.35, n),
            "promo_effect": rng.normal(0.25, 0.08, n),
            "december_effect": rng.normal(0.25, 0.08, n),
        }
    )


def _make_days(
    stores: pd.DataFrame,
    weather: dict[str, pd.DataFrame],
    moods: pd.DataFrame,
    rng: np.random.Generator,
    *,
    signal: bool,
) -> pd.DataFrame:
    """Make every day of some stores: train's columns and is_test."""
    n, n_days = len(stores), len(DAYS)
    weekday = DAYS.day_of_week.to_numpy()
    holidays = np.stack([_make_holidays(state) for state in STATES])
    vacations = np.stack([_make_vacations(state) for state in STATES])
    rain = np.stack([weather[state]["Precipitationmm"].to_numpy() > 0 for state in STATES])
    state = stores["State"].map({name: k for k, name in enumerate(STATES)}).to_numpy()
    is_open = (holidays == "0") & (weekday != 6)  # (states, days), as the four above
    weeks = (DAYS - PROMO_MONDAY).days // 7
    is_promo = np.asarray((weeks % 2 == 0) & (weekday < 5))
    december = np.clip(np.asarray((DAYS.month == 12) * DAYS.day) / 24, 0, 1)
    profile = rng.normal([0.08, 0.0, -0.03, 0.0, 0.03, -0.15, 0.0], 0.05, (n, 7))
    steps = rng.normal(0, 0.004, (n, n_days))
    effects = (
        stores["level"].to_numpy()[:, None]
        + profile[:, weekday]
        + stores["promo_effect"].to_numpy()[:, None] * is_promo
        + stores["december_effect"].to_numpy()[:, None] * december
        + steps.cumsum(axis=1)
        + (moods[list(STATES)].to_numpy().T - 0.03 * rain + 0.04 * vacations)[state]
        + rng.normal(0, 0.1, (n, n_days))
    )
    if not signal:
        effects = rng.normal(np.log(6500), 0.3, (n, n_days))
    sales = np.exp(effects).round().astype(int) * is_open[state]
    customers = (sales / 8 * np.exp(rng.normal(0, 0.05, (n, n_days)))).round().astype(int)
    is_test = np.asarray(DAYS >= FIRST_TEST_DAY)
    days = pd.DataFrame(
        {
            "Store": np.repeat(stores["Store"].to_numpy(), n_days),
            "DayOfWeek": np.tile(weekday + 1, n),
            "Date": np.tile(DAYS.strftime("%Y-%m-%d").to_numpy(), n),
            "Sales": sales.ravel(),
            "Customers": customers.ravel(),
            "Open": is_open[state].ravel().astype(int),
            "Promo": np.tile(is_promo.astype(int), n),
            "StateHoliday": holidays[state].ravel(),
            "SchoolHoliday": vacations[state].ravel().astype(int),
            "is_test": np.tile(is_test, n),
        }
    )
    is_gone = (days["Store"] == REFURBISHED_STORE) & days["Date"].between(
        "2014-07-01", "2014-12-31"
    )
    return days[~is_gone]


def _make_holidays(state: str) -> np.ndarray:
    """Tell Germany's public holidays: (days,) of "0", "a", "b" (Easter) or "c" (Christmas)."""
    text = DAYS.strftime("%m-%d")
    fixed, moving = ["01-01", "05-01", "10-03"], [39, 50]  # Ascension Day and Whit Monday
    if state in ("BY", "NW"):
        fixed, moving = [*fixed, "11-01"], [*moving, 60]  # All Saints' Day and Corpus Christi
    is_moving = DAYS.isin([easter + pd.Timedelta(days=day) for easter in EASTERS for day in moving])
    is_easter = DAYS.isin(
        [easter + pd.Timedelta(days=day) for easter in EASTERS for day in (-2, 1)]
    )
    choices = [text.isin(["12-25", "12-26"]), is_easter, is_moving | text.isin(fixed)]
    return np.select(choices, ["c", "b", "a"], "0")


def _make_vacations(state: str) -> np.ndarray:
    """Tell school holidays, in blocks: (days,) bool. Summer begins state by state."""
    text = DAYS.strftime("%m-%d")
    summer, end = {
        "BY": ("08-01", "09-14"),
        "HB": ("07-23", "09-02"),
        "NW": ("06-29", "08-11"),
    }[state]
    is_easter = np.zeros(len(DAYS), bool)
    for easter in EASTERS:
        away = (DAYS - easter).days
        is_easter |= (away >= -13) & (away <= 6)
    is_winter = (text >= "12-23") | (text <= "01-05")
    is_autumn = (text >= "10-20") & (text <= "10-31")
    return np.asarray(is_easter | is_winter | is_autumn | ((text >= summer) & (text <= end)))


def _make_weather(rng: np.random.Generator) -> pd.DataFrame:
    """Make one state's weather, with some readings missing."""
    n = len(DAYS)
    season = -np.cos(2 * np.pi * (DAYS.day_of_year.to_numpy() - 20) / 365.25)
    mean = np.round(10 + 9 * season + _walk(n, 1.5, rng, pull=0.2))
    is_wet = rng.random(n) < 0.5
    wet_event = np.where(mean < 1, "Snow", rng.choice(["Rain", "Fog-Rain", "Rain-Snow"], n))
    return pd.DataFrame(
        {
            "Date": DAYS.strftime("%Y-%m-%d"),
            "Max_TemperatureC": (mean + rng.integers(2, 8, n)).astype(int),
            "Mean_TemperatureC": mean.astype(int),
            "Min_TemperatureC": (mean - rng.integers(2, 8, n)).astype(int),
            "Mean_Humidity": rng.integers(45, 100, n),
            "Max_Wind_SpeedKm_h": rng.integers(5, 60, n),
            "Precipitationmm": np.where(is_wet, rng.gamma(1, 3, n) + 0.1, 0).round(2),
            "CloudCover": pd.Series(rng.integers(0, 9, n), dtype="Int64").mask(
                rng.random(n) < 0.08
            ),
            "Events": np.where(is_wet, wet_event, rng.choice(["", "Fog"], n, p=[0.8, 0.2])),
        }
    )


def _write_forum(
    raw: Path, weather: dict[str, pd.DataFrame], moods: pd.DataFrame, rng: np.random.Generator
) -> None:
    """Write weather and trends; a state's trend follows its mood, at whose heart it is.

    As in the forum's own files, there is more than is read: the country's trend, for one.
    """
    (raw / "weather").mkdir()
    (raw / "googletrend").mkdir()
    for state, table in weather.items():
        table.to_csv(raw / "weather" / f"{state}.csv", index=False, sep=";", na_rep="NA")
    sundays = DAYS - pd.to_timedelta((DAYS.day_of_week + 1) % 7, unit="D")
    weekly = moods.groupby(sundays).mean()
    for state in STATES:
        mood = weekly[state]
        searched = 70 * np.exp(2 * mood + rng.normal(0, 0.05, len(mood)))
        first = pd.DatetimeIndex(mood.index)
        last = first + pd.Timedelta(days=6)
        table = pd.DataFrame(
            {
                "Woche": first.strftime("%Y-%m-%d - ") + last.strftime("%Y-%m-%d"),
                "Okt. 2013 - Aug. 2015": (100 * searched / searched.max()).round().astype(int),
            }
        )
        table.to_csv(raw / "googletrend" / f"Rossmann_DE_{TREND_FILES[state]}.csv", index=False)


def _walk(n: int, step: float, rng: np.random.Generator, *, pull: float = 0.02) -> np.ndarray:
    """Make a random walk of n steps that begins at 0 and is pulled back to it."""
    walk = np.zeros(n)
    for day, move in enumerate(rng.normal(0, step, n - 1), start=1):
        walk[day] = (1 - pull) * walk[day - 1] + move
    return walk
