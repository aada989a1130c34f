"""Ten turns of one session, by each of the ways that are compared: seconds from the start of the agent to its end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias

from bench.figure import Sides
from bench.pairs import Measure
from bench.turns import PATIENCE, Answer, by_stdin
from bench.workplace import Workplace

from .leftovers import children
from .sdk_client import answer_of, new_client

TURNS = 10
_TOLD, _ASKED, _RECALLED = (
    "My favorite color is blue",
    "What is my favorite color?",
    "Your favorite color is blue",
)

Conversation: TypeAlias = Callable[[str, Sequence[str]], Sequence[Answer]]
"""(the program, prompts) -> their answers, in one session that is new."""


def by_session(method: str) -> Conversation:
    """Return our way: ``open_session``, its turns, ``close``."""

    def converse(_program: str, prompts: Sequence[str]) -> Sequence[Answer]:
        from mcp_coder import open_session

        with open_session(method=method, timeout=PATIENCE) as session:
            responses = [session.prompt(prompt) for prompt in prompts]
        return [Answer(response["text"], response["session_id"] or "") for response in responses]

    return converse


def by_resuming(program: str, prompts: Sequence[str]) -> Sequence[Answer]:
    """Run the bare program once for each turn, the first one new, the others with ``--resume``."""
    return list(_resumed(program, prompts))


def _resumed(program: str, prompts: Sequence[str]) -> Iterator[Answer]:
    session_id = None
    for prompt in prompts:
        answer = by_stdin(program, prompt, session_id)
        session_id = answer.session_id
        yield answer


def by_client(program: str, prompts: Sequence[str]) -> Sequence[Answer]:
    """Take the turns with the SDK's own client: ``connect``, ``query``, ``disconnect``."""
    return asyncio.run(_with_client(program, prompts))


async def _with_client(program: str, prompts: Sequence[str]) -> Sequence[Answer]:
    client = new_client(program)
    await client.connect()
    try:
        return [await answer_of(client, prompt) for prompt in prompts]
    finally:
        await client.disconnect()


def seconds_of_ten_turns(ours: str, peer: Conversation) -> Callable[[Workplace], Sides]:
    """Measure ten turns of ours, by a method, beside another way."""
    return lambda place: (_seconds(place, by_session(ours)), _seconds(place, peer))


def _seconds(place: Workplace, conversation: Conversation) -> Measure:
    prompts = [_TOLD, *(f"Say {number}" for number in range(2, TURNS)), _ASKED]
    expected = [f"Noted: my {_TOLD[3:]}", *(f"echo: {prompt}" for prompt in prompts[1:-1]), _RECALLED]

    def measure() -> float:
        before = children()
        began = time.perf_counter()
        answers = conversation(place.program, prompts)
        seconds = time.perf_counter() - began
        if [answer.text for answer in answers] != expected or len({each.session_id for each in answers}) != 1:
            raise ValueError(f"ten turns were answered by {answers}")
        if left := children() - before:
            raise ValueError(f"left running: {left}")
        return seconds

    return measure
