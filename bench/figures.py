"""All figures, in the order in which they are measured, and how they are chosen by name."""

from __future__ import annotations

from collections.abc import Sequence

from .figure import Figure
from .peer_figures import PEER_FIGURES
from .store_figures import STORE_FIGURES
from .turn_figures import TURN_FIGURES
from .warm_figures import WARM_FIGURES

FIGURES = (*TURN_FIGURES, *WARM_FIGURES, *STORE_FIGURES, *PEER_FIGURES)


def figures_named(wanted: Sequence[str]) -> tuple[Figure, ...]:
    """Return the figures of these names or families, in the order of the table; all without any. Raises ValueError."""
    known = {figure.name for figure in FIGURES} | {figure.family for figure in FIGURES}
    if unknown := sorted(set(wanted) - known):
        raise ValueError(f"there is no figure {', '.join(unknown)}; there are {', '.join(sorted(known))}")
    return tuple(
        figure for figure in FIGURES if not wanted or figure.name in wanted or figure.family in wanted
    )
