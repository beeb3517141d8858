import numpy as np
import pytest

from common.features.encoder import FAR, learn_encoder
from tests.helpers.tables import make_gappy_table

CATEGORIES = ("store", "weekday")


@pytest.fixture
def small():
    return make_gappy_table()


def test_encoder_by_hand(small):
    """The number's mean is 3 and its spread the root of 2; a gap is 0 with a flag."""
    encoder = learn_encoder(small, CATEGORIES)
    made = encoder.encode(small)
    assert encoder.numbers == ["left", "far"] and list(encoder.levels) == ["store", "weekday"]
    assert made["codes"].tolist() == [[2, 1], [1, 2], [2, 3], [1, 1], [2, 2], [1, 3]]
    root = np.sqrt(2)
    wanted = [-2 / root, -1 / root, 0, 0, 1 / root, 2 / root]
    np.testing.assert_allclose(made["numbers"][:, 0], wanted, atol=1e-6)
    assert made["numbers"][:, -1].tolist() == [0, 0, 1, 0, 0, 0] and made["numbers"].shape == (6, 3)
    assert made["numbers"].dtype == np.float32 and made["codes"].dtype == np.int32
    plain = learn_encoder(small, CATEGORIES, flags=False).encode(small)["numbers"]
    np.testing.assert_array_equal(plain, made["numbers"][:, :2])


def test_encoder_meets_what_it_has_not_seen(small):
    """New levels and gaps are code 0; far numbers are cut; gaps of whole columns have no flag."""
    encoder = learn_encoder(small, CATEGORIES)
    strange = small.assign(
        store=[2, 99, np.nan, 1, 3, 1],
        left=[1e6, -1e6, 3, 3, 3, 3],
        far=[np.nan, 1000, 0, 0, 0, 0],
        nothing=7.0,
    )
    made = encoder.encode(strange)
    assert made["codes"][:, 0].tolist() == [0, 0, 0, 1, 2, 1]
    numbers = made["numbers"]
    assert numbers.shape == (6, 3) and np.isfinite(numbers).all()
    assert numbers[:2, 0].tolist() == [FAR, -FAR] and numbers[1, 1] == FAR
    assert numbers[0, 1] == 0 and (numbers[:, 2] == 0).all()


def test_other_columns_do_not_matter(small):
    encoder = learn_encoder(small, CATEGORIES)
    wider = small.assign(other="x")[["other", *small.columns[::-1]]]
    for name, values in encoder.encode(small).items():
        np.testing.assert_array_equal(encoder.encode(wider)[name], values)
