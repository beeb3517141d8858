"""Variants compared: by hand on made-up held-out rows; the child process once, on made-up hours."""

import json
import math
import shutil
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pytest

from common.checks import InputError
from common.contract import Metric
from common.data.paths import Home
from pipelines import bench as benchmark
from pipelines import tables
from pipelines.bench import COLUMNS, bench, make_cells
from pipelines.catalog import Competition, load_competition
from pipelines.run import Request, load_oof_path
from tests.helpers.homes import QUIET, load_told, make_console, make_home

NAME = "toys"
N_ROWS = 8
FOLDS = np.repeat([0, 1], 4)
SWAPPED = np.tile([0, 1], 4)
PNG = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True)
class Config:
    n: int = 0


@dataclass
class Made:
    """What a made-up run of one variant and seed gives: the errors of fold 0 and of fold 1."""

    errors: tuple[float, float]
    fold: np.ndarray
    ids: tuple[str, ...]
    n_fit: int
    true: float | None


class Runs:
    """Stands in for child processes: writes the held-out rows and gives a manifest back."""

    def __init__(self) -> None:
        self.made: dict[tuple[str, int], Made] = {}
        self.asked: list[tuple[str, int, str]] = []

    def put(self, variant, seed, errors, *, fold=FOLDS, prefix="r", n_fit=4, true=None) -> None:
        ids = tuple(f"{prefix}{k}" for k in range(N_ROWS))
        self.made[variant, seed] = Made(errors, fold, ids, n_fit, true)

    def run_child(self, request: Request, home: Home) -> dict:
        self.asked.append((request.variant, request.seed, request.kind))
        made = self.made[request.variant, request.seed]
        shuffled = np.random.default_rng(len(self.asked)).permutation(N_ROWS)
        prediction = np.array(made.errors)[FOLDS]
        path = load_oof_path(home, NAME, request.kind, request.stem)
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(
            path,
            ids=np.array(made.ids)[shuffled],
            fold=made.fold[shuffled],
            group=np.array([f"day {k // 2}" for k in range(N_ROWS)])[shuffled],
            target=np.zeros(N_ROWS),
            prediction=prediction[shuffled],
            n_fit=np.full(2, made.n_fit),
        )
        mean = float(prediction.mean())
        return {
            "code": "c0de",
            "machine": {"cores": 2},
            "score": {
                "metric": "MAE",
                "out_of_fold": mean,
                "interval": [mean - 1, mean + 1 + request.seed],
                "true": made.true,
            },
            "run": {
                "fit_seconds": 10.0 + request.seed,
                "peak_memory_mib": 1000 + request.seed,
                "n_parameters": 7,
            },
        }


@pytest.fixture
def runs(monkeypatch) -> Runs:
    runs = Runs()
    monkeypatch.setattr(benchmark, "_run_child", runs.run_child)
    return runs


@pytest.fixture
def home(tmp_path) -> Home:
    return Home(tmp_path)


def make_toys(variants, parent=None, diagnostics=(), *, lower_is_better=True) -> Competition:
    facts = SimpleNamespace(
        VARIANTS=dict.fromkeys(variants, Config()),
        PARENT=parent or {},
        DIAGNOSTICS=diagnostics,
        METRIC=Metric("MAE", lambda t, p: np.abs(t - p).mean(), lower_is_better),
    )
    return Competition(NAME, facts)  # type: ignore[arg-type]


def compare(toys, home, *, variants=(), n_seeds=2, console=QUIET) -> dict[str, dict]:
    """{variant: its row}, in the table's order."""
    table = bench(toys, home, console, variants=variants, kind="open", n_seeds=n_seeds)
    return {row["variant"]: row for row in table["rows"]}


def put_family(runs: Runs, **options) -> None:
    """One parent and two children, two seeds."""
    for variant, first, second in (
        ("a", (2.0, 4.0), (4.0, 6.0)),
        ("b", (1.0, 2.0), (1.0, 2.0)),
        ("c", (1.0, 7.0), (3.0, 9.0)),
    ):
        runs.put(variant, 0, first, **options)
        runs.put(variant, 1, second, **options)


def cauchy_p(t: float) -> float:
    """Two-sided p of Student's t with one degree of freedom, the Cauchy distribution."""
    return 1 - 2 / math.pi * math.atan(t)


FAMILY = make_toys("abc", {"b": "a", "c": "a"})


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


