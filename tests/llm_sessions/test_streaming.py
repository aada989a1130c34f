"""A turn's events for whoever iterates: all of them, in order, and nothing left when the loop is left."""

from __future__ import annotations

import gc
import os
import sys
import threading
import warnings
from collections.abc import Callable
from typing import Any, TypeAlias

import pytest

from mcp_coder.llm_errors import AgentError
from mcp_coder.llm_events import TextDelta, TurnEvent, TurnFinished
from mcp_coder.llm_sessions.streaming import TurnStream
from mcp_coder.llm_types import LLMResponseDict

PATIENCE = 20.0
Observe: TypeAlias = Callable[[TurnEvent], None]
Stop: TypeAlias = Callable[[], bool]


def response(text: str) -> LLMResponseDict:
    return {
        "version": "1.0",
        "timestamp": "2026-01-31T12:00:00+00:00",
        "text": text,
        "session_id": "123e4567-e89b-42d3-a456-426614174000",
        "method": "cli",
        "provider": "claude",
        "raw_response": {},
    }


def telling(*texts: str) -> Callable[[Observe, Stop], LLMResponseDict]:
    def run(observe: Observe, _stop: Stop) -> LLMResponseDict:
        for text in texts:
            observe(TextDelta(text=text))
        observe(TurnFinished(response=response("".join(texts))))
        return response("".join(texts))

    return run


class Endless:
    """A turn that goes on until it is stopped."""

    def __init__(self) -> None:
        self.ended = threading.Event()

    def __call__(self, observe: Observe, stop: Stop) -> LLMResponseDict:
        observe(TextDelta(text="on and on"))
        while not stop():
            pass
        self.ended.set()
        raise AgentError("stopped")


def test_all_events_in_order_and_the_response() -> None:
    texts = [str(number) for number in range(500)]
    stream = TurnStream(telling(*texts))
    assert stream.response is None
    events = list(stream)
    assert [event.text for event in events if isinstance(event, TextDelta)] == texts
    assert isinstance(events[-1], TurnFinished)
    assert stream.response == response("".join(texts))
    assert list(stream) == []


def test_a_slow_consumer_holds_nobody_up() -> None:
    done = threading.Event()

    def run(observe: Observe, stop: Stop) -> LLMResponseDict:
        answer = telling(*"abc")(observe, stop)
        done.set()
        return answer

    stream = TurnStream(run)
    assert done.wait(PATIENCE)  # though nothing was taken
    assert len(list(stream)) == 4


@pytest.mark.parametrize("error", [AgentError("no"), KeyboardInterrupt()], ids=["error", "interrupt"])
def test_an_error_comes_behind_the_events_before_it(error: BaseException) -> None:
    def run(observe: Observe, _stop: Stop) -> LLMResponseDict:
        observe(TextDelta(text="well"))
        raise error

    stream = TurnStream(run)
    assert next(stream) == TextDelta(text="well")
    with pytest.raises(type(error)) as caught:
        next(stream)
    assert caught.value is error
    assert list(stream) == []
    assert stream.response is None


def by_close(turn: Endless) -> None:
    stream = TurnStream(turn)
    next(stream)
    stream.close()
    stream.close()
    assert list(stream) == []


def by_with(turn: Endless) -> None:
    with TurnStream(turn) as stream:
        next(stream)


def by_error_under_with(turn: Endless) -> None:
    with pytest.raises(ZeroDivisionError), TurnStream(turn) as stream:
        raise ZeroDivisionError(next(stream))


def by_break(turn: Endless) -> None:
    for _event in TurnStream(turn):
        break
    gc.collect()


def by_dropping(turn: Endless) -> None:
    TurnStream(turn)
    gc.collect()


@pytest.mark.parametrize(
    "leave", [by_close, by_with, by_error_under_with, by_break, by_dropping], ids=lambda leave: leave.__name__
)
def test_whoever_leaves_stops_the_turn_and_waits_for_its_end(leave: Callable[[Endless], None]) -> None:
    turn = Endless()
    leave(turn)
    assert turn.ended.is_set()


def test_the_callers_context_is_the_turns() -> None:
    def run(_observe: Observe, _stop: Stop) -> LLMResponseDict:
        warnings.warn("look", UserWarning, stacklevel=1)
        return response("")

    with pytest.raises(UserWarning, match="look"):
        list(TurnStream(run))


_LEFT_AT_EXIT = """
import sys
from mcp_coder.llm_events import TextDelta
from mcp_coder.llm_sessions.streaming import TurnStream

def run(observe, stop):
    observe(TextDelta(text="on and on"))
    while not stop():
        pass
    print("stopped", flush=True)

stream = TurnStream(run)
next(stream)
print("leaving", flush=True)
"""


def test_one_that_is_open_at_the_end_of_the_program_is_stopped() -> None:
    import subprocess

    done: Any = subprocess.run(
        [sys.executable, "-c", _LEFT_AT_EXIT],
        capture_output=True,
        text=True,
        timeout=60,
        env=dict(os.environ),
        check=False,
    )
    assert (done.returncode, done.stdout.split(), done.stderr) == (0, ["leaving", "stopped"], "")
