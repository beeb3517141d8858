import gc
import weakref

import keras
import numpy as np
import pytest
import tensorflow as tf

from common.inputs.augment import flip, jitter_colour
from common.inputs.mixing import mixup
from common.inputs.stream import make_picture_batches
from tests.helpers.memory import load_resident_mib, needs_proc, write_large

N = 22
PICTURES = np.arange(N * 12, dtype=np.uint8).reshape(N, 2, 2, 3)
LABELS = np.eye(N)


def collect(batches):
    """One epoch: pictures and labels."""
    parts = [(pictures.numpy(), labels.numpy()) for pictures, labels in batches]
    return tuple(np.concatenate(part) for part in zip(*parts, strict=True))


def test_an_epoch_holds_every_row_once_with_its_label():
    batches = make_picture_batches(PICTURES, LABELS, batch_size=11, seed=0)

    pictures, labels = collect(batches)

    rows = labels.argmax(axis=1)
    assert len(batches) == 2 and sorted(rows) == [*range(N)]
    assert pictures.dtype == labels.dtype == np.float32
    np.testing.assert_array_equal(pictures, PICTURES[rows])
    np.testing.assert_array_equal(labels, LABELS[rows])


def test_the_last_smaller_batch_is_dropped_where_there_are_others():
    shapes = [
        [pictures.shape[0] for pictures, _ in make_picture_batches(
            PICTURES, LABELS, batch_size=size, seed=0
        )]
        for size in (8, 22, 100)
    ]  # fmt: skip

    assert shapes == [[8, 8], [22], [22]]


def test_of_some_rows_only_these_are_fed_with_their_labels():
    chosen = np.array([20, 3, 8, 1, 13])
    given = make_picture_batches(PICTURES, LABELS[chosen], batch_size=5, seed=0, rows=chosen)

    pictures, labels = collect(given)

    rows = labels.argmax(axis=1)
    assert sorted(rows) == sorted(chosen)
    np.testing.assert_array_equal(pictures, PICTURES[rows])
    copied = make_picture_batches(PICTURES[chosen], LABELS[chosen], batch_size=5, seed=0)
    np.testing.assert_array_equal(pictures, collect(copied)[0])


@pytest.mark.parametrize("kind", ["array", "memmap", "part of a memmap", "float16", "maps"])
def test_pictures_may_lie_anywhere_and_be_of_any_numbers(kind, tmp_path):
    wanted = PICTURES
    if "memmap" in kind:
        np.save(tmp_path / "kept.npy", np.concatenate([PICTURES[:3], PICTURES]))
        given = np.load(tmp_path / "kept.npy", mmap_mode="r")[3:]
        labels = LABELS
        if kind == "part of a memmap":
            given, wanted, labels = given[5:], PICTURES[5:], LABELS[5:, 5:]
    else:
        labels = LABELS
        wanted = PICTURES.astype(np.float16) / 8 if kind == "float16" else PICTURES
        given = wanted = wanted.reshape(N, 12) if kind == "maps" else wanted

    pictures, shown = collect(make_picture_batches(given, labels, batch_size=4, seed=0))

    np.testing.assert_array_equal(pictures, wanted[shown.argmax(axis=1)].astype(np.float32))


