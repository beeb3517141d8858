"""State Farm's fits: what they look at, and what nets answer."""

from dataclasses import replace

import numpy as np
import pytest

from common.data.folds import FoldStore
from common.training.pseudo_labels import PseudoLabels
from competitions.state_farm_distracted_driver_detection import nets
from competitions.state_farm_distracted_driver_detection.competition import (
    CLASSES,
    TINY,
    Config,
)
from competitions.state_farm_distracted_driver_detection.fits import FITS, SETTINGS_OF
from competitions.state_farm_distracted_driver_detection.frames import load_frames
from competitions.state_farm_distracted_driver_detection.nets import (
    N_DIMS,
    OTHER_NORMS,
    VIEWS,
)
from competitions.state_farm_distracted_driver_detection.pipeline import (
    load_known,
    make_folds,
)
from tests.helpers.memory import load_resident_mib, needs_proc, write_large

CONFIG = replace(Config(), **TINY)


@pytest.fixture(scope="module")
def known(farm_sample, tmp_path_factory):
    work = tmp_path_factory.mktemp("work")
    config = replace(CONFIG, models=("features_logistic", "cnn"))
    store = FoldStore(work, farm_sample, code=farm_sample)
    return load_known(load_frames(farm_sample), config, farm_sample, work, store)


@pytest.mark.parametrize("name", ["features_logistic", "knn_only", "cnn", "resnet"])
def test_held_labels_are_not_looked_at(known, name):
    """What a fit is not given may be anything."""
    fold = make_folds(known.frames, CONFIG, 0)[0]
    label = known.frames.label.copy()
    label[fold.held_rows] = 0
    blind = replace(known, frames=replace(known.frames, label=label))
    predicted, again = (
        FITS[name](k, CONFIG, fold.fit_rows, 0).predict(fold.held_rows) for k in (known, blind)
    )

    np.testing.assert_array_equal(predicted, again)
    np.testing.assert_allclose(predicted[:, :10].sum(axis=1), 1, rtol=1e-5)


def test_a_class_that_no_fit_row_has_gets_nothing(known):
    fit_rows = np.flatnonzero(known.frames.label > 2)
    predicted = FITS["features_logistic"](known, CONFIG, fit_rows, 0).predict(np.arange(5))

    assert predicted.shape == (5, 10) and not predicted[:, :3].any()


def test_a_net_answers_and_places_its_frames(known):
    """Of frames that are asked for in another order, the answers are too."""
    fit_rows, asked = np.arange(0, 250, 5), np.array([7, 300, 9])
    fitted = FITS["resnet"](known, CONFIG, fit_rows, 0)
    predicted, turned = fitted.predict(asked), fitted.predict(asked[::-1])

    assert predicted.shape == (3, 10 + N_DIMS)
    np.testing.assert_allclose(predicted, turned[::-1], atol=1e-5)
    np.testing.assert_allclose(predicted[:, :10].sum(axis=1), 1, atol=1e-5)
    # Directions of length 1, but for what the projection adds or takes.
    assert 0.5 < np.linalg.norm(predicted[:, -N_DIMS:], axis=1).mean() < 1.5


def test_batch_norms_are_brought_to_each_pool_alone(known):
    """What is said of the test does not hang on the held frames that are asked for beside it; and
    answers by the norms of the fit hang on no other frame at all. The net is the same one.
    """
    fit_rows = np.arange(0, 250, 5)
    held, test = np.arange(40), np.flatnonzero(known.frames.is_test)
    plain = FITS["resnet"](known, CONFIG, fit_rows, 0).predict(held)
    fitted = FITS["resnet"](known, replace(CONFIG, norms="fit"), fit_rows, 0)
    together = fitted.predict(np.concatenate([held, test]))
    assert together.shape[1] == 10 * (len(VIEWS) + len(OTHER_NORMS)) + N_DIMS
    np.testing.assert_allclose(together[:40, :10], plain[:, :10], atol=1e-5)
    np.testing.assert_allclose(together[:40, -N_DIMS:], plain[:, -N_DIMS:], atol=1e-5)
    np.testing.assert_allclose(together[40:], fitted.predict(test), atol=1e-5)
    np.testing.assert_allclose(together[:40], fitted.predict(held), atol=1e-5)
    changes = np.abs(fitted.predict(held[:8]) - together[:8])
    by_norms = slice(10 * len(VIEWS), 10 * (len(VIEWS) + len(OTHER_NORMS)))
    assert changes[:, by_norms].max() < 1e-5 < 1e-3 < changes[:, :10].max()
    clean, of_fit = together[:, by_norms].reshape(-1, 2, 10).transpose(1, 0, 2)
    assert np.abs(clean - of_fit).max() > 1e-3


def test_a_net_is_fed_from_where_the_frames_lie(known, monkeypatch):
    """A copy of the rows that are fitted on would be gigabytes of Kaggle's pictures."""

    class Stop(Exception):
        pass

    def stop(pictures, labels, *, rows, **options):
        assert pictures is known.pixels
        np.testing.assert_array_equal(rows, [5, 2, 299])
        own = 0.9 * known.frames.one_hot[[5, 2]] + 0.01  # Smoothed, which a net's labels are not.
        np.testing.assert_allclose(labels, [*own, np.eye(10)[7]], rtol=1e-6)
        raise Stop

    monkeypatch.setattr(nets, "make_picture_batches", stop)
    labelled = PseudoLabels(np.array([299]), np.eye(10, dtype=np.float32)[7:8])
    with pytest.raises(Stop):
        nets.train(known, CONFIG, np.array([5, 2]), 0, name="resnet", labelled=labelled)


@pytest.mark.parametrize("name", FITS)
def test_a_fit_hangs_on_no_setting_that_its_key_leaves_out(known, name):
    """A kept fit is found again where only these differ."""
    asked = set()

    class Noting:
        def __getattr__(self, setting):
            asked.add(setting)
            return getattr(CONFIG, setting)

    rows = np.flatnonzero(~known.frames.is_test)
    FITS[name](known, Noting(), rows[:100], 0).predict(rows[100:110])

    assert asked <= SETTINGS_OF[name] | {"after", "norms"}  # of which the shelf's name tells


@needs_proc
def test_of_frames_on_disk_no_page_stays(known, tmp_path):
    """However many frames the test has."""
    pixels = write_large(tmp_path / "frames.npy")

    def answer(pictures):
        return np.zeros((len(pictures), len(CLASSES) + N_DIMS))

    before = load_resident_mib()
    nets.look(answer, replace(known, pixels=pixels), np.arange(len(pixels)), VIEWS[:1])

    assert load_resident_mib() - before < 40  # of 190
