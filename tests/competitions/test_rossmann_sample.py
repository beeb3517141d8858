"""Rossmann's made-up stores, and the holdout that is cut from Kaggle's train file."""

import numpy as np
import pandas as pd
import pytest

from common.checks import InputError
from common.data.files import check_files
from competitions.rossmann_store_sales import sample
from competitions.rossmann_store_sales.competition import FILES, TEST, TRAIN
from competitions.rossmann_store_sales.days import load_days, load_stores
from competitions.rossmann_store_sales.forum import load_states, load_trends, load_weather
from competitions.rossmann_store_sales.sample import (
    FORGOTTEN_STORE,
    LONELY_STORE,
    REFURBISHED_STORE,
    write_sample,
)
from competitions.rossmann_store_sales.split import LAST_TEST_DAY, write_split

TEXT = {"StateHoliday": "str"}


@pytest.fixture(scope="module")
def raw(whole):
    return whole


@pytest.fixture(scope="module")
def states(raw):
    return load_states(raw, load_stores(raw).index)


@pytest.fixture(scope="module")
def days(raw):
    """Open train days, with the log of their sales."""
    return load_open_days(raw)


def load_open_days(raw):
    days, is_test = load_days(raw)
    days = days[~is_test & (days["Open"] == 1)]
    return days.assign(log=np.log(days["Sales"]), weekday=days["Date"].dt.day_of_week)


# Sample


def test_files_and_days_are_those_of_the_contract(raw):
    assert check_files(raw, FILES) == []
    train, test = (pd.read_csv(raw / name, dtype=TEXT) for name in ("train.csv", "test.csv"))
    assert list(train.columns) == list(TRAIN) and list(test.columns) == list(TEST)
    assert (train["Date"].min(), train["Date"].max()) == ("2013-10-28", "2015-06-19")
    assert (test["Date"].min(), test["Date"].max()) == ("2015-06-20", "2015-07-31")
    n_days = train.groupby("Store").size()
    assert n_days.drop(REFURBISHED_STORE).eq(600).all() and len(n_days) == 12
    assert test.groupby("Store").size().to_dict() == dict.fromkeys((1, 2, 4, 5, 7, 8, 10, 11), 42)


def test_ids_run_from_the_last_day_as_kaggles_do(raw):
    test = pd.read_csv(raw / "test.csv", dtype=TEXT)
    asked = pd.read_csv(raw / "sample_submission.csv")
    assert test["Id"].tolist() == asked["Id"].tolist() == list(range(1, 8 * 42 + 1))
    assert asked["Sales"].eq(0).all() and list(asked.columns) == ["Id", "Sales"]
    assert test["Date"].is_monotonic_decreasing
    assert test["Store"].tolist() == [1, 2, 4, 5, 7, 8, 10, 11] * 42


def test_stores_are_closed_on_sundays_and_holidays_and_sell_nothing_then(raw):
    train = pd.read_csv(raw / "train.csv", dtype=TEXT)
    is_closed = (train["DayOfWeek"] == 7) | (train["StateHoliday"] != "0")
    assert (train["Open"] == 0).tolist() == is_closed.tolist()
    assert train.loc[is_closed, ["Sales", "Customers"]].eq(0).all(axis=None)
    assert train.loc[~is_closed, "Sales"].min() > 500
    share = train.loc[~is_closed, "Sales"] / train.loc[~is_closed, "Customers"]
    assert share.median() == pytest.approx(8, abs=0.1)


