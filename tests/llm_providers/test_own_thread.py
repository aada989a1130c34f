"""Blocking work that is awaited: its result, its error, and that a cancellation waits for its end."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable

import pytest

from mcp_coder.llm_providers.own_thread import in_own_thread

PATIENCE = 20.0
_NAME: contextvars.ContextVar[str] = contextvars.ContextVar("_NAME", default="nobody")


def test_what_it_returns_in_a_thread_of_its_own_with_the_callers_context() -> None:
    async def work() -> tuple[str, str, bool]:
        _NAME.set("somebody")
        return await in_own_thread(lambda stop: (_NAME.get(), threading.current_thread().name, stop()))

    name, thread, stopped = asyncio.run(work())
    assert (name, stopped) == ("somebody", False)
    assert thread != threading.current_thread().name


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt()], ids=["error", "interrupt"])
def test_what_it_raises(error: BaseException) -> None:
    def fail(_stop: Callable[[], bool]) -> None:
        raise error

    async def work() -> BaseException:
        try:
            await in_own_thread(fail)
        except (ValueError, KeyboardInterrupt) as caught:
            return caught
        raise AssertionError

    assert asyncio.run(work()) is error


@pytest.mark.parametrize("fails", [False, True], ids=["it answers", "it fails"])
@pytest.mark.parametrize("times", [1, 3])
def test_a_cancellation_waits_for_its_end(times: int, fails: bool) -> None:
    begun, asked, may_end, ended = (threading.Event() for _ in range(4))

    def wait(stop: Callable[[], bool]) -> str:
        begun.set()
        while not stop():
            pass
        asked.set()
        may_end.wait(PATIENCE)
        ended.set()
        if fails:
            raise ValueError
        return "too late"

    async def work() -> None:
        task = asyncio.create_task(in_own_thread(wait))
        await asyncio.to_thread(begun.wait, PATIENCE)
        task.cancel()
        await asyncio.to_thread(asked.wait, PATIENCE)
        for _ in range(times - 1):  # whoever is impatient waits all the same
            task.cancel()
            await asyncio.sleep(0.01)
        assert not task.done()
        may_end.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert ended.is_set()

    asyncio.run(work())


def test_more_than_the_loop_has_threads_for() -> None:
    all_there = threading.Barrier(60)

    async def work() -> list[int]:
        return await asyncio.gather(
            *(in_own_thread(lambda _stop: all_there.wait(PATIENCE)) for _ in range(60))
        )

    assert sorted(asyncio.run(work())) == list(range(60))


def test_a_loop_that_is_gone_is_left_at_that() -> None:
    may_end, ended = threading.Event(), threading.Event()

    def wait(_stop: Callable[[], bool]) -> None:
        may_end.wait(PATIENCE)
        ended.set()

    loop = asyncio.new_event_loop()
    task = loop.create_task(in_own_thread(wait))
    loop.run_until_complete(asyncio.sleep(0.01))
    loop.close()
    may_end.set()
    assert ended.wait(PATIENCE)
    task._log_destroy_pending = False  # type: ignore[attr-defined]  # it cannot end any more
