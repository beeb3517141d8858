import keras
import numpy as np
import pytest
from keras import layers

from common.checks import InputError
from common.nets.transfer import (
    APPLICATIONS,
    Backbone,
    build_backbone,
    build_classifier,
    build_embedder,
    find_rates,
    find_stage_layers,
    freeze,
    split,
)
from common.seeds import set_all

PICTURES = np.random.default_rng(0).uniform(0, 255, (2, 16, 16, 3)).astype(np.float32)


@pytest.fixture
def tiny():
    set_all(0)
    return build_backbone("tiny")


@pytest.mark.parametrize("n_stages", [1, 2, 3])
def test_lower_and_upper_part_are_the_whole(tiny, n_stages):
    lower, upper = split(tiny, n_stages)

    maps = lower(PICTURES)

    assert np.asarray(upper(maps)).tobytes() == np.asarray(tiny.model(PICTURES)).tobytes()
    assert maps.shape[-1] == [8, 8, 16][n_stages - 1]


def test_parts_share_their_weights_with_the_whole(tiny):
    _, upper = split(tiny, 2)
    before = np.asarray(tiny.model(PICTURES))
    kernel = upper.get_layer("head_conv").kernel
    kernel.assign(2 * kernel)

    after = np.asarray(tiny.model(PICTURES))

    assert np.abs(after - before).max() > 1e-3


@pytest.mark.parametrize("n_stages", [0, 4])
def test_an_empty_part_is_refused(tiny, n_stages):
    with pytest.raises(ValueError, match=r"n_stages must be in \[1, 3\], received"):
        split(tiny, n_stages)


def test_every_layer_is_of_one_stage(tiny):
    stages = find_stage_layers(tiny)
    names = [name for stage in stages for name in stage]
    assert sorted(names) == sorted(layer.name for layer in tiny.model.layers)
    assert [stage[-1] for stage in stages] == list(tiny.stages)
    assert "block01_expand_conv" in stages[2] and "rescaling" in stages[0]


@pytest.mark.parametrize("norms_learn", [True, False])
def test_frozen_layers_do_not_learn_and_their_norms_do_not_look_at_the_batch(tiny, norms_learn):
    freeze(tiny, n_stages=2, norms_learn=norms_learn)

    learning = {variable.path.split("/")[0] for variable in tiny.model.trainable_variables}

    kernels = {"block01_expand_conv", "block01_depthwise_conv", "block01_project_conv", "head_conv"}
    norms = {name.replace("conv", "bn") for name in kernels}
    assert learning == kernels | (norms if norms_learn else set())
    lower, _ = split(tiny, 2)
    same = np.asarray(lower(PICTURES, training=True))
    assert same.tobytes() == np.asarray(lower(PICTURES)).tobytes()
    differs = np.asarray(tiny.model(PICTURES, training=True)) - np.asarray(tiny.model(PICTURES))
    assert (np.abs(differs).max() > 1e-3) == norms_learn


def test_freezing_less_lets_layers_learn_again(tiny):
    n_all = len(tiny.model.trainable_variables)
    freeze(tiny, n_stages=4, norms_learn=True)
    assert not tiny.model.trainable_variables
    freeze(tiny, n_stages=0, norms_learn=True)
    assert len(tiny.model.trainable_variables) == n_all
    with pytest.raises(ValueError, match=r"n_stages must be in \[0, 4\], received 5"):
        freeze(tiny, n_stages=5, norms_learn=True)


def test_every_layer_gets_the_rate_of_its_stage(tiny):
    rates = find_rates(tiny, [0.1, 0.2, 0.5, 0.7])
    assert rates["stem_conv"] == 0.1 and rates["block00_project_bn"] == 0.2
    assert rates["block01_project_bn"] == 0.5 and rates["head_conv"] == 0.7
    assert rates.keys() == {layer.name for layer in tiny.model.layers}
    with pytest.raises(ValueError, match="factors must be 4, one for each stage, received 2"):
        find_rates(tiny, [0.1, 1])


@pytest.mark.parametrize("pooling", ["mean", "max"])
def test_the_classifier_is_a_softmax_over_pooled_maps(tiny, pooling):
    net = build_embedder(build_classifier(tiny.model, n_classes=3, pooling=pooling, dropout=0.5))

    shares, features = (np.asarray(array) for array in net(PICTURES))

    maps = np.asarray(tiny.model(PICTURES))
    wanted = maps.mean(axis=(1, 2)) if pooling == "mean" else maps.max(axis=(1, 2))
    np.testing.assert_allclose(features, wanted, rtol=1e-5)
    kernel, bias = net.get_layer("logits").get_weights()
    logits = np.exp(features @ kernel + bias)
    np.testing.assert_allclose(shares, logits / logits.sum(axis=1, keepdims=True), rtol=1e-4)


