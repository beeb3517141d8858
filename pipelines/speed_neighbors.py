"""The races of `common.neighbors`: exact kNN, mean shift, k-means."""

import importlib.util
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from pipelines.speed import OURS, Race

OURS_GRID = "ours, seeds by grid"
SKLEARN, SKLEARN_BINS, FAISS = "scikit-learn", "scikit-learn, bin_seeding", "faiss, flat"
HAS_FAISS = importlib.util.find_spec("faiss") is not None
LIBRARIES = ("faiss-cpu",) if HAS_FAISS else ()
"""Packages whose version matters beside those that all figures depend on."""

N_QUERIES = 4000
BANDWIDTH = 2.0
Runs = Mapping[str, Callable[[], Any]]


def make_races(*, share: float = 1.0) -> list[Race]:
    """List all races.

    Args:
        share: of the rows, in (0, 1]; less than 1 for a quick look.
    """

    def rows(n: int) -> int:
        return max(int(n * share), 200)

    def places(n: int) -> int:
        return max(int(n * share), 2)

    races = [
        Race(
            f"exact kNN in {dims} dimensions",
            f"{rows(n):,} rows, {rows(N_QUERIES):,} queries, k = {k}",
            rows(n),
            partial(_make_knn, rows(n), dims, rows(N_QUERIES), k),
            _differ_in_distances,
        )
        for n, dims, k in (
            (12_500, 128, 10),
            (50_000, 128, 10),
            (20_000, 512, 5),
            (25_000, 32, 10),
            (100_000, 32, 10),
        )
    ]
    races += [
        Race(
            "mean shift, flat kernel",
            f"{rows(n):,} points around {places(n_places):,} places",
            rows(n),
            partial(_make_mean_shift, rows(n), places(n_places), libraries),
            _differ_in_modes,
            slow=(SKLEARN,),
        )
        for n, n_places, libraries in (
            (2_500, 12, (OURS_GRID, SKLEARN, SKLEARN_BINS)),
            (10_000, 50, (OURS_GRID, SKLEARN, SKLEARN_BINS)),
            (100_000, 340, (OURS_GRID, SKLEARN_BINS)),
            (1_000_000, 3_400, (OURS_GRID,)),
        )
    ]
    races += [
        Race(
            "k-means, 64 dimensions",
            f"{rows(n):,} rows, {n_clusters} clusters",
            rows(n),
            partial(_make_kmeans, rows(n), n_clusters),
            _differ_in_inertia,
        )
        for n, n_clusters in ((20_000, places(256)), (200_000, places(256)))
    ]
    return races


def _make_knn(n: int, dims: int, n_queries: int, k: int) -> Runs:
    from sklearn import neighbors

    from common.neighbors.knn import NearestNeighbors

    rng = np.random.default_rng(0)
    base = rng.normal(size=(n, dims)).astype(np.float32)
    queries = rng.normal(size=(n_queries, dims)).astype(np.float32)

    def run_sklearn() -> np.ndarray:
        brute = neighbors.NearestNeighbors(n_neighbors=k, algorithm="brute").fit(base)
        return brute.kneighbors(queries)[0]

    def run_faiss() -> np.ndarray:
        import faiss

        index = faiss.IndexFlatL2(dims)
        index.add(base)
        return np.sqrt(index.search(queries, k)[0])

    runs = {OURS: lambda: NearestNeighbors(k).fit(base).kneighbors(queries)[0]}
    return runs | {SKLEARN: run_sklearn} | ({FAISS: run_faiss} if HAS_FAISS else {})


def _differ_in_distances(ours: np.ndarray, theirs: np.ndarray) -> str:
    # Flat faiss does not recompute what its float32 product gave.
    apart = np.max(np.abs(ours - theirs) / theirs)
    return "" if apart < 1e-3 else f"distances are up to {apart:.1e} apart"


def _make_mean_shift(n: int, n_clusters: int, libraries: tuple[str, ...]) -> Runs:
    from sklearn import cluster

    from common.neighbors.mean_shift import MeanShift

    # Places on a lattice, so that clusters stay apart however many there are.
    rng = np.random.default_rng(0)
    side = int(np.ceil(n_clusters**0.5))
    lattice = np.stack(np.divmod(np.arange(n_clusters), side), axis=1) * 10.0
    places = lattice + rng.uniform(-1, 1, size=lattice.shape)
    points = places[rng.integers(n_clusters, size=n)] + rng.normal(size=(n, 2))

    def find(kind: Any, **options: Any) -> np.ndarray:
        return kind(bandwidth=BANDWIDTH, **options).fit(points).cluster_centers_

    runs = {
        OURS: lambda: Modes(find(MeanShift), has_all=True),
        OURS_GRID: lambda: Modes(find(MeanShift, seeding="grid"), has_all=False),
        SKLEARN: lambda: Modes(find(cluster.MeanShift), has_all=True),
        SKLEARN_BINS: lambda: Modes(find(cluster.MeanShift, bin_seeding=True), has_all=False),
    }
    return {library: runs[library] for library in (OURS, *libraries)}


class Modes(NamedTuple):
    """Places (K, 2); of fewer seeds than points they may not be all."""

    places: np.ndarray
    has_all: bool


def _differ_in_modes(ours: Modes, theirs: Modes) -> str:
    """Find modes of one that are none of the other."""
    from sklearn.neighbors import NearestNeighbors

    if theirs.has_all and len(ours.places) != len(theirs.places):
        return f"{len(theirs.places)} modes, ours are {len(ours.places)}"
    nearest = NearestNeighbors(n_neighbors=1).fit(ours.places)
    apart = nearest.kneighbors(theirs.places)[0].max()
    # Few seeds come from elsewhere, and may stop a few points beside on a flat top.
    most = (0.01 if theirs.has_all else 0.05) * BANDWIDTH
    return "" if apart < most else f"modes are up to {apart:.2g} apart"


def _make_kmeans(n: int, n_clusters: int) -> Runs:
    from sklearn import cluster

    from common.neighbors.kmeans import KMeans

    rng = np.random.default_rng(0)
    places = rng.normal(size=(n_clusters, 64)) * 2
    points = (places[rng.integers(n_clusters, size=n)] + rng.normal(size=(n, 64))).astype("f4")
    start = points[rng.choice(n, size=n_clusters, replace=False)]

    def fit(kind: Any) -> float:
        return float(kind(n_clusters, init=start, n_init=1).fit(points).inertia_)

    return {OURS: partial(fit, KMeans), SKLEARN: partial(fit, cluster.KMeans)}


def _differ_in_inertia(ours: float, theirs: float) -> str:
    apart = abs(ours - theirs) / theirs
    return "" if apart < 1e-3 else f"inertia is {apart:.2%} apart"
