import numpy as np

from common.contract import OutOfFold
from competitions.state_farm_distracted_driver_detection.pictures import N_WORST, find_worst


def make_oof(given, labels, drivers):
    """Rows that give their true class some probability and the next class the rest."""
    labels = np.asarray(labels)
    n = len(labels)
    prediction = np.zeros((n, 10))
    prediction[np.arange(n), labels] = given
    prediction[np.arange(n), (labels + 1) % 10] = 1 - np.asarray(given)
    ids = np.array([f"img_{k}.jpg" for k in range(n)])
    return OutOfFold(ids, np.zeros(n, int), np.asarray(drivers), np.eye(10)[labels], prediction)


def test_the_worst_frames_by_hand():
    """Two sequences of driver a, one of b: of each its worst frame, the worst of all first."""
    oof = make_oof([0.9, 0.2, 0.5, 0.1, 0.7], [3, 3, 4, 4, 3], ["a", "a", "a", "a", "b"])

    np.testing.assert_array_equal(find_worst(oof), [3, 1, 4])


def test_no_more_than_fit_on_a_page():
    rng = np.random.default_rng(0)
    drivers = [f"d{k // 10}" for k in range(100)]
    found = find_worst(make_oof(rng.random(100), np.arange(100) % 10, drivers))

    assert len(found) == N_WORST == len(np.unique(found))
