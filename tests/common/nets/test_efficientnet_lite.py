import keras
import numpy as np
import pytest

from common.nets.efficientnet_lite import (
    EPSILON,
    LITE0,
    TINY,
    Group,
    Layout,
    assign_weights,
    build_efficientnet_lite,
    find_group_ends,
)
from common.seeds import set_all


def collect(net, seed=0):
    """Weights by name, all of them chance."""
    rng = np.random.default_rng(seed)
    return {
        f"{layer.name}/{v.name}": rng.uniform(0.1, 1, v.shape).astype(np.float32)
        * (-1 if "kernel" in v.name else 1) ** rng.integers(2, size=v.shape)
        for layer in net.layers
        for v in layer.weights
    }


def convolve_by_loop(x, kernel, stride, *, depthwise):
    """(H, W, D), TensorFlow's "same": what is missing on all sides goes to the end first."""
    size, channels = kernel.shape[0], kernel.shape[-2] if depthwise else kernel.shape[-1]
    side = -(-x.shape[0] // stride)
    missing = max((side - 1) * stride + size - x.shape[0], 0)
    before = missing // 2
    padded = np.pad(x, ((before, missing - before),) * 2 + ((0, 0),))
    out = np.empty((side, side, channels))
    for i, j in np.ndindex(side, side):
        seen = padded[i * stride : i * stride + size, j * stride : j * stride + size]
        if depthwise:
            out[i, j] = (seen * kernel[..., 0]).sum(axis=(0, 1))
        else:
            out[i, j] = np.einsum("abi,abio->o", seen, kernel)
    return out


def apply_by_loop(layout, weights, picture):
    """The paper's blocks, one after the other, for one picture."""

    def step(x, name, stride=1, depthwise=False, clip=True):
        x = convolve_by_loop(x, weights[f"{name}_conv/kernel"], stride, depthwise=depthwise)
        gamma, beta, mean, variance = (
            weights[f"{name}_bn/{key}"]
            for key in ("gamma", "beta", "moving_mean", "moving_variance")
        )
        x = gamma * (x - mean) / np.sqrt(variance + EPSILON) + beta
        return np.clip(x, 0, 6) if clip else x

    x = step((picture.astype(float) - 127) / 128, "stem", stride=2)
    number = 0
    for group in layout.groups:
        for repeat in range(group.repeats):
            name, stride, start = f"block{number:02d}", 1 if repeat else group.stride, x
            if group.expansion > 1:
                x = step(x, f"{name}_expand")
            x = step(x, f"{name}_depthwise", stride, depthwise=True)
            x = step(x, f"{name}_project", clip=False)
            x = x + start if x.shape == start.shape else x
            number += 1
    return step(x, "head")


def test_the_net_is_its_blocks_by_loops():
    layout = Layout(3, (Group(3, 1, 1, 4, 2), Group(5, 2, 3, 5, 2)), 6)
    net = build_efficientnet_lite(layout)
    weights = collect(net)
    assign_weights(net, weights)
    picture = np.random.default_rng(1).integers(0, 256, (9, 9, 3))

    found = np.asarray(net(picture[None].astype(np.float32)))[0]

    wanted = apply_by_loop(layout, weights, picture)
    assert found.shape == wanted.shape == (3, 3, 6) and wanted.std() > 0.1
    np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-3)


def test_lite0_has_the_papers_parameters():
    """4,652,008 with 1,000 classes, of which 1,281,000 are the classes'; statistics come on top."""
    net = build_efficientnet_lite(LITE0)
    learnt = sum(int(np.prod(variable.shape)) for variable in net.trainable_variables)
    assert learnt == 4_652_008 - 1_281_000
    assert net.output_shape == (None, None, None, 1280)


def test_classes_are_a_softmax_over_the_mean_of_the_maps():
    set_all(0)
    whole = build_efficientnet_lite(TINY, n_classes=4)
    body = build_efficientnet_lite(TINY)
    weights = collect(whole)
    for net in (whole, body):
        assign_weights(net, weights)
    pictures = np.random.default_rng(0).uniform(0, 255, (2, 12, 16, 3)).astype(np.float32)

    features = np.asarray(body(pictures)).mean(axis=(1, 2))
    logits = features @ weights["classes_fc/kernel"] + weights["classes_fc/bias"]

    wanted = np.exp(logits - logits.max(axis=1, keepdims=True))
    wanted /= wanted.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(np.asarray(whole(pictures)), wanted, rtol=1e-4, atol=1e-6)


def test_groups_end_where_the_next_one_begins():
    assert find_group_ends(TINY) == ("stem_relu", "block00_out", "block01_out", "head_relu")
    net = build_efficientnet_lite(TINY)
    shapes = [net.get_layer(name).output.shape[-1] for name in find_group_ends(TINY)]
    assert shapes == [8, 8, 16, 32]
    assert len(find_group_ends(LITE0)) == 9 and find_group_ends(LITE0)[-2] == "block15_out"


def test_weights_that_are_missing_or_of_another_shape_are_named():
    net = build_efficientnet_lite(TINY)
    weights = collect(net)
    with pytest.raises(
        ValueError, match=r"^stem_conv/kernel must have shape \(3, 3, 3, 8\), received \(3,\)$"
    ):
        assign_weights(net, weights | {"stem_conv/kernel": np.zeros(3)})
    del weights["head_bn/beta"]
    with pytest.raises(ValueError, match="weights must hold head_bn/beta"):
        assign_weights(net, weights)


@pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword")
def test_saved_and_loaded_it_predicts_the_same(tmp_path):
    set_all(0)
    net = build_efficientnet_lite(TINY, n_classes=3)
    pictures = np.random.default_rng(0).uniform(0, 255, (2, 16, 16, 3)).astype(np.float32)
    net.save(tmp_path / "net.keras")

    again = keras.saving.load_model(tmp_path / "net.keras")

    assert np.asarray(again(pictures)).tobytes() == np.asarray(net(pictures)).tobytes()