def test_logits_are_what_the_softmax_takes_and_training_is_that_of_one_layer(tiny):
    """Against a dense layer with its softmax inside, bit by bit, eagerly and as a graph."""
    net, pooled = build_classifier(tiny.model, n_classes=3), tiny.model.output
    pooled = layers.GlobalAveragePooling2D()(pooled)
    one = keras.Model(tiny.model.input, layers.Dense(3, activation="softmax")(pooled))
    start, labels = net.get_weights(), np.eye(3, dtype=np.float32)[[0, 2]]
    logits = keras.Model(net.input, net.get_layer("logits").output)(PICTURES)
    assert np.asarray(keras.ops.softmax(logits)).tobytes() == np.asarray(net(PICTURES)).tobytes()

    for eagerly in (True, False):
        ends = []
        for model in (net, one):
            model.set_weights(start)
            loss = keras.losses.CategoricalCrossentropy()
            model.compile(keras.optimizers.SGD(0.1), loss, run_eagerly=eagerly, jit_compile=False)
            model.fit(PICTURES, labels, epochs=3, verbose=0)
            ends.append(model.get_weights())
        assert [w.tobytes() for w in ends[0]] == [w.tobytes() for w in ends[1]]
        assert np.abs(ends[0][-2] - start[-2]).max() > 1e-3


def test_the_upper_part_takes_a_head_and_kept_maps(tiny):
    set_all(1)
    whole = build_classifier(tiny.model, n_classes=3)
    lower, upper = split(tiny, 2)
    net = build_classifier(upper, n_classes=3)
    net.get_layer("logits").set_weights(whole.get_layer("logits").get_weights())

    np.testing.assert_allclose(net(lower(PICTURES)), whole(PICTURES), rtol=1e-6)


def test_unknown_names_are_refused_with_the_known_ones(tiny):
    with pytest.raises(ValueError, match=r"backbone must be one of lite0, tiny, .*, received vgg$"):
        build_backbone("vgg")
    with pytest.raises(ValueError, match="pooling must be one of mean, max, received min"):
        build_classifier(tiny.model, n_classes=3, pooling="min")


@pytest.mark.parametrize("name", APPLICATIONS)
def test_pictures_that_are_too_small_are_told_in_one_line(name):
    """Keras itself knows the least side, and would name it for a fixed size; ours is any."""
    function, least, _ = APPLICATIONS[name]
    build = getattr(keras.applications, function)
    with pytest.raises(ValueError, match=f"Input size must be at least {least}x{least}"):
        build(weights=None, include_top=False, input_shape=(least - 1, least, 3))

    told = f"pictures for {name} must be at least {least} x {least}, received {least - 1} x 99"
    with pytest.raises(InputError, match=f"^{told}$"):
        build_backbone(name, size_px=(least - 1, 99))


def test_the_smallest_pictures_pass():
    pictures = np.zeros((1, 75, 80, 3), np.float32)
    assert build_backbone("inception_v3", size_px=(75, 80)).model(pictures).shape[1:3] == (1, 1)
    assert build_backbone("tiny", size_px=(2, 2)).model(pictures[:, :2, :2]).shape[1:3] == (1, 1)


NETS = [
    ("resnet50", "resnet", "ResNet50"),
    ("inception_v3", "inception_v3", "InceptionV3"),
    pytest.param("resnet101", "resnet", "ResNet101", marks=pytest.mark.slow),
    pytest.param(
        "inception_resnet_v2",
        "inception_resnet_v2",
        "InceptionResNetV2",
        marks=pytest.mark.slow,
    ),
]


@pytest.mark.parametrize(("name", "module", "function"), NETS)
def test_keras_own_nets_see_pixels_as_they_were_trained_to(name, module, function):
    """Equal to Keras' net behind Keras' preprocessing, also where it is cut into two."""
    set_all(0)
    keras_own = getattr(keras.applications, function)(weights=None, include_top=False)
    weights = {str(k): array for k, array in enumerate(keras_own.get_weights())}
    pictures = np.random.default_rng(0).uniform(0, 255, (1, 75, 75, 3)).astype(np.float32)
    scaled = getattr(keras.applications, module).preprocess_input(pictures.copy())
    wanted = np.asarray(keras_own(scaled))

    backbone = build_backbone(name, weights=weights)

    assert wanted.std() > 0
    scale = np.abs(wanted).max()
    np.testing.assert_allclose(backbone.model(pictures), wanted, atol=1e-4 * scale)
    for n_stages in range(1, len(backbone.stages)):
        lower, upper = split(backbone, n_stages)
        np.testing.assert_allclose(upper(lower(pictures)), wanted, atol=1e-4 * scale)


def test_another_net_is_a_backbone_too():
    """A net of a competition's own, with stages where it says."""
    pixels = layers.Input((None, None, 3))
    x = layers.Conv2D(4, 3, name="first")(pixels)
    x = layers.Conv2D(5, 3, name="second")(x)
    own = Backbone(keras.Model(pixels, x), ("first", "second"))
    lower, upper = split(own, 1)
    np.testing.assert_allclose(upper(lower(PICTURES)), own.model(PICTURES), rtol=1e-5, atol=1e-5)
