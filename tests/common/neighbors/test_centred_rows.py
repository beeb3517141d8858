import numpy as np
import pytest

from common.neighbors.centred_rows import CentredRows


@pytest.mark.parametrize("memory_mib", [512, 1e-3], ids=["kept", "read anew"])
def test_blocks_are_the_centred_rows(memory_mib, tmp_path):
    points = np.random.default_rng(0).normal(size=(100, 3)) * [1, 2, 3] + [1e6, 0, -8.61]
    file = np.memmap(tmp_path / "points", np.float64, "w+", shape=points.shape)
    file[:] = points
    rows = CentredRows(file, width=10, memory_mib=memory_mib)

    np.testing.assert_allclose(rows.mean, points.mean(axis=0), rtol=1e-12)
    assert rows.variance == pytest.approx(points.var(axis=0).mean(), rel=1e-9)
    assert rows.reach >= np.linalg.norm(points - rows.mean, axis=1).max()
    for _ in range(2):
        found = np.full(points.shape, np.nan)
        for where, block in rows.blocks():
            found[where] = block
        np.testing.assert_allclose(found, points - rows.mean, rtol=1e-6, atol=1e-9)
    np.testing.assert_array_equal(rows.take([7, 3]), found[[7, 3]])
    assert len(list(rows.blocks())) == (1 if memory_mib == 512 else 25)


def test_float64_keeps_what_float32_rounds_beside_an_outlier():
    """0 and 1e-3 lie 3e5 from the mean of these two and 1e6, where float32 steps by 0.03."""
    rows = CentredRows(np.array([[0.0], [1e-3], [1e6]]), width=1, memory_mib=1)
    ((_, coarse),), ((_, fine),) = rows.blocks(), rows.blocks(np.float64)
    assert coarse[0, 0] == coarse[1, 0]
    assert float(fine[1, 0] - fine[0, 0]) == pytest.approx(1e-3, rel=1e-6)


def test_errors_name_the_argument():
    for points, message in (
        (np.zeros(3), r"points must have shape \(any, any\), received \(3,\)"),
        (np.zeros((0, 3)), r"points must have 1 row and column or more, received \(0, 3\)"),
        (
            np.array([[1.0], [np.inf]]),
            r"points must be finite, within 1e\+18 of their mean, received",
        ),
        (
            np.array([[0.0], [1e30]]),
            r"points must be finite, within 1e\+18 of their mean, received 1e\+30",
        ),
        (np.array([["a"], ["b"]]), "points must be real numbers, received dtype <U1"),
        (np.array([[1j], [2]]), "points must be real numbers, received dtype complex128"),
        (
            np.array([[np.nan], [1.0]]),
            r"points must be finite, within 1e\+18 of their mean, received",
        ),
    ):
        with pytest.raises(ValueError, match=message):
            CentredRows(points, width=1, memory_mib=1)
