"""Fifty streams at once, beside fifty of the SDK's client: measured once, for the three figures that show it.

The agents of both sides live at the same time, so that both can listen in turn: a hundred, some 11 GB.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Mapping, Sequence

from bench.figure import FEW, SOME, Sides
from bench.workers import Worker
from bench.workplace import Workplace

STREAMS = 50
_END_SECONDS = 120.0


def of_streams(number: str) -> Callable[[Workplace], Sides]:
    """Give one of the numbers that ``listener`` returns, round by round."""

    def sides(place: Workplace) -> Sides:
        rounds = _rounds(place.program, place.size(STREAMS), FEW if place.quick else SOME)
        ours, peer = (iter([said[side][number] for said in rounds]) for side in (0, 1))
        return ours.__next__, peer.__next__

    return sides


@functools.cache
def _rounds(
    program: str, count: int, rounds: int
) -> Sequence[tuple[Mapping[str, float], Mapping[str, float]]]:
    """Let both sides listen in turn, so many times."""
    ours, peer = (_listener(way, program, count) for way in ("ours", "clients"))
    try:
        return [_round(ours, peer, ours_first=number % 2 == 0) for number in range(rounds)]
    finally:
        ours.close()
        peer.close()


def _listener(way: str, program: str, count: int) -> Worker:
    return Worker(
        sys.executable, "-m", "bench.warm.listener", way, program, str(count), patience=_END_SECONDS
    )


def _round(
    ours: Worker, peer: Worker, *, ours_first: bool
) -> tuple[Mapping[str, float], Mapping[str, float]]:
    if ours_first:
        return ours.ask("listen"), peer.ask("listen")
    said = peer.ask("listen")
    return ours.ask("listen"), said
