import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from common.nets.transfer import build_backbone, build_classifier, build_embedder
from common.seeds import set_all
from common.training.fine_tuning import (
    StagedAdamW,
    fit_pictures,
    make_predict,
    predict_pictures,
    smooth_labels,
)
from common.training.fit import OneCycle
from tests.helpers.memory import load_resident_mib, needs_proc, write_large


def make_pictures(n=8, side=16, seed=0):
    """Bright and dark pictures, and which is which."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 2
    pictures = rng.integers(0, 100, (n, side, side, 3)) + 150 * labels[:, None, None, None]
    return pictures.astype(np.uint8), np.eye(2, dtype=np.float32)[labels]


def make_batches(pictures, labels, batch_size=4):
    data = tf.data.Dataset.from_tensor_slices((pictures.astype(np.float32), labels))
    return data.batch(batch_size)


def build_net(n_classes=2, **options):
    set_all(0)
    return build_classifier(build_backbone("tiny").model, n_classes=n_classes, **options)


def build_line(n_inputs=3, n_classes=2):
    """A linear softmax of chance weights: two layers, so that their rates may differ."""
    set_all(0)
    x = layers.Input((n_inputs,))
    y = layers.Dense(2, name="lower")(x)
    return keras.Model(x, layers.Dense(n_classes, activation="softmax", name="upper")(y))


@pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword")
def test_it_overfits_eight_pictures_and_saves_and_loads_the_same(tmp_path):
    pictures, labels = make_pictures()
    net = build_net()

    fit_pictures(
        net, make_batches(pictures, labels), epochs=30, learning_rate=1e-2, weight_decay=0.0
    )

    predicted = predict_pictures(net, pictures)
    assert (predicted.argmax(axis=1) == labels.argmax(axis=1)).all()
    net.save(tmp_path / "net.keras")
    again = keras.saving.load_model(tmp_path / "net.keras")
    assert predict_pictures(again, pictures).tobytes() == predicted.tobytes()


def test_steps_are_adam_with_each_layers_rate_and_decay_of_kernels_only():
    """Three steps against a loop of NumPy, eagerly, with a factor of 0.1 on the lower layer."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(12, 3)).astype(np.float32), np.eye(2, dtype=np.float32)[[0, 1] * 6]
    net, twin = build_line(), build_line()
    twin.set_weights(net.get_weights())
    batches = tf.data.Dataset.from_tensor_slices((x, y)).batch(4)

    fit_pictures(
        net,
        batches,
        epochs=1,
        learning_rate=0.1,
        weight_decay=0.2,
        rates={"lower": 0.1, "elsewhere": 5.0},
        warm_up=0.4,
    )

    rates = OneCycle(0.1, n_steps=3, n_warm_up=1)
    factors = [0.1, 0.1, 1.0, 1.0]  # kernel and bias of each layer
    moments = [(np.zeros(v.shape), np.zeros(v.shape)) for v in twin.trainable_variables]
    for step, (inputs, target) in enumerate(batches):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(keras.losses.categorical_crossentropy(target, twin(inputs)))
        values = [v.value for v in twin.trainable_variables]
        for k, gradient in enumerate(tape.gradient(loss, values)):
            variable, (m, v), g = twin.trainable_variables[k], moments[k], gradient.numpy()
            rate = float(rates(step)) * factors[k]
            m[:], v[:] = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
            unbias = np.sqrt(1 - 0.999 ** (step + 1)) / (1 - 0.9 ** (step + 1))
            kept = 1 - rate * 0.2 if g.ndim > 1 else 1
            moved = rate * unbias * m / (np.sqrt(v) + 1e-7)
            variable.assign(kept * variable.numpy() - moved)
    for one, other in zip(net.get_weights(), twin.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=2e-4, atol=1e-6)


def test_graph_and_eager_training_are_the_same(monkeypatch):
    pictures, labels = make_pictures()
    nets = [build_net(), build_net()]
    for net, few in zip(nets, (0, 100), strict=True):
        monkeypatch.setattr("common.training.fine_tuning._VERY_FEW_STEPS", few)
        fit_pictures(
            net, make_batches(pictures, labels), epochs=2, learning_rate=1e-3, weight_decay=0.1
        )
    for one, other in zip(*(net.get_weights() for net in nets), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-4)


