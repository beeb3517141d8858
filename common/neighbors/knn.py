"""Exact nearest neighbours by brute force, in blocks, and what they say of their query."""

from collections.abc import Callable
from typing import Any, Self

import numpy as np

from common.checks import check_positive, check_same_length, check_shape
from common.neighbors.search import BlockedBase, Queries, check_points, find_centre, load_rows
from common.neighbors.spaces import SPACES

Weights = str | Callable[[np.ndarray], np.ndarray]


class NearestNeighbors:
    """Find the nearest rows of a base, exactly.

    A float32 matrix product of centred rows selects a few more than K, whose distances are then
    measured from differences in float64. A bound on the product's rounding proves for nearly every
    query that none was missed; queries for which it does not, as in a tight cluster far from the
    rest, are searched again for all that float64 cannot rule out. So data far from the origin, of
    mixed scales or full of duplicates cost time, never a neighbour. Rows whose squared distances
    are within 1e-12 of each other are ties, and any of them may be taken. Differences below 1e-154
    have no square in float64 and count as 0.

    Args:
        n_neighbors: K where `kneighbors` is not told another.
        metric: "euclidean", "cosine" (1 - cosine), or "haversine_km" for latitudes and longitudes
            in degrees.
        memory_mib: bound of the working arrays, whatever the sizes are, as long as a hundred rows
            fit. Results come on top, twice of `kneighbors` and some six times of
            `radius_neighbors`, and so does the base if it lies in memory.

    Attributes:
        n_samples_fit_: N, rows of the base.
        n_features_in_: D.

    Raises:
        ValueError: n_neighbors or memory_mib is not positive, or the metric is not known.

    Cost: O(Q N D) for Q queries.
    """

    def __init__(
        self, n_neighbors: int = 5, *, metric: str = "euclidean", memory_mib: int = 512
    ) -> None:
        check_positive("n_neighbors", n_neighbors)
        check_positive("memory_mib", memory_mib)
        if metric not in SPACES:
            raise ValueError(f"metric must be one of {', '.join(SPACES)}, received {metric}")
        self.n_neighbors, self.metric, self.memory_mib = n_neighbors, metric, memory_mib

    def fit(self, base: np.ndarray, *, groups: np.ndarray | None = None) -> Self:
        """Check the base once and keep it; it is neither copied nor changed.

        Args:
            base: (N, D) numbers, N >= 1, all finite. Anything with a shape and a dtype that gives
                arrays for slices will do, a `np.memmap` larger than memory for example.
            groups: (N,) numbers or words, none NaN, for example the driver of each row.

        Raises:
            ValueError: a shape is wrong, a row has no place in the metric, or a group is NaN.
        """
        base = base if hasattr(base, "shape") else np.asarray(base)
        space, memory = SPACES[self.metric], self.memory_mib * 2**20
        check_shape("base", base, (None, space.n_dims))
        check_positive("number of rows of base", len(base))
        check_positive("number of columns of base", base.shape[1])
        check_points("base", base, space, memory=memory)
        codes = self._known_groups = None
        if groups is not None:
            groups = _check_groups(groups, base=base)
            self._known_groups, found = np.unique(groups, return_inverse=True)
            codes = found.astype(np.int32)
        self._base = BlockedBase(base, space, find_centre(base, space), codes, memory)
        self.n_samples_fit_, self.n_features_in_ = base.shape
        return self

    def kneighbors(
        self,
        queries: np.ndarray | None = None,
        n_neighbors: int | None = None,
        *,
        groups: np.ndarray | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Find the K nearest rows of each query.

        Args:
            queries: (Q, D) numbers; None takes the base itself, each row without itself, or without
                its whole group if `fit` was given groups.
            n_neighbors: K.
            groups: (Q,) the queries' own, of which no row is taken; `fit` must have had groups too.

        Returns:
            (Q, K) distances, nearest first, float32 if base and queries are float32 and float64
            otherwise, and (Q, K) int64 rows of the base.

        Raises:
            ValueError: a shape is wrong, a query has no place in the metric, groups are NaN or of
                another kind than those of fit, or fewer than K rows are left for a query.
        """
        n_neighbors = self.n_neighbors if n_neighbors is None else n_neighbors
        check_positive("n_neighbors", n_neighbors)
        asked, skips_own = self._prepare(queries, groups)
        self._check_enough(n_neighbors, asked, skips_own)
        squared, rows = self._base.find_nearest(asked, n_neighbors + skips_own)
        if skips_own:
            is_own = rows == np.arange(len(rows))[:, None]
            # Where more rows than K lie at the same place, its own may be missing.
            is_own[~is_own.any(axis=1), -1] = True
            squared, rows = (a[~is_own].reshape(-1, n_neighbors) for a in (squared, rows))
        distances = self._base.space.measure(squared)
        return distances.astype(self._result_type(asked), copy=False), rows

    def radius_neighbors(
        self,
        queries: np.ndarray | None = None,
        *,
        radius: float,
        groups: np.ndarray | None = None,
    ) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Find all rows within a distance of each query, the distance itself included.

        Args:
            queries: as for `kneighbors`.
            radius: >= 0, in the metric's unit.
            groups: as for `kneighbors`.

        Returns:
            For each query the distances, nearest first, and the rows of the base.

        Raises:
            ValueError: a shape is wrong, a query has no place in the metric, or radius is negative.
        """
        if not radius >= 0:
            raise ValueError(f"radius must be >= 0, received {radius}")
        asked, skips_own = self._prepare(queries, groups)
        space = self._base.space
        # A distance that is the radius may measure as a little more on the way to the square.
        reach = np.full(len(asked), space.square(radius) * (1 + 1e-12))
        parts = [(np.empty(0, int), np.empty(0, int), np.empty(0))]
        for query, row, squared in self._base.find_within(asked, reach):
            distances = space.measure(squared)
            kept = (distances <= radius) & ~(skips_own & (query == row))
            parts.append((query[kept], row[kept], distances[kept]))
        query, row, distances = (np.concatenate(part) for part in zip(*parts, strict=True))
        order = np.lexsort((row, distances, query))
        distances = distances[order].astype(self._result_type(asked), copy=False)
        ends = np.cumsum(np.bincount(query, minlength=len(asked)))[:-1]
        return np.split(distances, ends), np.split(row[order], ends)

    def _prepare(self, points: Any, groups: np.ndarray | None) -> tuple[Queries, bool]:
        """Check queries; tell too whether each is a row of the base that must not find itself."""
        if not hasattr(self, "_base"):
            raise ValueError("fit must come before a search, received no base")
        base = self._base
        if points is None:
            if groups is not None:
                raise ValueError("groups must come with queries, received them alone")
            return Queries(base.points, base.groups), base.groups is None
        points = points if hasattr(points, "shape") else np.asarray(points)
        check_shape("queries", points, (None, self.n_features_in_))
        check_positive("number of rows of queries", len(points))
        check_points("queries", points, base.space, memory=base.memory)
        if groups is None:
            return Queries(points), False
        if self._known_groups is None:
            raise ValueError("groups must have been given to fit too, received them here only")
        groups = _check_groups(groups, queries=points)
        if (groups.dtype.kind in "US") != (self._known_groups.dtype.kind in "US"):
            raise ValueError(
                f"groups must be of the kind that fit was given, {self._known_groups.dtype}, "
                f"received {groups.dtype}"
            )
        places = np.searchsorted(self._known_groups, groups).clip(max=len(self._known_groups) - 1)
        is_known = self._known_groups[places] == groups
        return Queries(points, np.where(is_known, places, -1).astype(np.int32)), False

    def _check_enough(self, n_neighbors: int, asked: Queries, skips_own: bool) -> None:
        n_left = np.full(len(asked), self.n_samples_fit_ - skips_own)
        if asked.groups is not None and self._base.groups is not None:
            # The last size is that of a group that the base has not, -1.
            n_left -= np.append(np.bincount(self._base.groups), 0)[asked.groups]
        query = int(np.argmin(n_left))
        if n_left[query] < n_neighbors:
            raise ValueError(
                f"n_neighbors must be at most the {n_left[query]} rows that are left for query "
                f"{query}, received {n_neighbors}"
            )

    def _result_type(self, asked: Queries) -> np.dtype:
        first = slice(0, 1)
        return np.result_type(load_rows(asked.points, first), load_rows(self._base.points, first))


def _check_groups(groups: Any, **points: Any) -> np.ndarray:
    """Check groups of the rows of points, given by name: (N,), none unlike itself."""
    groups = np.asarray(groups)
    check_shape("groups", groups, (None,))
    check_same_length(**points, groups=groups)
    # NaN is no group that could be left out: it equals not even itself.
    if (is_nan := groups != groups).any():
        raise ValueError(f"groups must not be NaN, received it in row {int(np.argmax(is_nan))}")
    return groups


def vote(
    labels: np.ndarray,
    distances: np.ndarray,
    indices: np.ndarray,
    *,
    n_classes: int,
    weights: Weights = "uniform",
    class_weights: np.ndarray | None = None,
) -> np.ndarray:
    """Share every query out to the classes of its neighbours.

    Args:
        labels: (N,) int classes of the base's rows, in [0, C).
        distances: (Q, K) as `NearestNeighbors.kneighbors` gives them.
        indices: (Q, K) rows of the base.
        n_classes: C, > 0.
        weights: "uniform"; "distance" for 1 / distance, where neighbours at 0 leave the others
            nothing; or a function from distances to weights >= 0, not all 0.
        class_weights: (C,) what a vote for each class counts, > 0 and finite: 1 / frequency, say,
            lets rare classes win.

    Returns:
        (Q, C) float64 shares, which sum to 1.

    Raises:
        ValueError: a shape, a label or a weight is wrong.
    """
    check_positive("n_classes", n_classes)
    labels, indices = np.asarray(labels), np.asarray(indices)
    check_shape("labels", labels, (None,))
    if labels.dtype.kind not in "iu" or ((labels < 0) | (labels >= n_classes)).any():
        raise ValueError(f"labels must be ints in [0, {n_classes}), received others")
    counts = _weigh(distances, indices, weights)
    votes = labels[indices]
    if class_weights is not None:
        class_weights = np.asarray(class_weights)
        check_shape("class_weights", class_weights, (n_classes,))
        if not ((class_weights > 0) & (class_weights < np.inf)).all():
            raise ValueError(f"class_weights must be > 0 and finite, received {class_weights}")
        counts = counts * class_weights[votes]
    place = votes + n_classes * np.arange(len(votes))[:, None]
    shares = np.bincount(place.ravel(), counts.ravel(), minlength=len(votes) * n_classes)
    shares = shares.reshape(-1, n_classes)
    return shares / shares.sum(axis=1, keepdims=True)


def average(
    values: np.ndarray,
    distances: np.ndarray,
    indices: np.ndarray,
    *,
    weights: Weights = "uniform",
) -> np.ndarray:
    """Average what is known of every query's neighbours.

    Args:
        values: (N, ...) of the base's rows.
        distances: (Q, K) as `NearestNeighbors.kneighbors` gives them.
        indices: (Q, K) rows of the base.
        weights: as for `vote`.

    Returns:
        (Q, ...) float64.

    Raises:
        ValueError: a shape or a weight is wrong.
    """
    return np.einsum(
        "qk,qk...->q...", _weigh(distances, indices, weights), np.asarray(values)[indices]
    )


def _weigh(distances: np.ndarray, indices: np.ndarray, weights: Weights) -> np.ndarray:
    """Make (Q, K) float64 weights that sum to 1 for each query."""
    distances, indices = np.asarray(distances), np.asarray(indices)
    check_shape("indices", indices, (None, None))
    check_shape("distances", distances, indices.shape)
    if callable(weights):
        found = np.asarray(weights(distances), np.float64)
        check_shape("weights of distances", found, distances.shape)
    elif weights == "uniform":
        found = np.ones(distances.shape)
    elif weights == "distance":
        # By the nearest first: 1 / distance of the smallest floats would be infinite.
        nearest = distances.min(axis=1, keepdims=True).astype(np.float64)
        is_nearest = distances == nearest
        found = np.where(is_nearest, 1.0, nearest / np.where(is_nearest, 1.0, distances))
    else:
        raise ValueError(f"weights must be uniform, distance or a function, received {weights}")
    total = found.sum(axis=1, keepdims=True)
    if not ((found >= 0).all() and (total > 0).all() and np.isfinite(total).all()):
        raise ValueError("weights of distances must be >= 0 and not all 0, received others")
    return found / total
