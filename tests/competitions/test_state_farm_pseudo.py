"""State Farm's pseudo-labels: whose answers they are, and which fits learn them."""

from dataclasses import replace

import numpy as np
import pytest

from common.data.folds import FoldStore
from common.training.cross_fit import CrossFitted
from competitions.state_farm_distracted_driver_detection import pseudo
from competitions.state_farm_distracted_driver_detection.competition import TINY, Config
from competitions.state_farm_distracted_driver_detection.fits import FITS
from competitions.state_farm_distracted_driver_detection.frames import load_frames
from competitions.state_farm_distracted_driver_detection.pipeline import (
    load_known,
    make_folds,
)
from competitions.state_farm_distracted_driver_detection.smoothing import (
    find_neighbours,
    smooth,
)

CONFIG = replace(Config(), **TINY)


@pytest.fixture(scope="module")
def known(farm_sample, tmp_path_factory):
    work = tmp_path_factory.mktemp("work")
    config = replace(CONFIG, models=("cnn",))
    store = FoldStore(work, farm_sample, code=farm_sample)
    return load_known(load_frames(farm_sample), config, farm_sample, work, store)


def fit_with_pseudo(known, before, folds, config, tmp_path, farm_sample):
    store = FoldStore(tmp_path, farm_sample, code=farm_sample)
    thumbnails = np.random.default_rng(0).normal(size=(len(known.frames.names), 4))
    pseudo.fit_with_pseudo("cnn", before, known, thumbnails, folds, config, store, 0)
    return thumbnails


def test_pseudo_labels_are_of_the_fit_without_the_fold(known, farm_sample, tmp_path, monkeypatch):
    """Each fold's second fit gets the answers of its own first one, smoothed within each pool, for
    its held rows and the test's, and for no row that it has a label of.
    """
    frames, seen = known.frames, []
    folds = make_folds(frames, CONFIG, 0)
    test_rows = np.flatnonzero(frames.is_test)
    rng = np.random.default_rng(0)
    prediction = rng.dirichlet(np.ones(10), len(frames.names))
    test = rng.dirichlet(np.ones(10), (len(folds), len(test_rows)))
    before = CrossFitted(prediction, np.zeros(len(prediction), int), test, cost=None)

    def note(fit, folds, is_test, **options):
        for fold in folds:
            fit(fold.fit_rows, 0)
        return before

    monkeypatch.setitem(FITS, "cnn", lambda *_, labelled: seen.append(labelled))
    monkeypatch.setattr(pseudo, "cross_fit", note)
    monkeypatch.setattr(pseudo, "add_costs", lambda costs: None)
    config = replace(CONFIG, after=("neighbours", "pseudo"))
    thumbnails = fit_with_pseudo(known, before, folds, config, tmp_path, farm_sample)

    for k, (fold, labels) in enumerate(zip(folds, seen, strict=True)):
        wanted = np.full((len(frames.names), 10), np.nan)
        for rows, answers in ((fold.held_rows, prediction[fold.held_rows]), (test_rows, test[k])):
            near = find_neighbours([thumbnails[rows]], n_neighbors=CONFIG.n_neighbors)
            bandwidth, passes = pseudo.PSEUDO
            wanted[rows] = smooth(answers, near, bandwidth=bandwidth, passes=passes)
        n_pools = len(fold.held_rows) + len(test_rows)
        assert len(labels.rows) == min(n_pools, len(fold.fit_rows))
        assert len(set(labels.rows)) == len(labels.rows)
        np.testing.assert_allclose(labels.target, wanted[labels.rows], atol=1e-6)
        assert not np.isin(labels.rows, fold.fit_rows).any()


def test_pseudo_labels_of_other_answers_make_other_fits(known, farm_sample, tmp_path, monkeypatch):
    """What is smoothed, or averaged over views, is learnt from: its fits are kept apart."""
    n, shelves = len(known.frames.names), []
    before = CrossFitted(
        np.full((n, 10), 0.1),
        np.zeros(n, int),
        np.full((CONFIG.n_folds, known.frames.is_test.sum(), 10), 0.1),
        cost=None,
    )

    def note(*args, keep, **options):
        shelves.append(keep.facts)
        return before

    monkeypatch.setattr(pseudo, "cross_fit", note)
    monkeypatch.setattr(pseudo, "add_costs", lambda costs: None)
    folds = make_folds(known.frames, CONFIG, 0)
    for after in (("pseudo",), ("neighbours", "pseudo"), ("views", "neighbours", "pseudo")):
        fit_with_pseudo(known, before, folds, replace(CONFIG, after=after), tmp_path, farm_sample)

    assert shelves[0] != shelves[1] != shelves[2] != shelves[0]
