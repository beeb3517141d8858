import keras
import numpy as np
import pytest
import tensorflow as tf

from common.losses.distance import mean_distance
from common.nets.entity_embedding import build_entity_embedding
from common.seeds import set_all
from common.training import fit
from common.training.fit import fit_net, make_batches, predict_net


def make_rows(n_rows, seed=0):
    rng = np.random.default_rng(seed)
    inputs = {
        "codes": rng.integers(4, size=(n_rows, 1)).astype(np.int32),
        "numbers": rng.normal(size=(n_rows, 2)).astype(np.float32),
    }
    return inputs, rng.normal(size=n_rows).astype(np.float32)


def take_epoch(batches):
    """List the row numbers of each batch, and check that inputs and target are of the same rows."""
    epoch = []
    for inputs, target in batches:
        np.testing.assert_array_equal(inputs["double"], 2 * target)
        epoch.append(target.numpy().astype(int).tolist())
    return epoch


def make_numbered(n_rows, batch_size, seed=0):
    rows = np.arange(n_rows, dtype=np.float32)
    return make_batches({"double": 2 * rows}, rows, batch_size=batch_size, seed=seed)


@pytest.mark.parametrize(
    ("n_rows", "batch_size", "sizes"),
    [(12, 4, [4, 4, 4]), (11, 4, [4, 4]), (3, 4, [3]), (1, 1, [1]), (5, 1, [1] * 5)],
)
def test_an_epoch_sees_every_row_once_but_those_of_the_last_smaller_batch(
    n_rows, batch_size, sizes
):
    batches = make_numbered(n_rows, batch_size)
    epoch = take_epoch(batches)

    assert [len(batch) for batch in epoch] == sizes and len(batches) == len(sizes)
    seen = [row for batch in epoch for row in batch]
    assert len(set(seen)) == len(seen) and set(seen) <= set(range(n_rows))


def test_rows_that_one_epoch_drops_come_in_others():
    batches = make_numbered(11, 4)

    seen = {row for _ in range(6) for batch in take_epoch(batches) for row in batch}
    assert seen == set(range(11))


def test_epochs_are_shuffled_anew_over_all_rows():
    """A row's batch among 10 is any with chance 1/10: in 30 epochs, it is in more than 5 different
    ones.

    The last row too comes early in some epoch: one of the first 3 batches in all but 0.7^30 =
    0.00002 of cases.
    """
    batches = make_numbered(100, 10)
    epochs = [take_epoch(batches) for _ in range(30)]

    assert len({str(epoch) for epoch in epochs}) == 30
    for row in (0, 99):
        places = {k for epoch in epochs for k, batch in enumerate(epoch) if row in batch}
        assert len(places) > 5 and min(places) < 3


def test_equal_seeds_give_equal_orders_and_another_seed_another():
    one, same, other = (make_numbered(50, 7, seed=seed) for seed in (3, 3, 4))

    for _ in range(2):
        epoch = take_epoch(one)
        assert epoch == take_epoch(same) != take_epoch(other)


def test_batches_refuse_unequal_lengths_and_empty_batches():
    with pytest.raises(ValueError, match="lengths must be equal, received target 3, x 4"):
        make_batches({"x": np.zeros(4)}, np.zeros(3), batch_size=2, seed=0)
    with pytest.raises(ValueError, match="batch_size must be > 0, received 0"):
        make_batches({"x": np.zeros(3)}, np.zeros(3), batch_size=0, seed=0)


def build_linear(n_inputs=3):
    x = keras.layers.Input((n_inputs,), name="x")
    kernel = keras.initializers.Constant(0.5)
    y = keras.layers.Dense(1, use_bias=False, kernel_initializer=kernel)(x)
    return keras.Model({"x": x}, keras.layers.Reshape(())(y))


def fit_linear(n_rows=8, **options):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n_rows, 3)).astype(np.float32)
    target = (x @ [1.0, -2.0, 0.0]).astype(np.float32)
    model = build_linear()
    settings = {"epochs": 10, "batch_size": n_rows, "learning_rate": 0.3, "weight_decay": 0.2}
    fit_net(model, {"x": x}, target, seed=0, **settings | options)
    return model, x, target