def test_batches_must_be_some_and_have_an_end():
    batches = make_batches(*make_pictures())
    for given, received in ((batches.take(0), 0), (batches.repeat(), -1)):
        told = f"^number of batches must be > 0, received {received}$"
        with pytest.raises(ValueError, match=told):
            fit_pictures(build_net(), given, epochs=1, learning_rate=0.1, weight_decay=0.0)


def test_smoothed_labels_keep_shares_from_the_corners():
    """The loss is least at 1 - s + s / C for the class: 0.9 of two classes with s = 0.2."""
    x, y = np.eye(2, dtype=np.float32), np.eye(2, dtype=np.float32)
    for smoothing, wanted in ((0.0, 0.97), (0.2, 0.9)):
        batches = tf.data.Dataset.from_tensors((x, smooth_labels(y, smoothing))).repeat(200)
        batches = batches.apply(tf.data.experimental.assert_cardinality(200))
        net = build_line(2)
        fit_pictures(net, batches, epochs=1, learning_rate=0.1, weight_decay=0.0)
        share = predict_pictures(net, x)[[0, 1], [0, 1]]
        assert (share > wanted).all() if not smoothing else np.abs(share - wanted).max() < 0.01


def test_smoothing_by_hand():
    """Of [1, 0, 0, 0] a fifth is spread over four: 0.8 + 0.05, and 0.05 three times."""
    labels = np.array([[1, 0, 0, 0], [0.5, 0.5, 0, 0]], np.float32)
    smoothed = smooth_labels(labels, 0.2)
    assert smoothed.dtype == np.float32
    np.testing.assert_allclose(smoothed, [[0.85, 0.05, 0.05, 0.05], [0.45, 0.45, 0.05, 0.05]])
    for share in (-0.1, 1.0, np.nan):
        with pytest.raises(ValueError, match=rf"^share must be in \[0, 1\), received {share}$"):
            smooth_labels(labels, share)


def test_predictions_do_not_hang_on_the_batch_and_take_maps_and_several_outputs():
    pictures, _ = make_pictures(n=7)
    net = build_embedder(build_net())

    shares, features = predict_pictures(net, pictures, batch_size=3)

    whole = net(pictures.astype(np.float32), training=False)
    np.testing.assert_allclose(shares, whole[0], rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(features, whole[1], rtol=1e-4, atol=1e-5)
    halves = predict_pictures(net, pictures.astype(np.float16), dtype=np.float16)
    assert halves[1].dtype == np.float16
    np.testing.assert_allclose(halves[1], features, rtol=1e-2, atol=1e-2)


def test_one_trace_serves_pictures_of_all_sizes_and_what_is_learnt_later(monkeypatch):
    net = build_net()
    traces = []
    call = net.__class__.call
    monkeypatch.setattr(net.__class__, "call", lambda *a, **k: (traces.append(1), call(*a, **k))[1])
    predict = make_predict(net, batch_size=3)
    for n, side in ((5, 16), (2, 24)):
        predict(make_pictures(n, side)[0])
    before = predict(make_pictures()[0])
    assert len(traces) == 1

    kernel = net.get_layer("logits").kernel
    kernel.assign(kernel * 3)

    assert np.abs(predict(make_pictures()[0]) - before).max() > 1e-3
    assert len(traces) == 1


def test_bad_arguments_are_told():
    pictures, labels = make_pictures()
    batches, net = make_batches(pictures, labels), build_net()
    options = {"learning_rate": 0.1, "weight_decay": 0.0}
    with pytest.raises(ValueError, match="epochs must be > 0, received 0"):
        fit_pictures(net, batches, epochs=0, **options)
    with pytest.raises(ValueError, match="rates must name layers of the net, received a, b"):
        fit_pictures(net, batches, epochs=1, rates={"a": 1, "b": 1}, **options)
    with pytest.raises(ValueError, match="batch_size must be > 0, received 0"):
        predict_pictures(net, pictures, batch_size=0)
    with pytest.raises(ValueError, match="number of pictures must be > 0, received 0"):
        predict_pictures(net, pictures[:0])


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"learning_rate": 0.0}, "learning_rate must be > 0, received 0.0"),
        ({"weight_decay": -0.1}, "weight_decay must be >= 0, received -0.1"),
        ({"warm_up": 1.0}, r"warm_up must be in \[0, 1\), received 1.0"),
        ({"warm_up": -0.1}, r"warm_up must be in \[0, 1\), received -0.1"),
        ({"rates": {"logits": -1.0}}, "rate of logits must be >= 0, received -1.0"),
    ],
)
def test_numbers_out_of_their_range_are_told(options, told):
    batches = make_batches(*make_pictures())
    options = {"learning_rate": 0.1, "weight_decay": 0.0, **options}
    with pytest.raises(ValueError, match=f"^{told}$"):
        fit_pictures(build_net(), batches, epochs=1, **options)


@pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword")
def test_a_net_that_was_saved_learns_on_at_the_same_rates(tmp_path):
    """A step of the loaded net is that of the net itself, decay and factors included."""
    x, y = np.eye(3, dtype=np.float32), np.eye(2, dtype=np.float32)[[0, 1, 1]]
    batches = tf.data.Dataset.from_tensors((x, y)).repeat(20)
    batches = batches.apply(tf.data.experimental.assert_cardinality(20))
    net = build_line()
    options = {"learning_rate": 0.1, "weight_decay": 0.3, "rates": {"lower": 0.1}}
    fit_pictures(net, batches.take(10), epochs=2, **options)
    net.optimizer.iterations.assign(5)  # At the end of a schedule nothing moves any more.
    net.save(tmp_path / "net.keras")

    again = keras.saving.load_model(tmp_path / "net.keras")

    before = net.get_weights()
    assert again.optimizer.factors == [0.1, 0.1, 1.0, 1.0] and again.optimizer.decay == 0.3
    for one in (net, again):
        one.train_on_batch(x, y)
    for mine, loaded, old in zip(net.get_weights(), again.get_weights(), before, strict=True):
        np.testing.assert_allclose(loaded, mine, rtol=1e-6)
        assert np.abs(mine - old).max() > 1e-4


def test_factors_of_another_net_are_refused():
    optimizer = StagedAdamW(0.1, factors=[0.1, 1.0])
    with pytest.raises(ValueError, match="factors must be 4, one for each variable, received 2"):
        optimizer.build(build_line().trainable_variables)


@pytest.mark.parametrize(
    ("kind", "n_steps", "is_free", "uses_xla"),
    [
        ("CPU", 20, True, False),
        ("GPU", 20, True, True),
        ("GPU", 20, False, False),
        ("GPU", 2, True, False),
    ],
)
def test_xla_is_for_gpus_that_need_not_be_deterministic(
    monkeypatch, kind, n_steps, is_free, uses_xla
):
    """No warning comes where it cannot be; what it trains is the same to rounding."""
    device = tf.config.PhysicalDevice("made up", kind)
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda *_: [device])
    if is_free:
        monkeypatch.setattr("keras.src.trainers.trainer.model_supports_jit", lambda _: True)
    x, y = np.eye(3, dtype=np.float32), np.eye(2, dtype=np.float32)[[0, 1, 1]]
    batches = tf.data.Dataset.from_tensors((x, y)).repeat(n_steps)
    batches = batches.apply(tf.data.experimental.assert_cardinality(n_steps))
    nets = [build_line(), build_line()]
    options = {"epochs": 1, "learning_rate": 0.1, "weight_decay": 0.1}

    fit_pictures(nets[0], batches, **options)

    assert nets[0].jit_compile is uses_xla
    monkeypatch.setattr("common.training.fine_tuning._VERY_FEW_STEPS", 100)
    fit_pictures(nets[1], batches, **options)
    for one, other in zip(*(net.get_weights() for net in nets), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


@needs_proc
def test_of_a_memory_map_no_page_stays(tmp_path):
    pictures = write_large(tmp_path / "kept.npy")
    x = layers.Input((None, None, 3))
    predict = make_predict(keras.Model(x, layers.GlobalAveragePooling2D()(x)))
    predict(pictures[:64])
    before = load_resident_mib()

    means = predict(pictures)

    assert load_resident_mib() - before < 60
    np.testing.assert_allclose(means, pictures.mean(axis=(1, 2)), rtol=1e-4)
