import numpy as np
import pytest

from common.contract import OutOfFold
from competitions.state_farm_distracted_driver_detection import pictures as drawing
from competitions.state_farm_distracted_driver_detection.pictures import (
    DOES,
    N_QUERIES,
    N_WORST,
    find_worst,
)
from competitions.state_farm_distracted_driver_detection.smoothing import Neighbours

PIXELS = np.arange(60, dtype=np.uint8)[:, None, None, None] + np.zeros((1, 8, 8, 3), np.uint8)
"""Frames whose colour is their row."""


@pytest.fixture
def shown(monkeypatch):
    """What is shown: (picture, title, heat)."""
    told = []
    monkeypatch.setattr(
        drawing, "show", lambda _, picture, title, heat=None: told.append((picture, title, heat))
    )
    return told


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


def test_worst_frames_are_told_true_and_likeliest(shown, tmp_path):
    oof = make_oof([0.9, 0.2], [3, 5], ["a", "b"])

    drawing.draw_worst(oof, PIXELS[[7, 9]], np.array([1, 0]), tmp_path / "worst.png")

    assert [(picture[0, 0, 0], title) for picture, title, _ in shown] == [
        (7, f"{DOES[5]}: 20%\n{DOES[6]}: 80%"),
        (9, f"{DOES[3]}: 90%\n{DOES[3]}: 90%"),
    ]


def test_neighbours_are_frames_of_the_pool(shown, tmp_path):
    """The pool is rows 20 to 49; next to each frame lie the two that follow it."""
    pool = np.arange(20, 50)
    indices = (np.arange(30)[:, None] + np.arange(3)) % 30
    near = Neighbours(np.tile([0.0, 0.5, 1.5], (30, 1)), indices)

    drawing.draw_neighbours(near, PIXELS, pool, tmp_path / "neighbours.png")

    rows = [int(picture[0, 0, 0]) for picture, *_ in shown]
    first = rows[::3]
    assert len(first) == N_QUERIES and first[0] == 20 and first[-1] == 49
    assert rows[:3] == [20, 21, 22] and rows[-3:] == [49, 20, 21]
    assert [title for _, title, _ in shown[:3]] == ["frame", "0.5", "1.5"]


def test_occlusions_show_what_each_true_class_loses(shown, tmp_path):
    """A net that is sure of its class by the brightness of one corner, each class another."""

    def answer(frames):
        upper, lower = frames[:, :4, :4], frames[:, 4:, 4:]
        return np.stack([part.mean(axis=(1, 2, 3)) / 255 for part in (upper, lower)], axis=1)

    frames = np.zeros((2, 8, 8, 3), np.uint8)
    frames[0, :4, :4] = frames[1, 4:, 4:] = 255

    drawing.draw_occlusions(answer, frames, [0, 1], tmp_path / "occlusions.png")

    (_, first, upper), (_, second, lower) = shown
    assert upper[0, 0] > 0 and lower[-1, -1] > 0
    assert upper[-1, -1] <= 0 and lower[0, 0] <= 0
    assert first.startswith(f"{DOES[0]}: 100%") and second.startswith(f"{DOES[1]}: 100%")