def rate_by_hand(step, *, n_steps, n_warm_up, highest):
    """Rise in a straight line from highest / n_warm_up, then half a cosine wave from the highest to
    zero.
    """
    if step < n_warm_up:
        first = highest / n_warm_up
        return first + (highest - first) * step / n_warm_up
    return highest * (1 + np.cos(np.pi * (step - n_warm_up) / (n_steps - n_warm_up))) / 2


def read_rates(model, steps):
    rates = []
    for step in steps:
        model.optimizer.iterations.assign(step)
        rates.append(float(model.optimizer.learning_rate))
    return rates


def test_the_rate_warms_up_and_falls_to_zero_by_hand():
    """8 rows in batches of 4 for 10 epochs are 20 steps, 0.2 of them 4.

    From 0.3 / 4 = 0.075 it rises by 0.225 / 4 = 0.05625 a step up to 0.3 at step 4. Half-way down,
    at step 12, it is 0.15; at 8, a quarter down, 0.15 (1 + cos(pi / 4)) = 0.2560660; at 20 zero.
    """
    model, *_ = fit_linear(batch_size=4)

    rates = read_rates(model, [0, 1, 2, 3, 4, 8, 12, 20])

    wanted = [0.075, 0.13125, 0.1875, 0.24375, 0.3, 0.2560660, 0.15, 0.0]
    assert rates == pytest.approx(wanted, abs=1e-6)


@pytest.mark.parametrize("warm_up", [0.0, 0.05, 0.5])
def test_any_share_of_steps_may_warm_up(warm_up):
    model, *_ = fit_linear(batch_size=4, warm_up=warm_up)
    assert int(model.optimizer.iterations) == 20

    wanted = [
        rate_by_hand(step, n_steps=20, n_warm_up=round(20 * warm_up), highest=0.3)
        for step in range(21)
    ]
    assert read_rates(model, range(21)) == pytest.approx(wanted, abs=1e-6)
    assert max(wanted) == 0.3


def squared_error(target, predicted):
    return keras.ops.mean(keras.ops.square(predicted - target))


@pytest.mark.parametrize("very_few", [0, 20], ids=["traced", "eager"])
@pytest.mark.parametrize(
    ("schedule", "loss", "ema_momentum"),
    [
        ("one_cycle", "mse", None),
        ("constant", squared_error, 0.6),
        ("one_cycle", "mae", 0.6),
    ],
)
def test_fitting_equals_a_numpy_loop_of_adamw(schedule, loss, ema_momentum, very_few, monkeypatch):
    """Every step sees all 8 rows, so the order does not matter.

    The decay takes its share of the rate off the weight first; then comes Adam's step with both
    moments freed of their bias. The average of weights begins with those after the first step.
    """
    monkeypatch.setattr(fit, "_VERY_FEW_STEPS", very_few)
    model, x, target = fit_linear(schedule=schedule, loss=loss, ema_momentum=ema_momentum)

    w, mean, square = np.full(3, 0.5), np.zeros(3), np.zeros(3)
    average = None
    for step in range(10):
        rate = 0.3
        if schedule == "one_cycle":
            rate = rate_by_hand(step, n_steps=10, n_warm_up=2, highest=0.3)
        miss = x.astype(float) @ w - target
        gradient = x.T.astype(float) @ (np.sign(miss) if loss == "mae" else 2 * miss) / 8
        w = w - rate * 0.2 * w
        mean = 0.9 * mean + 0.1 * gradient
        square = 0.999 * square + 0.001 * gradient**2
        unbiased = mean / (1 - 0.9 ** (step + 1)), square / (1 - 0.999 ** (step + 1))
        w = w - rate * unbiased[0] / (np.sqrt(unbiased[1]) + 1e-7)
        average = w if average is None else 0.6 * average + 0.4 * w

    assert model.run_eagerly is (very_few > 0)
    wanted = w if ema_momentum is None else average
    assert np.abs(average - w).max() > 0.01
    np.testing.assert_allclose(model.get_weights()[0][:, 0], wanted, rtol=1e-4, atol=1e-6)


