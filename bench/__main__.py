"""The command line of the benchmarks: which figures, how often, and where the numbers go."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from .figures import FEW, Figure, figures_named
from .machine import lines_about, machine
from .pairs import measure_in_turn
from .report import Measured, json_of, table_of
from .workplace import Workplace, workplace

_WIDTH = 170


@click.command()
@click.option(
    "--quick", is_flag=True, help=f"At most {FEW} pairs a figure: shows that it works, proves nothing."
)
@click.option(
    "--only", "names", multiple=True, metavar="NAME", help="This figure or family; may be repeated."
)
@click.option(
    "--json", "file", type=click.Path(dir_okay=False, path_type=Path), help="Write all numbers there too."
)
def main(quick: bool, names: Sequence[str], file: Path | None) -> None:
    """Measure ours beside the peers, in turn, on a stand-in model: no account, nothing spent.

    The exit code is 0 whether or not the goals are met.
    """
    file = file and file.absolute()  # we go elsewhere to measure
    try:
        figures = figures_named(names)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    with workplace() as place:
        said = machine(place)
        click.echo(lines_about(said))
        results = [_measured(figure, place, quick=quick) for figure in figures]
    _print_table(results)
    if file is not None:
        file.write_text(json.dumps(json_of(said, results), indent=2) + "\n", encoding="utf-8")


def _measured(figure: Figure, place: Workplace, *, quick: bool) -> Measured:
    pairs = min(figure.pairs, FEW) if quick else figure.pairs
    click.echo(f"{figure.name}: {pairs} pairs", err=True)
    ours, peer = figure.sides(place)
    return Measured(figure=figure, pairs=measure_in_turn(ours, peer, pairs, warm_up=figure.warm_up))


def _print_table(results: Sequence[Measured]) -> None:
    from rich.console import Console

    # Where there is no terminal, rich would guess 80 columns and cut the numbers.
    console = Console(width=None if sys.stdout.isatty() else _WIDTH)
    console.print(table_of(results))


if __name__ == "__main__":
    main(prog_name="python bench/run.py")
