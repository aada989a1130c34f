"""What was measured, as a table for people and as JSON for programs. Pure, but for the drawing by rich."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from .figure import Figure, Unit
from .ratios import Comparison, Pair, compare, verdict

if TYPE_CHECKING:
    from rich.table import Table


@dataclasses.dataclass(frozen=True, kw_only=True)
class Measured:
    """A figure with its pairs."""

    figure: Figure
    pairs: tuple[Pair, ...]

    @property
    def comparison(self) -> Comparison:
        """What the pairs say."""
        return compare(self.pairs)

    @property
    def verdict(self) -> str:
        """Whether the goal was reached."""
        if self.figure.limit is not None:
            return verdict(self.comparison.ours_interval, self.figure.limit)
        if self.figure.above is not None:
            return verdict(self.comparison.difference_interval, self.figure.above)
        return verdict(self.comparison.interval, self.figure.goal)


def table_of(results: Sequence[Measured]) -> Table:
    """Return the table: a row for each figure."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE, header_style="bold")
    table.add_column("figure", no_wrap=True)
    for heading in ("ours", "beside"):
        table.add_column(heading, overflow="fold")
    for heading in ("ours", "beside", "ratio", "middle half", "95 %", "pairs", "goal"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for result in results:
        table.add_row(*map(Text, _row(result)))  # not as rich's markup, in which brackets vanish
    return table


def _row(result: Measured) -> tuple[str, ...]:
    figure, said = result.figure, result.comparison
    return (
        figure.name,
        figure.ours,
        figure.peer,
        _amount(said.ours, figure.unit),
        _amount(said.peer, figure.unit),
        _ratio(said.ratio) if figure.above is None else _difference(said.difference, figure.unit),
        *_spread(figure, said),
        str(said.pairs),
        _goal(figure),
        result.verdict,
    )


def _spread(figure: Figure, said: Comparison) -> tuple[str, str]:
    """Return the spread of what the goal is about: of our amounts, of the differences, else of the ratios."""
    if figure.limit is not None:
        return _amounts(said.ours_quartiles, figure.unit), _amounts(said.ours_interval, figure.unit)
    if figure.above is not None:
        return (
            _differences(said.difference_quartiles, figure.unit),
            _differences(said.difference_interval, figure.unit),
        )
    return _range(said.quartiles), _range(said.interval)


def _goal(figure: Figure) -> str:
    if figure.limit is not None:
        return f"≤ {_amount(figure.limit, figure.unit, short=True)}"
    if figure.above is not None:
        return f"≤ +{_amount(figure.above, figure.unit, short=True)}"
    return "" if figure.goal is None else f"≤ {figure.goal:.3g}"


def _amount(value: float, unit: Unit, *, short: bool = False) -> str:
    if unit == "s" and value < 1:
        value, unit_text = value * 1000, "ms"
    else:
        unit_text = str(unit)
    if short:
        return f"{value:g} {unit_text}"
    return f"{value:.2f} {unit_text}" if value < 10 else f"{value:.1f} {unit_text}"


def _amounts(ends: tuple[float, float], unit: Unit) -> str:
    return f"{_amount(ends[0], unit)} – {_amount(ends[1], unit)}"


def _difference(value: float, unit: Unit) -> str:
    return f"{'-' if value < 0 else '+'}{_amount(abs(value), unit)}"


def _differences(ends: tuple[float, float], unit: Unit) -> str:
    return " – ".join(_difference(end, unit) for end in ends)


def _ratio(value: float) -> str:
    return f"{value:.3f}" if value < 10 else f"{value:.0f}"


def _range(ends: tuple[float, float]) -> str:
    return f"{_ratio(ends[0])} – {_ratio(ends[1])}"


def json_of(machine: Mapping[str, object], results: Sequence[Measured]) -> dict[str, object]:
    """Return everything as plain JSON: where it ran, and each figure with all its pairs (ours, peer)."""
    return {"machine": dict(machine), "figures": [_figure_json(result) for result in results]}


def _figure_json(result: Measured) -> dict[str, object]:
    figure = result.figure
    said = {field.name: getattr(figure, field.name) for field in dataclasses.fields(figure)}
    del said["sides"], said["pairs"]
    return {
        **said,
        **dataclasses.asdict(result.comparison),
        "verdict": result.verdict,
        "measured": [[pair.ours, pair.peer] for pair in result.pairs],
    }
