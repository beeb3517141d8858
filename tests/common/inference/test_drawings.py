import numpy as np
import pytest
from matplotlib.axes import Axes

from common.inference.drawings import draw_confusions, make_panels, show


@pytest.mark.parametrize(("n", "n_rows"), [(0, 1), (1, 1), (3, 1), (4, 2), (7, 3)])
def test_panels_fill_rows(n, n_rows):
    figure, panels = make_panels(n, n_columns=3, title="all")

    assert len(panels) == 3 * n_rows and figure.get_suptitle() == "all"
    assert not any(axes.axison for axes in panels)
    tops = [axes.get_subplotspec().rowspan.start for axes in panels]
    assert tops == sorted(tops)


def test_panels_need_columns():
    with pytest.raises(ValueError, match="n_columns must be > 0, received 0"):
        make_panels(1, n_columns=0)


@pytest.mark.parametrize(("low", "high", "most"), [(-3.0, 1.0, 3.0), (0.0, 2.0, 2.0)])
def test_heat_lies_over_the_picture_with_zero_in_the_middle(low, high, most):
    _, (axes,) = make_panels(1, n_columns=1)
    picture = np.full((2, 2, 3), 200, np.uint8)
    heat = np.array([[low, 0.0], [0.0, high]])

    show(axes, picture, "a leaf", heat=heat)

    below, above = axes.images
    assert np.array_equal(below.get_array(), picture) and axes.get_title() == "a leaf"
    assert above.get_clim() == (-most, most)
    red, _, blue, _ = above.cmap(above.norm(most))
    assert red > blue


def test_a_map_of_zeros_is_of_one_colour():
    _, (axes,) = make_panels(1, n_columns=1)
    show(axes, np.zeros((2, 2, 3), np.uint8), "", heat=np.zeros((2, 2)))
    assert axes.images[1].norm(0.0) == pytest.approx(0.5)


def test_a_picture_without_heat_is_alone():
    _, (axes,) = make_panels(1, n_columns=1)
    show(axes, np.zeros((2, 2, 3), np.uint8), "")
    assert len(axes.images) == 1


def test_confusions_are_shares_of_the_true_class(monkeypatch):
    """Of three cats one is taken for a dog; all dogs are right; no cow is there."""
    drawn = []
    write = Axes.text
    monkeypatch.setattr(Axes, "text", lambda *a, **k: (drawn.append(a[3]), write(*a, **k))[1])
    target, predicted = np.array([0, 0, 0, 1, 1]), np.array([0, 1, 0, 1, 1])

    figure = draw_confusions(target, predicted, ("cat", "dog", "cow"))

    assert drawn == ["67%", "33%", "0%", "0%", "100%", "0%", "0%", "0%", "0%"]
    assert figure.axes[0].get_title() == "80.0% of 5 right"


def test_confusions_need_as_many_answers_as_rows():
    with pytest.raises(ValueError, match="lengths must be equal, received target 2, predicted 3"):
        draw_confusions(np.zeros(2, int), np.zeros(3, int), ("cat",))
