"""The command line of the benchmarks: which figures, how often, and where the numbers go."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from .figure import FEW, Figure
from .figures import figures_named
from .machine import lines_about, machine
from .pairs import measure_in_turn
from .peers.install import HOW_TO_GET, is_installed
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
    there, missing = _there(figures)
    with workplace(quick=quick) as place:
        said = machine(place)
        click.echo(lines_about(said))
        results = [_measured(figure, place) for figure in there]
    _print_table(results)
    for peer in missing:
        click.echo(f"Left out, since {peer} is not installed: {HOW_TO_GET}")
    if file is not None:
        file.write_text(json.dumps(json_of(said, results), indent=2) + "\n", encoding="utf-8")


def _there(figures: Sequence[Figure]) -> tuple[list[Figure], list[str]]:
    """Return the figures that can be measured here, and which other projects are missing for the rest."""
    there = [figure for figure in figures if figure.needs is None or is_installed(figure.needs)]
    needs = dict.fromkeys(figure.needs for figure in figures if figure.needs and figure not in there)
    return there, list(needs)


def _measured(figure: Figure, place: Workplace) -> Measured:
    pairs = min(figure.pairs, FEW) if place.quick else figure.pairs
    click.echo(f"{figure.name}: {pairs} pairs", err=True)
    with contextlib.ExitStack() as closing:
        ours, peer = figure.sides(dataclasses.replace(place, closing=closing))
        return Measured(figure=figure, pairs=measure_in_turn(ours, peer, pairs, warm_up=figure.warm_up))


def _print_table(results: Sequence[Measured]) -> None:
    from rich.console import Console

    # Where there is no terminal, rich would guess 80 columns and cut the numbers.
    console = Console(width=None if sys.stdout.isatty() else _WIDTH)
    console.print(table_of(results))


if __name__ == "__main__":
    main(prog_name="python bench/run.py")
