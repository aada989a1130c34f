"""Ids of sessions as people read them: as few characters as tell the ids of one list apart. Pure."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping

__all__ = ["shortened"]

_SHORTEST = 8


def shortened(ids: Iterable[str]) -> Mapping[str, str]:
    """Return each id with its beginning that no other of them shares, of at least eight characters.

    >>> shortened(["5fb8e1b7-5135", "5fb8e1b7-9a00", "c0ffee00-0000"])
    {'5fb8e1b7-5135': '5fb8e1b7-5', '5fb8e1b7-9a00': '5fb8e1b7-9', 'c0ffee00-0000': 'c0ffee00'}
    """
    ordered = sorted(set(ids))
    shared = [0, *itertools.starmap(_shared, itertools.pairwise(ordered)), 0]
    return {
        full: full[: max(_SHORTEST, before + 1, behind + 1)]
        for full, before, behind in zip(ordered, shared, shared[1:], strict=False)
    }


def _shared(one: str, other: str) -> int:
    """Return how many characters two ids begin with alike."""
    pairs = zip(one, other, strict=False)
    return sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))
