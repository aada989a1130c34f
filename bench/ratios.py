"""What pairs of measurements say: two medians, the ratio between the two sides, how sure it is, and the verdict.

Pairs come in, a frozen record goes out. Pure arithmetic: nothing here measures or prints.

The ratio is taken within each pair, whose sides ran one right after the other: what slows the machine for a minute
slows both sides and cancels out, which it does not between two medians.
"""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections.abc import Sequence

_CONFIDENCE = 0.95


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pair:
    """Both sides measured once, one right after the other."""

    ours: float
    peer: float

    @property
    def ratio(self) -> float:
        """How many times the peer's figure ours is."""
        if self.ours == self.peer:
            return 1.0  # nothing beside nothing, too
        return self.ours / self.peer if self.peer else math.inf

    @property
    def difference(self) -> float:
        """By how much ours is more than the peer's."""
        return self.ours - self.peer


@dataclasses.dataclass(frozen=True, kw_only=True)
class Comparison:
    """What the pairs say.

    Attributes:
        ours: the median of our side.
        peer: the median of the other.
        ratio: the median of the ratios within each pair.
        quartiles: between these lies the middle half of the ratios.
        interval: the median of the ratios lies between these with 95 % confidence; with fewer than six pairs, between
            which no such statement is possible, the smallest and the largest ratio.
        ours_quartiles, ours_interval: the same of our side alone.
        difference, difference_quartiles, difference_interval: the same of the differences within each pair.
        pairs: how many there were.
    """

    ours: float
    peer: float
    ratio: float
    quartiles: tuple[float, float]
    interval: tuple[float, float]
    ours_quartiles: tuple[float, float]
    ours_interval: tuple[float, float]
    difference: float
    difference_quartiles: tuple[float, float]
    difference_interval: tuple[float, float]
    pairs: int


def compare(pairs: Sequence[Pair]) -> Comparison:
    """Return what the pairs say. Raises ValueError without any."""
    if not pairs:
        raise ValueError("there is nothing to compare")
    ratios = sorted(pair.ratio for pair in pairs)
    ours = sorted(pair.ours for pair in pairs)
    differences = sorted(pair.difference for pair in pairs)
    return Comparison(
        ours=statistics.median(ours),
        peer=statistics.median(pair.peer for pair in pairs),
        ratio=statistics.median(ratios),
        quartiles=_quartiles(ratios),
        interval=_interval_of_median(ratios),
        ours_quartiles=_quartiles(ours),
        ours_interval=_interval_of_median(ours),
        difference=statistics.median(differences),
        difference_quartiles=_quartiles(differences),
        difference_interval=_interval_of_median(differences),
        pairs=len(pairs),
    )


def verdict(interval: tuple[float, float], goal: float | None) -> str:
    """Return ``"met"``, ``"missed"``, ``"not sure"`` (the goal lies within the interval), or ``""`` without a goal."""
    low, high = interval
    if goal is None:
        return ""
    if low <= goal < high:
        return "not sure"
    return "met" if high <= goal else "missed"


def _quartiles(ordered: Sequence[float]) -> tuple[float, float]:
    if len(ordered) == 1:
        return ordered[0], ordered[0]
    first, _, third = statistics.quantiles(ordered, n=4, method="inclusive")
    return first, third


def _interval_of_median(ordered: Sequence[float]) -> tuple[float, float]:
    """Return the interval by order statistics, which supposes nothing about how the ratios are distributed."""
    rank = _rank_of_interval(len(ordered))
    return ordered[rank], ordered[-1 - rank]


def _rank_of_interval(count: int) -> int:
    """Return how many values to leave out at either end: 9 of 31."""
    outside, rank = 0.0, 0
    for left_out in range(count // 2):
        outside += 2 * math.comb(count, left_out) / 2**count
        if outside > 1 - _CONFIDENCE:
            break
        rank = left_out
    return rank
