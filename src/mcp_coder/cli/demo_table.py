"""The turns of the demonstration, as a table of ``rich``. Pure: it is made here and written elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mcp_coder.cli.render import money, one_line

if TYPE_CHECKING:
    from decimal import Decimal

    from rich.table import Table

__all__ = ["DemoTurn", "demo_table"]


@dataclass(frozen=True, kw_only=True)
class DemoTurn:
    """One turn of the demonstration: what was asked and answered, and whether that was right.

    Attributes:
        method: how the agent was reached.
        asked: the prompt.
        answered: the answer.
        session_id: the session's id.
        seconds: how long it took.
        cost_usd: what it would have cost, or None where that cannot be known.
        as_expected: whether the answer, and the session's id, are what they should be.
    """

    method: str
    asked: str
    answered: str
    session_id: str
    seconds: float
    cost_usd: Decimal | None
    as_expected: bool


_DEMO_COLUMNS = ("method", "asked", "answered", "session", "seconds", "cost", "")


def demo_table(turns: Sequence[DemoTurn]) -> Table:
    """Return the turns of the demonstration as a table of ``rich``."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(*_DEMO_COLUMNS, box=box.SIMPLE)
    for turn in turns:
        table.add_row(*(Text(cell) for cell in _demo_cells(turn)))
    return table


def _demo_cells(turn: DemoTurn) -> tuple[str, ...]:
    return (
        turn.method,
        one_line(turn.asked, 60),
        one_line(turn.answered, 60),
        turn.session_id[:8],
        f"{turn.seconds:.2f}",
        money(turn.cost_usd),
        "ok" if turn.as_expected else "WRONG",
    )
