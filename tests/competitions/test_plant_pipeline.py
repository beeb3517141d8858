"""The road of the seedlings: kept fits, views, pseudo-labels, pictures."""

from dataclasses import replace

import numpy as np
import pytest

from common.checks import InputError
from common.data.images import load_picture, write_picture
from competitions.plant_seedlings_classification import pictures as drawing
from competitions.plant_seedlings_classification import pipeline
from competitions.plant_seedlings_classification.competition import SPECIES, TINY, Config
from competitions.plant_seedlings_classification.fits import MAKE, NET_FITS
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
        wanted = 0.9 * np.eye(len(SPECIES))[2] + 0.1 / len(SPECIES)
        np.testing.assert_allclose(labelled.target, [wanted] * len(labelled.rows), rtol=1e-6)


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
    monkeypatch.setitem(MAKE, "features", lambda *_: pytest.fail("made again"))
    outcome = run(make_config(models=("features_logistic",), epochs=3), raw, tmp_path, 0)
    assert outcome.score > 2 / len(SPECIES), "colours are told even by chance features"


def test_near_duplicates_stay_in_one_fold(tmp_path):
    """Twelve pictures come three times more, upright, turned and mirrored."""
    raw = tmp_path / "sample"
    raw.mkdir()
    write_sample(raw, 0, n_rows=48)
    (raw / "source.json").write_text('{"digest": ""}')
    for path in sorted(raw.glob("train/*/*"))[::4]:
        picture = load_picture(path.read_bytes(), path.name)
        copies = (picture, np.rot90(picture, 3), np.flip(np.rot90(picture), 1))
        for letter, copy in zip("xyz", copies, strict=True):
            write_picture(path.with_name(f"{letter}{path.name}"), np.ascontiguousarray(copy))

    outcome = run(make_config(models=("features_knn",), n_folds=4), raw, tmp_path / "w", 0)

    oof, plants = outcome.oof, pipeline.load_plants(raw, tmp_path / "w", side_px=16)
    assert sorted(np.unique(oof.group, return_counts=True)[1]) == [1] * 36 + [4] * 12
    assert oof.ids.tolist() == plants.names[: len(oof.ids)].tolist()
    for name in [name for name in oof.ids if name.startswith("x")]:
        copies = [n for n in oof.ids if n.lstrip("xyz") == name[1:]]
        assert len(copies) == 4
        assert len({*oof.group[np.isin(oof.ids, copies)]}) == 1
        assert len({*oof.fold[np.isin(oof.ids, copies)]}) == 1


def test_a_folds_blend_is_chosen_by_the_labels_of_other_folds(raw, tmp_path, monkeypatch, caplog):
    """One model always says the species, the other its neighbour; then the labels of the first
    fold are the neighbours. That turns the choice for the other fold, and not for the first.
    """
    load, truth = pipeline.load_plants, {}

    class Sure:
        n_parameters = 1

        def __init__(self, shift):
            self.shift = shift

        def predict(self, rows):
            said = np.eye(len(SPECIES))[(truth["label"][rows] + self.shift) % len(SPECIES)]
            return np.repeat(0.9 * said[:, None] + 0.1 / len(SPECIES), 6, axis=1)

    def load_altered(*args, **options):
        plants = load(*args, **options)
        truth["label"] = plants.label
        label = np.where(truth["altered"], (plants.label + 1) % len(SPECIES), plants.label)
        return plants._replace(label=label)

    monkeypatch.setitem(NET_FITS, "finetune", lambda *_: Sure(0))
    monkeypatch.setitem(NET_FITS, "finetune_mixup", lambda *_: Sure(1))
    monkeypatch.setattr(pipeline, "load_plants", load_altered)
    config = make_config(models=("finetune", "finetune_mixup"))
    truth["altered"] = np.zeros(60, bool)
    with caplog.at_level("INFO", pipeline.__name__):
        before = run(config, raw, tmp_path, 0).oof
    assert "weights for the test: {'finetune': 1.0, 'finetune_mixup': 0.0}" in caplog.text
    is_first = before.fold == 0
    truth["altered"][:48][is_first] = True

    after = run(config, raw, tmp_path, 0).oof

    assert after.fold.tolist() == before.fold.tolist()
    assert (after.target != before.target).tolist() == is_first.tolist()
    assert after.prediction[is_first].tolist() == before.prediction[is_first].tolist()
    assert (after.prediction[~is_first] != before.prediction[~is_first]).all()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"models": ("forest",)}, r"models must be some of features_logistic, .*received forest"),
        ({"models": ()}, "models must be some of .*received none"),
        ({"backbone": "vgg"}, r"backbone must be one of lite0, tiny, .*received vgg"),
        ({"mean": "median"}, "mean must be one of arithmetic, geometric, received median"),
        ({"views": 7}, r"views must be in \[1, 6\], received 7"),
        ({"models": ("finetune",) * 2}, "models must be named once each, received finetune twice"),
        ({"epochs": 0}, "^epochs must be >= 1, received 0"),
        ({"side_px": 0}, "^side_px must be >= 1, received 0"),
        ({"learning_rate": 0.0}, "^learning_rate must be > 0, received 0"),
        ({"lowest_rate": 1.5}, r"^lowest_rate must be in \(0, 1\], received 1.5"),
        ({"n_folds": 1}, "^n_folds must be >= 2, received 1"),
        (
            {"n_folds": 10_000},
            r"^n_folds must be in \[2, \d+\], as there are \d+ pictures that are",
        ),
        (
            {"models": ("finetune",), "backbone": "inception_v3"},
            "^pictures for inception_v3 must be at least 75 x 75, received 16 x 16",
        ),
    ],
)
def test_settings_that_cannot_be_are_told(raw, tmp_path, options, told):
    with pytest.raises(InputError, match=told):
        run(make_config(**options), raw, tmp_path, 0)


