"""Rossmann's road: the run, what is refused, and what it does without the forum's files."""

import logging
import shutil
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import pytest

from common.checks import InputError
from common.data.files import check_files
from common.data.tables import load_table
from common.metrics.regression import rmspe, rmspe_factor
from competitions.rossmann_store_sales import pictures, pipeline
from competitions.rossmann_store_sales.competition import FILES, Config
from competitions.rossmann_store_sales.fits import FITS
from competitions.rossmann_store_sales.pipeline import (
    make_folds,
    make_leak_check,
    run,
)
from competitions.rossmann_store_sales.store_days import load_store_days
from tests.helpers.rossmann import make_tables

MEDIAN = Config(models=("median",), windows=(1, 2), year_ago=False, factor="none")


@pytest.fixture(scope="module")
def raw(whole):
    """Made-up files, with the forum's; some rows of store 4 do not say `Open`."""
    return whole


@pytest.fixture(scope="module")
def tables():
    """Six stores, whose test is of 48 days, as Kaggle's is; four of them are asked for."""
    return make_tables(6, 300, 48)


@pytest.fixture(scope="module")
def finished(raw, tmp_path_factory):
    """The median with a factor, on the sample."""
    config = replace(MEDIAN, factor="chosen")
    return config, run(config, raw, tmp_path_factory.mktemp("work"), 0)


def test_held_rows_take_the_factor_of_the_other_windows(finished, raw):
    """Recomputed: each window's factor is the best on the other one, the test's on both."""
    config, outcome = finished
    known = load_store_days(raw)
    folds = make_folds(config, known)
    fit = partial(FITS["median"], known, config)
    sales = known.days["Sales"].to_numpy(float)
    raws = [np.exp(fit(fold.fit_rows, 0).predict(fold.held_rows)) for fold in folds]
    targets = [sales[fold.held_rows] for fold in folds]
    factors = [rmspe_factor(*pair) for pair in zip(targets, raws, strict=True)]
    oof = outcome.oof
    for k in (0, 1):
        here = oof.fold == k
        wanted = dict(zip(folds[k].held_rows, raws[k] * factors[1 - k], strict=True))
        rows = np.sort(folds[k].held_rows)
        np.testing.assert_allclose(oof.prediction[here], [wanted[row] for row in rows], rtol=1e-6)
        names = known.days.iloc[rows]
        assert oof.ids[here].tolist() == [
            f"{store} {date:%Y-%m-%d}"
            for store, date in zip(names["Store"], names["Date"], strict=True)
        ]
        assert oof.group[here].tolist() == names["Store"].tolist()
        assert outcome.fold_scores[k] == pytest.approx(rmspe(targets[k], raws[k] * factors[1 - k]))
    assert outcome.score == pytest.approx(rmspe(oof.target, oof.prediction))
    whole = rmspe_factor(np.concatenate(targets), np.concatenate(raws))
    test_rows = np.flatnonzero(known.is_test & (known.days["Open"] == 1).to_numpy())
    refit = np.exp(fit(np.flatnonzero(~known.is_test), 0).predict(test_rows)) * whole
    told = outcome.submission.set_index("Id")["Sales"][known.days["Id"].iloc[test_rows]]
    np.testing.assert_allclose(told, refit, rtol=1e-6)
    assert outcome.n_fit == tuple(int((sales[fold.fit_rows] > 0).sum()) for fold in folds)
    assert outcome.folds_are_windows


def test_fit_rows_are_counted_of_the_chosen_stores_scored_days(tables, tmp_path):
    """Two of the four stores that are asked for are 1 and 5; counted in train.csv itself."""
    config = replace(MEDIAN, n_stores=2)
    outcome = run(config, tables.write(tmp_path / "raw"), tmp_path / "work", 0)
    train, end = tables.train, tables.test["Date"].min()
    is_taken = train["Store"].isin((1, 5)) & (train["Sales"] > 0)
    wanted = [(is_taken & (train["Date"] < end - pd.Timedelta(days=48 * k))).sum() for k in (2, 1)]
    assert outcome.n_fit == tuple(wanted) and set(outcome.oof.group) == {1, 5}


