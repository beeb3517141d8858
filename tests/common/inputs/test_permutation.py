import numpy as np

from common.inputs.permutation import permute_rows


def collect(rows):
    return [batch.numpy().tolist() for batch in rows]


def test_an_epoch_holds_every_row_once_but_for_the_rest():
    for n_rows, batch_size, n_batches in ((12, 4, 3), (14, 4, 3), (5, 5, 1), (7, 1, 7)):
        rows = permute_rows(n_rows, batch_size, seed=0)
        batches = collect(rows)
        flat = np.concatenate(batches)
        assert len(rows) == len(batches) == n_batches
        assert all(len(batch) == batch_size for batch in batches)
        assert len({*flat}) == len(flat) == n_batches * batch_size and {*flat} <= {*range(n_rows)}


def test_epochs_differ_and_seeds_repeat_them():
    first, again, other = (permute_rows(100, 10, seed) for seed in (3, 3, 4))
    epochs = [collect(first) for _ in range(3)]

    assert [collect(again) for _ in range(3)] == epochs
    assert epochs[0] != epochs[1] != epochs[2] != epochs[0] and collect(other) != epochs[0]


def test_every_row_is_as_likely_to_be_left_out():
    """Of 5 rows 1 is dropped by each of 200 epochs: 40 times each, give or take 6."""
    rows = permute_rows(5, 4, seed=0)
    left_out = np.zeros(5)
    for _ in range(200):
        (batch,) = collect(rows)
        left_out[list({*range(5)} - {*batch})] += 1

    assert left_out.sum() == 200 and np.abs(left_out - 40).max() < 4 * 6
