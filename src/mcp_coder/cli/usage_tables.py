"""What was used, as a table for people, with bars, and what has to be said beside it.

A report comes in, a table and sentences go out; nothing is written here. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from mcp_coder.cli.render import money
from mcp_coder.cli.session_tables import counted
from mcp_coder.cli.tables import Column, Table

if TYPE_CHECKING:
    from decimal import Decimal

    from mcp_coder.llm_store.base import UsageReport, UsageRow

__all__ = ["KEYS", "bar", "rounded", "usage_notes", "usage_table", "with_bars"]

KEYS: Mapping[str, str] = {
    "day": "day",
    "week": "week of",
    "month": "month",
    "session": "session",
    "model": "model",
    "project": "project",
}
"""What sums are made for, each with what stands above its column."""

_TIMES = ("day", "week", "month")
_NONE = "(none)"
_EIGHTHS = " ▏▎▍▌▋▊▉"
_UNITS = (("", 1), ("k", 10**3), ("M", 10**6), ("G", 10**9))


def rounded(number: int) -> str:
    """Return a count of tokens for people.

    >>> rounded(950), rounded(12_345), rounded(999_999), rounded(1_234_567)
    ('950', '12.3k', '1.0M', '1.2M')
    """
    unit, size = next(((unit, size) for unit, size in _UNITS if number < 999.95 * size), _UNITS[-1])
    return f"{number:,}" if size == 1 else f"{number / size:,.1f}{unit}"


def bar(amount: Decimal, highest: Decimal, width: int, *, ascii_only: bool = False) -> str:
    """Return a bar as long as ``amount`` is to ``highest``, which takes ``width`` columns; never nothing for something.

    >>> from decimal import Decimal
    >>> bar(Decimal(1), Decimal(4), 10), bar(Decimal(1), Decimal(4), 10, ascii_only=True)
    ('██▌', '###')
    """
    if amount <= 0 or highest <= 0:
        return ""
    eighths = max(round(width * 8 * amount / highest), 1)
    if ascii_only:
        return "#" * max(-(-eighths // 8), 1)
    return ("█" * (eighths // 8) + _EIGHTHS[eighths % 8]).rstrip()


_COLUMNS = (
    Column(heading="turns", right=True),
    Column(heading="in", right=True, needless=1),
    Column(heading="out", right=True, needless=2),
    Column(heading="cache read", right=True, needless=3),
    Column(heading="written", right=True, needless=4),
    Column(heading="cost", right=True),
    Column(heading="unaccounted", right=True, only_if_used=True, style="yellow"),
    Column(heading="unrecorded", right=True, only_if_used=True, style="yellow"),
)


def usage_table(report: UsageReport, by: str, labels: Mapping[str, str] | None = None) -> Table:
    """Return what was used as a table, each row followed by its models where they are there.

    Args:
        report: what was used.
        by: a key of ``KEYS``.
        labels: what to show instead of a key.
    """
    shown = labels or {}
    rows = [cells for row in report.rows for cells in _rows(row, shown.get(row.key, row.key or _NONE))]
    total = ("total", *_cells(report.total))
    return Table(
        columns=(Column(heading=KEYS[by], least=0 if by in _TIMES else 20), *_COLUMNS), rows=rows, total=total
    )


def _rows(row: UsageRow, label: str) -> Iterator[Sequence[str]]:
    yield label, *_cells(row)
    for model in row.models:
        yield f"└ {model.key or _NONE}", *_cells(model)


def _cells(row: UsageRow) -> Sequence[str]:
    return (
        f"{row.turns:,}",
        rounded(row.input_tokens),
        rounded(row.output_tokens),
        rounded(row.cache_read_tokens),
        rounded(row.cache_write_tokens),
        "unknown" if not row.cost_usd and row.unaccounted_turns else money(row.cost_usd),
        f"{row.unaccounted_turns:,}" if row.unaccounted_turns else "",
        money(row.unrecorded_usd) if row.unrecorded_usd else "",
    )


def with_bars(table: Table, report: UsageReport, width: int, *, ascii_only: bool = False) -> Table:
    """Return the table with a last column of bars that compare the rows' cost."""
    highest = max((row.cost_usd for row in report.rows), default=report.total.cost_usd)
    bars = [
        cell
        for row in report.rows
        for cell in (bar(row.cost_usd, highest, width, ascii_only=ascii_only), *("" for _ in row.models))
    ]
    return Table(
        columns=(*table.columns, Column(heading="", only_if_used=True, style="cyan")),
        rows=[(*cells, drawn) for cells, drawn in zip(table.rows, bars, strict=True)],
        total=None if table.total is None else (*table.total, ""),
    )


def usage_notes(report: UsageReport, by: str, zone: str) -> list[str]:
    """Return what has to be known to read the table right, a sentence each."""
    total = report.total
    notes = []
    if by in _TIMES:
        notes.append(f"Days begin at midnight in {zone}.")
    if total.unaccounted_turns:
        notes.append(
            f"{counted(total.unaccounted_turns, 'turn')} unaccounted: of unknown cost, which is not in the sums."
        )
    if total.unrecorded_usd:
        notes.append(
            f"{money(total.unrecorded_usd)} unrecorded: spent in these sessions beside the recorded turns, "
            "by the agent's own counters."
        )
    return notes