def test_closed_stores_sell_nothing_and_open_ones_do(finished, raw):
    """A row that does not say so is taken as open, and ids come in the order of the sample."""
    _, outcome = finished
    test = load_table(raw / "test.csv", dtypes={"StateHoliday": "str"}).set_index("Id")
    forecast = outcome.submission.set_index("Id")["Sales"]
    is_closed = test["Open"] == 0
    assert forecast[test.index[is_closed]].eq(0).all() and is_closed.sum() > 10
    assert forecast[test.index[~is_closed]].gt(100).all()
    assert test["Open"].isna().sum() == 2 and not is_closed[test["Open"].isna()].any()
    asked = load_table(raw / "sample_submission.csv")
    assert outcome.submission["Id"].tolist() == asked["Id"].tolist()


def test_the_order_of_the_files_does_not_matter(finished, raw, tmp_path):
    """Train and test lie in another order: the same ids, the same forecasts."""
    config, outcome = finished
    other = shutil.copytree(raw, tmp_path / "raw")
    for name in ("train.csv", "test.csv", "store.csv"):
        table = pd.read_csv(raw / name, dtype="str", keep_default_na=False)
        table.sample(frac=1, random_state=0).to_csv(other / name, index=False)
    again = run(config, other, tmp_path / "work", 0)
    pd.testing.assert_frame_equal(again.submission, outcome.submission)
    assert again.score == outcome.score


def test_a_refurbished_test_store_sells_nothing_while_it_is_closed(tables, tmp_path):
    """Test stores are open or closed as test.csv says, whatever the calendar says."""
    test = tables.test.copy()
    is_shut = (test["Store"] == 4) & (test["Date"] < test["Date"].min() + pd.Timedelta(days=20))
    test["Open"] = (~is_shut) * 1
    raw = replace(tables, test=test).write(tmp_path / "raw")
    forecast = run(MEDIAN, raw, tmp_path / "work", 0).submission.set_index("Id")["Sales"]
    assert (forecast[test["Id"]].eq(0).to_numpy() == is_shut.to_numpy()).all()


def test_a_run_without_the_forums_files_goes_on_and_says_so(raw, tmp_path):
    """Each missing file is one line; the trees do with what is there."""
    less = shutil.copytree(raw, tmp_path / "raw")
    for name in ("weather", "googletrend"):
        shutil.rmtree(less / name)
    (less / "store_states.csv").unlink()
    optional = [file.path for file in FILES if file.optional]
    notes = check_files(less, FILES)
    assert len(notes) == len(optional) == 3 and check_files(raw, FILES) == []
    assert all(note.startswith(path) for note, path in zip(notes, optional, strict=True))
    config = Config(models=("lightgbm",), windows=(1, 2), year_ago=False, rounds=5)
    with_them, without = (
        run(config, folder, tmp_path / f"work {folder.parent.name}", 0) for folder in (raw, less)
    )
    assert np.isfinite(without.score) and without.submission["Sales"].max() > 100
    assert without.submission["Sales"].tolist() != with_them.submission["Sales"].tolist()


