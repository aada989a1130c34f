"""What one figure is: two ways to do the same, how they are measured, and what is good enough."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Literal, TypeAlias

from .pairs import Measure
from .workplace import Workplace

MANY, SOME, FEW = 31, 11, 3
"""How many pairs: near 1, since the program alone varies by a fifth; away from 1; where a figure is steady."""

ONCE = 1
"""Where the same comes out each time: bytes on disk, the memory of a long run."""

Sides: TypeAlias = tuple[Measure, Measure]
"""How ours is measured, and how the peer is."""

Unit: TypeAlias = Literal["s", "MiB", "%", "kB"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Figure:
    """One comparison.

    Attributes:
        name: what ``--only`` takes; its family stands before the first dash.
        ours: what is measured of ours, in words.
        peer: what it is compared with, in words.
        sides: gives how both are measured.
        unit: seconds, MiB, kB (1,000 bytes), or per cent.
        pairs: how many are measured.
        goal: the largest ratio that is good enough; None: there is none.
        limit: the largest amount of ours that is good enough, in ``unit``, where the ratio is not what counts.
        above: by how much ours may be more than the peer's, in ``unit``, where the difference is what counts.
        warm_up: whether each side runs once before it counts.
        needs: the other project that has to be installed for it; None: nothing.
    """

    name: str
    ours: str
    peer: str
    sides: Callable[[Workplace], Sides]
    unit: Unit = "s"
    pairs: int = MANY
    goal: float | None = None
    limit: float | None = None
    above: float | None = None
    warm_up: bool = True
    needs: str | None = None

    @property
    def family(self) -> str:
        """What stands before the first dash of its name."""
        return self.name.partition("-")[0]