def test_holidays_are_germanys_by_state(raw, states):
    """Store 1 is in BY, store 2 in HB, which does not keep All Saints' Day and Corpus Christi."""
    days, _ = load_days(raw)
    assert states[[1, 2]].tolist() == ["BY", "HB"]
    catholic = {"2013-11-01": "a", "2014-06-19": "a", "2014-11-01": "a", "2015-06-04": "a"}
    christmas = ("2013-12-25", "2013-12-26", "2014-12-25", "2014-12-26")
    easter = ("2014-04-18", "2014-04-21", "2015-04-03", "2015-04-06")
    public = ("2014-01-01", "2014-05-01", "2014-05-29", "2014-06-09", "2014-10-03")
    public += ("2015-01-01", "2015-05-01", "2015-05-14", "2015-05-25")
    everywhere = dict.fromkeys(christmas, "c") | dict.fromkeys(easter, "b")
    everywhere |= dict.fromkeys(public, "a")
    for store, wanted in ((1, everywhere | catholic), (2, everywhere)):
        rows = days[(days["Store"] == store) & (days["StateHoliday"] != "0")]
        found = dict(zip(rows["Date"].dt.strftime("%Y-%m-%d"), rows["StateHoliday"], strict=True))
        assert found == wanted


def test_promos_take_every_other_working_week_in_kaggles_phase(raw):
    """Kaggle's own weeks from 15 June and from 27 July 2015 have one."""
    days, _ = load_days(raw)
    promo = days[days["Store"] == 1].set_index("Date")["Promo"]
    assert promo["2015-06-15":"2015-06-28"].tolist() == [1] * 5 + [0] * 9
    assert promo["2015-07-27":"2015-07-31"].tolist() == [1] * 5
    by_week = promo.groupby((promo.index - pd.Timestamp("2013-10-28")).days // 7).sum()
    assert {*by_week.iloc[::2]} | {*by_week.iloc[1::2]} == {0, 5}
    assert by_week.iloc[::2].nunique() == by_week.iloc[1::2].nunique() == 1


def test_odd_stores_are_there(raw):
    """A gap of half a year, two days that do not say Open, a store without a competitor."""
    days, _ = load_days(raw)
    dates = days.loc[days["Store"] == REFURBISHED_STORE, "Date"]
    assert not dates.between("2014-07-01", "2014-12-31").any() and len(dates) == 642 - 184
    test = pd.read_csv(raw / "test.csv", dtype=TEXT)
    forgotten = test[test["Open"].isna()]
    assert forgotten["Store"].tolist() == [FORGOTTEN_STORE] * 2
    assert (forgotten["StateHoliday"] == "0").all() and (forgotten["DayOfWeek"] == 2).all()
    stores = load_stores(raw)
    assert stores.index[stores["CompetitionDistance"].isna()].tolist() == [LONELY_STORE]
    assert stores["Promo2"].sum() == 6 and stores["competition_since"].isna().any()


def test_the_forums_files_reach_over_all_days(raw, states, caplog):
    days, _ = load_days(raw)
    caplog.clear()
    first, last = days["Date"].min(), days["Date"].max()
    weather = load_weather(raw, states, last).groupby("State")["Date"].agg(["min", "max", "size"])
    assert weather.index.tolist() == ["BY", "HB", "NW"]
    assert (weather == [first, last, 642]).all(axis=None)
    trends = load_trends(raw, states, last)
    weeks = trends.groupby("State")["Week"].agg(["min", "max"])
    assert (weeks["min"] <= first).all() and (weeks["max"] > last - pd.Timedelta(days=7)).all()
    assert trends.groupby("State")["Trend"].max().eq(100).all() and not caplog.messages


def test_sales_depend_on_all_they_should(raw, days):
    """Each effect on the log of sales, within stores; the noise of a day is 0.1."""
    levels = days.groupby("Store")["log"].mean()
    assert levels.std() > 0.2
    rest = days["log"] - days["Store"].map(levels)
    is_usual = days["Date"].dt.month != 12
    weekdays = is_usual & (days["weekday"] < 5)
    promo = rest[weekdays].groupby(days["Promo"]).mean()
    assert promo[1] - promo[0] == pytest.approx(0.25, abs=0.05)
    late = rest[days["Date"].dt.strftime("%m-%d").between("12-15", "12-24")]
    assert late.mean() - rest[is_usual].mean() > 0.1
    plain = is_usual & (days["Promo"] == 0)
    profiles = rest[plain].groupby([days["Store"], days["weekday"]]).mean().unstack()
    assert profiles[5].mean() < profiles[0].mean() - 0.05 and profiles.std().min() > 0.02
    # What is left changes slowly: months differ by more than their noise, days hardly do.
    left = rest[plain] - np.array(
        [profiles.at[row.Store, row.weekday] for row in days[plain].itertuples()]
    )
    months = left.groupby([days["Store"], days["Date"].dt.strftime("%Y-%m")]).mean()
    assert months.std() > 0.05 and left.std() < 0.25


def test_rain_keeps_people_away(raw, states, days):
    """By 0.03; days beside each other tell it, to within some 0.002."""
    weather = load_weather(raw, states, LAST_TEST_DAY)
    weather["is_wet"] = weather["Precipitationmm"] > 0
    placed = days.assign(State=days["Store"].map(states))
    placed = placed.merge(weather, on=["State", "Date"])
    levels = placed.groupby(["Store", "weekday", "Promo", placed["Date"].dt.strftime("%Y-%m")])
    left = placed["log"] - levels["log"].transform("mean")
    wetter = placed["is_wet"] - levels["is_wet"].transform("mean")
    assert (left * wetter).sum() / (wetter**2).sum() == pytest.approx(-0.03, abs=0.01)


def test_trends_move_with_sales(raw, states, days):
    """Store by store, 92 weeks: those of the state's own trend."""
    trends = load_trends(raw, states, LAST_TEST_DAY)
    week = days["Date"] - pd.to_timedelta((days["weekday"] + 1) % 7, unit="D")
    weekly = days.assign(Week=week)[days["Promo"] == 0].groupby(["Store", "Week"])["log"].mean()
    weekly = weekly.reset_index().assign(State=lambda frame: frame["Store"].map(states))
    joined = weekly.merge(trends, on=["State", "Week"])
    found = [part["log"].corr(part["Trend"]) for _, part in joined.groupby("Store")]
    assert np.mean(found) > 0.15


def test_without_signal_sales_depend_on_nothing(tmp_path):
    """Means of some 500 rows or more lie within 4 standard errors of 0.3 / sqrt(n)."""
    write_sample(tmp_path, 3, signal=False)
    days = load_open_days(tmp_path)
    assert days["log"].std() == pytest.approx(0.3, abs=0.01)
    month = days["Date"].dt.strftime("%Y-%m")
    for part in ("Store", "weekday", "Promo", "SchoolHoliday", month):
        groups = days["log"].groupby(days[part] if isinstance(part, str) else part)
        away = (groups.mean() - days["log"].mean()) * np.sqrt(groups.size()) / 0.3
        assert away.abs().max() < 4
    following = days.groupby("Store")["log"].shift()
    assert abs(days["log"].corr(following)) < 4 / np.sqrt(len(days))


@pytest.mark.parametrize(("asked", "n_stores"), [(100, 12), (20_000, 33), (30_000, 50)])
def test_rows_grow_by_whole_stores(tmp_path, asked, n_stores):
    write_sample(tmp_path, 0, n_rows=asked)
    days, is_test = load_days(tmp_path)
    assert days["Store"].unique().tolist() == list(range(1, n_stores + 1))
    assert (~is_test).sum() == n_stores * 600 - 184


def test_stores_written_a_few_at_a_time_are_all_there(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(sample, "STORES_AT_ONCE", 5)
    write_sample(tmp_path, 0)
    days, is_test = load_days(tmp_path)
    assert (~is_test).sum() == 12 * 600 - 184 and is_test.sum() == 8 * 42
    assert days.loc[is_test, "Id"].nunique() == 8 * 42
    assert caplog.messages == ["test.csv: 2 rows do not say Open: taken as open"]


# Holdout


@pytest.fixture
def kaggle(raw, tmp_path):
    """Kaggle's own: train days up to 2015-07-31 of all stores, in its order, and a later test."""
    folder = tmp_path / "kaggle"
    folder.mkdir()
    train, test = (pd.read_csv(raw / name, dtype=TEXT) for name in ("train.csv", "test.csv"))
    rng = np.random.default_rng(1)
    late = test.assign(
        Open=test["Open"].fillna(1).astype(int),
        Sales=rng.integers(1, 9000, len(test)),
        Customers=700,
    )
    late["Sales"] *= late["Open"]
    unasked = late[late["Store"] == 4].assign(Store=3)
    whole = pd.concat([unasked, train, late])[list(TRAIN)]
    whole = whole.sort_values(["Date", "Store"], ascending=[False, True])
    whole.to_csv(folder / "train.csv", index=False)
    august = test.assign(Date="2015-08-01", DayOfWeek=6)
    august.drop_duplicates("Store").to_csv(folder / "test.csv", index=False)
    (folder / "store.csv").write_bytes((raw / "store.csv").read_bytes())
    return folder


def split(kaggle, tmp_path):
    folder = tmp_path / "holdout"
    folder.mkdir()
    return folder, write_split(kaggle, folder)


def test_a_holdout_is_the_last_six_weeks_of_the_stores_that_kaggle_asks_for(raw, kaggle, tmp_path):
    """Ids and columns are those of the made-up test, which is cut in the same way."""
    folder, answers = split(kaggle, tmp_path)
    made = pd.read_csv(raw / "test.csv", dtype=TEXT)
    test = pd.read_csv(folder / "test.csv", dtype=TEXT)
    pd.testing.assert_frame_equal(test, made.assign(Open=made["Open"].fillna(1).astype(int)))
    whole = pd.read_csv(kaggle / "train.csv", dtype=TEXT)
    known = whole.set_index(["Store", "Date"])["Sales"]
    keys = pd.MultiIndex.from_frame(test[["Store", "Date"]])
    assert answers["Id"].tolist() == test["Id"].tolist()
    assert answers["Sales"].tolist() == known.loc[keys].tolist()
    assert answers.loc[(test["Open"] == 0).to_numpy(), "Sales"].eq(0).all()
    asked = pd.read_csv(folder / "sample_submission.csv")
    assert asked.equals(pd.DataFrame({"Id": answers["Id"], "Sales": 0}))


def test_a_holdout_keeps_the_lines_before_it_as_they_are(kaggle, tmp_path):
    folder, _ = split(kaggle, tmp_path)
    header, *lines = (kaggle / "train.csv").read_text().splitlines()
    before = [line for line in lines if line.split(",")[2] < "2015-06-20"]
    assert (folder / "train.csv").read_text().splitlines() == [header, *before]
    assert {line.split(",")[7] for line in before} == {"0", "a", "b", "c"}
    assert (folder / "store.csv").read_bytes() == (kaggle / "store.csv").read_bytes()


def test_a_holdout_takes_the_forums_files_along(raw, states, kaggle, tmp_path):
    names = [
        path.relative_to(raw).as_posix()
        for file in FILES
        if file.optional
        for path in raw.glob(file.path)
    ]
    for name in names:
        (kaggle / name).parent.mkdir(exist_ok=True)
        (kaggle / name).write_bytes((raw / name).read_bytes())
    (kaggle / "weather" / "notes.txt").write_text("of no use")
    folder, _ = split(kaggle, tmp_path)
    copied = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
    needed = {file.path for file in FILES if not file.optional}
    assert copied == {*names, *needed} and len(names) == 1 + 3 + 3
    assert all((folder / name).read_bytes() == (raw / name).read_bytes() for name in names)
    days, is_test = load_days(folder)
    assert is_test.sum() == 336 and days["Store"].nunique() == 12
    assert len(load_weather(folder, states, LAST_TEST_DAY)) == 3 * 642


def test_a_holdout_needs_no_forum(kaggle, tmp_path):
    folder, _ = split(kaggle, tmp_path)
    assert {p.name for p in folder.iterdir()} == {f.path for f in FILES if not f.optional}


def test_train_days_that_end_too_early_cannot_be_cut(raw, tmp_path):
    with pytest.raises(
        InputError,
        match=r"train\.csv: days must reach 2015-07-31 .*, received days up to 2015-06-19$",
    ):
        split(raw, tmp_path)
