"""Entity-embedding nets on the features."""

from dataclasses import dataclass
from functools import partial

import keras
import numpy as np
import pandas as pd

from common.features.categories import count_codes
from common.features.encoder import Encoder, learn_encoder
from common.nets.entity_embedding import (
    build_entity_embedding,
    fill_unseen,
    make_embedding_tables,
)
from common.nets.piecewise_linear import PiecewiseLinearEmbedding, learn_bins
from common.nets.tabm import build_tabm
from common.seeds import derive, set_all
from common.training.fit import fit_net, predict_net
from competitions.rossmann_store_sales.competition import Config

CATEGORIES = {  # and how many dimensions each gets; the store's are in the config
    "store": 0,
    "weekday": 6,
    "day_of_month": 8,
    "month": 6,
    "week": 6,
    "promo_since_start": 4,
    "promo_until_start": 4,
    "holiday": 2,
    "store_type": 2,
    "assortment": 2,
    "state": 4,
    "promo2_interval": 2,
}
BIN_DIMS = 8  # of a number's piecewise-linear vector


@dataclass(frozen=True)
class Nets:
    """Nets whose mean is taken.

    Attributes:
        encoder: of their inputs.
        models: trained on the target less `level`.
        level: the mean of the target.
        has_members: whether each is an ensemble itself, a TabM.
    """

    encoder: Encoder
    models: list[keras.Model]
    level: float
    has_members: bool

    def predict(self, features: pd.DataFrame) -> np.ndarray:
        """Predict: (n, …) features -> (n,)."""
        predict = partial(
            predict_net, inputs=self.encoder.encode(features), has_members=self.has_members
        )
        return self.level + np.mean([predict(net) for net in self.models], axis=0)

    def make_tables(self) -> dict[str, np.ndarray]:
        """Take the first net's vectors: {category: (its levels + 1, dims)}; row 0 is unseen."""
        tables = make_embedding_tables(self.models[0])
        return {name: tables[column] for column, name in enumerate(self.encoder.levels)}

    @property
    def n_parameters(self) -> int:
        return sum(net.count_params() for net in self.models)


def fit_nets(
    features: pd.DataFrame,
    target: np.ndarray,
    config: Config,
    seed: int,
    *,
    is_last: np.ndarray | None = None,
) -> Nets:
    """Fit `config.n_nets` nets, each from a seed of its own.

    Args:
        features: (n, D).
        target: (n,) log sales, with or without the baseline taken off.
        config: a variant's settings.
        seed: of weights, dropout and shuffling.
        is_last: (n,) bool, the rows on which the number of epochs is chosen where `config.stop`
            asks for it: other nets are fitted on the rows before them, and the nets themselves on
            all rows for as many epochs.
    """
    categories = [name for name in CATEGORIES if name in features]
    encoder = learn_encoder(features, categories, flags=config.missing_flags)
    inputs = encoder.encode(features)
    level = float(target.mean())
    centred = (target - level).astype(np.float32)
    models = []
    for k in range(config.n_nets):
        net_seed, epochs = derive(seed, f"net {k}"), config.epochs
        if config.stop and is_last is not None:
            early = {name: values[~is_last] for name, values in inputs.items()}
            late = {name: values[is_last] for name, values in inputs.items()}
            _, epochs = _fit(
                encoder,
                early,
                centred[~is_last],
                config,
                net_seed,
                epochs,
                (late, centred[is_last]),
            )
        net, _ = _fit(encoder, inputs, centred, config, net_seed, epochs)
        fill_unseen(net)
        models.append(net)
    return Nets(encoder, models, level, has_members=bool(config.n_members))


def _fit(
    encoder: Encoder,
    inputs: dict[str, np.ndarray],
    target: np.ndarray,
    config: Config,
    seed: int,
    epochs: int,
    held: tuple[dict[str, np.ndarray], np.ndarray] | None = None,
) -> tuple[keras.Model, int]:
    """Fit one net; the number is that of the best epoch on `held`."""
    set_all(seed)
    net = _build(encoder, inputs["numbers"], target, config)
    best = fit_net(
        net,
        inputs,
        target,
        epochs=epochs,
        batch_size=config.batch_size,
        learning_rate=config.net_rate,
        weight_decay=config.weight_decay,
        seed=seed,
        schedule=config.schedule,
        loss=config.loss,
        has_members=bool(config.n_members),
        ema_momentum=config.ema_momentum or None,
        held=held,
    )
    return net, best


def _build(
    encoder: Encoder, numbers: np.ndarray, target: np.ndarray, config: Config
) -> keras.Model:
    low, high = float(target.min()), float(target.max())
    number_layer = None
    if config.n_bins:
        edges = learn_bins(numbers, n_bins=config.n_bins)
        number_layer = PiecewiseLinearEmbedding(
            edges, dims=BIN_DIMS, activation="relu", linear=config.line
        )
    dims = CATEGORIES | {"store": config.store_dims}
    build = build_entity_embedding
    if config.n_members:
        build = partial(build_tabm, n_members=config.n_members)
    return build(
        count_codes(encoder.levels),
        numbers.shape[1],
        hidden=config.hidden,
        dropout=config.dropout,
        embedding_dropout=config.embedding_dropout,
        dims=[dims[name] for name in encoder.levels],
        number_layer=number_layer,
        # A little room on both sides, since a sigmoid never reaches its ends.
        output_range=(1.2 * low, 1.2 * high) if config.output_range else None,
    )
