"""A lock that is handed on: in order, in time, and past those who gave up."""

from __future__ import annotations

import itertools
import signal
import threading
import time
from collections.abc import Callable

import pytest

from mcp_coder.llm_store.fair_lock import FairLock


def started(*work: Callable[[], object]) -> list[threading.Thread]:
    threads = [threading.Thread(target=each) for each in work]
    for thread in threads:
        thread.start()
    return threads


def until_waiting(lock: FairLock, count: int) -> None:
    """Wait until so many threads stand in line."""
    until = time.monotonic() + 5
    while len(lock._waiting) < count:
        assert time.monotonic() < until
        time.sleep(0.001)


def test_one_at_a_time_and_free_again() -> None:
    lock = FairLock()
    assert lock.acquire(timeout=0)
    assert not lock.acquire(timeout=0)
    assert not lock.acquire(timeout=0.01)
    lock.release()
    assert lock.acquire(timeout=0)


def test_threads_get_it_in_the_order_in_which_they_asked() -> None:
    lock, order = FairLock(), []
    lock.acquire(timeout=0)

    def take(number: int) -> None:
        assert lock.acquire(timeout=5)
        order.append(number)
        lock.release()

    threads = []
    for number in range(8):
        threads += started(lambda number=number: take(number))  # type: ignore[misc]
        until_waiting(lock, number + 1)
    lock.release()
    for thread in threads:
        thread.join()
    assert order == list(range(8))


def test_who_gives_it_back_stands_in_line_again() -> None:
    lock, order, both = FairLock(), [], threading.Barrier(2)

    def take(name: str) -> None:
        both.wait()
        for _ in range(50):
            assert lock.acquire(timeout=5)
            order.append(name)
            until_waiting(lock, 1) if len(order) < 90 else None
            lock.release()

    for thread in started(lambda: take("a"), lambda: take("b")):
        thread.join()
    alternating = sum(first != second for first, second in itertools.pairwise(order[:80]))
    assert alternating == 79


def test_who_gave_up_is_passed_over() -> None:
    lock, got = FairLock(), threading.Event()
    lock.acquire(timeout=0)
    (impatient,) = started(lambda: lock.acquire(timeout=0.02))
    until_waiting(lock, 1)

    def wait() -> None:
        if lock.acquire(timeout=5):
            got.set()

    (patient,) = started(wait)
    impatient.join()
    until_waiting(lock, 1)
    lock.release()
    assert got.wait(5)
    patient.join()


class InterruptError(Exception):
    pass


@pytest.mark.parametrize("handed", [False, True], ids=["waiting", "handed the lock"])
def test_an_interrupt_while_waiting_leaves_the_lock_to_others(handed: bool) -> None:
    lock = FairLock()
    lock.acquire(timeout=0)

    def interrupt(number: int, frame: object) -> None:
        if handed:
            lock.release()
        raise InterruptError

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    try:
        with pytest.raises(InterruptError):
            lock.acquire(timeout=5)
    finally:
        signal.signal(signal.SIGALRM, before)
    if not handed:
        lock.release()
    assert lock.acquire(timeout=0)
