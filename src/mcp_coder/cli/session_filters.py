"""The options that say which sessions: ``--project --provider --tag --since --until``, and how moments are written.

Options come in, a ``SessionFilter`` goes out. The clock is read here and nowhere else among the options.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

import click

from mcp_coder.cli import when
from mcp_coder.cli.local_zone import now_here

if TYPE_CHECKING:
    from mcp_coder.llm_store.base import SessionFilter

    _ParamType = click.ParamType[Any]
else:  # no generic at run time before click 8.2
    _ParamType = click.ParamType

__all__ = ["BEGINNING", "END", "limit_option", "new_filter", "period_options", "which_options"]

_Decorated = TypeVar("_Decorated", bound=Callable[..., Any])


class _Moment(_ParamType):
    name = "when"

    def __init__(self, read: Callable[[str, datetime], datetime]) -> None:
        self._read = read

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        try:
            return self._read(str(value), now_here())
        except ValueError as exc:
            self.fail(str(exc), param, ctx)


BEGINNING = _Moment(when.beginning_of)
END = _Moment(when.end_of)


def which_options(function: _Decorated) -> _Decorated:
    """Add ``--project``, ``--provider`` and ``--tag`` to a command."""
    for decorate in (
        click.option("--tag", metavar="TAG", help="Only sessions with this tag."),
        click.option("--provider", metavar="NAME", help="Only sessions of this agent."),
        click.option(
            "--project",
            metavar="PATH|NAME",
            help="Only sessions of this project: its path, or its last name.",
        ),
    ):
        function = decorate(function)
    return function


def period_options(of: str) -> Callable[[_Decorated], _Decorated]:
    """Add ``--since`` and ``--until`` to a command; ``of`` says what has to lie between."""

    def decorate(function: _Decorated) -> _Decorated:
        until = click.option("--until", type=END, help=f"Only {of} before then; a day counts whole.")
        since = click.option(
            "--since", type=BEGINNING, help=f"Only {of} then or later: 2026-01-31, today, 7d."
        )
        return since(until(function))

    return decorate


def limit_option(default: int | None, text: str) -> Callable[[_Decorated], _Decorated]:
    """Add ``--limit`` to a command."""
    numbers = click.IntRange(min=0)
    return click.option(
        "--limit",
        type=numbers,
        default=default,
        metavar="NUMBER",
        show_default=default is not None,
        help=text,
    )


def new_filter(
    *,
    project: str | None = None,
    provider: str | None = None,
    tag: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> SessionFilter:
    """Return the filter that the options ask for."""
    from mcp_coder.llm_store.base import SessionFilter

    return SessionFilter(project=_project(project), provider=provider, tag=tag, since=since, until=until)


def _project(written: str | None) -> str | None:
    """Return a path as it is recorded, so that ``.`` is this project; a name stays a name."""
    if written is None or not (written.startswith((".", "~")) or os.sep in written):
        return written
    return os.path.realpath(os.path.expanduser(written))
