"""What is made of a pool's answers: one of them, their mean, or their neighbours', too."""

from dataclasses import replace

import numpy as np

from competitions.state_farm_distracted_driver_detection.competition import (
    TINY,
    Config,
)
from competitions.state_farm_distracted_driver_detection.nets import (
    N_DIMS,
    OTHER_NORMS,
    VIEWS,
)
from competitions.state_farm_distracted_driver_detection.pools import smooth_pool
from competitions.state_farm_distracted_driver_detection.smoothing import (
    CANDIDATES,
    find_neighbours,
    smooth,
)

CONFIG = replace(Config(), **TINY)


def test_pools_are_smoothed_as_asked():
    rng = np.random.default_rng(0)
    answers = rng.dirichlet(np.ones(10), (30, len(VIEWS) + len(OTHER_NORMS)))
    views, (clean, of_fit) = answers[:, : len(VIEWS)], answers[:, len(VIEWS) :].swapaxes(0, 1)
    features, thumbnails = rng.normal(size=(30, N_DIMS)), rng.normal(size=(30, 6))
    prediction = np.hstack([answers.reshape(30, -1), features])
    alone = np.hstack([views[:, 0], features])

    def make(*after, norms="pool", of=prediction):
        return smooth_pool(of, thumbnails, replace(CONFIG, after=after, norms=norms))

    np.testing.assert_array_equal(make(), views[:, 0][None])
    np.testing.assert_array_equal(make(of=alone), views[:, 0][None])
    np.testing.assert_array_equal(make(norms="clean"), clean[None])
    np.testing.assert_array_equal(make(norms="fit"), of_fit[None])
    np.testing.assert_allclose(make("views"), views.mean(axis=1)[None])
    near = find_neighbours([features, thumbnails], n_neighbors=CONFIG.n_neighbors)
    both = make("views", "neighbours")
    assert len(both) == len(CANDIDATES)
    np.testing.assert_allclose(
        both[2],
        smooth(views.mean(axis=1), near, bandwidth=CANDIDATES[2][0], passes=CANDIDATES[2][1]),
    )
    np.testing.assert_allclose(
        make("neighbours", of=alone)[0],
        smooth(views[:, 0], near, bandwidth=CANDIDATES[0][0], passes=CANDIDATES[0][1]),
    )
    for name, space in (("features", features), ("pixels", thumbnails)):
        config = replace(CONFIG, after=("neighbours",), spaces=(name,))
        near = find_neighbours([space], n_neighbors=CONFIG.n_neighbors)
        np.testing.assert_allclose(
            smooth_pool(alone, thumbnails, config)[0],
            smooth(views[:, 0], near, bandwidth=CANDIDATES[0][0], passes=CANDIDATES[0][1]),
        )
    simple = smooth_pool(views[:, 0], thumbnails, replace(CONFIG, after=("neighbours",)))
    near = find_neighbours([thumbnails], n_neighbors=CONFIG.n_neighbors)
    np.testing.assert_allclose(
        simple[1], smooth(views[:, 0], near, bandwidth=CANDIDATES[1][0], passes=CANDIDATES[1][1])
    )
