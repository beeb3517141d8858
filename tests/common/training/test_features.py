import numpy as np

from common.training.features import make_features_once


class Shelf:
    """One place, in memory."""

    def __init__(self):
        self.kept = None

    def load(self, task):
        return self.kept

    def write(self, task, arrays):
        self.kept = dict(arrays)


def test_features_are_made_once_and_cost_what_they_took_then():
    made, shelf = [], Shelf()

    def make():
        made.append(1)
        return np.arange(6.0).reshape(3, 2)

    first, cost = make_features_once(make, keep=shelf)
    again, same_cost = make_features_once(make, keep=shelf)
    np.testing.assert_array_equal(first, np.arange(6.0).reshape(3, 2))
    np.testing.assert_array_equal(again, first)
    assert made == [1]
    assert cost == same_cost and cost.seconds > 0
    assert shelf.kept["seconds"] == cost.seconds
