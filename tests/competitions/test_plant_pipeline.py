"""The road of the seedlings: kept fits, views, pseudo-labels, pictures."""

import numpy as np
import pytest

from common.checks import InputError
from competitions.plant_seedlings_classification import pictures as drawing
from competitions.plant_seedlings_classification import pipeline
from competitions.plant_seedlings_classification.competition import SPECIES, TINY, Config
from competitions.plant_seedlings_classification.fits import FEATURE_FITS, NET_FITS
from competitions.plant_seedlings_classification.pipeline import run
from competitions.plant_seedlings_classification.sample import write_sample


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "sample"
    folder.mkdir()
    write_sample(folder, 0, n_rows=48)
    (folder / "source.json").write_text('{"digest": ""}')
    return folder


def make_config(**options):
    return Config(**TINY | options)


def test_the_same_fits_serve_one_view_and_all(raw, tmp_path, monkeypatch):
    config = make_config(models=("finetune",))
    run(config, raw, tmp_path, 0)
    monkeypatch.setitem(NET_FITS, "finetune", lambda *_: pytest.fail("fitted again"))
    kept = sorted((tmp_path / "folds").iterdir())

    run(make_config(models=("finetune",), views=6), raw, tmp_path, 0)

    assert sorted((tmp_path / "folds").iterdir()) == kept


def test_views_are_averaged_before_the_species_is_chosen(raw, tmp_path, monkeypatch):
    """Three of six views say the second species with 0.6, three the first with 0.9."""

    class Sure:
        n_parameters = 1

        def predict(self, rows):
            shares = np.zeros((len(rows), 6, len(SPECIES)))
            shares[:, :3, 1], shares[:, :3, 0] = 0.6, 0.4
            shares[:, 3:, 0], shares[:, 3:, 1] = 0.9, 0.1
            return shares

    monkeypatch.setitem(NET_FITS, "finetune", lambda *_: Sure())
    for views, said in ((1, 1), (3, 1), (6, 0)):
        outcome = run(make_config(models=("finetune",), views=views), raw, tmp_path, 0)
        assert set(outcome.oof.prediction) == {said}
        assert set(outcome.submission["species"]) == {SPECIES[said]}


def test_a_view_that_rules_a_species_out_weighs_more_in_the_geometric_mean(
    raw, tmp_path, monkeypatch
):
    class Sure:
        n_parameters = 1

        def predict(self, rows):
            shares = np.zeros((len(rows), 6, len(SPECIES)))
            shares[:, :5, 1], shares[:, :5, 0] = 0.7, 0.3
            shares[:, 5, 1], shares[:, 5, 0] = 0.001, 0.999
            return shares

    monkeypatch.setitem(NET_FITS, "finetune", lambda *_: Sure())
    for mean, said in (("arithmetic", 1), ("geometric", 0)):
        outcome = run(make_config(models=("finetune",), views=6, mean=mean), raw, tmp_path, 0)
        assert set(outcome.submission["species"]) == {SPECIES[said]}


def test_hard_labels_leave_out_what_the_teacher_doubts(raw, tmp_path, monkeypatch):
    class Teacher:
        n_parameters = 1

        def predict(self, rows):
            shares = np.full((len(rows), 6, len(SPECIES)), 0.05 / 11)
            shares[..., 2] = 0.95
            shares[1::2] = 1 / len(SPECIES)  # Every other row is in doubt.
            return shares

    seen = []

    def learn(plants, config, fit_rows, seed, *, labelled):
        seen.append(labelled)
        return Teacher()

    monkeypatch.setitem(NET_FITS, "finetune", lambda *_: Teacher())
    monkeypatch.setitem(NET_FITS, "pseudo_labels_hard", learn)
    run(make_config(models=("pseudo_labels_hard",)), raw, tmp_path, 0)
    plants = pipeline.load_plants(raw, tmp_path, side_px=16)
    for labelled in seen:
        assert 0 < len(labelled.rows) < plants.is_test.sum()
        assert (labelled.target == np.eye(len(SPECIES))[2]).all()


def test_labels_of_the_test_come_from_the_fit_without_the_fold(raw, tmp_path, monkeypatch):
    """Each fold's teacher says another species; its pupil must be told the same one."""
    told = {}

    class Teacher:
        n_parameters = 1

        def __init__(self, fit_rows):
            self.said = len(told)
            told[fit_rows.tobytes()] = self.said

        def predict(self, rows):
            return np.broadcast_to(np.eye(len(SPECIES))[self.said], (len(rows), 6, 12))

    def learn(plants, config, fit_rows, seed, *, labelled):
        assert labelled.rows.tolist() == np.flatnonzero(plants.is_test).tolist()
        assert set(labelled.target.argmax(axis=1)) == {told[fit_rows.tobytes()]}
        return Teacher(fit_rows)

    monkeypatch.setitem(NET_FITS, "finetune", lambda plants, config, rows, seed: Teacher(rows))
    monkeypatch.setitem(NET_FITS, "pseudo_labels", learn)
    run(make_config(models=("pseudo_labels",)), raw, tmp_path, 0)
    assert len(told) == 2


def test_features_are_made_once(raw, tmp_path, monkeypatch):
    run(make_config(models=("features_knn",)), raw, tmp_path, 0)
    monkeypatch.setattr(pipeline, "make_features", lambda *_: pytest.fail("made again"))
    outcome = run(make_config(models=("features_logistic",), epochs=3), raw, tmp_path, 0)
    assert outcome.score > 2 / len(SPECIES), "colours are told even by chance features"


def test_near_duplicates_stay_in_one_fold(raw, tmp_path):
    outcome = run(make_config(models=tuple(FEATURE_FITS)), raw, tmp_path, 0)
    plants = pipeline.load_plants(raw, tmp_path, side_px=16)
    for group in np.unique(plants.group[:48]):
        assert len(set(outcome.oof.fold[outcome.oof.group == group])) == 1
    assert outcome.oof.ids.tolist() == plants.names[:48].tolist()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"models": ("forest",)}, r"models must be some of features_logistic, .*received forest"),
        ({"models": ()}, "models must be some of .*received none"),
        ({"mean": "median"}, "mean must be one of arithmetic, geometric, received median"),
        ({"views": 7}, r"views must be in \[1, 6\], received 7"),
    ],
)
def test_settings_that_cannot_be_are_told(raw, tmp_path, options, told):
    with pytest.raises(InputError, match=told):
        run(make_config(**options), raw, tmp_path, 0)


def test_pictures_show_mistakes_and_where_a_net_looks(raw, tmp_path, monkeypatch):
    outcome = run(make_config(models=("features_knn",)), raw, tmp_path, 0)
    tiny, train = make_config(epochs=1), drawing.train_net
    monkeypatch.setattr(pipeline, "Config", lambda **_: tiny)
    rows = []
    monkeypatch.setattr(
        drawing, "train_net", lambda *a, **k: (rows.extend(a[2]), train(*a, **k))[1]
    )
    shown = []
    monkeypatch.setattr(drawing, "_lay_over", lambda *a: shown.append(a))

    (tmp_path / "out").mkdir()
    pipeline.draw(outcome, raw, tmp_path / "out")

    names = ["confusions.png", "looks.png", "mistakes.png"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == names
    assert rows == np.flatnonzero(outcome.oof.fold > 0).tolist()
    heats = [heat for _, _, heat, _ in shown if heat is not None]
    assert len(shown) == 18 and len(heats) == 12
    assert all(heat.shape == (16, 16) for heat in heats)
    assert any(np.abs(heat).max() > 0 for heat in heats)
