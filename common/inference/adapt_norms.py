"""Let a net's batch norms take the statistics of the pictures that it is asked about."""

from typing import Any

import keras
import numpy as np

from common.checks import check_positive


def adapt_norms(
    model: keras.Model, pictures: np.ndarray, *, batch_size: int, n_batches: int, seed: int
) -> None:
    """Replace the means and variances of all batch norms by those of a pool of pictures.

    What a batch norm learnt of its train pictures (their light, their people) shifts all that comes
    after it where others come. With statistics of the pool itself the shift is gone, without any
    label. The pool should have the classes in shares like train's, and be of some hundred pictures.

    Args:
        model: of one input; its batch norms, those of models in it too, are changed in place. What
            the pool before left is gone. Dropout before a batch norm acts as in training.
        pictures: (N, H, W, C), N >= 1: the pool.
        batch_size: pictures that are normalized together; fewer where the pool is smaller.
        n_batches: that are looked at, drawn anew once the pool is through.
        seed: draws the batches.

    Raises:
        ValueError: batch_size or n_batches is not positive, or there are no pictures or batch
            norms.

    Source: Li, Wang, Shi, Liu and Hou, "Revisiting Batch Normalization For Practical Domain
        Adaptation", 2016. Variances are means over batches, and leave out what batches differ by.
    """
    check_positive("batch_size", batch_size)
    check_positive("n_batches", n_batches)
    check_positive("number of pictures", len(pictures))
    norms = _find_norms(model)
    check_positive("number of batch norms", len(norms))
    rng = np.random.default_rng(seed)
    size, order = min(batch_size, len(pictures)), np.empty(0, int)
    before = [(norm.trainable, norm.momentum) for norm in norms]
    try:
        for batch in range(n_batches):
            if len(order) < size:
                order = rng.permutation(len(pictures))
            rows, order = np.sort(order[:size]), order[size:]
            for norm in norms:
                norm.trainable, norm.momentum = True, batch / (batch + 1)  # The mean of all so far.
            model(np.asarray(pictures[rows], np.float32), training=True)
    finally:
        for norm, (trainable, momentum) in zip(norms, before, strict=True):
            norm.trainable, norm.momentum = trainable, momentum


def _find_norms(model: keras.Model) -> list[Any]:
    found = list[Any]()
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            found.append(layer)
        elif isinstance(layer, keras.Model):
            found += _find_norms(layer)
    return found
