import numpy as np
import pytest
import tensorflow as tf

from common.inference.grad_cam import grad_cam

rng = np.random.default_rng(0)
MAPS = rng.normal(size=(3, 4, 6, 5)).astype(np.float32)
KERNEL = rng.normal(size=(5, 7)).astype(np.float32)
LABELS = np.array([2, 0, 6])


def pool_and_weigh(maps):
    """The net for which Grad-CAM and CAM are the same: a dense layer on the maps' means."""
    return tf.reduce_mean(maps, axis=(1, 2)) @ KERNEL


def find(upper=pool_and_weigh, *, maps=MAPS):
    """Pictures as large as their maps, so that nothing is resized."""
    return grad_cam(lambda _: maps, upper, maps, LABELS)


def test_of_pooled_maps_is_the_positive_part_of_their_weighted_sum():
    """The slope of a mean over 24 places is the weight / 24 at each (Zhou et al., 2016)."""
    summed = np.einsum("bhwd,db->bhw", MAPS, KERNEL[:, LABELS])
    np.testing.assert_allclose(find(), np.maximum(summed, 0) / 24, rtol=1e-4, atol=1e-6)


def test_slopes_are_those_of_central_differences():
    """A net that is not linear: nudging one map by h everywhere changes the score by h times the
    sum of its slopes.
    """

    def upper(maps):
        return tf.reduce_sum(tf.tanh(maps), axis=(1, 2)) @ KERNEL

    step, sums = 1e-2, []
    for k in range(5):
        nudge = np.zeros(5, np.float32)
        nudge[k] = step
        high, low = (
            tf.gather(upper(m), LABELS, batch_dims=1) for m in (MAPS + nudge, MAPS - nudge)
        )
        sums.append((high - low) / (2 * step))
    wanted = np.maximum(np.einsum("bhwd,db->bhw", MAPS, np.array(sums) / 24), 0)
    np.testing.assert_allclose(find(upper), wanted, rtol=1e-2, atol=1e-3)


def test_a_net_that_is_sure_is_not_dark():
    """The logit is 30 above all others, so its probability is 1 in float32 and has no slope; the
    paper's formula (1 and 2) has the logit's.
    """
    kernel = tf.constant(np.eye(5, dtype=np.float32))
    maps = MAPS - MAPS.mean(axis=(1, 2), keepdims=True) + np.float32([30, 0, 0, 0, 0])

    def upper(maps):
        return tf.reduce_mean(maps, axis=(1, 2)) @ kernel

    assert tf.nn.softmax(upper(maps)).numpy()[:, 0].min() == 1
    found = grad_cam(lambda _: maps, upper, maps, np.zeros(3, int))
    np.testing.assert_allclose(found, maps[..., 0] / 24, rtol=1e-5)
    assert found.mean() > 1


def test_lights_up_the_place_of_what_the_class_is_known_by():
    """One map sees a bright pixel; the class counts it, and the other class nothing."""
    pictures = np.zeros((1, 16, 16, 1), np.float32)
    pictures[0, 4, 12] = 1.0

    def lower(p):
        return tf.nn.max_pool2d(p, 4, 4, "VALID")

    def upper(maps):
        total = tf.reduce_sum(maps, axis=(1, 2))
        return tf.concat([total, -total], axis=1)

    lit, dark = (grad_cam(lower, upper, pictures, np.array([label]))[0] for label in (0, 1))
    assert lit.shape == (16, 16) and not dark.any()
    assert lit[4:8, 12:16].min() > 0.2 and lit[:, :8].max() == 0


def test_runs_in_a_graph():
    eager = find()
    np.testing.assert_allclose(find(tf.function(pool_and_weigh)), eager, rtol=1e-5, atol=1e-7)


def test_what_is_no_map_is_refused():
    with pytest.raises(ValueError, match="lengths must be equal, received pictures 3, labels 2"):
        grad_cam(tf.identity, tf.identity, MAPS, LABELS[:2])
    with pytest.raises(ValueError, match=r"feature maps must have shape \(3, any, any, any\)"):
        find(maps=MAPS[:, 0])