def build_members(kernel):
    """Linear nets without bias beside each other: (B, D) -> (B, K)."""
    x = keras.layers.Input((len(kernel),), name="x")
    members = keras.layers.Dense(np.shape(kernel)[1], use_bias=False)
    model = keras.Model({"x": x}, members(x))
    model.set_weights([np.array(kernel)])
    return model


def fit_members(kernel, x, target, **options):
    model = build_members(kernel)
    settings = {"epochs": 20, "batch_size": len(x), "learning_rate": 0.1, "weight_decay": 0.1}
    settings["has_members"] = True
    epochs = fit_net(model, {"x": x}, target, seed=0, **settings | options)
    return model, epochs


def test_members_are_trained_each_on_its_own_loss():
    """Adam takes no notice of a gradient's scale, so a member in the mean of three losses learns
    what it learns alone. A loss of the members' mean would give them all one gradient.
    """
    rng = np.random.default_rng(0)
    x, target = rng.normal(size=(16, 3)).astype("f4"), rng.normal(size=16).astype("f4")
    kernel = rng.normal(size=(3, 3))

    together, _ = fit_members(kernel, x, target)

    for member in range(3):
        alone, _ = fit_members(kernel[:, [member]], x, target)
        np.testing.assert_allclose(
            together.get_weights()[0][:, member], alone.get_weights()[0][:, 0], rtol=1e-3, atol=1e-5
        )


def test_held_rows_are_judged_by_the_mean_of_members_by_hand():
    """Of weights 1 and -1, the first is right. Adam moves the other by about 0.1 a step, so that
    the mean passes 0.5 when it is at 0, after 10 steps or so; by itself it passes 0.5 after 15.
    """
    one = np.ones((1, 1), np.float32)

    _, best = fit_members(
        [[1.0, -1.0]],
        one,
        one[0],
        schedule="constant",
        weight_decay=0.0,
        held=({"x": one}, np.array([0.5], np.float32)),
    )

    assert best in (10, 11, 12)


@pytest.mark.parametrize("ema_momentum", [None, 0.4])
def test_the_best_epoch_is_that_of_a_net_that_is_trained_for_so_long(ema_momentum):
    """The held rows' targets are what a net predicts that was trained for three epochs."""
    options = {"schedule": "constant", "ema_momentum": ema_momentum, "batch_size": 4}
    held = {"x": np.random.default_rng(1).normal(size=(6, 3)).astype(np.float32)}
    short, x, target = fit_linear(epochs=3, **options)
    plain, *_ = fit_linear(epochs=5, **options)
    watched = build_linear()

    best = fit_net(
        watched,
        {"x": x},
        target,
        epochs=5,
        learning_rate=0.3,
        weight_decay=0.2,
        seed=0,
        held=(held, predict_net(short, held)),
        **options,
    )

    assert best == 3
    # Looking does not disturb: the weights are those of the last epoch, to the bit.
    np.testing.assert_array_equal(watched.get_weights()[0], plain.get_weights()[0])
    assert np.abs(plain.get_weights()[0] - short.get_weights()[0]).max() > 0.01


def make_places(n_rows=200):
    """Rows whose target is a place: the sum of two numbers, and 3 less the third."""
    x = np.random.default_rng(0).normal(size=(n_rows, 3)).astype(np.float32)
    return {"x": x}, np.stack([x[:, 0] + x[:, 1], 3 - x[:, 2]], axis=1)


def fit_places(inputs, target, **options):
    """Fit a net with a hidden layer and an output (B, 2)."""
    set_all(0)
    x = keras.layers.Input((3,), name="x")
    hidden = keras.layers.Dense(16, activation="relu")(x)
    model = keras.Model({"x": x}, keras.layers.Dense(2)(hidden))
    settings = {"loss": mean_distance, "batch_size": 50, "learning_rate": 0.02, "seed": 0}
    best = fit_net(model, inputs, target, weight_decay=0.0, **settings | options)
    return model, best


