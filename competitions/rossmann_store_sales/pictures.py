"""The pictures of `run --pictures`: worst stores, importances, and what embeddings have learnt."""

import logging
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from sklearn.decomposition import PCA

from common.contract import OutOfFold
from common.geo import haversine_km
from common.seeds import derive
from common.validation.significance import Correlation, mantel
from competitions.rossmann_store_sales.competition import Config
from competitions.rossmann_store_sales.fits import fit_vectors, score_gains
from competitions.rossmann_store_sales.store_days import StoreDays

log = logging.getLogger(__name__)

N_WORST, N_GAINS = 6, 30
LABELS = {
    "weekday": ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"),
    "month": ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
}
STATE_PLACES = {  # latitude and longitude of a place in the middle
    "BB": (52.5, 13.4),
    "BE": (52.5, 13.4),
    "BW": (48.5, 9.0),
    "BY": (48.9, 11.4),
    "HB": (52.8, 9.2),  # with Lower Saxony, as the forum's table has it
    "HE": (50.6, 9.0),
    "HH": (53.6, 10.0),
    "MV": (53.8, 12.6),
    "NI": (52.8, 9.2),
    "NW": (51.5, 7.6),
    "RP": (49.9, 7.5),
    "SH": (54.2, 9.8),
    "SL": (49.4, 7.0),
    "SN": (51.0, 13.4),
    "ST": (52.0, 11.7),
    "TH": (50.9, 11.0),
}


def draw_worst_stores(oof: OutOfFold, path: Path) -> None:
    """Draw the latest window of the stores with the largest errors in it."""
    rows = pd.DataFrame({"store": oof.group, "sales": oof.target, "forecast": oof.prediction})
    rows["date"] = pd.to_datetime([row.split()[1] for row in oof.ids])
    rows = rows[oof.fold == oof.fold.max()].sort_values("date")
    errors = ((rows["forecast"] / rows["sales"] - 1) ** 2).groupby(rows["store"]).mean() ** 0.5
    figure = Figure(figsize=(14, 7), layout="constrained")
    panels = figure.subplots(2, N_WORST // 2, sharex=True)
    for axes, (store, error) in zip(panels.flat, errors.nlargest(N_WORST).items(), strict=False):
        shown = rows[rows["store"] == store]
        axes.plot(shown["date"], shown["sales"], "k.-", label="true")
        axes.plot(shown["date"], shown["forecast"], "r.-", label="out of fold")
        axes.set_title(f"store {store}: RMSPE {error:.2f}")
        axes.tick_params(axis="x", rotation=45)
    figure.supylabel("sales")
    figure.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside upper right", ncols=2)
    figure.savefig(path, dpi=100)


def draw_gains(known: StoreDays, config: Config, path: Path) -> None:
    """Draw which features XGBoost gains most from."""
    gains = score_gains(known, config, np.flatnonzero(~known.is_test), derive(0, "gains"))
    shown = (gains / gains.sum()).nlargest(N_GAINS)[::-1]
    figure = Figure(figsize=(8, 8), layout="constrained")
    axes = figure.subplots()
    axes.barh(shown.index, 100 * shown)
    axes.set(xlabel="share of all gain, %", title="XGBoost, fitted on all train rows")
    figure.savefig(path, dpi=100)


def draw_vectors(known: StoreDays, config: Config, path: Path) -> None:
    """Draw the learnt vectors of states, weekdays and months, and of stores by their type.

    States are held against the map, too: do those that lie near each other have like vectors?
    """
    tables = fit_vectors(known, config, np.flatnonzero(~known.is_test), derive(0, "vectors"))
    names = [name for name in ("state", "weekday", "month", "store") if name in tables]
    figure = Figure(figsize=(12, 11), layout="constrained")
    for panel, name in enumerate(names, start=1):
        axes = figure.add_subplot(2, 2, panel)
        vectors = tables[name]
        axes_of_most = PCA(2)
        places = axes_of_most.fit_transform(vectors)
        share = axes_of_most.explained_variance_ratio_.sum()
        axes.set_title(f"{name} ({share:.0%} of the variance in two of {vectors.shape[1]} dims)")
        if name == "store":
            number = known.stores["StoreType"].cat.codes.to_numpy()[vectors.index.astype(int)]
            axes.scatter(places[:, 0], places[:, 1], c=number, s=8, cmap="tab10")
            axes.set_xlabel("colour: store type")
            continue
        axes.scatter(places[:, 0], places[:, 1], s=12)
        labels = _label(known, name, vectors.index)
        for label, place in zip(labels, places, strict=True):
            axes.annotate(label, place, fontsize="small")
        if name == "state" and len(labels) >= 3 and {*labels} <= {*STATE_PLACES}:
            found = _compare_with_map(labels, vectors.to_numpy())
            axes.set_xlabel(
                f"distances against the map's: Mantel {found.value:.2f}, p {found.p:.3f}"
            )
            log.info("states, vectors against the map: Mantel %.3f, p %.4f", *found)
    figure.savefig(path, dpi=100)


def _compare_with_map(states: list[str], vectors: np.ndarray) -> Correlation:
    """Correlate distances between vectors, (S, dims), with those on the map."""
    places = np.array([STATE_PLACES[state] for state in states])
    apart = np.linalg.norm(vectors[:, None] - vectors[None], axis=-1)
    return mantel(apart, haversine_km(places[:, None], places[None]), seed=0)


def _label(known: StoreDays, name: str, levels: pd.Index) -> list[str]:
    if name == "state":
        return [known.state_names[int(level)] for level in levels]
    first = 1 if name == "month" else 0
    return [LABELS[name][int(level) - first] for level in levels]
