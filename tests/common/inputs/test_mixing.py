import numpy as np
import pytest

from common.inputs.mixing import cutmix, mixup
from common.inputs.stream import make_picture_batches

N = 200
# One constant picture for each row, so that its share can be read off the pixels.
PICTURES = np.full((N, 8, 8, 3), np.arange(N, dtype=np.uint8)[:, None, None, None])
LABELS = np.eye(N, dtype=np.float32)
BEFORE = np.roll(np.arange(N), 1)


def make_rng(seed=5):
    return np.random.default_rng(seed)


@pytest.mark.parametrize("mix", [mixup, cutmix])
@pytest.mark.parametrize("alpha", [0.2, 1.0, 3.0])
def test_labels_are_the_shares_of_pixels(mix, alpha):
    """A row and the one before it: what the pixels hold of each, the labels say."""
    pictures, labels = mix(PICTURES, LABELS, make_rng(), alpha=alpha)

    rows = np.arange(N)
    kept = labels[rows, rows]
    assert pictures.dtype == np.uint8 and labels.dtype == np.float32
    np.testing.assert_allclose(labels.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(kept + labels[rows, BEFORE], 1, rtol=1e-5)
    rounding = 0.51 if mix is mixup else 1e-3
    np.testing.assert_allclose(
        pictures.mean(axis=(1, 2, 3)), kept * rows + (1 - kept) * BEFORE, atol=rounding
    )


@pytest.mark.parametrize("mix", [mixup, cutmix])
def test_what_is_given_stays_as_it_is(mix):
    pictures, labels = PICTURES.copy(), LABELS.copy()
    mix(pictures, labels, make_rng(), alpha=1.0)
    assert (pictures == PICTURES).all() and (labels == LABELS).all()


@pytest.mark.parametrize("mix", [mixup, cutmix])
def test_shares_are_those_of_a_beta(mix):
    """Beta(a, a) has the mean 1/2 and the variance 1 / (4 (2 a + 1)); rectangles of whole pixels
    come near.
    """
    shares = []
    for number in range(20):
        labels = mix(PICTURES, LABELS, make_rng(number), alpha=0.5)[1]
        shares.append(np.diag(labels))

    assert np.mean(shares) == pytest.approx(0.5, abs=0.03)
    assert np.var(shares) == pytest.approx(1 / 8, abs=0.015)


def test_mixup_is_glass_and_cutmix_is_scissors():
    glass = mixup(PICTURES, LABELS, make_rng(), alpha=1.0)[0]
    scissors = cutmix(PICTURES, LABELS, make_rng(), alpha=1.0)[0]

    assert (glass == glass[:, :1, :1]).all()
    for row, picture in enumerate(scissors):
        assert {*np.unique(picture)} <= {row, BEFORE[row]}
        other = picture[..., 0] != row
        rows, columns = other.any(axis=1), other.any(axis=0)
        assert (other == rows[:, None] & columns).all() and rows.sum() == columns.sum()


@pytest.mark.parametrize("mix", [mixup, cutmix])
def test_eager_is_pipeline(mix):
    drawn = []

    def note(pictures, labels, rng):
        drawn.append((labels, rng.bit_generator.seed_seq.entropy))
        return mix(pictures, labels, rng)

    ((pictures, labels),) = make_picture_batches(PICTURES, LABELS, batch_size=N, seed=0, mix=note)

    before, entropy = drawn[-1]
    by_hand = mix(PICTURES[before.argmax(axis=1)], before, np.random.default_rng(entropy))
    np.testing.assert_array_equal(pictures, by_hand[0])
    np.testing.assert_array_equal(labels, by_hand[1])


def test_very_small_alphas_give_no_nan():
    for mix in (mixup, cutmix):
        pictures, labels = mix(PICTURES, LABELS, make_rng(), alpha=1e-4)
        assert np.isfinite(labels).all() and len(np.unique(pictures)) > N / 4


def test_alpha_must_be_positive():
    for mix in (mixup, cutmix):
        with pytest.raises(ValueError, match=r"alpha must be > 0, received 0\.0"):
            mix(PICTURES, LABELS, make_rng(), alpha=0.0)
