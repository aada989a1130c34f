"""Which store a turn is recorded in, opened once for all turns that use it at a time.

A caller's choice comes in (``store=``, then ``MCP_CODER_STORE``, then the default), an open store goes out, or None:
nothing is recorded. A store that somebody named and that cannot be used is a ``StoreError`` before anything is started;
the default one, which nobody named, is a ``NotRecordedWarning`` at most.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import threading
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING

from mcp_coder.llm_errors import InvalidRequestError, NotRecordedWarning, StoreError

if TYPE_CHECKING:
    from mcp_coder.llm_store.base import Store

__all__ = ["STORE_VARIABLE", "Recording", "chosen_store", "close_all", "not_recorded"]

STORE_VARIABLE = "MCP_CODER_STORE"
OFF = "off"
_MOST_OPEN = 4
"""How many stores stay open between turns: a program uses one, perhaps two."""


class Recording:
    """Where a turn is recorded.

    Attributes:
        store: the store; None: nowhere.
        named: whether somebody asked for this one, so that a turn that it cannot record must not run.
    """

    def __init__(self, store: Store | None, *, named: bool) -> None:
        self.store = store
        self.named = named


@contextlib.contextmanager
def chosen_store(choice: Store | str | None) -> Iterator[Recording]:
    """Hold open the store that was chosen: a store, a URL, ``"off"``, or None for the environment's or the default.

    Raises:
        StoreError: a named store cannot be used.
        InvalidRequestError: the choice is no store and no text.
    """
    if choice is not None and not isinstance(choice, str):
        _check_is_store(choice)
        yield Recording(choice, named=True)
        return
    url = choice if choice is not None else os.environ.get(STORE_VARIABLE) or None
    if url is not None and url.strip().lower() == OFF:
        yield Recording(None, named=True)
        return
    with contextlib.ExitStack() as stack:
        try:
            store = stack.enter_context(_opened(url))
        except (StoreError, OSError) as error:
            if url is not None:
                raise
            not_recorded(error)
            store = None
        yield Recording(store, named=url is not None)


def _check_is_store(choice: object) -> None:
    if not callable(getattr(choice, "begin_turn", None)):
        raise InvalidRequestError(
            f"store must be a URL such as sqlite:///path, 'off', or an open store, not {type(choice).__name__}"
        )


def not_recorded(error: Exception) -> None:
    """Warn that a turn is not recorded, once for each reason and place of the caller."""
    warnings.warn(f"this turn is not recorded: {error}", NotRecordedWarning, stacklevel=2)


# --- stores that are open


class _Open:
    def __init__(self, store: Store) -> None:
        self.store = store
        self.users = 0


_open: dict[str, _Open] = {}
"""The stores of this process that are open, the last used at the end."""
_lock = threading.Lock()


def _begin_anew() -> None:
    """Forget, after ``fork()``, a lock that another thread of our parent may have held."""
    global _lock
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)


@contextlib.contextmanager
def _opened(url: str | None) -> Iterator[Store]:
    from mcp_coder.llm_store import default_store_url, open_store

    url = default_store_url() if url is None else url
    if url.startswith("memory:"):  # each is a store of its own
        raise StoreError("memory: is gone with the call; open it with open_store and give store= the store")
    with _lock:
        held = _open.pop(url, None) or _Open(open_store(url))
        _open[url] = held
        held.users += 1
    try:
        yield held.store
    finally:
        with _lock:
            held.users -= 1
            _close_idle()


def _close_idle() -> None:
    for url in [url for url, each in _open.items() if not each.users][: max(len(_open) - _MOST_OPEN, 0)]:
        _open.pop(url).store.close()


def close_all() -> None:
    """Close the stores that are open and not in use."""
    with _lock:
        for url in [url for url, each in _open.items() if not each.users]:
            _open.pop(url).store.close()


# While the interpreter still is whole; a store that is closed has its log written back into its one file.
atexit.register(close_all)
