"""Agents that were idle for too long are ended, when they are due, by one thread that goes when nothing is left."""

from __future__ import annotations

import gc
import os
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from mcp_coder.llm_sessions import idle

LONGEST = 20.0


class Agent:
    """Something that rests: its end is an event."""

    def __init__(self, rested: float = 0.0, *, rests: bool = True) -> None:
        self.rests, self.used_at = rests, time.monotonic() - rested
        self.ended = threading.Event()
        self.on_end: Callable[[], None] = lambda: None

    def end_resting(self) -> bool:
        self.on_end()
        rested, self.rests = self.rests, False
        self.ended.set()
        return rested


def keep(agent: Any, seconds: float | None) -> None:
    idle.end_when_idle(agent, seconds)


def lookers() -> list[threading.Thread]:
    return [each for each in threading.enumerate() if each.name == "mcp_coder-idle"]


@pytest.fixture(autouse=True)
def nobody_is_left() -> Iterator[None]:
    gc.collect()
    yield
    idle._watched.clear()
    idle.look_again()
    for each in lookers():
        each.join(LONGEST)
    assert lookers() == []


def test_an_agent_is_ended_when_it_is_due_and_not_before() -> None:
    agent = Agent()
    keep(agent, 0.1)
    assert agent.ended.wait(LONGEST)
    assert time.monotonic() >= agent.used_at + 0.1


def test_one_that_is_due_already_is_ended_at_once() -> None:
    agent = Agent(rested=60)
    keep(agent, 30)
    assert agent.ended.wait(LONGEST)


def test_the_first_that_is_due_does_not_wait_for_one_that_is_due_later() -> None:
    late, soon = Agent(), Agent()
    keep(late, 60)
    keep(soon, 0.05)
    assert soon.ended.wait(LONGEST)
    assert not late.ended.is_set()
    assert len(lookers()) == 1


@pytest.mark.parametrize("seconds", [None, 60])
def test_one_that_is_not_due_stays(seconds: float | None) -> None:
    agent, due = Agent(), Agent(rested=1)
    keep(agent, seconds)
    keep(due, 0)
    assert due.ended.wait(LONGEST)
    assert not agent.ended.is_set()


def test_one_that_was_used_meanwhile_stays() -> None:
    agent, marker = Agent(), Agent()
    keep(agent, 0.2)
    keep(marker, 0.25)
    time.sleep(0.05)
    agent.used_at = time.monotonic() + 60  # its turn has ended just then, as it were
    idle.look_again()
    assert marker.ended.wait(LONGEST)
    assert not agent.ended.is_set()


def test_one_in_a_turn_is_looked_at_again_when_it_comes_to_rest() -> None:
    agent = Agent(rested=60, rests=False)
    keep(agent, 1)
    for each in lookers():
        each.join(LONGEST)  # there is nothing to look after
    assert not agent.ended.is_set()
    agent.rests = True
    idle.look_again()
    assert agent.ended.wait(LONGEST)


def test_its_thread_goes_when_nothing_is_left_and_comes_again() -> None:
    for _ in range(2):
        agent = Agent(rested=1)
        keep(agent, 0)
        assert agent.ended.wait(LONGEST)
        for each in lookers():
            each.join(LONGEST)
        assert lookers() == []


def test_an_agent_that_does_not_end_stops_nobody_else() -> None:
    """One that fails at its end is reported as any failing thread is, and the others are still looked after."""
    broken, sound = Agent(rested=1), Agent()
    reported: list[object] = []

    def fail() -> None:
        broken.rests = False
        raise OSError("it does not end")

    broken.on_end = fail
    hook, threading.excepthook = threading.excepthook, lambda args: reported.append(args.exc_type)
    try:
        keep(broken, 0)
        for each in lookers():
            each.join(0.2)
    finally:
        threading.excepthook = hook
    keep(sound, 0.05)
    assert sound.ended.wait(LONGEST)


def test_nothing_is_held_alive() -> None:
    agent = Agent()
    keep(agent, 60)
    gone = weakref.ref(agent)
    del agent
    idle.look_again()
    gc.collect()
    until = time.monotonic() + LONGEST
    while gone() is not None and time.monotonic() < until:
        gc.collect()
        time.sleep(0.01)
    assert gone() is None


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks are POSIX")
def test_in_a_forked_child_nothing_is_looked_after_and_all_can_be() -> None:
    parents = Agent()
    keep(parents, 60)
    with idle._news:  # as another thread of the parent may hold it
        child = os.fork()
        if child == 0:
            own = Agent(rested=1)
            inherited = len(idle._watched)
            keep(own, 0)
            os._exit(0 if own.ended.wait(LONGEST) and inherited == 0 else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert not parents.ended.is_set()
