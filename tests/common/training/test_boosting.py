import numpy as np
import pandas as pd
import pytest

from common.training.boosting import fit_lightgbm, fit_xgboost


def fit_deep(table, target, **options):
    """XGBoost, with a tree's size as LightGBM's is asked for."""
    settings = {"rounds": 20, "learning_rate": 0.3, "max_depth": 3, "seed": 0, "threads": 1}
    return fit_xgboost(table, target, **settings | options)


def fit_leafy(table, target, **options):
    settings = {"rounds": 20, "learning_rate": 0.3, "num_leaves": 8, "seed": 0, "threads": 1}
    return fit_lightgbm(table, target, **settings | options)


both = pytest.mark.parametrize("fit", [fit_deep, fit_leafy])


def make_rows(n_rows=600, seed=0):
    """Few values a column, so that no binning loses any; one column has names."""
    rng = np.random.default_rng(seed)
    table = pd.DataFrame(
        {
            "hour": rng.integers(24, size=n_rows),
            "temp": rng.integers(-5, 6, size=n_rows) / 2,
            "city": pd.Categorical(rng.choice(list("abcdef"), n_rows), categories=list("abcdef")),
        }
    )
    of_city = (
        table["city"].map(dict(zip("abcdef", [3, -2, 5, 0, -4, 1], strict=True))).astype(float)
    )
    target = np.sin(table["hour"] / 4) + table["temp"] ** 2 + of_city
    return table, (target + rng.normal(0, 0.1, n_rows)).to_numpy()


def make_step():
    """Four rows of 0 at x = 0 and four of 8 at x = 1."""
    return pd.DataFrame({"x": np.repeat([0.0, 1.0], 4)}), np.repeat([0.0, 8.0], 4)


def test_one_xgboost_stump_by_hand():
    """It starts at the mean 4. The residuals' sums are -16 and 16 over 4 rows each; with a penalty
    of 1 on squares the leaves are -16 / 5 and 16 / 5, of which a rate of 0.5 takes half: 4 - 1.6
    and 4 + 1.6.
    """
    table, target = make_step()

    fitted = fit_deep(table, target, rounds=1, max_depth=1, learning_rate=0.5)

    assert fitted.predict(table.iloc[[0, 7]]) == pytest.approx([2.4, 5.6])
    assert fitted.n_parameters == 2


def test_one_lightgbm_stump_by_hand():
    """As XGBoost's without the penalty: the leaves are -4 and 4, and half of them 2 and 6."""
    table, target = make_step()

    fitted = fit_leafy(table, target, rounds=1, learning_rate=0.5, min_data_in_leaf=4)

    assert fitted.predict(table.iloc[[0, 7]]) == pytest.approx([2.0, 6.0])
    assert fitted.n_parameters == 2


@both
def test_a_leaf_never_has_fewer_rows_than_is_asked_for(fit):
    """Neither side of the step has 5 rows, so there is no split, one leaf a tree, and the mean is
    predicted.
    """
    name = "min_child_weight" if fit is fit_deep else "min_data_in_leaf"
    table, target = make_step()

    fitted = fit(table, target, rounds=3, **{name: 5})

    assert fitted.predict(table) == pytest.approx(np.full(8, 4.0))
    assert fitted.n_parameters <= 3


@both
def test_trees_learn_and_no_tree_is_larger_than_is_asked_for(fit):
    table, target = make_rows()

    fitted = fit(table, target, rounds=60)

    assert np.mean((fitted.predict(table) - target) ** 2) < 0.05 * np.var(target)
    assert 60 * 4 < fitted.n_parameters <= 60 * 8


@both
def test_more_rounds_carry_on_where_fewer_ended(fit):
    table, target = make_rows()
    errors = [
        np.mean((fit(table, target, rounds=rounds).predict(table) - target) ** 2)
        for rounds in (1, 5, 20)
    ]

    assert errors[0] > 2 * errors[1] > 4 * errors[2]


@both
def test_equal_seeds_give_bit_equal_trees_and_another_seed_others(fit):
    table, target = make_rows()

    def predict(**options):
        return fit(table, target, **options).predict(table)

    for options in ({"subsample": 0.5}, {"colsample": 0.7}, {"subsample": 0.5, "colsample": 0.7}):
        one = predict(seed=3, **options)
        assert predict(seed=3, **options).tobytes() == one.tobytes()
        assert np.abs(predict(seed=4, **options) - one).max() > 1e-3
        assert np.abs(predict(seed=3) - one).max() > 1e-3


@both
def test_a_category_is_no_number_so_the_order_of_its_levels_does_not_matter(fit):
    table, target = make_rows(2000)
    other = table.assign(city=table["city"].cat.reorder_categories(list("dafbec")))

    one, another = fit(table, target).predict(table), fit(other, target).predict(other)

    np.testing.assert_allclose(one, another, rtol=0, atol=1e-4)


@both
def test_a_row_is_predicted_alike_whatever_stands_beside_it(fit):
    table, target = make_rows()
    fitted = fit(table, target)
    whole = fitted.predict(table)

    assert np.unique(whole).size > 100
    for row in range(8):
        assert fitted.predict(table.iloc[[row]])[0] == whole[row]


@both
def test_columns_go_by_name_or_are_refused_and_never_by_position(fit):
    table, target = make_rows()
    fitted = fit(table, target)

    try:
        predicted = fitted.predict(table[["temp", "city", "hour"]])
    except ValueError as error:
        assert "feature_names mismatch" in str(error)
    else:
        np.testing.assert_array_equal(predicted, fitted.predict(table))
    with pytest.raises((KeyError, ValueError), match="temp"):
        fitted.predict(table[["hour", "city"]])


@both
def test_fitting_is_silent(fit, capfd):
    table, target = make_rows(60)
    fit(table, target, rounds=2).predict(table)

    assert capfd.readouterr() == ("", "")


@both
def test_unequal_lengths_and_no_rounds_are_refused(fit):
    table, target = make_rows(20)

    with pytest.raises(ValueError, match="received table 20, target 19"):
        fit(table, target[1:])
    with pytest.raises(ValueError, match="rounds must be > 0, received 0"):
        fit(table, target, rounds=0)
