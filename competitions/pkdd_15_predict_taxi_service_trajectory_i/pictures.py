"""The map of `run --pictures`: the points of the trips draw the city themselves."""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from common.contract import OutOfFold
from common.geo import haversine_km, project_km
from competitions.pkdd_15_predict_taxi_service_trajectory_i.features import PORTO
from competitions.pkdd_15_predict_taxi_service_trajectory_i.trips import Trips

N_POINTS, N_SHOWN = 300_000, 150
SHOWN = (0.3, 99.7)  # percentiles of the points: some trips go to other cities
MARGIN_KM = 0.5


def draw_map(
    trips: Trips, oof: OutOfFold, centres: np.ndarray, n_members: np.ndarray, path: Path
) -> None:
    """Draw the city, the centres of destinations, and true and predicted ends of some held rows.

    Args:
        trips: of train; their first points, up to N_POINTS, are drawn.
        oof: held-out rows, evenly spread ones of which are drawn.
        centres: (K, 2) km.
        n_members: (K,) how many trips end at each.
        path: of the PNG.
    """
    points = project_km(trips.points[:N_POINTS], PORTO)
    shown = np.unique(np.linspace(0, len(oof.ids) - 1, N_SHOWN).astype(int))
    true, told = (project_km(places[shown], PORTO) for places in (oof.target, oof.prediction))
    figure = Figure(figsize=(12, 10), layout="constrained")
    axes = figure.subplots()
    axes.scatter(points[:, 0], points[:, 1], s=1, c="0.75", linewidths=0)
    axes.scatter(
        centres[:, 0],
        centres[:, 1],
        s=4 * n_members**0.75,
        facecolors="none",
        edgecolors="tab:blue",
        label="centre, larger where more trips end",
    )
    axes.plot(*np.stack([true, told]).transpose(2, 0, 1), c="tab:orange", lw=0.6, alpha=0.6)
    axes.scatter(true[:, 0], true[:, 1], s=14, c="k", label="true end", zorder=3)
    axes.scatter(
        told[:, 0], told[:, 1], s=14, c="tab:red", label="predicted end, out of fold", zorder=3
    )
    (left, low), (right, high) = np.percentile(points, SHOWN, axis=0)
    axes.set(
        xlim=(left - MARGIN_KM, right + MARGIN_KM),
        ylim=(low - MARGIN_KM, high + MARGIN_KM),
        aspect="equal",
        xlabel="km to the east",
        ylabel="km to the north",
        title=f"{len(shown)} of {len(oof.ids)} held-out prefixes; {len(centres)} centres; "
        f"mean distance {haversine_km(oof.target, oof.prediction).mean():.2f} km",
    )
    axes.legend(loc="lower right")
    figure.savefig(path, dpi=100)
