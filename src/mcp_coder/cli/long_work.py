"""A progress bar for work that takes long: on standard error, on a terminal only, gone when the work is done.

``rich`` is imported only where the bar is drawn.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import IO, cast

from mcp_coder.cli import console

__all__ = ["progress"]


@contextlib.contextmanager
def progress(what: str, total: int | None = None) -> Iterator[Callable[[], None]]:
    """Show how far some work is; what is handed out is called once for each of ``total`` steps.

    Args:
        what: what is being done, in a word or two.
        total: how many steps there are; None: unknown.

    Example::

        with progress("deleting", len(ids)) as step:
            for session_id in ids:
                store.delete_session(session_id)
                step()
    """
    if not console.is_terminal():
        yield _nothing
        return
    with _bar(what, total) as step:
        yield step


def _nothing() -> None:
    pass


@contextlib.contextmanager
def _bar(what: str, total: int | None) -> Iterator[Callable[[], None]]:
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    from mcp_coder.cli.redrawing import SharedTerminal, redrawn

    terminal = SharedTerminal(file=cast("IO[str]", console.Forgiving()))
    how_far = (TimeElapsedColumn(),) if total is None else (MofNCompleteColumn(), TimeRemainingColumn())
    columns = (TextColumn("{task.description}"), BarColumn(), *how_far)
    bar = Progress(*columns, console=terminal, auto_refresh=False)
    task = bar.add_task(what, total=total)
    with redrawn(bar, terminal, frames_a_second=10, redirect_stderr=True):
        yield lambda: bar.advance(task)
