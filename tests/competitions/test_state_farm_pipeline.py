"""State Farm's road: folds, choices, costs, and what is refused."""

import logging
import time
from dataclasses import replace

import numpy as np
import pytest

from common.checks import InputError
from common.metrics.classification import log_loss
from common.training.fitted import Fitted
from competitions.state_farm_distracted_driver_detection import nets, pipeline
from competitions.state_farm_distracted_driver_detection.competition import (
    METRIC,
    TINY,
    Config,
)
from competitions.state_farm_distracted_driver_detection.fits import FITS
from competitions.state_farm_distracted_driver_detection.frames import load_frames
from competitions.state_farm_distracted_driver_detection.nets import (
    N_DIMS,
    OTHER_NORMS,
    VIEWS,
)
from competitions.state_farm_distracted_driver_detection.pipeline import (
    check_config,
    draw,
    make_folds,
    run,
)

CONFIG = replace(Config(), **TINY)


@pytest.fixture(scope="module")
def frames(farm_sample):
    return load_frames(farm_sample)


@pytest.mark.parametrize("n_folds", [2, 5])
def test_a_fold_holds_all_frames_of_its_drivers(frames, n_folds):
    folds = make_folds(frames, replace(CONFIG, n_folds=n_folds), 0)

    for fold in folds:
        assert not set(frames.driver[fold.fit_rows]) & set(frames.driver[fold.held_rows])
        assert not frames.is_test[np.concatenate([fold.fit_rows, fold.held_rows])].any()
    held = np.concatenate([fold.held_rows for fold in folds])
    np.testing.assert_array_equal(np.sort(held), np.flatnonzero(~frames.is_test))


def test_leaky_folds_split_sequences(frames):
    for fold in make_folds(frames, replace(CONFIG, folds="random"), 0):
        assert set(frames.sequence[fold.fit_rows]) & set(frames.sequence[fold.held_rows])


def test_a_model_that_knows_the_answers_is_let_through(farm_sample, tmp_path, monkeypatch):
    """Of a model that is sure and right, 98 % and a fiftieth are left by the floor; of the test,
    every fold's fit says the same.
    """
    frames = load_frames(farm_sample)

    def fit_all_knowing(known, config, fit_rows, seed):
        told = np.where(frames.is_test[:, None], np.eye(10)[3], frames.one_hot)
        return Fitted(lambda asked: told[asked], 1)

    monkeypatch.setitem(FITS, "knn_only", fit_all_knowing)
    outcome = run(replace(CONFIG, models=("knn_only",)), farm_sample, tmp_path, 0)

    assert outcome.score < 0.01 and outcome.score == METRIC(
        outcome.oof.target, outcome.oof.prediction
    )
    assert outcome.submission["img"].tolist() == frames.names[frames.is_test].tolist()
    assert (outcome.submission.iloc[:, 1:].to_numpy().argmax(axis=1) == 3).all()
    np.testing.assert_array_equal(outcome.oof.target.sum(axis=1), 1)


def test_neighbours_are_sought_among_the_same_pool(farm_sample, tmp_path, monkeypatch):
    """Whatever a fold's fit says of the test, its held frames are smoothed the same."""
    frames = load_frames(farm_sample)
    rng = np.random.default_rng(0)
    told = rng.dirichlet(np.ones(10), len(frames.names))
    outcomes = []
    for test_is in (told, told[::-1]):

        def fit(known, config, fit_rows, seed, test_is=test_is):
            mixed = np.where(frames.is_test[:, None], test_is, told)
            return Fitted(lambda asked: mixed[asked], 1)

        monkeypatch.setitem(FITS, "knn_only", fit)
        config = replace(CONFIG, models=("knn_only",), after=("neighbours",))
        outcomes.append(run(config, farm_sample, tmp_path / str(len(outcomes)), 0))
    first, second = outcomes

    np.testing.assert_array_equal(first.oof.prediction, second.oof.prediction)
    assert not first.submission.equals(second.submission)


