from functools import partial

import numpy as np
import pytest
import tensorflow as tf

from common.inputs.mixing import cutmix, mixup

RNG = np.random.default_rng(0)
N = 400
# One constant picture for each row, so that its share can be read off the pixels.
PICTURES = np.full((N, 8, 8, 3), np.arange(N)[:, None, None, None], np.float32)
LABELS = np.eye(N, dtype=np.float32)
BEFORE = np.roll(np.arange(N), 1)
SEED = tf.constant([5, 6])


@pytest.mark.parametrize("mix", [mixup, cutmix])
@pytest.mark.parametrize("alpha", [0.2, 1.0, 3.0])
def test_labels_are_the_shares_of_pixels(mix, alpha):
    """A row and the one before it: what the pixels hold of each, the labels say."""
    pictures, labels = (part.numpy() for part in mix(PICTURES, LABELS, SEED, alpha=alpha))

    rows = np.arange(N)
    kept = labels[rows, rows]
    np.testing.assert_allclose(labels.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(kept + labels[rows, BEFORE], 1, rtol=1e-5)
    np.testing.assert_allclose(
        pictures.mean(axis=(1, 2, 3)), kept * rows + (1 - kept) * BEFORE, rtol=1e-4, atol=1e-3
    )


@pytest.mark.parametrize("mix", [mixup, cutmix])
def test_shares_are_those_of_a_beta(mix):
    """Beta(a, a) has the mean 1/2 and the variance 1 / (4 (2 a + 1)); rectangles of whole pixels
    come near.
    """
    shares = []
    for number in range(10):
        labels = mix(PICTURES, LABELS, tf.constant([number, 0]), alpha=0.5)[1].numpy()
        shares.append(np.diag(labels))

    assert np.mean(shares) == pytest.approx(0.5, abs=0.03)
    assert np.var(shares) == pytest.approx(1 / 8, abs=0.015)


def test_mixup_is_glass_and_cutmix_is_scissors():
    glass = mixup(PICTURES, LABELS, SEED, alpha=1.0)[0].numpy()
    scissors = cutmix(PICTURES, LABELS, SEED, alpha=1.0)[0].numpy()

    assert (glass == glass[:, :1, :1]).all()
    for row, picture in enumerate(scissors):
        assert {*np.unique(picture)} <= {row, BEFORE[row]}
        other = picture[..., 0] != row
        rows, columns = other.any(axis=1), other.any(axis=0)
        assert (other == rows[:, None] & columns).all() and rows.sum() == columns.sum()


@pytest.mark.parametrize("mix", [mixup, cutmix])
def test_eager_is_graph_is_pipeline(mix):
    step = partial(mix, alpha=0.4)
    wanted = step(PICTURES, LABELS, SEED)

    graph = tf.function(step)(PICTURES, LABELS, SEED)
    (piped,) = tf.data.Dataset.from_tensors((PICTURES, LABELS, SEED)).map(step)

    for parts in (graph, piped):
        for part, one in zip(parts, wanted, strict=True):
            np.testing.assert_allclose(part, one, atol=1e-4)


def test_very_small_alphas_give_no_nan():
    """Both gammas of most rows are 0 even in float64."""
    for mix in (mixup, cutmix):
        pictures, labels = mix(PICTURES, LABELS, SEED, alpha=1e-4)
        assert np.isfinite(pictures).all() and np.isfinite(labels).all()


def test_alpha_must_be_positive():
    for mix in (mixup, cutmix):
        with pytest.raises(ValueError, match=r"alpha must be > 0, received 0\.0"):
            mix(PICTURES, LABELS, SEED, alpha=0.0)