def test_a_net_learns_a_target_of_two_columns_as_one():
    inputs, target = make_places()
    model, _ = fit_places(inputs, target, epochs=60)

    assert mean_distance(target, predict_net(model, inputs)) < 0.15


@pytest.mark.parametrize("loss", [mean_distance, "mse"])
def test_the_best_epoch_is_found_for_places_too(loss):
    inputs, target = make_places()
    options = {"loss": loss, "schedule": "constant"}
    short, _ = fit_places(inputs, target, epochs=3, **options)

    _, best = fit_places(
        inputs, target, epochs=6, held=(inputs, predict_net(short, inputs)), **options
    )

    assert best == 3


def test_a_second_axis_holds_members_only_where_that_is_said():
    """A net of weights (1, 0) and (0, 1) hands on what it is given, and learns to give (3, 5); its
    members would both learn one number.
    """
    x = np.ones((800, 2), np.float32)
    places = np.tile(np.array([3.0, 5.0], np.float32), (800, 1))
    settings = {"epochs": 2, "batch_size": 8, "schedule": "constant", "weight_decay": 0.0}

    apart, _ = fit_members(np.eye(2), x, places, has_members=False, **settings)
    together, _ = fit_members(np.eye(2), x, places[:, 0], **settings)

    one = {"x": x[:1]}
    np.testing.assert_allclose(predict_net(apart, one), [[3.0, 5.0]], atol=0.01)
    np.testing.assert_allclose(predict_net(apart, one, has_members=True), [4.0], atol=0.01)
    np.testing.assert_allclose(predict_net(together, one), [[3.0, 3.0]], atol=0.01)


def test_a_target_of_another_width_is_refused():
    x, two = np.ones((4, 2), np.float32), np.zeros((4, 2), np.float32)
    narrow, wide = (r"target must have shape " + shape for shape in (r"\(any\)", r"\(any, 2\)"))
    for options, target, told in (
        ({}, two, rf"{narrow}, received \(4, 2\)"),
        ({"has_members": False}, two[:, 0], rf"{wide}, received \(4,\)"),
        ({"held": ({"x": x}, two)}, two[:, 0], rf"{narrow}, received \(4, 2\)"),
        ({"has_members": False, "held": ({"x": x}, two[:, 0])}, two, rf"{wide}, received \(4,\)"),
    ):
        with pytest.raises(ValueError, match=told):
            fit_members(np.eye(2), x, target, **options)
    with pytest.raises(
        ValueError, match=r"output must have shape \(any, any\), received \(None,\)"
    ):
        fit_linear(has_members=True)


def test_without_held_rows_the_epochs_are_those_asked_for():
    x = np.ones((2, 1), np.float32)

    assert fit_members([[0.0]], x, x[:, 0], epochs=3)[1] == 3


def test_a_prediction_is_the_mean_of_members_whatever_the_batches():
    """Weights (1, 2) and (3, -2) have the mean (2, 0)."""
    model = build_members([[1.0, 3.0], [2.0, -2.0]])
    x = np.random.default_rng(0).normal(size=(7, 2)).astype(np.float32)

    for batch_size in (1, 3, 7, 100):
        predicted = predict_net(model, {"x": x}, has_members=True, batch_size=batch_size)
        np.testing.assert_allclose(predicted, 2 * x[:, 0], rtol=1e-5, atol=1e-6)
        every = predict_net(model, {"x": x}, batch_size=batch_size)
        np.testing.assert_allclose(every, x @ [[1.0, 3.0], [2.0, -2.0]], rtol=1e-4, atol=1e-5)
    single = build_linear(2)
    np.testing.assert_allclose(predict_net(single, {"x": x}), x.sum(axis=1) / 2, atol=1e-6)


