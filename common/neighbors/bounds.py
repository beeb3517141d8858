"""Bounds of rows' distances from centres, which spare measuring most of them again."""

import numpy as np

from common.neighbors.selection import bound_rounding

_DOUBT = 1e-9
"""Relative difference of two bounds below which they count as equal: they round too."""


class Bounds:
    """What is known of rows' distances from centres that move.

    Args:
        n_rows: N.

    Attributes:
        own: (N,) no less than each row's distance from its own centre.
        others: (N,) no more than its distance from any other.

    Source: Hamerly, "Making k-means Even Faster", 2010.
    """

    def __init__(self, n_rows: int) -> None:
        self.own, self.others = np.full(n_rows, np.inf), np.zeros(n_rows)

    def compare(self, centers: np.ndarray, dtype: type[np.floating]) -> None:
        """Take centres for what is asked and learnt from now on.

        Args:
            centers: (K, D) float64.
            dtype: in which rows are compared with them.
        """
        norms = np.linalg.norm(centers, axis=1)
        self._longest, self._n_dims, self._dtype = norms.max(), centers.shape[1], dtype
        error = self._bound_error(norms, np.float64)
        self._gaps = np.sqrt(np.maximum(measure_gaps(centers) - error, 0))

    def find_doubtful(self, rows: slice, labels: np.ndarray) -> np.ndarray:
        """Find rows that may be nearer to another centre than to their own.

        Args:
            rows: which are asked.
            labels: (B,) their centres; any where `own` is infinite.

        Returns:
            (B',) row numbers.
        """
        far = np.maximum(self.others[rows], self._gaps[labels] / 2)
        return rows.start + np.flatnonzero(~(self.own[rows] * (1 + _DOUBT) < far))

    def learn(self, rows: np.ndarray, squares: np.ndarray, scores: np.ndarray) -> None:
        """Take bounds from scores.

        Args:
            rows: (B,) row numbers.
            squares: (B,) float64 squared lengths of the rows.
            scores: (B, 2) the two greatest x c - |c|^2 / 2.
        """
        near, far = (squares[:, None] - 2 * scores.astype(np.float64)).T
        error = self._bound_error(np.sqrt(squares), self._dtype)
        self.own[rows] = np.sqrt(np.maximum(near + error, 0))
        self.others[rows] = np.sqrt(np.maximum(far - error, 0))

    def move(self, labels: np.ndarray, moves: np.ndarray) -> None:
        """Loosen the bounds by how far centres have moved.

        Args:
            labels: (N,) each row's own centre.
            moves: (K,) distances.
        """
        # A move is known as well as it rounds, and what it leaves of a bound likewise.
        moves = moves * (1 + _DOUBT)
        first = int(np.argmax(moves))
        most = np.full(len(moves), moves[first])
        most[first] = np.delete(moves, first).max(initial=0)
        self.own += moves[labels]
        self.others = np.nextafter(self.others - most[labels], -np.inf)

    def _bound_error(self, norms: np.ndarray, dtype: type[np.floating]) -> np.ndarray:
        reach = np.full_like(norms, self._longest)
        return bound_rounding(norms, reach, n_dims=self._n_dims, dtype=dtype)


def measure_gaps(centers: np.ndarray) -> np.ndarray:
    """Measure squared distances of centres (K, D) from their nearest others: (K,), inf alone."""
    norms = np.square(centers).sum(axis=1)
    squares = norms + norms[:, None] - 2 * centers @ centers.T
    np.fill_diagonal(squares, np.inf)
    gaps: np.ndarray = squares.min(axis=1)
    return gaps