def test_a_backbone_that_no_model_takes_may_want_larger_pictures():
    config = Config(models=("resnet_small",), backbone="inception_v3", side_px=64)
    pipeline.check_config(config)
    with pytest.raises(InputError, match="backbone must be one of"):
        pipeline.check_config(replace(config, backbone="vgg"))


def test_a_backbone_must_take_the_smaller_pictures_too():
    config = Config(models=("finetune",), backbone="inception_v3", side_px=96, first_share=0.75)
    with pytest.raises(InputError, match="at least 75 x 75, received 72 x 72"):
        pipeline.check_config(config)


def test_maps_are_made_once(raw, tmp_path, monkeypatch):
    run(make_config(models=("finetune_upper",)), raw, tmp_path, 0)
    monkeypatch.setitem(MAKE, "maps", lambda *_: pytest.fail("made again"))
    run(make_config(models=("finetune_upper",), epochs=2), raw, tmp_path, 1)


def test_weights_that_must_be_downloaded_are_asked_for_before_any_fit(raw, tmp_path, monkeypatch):
    def refuse(name, packages):
        raise InputError(f"weights of {name} must be downloaded")

    monkeypatch.setattr(pipeline, "load_weights", refuse)
    monkeypatch.setattr(pipeline, "load_plants", lambda *_, **__: pytest.fail("read before"))
    with pytest.raises(InputError, match="weights of resnet50 must be downloaded"):
        run(make_config(models=("finetune",), backbone="resnet50", side_px=32), raw, tmp_path, 0)


def test_pictures_show_mistakes_and_where_a_net_looks(raw, tmp_path, monkeypatch):
    outcome = run(make_config(models=("features_knn",)), raw, tmp_path, 0)
    tiny, train = make_config(epochs=1), drawing.train_net
    monkeypatch.setattr(pipeline, "Config", lambda **_: tiny)
    rows = []
    monkeypatch.setattr(
        drawing, "train_net", lambda *a, **k: (rows.extend(a[2]), train(*a, **k))[1]
    )
    shown = []
    monkeypatch.setattr(drawing, "show", lambda *a, heat=None: shown.append(heat))

    (tmp_path / "out").mkdir()
    pipeline.draw(outcome, raw, tmp_path / "out")

    names = ["confusions.png", "looks.png", "worst.png"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == names
    assert rows == np.flatnonzero(outcome.oof.fold > 0).tolist()
    heats = [heat for heat in shown if heat is not None]
    assert len(shown[-18:]) == 18 and len(heats) == 12
    assert all(heat.shape == (16, 16) for heat in heats)
    assert any(np.abs(heat).max() > 0 for heat in heats)


def test_the_worst_mistakes_come_first_and_right_pictures_not_at_all(monkeypatch, raw, tmp_path):
    """True species 0 gets 0.3, 0.9, 0.1 and 0.2 in rows 4, 5, 6 and 7; what is left goes to 1."""
    given = np.array([0.3, 0.9, 0.1, 0.2])
    shares = np.zeros((4, len(SPECIES)))
    shares[:, 0], shares[:, 1] = given, 1 - given
    plants = pipeline.load_plants(raw, tmp_path, side_px=16)
    plants = plants._replace(label=np.zeros_like(plants.label))
    shown = []
    monkeypatch.setattr(drawing, "make_predict", lambda net: lambda pictures: shares)
    monkeypatch.setattr(drawing, "show", lambda *a: shown.append(a))

    drawing.draw_worst(None, plants, np.arange(4, 8), tmp_path / "worst.png")

    wanted = [("10%", 6), ("20%", 7), ("30%", 4)]
    for (_, picture, title), (share, row) in zip(shown, wanted, strict=True):
        assert title.endswith(f"is {SPECIES[0]}: {share}") and title.startswith(SPECIES[1])
        assert np.array_equal(picture, plants.pictures[row])