def test_equal_variants_do_not_differ(runs, home):
    for variant in "ab":
        for seed in (0, 1):
            runs.put(variant, seed, (1.0, 2.0))
    row = compare(make_toys("ab", {"b": "a"}), home)["b"]
    assert row["difference"] == [0.0, 0.0, 0.0] and row["folds_won"] == "0 of 2"
    assert row["p_folds"] == 1.0 and row["p_groups"] > 0.9


def test_the_table_is_printed_stored_drawn_and_read_again(runs, home, monkeypatch):
    put_family(runs)
    for seed in (0, 1):
        runs.made["b", seed].true = 1.25
    console = make_console()
    rows = compare(FAMILY, home, console=console)
    path = home.submissions(NAME, "open") / "bench.json"
    table = json.loads(path.read_text())
    assert table["rows"] == list(rows.values())
    facts = {key: table[key] for key in ("competition", "kind", "metric", "seeds", "code")}
    assert facts == {
        "competition": NAME, "kind": "open", "metric": "MAE", "seeds": 2, "code": "c0de"
    }  # fmt: skip
    cells = make_cells(rows["b"])
    value, low, high = rows["b"]["difference"]
    assert cells[:5] == [
        "b", "8", "1.5000", "1.2500", f"{value:+.4f} ({low:+.4f} to {high:+.4f}) against a"
    ]  # fmt: skip
    assert cells[7:] == ["2 of 2", "10", "1,001", "7"] and len(cells) == len(COLUMNS)
    told = load_told(console)
    assert all(cell in told for cell in cells) and all(head in told for _, head in COLUMNS)
    assert "a seed 1: MAE 5.00000, 11 s of fits" in told and "toys · MAE · data: open" in told
    picture = home.work(NAME) / "pictures" / "open" / "bench.png"
    assert picture.read_bytes()[:8] == PNG
    assert f"stored in {path}\ndrawn in {picture}" in told

    bike = "bike_sharing_demand"
    page = home.root / "competitions" / bike / "README.md"
    page.parent.mkdir(parents=True)
    page.write_text("<!-- table: open-bench -->\n<!-- /table -->\n")
    (home.root / "README.md").write_text("")
    quoted = home.submissions(bike, "open") / "bench.json"
    quoted.parent.mkdir(parents=True)
    quoted.write_text(
        path.read_text().replace(f'"competition": "{NAME}"', f'"competition": "{bike}"')
    )
    monkeypatch.setattr(tables, "CODE", home.root)
    assert f"| {' | '.join(cells)} |\n" in tables.make_pages()[page]


def test_an_unknown_variant_is_told_before_anything_runs(runs, home):
    with pytest.raises(InputError, match="toys has no variant z: there is a, b, c"):
        compare(FAMILY, home, variants=("a", "z"))
    assert runs.asked == []


# The child process.


@pytest.fixture(scope="module")
def bikes(tmp_path_factory) -> Home:
    return make_home(tmp_path_factory.mktemp("home"), load_competition("bike_sharing_demand"))


def test_a_child_runs_in_the_given_home_with_one_job(bikes):
    request = Request(load_competition("bike_sharing_demand"), "baseline", "sample", seed=2)
    manifest = benchmark._run_child(request, bikes)
    assert (manifest["variant"], manifest["seed"], manifest["run"]["jobs"]) == ("baseline", 2, 1)
    folder = bikes.submissions("bike_sharing_demand", "sample")
    assert {p.name for p in folder.iterdir()} == {"baseline-seed2.csv", "baseline-seed2.json"}
    assert load_oof_path(bikes, "bike_sharing_demand", "sample", "baseline-seed2").is_file()


def test_the_last_line_of_a_failed_child_is_passed_on(bikes, tmp_path):
    shutil.copytree(bikes.root / "data", tmp_path / "data")
    home = Home(tmp_path)
    (home.raw("bike_sharing_demand", "sample") / "test.csv").unlink()
    request = Request(load_competition("bike_sharing_demand"), "baseline", "sample", seed=1)
    with pytest.raises(InputError) as failed:
        benchmark._run_child(request, home)
    assert str(failed.value).startswith(
        "`run bike_sharing_demand baseline --data sample --seed 1 --jobs 1` failed: error: "
    )
    assert str(failed.value).endswith("test.csv is missing") and "\n" not in str(failed.value)
