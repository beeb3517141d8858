"""Mean shift: places climb to the modes of the points' density, and modes are clusters."""

from typing import Literal, Self

import numpy as np

from common.checks import check_choices, check_positive, check_shape
from common.geo import project_km, unproject_km
from common.neighbors.knn import NearestNeighbors
from common.neighbors.pairs import find_nearest, sum_pairs
from common.neighbors.spaces import SPACES, Space, check_real
from common.neighbors.strips import Strips

STOP = 1e-3
"""A place that moves by less than so many bandwidths has arrived, as in scikit-learn; two that come
that near to each other go on as one; and it bounds what a cut-off kernel may be wrong by.
"""


class MeanShift:
    """Find clusters as the modes of a density, without being told how many.

    From its seed every place moves to the weighted mean of the points around it, which is uphill,
    until it arrives. Of arrived places that lie within a bandwidth of each other, the densest is
    the mode. Every point belongs to the nearest mode.

    The flat kernel weighs points within the bandwidth h by 1. From all points as seeds it gives the
    modes of scikit-learn's MeanShift. The Gaussian one weighs a point at distance d by
    exp(-d^2 / 2 h^2) and is cut off at c = sqrt(2 ln(16 N / STOP)) bandwidths, 6 to 7 of them. This
    changes no step by more than STOP h, for c < 8, thus N < 4e9:

    - Let e = exp(-c^2 / 2) = STOP / 16 N. A point further than c h weighs e or less, and adds to
      the sum of weighted offsets c h e or less, since t exp(-t^2 / 2) falls from t = 1 on. The step
      that is left is no longer than c h. So if w is the sum of all weights, the step is wrong by
      2 c h N e / w or less.
    - Cut-off weights are, up to a factor, the slope of the profile max(exp(-t / 2) - e, 0) of
      t = d^2 / h^2. It is convex and falls, so its sum over the points, which w exceeds, never
      falls along a path (Comaniciu and Meer, theorem 1). At a seed, a point itself, it is 1 - e
      or more.
    - 2 c h N e / (1 - e) = STOP h (c / 8) / (1 - e).

    Args:
        bandwidth: h, > 0, in the points' units, or km.
        kernel: "flat" or "gaussian".
        metric: "euclidean", or "haversine_km" for latitude and longitude in degrees: these are laid
            on a flat map around their mean (`project_km`), which holds within some 50 km of it.
        seeding: "points" to start from every point; "grid" from one in each occupied cell of half a
            bandwidth, several times faster, which may miss a faint mode or the densest of places
            that lie close to each other on a flat top.
        max_iter: steps of a place at most.
        memory_mib: bounds the pairs of places and points held at once, down to a place's own.

    Attributes:
        cluster_centers_: (K, D) modes, densest first.
        labels_: (N,) int, the nearest mode of each point.
        n_iter_: steps made.

    Raises:
        ValueError: a number is not positive or finite, or a word is none of those given.

    Cost: a step of a place takes O(sqrt(n) log N) for the n points within a bandwidth and a flat
        kernel, up to D = 2; O(n) for the Gaussian one, with n within its cut-off; for D > 2, O(n)
        with n those that are near in the two widest columns.

    Source: Comaniciu and Meer, "Mean Shift: A Robust Approach Toward Feature Space Analysis", 2002.
        Merging is scikit-learn's.
    """

    def __init__(
        self,
        bandwidth: float,
        *,
        kernel: Literal["flat", "gaussian"] = "flat",
        metric: Literal["euclidean", "haversine_km"] = "euclidean",
        seeding: Literal["points", "grid"] = "points",
        max_iter: int = 300,
        memory_mib: int = 512,
    ) -> None:
        if not 0 < bandwidth < np.inf:
            raise ValueError(f"bandwidth must be > 0 and finite, received {bandwidth}")
        check_positive("max_iter", max_iter)
        check_positive("memory_mib", memory_mib)
        check_choices("kernel", kernel, ("flat", "gaussian"))
        check_choices("metric", metric, ("euclidean", "haversine_km"))
        check_choices("seeding", seeding, ("points", "grid"))
        self.bandwidth, self.kernel, self.metric, self.seeding = bandwidth, kernel, metric, seeding
        self.max_iter, self.memory_mib = max_iter, memory_mib

    def fit(self, points: np.ndarray) -> Self:
        """Find the modes of points (N, D), and each point's label.

        Raises:
            ValueError: points are not (N, D) with N >= 1, or one is not finite, or places on the
                earth are not (N, 2), with latitudes in [-90, 90].
        """
        points = _check_points(points, SPACES[self.metric])
        if self.metric == "haversine_km":
            self._origin = _find_middle(points)
        points = self._flatten(points)
        strips = self._build_strips(points)
        arrived = self._climb(strips, self._choose_seeds(strips))
        density = self._sum_near(strips, arrived)[:, 0]
        order = np.lexsort([*arrived.T[::-1], density])[::-1]  # ties as scikit-learn breaks them
        self._modes = _keep_strongest(arrived[order], radius=self.bandwidth)
        self.cluster_centers_ = (
            unproject_km(self._modes, self._origin)
            if self.metric == "haversine_km"
            else self._modes
        )
        self.labels_ = self._label(points)
        return self

    def predict(self, points: np.ndarray) -> np.ndarray:
        """Tell the nearest mode of points (Q, D): (Q,) int.

        Raises:
            ValueError: there was no fit, points are not (Q, D) with its D, or one is not finite.
        """
        if not hasattr(self, "_modes"):
            raise ValueError("fit must come before predict, received no points to fit")
        points = _check_points(points, SPACES[self.metric])
        check_shape("points", points, (None, self._modes.shape[1]))
        return self._label(self._flatten(points))

    def _flatten(self, points: np.ndarray) -> np.ndarray:
        return project_km(points, self._origin) if self.metric == "haversine_km" else points

    def _build_strips(self, points: np.ndarray) -> Strips:
        """Index the points, with strips as thin as their density makes worthwhile."""
        radius = self.bandwidth
        if self.kernel == "gaussian":
            radius *= np.sqrt(2 * np.log(16 * len(points) / STOP))
        strips = Strips(points, radius=radius)
        some = strips.points[:: max(1, len(points) // 1000)]
        # A strip costs a place the time of a few pairs, and saves a share of the n that are near.
        # So their best number grows as the root of n; the factor is measured.
        starts, ends = strips.find_runs(some)
        n_near = (ends - starts).sum(axis=1).mean()
        per_radius = int(np.clip(0.15 * np.sqrt(n_near), 1, 64))
        return Strips(points, radius=radius, per_radius=per_radius)

    def _choose_seeds(self, strips: Strips) -> np.ndarray:
        if self.seeding == "points":
            return strips.points
        return _thin_out(strips.points, side=self.bandwidth / 2)

    def _climb(self, strips: Strips, places: np.ndarray) -> np.ndarray:
        """Move places until they arrive, each one that meets another going on as one with it."""
        arrived: list[np.ndarray] = []
        self.n_iter_ = 0
        while len(places) and self.n_iter_ < self.max_iter:
            self.n_iter_ += 1
            sums = self._sum_near(strips, places)
            steps = sums[:, 1:] / np.maximum(sums[:, :1], 1e-300)
            places = places + steps
            moving = np.linalg.norm(steps, axis=1) > STOP * self.bandwidth
            arrived.append(places[~moving])
            places = _thin_out(places[moving], side=STOP * self.bandwidth)
        return _thin_out(np.concatenate([*arrived, places]), side=STOP * self.bandwidth)

    def _sum_near(self, strips: Strips, places: np.ndarray) -> np.ndarray:
        """Sum the weights of the points near each place, and their weighted offsets: (Q, 1 + D)."""
        flat = self.kernel == "flat"
        falloff = 0.0 if flat else 0.5 / self.bandwidth**2
        sums = np.empty((len(places), 1 + places.shape[1]))
        for block in strips.near(places, memory_mib=self.memory_mib, sums=flat):
            pairs = strips.tensor, places[block.places], block.owners, block.rows
            sums[block.places] = sum_pairs(*pairs, strips.radius, falloff)
            if block.inside is not None:
                sums[block.places] += block.inside
        return sums

    def _label(self, points: np.ndarray) -> np.ndarray:
        """Find the nearest mode of each point: within a bandwidth first, then ever further."""
        labels, left = np.empty(len(points), np.int64), np.arange(len(points))
        radius = self.bandwidth
        while len(left):
            strips = Strips(self._modes, radius=radius)
            found = np.empty(len(left), np.int32)
            for block in strips.near(points[left], memory_mib=self.memory_mib):
                places = points[left[block.places]]
                pairs = strips.tensor, places, block.owners, block.rows
                found[block.places] = find_nearest(*pairs, strips.order, radius)
            is_found = found < len(self._modes)
            labels[left[is_found]] = found[is_found]
            left, radius = left[~is_found], 2 * radius
        return labels


def estimate_bandwidth(
    points: np.ndarray,
    *,
    quantile: float = 0.3,
    n_samples: int | None = None,
    metric: Literal["euclidean", "haversine_km"] = "euclidean",
    random_state: int = 0,
    memory_mib: int = 512,
) -> float:
    """Estimate a bandwidth as scikit-learn does: the mean distance to a far neighbour.

    Args:
        points: (N, D) finite numbers, N >= 1.
        quantile: share of the points up to that neighbour, the point itself among them, in (0, 1].
            Clusters that hold a smaller share each want a smaller one.
        n_samples: points drawn to be measured among themselves, or None for all.
        metric: as of `MeanShift`.
        random_state: seed of the draw.
        memory_mib: bounds the distances held at once.

    Returns:
        The bandwidth, in the points' units, or km; 0 where so many points are equal.

    Raises:
        ValueError: a number is out of range, or a point is not finite.

    Cost: O(n^2 D) for n = n_samples.
    """
    points = _check_points(points, SPACES["euclidean"])
    if not 0 < quantile <= 1:
        raise ValueError(f"quantile must be in (0, 1], received {quantile}")
    if n_samples is not None:
        check_positive("n_samples", n_samples)
        rng = np.random.default_rng(random_state)
        points = points[rng.permutation(len(points))[:n_samples]]
    n_neighbors = max(1, int(len(points) * quantile))
    search = NearestNeighbors(n_neighbors, metric=metric, memory_mib=memory_mib).fit(points)
    n_queries = max(1, int(memory_mib * 2**20) // (16 * n_neighbors))
    total = 0.0
    for start in range(0, len(points), n_queries):
        total += search.kneighbors(points[start : start + n_queries])[0][:, -1].sum(dtype=float)
    return total / len(points)


def _thin_out(points: np.ndarray, *, side: float) -> np.ndarray:
    """Keep one point, the most central, in each occupied cell of a grid, in the given order."""
    if not len(points):
        return points
    cells = (points - points.min(axis=0)) / side
    corners = np.floor(cells)
    from_middle = np.square(cells - corners - 0.5).sum(axis=1)
    order = np.lexsort([from_middle, *corners.T])
    is_first = np.append(True, np.diff(corners[order], axis=0).any(axis=1))
    return points[np.sort(order[is_first])]


def _keep_strongest(places: np.ndarray, *, radius: float) -> np.ndarray:
    """Drop every place that lies within the radius of a kept one before it."""
    strips = Strips(places, radius=radius)
    runs = np.stack(strips.find_runs(places), axis=2)
    is_kept, is_dropped = np.zeros(len(places), bool), np.zeros(len(places), bool)
    for place in range(len(places)):
        if not is_dropped[place]:
            is_kept[place] = True
            for start, end in runs[place]:
                offsets = strips.points[start:end] - places[place]
                is_near = np.square(offsets).sum(axis=1) <= radius**2
                is_dropped[strips.order[start:end][is_near]] = True
    return places[is_kept]


def _find_middle(places: np.ndarray) -> np.ndarray:
    """Find the mean of places on the earth, across the date line too: (2,) degrees."""
    east = np.radians(places[:, 1])
    middle = np.degrees(np.arctan2(np.sin(east).mean(), np.cos(east).mean()))
    return np.array([places[:, 0].mean(), middle])


def _check_points(points: np.ndarray, space: Space) -> np.ndarray:
    points = np.asarray(points)
    check_real("points", points)
    check_shape("points", points, (None, space.n_dims))
    check_positive("number of points", points.size)
    points = points.astype(np.float64, copy=False)
    space.check("points", points)
    return points
