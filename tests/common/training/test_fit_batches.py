"""Batches of rows: every row once an epoch, shuffled anew."""

import numpy as np
import pytest

from common.training.fit import make_batches


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