def test_what_is_compared_is_kept_apart_from_what_is_not(farm_sample, tmp_path, monkeypatch):
    """Nets answer more where views or norms are compared, and all these share their fits."""
    n_fits = []

    def fit(known, config, fit_rows, seed, **_):
        n_fits.append(1)
        n_answers = len(VIEWS) + len(OTHER_NORMS) if nets.compares(config) else 1
        answers = np.full((len(known.frames.names), 10 * n_answers), 0.1)
        return Fitted(lambda asked: np.hstack([answers[asked], np.ones((len(asked), N_DIMS))]), 1)

    monkeypatch.setitem(FITS, "resnet", fit)
    plain = replace(CONFIG, models=("resnet",))
    for config, n_more in (
        (plain, CONFIG.n_folds),
        (replace(plain, after=("views",)), CONFIG.n_folds),
        (replace(plain, norms="clean"), 0),
        (replace(plain, norms="fit"), 0),
        (replace(plain, after=("neighbours",)), 0),
    ):
        n_before = len(n_fits)
        run(config, farm_sample, tmp_path, 0)
        assert len(n_fits) - n_before == n_more


def test_a_drivers_answers_are_chosen_without_her_labels(farm_sample, tmp_path, monkeypatch):
    """With other labels of one driver, her own out-of-fold answers stay as they are."""
    frames = load_frames(farm_sample)
    told = np.random.default_rng(0).dirichlet(np.ones(10), len(frames.names))
    told = 0.5 * told + 0.5 * np.where(frames.is_test[:, None], 0.1, frames.one_hot)
    monkeypatch.setitem(FITS, "knn_only", lambda *_: Fitted(lambda asked: told[asked], 1))
    config = replace(CONFIG, models=("knn_only",), after=("neighbours",))
    before = run(config, farm_sample, tmp_path / "before", 0).oof
    is_hers = frames.driver == frames.driver[0]
    altered = replace(frames, label=np.where(is_hers, (frames.label + 3) % 10, frames.label))
    monkeypatch.setattr(pipeline, "load_frames", lambda raw: altered)
    after = run(config, farm_sample, tmp_path / "after", 0).oof

    hers = before.group == frames.driver[0]
    np.testing.assert_array_equal(before.prediction[hers], after.prediction[hers])
    assert not np.allclose(before.prediction[~hers], after.prediction[~hers])


def test_each_size_is_loaded_once(farm_sample, tmp_path, monkeypatch):
    load, sizes = pipeline.load_pixels, []

    def note(frames, raw, work, *, size_px):
        sizes.append(size_px)
        return load(frames, raw, work, size_px=size_px)

    def fit(known, config, fit_rows, seed):
        seen.append(known.pixels.shape[1:3])
        return Fitted(lambda asked: np.full((len(asked), 10), 0.1), 1)

    seen = []
    monkeypatch.setattr(pipeline, "load_pixels", note)
    for name in ("cnn", "cnn_large"):
        monkeypatch.setitem(FITS, name, fit)
    run(replace(CONFIG, models=("cnn", "cnn_large")), farm_sample, tmp_path, 0)

    assert sizes == [(15, 20), (20, 27)] and seen == [(15, 20)] * 2 + [(20, 27)] * 2
    sizes.clear()
    run(replace(CONFIG, models=("cnn_large",)), farm_sample, tmp_path, 0)
    assert sizes == [(20, 27)]


def test_frozen_features_count_among_the_costs(farm_sample, tmp_path, monkeypatch):
    """Also in a run that finds them made."""

    def embed(known, config):
        time.sleep(0.3)
        return np.ones((len(known.frames.names), 2), np.float32)

    def fit(known, config, fit_rows, seed):
        return Fitted(lambda asked: np.full((len(asked), 10), 0.1), 1)

    monkeypatch.setattr(pipeline, "embed_frozen", embed)
    monkeypatch.setitem(FITS, "knn_only", fit)
    for _ in range(2):
        outcome = run(replace(CONFIG, models=("knn_only",)), farm_sample, tmp_path, 0)
        assert outcome.cost.seconds > 0.3


