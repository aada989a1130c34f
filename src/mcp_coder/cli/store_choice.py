"""Which store a command reads: ``--store``, then ``MCP_CODER_STORE``, then the default.

A choice comes in, an open store goes out, or a ``StoreError`` that says what to do.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

import click

from mcp_coder.llm_errors import StoreError

if TYPE_CHECKING:
    from mcp_coder.llm_store.base import Store

__all__ = ["chosen_url", "opened_store", "recorded_in", "store_option"]

_VARIABLE = "MCP_CODER_STORE"
_OFF = "off"
_IN_FILE, _IN_MEMORY = "sqlite:///", "memory:"

_Decorated = TypeVar("_Decorated", bound=Callable[..., Any])


def store_option(function: _Decorated) -> _Decorated:
    """Add ``--store`` to a command."""
    return click.option(
        "--store",
        metavar="URL",
        help=f"The store, such as sqlite:///path; else {_VARIABLE}, else the one in the user's data.",
    )(function)


def chosen_url(option: str | None) -> str:
    """Return the URL of the store that was chosen.

    Raises:
        StoreError: it was chosen that nothing is recorded.
    """
    named = option or os.environ.get(_VARIABLE)
    if named is not None and named.strip().lower() == _OFF:
        by = "--store" if option else _VARIABLE
        raise StoreError(f"nothing is recorded: {by} is {named.strip()}; name a store with --store URL")
    if named:
        return named
    from mcp_coder.llm_store import default_store_url

    return default_store_url()


@contextlib.contextmanager
def opened_store(option: str | None) -> Iterator[Store]:
    """Hold open the store that was chosen; it is made where there is none.

    Raises:
        StoreError: it cannot be used, or it was chosen that nothing is recorded.
    """
    from mcp_coder.llm_store import open_store

    with contextlib.closing(open_store(chosen_url(option))) as store:
        yield store


@contextlib.contextmanager
def recorded_in(option: str | None) -> Iterator[Store]:
    """Hold open the store that was chosen, for a command that makes no sense without what is recorded there.

    Where there is no store yet, none is made, so that a mistyped path leaves nothing behind: an empty one in memory
    stands for it.

    Raises:
        StoreError: as ``opened_store``.
    """
    url = chosen_url(option)
    if not _is_missing(url):
        with opened_store(option) as store:
            yield store
        return
    with opened_store(_IN_MEMORY) as store:
        store.url = url
        yield store


def _is_missing(url: str) -> bool:
    """Return whether the URL names a file that is not there."""
    path = os.path.expanduser(url.removeprefix(_IN_FILE))
    return url.startswith(_IN_FILE) and bool(path) and not os.path.lexists(path)
