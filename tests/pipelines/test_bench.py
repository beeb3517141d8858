"""Variants compared, by hand on made-up held-out rows."""

import math

import pytest

from common.data.paths import Home
from pipelines.bench import make_cells
from tests.helpers.benches import FAMILY, SWAPPED, cauchy_p, compare, make_toys, put_family


@pytest.fixture
def home(tmp_path) -> Home:
    return Home(tmp_path)


def test_folds_that_seeds_do_not_redraw_are_averaged_over_seeds_first(runs, home):
    """MAE on each fold, b minus a: seed 0: -1, -2; seed 1: -3, -4; mean over seeds: -2, -3.

    Their mean is -2.5, their variance 0.5; held over fit rows is 4 / 4, so the corrected standard
    error is sqrt((1/2 + 1) 0.5), t = 2.5 / sqrt(0.75) with 1 degree of freedom. c minus a: -1, 3,
    -1, 3; means -1, 3; mean 1, variance 8, t = 1 / sqrt(12). Holm: the smaller p twice, the larger
    once.
    """
    put_family(runs)
    rows = compare(FAMILY, home)
    p_b, p_c = cauchy_p(2.5 / math.sqrt(0.75)), cauchy_p(1 / math.sqrt(12))
    assert p_b < p_c and 2 * p_b < p_c
    assert rows["b"]["p_folds"] == pytest.approx(2 * p_b)
    assert rows["c"]["p_folds"] == pytest.approx(p_c)
    assert (rows["b"]["folds_won"], rows["c"]["folds_won"]) == ("2 of 2", "1 of 2")
    assert rows["b"]["difference"][0] == pytest.approx(-2.5)
    assert rows["c"]["difference"][0] == pytest.approx(1.0)
    assert rows["a"]["difference"] is rows["a"]["p_folds"] is rows["a"]["folds_won"] is None


def test_the_share_of_held_rows_widens_the_test(runs, home):
    """With 16 fit rows, t = 2.5 / sqrt((1/2 + 1/4) 0.5)."""
    put_family(runs, n_fit=16)
    rows = compare(make_toys("ab", {"b": "a"}), home)
    assert rows["b"]["p_folds"] == pytest.approx(cauchy_p(2.5 / math.sqrt(0.375)))


def test_folds_that_seeds_redraw_are_folds_of_their_own(runs, home):
    """Seed 1 deals the rows otherwise: fold 0 and fold 1 each hold two rows of either half.

    b minus a, seed 0: -1, -2; seed 1, both folds: (-3 - 4) / 2 = -3.5. Four folds, mean -2.5,
    variance (2.25 + 0.25 + 1 + 1) / 3 = 1.5; t = 2.5 / sqrt((1/4 + 1) 1.5) with 3 degrees of
    freedom, whose two-sided p is 1 - (2 / pi) (atan x + x / (1 + x^2)), x = t / sqrt(3).
    """
    for variant, first, second in (("a", (2.0, 4.0), (4.0, 6.0)), ("b", (1.0, 2.0), (1.0, 2.0))):
        runs.put(variant, 0, first)
        runs.put(variant, 1, second, fold=SWAPPED)
    rows = compare(make_toys("ab", {"b": "a"}), home)
    x = 2.5 / math.sqrt(1.25 * 1.5) / math.sqrt(3)
    p = 1 - 2 / math.pi * (math.atan(x) + x / (1 + x * x))
    assert rows["b"]["p_folds"] == pytest.approx(p)
    assert rows["b"]["folds_won"] == "4 of 4"


def test_a_variant_with_other_folds_is_compared_on_its_parents(runs, home):
    put_family(runs)
    plain = compare(FAMILY, home)
    for seed in (0, 1):
        runs.made["b", seed].fold = SWAPPED
        runs.made["b", seed].n_fit = 999
    assert compare(FAMILY, home)["b"] == plain["b"]


def test_the_interval_is_that_of_whole_days_whatever_the_seeds(runs, home):
    """All days favour b by something between 1 and 4, so no resample says otherwise."""
    put_family(runs)
    value, low, high = compare(FAMILY, home)["b"]["difference"]
    assert -4 <= low < value < high <= -1 and value == pytest.approx(-2.5)
    assert compare(FAMILY, home)["b"]["p_groups"] < compare(FAMILY, home)["c"]["p_groups"]