def test_batches_are_altered_then_mixed_by_seeds_of_their_own():
    drawn = []

    def augment(pictures, rng):
        drawn.append(rng.random())
        return pictures + np.uint8(50)

    def mix(pictures, labels, rng):
        drawn.append(rng.random())
        return pictures // 2, labels / 2

    batches = make_picture_batches(
        PICTURES, LABELS, batch_size=11, seed=0, augment=augment, mix=mix
    )
    assert len(drawn) == 2  # Both were tried.
    pictures, labels = collect(batches)
    collect(batches)

    rows = labels.argmax(axis=1)
    np.testing.assert_array_equal(pictures, (PICTURES[rows] + np.uint8(50)) // 2)
    assert labels.max() == 0.5
    assert len(drawn) == 10 == len({*drawn})


@pytest.mark.parametrize(
    ("pictures", "step", "told"),
    [
        (PICTURES / 255, jitter_colour, "pictures must be uint8, received float64"),
        (PICTURES.astype(np.float16), flip, "pictures must be uint8, received float16"),
        (
            PICTURES[..., :1],
            flip,
            r"pictures must have shape \(any, any, any, 3\), received \(22, 2, 2, 1\)",
        ),
        (
            PICTURES.reshape(N, 12),
            flip,
            r"pictures must have shape \(any, any, any, 3\), received \(22, 12\)",
        ),
        (
            PICTURES,
            lambda pictures, rng: pictures / 255,
            "altered pictures must be uint8, received float64",
        ),
        (
            PICTURES,
            lambda pictures, rng: pictures[:, :1],
            r"altered pictures must have shape \(1, 2, 2, 3\), received \(1, 1, 2, 3\)",
        ),
    ],
)
def test_what_is_altered_must_be_pictures_and_stay_so(pictures, step, told):
    with pytest.raises(ValueError, match=f"^{told}$"):
        make_picture_batches(pictures, LABELS, batch_size=4, seed=0, augment=step)


@pytest.mark.parametrize(
    ("mix", "told"),
    [
        (lambda p, y, rng: (p, y.astype(float)), "mixed labels must be float32, received float64"),
        (lambda p, y, rng: (p, y[0]), r"mixed labels must have shape \(1, 22\), received \(22,\)"),
        (lambda p, y, rng: (p / 2, y), "altered pictures must be uint8, received float64"),
    ],
)
def test_what_is_mixed_must_be_pictures_and_labels(mix, told):
    with pytest.raises(ValueError, match=f"^{told}$"):
        make_picture_batches(PICTURES, LABELS, batch_size=4, seed=0, mix=mix)


def test_draws_hang_on_the_seed():
    """Not only the order of rows does."""
    drawn = []

    def note(pictures, rng):
        drawn.append(rng.random())
        return pictures

    for seed in (0, 0, 1):
        collect(make_picture_batches(PICTURES, LABELS, batch_size=N, seed=seed, augment=note))
    first, again, other = drawn[1::2]
    assert first == again != other


def test_repeated_batches_are_the_epochs_one_after_another():
    def make():
        return make_picture_batches(PICTURES, LABELS, batch_size=11, seed=3)

    one_by_one, repeated = make(), make()
    epochs = [collect(one_by_one) for _ in range(2)]
    received = collect(repeated.repeat().take(4))

    for k, of_epochs in enumerate(zip(*epochs, strict=True)):
        np.testing.assert_array_equal(received[k], np.concatenate(of_epochs))
    assert (epochs[0][1] != epochs[1][1]).any()


def test_epochs_differ_and_seeds_repeat_them():
    def make(seed):
        return make_picture_batches(
            PICTURES, LABELS, batch_size=4, seed=seed, augment=flip, mix=mixup
        )

    first, again, other = make(1), make(1), make(2)
    epochs = [collect(first) for _ in range(3)]
    for epoch in epochs:
        for part, same in zip(epoch, collect(again), strict=True):
            np.testing.assert_array_equal(part, same)
    assert not np.array_equal(epochs[0][0], epochs[1][0])
    assert not np.array_equal(epochs[0][0], collect(other)[0])


def test_a_net_learns_from_it():
    """Bright and dark pictures, told apart by one weight."""
    rng = np.random.default_rng(0)
    is_bright = rng.random(64) < 0.5
    pictures = np.where(is_bright, 200, 50)[:, None, None, None] + rng.integers(
        0, 50, (64, 4, 4, 3)
    )
    batches = make_picture_batches(
        pictures.astype(np.uint8), np.eye(2)[is_bright.astype(int)], batch_size=16, seed=0,
        augment=flip, mix=mixup,
    )  # fmt: skip
    net = keras.Sequential(
        [
            keras.layers.Input((4, 4, 3)),
            keras.layers.Rescaling(1 / 127.5, -1.0),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(2, activation="softmax"),
        ]
    )
    net.compile(keras.optimizers.Adam(0.3), "categorical_crossentropy")

    net.fit(batches, epochs=10, shuffle=False, verbose=0)

    shown = net.predict(pictures.astype(np.float32), verbose=0).argmax(axis=1)
    assert (shown == is_bright).all()


@needs_proc
@pytest.mark.parametrize("rows", [None, np.arange(2000)[::-1]], ids=["all", "rows"])
def test_an_epoch_over_a_memmap_takes_no_memory(tmp_path, rows):
    """200 MB of pictures on disk are read once; a copy or kept pages would be all of them."""
    pictures = write_large(tmp_path / "kept.npy")
    batches = make_picture_batches(pictures, np.ones((2000, 1)), batch_size=10, seed=0, rows=rows)
    for _ in batches.take(5):
        pass
    before, peak, total = load_resident_mib(), 0.0, 0.0

    for batch, _ in batches:
        total += float(tf.reduce_sum(batch))
        peak = max(peak, load_resident_mib())

    assert total == pictures.size and peak - before < 100


def test_pictures_that_a_caller_changed_stay_as_they_are(tmp_path):
    """A private map's changes are in its pages only: letting these go would bring zeros back."""
    np.save(tmp_path / "kept.npy", np.zeros((N, 50, 50, 3), np.uint8))
    pictures = np.load(tmp_path / "kept.npy", mmap_mode="c")
    pictures[:] = 9

    fed, _ = collect(make_picture_batches(pictures, LABELS, batch_size=4, seed=0))

    assert (fed == 9).all() and (pictures == 9).all()


def test_pictures_are_let_go_with_their_batches():
    """TensorFlow keeps Python functions for ever; folds would add up."""
    pictures = PICTURES.copy()
    find = weakref.ref(pictures)
    batches = make_picture_batches(pictures, LABELS, batch_size=4, seed=0, augment=flip)
    first = iter(batches.take(2))
    del pictures, batches
    gc.collect()
    assert len(list(first)) == 2

    del first
    gc.collect()
    assert find() is None


def test_unfit_arguments_are_told():
    with pytest.raises(ValueError, match="lengths must be equal, received pictures 22, labels 21"):
        make_picture_batches(PICTURES, LABELS[1:], batch_size=4, seed=0)
    with pytest.raises(ValueError, match="lengths must be equal, received rows 3, labels 22"):
        make_picture_batches(PICTURES, LABELS, batch_size=4, seed=0, rows=np.arange(3))
    with pytest.raises(ValueError, match="batch_size must be > 0, received 0"):
        make_picture_batches(PICTURES, LABELS, batch_size=0, seed=0)
    with pytest.raises(ValueError, match="number of pictures must be > 0, received 0"):
        make_picture_batches(PICTURES[:0], LABELS[:0], batch_size=4, seed=0)
    with pytest.raises(ValueError, match=r"labels must have shape \(any, any\), received \(22,\)"):
        make_picture_batches(PICTURES, LABELS[0], batch_size=4, seed=0)
    for rows, told in ((np.array([3, -1]), "-1"), (np.array([N, 0]), "22")):
        with pytest.raises(ValueError, match=rf"^rows must be in \[0, 22\), received {told}$"):
            make_picture_batches(PICTURES, LABELS[:2], batch_size=2, seed=0, rows=rows)
