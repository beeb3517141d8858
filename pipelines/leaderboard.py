"""Where a score would stand on a final leaderboard: between published quantiles, approximate."""

import itertools
from dataclasses import dataclass

from common.contract import Leaderboard, Metric


@dataclass(frozen=True)
class Place:
    """A rank from 1, and the medal that the score's own cut gives, if any."""

    rank: int
    medal: str | None


def estimate_place(board: Leaderboard, metric: Metric, score: float) -> Place:
    """Estimate the rank that a score would have had.

    Args:
        board: quantiles and medal cuts.
        metric: gives the direction.
        score: on the competition's own scale.

    Returns:
        The rank, linear between neighbouring quantiles; 1 if better than the first, the number of
        teams if worse than the last quantile.
    """
    marks = [(1.0, board.first), *((share * board.teams, cut) for share, cut in board.quantiles)]
    rank = float(board.teams)
    if not metric.is_better(board.first, score):
        rank = 1.0
    else:
        for (rank_a, cut_a), (rank_b, cut_b) in itertools.pairwise(marks):
            if not metric.is_better(cut_b, score):
                share = (score - cut_a) / (cut_b - cut_a) if cut_b != cut_a else 1.0
                rank = rank_a + share * (rank_b - rank_a)
                break
    cuts = {"gold": board.gold, "silver": board.silver, "bronze": board.bronze}
    medal = next((name for name, cut in cuts.items() if not metric.is_better(cut, score)), None)
    return Place(max(1, round(rank)), medal)


def describe_place(board: Leaderboard, metric: Metric, score: float) -> str:
    """Say the place in words: "would stand near 214 of 3,251, silver; approximate"."""
    if metric.is_better(score, board.first):
        return f"better than the first ({board.first:g}): not to be believed"
    place = estimate_place(board, metric, score)
    medal = place.medal or "no medal"
    return f"would stand near {place.rank:,} of {board.teams:,}, {medal}; approximate"