def test_a_store_without_a_train_day_is_told_and_forecast(tables, tmp_path, caplog):
    less = replace(tables, train=tables.train[tables.train["Store"] != 5])
    with caplog.at_level(logging.WARNING):
        config = replace(MEDIAN, models=("median", "lightgbm"), rounds=5)
        outcome = run(config, less.write(tmp_path / "raw"), tmp_path / "work", 0)
    assert "1 stores have no day in train.csv (5)" in caplog.text
    test = tables.test
    ids = test["Id"][(test["Store"] == 5) & (test["Open"] == 1)]
    assert outcome.submission.set_index("Id")["Sales"][ids].between(500, 50_000).all()
    assert "5" not in {name.split()[0] for name in outcome.oof.ids}


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (
            {"models": ("xgboost", "oracle")},
            "models must be some of median, .*received xgboost, or",
        ),
        ({"models": ()}, "models must be some of .*received none"),
        ({"mean": "arithmetic"}, "mean must be one of geometric, .*received arithmetic"),
        ({"factor": "lucky"}, "factor must be one of none, .*received lucky"),
    ],
)
def test_settings_that_nobody_knows_are_told_in_one_line(raw, tmp_path, changes, told):
    """Before anything is read or written."""
    with pytest.raises(InputError, match=told) as error:
        run(replace(MEDIAN, **changes), raw, tmp_path / "work", 0)
    assert "\n" not in str(error.value) and not (tmp_path / "work").exists()


def test_what_r_fits_is_kept_with_rs_versions(raw, tmp_path, monkeypatch):
    kept = {}

    def stop(*_, name, keep, **__):
        kept[name] = keep.facts["versions"]
        raise KeyboardInterrupt

    monkeypatch.setattr(pipeline, "cross_fit", stop)
    monkeypatch.setattr(pipeline, "load_r_versions", lambda *names: dict.fromkeys(names, "9"))
    for name in ("median", "r_ranger"):
        with pytest.raises(KeyboardInterrupt):
            run(replace(MEDIAN, models=(name,)), raw, tmp_path / "work", 0)

    assert kept["r_ranger"] == kept["median"] | {"ranger": "9", "data.table": "9"}


@pytest.mark.parametrize(
    ("windows", "told"),
    [
        ((), "as have 1 to 14; received none"),
        ((1,), "windows must be two or more, received 1"),
        ((0, 1), "as have 1 to 14; received 0, 1"),
        ((1, 99, 2), "as have 1 to 14; received 1, 2, 99"),
        ((14, 15), "as have 1 to 14; received 14, 15"),
    ],
)
def test_windows_that_cannot_be_are_told_in_one_line(raw, tmp_path, windows, told):
    """None, one alone, the test itself, one before the first day, and the first days themselves."""
    with pytest.raises(InputError, match=f"{told}$") as error:
        run(replace(MEDIAN, windows=windows), raw, tmp_path / "work", 0)
    assert "\n" not in str(error.value) and not list(tmp_path.rglob("*.npy"))


# Alarm and pictures


def test_the_alarms_features_know_no_target_of_their_own_window(raw):
    """A window's targets are lost: the features of its rows stay; those of the next one move."""
    check = make_leak_check(MEDIAN, raw, 0)
    known = load_store_days(raw)
    before = check.make_features(check.target)
    for fold in check.folds[:1]:
        target = check.target.copy()
        target[fold.held_rows] *= 3
        after = check.make_features(target)
        same = (before == after) | (np.isnan(before) & np.isnan(after))
        assert same[fold.held_rows].all() and same[fold.fit_rows].all()
        assert not same[known.is_test].all()
        later = np.setdiff1d(check.folds[1].held_rows, fold.held_rows)
        assert not same[later].all()


@pytest.mark.slow
def test_pictures_are_drawn(raw, finished, tmp_path):
    pipeline.draw(finished[1], raw, tmp_path)
    drawn = list(tmp_path.iterdir())
    assert drawn and all(path.read_bytes().startswith(b"\x89PNG") for path in drawn)


def test_states_are_held_against_the_map():
    """Vectors that are the map itself, turned around, are as far apart as the states; so is noise
    not.
    """
    states = [*pictures.STATE_PLACES]
    places = np.array([*pictures.STATE_PLACES.values()])
    # A degree of longitude is 0.63 of one of latitude there.
    found = pictures._compare_with_map(states, (places * [1, 0.63])[:, ::-1])
    assert found.value > 0.99 and found.p < 0.001
    noise = np.random.default_rng(0).normal(size=places.shape)
    assert pictures._compare_with_map(states, noise).value < 0.3