def test_settings_that_name_nothing_are_refused(farm_sample, tmp_path):
    for config, told in (
        (replace(CONFIG, models=()), "models must be some of features_logistic, .*received none"),
        (replace(CONFIG, models=("vgg",)), "models must be some of .*, received vgg"),
        (replace(CONFIG, after=("luck",)), "after must be some of views, .*, received luck"),
        (
            replace(CONFIG, norms="fit", after=("views",)),
            "norms must be pool where views follow, received fit",
        ),
        (
            replace(CONFIG, models=("cnn", "knn_only"), after=("neighbours", "pseudo")),
            "models must be nets .cnn, cnn_large, resnet. for views, pseudo, other norms and",
        ),
        (replace(CONFIG, models=("knn_only",), norms="fit"), "models must be nets .*knn_only"),
        (
            replace(CONFIG, models=("knn_only",), after=("neighbours",), spaces=("features",)),
            "models must be nets .* neighbours by features alone, received knn_only",
        ),
        (replace(CONFIG, spaces=("time",)), "spaces must be some of features, pixels, received ti"),
        (replace(CONFIG, spaces=()), "spaces must be some of features, pixels, received none"),
        (replace(CONFIG, spaces=("pixels",) * 2), "spaces must be named once each, received pix"),
        (replace(CONFIG, norms="none"), "norms must be one of pool, clean, fit, received none"),
        (replace(CONFIG, backbone="vgg"), "backbone must be one of lite0, tiny, .* received vgg"),
        (replace(CONFIG, models=("cnn", "cnn")), "models must be named once each, received cnn tw"),
        (
            replace(CONFIG, backbone="inception_v3"),
            "pictures for inception_v3 must be at least 75 x 75, received 15 x 20",
        ),
        (replace(CONFIG, n_neighbors=0), "^n_neighbors must be >= 1, received 0"),
        (replace(CONFIG, steps=-1), "^steps must be >= 1, received -1"),
        (replace(CONFIG, n_folds=1), "^n_folds must be >= 2, received 1"),
        (replace(CONFIG, n_folds=6), "^n_folds must be in .2, 5., as there are 5 drivers, rec"),
        (replace(CONFIG, models=("knn_only",), folds="x"), "folds must be one of drivers, random"),
    ):
        with pytest.raises(InputError, match=told):
            run(config, farm_sample, tmp_path, 0)


def test_a_backbone_must_take_the_frames_that_its_model_sees():
    config = replace(CONFIG, backbone="inception_v3", height_px=60, width_px=80)

    check_config(replace(config, models=("cnn_large",)))  # sees 80 x 107
    check_config(replace(config, models=("knn_only", "resnet")))  # 180 x 240, and none
    with pytest.raises(InputError, match="at least 75 x 75, received 60 x 80"):
        check_config(replace(config, models=("cnn_large", "cnn")))


def test_thumbnails_are_made_where_they_are_looked_at(farm_sample, tmp_path, monkeypatch):
    def fit(known, config, fit_rows, seed, **_):
        return Fitted(lambda asked: np.full((len(asked), 10 + N_DIMS), 0.1), 1)

    made = []
    load = pipeline.load_thumbnails
    monkeypatch.setattr(pipeline, "load_thumbnails", lambda *a: (made.append(1), load(*a))[1])
    monkeypatch.setitem(FITS, "resnet", fit)
    for spaces, n in ((("features",), 0), (("pixels",), 1)):
        config = replace(CONFIG, models=("resnet",), after=("neighbours",), spaces=spaces)
        run(config, farm_sample, tmp_path, 0)
        assert len(made) == n


def test_the_choice_is_told(farm_sample, tmp_path, caplog):
    with caplog.at_level(logging.INFO):
        run(replace(CONFIG, models=("knn_only",)), farm_sample, tmp_path, 0)

    assert "chosen for the test: knn_only temperature" in caplog.text


def test_pictures_are_drawn(farm_sample, tmp_path, monkeypatch):
    monkeypatch.setattr(pipeline, "Config", lambda: CONFIG)
    seen = []
    train = nets.train
    monkeypatch.setattr(nets, "train", lambda *args, **options: train(*note(args), **options))

    def note(args):
        seen.append(args[2])
        return args

    config = replace(CONFIG, models=("knn_only",), n_folds=4)
    outcome = run(config, farm_sample, tmp_path / "work", 3)
    out = tmp_path / "out"
    out.mkdir()
    draw(outcome, farm_sample, out)

    frames = load_frames(farm_sample)
    ((fitted,),) = (seen,)
    assert set(frames.names[fitted]) == set(outcome.oof.ids[outcome.oof.fold > 0])

    names = ["confusions.png", "neighbours.png", "occlusions.png", "worst.png"]
    assert sorted(path.name for path in out.iterdir()) == names
    assert all((out / name).read_bytes().startswith(b"\x89PNG") for name in names)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_nets_learn_where_the_hand_is(farm_sample, tmp_path):
    """With signal, all drivers hold the hand at the same place for the same thing."""
    config = replace(CONFIG, models=("resnet",), after=("neighbours",), backbone="lite0")
    config = replace(config, scratch_steps=300, height_px=30, width_px=40)
    outcome = run(config, farm_sample, tmp_path, 0)

    uniform = np.full(outcome.oof.target.shape, 0.1)
    assert outcome.score < 0.7 * log_loss(outcome.oof.target, uniform)
