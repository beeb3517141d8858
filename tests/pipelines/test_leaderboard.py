"""Places on a board: interpolated by hand."""

from dataclasses import replace

import pytest

from common.contract import Leaderboard, Metric
from pipelines.leaderboard import Place, describe_place, estimate_place

LOSS = Metric("loss", lambda target, prediction: 0.0, lower_is_better=True)
GAIN = Metric("gain", lambda target, prediction: 0.0, lower_is_better=False)
BOARD = Leaderboard(
    teams=3251,
    first=0.30,
    gold=0.34,
    silver=0.385,
    bronze=0.46,
    quantiles=((0.05, 0.35), (0.10, 0.45), (0.50, 0.45), (0.90, 0.95)),
)
MIRRORED = Leaderboard(
    teams=3251,
    first=-0.30,
    gold=-0.34,
    silver=-0.385,
    bronze=-0.46,
    quantiles=tuple((share, -score) for share, score in BOARD.quantiles),
)
PLACES = [
    (0.10, Place(1, "gold")),
    (0.30, Place(1, "gold")),
    (0.31, Place(33, "gold")),
    (0.34, Place(130, "gold")),
    (0.3401, Place(131, "silver")),
    (0.35, Place(163, "silver")),
    (0.3817, Place(214, "silver")),
    (0.385, Place(219, "silver")),
    (0.3851, Place(220, "bronze")),
    (0.45, Place(325, "bronze")),
    (0.46, Place(1652, "bronze")),
    (0.70, Place(2276, None)),
    (0.95, Place(2926, None)),
    (0.96, Place(3251, None)),
]


@pytest.mark.parametrize(("score", "place"), PLACES)
def test_rank_is_linear_between_quantiles_and_medals_go_by_their_own_cuts(score, place):
    """The marks: rank 1 at 0.30, 162.55 (5 %) at 0.35, 325.1 (10 %) at 0.45, 1625.5 (50 %) at 0.45,
    2925.9 (90 %) at 0.95.

    0.31: 1 + 0.2 x 161.55 = 33.3. 0.34: 1 + 0.8 x 161.55 = 130.2. 0.3401: 1 + 0.802 x 161.55 =
    130.6. 0.3817: 162.55 + 0.317 x 162.55 = 214.1. 0.385: 162.55 x 1.35 = 219.4. 0.3851:
    162.55 x 1.351 = 219.6. 0.45: the first mark that is as good, 325.1. 0.46: 1625.5 + 0.02 x
    1300.4 = 1651.5. 0.70: 1625.5 + 0.5 x 1300.4 = 2275.7. Worse than the last mark: last. Cuts
    belong to their medal.
    """
    assert estimate_place(BOARD, LOSS, score) == place


@pytest.mark.parametrize(("score", "place"), PLACES)
def test_a_board_where_higher_is_better_is_the_mirror(score, place):
    assert estimate_place(MIRRORED, GAIN, -score) == place


def test_rank_never_improves_as_the_score_gets_worse():
    ranks = [estimate_place(BOARD, LOSS, 0.29 + 0.001 * step).rank for step in range(700)]
    assert ranks == sorted(ranks) and ranks[0] == 1 and ranks[-1] == 3251


def test_a_small_board_has_no_rank_before_the_first():
    """1 % of 20 teams is rank 0.2; nine tenths of the way from 1 to there is 0.28."""
    board = Leaderboard(20, 0.1, 0.1, 0.2, 0.3, quantiles=((0.01, 0.2), (0.5, 0.4)))
    assert estimate_place(board, LOSS, 0.19).rank == 1


def test_the_place_is_said_in_words():
    assert (
        describe_place(BOARD, LOSS, 0.3817) == "would stand near 214 of 3,251, silver; approximate"
    )
    assert (
        describe_place(BOARD, LOSS, 0.70)
        == "would stand near 2,276 of 3,251, no medal; approximate"
    )


@pytest.mark.parametrize(("board", "metric", "sign"), [(BOARD, LOSS, 1), (MIRRORED, GAIN, -1)])
def test_better_than_the_first_is_not_to_be_believed(board, metric, sign):
    assert describe_place(board, metric, sign * 0.2999) == (
        f"better than the first ({sign * 0.3:g}): not to be believed"
    )
    assert describe_place(board, metric, sign * 0.3) == (
        "would stand near 1 of 3,251, gold; approximate"
    )


def test_the_firsts_score_is_told_in_full():
    board = replace(BOARD, first=0.33756)
    assert "better than the first (0.33756): " in describe_place(board, LOSS, 0.3)
