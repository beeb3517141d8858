"""K-means: centres that are the means of the rows nearest to them."""

from typing import Literal, Self

import numpy as np

from common.checks import check_positive, check_shape
from common.neighbors.centred_rows import CentredRows
from common.neighbors.kmeans_start import choose_centers, count_trials
from common.neighbors.lloyd import assign, move_all, move_by_batches
from common.neighbors.spaces import SPACES, check_real


class KMeans:
    """Split points into clusters so that the squared distances to their means are small.

    Two steps in turn: every row goes to its nearest centre, then every centre to the mean of its
    rows. A centre that is left without rows gets the row furthest from its own. From equal starts
    this ends where scikit-learn's KMeans does, but for what float32 rounds: rows are held in it
    around their mean, thus to 6e-8 of the distance R of the furthest one. While centres are closer
    together than R / 290, rows are read anew in each pass, and all is computed in float64.

    Args:
        n_clusters: K.
        init: "k-means++", or (K, D) first centres.
        n_init: starts, of which the best is kept; 1 start of given centres.
        max_iter: passes over all rows at most.
        tol: stops when the squared moves of all centres sum to less than this share of the mean
            variance of a column, as scikit-learn does; also when no row changes centre.
        batch_size: rows of a mini-batch, or None to use all at once. Then a centre is the mean of
            all rows that it has won in any batch; stops when batches no longer come closer.
        random_state: seed of starts and batches.
        memory_mib: bounds the blocks of rows; fitted points beyond it are read anew in each pass.
            On top come some 30 bytes for each row, 4 log K more for a k-means++ start, and three
            (K, K) float64 matrices.

    Attributes:
        cluster_centers_: (K, D) float64.
        labels_: (N,) int32, the nearest centre of each row.
        inertia_: sum of squared distances to the nearest centres.
        n_iter_: passes made over all rows, or batches.

    Raises:
        ValueError: a number is out of range, or init is neither the word nor (K, any) finite
            numbers.

    Cost: O(N K D) for the first pass and the last; those between measure only rows whose centre may
        change.

    Source: Lloyd, "Least Squares Quantization in PCM", 1982; Sculley, "Web-Scale K-Means
        Clustering", 2010, for mini-batches.
    """

    def __init__(
        self,
        n_clusters: int,
        *,
        init: Literal["k-means++"] | np.ndarray = "k-means++",
        n_init: int = 1,
        max_iter: int = 300,
        tol: float = 1e-4,
        batch_size: int | None = None,
        random_state: int = 0,
        memory_mib: int = 512,
    ) -> None:
        numbers = {"n_clusters": n_clusters, "n_init": n_init, "max_iter": max_iter}
        for name, number in (numbers | {"memory_mib": memory_mib}).items():
            check_positive(name, number)
        if not tol >= 0:
            raise ValueError(f"tol must be >= 0, received {tol}")
        if batch_size is not None:
            check_positive("batch_size", batch_size)
        if not isinstance(init, str):
            init = np.asarray(init)
            check_shape("init", init, (n_clusters, None))
            check_real("init", init)
            SPACES["euclidean"].check("init", init)
        elif init != "k-means++":
            raise ValueError(f"init must be k-means++ or centres, received {init}")
        self.n_clusters, self.init, self.n_init = n_clusters, init, n_init
        self.max_iter, self.tol, self.batch_size = max_iter, tol, batch_size
        self.random_state, self.memory_mib = random_state, memory_mib

    def fit(self, points: np.ndarray) -> Self:
        """Find the centres of points (N, D), which may be memory-mapped.

        Raises:
            ValueError: points are not (N, D), they are fewer than the clusters, one is not finite,
                or init has another D.
        """
        points = points if hasattr(points, "shape") else np.asarray(points)
        check_shape("points", points, (None, None))
        rows = self._read(points)
        if rows.n < self.n_clusters:
            raise ValueError(f"points must be {self.n_clusters} or more, received {rows.n}")
        rng = np.random.default_rng(self.random_state)
        n_starts = self.n_init if isinstance(self.init, str) else 1
        tries = []
        for _ in range(n_starts):
            start = self._start(rows, points, rng)
            if self.batch_size is None:
                tries.append(move_all(rows, start, max_iter=self.max_iter, tol=self.tol))
            else:
                size, max_iter = min(self.batch_size, rows.n), self.max_iter
                tries.append(
                    move_by_batches(rows, start, batch_size=size, max_iter=max_iter, rng=rng)
                )
        best = min(tries, key=lambda clusters: clusters.inertia)
        self.cluster_centers_ = best.centers + rows.mean
        self.labels_, self.inertia_, self.n_iter_ = best.labels, best.inertia, best.n_iter
        return self

    def predict(self, points: np.ndarray) -> np.ndarray:
        """Tell the nearest centre of points (Q, D): (Q,) int32.

        Raises:
            ValueError: there was no fit, points are not (Q, D) with its D, or one is not finite.
        """
        if not hasattr(self, "cluster_centers_"):
            raise ValueError("fit must come before predict, received no points to fit")
        points = points if hasattr(points, "shape") else np.asarray(points)
        check_shape("points", points, (None, self.cluster_centers_.shape[1]))
        rows = self._read(points)
        return assign(rows, self.cluster_centers_ - rows.mean)

    def _read(self, points: np.ndarray) -> CentredRows:
        # Scores of all centres, and what choosing among them takes, in float64 if need be; or the
        # trials of the start with what is measured again of them.
        n_trials = count_trials(self.n_clusters)
        width = max(5 * self.n_clusters, n_trials * (3 * points.shape[1] + 8))
        return CentredRows(points, width=width, memory_mib=self.memory_mib)

    def _start(self, rows: CentredRows, points: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Find first centres, (K, D) around the rows' mean."""
        if not isinstance(self.init, str):
            check_shape("init", self.init, (None, rows.n_dims))
            return np.asarray(self.init, np.float64) - rows.mean
        n_sampled = 3 * max(self.batch_size or rows.n, self.n_clusters)
        if n_sampled >= rows.n:
            return choose_centers(rows, self.n_clusters, rng=rng)
        # As scikit-learn does: a whole pass for each centre would take longer than all batches.
        some = self._read(points[np.sort(rng.choice(rows.n, n_sampled, replace=False))])
        return choose_centers(some, self.n_clusters, rng=rng) + (some.mean - rows.mean)