def test_errors_name_what_was_wanted():
    x = np.zeros((3, 3), np.float32)
    with pytest.raises(
        ValueError, match='schedule must be "one_cycle" or "constant", received "x"'
    ):
        fit_linear(schedule="x")
    with pytest.raises(ValueError, match="lengths must be equal, received target 2, x 3"):
        fit_linear(held=({"x": x}, np.zeros(2)))
    with pytest.raises(ValueError, match="batch_size must be > 0, received 0"):
        predict_net(build_linear(), {"x": x}, batch_size=0)
    with pytest.raises(ValueError, match="number of rows must be > 0, received 0"):
        predict_net(build_linear(), {"x": x[:0]})


def test_an_average_must_forget_where_it_began():
    """0.63 ** 10 = 0.00985, and 0.64 ** 10 = 0.01153; 8 rows in batches of 4 are 20 steps in 10
    epochs: 0.8 ** 20 = 0.01153.
    """
    fit_linear(ema_momentum=0.63)
    for momentum, settings, told in (
        (0.64, {}, r"0\.64 \*\* 10 = 0\.012"),
        (0.8, {"batch_size": 4}, r"0\.8 \*\* 20 = 0\.012"),
        (1.0, {}, r"1\.0 \*\* 10 = 1"),
    ):
        wanted = rf"ema_momentum \*\* steps must be <= 0\.01, received {told}"
        with pytest.raises(ValueError, match=wanted):
            fit_linear(ema_momentum=momentum, **settings)


def test_epochs_must_be_positive():
    with pytest.raises(ValueError, match="epochs must be > 0, received 0"):
        fit_linear(epochs=0)


def fit_small_net(*, of_weights, of_order, epochs):
    """Fit a net with dropout, whose masks are chance too."""
    set_all(of_weights)
    inputs, target = make_rows(40)
    model = build_entity_embedding((4,), 2, hidden=(4,), dropout=0.3, embedding_dropout=0.3)
    fit_net(
        model,
        inputs,
        target,
        epochs=epochs,
        batch_size=8,
        learning_rate=0.05,
        weight_decay=0.01,
        seed=of_order,
    )
    return np.concatenate([weight.ravel() for weight in model.get_weights()])


@pytest.mark.parametrize("epochs", [1, 5], ids=["eager", "traced"])
def test_equal_seeds_give_bit_equal_nets_and_either_other_seed_another(epochs):
    one = fit_small_net(of_weights=3, of_order=5, epochs=epochs)

    assert fit_small_net(of_weights=3, of_order=5, epochs=epochs).tobytes() == one.tobytes()
    assert np.abs(fit_small_net(of_weights=3, of_order=6, epochs=epochs) - one).max() > 1e-4
    assert np.abs(fit_small_net(of_weights=4, of_order=5, epochs=epochs) - one).max() > 1e-4


def test_few_steps_that_are_not_traced_are_those_that_are(monkeypatch):
    """20 steps: the most that are not."""
    inputs, target = make_places()
    eager, _ = fit_places(inputs, target, epochs=5)
    monkeypatch.setattr(fit, "_VERY_FEW_STEPS", 19)
    traced, _ = fit_places(inputs, target, epochs=5)

    assert eager.run_eagerly and not traced.run_eagerly
    np.testing.assert_allclose(predict_net(eager, inputs), predict_net(traced, inputs), atol=1e-4)


def test_16_steps_between_returns_to_python_give_the_same_net(monkeypatch):
    """18 batches in each of 2 epochs: one return after 16, and one after the 2 that are left."""
    options = {"n_rows": 36, "batch_size": 2, "epochs": 2, "ema_momentum": 0.5}
    one, *_ = fit_linear(**options)
    monkeypatch.setattr(fit, "_FEW_STEPS", 0)
    many, *_ = fit_linear(**options)

    assert (one.steps_per_execution, many.steps_per_execution) == (1, 16)
    assert int(one.optimizer.iterations) == int(many.optimizer.iterations) == 36
    np.testing.assert_allclose(one.get_weights()[0], many.get_weights()[0], rtol=1e-6)


def test_a_net_is_compiled_without_xla_where_there_is_no_gpu():
    """XLA made an embedding net 20 times slower on a CPU."""
    model, *_ = fit_linear(epochs=21)

    assert model.jit_compile is bool(tf.config.list_physical_devices("GPU"))