def test_other_rows_are_not_compared(runs, home):
    put_family(runs)
    for seed in (0, 1):
        runs.put("c", seed, (1.0, 1.0), prefix="q")
    rows = compare(FAMILY, home)
    assert rows["c"]["difference"] is rows["c"]["p_groups"] is rows["c"]["folds_won"] is None
    assert rows["b"]["p_folds"] == pytest.approx(cauchy_p(2.5 / math.sqrt(0.75)))
    assert make_cells(rows["c"])[4:8] == ["–"] * 4


def test_a_parent_that_was_not_run_is_not_compared_with(runs, home):
    put_family(runs)
    rows = compare(FAMILY, home, variants=("c", "b", "c"))
    assert list(rows) == ["b", "c"] and rows["b"]["difference"] is None
    assert [asked[:2] for asked in runs.asked] == [("c", 0), ("c", 1), ("b", 0), ("b", 1)]


def test_figures_are_means_over_seeds_and_memory_the_largest(runs, home):
    runs.put("a", 0, (2.0, 4.0), true=0.5)
    runs.put("a", 1, (4.0, 6.0), true=0.7)
    runs.put("b", 0, (2.0, 4.0), true=0.5)
    runs.put("b", 1, (2.0, 4.0))
    rows = compare(make_toys("ab"), home)
    row = rows["a"]
    assert (row["score"], row["scores"], row["rows"]) == (4.0, [3.0, 5.0], 8)
    assert row["interval"] == [3.0, 5.5] and row["true"] == pytest.approx(0.6)
    assert (row["seconds"], row["memory"], row["parameters"]) == (10.5, 1001, 7)
    assert rows["b"]["true"] is None


@pytest.mark.parametrize(
    ("lower_is_better", "order", "won"),
    [(True, ["b", "a", "c", "leaky"], "2 of 2"), (False, ["c", "a", "b", "leaky"], "0 of 2")],
)
def test_variants_are_ranked_by_score_and_diagnostics_stand_last(
    runs, home, lower_is_better, order, won
):
    put_family(runs)
    best = (0.0, 0.0) if lower_is_better else (99.0, 99.0)
    for seed in (0, 1):
        runs.put("leaky", seed, best)
    toys = make_toys(["leaky", *"abc"], {"b": "a"}, ("leaky",), lower_is_better=lower_is_better)
    rows = compare(toys, home)
    assert list(rows) == order and rows["b"]["folds_won"] == won
    assert [row["diagnostic"] for row in rows.values()] == [False] * 3 + [True]
    assert make_cells(rows["leaky"])[0] == "leaky (diagnostic)"


def test_a_diagnostic_is_compared_but_makes_nobody_elses_p_larger(runs, home):
    """Holm's family are b and c alone; the diagnostic keeps its p as it is."""
    put_family(runs)
    for seed, first in ((0, (1.0, 2.0)), (1, (1.0, 2.0))):
        runs.put("leaky", seed, first)
    plain = compare(FAMILY, home)
    toys = make_toys([*"abc", "leaky"], {"b": "a", "c": "a", "leaky": "a"}, ("leaky",))
    rows = compare(toys, home)
    assert {variant: rows[variant] for variant in "abc"} == plain
    assert rows["leaky"]["p_folds"] == pytest.approx(cauchy_p(2.5 / math.sqrt(0.75)))
    assert rows["leaky"]["p_folds"] == pytest.approx(rows["b"]["p_folds"] / 2)
    assert rows["leaky"]["folds_won"] == "2 of 2"


def test_equal_variants_do_not_differ(runs, home):
    for variant in "ab":
        for seed in (0, 1):
            runs.put(variant, seed, (1.0, 2.0))
    row = compare(make_toys("ab", {"b": "a"}), home)["b"]
    assert row["difference"] == [0.0, 0.0, 0.0] and row["folds_won"] == "0 of 2"
    assert row["p_folds"] == 1.0 and row["p_groups"] > 0.9
