"""Two things measured in turn: A B, B A, A B, ... so that neither a drift of the machine nor the order favours one.

Two functions that each measure their side once come in, pairs go out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from .ratios import Pair

Measure: TypeAlias = Callable[[], float]
"""Do it once and return what was measured."""


def measure_in_turn(ours: Measure, peer: Measure, count: int, *, warm_up: bool) -> tuple[Pair, ...]:
    """Measure both sides ``count`` times; ``warm_up``: once more before, uncounted, for what is read or loaded once."""
    if warm_up:
        _pair(ours, peer, ours_first=True)
    return tuple(_pair(ours, peer, ours_first=number % 2 == 0) for number in range(count))


def _pair(ours: Measure, peer: Measure, *, ours_first: bool) -> Pair:
    if ours_first:
        return Pair(ours=ours(), peer=peer())  # arguments are worked out from left to right
    peer_value = peer()
    return Pair(ours=ours(), peer=peer_value)
