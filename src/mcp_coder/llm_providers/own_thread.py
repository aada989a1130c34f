"""Blocking work for an event loop: each in a thread of its own, stopped when whoever awaits it is cancelled.

A function that asks whether it is to stop comes in, what it returns or raises comes out. Not in the loop's own pool of
threads: that has a handful, and a turn may take minutes.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import threading
from collections.abc import Callable
from typing import TypeVar

__all__ = ["in_own_thread"]

_T = TypeVar("_T")


async def in_own_thread(work: Callable[[Callable[[], bool]], _T]) -> _T:
    """Run ``work`` in a thread and return what it returns.

    Args:
        work: is handed what says whether it is to stop, which is to be asked now and then.

    Raises:
        CancelledError: the caller was cancelled; ``work`` has ended by then, however it did.
    """
    stopped = threading.Event()
    loop = asyncio.get_running_loop()
    done: asyncio.Future[_T] = loop.create_future()

    def run() -> None:
        try:
            result = work(stopped.is_set)
        except BaseException as error:  # noqa: BLE001  # raised where it is awaited
            _post(loop, _set_exception, done, error)
        else:
            _post(loop, _set_result, done, result)

    context = contextvars.copy_context()
    threading.Thread(target=context.run, args=(run,), name="mcp_coder-async", daemon=True).start()
    try:
        return await asyncio.shield(done)
    except asyncio.CancelledError:
        stopped.set()
        await _whatever_comes(done)
        raise


def _post(loop: asyncio.AbstractEventLoop, call: Callable[..., None], *arguments: object) -> None:
    with contextlib.suppress(RuntimeError):  # the loop is closed: nobody awaits it any more
        loop.call_soon_threadsafe(call, *arguments)


def _set_result(done: asyncio.Future[_T], result: _T) -> None:
    if not done.done():
        done.set_result(result)


def _set_exception(done: asyncio.Future[_T], error: BaseException) -> None:
    if not done.done():
        done.set_exception(error)


async def _whatever_comes(done: asyncio.Future[_T]) -> None:
    """Wait until the work has ended; whoever is impatient and cancels again has to wait as well."""
    while not done.done():
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait({done})
    if not done.cancelled():
        done.exception()  # taken note of
